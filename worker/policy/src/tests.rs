//! The rules, one by one.

use std::time::Duration;

use schemas::Timestamp;
use schemas::command::Requester;

use crate::rules::WINDOW_MARGIN;
use crate::{SendKind, Situation, Stops, Verdict, advise, judge};

const HOUR: i64 = 3_600_000;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000 + hours * HOUR)
}

/// A person answers a message of hour 0.
fn reply() -> Situation<'static> {
    Situation {
        kind: SendKind::Message { tag: None, automatic: false },
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
    Situation { kind: SendKind::Message { tag: Some(tag), automatic: false }, requester, ..reply() }
}

fn automatic() -> Situation<'static> {
    Situation {
        kind: SendKind::Message { tag: None, automatic: true },
        requester: Requester::Automation,
        ..reply()
    }
}

#[test]
fn a_template_needs_no_window_and_a_person() {
    let template = Situation { kind: SendKind::Template, opened_at: None, ..reply() };
    check(template, at(1000), "template.utility");
    check(Situation { contact: "12", ..template }, at(0), "recipient_invalid");
    check(Situation { blocked: true, ..template }, at(0), "account_blocked");
    let robot = Situation { requester: Requester::Automation, ..template };
    check(Situation { other_owns: true, ..robot }, at(0), "thread_owned_by_other");
    check(Situation { unreachable: true, ..robot }, at(0), "recipient_unavailable");
    check(Situation { unreachable: true, ..template }, at(0), "template.utility");
    let submit =
        Situation { kind: SendKind::TemplateSubmit, contact: "", blocked: true, ..template };
    check(submit, at(0), "template.submit");
}

#[test]
fn conversions_need_facebook_login_and_no_window() {
    let event = |by_facebook| Situation {
        kind: SendKind::Conversion { by_facebook },
        contact: "",
        opened_at: None,
        blocked: true,
        ..reply()
    };
    check(event(true), at(100), "conversion");
    check(event(false), at(0), "login_not_supported");
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
    check(Situation { others_replied_at: Some(at(1)), ..automatic() }, at(1), "person_answered");
    check(Situation { others_replied_at: Some(at(1)), ..automatic() }, at(2), "window.24h");
    check(Situation { others_replied_at: Some(at(1)), ..reply() }, at(1), "window.24h");
    check(Situation { cause_deleted: true, ..automatic() }, at(1), "message_deleted");
    check(automatic(), at(2), "window.24h");
    check(automatic(), at(3), "stale");
    check(reply(), at(3), "window.24h");
}

#[test]
fn a_private_reply_is_a_message_but_needs_no_window() {
    let private =
        Situation { kind: SendKind::PrivateReply, contact: "", opened_at: None, ..reply() };
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
        Situation { kind: SendKind::SenderAction, blocked: true, ..reply() },
        at(1),
        "account_blocked",
    );
    check(Situation { contact: "12334", ..reply() }, at(1), "recipient_invalid");
    check(Situation { to_itself: true, ..reply() }, at(1), "recipient_invalid");
}

#[test]
fn comments_have_no_window_but_a_loop_guard() {
    let comment = Situation {
        kind: SendKind::Comment,
        contact: "",
        opened_at: None,
        blocked: true,
        ..reply()
    };
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
    let typing = Situation { kind: SendKind::SenderAction, ..reply() };
    check(typing, at(0).plus(Duration::from_secs(30)), "window.24h");
    check(typing, at(1), "stale");
}

fn advice(situation: Situation<'_>, stops: Stops, now: Timestamp) -> String {
    let advice = advise(&situation, stops, now);
    let said = match &advice.verdict {
        Verdict::Allowed { rule, .. } => rule,
        Verdict::Refused(refusal) => refusal.code,
    };
    format!("{said} {} {}", advice.tag.unwrap_or("-"), advice.held.unwrap_or("-"))
}

#[test]
fn a_person_is_shown_the_tag_where_only_that_helps_and_what_would_wait() {
    let robot = Situation { requester: Requester::Automation, ..reply() };
    let free = Stops::default();
    assert_eq!(advice(reply(), free, at(1)), "window.24h - -");
    assert_eq!(advice(reply(), free, at(30)), "window.human_agent_7d HUMAN_AGENT -");
    assert_eq!(advice(reply(), free, at(24 * 8)), "window_closed - -");
    assert_eq!(advice(robot, free, at(30)), "window_closed - -");
    let stops = Stops { parked: true, paused: true, ..free };
    assert_eq!(advice(robot, stops, at(1)), "window.24h - parked");
    assert_eq!(advice(reply(), stops, at(1)), "window.24h - paused");
    assert_eq!(advice(reply(), Stops { frozen: true, ..stops }, at(1)), "window.24h - frozen");
    assert_eq!(advice(reply(), Stops { frozen: true, ..free }, at(24 * 8)), "window_closed - -");
    let gone = Stops { disconnected: true, ..free };
    assert_eq!(advice(reply(), gone, at(1)), "account_disconnected - -");
}
