/** What `/v1/ops` lists, read by a screen and again every few seconds while somebody looks. */

import { raw, type Result } from "../api/client";
import { type Row, rowsIn } from "../api/ops";
import { Load } from "./load.svelte";

const EVERY = 5000;

/** The rows of a list whose fields the release decides. */
export const rowsAt = (path: string) => async (): Promise<Result<Row[]>> => {
  const answer = await raw<unknown>("GET", path);
  return answer.ok ? { ...answer, data: rowsIn(answer.data) } : answer;
};

export class OpsRows<T> {
  load = new Load<T>();

  constructor(readonly ask: () => Promise<Result<T>>) {
    $effect(() => {
      this.read();
      const timer = setInterval(() => {
        if (!document.hidden && !this.load.trouble?.absent) this.read();
      }, EVERY);
      return () => clearInterval(timer);
    });
  }

  read = (): void => {
    void this.load.read(this.ask);
  };
}
