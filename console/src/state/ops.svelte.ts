/** What operators see of the whole, read every few seconds while somebody looks. */

import { raw } from "../api/client";
import type { Status } from "../api/ops";
import { Load } from "./load.svelte";
import { session } from "./session.svelte";

const EVERY = 5000;
const HISTORY = 720;

export const status = new Load<Status>();
/** Samples of this window, newest last: an hour at most. */
export const history = $state<{ lag: Record<string, number[]> }>({ lag: {} });

export async function readStatus(): Promise<void> {
  const read = await status.read(() => raw<Status>("GET", "/v1/ops/status"));
  if (!read) return;
  for (const stage of read.stages ?? []) {
    history.lag[stage.stage] = [...(history.lag[stage.stage] ?? []), stage.lag ?? 0].slice(-HISTORY);
  }
}

setInterval(() => {
  // A release without the route is not asked again and again.
  if (session.state === "in" && session.operator && !document.hidden && !status.trouble?.absent) void readStatus();
}, EVERY);
