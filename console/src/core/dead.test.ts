import { describe, expect, it } from "vitest";
import { byCause } from "./dead";

describe("dead letters", () => {
  it("are counted by cause, with their oldest", () => {
    const row = (cause: string, parked_at: string) => ({ id: 1, lane: "cnv_1", raw_era: 0, raw_seq: 1, role: "failed", attempts: 1, cause, kind: "message.edited", account_id: "1", parked_at, last_error: "no such column" });
    const document = {
      normalize: [row("poison", "2026-11-30T10:00:00Z"), row("poison", "2026-11-30T09:00:00Z"), row("other", "2026-11-30T11:00:00Z")],
      project: [{ seq: 7, cause: "unreadable", detail: "not JSON", first_seen: "2026-11-30T08:00:00Z" }],
      next_cursor: null,
    };
    expect(byCause(document).map(({ stage, cause, count, oldest_at }) => [stage, cause, count, oldest_at])).toEqual([
      ["normalize", "poison", 2, "2026-11-30T09:00:00Z"],
      ["normalize", "other", 1, "2026-11-30T11:00:00Z"],
      ["project", "unreadable", 1, "2026-11-30T08:00:00Z"],
    ]);
  });

  it("are none in an answer that has none", () => {
    expect(byCause({ normalize: [], project: [], next_cursor: null })).toEqual([]);
    expect(byCause("x" as never)).toEqual([]);
  });
});
