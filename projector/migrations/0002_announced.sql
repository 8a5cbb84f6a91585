-- Whose event was set aside, and whether INBOX_DEAD has been told.
alter table inbox_v1.parked
    add column channel    text,
    add column account_id text not null default '',
    add column announced  boolean not null default false;
create index parked_unannounced on inbox_v1.parked (seq) where not announced;
