import { describe, expect, it } from "vitest";
import { initials, tint } from "./people";

describe("people", () => {
  it("are shown by initials", () => {
    const check = { "Amira Haddad": "AH", "zeynep.kaya": "ZK", "User 790621": "79", Ann: "AN", "": "?", "🐟 fish": "🐟F", "Ana Maria de Sá": "AS" };
    for (const [name, expected] of Object.entries(check)) expect(initials(name)).toBe(expected);
  });

  it("keep their colour", () => {
    expect(tint("7349428244595921")).toBe(tint("7349428244595921"));
    expect(tint("1")).toBeLessThan(6);
  });
});
