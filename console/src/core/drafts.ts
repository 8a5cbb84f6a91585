/**
 * Pure: a draft and what becomes of it. One draft has one Idempotency-Key, made when it is first sent. As long as nobody knows whether the
 * api took it, it can only be asked for again, with the same key and the same words: the api answers with the state of the first. So a lost
 * answer never leads to a second send. The api knows a key by the identity that used it: it is asked for again only by whoever sent. Drafts are kept in memory only: nothing that people write is stored in the browser.
 */

export interface Body {
  text: string;
  tag?: "HUMAN_AGENT";
}

export type Draft =
  | { state: "writing"; body: Body; refusal?: Refusal }
  /** `as`: who sends. `again`: a request before it got no answer. */
  | { state: "sending"; body: Body; key: string; as: string; again: boolean }
  /** The request got no answer: the api may have taken it. `refusal`: why it could not be asked what became of it. */
  | { state: "unclear"; body: Body; key: string; as: string; refusal?: Refusal };

export interface Refusal {
  code: string;
  text: string;
}

/** The api judges these after it has looked for the key: the key is unknown to it. Any other refusal says nothing about a request before. */
const KEY_UNKNOWN = new Set(["window_closed", "human_agent_person_only"]);

/** What came of a request. */
export type Answer = { kind: "taken" } | ({ kind: "refused" } & Refusal) | { kind: "lost" };

export const EMPTY: Draft = { state: "writing", body: { text: "" } };

/** Words and tag change only while nothing is under way. */
export function edit(draft: Draft, body: Partial<Body>): Draft {
  if (draft.state !== "writing") return draft;
  return { state: "writing", body: { ...draft.body, ...body } };
}

/** Whether `as` is who sent it: for another identity the same key is another request, which would be carried out. */
export const mayAsk = (draft: Draft, as: string): boolean => draft.state === "unclear" && draft.as === as;

/** Begins to send, or asks again what became of it. */
export function send(draft: Draft, newKey: () => string, as: string): Draft {
  switch (draft.state) {
    case "writing":
      return draft.body.text.trim() === "" ? draft : { state: "sending", body: draft.body, key: newKey(), as, again: false };
    case "unclear":
      return mayAsk(draft, as) ? { state: "sending", body: draft.body, key: draft.key, as, again: true } : draft;
    case "sending":
      return draft;
  }
}

/** The words are gone only once the api has them. */
export function answered(draft: Draft, answer: Answer): Draft {
  if (draft.state !== "sending") return draft;
  switch (answer.kind) {
    case "taken":
      return EMPTY;
    case "refused": {
      const refusal = { code: answer.code, text: answer.text };
      // What is refused at once was never stored. What is refused when asked again may have been, unless the key was looked for.
      if (draft.again && !KEY_UNKNOWN.has(answer.code)) return { state: "unclear", body: draft.body, key: draft.key, as: draft.as, refusal };
      return { state: "writing", body: draft.body, refusal };
    }
    case "lost":
      return { state: "unclear", body: draft.body, key: draft.key, as: draft.as };
  }
}

/** How an answer of the api is read: what is no refusal for good may have been taken. */
export function answerOf(status: number, code: string, text: string): Answer {
  const refused = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return refused ? { kind: "refused", code, text } : { kind: "lost" };
}

/** A part of a reply: long text is several messages. */
export interface Part {
  n: number;
  state: string;
  message_id?: string | null;
}

/** The parts of a reply; the api's description leaves their fields open. */
export const partsOf = (reply: { parts?: unknown } | undefined): Part[] => (Array.isArray(reply?.parts) ? reply.parts : []);

/** Where a reply stands, for a person. */
export interface Standing {
  label: string;
  tone: "quiet" | "good" | "bad" | "warn";
  /** It will not change by itself soon. */
  settled: boolean;
  advice?: string;
}

export function standing(status: string): Standing {
  switch (status) {
    case "queued":
      return { label: "Queued", tone: "quiet", settled: false };
    case "sending":
      return { label: "Sending", tone: "quiet", settled: false };
    case "sent":
      return { label: "Sent", tone: "good", settled: true };
    case "failed":
      return { label: "Not sent", tone: "bad", settled: true };
    case "partial":
      return { label: "Partly sent", tone: "bad", settled: true, advice: "Some parts arrived. Send only what is missing." };
    case "unknown":
      return {
        label: "Outcome unknown",
        tone: "warn",
        settled: true,
        advice: "It may have arrived. Do not send it again: look at Unknown sends.",
      };
    default:
      return { label: status.replaceAll("_", " "), tone: "quiet", settled: false };
  }
}
