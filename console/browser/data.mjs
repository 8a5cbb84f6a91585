// A small inbox with everything that a screen can show. Times are relative, so that windows are what they are called.
const at = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();
const shop = "17841499000000001";
const page = "109900000000001";

export const accounts = [
  { id: shop, channel: "instagram", login: "instagram", name: "Lumen Lamps", aliases: [], auto_reply: null, state: "active", state_since: at(-9000), added_at: at(-9000) },
  { id: page, channel: "messenger", login: "facebook", name: "Lumen Lamps Shop", aliases: [], auto_reply: null, state: "stopped", state_reason: "Meta refused the token (190/463)", state_since: at(-60), added_at: at(-9000) },
];

const person = (id, name, more = {}) => ({ id, name, username: null, avatar_url: "https://platform-lookaside.fbsbx.com/p.jpg", placeholder: `User ${id.slice(-6)}`, ...more });
const conversation = (n, name, closes, unread, more = {}) => ({
  id: `cnv_${String(n).padStart(32, "0")}`,
  channel: n % 2 ? "instagram" : "messenger",
  account_id: n % 2 ? shop : page,
  contact: person(`73494282445959${String(n).padStart(2, "0")}`, name),
  last_message: { id: `msg_${n}`, message_id: `m_${n}`, direction: unread ? "inbound" : "outbound", text: `Is the blue lamp still in stock? (${n})`, attachments: [], sent_at: at(-n), deleted_at: null },
  last_message_at: at(-n),
  unread_count: unread,
  window_expires_at: closes === null ? null : at(closes),
  archived: false,
  assigned_to: n === 3 ? "ann" : null,
  labels: n === 1 ? ["vip", "order 7"].sort() : [],
  snoozed_until: null,
  ...more,
});

export const conversations = () => [
  conversation(1, "Amira Haddad", 95, 2),
  conversation(2, "Zeynep Kaya", 1300, 1),
  conversation(3, "Luca Ferri", 1400, 0),
  conversation(4, "Marta Nowak", -600, 1),
  conversation(5, "User 790621", null, 0),
  conversation(6, "Jonas Lindqvist", -14_000, 0),
];

export const notes = () => [{ id: "note_1", text: "Waits for the invoice.\nCall before noon.", by: "ann", created_at: at(-50) }];
export const savedReplies = () => [{ id: "svd_1", name: "Hours", text: "We are open from 9 to 5.", account_ids: null, created_at: at(-9000), updated_at: at(-9000) }];

const message = (n, direction, text, more = {}) => ({
  id: `msg_${String(n).padStart(4, "0")}`,
  message_id: `m_${n}`,
  direction,
  text,
  attachments: [],
  reply_to: null,
  reactions: [],
  sent_at: at(n - 200),
  edited_at: null,
  deleted_at: null,
  delivered_at: null,
  read_at: null,
  referral: null,
  sent_by: direction === "outbound" ? "api" : null,
  reply_id: null,
  ...more,
});

export const messages = () =>
  [
    message(1, "inbound", "Hello, I saw your ad", { referral: { source: "ADS", ad_id: "120200", ref: "spring" } }),
    message(2, "outbound", "Welcome! Which lamp?", { read_at: at(-190), delivered_at: at(-195) }),
    message(3, "inbound", "This one https://example.com/lamp?a=1", { attachments: [{ type: "image", url: "https://cdn.example/a.jpg" }], reactions: [{ emoji: "❤", by: "account" }] }),
    message(4, "inbound", null, { deleted_at: at(-100) }),
    message(5, "outbound", "Yes, it is in stock", { sent_by: "other", reply_to: { message_id: "m_3" }, edited_at: at(-50) }),
    message(6, "unknown", "Who wrote this is not known"),
    message(7, "inbound", "Great story", { reply_to: { story: { id: "1" } } }),
  ].reverse();

export const health = (id) => ({
  id,
  channel: id === shop ? "instagram" : "messenger",
  state: id === shop ? "active" : "stopped",
  state_since: at(-60),
  diagnosis: id === shop ? { code: "token_ends", text: "The token ends in 5 days.", fix: "Refresh it, or connect the account again." } : null,
  token: { valid: id === shop, expires_at: at(7200), accepted_at: at(-3), error: id === shop ? null : "190/463" },
  scopes: { granted: ["instagram_business_basic"], missing: [{ scope: "instagram_business_manage_comments", feature: "comments", costs: "no comment can be answered" }] },
  webhook_fields: { subscribed: ["instagram/messages"], refused: [{ object: "instagram", field: "live_comments", code: 100 }], missing: [] },
  last_webhooks: { "message.received": at(-2) },
  ids: { aliases: [], page_id: null, handle: "lumen.lamps" },
  last_message_at: at(-2),
  conversations: 6,
  unread_conversations: 3,
  worker: null,
});

const comment = (id, text, more = {}) => ({ id, comment_id: id, channel: "instagram", account_id: shop, parent_id: null, media_id: "18024323374526957", post_id: null, author: { id: "5271252104551195", username: "zeynep.kaya", self: false }, text, attachment: null, live: false, ad: null, reactions: {}, hidden: false, created_at: at(-30), edited_at: null, deleted_at: null, ...more });
export const comments = () => [
  comment("c3", "We ship on Monday", { parent_id: "c1", author: { id: shop, username: "lumen.lamps", self: true }, created_at: at(-10) }),
  comment("c2", "Spam", { hidden: true, created_at: at(-20) }),
  comment("c1", "How much is the small one?"),
];

export const contact = (id) => ({ ...person(id, "Amira Haddad"), channel: "instagram", account_id: shop, conversation_id: conversations()[0].id, enriched: true, enriched_at: at(-40), profile: { source: "graph.instagram", follower_count: 379 }, blocked: false });

export const unknown = () => [
  { reply_id: "rpl_0000000000000000000000000000000a", status: "unknown", channel: "instagram", account_id: shop, conversation_id: conversations()[0].id, contact_id: "1", text: "It ships tomorrow", attempts: 1, requested_at: at(-90), finished_at: at(-80), error: null, parts: [{ n: 0, state: "unknown" }] },
];
export const held = () => [{ ...unknown()[0], reply_id: "rpl_0000000000000000000000000000000b", status: "queued", held: "account_stopped", text: "Thanks!" }];

export const status = {
  at: at(0),
  durability: "synced before every ack",
  postgres_risks: [],
  stages: [
    { stage: "normalize", lag: 0, oldest_seconds: null },
    { stage: "project", lag: 412, oldest_seconds: 130 },
  ],
  events_per_second: 3.2,
  events_head: 90_412,
  waiting_room: 1,
  commands_open: 2,
  unknown_sends: 1,
  dead_letters: 12,
  held: { account_stopped: 2 },
  graph_clocks: { facebook: { ahead_ms: 0, agrees: true }, instagram: { ahead_ms: 95_000, agrees: false } },
  freezes: [{ scope: `account:messenger/${page}`, by: "ops", reason: "wrong prices", since: at(-5) }],
  accounts_stopped: [{}],
};
export const dead = Array.from({ length: 12 }, (_, n) => ({ id: n, cause: "unknown_field", role: n === 0 ? "failed" : "behind", kind: "message.edited", channel: "instagram", account_id: shop, parked_at: at(-300 + n), last_error: n === 0 ? "no such field" : null }));
export const waiting = [{ message_id: "m_waits", channel: "instagram", account_id: shop, state: "waiting", attempts: 3, received_at: at(-12), due_at: at(4) }];
export const jobs = [{ id: "job_1", verb: "verify", state: "running", started_by: "ann", progress: { done: 400, of: 1000 }, created_at: at(-3), updated_at: at(0) }];
export const audit = [{ id: 1, at: at(-5), who: "ann", verb: "send freeze", reason: "wrong prices", arguments: {}, result: null }];
export const trace = {
  facts: [{ kind: "message.received", event_id: "evt_1", message_id: "m_1", raw_seq: 38, event_seq: 59, time: at(-9) }],
  commands: [{ command: "reply", command_id: "rpl_1", state: "sent", rule: "window.24h", requested_at: at(-8), parts: [{ n: 0, text: "words" }] }],
};
export const times = { at };
