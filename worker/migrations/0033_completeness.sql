-- Whether the log has what Graph shows (docs/decisions/49).
create table worker.completeness (
    channel       text not null,
    account_id    text not null,
    -- Messages made before are compared.
    compared_to   timestamptz not null,
    -- What was made before is nobody's promise: the account was not connected.
    watched_from  timestamptz not null,
    -- An operator wants it compared from here on once more.
    look_from     timestamptz,
    -- Conversations per call.
    page          integer not null,
    -- When a comparison last came to its end; why the one after it did not, in Meta's numbers.
    looked_at     timestamptz,
    error         text,
    -- The webhook field by which nothing comes although Graph shows messages, and since when.
    lost_field    text,
    lost_since    timestamptz,
    due_at        timestamptz not null,
    claimed_by    text,
    claimed_until timestamptz,
    primary key (channel, account_id),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);
create index completeness_due on worker.completeness (due_at);

-- Messages that Graph has shown, by the hour in which they were made.
create table worker.completeness_hours (
    channel    text not null,
    account_id text not null,
    hour       timestamptz not null,
    shown      bigint not null,
    primary key (channel, account_id, hour),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);

-- Those of them that the log did not have.
create table worker.completeness_gaps (
    channel    text not null,
    account_id text not null,
    message_id text not null,
    hour       timestamptz not null,
    outcome    text not null check (outcome in ('healed', 'unreachable')),
    -- Found when its hour was counted already.
    late       boolean not null,
    found_at   timestamptz not null default now(),
    primary key (channel, account_id, message_id),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);
create index completeness_gaps_hour on worker.completeness_gaps (channel, account_id, hour);

-- Published: figures by account and hour, and how each account stands.
-- While a comparison is under way, what it has found missing is there before what it was shown.
create view worker.completeness_figures as
select one.channel, one.account_id, one.hour, greatest(sum(one.shown), sum(one.healed) + sum(one.unreachable))::bigint as shown,
       greatest(sum(one.shown) - sum(one.healed) - sum(one.unreachable), 0)::bigint as known,
       sum(one.healed)::bigint as healed, sum(one.unreachable)::bigint as unreachable
  from (select h.channel, h.account_id, h.hour, h.shown, 0 as healed, 0 as unreachable from worker.completeness_hours h
         union all
        select g.channel, g.account_id, g.hour, g.late::int, (g.outcome = 'healed')::int, (g.outcome = 'unreachable')::int
          from worker.completeness_gaps g) one
 group by one.channel, one.account_id, one.hour;

create view worker.completeness_standing as
select c.channel, c.account_id, c.compared_to, c.looked_at, c.error, c.lost_field, c.lost_since, c.due_at
  from worker.completeness c;
