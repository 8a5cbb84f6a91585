import { describe, expect, it } from "vitest";
import { type Answer, answered, answerOf, type Draft, edit, EMPTY, send } from "./drafts";

let made = 0;
const key = () => `key-${(made += 1)}`;
const written = edit(EMPTY, { text: "hello" });
const keyOf = (draft: Draft) => (draft.state === "writing" ? undefined : draft.key);

describe("drafts", () => {
  it("are sent once: a lost answer can only be asked for again, with the same key and words", () => {
    const first = send(written, key, "ann");
    const unclear = answered(first, { kind: "lost" });
    expect(unclear.state).toBe("unclear");
    expect(edit(unclear, { text: "other" })).toBe(unclear);
    const again = send(unclear, key, "ann");
    expect(keyOf(again)).toBe(keyOf(first));
    expect(again.body).toEqual(first.body);
    expect(send(again, key, "ann")).toBe(again);
    expect(answered(again, { kind: "taken" })).toEqual(EMPTY);
  });

  it("keep their words when they are refused, and are new once they were", () => {
    const first = send(written, key, "ann");
    const refused = answered(first, { kind: "refused", code: "window_closed", text: "it ended" });
    expect(refused).toMatchObject({ state: "writing", body: { text: "hello" }, refusal: { code: "window_closed" } });
    const tagged = edit(refused, { tag: "HUMAN_AGENT" });
    expect(tagged).not.toHaveProperty("refusal");
    expect(keyOf(send(tagged, key, "ann"))).not.toBe(keyOf(first));
  });

  it("stay unclear when asking again is refused before the api has looked for the key", () => {
    const first = send(written, key, "ann");
    for (const code of ["unauthorized", "insufficient_scope", "not_found", "key_reused", "unknown"]) {
      const asked = send(answered(first, { kind: "lost" }), key, "ann");
      const refused = answered(asked, { kind: "refused", code, text: "no" });
      expect(refused).toMatchObject({ state: "unclear", refusal: { code } });
      expect(keyOf(send(refused, key, "ann"))).toBe(keyOf(first));
    }
    const asked = send(answered(first, { kind: "lost" }), key, "ann");
    expect(answered(asked, { kind: "refused", code: "window_closed", text: "it ended" }).state).toBe("writing");
  });

  it("are not asked for by another identity: its request would be carried out", () => {
    const unclear = answered(send(written, key, "(link)"), { kind: "lost" });
    expect(send(unclear, key, "ann")).toBe(unclear);
    expect(send(unclear, key, "(link)").state).toBe("sending");
  });

  it("with nothing but white space are not sent", () => {
    const blank = edit(EMPTY, { text: " \n" });
    expect(send(blank, key, "ann")).toBe(blank);
  });

  it("are refused by what can never be taken, and lost otherwise", () => {
    const kind = (status: number): Answer["kind"] => answerOf(status, "c", "t").kind;
    expect([403, 404, 409, 422].map(kind)).toEqual(["refused", "refused", "refused", "refused"]);
    expect([0, 408, 429, 500, 503].map(kind)).toEqual(["lost", "lost", "lost", "lost", "lost"]);
  });
});
