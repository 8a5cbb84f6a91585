//! ◆ Pure: what Meta's rules allow, as dated data, judged before Meta is asked (`meta-platform.md` section 11).

use std::time::Duration;

use schemas::Timestamp;
use schemas::command::Requester;

use facts::ids;

/// Sends stop this long before a window ends: whether Meta compares with the time of sending or of arrival is unknown.
pub const WINDOW_MARGIN: Duration = Duration::from_secs(120);
/// The standard window.
pub const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// The window of `HUMAN_AGENT`.
pub const HUMAN_AGENT_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);
/// The automatic reply keeps quiet for this long after a person, or another app, has answered.
pub const QUIET_AFTER_PERSON: Duration = Duration::from_secs(600);
/// A typing indicator older than this says nothing any more.
pub const SENDER_ACTION_MAX_AGE: Duration = Duration::from_secs(60);

/// Tags that once reached beyond the window, with the day Meta began to refuse them.
const RETIRED_TAGS: [(&str, &str); 3] = [
    ("ACCOUNT_UPDATE", "2026-04-27"),
    ("CONFIRMED_EVENT_UPDATE", "2026-04-27"),
    ("POST_PURCHASE_UPDATE", "2026-04-27"),
];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// A message to a person, perhaps with a tag.
    Message {
        /// `HUMAN_AGENT` or a retired one.
        tag: Option<&'a str>,
        /// It is the automatic reply of the account to one event.
        automatic: bool,
    },
    /// Typing or mark seen.
    SenderAction,
    /// A message to the author of a comment. No window: Meta allows one per comment, within 7 days (`meta-platform.md` section 8.3).
    PrivateReply,
    /// Anything else on comments.
    Comment,
}

/// What the policy must know.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What is asked for.
    pub act: Act<'a>,
    /// By whom.
    pub requester: Requester,
    /// Since when.
    pub requested_at: Timestamp,
    /// `AUTO_REPLY_MAX_AGE`
    pub auto_reply_max_age: Duration,
    /// The recipient; empty for comments.
    pub contact: &'a str,
    /// The recipient is the account itself, or one of its other ids.
    pub to_itself: bool,
    /// The latest act of the person that opens the window.
    pub opened_at: Option<Timestamp>,
    /// Another app controls the thread.
    pub other_owns: bool,
    /// When a person on our side, or another app, last answered.
    pub others_replied_at: Option<Timestamp>,
    /// The message it answers was unsent.
    pub cause_deleted: bool,
    /// Meta blocks the account.
    pub blocked: bool,
    /// Meta said that the person cannot be reached, and they have not acted since.
    pub unreachable: bool,
    /// The comment it answers is the account's own.
    pub own_comment: bool,
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go ahead.
    Allowed {
        /// The rule that allows it.
        rule: &'static str,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Never ask Meta.
    Refused(Refusal),
}

/// Why Meta is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word.
    pub code: &'static str,
    /// `window`, `policy`, `recipient`.
    pub class: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// For people who operate.
    pub message: String,
    /// When the rule last allowed it.
    pub until: Option<Timestamp>,
}

fn refuse(
    code: &'static str,
    class: &'static str,
    rule: &'static str,
    message: impl Into<String>,
) -> Verdict {
    Verdict::Refused(Refusal { code, class, rule, message: message.into(), until: None })
}

/// Judges.
pub fn judge(situation: &Situation<'_>, now: Timestamp) -> Verdict {
    if situation.blocked && situation.act != Act::Comment {
        return refuse(
            "account_blocked",
            "policy",
            "account.policy_enforced",
            "Meta blocks messages of this account: see its support inbox, then wait for `unblock`",
        );
    }
    match situation.act {
        Act::PrivateReply if situation.own_comment => refuse(
            "recipient_invalid",
            "recipient",
            "private_reply.own_comment",
            "the comment is the account's own: there is nobody to write to",
        ),
        Act::PrivateReply => Verdict::Allowed { rule: "private_reply", until: None },
        Act::Comment if situation.own_comment && situation.requester == Requester::Automation => {
            refuse(
                "own_comment",
                "policy",
                "comment.loop_guard",
                "an automation never answers the account's own comment",
            )
        }
        Act::Comment => Verdict::Allowed { rule: "comment", until: None },
        Act::SenderAction | Act::Message { .. } if !is_contact(situation) => refuse(
            "recipient_invalid",
            "recipient",
            "recipient.id",
            "the contact is no person: the account itself, or an id of fewer than 10 digits",
        ),
        Act::SenderAction if SENDER_ACTION_MAX_AGE < now.since(situation.requested_at) => refuse(
            "stale",
            "policy",
            "sender_action.age",
            "older than a minute: it would say nothing any more",
        ),
        Act::SenderAction => within(situation, WINDOW, "window.24h", now),
        Act::Message { tag, automatic } => message(situation, tag, automatic, now),
    }
}

fn is_contact(situation: &Situation<'_>) -> bool {
    !situation.to_itself && ids::may_be_contact(situation.contact)
}

fn message(
    situation: &Situation<'_>,
    tag: Option<&str>,
    automatic: bool,
    now: Timestamp,
) -> Verdict {
    if situation.requester == Requester::Automation && situation.other_owns {
        return refuse(
            "thread_owned_by_other",
            "policy",
            "thread.control",
            "another app controls this conversation: automations keep quiet until it passes it on",
        );
    }
    if situation.requester == Requester::Automation && situation.unreachable {
        return refuse(
            "recipient_unavailable",
            "recipient",
            "recipient.unavailable",
            "Meta said that this person cannot be reached: automations keep quiet until they act again",
        );
    }
    // It may have been held for hours, by a freeze, a stopped account, or an outage.
    if automatic && situation.auto_reply_max_age < now.since(situation.requested_at) {
        return refuse(
            "stale",
            "policy",
            "auto_reply.age",
            "the message it answers is older than AUTO_REPLY_MAX_AGE",
        );
    }
    if automatic && situation.cause_deleted {
        return refuse(
            "message_deleted",
            "policy",
            "auto_reply.deleted",
            "the message it answers was unsent",
        );
    }
    let answered =
        situation.others_replied_at.is_some_and(|time| now.since(time) < QUIET_AFTER_PERSON);
    if automatic && answered {
        return refuse(
            "person_answered",
            "policy",
            "auto_reply.quiet",
            "a person or another app answered within ten minutes",
        );
    }
    match tag {
        None => within(situation, WINDOW, "window.24h", now),
        Some("HUMAN_AGENT") if situation.requester == Requester::Person => {
            within(situation, HUMAN_AGENT_WINDOW, "window.human_agent_7d", now)
        }
        Some("HUMAN_AGENT") => refuse(
            "tag_not_allowed",
            "policy",
            "tag.human_agent",
            "HUMAN_AGENT is for replies written by people: use an API token of kind `person`",
        ),
        Some(tag) => match RETIRED_TAGS.iter().find(|(name, _)| *name == tag) {
            Some((name, since)) => refuse(
                "tag_retired",
                "policy",
                "tag.retired",
                format!(
                    "Meta refuses {name} since {since}: use a utility template, or HUMAN_AGENT for replies of people"
                ),
            ),
            None => refuse("tag_unknown", "policy", "tag.unknown", "the only tag is HUMAN_AGENT"),
        },
    }
}

fn within(
    situation: &Situation<'_>,
    window: Duration,
    rule: &'static str,
    now: Timestamp,
) -> Verdict {
    let Some(opened_at) = situation.opened_at else {
        return refuse(
            "window_closed",
            "window",
            rule,
            "no message of this person is known: they must write first (or import the conversation with `sync`)",
        );
    };
    let until = opened_at.plus(window);
    if now < until.minus(WINDOW_MARGIN) {
        return Verdict::Allowed { rule, until: Some(until) };
    }
    Verdict::Refused(Refusal {
        code: "window_closed",
        class: "window",
        rule,
        message: format!("the window ended at {until}: the person must write again"),
        until: Some(until),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + hours * HOUR)
    }

    /// A person answers a message of hour 0.
    fn reply() -> Situation<'static> {
        Situation {
            act: Act::Message { tag: None, automatic: false },
            requester: Requester::Person,
            requested_at: at(0),
            auto_reply_max_age: Duration::from_secs(2 * 3600),
            contact: "5200000000000011",
            to_itself: false,
            opened_at: Some(at(0)),
            other_owns: false,
            others_replied_at: None,
            cause_deleted: false,
            blocked: false,
            unreachable: false,
            own_comment: false,
        }
    }

    fn check(situation: Situation<'_>, now: Timestamp, expected: &str) {
        let said = match judge(&situation, now) {
            Verdict::Allowed { rule, .. } => rule,
            Verdict::Refused(refusal) => refusal.code,
        };
        assert_eq!(said, expected);
    }

    fn tagged(tag: &'static str, requester: Requester) -> Situation<'static> {
        Situation { act: Act::Message { tag: Some(tag), automatic: false }, requester, ..reply() }
    }

    fn automatic() -> Situation<'static> {
        Situation {
            act: Act::Message { tag: None, automatic: true },
            requester: Requester::Automation,
            ..reply()
        }
    }

    #[test]
    fn the_window_is_a_day_less_a_margin() {
        check(reply(), at(23), "window.24h");
        check(reply(), at(24).minus(WINDOW_MARGIN), "window_closed");
        check(reply(), at(24).minus(WINDOW_MARGIN + Duration::from_millis(1)), "window.24h");
        check(Situation { opened_at: None, ..reply() }, at(0), "window_closed");
    }

    #[test]
    fn a_refusal_says_until_when_it_would_have_been_allowed() {
        let Verdict::Refused(refusal) = judge(&reply(), at(30)) else {
            panic!("allowed after the window")
        };
        assert_eq!(refusal.until, Some(at(24)));
    }

    #[test]
    fn human_agent_is_a_week_for_people_only() {
        check(tagged("HUMAN_AGENT", Requester::Person), at(100), "window.human_agent_7d");
        check(tagged("HUMAN_AGENT", Requester::Person), at(168), "window_closed");
        check(tagged("HUMAN_AGENT", Requester::Automation), at(1), "tag_not_allowed");
    }

    #[test]
    fn retired_and_unknown_tags_are_refused_even_inside_the_window() {
        for tag in ["ACCOUNT_UPDATE", "CONFIRMED_EVENT_UPDATE", "POST_PURCHASE_UPDATE"] {
            check(tagged(tag, Requester::Person), at(1), "tag_retired");
        }
        check(tagged("SHOUT", Requester::Person), at(1), "tag_unknown");
    }

    #[test]
    fn automations_keep_quiet_where_somebody_else_speaks() {
        check(Situation { other_owns: true, ..automatic() }, at(1), "thread_owned_by_other");
        check(Situation { other_owns: true, ..reply() }, at(1), "window.24h");
        check(
            Situation { others_replied_at: Some(at(1)), ..automatic() },
            at(1),
            "person_answered",
        );
        check(Situation { others_replied_at: Some(at(1)), ..automatic() }, at(2), "window.24h");
        check(Situation { others_replied_at: Some(at(1)), ..reply() }, at(1), "window.24h");
        check(Situation { cause_deleted: true, ..automatic() }, at(1), "message_deleted");
        check(automatic(), at(2), "window.24h");
        check(automatic(), at(3), "stale");
        check(reply(), at(3), "window.24h");
    }

    #[test]
    fn a_private_reply_is_a_message_but_needs_no_window() {
        let private = Situation { act: Act::PrivateReply, contact: "", opened_at: None, ..reply() };
        check(private, at(1), "private_reply");
        check(Situation { blocked: true, ..private }, at(1), "account_blocked");
        check(Situation { own_comment: true, ..private }, at(1), "recipient_invalid");
    }

    #[test]
    fn nobody_but_a_person_tries_somebody_who_cannot_be_reached() {
        check(Situation { unreachable: true, ..automatic() }, at(1), "recipient_unavailable");
        check(Situation { unreachable: true, ..reply() }, at(1), "window.24h");
    }

    #[test]
    fn a_blocked_account_and_a_wrong_recipient_are_refused_first() {
        check(Situation { blocked: true, ..reply() }, at(1), "account_blocked");
        check(
            Situation { act: Act::SenderAction, blocked: true, ..reply() },
            at(1),
            "account_blocked",
        );
        check(Situation { contact: "12334", ..reply() }, at(1), "recipient_invalid");
        check(Situation { to_itself: true, ..reply() }, at(1), "recipient_invalid");
    }

    #[test]
    fn comments_have_no_window_but_a_loop_guard() {
        let comment =
            Situation { act: Act::Comment, contact: "", opened_at: None, blocked: true, ..reply() };
        check(comment, at(1), "comment");
        check(Situation { own_comment: true, ..comment }, at(1), "comment");
        check(
            Situation { own_comment: true, requester: Requester::Automation, ..comment },
            at(1),
            "own_comment",
        );
    }

    #[test]
    fn a_late_typing_indicator_is_dropped() {
        let typing = Situation { act: Act::SenderAction, ..reply() };
        check(typing, at(0).plus(Duration::from_secs(30)), "window.24h");
        check(typing, at(1), "stale");
    }
}
