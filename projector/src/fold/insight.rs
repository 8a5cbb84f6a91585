//! ◆ Pure: one row per captured figure.

use schemas::{AccountId, Channel, Fact, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::row_fact::{RowFact, by_moment};

/// A row of `insights`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct InsightRow {
    /// The entity.
    pub(crate) id: String,
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// `account`, `media` or `story`.
    pub(crate) object: String,
    /// The media or story.
    pub(crate) media_id: Option<String>,
    /// The metric; `story` for the final figures of a story.
    pub(crate) metric: String,
    /// `day`, …
    pub(crate) period: Option<String>,
    /// Meta's values.
    pub(crate) values: Value,
    /// When.
    pub(crate) captured_at: Timestamp,
}

/// One row per captured figure: snapshots are never merged.
pub(crate) fn insight_row(id: &str, facts: &[RowFact]) -> Option<InsightRow> {
    let (fact, statement) = by_moment(facts).pop()?;
    let (object, media_id, metric, period, values) = match &statement.fact {
        Fact::InsightsCaptured(body) => (
            body.object.clone(),
            body.media_id.clone(),
            body.metric.clone(),
            body.period.clone(),
            body.values.clone(),
        ),
        Fact::StoryInsights(body) => (
            "story".to_owned(),
            Some(body.media_id.clone()),
            "story".to_owned(),
            Some("lifetime".to_owned()),
            json!({
                "impressions": body.impressions, "reach": body.reach, "taps_forward": body.taps_forward,
                "taps_back": body.taps_back, "exits": body.exits, "replies": body.replies,
            }),
        ),
        _ => return None,
    };
    Some(InsightRow {
        id: id.to_owned(),
        channel: statement.channel,
        account_id: statement.account_id.clone(),
        object,
        media_id,
        metric,
        period,
        values,
        captured_at: fact.time,
    })
}
