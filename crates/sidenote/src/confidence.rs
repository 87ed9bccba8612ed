//! How sure an answer is, as one number: a logistic regression over signals from before, during and after generation.
//!
//! A small model that is given the wrong passages answers all the same, so its own word is one signal among several.
//! The weights are those that `bench/fit_confidence.py` gives for 116 questions of SQuAD 2.0 (80 that its paragraphs answer, 36
//! that they do not), never for the golden set. One is set by hand, that of names: SQuAD's questions without an answer are
//! about the paragraph's own names, while people ask about a firm or a model that no document speaks of.

/// What is known about an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Signals {
    /// Evidence score of the quoted sentences: late interaction, cosine and words held, about 0 to 1.6.
    pub evidence: f32,
    /// Cosine of the quoted sentences with the question, -1 to 1.
    pub quote_cosine: f32,
    /// Share of the question's terms that the quote and its headings hold, 0 to 1.
    pub question_held: f32,
    /// Share of the question's names and numbers that the quoted document holds in any of its passages, 0 to 1; 0 where the quote
    /// is about a sibling of what the question names.
    pub names_held: f32,
    /// Share of the answer's own terms that the quote and its headings hold, 0 to 1.
    pub answer_held: f32,
    /// Mean log-probability of the answer's tokens, at most 0.
    pub mean_logprob: f32,
    /// Log-probability of the first token, at most 0.
    pub first_logprob: f32,
    /// Log-odds that the model gives to "Yes" against "No" when asked whether the quote answers the question.
    pub verdict: f32,
    /// Share of the drafts that point at the quote, 0 to 1.
    pub agreement: f32,
}

impl Signals {
    /// How likely the answer is right, 0 to 1.
    pub fn confidence(&self) -> f32 {
        self.weighed(BIAS, &WEIGHTS)
    }

    /// How likely a quote that no language model has read holds the answer, 0 to 1.
    pub fn confidence_of_a_quote(&self) -> f32 {
        self.weighed(QUOTE_BIAS, &QUOTE_WEIGHTS)
    }

    fn weighed(&self, bias: f32, weights: &Self) -> f32 {
        let logit = bias
            + weights.evidence * self.evidence
            + weights.quote_cosine * self.quote_cosine
            + weights.question_held * self.question_held
            + weights.names_held * self.names_held
            + weights.answer_held * self.answer_held
            + weights.mean_logprob * self.mean_logprob.max(-4.0)
            + weights.first_logprob * self.first_logprob.max(-4.0)
            + weights.verdict * self.verdict.clamp(-8.0, 8.0)
            + weights.agreement * self.agreement;
        1.0 / (1.0 + (-logit).exp())
    }
}

const BIAS: f32 = -4.22;
const WEIGHTS: Signals = Signals {
    evidence: 0.21,
    quote_cosine: 0.19,
    question_held: 0.13,
    names_held: 2.2,
    answer_held: 0.17,
    mean_logprob: 0.18,
    first_logprob: 0.18,
    verdict: 0.79,
    agreement: 0.65,
};

/// A quote that no language model has read has three signals. The weights of the first two are those that `bench/fit_confidence.py
/// --quotes` gives for a thousand questions of SQuAD 2.0, half of them about articles that are not there; that of names is the one
/// above, set by hand. The bias takes it that four questions of seven are about what the documents speak of.
const QUOTE_BIAS: f32 = -8.4;
const QUOTE_WEIGHTS: Signals = Signals {
    evidence: 6.3,
    quote_cosine: 2.5,
    question_held: 0.0,
    names_held: 2.2,
    answer_held: 0.0,
    mean_logprob: 0.0,
    first_logprob: 0.0,
    verdict: 0.0,
    agreement: 0.0,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_raises_the_confidence_and_it_stays_in_range() {
        let low = Signals {
            mean_logprob: -9.0,
            first_logprob: -9.0,
            evidence: -1.0,
            quote_cosine: -1.0,
            ..Signals::default()
        };
        let high = Signals {
            evidence: 1.0,
            names_held: 1.0,
            quote_cosine: 1.0,
            question_held: 1.0,
            answer_held: 1.0,
            verdict: 20.0,
            agreement: 1.0,
            ..Signals::default()
        };
        assert!(low.confidence() < 0.5 && high.confidence() > 0.5);
        assert!((0.0..=1.0).contains(&low.confidence()) && (0.0..=1.0).contains(&high.confidence()));
        assert!(low.confidence_of_a_quote() < 0.01 && high.confidence_of_a_quote() > 0.9);
    }
}
