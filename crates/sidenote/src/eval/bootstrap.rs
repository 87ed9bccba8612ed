//! How sure a mean over queries is, by the bootstrap. Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; for
//! retrieval: Sakai, "Evaluating evaluation metrics based on the bootstrap", SIGIR 2006.

/// Resamples. The ends of an interval move by less than a fiftieth of its width from one seed to another.
const RESAMPLES: usize = 10_000;

/// Between these two a mean lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Of the mean of these values. The same seed gives the same interval.
    pub(super) fn of_mean(values: &[f64], seed: u64) -> Self {
        Self::of_sorted(&resampled_means(values, seed))
    }

    fn of_sorted(means: &[f64]) -> Self {
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
            let place = (share * means.len() as f64) as usize;
            means.get(place.min(means.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Self { low: at(0.025), high: at(0.975) }
    }
}

/// Two ways to rank, compared query by query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Queries compared.
    pub queries: usize,
    /// Mean difference; above 0 the first is better.
    pub difference: f64,
    /// Of the difference: 95 %.
    pub interval: Interval,
}

impl Comparison {
    /// Of one difference a query.
    pub(super) fn of(differences: &[f64], seed: u64) -> Self {
        Self {
            queries: differences.len(),
            difference: differences.iter().sum::<f64>() / differences.len().max(1) as f64,
            interval: Interval::of_mean(differences, seed),
        }
    }

    /// Whether the first is worse, by more than chance explains.
    pub fn is_worse(&self) -> bool {
        self.interval.high < 0.0
    }

    /// Whether the first is better, by more than chance explains.
    pub fn is_better(&self) -> bool {
        self.interval.low > 0.0
    }
}

/// Means of samples with replacement, ascending.
fn resampled_means(values: &[f64], seed: u64) -> Vec<f64> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| values.iter().map(|_| values[chance.usize(..values.len())]).sum::<f64>() / values.len() as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of n fair coins has a standard deviation of .5 / sqrt(n).
    #[test]
    fn the_interval_is_as_wide_as_theory_says() {
        let coins: Vec<f64> = (0..400).map(|at| f64::from(at % 2)).collect();
        let Interval { low, high } = Interval::of_mean(&coins, 1);
        let expected = 1.96 * 0.5 / 20.0;
        assert!((low - (0.5 - expected)).abs() < 0.004 && (high - (0.5 + expected)).abs() < 0.004, "{low} {high}");
        assert_eq!(Interval::of_mean(&coins, 1), Interval { low, high });
    }

    #[test]
    fn a_difference_is_told_from_noise() {
        let steady: Vec<f64> = (0..100).map(|at| 0.02 + f64::from(at % 5) * 0.01).collect();
        let noise: Vec<f64> = (0..100).map(|at| if at % 2 == 0 { 0.3 } else { -0.29 }).collect();
        let worse: Vec<f64> = steady.iter().map(|difference| -difference).collect();
        assert!(Comparison::of(&steady, 1).is_better() && !Comparison::of(&steady, 1).is_worse());
        assert!(!Comparison::of(&noise, 1).is_better() && !Comparison::of(&noise, 1).is_worse());
        assert!(Comparison::of(&worse, 1).is_worse());
        assert_eq!(Comparison::of(&[], 1).difference, 0.0);
    }
}
