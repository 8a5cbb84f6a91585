/** Pure: times for people, in the browser's own zone and language. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const sameDay = (a: Date, b: Date) => a.toDateString() === b.toDateString();

/** Short, for lists: the time today, else the day. */
export function short(time: string | null | undefined, now: number): string {
  if (!time) return "";
  const date = new Date(time);
  return sameDay(date, new Date(now)) ? clock.format(date) : day.format(date);
}

export const clockOf = (time: string): string => clock.format(new Date(time));

export function dayOf(time: string, now: number): string {
  const date = new Date(time);
  if (sameDay(date, new Date(now))) return "Today";
  if (sameDay(date, new Date(now - 86_400_000))) return "Yesterday";
  return day.format(date);
}

export const fullOf = (time: string | null | undefined): string => (time ? full.format(new Date(time)) : "");

/** How long ago, roughly. */
export function ago(time: string | null | undefined, now: number): string {
  if (!time) return "never";
  return `${span(Math.max(0, now - Date.parse(time)) / 1000)} ago`;
}

/** A length of time, roughly. */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
