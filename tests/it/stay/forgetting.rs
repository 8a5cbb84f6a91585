//! Rows that only the work of their time needed are forgotten; what keeps anything from being sent again is not.

use std::time::Duration;

use tests::{Lab, eventually};

use super::busy_worker;

const OLD: &str = "
    insert into worker.echoes (channel, account_id, item_id, kind, peer, content, time, examined, seen_at)
    select 'messenger', account, account || age, 'message', 'p', '', now(), true, now() - age::interval
      from unnest(array['settled', 'parked']) account, unnest(array['59 days', '61 days']) age;
    insert into worker.commands (identity, command_id, channel, account_id, lane, command, data, body_digest, requester, requester_name,
                                 requested_at, stream_seq, state, outcome_published, finished_at)
    values ('c', 'c', 'messenger', 'parked', 'l', 'reply', '{}', '', 'person', 'p', now(), 1, 'unknown', true, now());
    insert into worker.waiting (channel, account_id, message_id, num_edit, state, received_at, time, time_approximate, resolved_at)
    select 'messenger', 'a', state || age, 0, state, now(), now(), false, case state when 'resolved' then now() - age::interval end
      from unnest(array['resolved', 'unresolved']) state, unnest(array['59 days', '61 days']) age";

#[tokio::test]
async fn old_rows_are_forgotten_unless_something_depends_on_them() {
    let mut lab = Lab::start().await;
    sqlx::raw_sql(OLD).execute(lab.pool()).await.unwrap();
    busy_worker(&mut lab).await;
    let kept = async || -> Vec<String> {
        sqlx::query_scalar(
            "select item_id from worker.echoes union all select message_id from worker.waiting order by 1",
        )
        .fetch_all(lab.pool())
        .await
        .unwrap()
    };
    let expected = [
        "parked59 days",
        "parked61 days",
        "resolved59 days",
        "settled59 days",
        "unresolved59 days",
        "unresolved61 days",
    ];
    eventually("what nobody needs is forgotten", Duration::from_secs(60), async || {
        let kept = kept().await;
        if kept == expected { Ok(()) } else { Err(format!("{kept:?}")) }
    })
    .await;
}
