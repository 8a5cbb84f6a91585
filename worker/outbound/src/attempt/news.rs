//! Whether the broker has events that may open a window and that this database does not have yet.

use schemas::{Kind, subjects};

use super::claim_step::News;
use crate::ledger::CommandRow;
use crate::services::Services;

/// Whether an event that may open this window is published and not recorded. Of an account those published first are recorded
/// first, so the newest stands for all. Where the broker does not say, it may be so.
pub(super) async fn ask(services: &Services, command: &CommandRow) -> News {
    let Some(contact) = &command.contact_id else { return News::None };
    for kind in [Kind::MessageReceived, Kind::PostbackReceived] {
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
