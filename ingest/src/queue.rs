//! ◆ Pure: which webhooks wait for the broker, and which of them go out together.
//!
//! One sync costs the same for one message as for five hundred. So a lone webhook goes at once, and what comes in while it is under way
//! goes out together afterwards. Bodies with the same bytes share one message and its ack.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

/// Names a body: its sha256.
pub(crate) type Key = [u8; 32];

/// Most publishes under way at once: one that the broker syncs, one that travels meanwhile.
const IN_FLIGHT_MAX: usize = 2;
/// A second publish is worth its sync only when it carries many.
const SECOND_FROM_MESSAGES: usize = 32;

/// Bounds of memory, and of one atomic batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most webhooks that wait or are under way.
    pub(crate) messages_max: usize,
    /// Most bytes of theirs.
    pub(crate) bytes_max: usize,
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
    in_flight: usize,
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
            in_flight: 0,
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

    /// The batch to publish now, if any. Messages whose deadline has passed are dropped.
    pub(crate) fn next_batch(&mut self, now: Instant) -> Option<Batch<M>> {
        self.drop_late(now);
        let go = match self.in_flight {
            0 => true,
            IN_FLIGHT_MAX.. => false,
            _ => !self.troubled && SECOND_FROM_MESSAGES <= self.waiting.len(),
        };
        if !go {
            return None;
        }
        let messages_max = if self.troubled { 1 } else { self.limits.batch_messages_max };
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
        if let Some(batch) = &batch {
            self.in_flight += 1;
            debug_assert!(!batch.keys.is_empty());
        }
        batch
    }

    /// A batch has ended; returns who waited for each of its messages. `answered`: the broker answered, even if it refused.
    pub(crate) fn finish(&mut self, keys: &[Key], bytes: usize, answered: bool) -> Vec<Vec<W>> {
        self.in_flight -= 1;
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

    const LIMITS: Limits =
        Limits { messages_max: 100, bytes_max: 1000, batch_messages_max: 50, batch_bytes_max: 400 };

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

    #[test]
    fn a_lone_one_goes_at_once_and_the_others_together() {
        let (mut queue, now, deadline) = queue();
        offer(&mut queue, 0..1, deadline);
        let first = queue.next_batch(now).unwrap();
        assert_eq!(first.messages, [0]);
        offer(&mut queue, 1..31, deadline);
        assert!(queue.next_batch(now).is_none(), "few wait for the one under way");
        assert_eq!(queue.finish(&first.keys, first.bytes(), true), [vec![0]]);
        assert_eq!(queue.next_batch(now).unwrap().messages, (1..31).collect::<Vec<_>>());
        offer(&mut queue, 31..90, deadline);
        assert_eq!(queue.next_batch(now).unwrap().messages.len(), 50, "many do not wait");
        offer(&mut queue, 90..101, deadline);
        assert!(queue.next_batch(now).is_none(), "two are under way");
        assert_eq!(queue.offer(key(101), 101, 1, deadline, 101), Err(Overloaded));
    }

    #[test]
    fn bytes_are_bounded() {
        let (mut queue, now, deadline) = queue();
        for n in 0..3 {
            queue.offer(key(n), n, 300, deadline, n).unwrap();
        }
        assert_eq!(queue.offer(key(3), 3, 300, deadline, 3), Err(Overloaded));
        let batch = queue.next_batch(now).unwrap();
        assert_eq!((batch.messages.as_slice(), batch.bytes()), (&[0][..], 300));
        queue.finish(&batch.keys, batch.bytes(), true);
        queue.offer(key(3), 3, 300, deadline, 3).unwrap();
        let mut alone = Queue::new(LIMITS);
        alone.offer(key(0), 0, 999, deadline, 0).unwrap();
        assert_eq!(
            alone.next_batch(now).unwrap().messages,
            [0],
            "one above a batch's bytes goes alone"
        );
    }

    #[test]
    fn same_bytes_share_one_message_waiting_or_under_way() {
        let (mut queue, now, deadline) = queue();
        queue.offer(key(7), 7, 1, deadline, 1).unwrap();
        queue.offer(key(7), 7, 1, deadline, 2).unwrap();
        let batch = queue.next_batch(now).unwrap();
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
        let batch = queue.next_batch(now + Duration::from_secs(2)).unwrap();
        assert_eq!((batch.messages.as_slice(), batch.deadline), (&[1][..], deadline));
        assert_eq!(queue.messages, 1);
        assert_eq!(queue.finish(&batch.keys, batch.bytes(), true), [vec![1, 11]]);
    }

    #[test]
    fn a_silent_broker_is_asked_by_one_message_at_a_time() {
        let (mut queue, now, deadline) = queue();
        offer(&mut queue, 0..1, deadline);
        let batch = queue.next_batch(now).unwrap();
        offer(&mut queue, 1..80, deadline);
        queue.finish(&batch.keys, batch.bytes(), false);
        let probe = queue.next_batch(now).unwrap();
        assert_eq!(probe.messages.len(), 1);
        assert!(queue.next_batch(now).is_none());
        queue.finish(&probe.keys, probe.bytes(), true);
        assert_eq!(queue.next_batch(now).unwrap().messages.len(), 50);
        assert_eq!(queue.give_up().len(), 28);
        assert_eq!(queue.messages, 50);
    }

    proptest! {
        /// Whatever happens in whatever order: everybody is answered exactly once or too late, and the books are even in the end.
        #[test]
        fn nobody_is_forgotten(acts in prop::collection::vec((0..4_u8, 0..40_u32, 0..50_usize, any::<bool>()), 0..200)) {
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
                    2 => out.extend(queue.next_batch(now)),
                    _ => {
                        now += Duration::from_millis(u64::from(n));
                        if let Some(batch) = out.pop_front() {
                            answered.extend(queue.finish(&batch.keys, batch.bytes(), flag).into_iter().flatten());
                        }
                    }
                }
                prop_assert!(queue.bytes <= LIMITS.bytes_max && out.len() <= IN_FLIGHT_MAX);
            }
            for batch in out {
                answered.extend(queue.finish(&batch.keys, batch.bytes(), true).into_iter().flatten());
            }
            answered.extend(queue.give_up());
            prop_assert_eq!((queue.messages, queue.bytes, queue.in_flight, queue.waiters.len()), (0, 0, 0, 0));
            answered.sort_unstable();
            prop_assert!(answered.is_sorted_by(|a, b| a < b), "answered twice");
            for (waiter, deadline) in taken {
                prop_assert!(answered.binary_search(&waiter).is_ok() || deadline <= now);
            }
        }
    }
}
