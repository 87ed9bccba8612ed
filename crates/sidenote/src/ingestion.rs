//! Files become searchable: look, read, extract, chunk, embed, store.
//!
//! Three threads work side by side over bounded queues: one reads, extracts (in the worker process) and chunks
//! (`reading.rs`), one embeds (`embedding.rs`), and the caller's stores. What was read of a batch of files is one SQLite
//! transaction; the lexical and vector indexes are brought in line every few seconds and at the end. Whatever happens in
//! between, what was reported is kept.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sidenote_index::{DocumentId, Fingerprint, Index, IndexWriter, NewChunk, NewDocument, SealReport};
use sidenote_model::{CancelToken, Embedder};
use sidenote_text::Document;

use crate::{
    config::{Config, VectorIndexKind, check_globs},
    embedding::{ChunkEmbedder, EMBEDDED_AHEAD, Embedded},
    error::Error,
    estimate::estimate,
    ingest::{FailedFile, FileOutcome, IngestEvent, IngestReport, IngestRequest},
    known::{Known, KnownFile},
    models::model_info,
    reading::{Content, FileReader, Prepared, ToRead, chunk_options},
    reembed::Reembedding,
    walk::{Found, Walk, is_gone, walk_files},
    worker::Extractor,
};

/// Batches of files read ahead of the embedder. Bounds memory: each holds the text and chunks of its files.
const READ_AHEAD: usize = 4;
/// How often what was stored so far becomes searchable during a long ingest.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// A file changed this shortly before it was read could change again without its time stamp showing it.
const TIMESTAMP_GRAIN: Duration = Duration::from_secs(2);

/// Room that the write-ahead log and a merge of the full-text index take at the least, in bytes.
const LEAST_ROOM: u64 = 8 << 20;

/// Who is told what happens.
type Show<'s> = dyn FnMut(IngestEvent<'_>) + 's;

/// What an ingest needs.
pub(crate) struct Ingestion<'a> {
    pub(crate) config: &'a Config,
    pub(crate) index: &'a Index,
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) request: &'a IngestRequest,
    pub(crate) cancel: &'a CancelToken,
}

impl Ingestion<'_> {
    /// Does the whole of it.
    pub(crate) fn run(&self, show: &mut Show<'_>) -> Result<IngestReport, Error> {
        let begun = Instant::now();
        let mut writer = self.index.writer()?;
        // What is wrong with the request is said before hours are spent on another model.
        let (mut scan_started, mut walk) = self.look()?;
        let Some(reembedded) = self.take_model(&mut writer, show)? else {
            return Ok(IngestReport {
                interrupted: true,
                seconds: begun.elapsed().as_secs_f64(),
                ..IngestReport::default()
            });
        };
        if reembedded > 0 {
            (scan_started, walk) = self.look()?;
        }
        let known = Known::load(self.index, &self.request.collection, &self.config.ingest)?;
        let mut run = Run {
            ingestion: self,
            writer: &mut writer,
            known: &known,
            scan_started,
            progress: Progress::default(),
            renamed: HashSet::new(),
            report: IngestReport { reembedded, ..IngestReport::default() },
        };
        let to_read = run.sort_out(&walk, show)?;
        self.look_ahead(&to_read, show)?;
        if !to_read.is_empty() {
            run.writer.set_ingest_unfinished(true)?;
        }
        run.read_all(to_read, show)?;
        run.report.interrupted = self.cancel.is_cancelled();
        if !run.report.interrupted {
            run.forget_gone(&walk, show)?;
        }
        let mut report = IngestReport { embedded: run.progress.chunks_embedded, ..run.report };
        for root in walk.roots.iter().filter(|root| !walk.gone.contains(root)) {
            writer.record_root(&self.request.collection, root)?;
        }
        if !report.interrupted && !self.is_narrowed() && !self.request.keep_missing {
            for root in &walk.gone {
                writer.forget_root(&self.request.collection, root)?;
            }
        }
        writer.commit()?;
        if !report.interrupted {
            writer.set_ingest_unfinished(false)?;
            self.seal(&mut writer, show)?;
            report.interrupted = self.cancel.is_cancelled();
        }
        report.failed.sort_by(|a, b| a.path.cmp(&b.path));
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Whether this request leaves files out that other ones read.
    fn is_narrowed(&self) -> bool {
        !self.request.include.is_empty() || !self.request.exclude.is_empty()
    }

    /// The files to look at, and since when.
    fn look(&self) -> Result<(SystemTime, Walk), Error> {
        let mut options = self.config.ingest.clone();
        check_globs("include", &self.request.include)?;
        check_globs("exclude", &self.request.exclude)?;
        options.include.extend_from_slice(&self.request.include);
        options.exclude.extend_from_slice(&self.request.exclude);
        let scan_started = SystemTime::now();
        let mut walk = walk_files(&self.request.paths, &options, &self.config.paths);
        if self.request.allow_empty_root {
            walk.take_for_empty(&self.index.roots(Some(&self.request.collection))?);
        }
        if walk.files.is_empty() && walk.roots.is_empty() && !walk.failed.is_empty() {
            let (path, reason) = walk.failed[0].clone();
            return Err(Error::NothingToIngest { path, reason });
        }
        Ok((scan_started, walk))
    }

    fn seal(&self, writer: &mut IndexWriter, show: &mut Show<'_>) -> Result<SealReport, Error> {
        let report = writer.seal(&mut |done, vectors| {
            if done == 0 {
                show(IngestEvent::Sealing { vectors });
            }
            !self.cancel.is_cancelled()
        })?;
        Ok(report)
    }

    /// Makes the embedder that of the index; returns the number of chunks that were embedded anew for that, or `None` when
    /// stopped before all were.
    fn take_model(&self, writer: &mut IndexWriter, show: &mut Show<'_>) -> Result<Option<usize>, Error> {
        let model = model_info(self.embedder);
        match self.index.embedding_model()? {
            Some(known) if known != model => {
                // Both models' vectors stand beside each other, and the old ones go through the log once more when they go.
                let numbers = known.dimensions.max(model.dimensions) as u64;
                self.want_room(LEAST_ROOM + 2 * 4 * numbers * self.index.status()?.vectors)?;
                let options = chunk_options(self.config, self.embedder);
                let (index, embedder, cancel) = (self.index, self.embedder, self.cancel);
                Reembedding { index, embedder, options, cancel }.run(writer, &known, &model, show)
            }
            Some(_) | None => {
                writer.set_embedding_model(&model)?;
                Ok(Some(0))
            }
        }
    }

    /// Says what is to be expected of a long ingest, and refuses one that the disk has no room for.
    fn look_ahead(&self, to_read: &[ToRead<'_>], show: &mut Show<'_>) -> Result<(), Error> {
        let expected = estimate(to_read.iter().map(|(found, _)| found), self.embedder)?;
        if let Some(seconds) = expected.seconds {
            show(IngestEvent::Expected { chunks: expected.chunks, seconds, bytes: expected.bytes });
        }
        // The estimate may be three times too high. What is less than this cannot be right.
        self.want_room(LEAST_ROOM + expected.bytes / 3)
    }

    fn want_room(&self, needed: u64) -> Result<(), Error> {
        match self.index.free_bytes() {
            Some(free) if free < needed => Err(Error::NoRoom { path: self.config.paths.data.clone(), free, needed }),
            Some(_) | None => Ok(()),
        }
    }
}

/// A file as it is stored: its documents and their chunks.
pub(crate) type FileDocuments = Vec<(NewDocument, Vec<NewChunk>)>;

/// How far it is.
#[derive(Clone, Copy, Default)]
struct Progress {
    files_done: usize,
    files_total: usize,
    bytes_done: u64,
    bytes_total: u64,
    chunks_embedded: usize,
}

impl Progress {
    fn event(self) -> IngestEvent<'static> {
        IngestEvent::Progress {
            files_done: self.files_done,
            files_total: self.files_total,
            bytes_done: self.bytes_done,
            bytes_total: self.bytes_total,
            chunks_embedded: self.chunks_embedded,
        }
    }
}

/// Since when what was stored waits to be searched, and how much of it to be sealed.
struct Kept {
    committed: Instant,
    since_seal: usize,
}

/// An ingest at work: the storing end.
struct Run<'a> {
    ingestion: &'a Ingestion<'a>,
    writer: &'a mut IndexWriter,
    known: &'a Known,
    scan_started: SystemTime,
    progress: Progress,
    /// Old paths of files whose documents stand under another path now.
    renamed: HashSet<PathBuf>,
    report: IngestReport,
}

impl<'a> Run<'a> {
    /// Tells the files that have to be read from those that need not.
    fn sort_out(&mut self, walk: &Walk, show: &mut Show<'_>) -> Result<Vec<ToRead<'a>>, Error> {
        let request = self.ingestion.request;
        let mut to_read = Vec::new();
        let mut hopeless = Vec::new();
        for found in &walk.files {
            let known = self.known.file(&found.path);
            if let Some(reason) = self.known.hopeless(found).filter(|_| !request.rehash && !request.retry) {
                hopeless.push((&found.path, reason));
            } else if let Some(known) = known.filter(|known| !request.rehash && self.known.is_current(known, found)) {
                self.report.unchanged += 1;
                show(IngestEvent::File { path: &found.path, outcome: FileOutcome::Unchanged, chunks: known.chunks });
            } else {
                to_read.push((found.clone(), known));
            }
        }
        self.progress.files_total = to_read.len();
        self.progress.bytes_total = to_read.iter().map(|(found, _)| found.size).sum();
        let (bytes, unchanged) = (self.progress.bytes_total, self.report.unchanged);
        let continues = !to_read.is_empty() && self.ingestion.index.ingest_unfinished()?;
        show(IngestEvent::Scanned { files: walk.files.len(), bytes, unchanged, continues });
        for (path, reason) in hopeless {
            self.report_failure(path, reason, show);
        }
        for (path, reason) in &walk.failed {
            self.fail(path, None, reason, show)?;
        }
        Ok(to_read)
    }

    fn read_all(&mut self, to_read: Vec<ToRead<'a>>, show: &mut Show<'_>) -> Result<(), Error> {
        let Ingestion { config, index, embedder, cancel, request } = *self.ingestion;
        let (embedded, steps) = mpsc::sync_channel(EMBEDDED_AHEAD);
        let reader = FileReader {
            config,
            embedder,
            cancel,
            known: self.known,
            extractor: Extractor::new(&config.ingest)?,
            storing: embedded.clone(),
            follow_moves: !request.keep_missing,
            moved: HashSet::new(),
        };
        let chunks = ChunkEmbedder { index, embedder, cancel, recent: VecDeque::new() };
        let mut kept = Kept { committed: Instant::now(), since_seal: 0 };
        if !to_read.is_empty() {
            // Vectors that wait from before count: an ingest that is stopped again and again must not pile them up.
            let status = index.status()?;
            let waiting = status.vectors.saturating_sub(status.sealed_vectors);
            kept.since_seal = usize::try_from(waiting).unwrap_or(usize::MAX);
        }
        thread::scope(|scope| {
            let (sender, batches) = mpsc::sync_channel(READ_AHEAD);
            let start = |name: &str| thread::Builder::new().name(name.into());
            let failed = |source| Error::Io { doing: "starting a thread".into(), source };
            start("sidenote-read").spawn_scoped(scope, move || reader.read_all(to_read, &sender)).map_err(failed)?;
            start("sidenote-chunks")
                .spawn_scoped(scope, move || chunks.embed_all(batches, &embedded))
                .map_err(failed)?;
            for step in steps {
                match step {
                    Embedded::Chunks(count) => {
                        self.progress.chunks_embedded += count;
                        show(self.progress.event());
                    }
                    Embedded::Files(files) => {
                        kept.since_seal += files.iter().map(Prepared::chunks).sum::<usize>();
                        self.store(files, show)?;
                        self.keep_up(&mut kept, show)?;
                    }
                    Embedded::Recognised(path, pages) => {
                        show(IngestEvent::Recognised { path: &path, pages });
                        self.keep_up(&mut kept, show)?;
                    }
                    Embedded::Failed(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    /// Lets what was stored be searched every few seconds, and seals vectors before there are too many to be compared.
    fn keep_up(&mut self, kept: &mut Kept, show: &mut Show<'_>) -> Result<(), Error> {
        let most = self.ingestion.config.index.hnsw_min_vectors;
        let many = kept.since_seal >= most;
        if many || kept.committed.elapsed() > COMMIT_EVERY {
            self.writer.commit()?;
            kept.committed = Instant::now();
        }
        if many {
            let report = self.ingestion.seal(self.writer, show)?;
            // Equal chunks have one vector: there may be too few yet, and enough soon.
            let is_sealed = report.sealed_vectors > 0 || self.ingestion.config.index.vector == VectorIndexKind::Exact;
            kept.since_seal = if is_sealed { 0 } else { most - most.div_ceil(10) };
        }
        Ok(())
    }

    /// Stores what was read, all of it in one transaction, then says of each file what became of it.
    fn store(&mut self, mut files: Vec<Prepared<'_>>, show: &mut Show<'_>) -> Result<(), Error> {
        let documents: Vec<FileDocuments> = files.iter_mut().map(|file| self.take_documents(file)).collect();
        self.writer.put_files(documents.iter().map(Vec::as_slice))?;
        for (prepared, documents) in files.into_iter().zip(&documents) {
            self.progress.files_done += 1;
            self.progress.bytes_done += prepared.found.size;
            self.settle(prepared, documents, show)?;
            show(self.progress.event());
        }
        Ok(())
    }

    /// What a file gave, as it is stored; nothing of a file that was not read.
    fn take_documents(&self, file: &mut Prepared<'_>) -> FileDocuments {
        let Ok(Content::Read(read)) = &mut file.result else { return Vec::new() };
        let fingerprint = self.fingerprint(&file.found, read.sha256);
        let collection = &self.ingestion.request.collection;
        std::mem::take(&mut read.documents)
            .into_iter()
            .map(|(document, chunks)| (new_document(collection, &file.found, fingerprint, document), chunks))
            .collect()
    }

    /// Stores what is left to store of a file, and says what became of it.
    fn settle(&mut self, prepared: Prepared<'_>, documents: &FileDocuments, show: &mut Show<'_>) -> Result<(), Error> {
        let Prepared { found, known, result } = prepared;
        let collection = &self.ingestion.request.collection;
        let (outcome, chunks) = match result {
            Ok(Content::Same(sha256)) => {
                let documents = known.map(|known| known.documents.as_slice()).unwrap_or_default();
                self.writer.touch(documents, &self.fingerprint(&found, sha256), Some(found.mtime_ms()))?;
                self.writer.clear_failure(collection, &found.path)?;
                self.report.unchanged += 1;
                (FileOutcome::Unchanged, known.map_or(0, |known| known.chunks))
            }
            Ok(Content::Moved { from, sha256 }) => {
                let print = self.fingerprint(&found, sha256);
                if !self.writer.rename(collection, &from, &found.path, &print, Some(found.mtime_ms()))? {
                    return self.fail(&found.path, None, "it moved while it was read; ingest again", show);
                }
                self.report.renamed += 1;
                let chunks = self.known.file(&from).map_or(0, |known| known.chunks);
                show(IngestEvent::File { path: &found.path, outcome: FileOutcome::Renamed { from: &from }, chunks });
                self.renamed.insert(from);
                return Ok(());
            }
            Ok(Content::Read(read)) => {
                for warning in read.warnings.iter().chain(documents.iter().flat_map(|(it, _)| &it.warnings)) {
                    show(IngestEvent::Warning { path: &found.path, text: warning });
                }
                let chunks = documents.iter().map(|(_, chunks)| chunks.len()).sum();
                self.report.chunks += chunks;
                if known.is_some() {
                    self.report.updated += 1;
                    (FileOutcome::Updated, chunks)
                } else {
                    self.report.added += 1;
                    (FileOutcome::Added, chunks)
                }
            }
            Err(unread) => {
                let print = unread.for_good.then(|| self.fingerprint(&found, [0; 32]));
                return self.fail(&found.path, print, &unread.reason, show);
            }
        };
        show(IngestEvent::File { path: &found.path, outcome, chunks });
        Ok(())
    }

    fn fail(
        &mut self,
        path: &Path,
        print: Option<Fingerprint>,
        reason: &str,
        show: &mut Show<'_>,
    ) -> Result<(), Error> {
        let collection = &self.ingestion.request.collection;
        self.writer.record_failure(&self.known.failure(collection, path, print, reason))?;
        self.report_failure(path, reason, show);
        Ok(())
    }

    fn report_failure(&mut self, path: &Path, reason: &str, show: &mut Show<'_>) {
        self.report.failed.push(FailedFile { path: path.to_owned(), reason: reason.to_owned() });
        show(IngestEvent::File { path, outcome: FileOutcome::Failed(reason), chunks: 0 });
    }

    /// Removes the documents whose files are gone from the folders that were walked, and forgets the failures of such files.
    fn forget_gone(&mut self, walk: &Walk, show: &mut Show<'_>) -> Result<(), Error> {
        let request = self.ingestion.request;
        let renamed = std::mem::take(&mut self.renamed);
        let is_narrowed = self.ingestion.is_narrowed();
        let vanished =
            if request.allow_empty_root && !is_narrowed { Vec::new() } else { self.vanished_roots(walk, &renamed)? };
        for (files, root) in vanished.iter().filter(|_| !is_narrowed) {
            let reason = format!(
                "the folder holds no file, and {files} of its files are known; nothing was removed, because this is how an \
                 unmounted disk looks (`--allow-empty-root` removes them)"
            );
            self.fail(root, None, &reason, show)?;
        }
        // A file that is still there but is ignored or hidden now is gone from the folder as it is read; not so one that only
        // this request leaves out.
        let unread = walk.unread();
        let is_there = |path: &Path| {
            renamed.contains(path)
                || walk.has_file(path)
                || path.ancestors().any(|above| unread.contains(above))
                || vanished.iter().any(|(_, root)| path.starts_with(root))
                || is_narrowed && path.exists()
        };
        for root in &walk.roots {
            for path in self.known.failures_below(root).filter(|path| !is_there(path)) {
                self.writer.clear_failure(&request.collection, path)?;
            }
            if request.keep_missing {
                continue;
            }
            let below = self.known.below(root);
            let gone: Vec<(&Path, &KnownFile)> = below.filter(|(path, _)| !is_there(path)).collect();
            let documents: Vec<DocumentId> = gone.iter().flat_map(|(_, file)| file.documents.iter().copied()).collect();
            self.writer.remove(&documents)?;
            self.report.removed += gone.len();
            for (path, _) in gone {
                show(IngestEvent::File { path, outcome: FileOutcome::Removed, chunks: 0 });
            }
        }
        Ok(())
    }

    /// Folders that were walked, or were once ingested by name and lie in one that was walked, and of whose known files none is
    /// there, not even one that is left out now; each with the number of those files.
    fn vanished_roots(&self, walk: &Walk, renamed: &HashSet<PathBuf>) -> Result<Vec<(usize, PathBuf)>, Error> {
        let once = self.ingestion.index.roots(Some(&self.ingestion.request.collection))?;
        let inside = once.into_iter().filter(|root| walk.roots.iter().any(|walked| root.starts_with(walked)));
        let roots: BTreeSet<PathBuf> = inside.chain(walk.roots.iter().cloned()).collect();
        let known_files = |root: &Path| {
            let files = self.known.below(root).map(|(path, _)| path).filter(|path| !renamed.contains(*path));
            let files: Vec<&Path> = files.collect();
            if files.iter().all(|path| is_gone(path)) { files.len() } else { 0 }
        };
        let empty = roots.into_iter().filter(|root| !walk.has_file_below(root));
        Ok(empty.map(|root| (known_files(&root), root)).filter(|(files, _)| *files > 0).collect())
    }

    /// A file's identity. One that changed while the scan ran, or just before it, gets a time no file has: its stamp does
    /// not prove that it will not change again within the clock's grain, so the next ingest compares its content.
    fn fingerprint(&self, found: &Found, sha256: [u8; 32]) -> Fingerprint {
        let settled = self
            .scan_started
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
}

fn new_document(collection: &str, found: &Found, fingerprint: Fingerprint, document: Document) -> NewDocument {
    NewDocument {
        collection: collection.to_owned(),
        path: found.path.clone(),
        part: document.part,
        title: document.title,
        author: document.author,
        created_unix_ms: document.created_unix_ms,
        format: document.format,
        language: document.language,
        fingerprint,
        text: document.text,
        pages: document.pages,
        modified_unix_ms: Some(found.mtime_ms()),
        warnings: document.warnings,
        waits_for_ocr: document.waits_for_ocr,
    }
}
