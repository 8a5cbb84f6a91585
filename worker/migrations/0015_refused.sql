-- For the api: commands that were refused beside the one of their id, or without one: malformed, or a reused id. `worker.replies` and
-- `worker.command_outcomes` do not show them.
create view worker.refused_commands as
select c.command_id, c.channel, c.account_id, c.command, c.error, c.requested_at, c.finished_at
  from worker.commands c
 where position('#' in c.identity) > 0 and c.finished_at is not null;
