-- What keeps an account connected: how its token stands, which webhook fields Meta granted, and callbacks by which a person takes the app away.

-- Disconnected: the token is destroyed and nothing is sent any more; history stays, and `accounts add` connects it again.
alter table worker.accounts drop constraint accounts_state_check;
alter table worker.accounts add constraint accounts_state_check check (state in ('active', 'stopped', 'disconnected'));

create table worker.account_upkeep (
    channel          text not null,
    account_id       text not null,
    -- When the token was stored, and when it ends: null is not known, or never.
    token_since      timestamptz not null default now(),
    token_ends       timestamptz,
    -- When a person connected the account: a refreshed token belongs to the same connection.
    connected_at     timestamptz not null default now(),
    -- The last time Meta accepted it, and what it shows: granted scopes and the app-scoped id of the person who connected.
    looked_at        timestamptz,
    scopes           text[],
    -- What is not granted, and what does not work without it.
    scopes_missing   jsonb,
    person           text,
    -- Tries since the last success; errors are numbers, no words.
    look_tries       integer not null default 0,
    look_tried_at    timestamptz,
    look_error       text,
    refresh_tries    integer not null default 0,
    refresh_tried_at timestamptz,
    refresh_error    text,
    refreshed_at     timestamptz,
    -- A new token, sealed, that has not answered yet. The token of the account stays until it has.
    next_token       bytea,
    next_token_ends  timestamptz,
    due_at           timestamptz not null default now(),
    primary key (channel, account_id),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);
create index account_upkeep_due on worker.account_upkeep (due_at);
insert into worker.account_upkeep (channel, account_id, token_since, connected_at, due_at)
select channel, id, updated_at, updated_at, now() + interval '1 minute' from worker.accounts;

-- Webhook fields as Meta has them: `subscribed`, `refused` with its numbers, or `missing` although Meta took them.
create table worker.account_fields (
    channel    text not null,
    account_id text not null,
    object     text not null check (object in ('instagram', 'page')),
    field      text not null,
    state      text not null check (state in ('subscribed', 'refused', 'missing')),
    code       bigint,
    subcode    bigint,
    costs      text,
    since      timestamptz not null default now(),
    primary key (channel, account_id, object, field),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);

-- When an account was last heard of by webhook, by kind of event; '' stands for all of them. The longest silence fades away, so that an
-- account's rhythm is what it was in the last weeks.
create table worker.account_seen (
    channel     text not null,
    account_id  text not null,
    kind        text not null,
    first_at    timestamptz not null,
    last_at     timestamptz not null,
    longest_gap interval not null default interval '0',
    primary key (channel, account_id, kind),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);
-- Up to which position of META_RAW facts are counted in.
create table worker.seen_up_to (
    only_row boolean primary key default true check (only_row),
    raw_era  smallint not null,
    raw_seq  bigint not null
);
insert into worker.seen_up_to (raw_era, raw_seq) values (0, 0);

-- For the api: accounts as far as sending and upkeep are concerned, without their tokens.
create or replace view worker.account_health as
select a.channel, a.id as account_id, a.name, a.login, a.page_id, a.state, a.state_reason, a.state_since, a.added_at, a.updated_at,
       p.until as paused_until, p.reason as pause_reason, ap.action as policy_action, ap.time as policy_since,
       exists (select from worker.freezes f where f.scope in ('*', 'account:' || a.channel || '/' || a.id)) as frozen,
       (select count(*) from worker.commands c
         where c.channel = a.channel and c.account_id = a.id and c.state = 'open') as commands_open,
       (select count(*) from worker.commands c
         where c.channel = a.channel and c.account_id = a.id and c.state = 'unknown') as commands_unknown,
       coalesce(ap.blocked, false) as blocked_by_meta,
       a.handle, u.token_since, u.token_ends, u.looked_at as token_accepted_at, u.look_error, u.refreshed_at, u.refresh_tries,
       u.refresh_error, u.scopes, u.scopes_missing,
       (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                   'object', f.object, 'field', f.field, 'state', f.state, 'code', f.code, 'subcode', f.subcode, 'costs', f.costs))
                   order by f.object, f.field)
          from worker.account_fields f where f.channel = a.channel and f.account_id = a.id) as fields,
       (select jsonb_object_agg(s.kind, s.last_at) from worker.account_seen s
         where s.channel = a.channel and s.account_id = a.id and s.kind <> '') as seen
  from worker.accounts a
  left join worker.pauses p on p.scope = 'account:' || a.channel || '/' || a.id and p.until > now()
  left join worker.account_policy ap on ap.channel = a.channel and ap.account_id = a.id
  left join worker.account_upkeep u on u.channel = a.channel and u.account_id = a.id;
