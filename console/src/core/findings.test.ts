import { describe, expect, it } from "vitest";
import { findings } from "./findings";

const well = { at: "", durability: "synced before every ack", stages: [{ stage: "project", lag: 3, oldest_seconds: 1 }] };

describe("findings", () => {
  it("are none where everything flows", () => {
    expect(findings(well)).toEqual([]);
  });

  it("put the worst first, each with a next step", () => {
    const found = findings({ ...well, dead_letters: 2, durability: "not synced", stages: [{ stage: "project", lag: null, oldest_seconds: null }] });
    expect(found.map((one) => one.tone)).toEqual(["bad", "bad", "warn"]);
    expect(found.every((one) => one.verb ?? one.screen)).toBe(true);
  });

  it("name lag that lasts", () => {
    expect(findings({ ...well, stages: [{ stage: "normalize", lag: 9, oldest_seconds: 300 }] })[0]?.text).toContain("5 min");
  });
});
