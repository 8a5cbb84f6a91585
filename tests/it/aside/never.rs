//! What no time mends: not ready with the reason until somebody acts, and nothing is given up. And views that are not this release's to replace.

use std::time::Duration;

use tests::{Lab, Role, eventually};

use super::{publish, says, shows, sql};

/// A newer release has added a column to a view; `generation` is how it says so.
const NEWER: &str = "
    alter table inbox.serving add column if not exists generation int not null default 0;
    update inbox.serving set generation = 1000000, views = 'of a newer release';
    do $$ begin
        execute 'create or replace view inbox.messages as select v.*, 1 as of_tomorrow from ('
            || rtrim(pg_get_viewdef('inbox.messages'::regclass), ';') || ') v';
    end $$;";

/// A projector that has folded one event and starts again behind these changes of its schema.
async fn projector_behind(changes: &[&'static str]) -> Lab {
    let mut lab = Lab::start().await;
    lab.run(Role::Projector).await;
    lab.ready(Role::Projector).await;
    publish(&lab, 1).await;
    shows(&lab, 1).await;
    lab.kill9(Role::Projector).await;
    for change in changes {
        sql(&lab, change).await;
    }
    lab.lapse(Role::Projector).await;
    lab.run(Role::Projector).await;
    lab
}

async fn has_new_column(lab: &Lab) -> bool {
    sqlx::query_scalar(
        "select exists (select from information_schema.columns
                         where table_schema = 'inbox' and table_name = 'messages' and column_name = 'of_tomorrow')",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_release_leaves_the_views_of_a_newer_one_alone_and_works() {
    let lab = projector_behind(&[NEWER]).await;
    assert!(has_new_column(&lab).await);
    lab.ready(Role::Projector).await;
    publish(&lab, 2).await;
    shows(&lab, 2).await;
    assert!(has_new_column(&lab).await);
    let (code, _, err) = lab.hookline(&["rebuild", "--swap", "--reason", "test"]).await;
    assert!(code == 3 && err.contains("newer release"), "{code} {err}");
    let (code, out, err) = lab.hookline(&["verify"]).await;
    assert_eq!(code, 0, "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_cannot_be_replaced_make_the_projector_not_ready_with_the_reason() {
    // Somebody has changed a view by hand: Postgres takes no column away from it (42P16).
    let lab = projector_behind(&[NEWER, "update inbox.serving set generation = 0"]).await;
    says(&lab, 0, "42P16").await;
    assert!(lab.log(Role::Projector).contains("until somebody acts"));
    // Verifying reads only, and does not wait for what others must mend.
    let verified = tokio::time::timeout(Duration::from_secs(60), lab.hookline(&["verify"])).await;
    let (code, out, err) = verified.expect("verify waits for ever");
    assert_eq!(code, 0, "{out}{err}");
    sql(&lab, "drop view inbox.messages cascade").await;
    eventually("it goes on by itself", Duration::from_secs(40), async || {
        if has_new_column(&lab).await { Err("not yet".to_owned()) } else { Ok(()) }
    })
    .await;
    lab.ready(Role::Projector).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_table_is_not_ready_and_says_what_to_do() {
    let mut lab = Lab::start().await;
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    sql(&lab, "alter table worker.commands rename to commands_away").await;
    let subject = "inbox.v1.command.00.instagram.17841400000000101.reply";
    let js = lab.jetstream().await;
    js.publish(subject, "{}".into()).await.unwrap().await.unwrap();
    eventually("it says what is missing", Duration::from_secs(20), async || {
        match lab.readyz(Role::Worker).await {
            (503, text) if text.contains("42P01") && text.contains("start the role") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(lab.log(Role::Worker).contains("until somebody acts"));
    sql(&lab, "alter table worker.commands_away rename to commands").await;
    lab.ready(Role::Worker).await;
    eventually("the command is refused", Duration::from_secs(20), async || {
        let refused: i64 =
            sqlx::query_scalar("select count(*) from worker.commands where state = 'failed'")
                .fetch_one(lab.pool())
                .await
                .unwrap();
        if refused == 1 { Ok(()) } else { Err(format!("{refused}")) }
    })
    .await;
}
