/** Single keys: off while somebody types or answers a question, and for those who turn them off. */

const STORED = "hookline.keys";
let on = $state(localStorage.getItem(STORED) !== "off");

export const keys = {
  get on(): boolean {
    return on;
  },
  set on(value: boolean) {
    on = value;
    localStorage.setItem(STORED, value ? "on" : "off");
  },
};

/** The key that was pressed, if it may act. */
export function pressed(event: KeyboardEvent): string | undefined {
  if (!on || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return undefined;
  const target = event.target as HTMLElement | null;
  if (target?.closest("input, textarea, select, [contenteditable], dialog")) return undefined;
  return event.key;
}
