/** Who is signed in, as far as the console can know: a cookie that no script can read. */

import { api, call, onSignedOut, raw } from "../api/client";
import { linkCode } from "../core/route";
import { troubleOf } from "../core/words";
import { startLive, stopLive } from "./live.svelte";

type State = "asking" | "in" | "out" | "unreachable";
let state = $state<State>("asking");
let reason = $state("");
let operator = $state(false);
let trouble = $state("");
/** A session that there was already: whose it is, no script can know, so it equals only itself. */
let unnamed = 0;
const unknown = (): string => `unknown ${(unnamed += 1)}`;
let as = $state(unknown());
/** Of a link that is not used up yet: the api gave no answer. */
let code: string | undefined;
let again: ReturnType<typeof setTimeout> | undefined;

const NOT_KEPT = "The browser did not keep the session. Open the console by https, or on the machine where it runs.";

export const session = {
  get state(): State {
    return state;
  },
  /** Why somebody is asked to sign in, or cannot. */
  get reason(): string {
    return reason;
  },
  /** With what the session was opened, for comparison: the api knows an Idempotency-Key by the identity that used it. */
  get as(): string {
    return as;
  },
  /** What went wrong with the session while somebody is signed in. */
  get trouble(): string {
    return trouble;
  },
  /** The token may see the pages of operators. */
  get operator(): boolean {
    return operator;
  },
};

onSignedOut(() => {
  if (state === "in") reason = "The session is over. Sign in again: what you wrote is still here.";
  state = "out";
  stopLive();
});

/** Uses up the code of a one-time link, or takes the session there is. */
export async function begin(): Promise<void> {
  clearTimeout(again);
  const found = linkCode(location.hash);
  if (found) {
    code = found;
    history.replaceState(null, "", "#/inbox");
    dispatchEvent(new HashChangeEvent("hashchange"));
  }
  if (!code) {
    if (await holds()) await enter();
    return;
  }
  const came = await byLink(code);
  if (came.kind === "no answer") {
    unreachable(came.text);
    return;
  }
  code = undefined;
  if (came.kind === "in") {
    as = "link";
    if (await holds()) await enter();
    else if (state === "out") reason = NOT_KEPT;
    return;
  }
  if (state === "in") {
    trouble = came.text;
    return;
  }
  reason = came.text;
  // A session that there was still holds.
  if (!(await holds())) return;
  as = unknown();
  await enter();
}

addEventListener("hashchange", () => {
  if (linkCode(location.hash)) void begin();
});

type Came = { kind: "in" } | { kind: "refused" | "no answer"; text: string };

async function byLink(code: string): Promise<Came> {
  try {
    const body = new URLSearchParams({ code });
    const answer = await fetch("/session/link", { method: "POST", body, redirect: "manual", credentials: "same-origin" });
    if (answer.type === "opaqueredirect" || answer.ok) return { kind: "in" };
    if (answer.status === 401) {
      return { kind: "refused", text: "This link was used already, or is older than ten minutes. Ask for another one, or sign in with a token." };
    }
    const { text } = troubleOf(answer.status, await answer.json().catch(() => undefined));
    const isLater = answer.status >= 500 || answer.status === 408 || answer.status === 429;
    return { kind: isLater ? "no answer" : "refused", text };
  } catch {
    return { kind: "no answer", text: troubleOf(0, undefined).text };
  }
}

/** Signs in with a token of `API_TOKENS`; what is wrong otherwise. */
export async function byToken(token: string): Promise<string | undefined> {
  const answer = await raw<undefined>("POST", "/session", { token });
  if (!answer.ok) return answer.trouble.status === 401 ? "hookline does not know this token. Check API_TOKENS of the api." : answer.trouble.text;
  reason = "";
  as = await digestOf(token);
  if (!(await holds())) return NOT_KEPT;
  await enter();
  return undefined;
}

export const hideTrouble = (): void => {
  trouble = "";
};

/** Ends the session at the api, and forgets everything that this page has in memory. */
export async function signOut(): Promise<void> {
  trouble = "";
  const gone = await raw("DELETE", "/session");
  if (!gone.ok && gone.trouble.status !== 401) {
    trouble = `You are not signed out. ${gone.trouble.text}`;
    return;
  }
  state = "asking";
  stopLive();
  location.replace("#/inbox");
  location.reload();
  // Still here: somebody wanted to keep a draft.
  setTimeout(() => {
    reason = "You are signed out.";
    state = "out";
  }, 3000);
}

async function holds(): Promise<boolean> {
  const answer = await call(api.GET("/v1/accounts", { params: { query: { limit: 1 } } }));
  if (answer.ok) return true;
  if (answer.trouble.status !== 401) unreachable(answer.trouble.text);
  return false;
}

function unreachable(text: string): void {
  state = "unreachable";
  reason = text;
  clearTimeout(again);
  again = setTimeout(() => void begin(), 3000);
}

async function enter(): Promise<void> {
  state = "in";
  // A stream of the session before goes on with that one's rights.
  stopLive();
  startLive();
  // A release without the route shows the pages all the same, and they say so.
  const jobs = await raw<unknown>("GET", "/v1/ops/jobs?limit=1");
  operator = jobs.ok || jobs.trouble.absent;
}

/** Compared only: the token itself is not kept. */
async function digestOf(token: string): Promise<string> {
  if (!crypto.subtle) return unknown();
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
