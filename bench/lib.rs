//! What measurements share: figures over many samples.

use std::time::Duration;

/// What a variable sets, or `default`.
///
/// # Panics
/// The variable is no whole number.
pub fn setting<N: std::str::FromStr>(name: &str, default: N) -> N {
    std::env::var(name).map_or(default, |value| {
        value.parse().unwrap_or_else(|_| panic!("{name} is not a whole number: `{value}`"))
    })
}

/// Samples of one measurement.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl FromIterator<Duration> for Samples {
    fn from_iter<T: IntoIterator<Item = Duration>>(samples: T) -> Self {
        let mut samples: Vec<Duration> = samples.into_iter().collect();
        samples.sort_unstable();
        Self(samples)
    }
}

impl Samples {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sample that `share` (0 to 1) of all samples do not exceed; zero when there is none.
    pub fn at(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts and shares are small and not negative"
        )]
        let rank = (self.0.len() as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "p50 {:?}, p95 {:?}, p99 {:?}, worst {:?} of {}",
            self.at(0.5),
            self.at(0.95),
            self.at(0.99),
            self.at(1.0),
            self.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_from_the_first_sample_to_the_last() {
        let samples: Samples = (1..=200).rev().map(Duration::from_millis).collect();
        let at = |share| samples.at(share).as_millis();
        assert_eq!((at(0.0), at(0.5), at(0.99), at(1.0)), (1, 100, 198, 200));
        assert_eq!(Samples::default().at(0.5), Duration::ZERO);
    }
}
