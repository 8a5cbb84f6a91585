//! ◆ Pure: which parked work is tried, and in which order.

use std::collections::BTreeSet;

use schemas::Kind;
use worker::inbound::parked::Parked;

use super::parked::Stage;

/// What an operator wants to try again.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Only what failed by this cause; the projector's deletions go along.
    pub(crate) cause: Option<String>,
    /// Only this lane of the normaliser.
    pub(crate) lane: Option<String>,
    /// Only what this stage parked.
    pub(crate) stage: Option<Stage>,
}

impl Wanted {
    pub(crate) fn includes(&self, stage: Stage) -> bool {
        self.stage.is_none_or(|wanted| wanted == stage)
    }
}

/// Positions of the projector's events to try: deletions and withdrawals first, so that nothing shows that was unsent or withdrawn, then
/// oldest first.
pub(crate) fn events(mut aside: Vec<projector::parked::Parked>, wanted: &Wanted) -> Vec<i64> {
    let takes_away = |event: &projector::parked::Parked| {
        let kind = event.kind.as_deref().and_then(|kind| kind.parse().ok());
        matches!(kind, Some(Kind::FactWithdrawn | Kind::MessageDeleted | Kind::CommentDeleted))
    };
    let by = |event: &projector::parked::Parked| {
        wanted.cause.as_ref().is_none_or(|cause| event.cause == *cause)
    };
    if aside.iter().any(by) {
        aside.retain(|event| by(event) || takes_away(event));
    } else {
        aside.clear();
    }
    aside.sort_by_key(|event| (!takes_away(event), event.seq));
    aside.into_iter().map(|event| event.seq).collect()
}

/// The lanes to try, oldest first.
pub(crate) fn lanes(rows: &[Parked], wanted: &Wanted) -> Vec<String> {
    let mut seen = BTreeSet::new();
    rows.iter()
        // The first row of each lane, as the list is ordered.
        .filter(|row| seen.insert(row.lane.clone()))
        .filter(|row| {
            wanted.cause.as_ref().is_none_or(|cause| row.cause == *cause)
                && wanted.lane.as_ref().is_none_or(|lane| row.lane == *lane)
        })
        .map(|row| row.lane.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use schemas::Timestamp;

    use super::*;

    #[test]
    fn deletions_are_tried_first_and_go_along_with_any_cause() {
        let aside = |seq: i64, kind: &str, cause: &str| projector::parked::Parked {
            stage: "projector",
            seq,
            event_id: None,
            kind: Some(kind.to_owned()),
            cause: cause.to_owned(),
            detail: String::new(),
            parked_at: Timestamp::from_millis(0),
        };
        let all = || {
            vec![
                aside(1, "message.received", "not_storable"),
                aside(2, "message.deleted", "fold_failed"),
                aside(3, "message.received", "fold_failed"),
                aside(4, "fact.withdrawn", "not_storable"),
            ]
        };
        let by = |cause: Option<&str>| Wanted {
            cause: cause.map(ToOwned::to_owned),
            ..Wanted::default()
        };
        assert_eq!(events(all(), &by(None)), [2, 4, 1, 3]);
        assert_eq!(events(all(), &by(Some("not_storable"))), [2, 4, 1]);
        assert!(events(all(), &by(Some("split_failed"))).is_empty());
    }
}
