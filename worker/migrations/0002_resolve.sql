-- The waiting room of sender-less items, what became of them, and the queue of profiles to read.

-- One row per message told without a usable sender (num_edit 0), or per real edit of a message nobody knows (num_edit >= 1).
create table worker.waiting (
    channel            text not null,
    account_id         text not null,
    message_id         text not null,
    num_edit           bigint not null,
    -- waiting: nothing published yet; unresolved: `sender.unresolved` stands; content: published without its content, which is still
    -- looked for; resolved: done. Without `due_at` a row is only woken by an event that reveals its sender.
    state              text not null default 'waiting' check (state in ('waiting', 'unresolved', 'content', 'resolved')),
    due_at             timestamptz,
    attempts           integer not null default 0,
    claimed_by         text,
    claimed_until      timestamptz,
    received_at        timestamptz not null,
    -- What the item said.
    time               timestamptz not null,
    time_approximate   boolean not null,
    created_time       timestamptz,
    thread_id          text,
    payload_contact    text,
    payload_outbound   boolean not null default false,
    standby            boolean not null default false,
    text               text,
    raw_seq            bigint,
    raw_index          integer,
    traceparent        text,
    -- What later events that name this message said.
    revealed_contact   text,
    revealed_direction text check (revealed_direction in ('inbound', 'outbound')),
    -- What was tried last, and guesses, which are never used.
    tried              jsonb not null default '[]',
    guesses            jsonb,
    gone               boolean not null default false,
    unresolved_event   text,
    unresolved_contact text,
    method             text,
    resolved_at        timestamptz,
    primary key (channel, account_id, message_id, num_edit)
);
create index waiting_due on worker.waiting (due_at) where state <> 'resolved' and due_at is not null;
create index waiting_by_thread on worker.waiting (channel, account_id, thread_id)
    where state <> 'resolved' and thread_id is not null;
create index waiting_open on worker.waiting (channel, account_id, received_at) where state <> 'resolved';

-- How senders were found: input to replay. `sealed` holds what Graph said about the message (the event as published), so that it can
-- be built again without Graph; deleting the row erases it.
create table worker.resolutions (
    channel     text not null,
    account_id  text not null,
    message_id  text not null,
    method      text not null,
    contact_id  text not null,
    direction   text not null check (direction in ('inbound', 'outbound')),
    evidence    jsonb not null,
    event_id    text not null,
    sealed      bytea not null,
    resolved_at timestamptz not null default now(),
    primary key (channel, account_id, message_id)
);

-- Whose profile is wanted, and what Meta said last time. No names here: those are in events only.
create table worker.contacts (
    channel         text not null,
    account_id      text not null,
    contact_id      text not null,
    -- Latest act that allows a profile to be read: message, postback, referral, opt-in.
    last_trigger_at timestamptz not null,
    -- When we noted it: an act that comes while Graph is asked is seen by that.
    noted_at        timestamptz not null default clock_timestamp(),
    -- A trigger after this time makes the profile wanted; null: none does.
    refresh_after   timestamptz,
    -- When to read it; null: nothing to do.
    due_at          timestamptz,
    claimed_by      text,
    claimed_until   timestamptz,
    -- Equal answers without a profile in a row.
    attempts        integer not null default 0,
    -- ok, empty, unsupported, no_profile, no_permission, no_consent, unavailable, invalid.
    answer          text,
    answered_at     timestamptz,
    profile_digest  bytea,
    enriched_at     timestamptz,
    primary key (channel, account_id, contact_id)
);
create index contacts_due on worker.contacts (due_at) where due_at is not null;

-- Whether an alias already has events (contract section 5), answered without reading the whole table.
create index facts_by_account on worker.facts (channel, account_id);
