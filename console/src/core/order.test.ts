import { describe, expect, it } from "vitest";
import { inOrder, type Orderable, pending, reachesBack } from "./order";

const now = Date.parse("2026-11-30T12:00:00Z");
const at = (hours: number) => new Date(now + hours * 3_600_000).toISOString();
const row = (id: string, closes: number | null, unread: number, last = -1, direction = "inbound"): Orderable => ({
  id,
  last_message_at: at(last),
  window_expires_at: closes === null ? null : at(closes),
  unread_count: unread,
  last_message: { direction },
});

describe("order", () => {
  it("puts first whose window closes next, of those who wait", () => {
    const rows = [row("late", 20, 1), row("answered", 1, 0, -23, "outbound"), row("soon", 2, 1), row("closed", -1, 3), row("never", null, 0)];
    expect(inOrder(rows, "closing", now)).toEqual(["soon", "late", "answered", "never", "closed"]);
  });

  it("is total, so that equal rows do not change places", () => {
    const rows = [row("b", 2, 1), row("a", 2, 1)];
    expect(inOrder(rows, "closing", now)).toEqual(["a", "b"]);
    expect(inOrder([...rows].reverse(), "closing", now)).toEqual(["a", "b"]);
    expect(inOrder(rows, "newest", now)).toEqual(["b", "a"]);
  });

  it("knows when it has seen everybody who can be answered", () => {
    expect(reachesBack(at(-23), now)).toBe(false);
    expect(reachesBack(at(-24.1), now)).toBe(true);
    expect(reachesBack(undefined, now)).toBe(false);
  });

  it("counts what waits behind the pill", () => {
    expect(pending(["a", "b"], ["a", "b"])).toBe(0);
    expect(pending(["a", "b"], ["c", "a", "b"])).toBe(1);
    expect(pending(["a", "b"], ["b", "a"])).toBe(1);
    expect(pending(["a", "b"], ["a"])).toBe(1);
  });
});
