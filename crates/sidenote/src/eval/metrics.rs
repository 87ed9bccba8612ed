//! What a ranking is worth, by the measures of trec_eval.

use std::collections::HashMap;

/// Measures of one ranking, or their means over many; each 0 to 1, 1 is best.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Normalised discounted cumulative gain of the first ten. Järvelin and Kekäläinen, ACM TOIS 20(4), 2002; with linear
    /// gains, as `ndcg_cut_10` of trec_eval and BEIR have it.
    pub ndcg_10: f64,
    /// Share of the relevant documents among the first five.
    pub recall_5: f64,
    /// Share of the relevant documents among the first ten.
    pub recall_10: f64,
    /// Share of the relevant documents among the first hundred.
    pub recall_100: f64,
    /// One by the place of the first relevant document, 0 where none is among the first ten.
    pub mrr_10: f64,
    /// Whether the first document is relevant.
    pub success_1: f64,
}

impl Metrics {
    /// Scores a ranking, best first, each document once. `relevant` has at least one document of a score above 0.
    pub(super) fn of(ranking: &[String], relevant: &HashMap<String, f64>) -> Self {
        let gains: Vec<f64> = ranking.iter().map(|id| relevant.get(id).copied().unwrap_or_default().max(0.0)).collect();
        let mut best: Vec<f64> = relevant.values().copied().filter(|gain| *gain > 0.0).collect();
        best.sort_by(|a, b| b.total_cmp(a));
        let recall = |depth: usize| {
            gains.iter().take(depth).filter(|gain| **gain > 0.0).count() as f64 / best.len().max(1) as f64
        };
        let first = gains.iter().take(10).position(|gain| *gain > 0.0);
        let ideal = discounted(&best);
        Self {
            ndcg_10: if ideal > 0.0 { discounted(&gains) / ideal } else { 0.0 },
            recall_5: recall(5),
            recall_10: recall(10),
            recall_100: recall(100),
            mrr_10: first.map_or(0.0, |place| 1.0 / (place as f64 + 1.0)),
            success_1: if first == Some(0) { 1.0 } else { 0.0 },
        }
    }

    /// The mean of each measure.
    pub(super) fn mean(all: &[&Self]) -> Self {
        let count = all.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(|metrics| of(metrics)).sum::<f64>() / count;
        Self {
            ndcg_10: mean(|metrics| metrics.ndcg_10),
            recall_5: mean(|metrics| metrics.recall_5),
            recall_10: mean(|metrics| metrics.recall_10),
            recall_100: mean(|metrics| metrics.recall_100),
            mrr_10: mean(|metrics| metrics.mrr_10),
            success_1: mean(|metrics| metrics.success_1),
        }
    }
}

fn discounted(gains: &[f64]) -> f64 {
    gains.iter().take(10).zip(2_u32..).map(|(gain, place)| gain / f64::from(place).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranking: &[&str], relevant: &[(&str, f64)]) -> Metrics {
        let ranking: Vec<String> = ranking.iter().map(|id| (*id).to_owned()).collect();
        Metrics::of(&ranking, &relevant.iter().map(|(id, gain)| ((*id).to_owned(), *gain)).collect())
    }

    /// By hand: gains 0, 2, 0, 1 against the ideal 2, 1, 1.
    #[test]
    fn the_measures_are_those_of_trec_eval() {
        let metrics = of(&["x", "b", "y", "a"], &[("a", 1.0), ("b", 2.0), ("c", 1.0), ("x", 0.0), ("y", -1.0)]);
        let gained = 2.0 / 3f64.log2() + 1.0 / 5f64.log2();
        let ideal = 2.0 + 1.0 / 3f64.log2() + 1.0 / 4f64.log2();
        assert!((metrics.ndcg_10 - gained / ideal).abs() < 1e-12);
        assert!((metrics.recall_5 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((metrics.mrr_10, metrics.success_1), (0.5, 0.0));
    }

    #[test]
    fn places_after_the_tenth_count_for_recall_at_a_hundred_alone() {
        let mut ranking: Vec<String> = (0..10).map(|place| format!("other{place}")).collect();
        ranking.push("a".to_owned());
        let metrics = Metrics::of(&ranking, &HashMap::from([("a".to_owned(), 1.0)]));
        assert_eq!(metrics, Metrics { recall_100: 1.0, ..Metrics::default() });
    }

    #[test]
    fn a_perfect_ranking_has_one_everywhere() {
        let metrics = of(&["a", "b"], &[("a", 3.0), ("b", 1.0)]);
        let values = [metrics.ndcg_10, metrics.recall_5, metrics.recall_10, metrics.recall_100, metrics.mrr_10];
        assert!(values.iter().all(|value| (value - 1.0).abs() < 1e-12), "{metrics:?}");
        assert_eq!(Metrics::mean(&[&metrics, &Metrics::default()]).success_1, 0.5);
    }
}
