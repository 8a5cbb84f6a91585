//! ◆ Pure: which webhooks wait for the broker, and which of them go out together.
//!
//! Where the broker syncs, a message on its own costs a sync, and an atomic batch several whatever its size. So few go out on their own,
//! without waiting for each other, and many together. Where it does not sync, all go out on their own. Same bytes share one message.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

/// Names a body: its sha256.
pub(crate) type Key = [u8; 32];

/// Most messages under way on their own, where each costs a sync: as many as one batch costs. Those behind them wait for a batch.
const SINGLES_MAX: usize = 4;
/// Most batches under way at once: one that the broker syncs, one that travels meanwhile.
const BATCHES_MAX: usize = 2;
/// A batch beside something else that is under way is worth its syncs only when it carries many.
const SECOND_FROM_MESSAGES: usize = 32;

/// Bounds of memory, and of one atomic batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most webhooks that wait or are under way.
    pub(crate) messages_max: usize,
    /// Most bytes of theirs.
    pub(crate) bytes_max: usize,
    /// From so many waiting messages on they go out as a batch.
    pub(crate) batch_from: usize,
    /// Most messages of a batch.
    pub(crate) batch_messages_max: usize,
    /// Most bytes of a batch.
    pub(crate) batch_bytes_max: usize,
}

/// No room: come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overloaded;

struct Waiting<M> {
    key: Key,
    message: M,
    bytes: usize,
    deadline: Instant,
}

/// What goes out together.
#[derive(Debug)]
pub(crate) struct Batch<M> {
    /// Their keys, in the order they came in.
    pub(crate) keys: Vec<Key>,
    /// The messages, in the same order.
    pub(crate) messages: Vec<M>,
    /// When the last of those who wait for it gives up.
    pub(crate) deadline: Instant,
    bytes: usize,
}

/// Messages `M`, and who waits for them `W`.
pub(crate) struct Queue<M, W> {
    limits: Limits,
    waiting: VecDeque<Waiting<M>>,
    waiters: HashMap<Key, Vec<W>>,
    messages: usize,
    bytes: usize,
    /// Messages that are under way on their own.
    singles: usize,
    /// Batches under way.
    batches: usize,
    /// The last publish got no answer: one message at a time finds out whether it is over.
    troubled: bool,
}

impl<M, W> Queue<M, W> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            waiters: HashMap::new(),
            messages: 0,
            bytes: 0,
            singles: 0,
            batches: 0,
            troubled: false,
        }
    }

    /// Takes a message in, or lets its waiter share the one with the same bytes that waits or is under way.
    ///
    /// # Errors
    /// [`Overloaded`] when there is no room for another message.
    pub(crate) fn offer(
        &mut self,
        key: Key,
        message: M,
        bytes: usize,
        deadline: Instant,
        waiter: W,
    ) -> Result<(), Overloaded> {
        if let Some(waiters) = self.waiters.get_mut(&key) {
            // Repeats cost little, but not nothing.
            if self.limits.messages_max <= waiters.len() {
                return Err(Overloaded);
            }
            waiters.push(waiter);
            // Where it is not under way yet, it must not be dropped as late while this one waits.
            if let Some(waiting) = self.waiting.iter_mut().rev().find(|waiting| waiting.key == key)
            {
                waiting.deadline = waiting.deadline.max(deadline);
            }
            return Ok(());
        }
        if self.limits.messages_max <= self.messages || self.limits.bytes_max < self.bytes + bytes {
            return Err(Overloaded);
        }
        self.messages += 1;
        self.bytes += bytes;
        self.waiters.insert(key, vec![waiter]);
        self.waiting.push_back(Waiting { key, message, bytes, deadline });
        Ok(())
    }

    /// What to publish now, if anything: one message on its own, or a batch. Messages whose deadline has passed are dropped. `syncs`: each
    /// message on its own costs the broker a sync.
    pub(crate) fn next_batch(&mut self, now: Instant, syncs: bool) -> Option<Batch<M>> {
        self.drop_late(now);
        let waiting = self.waiting.len();
        let (go, messages_max) = if self.troubled {
            (self.singles + self.batches == 0, 1)
        } else if !syncs {
            (true, 1)
        } else if waiting < self.limits.batch_from {
            (self.batches == 0 && self.singles < SINGLES_MAX, 1)
        } else {
            let go = match (self.batches, self.singles) {
                (0, 0) => true,
                (BATCHES_MAX.., _) => false,
                _ => SECOND_FROM_MESSAGES <= waiting,
            };
            (go, self.limits.batch_messages_max)
        };
        if !go {
            return None;
        }
        let mut batch: Option<Batch<M>> = None;
        while let Some(next) = self.waiting.front() {
            let full = batch.as_ref().is_some_and(|batch| {
                messages_max <= batch.keys.len()
                    || self.limits.batch_bytes_max < batch.bytes + next.bytes
            });
            if full {
                break;
            }
            let Some(next) = self.waiting.pop_front() else { break };
            let batch = batch.get_or_insert_with(|| Batch {
                keys: Vec::new(),
                messages: Vec::new(),
                deadline: next.deadline,
                bytes: 0,
            });
            batch.deadline = batch.deadline.max(next.deadline);
            batch.bytes += next.bytes;
            batch.keys.push(next.key);
            batch.messages.push(next.message);
        }
        match batch.as_ref().map(Batch::is_single) {
            Some(true) => self.singles += 1,
            Some(false) => self.batches += 1,
            None => {}
        }
        batch
    }

    /// A batch has ended; returns who waited for each of its messages. `answered`: the broker answered, even if it refused.
    pub(crate) fn finish(&mut self, keys: &[Key], bytes: usize, answered: bool) -> Vec<Vec<W>> {
        match keys {
            [_] => self.singles -= 1,
            _ => self.batches -= 1,
        }
        self.troubled = !answered;
        self.messages -= keys.len();
        self.bytes -= bytes;
        keys.iter().map(|key| self.waiters.remove(key).unwrap_or_default()).collect()
    }

    /// Drops everything that is not under way yet; returns who waited for it.
    pub(crate) fn give_up(&mut self) -> Vec<W> {
        let mut given_up = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            self.messages -= 1;
            self.bytes -= waiting.bytes;
            given_up.extend(self.waiters.remove(&waiting.key).unwrap_or_default());
        }
        given_up
    }

    fn drop_late(&mut self, now: Instant) {
        if self.waiting.front().is_none_or(|first| now < first.deadline) {
            return;
        }
        let mut late = HashSet::new();
        self.waiting.retain(|waiting| {
            let keep = now < waiting.deadline;
            if !keep {
                late.insert(waiting.key);
                self.messages -= 1;
                self.bytes -= waiting.bytes;
            }
            keep
        });
        self.waiters.retain(|key, _| !late.contains(key));
    }
}

impl<M> Batch<M> {
    /// Whether it is one message on its own.
    pub(crate) const fn is_single(&self) -> bool {
        self.keys.len() == 1
    }

    /// Bytes of its messages, as they were offered.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const LIMITS: Limits = Limits {
        messages_max: 100,
        bytes_max: 1000,
        batch_from: 4,
        batch_messages_max: 50,
        batch_bytes_max: 400,
    };

    fn key(n: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        key
    }

    fn queue() -> (Queue<u32, u32>, Instant, Instant) {
        let now = Instant::now();
        (Queue::new(LIMITS), now, now + Duration::from_secs(3))
    }

    fn offer(queue: &mut Queue<u32, u32>, numbers: std::ops::Range<u32>, deadline: Instant) {
        for n in numbers {
            queue.offer(key(n), n, 1, deadline, n).unwrap();
        }
    }

    /// Takes out what may go now, as the numbers of messages.
    fn sizes(queue: &mut Queue<u32, u32>, now: Instant, syncs: bool) -> Vec<usize> {
        std::iter::from_fn(|| queue.next_batch(now, syncs).map(|batch| batch.keys.len())).collect()
    }

    #[test]
    fn few_go_at_once_on_their_own() {
        let (mut queue, now, deadline) = queue();
        offer(&mut queue, 0..3, deadline);
        let first = queue.next_batch(now, true).unwrap();
        assert_eq!(first.messages, [0]);
        assert_eq!(sizes(&mut queue, now, true), [1, 1]);
        offer(&mut queue, 3..6, deadline);
        assert_eq!(sizes(&mut queue, now, true), [1], "enough are under way");
        assert_eq!(queue.finish(&first.keys, first.bytes(), true), [vec![0]]);
        assert_eq!(queue.next_batch(now, true).unwrap().messages, [4]);
        assert!(queue.next_batch(now, true).is_none());
    }

    #[test]
    fn many_go_together() {
        let (mut queue, now, deadline) = queue();
        offer(&mut queue, 0..20, deadline);
        let batch = queue.next_batch(now, true).unwrap();
        assert_eq!(batch.messages, (0..20).collect::<Vec<_>>());
        offer(&mut queue, 20..22, deadline);
        assert!(queue.next_batch(now, true).is_none(), "few wait for the batch under way");
        offer(&mut queue, 22..51, deadline);
        assert!(queue.next_batch(now, true).is_none(), "a second batch costs as much as the first");
        offer(&mut queue, 51..80, deadline);
        assert_eq!(sizes(&mut queue, now, true), [50], "many do not wait");
        offer(&mut queue, 80..90, deadline);
        assert!(queue.next_batch(now, true).is_none(), "two are under way");
        assert_eq!(queue.finish(&batch.keys, batch.bytes(), true).len(), 20);
        offer(&mut queue, 90..110, deadline);
        assert_eq!(sizes(&mut queue, now, true), [40]);
        offer(&mut queue, 110..120, deadline);
        assert_eq!(queue.offer(key(120), 120, 1, deadline, 120), Err(Overloaded));
    }

    #[test]
    fn where_nothing_is_synced_all_go_on_their_own() {
        let (mut queue, now, deadline) = queue();
        offer(&mut queue, 0..90, deadline);
        assert_eq!(sizes(&mut queue, now, false), [1; 90]);
    }

    #[test]
    fn bytes_are_bounded() {
        let (mut queue, now, deadline) = queue();
        for n in 0..5 {
            queue.offer(key(n), n, 190, deadline, n).unwrap();
        }
        assert_eq!(queue.offer(key(5), 5, 190, deadline, 5), Err(Overloaded));
        let batch = queue.next_batch(now, true).unwrap();
        assert_eq!((batch.messages.as_slice(), batch.bytes()), (&[0, 1][..], 380));
        queue.finish(&batch.keys, batch.bytes(), true);
        queue.offer(key(5), 5, 190, deadline, 5).unwrap();
        let mut alone = Queue::new(LIMITS);
        alone.offer(key(0), 0, 999, deadline, 0).unwrap();
        assert_eq!(
            alone.next_batch(now, true).unwrap().messages,
            [0],
            "one above a batch's bytes goes alone"
        );
    }

    #[test]
    fn same_bytes_share_one_message_waiting_or_under_way() {
        let (mut queue, now, deadline) = queue();
        queue.offer(key(7), 7, 1, deadline, 1).unwrap();
        queue.offer(key(7), 7, 1, deadline, 2).unwrap();
        let batch = queue.next_batch(now, true).unwrap();
        assert_eq!(batch.messages, [7]);
        queue.offer(key(7), 7, 1, deadline, 3).unwrap();
        assert_eq!(queue.finish(&batch.keys, batch.bytes(), true), [vec![1, 2, 3]]);
        assert_eq!(queue.messages, 0);
    }

    #[test]
    fn the_late_are_not_sent_and_a_repeat_prolongs() {
        let (mut queue, now, deadline) = queue();
        offer(&mut queue, 0..2, now + Duration::from_secs(1));
        queue.offer(key(1), 1, 1, deadline, 11).unwrap();
        let batch = queue.next_batch(now + Duration::from_secs(2), true).unwrap();
        assert_eq!((batch.messages.as_slice(), batch.deadline), (&[1][..], deadline));
        assert_eq!(queue.messages, 1);
        assert_eq!(queue.finish(&batch.keys, batch.bytes(), true), [vec![1, 11]]);
    }

    #[test]
    fn a_silent_broker_is_asked_by_one_message_at_a_time() {
        let (mut queue, now, deadline) = queue();
        offer(&mut queue, 0..1, deadline);
        let batch = queue.next_batch(now, true).unwrap();
        offer(&mut queue, 1..80, deadline);
        queue.finish(&batch.keys, batch.bytes(), false);
        let probe = queue.next_batch(now, true).unwrap();
        assert_eq!(probe.messages.len(), 1);
        assert!(queue.next_batch(now, true).is_none());
        queue.finish(&probe.keys, probe.bytes(), true);
        assert_eq!(queue.next_batch(now, true).unwrap().messages.len(), 50);
        assert_eq!(queue.give_up().len(), 28);
        assert_eq!(queue.messages, 50);
    }

    proptest! {
        /// Whatever happens in whatever order: everybody is answered exactly once or too late, and the books are even in the end.
        #[test]
        fn nobody_is_forgotten(syncs: bool, acts in prop::collection::vec((0..4_u8, 0..40_u32, 0..50_usize, any::<bool>()), 0..200)) {
            let start = Instant::now();
            let mut queue: Queue<u32, usize> = Queue::new(LIMITS);
            let (mut now, mut taken, mut answered) = (start, Vec::new(), Vec::new());
            let mut out: VecDeque<Batch<u32>> = VecDeque::new();
            for (waiter, (act, n, bytes, flag)) in acts.into_iter().enumerate() {
                match act {
                    0 | 1 => {
                        let deadline = now + Duration::from_millis(100);
                        if queue.offer(key(n), n, bytes, deadline, waiter).is_ok() {
                            taken.push((waiter, deadline));
                        }
                    }
                    2 => out.extend(queue.next_batch(now, syncs)),
                    _ => {
                        now += Duration::from_millis(u64::from(n));
                        if let Some(batch) = out.pop_front() {
                            answered.extend(queue.finish(&batch.keys, batch.bytes(), flag).into_iter().flatten());
                        }
                    }
                }
                prop_assert!(queue.bytes <= LIMITS.bytes_max && out.iter().filter(|batch| !batch.is_single()).count() <= BATCHES_MAX);
            }
            for batch in out {
                answered.extend(queue.finish(&batch.keys, batch.bytes(), true).into_iter().flatten());
            }
            answered.extend(queue.give_up());
            prop_assert_eq!((queue.messages, queue.bytes, queue.singles + queue.batches, queue.waiters.len()), (0, 0, 0, 0));
            answered.sort_unstable();
            prop_assert!(answered.is_sorted_by(|a, b| a < b), "answered twice");
            for (waiter, deadline) in taken {
                prop_assert!(answered.binary_search(&waiter).is_ok() || deadline <= now);
            }
        }
    }
}
