/** Pure: parked work by its cause, as `GET /v1/ops/dead` lists it: what the normaliser holds back and what the projector set aside. */

import type { components } from "../api/schema";

export interface Cause {
  [field: string]: unknown;
  cause: string;
  stage: string;
  kind?: string;
  account_id?: string;
  count: number;
  oldest_at: string;
  last_error?: string;
}

/** The most frequent cause first. */
export function byCause(work: components["schemas"]["DeadWork"]): Cause[] {
  // What answers may be something else than the api.
  if (typeof work !== "object") return [];
  const rows = [
    // The account is empty where nothing could be read.
    ...work.normalize.map((row) => ({ ...row, stage: "normalize", account_id: row.account_id || undefined, since: row.parked_at, error: row.last_error })),
    ...work.project.map((row) => ({ ...row, stage: "project", account_id: undefined, since: row.first_seen, error: row.detail })),
  ];
  const groups = new Map<string, Cause>();
  for (const { stage, cause, account_id, since, ...row } of rows) {
    const kind = row.kind ?? undefined;
    const key = JSON.stringify([stage, cause, kind, account_id]);
    const known = groups.get(key);
    if (!known) {
      groups.set(key, { cause, stage, kind, account_id, count: 1, oldest_at: since, last_error: row.error || undefined });
      continue;
    }
    known.count += 1;
    if (since < known.oldest_at) known.oldest_at = since;
  }
  return [...groups.values()].sort((a, b) => b.count - a.count || (a.cause < b.cause ? -1 : 1));
}
