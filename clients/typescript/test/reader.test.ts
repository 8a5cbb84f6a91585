import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Reader, type Handlers, type ReaderOptions } from "../src/reader.js";
import { recording } from "./recording.js";
import { filter, token } from "../src/subjects.js";
import { Window } from "../src/store.js";

const event = (id: string, revision = 0, type = "hookline.message.received.v1", data = {}) => ({ id, type, data: { origin: { via: "webhook", revision }, ...data } });
const withdrawal = (id: string, of: string) => event(id, 0, "hookline.fact.withdrawn.v1", { event_id: of });
const never = new AbortController().signal;

async function read(events: unknown[], options: ReaderOptions = {}): Promise<string[]> {
  const { log, handlers } = recording();
  const reader = new Reader(handlers, options);
  for (const one of events) assert.equal(await reader.read(one, {}, never), true);
  return log;
}

test("an event comes once for each id and revision", async () => {
  assert.deepEqual(await read([event("a"), event("a"), event("a", 1), event("b"), event("a", 1)]), ["event a 0", "event a 1", "event b 0"]);
});

test("a window forgets the oldest", async () => {
  const events = [event("a"), event("b"), event("c"), event("a"), event("c")];
  assert.deepEqual(await read(events, { store: new Window(2) }), ["event a 0", "event b 0", "event c 0", "event a 0"]);
});

test("what is withdrawn stays so, whatever revision comes later", async () => {
  const events = [event("a"), withdrawal("w", "a"), withdrawal("w", "a"), event("a", 1), event("b")];
  assert.deepEqual(await read(events), ["event a 0", "withdrawn a", "event b 0"]);
});

test("what this release does not know goes to its own handler, once, or nowhere", async () => {
  const strangers = [event("n", 0, "hookline.message.sung.v1"), event("n", 0, "hookline.message.sung.v1"), { id: "x" }, null, 7, "text", []];
  const shapeless = "unknown: no `id`, `type` or `data.origin.revision`";
  assert.deepEqual(await read(strangers), ["unknown: unknown kind hookline.message.sung.v1", ...Array<string>(5).fill(shapeless)]);
  const { log, handlers } = recording();
  const bytes = new Reader(handlers, {});
  for (const raw of [Buffer.from("{"), Buffer.from([0xff, 0xfe]), Buffer.from("")]) await bytes.readBytes(raw, {}, never);
  assert.deepEqual(log, Array(3).fill("unknown: not JSON"));
  const bare = new Reader({ event: () => assert.fail("no event") }, {});
  for (const stranger of strangers) assert.equal(await bare.read(stranger, {}, never), true);
});

test("an event comes again until its handler takes it, or reading ends", async () => {
  const troubles: unknown[] = [];
  const work = new AbortController();
  let calls = 0;
  const handlers: Handlers = {
    event: () => {
      calls += 1;
      if (calls === 5) work.abort();
      if (calls !== 3) throw new Error("the database is away");
    },
  };
  const reader = new Reader(handlers, { retryMin: 1, retryMax: 2, trouble: (error) => troubles.push(error) });
  assert.equal(await reader.read(event("a"), {}, work.signal), true);
  assert.equal(calls, 3);
  assert.equal(await reader.read(event("b"), {}, work.signal), false);
  assert.deepEqual([calls, troubles.length], [5, 4]);
});

test("a day of a later release is read, and nothing known of it is lost", { skip: !process.env["HOOKLINE_TEST_DAY"] }, async () => {
  const lines = readFileSync(process.env["HOOKLINE_TEST_DAY"]!, "utf8").trimEnd().split("\n");
  const got = new Map<string, unknown>();
  const unknown: string[] = [];
  const take = (event: { id: string }) => void got.set(event.id, event);
  const reader = new Reader({ event: take, withdrawn: take, unknown: ({ reason }) => void unknown.push(reason) }, { trouble: (error) => assert.fail(String(error)) });
  for (const line of lines) {
    const { event, known } = JSON.parse(line) as { event: { id: string }; known?: unknown };
    await reader.readBytes(Buffer.from(JSON.stringify(event)), {}, never);
    if (known !== null) assert.deepEqual(got.get(event.id), event, "as it was published, with what is new");
  }
  assert.deepEqual(unknown, ["unknown kind hookline.message.translated.v1"]);
  assert.equal(got.size, lines.length - 1);
});

test("subjects are as the contract says", () => {
  const { tokens } = JSON.parse(readFileSync("../testing/subjects.json", "utf8")) as { tokens: [string, string][] };
  for (const [text, expected] of tokens) assert.equal(token(text), expected);
  assert.equal(filter("instagram", "a.b"), "inbox.v1.event.*.instagram.a%2Eb.>");
});
