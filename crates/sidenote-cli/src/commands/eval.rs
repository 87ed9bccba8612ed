//! `sidenote eval retrieval`.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};
use sidenote::{Engine, EvalEvent, EvalRequest, Filter};
use sidenote_http::{EvalComparison, EvalQuery, EvalReport, EvalScores};

use super::{Session, absolute};
use crate::{
    args::EvalRetrievalArgs,
    exit::{Exit, Failure},
    format::counted,
    progress::Progress,
};

/// Measures retrieval on a set.
pub(crate) fn run(session: &Session, args: &EvalRetrievalArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let earlier = args.against.as_deref().map(read_earlier).transpose()?;
    let mut config = session.settings.config.clone();
    // Never the data folder of one's own documents: the set's replace what is there.
    config.paths.data = match &args.index {
        Some(folder) => absolute(folder),
        None => index_of(&args.set, &args.corpus)?,
    };
    let request = EvalRequest {
        set: args.set.clone(),
        corpus: Some(args.corpus.clone()),
        only: args.only.clone(),
        filter: Filter { collection: None, ..session.filter(&args.filter) },
        take: args.take,
        seed: args.seed,
    };
    let mut progress = Progress::new(output.talk);
    let report = Engine::open(config)?.eval_retrieval(
        &request,
        &mut |event| match event {
            EvalEvent::Indexing { done, total } => {
                progress.update(done as u64, total as u64, &format!("{done}/{total} documents"));
            }
            EvalEvent::Asking { done, total } => {
                progress.update(done as u64, total as u64, &format!("{done}/{total} queries"));
            }
        },
        &session.cancel,
    )?;
    progress.finish();
    let mut wire = EvalReport::from(&report);
    if let Some((path, earlier)) = &earlier {
        let comparison = report.against(earlier, args.seed).ok_or_else(|| {
            Failure::new("usage", format!("`{}` has none of these queries", path.display())).path(path)
        })?;
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

/// A folder for each set, in the cache: it can be made again.
fn index_of(set: &Path, corpus: &Path) -> Result<PathBuf, Failure> {
    let cache = etcetera::base_strategy::Xdg::new()
        .map_err(|_| {
            Failure::new("usage", "there is no home folder for the set's index").hint("name a folder with --index")
        })?
        .cache_dir()
        .join("sidenote/eval");
    let set = absolute(set);
    let name = set.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hash = Sha256::digest(set.join(corpus).as_os_str().as_encoded_bytes());
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(cache.join(format!("{name}-{hash}")))
}

/// What the plain search reached for each query in an earlier measurement.
fn read_earlier(path: &Path) -> anyhow::Result<(PathBuf, Vec<(String, f64)>)> {
    let refuse = |problem: &str| {
        Failure::new("usage", format!("`{}` {problem}", path.display()))
            .hint("`sidenote eval retrieval DIR --per-query --json > FILE` writes one")
            .path(path)
    };
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
    for comparison in &report.comparisons {
        let [low, high] = comparison.interval;
        let verdict = if comparison.holds { "" } else { ": below, by more than chance" };
        lines.push(format!("{}: {:+.3} ({low:+.3} to {high:+.3}){verdict}", comparison.what, comparison.difference));
    }
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
