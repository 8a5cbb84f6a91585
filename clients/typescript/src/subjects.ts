import { createHash } from "node:crypto";

const LONGEST = 128;

/** One token of a subject: all but `[A-Za-z0-9_-]` percent-encoded, hashed where it is longer than 128 bytes, `_` where it is empty. */
export function token(text: string): string {
  if (text === "") return "_";
  const encoded = [...new TextEncoder().encode(text)].map(encode).join("");
  return encoded.length > LONGEST ? `sha256-${createHash("sha256").update(text).digest("hex")}` : encoded;
}

/** The events of one account. */
export function filter(channel: string, account: string): string {
  return `inbox.v1.event.*.${token(channel)}.${token(account)}.>`;
}

function encode(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9_-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}
