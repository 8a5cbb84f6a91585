import { describe, expect, it } from "vitest";
import { left, windowAt, windowLine } from "./window";

const now = Date.parse("2026-11-30T12:00:00Z");
const at = (hours: number) => new Date(now + hours * 3_600_000).toISOString();

describe("window", () => {
  it("is open until its very end, then a person may answer for six more days", () => {
    expect(windowAt(at(1), now)).toMatchObject({ kind: "open", soon: true });
    expect(windowAt(at(5), now)).toMatchObject({ kind: "open", soon: false });
    expect(windowAt(at(0), now).kind).toBe("human_agent");
    expect(windowAt(at(-143.99), now).kind).toBe("human_agent");
    expect(windowAt(at(-144), now).kind).toBe("closed");
    expect(windowAt(null, now).kind).toBe("never");
  });

  it("shows seconds only when they matter", () => {
    expect(left(23 * 3_600_000 + 59 * 60_000 + 59_000)).toBe("23 h 59 min");
    expect(left(10 * 60_000 + 5000)).toBe("10 min");
    expect(left(4 * 60_000 + 5000)).toBe("4 min 05 s");
    expect(left(900)).toBe("0 s");
    expect(left(-5)).toBe("0 s");
    expect(left(3 * 86_400_000)).toBe("3 d 0 h");
  });

  it("is one line in a list", () => {
    expect(windowLine(windowAt(at(1), now))).toBe("1 h 0 min left");
    expect(windowLine(windowAt(null, now))).toBe("no window");
  });
});
