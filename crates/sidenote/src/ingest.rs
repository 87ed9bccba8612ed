//! What an ingest is asked, what it tells while it works, and what it did. The work itself is in `ingestion.rs`.

use std::path::{Path, PathBuf};

/// What to ingest.
#[derive(Clone, Debug)]
pub struct IngestRequest {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// The collection that gets the documents.
    pub collection: String,
    /// Keep documents whose files are gone from an ingested folder.
    pub keep_missing: bool,
    /// Let a folder that is empty, and was not, remove its documents. Otherwise it is taken for an unmounted disk.
    pub allow_empty_root: bool,
    /// Read every file, also those whose size, time and inode say that they are unchanged.
    pub rehash: bool,
    /// Globs besides those of `ingest.include`. What they leave out of this ingest is not taken for gone.
    pub include: Vec<String>,
    /// Globs besides those of `ingest.exclude`. What they leave out of this ingest is not taken for gone.
    pub exclude: Vec<String>,
    /// Try files again that could not be read the last time and have not changed since.
    pub retry: bool,
}

impl IngestRequest {
    /// The paths, into the `default` collection.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self {
            paths: paths.into_iter().map(Into::into).collect(),
            collection: crate::DEFAULT_COLLECTION.into(),
            keep_missing: false,
            allow_empty_root: false,
            rehash: false,
            include: Vec::new(),
            exclude: Vec::new(),
            retry: false,
        }
    }
}

/// What happens during an ingest.
#[derive(Clone, Copy, Debug)]
pub enum IngestEvent<'a> {
    /// The folders were looked through.
    Scanned {
        /// Files found.
        files: usize,
        /// Bytes of those that have to be read.
        bytes: u64,
        /// Files that need no reading.
        unchanged: usize,
        /// Whether the ingest before this one did not come to its end. What it finished counts among the unchanged.
        continues: bool,
    },
    /// What the files to read are going to cost, by their names and sizes. Comes where it is worth a word.
    Expected {
        /// Chunks, about.
        chunks: usize,
        /// Seconds, about, at the speed the embedder has now.
        seconds: f64,
        /// Growth of the data folder in bytes, about.
        bytes: u64,
    },
    /// One file is done.
    File {
        /// Absolute.
        path: &'a Path,
        /// What became of it.
        outcome: FileOutcome<'a>,
        /// Chunks it has now.
        chunks: usize,
    },
    /// Something a user should know although the file was read.
    Warning {
        /// Absolute.
        path: &'a Path,
        /// A clause.
        text: &'a str,
    },
    /// A file that is being read has pages without a text layer, which takes seconds a page.
    Recognised {
        /// Absolute.
        path: &'a Path,
        /// Pages read by OCR so far.
        pages: usize,
    },
    /// How far it is.
    Progress {
        /// Files done.
        files_done: usize,
        /// Files to read in all.
        files_total: usize,
        /// Bytes done.
        bytes_done: u64,
        /// Bytes to read in all.
        bytes_total: u64,
        /// Chunks embedded so far.
        chunks_embedded: usize,
    },
    /// Another embedding model was named than that of the index: what is there is embedded anew, first of all. Until it is done
    /// the old model answers.
    Reembedding {
        /// Name of the model that answers.
        from: &'a str,
        /// Name of the model that takes over.
        to: &'a str,
        /// Chunks that have a vector of it.
        chunks_done: usize,
        /// Chunks in all.
        chunks_total: usize,
    },
    /// Everything is stored and can be searched; what follows makes searches of many vectors faster.
    Sealing {
        /// Vectors that go into a segment.
        vectors: usize,
    },
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOutcome<'a> {
    /// New.
    Added,
    /// Changed since it was last read.
    Updated,
    /// As it was.
    Unchanged,
    /// As it was, under another path. Its chunks and their ids are kept.
    Renamed {
        /// Where it was, absolute.
        from: &'a Path,
    },
    /// Gone, and its document with it.
    Removed,
    /// Not read, and why. A version read earlier stays searchable and is shown as stale.
    Failed(&'a str),
}

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedFile {
    /// Absolute.
    pub path: PathBuf,
    /// A clause.
    pub reason: String,
}

/// What an ingest did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngestReport {
    /// Files that are new.
    pub added: usize,
    /// Files that changed.
    pub updated: usize,
    /// Files that did not.
    pub unchanged: usize,
    /// Files under another path than before, with the same content.
    pub renamed: usize,
    /// Files that are gone, and their documents with them.
    pub removed: usize,
    /// Files that could not be read, now or, where they have not changed since, earlier.
    pub failed: Vec<FailedFile>,
    /// Chunks written.
    pub chunks: usize,
    /// Texts that were embedded for them. A text that a chunk had before, here or in another file, is not.
    pub embedded: usize,
    /// Chunks that were there and got a vector of another embedding model.
    pub reembedded: usize,
    /// Seconds it took.
    pub seconds: f64,
    /// Whether it was stopped before its end; what is reported is kept, the rest is read the next time.
    pub interrupted: bool,
}
