//! Searching in a large inbox: what is found does not depend on the way that leads to it, and the total has its limit.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::Lab;
use tests::body::IG;

use super::{is_problem, lab, written};

/// With two messages each more than the search counts (`COUNTED_MAX` of the api).
const CONVERSATIONS: i64 = 12_500;

/// Two messages each. Every message says `common`, one conversation in a thousand also `rare`, one in three `third`, the first 3,000 `long ago`.
async fn fill(pool: &sqlx::PgPool) {
    let conversations = "insert into inbox_v1.conversations (id, channel, account_id, contact_id, name, placeholder, enriched, archived,
                blocked, known, last_message_id, last_message_at)
         select 'cnv_' || lpad(n::text, 8, '0'), 'instagram', $1, (5200000000000000 + n)::text, 'Person ' || n, 'Person ' || n, false,
                false, false, true, 'm' || n || '-2', timestamptz '2026-11-01' + make_interval(secs => n)
           from generate_series(1, $2) n";
    sqlx::query(conversations).bind(IG).bind(CONVERSATIONS).execute(pool).await.unwrap();
    let messages = "insert into inbox_v1.messages (id, channel, account_id, contact_id, conversation_id, message_id, direction, hidden, text,
                attachments, reactions, sent_at, time_approximate, standby, is_self, backfilled, unsupported, content_missing, counts_unread,
                opens_window, event_id)
         select 'm' || n || '-' || k, 'instagram', $1, (5200000000000000 + n)::text, 'cnv_' || lpad(n::text, 8, '0'), 'mid.' || n || '.' || k,
                'inbound', false,
                'a Common word' || case when n % 1000 = 0 then ', rare' else '' end || case when n % 3 = 0 then ', third' else '' end
                    || case when n <= 3000 then ', long ago' else '' end,
                '[]', '[]', timestamptz '2026-11-01' + make_interval(secs => n), false, false, false, false, false, false, true, true, 'e' || n
           from generate_series(1, $2) n cross join generate_series(1, 2) k";
    sqlx::query(messages).bind(IG).bind(CONVERSATIONS).execute(pool).await.unwrap();
}

fn ids(page: &Value) -> Vec<String> {
    let rows = page["conversations"].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The `count` newest conversations whose number is a multiple of `step`, from `below` down.
fn newest(step: i64, below: i64, count: usize) -> Vec<String> {
    (1..below).rev().filter(|n| n % step == 0).take(count).map(|n| format!("cnv_{n:08}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rare_and_frequent_texts_are_found_newest_first() {
    let lab = lab().await;
    fill(lab.pool()).await;
    let api = lab.api();
    let get = async |query: &str| {
        let (status, page) = api.get(&format!("/v1/conversations?limit=20&{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        page
    };
    // No filter: more than are counted.
    let page = get("").await;
    assert_eq!(ids(&page), newest(1, CONVERSATIONS + 1, 20));
    assert_eq!((&page["total"], &page["total_is_lower_bound"]), (&10_000.into(), &true.into()));

    // Rare: looked up. Its total is exact.
    let page = get("q=RARE").await;
    assert_eq!(ids(&page), newest(1_000, CONVERSATIONS + 1, 20));
    assert_eq!((&page["total"], &page["total_is_lower_bound"]), (&12.into(), &Value::Null));

    // Frequent, in more conversations than are counted: walked.
    let page = get("q=common%20WORD").await;
    assert_eq!(ids(&page), newest(1, CONVERSATIONS + 1, 20));
    assert_eq!((&page["total"], &page["total_is_lower_bound"]), (&10_000.into(), &true.into()));

    // In between, and page by page.
    let page = get("q=third").await;
    assert_eq!(ids(&page), newest(3, CONVERSATIONS + 1, 20));
    assert_eq!((&page["total"], &page["total_is_lower_bound"]), (&4_166.into(), &Value::Null));
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = get(&format!("q=third&cursor={cursor}")).await;
    assert_eq!(ids(&next), newest(3, CONVERSATIONS + 1 - 60, 20));

    // Frequent among old conversations only: the newest do not fill a page.
    let page = get("q=long%20ago").await;
    assert_eq!(ids(&page), newest(1, 3_001, 20));
    assert_eq!((&page["total"], &page["total_is_lower_bound"]), (&3_000.into(), &Value::Null));

    // Of a person, together with other filters, and of nobody.
    let page = get("q=person%2012345&unread=false").await;
    assert_eq!(ids(&page), ["cnv_00012345"]);
    let page = get("q=rare&unread=true").await;
    assert_eq!((ids(&page).len(), &page["total"]), (0, &0.into()));
    let page = get("q=nothing%20says%20this").await;
    assert_eq!((ids(&page).len(), &page["total"]), (0, &0.into()));

    // Under a new name, and no more under the old one.
    let rename = "update inbox_v1.conversations set name = 'Zelda', username = 'z.elda' where id = 'cnv_00012345'";
    sqlx::query(rename).execute(lab.pool()).await.unwrap();
    assert_eq!(ids(&get("q=zeLDa").await), ["cnv_00012345"]);
    assert_eq!(ids(&get("q=z.elda").await), ["cnv_00012345"]);
    assert_eq!(ids(&get("q=person%2012345").await), [""; 0]);
    let drop = "delete from inbox_v1.conversations where id = 'cnv_00012345'";
    sqlx::query(drop).execute(lab.pool()).await.unwrap();
    assert_eq!(ids(&get("q=zelda").await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_searches_at_once_leave_connections_for_others() {
    let lab = lab().await;
    fill(lab.pool()).await;
    let mut searches = tokio::task::JoinSet::new();
    for n in 0..50 {
        let api = lab.api();
        let query = ["common", "third", "rare", "person"][n % 4];
        searches.spawn(async move { api.get(&format!("/v1/conversations?q={query}")).await });
    }
    let api = lab.api();
    let (mut others, mut found) = (0, 0);
    while !searches.is_empty() {
        assert_eq!(api.get("/v1/conversations?limit=1").await.0, 200);
        others += 1;
        while let Some(answer) = searches.try_join_next() {
            match answer.unwrap() {
                (200, _) => found += 1,
                // On a busy machine the last of fifty wait for longer than they may, and some take too long.
                (503, problem) => {
                    let code = problem["code"].as_str().unwrap();
                    assert!(matches!(code, "search_busy" | "search_too_slow"), "{problem}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(others > 5, "the others waited for the searches: {others}");
    assert!(10 <= found, "only {found} of 50 were answered");
}

/// While it lives, no search comes to an end by itself.
async fn messages_locked(lab: &Lab) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut lock = lab.pool().begin().await.unwrap();
    let messages = "lock table inbox_v1.messages in access exclusive mode";
    sqlx::query(messages).execute(&mut *lock).await.unwrap();
    lock
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_takes_too_long_ends_with_its_own_code() {
    let lab = lab().await;
    written(&lab, IG, 1, "hello").await;
    let _lock = messages_locked(&lab).await;
    let began = Instant::now();
    let answer = lab.api().get("/v1/conversations?q=hello").await;
    is_problem(&answer, 503, "search_too_slow");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_turn_of_a_caller_who_goes_away_is_free_when_postgres_is_done() {
    let lab = lab().await;
    written(&lab, IG, 1, "hello").await;
    let _lock = messages_locked(&lab).await;
    for n in 0..12 {
        let api = lab.api();
        let search = async move { api.get(&format!("/v1/conversations?q=hello{n}")).await };
        let answered = tokio::time::timeout(Duration::from_millis(50), search).await;
        assert!(answered.is_err(), "{answered:?}");
    }
    let at_work: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity
          where datname = current_database() and state = 'active' and query like '%ilike%' and pid <> pg_backend_pid()",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert!((1..=2).contains(&at_work), "{at_work} searches at once");
}
