//! How sure an answer is, as one number: a logistic regression over signals from before, during and after generation.
//!
//! A small model that is given the wrong passages answers all the same, so its own word is one signal among several.
//! The weights are set by hand for now; `bench/fit_confidence.py` fits them to questions of public data, never to the golden
//! set.

/// What is known about an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Signals {
    /// Best cosine of any sentence found with the question, -1 to 1.
    pub best_cosine: f32,
    /// Cosine of the quoted sentences with the question, -1 to 1.
    pub quote_cosine: f32,
    /// Share of the question's terms that the quote and its headings hold, 0 to 1.
    pub question_held: f32,
    /// Share of the answer's own terms that the quote and its headings hold, 0 to 1.
    pub answer_held: f32,
    /// Mean log-probability of the answer's tokens, at most 0.
    pub mean_logprob: f32,
    /// Log-probability of the first token, at most 0.
    pub first_logprob: f32,
    /// Log-odds that the model gives to "yes" against "no" when asked whether the quote answers the question; 0 where
    /// it was not asked.
    pub verdict: f32,
}

impl Signals {
    /// How likely the answer is right, 0 to 1.
    pub fn confidence(&self) -> f32 {
        let logit = BIAS
            + WEIGHTS.best_cosine * self.best_cosine
            + WEIGHTS.quote_cosine * self.quote_cosine
            + WEIGHTS.question_held * self.question_held
            + WEIGHTS.answer_held * self.answer_held
            + WEIGHTS.mean_logprob * self.mean_logprob.max(-4.0)
            + WEIGHTS.first_logprob * self.first_logprob.max(-4.0)
            + WEIGHTS.verdict * self.verdict.clamp(-8.0, 8.0);
        1.0 / (1.0 + (-logit).exp())
    }
}

const BIAS: f32 = -3.0;
const WEIGHTS: Signals = Signals {
    best_cosine: 2.0,
    quote_cosine: 2.0,
    question_held: 2.0,
    answer_held: 1.0,
    mean_logprob: 1.0,
    first_logprob: 0.5,
    verdict: 0.3,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_raises_the_confidence_and_it_stays_in_range() {
        let low = Signals {
            mean_logprob: -9.0,
            first_logprob: -9.0,
            best_cosine: -1.0,
            quote_cosine: -1.0,
            ..Signals::default()
        };
        let high = Signals {
            best_cosine: 1.0,
            quote_cosine: 1.0,
            question_held: 1.0,
            answer_held: 1.0,
            verdict: 20.0,
            ..Signals::default()
        };
        assert!(low.confidence() < 0.5 && high.confidence() > 0.5);
        assert!((0.0..=1.0).contains(&low.confidence()) && (0.0..=1.0).contains(&high.confidence()));
    }
}
