import { describe, expect, it } from "vitest";
import { scopeInWords, scopeOf } from "./freeze";

describe("freeze", () => {
  it("is thawed as it was frozen", () => {
    expect(["*", "account:instagram/1", "conversation:cnv_1", "app:main"].map(scopeOf)).toEqual([{}, { account_id: "instagram/1" }, { conversation: "cnv_1" }, undefined]);
  });

  it("is named by what people know", () => {
    const words = ["*", "account:instagram/1", "conversation:cnv_1", "app:main"].map((text) => scopeInWords(text, (id) => `Shop ${id}`));
    expect(words).toEqual(["everything", "account Shop 1", "conversation cnv_1", "app:main"]);
  });
});
