import { describe, expect, it } from "vitest";
import cases from "../../../schemas/src/command/split-cases.json";
import { limitOf, split } from "./split";

describe("split", () => {
  for (const { text, parts, ...limit } of cases as { text: string; parts: string[]; bytes: number }[]) {
    it(`splits ${JSON.stringify(text)} at ${JSON.stringify(limit)} as the worker does`, () => {
      expect(split(text, limit)).toEqual(parts);
    });
  }

  it("knows the limits of the channels", () => {
    expect(split("ж".repeat(1000), limitOf("instagram"))).toHaveLength(2);
    expect(split("ж".repeat(1000), limitOf("messenger"))).toHaveLength(1);
    expect(split("x".repeat(1001), limitOf("instagram"))).toHaveLength(2);
    expect(split("😀".repeat(2000), limitOf("messenger"))).toHaveLength(1);
  });
});
