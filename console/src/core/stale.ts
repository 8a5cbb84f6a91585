/**
 * Pure: what an event of `/v1/live` makes stale. The screen never folds events itself: it reads the rows again that an event is about, so it
 * equals the read model, whatever was missed, doubled or reordered.
 */

export interface Stale {
  kind: string;
  conversation?: string;
  message?: string;
  reply?: string;
  account?: string;
  /** The words of `message` are to vanish at once, before its row is read again. */
  gone: boolean;
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** `undefined` for what cannot be read: it makes nothing stale that the next fresh read would not show. */
export function staleBy(kind: string, data: string): Stale | undefined {
  let event: unknown;
  try {
    event = JSON.parse(data);
  } catch {
    return undefined;
  }
  const of = (event as { data?: Record<string, unknown> } | null)?.data;
  if (!of) return undefined;
  return {
    kind,
    conversation: text(of["conversation_id"]),
    message: text(of["message_id"]),
    reply: text(of["reply_id"]),
    account: text(of["account_id"]),
    gone: kind === "message.deleted",
  };
}

/** Collects ids until somebody takes them; more than `most` are not looked up one by one. */
export class Gathered {
  #ids = new Set<string>();
  all = false;

  constructor(readonly most: number) {}

  add(id: string | undefined): void {
    if (id !== undefined) this.#ids.add(id);
    if (this.#ids.size > this.most) this.all = true;
  }

  get any(): boolean {
    return this.all || this.#ids.size > 0;
  }

  take(): { all: boolean; ids: string[] } {
    const taken = { all: this.all, ids: [...this.#ids] };
    this.#ids.clear();
    this.all = false;
    return taken;
  }
}
