-- Outgoing webhooks: what the deliveries of each endpoint have come to. The definitions are the api's (`api.endpoint_definitions`), the position
-- of each endpoint is in `worker.positions` under `endpoint:<id>`.

-- Every transaction about an endpoint updates its row first, so they come one after the other.
create table worker.endpoint_states (
    endpoint_id     text primary key,
    -- `failing`: nothing was delivered for many requests; its position stands and single requests look whether it works again.
    -- `disabled`: the receiver answered 410; until somebody resumes it.
    state           text not null default 'active' check (state in ('active', 'failing', 'disabled')),
    failing_since   timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    -- A class of error, never what the receiver wrote.
    last_error      text,
    -- When the broker stored the last event that was delivered or held: a stream that was made anew or put back is read from there.
    reached_at      timestamptz,
    -- Counters of the definition that have taken effect.
    changes_seen    bigint not null default 0,
    resumes_seen    bigint not null default 0,
    replay_done     bigint not null default 0
);

-- Events that were not delivered, in the order of their lane. No content: the event is read from the stream by its position.
create table worker.endpoint_held (
    endpoint_id text not null,
    sequence    bigint not null,
    lane        text not null,
    webhook_id  text not null,
    stored_at   timestamptz not null,
    primary key (endpoint_id, sequence)
);
create index endpoint_held_by_lane on worker.endpoint_held (endpoint_id, lane, sequence);

-- Lanes with held events: when the first of each is tried again.
create table worker.endpoint_lanes (
    endpoint_id text not null,
    lane        text not null,
    attempts    integer not null default 0,
    retry_at    timestamptz not null,
    last_error  text,
    primary key (endpoint_id, lane)
);
create index endpoint_lanes_due on worker.endpoint_lanes (endpoint_id, retry_at);

-- For the api and `status`.
create view worker.endpoint_status as
select s.endpoint_id, s.state, s.failing_since, s.last_success_at, s.last_failure_at, s.last_error, s.replay_done,
       (select count(*) from worker.endpoint_held h where h.endpoint_id = s.endpoint_id) as held,
       (select min(h.stored_at) from worker.endpoint_held h where h.endpoint_id = s.endpoint_id) as oldest_held_at,
       (select p.seq from worker.positions p where p.name = 'endpoint:' || s.endpoint_id) as position
  from worker.endpoint_states s;
