/** Pure: until when a conversation may be put off, and whether it is. */

export interface Choice {
  label: string;
  until: Date;
}

const HOUR = 3_600_000;

/** Nine in the morning, so many days after `now`, by the clock of whoever asks. */
function morning(now: Date, days: number): Date {
  const at = new Date(now);
  at.setDate(at.getDate() + days);
  at.setHours(9, 0, 0, 0);
  return at;
}

/** What is offered; later ones last. */
export function choices(now: Date): Choice[] {
  return [
    { label: "For an hour", until: new Date(now.getTime() + HOUR) },
    { label: "For three hours", until: new Date(now.getTime() + 3 * HOUR) },
    { label: "Until tomorrow, 9 o'clock", until: morning(now, 1) },
    { label: "For a week", until: morning(now, 7) },
  ];
}

/** Whether a conversation is out of the list at `now`. */
export const isSnoozed = (row: { snoozed_until?: string | null | undefined }, now: number): boolean => Boolean(row.snoozed_until) && Date.parse(row.snoozed_until ?? "") > now;
