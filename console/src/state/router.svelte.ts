/** Which screen is shown. After a navigation, focus goes to the heading of the screen. */

import { parse, type Route } from "../core/route";

let route = $state<Route>(parse(location.hash));
let moves = 0;

addEventListener("hashchange", () => {
  moves += 1;
  route = parse(location.hash);
});

export const router = {
  get route(): Route {
    return route;
  },
  /** 0: nobody has navigated yet, so focus stays where the browser put it. */
  get moves(): number {
    return moves;
  },
};

/** Goes to an address; `replace` leaves no entry in the history. */
export function go(address: string, replace = false): void {
  if (address === location.hash) return;
  if (!replace) {
    location.hash = address;
    return;
  }
  history.replaceState(null, "", address);
  route = parse(address);
}

/** The filters of the present screen, changed; `href` leaves out those that are unset. */
export function withQuery(change: Record<string, string | undefined>): Record<string, string | undefined> {
  return { ...route.query, ...change };
}
