//! Files become searchable: look, read, extract, chunk, embed, store.
//!
//! Two threads work side by side over a bounded queue: one reads, extracts (in the worker process) and chunks, the
//! other embeds and writes. Each document is one SQLite transaction; the lexical and vector indexes are brought in
//! line every few seconds and at the end. Whatever happens in between, what was reported is kept.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};
use sidenote_index::{
    DocumentId, EmbeddingModelInfo, Fingerprint, Index, IndexWriter, NewChunk, NewDocument, StoredDocument,
};
use sidenote_model::{CancelToken, Embedder};
use sidenote_text::{Chunk, ChunkOptions, Document, TokenCounter, chunk_document, embedded_hash};

use crate::{
    config::Config,
    error::Error,
    walk::{self, Found, Walk, walk_files},
    worker::Extractor,
};

/// Documents read ahead of the embedder. Bounds memory: each holds one document's text and chunks.
const READ_AHEAD: usize = 4;
/// How often what was stored so far becomes searchable during a long ingest.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// Texts handed to the embedder at a time; between two of them a stop is noticed and progress shown.
const EMBED_AT_A_TIME: usize = 32;
/// A file changed this shortly before it was read could change again without its time stamp showing it.
const TIMESTAMP_GRAIN: Duration = Duration::from_secs(2);

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
    /// New documents.
    pub added: usize,
    /// Documents whose file changed.
    pub updated: usize,
    /// Documents whose file did not.
    pub unchanged: usize,
    /// Documents whose file is gone.
    pub removed: usize,
    /// Files that could not be read.
    pub failed: Vec<FailedFile>,
    /// Chunks written.
    pub chunks: usize,
    /// Seconds it took.
    pub seconds: f64,
    /// Whether it was stopped before its end; what is reported is kept, the rest is read the next time.
    pub interrupted: bool,
}

/// A file that was read and cut, on its way to the embedder.
struct Prepared {
    found: Found,
    known: Option<DocumentId>,
    result: Result<Content, String>,
}

enum Content {
    /// The bytes are those that are known.
    Same([u8; 32]),
    Read {
        sha256: [u8; 32],
        document: Box<Document>,
        chunks: Vec<Chunk>,
    },
}

/// One ingest at work.
pub(crate) struct Ingestion<'a> {
    pub(crate) config: &'a Config,
    pub(crate) index: &'a Index,
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) request: &'a IngestRequest,
    pub(crate) cancel: &'a CancelToken,
}

impl Ingestion<'_> {
    /// Does the whole of it.
    pub(crate) fn run(&self, progress: &mut dyn FnMut(IngestEvent<'_>)) -> Result<IngestReport, Error> {
        let begun = Instant::now();
        let mut writer = self.index.writer()?;
        let model = self.embedder.info();
        writer.set_embedding_model(&EmbeddingModelInfo {
            name: model.name.clone(),
            sha256_hex: model.sha256_hex.clone(),
            dimensions: model.dimensions,
        })?;

        let scan_started = SystemTime::now();
        let walk = walk_files(&self.request.paths, &self.config.ingest);
        if walk.files.is_empty() && walk.roots.is_empty() && !walk.failed.is_empty() {
            let (path, reason) = walk.failed[0].clone();
            return Err(Error::NothingToIngest { path, reason });
        }
        let mut report = IngestReport::default();
        let mut to_read = Vec::new();
        for found in &walk.files {
            let known = self.index.find_document(&self.request.collection, &found.path)?;
            if let Some(known) = known.as_ref().filter(|known| !self.request.rehash && unchanged(known, found)) {
                report.unchanged += 1;
                progress(IngestEvent::File {
                    path: &found.path,
                    outcome: FileOutcome::Unchanged,
                    chunks: usize::try_from(known.chunk_count).unwrap_or(usize::MAX),
                });
            } else {
                to_read.push((found.clone(), known));
            }
        }
        let bytes_total = to_read.iter().map(|(found, _)| found.size).sum();
        progress(IngestEvent::Scanned { files: walk.files.len(), bytes: bytes_total, unchanged: report.unchanged });
        for (path, reason) in &walk.failed {
            self.fail(&mut writer, &mut report, progress, path, reason)?;
        }

        self.read_all(&mut writer, &mut report, progress, to_read, scan_started)?;
        report.interrupted = self.cancel.is_cancelled();
        if !report.interrupted && !self.request.keep_missing {
            self.remove_gone(&mut writer, &mut report, progress, &walk)?;
        }
        for root in &walk.roots {
            writer.record_root(&self.request.collection, root)?;
        }
        writer.commit()?;
        if !report.interrupted {
            writer.seal()?;
        }
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    fn read_all(
        &self,
        writer: &mut IndexWriter,
        report: &mut IngestReport,
        progress: &mut dyn FnMut(IngestEvent<'_>),
        to_read: Vec<(Found, Option<StoredDocument>)>,
        scan_started: SystemTime,
    ) -> Result<(), Error> {
        let files_total = to_read.len();
        let bytes_total = to_read.iter().map(|(found, _)| found.size).sum();
        let (mut files_done, mut bytes_done, mut chunks_embedded) = (0, 0, 0);
        let mut extractor = Extractor::new(&self.config.ingest)?;
        let mut last_commit = Instant::now();

        thread::scope(|scope| {
            let (sender, prepared) = mpsc::sync_channel(READ_AHEAD);
            thread::Builder::new()
                .name("sidenote-read".into())
                .spawn_scoped(scope, move || {
                    for (found, known) in to_read {
                        if self.cancel.is_cancelled() {
                            break;
                        }
                        let result = self.prepare(&mut extractor, &found, known.as_ref());
                        // The other end hangs up when it fails; there is nobody left to read for.
                        if sender.send(Prepared { found, known: known.map(|known| known.id), result }).is_err() {
                            break;
                        }
                    }
                })
                .map_err(|source| Error::Io { doing: "starting a thread".into(), source })?;

            for Prepared { found, known, result } in prepared {
                let fingerprint = |sha256| fingerprint(&found, sha256, scan_started);
                let outcome = match (result, known) {
                    (Ok(Content::Same(sha256)), Some(known)) => {
                        writer.touch(known, &fingerprint(sha256))?;
                        report.unchanged += 1;
                        Some((FileOutcome::Unchanged, 0))
                    }
                    (Ok(Content::Same(_)), None) => None,
                    (Ok(Content::Read { sha256, document, chunks }), known) => {
                        for warning in &document.warnings {
                            progress(IngestEvent::Warning { path: &found.path, text: warning });
                        }
                        let count = chunks.len();
                        let embedded = self.embed(chunks, &mut |embedded| {
                            chunks_embedded += embedded;
                            progress(IngestEvent::Progress {
                                files_done,
                                files_total,
                                bytes_done,
                                bytes_total,
                                chunks_embedded,
                            });
                        })?;
                        // Stopped in the middle of a document: the next ingest reads it again from its beginning.
                        let Some(chunks) = embedded else { break };
                        let document = new_document(&self.request.collection, &found, fingerprint(sha256), *document);
                        writer.put(&document, &chunks)?;
                        writer.clear_failure(&self.request.collection, &found.path)?;
                        report.chunks += count;
                        if known.is_some() {
                            report.updated += 1;
                            Some((FileOutcome::Updated, count))
                        } else {
                            report.added += 1;
                            Some((FileOutcome::Added, count))
                        }
                    }
                    (Err(reason), _) => {
                        self.fail(writer, report, progress, &found.path, &reason)?;
                        None
                    }
                };
                files_done += 1;
                bytes_done += found.size;
                if let Some((outcome, chunks)) = outcome {
                    progress(IngestEvent::File { path: &found.path, outcome, chunks });
                }
                progress(IngestEvent::Progress { files_done, files_total, bytes_done, bytes_total, chunks_embedded });
                if last_commit.elapsed() > COMMIT_EVERY {
                    writer.commit()?;
                    last_commit = Instant::now();
                }
            }
            Ok(())
        })
    }

    /// Reads, extracts and cuts one file. The error is a clause for the report.
    fn prepare(
        &self,
        extractor: &mut Extractor,
        found: &Found,
        known: Option<&StoredDocument>,
    ) -> Result<Content, String> {
        let limit = self.config.ingest.max_file_bytes;
        if found.size > limit {
            return Err(format!("{} bytes, over the limit of {limit} (`ingest.max_file_bytes`)", found.size));
        }
        let bytes = read_bounded(&found.path, limit)?;
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        if known.is_some_and(|known| known.fingerprint.sha256 == sha256) {
            return Ok(Content::Same(sha256));
        }
        let name = found.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let document = extractor.extract(&name, &bytes)?;
        let options = ChunkOptions {
            max_tokens: self.config.chunk.max_tokens.min(self.embedder.info().max_tokens),
            max_prefix_tokens: self.config.chunk.max_prefix_tokens,
            special_tokens: self.embedder.info().special_tokens,
        };
        let chunks = chunk_document(&document, &Counter(self.embedder), &options);
        Ok(Content::Read { sha256, document: Box::new(document), chunks })
    }

    /// Gives each chunk its vector, unless one of the same text has it already. `None` when stopped.
    fn embed(&self, chunks: Vec<Chunk>, embedded: &mut dyn FnMut(usize)) -> Result<Option<Vec<NewChunk>>, Error> {
        let hashes: Vec<[u8; 32]> = chunks.iter().map(embedded_hash).collect();
        let mut known = self.index.known_vectors(&self.embedder.info().name, &hashes)?;
        let mut new: Vec<NewChunk> =
            chunks.into_iter().zip(hashes).map(|(chunk, hash)| NewChunk { chunk, hash, vector: None }).collect();
        let missing: Vec<usize> = (0..new.len()).filter(|place| known.insert(new[*place].hash)).collect();
        for places in missing.chunks(EMBED_AT_A_TIME) {
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            let texts: Vec<String> = places.iter().map(|place| new[*place].chunk.embedded_text()).collect();
            let vectors = self.embedder.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
            for (place, vector) in places.iter().zip(vectors) {
                new[*place].vector = Some(vector);
            }
            embedded(places.len());
        }
        Ok(Some(new))
    }

    fn fail(
        &self,
        writer: &mut IndexWriter,
        report: &mut IngestReport,
        progress: &mut dyn FnMut(IngestEvent<'_>),
        path: &Path,
        reason: &str,
    ) -> Result<(), Error> {
        writer.record_failure(&self.request.collection, path, None, reason)?;
        report.failed.push(FailedFile { path: path.to_owned(), reason: reason.to_owned() });
        progress(IngestEvent::File { path, outcome: FileOutcome::Failed(reason), chunks: 0 });
        Ok(())
    }

    /// Removes the documents whose files are gone from the folders that were walked to their end.
    fn remove_gone(
        &self,
        writer: &mut IndexWriter,
        report: &mut IngestReport,
        progress: &mut dyn FnMut(IngestEvent<'_>),
        walk: &Walk,
    ) -> Result<(), Error> {
        let documents = self.index.documents(Some(&self.request.collection))?;
        for root in &walk.roots {
            let below: Vec<&StoredDocument> =
                documents.iter().filter(|document| document.path.starts_with(root)).collect();
            let is_empty = !walk.files.iter().any(|found| found.path.starts_with(root));
            if is_empty && !below.is_empty() && !self.request.allow_empty_root {
                let reason = format!(
                    "the folder holds no file, and {} of its documents are known; nothing was removed, because this is \
                     how an unmounted disk looks (`--allow-empty-root` removes them)",
                    below.len()
                );
                self.fail(writer, report, progress, root, &reason)?;
                continue;
            }
            let gone: Vec<&StoredDocument> = below
                .into_iter()
                // A file that is still there but is ignored or hidden now is gone from the folder as it is read.
                .filter(|document| walk.files.binary_search_by(|found| found.path.cmp(&document.path)).is_err())
                .filter(|document| !walk.failed.iter().any(|(path, _)| *path == document.path))
                .collect();
            let ids: Vec<DocumentId> = gone.iter().map(|document| document.id).collect();
            report.removed += writer.remove(&ids)?;
            for document in gone {
                progress(IngestEvent::File { path: &document.path, outcome: FileOutcome::Removed, chunks: 0 });
            }
        }
        Ok(())
    }
}

/// The embedder's tokenizer, for the chunker.
struct Counter<'a>(&'a dyn Embedder);

impl TokenCounter for Counter<'_> {
    fn count_tokens(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.0.token_offsets(text)
    }
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let mut file = fs_err::File::open(path).map_err(|error| walk::reason(error.kind()))?;
    // One byte more than allowed tells a file that grew while it was read.
    file.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| walk::reason(error.kind()))?;
    if bytes.len() as u64 > limit {
        return Err(format!("over the limit of {limit} bytes (`ingest.max_file_bytes`)"));
    }
    Ok(bytes)
}

fn unchanged(known: &StoredDocument, found: &Found) -> bool {
    let fingerprint = &known.fingerprint;
    (fingerprint.size, fingerprint.mtime_ns, fingerprint.inode) == (found.size, found.mtime_ns, found.inode)
}

/// A file's identity. One that changed while the scan ran, or just before it, gets a time no file has: its stamp does
/// not prove that it will not change again within the clock's grain, so the next ingest compares its content.
fn fingerprint(found: &Found, sha256: [u8; 32], scan_started: SystemTime) -> Fingerprint {
    let settled = scan_started
        .checked_sub(TIMESTAMP_GRAIN)
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .is_some_and(|settled| found.mtime_ns < settled);
    Fingerprint {
        size: found.size,
        mtime_ns: if settled { found.mtime_ns } else { i64::MIN },
        inode: found.inode,
        sha256,
    }
}

fn new_document(collection: &str, found: &Found, fingerprint: Fingerprint, document: Document) -> NewDocument {
    NewDocument {
        collection: collection.to_owned(),
        path: found.path.clone(),
        part: None,
        title: document.title,
        format: document.format,
        language: document.language,
        fingerprint,
        text: document.text,
        pages: document.pages,
        modified_unix_ms: Some(found.mtime_ns / 1_000_000),
        warnings: document.warnings,
    }
}
