//! The database: the only truth.
//!
//! How sqlx and SQLite behave on bad input, and how we shield it:
//! - A file that is no database, or a torn page, answers `SQLITE_NOTADB` or `SQLITE_CORRUPT` at the first statement that
//!   meets it; both become [`IndexError::Damaged`] with the path. The header is looked at before sqlx opens the file.
//! - A deferred transaction that reads and then writes fails at once with `SQLITE_BUSY_SNAPSHOT`, whatever the busy
//!   timeout: every write begins with `BEGIN IMMEDIATE`, on a pool of one connection that exists only under the lock.
//! - `synchronous = FULL`: a commit that was reported survives a power cut. Derived stores can only be behind.
//! - Futures dropped half-way roll back at the connection's next use; ours always run to their end.
//! - A list of ids travels as one JSON parameter (`json_each`), so no statement grows with its input. The planner does not know
//!   how short the list is, and would rather go through the whole table: such joins are `CROSS JOIN`s, which it leaves in order.

mod chats;
mod checksum;
mod documents;
mod next_model;
mod put;
mod read;
mod rows;
mod whole;
mod write;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::error::IndexError;
use crate::files::{self, Layout};

pub(crate) use next_model::NextRows;
pub(crate) use put::{PutRows, unit_vector};
pub(crate) use rows::{
    ChunkRow, ModelRow, SegmentRow, State, chunk_rows, chunk_rows_changed, hex, model, removed_after, segments, state,
    vectors,
};

/// Schema version that this program writes; the number of the last migration.
pub(crate) const SCHEMA_VERSION: i64 = 8;
/// "sidn" in ASCII.
const APPLICATION_ID: i64 = 1_936_289_390;
/// Length of a stored piece of text in bytes; the schema documents it.
pub(crate) const PIECE_BYTES: usize = 16_384;

/// Connections for reading; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pool: SqlitePool,
    path: std::sync::Arc<Path>,
}

/// A connection for writing. One exists while the writer's lock is held, which alone changes documents; others, beside it and short,
/// write conversations.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pool: SqlitePool,
    path: std::sync::Arc<Path>,
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(5))
        .thread_name(|number| format!("sidenote-sqlite-{number}"))
}

impl Reader {
    /// Opens connections that cannot write. The schema must be there.
    pub(crate) fn open(layout: &Layout) -> Self {
        let path = layout.database();
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(30))
            .connect_lazy_with(connect_options(&path).read_only(true));
        Self { pool, path: path.into() }
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) fn error(&self, error: sqlx::Error) -> IndexError {
        IndexError::from_sqlite(&self.path, error)
    }

    /// A snapshot: everything read through it is of one moment.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>, IndexError> {
        self.pool.begin().await.map_err(|error| self.error(error))
    }
}

impl Writer {
    /// Opens the one connection that writes, and brings the schema up to date.
    pub(crate) async fn open(layout: &Layout) -> Result<Self, IndexError> {
        let writer = Self::beside(layout).await?;
        if writer.user_version().await? < SCHEMA_VERSION
            && let Err(error) = sqlx::migrate!("../../migrations").run(&writer.pool).await
        {
            return Err(if let sqlx::migrate::MigrateError::Execute(source) = error {
                writer.error(source)
            } else {
                IndexError::Migration { path: writer.path.to_path_buf(), source: Box::new(error) }
            });
        }
        Ok(writer)
    }

    /// Opens a connection beside the one of whoever holds the writer's lock, for what may be written without it. The schema must be
    /// up to date.
    pub(crate) async fn beside(layout: &Layout) -> Result<Self, IndexError> {
        let path = layout.database();
        files::make_private_file(&path)?;
        let options = connect_options(&path)
            .page_size(8192) // five vectors of 384 numbers to a page instead of two to a page of 4096
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .pragma("journal_size_limit", "67108864");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(30))
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|error| IndexError::from_sqlite(&path, error))?;
        Ok(Self { pool, path: path.into() })
    }

    /// Moves the write-ahead log into the database, unless a reader is busy, and closes. Readers cannot do it, and the
    /// last connection to close may be theirs.
    pub(crate) async fn close(&self) {
        for statement in ["PRAGMA busy_timeout = 200", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            if let Err(error) = sqlx::query(statement).execute(&self.pool).await {
                tracing::debug!(%error, "the write-ahead log stays beside the database");
            }
        }
        self.pool.close().await;
    }

    fn error(&self, error: sqlx::Error) -> IndexError {
        IndexError::from_sqlite(&self.path, error)
    }

    async fn user_version(&self) -> Result<i64, IndexError> {
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.pool).await.map_err(|error| self.error(error))
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, IndexError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(|error| self.error(error))
    }
}

/// What a look at the file says before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// No file, or an empty one.
    Missing,
    /// A database without tables of ours yet, or with older ones.
    Behind,
    /// What we write.
    Current,
}

/// Looks whether the database is one that this program can use.
pub(crate) async fn look(layout: &Layout) -> Result<Schema, IndexError> {
    let path = layout.database();
    // SQLite reads it, and nothing else opens it: see `files::make_private_file`.
    match fs_err::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Schema::Missing),
        Err(error) => return Err(error.into()),
        Ok(file) if !file.is_file() => {
            return Err(IndexError::Damaged { path, reason: "it is not a file".to_owned() });
        }
        Ok(file) if file.len() == 0 => return Ok(Schema::Missing),
        Ok(_) => {}
    }
    let reader = Reader::open(layout);
    let row = sqlx::query("SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id, pragma_user_version")
        .fetch_one(&reader.pool)
        .await
        .map_err(|error| reader.error(error));
    reader.close().await;
    let row = row?;
    let read = |index: usize| row.try_get::<i64, _>(index).map_err(|error| reader.error(error));
    let (application, version, tables) = (read(0)?, read(1)?, read(2)?);
    if application != APPLICATION_ID && tables > 0 && !(application == 0 && version == 0) {
        let reason = format!("it is the database of another program (application id {application})");
        return Err(IndexError::Damaged { path, reason });
    }
    match version.cmp(&SCHEMA_VERSION) {
        std::cmp::Ordering::Greater => {
            Err(IndexError::NewerVersion { found: version, supported: SCHEMA_VERSION, path })
        }
        std::cmp::Ordering::Equal => Ok(Schema::Current),
        std::cmp::Ordering::Less => Ok(Schema::Behind),
    }
}

/// A count or id that the database holds as a signed number. Values are our own and never negative.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// An offset or count that the database holds as a signed number.
pub(crate) fn size(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// An offset or count on its way into the database; no text is as long as the bound.
pub(crate) fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A vector on its way into the database.
pub(crate) fn vector_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A vector from the database; a length that is no multiple of four leaves the rest out.
pub(crate) fn vector_of_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}
