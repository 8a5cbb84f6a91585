// Reads the events of one account from INBOX_EVENTS by a durable consumer.
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager, JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import type { Consumer, ConsumerConfig, ConsumerMessages, JetStreamManager, JsMsg } from "@nats-io/jetstream";
import { millis, nanos } from "@nats-io/nats-core";
import type { NatsConnection } from "@nats-io/nats-core";
import { following, Reader, sleep, Stopped, type Following, type Handlers, type Meta, type ReaderOptions } from "./reader.js";
import { filter } from "./subjects.js";

const STREAM = "INBOX_EVENTS";
const EXPIRES = 3_000;

export interface FollowOptions extends ReaderOptions {
  /** Its `inboxPrefix` is the one that the user may subscribe to, its `maxReconnectAttempts` is -1. It stays the caller's to close. */
  connection: NatsConnection;
  /** Name of the durable consumer: the position is kept under it in the broker. */
  name: string;
  channel: string;
  account: string;
  /** Where a new consumer begins: `first` (unless given) at the first event that is kept, `new` behind the last. */
  start?: "first" | "new";
  /** Milliseconds after which what a dead process had in hand comes again; 30,000 unless given. For a new consumer. */
  ackWait?: number;
}

/** Hands every event of the account to `handlers`, one at a time, in the order of the stream. */
export function follow(options: FollowOptions, handlers: Handlers): Following {
  return following((signal) => run(new Reader(handlers, options), options, signal));
}

async function run(reader: Reader, options: FollowOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const manager = await jetstreamManager(options.connection, { checkAPI: false });
      const consumer = await make(manager, options);
      while (!signal.aborted) await batch(consumer, reader, signal);
    } catch (error) {
      if (error instanceof Stopped) throw error;
      if (options.connection.isClosed()) throw new Stopped("the connection is closed: connect with maxReconnectAttempts -1, then follow again");
      reader.trouble(error, `reading ${STREAM} as ${options.name} failed, next try in 1 s`);
      await sleep(1_000, signal);
    }
  }
}

/** Takes the consumer of that name, or makes it. The stream is not asked for: a subscriber may not. */
async function make(manager: JetStreamManager, options: FollowOptions): Promise<Consumer> {
  const wanted = filter(options.channel, options.account);
  const config: Partial<ConsumerConfig> = {
    name: options.name,
    durable_name: options.name,
    filter_subject: wanted,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(options.ackWait ?? 30_000),
    deliver_policy: options.start === "new" ? DeliverPolicy.New : DeliverPolicy.All,
    // Order: while one event is in somebody's hands, nothing behind it is handed out, whoever dies meanwhile.
    max_ack_pending: 1,
  };
  const info = await manager.consumers.info(STREAM, options.name).catch((error: unknown) => {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) return manager.consumers.add(STREAM, config);
    throw error;
  });
  const is = info.config;
  if (is.filter_subject !== wanted || is.max_ack_pending !== 1 || is.ack_policy !== AckPolicy.Explicit) {
    throw new Stopped(`the consumer ${options.name} reads something else or not one at a time: use another name, or have an operator delete it`);
  }
  return jetstream(options.connection).consumers.getConsumerFromInfo(info);
}

async function batch(consumer: Consumer, reader: Reader, signal: AbortSignal): Promise<void> {
  const messages: ConsumerMessages = await consumer.fetch({ max_messages: 100, expires: EXPIRES });
  const stop = () => messages.stop();
  signal.addEventListener("abort", stop);
  try {
    for await (const message of messages) {
      const isDone = await working(consumer, message, () => reader.readBytes(message.data, meta(message), signal));
      if (isDone) message.ack();
      else message.nak();
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Says every third of the ack wait that the message is in hand, so that it comes to nobody else while a handler takes its time. */
async function working<T>(consumer: Consumer, message: JsMsg, work: () => Promise<T>): Promise<T> {
  const { config } = await consumer.info(true);
  const timer = setInterval(() => {
    try {
      message.working();
    } catch {
      // The connection is closed: what follows says so.
    }
  }, millis(config.ack_wait ?? nanos(30_000)) / 3);
  return work().finally(() => clearInterval(timer));
}

function meta(message: JsMsg): Meta {
  const replay = message.headers?.get("Hookline-Replay");
  return { position: message.seq, ...(replay ? { replay } : {}) };
}
