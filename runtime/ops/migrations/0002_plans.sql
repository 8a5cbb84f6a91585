-- What an act would do, counted before it is done: the act names the plan, and is refused where the plan is old or counts something else by now.
create table ops.plans (
    id        text primary key,
    -- The act, such as `redrive run`.
    act       text not null,
    arguments jsonb not null,
    counts    jsonb not null,
    -- Of everything that was counted.
    digest    text not null,
    made_by   text not null,
    made_at   timestamptz not null default clock_timestamp(),
    -- The job that carries it out.
    job       text
);
create index plans_by_age on ops.plans (made_at);
