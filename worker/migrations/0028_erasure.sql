-- Erasures (docs/decisions/43): what is not to return, what is still to be done, and where redacted bodies stand now.

-- Of the rule about a person, whose id says nothing about them: what they did up to then is refused.
alter table worker.withdrawn add column erased_until timestamptz;

-- Of a request for deletion until it is decided whose data it is about: the person, and where it stands in META_RAW. All webhooks before it are
-- read first, since one of them may be theirs.
alter table worker.callbacks
    add column person  text,
    add column raw_era smallint,
    add column raw_seq bigint;
create index callbacks_undecided on worker.callbacks (raw_seq) where person is not null;

-- What is to be erased, by whose wish, and how far that is. Once it is done, it does not say any more whom or what it was about.
create table worker.erasures (
    id          text primary key,
    channel     text not null,
    account_id  text not null,
    -- A person or some messages; neither once it is done.
    contact_id  text,
    message_ids text[],
    -- Acts of the person up to then.
    until       timestamptz not null,
    reason      text not null,
    asked_by    text not null,
    -- The request for deletion that it belongs to.
    callback    bytea references worker.callbacks (id),
    created_at  timestamptz not null default now(),
    step        text not null default 'rule',
    -- How far the step has come in its stream.
    position    bigint not null default 0,
    -- What was erased, by store.
    counts      jsonb not null default '{}',
    -- Why it waits, without anybody's words.
    waits_for   text,
    looked_at   timestamptz,
    finished_at timestamptz,
    check (finished_at is not null or contact_id is not null or message_ids is not null)
);
create index erasures_open on worker.erasures (created_at) where finished_at is null;
create index erasures_by_callback on worker.erasures (callback) where callback is not null;

-- Raw webhooks that came, or came again, with something that was erased: they are redacted next.
create table worker.erase_raws (
    raw_era smallint not null,
    raw_seq bigint not null,
    primary key (raw_era, raw_seq)
);

-- Where a raw webhook stands that was stored again without erased items. Everywhere else it keeps the position that it had at first.
create table worker.redacted_raws (
    raw_era smallint not null,
    raw_seq bigint not null,
    now_seq bigint not null,
    primary key (raw_era, raw_seq)
);

-- Messages that were unsent, whose content is to be erased after a while. Written so that no other statement takes it for its own.
create index facts_unsent on worker.facts (recorded_at) where left(kind, 15) = 'message.deleted';

-- What was sent to a person who was erased has no id any more.
create or replace function worker.check_part_transition() returns trigger language plpgsql as $$
declare
    legal boolean;
begin
    if new.attempt < old.attempt then
        raise exception 'part %.%: attempts never go down', old.identity, old.n;
    end if;
    if new.state = old.state then
        if old.state = 'sent' and new.message_id <> old.message_id then
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
