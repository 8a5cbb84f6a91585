-- Names and handles of people, for searching (the API's `q`). A conversation's row changes with every message, and each change would write a
-- trigram index of names again; here a row changes only with the name. Kept by a trigger, so that a release before this one keeps it, too.
create table inbox_v1.names (
    conversation_id text collate "C" primary key,
    -- Name and handle, a line each.
    text            text not null
);

create function inbox_v1.keep_name() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        delete from inbox_v1.names where conversation_id = old.id;
    else
        insert into inbox_v1.names (conversation_id, text) values (new.id, concat_ws(e'\n', new.name, new.username))
            on conflict (conversation_id) do update set text = excluded.text;
    end if;
    return null;
end $$;
create trigger name_came after insert or delete on inbox_v1.conversations
    for each row execute function inbox_v1.keep_name();
create trigger name_changed after update on inbox_v1.conversations
    for each row when (old.name is distinct from new.name or old.username is distinct from new.username)
    execute function inbox_v1.keep_name();

insert into inbox_v1.names (conversation_id, text) select id, concat_ws(e'\n', name, username) from inbox_v1.conversations;
do $$
declare
    class text;
begin
    select quote_ident(n.nspname) || '.gin_trgm_ops' into class
      from pg_opclass o join pg_namespace n on n.oid = o.opcnamespace where o.opcname = 'gin_trgm_ops';
    if class is not null then
        execute 'create index names_text on inbox_v1.names using gin (text ' || class || ')';
    end if;
end $$;
analyze inbox_v1.names;

-- An account is asked for without its channel as often as with it, and an index that begins with the channel cannot be used then.
create index conversations_of_account on inbox_v1.conversations (account_id, last_message_at desc, id desc)
    where last_message_at is not null;
create index conversations_of_channel on inbox_v1.conversations (channel, last_message_at desc, id desc)
    where last_message_at is not null;
drop index inbox_v1.conversations_by_account;
create index conversations_archived on inbox_v1.conversations (last_message_at desc, id desc) where archived;
