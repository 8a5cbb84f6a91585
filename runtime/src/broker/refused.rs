//! What the user of the broker may not ask. The broker gives such a request no answer: it reports on the connection that it was refused.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Requests about streams.
const STREAMS: &str = "$JS.API.STREAM.";
/// A refusal is forgotten after a while: permissions may have changed.
const FOR: Duration = Duration::from_secs(60);
/// Refusals that are remembered.
const MAX: usize = 64;

/// What was refused of late.
#[derive(Clone, Default)]
pub(super) struct Refused(Arc<Inner>);

#[derive(Default)]
struct Inner {
    subjects: Mutex<BTreeMap<String, Instant>>,
    news: Notify,
}

impl Refused {
    /// Learns from what the broker reports. Returns the subject of a request about a stream that it refused.
    pub(super) fn learn(&self, report: &str) -> Option<String> {
        let subject = subject_of(report)?;
        let mut subjects = self.0.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        if subjects.len() < MAX {
            subjects.insert(subject.to_owned(), Instant::now());
        }
        drop(subjects);
        self.0.news.notify_waiters();
        Some(subject.to_owned())
    }

    fn has(&self, subject: &str) -> bool {
        let mut subjects = self.0.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        subjects.retain(|_, since| since.elapsed() < FOR);
        subjects.contains_key(subject)
    }

    /// The answer to a request on `subject`; `None` where it is refused, without waiting for an answer that does not come.
    pub(super) async fn or<T>(&self, subject: &str, ask: impl Future<Output = T>) -> Option<T> {
        let mut ask = pin!(ask);
        loop {
            let mut news = pin!(self.0.news.notified());
            // From here on no news is missed.
            news.as_mut().enable();
            if self.has(subject) {
                return None;
            }
            tokio::select! {
                answer = &mut ask => return Some(answer),
                () = news => {}
            }
        }
    }
}

/// The subject of a request about a stream, where this is the report of its refusal.
fn subject_of(report: &str) -> Option<&str> {
    let (_, rest) = report.split_once("ermissions Violation for Publish to \"")?;
    let (subject, _) = rest.split_once('"')?;
    subject.starts_with(STREAMS).then_some(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str =
        "nats: Permissions Violation for Publish to \"$JS.API.STREAM.CREATE.META_RAW\"";

    #[tokio::test]
    async fn a_refused_request_is_not_waited_for() {
        let refused = Refused::default();
        let waiting = {
            let refused = refused.clone();
            tokio::spawn(async move {
                refused.or("$JS.API.STREAM.CREATE.META_RAW", std::future::pending::<()>()).await
            })
        };
        tokio::task::yield_now().await;
        assert_eq!(refused.learn(REPORT).as_deref(), Some("$JS.API.STREAM.CREATE.META_RAW"));
        assert_eq!(waiting.await.unwrap(), None);
        assert_eq!(refused.or("$JS.API.STREAM.INFO.META_RAW", async { 7 }).await, Some(7));
    }

    #[test]
    fn other_reports_are_none() {
        for other in [
            "nats: Permissions Violation for Publish to \"inbox.v1.event.x\"",
            "nats: Permissions Violation for Subscription to \"$JS.API.STREAM.INFO.X\"",
            "maximum connections exceeded",
        ] {
            assert_eq!(Refused::default().learn(other), None, "{other}");
        }
    }
}
