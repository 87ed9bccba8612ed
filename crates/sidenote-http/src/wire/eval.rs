//! What `sidenote eval` says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How well one way to rank did: means over the queries, each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalScores {
    /// Normalised discounted cumulative gain of the first ten documents.
    #[serde(rename = "ndcg@10")]
    pub ndcg_10: f64,
    /// Share of the relevant documents among the first five.
    #[serde(rename = "recall@5")]
    pub recall_5: f64,
    /// Share of the relevant documents among the first ten.
    #[serde(rename = "recall@10")]
    pub recall_10: f64,
    /// Share of the relevant documents among the first hundred.
    #[serde(rename = "recall@100")]
    pub recall_100: f64,
    /// One by the place of the first relevant document, 0 after the tenth.
    #[serde(rename = "mrr@10")]
    pub mrr_10: f64,
    /// Share of the queries whose first document is relevant.
    #[serde(rename = "success@1")]
    pub success_1: f64,
    /// Lower and upper end of the mean nDCG@10, 95 %, by bootstrap over the queries.
    #[serde(rename = "ndcg@10_interval")]
    pub ndcg_10_interval: [f64; 2],
    /// Milliseconds of a search at the median, with one search a core side by side.
    pub median_ms: f64,
}

/// Two measurements, compared query by query: in nDCG@10, or in whether a question was served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalComparison {
    /// What less what.
    pub what: String,
    /// Queries compared.
    pub queries: u64,
    /// Mean difference; above 0 the first is better.
    pub difference: f64,
    /// Lower and upper end of the difference, 95 %, by paired bootstrap.
    pub interval: [f64; 2],
    /// Whether the first is not worse, by more than chance explains.
    pub holds: bool,
}

/// A query of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalQuery {
    /// As the set calls it.
    pub id: String,
    /// nDCG@10 of BM25.
    pub lexical: f64,
    /// nDCG@10 of the vectors.
    pub dense: f64,
    /// nDCG@10 of both, fused.
    pub fused: f64,
    /// nDCG@10 of a plain search.
    pub default: f64,
}

/// What `eval retrieval` measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalReport {
    /// Name of the set's folder.
    pub set: String,
    /// Documents searched.
    pub documents: u64,
    /// Queries asked.
    pub queries: u64,
    /// BM25 alone.
    pub lexical: EvalScores,
    /// Vectors alone.
    pub dense: EvalScores,
    /// Both, fused.
    pub fused: EvalScores,
    /// What a plain search returns, reranker included.
    pub default: EvalScores,
    /// Whether fusion is not below its better leg, the plain search not below fusion, and, with `--against`, not below the
    /// earlier measurement.
    pub comparisons: Vec<EvalComparison>,
    /// Every query, with `--per-query`.
    pub per_query: Option<Vec<EvalQuery>>,
}

/// Means over the questions that the documents answer, shares 0 to 1; `null` where there is nothing to take a mean of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalAnswerable {
    /// Questions.
    pub questions: u64,
    /// Share for which an answer was shown.
    pub answered: f64,
    /// Share with an accepted answer in what was shown, of the questions whose answers the set names.
    pub right: Option<f64>,
    /// The same of the answered ones alone.
    pub right_of_answered: Option<f64>,
    /// Share whose answer is an accepted one and nothing else, of the answered ones.
    pub exact_of_answered: Option<f64>,
    /// Token F1 of the answered ones.
    pub f1_of_answered: Option<f64>,
    /// Words of an answer that was shown, at the median.
    pub words: f64,
    /// The short forms of the answered ones; `null` where there are none.
    pub short: Option<EvalShort>,
    /// Share of the answered ones with a note to a relevant document.
    pub with_right_note: Option<f64>,
    /// Share of the notes that are to a relevant document.
    pub right_notes: Option<f64>,
    /// Share whose accepted answer stands in what the language model read: no answer can be right more often.
    pub read: Option<f64>,
    /// Share of the relevant documents of which it read something, mean over the questions.
    pub relevant_read: Option<f64>,
}

/// Means over the short forms of answers, shares 0 to 1; `null` where the set names no answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalShort {
    /// Share with an accepted answer in them.
    pub right: Option<f64>,
    /// Share that is an accepted answer and nothing else.
    pub exact: Option<f64>,
    /// Token F1.
    pub f1: Option<f64>,
    /// Words, at the median.
    pub words: f64,
}

/// The questions that the documents do not answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalUnanswerable {
    /// Questions.
    pub questions: u64,
    /// Share for which no answer was shown; `null` where there are none.
    pub refused: Option<f64>,
}

/// What a threshold of confidence would have shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalRisk {
    /// Answers below it are not shown, 0 to 1.
    pub threshold: f64,
    /// Share of all questions for which an answer is shown.
    pub coverage: f64,
    /// Share of the answers shown that are wrong, be it because the documents do not say.
    pub risk: f64,
    /// Share of the answerable questions with a good answer.
    pub good: f64,
    /// Share of the other questions for which none is shown; `null` where there are none.
    pub refused: Option<f64>,
}

/// Milliseconds of a question at the median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalAnswerMillis {
    /// To the first draft token.
    pub first_token: f64,
    /// All of it.
    pub total: f64,
}

/// What `eval answers` measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalAnswersReport {
    /// Name of the set's folder or file.
    pub set: String,
    /// The language model.
    pub model: String,
    /// Questions asked.
    pub questions: u64,
    /// Share of them after which a user is served: an accepted answer is shown, or, where the documents do not say, none.
    pub good: f64,
    /// Lower and upper end of that share, 95 %, by bootstrap over the questions.
    pub good_interval: [f64; 2],
    /// Of the questions that the documents answer.
    pub answerable: EvalAnswerable,
    /// Of the others.
    pub unanswerable: EvalUnanswerable,
    /// Risk and coverage, from `answer.min_confidence` upward.
    pub curve: Vec<EvalRisk>,
    /// Milliseconds of a question at the median.
    pub timings_ms: EvalAnswerMillis,
    /// With `--against`, whether fewer questions are served than in the earlier measurement.
    pub comparisons: Vec<EvalComparison>,
}

/// What `eval init` made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvalSetReport {
    /// The folder.
    pub path: String,
    /// Documents in it.
    pub documents: u64,
    /// Questions in it.
    pub queries: u64,
}
