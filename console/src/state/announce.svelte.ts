/** What a screen reader is to say: one polite region for the whole page. Never a person's words. */

let line = $state("");

export const announcer = {
  get line(): string {
    return line;
  },
};

export function announce(text: string): void {
  // The same line twice is two announcements.
  line = line === text ? `${text}\u00a0` : text;
}
