/**
 * Pure: addresses of screens. They stand behind the `#`, so the page itself is asked for by one address, and none of them is in a Referer. (The api's own requests
 * have ids and the words of a search in their paths and query strings.) An address holds ids and filters, never what people wrote: the words
 * of a search stay in memory.
 */

export type Query = Record<string, string>;

export interface Route {
  /** The first part, such as `inbox`; empty for `#/`. */
  screen: string;
  /** What follows, decoded. */
  rest: string[];
  query: Query;
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

export function parse(hash: string): Route {
  const [path = "", fields = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [screen = "", ...rest] = path.split("/").map(decode);
  return { screen, rest: rest.filter((part) => part !== ""), query: Object.fromEntries(new URLSearchParams(fields)) };
}

/** `?a=b` of what is set. */
export function search(fields: Record<string, string | undefined>): string {
  const set = Object.entries(fields).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return set.length === 0 ? "" : `?${new URLSearchParams(set)}`;
}

export function href(screen: string, rest: readonly string[] = [], query: Record<string, string | undefined> = {}): string {
  const path = [screen, ...rest].map(encodeURIComponent).join("/");
  return `#/${path}${search(query)}`;
}

/** The code of a one-time link: `#session=CODE`. */
export function linkCode(hash: string): string | undefined {
  return /^#session=([A-Za-z0-9_-]+)$/.exec(hash)?.[1];
}
