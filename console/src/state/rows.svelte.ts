/** A list of `/v1/ops`, read by a screen and again every few seconds while somebody looks. */

import { raw } from "../api/client";
import { type Row, rowsIn } from "../api/ops";
import { Load } from "./load.svelte";

const EVERY = 5000;

export class OpsRows {
  load = new Load<Row[]>();

  constructor(
    readonly path: string,
    readonly pick: (answer: unknown) => Row[] = rowsIn,
  ) {
    $effect(() => {
      this.read();
      const timer = setInterval(() => {
        if (!document.hidden && !this.load.trouble?.absent) this.read();
      }, EVERY);
      return () => clearInterval(timer);
    });
  }

  read = (): void => {
    void this.load.read(async () => {
      const answer = await raw<unknown>("GET", this.path);
      return answer.ok ? { ...answer, data: this.pick(answer.data) } : answer;
    });
  };
}
