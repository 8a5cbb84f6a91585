// Prints the events of one account. NATS_URL, NATS_USER, NATS_PASSWORD, CONSUMER, CHANNEL and ACCOUNT say of which; without NATS_URL,
// HOOKLINE_URL and HOOKLINE_TOKEN say where it reads by HTTP, and the position is kept in `./cursor`.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "@nats-io/transport-node";
import { follow, followHttp, type Handlers } from "../src/index.js";

const need = (name: string): string => process.env[name] ?? (console.error(`set ${name}`), process.exit(2));
const handlers: Handlers = {
  event: (event) => console.log(event.time, event.type, event.subject ?? ""),
  withdrawn: (event) => console.log(event.time, event.data.event_id, "no longer holds:", event.data.reason),
  unknown: ({ reason }) => console.log("skipped:", reason),
};

async function overNats() {
  const user = need("NATS_USER");
  const connection = await connect({ servers: need("NATS_URL"), user, pass: need("NATS_PASSWORD"), inboxPrefix: `_INBOX_${user}`, maxReconnectAttempts: -1 });
  return follow({ connection, name: need("CONSUMER"), channel: need("CHANNEL"), account: need("ACCOUNT") }, handlers);
}

function overHttp() {
  const cursor = { load: () => (existsSync("cursor") ? readFileSync("cursor", "utf8") : undefined), save: (position: string) => writeFileSync("cursor", position) };
  return followHttp({ url: need("HOOKLINE_URL"), token: need("HOOKLINE_TOKEN"), cursor }, handlers);
}

const following = process.env["NATS_URL"] ? await overNats() : overHttp();
process.on("SIGINT", () => void following.stop());
await following.ended;
process.exit(0);
