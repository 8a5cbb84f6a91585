// Reads the events of one account, or of all that the token may read, from `GET /v1/events`: for those without NATS.
import { following, Reader, sleep, Stopped, type Following, type Handlers, type ReaderOptions } from "./reader.js";

/** Where the position is kept. Saved after what was read up to it was handled; what came after it comes again. */
export interface Cursor {
  load(): string | undefined | Promise<string | undefined>;
  save(position: string): void | Promise<void>;
}

/** Events older than `first` are not kept any more, and were never read. */
export interface Gap {
  after: number;
  first: number;
}

export interface HttpOptions extends ReaderOptions {
  /** Origin of the api, such as `https://inbox.example`. */
  url: string;
  token: string;
  cursor: Cursor;
  channel?: string;
  account?: string;
  /** Names of kinds, such as `message.received`; all unless given. The api refuses one that it does not know. */
  kinds?: string[];
  /** Most events of an answer; 100 unless given. Handled events come again after a crash: as many as this at most. */
  limit?: number;
  /** How long the api waits for the first event, in seconds; 20 unless given, 30 at most. */
  wait?: number;
  /** Reported as trouble unless given. */
  gap?: (gap: Gap) => void;
}

interface Page {
  events: unknown[];
  gap?: Gap;
  /** Text: a position with the number of an era above it may be larger than what a JavaScript number holds. */
  next: string;
}

/** Hands every event to `handlers`, one at a time, in the order of the log. */
export function followHttp(options: HttpOptions, handlers: Handlers): Following {
  return following((signal) => run(new Reader(handlers, options), options, signal));
}

async function run(reader: Reader, options: HttpOptions, signal: AbortSignal): Promise<void> {
  let after = await options.cursor.load();
  while (!signal.aborted) {
    try {
      const page = await read(options, after, signal);
      if (page.gap) {
        const lost = options.gap ?? ((gap: Gap) => reader.trouble(gap, `events between ${gap.after} and ${gap.first} are not kept any more`));
        lost(page.gap);
      }
      for (const event of page.events) {
        if (!(await reader.read(event, {}, signal))) return;
      }
      if (page.next !== after) await options.cursor.save(page.next);
      after = page.next;
    } catch (error) {
      if (error instanceof Stopped) throw error;
      if (signal.aborted) return;
      reader.trouble(error, "reading /v1/events failed, next try follows");
      await sleep(error instanceof Later ? error.milliseconds : 1_000, signal);
    }
  }
}

/** Not now. */
class Later extends Error {
  constructor(
    message: string,
    readonly milliseconds: number,
  ) {
    super(message);
  }
}

async function read(options: HttpOptions, after: string | undefined, signal: AbortSignal): Promise<Page> {
  const wait = options.wait ?? 20;
  const query = new URLSearchParams({ limit: String(options.limit ?? 100), wait: `${wait}s` });
  if (after !== undefined) query.set("after", after);
  if (options.channel !== undefined) query.set("channel", options.channel);
  if (options.account !== undefined) query.set("account_id", options.account);
  if (options.kinds !== undefined) query.set("kinds", options.kinds.join(","));
  const answer = await fetch(new URL(`/v1/events?${query}`, options.url), {
    headers: { authorization: `Bearer ${options.token}` },
    signal: AbortSignal.any([signal, AbortSignal.timeout((wait + 30) * 1_000)]),
  });
  const body = await answer.text();
  if (answer.ok) return { ...(JSON.parse(body) as Page), next: next(body) };
  const said = `${answer.status} of /v1/events: ${body.slice(0, 500)}`;
  if (answer.status === 409) throw new Stopped(`${said}. The log was made anew: what is stored stays; follow again with an empty cursor`);
  if (answer.status < 500 && answer.status !== 429) throw new Stopped(said);
  throw new Later(said, Number(answer.headers.get("retry-after") ?? 1) * 1_000 || 1_000);
}

/** The digits of `next`, which stands behind the events. */
function next(body: string): string {
  const digits = /"next"\s*:\s*(\d+)\s*(?:,\s*"gap"\s*:\s*\{[^{}]*\}\s*)?\}\s*$/.exec(body)?.[1];
  if (digits === undefined) throw new Error("an answer of /v1/events without `next`");
  return digits;
}
