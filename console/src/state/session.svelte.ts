/** Who is signed in, as far as the console can know: a cookie that no script can read. */

import { api, call, onSignedOut, raw } from "../api/client";
import { linkCode } from "../core/route";
import { startLive, stopLive } from "./live.svelte";

type State = "asking" | "in" | "out" | "unreachable";
let state = $state<State>("asking");
let reason = $state("");
let operator = $state(false);

export const session = {
  get state(): State {
    return state;
  },
  /** Why somebody is asked to sign in, or cannot. */
  get reason(): string {
    return reason;
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
  const code = linkCode(location.hash);
  if (code) {
    history.replaceState(null, "", "#/inbox");
    dispatchEvent(new HashChangeEvent("hashchange"));
    if (!(await byLink(code))) {
      reason = "This link was used already, or is older than ten minutes. Ask for another one, or sign in with a token.";
      // A session that there was still holds.
      if (await holds()) await enter();
      return;
    }
  }
  if (await holds()) await enter();
}

async function byLink(code: string): Promise<boolean> {
  try {
    const body = new URLSearchParams({ code });
    const answer = await fetch("/session/link", { method: "POST", body, redirect: "manual", credentials: "same-origin" });
    return answer.type === "opaqueredirect" || answer.ok;
  } catch {
    return false;
  }
}

/** Signs in with a token of `API_TOKENS`; what is wrong otherwise. */
export async function byToken(token: string): Promise<string | undefined> {
  const answer = await raw<undefined>("POST", "/session", { token });
  if (!answer.ok) return answer.trouble.status === 401 ? "hookline does not know this token. Check API_TOKENS of the api." : answer.trouble.text;
  reason = "";
  if (!(await holds())) return "The browser did not keep the session. Open the console by https, or on the machine where it runs.";
  await enter();
  return undefined;
}

/** Ends the session here and at the api. */
export async function signOut(): Promise<void> {
  await raw("DELETE", "/session");
  reason = "You are signed out.";
  state = "out";
  stopLive();
}

async function holds(): Promise<boolean> {
  const answer = await call(api.GET("/v1/accounts", { params: { query: { limit: 1 } } }));
  if (answer.ok) return true;
  if (answer.trouble.status !== 401) {
    state = "unreachable";
    reason = answer.trouble.text;
    setTimeout(() => void begin(), 3000);
  }
  return false;
}

async function enter(): Promise<void> {
  state = "in";
  startLive();
  // A release without the route shows the pages all the same, and they say so.
  const jobs = await raw<unknown>("GET", "/v1/ops/jobs?limit=1");
  operator = jobs.ok || jobs.trouble.absent;
}
