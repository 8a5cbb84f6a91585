-- What keeps a lost ledger from sending everything again.

-- How far INBOX_COMMANDS was ever taken over. A command up to there that has no row in the ledger was taken over by a ledger that is lost:
-- it is never attempted again.
create table worker.intake (
    one            boolean primary key default true check (one),
    stream_created timestamptz,
    seq            bigint not null
);
insert into worker.intake (stream_created, seq)
select stream_created, seq from worker.positions where name = 'commands';

-- Outcomes that INBOX_EVENTS holds although this database has never told them: read once, when the ledger is made anew.
create table worker.found_outcomes (
    event_id  text primary key,
    event_seq bigint not null
);
