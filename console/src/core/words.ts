/**
 * Pure: one catalogue from a stable code to a sentence a person can act on. The api's own `detail` stands below it where it says more.
 */

const SENTENCES: Record<string, string> = {
  unauthorized: "You are signed out. Sign in again; drafts stay where they are.",
  insufficient_scope: "Your token may not do this. Ask for one with more rights.",
  cross_origin: "The request came from another site. Open the console at its own address.",
  window_closed: "Meta takes no answer now: the person's last message is too old. Wait until they write, or choose to answer as a human agent.",
  window_will_close: "The window closes before that time. Choose an earlier one.",
  human_agent_person_only: "Only a person may answer as a human agent, and this token is an automation's.",
  overtaken: "Something newer came in this conversation. Read it, then send again if it still fits. Your words are kept.",
  key_reused: "This was sent before with other words. Check the conversation, then write it anew.",
  unavailable: "The service is not reachable for the moment. Nothing is lost; this is tried again.",
  search_too_slow: "This search takes too long. Use a longer or rarer word.",
  search_busy: "Other searches are running. Try again in a few seconds.",
  sync_failed: "Meta did not hand out the conversation. Try again later.",
  too_many_clients: "Too many windows are open with this token. Close some.",
  stream_reset: "The stream of events was replaced. The screen was loaded anew.",
  no_answer: "The server gave no answer. Check that hookline runs and that you are online.",
  internal: "Something went wrong in hookline. Its log says where.",
  account_stopped: "The account is stopped because Meta refused its token. Connect it again under Accounts.",
  frozen: "Sending is frozen by an operator. It goes on when they thaw it.",
  paused: "Meta's limit was reached. It goes on by itself.",
  parked: "An earlier message of this conversation has an unknown outcome. Settle it under Unknown sends.",
  budget: "The account's call budget is used up for now. It goes on by itself.",
  scheduled: "It is sent at the time that was chosen.",
  not_published: "It never reached the queue, so it was not sent. Send it anew.",
  token_rejected: "Meta refused the account's token. Connect the account again under Accounts.",
  cancelled: "It was cancelled before it was sent.",
  recipient_unavailable: "Meta does not deliver to this person (they blocked the account, or it is gone).",
};

/** Classes of Meta's refusals: its own numbers are too many to list. */
const CLASSES: Record<string, string> = {
  retry: "Meta could not do it just then. It was tried several times.",
  limited_app: "Meta's limit for the app was reached. Wait, then write it anew.",
  limited_account: "Meta's limit for this account was reached. Wait, then write it anew.",
  auth: "Meta refused the account's token. Connect the account again under Accounts.",
  permission: "A permission or setting is missing at Meta. Accounts shows which.",
  window: "Meta does not allow it now: the window is closed.",
  recipient: "Meta cannot deliver to this person: they blocked the account, left, or the thread is gone.",
  invalid: "Meta says that the request is not valid. Sending the same again is useless.",
};

/** Beside an unclear answer, when somebody signed in otherwise than whoever sent it. */
export const UNCLEAR_OF_ANOTHER =
  "It was sent under another sign-in, so it cannot be asked for under this one. Sign in as before, or look whether it stands in the conversation before you write it again.";

/** What a code means; `undefined` for one that the catalogue does not have. */
export const sentence = (code: string | null | undefined): string | undefined => (code ? SENTENCES[code] : undefined);

/** Why Meta or the worker refused, in words. */
export function refusalOf(error: { code?: unknown; class?: unknown; message?: unknown } | null | undefined): string | undefined {
  if (!error) return undefined;
  const known = sentence(String(error.code ?? "")) ?? CLASSES[String(error.class ?? "")];
  return known ?? (typeof error.message === "string" ? error.message : undefined);
}

/** A code or word of the wire as words. */
export const plain = (word: string): string => word.replaceAll(/[_.-]/g, " ");

export interface Trouble {
  status: number;
  code: string;
  /** What happened and what to do. */
  text: string;
  /** What the api said beside it. */
  detail?: string;
  /** The route itself is missing: this release of the api does not have it. */
  absent: boolean;
}

/** Worth asking again: no answer, too many requests, or a service that is away. */
export const isPassing = ({ status, absent }: Trouble): boolean => !absent && (status === 0 || status === 408 || status === 429 || status >= 500);

interface ProblemLike {
  code?: unknown;
  title?: unknown;
  detail?: unknown;
}

/** A text that says something; `undefined` for anything else. */
export const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
const capital = (text: string): string => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** Reads an answer that is no success. `status` 0: there was none. */
export function troubleOf(status: number, body: unknown): Trouble {
  const problem: ProblemLike = typeof body === "object" && body !== null ? body : {};
  const code = textOf(problem.code) ?? (status === 0 ? "no_answer" : status === 401 ? "unauthorized" : status >= 500 ? "unavailable" : "unknown");
  const detail = textOf(problem.detail);
  const text = sentence(code) ?? (detail ? `${capital(detail)}.` : `The server answered ${status}.`);
  const absent = status === 405 || (status === 404 && Boolean(detail?.startsWith("no such path")));
  return { status, code, text, detail: sentence(code) ? detail : undefined, absent };
}
