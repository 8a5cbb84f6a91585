/**
 * `/v1/live`, read by `fetch` so that a refusal can be seen and a position kept. Whoever shows rows hears what became stale. After an
 * interruption everything is read again, so the screen equals a fresh read whatever was missed.
 */

import { sessionIsOver } from "../api/client";
import { backoff, SseReader } from "../core/sse";
import { type Stale, staleBy } from "../core/stale";

export type Change = { all: true } | ({ all: false } & Stale);

/** No byte for this long, keep-alives included: the connection is dead. */
const SILENCE = 40_000;

type State = "off" | "connecting" | "live" | "broken";
let state = $state<State>("off");
const listeners = new Set<(change: Change) => void>();
let position: string | undefined;
let stop: AbortController | undefined;

export const live = {
  get state(): State {
    return state;
  },
};

/** Calls `listener` until the returned function is called. */
export function listen(listener: (change: Change) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Changes that come within this time are one. */
const GATHER = 200;

/** Calls `act` once for changes that come together, until the returned function is called. */
export function listenGathered(isAbout: (change: Stale) => boolean, act: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const off = listen((change) => {
    if (!change.all && !isAbout(change)) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      act();
    }, GATHER);
  });
  return () => {
    clearTimeout(timer);
    off();
  };
}

const publish = (change: Change) => {
  for (const listener of listeners) listener(change);
};

export function startLive(): void {
  if (stop) return;
  stop = new AbortController();
  void run(stop.signal);
}

export function stopLive(): void {
  stop?.abort();
  stop = undefined;
  state = "off";
}

async function run(signal: AbortSignal): Promise<void> {
  let tries = 0;
  while (!signal.aborted) {
    if (state !== "broken") state = "connecting";
    const began = await follow(signal, () => {
      state = "live";
      tries = 0;
      // Read once the connection stands: nothing falls between the two.
      publish({ all: true });
    });
    if (signal.aborted || began === "over") return;
    state = "broken";
    await sleep(backoff(tries, Math.random()), signal);
    tries += 1;
  }
}

/** One connection, until it ends. */
async function follow(signal: AbortSignal, opened: () => void): Promise<"again" | "over"> {
  const connection = new AbortController();
  const end = () => connection.abort();
  signal.addEventListener("abort", end);
  let alive = setTimeout(end, SILENCE);
  try {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (position !== undefined) headers["last-event-id"] = position;
    const response = await fetch("/v1/live", { headers, signal: connection.signal, credentials: "same-origin" });
    if (response.status === 401) {
      sessionIsOver();
      return "over";
    }
    // The position is of a stream that is no more: begin with what comes next, after a fresh read.
    if (response.status === 409 || response.status === 422) position = undefined;
    if (!response.ok || !response.body) return "again";
    opened();
    const reader = new SseReader();
    const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return "again";
      clearTimeout(alive);
      alive = setTimeout(end, SILENCE);
      for (const event of reader.push(value)) {
        if (event.id !== undefined) position = event.id;
        if (event.event === "gap") publish({ all: true });
        const stale = staleBy(event.event, event.data);
        if (stale) publish({ all: false, ...stale });
      }
    }
  } catch {
    return "again";
  } finally {
    clearTimeout(alive);
    signal.removeEventListener("abort", end);
    connection.abort();
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const now = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", now);
      removeEventListener("online", now);
      resolve();
    };
    const timer = setTimeout(now, milliseconds);
    signal.addEventListener("abort", now, { once: true });
    addEventListener("online", now, { once: true });
  });
}
