//! ◆ Pure: what the row of a conversation shows of its messages, moved by what a batch changes.
//!
//! Most batches add messages: the latest one, the number unread and the end of the window follow from what the row shows and from what
//! comes in. Where they do not (the latest message goes, the mark of reading moves into the middle), all messages are looked at again.

use schemas::{Timestamp, window};

/// What a conversation's row shows of its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Time and id of the latest visible message.
    pub(crate) last: Option<(Timestamp, String)>,
    /// Unread messages.
    pub(crate) unread: i64,
    /// Time of the latest message that opens the window.
    pub(crate) opened: Option<Timestamp>,
}

/// A message, as far as the row of its conversation depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Its id.
    pub(crate) id: String,
    /// Its conversation.
    pub(crate) conversation_id: Option<String>,
    /// When it was sent.
    pub(crate) sent_at: Timestamp,
    /// Not shown.
    pub(crate) hidden: bool,
    /// Unread, unless the conversation was read after it.
    pub(crate) counts_unread: bool,
    /// Opens the window.
    pub(crate) opens_window: bool,
}

/// What a batch changes in the messages of one conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves {
    /// Changed messages as they were.
    pub(crate) before: Vec<Weight>,
    /// Changed and new messages as they are now.
    pub(crate) now: Vec<Weight>,
}

/// The marks of reading before and after a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadUntil {
    pub(crate) before: Option<Timestamp>,
    pub(crate) now: Option<Timestamp>,
}

impl Weight {
    fn is_unread(&self, read: Option<Timestamp>) -> bool {
        self.counts_unread && read.is_none_or(|read| self.sent_at > read)
    }

    fn shown(&self) -> Option<(Timestamp, &str)> {
        (!self.hidden).then_some((self.sent_at, self.id.as_str()))
    }
}

impl Summary {
    /// When the conversation was last used: by its latest message, else by an `interaction` that is none.
    pub(crate) fn last_at(&self, interaction: Option<Timestamp>) -> Option<Timestamp> {
        self.last.as_ref().map(|(time, _)| *time).or(interaction)
    }

    /// When the window closes.
    pub(crate) fn window_end(&self) -> Option<Timestamp> {
        self.opened.map(|opened| opened.plus(window::STANDARD))
    }

    /// The summary after the batch; `None`: all messages have to be looked at.
    pub(crate) fn moved(&self, read: ReadUntil, moves: &Moves) -> Option<Self> {
        let last = self.last_after(moves)?;
        let opened = self.opened_after(moves)?;
        let unread = self.unread_after(read, moves, last.as_ref().map(|(time, _)| *time))?;
        Some(Self { last, unread, opened })
    }

    fn last_after(&self, moves: &Moves) -> Option<Option<(Timestamp, String)>> {
        let held = self.last.as_ref().map(|(time, id)| (*time, id.as_str()));
        let now = moves.now.iter().filter_map(Weight::shown).max();
        let changed = held.is_some_and(|(_, held)| moves.before.iter().any(|one| one.id == held));
        // The latest one has changed, and nothing that came in is as late: another one is the latest.
        if changed && now < held {
            return None;
        }
        Some(held.max(now).map(|(time, id)| (time, id.to_owned())))
    }

    fn opened_after(&self, moves: &Moves) -> Option<Option<Timestamp>> {
        let latest = |weights: &[Weight]| {
            weights.iter().filter(|one| one.opens_window).map(|one| one.sent_at).max()
        };
        let (before, now) = (latest(&moves.before), latest(&moves.now));
        let changed = self.opened.is_some() && before >= self.opened;
        if changed && now < self.opened {
            return None;
        }
        Some(self.opened.max(now))
    }

    fn unread_after(&self, read: ReadUntil, moves: &Moves, last: Option<Timestamp>) -> Option<i64> {
        if read.before == read.now {
            let count = |weights: &[Weight]| {
                let unread = weights.iter().filter(|one| one.is_unread(read.now)).count();
                i64::try_from(unread).unwrap_or(i64::MAX)
            };
            return Some(self.unread - count(&moves.before) + count(&moves.now));
        }
        // Read after the latest message: nothing is unread. Else it depends on messages that are not at hand.
        (read.now >= last && read.now.is_some()).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_all(messages: &[Weight], read: Option<Timestamp>) -> Summary {
        let shown = messages.iter().filter_map(Weight::shown).max();
        let unread = messages.iter().filter(|one| one.is_unread(read)).count();
        Summary {
            last: shown.map(|(time, id)| (time, id.to_owned())),
            unread: i64::try_from(unread).unwrap(),
            opened: messages.iter().filter(|one| one.opens_window).map(|one| one.sent_at).max(),
        }
    }

    fn message() -> impl Strategy<Value = Option<Weight>> {
        let some = (0..6_i64, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(sent, hidden, unread, opens)| Weight {
                id: String::new(),
                conversation_id: None,
                sent_at: Timestamp::from_millis(sent),
                hidden,
                counts_unread: unread && !hidden,
                opens_window: opens && !hidden,
            },
        );
        prop::option::weighted(0.7, some)
    }

    fn named(messages: &[Option<Weight>]) -> Vec<Option<Weight>> {
        let name = |(n, one): (usize, &Option<Weight>)| {
            one.clone().map(|one| Weight { id: format!("m{n}"), ..one })
        };
        messages.iter().enumerate().map(name).collect()
    }

    proptest! {
        /// Whatever changes, what is moved is what looking at all messages would give.
        #[test]
        fn moved_or_counted_it_is_the_same(
            before in prop::collection::vec(message(), 6),
            later in prop::collection::vec((any::<bool>(), message()), 6),
            read in (prop::option::of(0..6_i64), prop::option::of(0..6_i64)),
        ) {
            let before = named(&before);
            let later: Vec<(bool, Option<Weight>)> = later;
            let put = named(&later.iter().map(|(_, one)| one.clone()).collect::<Vec<_>>());
            let mut now = before.clone();
            let mut moves = Moves::default();
            for (n, (touched, _)) in later.iter().enumerate() {
                if *touched {
                    moves.before.extend(before[n].clone());
                    moves.now.extend(put[n].clone());
                    now[n] = put[n].clone();
                }
            }
            let mark = |at: Option<i64>| at.map(Timestamp::from_millis);
            let read = ReadUntil { before: mark(read.0), now: mark(read.1) };
            let flat = |all: &[Option<Weight>]| all.iter().flatten().cloned().collect::<Vec<_>>();
            if let Some(moved) = of_all(&flat(&before), read.before).moved(read, &moves) {
                prop_assert_eq!(moved, of_all(&flat(&now), read.now));
            }
        }
    }

    #[test]
    fn what_only_comes_in_needs_no_look_at_the_others() {
        let at = |sent| Weight {
            id: format!("m{sent}"),
            conversation_id: None,
            sent_at: Timestamp::from_millis(sent),
            hidden: false,
            counts_unread: true,
            opens_window: true,
        };
        let summary = of_all(&[at(1), at(5)], None);
        let moves = Moves { before: Vec::new(), now: vec![at(3)] };
        let moved = summary.moved(ReadUntil::default(), &moves).unwrap();
        assert_eq!((moved.unread, moved.last), (3, summary.last));
    }
}
