-- Searching in texts (the API's `q`). The index needs the extension pg_trgm, which comes with Postgres and which the owner of a database may
-- create. Without it searches still work, by reading the messages; `create extension pg_trgm` and this index make them quick.
do $$
declare
    class text;
begin
    begin
        create extension if not exists pg_trgm;
    exception when others then
        raise warning 'pg_trgm cannot be created (%), so searches have no index', sqlerrm;
    end;
    select quote_ident(n.nspname) || '.gin_trgm_ops' into class
      from pg_opclass o join pg_namespace n on n.oid = o.opcnamespace where o.opcname = 'gin_trgm_ops';
    if class is not null then
        execute 'create index messages_text on inbox_v1.messages using gin (text ' || class || ') where not hidden';
    end if;
end $$;
