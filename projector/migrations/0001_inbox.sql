-- The read model. `inbox_v1` is written by the projector alone; readers use the views in `inbox` (views.sql).
-- A rebuild runs this same file with the schema name replaced, so every name here is qualified and nothing else is touched.

create schema if not exists inbox_v1;

-- Who may write, and how far this read model has come in INBOX_EVENTS: moved in the transaction of the rows.
create table inbox_v1.leases (
    name       text primary key,
    owner      text not null,
    epoch      bigint not null,
    expires_at timestamptz not null
);
create table inbox_v1.positions (
    name           text primary key,
    stream         text not null,
    stream_created timestamptz,
    seq            bigint not null
);

-- What every event says about one row: the highest version of each. A withdrawn or erased fact keeps its row without content.
-- Text that decides an order is compared by bytes, as Rust does.
create table inbox_v1.facts (
    event_id  text collate "C" not null,
    entity    text collate "C" not null,
    slot      text collate "C" not null,
    kind      text not null,
    time      timestamptz not null,
    revision  bigint not null,
    rank      smallint not null,
    digest    text collate "C" not null,
    body      jsonb,
    primary key (event_id, entity)
);
create index facts_by_entity on inbox_v1.facts (entity, slot, time desc, event_id desc);

-- Withdrawals are for ever and may come before the fact.
create table inbox_v1.withdrawn (
    event_id text collate "C" primary key,
    reason   text not null
);

-- One row per conversation, which is also its contact.
create table inbox_v1.conversations (
    id                  text collate "C" primary key,
    channel             text not null,
    account_id          text not null,
    contact_id          text not null,
    -- Contact: latest enriched profile, else the placeholder.
    name                text not null,
    placeholder         text not null,
    enriched            boolean not null,
    username            text,
    avatar_url          text,
    profile             jsonb,
    enriched_at         timestamptz,
    -- Acts of people: the last by (time, id) holds.
    archived            boolean not null,
    assigned_to         text,
    blocked             boolean not null,
    block_name          text,
    block_reason        text,
    blocked_by          text,
    blocked_at          timestamptz,
    read_until          timestamptz,
    -- Known beyond its messages: a discovery, a profile or a block.
    known               boolean not null,
    -- A conversation listing or a referral told of it, whether or not a message is known.
    interaction_at      timestamptz,
    -- Recomputed from the message rows whenever one of them changes.
    last_message_id     text collate "C",
    last_message_at     timestamptz,
    unread_count        bigint not null default 0,
    window_expires_at   timestamptz
);
create index conversations_listed on inbox_v1.conversations (last_message_at desc, id desc)
    where last_message_at is not null;
create index conversations_by_account on inbox_v1.conversations (channel, account_id, last_message_at desc, id desc)
    where last_message_at is not null;
create index conversations_unread on inbox_v1.conversations (last_message_at desc, id desc) where unread_count > 0;
create index conversations_assigned on inbox_v1.conversations (assigned_to, last_message_at desc, id desc)
    where assigned_to is not null;
create index conversations_by_contact on inbox_v1.conversations (contact_id);
create index conversations_blocked on inbox_v1.conversations (channel, account_id) where blocked;

create table inbox_v1.messages (
    id                text collate "C" primary key,
    channel           text not null,
    account_id        text not null,
    contact_id        text,
    conversation_id   text collate "C",
    message_id        text not null,
    direction         text not null check (direction in ('inbound', 'outbound', 'unknown')),
    hidden            boolean not null,
    text              text,
    attachments       jsonb not null,
    quick_reply       jsonb,
    postback          jsonb,
    reply_to          jsonb,
    reactions         jsonb not null,
    referral          jsonb,
    sent_at           timestamptz not null,
    time_approximate  boolean not null,
    edited_at         timestamptz,
    deleted_at        timestamptz,
    delivered_by_id   timestamptz,
    read_by_id        timestamptz,
    delivered_at      timestamptz,
    read_at           timestamptz,
    reply_id          text,
    app_id            text,
    standby           boolean not null,
    is_self           boolean not null,
    backfilled        boolean not null,
    unsupported       boolean not null,
    content_missing   boolean not null,
    sender_resolution text,
    counts_unread     boolean not null,
    opens_window      boolean not null,
    event_id          text not null
);
create index messages_listed on inbox_v1.messages (conversation_id, sent_at desc, id desc) where not hidden;
create index messages_unread on inbox_v1.messages (conversation_id, sent_at) where counts_unread;
create index messages_opening on inbox_v1.messages (conversation_id, sent_at) where opens_window;
create index messages_undelivered on inbox_v1.messages
    (conversation_id, (coalesce(delivered_at, 'infinity'::timestamptz))) where direction = 'outbound';
create index messages_unseen on inbox_v1.messages
    (conversation_id, (coalesce(read_at, 'infinity'::timestamptz))) where direction = 'outbound';
create index messages_by_mid on inbox_v1.messages (message_id);
create index messages_by_reply on inbox_v1.messages (reply_id) where reply_id is not null;
create index messages_of_our_apps on inbox_v1.messages (app_id) where reply_id is not null and app_id is not null;

-- Receipts with a watermark; they may come before the messages they cover, so they stay.
create table inbox_v1.receipts (
    id              text collate "C" primary key,
    conversation_id text collate "C" not null,
    kind            text not null check (kind in ('delivered', 'read')),
    watermark       timestamptz not null,
    at              timestamptz not null
);
create index receipts_covering on inbox_v1.receipts (conversation_id, kind, watermark, at);

create table inbox_v1.comments (
    id                 text collate "C" primary key,
    channel            text not null,
    account_id         text not null,
    comment_id         text not null,
    parent_id          text,
    media_id           text,
    post_id            text,
    author_id          text,
    author_username    text,
    author_self        boolean not null,
    text               text,
    photo              text,
    live               boolean not null,
    ad                 jsonb,
    media_product_type text,
    created_at         timestamptz not null,
    time_approximate   boolean not null,
    edited_at          timestamptz,
    deleted_at         timestamptz,
    hidden             boolean not null,
    hidden_at          timestamptz,
    -- Only a deletion or hiding has come so far.
    stub               boolean not null
);
create index comments_listed on inbox_v1.comments (created_at desc, id desc) where not stub;
create index comments_by_media on inbox_v1.comments (coalesce(media_id, post_id), created_at desc, id desc) where not stub;
create index comments_by_comment_id on inbox_v1.comments (comment_id);
create index comments_by_parent on inbox_v1.comments (parent_id) where parent_id is not null;

-- The present reaction of one person to one comment or post.
create table inbox_v1.reactions (
    id         text collate "C" primary key,
    channel    text not null,
    account_id text not null,
    target     text not null check (target in ('comment', 'post')),
    target_id  text not null,
    author_id  text,
    reaction   text not null,
    at         timestamptz not null
);
create index reactions_by_target on inbox_v1.reactions (target, target_id, reaction);

create table inbox_v1.posts (
    id               text collate "C" primary key,
    channel          text not null,
    account_id       text not null,
    post_id          text,
    item             text not null,
    author_id        text,
    author_username  text,
    author_self      boolean not null,
    text             text,
    link             text,
    photos           jsonb not null,
    video_id         text,
    published        boolean,
    created_at       timestamptz not null,
    time_approximate boolean not null,
    edited_at        timestamptz,
    deleted_at       timestamptz,
    hidden           boolean not null
);
create index posts_listed on inbox_v1.posts (channel, account_id, created_at desc, id desc);
create index posts_by_post_id on inbox_v1.posts (post_id);

create table inbox_v1.mentions (
    id               text collate "C" primary key,
    channel          text not null,
    account_id       text not null,
    media_id         text,
    comment_id       text,
    post_id          text,
    item             text,
    author_id        text,
    author_username  text,
    text             text,
    mentioned_at     timestamptz not null,
    time_approximate boolean not null,
    deleted_at       timestamptz
);
create index mentions_listed on inbox_v1.mentions (channel, account_id, mentioned_at desc, id desc);

create table inbox_v1.insights (
    id          text collate "C" primary key,
    channel     text not null,
    account_id  text not null,
    object      text not null,
    media_id    text,
    metric      text not null,
    period      text,
    values      jsonb not null,
    captured_at timestamptz not null
);
create index insights_listed on inbox_v1.insights (channel, account_id, captured_at desc, id desc);
create index insights_by_media on inbox_v1.insights (media_id, metric, captured_at desc) where media_id is not null;

-- Events that could not be projected. The projector goes on without them; `redrive` is for people.
create table inbox_v1.parked (
    seq        bigint primary key,
    event_id   text,
    kind       text,
    cause      text not null,
    detail     text not null,
    first_seen timestamptz not null default now()
);
