//! Ingests that were started over HTTP: one at a time, each with its progress.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::StatusCode;
use sidenote::{CancelToken, DEFAULT_COLLECTION, Engine, ErrorKind, IngestEvent, IngestRequest};

use super::{api::unpanicked, problem::Refusal};
use crate::wire::{IngestBody, IngestReport, Job, JobState};

/// Jobs that are remembered; the oldest give way.
const MAX_JOBS: usize = 32;

#[derive(Default)]
pub(super) struct Jobs {
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    works: VecDeque<Arc<Work>>,
    /// Whether the server stops, and none begins any more.
    is_closed: bool,
}

struct Work {
    job: Mutex<Job>,
    cancel: CancelToken,
}

impl Work {
    fn job(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an ingest of what lies inside of `roots`.
    pub(super) fn start(&self, engine: &Engine, roots: &[PathBuf], body: IngestBody) -> Result<Job, Refusal> {
        let request = request(engine, roots, body)?;
        let mut list = self.list();
        if list.is_closed {
            return Err(sidenote::Error::Cancelled.into());
        }
        let works = &mut list.works;
        if let Some(running) = works.iter().find(|work| work.job().state == JobState::Running) {
            let detail = format!("ingest {} is still running", running.job().id);
            return Err(Refusal::new(StatusCode::CONFLICT, "busy", detail).retry_after(5));
        }
        let id = works.back().map_or(1, |last| last.job().id + 1);
        let job = Job { id, state: JobState::Running, files: 0, done: 0, current: None, report: None, error: None };
        let work = Arc::new(Work { job: Mutex::new(job.clone()), cancel: CancelToken::new() });
        if works.len() == MAX_JOBS {
            works.pop_front();
        }
        works.push_back(Arc::clone(&work));
        drop(list);
        let engine = engine.clone();
        tokio::task::spawn_blocking(move || run(&engine, &request, &work));
        Ok(job)
    }

    /// Newest first.
    pub(super) fn all(&self) -> Vec<Job> {
        self.list().works.iter().rev().map(|work| work.job().clone()).collect()
    }

    pub(super) fn get(&self, id: u64) -> Result<Job, Refusal> {
        Ok(self.find(id)?.job().clone())
    }

    pub(super) fn cancel(&self, id: u64) -> Result<(), Refusal> {
        self.find(id)?.cancel.cancel();
        Ok(())
    }

    pub(super) fn stop(&self) {
        let mut list = self.list();
        list.is_closed = true;
        list.works.iter().for_each(|work| work.cancel.cancel());
    }

    fn find(&self, id: u64) -> Result<Arc<Work>, Refusal> {
        let found = self.list().works.iter().find(|work| work.job().id == id).map(Arc::clone);
        found.ok_or_else(|| Refusal::not_found("ingest"))
    }
}

fn run(engine: &Engine, request: &IngestRequest, work: &Work) {
    let mut on_event = |event: IngestEvent<'_>| match event {
        IngestEvent::Scanned { files, unchanged, .. } => work.job().files = count(files.saturating_sub(unchanged)),
        IngestEvent::File { path, .. } => {
            let mut job = work.job();
            job.done += 1;
            job.files = job.files.max(job.done);
            job.current = Some(path.to_string_lossy().into_owned());
        }
        IngestEvent::Expected { .. }
        | IngestEvent::Warning { .. }
        | IngestEvent::Recognised { .. }
        | IngestEvent::Progress { .. }
        | IngestEvent::Reembedding { .. }
        | IngestEvent::Sealing { .. } => {}
    };
    let outcome = unpanicked(|| engine.ingest(request, &mut on_event, &work.cancel));
    let mut job = work.job();
    job.current = None;
    match outcome {
        Ok(report) => {
            job.state = if report.interrupted { JobState::Cancelled } else { JobState::Done };
            job.report = Some(IngestReport::from(&report));
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => job.state = JobState::Cancelled,
        Err(error) => {
            job.state = JobState::Failed;
            job.error = Some(Refusal::from(error).problem());
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn request(engine: &Engine, roots: &[PathBuf], body: IngestBody) -> Result<IngestRequest, Refusal> {
    if body.paths.is_empty() {
        return Err(Refusal::field("paths", "at least one is needed"));
    }
    if engine.config().ingest.follow_symlinks {
        // A link inside of a root may lead out of it.
        let detail = "with `ingest.follow_symlinks` nothing is ingested over HTTP";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "outside_roots", detail).hint("use `sidenote ingest`"));
    }
    let paths = body.paths.iter().map(|path| inside(path, roots)).collect::<Result<Vec<_>, _>>()?;
    let collection = match body.collection {
        Some(name) if name.trim().is_empty() => return Err(Refusal::field("collection", "the name is empty")),
        Some(name) => name.trim().to_owned(),
        None => DEFAULT_COLLECTION.to_owned(),
    };
    Ok(IngestRequest { collection, ..IngestRequest::new(paths) })
}

/// The path with its links followed, where that lies inside of a root. What is outside is not said to exist or not.
fn inside(path: &str, roots: &[PathBuf]) -> Result<PathBuf, Refusal> {
    let resolved = Path::new(path).is_absolute().then(|| fs_err::canonicalize(path).ok()).flatten();
    let is_inside = |resolved: &PathBuf| {
        roots.iter().any(|root| fs_err::canonicalize(root).is_ok_and(|root| resolved.starts_with(root)))
    };
    resolved.filter(is_inside).ok_or_else(|| {
        let allowed: Vec<_> = roots.iter().map(|root| root.to_string_lossy()).collect();
        let hint = if allowed.is_empty() {
            "no folder may be ingested over HTTP; name some in `serve.roots`, or use `sidenote ingest`".to_owned()
        } else {
            format!("inside of these folders there may be something to ingest: {}", allowed.join(", "))
        };
        let detail = format!("`{path}` is no path that may be ingested over HTTP");
        Refusal::new(StatusCode::FORBIDDEN, "outside_roots", detail).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_really_lies_inside_of_a_root_is_ingested() {
        let folder = tempfile::tempdir().unwrap();
        let (root, other) = (folder.path().join("root"), folder.path().join("other"));
        fs_err::create_dir_all(root.join("deep")).unwrap();
        fs_err::create_dir_all(&other).unwrap();
        fs_err::write(root.join("a.md"), "a").unwrap();
        let roots = [root.clone()];
        let allowed = |path: PathBuf| inside(path.to_str().unwrap(), &roots).is_ok();
        assert!(allowed(root.clone()) && allowed(root.join("a.md")) && allowed(root.join("deep/../a.md")));
        assert!(!allowed(other.clone()) && !allowed(root.join("../other")) && !allowed(folder.path().to_owned()));
        assert!(!allowed(root.join("missing")) && !allowed(folder.path().join("root-2")));
        assert!(
            inside("root/a.md", &roots).is_err() && inside("", &roots).is_err() && inside("/etc/passwd", &[]).is_err()
        );
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&other, root.join("way-out")).unwrap();
            assert!(!allowed(root.join("way-out")));
        }
    }
}
