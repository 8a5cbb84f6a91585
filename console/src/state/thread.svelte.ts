/** The messages of the conversation that is open. */

import { api, call, type Conversation, type Message } from "../api/client";
import { type LoadedPage, pageOf, rowsOf, withNewest } from "../core/thread";
import type { Trouble } from "../core/words";
import { announce } from "./announce.svelte";
import { type Change, listen } from "./live.svelte";
import { settle } from "./sends.svelte";

const PAGE = 50;
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
  #again = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
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

  /** Reads the conversation and its newest messages. */
  async reload(): Promise<void> {
    const [row, page] = await Promise.all([this.#row(), this.#page(undefined)]);
    if (this.#over) return;
    if (row.ok) {
      this.conversation = row.data;
      this.etag = row.etag;
    }
    if (page.ok) this.#take(page.data);
    const failed = [row, page].find((answer) => !answer.ok);
    this.trouble = failed && !failed.ok ? failed.trouble : undefined;
  }

  /** Reads what is older. */
  async older(): Promise<void> {
    const next = this.pages.at(-1)?.next;
    if (next === undefined || this.busy) return;
    this.busy = true;
    const answer = await this.#page(next);
    this.busy = false;
    if (this.#over || this.pages.at(-1)?.next !== next) return;
    if (answer.ok) this.pages = [...this.pages, answer.data];
    else this.trouble = answer.trouble;
  }

  async markRead(): Promise<Conversation | undefined> {
    const answer = await call(api.POST("/v1/conversations/{id}/read", { params: { path: { id: this.id } } }));
    return answer.ok && answer.data ? answer.data : undefined;
  }

  #heard(change: Change): void {
    if (change.all) {
      this.#later(0, ...this.pages.keys());
      return;
    }
    if (change.conversation !== this.id) return;
    if (change.kind === "message.received") announce("A new message came in this conversation.");
    if (change.gone && change.message) this.#hide(change.message);
    // What was reported may have been taken back: the rows have the last word again.
    if (change.kind === "fact.withdrawn") this.#unsent.clear();
    const page = change.message ? pageOf(this.pages, change.message) : 0;
    // Receipts may cover messages of any page; names come with the conversation.
    const everything = ["message.read", "message.delivered", "fact.withdrawn"].includes(change.kind);
    this.#later(...(everything ? this.pages.keys() : [0, Math.max(0, page)]));
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

  #later(...pages: number[]): void {
    for (const page of pages) this.#again.add(page);
    this.#timer ??= setTimeout(() => void this.#readAgain(), GATHER);
  }

  async #readAgain(): Promise<void> {
    this.#timer = undefined;
    const pages = [...this.#again].filter((at) => at > 0);
    this.#again.clear();
    const cursors = pages.map((at) => this.pages[at]?.cursor).filter((cursor) => cursor !== undefined);
    await this.reload();
    for (const cursor of cursors) {
      const answer = await this.#page(cursor);
      if (this.#over) return;
      if (answer.ok) this.pages = this.pages.map((page) => (page.cursor === cursor ? answer.data : page));
    }
  }

  #take(newest: LoadedPage<Message>): void {
    this.pages = withNewest(this.pages, newest);
    this.ready = true;
    settle(this.id, new Set(newest.messages.map((message) => message.reply_id).filter((id) => id != null)));
  }

  #row() {
    return call(api.GET("/v1/conversations/{id}", { params: { path: { id: this.id } } }));
  }

  async #page(cursor: string | undefined) {
    const params = { path: { id: this.id }, query: { cursor, limit: PAGE } };
    const answer = await call(api.GET("/v1/conversations/{id}/messages", { params }));
    if (!answer.ok) return answer;
    const { messages, next_cursor } = answer.data;
    return { ok: true as const, data: this.#withoutUnsent({ cursor, next: next_cursor ?? undefined, messages }) };
  }
}
