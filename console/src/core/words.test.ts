import { describe, expect, it } from "vitest";
import { refusalOf, troubleOf } from "./words";

describe("words", () => {
  it("has a sentence for what the api refuses, and the api's own words beside it", () => {
    const trouble = troubleOf(403, { code: "window_closed", detail: "it ended at noon" });
    expect(trouble.text).toContain("human agent");
    expect(trouble.detail).toBe("it ended at noon");
  });

  it("shows the api's words for a code that it does not know", () => {
    expect(troubleOf(422, { code: "invalid", detail: "text must not be empty" })).toMatchObject({ text: "Text must not be empty." });
  });

  it("knows a missing route from a missing thing", () => {
    expect(troubleOf(404, { code: "not_found", detail: "no such path: /docs lists what there is" }).absent).toBe(true);
    expect(troubleOf(404, { code: "not_found", detail: "no such reply" }).absent).toBe(false);
  });

  it("knows what Meta refuses by its class, and shows Meta's words otherwise", () => {
    expect(refusalOf({ code: "100", class: "recipient", message: "Graph refused" })).toContain("cannot deliver");
    expect(refusalOf({ code: "overtaken" })).toContain("newer");
    expect(refusalOf({ code: 1, class: "new", message: "words" })).toBe("words");
    expect(refusalOf(null)).toBeUndefined();
  });

  it("has a sentence for silence and for what is no problem document", () => {
    expect(troubleOf(0, undefined).code).toBe("no_answer");
    expect(troubleOf(502, "<html>").code).toBe("unavailable");
  });
});
