//! Whether the broker has events that may open a window, or overtake a reply, and that this database does not have yet.

use schemas::{Kind, subjects};

use super::claim_step::News;
use crate::ledger::CommandRow;
use crate::services::Services;

/// What opens a window.
const OPENING: [Kind; 2] = [Kind::MessageReceived, Kind::PostbackReceived];
/// What may overtake a reply that is based on something.
const OVERTAKING: [Kind; 5] = [
    Kind::MessageReceived,
    Kind::PostbackReceived,
    Kind::MessageEdited,
    Kind::MessageDeleted,
    Kind::MessageSent,
];

/// Whether an event that may open this window, or overtake this reply, is published and not recorded. Of an account those published first are recorded
/// first, so the newest stands for all. Where the broker does not say, it may be so.
pub(super) async fn ask(services: &Services, command: &CommandRow) -> News {
    let Some(contact) = &command.contact_id else { return News::None };
    let kinds: &[Kind] = if command.based_on().is_some() { &OVERTAKING } else { &OPENING };
    for &kind in kinds {
        let route = subjects::Route::Contact(contact.as_str());
        let subject = subjects::event(command.channel, &command.account_id, route, kind);
        match services.facts.newest_unrecorded(&subject).await {
            Ok(false) => {}
            Ok(true) => return News::Unrecorded,
            Err(error) => {
                tracing::debug!(%error, "Could not ask whether a message is still to be recorded");
                return News::Unrecorded;
            }
        }
    }
    News::None
}
