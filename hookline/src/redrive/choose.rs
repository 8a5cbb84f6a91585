//! ◆ Pure: which parked work is tried, and in which order.

use schemas::Kind;

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
    /// Only these rows: first rows of lanes, and events of the projector by their position.
    pub(crate) ids: Option<Vec<i64>>,
}

impl Wanted {
    pub(crate) fn includes(&self, stage: Stage) -> bool {
        self.stage.is_none_or(|wanted| wanted == stage)
    }

    /// Whether it is about this event of the projector.
    pub(crate) fn means(&self, event: &projector::parked::Parked) -> bool {
        self.cause.as_ref().is_none_or(|cause| event.cause == *cause)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&event.seq))
    }
}

/// Positions of the projector's events to try: deletions and withdrawals first, so that nothing shows that was unsent or withdrawn, then
/// oldest first.
pub(crate) fn events(mut aside: Vec<projector::parked::Parked>, wanted: &Wanted) -> Vec<i64> {
    let takes_away = |event: &projector::parked::Parked| {
        let kind = event.kind.as_deref().and_then(|kind| kind.parse().ok());
        matches!(kind, Some(Kind::FactWithdrawn | Kind::MessageDeleted | Kind::CommentDeleted))
    };
    let by = |event: &projector::parked::Parked| wanted.means(event);
    if aside.iter().any(by) {
        aside.retain(|event| by(event) || takes_away(event));
    } else {
        aside.clear();
    }
    aside.sort_by_key(|event| (!takes_away(event), event.seq));
    aside.into_iter().map(|event| event.seq).collect()
}

/// Items of the first steps: few, so that what is not mended costs little.
const FIRST_STEPS: [usize; 2] = [1, 10];
/// Items of each later step.
const STEP_MAX: usize = 100;

/// What is tried at once, in order: one, ten, then the rest in parts.
pub(crate) fn steps<T>(items: &[T]) -> Vec<&[T]> {
    let mut rest = items;
    let mut steps = Vec::new();
    for most in FIRST_STEPS.into_iter().chain(std::iter::repeat(STEP_MAX)) {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(most.min(rest.len()));
        steps.push(now);
        rest = later;
    }
    steps
}

#[cfg(test)]
mod tests {
    use schemas::Timestamp;

    use super::*;

    #[test]
    fn the_rest_is_tried_in_parts() {
        let items: Vec<u32> = (0..250).collect();
        let sizes = |count: usize| -> Vec<usize> {
            steps(&items[..count]).iter().map(|step| step.len()).collect()
        };
        assert!(sizes(0).is_empty());
        assert_eq!(sizes(7), [1, 6]);
        assert_eq!(sizes(250), [1, 10, 100, 100, 39]);
        assert_eq!(steps(&items).concat(), items);
    }

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
