/** The time, as screens show it: once a second while somebody looks, so that a countdown is true. */

let now = $state(Date.now());
setInterval(() => {
  if (!document.hidden) now = Date.now();
}, 1000);
let visible = $state(!document.hidden);
document.addEventListener("visibilitychange", () => {
  now = Date.now();
  visible = !document.hidden;
});

export const clock = {
  /** Every second. */
  get now(): number {
    return now;
  },
  /** Somebody may look at the page. */
  get visible(): boolean {
    return visible;
  },
};

let minute = $state(Date.now());
setInterval(() => {
  minute = Date.now();
}, 15_000);

/** Every quarter of a minute, for lists. */
export const slowClock = {
  get now(): number {
    return minute;
  },
};
