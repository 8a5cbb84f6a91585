-- When an account was last heard of by webhook, by Meta's webhook field; '' stands for all of them. A field of which nothing comes any more
-- shows that its subscription is gone, which a kind of event does not: some fields bring several kinds.
create table worker.account_heard (
    channel     text not null,
    account_id  text not null,
    field       text not null,
    first_at    timestamptz not null,
    last_at     timestamptz not null,
    -- The longest silence; it fades away, so that a rhythm is that of the last weeks.
    longest_gap interval not null default interval '0',
    -- How often something came after a pause: of a field that spoke once or twice no rhythm is known.
    spells      integer not null default 1,
    primary key (channel, account_id, field),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);

-- What is known by kind of event goes on as far as a kind names its field. `worker.account_seen` stays for the release before this one.
insert into worker.account_heard (channel, account_id, field, first_at, last_at, longest_gap, spells)
select s.channel, s.account_id, t.field, min(s.first_at), max(s.last_at), max(s.longest_gap), case t.field when '' then 5 else 1 end
  from worker.account_seen s
  join (values ('', '', null), ('message.received', 'messages', null), ('message.sent', 'messages', 'instagram'),
               ('message.sent', 'message_echoes', 'messenger'), ('message.read', 'messaging_seen', 'instagram'),
               ('message.read', 'message_reads', 'messenger'), ('message.delivered', 'message_deliveries', 'messenger'),
               ('message.reacted', 'message_reactions', null), ('postback.received', 'messaging_postbacks', null),
               ('comment.created', 'comments', 'instagram'), ('comment.created', 'feed', 'messenger'))
       as t (kind, field, channel) on t.kind = s.kind and coalesce(t.channel, s.channel) = s.channel
 group by s.channel, s.account_id, t.field;

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
       (select jsonb_object_agg(h.field, h.last_at) from worker.account_heard h
         where h.channel = a.channel and h.account_id = a.id and h.field <> '') as seen
  from worker.accounts a
  left join worker.pauses p on p.scope = 'account:' || a.channel || '/' || a.id and p.until > now()
  left join worker.account_policy ap on ap.channel = a.channel and ap.account_id = a.id
  left join worker.account_upkeep u on u.channel = a.channel and u.account_id = a.id;
