-- Work of the normaliser that cannot be carried out: the truth of which INBOX_DEAD holds published copies. A lane (a conversation, a post, or an
-- account) with a row here is held: later raw webhooks of it wait behind, everything else flows. Rows leave by success or by `redrive discard`.
create table worker.parked (
    id              bigint generated always as identity primary key,
    shard           smallint not null,
    lane            text not null,
    raw_seq         bigint not null,
    raw_index       integer,
    channel         text,
    account_id      text not null,
    conversation_id text,
    event_id        text,
    kind            text,
    traceparent     text,
    -- `failed`: could not be carried out. `behind`: waits for an earlier one of its lane.
    role            text not null check (role in ('failed', 'behind')),
    cause           text not null,
    last_error      text,
    attempts        integer not null default 0,
    parked_at       timestamptz not null default now(),
    -- When it is tried again; null: not by itself any more.
    retry_at        timestamptz,
    announced       boolean not null default false,
    -- Over the ids of the events: the same events are parked once, however often they are delivered.
    fingerprint     text not null,
    unique (raw_seq, lane),
    unique (lane, fingerprint)
);
create index parked_by_shard on worker.parked (shard, lane);
create index parked_by_lane on worker.parked (lane, raw_seq);
create index parked_unannounced on worker.parked (id) where not announced;

-- What operators gave up, with their reason.
create table worker.parked_discarded (
    id           bigint primary key,
    lane         text not null,
    reason       text not null,
    discarded_by text not null,
    discarded_at timestamptz not null default now()
);
