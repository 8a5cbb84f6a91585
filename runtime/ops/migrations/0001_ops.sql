-- What operators do: jobs that take long, and a record of every act that changes something.

create schema if not exists ops;

-- A job survives the process that works on it: what is done stands in `progress`, written in the transaction of the effect.
create table ops.jobs (
    id            text primary key,
    verb          text not null,
    -- Digest of verb and arguments: the same words go on with an unfinished job instead of starting over.
    fingerprint   text not null,
    arguments     jsonb not null,
    reason        text,
    started_by    text not null,
    -- A running job whose claim has lapsed was interrupted: whoever resumes it goes on from `progress`.
    state         text not null default 'running' check (state in ('running', 'paused', 'done', 'failed', 'cancelled')),
    wish          text check (wish in ('pause', 'cancel')),
    rate          double precision,
    progress      jsonb not null default '{}',
    result        jsonb,
    error         text,
    owner         text,
    epoch         bigint not null default 0,
    claimed_until timestamptz,
    created_at    timestamptz not null default clock_timestamp(),
    updated_at    timestamptz not null default clock_timestamp(),
    finished_at   timestamptz,
    check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null))
);
create unique index jobs_unfinished on ops.jobs (fingerprint) where state in ('running', 'paused');
create index jobs_by_age on ops.jobs (created_at desc);

-- Who did what, why, and what came of it. Arguments and results hold ids and counts, never a person's words.
create table ops.audit (
    id        bigint generated always as identity primary key,
    at        timestamptz not null default clock_timestamp(),
    who       text not null,
    verb      text not null,
    arguments jsonb not null,
    reason    text,
    job       text,
    result    jsonb
);
create index audit_by_age on ops.audit (at desc);
