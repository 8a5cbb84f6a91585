-- Outgoing webhooks: who gets events by HTTP. Secrets are sealed under ENCRYPTION_KEY.

create table api.endpoints (
    id              text primary key,
    url             text not null,
    description     text,
    -- None stands for all.
    kinds           text[] not null default '{}',
    accounts        text[] not null default '{}',
    secret          bytea not null,
    -- Signs too while it is rotated out.
    previous_secret bytea,
    previous_until  timestamptz,
    paused          boolean not null default false,
    created_at      timestamptz not null default clock_timestamp(),
    created_by      text not null,
    -- Counted up with every change: whoever delivers sees that there is one.
    changes         bigint not null default 0,
    resumes         bigint not null default 0,
    replay_from     timestamptz,
    replay_asked    bigint not null default 0
);
create index endpoints_by_time on api.endpoints (created_at, id);

-- For the worker, which delivers.
create view api.endpoint_definitions as
select id, url, kinds, accounts, secret, previous_secret, previous_until, paused, created_at, changes, resumes, replay_from, replay_asked
  from api.endpoints;
