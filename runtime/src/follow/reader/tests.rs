use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use schemas::Timestamp;

use super::super::follower::StreamPutBack;
use super::*;

fn message(sequence: u64, bytes: usize) -> Received {
    Received {
        sequence,
        subject: "meta.v1.raw.any.00".to_owned(),
        headers: async_nats::HeaderMap::new(),
        flaw: None,
        payload: vec![b' '; bytes].into(),
        stored_at: Timestamp::from_millis(5),
        pending: 0,
    }
}

#[test]
fn batches_are_cut_by_bytes_and_lose_nothing() {
    let batch = [
        message(1, 1),
        message(2, 3 << 20),
        message(3, 1 << 20),
        message(4, 1 << 20),
        message(5, 1),
    ];
    let cut: Vec<Vec<u64>> = parts(&batch, 2 << 20)
        .iter()
        .map(|part| part.iter().map(|message| message.sequence).collect())
        .collect();
    assert_eq!(cut, [vec![1], vec![2], vec![3, 4], vec![5]]);
    assert!(parts(&[], 1).is_empty());
    assert_eq!(parts(&batch, usize::MAX).len(), 1);
}

/// Positions of a batch, or what became of the stream.
type Next = Result<Vec<u64>, Odd>;

enum Odd {
    MadeAnew,
    PutBack,
}

/// Batches as scripted, then silence.
struct Script {
    batches: Arc<Mutex<VecDeque<Next>>>,
    is_right: Arc<AtomicBool>,
}

impl Feed for Script {
    async fn next_batch(&mut self, _max: usize) -> Result<Vec<Received>, Unfollowable> {
        let next = self.batches.lock().unwrap().pop_front();
        match next {
            Some(Ok(batch)) => Ok(batch.into_iter().map(|sequence| message(sequence, 1)).collect()),
            Some(Err(Odd::MadeAnew)) => {
                Err(StreamRecreated { reason: "another".to_owned() }.into())
            }
            Some(Err(Odd::PutBack)) => Err(StreamPutBack { stream: "S", position: 9 }.into()),
            None => std::future::pending().await,
        }
    }

    fn era(&self) -> Option<Era> {
        None
    }

    fn pending(&self) -> u64 {
        10
    }

    fn is_right(&self) -> Arc<AtomicBool> {
        self.is_right.clone()
    }

    async fn waiting(&mut self) -> u64 {
        20
    }
}

/// Writes down what happens; ends the test with the last scripted answer.
struct Diary {
    stored: u64,
    answers: VecDeque<Result<Taken, &'static str>>,
    lines: Vec<String>,
    stop: CancellationToken,
}

impl Reader for Diary {
    type Error = &'static str;

    async fn position(&mut self) -> Result<Position, Self::Error> {
        self.lines.push(format!("position {}", self.stored));
        Ok(Position { seq: self.stored, ..Position::default() })
    }

    async fn take(
        &mut self,
        batch: &[Received],
        from: u64,
        to: Position,
    ) -> Result<Taken, Self::Error> {
        let answer = self.answers.pop_front().unwrap();
        self.lines.push(format!("take {} from {from} to {}: {answer:?}", batch.len(), to.seq));
        if answer == Ok(Taken::Yes) {
            self.stored = to.seq;
        }
        if self.answers.is_empty() {
            self.stop.cancel();
        }
        answer
    }

    fn failed(&mut self, error: &Self::Error, failures: u32) {
        self.lines.push(format!("failed {failures}: {error}"));
    }

    fn recovered(&mut self) {
        self.lines.push("recovered".to_owned());
    }

    fn lag(&mut self, messages: u64) {
        self.lines.push(format!("lag {messages}"));
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        self.lines.push(format!("recreated: {recreated}"));
    }

    async fn put_back(&mut self, stored: Position) -> Result<Taken, Self::Error> {
        self.lines.push(format!("put back before {}", stored.seq));
        self.stored = 0;
        Ok(Taken::Yes)
    }

    fn trusted(&mut self) {
        self.lines.push("trusted".to_owned());
    }
}

async fn diary(
    batches: Vec<Next>,
    answers: Vec<Result<Taken, &'static str>>,
) -> (End, Vec<String>) {
    diary_until(batches, answers, true, CancellationToken::new()).await
}

async fn diary_until(
    batches: Vec<Next>,
    answers: Vec<Result<Taken, &'static str>>,
    is_right: bool,
    stop: CancellationToken,
) -> (End, Vec<String>) {
    let source = Source { stream: "S", filter: ">".to_owned(), messages_max: 10, bytes_max: 2 };
    let mut reader =
        Diary { stored: 0, answers: answers.into(), lines: Vec::new(), stop: stop.clone() };
    let batches = Arc::new(Mutex::new(VecDeque::from(batches)));
    let is_right = Arc::new(AtomicBool::new(is_right));
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));
    let (recreated_pause, trusted_after) = (Duration::from_millis(1), Duration::from_millis(1));
    let work = Work {
        source: &source,
        reader: &mut reader,
        stop: &stop,
        backoff,
        recreated_pause,
        trusted_after,
    };
    let end = work
        .run(|_| Script { batches: batches.clone(), is_right: is_right.clone() })
        .await
        .unwrap_or_else(|end| end);
    (end, reader.lines)
}

#[tokio::test]
async fn a_part_that_fails_comes_again_and_the_next_follows_it() {
    let (end, lines) = diary(
        vec![Ok(vec![3, 4, 7])],
        vec![Err("away"), Err("away"), Ok(Taken::Yes), Ok(Taken::Yes)],
    )
    .await;
    assert_eq!(end, End::Stopped);
    assert_eq!(
        lines,
        [
            "position 0",
            "lag 13",
            "take 2 from 0 to 4: Err(\"away\")",
            "failed 1: away",
            "lag 23",
            "take 2 from 0 to 4: Err(\"away\")",
            "failed 2: away",
            "lag 23",
            "take 2 from 0 to 4: Ok(Yes)",
            "recovered",
            "lag 11",
            "take 1 from 4 to 7: Ok(Yes)",
            "lag 10",
        ]
    );
}

#[tokio::test]
async fn a_stream_made_anew_is_waited_for_and_read_from_the_stored_position() {
    let (end, lines) = diary(
        vec![Ok(vec![3]), Err(Odd::MadeAnew), Err(Odd::MadeAnew), Ok(vec![8])],
        vec![Ok(Taken::Yes), Ok(Taken::Lost)],
    )
    .await;
    assert_eq!(end, End::Lost);
    assert_eq!(
        lines,
        [
            "position 0",
            "lag 11",
            "take 1 from 0 to 3: Ok(Yes)",
            "lag 10",
            "recreated: another",
            "position 3",
            "position 3",
            "trusted",
            "lag 11",
            "take 1 from 3 to 8: Ok(Lost)",
        ]
    );
}

#[tokio::test]
async fn a_stream_put_back_is_read_from_its_beginning() {
    let (end, lines) = diary(
        vec![Ok(vec![3]), Err(Odd::PutBack), Ok(vec![2])],
        vec![Ok(Taken::Yes), Ok(Taken::Lost)],
    )
    .await;
    assert_eq!(end, End::Lost);
    assert_eq!(
        lines,
        [
            "position 0",
            "lag 11",
            "take 1 from 0 to 3: Ok(Yes)",
            "lag 10",
            "put back before 3",
            "position 0",
            "lag 11",
            "take 1 from 0 to 2: Ok(Lost)",
        ]
    );
}

#[tokio::test]
async fn silence_is_trusted_only_of_a_stream_that_is_the_right_one() {
    for is_right in [true, false] {
        let stop = CancellationToken::new();
        let later = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            later.cancel();
        });
        let (end, lines) =
            diary_until(vec![Err(Odd::MadeAnew)], vec![Ok(Taken::Yes)], is_right, stop).await;
        assert_eq!(end, End::Stopped);
        let trusted = lines.iter().any(|line| line == "trusted");
        assert_eq!(trusted, is_right, "{lines:?}");
    }
}
