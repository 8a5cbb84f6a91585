/** The messages of the conversation that is open. */

import { api, call, type Conversation, type Message } from "../api/client";
import { backoff } from "../core/sse";
import { type LoadedPage, PAGE, pageOf, rowsOf, withNewest } from "../core/thread";
import { isPassing, type Trouble } from "../core/words";
import { announce } from "./announce.svelte";
import { type Change, listen } from "./live.svelte";
import { settle } from "./sends.svelte";

const GATHER = 80;

export class Thread {
  pages = $state.raw<LoadedPage<Message>[]>([]);
  conversation = $state.raw<Conversation | undefined>(undefined);
  /** What the author of an answer has seen, where the api gives that out. */
  etag: string | undefined;
  ready = $state(false);
  busy = $state(false);
  trouble = $state.raw<Trouble | undefined>(undefined);
  rows = $derived(rowsOf(this.pages));
  /** Unsent while it was open: an answer that was asked for before has their words still. */
  #unsent = new Set<string>();
  #closed: () => void;
  /** What is to be read again, beside the newest page: pages by their cursors, or all. */
  #again = new Set<string>();
  #everything = false;
  #wanted = false;
  #reading = false;
  #tries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** An event came while an older page was read: it may be about that page. */
  #missed = false;
  #over = false;

  constructor(readonly id: string) {
    this.#closed = listen((change) => this.#heard(change));
    void this.reload();
  }

  get hasOlder(): boolean {
    return this.pages.at(-1)?.next !== undefined;
  }

  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#closed();
  }

  /** Reads the conversation and its newest messages, unless that is under way. */
  async reload(): Promise<void> {
    this.#wanted = true;
    clearTimeout(this.#timer);
    await this.#readAgain();
  }

  /** Whether everything was read. */
  async #newest(): Promise<boolean> {
    const [row, page] = await Promise.all([this.#row(), this.#page(undefined)]);
    if (this.#over) return true;
    if (row.ok) {
      this.conversation = row.data;
      this.etag = row.etag;
    }
    if (page.ok) this.#take(page.data);
    const failed = [row, page].find((answer) => !answer.ok);
    this.trouble = failed && !failed.ok ? failed.trouble : undefined;
    return !this.trouble || !isPassing(this.trouble);
  }

  /** Reads what is older. */
  async older(): Promise<void> {
    const next = this.pages.at(-1)?.next;
    if (next === undefined || this.busy) return;
    this.busy = true;
    this.#missed = false;
    const answer = await this.#page(next);
    this.busy = false;
    if (this.#over || this.pages.at(-1)?.next !== next) return;
    if (answer.ok) {
      this.pages = [...this.pages, answer.data];
      if (this.#missed) this.#later([next]);
    }
    else this.trouble = answer.trouble;
  }

  async markRead(): Promise<Conversation | undefined> {
    const answer = await call(api.POST("/v1/conversations/{id}/read", { params: { path: { id: this.id } } }));
    return answer.ok && answer.data ? answer.data : undefined;
  }

  #heard(change: Change): void {
    if (change.all) {
      this.#missed = true;
      // The api is there again: whatever failed before need not wait longer.
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#later([], true);
      return;
    }
    if (change.conversation !== this.id) return;
    this.#missed = true;
    if (change.kind === "message.received") announce("A new message came in this conversation.");
    if (change.gone && change.message) this.#hide(change.message);
    // What was reported may have been taken back: the rows have the last word again.
    if (change.kind === "fact.withdrawn") this.#unsent.clear();
    const cursor = change.message ? this.pages[pageOf(this.pages, change.message)]?.cursor : undefined;
    // Receipts may cover messages of any page; names come with the conversation.
    const everything = ["message.read", "message.delivered", "fact.withdrawn"].includes(change.kind);
    this.#later(cursor === undefined ? [] : [cursor], everything);
  }

  /** Words that were unsent vanish at once; the row is read again behind it. */
  #hide(mid: string): void {
    this.#unsent.add(mid);
    this.pages = this.pages.map((page) => this.#withoutUnsent(page));
  }

  #withoutUnsent(page: LoadedPage<Message>): LoadedPage<Message> {
    const isLate = (message: Message) => this.#unsent.has(message.message_id) && !message.deleted_at;
    if (!page.messages.some(isLate)) return page;
    const hide = (message: Message): Message => (isLate(message) ? { ...message, text: null, attachments: [], deleted_at: new Date().toISOString() } : message);
    return { ...page, messages: page.messages.map(hide) };
  }

  #later(cursors: Iterable<string>, everything = false, wait = GATHER): void {
    this.#wanted = true;
    this.#everything ||= everything;
    for (const cursor of cursors) this.#again.add(cursor);
    if (!this.#reading && !this.#over) this.#timer ??= setTimeout(() => void this.#readAgain(), wait);
  }

  /** One read at a time, so that an older answer never replaces a newer one. What becomes stale meanwhile is read after it. */
  async #readAgain(): Promise<void> {
    this.#timer = undefined;
    if (this.#reading || this.#over) return;
    this.#reading = true;
    const [cursors, everything] = [[...this.#again], this.#everything];
    this.#again.clear();
    this.#wanted = this.#everything = false;
    const isRead = (await this.#newest()) && (everything ? await this.#chain() : await this.#some(cursors));
    this.#reading = false;
    this.#tries = isRead ? 0 : this.#tries + 1;
    if (!isRead) this.#later(cursors, everything, backoff(this.#tries, Math.random()));
    else if (this.#wanted) this.#later([]);
  }

  /** Reads what is loaded behind the newest page, page after page. */
  async #chain(): Promise<boolean> {
    const [newest] = this.pages;
    if (!newest || this.pages.length === 1) return true;
    const pages = [newest];
    const isThere = (id: string | undefined) => pages.some((page) => page.messages.some((message) => message.id === id));
    for (let next = newest.next; next !== undefined && !isThere(this.rows[0]?.id); next = pages.at(-1)?.next) {
      const page = await this.#page(next);
      if (this.#over) return true;
      if (!page.ok) return !isPassing(page.trouble);
      pages.push(page.data);
      // The oldest row may be gone; what is before it in time was not loaded.
      if (pages.length > this.pages.length + 1) break;
    }
    this.pages = pages.map((page) => this.#withoutUnsent(page));
    return true;
  }

  async #some(cursors: readonly string[]): Promise<boolean> {
    // The second page begins where the newest ends, so its cursor may be another one by now.
    const of = (cursor: string) => this.pages.find((page) => page.cursor === cursor) ?? this.pages[1];
    for (const page of new Set(cursors.map(of).filter((page) => page !== undefined))) {
      const answer = await this.#page(page.cursor, Math.max(1, page.messages.length));
      if (this.#over) return true;
      if (!answer.ok) return !isPassing(answer.trouble);
      this.pages = this.pages.map((one) => (one.cursor === page.cursor ? answer.data : one));
    }
    return true;
  }

  #take(newest: LoadedPage<Message>): void {
    this.pages = withNewest(this.pages, newest);
    this.ready = true;
    settle(this.id, new Set(newest.messages.map((message) => message.reply_id).filter((id) => id != null)));
  }

  #row() {
    return call(api.GET("/v1/conversations/{id}", { params: { path: { id: this.id } } }));
  }

  async #page(cursor: string | undefined, limit = PAGE) {
    const params = { path: { id: this.id }, query: { cursor, limit } };
    const answer = await call(api.GET("/v1/conversations/{id}/messages", { params }));
    if (!answer.ok) return answer;
    const { messages, next_cursor } = answer.data;
    return { ok: true as const, data: this.#withoutUnsent({ cursor, next: next_cursor ?? undefined, messages }) };
  }
}
