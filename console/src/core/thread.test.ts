import { describe, expect, it } from "vitest";
import { type LoadedPage, type MessageLike, PAGE, pageOf, rowsOf, withDays, withNewest } from "./thread";

const message = (n: number): MessageLike & { text: string } => ({
  id: `msg_${String(n).padStart(3, "0")}`,
  message_id: `m${n}`,
  sent_at: new Date(Date.parse("2026-11-30T10:00:00Z") + n * 60_000).toISOString(),
  text: String(n),
});
type M = ReturnType<typeof message>;
const down = (from: number, to: number): M[] => Array.from({ length: from - to + 1 }, (_, at) => message(from - at));
const page = (cursor: string | undefined, next: string | undefined, from: number, to: number): LoadedPage<M> => ({ cursor, next, messages: down(from, to) });
const numbers = (pages: LoadedPage<M>[]) => rowsOf(pages).map((row) => Number(row.text));

describe("thread", () => {
  it("puts pages together, oldest first, each message once", () => {
    expect(numbers([page(undefined, "a", 9, 5), page("a", undefined, 5, 1)])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("takes the newest page again and keeps what it pushed out", () => {
    const pages = withNewest([page(undefined, "a", 9, 5), page("a", undefined, 4, 1)], page(undefined, "b", 11, 7));
    expect(numbers(pages)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(pages[1]).toMatchObject({ cursor: "b", next: undefined });
  });

  it("grows by pages and not by messages", () => {
    let pages = [page(undefined, "50", 100, 51)];
    for (let at = 101; at <= 200; at += 1) pages = withNewest(pages, page(undefined, String(at - 50), at, at - 49));
    expect(numbers(pages)).toEqual(Array.from({ length: 150 }, (_, at) => at + 51));
    expect(pages.length).toBeLessThanOrEqual(3);
    expect(Math.max(...pages.map(({ messages }) => messages.length))).toBeLessThanOrEqual(PAGE);
  });

  it("leaves no hole where more came than a page holds", () => {
    const pages = withNewest([page(undefined, "a", 9, 5), page("a", undefined, 4, 1)], page(undefined, "b", 30, 20));
    expect(numbers(pages)[0]).toBe(20);
    expect(pages.at(-1)?.next).toBe("b");
  });

  it("drops what the read model no longer has", () => {
    const newest: LoadedPage<M> = { cursor: undefined, next: undefined, messages: [message(3), message(1)] };
    expect(numbers(withNewest([page(undefined, undefined, 3, 1)], newest))).toEqual([1, 3]);
  });

  it("finds the page of a message, and shows each day once", () => {
    expect(pageOf([page(undefined, "a", 9, 5), page("a", undefined, 4, 1)], "m2")).toBe(1);
    const entries = withDays(rowsOf([page(undefined, undefined, 3, 1)]), Date.parse("2026-11-30T12:00:00Z"));
    expect(entries.map((entry) => ("day" in entry ? entry.day : entry.message.text))).toEqual(["Today", "1", "2", "3"]);
  });
});
