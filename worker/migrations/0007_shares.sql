-- Profiles are claimed by account, so that a slow one holds up no other.
create index contacts_due_by_account on worker.contacts (channel, account_id, due_at) where due_at is not null;
