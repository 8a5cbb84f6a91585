-- What the api lists of replies, and what it must know to say what the policy says now.

-- As before, with the state as the ledger has it and why it waits: a list by state finds its index.
create or replace view worker.replies as
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
       c.requester, c.requester_name, encode(c.body_digest, 'hex') as body_digest,
       c.state, case when c.state = 'open' then c.held end as held, c.identity
  from worker.commands c
 where c.command = 'reply' and position('#' in c.identity) = 0;

-- Replies that have not ended, and those of unknown outcome: few beside those that were sent.
create index commands_replies_left on worker.commands (requested_at, identity)
    where command = 'reply' and state in ('open', 'unknown');

-- What the policy knows of a conversation.
create view worker.conversation_policy as
select v.conversation_id, v.channel, v.account_id, v.contact_id, v.opened_at, v.other_owns, v.others_replied_at,
       coalesce(v.unreachable_at > coalesce(v.opened_at, '-infinity'), false) as unreachable
  from worker.conversations v;

-- What stops sending: freezes by their scope, and `behind` while the ledger is behind the log of attempts.
create view worker.send_stops as
select f.scope from worker.freezes f
 union all
select 'behind' from worker.behind_log;

-- What the normaliser has parked, without its bytes.
create view worker.dead_list as
select p.id, p.lane, p.raw_era, p.raw_seq, p.channel, p.account_id, p.conversation_id, p.event_id, p.kind, p.role, p.cause, p.last_error,
       p.attempts, p.parked_at, p.retry_at
  from worker.parked p;

-- Sender-less items that wait, without what they said.
create view worker.waiting_list as
select w.channel, w.account_id, w.message_id, w.num_edit, w.state, w.attempts, w.due_at, w.received_at, w.time
  from worker.waiting w where w.state <> 'resolved';
