//! The steps on one table, as blocks that compose their statements from the catalogue: names of tables, columns and indexes are no parameters.
//!
//! The settings of the session say what they work on: `hookline.scrub` is the oid of the table, `hookline.scrub_index` that of an index,
//! `hookline.scrub_from` and `hookline.scrub_until` are pages. Without them a block does nothing.

use sqlx::PgConnection;

/// Drops what an earlier run left.
pub(super) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $do$
        declare
            t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
            s text := (select relnamespace::regnamespace::text from pg_class where oid = t);
            mine text := 'scrub_' || t;
        begin
            if t is null then return; end if;
            if exists (select from pg_trigger where tgrelid = t and tgname in (mine, mine || '_none')) then
                execute format('drop trigger if exists %I on %s', mine, t::regclass);
                execute format('drop trigger if exists %I on %s', mine || '_none', t::regclass);
            end if;
            execute format('drop function if exists %s.%I', s, mine);
            execute format('drop table if exists %s.%I, %s.%I', s, mine, s, mine || '_log');
        end $do$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Makes the empty copy, and from the commit on the keys of changed rows are logged.
pub(super) async fn watch(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $do$
        declare
            t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
            s text := (select relnamespace::regnamespace::text from pg_class where oid = t);
            mine text := 'scrub_' || t;
            one record;
            keys text; news text; olds text;
        begin
            if t is null then return; end if;
            select string_agg(quote_ident(a.attname), ', ' order by k.n), string_agg('new.' || quote_ident(a.attname), ', ' order by k.n),
                   string_agg('old.' || quote_ident(a.attname), ', ' order by k.n)
              into keys, news, olds
              from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality k (number, n)
              join pg_attribute a on a.attrelid = t and a.attnum = k.number
             where i.indrelid = t and i.indisprimary;
            -- While it is filled, nobody else is to hold locks of it.
            execute format('create table %s.%I (like %s including all excluding indexes) with (autovacuum_enabled = false)',
                           s, mine, t::regclass);
            for one in select attname, attstattarget from pg_attribute where attrelid = t and attnum > 0 and not attisdropped and attstattarget >= 0
            loop
                execute format('alter table %s.%I alter column %I set statistics %s', s, mine, one.attname, one.attstattarget);
            end loop;
            execute format('create table %s.%I with (autovacuum_enabled = false) as select %s from %s with no data',
                           s, mine || '_log', keys, t::regclass);
            execute format($f$create function %s.%I() returns trigger language plpgsql as $body$ begin
                    if tg_op = 'TRUNCATE' then raise exception 'this table is being scrubbed: try again later'; end if;
                    if tg_op <> 'INSERT' then insert into %s.%I values (%s); end if;
                    if tg_op <> 'DELETE' then insert into %s.%I values (%s); end if;
                    return null;
                end $body$ $f$, s, mine, s, mine || '_log', olds, s, mine || '_log', news);
            execute format('create trigger %I after insert or update or delete on %s for each row execute function %s.%I()',
                           mine, t::regclass, s, mine);
            execute format('create trigger %I before truncate on %s for each statement execute function %s.%I()',
                           mine || '_none', t::regclass, s, mine);
        end $do$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Copies the rows of some pages that the transaction sees.
pub(super) async fn copy(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $do$
        declare
            t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
            s text := (select relnamespace::regnamespace::text from pg_class where oid = t);
        begin
            if t is null then return; end if;
            execute format('insert into %s.%I overriding system value select * from %s where ctid >= %L::tid and ctid < %L::tid',
                           s, 'scrub_' || t, t::regclass, '(' || current_setting('hookline.scrub_from') || ',0)',
                           '(' || current_setting('hookline.scrub_until') || ',0)');
        end $do$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Makes one index of the table for the copy, with its constraint.
pub(super) async fn index(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $do$
        declare
            t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
            i oid := nullif(current_setting('hookline.scrub_index', true), '')::oid;
            s text := (select relnamespace::regnamespace::text from pg_class where oid = t);
            mine text := 'scrub_' || t;
            definition text := pg_get_indexdef(i);
            kind \"char\" := (select contype from pg_constraint where conindid = i and contype in ('p', 'u'));
        begin
            if t is null or i is null then return; end if;
            execute format('create %s index %I on %s.%I using %s',
                           case when (select indisunique from pg_index where indexrelid = i) then 'unique' else '' end,
                           'scrub_' || i, s, mine, substr(definition, strpos(definition, ' USING ') + 7));
            if kind is not null then
                execute format('alter table %s.%I add constraint %I %s using index %I', s, mine, 'scrub_' || i,
                               case kind when 'p' then 'primary key' else 'unique' end, 'scrub_' || i);
            end if;
        end $do$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Brings the copy up to date with all logged changes that the transaction sees; `hookline.scrub_rows` is their number then. All statements
/// must see the same: repeatable read, or the table is locked.
pub(super) async fn catch_up(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $do$
        declare
            t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
            s text := (select relnamespace::regnamespace::text from pg_class where oid = t);
            mine text := 'scrub_' || t;
            keys text; copies text; logs text;
            changed bigint;
        begin
            if t is null then return; end if;
            select string_agg('t.' || quote_ident(a.attname), ', '), string_agg('c.' || quote_ident(a.attname), ', '),
                   string_agg('l.' || quote_ident(a.attname), ', ')
              into keys, copies, logs
              from pg_index i join pg_attribute a on a.attrelid = t and a.attnum = any (i.indkey::int2[])
             where i.indrelid = t and i.indisprimary;
            perform set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
                    set_config('enable_seqscan', 'off', true);
            execute format('delete from %s.%I c using %s.%I l where (%s) = (%s)', s, mine, s, mine || '_log', copies, logs);
            execute format('insert into %s.%I overriding system value select t.* from (select distinct l.* from %s.%I l) l join %s t on (%s) = (%s)',
                           s, mine, s, mine || '_log', t::regclass, keys, logs);
            execute format('delete from %s.%I', s, mine || '_log');
            get diagnostics changed = row_count;
            perform set_config('hookline.scrub_rows', changed::text, false);
        end $do$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Keeps vacuum away from the table. Readers and writers are not affected; an automatic vacuum is cancelled.
pub(super) async fn reserve(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $do$
        declare
            t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
        begin
            if t is null then return; end if;
            -- Longer than `deadlock_timeout`, after which an automatic vacuum is cancelled.
            perform set_config('lock_timeout', '5s', true);
            execute format('lock table %s in share update exclusive mode', t::regclass);
            -- Shorter than it: whoever we are at odds with is not aborted, we are.
            perform set_config('lock_timeout', '300ms', true);
        end $do$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Locks the views over the table, then tables that refer to it, the table, and those it refers to: in the order of readers and writers.
pub(super) async fn lock(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $do$
        declare
            t oid := nullif(current_setting('hookline.scrub', true), '')::oid;
            one record;
        begin
            if t is null then return; end if;
            for one in
                select distinct v.oid::regclass as view, pg_get_userbyid(v.relowner) as owner from pg_depend d
                  join pg_rewrite r on r.oid = d.objid join pg_class v on v.oid = r.ev_class
                 where d.classid = 'pg_rewrite'::regclass and d.refobjid = t and d.refclassid = 'pg_class'::regclass and v.relkind = 'v'
            loop
                -- Changes nothing. `lock table` would lock the other tables of the view, too.
                execute format('alter view %s owner to %I', one.view, one.owner);
            end loop;
            -- Whoever writes a row locks its table before the one that a foreign key names. All of them are changed with the table.
            for one in select distinct conrelid::regclass as child from pg_constraint where contype = 'f' and confrelid = t and conrelid <> t
            loop
                execute format('lock table %s in access exclusive mode', one.child);
            end loop;
            execute format('lock table %s in access exclusive mode', t::regclass);
            for one in select distinct confrelid::regclass as parent from pg_constraint where contype = 'f' and conrelid = t and confrelid <> t
            loop
                execute format('lock table %s in access exclusive mode', one.parent);
            end loop;
        end $do$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}
