/** Pure: what is known of an id, in the order in which it happened. Words of people are left out until somebody asks for them. */

export interface Step {
  at?: string;
  title: string;
  ids: { label: string; id: string }[];
  /** Everything else, as it came. */
  rest: Record<string, unknown>;
}

/** Lists of a trace document, and how a row of each is called. */
const LISTS: Record<string, { title: string; time: string[] }> = {
  facts: { title: "Event", time: ["time", "recorded_at"] },
  withdrawn: { title: "Withdrawn", time: ["at", "recorded_at"] },
  waiting: { title: "Waiting room", time: ["since", "created_at"] },
  resolutions: { title: "Sender resolved", time: ["resolved_at", "at"] },
  commands: { title: "Command", time: ["requested_at"] },
  echoes: { title: "Echo", time: ["time", "seen_at"] },
  parked: { title: "Parked", time: ["parked_at", "at"] },
  discarded: { title: "Discarded", time: ["discarded_at", "at"] },
  outcomes: { title: "Outcome", time: ["time", "recorded_at"] },
  attempts: { title: "Attempt", time: ["at", "started_at"] },
};
const IDS: Record<string, string> = { event_id: "event", message_id: "message", command_id: "command", conversation_id: "conversation", raw_seq: "raw webhook", event_seq: "position" };
const DETAIL = ["kind", "command", "state", "held", "rule", "method", "revision", "requester"];
/** Fields that may have what a person wrote. */
const WORDS = new Set(["text", "title", "body", "payload", "data", "answer", "raw", "content"]);

const text = (value: unknown): string | undefined => (typeof value === "string" || typeof value === "number" ? String(value) : undefined);

export function steps(document: unknown): Step[] {
  if (typeof document !== "object" || document === null) return [];
  const found: Step[] = [];
  for (const [name, { title, time }] of Object.entries(LISTS)) {
    const rows = (document as Record<string, unknown>)[name];
    if (!Array.isArray(rows)) continue;
    for (const row of rows as Record<string, unknown>[]) {
      const details = DETAIL.map((field) => text(row[field])).filter(Boolean);
      found.push({
        at: time.map((field) => text(row[field])).find(Boolean),
        title: [title, ...details].join(" · "),
        ids: Object.entries(IDS).flatMap(([field, label]) => {
          const id = text(row[field]);
          return id ? [{ label, id }] : [];
        }),
        rest: row,
      });
    }
  }
  const key = (step: Step) => (step.at ? Date.parse(step.at) : Number.MAX_SAFE_INTEGER);
  return found.sort((a, b) => key(a) - key(b));
}

/** The same document without what people wrote. */
export function withoutWords(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutWords);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, WORDS.has(name) && inner !== null ? "…" : withoutWords(inner)]));
}

/** Whether something typed is an id that can be traced: ours, or Meta's of a message. */
export const isId = (text: string): boolean => /^((evt|msg|rpl|cnv|cmd)_|m_|aWdf|auto:)[^\s]+$/.test(text);
