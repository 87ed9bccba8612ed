//! How the program ends: exit codes, and errors as people and programs read them.

use std::{path::PathBuf, process::ExitCode};

use sidenote_http::{ErrorBody, ErrorReport};

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for ask: answered.
    Done = 0,
    /// Nothing found, the documents do not say, or a check did not hold.
    Nothing = 1,
    /// Usage, configuration, missing model, damaged data.
    CouldNotRun = 2,
    /// Some files failed; the report lists them.
    Partly = 3,
    /// Another process holds the writer.
    Locked = 4,
    /// Interrupted; what was finished is kept.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error of the command line itself, in the shape of the engine's.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Stable name in snake case.
    pub(crate) kind: &'static str,
    /// A clause for people.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// What it is about.
    pub(crate) path: Option<PathBuf>,
}

impl Failure {
    /// An error of this kind, without hint and path.
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, path: None }
    }

    /// With what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With what it is about.
    pub(crate) fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit code and the report of an error.
pub(crate) fn explain(error: &anyhow::Error) -> (Exit, ErrorReport) {
    if let Some(error) = error.downcast_ref::<sidenote::Error>() {
        let exits = [
            (sidenote::ErrorKind::Locked, Exit::Locked),
            (sidenote::ErrorKind::Interrupted, Exit::Interrupted),
            (sidenote::ErrorKind::NothingIngested, Exit::Nothing),
        ];
        let known = exits.into_iter().find(|(kind, _)| *kind == error.kind());
        let exit = known.map_or(Exit::CouldNotRun, |(_, exit)| exit);
        return (exit, ErrorReport::from(error));
    }
    let body = match error.downcast_ref::<Failure>() {
        Some(failure) => ErrorBody {
            kind: failure.kind.into(),
            message: failure.message.clone(),
            hint: failure.hint.clone(),
            path: failure.path.as_ref().map(|path| path.to_string_lossy().into_owned()),
        },
        None => {
            let is_io = error.chain().any(|cause| cause.is::<std::io::Error>());
            let kind = if is_io { "io" } else { "internal" };
            ErrorBody { kind: kind.into(), message: format!("{error:#}"), hint: None, path: None }
        }
    };
    (Exit::CouldNotRun, ErrorReport { error: body })
}

/// Whether the reader of standard output went away, as `head` does: no error worth a word.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
