/**
 * Pure: a draft and what becomes of it. One draft has one Idempotency-Key, made when it is first sent. As long as nobody knows whether the
 * api took it, it can only be asked for again, with the same key and the same words: the api answers with the state of the first. So a lost
 * answer never leads to a second send. Drafts are kept in memory only: nothing that people write is stored in the browser.
 */

export interface Body {
  text: string;
  tag?: "HUMAN_AGENT";
}

export type Draft =
  | { state: "writing"; body: Body; refusal?: { code: string; text: string } }
  | { state: "sending"; body: Body; key: string }
  /** The request got no answer: the api may have taken it. */
  | { state: "unclear"; body: Body; key: string };

/** What came of a request. */
export type Answer =
  | { kind: "taken"; reply_id: string; status: string }
  | { kind: "refused"; code: string; text: string }
  | { kind: "lost" };

export const EMPTY: Draft = { state: "writing", body: { text: "" } };

/** Words and tag change only while nothing is under way. */
export function edit(draft: Draft, body: Partial<Body>): Draft {
  if (draft.state !== "writing") return draft;
  return { state: "writing", body: { ...draft.body, ...body } };
}

/** Begins to send, or asks again what became of it. */
export function send(draft: Draft, newKey: () => string): Draft {
  switch (draft.state) {
    case "writing":
      return draft.body.text.trim() === "" ? draft : { state: "sending", body: draft.body, key: newKey() };
    case "unclear":
      return { state: "sending", body: draft.body, key: draft.key };
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
    case "refused":
      // Nothing was stored under its key.
      return { state: "writing", body: draft.body, refusal: { code: answer.code, text: answer.text } };
    case "lost":
      return { state: "unclear", body: draft.body, key: draft.key };
  }
}

/** How an answer of the api is read: what is no refusal for good may have been taken. */
export function answerOf(status: number, code: string, text: string): Answer {
  const refused = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return refused ? { kind: "refused", code, text } : { kind: "lost" };
}

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
    case "cancelled":
      return { label: "Cancelled", tone: "quiet", settled: true };
    default:
      return { label: status.replaceAll("_", " "), tone: "quiet", settled: false };
  }
}
