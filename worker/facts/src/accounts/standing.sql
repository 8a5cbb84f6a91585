select a.channel, a.id, a.login, a.state = 'active' as active, a.state = 'disconnected' as disconnected, u.token_since, u.token_ends,
       u.looked_at, u.look_tries, u.look_tried_at, u.refresh_tries, u.refresh_tried_at, u.next_token is not null as has_next
  from worker.account_upkeep u
  join worker.accounts a on a.channel = u.channel and a.id = u.account_id
