import { describe, expect, it } from "vitest";
import { isId, steps, withoutWords } from "./trace";

describe("trace", () => {
  it("is of ids alone: what somebody typed by mistake stands in no address", () => {
    expect(["evt_1", "rpl_0a", "m_abc-d==", "aWdfZAG1"].filter((id) => !isId(id))).toEqual([]);
    expect(["", "evt_", "evt_1 and a name", "Amira", "0151 234"].filter(isId)).toEqual([]);
  });

  it("shows what happened in the order of time", () => {
    const document = {
      commands: [{ command: "reply", command_id: "rpl_1", state: "sent", requested_at: "2026-11-30T10:00:02Z" }],
      facts: [
        { kind: "reply.sent", event_id: "evt_2", time: "2026-11-30T10:00:03Z" },
        { kind: "message.received", event_id: "evt_1", raw_seq: 7, time: "2026-11-30T10:00:01Z" },
      ],
    };
    expect(steps(document).map((step) => step.title)).toEqual(["Event · message.received", "Command · reply · sent", "Event · reply.sent"]);
    expect(steps(document)[0]?.ids).toEqual([{ label: "event", id: "evt_1" }, { label: "raw webhook", id: "7" }]);
  });

  it("leaves out what people wrote", () => {
    expect(JSON.stringify(withoutWords({ a: [{ text: "secret", parts: [{ answer: { id: 1 } }] }], n: 1 }))).toBe('{"a":[{"text":"…","parts":[{"answer":"…"}]}],"n":1}');
    expect(steps("x")).toEqual([]);
  });
});
