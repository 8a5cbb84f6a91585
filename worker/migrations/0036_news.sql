-- Of every conversation the position in INBOX_EVENTS of the last event by which a reply that was based on an earlier one is overtaken: a
-- message, tap, edit or unsend of the person, or a reply of a person or another app (docs/decisions/51).
create table worker.news (
    conversation_id text primary key,
    -- The number of the era of INBOX_EVENTS.
    event_era       smallint not null,
    event_seq       bigint not null
);

-- What was recorded before this table is no news to anybody: whoever gives a position has read it from this release on.

-- A reply that may not be sent before a time waits for it. Rows that are there hold the narrower rule, so they need no look.
alter table worker.commands drop constraint commands_held_check;
alter table worker.commands add constraint commands_held_check
    check (held in ('account_stopped', 'frozen', 'paused', 'parked', 'budget', 'scheduled')) not valid;
