//! After a scrub no byte of deleted rows is in Postgres's files, and whoever reads and writes meanwhile notices nothing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use runtime::db::scrub::{Left, Table, left, scrub};
use servers::{PgOptions, Postgres};
use sqlx::{AssertSqlSafe, PgPool};
use tests::up::Folder;

/// In every text that is to go; 20 texts differ in what follows.
const CANARY: &str = "QZXcanary";

/// Everything a copy has to take over: an identity, constraints, keys of others, a trigger, views, rights, indexes over words, TOAST.
const SCHEMA: &str = r#"
create extension if not exists pg_trgm;
create role clerk; create role operator login password 'operator'; grant clerk to operator; create role reader;
create schema kept authorization clerk;
set role clerk;
create table kept.people (id text primary key);
create table kept.notes (
    id bigint generated always as identity primary key,
    gone int,
    person text not null references kept.people (id),
    key text not null unique,
    city text,
    body text not null check (body <> ''),
    doc jsonb not null default '{}',
    writes int not null default 0
) with (fillfactor = 90);
alter table kept.notes drop column gone;
alter table kept.notes alter column doc set storage external;
alter table kept.notes alter column key set statistics 7;
comment on table kept.notes is 'what was said';
create index notes_words on kept.notes using gin (body public.gin_trgm_ops);
create index notes_of on kept.notes (person, id desc) where writes >= 0;
create table kept.answers (note bigint not null references kept.notes (id) on delete cascade, n int, primary key (note, n));
create function kept.count_writes() returns trigger language plpgsql as $$ begin new.writes := old.writes + 1; return new; end $$;
create trigger counts before update on kept.notes for each row execute function kept.count_writes();
create view kept.words with (security_barrier = true) as select id, person, body, length(body) as letters from kept.notes;
create view kept.letters as select person, sum(letters) as letters from kept.words group by person;
grant select on kept.notes, kept.words to reader;
insert into kept.people select 'person-' || g from generate_series(0, 99) g;
reset role;
"#;

async fn run(pool: &PgPool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(pool).await.unwrap();
}

async fn text(pool: &PgPool, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Files below the folder that have the canary.
fn found(folder: &Path) -> Vec<String> {
    let grep = Command::new("grep").args(["-rlasF", CANARY]).arg(folder).output().unwrap();
    String::from_utf8(grep.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A server with the table, `rows` rows of others and 20 canaries that have been changed since.
async fn filled(folder: &Path, rows: u32) -> (Postgres, PgPool) {
    let mut options = PgOptions::new(folder);
    options.fsync = false;
    // Old WAL is written over, which takes as long as this is large.
    options.settings = vec![("max_wal_size".to_owned(), "64MB".to_owned())];
    let server = Postgres::start(options).await.unwrap();
    server.create_database("kept").await.unwrap();
    let pool = PgPool::connect(&server.url("kept")).await.unwrap();
    run(&pool, SCHEMA).await;
    let each = rows / 20;
    run(
        &pool,
        format!(
            "insert into kept.notes (person, key, city, body, doc)
             select 'person-' || g % 100, 'key-' || g, case when g % 50 = 0 then '{CANARY}ville' else 'city-' || g % 7 end,
                    case when g % {each} = 0 then '{CANARY}' || g || ' said a secret' else 'note ' || md5(g::text) || ' of a friend' end,
                    case when g % {each} = 0 then to_jsonb('{CANARY}' || g || (select string_agg(md5(g::text || h), '') from generate_series(1, 200) h))
                         else '{{}}' end
               from generate_series(1, {rows}) g;
             insert into kept.answers select id, 1 from kept.notes where id % 10 = 0;
             analyze kept.notes"
        ),
    )
    .await;
    for _ in 0..2 {
        run(
            &pool,
            format!(
                "update kept.notes set body = body || ' and again' where body like '{CANARY}%'"
            ),
        )
        .await;
        run(&pool, "vacuum kept.notes").await;
    }
    (server, pool)
}

/// The person is erased, as a caller would: words in rows of their own, and a value that others' rows have.
async fn erase(pool: &PgPool) {
    run(
        pool,
        format!(
            "begin; delete from kept.notes where body like '{CANARY}%';
             update kept.notes set city = null where city like '{CANARY}%'; commit"
        ),
    )
    .await;
}

/// Rows that nobody writes meanwhile.
const OTHERS: &str = "select md5(string_agg(n::text, '|' order by id)) from kept.notes n where id % 3 = 0 and key like 'key-%'";
/// What must be as before, whatever the catalogue calls it.
const SHAPE: &str = "select concat_ws(e'\n',
    (select string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attstorage, attstattarget), ', ' order by attname)
       from pg_attribute where attrelid = 'kept.notes'::regclass and attnum > 0 and not attisdropped),
    (select string_agg(conname || ' ' || pg_get_constraintdef(oid) || convalidated, ', ' order by conname) from pg_constraint
      where conrelid in ('kept.notes'::regclass, 'kept.answers'::regclass)),
    (select string_agg(indexdef, ', ' order by indexdef) from pg_indexes where schemaname = 'kept'),
    (select string_agg(pg_get_triggerdef(oid), ', ') from pg_trigger where tgrelid = 'kept.notes'::regclass and not tgisinternal),
    (select string_agg(concat_ws(' ', relname, relkind, relowner::regrole, reloptions, relacl), ', ' order by relname) from pg_class
      where relnamespace = 'kept'::regnamespace),
    (select string_agg(proname, ', ' order by proname) from pg_proc where pronamespace = 'kept'::regnamespace),
    obj_description('kept.notes'::regclass, 'pg_class'), pg_get_viewdef('kept.words'::regclass))";

#[derive(Debug, Default)]
struct Traffic {
    writes: u64,
    slowest: Duration,
}

/// Writes rows of its own share and reads through views until it is stopped; every statement must succeed.
async fn traffic(pool: PgPool, share: i64, stop: Arc<AtomicBool>) -> Traffic {
    let mut traffic = Traffic::default();
    let mut n = 0_i64;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let began = Instant::now();
        let id = n % 5000 * 3 + share;
        let mut tx = pool.begin().await.unwrap();
        let changed =
            sqlx::query("update kept.notes set body = body || '.' where id = $1").bind(id);
        traffic.writes += changed.execute(&mut *tx).await.unwrap().rows_affected();
        let new: i64 = sqlx::query_scalar(
            "insert into kept.notes (person, key, body) values ('person-1', $1, 'new') returning id",
        )
        .bind(format!("new-{share}-{n}"))
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        if n % 2 == 0 {
            sqlx::query("delete from kept.notes where id = $1")
                .bind(new)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        sqlx::query("select letters from kept.words where id = $1")
            .bind(id)
            .fetch_all(&pool)
            .await
            .unwrap();
        traffic.slowest = traffic.slowest.max(began.elapsed());
    }
    // Half of the new rows have stayed: every odd one.
    let stayed: i64 = sqlx::query_scalar("select count(*) from kept.notes where key like $1")
        .bind(format!("new-{share}-%"))
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(stayed, (n + 1) / 2);
    traffic
}

/// What `pg_dump` is to a scrub: connected for some seconds, without locks at first. Returns whether its table has stayed the same.
async fn backup(pool: &PgPool) -> tokio::task::JoinHandle<bool> {
    let options = pool.connect_options().as_ref().clone().application_name("pg_dump");
    let dump = PgPool::connect_with(options).await.unwrap();
    let table = "select 'kept.people'::regclass::oid::int8::text";
    let before = text(&dump, table).await;
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let same = text(&dump, table).await == before;
        dump.close().await;
        same
    })
}

#[allow(clippy::print_stdout)] // how long it took is for docs/decisions/44
async fn nothing_is_left(rows: u32) {
    let folder = Folder::new(&format!("scrub-{rows}"));
    let (server, pool) = filled(folder.path(), rows).await;
    erase(&pool).await;
    run(&pool, "vacuum analyze kept.notes").await;
    run(&pool, "checkpoint").await;
    assert!(
        !found(&server.data_dir()).is_empty(),
        "a vacuum is not enough: does the search find nothing?"
    );
    let (others, shape) = (text(&pool, OTHERS).await, text(&pool, SHAPE).await);

    let writes_sql = "select sum(writes)::int8 from kept.notes";
    let before: i64 = sqlx::query_scalar(writes_sql).fetch_one(&pool).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> =
        (1..3).map(|share| tokio::spawn(traffic(pool.clone(), share, stop.clone()))).collect();
    let began = Instant::now();
    // No superuser, and not the owner, but a member of it.
    let options = pool.connect_options().as_ref().clone();
    let operator =
        PgPool::connect_with(options.username("operator").password("operator")).await.unwrap();
    let tables = ["people", "notes", "gone"]
        .map(|name| Table { schema: "kept".to_owned(), name: name.to_owned() });
    let mut progress = Vec::new();
    let dump = backup(&pool).await;
    let scrubbed = scrub(&operator, &tables, |step| progress.push(step)).await.unwrap();
    assert!(dump.await.unwrap(), "nothing is exchanged while a backup is made");
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut writes = 0;
    let mut slowest = Duration::ZERO;
    for one in busy {
        let one = one.await.unwrap();
        writes += one.writes;
        slowest = slowest.max(one.slowest);
    }
    assert_eq!(scrubbed.tables, 2);
    assert_eq!(progress.iter().filter(|step| step.done).count(), 3);
    assert_eq!(text(&pool, OTHERS).await, others);
    assert_eq!(text(&pool, SHAPE).await, shape);
    let after: i64 = sqlx::query_scalar(writes_sql).fetch_one(&pool).await.unwrap();
    assert!(0 < writes);
    assert_eq!(after - before, i64::try_from(writes).unwrap(), "every write is there, once");

    let within = Duration::from_secs(1);
    let kept = left(&operator, within).await.unwrap();
    assert_eq!(kept, [Left::Statistics, Left::Checkpoint], "what an operator may not");
    assert_eq!(left(&pool, within).await.unwrap(), []);
    assert_eq!(found(&server.data_dir()), [""; 0]);
    println!(
        "{rows} rows: {took:?}, exchanged in {:?}, the slowest of {writes} writes took {slowest:?}; with statistics and WAL {:?}",
        scrubbed.locked_most,
        began.elapsed()
    );
}

#[tokio::test]
async fn no_byte_is_left_and_nobody_waits() {
    nothing_is_left(20_000).await;
}

#[tokio::test]
#[ignore = "long: make soak"]
async fn no_byte_is_left_among_a_million() {
    nothing_is_left(1_000_000).await;
}
