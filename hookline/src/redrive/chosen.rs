//! Which parked work an act is about, and how much that is.

use serde_json::{Value, json};
use sqlx::PgPool;
use worker::inbound::parked::{self, LaneHead};

use super::choose::{self, Wanted};
use super::parked::Stage;

/// What was found.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Lanes of the normaliser, by their first rows.
    pub(crate) heads: Vec<LaneHead>,
    /// Positions of the projector's events.
    pub(crate) events: Vec<i64>,
}

impl Chosen {
    pub(crate) fn lanes(&self) -> Vec<String> {
        self.heads.iter().map(|head| head.lane.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.events.is_empty()
    }

    /// As a plan shows it.
    pub(crate) fn counts(&self) -> Value {
        json!({"lanes": self.heads.len(), "events": self.events.len()})
    }

    /// Of everything that was found: another one where it is about something else.
    pub(crate) fn digest(&self) -> String {
        let rows: Vec<i64> = self.heads.iter().map(|head| head.id).collect();
        schemas::ids::sha256_hex(json!([rows, self.events]).to_string().as_bytes())
    }
}

/// What is wanted and parked now. To be tried: the projector's deletions go along with any cause; `exactly`, to be given up: without them.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn find(pool: &PgPool, wanted: &Wanted, exactly: bool) -> sqlx::Result<Chosen> {
    let heads = if wanted.includes(Stage::Normalize) {
        let (cause, lane) = (wanted.cause.as_deref(), wanted.lane.as_deref());
        parked::chosen(pool, cause, lane, wanted.ids.as_deref()).await?
    } else {
        Vec::new()
    };
    let events = if wanted.includes(Stage::Projector) && wanted.lane.is_none() {
        let mut aside = projector::parked::list(pool).await?;
        if exactly {
            aside.retain(|event| wanted.means(event));
        }
        choose::events(aside, wanted)
    } else {
        Vec::new()
    };
    Ok(Chosen { heads, events })
}
