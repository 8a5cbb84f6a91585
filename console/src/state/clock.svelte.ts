/** The time, as screens show it: once a second while somebody looks, so that a countdown is true. */

let now = $state(Date.now());
setInterval(() => {
  if (!document.hidden) now = Date.now();
}, 1000);
document.addEventListener("visibilitychange", () => {
  now = Date.now();
});

export const clock = {
  /** Every second. */
  get now(): number {
    return now;
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
