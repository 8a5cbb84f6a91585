use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;

/// Answers of the queue, one per claim; then `shutdown`.
struct Script {
    claims: Mutex<VecDeque<sqlx::Result<Vec<&'static str>>>>,
    lines: Mutex<Vec<String>>,
    shutdown: CancellationToken,
}

impl Script {
    fn line(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }
}

impl Queue for Script {
    type Item = &'static str;
    type Owner = char;
    type Error = sqlx::Error;

    fn owner(item: &&'static str) -> char {
        item.chars().next().unwrap()
    }

    async fn claim(
        &self,
        free: usize,
        under_way: &UnderWay<char>,
    ) -> sqlx::Result<Claimed<&'static str>> {
        let held: Vec<_> = under_way.by_owner().collect();
        self.line(format!("claim {free} beside {held:?}"));
        let next = self.claims.lock().unwrap().pop_front();
        match next {
            Some(claimed) => Ok(claimed?.into()),
            None => {
                self.shutdown.cancel();
                Ok(Vec::new().into())
            }
        }
    }

    async fn work(&self, item: &&'static str) -> sqlx::Result<()> {
        self.line(format!("work {item}"));
        match *item {
            "a panics" => panic!("as scripted"),
            "b fails" => Err(sqlx::Error::RowNotFound),
            "c hangs" => std::future::pending().await,
            "d waits for the end" => {
                self.shutdown.cancelled().await;
                self.line("drained".to_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn reschedule(
        &self,
        item: &&'static str,
        failure: Failure<sqlx::Error>,
    ) -> sqlx::Result<()> {
        let why = match failure {
            Failure::Panicked => "panicked".to_owned(),
            Failure::Failed(error) => error.to_string(),
        };
        self.line(format!("reschedule {item}: {why}"));
        Ok(())
    }

    fn unreadable(&self, _: &sqlx::Error) {
        self.line("unreadable".to_owned());
    }

    fn lapses(&self, _: &sqlx::Error) {}
}

async fn lines(claims: Vec<sqlx::Result<Vec<&'static str>>>) -> (bool, Vec<String>) {
    let script = Script {
        claims: Mutex::new(claims.into()),
        lines: Mutex::default(),
        shutdown: CancellationToken::new(),
    };
    let limits = Limits {
        places: 3,
        poll: Duration::from_millis(20),
        statement: Duration::from_secs(1),
        work: Duration::from_millis(5),
        drain: Duration::from_millis(5),
    };
    let drained = run(&script, &limits, None, &script.shutdown).await;
    (drained, script.lines.into_inner().unwrap())
}

#[tokio::test]
async fn each_failure_is_its_own_and_places_come_free() {
    let (drained, lines) = lines(vec![Ok(vec!["a panics", "b fails", "a works"])]).await;
    assert!(drained);
    assert_eq!(lines[0], "claim 3 beside []");
    assert_eq!(lines.last().unwrap(), "claim 3 beside []");
    for line in [
        "work a works",
        "reschedule a panics: panicked",
        "reschedule b fails: no rows returned by a query that expected to return at least one row",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}: {lines:?}");
    }
}

#[tokio::test]
async fn work_that_hangs_is_given_up_and_holds_up_nobody() {
    let (_, lines) = lines(vec![Ok(vec!["c hangs"]), Ok(vec!["a works"])]).await;
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("reschedule c hangs: ") && line.contains("in time")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_is_read_again() {
    let away = || Err(sqlx::Error::PoolTimedOut);
    let (_, lines) = lines(vec![away(), away(), Ok(vec!["a works"]), Ok(Vec::new())]).await;
    assert_eq!(lines.iter().filter(|line| *line == "unreadable").count(), 1, "{lines:?}");
    assert!(lines.iter().any(|line| line == "work a works"));
}

#[tokio::test]
async fn what_is_under_way_may_end() {
    let script = Script {
        claims: Mutex::new(vec![Ok(vec!["d waits for the end"])].into()),
        lines: Mutex::default(),
        shutdown: CancellationToken::new(),
    };
    let limits = Limits {
        places: 3,
        poll: Duration::from_millis(1),
        statement: Duration::from_secs(1),
        work: Duration::from_secs(5),
        drain: Duration::from_secs(5),
    };
    assert!(run(&script, &limits, None, &script.shutdown).await);
    let lines = script.lines.into_inner().unwrap();
    assert_eq!(lines[2], "claim 2 beside [('d', 1)]");
    assert_eq!(lines.last().unwrap(), "drained");
}
