/** Pure: people as initials. Their pictures are loaded only in the contact that somebody opened. */

export function initials(name: string): string {
  const words = name.replace(/^User (?=\d)/, "").split(/[\s._-]+/u).filter(Boolean);
  const first = (word: string | undefined) => (word ? [...word][0] ?? "" : "");
  const letters = words.length > 1 ? first(words[0]) + first(words.at(-1)) : [...(words[0] ?? "")].slice(0, 2).join("");
  return letters.toLocaleUpperCase() || "?";
}

/** One of six quiet colours, the same for the same person. */
export function tint(id: string): number {
  let hash = 0;
  for (const char of id) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return hash % 6;
}
