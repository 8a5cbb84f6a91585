import { describe, expect, it } from "vitest";
import { Gathered, staleBy } from "./stale";

describe("stale", () => {
  it("names the rows that an event is about", () => {
    const data = JSON.stringify({ id: "evt", data: { conversation_id: "cnv_1", message_id: "m", account_id: "1" } });
    expect(staleBy("message.received", data)).toMatchObject({ conversation: "cnv_1", message: "m", gone: false });
    expect(staleBy("message.deleted", data)?.gone).toBe(true);
  });

  it("survives what it cannot read", () => {
    for (const data of ["", "null", "1", "{", "{}"]) expect(staleBy("x", data)).toBeUndefined();
  });

  it("looks few up one by one, and many at once", () => {
    const gathered = new Gathered(2);
    for (const id of ["a", "a", "b", undefined]) gathered.add(id);
    expect(gathered.take()).toEqual({ all: false, ids: ["a", "b"] });
    for (const id of ["a", "b", "c"]) gathered.add(id);
    expect(gathered.take().all).toBe(true);
    expect(gathered.take()).toEqual({ all: false, ids: [] });
  });
});
