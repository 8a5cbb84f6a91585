-- What the other roles read of accounts and facts. The tables stay the worker's own.

-- Accounts without tokens, with their aliases and their automatic reply.
create view worker.account_list as
select a.channel, a.id, a.login, a.name, a.app, a.page_id, a.auto_reply, a.state, a.state_reason, a.state_since, a.added_at,
       array(select s.alias from worker.account_aliases s
              where s.channel = a.channel and s.account_id = a.id order by s.alias) as aliases
  from worker.accounts a;

-- Every id that an account goes by: its own, its linked Page's, its aliases.
create view worker.account_ids as
select channel, id as account_id, id as known_as from worker.accounts
 union all
select channel, id, page_id from worker.accounts where page_id is not null
 union all
select channel, account_id, alias from worker.account_aliases;

-- Where every published reading of an event stands in INBOX_EVENTS.
create view worker.event_positions as
select event_id, revision, event_seq from worker.facts;
