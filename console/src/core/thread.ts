/** Pure: the messages of a conversation that are loaded, as pages of the api put together. */

import { dayOf } from "./time";

export interface MessageLike {
  id: string;
  message_id: string;
  sent_at: string;
}

/** A page as it was read: `cursor` asked for it (none: the newest), `next` asks for the one before it in time. */
export interface LoadedPage<M> {
  cursor: string | undefined;
  next: string | undefined;
  messages: M[];
}

/** Rows that one read of a page gives out. */
export const PAGE = 50;

/** Oldest first, each once. A row that two pages have (one came in between) counts as the newer page has it. */
export function rowsOf<M extends MessageLike>(pages: readonly LoadedPage<M>[]): M[] {
  const rows = new Map<string, M>();
  for (const page of [...pages].reverse()) {
    for (const message of page.messages) rows.set(message.id, message);
  }
  return [...rows.values()].sort((a, b) => timeOf(a) - timeOf(b) || (a.id < b.id ? -1 : 1));
}

/** Parsed once: a long thread is put in order again with every page. */
const times = new WeakMap<MessageLike, number>();
function timeOf(message: MessageLike): number {
  const known = times.get(message);
  if (known !== undefined) return known;
  const time = Date.parse(message.sent_at);
  times.set(message, time);
  return time;
}

/**
 * The newest page, read again, before the pages there were. More messages may have come than one page holds: then there is a hole, and what
 * is older is left out until somebody scrolls to it.
 */
export function withNewest<M extends MessageLike>(pages: readonly LoadedPage<M>[], newest: LoadedPage<M>): LoadedPage<M>[] {
  const [first, ...rest] = pages;
  if (!first) return [newest];
  const oldest = newest.messages.at(-1)?.id;
  const meets = first.messages.length === 0 || newest.next === undefined || first.messages.some((message) => message.id === oldest);
  if (!meets) return [newest];
  // What the first page had and the newest pushed out stays, unless the newest spans it: then it is gone from the read model.
  const at = first.messages.findIndex((message) => message.id === oldest);
  const pushed = at < 0 || newest.next === undefined ? [] : first.messages.slice(at + 1);
  if (newest.next === undefined) return [newest];
  if (pushed.length === 0) return [newest, ...rest];
  // One page with those before, while one read has room for both: a page is a read when everything is read again.
  const [second, ...others] = rest;
  if (second && pushed.length + second.messages.length <= PAGE) {
    return [newest, { cursor: newest.next, next: second.next, messages: [...pushed, ...second.messages] }, ...others];
  }
  return [newest, { cursor: newest.next, next: first.next, messages: pushed }, ...rest];
}

/** The loaded page that has a message. */
export const pageOf = <M extends MessageLike>(pages: readonly LoadedPage<M>[], mid: string): number =>
  pages.findIndex((page) => page.messages.some((message) => message.message_id === mid));

export type Entry<M> = { key: string; day: string } | { key: string; message: M };

/** Rows with a line for each day. */
export function withDays<M extends MessageLike>(rows: readonly M[], now: number): Entry<M>[] {
  const entries: Entry<M>[] = [];
  /** Midnights around the day of the row before. */
  let [from, to] = [0, 0];
  for (const message of rows) {
    const time = timeOf(message);
    if (time < from || to <= time) {
      const date = new Date(time);
      from = date.setHours(0, 0, 0, 0);
      to = date.setDate(date.getDate() + 1);
      entries.push({ key: `day ${from}`, day: dayOf(message.sent_at, now) });
    }
    entries.push({ key: message.id, message });
  }
  return entries;
}
