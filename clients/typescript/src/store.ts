/**
 * What was handled already. Give one of your own, in the database that the handler writes to, to drop what comes twice across restarts:
 * `add` may then do nothing, where the handler has stored `id` and `revision` in the transaction of its effect.
 */
export interface Store {
  has(id: string, revision: number): boolean | Promise<boolean>;
  add(id: string, revision: number): void | Promise<void>;
  isWithdrawn(id: string): boolean | Promise<boolean>;
  withdraw(id: string): void | Promise<void>;
}

/** The last `size` events and withdrawals of this process, in memory. */
export class Window implements Store {
  readonly #handled = new Set<string>();
  readonly #withdrawn = new Set<string>();

  constructor(readonly size = 10_000) {}

  has(id: string, revision: number): boolean {
    return this.#handled.has(`${revision} ${id}`);
  }

  add(id: string, revision: number): void {
    this.#put(this.#handled, `${revision} ${id}`);
  }

  isWithdrawn(id: string): boolean {
    return this.#withdrawn.has(id);
  }

  withdraw(id: string): void {
    this.#put(this.#withdrawn, id);
  }

  #put(set: Set<string>, key: string): void {
    set.add(key);
    const [oldest] = set;
    if (set.size > this.size && oldest !== undefined) set.delete(oldest);
  }
}
