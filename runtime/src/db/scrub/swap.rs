//! The copy takes the place of the table.

use sqlx::PgConnection;

/// Puts the copy in the place of the table, which is dropped. Readers of views and of the table by name go on with the copy.
/// `hookline.scrub` is the new table then. The caller has locked the table and brought the copy up to date.
pub(super) async fn swap(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(SWAP).execute(conn).await.map(|_| ())
}

const SWAP: &str = "do $do$
declare
    t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
    s text := (select relnamespace::regnamespace::text from pg_class where oid = t);
    called text := (select relname from pg_class where oid = t);
    mine text := 'scrub_' || t;
    fresh oid := to_regclass(s || '.' || quote_ident(mine));
    owned_by oid := (select relowner from pg_class where oid = t);
    -- What is done before the table is dropped, and after it. Both are composed as long as the catalogue names the old table.
    views text[] := '{}';
    drops text[] := '{}';
    afters text[] := '{}';
    one record;
    done text;
begin
    if t is null then return; end if;
    for one in
        select distinct v.oid::regclass as view, v.reloptions as options, pg_get_viewdef(v.oid) as query from pg_depend d
          join pg_rewrite r on r.oid = d.objid join pg_class v on v.oid = r.ev_class
         where d.classid = 'pg_rewrite'::regclass and d.refobjid = t and d.refclassid = 'pg_class'::regclass and v.relkind = 'v'
    loop
        views := views || format('create or replace view %s %s as %s', one.view,
            case when one.options is not null then 'with (' || array_to_string(one.options, ', ') || ')' else '' end, one.query);
    end loop;
    for one in select conrelid::regclass as child, conname, pg_get_constraintdef(oid) as definition, convalidated
                 from pg_constraint where contype = 'f' and (confrelid = t or conrelid = t)
    loop
        drops := drops || format('alter table %s drop constraint %I', one.child, one.conname);
        -- Rows were checked as they came, and are again after the swap: not while the table is locked.
        afters := afters || format('alter table %s add constraint %I %s %s', one.child, one.conname, one.definition,
            case when one.convalidated then 'not valid' else '' end);
    end loop;
    for one in select pg_get_triggerdef(oid) as definition from pg_trigger
                where tgrelid = t and not tgisinternal and tgname not in (mine, mine || '_none')
    loop
        afters := afters || one.definition;
    end loop;
    for one in select i.indexrelid as id, c.relname from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = t
    loop
        afters := afters || format('alter index %s.%I rename to %I', s, 'scrub_' || one.id, one.relname);
    end loop;
    for one in select q.relname, pg_get_serial_sequence(t::regclass::text, a.attname) as counted,
                      pg_get_serial_sequence(fresh::regclass::text, a.attname) as counts
                 from pg_attribute a
                 join pg_class q on q.oid = pg_get_serial_sequence(t::regclass::text, a.attname)::regclass
                where a.attrelid = t and a.attidentity <> ''
    loop
        execute format('select setval(%L, last_value, is_called) from %s', one.counts, one.counted);
        afters := afters || format('alter sequence %s rename to %I', one.counts, one.relname);
    end loop;
    for one in select distinct case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end as who
                 from pg_class, aclexplode(relacl) where oid = fresh and grantee <> owned_by
    loop
        afters := afters || format('revoke all on %s.%I from %s', s, called, one.who);
    end loop;
    for one in select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end as who, privilege_type,
                      is_grantable from pg_class, aclexplode(relacl) where oid = t and grantee <> owned_by
    loop
        afters := afters || format('grant %s on %s.%I to %s %s', one.privilege_type, s, called, one.who,
            case when one.is_grantable then 'with grant option' else '' end);
    end loop;
    for one in select unnest(reloptions) as option from pg_class where oid = t
                union all
               select 'toast.' || unnest(c.reloptions) from pg_class p join pg_class c on c.oid = p.reltoastrelid where p.oid = t
    loop
        afters := afters || format('alter table %s.%I set (%s)', s, called, one.option);
    end loop;
    afters := afters || format('comment on table %s.%I is %L', s, called, obj_description(t, 'pg_class'));

    foreach done in array drops loop execute done; end loop;
    execute format('alter table %s.%I rename to %I', s, called, mine || '_old');
    execute format('alter table %s.%I rename to %I', s, mine, called);
    execute format('alter table %s.%I reset (autovacuum_enabled)', s, called);
    foreach done in array views loop execute done; end loop;
    -- Without `cascade`: what we do not know of is not lost.
    execute format('drop table %s.%I, %s.%I', s, mine || '_old', s, mine || '_log');
    execute format('drop function %s.%I', s, mine);
    foreach done in array afters loop execute done; end loop;
    perform set_config('hookline.scrub', fresh::text, false);
end $do$";

/// Checks foreign keys again that the swap made anew; readers and writers go on.
pub(super) async fn validate(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $do$
        declare
            t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
            one record;
        begin
            if t is null then return; end if;
            for one in select conrelid::regclass as child, conname from pg_constraint
                        where contype = 'f' and (confrelid = t or conrelid = t) and not convalidated
            loop
                execute format('alter table %s validate constraint %I', one.child, one.conname);
            end loop;
            execute format('analyze %s', t::regclass);
        end $do$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}
