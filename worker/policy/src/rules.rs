//! ◆ Pure: the rules, as dated data (docs/meta-platform.md 11).

use std::time::Duration;

use schemas::Timestamp;
use schemas::command::Requester;
use schemas::ids::may_be_contact;
use schemas::window::{self, HUMAN_AGENT};

use crate::situation::{Refusal, SendKind, Situation, Verdict};

/// Sends stop this long before a window ends: whether Meta compares with the time of sending or of arrival is unknown.
pub(crate) const WINDOW_MARGIN: Duration = Duration::from_secs(120);
/// The automatic reply keeps quiet for this long after a person, or another app, has answered.
pub const QUIET_AFTER_PERSON: Duration = Duration::from_secs(600);
/// A typing indicator older than this says nothing any more.
const SENDER_ACTION_MAX_AGE: Duration = Duration::from_secs(60);

/// Tags that once reached beyond the window, with the day Meta began to refuse them.
const RETIRED_TAGS: [(&str, &str); 3] = [
    ("ACCOUNT_UPDATE", "2026-04-27"),
    ("CONFIRMED_EVENT_UPDATE", "2026-04-27"),
    ("POST_PURCHASE_UPDATE", "2026-04-27"),
];

fn refuse(
    code: &'static str,
    class: &'static str,
    rule: &'static str,
    message: impl Into<String>,
) -> Verdict {
    Verdict::Refused(Refusal { code, class, rule, message: message.into(), until: None })
}

/// What the policy says of one part at `now`.
pub fn judge(situation: &Situation<'_>, now: Timestamp) -> Verdict {
    let is_message = !matches!(
        situation.kind,
        SendKind::Comment | SendKind::Conversion { .. } | SendKind::TemplateSubmit
    );
    if situation.blocked && is_message {
        return refuse(
            "account_blocked",
            "policy",
            "account.policy_enforced",
            "Meta blocks messages of this account: see its support inbox, then wait for `unblock`",
        );
    }
    match situation.kind {
        SendKind::PrivateReply if situation.own_comment => refuse(
            "recipient_invalid",
            "recipient",
            "private_reply.own_comment",
            "the comment is the account's own: there is nobody to write to",
        ),
        SendKind::PrivateReply => Verdict::Allowed { rule: "private_reply", until: None },
        SendKind::Comment
            if situation.own_comment && situation.requester == Requester::Automation =>
        {
            refuse(
                "own_comment",
                "policy",
                "comment.loop_guard",
                "an automation never answers the account's own comment",
            )
        }
        SendKind::Comment => Verdict::Allowed { rule: "comment", until: None },
        SendKind::Conversion { by_facebook: true } => {
            Verdict::Allowed { rule: "conversion", until: None }
        }
        SendKind::Conversion { by_facebook: false } => refuse(
            "login_not_supported",
            "policy",
            "conversion.login",
            "Instagram Login has no Conversions API: connect the account by Facebook Login",
        ),
        SendKind::TemplateSubmit => Verdict::Allowed { rule: "template.submit", until: None },
        SendKind::SenderAction | SendKind::Message { .. } | SendKind::Template
            if !is_contact(situation) =>
        {
            refuse(
                "recipient_invalid",
                "recipient",
                "recipient.id",
                "the contact is no person: the account itself, or an id that is not 10 to 32 digits",
            )
        }
        SendKind::SenderAction if SENDER_ACTION_MAX_AGE < now.since(situation.requested_at) => {
            refuse(
                "stale",
                "policy",
                "sender_action.age",
                "older than a minute: it would say nothing any more",
            )
        }
        SendKind::SenderAction => within(situation, window::STANDARD, "window.24h", now),
        SendKind::Message { tag, automatic } => message(situation, tag, automatic, now),
        SendKind::Template => kept_quiet(situation)
            .unwrap_or(Verdict::Allowed { rule: "template.utility", until: None }),
    }
}

fn is_contact(situation: &Situation<'_>) -> bool {
    !situation.to_itself && may_be_contact(situation.contact)
}

/// Whom an automation does not write to.
fn kept_quiet(situation: &Situation<'_>) -> Option<Verdict> {
    if situation.requester == Requester::Automation && situation.other_owns {
        return Some(refuse(
            "thread_owned_by_other",
            "policy",
            "thread.control",
            "another app controls this conversation: automations keep quiet until it passes it on",
        ));
    }
    if situation.requester == Requester::Automation && situation.unreachable {
        return Some(refuse(
            "recipient_unavailable",
            "recipient",
            "recipient.unavailable",
            "Meta said that this person cannot be reached: automations keep quiet until they act again",
        ));
    }
    None
}

fn message(
    situation: &Situation<'_>,
    tag: Option<&str>,
    automatic: bool,
    now: Timestamp,
) -> Verdict {
    if let Some(refused) = kept_quiet(situation) {
        return refused;
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
        None => within(situation, window::STANDARD, "window.24h", now),
        Some(HUMAN_AGENT) if situation.requester == Requester::Person => {
            within(situation, window::HUMAN_AGENT_TAGGED, "window.human_agent_7d", now)
        }
        Some(HUMAN_AGENT) => refuse(
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
