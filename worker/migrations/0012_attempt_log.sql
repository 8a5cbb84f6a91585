-- Attempts are known outside Postgres before Meta is asked: what this ledger knows of INBOX_ATTEMPTS, and what it has learnt from it.

-- The last position of each subject of INBOX_ATTEMPTS that this ledger knows: its mark. An attempt is logged only behind its mark.
create table worker.attempt_log (
    shard          smallint primary key check (shard between 0 and 7),
    stream_created timestamptz,
    seq            bigint not null default 0
);
insert into worker.attempt_log (shard) select generate_series(0, 7);

-- Attempts that the log has and the ledger did not: the part may have been sent, whatever its row says.
create table worker.logged_attempts (
    identity   text not null,                      -- of the command, which may not be here yet
    n          integer not null,
    attempt    integer not null,                   -- the last of them
    first_at   timestamptz not null,               -- start of the first of them
    started_at timestamptz not null,
    deadline   timestamptz not null,
    logged_at  timestamptz not null default now(), -- when the ledger learnt of it
    primary key (identity, n)
);

-- One row while the ledger is known to be behind the log: nothing is sent.
create table worker.behind_log (
    one              boolean primary key default true check (one),
    since            timestamptz not null default now(),
    attempts         bigint not null,              -- learnt from the log
    commands_created timestamptz,                  -- of INBOX_COMMANDS
    commands_seq     bigint not null,              -- its last command then: the intake must have come so far
    outcomes_from    timestamptz,                  -- outcomes stored from then on are looked for; null: all
    outcomes_sought  boolean not null default false
);

-- A part may turn out to have been sent, or to have ended, although this ledger never attempted it.
create or replace function worker.check_part_transition() returns trigger language plpgsql as $$
declare
    legal boolean;
begin
    if new.attempt < old.attempt then
        raise exception 'part %.%: attempts never go down', old.identity, old.n;
    end if;
    if new.state = old.state then
        if old.state = 'sent' and new.message_id is distinct from old.message_id and old.message_id is not null then
            raise exception 'part %.% is sent as another message already', old.identity, old.n;
        end if;
        return new;
    end if;
    legal := case old.state
        when 'planned' then new.state in ('sending', 'failed', 'skipped', 'sent', 'unknown')
        when 'sending' then new.state in ('sent', 'refused', 'failed', 'unknown')
        when 'refused' then new.state in ('sending', 'failed', 'sent', 'unknown')
        when 'unknown' then new.state in ('sent', 'failed')
        when 'failed'  then new.state = 'sent'
        when 'skipped' then new.state = 'sent'
        else false
    end;
    if not legal then
        raise exception 'part %.%: % cannot become %', old.identity, old.n, old.state, new.state;
    end if;
    return new;
end $$;
