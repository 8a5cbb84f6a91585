import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { followHttp, Stopped, type Cursor, type HttpOptions } from "../src/index.js";
import { recording } from "./recording.js";

const event = (id: string, data = {}) => ({ id, type: "hookline.message.received.v1", data: { origin: { via: "webhook", revision: 0 }, ...data } });

/** An api that gives these answers one after the other, then hangs; and what it was asked. */
async function api(answers: { status?: number; body: string; headers?: Record<string, string> }[]) {
  const asked: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    assert.equal(request.headers.authorization, "Bearer secret");
    const answer = answers.shift();
    asked.push(new URL(request.url!, "http://api").searchParams);
    if (answer) response.writeHead(answer.status ?? 200, answer.headers).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, asked, close: () => (server.closeAllConnections(), server.close()) };
}

function memory(position?: string): Cursor & { saved: string[] } {
  const saved: string[] = [];
  return { saved, load: () => saved.at(-1) ?? position, save: (next) => void saved.push(next) };
}

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 5))) assert.ok(Date.now() < deadline);
}

test("the log by HTTP is read page by page, and the position is saved behind what was handled", async () => {
  const body = { events: [event("a"), event("b", { payload: { next: 3, gap: {} } }), event("a")], next: 7 };
  const { url, asked, close } = await api([
    { status: 503, body: "{}", headers: { "retry-after": "0.01" } },
    { body: JSON.stringify(body) },
    // A position of the twelfth era is no number of JavaScript.
    { body: '{"events":[],"next":12000000000000008}' },
    { body: '{"events":[{"id":"n","type":"hookline.message.sung.v1","data":{"origin":{"revision":0}}}],"next":12000000000000009,"gap":{"after":3,"first":9}}' },
  ]);
  const { log, handlers } = recording();
  const [cursor, gaps, troubles] = [memory(), [] as unknown[], [] as unknown[]];
  const options: HttpOptions = { url, token: "secret", cursor, account: "178", kinds: ["message.received"], limit: 3, gap: (gap) => gaps.push(gap), trouble: (error) => troubles.push(error) };
  const following = followHttp(options, handlers);
  await until(() => asked.length === 5);
  await following.stop();
  assert.deepEqual(log, ["event a 0", "event b 0", "unknown: unknown kind hookline.message.sung.v1"]);
  assert.deepEqual(cursor.saved, ["7", "12000000000000008", "12000000000000009"]);
  assert.deepEqual(asked.map((query) => query.get("after")), [null, null, "7", "12000000000000008", "12000000000000009"]);
  assert.deepEqual([asked[0]!.get("account_id"), asked[0]!.get("kinds"), asked[0]!.get("limit"), asked[0]!.get("wait")], ["178", "message.received", "3", "20s"]);
  assert.deepEqual([gaps, troubles.length], [[{ after: 3, first: 9 }], 1]);
  close();
});

test("a stop in the middle of a page saves nothing of it", async () => {
  const { url, close } = await api([{ body: JSON.stringify({ events: [event("a"), event("b")], next: 2 }) }]);
  const cursor = memory("1");
  let isAsked = false;
  const following = followHttp({ url, token: "secret", cursor, trouble: () => {}, retryMin: 5 }, {
    event: ({ id }) => {
      isAsked ||= id === "b";
      if (id === "b") throw new Error("not now");
    },
  });
  await until(() => isAsked);
  await following.stop();
  assert.deepEqual(cursor.saved, []);
  close();
});

test("what no retry mends ends reading and says what to do", async () => {
  for (const [status, says] of [[409, /empty cursor/], [401, /401/], [422, /422/]] as const) {
    const { url, close } = await api([{ status, body: "{}" }]);
    await assert.rejects(followHttp({ url, token: "secret", cursor: memory("9") }, { event() {} }).ended, (error) => error instanceof Stopped && says.test(error.message));
    close();
  }
});
