//! What can go wrong, by whose fault it is, and what to do next.

use std::path::{Path, PathBuf};

use sidenote_index::IndexError;
use sidenote_model::ModelError;
use thiserror::Error;

/// An error of the engine. `Display` gives the message, [`Error::hint`] what to do next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is unknown, of the wrong type, or outside its range. The user's to mend.
    #[error("configuration key `{key}`: {problem}")]
    Config {
        /// As `section.key`.
        key: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// A set of documents, queries and judgements that cannot be measured with. The user's to mend.
    #[error("`{}`: {reason}", path.display())]
    EvalSet {
        /// The file of the set.
        path: PathBuf,
        /// What is wrong with it, and in which line.
        reason: String,
    },
    /// None of the paths to ingest could be looked at. The user's to mend.
    #[error("nothing to ingest: `{}`: {reason}", path.display())]
    NothingToIngest {
        /// The first of them.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The question does not fit the model's context window with room for an answer.
    #[error("the question takes {tokens} tokens, and the context window has room for {limit}")]
    QuestionTooLong {
        /// Tokens of the question with the instruction around it.
        tokens: usize,
        /// Most tokens.
        limit: usize,
    },
    /// The documents that were to be read whole do not fit the model's context window.
    #[error("the documents have {tokens} tokens or more, and the language model reads {limit} at once")]
    DocumentsTooLong {
        /// Their tokens; at least so many, where they are far too long to be counted.
        tokens: usize,
        /// Most tokens.
        limit: usize,
    },
    /// A text to embed is longer than the embedding model reads.
    #[error("text {place} has {tokens} tokens, and the embedding model reads {limit}")]
    TextTooLong {
        /// Which of the texts, from 0.
        place: usize,
        /// Its tokens.
        tokens: usize,
        /// Most tokens.
        limit: usize,
    },
    /// Nothing has been ingested into this data folder yet.
    #[error("nothing has been ingested yet")]
    NothingIngested {
        /// The data folder.
        path: PathBuf,
    },
    /// The disk of the data folder has no room for what is to be ingested. Make room, or name another data folder.
    #[error("the disk that holds `{}` has {free} bytes left, and about {needed} are needed", path.display())]
    NoRoom {
        /// The data folder.
        path: PathBuf,
        /// Bytes left.
        free: u64,
        /// Bytes needed at least, by estimate.
        needed: u64,
    },
    /// Stopped by the caller. What was finished is kept.
    #[error("interrupted")]
    Cancelled,
    /// The data folder.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The operating system refused something.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: String,
        /// The operating system's word.
        #[source]
        source: std::io::Error,
    },
    /// A defect of sidenote. Please report it.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Kinds of error that a program may want to tell apart. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting.
    Config,
    /// Paths or words of the request.
    Usage,
    /// A model file that is not there.
    MissingModel,
    /// A model file that cannot be used.
    DamagedModel,
    /// The server with the language model.
    Endpoint,
    /// The program was built for a CPU with more features.
    UnsupportedCpu,
    /// The data folder is damaged.
    DamagedData,
    /// The data folder was written by a later version.
    NewerVersion,
    /// Another process holds the writer.
    Locked,
    /// The data folder was made with another embedding model.
    ModelMismatch,
    /// No room on the disk.
    DiskFull,
    /// The question does not fit.
    QuestionTooLong,
    /// Nothing has been ingested.
    NothingIngested,
    /// Stopped by the caller.
    Interrupted,
    /// The operating system.
    Io,
    /// A defect.
    Internal,
}

impl ErrorKind {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Usage => "usage",
            Self::MissingModel => "missing_model",
            Self::DamagedModel => "damaged_model",
            Self::Endpoint => "endpoint",
            Self::UnsupportedCpu => "unsupported_cpu",
            Self::DamagedData => "damaged_data",
            Self::NewerVersion => "newer_version",
            Self::Locked => "locked",
            Self::ModelMismatch => "model_mismatch",
            Self::DiskFull => "disk_full",
            Self::QuestionTooLong => "question_too_long",
            Self::NothingIngested => "nothing_ingested",
            Self::Interrupted => "interrupted",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }
}

impl Error {
    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::Config,
            Self::NothingToIngest { .. } | Self::EvalSet { .. } | Self::TextTooLong { .. } => ErrorKind::Usage,
            Self::QuestionTooLong { .. } | Self::DocumentsTooLong { .. } => ErrorKind::QuestionTooLong,
            Self::NothingIngested { .. } => ErrorKind::NothingIngested,
            Self::NoRoom { .. } => ErrorKind::DiskFull,
            Self::Cancelled | Self::Model(ModelError::Cancelled { .. }) => ErrorKind::Interrupted,
            Self::Index(error) => index_kind(error),
            Self::Model(error) => model_kind(error),
            Self::Io { .. } => ErrorKind::Io,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config { .. } => Some("`sidenote config` prints every key with its value".into()),
            Self::NothingToIngest { .. } => Some("name a file or a folder that exists".into()),
            Self::EvalSet { .. } => Some(
                "a set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv; `sidenote eval init` makes one"
                    .into(),
            ),
            Self::QuestionTooLong { .. } => Some("ask a shorter question, or raise `llm.context_tokens`".into()),
            Self::DocumentsTooLong { .. } => Some(
                "name fewer documents (`--under`), have passages read (no `--whole`), or raise `llm.context_tokens`"
                    .into(),
            ),
            Self::TextTooLong { .. } => Some("cut it in pieces, and embed each".into()),
            Self::NothingIngested { .. } => Some("`sidenote ingest FOLDER` makes a folder searchable".into()),
            Self::NoRoom { .. } => Some("make room, ingest fewer files, or name another folder with `--data`".into()),
            Self::Index(error) => index_hint(error),
            Self::Model(error) => error.hint().map(str::to_owned),
            Self::Io { .. } | Self::Cancelled => None,
            Self::Internal(_) => Some("this is a defect of sidenote; please report it with the output of `-vv`".into()),
        }
    }

    /// The file or folder it is about.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most errors are about no file")]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::NothingToIngest { path, .. }
            | Self::EvalSet { path, .. }
            | Self::NothingIngested { path }
            | Self::NoRoom { path, .. } => Some(path),
            Self::Index(
                IndexError::NewerVersion { path, .. }
                | IndexError::Damaged { path, .. }
                | IndexError::Locked { path, .. }
                | IndexError::DiskFull { path }
                | IndexError::Busy { path }
                | IndexError::NotEmpty { path }
                | IndexError::NetworkDisk { path, .. }
                | IndexError::Sqlite { path, .. }
                | IndexError::Migration { path, .. }
                | IndexError::Lexical { path, .. }
                | IndexError::Segment { path, .. },
            )
            | Self::Model(
                ModelError::Missing { path, .. }
                | ModelError::Runtime { path, .. }
                | ModelError::Damaged { path, .. }
                | ModelError::Cancelled { path },
            ) => Some(path),
            _ => None,
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow; what is not known here is a defect")]
fn index_kind(error: &IndexError) -> ErrorKind {
    match error {
        IndexError::NewerVersion { .. } => ErrorKind::NewerVersion,
        IndexError::Damaged { .. } | IndexError::Lexical { .. } => ErrorKind::DamagedData,
        IndexError::Locked { .. } => ErrorKind::Locked,
        IndexError::DiskFull { .. } => ErrorKind::DiskFull,
        IndexError::NotEmpty { .. } | IndexError::NetworkDisk { .. } => ErrorKind::Usage,
        IndexError::ModelMismatch { .. } => ErrorKind::ModelMismatch,
        IndexError::Busy { .. }
        | IndexError::Sqlite { .. }
        | IndexError::Migration { .. }
        | IndexError::Segment { .. }
        | IndexError::Io(_) => ErrorKind::Io,
        _ => ErrorKind::Internal,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most errors leave nothing to do")]
fn index_hint(error: &IndexError) -> Option<String> {
    let hint = match error {
        IndexError::NewerVersion { .. } => "use the newer version of sidenote, or another folder with `--data`",
        IndexError::Damaged { .. } => {
            "`sidenote doctor` says what is damaged, and `--repair` mends it where that is possible; `sidenote restore` brings a backup back, or move the data folder away and ingest again; your own files are not concerned"
        }
        IndexError::Locked { .. } => "wait until the other process is done, or end it",
        IndexError::DiskFull { .. } => "make room and run it again; what was reported as stored is stored",
        IndexError::ModelMismatch { .. } => {
            "run `sidenote ingest`: it embeds what is there anew with the model that is named now; or set `models.embedder` back"
        }
        IndexError::NetworkDisk { .. } => {
            "name a folder on a disk of this machine with `--data`; documents may stay where they are"
        }
        IndexError::NotEmpty { .. } => "name another folder with `--data`, or give up what is there with `--replace`",
        IndexError::Busy { .. } => "run it again",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow; what is not known here is a defect")]
fn model_kind(error: &ModelError) -> ErrorKind {
    match error {
        ModelError::Missing { .. } | ModelError::Pull { .. } => ErrorKind::MissingModel,
        ModelError::Runtime { .. } | ModelError::Damaged { .. } | ModelError::Template { .. } => {
            ErrorKind::DamagedModel
        }
        ModelError::PromptTooLong { .. } => ErrorKind::QuestionTooLong,
        ModelError::Endpoint { .. } => ErrorKind::Endpoint,
        ModelError::CpuFeature { .. } => ErrorKind::UnsupportedCpu,
        ModelError::Io(_) => ErrorKind::Io,
        ModelError::Cancelled { .. } => ErrorKind::Interrupted,
        _ => ErrorKind::Internal,
    }
}
