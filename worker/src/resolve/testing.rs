//! Items and accounts for the tests of this folder.

use schemas::{Channel, Timestamp};

use super::evidence::{Item, State};
use facts::accounts::directory::{Account, Login};

pub(super) const PERSON: &str = "5200000000000011";
pub(super) const OTHER: &str = "5200000000000022";
pub(super) const SHOP: &str = "17841400000000101";

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000 + millis)
}

pub(super) fn item() -> Item {
    Item {
        channel: Channel::Instagram,
        account_id: SHOP.into(),
        message_id: "aWdfmid".into(),
        num_edit: 0,
        state: State::Waiting,
        attempts: 0,
        received_at: at(0),
        time: at(-500),
        time_approximate: false,
        created_time: None,
        thread_id: None,
        payload_contact: None,
        payload_outbound: false,
        standby: false,
        text: None,
        raw_seq: Some(7),
        raw_era: 0,
        raw_index: Some(0),
        traceparent: None,
        revealed_contact: None,
        revealed_direction: None,
        settled_by: None,
        unresolved: false,
        unresolved_contact: None,
        gone: false,
    }
}

pub(super) fn account(channel: Channel) -> Account {
    Account {
        channel,
        id: if channel == Channel::Instagram { SHOP.into() } else { "103000000000301".into() },
        login: Login::Facebook,
        app: None,
        page_id: Some("103000000000301".to_owned()),
        handle: None,
        aliases: vec!["25500000000000101".to_owned()],
        name: None,
        auto_reply: None,
        stopped: false,
    }
}
