//! ◆ Pure: which outbound message is the effect of which part, where no answer settled it (docs/meta-platform.md 13).

use std::time::Duration;

use schemas::Timestamp;

use crate::decide::Look;
use facts::follow_up::content::Content;

/// How far Meta's clock may be behind ours, and the whole seconds of Graph's times.
pub(crate) const SKEW: Duration = Duration::from_secs(5);
/// A message made this long after an attempt's deadline is no effect of it.
pub(crate) const LATE: Duration = Duration::from_secs(120);
/// An equal message this far outside the time that fits is not taken for the effect, but is no proof of absence either: the clocks of
/// database, worker and Graph may each be wrong by minutes, and may have been set since the attempt.
pub(crate) const DOUBT: Duration = Duration::from_secs(3600);

/// A part whose outcome is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its key.
    pub(crate) key: String,
    /// What it says.
    pub(crate) content: Content,
    /// Whom or what it is under; empty for a private reply, whose person nobody knows before its answer.
    pub(crate) peer: String,
    /// Start of its first attempt.
    pub(crate) first_at: Timestamp,
    /// Deadline of its last.
    pub(crate) deadline: Timestamp,
    /// Its request is in flight: its own answer, which is exact, is still to come.
    pub(crate) in_flight: bool,
}

/// An outbound message or own comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its id.
    pub(crate) id: String,
    /// What it says.
    pub(crate) content: Content,
    /// Whom or what it is under.
    pub(crate) peer: String,
    /// When, by Meta's clock.
    pub(crate) time: Timestamp,
    /// It is known to be something else: the effect of another part, or reported long before the first attempt.
    pub(crate) claimed: bool,
    /// It was reported before the first attempt, by a clock that may have been set since: it is not taken for the effect, and proves nothing.
    pub(crate) early: bool,
}

impl Wanted {
    /// Whether `item` may be its effect.
    pub(crate) fn may_be(&self, item: &Item) -> bool {
        !item.early && item.content == self.content && self.in_reach(item, Duration::ZERO)
    }

    fn in_reach(&self, item: &Item, beyond: Duration) -> bool {
        !item.claimed
            && (item.peer == self.peer || self.peer.is_empty())
            && self.first_at.minus(SKEW + beyond) <= item.time
            && item.time <= self.deadline.plus(LATE + beyond)
    }

    /// Whether `item`, which is not taken for its effect, may be it all the same. Meta alters what it is given (it composes letters, it
    /// serves sound as video: docs/meta-platform.md 6.1, 13), so in the right time, give or take `skew`, any content may be ours; outside of
    /// it an equal one may be.
    fn may_hide(&self, item: &Item, skew: Duration) -> bool {
        if item.content == self.content {
            self.in_reach(item, DOUBT)
        } else {
            !item.early && self.in_reach(item, skew)
        }
    }

    /// What a read of the thread that shows these own items proves. `complete`: it reaches back before the first attempt and withholds
    /// nothing since. `skew`: how far Meta's clock and ours may differ unnoticed.
    pub(crate) fn look(&self, items: &[Item], complete: bool, skew: Duration) -> Look {
        match self.choose(items) {
            Some(item) => Look::Found { item_id: Some(item.id.clone()), time: Some(item.time) },
            None if complete && !items.iter().any(|item| self.may_hide(item, skew)) => Look::Absent,
            None => Look::Inconclusive,
        }
    }

    /// The item that is taken for its effect: the oldest that may be.
    pub(crate) fn choose<'a>(&self, items: &'a [Item]) -> Option<&'a Item> {
        items
            .iter()
            .filter(|item| self.may_be(item))
            .min_by_key(|item| (item.time, item.id.as_str()))
    }
}

/// Whose effect an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner<'a> {
    /// Of this part: the oldest that may have made it, or the only one where its person is not known.
    Part(&'a Wanted),
    /// An equal part is in flight; its answer will settle it.
    Wait(Timestamp),
    /// Of none of ours, or it is not clear of which.
    Nobody,
}

/// Finds the part an item is the effect of.
pub(crate) fn owner<'a>(wanted: &'a [Wanted], item: &Item) -> Owner<'a> {
    let fitting = || wanted.iter().filter(|wanted| wanted.may_be(item));
    // As long as one of several equal parts will receive its own message id, guessing could give that id to another.
    if let Some(deadline) =
        fitting().filter(|wanted| wanted.in_flight).map(|wanted| wanted.deadline).max()
    {
        return Owner::Wait(deadline);
    }
    let (peerless, named): (Vec<_>, Vec<_>) = fitting().partition(|wanted| wanted.peer.is_empty());
    match (named.into_iter().min_by_key(|one| (one.first_at, one.key.as_str())), &*peerless) {
        (Some(one), _) => Owner::Part(one),
        // Two equal private replies to different people: either may be the one.
        (None, [one]) => Owner::Part(one),
        (None, _) => Owner::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::follow_up::content::of_text;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
    }

    fn wanted(key: &str, first: i64) -> Wanted {
        Wanted {
            key: key.to_owned(),
            content: of_text("ok"),
            peer: "p".to_owned(),
            first_at: at(first),
            deadline: at(first + 20),
            in_flight: false,
        }
    }

    fn item(id: &str, time: i64) -> Item {
        Item {
            id: id.to_owned(),
            content: of_text("ok"),
            peer: "p".to_owned(),
            time: at(time),
            claimed: false,
            early: false,
        }
    }

    #[test]
    fn content_person_and_time_must_fit_and_nobody_else_may_claim_it() {
        let part = wanted("a", 100);
        assert!(
            part.may_be(&item("m", 100))
                && part.may_be(&item("m", 96))
                && part.may_be(&item("m", 239))
        );
        assert!(!part.may_be(&item("m", 94)) && !part.may_be(&item("m", 241)));
        assert!(!part.may_be(&Item { content: of_text("no"), ..item("m", 100) }));
        assert!(!part.may_be(&Item { peer: "q".to_owned(), ..item("m", 100) }));
        assert!(!part.may_be(&Item { claimed: true, ..item("m", 100) }));
    }

    #[test]
    fn two_equal_texts_take_one_echo_each_oldest_first() {
        let parts = [wanted("b", 30), wanted("a", 10)];
        assert_eq!(owner(&parts, &item("m1", 31)), Owner::Part(&parts[1]));
        let items = [item("m2", 33), item("m1", 31)];
        assert_eq!(parts[0].choose(&items).map(|item| item.id.as_str()), Some("m1"));
    }

    #[test]
    fn nothing_is_guessed_while_an_equal_part_is_in_flight() {
        let parts = [wanted("a", 10), Wanted { in_flight: true, ..wanted("b", 20) }];
        assert_eq!(owner(&parts, &item("m", 21)), Owner::Wait(at(40)));
        assert_eq!(owner(&parts, &item("m", 12)), Owner::Part(&parts[0]));
        assert_eq!(owner(&parts, &item("m", 2)), Owner::Nobody);
    }
    #[test]
    fn absence_is_not_proven_beside_anything_that_may_be_ours() {
        let part = wanted("a", 100);
        let other = |time| Item { content: of_text("o\u{308}k"), ..item("m", time) };
        assert_eq!(part.look(&[], true, Duration::ZERO), Look::Absent);
        assert_eq!(part.look(&[], false, Duration::ZERO), Look::Inconclusive);
        let found = Look::Found { item_id: Some("m".to_owned()), time: Some(at(101)) };
        assert_eq!(part.look(&[item("m", 101), other(102)], true, Duration::ZERO), found);
        // Equal, but by the clocks too early or too late: 7 s, minutes, hours.
        for (time, expected) in [
            (93, Look::Inconclusive),
            (-200, Look::Inconclusive),
            (-3505, Look::Inconclusive),
            (-3506, Look::Absent),
            (241, Look::Inconclusive),
            (3840, Look::Inconclusive),
            (3841, Look::Absent),
        ] {
            assert_eq!(part.look(&[item("m", time)], true, Duration::ZERO), expected, "{time}");
        }
        // Altered on the way: only in the right time.
        for (time, expected) in [(101, Look::Inconclusive), (93, Look::Absent), (241, Look::Absent)]
        {
            assert_eq!(part.look(&[other(time)], true, Duration::ZERO), expected, "{time}");
        }
        // Also where the clocks differ by what goes unnoticed.
        for (time, expected) in [(36, Look::Inconclusive), (34, Look::Absent)] {
            assert_eq!(
                part.look(&[other(time)], true, Duration::from_secs(60)),
                expected,
                "{time}"
            );
        }
        // Reported before the attempt, by a clock that may have been set since.
        for (early, expected) in [
            (item("m", 101), Look::Inconclusive),
            (item("m", -400), Look::Inconclusive),
            (item("m", -4_000), Look::Absent),
            (other(101), Look::Absent),
        ] {
            let early = Item { early: true, ..early };
            assert_eq!(part.look(&[early], true, Duration::ZERO), expected);
        }
        // Known to be something else.
        for known in [item("m", 101), item("m", 93), other(101)] {
            assert_eq!(
                part.look(&[Item { claimed: true, ..known }], true, Duration::ZERO),
                Look::Absent
            );
        }
    }

    #[test]
    fn a_private_reply_whose_person_is_unknown_takes_an_echo_that_fits_no_other() {
        let private = |key: &str, first| Wanted { peer: String::new(), ..wanted(key, first) };
        let one = [private("a", 10)];
        assert_eq!(owner(&one, &item("m", 12)), Owner::Part(&one[0]));
        assert_eq!(owner(&one, &item("m", 400)), Owner::Nobody);
        let words = Item { content: of_text("no"), ..item("m", 12) };
        assert_eq!(owner(&one, &words), Owner::Nobody);
        assert_eq!(owner(&[private("a", 10), private("b", 11)], &item("m", 12)), Owner::Nobody);
        let both = [private("a", 10), wanted("b", 11)];
        assert_eq!(owner(&both, &item("m", 12)), Owner::Part(&both[1]));
        let flying = [Wanted { in_flight: true, ..private("a", 10) }];
        assert_eq!(owner(&flying, &item("m", 12)), Owner::Wait(at(30)));
    }
}
