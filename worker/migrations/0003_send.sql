-- Commands, the ledger of sends, and what the policy must know of a conversation. Rows of the ledger are kept for ever.

-- What a conversation tells the policy: written by the shard loops, every column moves by (time, event) only, so that order and
-- repetition of events do not matter.
create table worker.conversations (
    conversation_id    text primary key,
    channel            text not null,
    account_id         text not null,
    contact_id         text not null,
    opened_at          timestamptz,                 -- latest act of the person that opens the 24 h window
    opened_event       text,
    last_inbound_at    timestamptz,                 -- latest message of the person
    last_inbound_id    text,
    other_owns         boolean not null default false,  -- another app controls the thread
    owner_at           timestamptz,
    owner_event        text,
    others_replied_at  timestamptz                  -- latest message of the account that is none of ours
);
create index conversations_by_contact on worker.conversations (channel, account_id, contact_id);

-- What Meta enforces against an account: the latest notice by (time, event).
create table worker.account_policy (
    channel    text not null,
    account_id text not null,
    action     text not null,
    reason     text,
    time       timestamptz not null,
    event_id   text not null,
    primary key (channel, account_id)
);

-- Outbound messages and own comments as Meta tells them: evidence that a send took effect. One row per message, one claim per row.
create table worker.echoes (
    channel     text not null,
    account_id  text not null,
    item_id     text not null,
    kind        text not null check (kind in ('message', 'comment')),
    peer        text not null,                      -- contact; for comments the parent comment, media or post
    content     bytea not null,                     -- digest of the normalised content, never the content
    metadata    text,
    app_id      text,
    time        timestamptz not null,
    claimed_by  text,                               -- key of the part it is the effect of
    examined    boolean not null default false,     -- false: still to be compared with open parts
    examine_at  timestamptz not null default now(),
    seen_at     timestamptz not null default now(),
    primary key (channel, account_id, item_id)
);
create index echoes_to_examine on worker.echoes (examine_at) where not examined;
create index echoes_by_peer on worker.echoes (channel, account_id, peer, time) where claimed_by is null;

-- One row per command, for ever. The open ones are the queue.
create table worker.commands (
    identity          text primary key,             -- from channel, account and id; with `#<seq>` for a refused reuse of an id
    command_id        text not null,
    channel           text not null,
    account_id        text not null,
    contact_id        text,
    conversation_id   text,
    lane              text not null,                -- commands of one lane take effect in order, one at a time
    command           text not null,
    data              jsonb not null,
    body_digest       bytea not null,
    requester         text not null check (requester in ('person', 'automation')),
    requester_name    text not null,
    requested_at      timestamptz not null,
    caused_by         text,
    traceparent       text,
    stream_seq        bigint not null,
    state             text not null default 'open'
        check (state in ('open', 'sent', 'failed', 'partial', 'unknown')),
    due_at            timestamptz not null default now(),  -- next look; of a claimed command: when the claim lapses
    held              text                                 -- why it waits although nothing is in flight
        check (held in ('account_stopped', 'frozen', 'paused', 'parked', 'budget')),
    rule              text,
    error             jsonb,
    result            jsonb,
    version           bigint not null default 0,
    outcome_published boolean not null default false,
    created_at        timestamptz not null default now(),
    finished_at       timestamptz,
    check ((state = 'open') = (finished_at is null))
);
create index commands_due on worker.commands (channel, account_id, due_at) where state = 'open';
create index commands_held on worker.commands (held) where state = 'open' and held is not null;
create index commands_in_lane on worker.commands (lane, stream_seq) where state = 'open';
create index commands_parked on worker.commands (lane) where state = 'unknown';
create index commands_unpublished on worker.commands (finished_at) where state <> 'open' and not outcome_published;
create index commands_by_account on worker.commands (channel, account_id) where state in ('open', 'unknown');
create index commands_by_id on worker.commands (command_id);
create index commands_by_conversation on worker.commands (conversation_id, requested_at) where conversation_id is not null;

-- The effects of a command, in order. At most one part of a lane is in flight.
create table worker.parts (
    identity    text not null references worker.commands (identity),
    n           integer not null,
    lane        text not null,
    state       text not null default 'planned'
        check (state in ('planned', 'sending', 'sent', 'refused', 'failed', 'unknown', 'skipped')),
    payload     jsonb not null,                     -- what this part sends
    content     bytea not null,                     -- digest of the normalised content
    peer        text not null,                      -- as worker.echoes.peer
    attempt     integer not null default 0,         -- attempts whose request may have left
    refusals    integer not null default 0,         -- answers that said: not executed, later again
    worker      text,
    first_at    timestamptz,                        -- start of the first attempt
    started_at  timestamptz,                        -- start of the current one
    deadline    timestamptz,                        -- the request of the current attempt has ended by then
    lost        boolean not null default false,     -- the current attempt ended without an answer that tells
    uncertain   boolean not null default false,     -- some attempt did
    not_before  timestamptz,
    looks       integer not null default 0,         -- reads after the current attempt
    absent_at   timestamptz,                        -- first read of the current attempt that proves nothing is there
    message_id  text,
    sent_at     timestamptz,
    settled_by  text,                               -- answer, echo, read, person
    error       jsonb,
    answer      jsonb,                              -- Meta's last answer, ids and codes only
    primary key (identity, n),
    check ((state = 'sent') = (sent_at is not null)),
    check (state <> 'sending' or (worker is not null and started_at is not null and deadline is not null and attempt > 0)),
    check (deadline is null or started_at <= deadline)
);
create unique index parts_one_in_flight on worker.parts (lane) where state = 'sending';
create index parts_by_message on worker.parts (message_id) where message_id is not null;
create index parts_uncertain on worker.parts (lane) where uncertain and message_id is null;

create function worker.check_part_transition() returns trigger language plpgsql as $$
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
        when 'planned' then new.state in ('sending', 'failed', 'skipped')
        when 'sending' then new.state in ('sent', 'refused', 'failed', 'unknown')
        when 'refused' then new.state in ('sending', 'failed', 'sent', 'unknown')
        when 'unknown' then new.state in ('sent', 'failed')
        when 'failed'  then new.state = 'sent'
        else false
    end;
    if not legal then
        raise exception 'part %.%: % cannot become %', old.identity, old.n, old.state, new.state;
    end if;
    return new;
end $$;
create trigger part_transition before update on worker.parts
    for each row execute function worker.check_part_transition();

-- The outbound kill switch. Scope: `*`, `account:<channel>/<account>` or `conversation:<conversation id>`.
create table worker.freezes (
    scope     text primary key,
    frozen_by text not null,
    since     timestamptz not null default now()
);

-- Limits met: no send in this scope before `until`. Scope: `account:<channel>/<account>` or `app:<name>`.
create table worker.pauses (
    scope  text primary key,
    until  timestamptz not null,
    reason text not null
);

-- For the api: replies as `GET /v1/replies/{reply_id}` shows them.
create view worker.replies as
select c.command_id as reply_id, c.channel, c.account_id, c.contact_id, c.conversation_id,
       case
           when c.state <> 'open' then c.state
           when exists (select from worker.parts p where p.identity = c.identity and (p.state = 'sending' or p.attempt > 0))
               then 'sending'
           else 'queued'
       end as status,
       coalesce((select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                            'n', p.n, 'message_id', p.message_id, 'state',
                            case p.state when 'planned' then 'queued' when 'refused' then 'queued' else p.state end,
                            'sent_at', to_char(p.sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))) order by p.n)
                   from worker.parts p where p.identity = c.identity), '[]'::jsonb) as parts,
       c.error,
       coalesce((select sum(p.attempt)::int from worker.parts p where p.identity = c.identity), 0) as attempts,
       c.rule, c.requested_at, c.finished_at, c.data ->> 'text' as text,
       c.requester, c.requester_name, encode(c.body_digest, 'hex') as body_digest
  from worker.commands c
 where c.command = 'reply' and position('#' in c.identity) = 0;

-- For the api and `status`: accounts as far as sending is concerned, without their tokens.
create view worker.account_health as
select a.channel, a.id as account_id, a.name, a.login, a.page_id, a.state, a.state_reason, a.state_since, a.added_at, a.updated_at,
       p.until as paused_until, p.reason as pause_reason, ap.action as policy_action, ap.time as policy_since,
       exists (select from worker.freezes f where f.scope in ('*', 'account:' || a.channel || '/' || a.id)) as frozen,
       (select count(*) from worker.commands c
         where c.channel = a.channel and c.account_id = a.id and c.state = 'open') as commands_open,
       (select count(*) from worker.commands c
         where c.channel = a.channel and c.account_id = a.id and c.state = 'unknown') as commands_unknown
  from worker.accounts a
  left join worker.pauses p on p.scope = 'account:' || a.channel || '/' || a.id and p.until > now()
  left join worker.account_policy ap on ap.channel = a.channel and ap.account_id = a.id;
