//! Folders are followed: what changes in them is read as soon as they are quiet.
//!
//! Seam for `notify`, which tells that something happened, not reliably what: a queue may overflow, a folder may be moved in
//! whole. So an event only says that it is time to look, and the look is an ordinary ingest, which costs a stat a file. Where
//! the system gives no events (its limit of watches is reached, the disk is a network's), the folders are looked at in turns.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

use notify::{EventKind, RecursiveMode, Watcher};

use crate::{
    CancelToken, Engine, ErrorKind,
    error::Error,
    ingest::{IngestEvent, IngestReport, IngestRequest},
    walk::absolute,
};

/// Nothing must happen for so long before a look, so that a file is not read while it is written.
const QUIET: Duration = Duration::from_millis(800);
/// Where something always happens, a look is taken after this time all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often a stop is noticed.
const TICK: Duration = Duration::from_millis(200);
/// How often folders are looked at where the system gives no events.
const POLL: Duration = Duration::from_secs(5);
/// Files younger than the clock's grain are compared by content once more; a look later settles them.
const SETTLE: Duration = Duration::from_secs(4);

/// What happens while folders are watched.
#[derive(Clone, Copy, Debug)]
pub enum WatchEvent<'a> {
    /// During a look.
    Ingest(IngestEvent<'a>),
    /// A look has ended; the index holds what the folders held when it began. The first comes at the start, later ones
    /// where something changed or failed.
    Current(&'a IngestReport),
    /// The system gives no events for the reason given; the folders are looked at every few seconds.
    Polling(&'a str),
    /// Another process writes; the look is taken when it is done.
    Waiting,
}

/// Ingests, and again whenever something changes, until stopped. Returns what was done in all.
pub(crate) fn watch(
    engine: &Engine,
    request: &IngestRequest,
    show: &mut dyn FnMut(WatchEvent<'_>),
    cancel: &CancelToken,
) -> Result<IngestReport, Error> {
    let mut watching = Watching { engine, request, cancel, total: IngestReport::default(), said_waiting: false };
    let (sender, events) = mpsc::channel();
    let own = [absolute(&engine.config().paths.data)];
    let watcher = watch_folders(&request.paths, own.to_vec(), sender);
    if let Err(reason) = &watcher {
        show(WatchEvent::Polling(reason));
    }
    let mut due = watching.look(true, show)?.then_some(Instant::now() + SETTLE);
    let (mut first, mut last): (Option<Instant>, Option<Instant>) = (None, None);
    while !cancel.is_cancelled() {
        match events.recv_timeout(TICK) {
            Ok(()) => {
                last = Some(Instant::now());
                first = first.or(last);
            }
            // The watcher is gone or was never there.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let since = |then: Option<Instant>| then.map(|then| then.elapsed());
        let is_quiet = since(last).is_some_and(|quiet| quiet >= QUIET);
        let waited = since(first).is_some_and(|waited| waited >= LONGEST_WAIT);
        if is_quiet || waited || due.is_some_and(|due| Instant::now() >= due) {
            (first, last, due) = (None, None, None);
            if watching.look(false, show)? {
                due = Some(Instant::now() + SETTLE);
            }
        }
        if watcher.is_err() && due.is_none() {
            due = Some(Instant::now() + POLL);
        }
    }
    watching.total.interrupted = true;
    Ok(watching.total)
}

struct Watching<'a> {
    engine: &'a Engine,
    request: &'a IngestRequest,
    cancel: &'a CancelToken,
    total: IngestReport,
    said_waiting: bool,
}

impl Watching<'_> {
    /// One ingest. Whether another look should follow soon: something changed, or another process had the writer.
    fn look(&mut self, is_first: bool, show: &mut dyn FnMut(WatchEvent<'_>)) -> Result<bool, Error> {
        match self.engine.ingest(self.request, &mut |event| show(WatchEvent::Ingest(event)), self.cancel) {
            Ok(report) => {
                self.said_waiting = false;
                let changed = report.added + report.updated + report.renamed + report.removed;
                let failed = report.failed != self.total.failed;
                self.total.added += report.added;
                self.total.updated += report.updated;
                self.total.renamed += report.renamed;
                self.total.removed += report.removed;
                self.total.chunks += report.chunks;
                self.total.embedded += report.embedded;
                self.total.reembedded += report.reembedded;
                self.total.seconds += report.seconds;
                self.total.unchanged = report.unchanged;
                self.total.failed.clone_from(&report.failed);
                if is_first || changed > 0 || failed {
                    show(WatchEvent::Current(&report));
                }
                Ok(changed > 0)
            }
            Err(error) if error.kind() == ErrorKind::Locked => {
                if !std::mem::replace(&mut self.said_waiting, true) {
                    show(WatchEvent::Waiting);
                }
                Ok(true)
            }
            // The folders may be on a disk that was taken out; it may come back.
            Err(Error::NothingToIngest { .. }) if !is_first => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A watcher that says when something below the paths changed, other than in the program's own folders. The error is a
/// clause.
fn watch_folders(
    paths: &[PathBuf],
    own: Vec<PathBuf>,
    changed: mpsc::Sender<()>,
) -> Result<notify::RecommendedWatcher, String> {
    let is_ours = move |path: &Path| own.iter().any(|folder| path.starts_with(folder));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let worth = match event {
            // Reading a file, as the look itself does, is an event too.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) => event.paths.is_empty() || !event.paths.iter().all(|path| is_ours(path)),
            // Events were lost: a look finds what they would have told.
            Err(_) => true,
        };
        if worth {
            // The other end is gone when the watch is over.
            let _ = changed.send(());
        }
    })
    .map_err(|error| error.to_string())?;
    for path in paths {
        watcher.watch(&absolute(path), RecursiveMode::Recursive).map_err(|error| error.to_string())?;
    }
    Ok(watcher)
}
