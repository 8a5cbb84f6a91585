-- Every stream has an era, its identity: made with it, kept by a backup. Beside every stored position stands its era, and positions of
-- different eras are never compared. Tables with few rows have the era itself; the others have a number out of `worker.stream_eras`.
-- The time a stream was made (`stream_created`) stood for it until now: the eras of streams from before follow from it, by the same
-- rule as in `runtime::streams::Era::derived`. Those columns are written no more, for the release before this one still reads them.

-- The eras of each stream, in the order in which they were declared; the last counts. Number 0 is the first that was known.
create table worker.stream_eras (
    stream      text not null,
    n           smallint not null check (n >= 0),
    era         text not null,
    declared_at timestamptz not null default now(),
    primary key (stream, n)
);

create function worker.era_of_created(stream text, created timestamptz) returns text language sql immutable strict as $$
    select left(encode(sha256(convert_to('hookline-era/' || stream || '/' || floor(extract(epoch from created) * 1000)::bigint, 'UTF8')),
                       'hex'), 32)
$$;

alter table worker.positions
    add column era        text,
    -- When the broker stored the message at the position `stored_seq`: a stream that was put back to before it has another one there, or
    -- none. The release before this one moves the position without it.
    add column stored_at  timestamptz,
    add column stored_seq bigint;
update worker.positions set era = worker.era_of_created(stream, stream_created);

alter table worker.intake
    add column era       text,
    add column stored_at timestamptz;
update worker.intake set era = worker.era_of_created('INBOX_COMMANDS', stream_created);

alter table worker.attempt_log add column era text;
update worker.attempt_log set era = worker.era_of_created('INBOX_ATTEMPTS', stream_created);

alter table worker.behind_log add column commands_era text;
update worker.behind_log set commands_era = worker.era_of_created('INBOX_COMMANDS', commands_created);

insert into worker.stream_eras (stream, n, era)
select distinct on (stream) stream, 0, era
  from (select stream, era, seq from worker.positions
         union all select 'INBOX_COMMANDS', era, seq from worker.intake
         union all select 'INBOX_ATTEMPTS', era, seq from worker.attempt_log) known
 where era is not null
 order by stream, seq desc;

drop function worker.era_of_created;

-- Of META_RAW or, where an event came of a command, of INBOX_COMMANDS; and of INBOX_EVENTS.
alter table worker.facts
    add column raw_era   smallint not null default 0,
    add column event_era smallint not null default 0;
alter table worker.reports
    add column raw_era smallint not null default 0,
    drop constraint reports_pkey,
    add primary key (event_id, raw_era, raw_seq, raw_index);
alter table worker.found_outcomes add column event_era smallint not null default 0;
alter table worker.waiting add column raw_era smallint not null default 0;

alter table worker.parked add column raw_era smallint not null default 0;
alter table worker.parked drop constraint parked_raw_seq_lane_key;
alter table worker.parked add constraint parked_raw_of_lane unique (raw_era, raw_seq, lane);
drop index worker.parked_by_lane;
create index parked_by_lane on worker.parked (lane, raw_era, raw_seq);

-- A command of a later era comes after those of an earlier one, whatever their numbers.
alter table worker.commands add column stream_era smallint not null default 0;
drop index worker.commands_in_lane;
create index commands_in_lane on worker.commands (lane, stream_era, stream_seq) where state = 'open';

-- For the other roles: which era of each stream the worker's positions are of.
create view worker.eras as
select distinct on (stream) stream, era, n, declared_at from worker.stream_eras order by stream, n desc;

-- As before, with the era of the position: only positions of the last one are in INBOX_EVENTS as it is.
create or replace view worker.event_positions as
select event_id, revision, event_seq, event_era from worker.facts;
