import { describe, expect, it } from "vitest";
import { pieces, safe } from "./links";

describe("links", () => {
  it("are pages only", () => {
    for (const bad of ["javascript:alert(1)", "data:text/html,x", "JaVaScRiPt://%0aalert(1)", "file:///etc/passwd", "//x", "", null, 7]) {
      expect(safe(bad)).toBeUndefined();
    }
    expect(safe("https://example.com/a?b=1")).toBe("https://example.com/a?b=1");
  });

  it("lose nothing of the text around them", () => {
    const text = "see https://example.com/a, or (http://b.example/x). javascript:alert(1) <b>";
    const found = pieces(text);
    expect(found.map((piece) => piece.text).join("")).toBe(text);
    expect(found.map((piece) => piece.href).filter(Boolean)).toEqual(["https://example.com/a", "http://b.example/x"]);
  });
});
