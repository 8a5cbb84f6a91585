-- What every part of the worker needs: accounts, leases, positions, facts and the index of messages.

create schema if not exists worker;

-- Accounts we may speak for. The token is sealed (XChaCha20-Poly1305 under ENCRYPTION_KEY).
create table worker.accounts (
    channel      text not null check (channel in ('instagram', 'messenger')),
    id           text not null,
    login        text not null check (login in ('instagram', 'facebook')),
    name         text,
    app          text,
    page_id      text,
    token        bytea not null,
    auto_reply   text,
    state        text not null default 'active' check (state in ('active', 'stopped')),
    state_reason text,
    state_since  timestamptz not null default now(),
    added_at     timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (channel, id)
);

-- Other ids Meta uses for the same account: app-scoped id, Page id.
create table worker.account_aliases (
    channel    text not null,
    alias      text not null,
    account_id text not null,
    primary key (channel, alias),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);

-- One row, counted up by every change of the two tables above, so that readers know when to read them again.
create table worker.accounts_version (
    only_row boolean primary key default true check (only_row),
    version  bigint not null
);
insert into worker.accounts_version (version) values (1);

create function worker.bump_accounts_version() returns trigger language plpgsql as $$
begin
    update worker.accounts_version set version = version + 1;
    return null;
end $$;

create trigger accounts_changed after insert or update or delete on worker.accounts
    for each statement execute function worker.bump_accounts_version();
create trigger aliases_changed after insert or update or delete on worker.account_aliases
    for each statement execute function worker.bump_accounts_version();

-- Who may do what only one may do at a time. `epoch` fences: every transaction of the holder checks it.
create table worker.leases (
    name       text primary key,
    owner      text not null,
    epoch      bigint not null,
    expires_at timestamptz not null
);

-- Live workers, so that shards are shared out evenly.
create table worker.members (
    owner   text primary key,
    seen_at timestamptz not null
);

-- How far each reader of a stream has come; written in the transaction of the effect.
create table worker.positions (
    name           text primary key,
    stream         text not null,
    stream_created timestamptz,
    seq            bigint not null
);

-- Every fact ever published, for ever: deduplication, revisions, and the index of `trace`.
create table worker.facts (
    event_id         text not null,
    revision         integer not null,
    kind             text not null,
    channel          text not null,
    account_id       text not null,
    contact_id       text,
    message_id       text,
    digest           bytea not null,
    rank             smallint not null,
    time             timestamptz not null,
    time_approximate boolean not null,
    raw_seq          bigint,
    raw_index        integer,
    event_seq        bigint not null,
    recorded_at      timestamptz not null default now(),
    primary key (event_id, revision)
);
create index facts_by_message on worker.facts (channel, account_id, message_id) where message_id is not null;
create index facts_by_raw on worker.facts (raw_seq) where raw_seq is not null;

-- Facts that no longer hold: a withdrawal beats every revision and refuses the fact's return.
create table worker.withdrawn (
    event_id      text primary key,
    reason        text not null,
    superseded_by text,
    recorded_at   timestamptz not null default now()
);

-- Whose message is it: own knowledge by mid, and by the thread inside Instagram mids.
create table worker.messages (
    channel    text not null,
    account_id text not null,
    message_id text not null,
    contact_id text not null,
    direction  text not null check (direction in ('inbound', 'outbound')),
    thread_id  text,
    time       timestamptz not null,
    primary key (channel, account_id, message_id)
);
create index messages_by_thread on worker.messages (channel, account_id, thread_id) where thread_id is not null;

-- Secrets that came with webhooks (opt-in tokens, authorisation codes): sealed here, never in events.
create table worker.secrets (
    event_id text not null,
    name     text not null,
    sealed   bytea not null,
    primary key (event_id, name)
);
