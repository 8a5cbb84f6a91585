/** What is being written and sent, by conversation; in memory only. */

import { SvelteMap } from "svelte/reactivity";
import { api, call, raw, type Reply } from "../api/client";
import { type Answer, answered, answerOf, type Body, type Draft, edit, EMPTY, send, standing } from "../core/drafts";
import { announce } from "./announce.svelte";
import { listen } from "./live.svelte";

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

/** Sends a draft, or asks again what became of it. `seen`: what the author had read, where the api gives that out. */
export async function submit(conversation: string, seen: string | undefined): Promise<void> {
  const before = sends.draftOf(conversation);
  const draft = send(before, () => crypto.randomUUID());
  if (draft === before || draft.state !== "sending") return;
  drafts.set(conversation, draft);
  const headers: Record<string, string> = { "idempotency-key": draft.key };
  if (seen !== undefined) headers["if-match"] = seen;
  const path = `/v1/conversations/${encodeURIComponent(conversation)}/messages`;
  const result = await raw<{ reply_id: string; status: string }>("POST", path, draft.body, headers);
  const answer: Answer = result.ok
    ? { kind: "taken", reply_id: result.data.reply_id, status: result.data.status }
    : answerOf(result.trouble.status, result.trouble.code, result.trouble.text);
  drafts.set(conversation, answered(draft, answer));
  if (answer.kind === "taken") {
    places.set(answer.reply_id, conversation);
    const others = sends.pendingOf(conversation).filter((one) => one.reply_id !== answer.reply_id);
    pending.set(conversation, [...others, { reply_id: answer.reply_id, text: draft.body.text, status: answer.status }]);
    announce("Queued.");
    void look(answer.reply_id);
  } else {
    announce(answer.kind === "refused" ? `Not sent. ${answer.text}` : "No answer. It is not known whether the message was taken.");
  }
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

async function look(reply_id: string): Promise<void> {
  const conversation = places.get(reply_id);
  if (!conversation) return;
  const answer = await call(api.GET("/v1/replies/{reply_id}", { params: { path: { reply_id } } }));
  const one = sends.pendingOf(conversation).find((reply) => reply.reply_id === reply_id);
  if (!one) return;
  if (answer.ok) {
    const reply = answer.data;
    if (reply.status !== one.status) announce(`${standing(reply.status).label}.`);
    pending.set(conversation, sends.pendingOf(conversation).map((each) => (each === one ? { ...one, status: reply.status, reply } : each)));
    if (standing(reply.status).settled && reply.status !== "unknown") return;
  }
  setTimeout(() => void look(reply_id), LOOK_AGAIN);
}

listen((change) => {
  const ids = change.all ? [...places.keys()] : change.reply && places.has(change.reply) ? [change.reply] : [];
  for (const id of ids) void look(id);
});

addEventListener("beforeunload", (event) => {
  if (sends.hasDrafts) event.preventDefault();
});
