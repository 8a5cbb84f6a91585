// What is done with one event, wherever it came from: dropped, withdrawn, handed on, or handed on as unknown. Repeated until the handler has
// taken it, so that nothing behind it overtakes it.
import type { FactWithdrawn, HooklineEvent } from "./events.js";
import { KINDS } from "./kinds.js";
import { Window, type Store } from "./store.js";

/** What is known of an event beside what it says. */
export interface Meta {
  /** Over NATS, its position in the stream. */
  position?: number;
  /** The job that published it again. An automation does not act on such an event. */
  replay?: string;
}

/** An event of a kind that this release does not know, or bytes that are no event. */
export interface Unknown {
  /** What JSON was read, */
  event?: unknown;
  /** or what could not be read. */
  bytes?: Uint8Array;
  reason: string;
}

export interface Handlers {
  /** A fact. What it throws is reported, and the same event comes again. */
  event(event: Exclude<HooklineEvent, FactWithdrawn>, meta: Meta): void | Promise<void>;
  /** `event.data.event_id` no longer holds, whatever its revision. */
  withdrawn?(event: FactWithdrawn, meta: Meta): void | Promise<void>;
  /** Skipped where there is no such handler. */
  unknown?(unknown: Unknown, meta: Meta): void | Promise<void>;
}

export interface ReaderOptions {
  /** What was handled already; a `Window` in memory unless given. */
  store?: Store;
  /** Something failed and is tried again. Unless given, a line on standard error. */
  trouble?: (error: unknown, what: string) => void;
  /** Milliseconds before the first retry, doubled up to `retryMax`; 500 and 30,000 unless given. */
  retryMin?: number;
  retryMax?: number;
}

/** An HTTP answer or a consumer that no retry will mend: `message` says what to do. */
export class Stopped extends Error {
  override name = "Stopped";
}

/** A reader at work. */
export interface Following {
  /** Ends reading: the event in hand is finished, or comes again. */
  stop(): Promise<void>;
  /** Fulfilled after `stop`; rejected with `Stopped` when nothing more can come. */
  readonly ended: Promise<void>;
}

/** Begins `run`, which ends soon after its signal. */
export function following(run: (signal: AbortSignal) => Promise<void>): Following {
  const work = new AbortController();
  const ended = run(work.signal);
  ended.catch(() => {}); // Whoever waits for `ended` or `stop` is the one to be asked.
  return {
    ended,
    stop: () => {
      work.abort();
      return ended;
    },
  };
}

const KNOWN: ReadonlySet<string> = new Set(KINDS);
const WITHDRAWN: FactWithdrawn["type"] = "hookline.fact.withdrawn.v1";

/** `id` and `revision`, where `event` has them. */
export function identity(event: unknown): { id: string; revision: number; type: string } | undefined {
  const { id, type, data } = (event ?? {}) as { id?: unknown; type?: unknown; data?: { origin?: { revision?: unknown } } };
  const revision = data?.origin?.revision;
  if (typeof id !== "string" || typeof type !== "string" || typeof revision !== "number") return undefined;
  return { id, revision, type };
}

export class Reader {
  readonly trouble: (error: unknown, what: string) => void;
  readonly #store: Store;
  readonly #retryMin: number;
  readonly #retryMax: number;

  constructor(
    readonly handlers: Handlers,
    options: ReaderOptions,
  ) {
    this.#store = options.store ?? new Window();
    this.trouble = options.trouble ?? ((error, what) => console.error(`hookline: ${what}: ${String(error)}`));
    this.#retryMin = options.retryMin ?? 500;
    this.#retryMax = options.retryMax ?? 30_000;
  }

  /** Carries an event out, again and again until that works; false: `signal` came first, and it has to come again. */
  async read(event: unknown, meta: Meta, signal: AbortSignal): Promise<boolean> {
    for (let pause = this.#retryMin; !signal.aborted; pause = Math.min(pause * 2, this.#retryMax)) {
      try {
        await this.#once(event, meta);
        return true;
      } catch (error) {
        this.trouble(error, `an event was not handled, next try in ${pause} ms`);
        await sleep(pause, signal);
      }
    }
    return false;
  }

  /** The same for bytes that should be one. */
  async readBytes(bytes: Uint8Array, meta: Meta, signal: AbortSignal): Promise<boolean> {
    return this.read(parse(bytes) ?? bytes, meta, signal);
  }

  async #once(event: unknown, meta: Meta): Promise<void> {
    const unknown = this.handlers.unknown;
    if (event instanceof Uint8Array) return unknown?.({ bytes: event, reason: "not JSON" }, meta);
    const identified = identity(event);
    if (!identified) return unknown?.({ event, reason: "no `id`, `type` or `data.origin.revision`" }, meta);
    const { id, revision, type } = identified;
    if (await this.#store.has(id, revision)) return;
    if (!KNOWN.has(type)) {
      await unknown?.({ event, reason: `unknown kind ${type}` }, meta);
    } else if (type === WITHDRAWN) {
      const withdrawal = event as FactWithdrawn;
      await this.handlers.withdrawn?.(withdrawal, meta);
      await this.#store.withdraw(withdrawal.data.event_id);
    } else if (!(await this.#store.isWithdrawn(id))) {
      await this.handlers.event(event as Exclude<HooklineEvent, FactWithdrawn>, meta);
    }
    await this.#store.add(id, revision);
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Waits, but not longer than until `signal`. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}
