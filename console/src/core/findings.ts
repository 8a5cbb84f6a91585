/** Pure: what of the status needs somebody, worst first, each with the next step. */

import type { Status } from "../api/ops";
import { span } from "./time";
import { plain } from "./words";

export interface Finding {
  text: string;
  tone: "bad" | "warn";
  /** The verb of the command line that looks at it or mends it. */
  verb?: string;
  /** The screen that does. */
  screen?: string;
}

/** The stages of the pipeline, as a person calls them. */
const STAGES: Record<string, string> = {
  normalize: "Webhooks into events",
  callbacks: "Callbacks of Meta",
  commands: "Intake of commands",
  automate: "Automatic replies",
  project: "Events into the inbox",
};
export const stageOf = (stage: string): string => STAGES[stage] ?? plain(stage);

const many = (count: number, one: string, more: string): string => (count === 1 ? `1 ${one}` : `${count.toLocaleString()} ${more}`);

/** Below this, lag is the ordinary work of a moment. */
const OLD = 60;

export function findings(status: Status): Finding[] {
  const found: Finding[] = [];
  const add = (tone: "bad" | "warn", text: string, more: Omit<Finding, "text" | "tone">) => found.push({ text, tone, ...more });
  if (status.behind_log) add("bad", "Nothing is sent: the ledger is behind the log of attempts, because Postgres was put back. It goes on by itself once all is settled.", { verb: "hookline status" });
  if (/not|unknown|unreadable/i.test(status.durability ?? "")) add("bad", `The broker is not durable (${status.durability}).`, { verb: "hookline doctor" });
  for (const risk of status.postgres_risks ?? []) add("warn", `Postgres: ${typeof risk === "string" ? risk : JSON.stringify(risk)}`, { verb: "hookline doctor" });
  for (const stage of status.stages ?? []) {
    if (stage.lag === null) add("bad", `The lag of "${stageOf(stage.stage)}" is unknown: its stream may have been made anew.`, { verb: "hookline doctor" });
    else if ((stage.oldest_seconds ?? 0) > OLD) add("bad", `"${stageOf(stage.stage)}" is ${span(stage.oldest_seconds ?? 0)} behind, with ${stage.lag} waiting.`, { verb: "hookline status" });
  }
  for (const [host, clock] of Object.entries(status.graph_clocks ?? {})) {
    if (clock.agrees === false) add("bad", `Our clock and that of ${host} differ by ${span(Math.abs(clock.ahead_ms ?? 0) / 1000)}. Unknown sends are not settled until they agree. Set the clock of this machine.`, { verb: "hookline doctor" });
  }
  const count = (list: unknown[] | undefined) => list?.length ?? 0;
  if (count(status.accounts_stopped)) add("bad", `${many(count(status.accounts_stopped), "account is", "accounts are")} stopped: Meta refuses the token.`, { screen: "accounts" });
  if (count(status.accounts_blocked)) add("bad", `${many(count(status.accounts_blocked), "account is", "accounts are")} blocked by Meta.`, { screen: "accounts" });
  if (status.unknown_sends) add("warn", `${many(status.unknown_sends, "send has", "sends have")} an unknown outcome: a person has to say what became of it.`, { screen: "unknown" });
  if (status.dead_letters) add("warn", `${many(status.dead_letters, "dead letter waits", "dead letters wait")} for a redrive.`, { screen: "dead", verb: "hookline redrive list" });
  if (count(status.accounts_to_tend)) add("warn", `${many(count(status.accounts_to_tend), "account lacks", "accounts lack")} a scope or a field, or has a token that ends soon.`, { screen: "accounts" });
  return found.sort((a, b) => Number(a.tone === "warn") - Number(b.tone === "warn"));
}
