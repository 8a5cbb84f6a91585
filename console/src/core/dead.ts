/** Pure: parked work by its cause, as `GET /v1/ops/dead` lists it: what the normaliser holds back and what the projector set aside. */

export interface Cause {
  [field: string]: unknown;
  cause: string;
  stage: string;
  kind?: string;
  account_id?: string;
  count: number;
  oldest_at?: string;
  last_error?: string;
}

type Row = Record<string, unknown>;
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** The most frequent cause first. */
export function byCause(document: unknown): Cause[] {
  if (typeof document !== "object" || document === null) return [];
  const groups = new Map<string, Cause>();
  for (const [stage, rows] of Object.entries(document)) {
    if (!Array.isArray(rows)) continue;
    for (const row of rows as Row[]) {
      const cause = text(row["cause"]) ?? "unknown";
      const [kind, account_id] = [text(row["kind"]), text(row["account_id"])];
      const key = JSON.stringify([stage, cause, kind, account_id]);
      const since = text(row["parked_at"]) ?? text(row["first_seen"]) ?? text(row["first_at"]);
      const known = groups.get(key);
      const count = typeof row["count"] === "number" ? row["count"] : 1;
      if (!known) {
        const last_error = text(row["last_error"]) ?? text(row["detail"]);
        groups.set(key, { cause, stage: text(row["stage"]) ?? stage, kind, account_id, count, oldest_at: since, last_error });
        continue;
      }
      known.count += count;
      if (since !== undefined && (known.oldest_at === undefined || since < known.oldest_at)) known.oldest_at = since;
    }
  }
  return [...groups.values()].sort((a, b) => b.count - a.count || (a.cause < b.cause ? -1 : 1));
}
