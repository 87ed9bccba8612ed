//! Choosing the next token from the scores of all of them. Pure and seeded: the same scores and seed give the same token on
//! every machine, which is why this is not left to the library.

use crate::Sampling;

/// Chooses tokens, one after the other.
#[derive(Debug)]
pub(crate) struct Chooser {
    sampling: Sampling,
    state: u64,
}

/// Probabilities further than this below the best, in natural logarithms, add up to less than a ten-thousandth for any
/// vocabulary and are left out of sums.
const NEGLIGIBLE: f32 = 25.0;

impl Chooser {
    pub(crate) fn new(sampling: Sampling) -> Self {
        let state = match sampling {
            Sampling::Greedy => 0,
            Sampling::Temperature { seed, .. } => seed,
        };
        Self { sampling, state }
    }

    /// The index of the chosen token, `None` where no score is a number above minus infinity.
    pub(crate) fn choose(&mut self, logits: &[f32]) -> Option<usize> {
        match self.sampling {
            Sampling::Greedy => best(logits),
            Sampling::Temperature { temperature, top_p, .. } => {
                // A temperature of (nearly) nothing is greedy, and a division by it would be noise.
                if temperature.is_nan() || temperature < 1e-3 {
                    return best(logits);
                }
                let draw = self.next_unit();
                draw_token(logits, temperature, top_p, draw)
            }
        }
    }

    /// SplitMix64, as a number in [0, 1).
    fn next_unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // 32 bits are exact in f64 and plenty for a draw.
        f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Natural logarithm of the probability of `token`. Minus infinity where the scores hold no number.
pub(crate) fn log_probability(logits: &[f32], token: usize) -> f32 {
    let (Some(&score), Some(normaliser)) = (logits.get(token), log_sum_exp(logits)) else {
        return f32::NEG_INFINITY;
    };
    // Rounding may lift a certain token a hair above 0.
    (score - normaliser).min(0.0)
}

/// Logarithm of the sum of the exponentials.
pub(crate) fn log_sum_exp(logits: &[f32]) -> Option<f32> {
    let top = logits[best(logits)?];
    let floor = top - NEGLIGIBLE;
    let sum: f32 = logits.iter().filter(|&&score| score > floor).map(|&score| (score - top).exp()).sum();
    Some(top + sum.ln())
}

/// The first of the highest scores.
pub(crate) fn best(logits: &[f32]) -> Option<usize> {
    // f32::max passes over NaN, and a fold over it is one vector instruction per eight scores.
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if top == f32::NEG_INFINITY {
        return None;
    }
    logits.iter().position(|&score| score >= top)
}

fn draw_token(logits: &[f32], temperature: f32, top_p: f32, draw: f64) -> Option<usize> {
    let top = logits[best(logits)?];
    let mut candidates: Vec<(usize, f64)> = logits
        .iter()
        .enumerate()
        .filter_map(|(index, &score)| {
            let distance = (score - top) / temperature;
            (distance > -NEGLIGIBLE).then(|| (index, f64::from(distance).exp()))
        })
        .collect();
    candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let total: f64 = candidates.iter().map(|candidate| candidate.1).sum();
    let limit = f64::from(top_p.clamp(0.0, 1.0)) * total;
    let mut kept = 0.0;
    let mut count = 0;
    for candidate in &candidates {
        count += 1;
        kept += candidate.1;
        if kept >= limit {
            break;
        }
    }
    candidates.truncate(count);
    let mut left = draw * kept;
    for candidate in &candidates {
        left -= candidate.1;
        if left < 0.0 {
            return Some(candidate.0);
        }
    }
    candidates.last().map(|candidate| candidate.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_first_of_the_best_and_passes_over_nan() {
        let mut chooser = Chooser::new(Sampling::Greedy);
        assert_eq!(chooser.choose(&[1.0, f32::NAN, 3.0, 3.0, f32::NEG_INFINITY]), Some(2));
        assert_eq!(chooser.choose(&[f32::NEG_INFINITY, f32::NAN]), None);
        assert_eq!(chooser.choose(&[]), None);
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens_and_follows_the_probabilities() {
        let logits = [2.0_f32.ln(), 1.0_f32.ln(), 7.0_f32.ln(), f32::NEG_INFINITY];
        let draw = |seed| {
            let mut chooser = Chooser::new(Sampling::Temperature { temperature: 1.0, top_p: 1.0, seed });
            (0..2000).filter_map(|_| chooser.choose(&logits)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let share = draw(7).iter().filter(|&&token| token == 2).count();
        assert!((1300..1500).contains(&share), "7 of 10 expected, got {share} of 2000");
        assert!(!draw(7).contains(&3));
    }

    #[test]
    fn top_p_leaves_only_the_likeliest() {
        let logits = [2.0_f32.ln(), 1.0_f32.ln(), 7.0_f32.ln()];
        let mut chooser = Chooser::new(Sampling::Temperature { temperature: 1.0, top_p: 0.5, seed: 1 });
        assert!((0..100).all(|_| chooser.choose(&logits) == Some(2)));
    }

    #[test]
    fn log_probabilities_are_those_of_a_softmax() {
        let logits = [0.0, 1.0, -40.0];
        let expected = 1.0 - (1.0_f32 + 1.0_f32.exp()).ln();
        assert!((log_probability(&logits, 1) - expected).abs() < 1e-6);
        assert_eq!(log_probability(&logits, 9), f32::NEG_INFINITY);
        assert_eq!(log_probability(&[5.0], 0), 0.0);
    }
}
