/** A list of `/v1/ops`, read by a screen and again every few seconds while somebody looks. */

import { raw } from "../api/client";
import { type Row, rowsIn } from "../api/ops";
import { Load } from "./load.svelte";

const EVERY = 5000;

export class OpsRows {
  load = new Load<Row[]>();

  constructor(readonly path: string) {
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
      return answer.ok ? { ...answer, data: rowsIn(answer.data) } : answer;
    });
  };
}
