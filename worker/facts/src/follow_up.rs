//! What an event leaves for others to do or to know: senders to be found ([`senderless`] items in [`waiting`]), profiles to be read
//! ([`wants`]), and what the reply policy must know of a conversation ([`conversation_state`], [`conversations`], `knowledge`, [`content`]).

pub mod content;
pub mod conversation_state;
pub mod conversations;
mod knowledge;
pub mod overview;
pub mod senderless;
pub mod waiting;
pub mod wants;

use runtime::BoxFuture;
use schemas::{Event, Timestamp};
use sqlx::PgConnection;

use crate::templates;
use waiting::Revealed;
use wants::Want;

/// What follows from events beside publishing them.
#[derive(Clone, Copy, Debug)]
pub struct FollowUp {
    /// Wakes what waits for the sender that they reveal.
    pub reveals: bool,
    /// Wants profiles of the people who act in them.
    pub profiles: bool,
}

impl FollowUp {
    /// Everything, as of live events.
    pub const WHOLE: Self = Self { reveals: true, profiles: true };

    /// Notes what follows, in the transaction that records the events. May be called again with the same events, in any order.
    ///
    /// The one place and the one order: `waiting`, `contacts`, `conversations`, `account_policy`, `echoes`, `templates`, each in the order of its keys, so
    /// that no two transactions wait for each other in a circle. What a caller locks of the waiting room goes before, of the ledger behind.
    ///
    /// # Errors
    /// `sqlx::Error`: roll back and do all of it again.
    pub fn note<'a>(
        self,
        conn: &'a mut PgConnection,
        events: &'a [Event],
        now: Timestamp,
    ) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move {
            if self.reveals {
                let revealed: Vec<Revealed> = events.iter().filter_map(Revealed::by).collect();
                waiting::reveal(conn, &revealed).await?;
            }
            if self.profiles {
                let wanted: Vec<Want> = events.iter().filter_map(Want::of).collect();
                wants::note(conn, &wanted).await?;
            }
            conversation_state::note(conn, events, now).await?;
            templates::note(conn, events).await
        })
    }
}
