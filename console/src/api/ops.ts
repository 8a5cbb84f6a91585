/** Shapes of docs/contract.md 7 that operators use: what the verbs print with `--output json`. Words and fields are open. */

export interface Stage {
  stage: string;
  lag: number | null;
  oldest_seconds: number | null;
}

export interface Freeze {
  /** `*`, `account:<channel>/<account>` or `conversation:<conversation id>`. */
  scope: string;
  by?: string | null;
  since?: string | null;
  reason?: string | null;
}

export interface Status {
  at: string;
  durability?: string;
  postgres_risks?: unknown[];
  stages?: Stage[];
  events_per_second?: number | null;
  events_head?: number | null;
  waiting_room?: number;
  commands_open?: number;
  unknown_sends?: number;
  dead_letters?: number;
  held?: Record<string, number>;
  jobs?: Record<string, number>;
  window_refusals?: number;
  behind_log?: unknown;
  graph_clocks?: Record<string, { ahead_ms?: number; agrees?: boolean }>;
  freezes?: Freeze[];
  accounts_stopped?: unknown[];
  accounts_to_tend?: unknown[];
  accounts_blocked?: unknown[];
}

/** A row of a list whose fields the release decides. */
export type Row = Record<string, unknown>;

/** The rows of an answer, whatever the list is called in it. */
export function rowsIn(answer: unknown): Row[] {
  if (Array.isArray(answer)) return answer as Row[];
  if (typeof answer !== "object" || answer === null) return [];
  const list = Object.values(answer).find((value) => Array.isArray(value));
  return (list as Row[] | undefined) ?? [];
}
