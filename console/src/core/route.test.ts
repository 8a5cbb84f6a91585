import { describe, expect, it } from "vitest";
import { href, linkCode, parse } from "./route";

describe("route", () => {
  it("reads what it writes", () => {
    const address = href("contact", ["instagram", "a/b", "ü?"], { order: "newest", none: undefined });
    expect(parse(address)).toEqual({ screen: "contact", rest: ["instagram", "a/b", "ü?"], query: { order: "newest" } });
  });

  it("survives what people type", () => {
    expect(parse("")).toEqual({ screen: "", rest: [], query: {} });
    expect(parse("#/inbox/%E0%A4%A")).toMatchObject({ screen: "inbox", rest: ["%E0%A4%A"] });
  });

  it("takes the code of a one-time link and nothing else", () => {
    expect(linkCode("#session=abc_-1")).toBe("abc_-1");
    expect(linkCode("#session=")).toBeUndefined();
    expect(linkCode("#/inbox?session=abc")).toBeUndefined();
  });
});
