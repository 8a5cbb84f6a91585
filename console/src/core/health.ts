/** Pure: how an account does, in words. */

import { ago, span } from "./time";
import { textOf } from "./words";

interface Token {
  valid?: boolean | null;
  expires_at?: string | null;
  accepted_at?: string | null;
  error?: string | null;
}

interface Health {
  diagnosis?: unknown;
  scopes?: { granted: string[]; missing: unknown[] } | null;
  webhook_fields?: { subscribed: string[]; refused: unknown[]; missing: unknown[] } | null;
}

export function accountLine(state: string, health: Health | undefined): { label: string; tone: "good" | "warn" | "bad" | "" } {
  if (state === "stopped") return { label: "Stopped", tone: "bad" };
  if (state === "disconnected") return { label: "Disconnected", tone: "" };
  if (state !== "active") return { label: state, tone: "warn" };
  return health?.diagnosis ? { label: "Needs attention", tone: "warn" } : { label: "Active", tone: "good" };
}

export function tokenLine(token: Token, now: number): string {
  const accepted = token.accepted_at ? `, accepted ${ago(token.accepted_at, now)}` : "";
  if (token.valid === false) return `Meta refuses it${token.error ? ` (${token.error})` : ""}. Connect the account again.`;
  if (token.expires_at) {
    const left = (Date.parse(token.expires_at) - now) / 1000;
    if (left <= 0) return "It has ended. Connect the account again.";
    return `Ends in ${span(left)}${accepted}`;
  }
  if (token.valid) return `Valid, without a known end${accepted}`;
  return "Meta has not been asked yet";
}

type Named = { scope?: unknown; name?: unknown; object?: unknown; field?: unknown; code?: unknown; costs?: unknown };

export function scopesOf(health: Health): { name: string; granted: boolean; cost?: string }[] {
  if (!health.scopes) return [];
  const missing = (health.scopes.missing as Named[]).map((one) => ({ name: textOf(one.scope) ?? textOf(one.name) ?? "?", granted: false, cost: textOf(one.costs) }));
  return [...missing, ...health.scopes.granted.map((name) => ({ name, granted: true }))];
}

export function fieldsOf(health: Health): { name: string; state: "subscribed" | "refused" | "missing" }[] {
  const fields = health.webhook_fields;
  if (!fields) return [];
  const name = (one: Named) => [textOf(one.object), textOf(one.field)].filter(Boolean).join("/") || "?";
  const of = (list: unknown[], state: "refused" | "missing") => (list as Named[]).map((one) => ({ name: name(one), state }));
  return [...of(fields.refused, "refused"), ...of(fields.missing, "missing"), ...fields.subscribed.map((field) => ({ name: field, state: "subscribed" as const }))];
}
