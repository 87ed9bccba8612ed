//! What can go wrong with the data folder.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the index could not do what was asked. Nothing is changed by a call that returns one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The data folder was written by a later version. Use that version, or another data folder.
    #[error(
        "`{}` was written by a newer version (schema {found}, this version reads up to {supported})",
        path.display()
    )]
    NewerVersion {
        /// Schema version of the file.
        found: i64,
        /// Highest schema version that this program reads.
        supported: i64,
        /// The database.
        path: PathBuf,
    },
    /// The database itself is damaged. [`crate::IndexWriter::repair`] removes single documents; else restore it from a backup, or
    /// move the data folder away and ingest again.
    #[error("the database `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Another writer is at work. Wait for it, or end it.
    #[error("`{}` is locked by {}", path.display(), process_name(*pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Process that holds it, where the file says so.
        pid: Option<u32>,
    },
    /// The disk is full. Make room and repeat; what was reported as stored is stored.
    #[error("the disk that holds `{}` is full", path.display())]
    DiskFull {
        /// The database or file that could not grow.
        path: PathBuf,
    },
    /// A reader kept the database busy for longer than we wait. Repeat.
    #[error("the database `{}` is busy", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// The data folder is on a disk that other machines share. Keep it on a disk of this machine.
    #[error("`{}` is on a network disk ({kind}), where the database is not safe", path.display())]
    NetworkDisk {
        /// The data folder.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// A backup would replace what is there. Restore into another folder, or say that it may.
    #[error("`{}` holds documents already", path.display())]
    NotEmpty {
        /// The data folder.
        path: PathBuf,
    },
    /// Vectors of two models cannot be compared. Use the model the index was made with, or let another take over
    /// ([`crate::IndexWriter::switch_model`]).
    #[error("the index was made with the embedding model `{indexed_with}`, not with `{asked}`")]
    ModelMismatch {
        /// Model of the stored vectors.
        indexed_with: String,
        /// Model of the call.
        asked: String,
    },
    /// A caller's mistake: another embedding model cannot take over before every chunk has a vector of it.
    #[error("{left} chunks have no vector of `{name}` yet")]
    UnfinishedModel {
        /// The model that was to take over.
        name: String,
        /// Chunks without a vector of it.
        left: u64,
    },
    /// A caller's mistake: chunks before an embedding model was named.
    #[error("no embedding model was named before the first chunk")]
    NoModel,
    /// A caller's mistake: a chunk said that its vector is known, and it is not. Embed it and repeat.
    #[error("the vector of chunk {ordinal} (hash `{hash}`) is not stored and was not given")]
    MissingVector {
        /// Place in the list of chunks, from 0.
        ordinal: usize,
        /// Hash of the embedded text, hexadecimal.
        hash: String,
    },
    /// A vector that cannot be compared: wrong length, not finite, or zero. The model's fault.
    #[error("a vector cannot be used: {reason}")]
    BadVector {
        /// What is wrong with it, with numbers.
        reason: String,
    },
    /// A caller's mistake: a chunk or page that does not fit its document.
    #[error("`{}` cannot be stored: {reason}", path.display())]
    BadDocument {
        /// Path of the document.
        path: PathBuf,
        /// What does not fit, with numbers.
        reason: String,
    },
    /// The database refused for another reason.
    #[error("the database `{}` reported an error", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("the schema of `{}` could not be brought up to date", path.display())]
    Migration {
        /// The database.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// The full-text index failed and could not be rebuilt just now, because another process writes. Repeat.
    #[error("the full-text index `{}` cannot be used: {reason}", path.display())]
    Lexical {
        /// Its folder.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// A vector segment could not be written.
    #[error("the vector segment `{}` could not be written: {reason}", path.display())]
    Segment {
        /// Its folder.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// The file system refused; the message names the file.
    #[error("the data folder could not be used")]
    Io(#[source] std::io::Error),
    /// The index's own thread ended early. A bug.
    #[error("the database thread ended before it answered")]
    Stopped,
}

/// Whether the disk that holds the file has no room for a page more.
fn is_disk_full(file: &Path) -> bool {
    const ROOM_FOR_ANYTHING: u64 = 64 << 10;
    let folder = file.parent().unwrap_or(file);
    crate::files::free_bytes(folder).is_some_and(|free| free < ROOM_FOR_ANYTHING)
}

fn process_name(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

impl From<std::io::Error> for IndexError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl IndexError {
    /// An I/O error at `path`, with a full disk told apart.
    pub(crate) fn from_io(path: &Path, error: std::io::Error) -> Self {
        if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
            Self::DiskFull { path: path.to_owned() }
        } else {
            Self::Io(error)
        }
    }

    /// What SQLite said, in our words. The primary result codes are those of SQLite's `rescode` page.
    pub(crate) fn from_sqlite(path: &Path, error: sqlx::Error) -> Self {
        let path = path.to_owned();
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|code| code.parse::<i32>().ok())
            .map(|code| code & 0xff);
        match code {
            Some(5 | 6) => Self::Busy { path },
            Some(11 | 26) => Self::Damaged { path, reason: error.to_string() },
            Some(13) => Self::DiskFull { path },
            // The log's index cannot grow, or a file cannot be written: SQLite says only that input or output failed.
            Some(10) if is_disk_full(&path) => Self::DiskFull { path },
            Some(_) | None => {
                // A row that is not as it was stored, or whose columns are of other types than the schema allows.
                if let sqlx::Error::Decode(reason) | sqlx::Error::ColumnDecode { source: reason, .. } = &error {
                    return Self::Damaged { path, reason: reason.to_string() };
                }
                Self::Sqlite { path, source: error }
            }
        }
    }
}
