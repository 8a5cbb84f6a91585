//! ◆ Pure: which outbound message is the effect of which part, where no answer told (`meta-platform.md` section 13).

use std::time::Duration;

use schemas::Timestamp;

use super::content::Content;

/// How far Meta's clock may be behind ours, and the whole seconds of Graph's times.
pub const SKEW: Duration = Duration::from_secs(5);
/// A message made this long after an attempt's deadline is no effect of it.
pub const LATE: Duration = Duration::from_secs(120);

/// A part whose outcome nobody told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its key.
    pub key: String,
    /// What it says.
    pub content: Content,
    /// Whom or what it is under.
    pub peer: String,
    /// Start of its first attempt.
    pub first_at: Timestamp,
    /// Deadline of its last.
    pub deadline: Timestamp,
    /// Its request is in flight: its own answer, which is exact, is still to come.
    pub in_flight: bool,
}

/// An outbound message or own comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// What it says.
    pub content: Content,
    /// Whom or what it is under.
    pub peer: String,
    /// When, by Meta's clock.
    pub time: Timestamp,
    /// It is the effect of another part.
    pub claimed: bool,
}

impl Wanted {
    /// Whether `item` may be its effect.
    pub fn may_be(&self, item: &Item) -> bool {
        !item.claimed
            && item.content == self.content
            && item.peer == self.peer
            && self.first_at.minus(SKEW) <= item.time
            && item.time <= self.deadline.plus(LATE)
    }

    /// The item that is taken for its effect: the oldest that may be.
    pub fn choose<'a>(&self, items: &'a [Item]) -> Option<&'a Item> {
        items
            .iter()
            .filter(|item| self.may_be(item))
            .min_by_key(|item| (item.time, item.id.as_str()))
    }
}

/// Whose effect an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// Of this part: the oldest that may have made it.
    Part(&'a Wanted),
    /// An equal part is in flight; its answer will tell.
    Wait(Timestamp),
    /// Of none of ours.
    Nobody,
}

/// Finds the part an item is the effect of.
pub fn owner<'a>(wanted: &'a [Wanted], item: &Item) -> Owner<'a> {
    let fitting = || wanted.iter().filter(|wanted| wanted.may_be(item));
    // As long as one of several equal parts will be told its own message id, guessing could give that id to another.
    if let Some(deadline) =
        fitting().filter(|wanted| wanted.in_flight).map(|wanted| wanted.deadline).max()
    {
        return Owner::Wait(deadline);
    }
    match fitting().min_by_key(|wanted| (wanted.first_at, wanted.key.as_str())) {
        Some(wanted) => Owner::Part(wanted),
        None => Owner::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::of_text;
    use super::*;

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
}
