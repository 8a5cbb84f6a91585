//! The statements of the store, for one schema. Each works on a whole batch.

/// The statements, with the schema's name put in.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) stored_position: String,
    pub(super) held: String,
    pub(super) withdrawn: String,
    pub(super) unpark: String,
    pub(super) note: String,
    pub(super) entities_of: String,
    pub(super) forget_fact: String,
    pub(super) drop_facts: String,
    pub(super) put_withdrawn: String,
    pub(super) blank_facts: String,
    pub(super) put_facts: String,
    pub(super) scrub_facts: String,
    pub(super) facts_of: String,
    pub(super) latest_facts_of: String,
    pub(super) message_conversations: String,
    pub(super) put_messages: String,
    pub(super) existing_conversations: String,
    pub(super) put_conversations: String,
    pub(super) aggregate: String,
    pub(super) unread_among: String,
    pub(super) drop_empty_conversations: String,
    pub(super) existing_receipts: String,
    pub(super) put_receipts: String,
    pub(super) apply_delivered: String,
    pub(super) apply_read: String,
    pub(super) uncover_delivered: String,
    pub(super) uncover_read: String,
    pub(super) put_comments: String,
    pub(super) put_reactions: String,
    pub(super) put_posts: String,
    pub(super) put_mentions: String,
    pub(super) put_insights: String,
    pub(super) park: String,
    pub(super) unannounced: String,
    pub(super) announced: String,
}

const MESSAGE: &str = "channel, account_id, contact_id, conversation_id, message_id, direction, hidden, text, attachments, \
    quick_reply, postback, reply_to, reactions, referral, sent_at, time_approximate, edited_at, deleted_at, delivered_by_id, \
    read_by_id, reply_id, app_id, standby, is_self, backfilled, unsupported, content_missing, sender_resolution, \
    counts_unread, opens_window, event_id";
const CONVERSATION: &str = "channel, account_id, contact_id, name, placeholder, enriched, username, avatar_url, profile, \
    enriched_at, archived, assigned_to, blocked, block_name, block_reason, blocked_by, blocked_at, read_until, known, \
    interaction_at";
const RECEIPT: &str = "conversation_id, kind, watermark, at";
const COMMENT: &str = "channel, account_id, comment_id, parent_id, media_id, post_id, author_id, author_username, author_self, \
    text, photo, live, ad, media_product_type, created_at, time_approximate, edited_at, deleted_at, hidden, hidden_at, stub";
const REACTION: &str = "channel, account_id, target, target_id, author_id, reaction, at";
const POST: &str = "channel, account_id, post_id, item, author_id, author_username, author_self, text, link, photos, video_id, \
    published, created_at, time_approximate, edited_at, deleted_at, hidden";
const MENTION: &str = "channel, account_id, media_id, comment_id, post_id, item, author_id, author_username, text, \
    mentioned_at, time_approximate, deleted_at";
const INSIGHT: &str = "channel, account_id, object, media_id, metric, period, values, captured_at";

/// Whether message `m` is unread in its conversation `b`.
const UNREAD: &str =
    "m.counts_unread and m.sent_at > coalesce(b.read_until, '-infinity'::timestamptz)";

/// Inserts or replaces rows given as one JSON array of objects named like the columns.
fn put(schema: &str, table: &str, columns: &str) -> String {
    format!(
        "insert into {schema}.{table} (id, {columns}) \
         select id, {columns} from json_populate_recordset(null::{schema}.{table}, $1::json) order by id \
         on conflict (id) do update set {}",
        replace(columns)
    )
}

fn replace(columns: &str) -> String {
    columns
        .split(',')
        .map(|column| format!("{0} = excluded.{0}", column.trim()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Deletes rows that no longer follow from anything.
pub(super) fn drop_rows(schema: &str, table: &str) -> String {
    format!("delete from {schema}.{table} where id = any($1)")
}

/// The earliest receipt with a watermark that covers a message: `m` is its row.
fn covering(schema: &str, kind: &str) -> String {
    format!(
        "(select min(r.at) from {schema}.receipts r where m.direction = 'outbound' \
          and r.conversation_id = m.conversation_id and r.kind = '{kind}' and r.watermark >= m.sent_at)"
    )
}

/// What a receipt covers is found receipt by receipt, by index: joined as a whole, every receipt of a batch would be held against every
/// message of a long conversation.
fn apply_receipts(schema: &str, kind: &str, column: &str) -> String {
    format!(
        "update {schema}.messages m set {column} = least(m.{column}, found.at) from ( \
           select covered.id, min(r.at) as at from {schema}.receipts r cross join lateral ( \
             select m.id from {schema}.messages m where m.conversation_id = r.conversation_id and m.direction = 'outbound' \
              and coalesce(m.{column}, 'infinity'::timestamptz) > r.at and m.sent_at <= r.watermark offset 0) covered \
           where r.id = any($1) and r.kind = '{kind}' group by covered.id) found \
         where found.id = m.id"
    )
}

/// Looks again for those messages whose time may be that of a receipt that no longer holds.
fn uncover_receipts(schema: &str, kind: &str, column: &str, by_id: &str) -> String {
    format!(
        "update {schema}.messages m set {column} = least(m.{by_id}, {covering}) \
         from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) as old(conversation_id, kind, watermark, at) \
         where old.kind = '{kind}' and m.conversation_id = old.conversation_id and m.direction = 'outbound' \
           and coalesce(m.{column}, 'infinity'::timestamptz) = old.at and m.sent_at <= old.watermark",
        covering = covering(schema, kind)
    )
}

impl Sql {
    pub(super) fn new(s: &str) -> Self {
        let fact = "f.event_id, f.entity, f.kind, f.time, f.revision, f.rank, f.digest, f.body";
        let delivered = covering(s, "delivered");
        let read = covering(s, "read");
        Self {
            stored_position: format!("select seq from {s}.positions where name = $1"),
            held: format!(
                "select event_id, entity, revision, rank, digest from {s}.facts where event_id = any($1)"
            ),
            withdrawn: format!("select event_id from {s}.withdrawn where event_id = any($1)"),
            drop_facts: format!("delete from {s}.facts where event_id = any($1)"),
            put_withdrawn: format!(
                "insert into {s}.withdrawn (event_id, reason) select * from unnest($1::text[], $2::text[]) \
                 on conflict (event_id) do nothing"
            ),
            blank_facts: format!(
                "update {s}.facts set body = null where event_id = any($1) and body is not null"
            ),
            put_facts: format!(
                "insert into {s}.facts (event_id, entity, slot, kind, time, revision, rank, digest, body) \
                 select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], \
                   $7::smallint[], $8::text[], $9::jsonb[])"
            ),
            scrub_facts: format!(
                "update {s}.facts f set body = n.body from unnest($1::text[], $2::text[], $3::jsonb[]) \
                 as n(event_id, entity, body) where f.event_id = n.event_id and f.entity = n.entity"
            ),
            facts_of: format!("select {fact} from {s}.facts f where f.entity = any($1)"),
            latest_facts_of: format!(
                "select {fact} from unnest($1::text[]) e(entity) cross join unnest($2::text[]) o(slot) \
                 cross join lateral (select * from {s}.facts f where f.entity = e.entity and f.slot = o.slot \
                   and f.body is not null order by f.time desc, f.event_id desc limit 1) f"
            ),
            message_conversations: format!(
                "select distinct conversation_id from {s}.messages where id = any($1) and conversation_id is not null"
            ),
            put_messages: format!(
                "insert into {s}.messages (id, {MESSAGE}, delivered_at, read_at) \
                 select m.id, {columns}, least(m.delivered_by_id, {delivered}), least(m.read_by_id, {read}) \
                 from json_populate_recordset(null::{s}.messages, $1::json) m order by m.id \
                 on conflict (id) do update set {}, delivered_at = excluded.delivered_at, read_at = excluded.read_at",
                replace(MESSAGE),
                columns = MESSAGE
                    .split(',')
                    .map(|column| format!("m.{}", column.trim()))
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            existing_conversations: format!(
                "select id, channel, account_id, contact_id from {s}.conversations where id = any($1)"
            ),
            put_conversations: put(s, "conversations", CONVERSATION),
            aggregate: format!(
                "update {s}.conversations c set last_message_id = a.last_id, \
                   last_message_at = coalesce(a.last_at, c.interaction_at), unread_count = a.unread, \
                   window_expires_at = a.opened + interval '24 hours' \
                 from (select b.id, l.id as last_id, l.sent_at as last_at, \
                     case when t.moved is null then \
                       (select count(*) from {s}.messages m where m.conversation_id = b.id and {UNREAD}) \
                       else b.unread_count + t.moved end as unread, \
                     (select max(m.sent_at) from {s}.messages m where m.conversation_id = b.id and m.opens_window) as opened \
                   from unnest($1::text[], $2::bigint[]) as t(id, moved) \
                   join {s}.conversations b on b.id = t.id \
                   left join lateral (select m.id, m.sent_at from {s}.messages m where m.conversation_id = b.id \
                     and not m.hidden order by m.sent_at desc, m.id desc limit 1) l on true) a \
                 where a.id = c.id"
            ),
            unread_among: format!(
                "select m.conversation_id, count(*) from {s}.messages m join {s}.conversations b on b.id = m.conversation_id \
                 where m.id = any($1) and {UNREAD} group by 1"
            ),
            drop_empty_conversations: format!(
                "delete from {s}.conversations where id = any($1) and last_message_id is null and not known"
            ),
            existing_receipts: format!(
                "select conversation_id, kind, watermark, at from {s}.receipts where id = any($1)"
            ),
            put_receipts: put(s, "receipts", RECEIPT),
            apply_delivered: apply_receipts(s, "delivered", "delivered_at"),
            apply_read: apply_receipts(s, "read", "read_at"),
            uncover_delivered: uncover_receipts(s, "delivered", "delivered_at", "delivered_by_id"),
            uncover_read: uncover_receipts(s, "read", "read_at", "read_by_id"),
            put_comments: put(s, "comments", COMMENT),
            put_reactions: put(s, "reactions", REACTION),
            put_posts: put(s, "posts", POST),
            put_mentions: put(s, "mentions", MENTION),
            put_insights: put(s, "insights", INSIGHT),
            park: format!(
                "insert into {s}.parked (seq, event_id, kind, channel, account_id, cause, detail) \
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict (seq) do nothing"
            ),
            unannounced: format!(
                "select seq, event_id, kind, channel, account_id, cause, first_seen from {s}.parked \
                 where not announced order by seq limit $1"
            ),
            unpark: format!("delete from {s}.parked where seq = $1"),
            note: format!("update {s}.parked set cause = $2, detail = $3 where seq = $1"),
            entities_of: format!("select distinct entity from {s}.facts where event_id = $1"),
            forget_fact: format!(
                "delete from {s}.facts where event_id = $1 and revision = $2 and rank = $3 and digest = $4"
            ),
            announced: format!("update {s}.parked set announced = true where seq = any($1)"),
        }
    }
}
