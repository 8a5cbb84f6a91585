/** The accounts, which most screens name. Read once, and again when one of them changes. */

import { type Account, api, call } from "../api/client";
import { listenGathered } from "./live.svelte";
import { Load } from "./load.svelte";

const load = new Load<Account[]>();

export const accounts = {
  get list(): Account[] {
    return load.data ?? [];
  },
  get load(): Load<Account[]> {
    return load;
  },
  /** What an account is called. */
  nameOf(id: string): string {
    return load.data?.find((account) => account.id === id)?.name ?? id;
  },
};

export const readAccounts = (): Promise<unknown> =>
  load.read(async () => {
    const answer = await call(api.GET("/v1/accounts", { params: { query: { limit: 200 } } }));
    return answer.ok ? { ...answer, data: answer.data.accounts } : answer;
  });

listenGathered(({ kind }) => kind.startsWith("account."), () => void readAccounts());
