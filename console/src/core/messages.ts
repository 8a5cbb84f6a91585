/** Pure: what a message is, in few words. */

interface Said {
  text?: string | null;
  attachments?: unknown;
  deleted_at?: string | null;
}

export interface Attachment {
  type: string;
  url?: string;
  stored_url?: string;
  title?: string;
}

const KINDS: Record<string, string> = {
  image: "Picture",
  video: "Film",
  audio: "Voice message",
  file: "File",
  share: "Shared post",
  story_mention: "Mention in a story",
  ig_reel: "Reel",
  reel: "Reel",
  sticker: "Sticker",
  template: "Template",
  location: "Place",
};

export const kindOf = (type: string): string => KINDS[type] ?? type.replaceAll("_", " ");

export function attachmentsOf(value: unknown): Attachment[] {
  if (!Array.isArray(value)) return [];
  return value.filter((one): one is Attachment => typeof one === "object" && one !== null && typeof one.type === "string");
}

/** One line for a list. */
export function preview(message: Said | null | undefined): string {
  if (!message) return "No message yet";
  if (message.deleted_at) return "Unsent";
  if (message.text) return message.text;
  const [first] = attachmentsOf(message.attachments);
  return first ? kindOf(first.type) : "Message without words";
}

/** What a message answers. */
export function quoteOf(reply_to: unknown): { message_id?: string; story: boolean } | undefined {
  if (typeof reply_to !== "object" || reply_to === null) return undefined;
  const { message_id, story } = reply_to as { message_id?: unknown; story?: unknown };
  if (typeof message_id === "string") return { message_id, story: false };
  return story ? { story: true } : undefined;
}

/** What brought the person here, in words. */
export function referralOf(referral: unknown): string | undefined {
  if (typeof referral !== "object" || referral === null) return undefined;
  const { source, ad_id, ref, type } = referral as Record<string, unknown>;
  const from = typeof source === "string" ? source.toLowerCase().replaceAll("_", " ") : typeof type === "string" ? type.toLowerCase() : "a link";
  if (ad_id) return `Came by an ad (${String(ad_id)})`;
  return `Came by ${from}${ref ? ` (${String(ref)})` : ""}`;
}

/** Reactions by emoji. */
export function reactionsOf(value: unknown): { emoji: string; count: number }[] {
  if (!Array.isArray(value)) return [];
  const counts = new Map<string, number>();
  for (const one of value as { emoji?: unknown; reaction?: unknown }[]) {
    const emoji = String(one?.emoji ?? one?.reaction ?? "♥");
    counts.set(emoji, (counts.get(emoji) ?? 0) + 1);
  }
  return [...counts].map(([emoji, count]) => ({ emoji, count }));
}

/** Who sent an outbound message. */
export function senderOf(sent_by: string | null | undefined): string {
  switch (sent_by) {
    case "api":
      return "sent here";
    case "app":
      return "sent by your app";
    default:
      return "sent from the phone or another app";
  }
}
