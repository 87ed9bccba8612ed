//! What was measured, as it leaves the program.

use super::count;
use crate::wire;

impl From<&sidenote::LegScores> for wire::EvalScores {
    fn from(scores: &sidenote::LegScores) -> Self {
        let sidenote::LegScores { mean, ndcg_interval, median_ms } = scores;
        Self {
            ndcg_10: mean.ndcg_10,
            recall_5: mean.recall_5,
            recall_10: mean.recall_10,
            recall_100: mean.recall_100,
            mrr_10: mean.mrr_10,
            success_1: mean.success_1,
            ndcg_10_interval: [ndcg_interval.low, ndcg_interval.high],
            median_ms: *median_ms,
        }
    }
}

impl wire::EvalComparison {
    /// With the words for what was compared.
    pub fn new(what: impl Into<String>, comparison: &sidenote::Comparison) -> Self {
        Self {
            what: what.into(),
            queries: count(comparison.queries),
            difference: comparison.difference,
            interval: [comparison.interval.low, comparison.interval.high],
            holds: !comparison.is_worse(),
        }
    }
}

impl From<&sidenote::QueryScores> for wire::EvalQuery {
    fn from(scores: &sidenote::QueryScores) -> Self {
        Self {
            id: scores.id.clone(),
            lexical: scores.lexical.ndcg_10,
            dense: scores.dense.ndcg_10,
            fused: scores.fused.ndcg_10,
            default: scores.default.ndcg_10,
        }
    }
}

impl From<&sidenote::EvalReport> for wire::EvalReport {
    /// Without the single queries.
    fn from(report: &sidenote::EvalReport) -> Self {
        let compared = report.comparisons.iter();
        Self {
            set: report.set.clone(),
            documents: count(report.documents),
            queries: count(report.queries.len()),
            lexical: (&report.lexical).into(),
            dense: (&report.dense).into(),
            fused: (&report.fused).into(),
            default: (&report.default).into(),
            comparisons: compared.map(|(what, comparison)| wire::EvalComparison::new(*what, comparison)).collect(),
            per_query: None,
        }
    }
}

impl From<&sidenote::AnswersReport> for wire::EvalAnswersReport {
    fn from(report: &sidenote::AnswersReport) -> Self {
        let all = &report.answerable;
        Self {
            set: report.set.clone(),
            model: report.model.clone(),
            questions: count(report.questions.len()),
            good: report.good,
            good_interval: [report.good_interval.low, report.good_interval.high],
            answerable: wire::EvalAnswerable {
                questions: count(all.questions),
                answered: all.answered,
                right: all.right,
                right_of_answered: all.right_of_answered,
                exact_of_answered: all.exact_of_answered,
                f1_of_answered: all.f1_of_answered,
                words: all.words,
                short: all.short.map(|short| wire::EvalShort {
                    right: short.right,
                    exact: short.exact,
                    f1: short.f1,
                    words: short.words,
                }),
                with_right_note: all.with_right_note,
                right_notes: all.right_notes,
                read: all.read,
                relevant_read: all.relevant_read,
            },
            unanswerable: wire::EvalUnanswerable { questions: count(report.unanswerable), refused: report.refused },
            curve: report.curve.iter().map(wire::EvalRisk::from).collect(),
            timings_ms: wire::EvalAnswerMillis { first_token: report.first_token_ms, total: report.total_ms },
            comparisons: Vec::new(),
        }
    }
}

impl From<&sidenote::RiskPoint> for wire::EvalRisk {
    fn from(point: &sidenote::RiskPoint) -> Self {
        let sidenote::RiskPoint { threshold, coverage, risk, good, refused } = *point;
        Self { threshold, coverage, risk, good, refused }
    }
}
