/** Pure: in which order conversations are shown. */

export interface Orderable {
  id: string;
  last_message_at: string;
  window_expires_at?: string | null;
  unread_count: number;
  last_message?: { direction: string } | null;
}

export type Order = "closing" | "newest";

const DAY = 86_400_000;

/** Whether a person waits for an answer: they wrote last, or something of theirs is unread. */
export const waits = (row: Orderable): boolean => row.unread_count > 0 || row.last_message?.direction === "inbound";

/** 0: waits and can be answered; 1: can be answered; 2: the window is closed. */
function rank(row: Orderable, closes: number, now: number): number {
  // Not a number where there is no window: not open either.
  if (!(now < closes)) return 2;
  return waits(row) ? 0 : 1;
}

const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** What the order of a row depends on, parsed once. */
interface Keyed {
  id: string;
  rank: number;
  last: number;
  closes: number;
}

const newest = (a: Keyed, b: Keyed) => b.last - a.last || byText(b.id, a.id);

function closing(a: Keyed, b: Keyed): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  return a.rank === 0 ? a.closes - b.closes || byText(a.id, b.id) : newest(a, b);
}

/** The ids of `rows` in order. `closing`: those who wait first, the window that closes next at the top. */
export function inOrder(rows: readonly Orderable[], order: Order, now: number): string[] {
  const keyed = rows.map((row) => {
    const closes = Date.parse(row.window_expires_at ?? "");
    return { id: row.id, rank: rank(row, closes, now), last: Date.parse(row.last_message_at), closes };
  });
  return keyed.sort(order === "newest" ? newest : closing).map(({ id }) => id);
}

/**
 * Whether `closing` needs more rows than those up to `oldest`. A window is open for 24 hours after a message of the person, so nobody whose
 * last message is older than that has an open one: once the list reaches back so far, the order is that of all conversations.
 */
export const reachesBack = (oldest: string | undefined, now: number): boolean => oldest !== undefined && Date.parse(oldest) < now - DAY;

/** What would change if the list were ordered anew. Rows never move by themselves: they would move under the cursor. */
export function pending(shown: readonly string[], wanted: readonly string[]): number {
  const known = new Set(shown);
  const fresh = wanted.filter((id) => !known.has(id));
  const left = new Set(wanted);
  const kept = shown.filter((id) => left.has(id));
  const rest = wanted.filter((id) => known.has(id));
  const moved = rest.filter((id, at) => kept[at] !== id).length;
  return fresh.length + (moved > 0 ? 1 : 0) + (shown.length - kept.length > 0 && fresh.length === 0 && moved === 0 ? 1 : 0);
}
