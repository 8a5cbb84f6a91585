//! One statement over several read models: what a transaction writes goes to the model it entered, whatever the connection did before.

use projector::{NAME, SchemaName, Store, read};
use runtime::lease::Position;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tests::{Lab, Role};

const ACCOUNT: &str = "17841400000000101";

/// Projects one message into the model that `schema` names, as the one that serves.
async fn project(pool: &PgPool, schema: &str, seq: u64) {
    sqlx::query("update inbox.serving set schema = $1").bind(schema).execute(pool).await.unwrap();
    let schema = SchemaName::try_from(schema.to_owned()).unwrap();
    let store = Store::new(pool.clone(), &schema, "both".to_owned());
    let lease = store.leases().acquire(NAME).await.unwrap().expect("nobody holds it");
    let from = store.leases().position(NAME).await.unwrap();
    let event = json!({
        "specversion": "1.0", "id": format!("evt_{seq}"), "type": "hookline.message.received.v1",
        "source": format!("/instagram/{ACCOUNT}"), "time": "2026-11-21T10:00:00.000Z",
        "data": {"channel": "instagram", "account_id": ACCOUNT, "contact_id": "5200000000000011",
                 "message_id": format!("mid.{seq}"), "text": "hi", "origin": {"via": "webhook", "revision": 0}},
    });
    let subject = format!("inbox.v1.event.07.instagram.{ACCOUNT}.message-received");
    let incoming = read(seq, &subject, event.to_string().as_bytes());
    let aside = store.apply(&lease, from, Position { seq, ..from }, vec![incoming]).await.unwrap();
    assert!(aside.is_empty(), "{aside:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_keeps_two_models_apart() {
    let mut lab = Lab::start().await;
    lab.run(Role::Projector).await;
    lab.ready(Role::Projector).await;
    lab.stop(Role::Projector).await;
    sqlx::raw_sql(
        "create schema inbox_v2;
         do $$ declare name text; begin
           for name in select relname from pg_class where relnamespace = 'inbox_v1'::regnamespace and relkind = 'r' loop
             execute format('create table inbox_v2.%I (like inbox_v1.%I including all)', name, name);
           end loop;
         end $$",
    )
    .execute(lab.pool())
    .await
    .unwrap();
    let options = lab.pool().connect_options().as_ref().clone();
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let before: String = sqlx::query_scalar("show search_path").fetch_one(&pool).await.unwrap();
    // Often enough that Postgres goes over to generic plans.
    for seq in 1..=20 {
        project(&pool, if seq % 2 == 0 { "inbox_v2" } else { "inbox_v1" }, seq).await;
    }
    let mids = |schema: &str| {
        let sql = format!(
            "select array_agg(message_id order by event_id collate \"C\") from {schema}.messages"
        );
        let pool = pool.clone();
        async move {
            let sql = sqlx::AssertSqlSafe(sql);
            sqlx::query_scalar::<_, Vec<String>>(sql).fetch_one(&pool).await.unwrap()
        }
    };
    let expected = |first: u64| {
        let mut mids: Vec<String> =
            (first..=20).step_by(2).map(|seq| format!("mid.{seq}")).collect();
        mids.sort();
        mids
    };
    assert_eq!(mids("inbox_v1").await, expected(1));
    assert_eq!(mids("inbox_v2").await, expected(2));
    let counts: (i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from inbox_v1.facts), (select count(*) from inbox_v2.facts),
                (select unread_count from inbox_v1.conversations), (select unread_count from inbox_v2.conversations)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(counts, (10, 10, 10, 10));
    // Both were written by the same statement, and the connection remembers no model.
    let statements: i64 = sqlx::query_scalar(
        "select count(*) from pg_prepared_statements where statement like 'insert into facts %'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(statements, 1);
    let after: String = sqlx::query_scalar("show search_path").fetch_one(&pool).await.unwrap();
    assert_eq!(after, before);
}
