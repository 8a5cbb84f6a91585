where not c.blocked
  and ($1::text is null or c.channel = $1)
  and ($2::text[] is null or case cardinality($2) when 1 then c.account_id = ($2)[1] else c.account_id = any($2) end)
  and c.archived = $3
  and ($4::boolean is not true or c.unread_count > 0)
  and ($4::boolean is not false or c.unread_count = 0)
  and ($5::text is null or case when $5 = '' then c.assigned_to is null else c.assigned_to = $5 end)
  and ($6::text is null or exists (select from inbox.labels l where l.conversation_id = c.id and l.name = $6))
  and coalesce(c.snoozed_until > now(), false) = $7
