//! ◆ Pure: which inbound messages ask for the automatic reply.

use std::time::Duration;

use schemas::command::{Action, Command, ReplyData, RequestedBy, Requester};
use schemas::{CommandId, Event, Fact, Timestamp};

use facts::accounts::directory::Account;
use facts::draft::is_listed;
use policy::QUIET_AFTER_PERSON;

/// The name automatic replies are requested by.
const REQUESTED_BY: &str = "auto-reply";

/// Why a message is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The account has no automatic reply, is not known, or it is no message of a person.
    NotAsked,
    /// The event was replayed.
    Replayed,
    /// It came from an import, or a comparison with Graph found it.
    Backfilled,
    /// It is another reading of a message that was answered, or not, before.
    Revision,
    /// Older than `AUTO_REPLY_MAX_AGE`.
    Stale,
    /// Another app owns the thread.
    Standby,
    /// The account wrote to itself.
    OwnMessage,
    /// Only the thread says who wrote; the direction is a guess (docs/contract.md 5).
    Guessed,
    /// It was unsent.
    Deleted,
    /// A person, or another app, answered lately.
    Answered,
    /// Sending is frozen.
    Frozen,
}

impl Silence {
    /// A word for metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::Replayed => "replayed",
            Self::Backfilled => "backfilled",
            Self::Revision => "revision",
            Self::Stale => "stale",
            Self::Standby => "standby",
            Self::OwnMessage => "self",
            Self::Guessed => "guessed",
            Self::Deleted => "deleted",
            Self::Answered => "answered",
            Self::Frozen => "frozen",
        }
    }
}

/// What the database knows around the message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Another app controls the thread since this message or later.
    pub(super) other_owns: bool,
    /// When a person on our side, or another app, last answered.
    pub(super) others_replied_at: Option<Timestamp>,
    /// Everything, the account or the conversation is frozen.
    pub(super) frozen: bool,
    /// The message was unsent.
    pub(super) deleted: bool,
    /// What came before this reading of the message.
    pub(super) before: Before,
}

/// The readings of a message before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Before {
    /// None, or only some of imports and in standby: nobody was asked yet whether to answer.
    #[default]
    Silent,
    /// One that was answered, or not.
    Considered,
    /// Not known yet: some, or this one, are published and not recorded.
    Unrecorded,
}

/// What event and account alone decide: the text to answer with.
///
/// # Errors
/// Why there is to be no answer.
pub(super) fn first_look<'a>(
    event: &Event,
    account: Option<&'a Account>,
    replayed: bool,
    max_age: Duration,
    now: Timestamp,
) -> Result<&'a str, Silence> {
    let text = account
        .filter(|account| account.id == event.data.account_id)
        .and_then(|account| account.auto_reply.as_deref())
        .filter(|text| !text.trim().is_empty())
        .ok_or(Silence::NotAsked)?;
    let Fact::MessageReceived(message) = &event.data.fact else { return Err(Silence::NotAsked) };
    if event.data.contact_id.is_none() {
        return Err(Silence::NotAsked);
    }
    if replayed {
        return Err(Silence::Replayed);
    }
    if is_listed(event) {
        return Err(Silence::Backfilled);
    }
    if event.data.is_self {
        return Err(Silence::OwnMessage);
    }
    if event.data.standby {
        return Err(Silence::Standby);
    }
    // Only evidence that names this message may lead to a reply.
    if message.sender_resolution.as_ref().is_some_and(|resolution| resolution.method == "thread_id")
    {
        return Err(Silence::Guessed);
    }
    if max_age < now.since(event.time) {
        return Err(Silence::Stale);
    }
    Ok(text)
}

/// What the database adds.
///
/// # Errors
/// Why there is to be no answer.
pub(super) fn second_look(known: &Known, now: Timestamp) -> Result<(), Silence> {
    if known.before != Before::Silent {
        return Err(Silence::Revision);
    }
    if known.frozen {
        return Err(Silence::Frozen);
    }
    if known.deleted {
        return Err(Silence::Deleted);
    }
    if known.other_owns {
        return Err(Silence::Standby);
    }
    if known.others_replied_at.is_some_and(|time| now.since(time) < QUIET_AFTER_PERSON) {
        return Err(Silence::Answered);
    }
    Ok(())
}

/// The command. It is asked for by the message: what waits before it is sent counts from there, too.
pub(super) fn command(event: &Event, text: &str) -> Command {
    Command {
        id: CommandId::automatic(&event.id),
        channel: event.data.channel,
        account_id: event.data.account_id.clone(),
        contact_id: event.data.contact_id.clone(),
        action: Action::Reply(ReplyData {
            based_on: None,
            not_before: None,
            caused_by: Some(event.id.clone()),
            text: Some(text.to_owned()),
            ..ReplyData::default()
        }),
        requested_by: RequestedBy { kind: Requester::Automation, name: REQUESTED_BY.to_owned() },
        requested_at: event.time,
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::facts::{Message, SenderResolution};
    use schemas::{Channel, EventId, Via};

    use super::*;
    use facts::accounts::directory::Login;

    const MAX_AGE: Duration = Duration::from_secs(600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
    }

    fn account() -> Account {
        Account {
            channel: Channel::Instagram,
            id: "17841400000000101".into(),
            login: Login::Instagram,
            app: None,
            page_id: None,
            handle: None,
            aliases: Vec::new(),
            name: None,
            auto_reply: Some("Thanks!".to_owned()),
            stopped: false,
        }
    }

    fn event() -> Event {
        Event::new(
            EventId::from("evt_1"),
            at(0),
            Channel::Instagram,
            "17841400000000101".into(),
            Some("5200000000000011".into()),
            Origin::of(Via::Webhook),
            Fact::MessageReceived(Message { message_id: "m".into(), ..Message::default() }),
        )
    }

    fn check(
        change: impl FnOnce(&mut Event),
        replayed: bool,
        now: i64,
        expected: Result<&str, Silence>,
    ) {
        let mut event = event();
        change(&mut event);
        assert_eq!(first_look(&event, Some(&account()), replayed, MAX_AGE, at(now)), expected);
    }

    fn resolved(method: &str) -> impl FnOnce(&mut Event) + use<> {
        let method = method.to_owned();
        move |event| {
            if let Fact::MessageReceived(message) = &mut event.data.fact {
                message.sender_resolution = Some(SenderResolution { method, evidence: None });
            }
        }
    }

    #[test]
    fn a_fresh_message_of_a_person_is_answered_also_when_it_was_resolved() {
        check(|_| (), false, 600, Ok("Thanks!"));
        check(resolved("graph_message"), false, 1, Ok("Thanks!"));
        let looked_up = |event: &mut Event| {
            event.data.origin.via = Via::Reconcile;
            resolved("graph_message")(event);
        };
        check(looked_up, false, 1, Ok("Thanks!"));
    }

    #[test]
    fn its_age_is_counted_from_the_message_also_where_it_waits() {
        check(|_| (), false, 600, Ok("Thanks!"));
        assert_eq!(command(&event(), "Thanks!").requested_at, at(0));
    }

    #[test]
    fn everything_else_is_not() {
        check(|_| (), true, 1, Err(Silence::Replayed));
        check(|_| (), false, 601, Err(Silence::Stale));
        for via in [Via::Backfill, Via::Reconcile] {
            check(|event| event.data.origin.via = via, false, 1, Err(Silence::Backfilled));
        }
        check(|event| event.data.standby = true, false, 1, Err(Silence::Standby));
        check(|event| event.data.is_self = true, false, 1, Err(Silence::OwnMessage));
        check(resolved("thread_id"), false, 1, Err(Silence::Guessed));
        check(|event| event.data.contact_id = None, false, 1, Err(Silence::NotAsked));
        let sent = |event: &mut Event| event.data.fact = Fact::MessageSent(Message::default());
        check(sent, false, 1, Err(Silence::NotAsked));
        let mute = Account { auto_reply: None, ..account() };
        assert_eq!(
            first_look(&event(), Some(&mute), false, MAX_AGE, at(1)),
            Err(Silence::NotAsked)
        );
        assert_eq!(first_look(&event(), None, false, MAX_AGE, at(1)), Err(Silence::NotAsked));
    }

    #[test]
    fn people_other_apps_and_freezes_keep_it_quiet() {
        let check = |known: Known, expected| assert_eq!(second_look(&known, at(700)), expected);
        check(Known::default(), Ok(()));
        check(Known { others_replied_at: Some(at(99)), ..Known::default() }, Ok(()));
        check(
            Known { others_replied_at: Some(at(101)), ..Known::default() },
            Err(Silence::Answered),
        );
        check(Known { frozen: true, ..Known::default() }, Err(Silence::Frozen));
        check(Known { deleted: true, ..Known::default() }, Err(Silence::Deleted));
        check(Known { other_owns: true, ..Known::default() }, Err(Silence::Standby));
    }

    #[test]
    fn a_message_is_considered_once_and_an_import_considers_none() {
        check(|event| event.data.origin.revision = 1, false, 1, Ok("Thanks!"));
        for (before, expected) in [
            (Before::Silent, Ok(())),
            (Before::Considered, Err(Silence::Revision)),
            (Before::Unrecorded, Err(Silence::Revision)),
        ] {
            assert_eq!(second_look(&Known { before, ..Known::default() }, at(1)), expected);
        }
    }

    #[test]
    fn the_command_is_named_after_the_event() {
        let command = command(&event(), "Thanks!");
        assert_eq!(command.id.as_str(), "auto:evt_1");
        assert!(command.check().is_ok());
    }
}
