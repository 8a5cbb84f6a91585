import { describe, expect, it } from "vitest";
import { backoff, SseReader, type SseEvent } from "./sse";

const text = ': keep-alive\n\nid: 7\nevent: message.received\ndata: {"a":1}\n\nevent: gap\ndata: 1\ndata: 2\n\nid: 8\r\ndata:x\r\n\r\n';

describe("sse", () => {
  it("reads the same events however the text is cut", () => {
    const whole = new SseReader().push(text);
    expect(whole).toEqual([
      { id: "7", event: "message.received", data: '{"a":1}' },
      { id: undefined, event: "gap", data: "1\n2" },
      { id: "8", event: "message", data: "x" },
    ]);
    for (let size = 1; size < text.length; size += 1) {
      const reader = new SseReader();
      const events: SseEvent[] = [];
      for (let at = 0; at < text.length; at += size) events.push(...reader.push(text.slice(at, at + size)));
      expect(events).toEqual(whole);
    }
  });

  it("waits longer after each failure, and never much longer than half a minute", () => {
    expect(backoff(0, 1)).toBe(500);
    expect(backoff(3, 0)).toBe(2000);
    expect(backoff(99, 1)).toBe(30_000);
  });
});
