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

#[test]
fn who_wrote_a_message_follows_from_ids_and_handles() {
    let own = Handle::Known("Lumen.Fixture".to_owned());
    let shop = party(SHOP, "lumen.fixture");
    let scoped = party("99900000000000999", "lumen.fixture");
    let person = party(PERSON, "customer.one");
    let nameless = party(PERSON, "");
    let short = party("12334", "");
    let inbound = author(PERSON, Direction::Inbound);
    let outbound = author(PERSON, Direction::Outbound);
    let instagram = Channel::Instagram;
    let table = [
        (
            "inbound by id",
            instagram,
            Some(&person),
            vec![shop.clone()],
            &Handle::NotAsked,
            inbound.clone(),
        ),
        (
            "outbound by id",
            instagram,
            Some(&shop),
            vec![person.clone()],
            &Handle::NotAsked,
            outbound.clone(),
        ),
        (
            "an alias is the account",
            instagram,
            Some(&party("25500000000000101", "")),
            vec![person.clone()],
            &Handle::NotAsked,
            outbound.clone(),
        ),
        (
            "scoped ids need the handle",
            instagram,
            Some(&person),
            vec![scoped.clone()],
            &Handle::NotAsked,
            Judgement::NeedsHandle,
        ),
        (
            "inbound by handle",
            instagram,
            Some(&person),
            vec![scoped.clone()],
            &own,
            inbound.clone(),
        ),
        ("outbound by handle", instagram, Some(&scoped), vec![person.clone()], &own, outbound),
        ("neither is recognised", instagram, Some(&nameless), vec![], &own, Judgement::Refused),
        (
            "no handle to compare",
            instagram,
            Some(&person),
            vec![],
            &Handle::Unknown,
            Judgement::Refused,
        ),
        ("another handle than ours", instagram, Some(&person), vec![], &own, inbound.clone()),
        (
            "a placeholder id",
            instagram,
            Some(&short),
            vec![shop.clone()],
            &Handle::NotAsked,
            Judgement::Refused,
        ),
        (
            "to a placeholder id",
            instagram,
            Some(&shop),
            vec![short.clone()],
            &Handle::NotAsked,
            Judgement::Refused,
        ),
        (
            "nobody is named",
            instagram,
            None,
            vec![shop.clone()],
            &Handle::NotAsked,
            Judgement::Refused,
        ),
        (
            "a Page's ids are not scoped",
            Channel::Messenger,
            Some(&nameless),
            vec![],
            &Handle::NotAsked,
            inbound,
        ),
    ];
    for (name, channel, from, to, handle, expected) in table {
        let judgement = judge(&found(from.cloned(), &to), &[], &account(channel), handle);
        assert_eq!(judgement, expected, "{name}");
    }
}

#[test]
fn participants_stand_in_for_a_missing_recipient() {
    let message = found(Some(party(SHOP, "")), &[]);
    let others = [party(SHOP, ""), party(OTHER, "second.shopper")];
    let judgement = judge(&message, &others, &account(Channel::Instagram), &Handle::NotAsked);
    assert_eq!(judgement, author(OTHER, Direction::Outbound));
}

#[test]
fn a_later_event_tells_more_than_the_item() {
    let mut waiting = item();
    assert_eq!(waiting.certain(), None);
    waiting.payload_contact = Some(PERSON.into());
    waiting.payload_outbound = true;
    let (told, method) = waiting.certain().unwrap();
    assert_eq!((told.direction, method), (Direction::Outbound, Method::Payload));
    // A reaction names the person, not the author.
    waiting.revealed_contact = Some(OTHER.into());
    assert_eq!(waiting.certain().unwrap().1, Method::Payload);
    waiting.revealed_direction = Some(Direction::Inbound);
    let (told, method) = waiting.certain().unwrap();
    assert_eq!((told.contact, method), (OTHER.into(), Method::KnownMessage));
}
