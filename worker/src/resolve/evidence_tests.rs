use super::super::testing::{OTHER, PERSON, SHOP, account, item};
use super::*;

fn party(id: &str, username: &str) -> Party {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Party { id: text(id), username: text(username) }
}

fn found(from: Option<Party>, to: &[Party]) -> FoundMessage {
    FoundMessage {
        id: "aWdfmid".into(),
        detailed: from.is_some(),
        from,
        to: to.to_vec(),
        ..FoundMessage::default()
    }
}

fn author(contact: &str, direction: Direction) -> Judgement {
    Judgement::Author(Author { contact: contact.into(), direction })
}

struct Case<'a> {
    name: &'a str,
    channel: Channel,
    from: Option<&'a Party>,
    to: &'a [Party],
    handle: &'a Handle,
    expected: Judgement,
}

fn check<const N: usize>(cases: [Case<'_>; N]) {
    for Case { name, channel, from, to, handle, expected } in cases {
        let judgement = judge(&found(from.cloned(), to), &[], &account(channel), handle);
        assert_eq!(judgement, expected, "{name}");
    }
}

#[test]
fn ids_say_who_wrote_a_message() {
    let shop = [party(SHOP, "lumen.fixture")];
    let person = [party(PERSON, "customer.one")];
    let case = |name, from, to, expected| Case {
        name,
        channel: Channel::Instagram,
        from: Some(from),
        to,
        handle: &Handle::NotAsked,
        expected,
    };
    let alias = party("25500000000000101", "");
    let nameless = party(PERSON, "");
    let inbound = author(PERSON, Direction::Inbound);
    let outbound = author(PERSON, Direction::Outbound);
    check([
        case("inbound by id", &person[0], &shop, inbound.clone()),
        case("outbound by id", &shop[0], &person, outbound.clone()),
        case("an alias is the account", &alias, &person, outbound),
        Case {
            channel: Channel::Messenger,
            ..case("a Page's ids are not scoped", &nameless, &[], inbound)
        },
    ]);
}

#[test]
fn handles_say_who_wrote_a_message_where_ids_are_scoped() {
    let own = Handle::Known("Lumen.Fixture".to_owned());
    let scoped = [party("99900000000000999", "lumen.fixture")];
    let person = [party(PERSON, "customer.one")];
    let nameless = party(PERSON, "");
    let case = |name, from, to, handle, expected| Case {
        name,
        channel: Channel::Instagram,
        from: Some(from),
        to,
        handle,
        expected,
    };
    let inbound = author(PERSON, Direction::Inbound);
    let outbound = author(PERSON, Direction::Outbound);
    let not_asked = &Handle::NotAsked;
    check([
        case("scoped ids need the handle", &person[0], &scoped, not_asked, Judgement::NeedsHandle),
        case("inbound by handle", &person[0], &scoped, &own, inbound.clone()),
        case("outbound by handle", &scoped[0], &person, &own, outbound),
        case("neither is recognised", &nameless, &[], &own, Judgement::Refused),
        case("no handle to compare", &person[0], &[], &Handle::Unknown, Judgement::Refused),
        case("another handle than ours", &person[0], &[], &own, inbound),
    ]);
}

#[test]
fn placeholders_and_nobody_are_no_authors() {
    let shop = [party(SHOP, "lumen.fixture")];
    let short = [party("12334", "")];
    let refused = |name, from, to| Case {
        name,
        channel: Channel::Instagram,
        from,
        to,
        handle: &Handle::NotAsked,
        expected: Judgement::Refused,
    };
    check([
        refused("a placeholder id", Some(&short[0]), &shop),
        refused("to a placeholder id", Some(&shop[0]), &short),
        refused("nobody is named", None, &shop),
    ]);
}

#[test]
fn participants_stand_in_for_a_missing_recipient() {
    let message = found(Some(party(SHOP, "")), &[]);
    let others = [party(SHOP, ""), party(OTHER, "second.shopper")];
    let judgement = judge(&message, &others, &account(Channel::Instagram), &Handle::NotAsked);
    assert_eq!(judgement, author(OTHER, Direction::Outbound));
}

#[test]
fn a_later_event_names_more_than_the_item() {
    let mut waiting = item();
    assert_eq!(waiting.certain(), None);
    waiting.payload_contact = Some(PERSON.into());
    waiting.payload_outbound = true;
    let (found, method) = waiting.certain().unwrap();
    assert_eq!((found.direction, method), (Direction::Outbound, Method::Payload));
    // A reaction names the person, not the author.
    waiting.revealed_contact = Some(OTHER.into());
    assert_eq!(waiting.certain().unwrap().1, Method::Payload);
    waiting.revealed_direction = Some(Direction::Inbound);
    let (found, method) = waiting.certain().unwrap();
    assert_eq!((found.contact, method), (OTHER.into(), Method::KnownMessage));
}
