-- How far an empty database has been filled from the streams again (docs/decisions/34). One row from the first time `hookline recover` begins;
-- while it is not finished, no worker works on this database.
create table worker.recovery (
    one         boolean primary key default true check (one),
    began_at    timestamptz not null default now(),
    -- What is being read: the stages follow each other, and each has a position in its stream.
    stage       text not null,
    position    bigint not null default 0,
    -- What was found so far: counts and, of META_RAW, where its readers go on.
    done        jsonb not null,
    finished_at timestamptz
);
