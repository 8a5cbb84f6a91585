/** The list of conversations: rows by id, and the order in which they stand. Contents are always fresh; the order waits for the person. */

import { api, call, type Conversation } from "../api/client";
import { inOrder, type Order, pending, reachesBack } from "../core/order";
import { Gathered } from "../core/stale";
import type { Trouble } from "../core/words";
import { announce } from "./announce.svelte";
import { listen } from "./live.svelte";

export interface Filter {
  channel?: string;
  account_id?: string;
  unread?: string;
  archived?: string;
  assigned_to?: string;
  order?: string;
}

const PAGE = 200;
/** Pages read by themselves for the order by closing window. */
const PAGES_MAX = 10;
/** Rows looked up one by one; beyond, the list is read again. */
const SINGLE_MAX = 12;
const GATHER = 150;

class Inbox {
  rows = $state.raw(new Map<string, Conversation>());
  shown = $state.raw<string[]>([]);
  total = $state(0);
  totalIsLowerBound = $state(false);
  next = $state<string | undefined>(undefined);
  busy = $state(false);
  ready = $state(false);
  trouble = $state.raw<Trouble | undefined>(undefined);
  waiting = $state(0);
  #filter: Filter = {};
  #turn = 0;
  #stale = new Gathered(SINGLE_MAX);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    listen((change) => {
      if (change.all) this.#stale.all = true;
      else if (change.conversation) this.#stale.add(change.conversation);
      else return;
      this.#timer ??= setTimeout(() => void this.#refresh(), GATHER);
    });
  }

  get order(): Order {
    return this.#filter.order === "newest" ? "newest" : "closing";
  }

  /** Reads the list of a filter from its beginning. */
  async open(filter: Filter): Promise<void> {
    if (this.ready && JSON.stringify(filter) === JSON.stringify(this.#filter)) return;
    this.#filter = filter;
    this.ready = false;
    await this.reload(true);
  }

  /** Reads it again; `apply`: and puts it in order. */
  async reload(apply: boolean): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.busy = true;
    const rows = new Map<string, Conversation>();
    let cursor: string | undefined;
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
      const answer = await this.#page(cursor);
      if (turn !== this.#turn) return;
      if (!answer.ok) {
        this.trouble = answer.trouble;
        this.busy = false;
        return;
      }
      const { conversations, next_cursor } = answer.data;
      for (const row of conversations) rows.set(row.id, row);
      this.total = answer.data.total;
      this.totalIsLowerBound = answer.data.total_is_lower_bound ?? false;
      cursor = next_cursor ?? undefined;
      this.rows = rows;
      this.next = cursor;
      this.trouble = undefined;
      this.ready = true;
      if (apply) this.apply();
      // The first page is there at once; the rest only matters for the order by window.
      if (cursor === undefined || this.order === "newest" || reachesBack(conversations.at(-1)?.last_message_at, Date.now())) break;
    }
    this.busy = false;
    this.#count();
  }

  /** Reads what follows, for somebody who scrolled to the end. */
  async more(): Promise<void> {
    if (this.busy || this.next === undefined) return;
    const turn = this.#turn;
    this.busy = true;
    const answer = await this.#page(this.next);
    if (turn !== this.#turn) return;
    this.busy = false;
    if (!answer.ok) {
      this.trouble = answer.trouble;
      return;
    }
    const rows = new Map(this.rows);
    for (const row of answer.data.conversations) rows.set(row.id, row);
    const fresh = answer.data.conversations.map((row) => row.id).filter((id) => !this.shown.includes(id));
    this.rows = rows;
    this.next = answer.data.next_cursor ?? undefined;
    // Below what is shown, so that nothing moves.
    this.shown = [...this.shown, ...fresh];
  }

  /** Puts the rows in order; only when a person asked for it, or nothing is shown. */
  apply(): void {
    this.shown = this.#wanted();
    this.waiting = 0;
  }

  /** Takes a row that an act answered with. */
  put(row: Conversation): void {
    this.rows = new Map(this.rows).set(row.id, row);
    this.#count();
  }

  /** The next conversation in which a person waits, after `id`. */
  nextWaiting(id: string | undefined): string | undefined {
    const waiting = inOrder([...this.rows.values()].filter((row) => this.#matches(row) && row.unread_count > 0 && row.id !== id), "closing", Date.now());
    return waiting[0];
  }

  #wanted(): string[] {
    return inOrder([...this.rows.values()].filter((row) => this.#matches(row)), this.order, Date.now());
  }

  #count(): void {
    const wanted = this.#wanted();
    if (this.shown.length === 0 && wanted.length > 0) {
      this.apply();
      return;
    }
    const waiting = pending(this.shown, wanted);
    if (waiting > this.waiting) announce("There is news in the inbox.");
    this.waiting = waiting;
  }

  /** Whether a row belongs to the filter; the api has the last word when the list is read again. */
  #matches(row: Conversation): boolean {
    const { channel, account_id, unread, archived, assigned_to } = this.#filter;
    if (row.archived !== (archived === "true")) return false;
    if (channel && row.channel !== channel) return false;
    if (account_id && row.account_id !== account_id) return false;
    if (unread && row.unread_count > 0 !== (unread === "true")) return false;
    if (assigned_to === "nobody") return !row.assigned_to;
    return !assigned_to || row.assigned_to === assigned_to;
  }

  #page(cursor: string | undefined) {
    const { channel, account_id, unread, archived, assigned_to } = this.#filter;
    const flag = (text: string | undefined) => (text ? text === "true" : undefined);
    const nobody = assigned_to === "nobody" ? "" : assigned_to;
    return call(
      api.GET("/v1/conversations", {
        params: { query: { channel, account_id, unread: flag(unread), archived: flag(archived), assigned_to: nobody, cursor, limit: PAGE } },
      }),
    );
  }

  async #refresh(): Promise<void> {
    this.#timer = undefined;
    const { all, ids } = this.#stale.take();
    if (!this.ready) return;
    if (all) {
      await this.reload(false);
      return;
    }
    const turn = this.#turn;
    const answers = await Promise.all(ids.map((id) => call(api.GET("/v1/conversations/{id}", { params: { path: { id } } }))));
    if (turn !== this.#turn) return;
    const rows = new Map(this.rows);
    answers.forEach((answer, at) => {
      const id = ids[at] ?? "";
      if (answer.ok) rows.set(id, answer.data);
      else if (answer.trouble.status === 404) rows.delete(id);
    });
    this.rows = rows;
    this.#count();
  }
}

export const inbox = new Inbox();
