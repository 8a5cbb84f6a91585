-- For `hookline trace`: from a bare id to everything that follows from it, without knowing the account. Not `concurrently`: that waits for
-- every transaction, and processes that wait for their turn to migrate are in one, so it would wait for ever.
create index if not exists facts_by_message_alone on worker.facts (message_id) where message_id is not null;
create index if not exists waiting_by_message on worker.waiting (message_id);
create index if not exists parked_by_event on worker.parked (event_id) where event_id is not null;
create index if not exists commands_by_cause on worker.commands (caused_by) where caused_by is not null;
create index if not exists echoes_by_claim on worker.echoes (claimed_by) where claimed_by is not null;
