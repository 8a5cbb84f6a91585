import { describe, expect, it } from "vitest";
import { accountLine, fieldsOf, scopesOf, tokenLine } from "./health";

const now = Date.parse("2026-11-30T12:00:00Z");

describe("health", () => {
  it("says how many days a token has left, and what to do when it has none", () => {
    expect(tokenLine({ valid: true, expires_at: "2027-01-20T12:00:00Z" }, now)).toBe("Ends in 51 d");
    expect(tokenLine({ valid: true, expires_at: "2026-11-30T11:00:00Z" }, now)).toContain("Connect the account again");
    expect(tokenLine({ valid: false, error: "190/463" }, now)).toContain("190/463");
    expect(tokenLine({}, now)).toBe("Meta has not been asked yet");
  });

  it("puts what is missing first", () => {
    const health = {
      scopes: { granted: ["a"], missing: [{ scope: "b", costs: "no names" }] },
      webhook_fields: { subscribed: ["page/messages"], refused: [{ object: "page", field: "feed" }], missing: [] },
    };
    expect(scopesOf(health)[0]).toEqual({ name: "b", granted: false, cost: "no names" });
    expect(fieldsOf(health)[0]).toEqual({ name: "page/feed", state: "refused" });
    expect(scopesOf({})).toEqual([]);
  });

  it("needs attention where there is a diagnosis", () => {
    expect(accountLine("active", {}).tone).toBe("good");
    expect(accountLine("active", { diagnosis: {} }).tone).toBe("warn");
    expect(accountLine("stopped", {}).tone).toBe("bad");
  });
});
