/**
 * Pure: long text in parts, as `schemas/src/command/split.rs` splits it. Both are tested with `schemas/src/command/split-cases.json`.
 * A preview: the worker splits what is sent.
 */

export type Limit = { bytes: number } | { chars: number };

const encoder = new TextEncoder();
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
/** White space as Rust's `char::is_whitespace` has it: JavaScript's `\s` has U+FEFF and lacks U+0085. */
const SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;
const START = new RegExp(`^(?:${SPACE.source})+`, "u");
const END = new RegExp(`(?:${SPACE.source})+$`, "u");

export const limitOf = (channel: string): Limit => (channel === "instagram" ? { bytes: 1000 } : { chars: 2000 });

const room = (limit: Limit): number => ("bytes" in limit ? limit.bytes : limit.chars);
export const sizeOf = (text: string, limit: Limit): number => ("bytes" in limit ? encoder.encode(text).length : [...text].length);
const trimStart = (text: string) => text.replace(START, "");
const trimEnd = (text: string) => text.replace(END, "");

export function split(text: string, limit: Limit): string[] {
  const parts: string[] = [];
  let rest = trimEnd(trimStart(text));
  while (rest !== "") {
    if (sizeOf(rest, limit) <= room(limit)) {
      parts.push(rest);
      break;
    }
    const cut = boundary(rest, fitting(rest, limit));
    const part = trimEnd(rest.slice(0, cut));
    if (part !== "") parts.push(part);
    rest = trimStart(rest.slice(cut));
  }
  return parts;
}

/** The length of the longest start of `text` that fits. */
function fitting(text: string, limit: Limit): number {
  const longest = (units: Iterable<string>): number => {
    let [used, end] = [0, 0];
    for (const unit of units) {
      used += sizeOf(unit, limit);
      if (used > room(limit)) break;
      end += unit.length;
    }
    return end;
  };
  const segments = function* () {
    for (const { segment } of graphemes.segment(text)) yield segment;
  };
  return longest(segments()) || longest(text) || String.fromCodePoint(text.codePointAt(0) ?? 0).length;
}

/** Where to cut: after a paragraph, line or word, unless that leaves the part less than half full. */
function boundary(text: string, full: number): number {
  const start = text.slice(0, full);
  const next = text.charAt(full);
  if (next !== "" && SPACE.test(next)) return full;
  // Halves are measured in bytes of UTF-8, as the worker does.
  const half = Math.floor(encoder.encode(start).length / 2);
  const far = (at: number): boolean => at >= 0 && half <= encoder.encode(start.slice(0, at)).length;
  const [paragraph, line] = [start.lastIndexOf("\n\n"), start.lastIndexOf("\n")];
  if (far(paragraph)) return paragraph || full;
  if (far(line)) return line || full;
  for (let at = start.length - 1; at >= 0; at -= 1) {
    if (SPACE.test(start.charAt(at))) return at + 1;
  }
  return full;
}
