// The reader that clients/testing/soak.py kills again and again.
import { existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { connect } from "@nats-io/transport-node";
import { follow, type Handlers, type Store } from "../src/index.js";

const { HOOKLINE_SOAK_NATS: servers, HOOKLINE_SOAK_OUT: path } = process.env;
if (!servers || !path) throw new Error("clients/testing/soak.py starts this");
const connection = await connect({ servers, user: "subscriber", pass: "subscriber", inboxPrefix: "_INBOX_subscriber", maxReconnectAttempts: -1, reconnectTimeWait: 100 });
const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
const handled = new Set(lines.map((line) => line.split(" ").slice(0, 2).join(" ")));
// The effect, the line, is also what says that it was handled.
const store: Store = {
  has: (id, revision) => handled.has(`${id} ${revision}`),
  add: (id, revision) => void handled.add(`${id} ${revision}`),
  isWithdrawn: () => false,
  withdraw: () => {},
};
const out = openSync(path, "a");
const write = (event: { id: string; data: { conversation_id?: string; origin: { revision: number } } }) => {
  writeSync(out, `${event.id} ${event.data.origin.revision} ${event.data.conversation_id}\n`);
};
const handlers: Handlers = { event: write, withdrawn: write, unknown: ({ event }) => write(event as Parameters<typeof write>[0]) };
const following = follow({ connection, name: "shop-a", channel: "instagram", account: "17841400000000001", ackWait: 500, store }, handlers);
process.on("SIGTERM", () => void following.stop());
await following.ended;
await connection.close();
