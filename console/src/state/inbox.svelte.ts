/** The list of conversations: rows by id, and the order in which they stand. Contents are always fresh; the order waits for the person. */

import { api, call, type Conversation } from "../api/client";
import { inOrder, type Order, pending, reachesBack } from "../core/order";
import { backoff } from "../core/sse";
import { isSnoozed } from "../core/snooze";
import { Gathered } from "../core/stale";
import { isPassing, type Trouble } from "../core/words";
import { announce } from "./announce.svelte";
import { listen } from "./live.svelte";

export interface Filter {
  channel?: string;
  account_id?: string;
  unread?: string;
  archived?: string;
  assigned_to?: string;
  label?: string;
  snoozed?: string;
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
  /** More wait than are read by themselves: those whose window closes next may be missing. */
  isCut = $state(false);
  /** A screen shows it, or did: otherwise nothing is read. */
  #opened = false;
  #filter: Filter = {};
  #turn = 0;
  #stale = new Gathered(SINGLE_MAX);
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Pages that are loaded: as many are read again. */
  #pages = 0;
  #refreshing = false;
  /** Somebody came to the end while the list was read again. */
  #wantsMore = false;
  #tries = 0;

  constructor() {
    listen((change) => {
      if (change.all) {
        this.#stale.all = true;
        // The api is there again: whatever failed before need not wait longer.
        clearTimeout(this.#timer);
        this.#timer = undefined;
      } else if (change.conversation) this.#stale.add(change.conversation);
      else return;
      this.#later();
    });
  }

  get order(): Order {
    return this.#filter.order === "newest" ? "newest" : "closing";
  }

  /** Reads the list of a filter from its beginning. */
  async open(filter: Filter): Promise<void> {
    if (this.ready && JSON.stringify(filter) === JSON.stringify(this.#filter)) return;
    this.#opened = true;
    this.#filter = filter;
    this.ready = false;
    this.#pages = 0;
    this.#wantsMore = false;
    await this.reload(true);
  }

  /** Reads it again; `apply`: and puts it in order, from the first page on. Otherwise what is shown stays until all of it was read. */
  async reload(apply: boolean): Promise<void> {
    this.#turn += 1;
    const keep = apply ? 1 : Math.max(1, this.#pages);
    let last: Conversation | undefined;
    let read = 0;
    const turn = this.#turn;
    this.busy = true;
    const rows = new Map<string, Conversation>();
    let cursor: string | undefined;
    while (read < Math.max(PAGES_MAX, keep)) {
      const answer = await this.#page(cursor);
      if (turn !== this.#turn) return;
      if (!answer.ok) {
        this.trouble = answer.trouble;
        this.busy = false;
        if (isPassing(answer.trouble)) this.#failed([], true);
        return;
      }
      read += 1;
      const { conversations, next_cursor } = answer.data;
      for (const row of conversations) rows.set(row.id, row);
      this.total = answer.data.total;
      this.totalIsLowerBound = answer.data.total_is_lower_bound ?? false;
      cursor = next_cursor ?? undefined;
      last = conversations.at(-1);
      this.trouble = undefined;
      if (apply) {
        // The first page is there at once; the rest only matters for the order by window.
        this.rows = new Map(rows);
        this.next = cursor;
        this.ready = true;
        this.apply();
      }
      if (cursor === undefined || (read >= keep && (this.order === "newest" || reachesBack(last?.last_message_at, Date.now())))) break;
    }
    this.rows = rows;
    this.next = cursor;
    this.#pages = read;
    this.isCut = this.order === "closing" && cursor !== undefined && !reachesBack(last?.last_message_at, Date.now());
    this.shown = this.shown.filter((id) => rows.has(id));
    this.busy = false;
    this.#tries = 0;
    this.#count();
    if (this.#wantsMore) void this.more();
    else this.#later();
  }

  /** Reads what follows, for somebody who scrolled to the end. */
  async more(): Promise<void> {
    if (this.busy && this.ready) this.#wantsMore = true;
    if (this.busy || this.next === undefined) return;
    this.#wantsMore = false;
    const turn = this.#turn;
    this.busy = true;
    const answer = await this.#page(this.next);
    if (turn !== this.#turn) return;
    this.busy = false;
    this.#later();
    if (!answer.ok) {
      this.trouble = answer.trouble;
      return;
    }
    this.#pages += 1;
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
    // An answer that is under way may be older.
    if (this.busy || this.#refreshing) this.#stale.add(row.id);
    this.#count();
  }

  /** The first conversation in which a person waits, other than `id`. */
  nextWaiting(id: string | undefined): string | undefined {
    const waiting = this.#matching().filter((row) => row.unread_count > 0 && row.id !== id);
    return inOrder(waiting, "closing", Date.now())[0];
  }

  #wanted(): string[] {
    return inOrder(this.#matching(), this.order, Date.now());
  }

  #matching(): Conversation[] {
    return [...this.rows.values()].filter((row) => this.#matches(row));
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
    const { channel, account_id, unread, archived, assigned_to, label, snoozed } = this.#filter;
    if (isSnoozed(row, Date.now()) !== (snoozed === "true")) return false;
    if (label && !row.labels.includes(label)) return false;
    if (row.archived !== (archived === "true")) return false;
    if (channel && row.channel !== channel) return false;
    if (account_id && row.account_id !== account_id) return false;
    if (unread && row.unread_count > 0 !== (unread === "true")) return false;
    if (assigned_to === "nobody") return !row.assigned_to;
    return !assigned_to || row.assigned_to === assigned_to;
  }

  #page(cursor: string | undefined) {
    const { channel, account_id, unread, archived, assigned_to, label, snoozed } = this.#filter;
    const flag = (text: string | undefined) => (text ? text === "true" : undefined);
    const nobody = assigned_to === "nobody" ? "" : assigned_to;
    return call(
      api.GET("/v1/conversations", {
        params: { query: { channel, account_id, unread: flag(unread), archived: flag(archived), assigned_to: nobody, label, snoozed: flag(snoozed), cursor, limit: PAGE } },
      }),
    );
  }

  #later(wait = GATHER): void {
    if (this.#stale.any && !this.#refreshing && !this.busy) this.#timer ??= setTimeout(() => void this.#refresh(), wait);
  }

  /** Is asked for again after a while. */
  #failed(ids: readonly string[], all: boolean): void {
    for (const id of ids) this.#stale.add(id);
    this.#stale.all ||= all;
    this.#tries += 1;
    this.#later(backoff(this.#tries, Math.random()));
  }

  /** Reads what became stale: one read at a time, so that an older answer never replaces a newer one. */
  async #refresh(): Promise<void> {
    this.#timer = undefined;
    // What is under way looks at what became stale when it ends.
    if (this.busy || this.#refreshing) return;
    const { all, ids } = this.#stale.take();
    if (!this.#opened) return;
    if (all) {
      await this.reload(!this.ready);
      return;
    }
    if (!this.ready) return;
    const turn = this.#turn;
    this.#refreshing = true;
    const answers = await Promise.all(ids.map((id) => call(api.GET("/v1/conversations/{id}", { params: { path: { id } } }))));
    this.#refreshing = false;
    // The list was read anew meanwhile, after these became stale.
    if (turn !== this.#turn) {
      this.#later();
      return;
    }
    const rows = new Map(this.rows);
    const failed: string[] = [];
    answers.forEach((answer, at) => {
      const id = ids[at] ?? "";
      if (answer.ok) rows.set(id, answer.data);
      else if (answer.trouble.status === 404) rows.delete(id);
      else if (isPassing(answer.trouble)) failed.push(id);
    });
    this.rows = rows;
    this.#count();
    if (failed.length > 0) {
      this.#failed(failed, false);
      return;
    }
    this.#tries = 0;
    this.#later();
  }
}

export const inbox = new Inbox();
