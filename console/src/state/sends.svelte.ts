/** What is being written and sent, by place: a conversation, or one kind of answer to a comment. In memory only. */

import { SvelteMap } from "svelte/reactivity";
import { api, call, raw, type Reply } from "../api/client";
import { type Answer, answered, answerOf, type Body, type Draft, edit, EMPTY, send, standing } from "../core/drafts";
import { announce } from "./announce.svelte";
import { listen } from "./live.svelte";
import { session } from "./session.svelte";

/** A reply the api took, until the thread shows its message. */
export interface Pending {
  reply_id: string;
  text: string;
  status: string;
  reply?: Reply;
}

const drafts = new SvelteMap<string, Draft>();
const pending = new SvelteMap<string, Pending[]>();
/** Which conversation a reply belongs to. */
const places = new Map<string, string>();
const timers = new Map<string, ReturnType<typeof setTimeout>>();
/** Looked at again without an event: one may have been missed while the connection was down. */
const LOOK_AGAIN = 5000;

export const sends = {
  draftOf: (conversation: string): Draft => drafts.get(conversation) ?? EMPTY,
  pendingOf: (conversation: string): Pending[] => pending.get(conversation) ?? [],
  get hasDrafts(): boolean {
    return [...drafts.values()].some((draft) => draft.body.text.trim() !== "");
  },
};

export function write(conversation: string, change: Partial<Body>): void {
  drafts.set(conversation, edit(sends.draftOf(conversation), change));
}

/** Gives an unclear draft up: its words and its key are forgotten. */
export function forget(place: string): void {
  if (sends.draftOf(place).state === "unclear") drafts.set(place, EMPTY);
}

/**
 * Sends the draft of a place, or asks again what became of it. `isTaken`: the answer is the api's, and not a page of something between.
 * `undefined`: there is nothing to send, or not by whoever is signed in.
 */
export async function submitTo<T>(place: string, path: string, headers: Record<string, string>, isTaken: (data: Partial<T>) => boolean): Promise<{ answer: Answer; data?: T } | undefined> {
  const before = sends.draftOf(place);
  const draft = send(before, () => crypto.randomUUID(), session.as);
  if (draft === before || draft.state !== "sending") return undefined;
  drafts.set(place, draft);
  const result = await raw<T | undefined>("POST", path, draft.body, { ...headers, "idempotency-key": draft.key });
  const data = result.ok && result.data && isTaken(result.data) ? result.data : undefined;
  const answer: Answer = data ? { kind: "taken" } : result.ok ? { kind: "lost" } : answerOf(result.trouble.status, result.trouble.code, result.trouble.text);
  const after = answered(draft, answer);
  drafts.set(place, after);
  if (after.state === "unclear") announce(after.refusal ? `It could not be asked for. ${after.refusal.text}` : "No answer. It is not known whether the message was taken.");
  else if (answer.kind === "refused") announce(`Not sent. ${answer.text}`);
  return { answer, data };
}

/** Sends the draft of a conversation. `seen`: what the author had read, where the api gives that out. */
export async function submit(conversation: string, seen: string | undefined): Promise<void> {
  const { text } = sends.draftOf(conversation).body;
  const path = `/v1/conversations/${encodeURIComponent(conversation)}/messages`;
  const headers: Record<string, string> = seen === undefined ? {} : { "if-match": seen };
  const sent = await submitTo<{ reply_id: string; status: string }>(conversation, path, headers, (data) => typeof data.reply_id === "string");
  if (!sent?.data) return;
  const { reply_id, status } = sent.data;
  places.set(reply_id, conversation);
  const others = sends.pendingOf(conversation).filter((one) => one.reply_id !== reply_id);
  pending.set(conversation, [...others, { reply_id, text, status }]);
  announce("Queued.");
  void look(reply_id);
}

/** Puts the words of a reply that was not sent back into the field. */
export function takeBack(conversation: string, reply: Pending): void {
  if (sends.draftOf(conversation).state !== "writing") return;
  drafts.set(conversation, { state: "writing", body: { text: reply.text } });
  dismiss(conversation, reply.reply_id);
}

export function dismiss(conversation: string, reply: string): void {
  pending.set(conversation, sends.pendingOf(conversation).filter((one) => one.reply_id !== reply));
}

/** Whether the thread has the message of a reply, and nothing is left to be said about it. */
export const isShown = (one: Pending, shown: ReadonlySet<string | null | undefined>): boolean =>
  shown.has(one.reply_id) && standing(one.status).tone !== "bad" && one.status !== "unknown";

/** The thread shows these replies itself. */
export function settle(conversation: string, shown: ReadonlySet<string>): void {
  const all = sends.pendingOf(conversation);
  const rest = all.filter((one) => !isShown(one, shown));
  if (rest.length !== all.length) pending.set(conversation, rest);
}

/** Reads where a reply stands, until that is settled; one timer for each. */
async function look(reply_id: string): Promise<void> {
  clearTimeout(timers.get(reply_id));
  timers.delete(reply_id);
  const conversation = places.get(reply_id);
  const find = () => sends.pendingOf(conversation ?? "").find((reply) => reply.reply_id === reply_id);
  if (!conversation || !find()) {
    places.delete(reply_id);
    return;
  }
  const answer = await call(api.GET("/v1/replies/{reply_id}", { params: { path: { reply_id } } }));
  // Another read was quicker, and the reply is settled.
  if (!places.has(reply_id)) return;
  const one = find();
  if (one && answer.ok) {
    const reply = answer.data;
    if (reply.status !== one.status) announce(`${standing(reply.status).label}.`);
    pending.set(conversation, sends.pendingOf(conversation).map((each) => (each === one ? { ...one, status: reply.status, reply } : each)));
    if (standing(reply.status).settled && reply.status !== "unknown") {
      places.delete(reply_id);
      return;
    }
    // Only an operator changes it now; that is an event.
    if (reply.status === "unknown") return;
  }
  clearTimeout(timers.get(reply_id));
  if (session.state === "in") timers.set(reply_id, setTimeout(() => void look(reply_id), LOOK_AGAIN));
}

listen((change) => {
  const ids = change.all ? [...places.keys()] : change.reply && places.has(change.reply) ? [change.reply] : [];
  for (const id of ids) void look(id);
});

addEventListener("beforeunload", (event) => {
  if (sends.hasDrafts) event.preventDefault();
});
