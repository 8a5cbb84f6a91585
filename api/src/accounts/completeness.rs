//! ◆ Pure: whether the log has what Graph shows of an account.

use serde::Serialize;
use utoipa::ToSchema;

use crate::time::Time;
use crate::worker_views::completeness::{Hour, Standing};

/// Whether the log has what Graph shows. The figures are of the last 24 hours.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Completeness {
    /// Messages that Graph showed.
    pub shown: i64,
    /// Of them: those that the log had.
    pub known: i64,
    /// Those that were missing and have been imported.
    pub healed: i64,
    /// Those that are missing and cannot be read any more.
    pub unreachable: i64,
    /// The share that the log has now, 0 to 1; null where Graph showed nothing.
    pub ratio: Option<f64>,
    /// By hour, the newest first.
    pub hours: Vec<Hour>,
    /// Messages made before were compared.
    pub compared_to: Option<Time>,
    /// When a comparison last came to its end.
    pub looked_at: Option<Time>,
    /// Why the one after it did not, in Meta's numbers.
    pub error: Option<String>,
    /// The webhook field by which nothing comes although Graph shows messages.
    pub lost_field: Option<String>,
    /// Since when.
    pub lost_since: Option<Time>,
}

impl Completeness {
    pub(super) fn of(standing: Standing, hours: Vec<Hour>) -> Self {
        let sum = |of: fn(&Hour) -> i64| hours.iter().map(of).sum::<i64>();
        let (shown, unreachable) = (sum(|hour| hour.shown), sum(|hour| hour.unreachable));
        #[allow(clippy::cast_precision_loss)] // messages of a day
        let ratio = (shown > 0).then(|| (shown - unreachable) as f64 / shown as f64);
        let Standing { compared_to, looked_at, error, lost_field, lost_since } = standing;
        Self {
            shown,
            known: sum(|hour| hour.known),
            healed: sum(|hour| hour.healed),
            unreachable,
            ratio,
            hours,
            compared_to,
            looked_at,
            error,
            lost_field,
            lost_since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_healed_counts_as_had() {
        let hour = |shown, known, healed, unreachable| Hour {
            hour: Time(chrono::DateTime::UNIX_EPOCH),
            shown,
            known,
            healed,
            unreachable,
        };
        let of = |hours| Completeness::of(Standing::default(), hours);
        assert_eq!(of(Vec::new()).ratio, None);
        let day = of(vec![hour(100, 95, 5, 0), hour(100, 90, 5, 5)]);
        assert_eq!((day.shown, day.known, day.healed, day.unreachable), (200, 185, 10, 5));
        assert_eq!(day.ratio, Some(0.975));
    }
}
