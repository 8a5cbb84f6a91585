// On a real broker with the shipped permissions: `deploy/dev/clients.sh test typescript` starts one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { follow, Stopped, type Handlers } from "../src/index.js";

const servers = process.env["HOOKLINE_TEST_NATS"];
const ACCOUNT = "17841400000000001";

const as = (user: string) => connect({ servers: servers!, user, pass: user, inboxPrefix: `_INBOX_${user}`, maxReconnectAttempts: -1 });

async function eventually(what: string, holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 10))) {
    assert.ok(Date.now() < deadline, what);
  }
}

async function publish(worker: NatsConnection, id: string, options: { revision?: number; type?: string; account?: string; data?: object; replay?: string } = {}) {
  const { revision = 0, type = "message.received", account = ACCOUNT, data = {}, replay } = options;
  const event = { specversion: "1.0", id, type: `hookline.${type}.v1`, time: "2026-11-21T10:00:00.123Z", data: { channel: "instagram", account_id: account, new_field: [1], origin: { via: "webhook", revision }, ...data } };
  const head = headers();
  if (replay) head.set("Hookline-Replay", replay);
  await jetstream(worker).publish(`inbox.v1.event.07.instagram.${account}.${type.replace(".", "-")}`, JSON.stringify(event), { headers: head });
}

test("an account is followed with the shipped permissions", { skip: !servers }, async () => {
  const [worker, operator, subscriber] = await Promise.all([as("worker"), as("operator"), as("subscriber")]);
  const log: string[] = [];
  let fails = 0;
  const handlers: Handlers = {
    event: async (event, { replay, position }) => {
      assert.ok(position);
      assert.deepEqual(event.data["new_field"], [1], "an unknown field is kept");
      if (event.id === "fails-twice" && fails++ < 2) throw new Error("not now");
      if (event.id === "slow") await new Promise((resolve) => setTimeout(resolve, 5_000));
      log.push(`${event.id} ${event.data.origin.revision}${replay ? ` of ${replay}` : ""}`);
    },
    withdrawn: (event) => void log.push(`${event.data.event_id} withdrawn`),
    unknown: ({ reason }) => void log.push(reason),
  };
  const troubles: string[] = [];
  const trouble = (error: unknown, what: string) => void troubles.push(`${what}: ${String(error)}`);
  const options = { connection: subscriber, name: "shop-a", channel: "instagram", account: ACCOUNT, ackWait: 2_000, retryMin: 10, trouble };

  await publish(worker, "before");
  let following = follow(options, handlers);
  await eventually("what was there before it", () => log.length === 1);
  await publish(worker, "a");
  await publish(worker, "of-another-account", { account: "17841400000000002" });
  await publish(worker, "a");
  await publish(worker, "a", { revision: 1 });
  await publish(worker, "b", { replay: "job-1" });
  await publish(worker, "c", { type: "message.sung" });
  await jetstream(worker).publish(`inbox.v1.event.07.instagram.${ACCOUNT}.message-received`, "{");
  await publish(worker, "fails-twice");
  await publish(worker, "w", { type: "fact.withdrawn", data: { event_id: "a", reason: "superseded" } });
  await publish(worker, "a", { revision: 2 });
  await publish(worker, "d");
  const first = ["before 0", "a 0", "a 1", "b 0 of job-1", "unknown kind hookline.message.sung.v1", "not JSON", "fails-twice 0", "a withdrawn", "d 0"];
  await eventually("all of it", () => log.length >= first.length);
  assert.deepEqual(log.splice(0), first);
  assert.equal(troubles.splice(0).length, 2, "each failure of a handler is reported");

  // Stopped and resumed: what came meanwhile comes, nothing else.
  await following.stop();
  await publish(worker, "meanwhile");
  following = follow(options, handlers);
  await eventually("what came meanwhile", () => log.length >= 1);
  await following.stop();
  assert.deepEqual(log.splice(0), ["meanwhile 0"]);

  // Two share the name: one has the event in hand, longer than the ack wait, and the other gets neither it nor what lies behind it.
  const two = [follow(options, handlers), follow(options, handlers)];
  await publish(worker, "slow");
  await publish(worker, "behind-it");
  await eventually("both of them", () => log.includes("behind-it 0"));
  await Promise.all(two.map((one) => one.stop()));
  assert.deepEqual(log.splice(0), ["slow 0", "behind-it 0"]);

  // A consumer that is gone is made again, and begins at the start: the store drops what it has.
  const store = { has: (id: string) => id !== "last", add: () => {}, isWithdrawn: () => false, withdraw: () => {} };
  following = follow({ ...options, store }, handlers);
  await (await jetstreamManager(operator)).consumers.delete("INBOX_EVENTS", "shop-a");
  await publish(worker, "last");
  await eventually("what came after it was made again", () => log.includes("last 0"));
  await following.stop();
  assert.ok(log.every((line) => line === "last 0" || line === "not JSON"), String(log.splice(0)));

  // The name is taken by a reader of something else: that is said, and nothing is read.
  const other = follow({ ...options, account: "17841400000000002" }, handlers);
  await assert.rejects(other.ended, (error) => error instanceof Stopped && /another name/.test(error.message));
  await Promise.all([worker.close(), operator.close(), subscriber.close()]);
  await assert.rejects(follow(options, handlers).ended, Stopped);
});
