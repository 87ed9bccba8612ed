//! `sidenote eval retrieval`.

use std::path::{Path, PathBuf};

use sidenote_http::{EvalComparison, EvalQuery, EvalReport, EvalScores};

use super::{
    Session,
    eval::{compared, no_earlier, opened, show},
};
use crate::{args::EvalRetrievalArgs, exit::Exit, format::counted, progress::Progress};

const HOW_TO_KEEP: &str = "`sidenote eval retrieval SET --per-query --json > FILE` writes one";

/// Measures retrieval on a set.
pub(crate) fn run(session: &Session, args: &EvalRetrievalArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let earlier = args.against.as_deref().map(read_earlier).transpose()?;
    let (request, engine) = opened(session, &args.of)?;
    let mut progress = Progress::new(output.talk);
    let report = engine.eval_retrieval(&request, &mut |event| show(&mut progress, event), &session.cancel)?;
    progress.finish();
    let mut wire = EvalReport::from(&report);
    if let Some((path, earlier)) = &earlier {
        let comparison = report
            .against(earlier, args.of.seed)
            .ok_or_else(|| no_earlier(path, "has none of these queries", HOW_TO_KEEP))?;
        wire.comparisons.push(EvalComparison::new("default less earlier default", &comparison));
    }
    if args.per_query {
        wire.per_query = Some(report.queries.iter().map(EvalQuery::from).collect());
    }
    if output.json {
        output.print_json(&wire)?;
    } else {
        output.print(&shown(&wire))?;
    }
    Ok(if wire.comparisons.iter().all(|comparison| comparison.holds) { Exit::Done } else { Exit::Nothing })
}

/// What the plain search reached for each query in an earlier measurement.
fn read_earlier(path: &Path) -> anyhow::Result<(PathBuf, Vec<(String, f64)>)> {
    let refuse = |problem: &str| no_earlier(path, problem, HOW_TO_KEEP);
    let bytes = fs_err::read(path).map_err(|error| refuse(&format!("cannot be read: {}", error.kind())))?;
    let earlier: EvalReport =
        serde_json::from_slice(&bytes).map_err(|error| refuse(&format!("is no earlier measurement: {error}")))?;
    let queries = earlier.per_query.ok_or_else(|| refuse("was made without --per-query"))?;
    Ok((path.to_owned(), queries.into_iter().map(|query| (query.id, query.default)).collect()))
}

fn shown(report: &EvalReport) -> String {
    let mut lines = vec![
        format!("{}: {}, {}", report.set, counted(report.documents, "document"), counted(report.queries, "question")),
        format!(
            "{:<8} {:>8} {:>13} {:>9} {:>10} {:>11} {:>7} {:>10} {:>9}",
            "", "nDCG@10", "(95 %)", "recall@5", "recall@10", "recall@100", "MRR@10", "success@1", "median ms"
        ),
    ];
    let ways = [
        ("lexical", &report.lexical),
        ("dense", &report.dense),
        ("fused", &report.fused),
        ("default", &report.default),
    ];
    lines.extend(ways.map(|(name, scores)| row(name, scores)));
    lines.extend(report.comparisons.iter().map(compared));
    for query in report.per_query.iter().flatten() {
        let EvalQuery { id, lexical, dense, fused, default } = query;
        lines.push(format!("{lexical:.3}  {dense:.3}  {fused:.3}  {default:.3}  {id}"));
    }
    lines.join("\n")
}

fn row(name: &str, scores: &EvalScores) -> String {
    let [low, high] = scores.ndcg_10_interval;
    format!(
        "{name:<8} {:>8.3} {:>13} {:>9.3} {:>10.3} {:>11.3} {:>7.3} {:>10.3} {:>9}",
        scores.ndcg_10,
        format!("{low:.3}..{high:.3}"),
        scores.recall_5,
        scores.recall_10,
        scores.recall_100,
        scores.mrr_10,
        scores.success_1,
        format!("{:.*}", usize::from(scores.median_ms < 10.0), scores.median_ms),
    )
}
