//! People who use hookline while its read model is rebuilt, and what they see.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use schemas::{AccountId, Channel, ContactId, ConversationId};
use tests::body::{IG, instagram, now, text};

const LIVE_PER_SECOND: u64 = 50;
const PEOPLE: usize = 20;

fn person(n: usize) -> String {
    format!("52000000009{n:05}")
}

fn conversations() -> Vec<String> {
    (0..PEOPLE)
        .map(|n| {
            let (account, contact) = (AccountId::new(IG), ContactId::new(person(n)));
            ConversationId::of(Channel::Instagram, &account, &contact).into_string()
        })
        .collect()
}

/// What looks on while the model is rebuilt.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) over: AtomicBool,
    pub(super) delivered: AtomicUsize,
    pub(super) looks: AtomicUsize,
}

impl Watch {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// People write.
    pub(super) async fn write(self: Arc<Self>, meta: tests::Meta) {
        let mut tick = tokio::time::interval(Duration::from_millis(1000 / LIVE_PER_SECOND));
        let mut sending = tokio::task::JoinSet::new();
        while self.goes_on() {
            tick.tick().await;
            let n = self.delivered.fetch_add(1, Ordering::Relaxed);
            let mid = format!("mid.live.{n}");
            let body = instagram(text(IG, &person(n % PEOPLE), &mid, now(), "live"));
            let meta = meta.clone();
            sending.spawn(async move { meta.deliver("/webhooks/instagram", &body).await });
        }
        sending.join_all().await;
    }

    /// A reader of the API: the total never drops, nothing fails.
    pub(super) async fn ask(self: Arc<Self>, api: tests::Api) {
        let mut total = 0;
        let mut tick = tokio::time::interval(Duration::from_millis(40));
        while self.goes_on() {
            tick.tick().await;
            let (status, page) = api.get("/v1/conversations?limit=5").await;
            assert_eq!(status, 200, "{page}");
            let now = page["total"].as_u64().unwrap();
            assert!(now >= total, "the total fell from {total} to {now}");
            total = now;
            self.looks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A reader of the views: no conversation ever has fewer messages.
    pub(super) async fn read(self: Arc<Self>, pool: sqlx::PgPool) {
        let ids = conversations();
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        let mut tick = tokio::time::interval(Duration::from_millis(40));
        while self.goes_on() {
            tick.tick().await;
            let rows: Vec<(String, i64)> = sqlx::query_as(
                "select c.id, (select count(*) from inbox.messages m where m.conversation_id = c.id)
                   from inbox.conversations c where c.id = any($1)",
            )
            .bind(&ids)
            .fetch_all(&pool)
            .await
            .unwrap();
            assert!(rows.len() >= counts.len(), "a conversation went: {rows:?}");
            for (id, count) in rows {
                let before = counts.insert(id.clone(), count).unwrap_or(0);
                assert!(count >= before, "{id} fell from {before} to {count}");
            }
            self.looks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long events wait for their rows.
    pub(super) async fn lag(
        self: Arc<Self>,
        js: async_nats::jetstream::Context,
        pool: sqlx::PgPool,
    ) -> Vec<Duration> {
        let (mut waiting, mut waited) = (VecDeque::new(), Vec::new());
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while self.goes_on() {
            tick.tick().await;
            let stream = js.get_stream("INBOX_EVENTS").await.unwrap();
            waiting.push_back((stream.cached_info().state.last_sequence, Instant::now()));
            let at: i64 = sqlx::query_scalar("select seq from inbox.position")
                .fetch_one(&pool)
                .await
                .unwrap();
            let at = u64::try_from(at).unwrap();
            while waiting.front().is_some_and(|(head, _)| *head <= at) {
                let (_, since): (u64, Instant) = waiting.pop_front().unwrap();
                waited.push(since.elapsed());
            }
        }
        waited.extend(waiting.into_iter().map(|(_, since)| since.elapsed()));
        waited.sort();
        waited
    }

    /// A client of `/v1/live` that is never cut off; the positions it saw.
    pub(super) async fn listen(self: Arc<Self>, api: tests::Api) -> Vec<u64> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.get(format!("{}/v1/live", api.url)).bearer_auth(&api.token);
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut text = String::new();
        while self.goes_on() {
            match tokio::time::timeout(Duration::from_millis(200), answer.chunk()).await {
                Ok(chunk) => {
                    let chunk = chunk.unwrap().expect("the connection lasts");
                    text.push_str(&String::from_utf8_lossy(&chunk));
                }
                Err(_) => continue,
            }
        }
        // What is not complete at the end does not count.
        let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        whole.lines().filter_map(|line| line.strip_prefix("id:")?.trim().parse().ok()).collect()
    }
}
