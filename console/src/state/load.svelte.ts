/** Something that is read from the api: nothing yet, there, or why not. What was there stays while it is read again. */

import type { Result } from "../api/client";
import type { Trouble } from "../core/words";

export class Load<T> {
  data = $state.raw<T | undefined>(undefined);
  trouble = $state.raw<Trouble | undefined>(undefined);
  busy = $state(false);
  #turn = 0;

  /** Reads; an older answer never replaces a newer one. */
  async read(ask: () => Promise<Result<T>>): Promise<T | undefined> {
    this.#turn += 1;
    const turn = this.#turn;
    this.busy = true;
    const result = await ask();
    if (turn !== this.#turn) return undefined;
    this.busy = false;
    if (result.ok) {
      this.data = result.data;
      this.trouble = undefined;
      return result.data;
    }
    this.trouble = result.trouble;
    return undefined;
  }

  forget(): void {
    this.#turn += 1;
    this.data = undefined;
    this.trouble = undefined;
    this.busy = false;
  }
}
