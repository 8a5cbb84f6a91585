/** Pure: Meta's windows (docs/meta-platform.md 11). The worker's verdict is final; this is what can be said before. */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A person may still answer with HUMAN_AGENT until 7 days after the last message: 6 days after the 24 hours. */
const HUMAN_AGENT_MORE = 6 * DAY;
/** Below this, the time that is left is shown as urgent. */
const SOON = 2 * HOUR;

export type Window =
  | { kind: "never" }
  | { kind: "open"; left: number; soon: boolean }
  | { kind: "human_agent"; left: number }
  | { kind: "closed" };

export function windowAt(expires: string | null | undefined, now: number): Window {
  if (!expires) return { kind: "never" };
  const ends = Date.parse(expires);
  if (now < ends) return { kind: "open", left: ends - now, soon: ends - now < SOON };
  const tagged = ends + HUMAN_AGENT_MORE;
  if (now < tagged) return { kind: "human_agent", left: tagged - now };
  return { kind: "closed" };
}

/** Time that is left, such as `23 h 59 min`, `4 min 05 s`. */
export function left(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor((seconds % 86_400) / 3600)];
  const [minutes, rest] = [Math.floor((seconds % 3600) / 60), seconds % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes >= 10) return `${minutes} min`;
  if (minutes > 0) return `${minutes} min ${String(rest).padStart(2, "0")} s`;
  return `${rest} s`;
}

/** One short line for a list. */
export function windowLine(window: Window): string {
  switch (window.kind) {
    case "never":
      return "no window";
    case "open":
      return `${left(window.left)} left`;
    case "human_agent":
      return `closed; human agent ${left(window.left)}`;
    case "closed":
      return "closed";
  }
}
