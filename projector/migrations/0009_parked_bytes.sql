-- Events set aside keep their bytes, whatever INBOX_EVENTS keeps (docs/decisions/35). They are looked up once, soon after.
alter table inbox_v1.parked
    add column looked  boolean not null default false,
    add column subject text,
    -- Byte for byte; null: INBOX_EVENTS had it no more when it was looked for.
    add column body    bytea;
create index parked_to_look_up on inbox_v1.parked (seq) where not looked;
