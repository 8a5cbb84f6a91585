-- What the api and `hookline` must know of sending beside replies, and blocks that a warning does not lift.

-- A `warning` after a `block` changes nothing: whether Meta blocks the account is its own value, moved by `block` and `unblock` only, by
-- (time, event) like everything told by events.
alter table worker.account_policy
    add column blocked     boolean not null default false,
    add column ruled_at    timestamptz,
    add column ruled_event text;
update worker.account_policy
   set blocked = action = 'block', ruled_at = time, ruled_event = event_id
 where action in ('block', 'unblock');

-- Meta said that the person cannot be reached (they block the account, or are gone). It holds until they act again.
alter table worker.conversations add column unreachable_at timestamptz;

-- For `status`: refusals of the last day without a walk through the whole ledger.
create index commands_refused on worker.commands (finished_at) where state in ('failed', 'partial');

-- For the api: where every command but a reply stands, and what came of it. A refused reuse of an id has an outcome event, but does not
-- hide the command that has the id.
create view worker.command_outcomes as
select c.command_id, c.channel, c.account_id, c.command,
       case c.state when 'open' then 'queued' when 'sent' then 'done' when 'partial' then 'failed' else c.state end as status,
       case when c.state <> 'open' then c.result end as result,
       case when c.state <> 'sent' then c.error end as error,
       c.requested_at, c.finished_at
  from worker.commands c
 where c.command <> 'reply' and position('#' in c.identity) = 0;

-- As before, with whether Meta blocks the account.
create or replace view worker.account_health as
select a.channel, a.id as account_id, a.name, a.login, a.page_id, a.state, a.state_reason, a.state_since, a.added_at, a.updated_at,
       p.until as paused_until, p.reason as pause_reason, ap.action as policy_action, ap.time as policy_since,
       exists (select from worker.freezes f where f.scope in ('*', 'account:' || a.channel || '/' || a.id)) as frozen,
       (select count(*) from worker.commands c
         where c.channel = a.channel and c.account_id = a.id and c.state = 'open') as commands_open,
       (select count(*) from worker.commands c
         where c.channel = a.channel and c.account_id = a.id and c.state = 'unknown') as commands_unknown,
       coalesce(ap.blocked, false) as blocked_by_meta
  from worker.accounts a
  left join worker.pauses p on p.scope = 'account:' || a.channel || '/' || a.id and p.until > now()
  left join worker.account_policy ap on ap.channel = a.channel and ap.account_id = a.id;
