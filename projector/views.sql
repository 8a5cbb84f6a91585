-- What SQL readers and the api see. A swap to a rebuilt schema runs this file with the schema name replaced, in one transaction.
-- Columns may be added at the end of a view, never renamed, removed or reordered: readers outside depend on them.

create or replace view inbox.messages as
select
    m.id,
    m.conversation_id,
    m.channel,
    m.account_id,
    m.contact_id,
    m.message_id,
    m.direction,
    m.text,
    m.attachments,
    m.quick_reply,
    m.postback,
    m.reply_to,
    m.reactions,
    m.referral,
    m.sent_at,
    m.time_approximate,
    m.edited_at,
    m.deleted_at,
    m.delivered_at,
    m.read_at,
    -- An app is ours when a message it sent is one of our own replies.
    case
        when m.direction <> 'outbound' then null
        when m.reply_id is not null then 'api'
        when m.app_id is not null
            and exists (select 1 from inbox_v1.messages ours where ours.reply_id is not null and ours.app_id = m.app_id)
            then 'app'
        else 'other'
    end as sent_by,
    m.reply_id,
    m.app_id,
    m.standby,
    m.is_self,
    m.backfilled,
    m.unsupported,
    m.content_missing,
    m.sender_resolution,
    m.event_id
from inbox_v1.messages m
where not m.hidden;

create or replace view inbox.conversations as
select
    c.id,
    c.channel,
    c.account_id,
    c.contact_id,
    c.name as contact_name,
    c.username as contact_username,
    c.avatar_url as contact_avatar_url,
    c.placeholder as contact_placeholder,
    c.enriched as contact_enriched,
    c.last_message_id,
    m.message_id as last_message_mid,
    m.direction as last_message_direction,
    m.text as last_message_text,
    m.attachments as last_message_attachments,
    m.sent_at as last_message_sent_at,
    m.deleted_at as last_message_deleted_at,
    c.last_message_at,
    c.unread_count,
    c.window_expires_at,
    c.archived,
    c.assigned_to,
    c.blocked,
    c.read_until,
    -- The same as the inbox API nests it.
    jsonb_build_object('id', c.contact_id, 'name', c.name, 'username', c.username, 'avatar_url', c.avatar_url,
        'placeholder', c.placeholder) as contact,
    case when m.id is not null then
        jsonb_build_object('id', m.id, 'message_id', m.message_id, 'direction', m.direction, 'text', m.text,
            'attachments', m.attachments,
            'sent_at', to_char(m.sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'deleted_at', to_char(m.deleted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    end as last_message,
    array(select l.name from inbox_v1.labels l where l.conversation_id = c.id order by l.name) as labels,
    -- Null once the person wrote after the act: what opens the window is a message or a tap of theirs.
    case when c.window_expires_at is null or c.window_expires_at - interval '24 hours' <= c.snoozed_at
        then c.snoozed_until
    end as snoozed_until
from inbox_v1.conversations c
left join inbox_v1.messages m on m.id = c.last_message_id
where c.last_message_at is not null;

create or replace view inbox.contacts as
select
    c.contact_id as id,
    c.id as conversation_id,
    c.channel,
    c.account_id,
    c.name,
    c.username,
    c.avatar_url,
    c.placeholder,
    c.enriched,
    c.profile,
    c.enriched_at,
    c.blocked
from inbox_v1.conversations c;

create or replace view inbox.blocklist as
select
    c.channel,
    c.account_id,
    c.contact_id,
    c.id as conversation_id,
    coalesce(c.block_name, c.name) as name,
    c.block_reason as reason,
    c.blocked_by,
    c.blocked_at
from inbox_v1.conversations c
where c.blocked;

create or replace view inbox.comments as
select
    c.comment_id as id,
    c.channel,
    c.account_id,
    c.comment_id,
    c.parent_id,
    c.media_id,
    c.post_id,
    c.author_id,
    c.author_username,
    c.author_self,
    c.text,
    c.photo,
    c.live,
    c.ad,
    c.media_product_type,
    c.created_at,
    c.time_approximate,
    c.edited_at,
    c.deleted_at,
    c.hidden,
    c.hidden_at,
    coalesce(
        (select jsonb_object_agg(r.reaction, r.people order by r.reaction)
         from (select reaction, count(*) as people from inbox_v1.reactions
               where target = 'comment' and target_id = c.comment_id and channel = c.channel and account_id = c.account_id
               group by reaction) r),
        '{}'::jsonb) as reactions,
    c.attachment
from inbox_v1.comments c
where not c.stub;

create or replace view inbox.posts as
select
    p.id,
    p.channel,
    p.account_id,
    p.post_id,
    p.item,
    p.author_id,
    p.author_username,
    p.author_self,
    p.text,
    p.link,
    p.photos,
    p.video_id,
    p.published,
    p.created_at,
    p.time_approximate,
    p.edited_at,
    p.deleted_at,
    p.hidden,
    coalesce(
        (select jsonb_object_agg(r.reaction, r.people order by r.reaction)
         from (select reaction, count(*) as people from inbox_v1.reactions
               where target = 'post' and target_id = p.post_id and channel = p.channel and account_id = p.account_id
               group by reaction) r),
        '{}'::jsonb) as reactions
from inbox_v1.posts p;

create or replace view inbox.mentions as
select id, channel, account_id, media_id, comment_id, post_id, item, author_id, author_username, text, mentioned_at,
       time_approximate, deleted_at
from inbox_v1.mentions;

create or replace view inbox.insights as
select id, channel, account_id, object, media_id, metric, period, values, captured_at
from inbox_v1.insights;

create or replace view inbox.position as
select stream, seq, stream_created, era, eras from inbox_v1.positions where name = 'projector';

create or replace view inbox.parked as
select seq, event_id, kind, cause, detail, first_seen from inbox_v1.parked;

-- Name and handle of the person of a conversation, for searching.
create or replace view inbox.names as
select conversation_id, text from inbox_v1.names;

-- Labels that conversations have.
create or replace view inbox.labels as
select conversation_id, channel, account_id, name, labelled_by, labelled_at
from inbox_v1.labels;

-- Notes of people on our side about conversations.
create or replace view inbox.notes as
select note_id as id, conversation_id, channel, account_id, text, noted_by, noted_at
from inbox_v1.notes;
