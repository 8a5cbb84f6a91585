/** What was searched for last; in memory only. */

import type { Conversation } from "../api/client";
import { Load } from "./load.svelte";

class Search {
  text = $state("");
  archived = $state(false);
  done = $state("");
  load = new Load<Conversation[]>();
}

export const search = new Search();
