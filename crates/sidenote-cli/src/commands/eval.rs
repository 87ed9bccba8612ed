//! What `sidenote eval retrieval` and `sidenote eval answers` have in common: which set, which index, how far.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};
use sidenote::{Engine, EvalEvent, EvalRequest, Filter};
use sidenote_http::EvalComparison;

use super::{Session, absolute};
use crate::{args::EvalSetArgs, exit::Failure, progress::Progress};

/// What was asked for, and the engine that answers. The documents of a set get an index of their own.
pub(super) fn opened(session: &Session, args: &EvalSetArgs) -> anyhow::Result<(EvalRequest, Engine)> {
    let mut request = EvalRequest {
        set: args.set.clone(),
        corpus: Some(args.corpus.clone()),
        only: args.only.clone(),
        filter: session.filter(&args.filter),
        take: args.take,
        seed: args.seed,
    };
    if request.is_of_questions_alone() {
        return Ok((request, session.engine()?));
    }
    request.filter = Filter { collection: None, ..request.filter };
    let mut config = session.settings.config.clone();
    // Never the data folder of one's own documents: the set's replace what is there.
    config.paths.data = match &args.index {
        Some(folder) => absolute(folder),
        None => index_of(&args.set, &args.corpus)?,
    };
    Ok((request, Engine::open(config)?))
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

/// Shows how far the measurement is.
pub(super) fn show(progress: &mut Progress, event: EvalEvent<'_>) {
    match event {
        EvalEvent::Indexing { done, total } => {
            progress.update(done as u64, total as u64, &format!("{done}/{total} documents"));
        }
        EvalEvent::Asking { done, total } => {
            progress.update(done as u64, total as u64, &format!("{done}/{total} queries"));
        }
        EvalEvent::Answered(_) => {}
    }
}

/// An earlier measurement that cannot be used.
pub(super) fn no_earlier(path: &Path, problem: &str, how: &str) -> Failure {
    Failure::new("usage", format!("`{}` {problem}", path.display())).hint(how).path(path)
}

/// A comparison as a line.
pub(super) fn compared(comparison: &EvalComparison) -> String {
    let [low, high] = comparison.interval;
    let verdict = if comparison.holds { "" } else { ": below, by more than chance" };
    format!("{}: {:+.3} ({low:+.3} to {high:+.3}){verdict}", comparison.what, comparison.difference)
}
