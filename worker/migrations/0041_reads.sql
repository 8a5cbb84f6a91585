-- What only reads Graph is few beside what is sent, and has places of its own.
drop index worker.commands_imports;
create index commands_reads on worker.commands (identity)
    where command in ('sync', 'media_sync', 'insights_refresh', 'template_status') and state = 'open';

-- A release before this one refused every conversion and kept what it said, perhaps with people's data in clear.
update worker.commands set data = 'null'
 where command = 'conversion_event' and state = 'failed' and error ->> 'code' in ('unsupported', 'invalid') and data <> 'null';

-- What of one person is erased: neither table had a way to it but all of the account.
create index facts_by_contact on worker.facts (channel, account_id, contact_id) where contact_id is not null;
create index messages_by_contact on worker.messages (channel, account_id, contact_id) where contact_id is not null;
