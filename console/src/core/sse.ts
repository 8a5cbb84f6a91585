/** Pure: server-sent events out of pieces of text (the format of the HTML standard, as far as the api uses it). */

export interface SseEvent {
  /** `undefined`: the event does not move the position. */
  id?: string;
  event: string;
  data: string;
}

export class SseReader {
  #rest = "";
  #id: string | undefined;
  #event = "";
  #data: string[] = [];

  /** The events that `piece` completes. */
  push(piece: string): SseEvent[] {
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    const done: SseEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) done.push({ id: this.#id, event: this.#event || "message", data: this.#data.join("\n") });
        [this.#id, this.#event, this.#data] = [undefined, "", []];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") this.#data.push(value);
      else if (field === "event") this.#event = value;
      else if (field === "id" && !value.includes("\0")) this.#id = value;
    }
    return done;
  }
}

/** How long to wait before the next try: doubled up to 30 s, and jittered, so that browsers do not come back all at once. */
export function backoff(tries: number, random: number): number {
  const most = Math.min(30_000, 500 * 2 ** Math.min(tries, 6));
  return Math.round(most / 2 + (random * most) / 2);
}
