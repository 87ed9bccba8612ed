//! The full-text index, made from the database and thrown away whenever the two disagree.
//!
//! How tantivy behaves on bad input, and how we shield it:
//! - A damaged file is noticed only where it is read, as an error or as a panic. Files are compared with their own
//!   checksums when they are new to us, and every call runs under `catch_unwind`; either way the index is rebuilt.
//! - After an error its writer is dead. Ours is dropped and opened anew by the next commit.
//! - A commit is atomic but says nothing about the database. It carries what it holds as its payload, which is compared
//!   at every open; it may be behind (changes are replayed) and must not be ahead (then it is rebuilt).
//! - The query parser has a language of its own and had hangs; we build queries from analysed terms instead.
//! - An update is a delete and an add, in that order, in one commit. `delete_term` works on indexed fields only.
//! - Dropping the writer abandons merges that are under way; ours waits for them, within a bound.

mod analysers;
mod query;
mod score;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::indexer::LogMergePolicy;
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexReader, ReloadPolicy, SegmentReader, TantivyDocument, TantivyError, Term};

use crate::analysis::ANALYSIS_VERSION;
use crate::error::IndexError;
use crate::files;
use crate::types::{Allowed, ChunkId, Held, Scored, StoredChunk};
use analysers::{EXACT, Tongue, WordReaders, exact_analyser};
pub use score::Bm25;
use score::Documents;

/// Memory for documents that are not committed yet, in bytes.
const WRITER_BYTES: usize = 50_000_000;
/// How long a writer waits for merges at its end.
const MERGE_PATIENCE: Duration = Duration::from_secs(10);

/// How much a match in each place counts. 0 switches a place off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LexicalWeights {
    /// Words of the document's title, stemmed.
    pub title: f32,
    /// Words of the headings above the chunk, stemmed.
    pub heading: f32,
    /// Words of the chunk, stemmed.
    pub body: f32,
    /// Words, names and codes anywhere, as they are written.
    pub exact: f32,
    /// All of the document that the chunk is of.
    pub document: f32,
}

impl Default for LexicalWeights {
    fn default() -> Self {
        Self { title: 0.3, heading: 0.3, body: 1.0, exact: 0.4, document: 1.0 }
    }
}

/// What a commit holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// The database it was made from.
    pub(crate) store: String,
    /// Its last change.
    pub(crate) sequence: i64,
    /// How text became terms.
    pub(crate) analysis: u32,
}

impl Payload {
    pub(crate) fn new(store: &str, sequence: i64) -> Self {
        Self { store: store.to_owned(), sequence, analysis: ANALYSIS_VERSION }
    }

    /// Whether an index with this payload can be brought to `sequence` of the database `store` by replay.
    pub(crate) fn follows(&self, store: &str, sequence: i64, trimmed_to: i64) -> bool {
        self.store == store
            && self.analysis == ANALYSIS_VERSION
            && self.sequence <= sequence
            && self.sequence >= trimmed_to
    }
}

#[derive(Clone, Copy, Debug)]
struct Fields {
    chunk: Field,
    document: Field,
    title: Field,
    heading: Field,
    body: Field,
    exact: Field,
    /// The one in which the words of title, heading and body were read.
    language: Field,
}

fn schema() -> (Schema, Fields) {
    let text = |keeps: IndexRecordOption| {
        let indexing = TextFieldIndexing::default().set_tokenizer(EXACT).set_index_option(keeps);
        TextOptions::default().set_indexing_options(indexing)
    };
    // Words come read already, in the language of their document.
    let words = || text(IndexRecordOption::WithFreqs);
    let mut builder = Schema::builder();
    let fields = Fields {
        chunk: builder.add_u64_field("chunk", INDEXED | FAST),
        document: builder.add_u64_field("document", INDEXED | FAST),
        title: builder.add_text_field("title", words()),
        heading: builder.add_text_field("heading", words()),
        body: builder.add_text_field("body", words()),
        // Phrases are looked up here.
        exact: builder.add_text_field("exact", text(IndexRecordOption::WithFreqsAndPositions)),
        language: builder.add_text_field("language", STRING),
    };
    (builder.build(), fields)
}

/// One generation of the full-text index, open for reading.
pub(crate) struct Lexical {
    pub(crate) generation: i64,
    folder: PathBuf,
    index: Index,
    reader: IndexReader,
    fields: Fields,
    documents: Documents,
}

impl std::fmt::Debug for Lexical {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lexical").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why tantivy failed; the caller decides between rebuilding and reporting.
#[derive(Debug)]
pub(crate) enum LexicalFailure {
    /// No room on the disk: rebuilding would not help.
    DiskFull,
    /// Anything else: damaged, missing, of another version.
    Broken(String),
}

impl LexicalFailure {
    pub(crate) fn into_error(self, folder: &Path) -> IndexError {
        match self {
            Self::DiskFull => IndexError::DiskFull { path: folder.to_owned() },
            Self::Broken(reason) => IndexError::Lexical { path: folder.to_owned(), reason },
        }
    }
}

impl From<TantivyError> for LexicalFailure {
    fn from(error: TantivyError) -> Self {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(current) = cause {
            if let Some(io) = current.downcast_ref::<std::io::Error>()
                && matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
            {
                return Self::DiskFull;
            }
            cause = current.source();
        }
        // Some of its errors carry the cause in their text only.
        let text = error.to_string();
        if text.contains("No space left on device") { Self::DiskFull } else { Self::Broken(text) }
    }
}

/// Runs `work` with panics turned into failures.
fn guard<T>(work: impl FnOnce() -> Result<T, LexicalFailure>) -> Result<T, LexicalFailure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words =
            panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(LexicalFailure::Broken(format!("a panic: {}", words.unwrap_or("without words"))))
    })
}

impl Lexical {
    /// Makes an empty index in a new folder.
    pub(crate) fn create(folder: &Path, generation: i64) -> Result<Self, LexicalFailure> {
        guard(|| {
            let index = Index::create_in_dir(folder, schema().0)?;
            Self::of_index(folder, generation, index)
        })
    }

    /// Opens an index that is there.
    pub(crate) fn open(folder: &Path, generation: i64) -> Result<Self, LexicalFailure> {
        guard(|| {
            let index = Index::open_in_dir(folder)?;
            if index.schema() != schema().0 {
                return Err(LexicalFailure::Broken("it has the fields of another version".to_owned()));
            }
            Self::of_index(folder, generation, index)
        })
    }

    fn of_index(folder: &Path, generation: i64, index: Index) -> Result<Self, LexicalFailure> {
        index.tokenizers().register(EXACT, exact_analyser());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let (folder, fields) = (folder.to_owned(), schema().1);
        Ok(Self { generation, folder, index, reader, fields, documents: Documents::new(fields.body) })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the last commit says that it holds; `None` before the first, or where that cannot be read.
    pub(crate) fn payload(&self) -> Result<Option<Payload>, LexicalFailure> {
        guard(|| Ok(self.index.load_metas()?.payload.and_then(|payload| serde_json::from_str(&payload).ok())))
    }

    /// Lets searches see the last commit.
    pub(crate) fn reload(&self) -> Result<(), LexicalFailure> {
        guard(|| Ok(self.reader.reload()?))
    }

    /// Compares files with their checksums, those left out that were found good before and have not changed since.
    /// With `remember`, notes which were good in the file `notes`.
    pub(crate) fn verify(&self, notes: &Path, remember: bool) -> Result<(), LexicalFailure> {
        let known: BTreeMap<String, Stamp> =
            fs_err::read(notes).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let good = guard(|| {
            let mut good = BTreeMap::new();
            let managed = self.index.directory().list_managed_files();
            let listed = self.index.load_metas()?.list_segment_files();
            for file in listed.into_iter().filter(|file| managed.contains(file)) {
                let Ok(stamp) = Stamp::of(&self.folder.join(&file)) else { continue };
                let name = file.to_string_lossy().into_owned();
                if known.get(&name) != Some(&stamp) {
                    let sound = self.index.directory().validate_checksum(&file);
                    if !sound.map_err(TantivyError::from)? {
                        return Err(LexicalFailure::Broken(format!("`{name}` does not match its checksum")));
                    }
                }
                good.insert(name, stamp);
            }
            Ok(good)
        })?;
        if remember
            && good != known
            && let Ok(json) = serde_json::to_vec(&good)
            && let Err(error) = files::make_private_file(notes).and_then(|()| Ok(fs_err::write(notes, json)?))
        {
            tracing::debug!(%error, "checked files could not be noted; they will be checked again");
        }
        Ok(())
    }

    /// Ids of all chunks that the last commit holds, ascending.
    pub(crate) fn chunk_ids(&self) -> Result<Vec<u64>, LexicalFailure> {
        guard(|| {
            let mut ids = Vec::new();
            for segment in self.reader.searcher().segment_readers() {
                let column = segment.fast_fields().u64("chunk")?;
                ids.extend(segment.doc_ids_alive().filter_map(|document| column.first(document)));
            }
            ids.sort_unstable();
            Ok(ids)
        })
    }

    /// The best chunks for any of the query's words, best first, ties by chunk id.
    pub(crate) fn search(
        &self,
        query: &str,
        limit: usize,
        weights: &LexicalWeights,
        bm25: Bm25,
        allowed: &Allowed,
        removed: &HashSet<ChunkId>,
    ) -> Result<Vec<Scored>, LexicalFailure> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let passes = |chunk, document| !removed.contains(&chunk) && allowed.passes(chunk, document);
        guard(|| {
            let searcher = self.reader.searcher();
            let clauses = query::clauses(query, &searcher, &self.fields, weights)?;
            // What is asked for is found without any of the words too.
            let all = allowed.is_asked_for;
            if clauses.is_empty() && !all {
                return Ok(Vec::new());
            }
            let table = self.documents.table(&searcher)?;
            let scores = table.score(&searcher, &clauses, bm25)?;
            Ok(scores.best(&searcher, limit, all, passes)?)
        })
    }

    /// The chunks that hold all of `holds` and nothing of `lacks`.
    pub(crate) fn holding(&self, holds: &[Held], lacks: &[Held]) -> Result<RoaringTreemap, LexicalFailure> {
        self.ids_of("chunk", holds, lacks)
    }

    /// The documents with a chunk that holds `held`.
    pub(crate) fn documents_holding(&self, held: &Held) -> Result<RoaringTreemap, LexicalFailure> {
        self.ids_of("document", std::slice::from_ref(held), &[])
    }

    fn ids_of(&self, column: &'static str, holds: &[Held], lacks: &[Held]) -> Result<RoaringTreemap, LexicalFailure> {
        guard(|| {
            let searcher = self.reader.searcher();
            let query = query::holding(holds, lacks, &searcher, &self.fields)?;
            Ok(searcher.search(&*query, &IdSet { column })?)
        })
    }

    /// The writer; there is one at a time.
    pub(crate) fn writer(&self) -> Result<LexicalWriter, LexicalFailure> {
        guard(|| {
            let begun = Instant::now();
            let writer = loop {
                match self.index.writer_with_num_threads(1, WRITER_BYTES) {
                    // A writer before us is still waiting for its merges.
                    Err(TantivyError::LockFailure(..)) if begun.elapsed() < MERGE_PATIENCE => {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    other => break other?,
                }
            };
            let mut policy = LogMergePolicy::default();
            policy.set_min_num_segments(4);
            policy.set_del_docs_ratio_before_merge(0.25);
            writer.set_merge_policy(Box::new(policy));
            Ok(LexicalWriter {
                generation: self.generation,
                folder: self.folder.clone(),
                writer: Some(writer),
                fields: self.fields,
                words: WordReaders::default(),
            })
        })
    }
}

/// Collects the ids of chunks.
struct IdSet {
    column: &'static str,
}

struct SegmentIds {
    ids: Column,
    found: RoaringTreemap,
}

impl Collector for IdSet {
    type Fruit = RoaringTreemap;
    type Child = SegmentIds;

    fn for_segment(&self, _: u32, segment: &SegmentReader) -> tantivy::Result<SegmentIds> {
        Ok(SegmentIds { ids: segment.fast_fields().u64(self.column)?, found: RoaringTreemap::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, found: Vec<RoaringTreemap>) -> tantivy::Result<RoaringTreemap> {
        Ok(found.into_iter().fold(RoaringTreemap::new(), |all, some| all | some))
    }
}

impl SegmentCollector for SegmentIds {
    type Fruit = RoaringTreemap;

    fn collect(&mut self, document: u32, _: f32) {
        self.found.extend(self.ids.first(document));
    }

    fn harvest(self) -> RoaringTreemap {
        self.found
    }
}

/// What tells that a file has not changed since it was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    modified_ns: u128,
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs_err::metadata(path)?;
        let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Self { bytes: metadata.len(), modified_ns: modified.as_nanos() })
    }
}

/// The full-text index, open for writing.
pub(crate) struct LexicalWriter {
    pub(crate) generation: i64,
    folder: PathBuf,
    /// Taken at the end, to wait for merges.
    writer: Option<tantivy::IndexWriter>,
    fields: Fields,
    words: WordReaders,
}

impl std::fmt::Debug for LexicalWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LexicalWriter").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl LexicalWriter {
    fn writer(&mut self) -> Result<&mut tantivy::IndexWriter, LexicalFailure> {
        self.writer.as_mut().ok_or_else(|| LexicalFailure::Broken("its writer has ended".to_owned()))
    }

    pub(crate) fn remove(&mut self, chunk: i64) -> Result<(), LexicalFailure> {
        let term = Term::from_field_u64(self.fields.chunk, chunk.cast_unsigned());
        guard(|| {
            self.writer()?.delete_term(term);
            Ok(())
        })
    }

    /// Adds a chunk of a document with this title, in this language.
    pub(crate) fn add(
        &mut self,
        title: &str,
        language: Option<&str>,
        chunk: &StoredChunk,
    ) -> Result<(), LexicalFailure> {
        let heading = chunk.heading.join("\n");
        let tongue = Tongue::of(language);
        let mut document = TantivyDocument::new();
        document.add_u64(self.fields.chunk, chunk.id.0.cast_unsigned());
        document.add_u64(self.fields.document, chunk.document.0.cast_unsigned());
        document.add_text(self.fields.language, tongue.code());
        for (field, text) in
            [(self.fields.title, title), (self.fields.heading, &heading), (self.fields.body, &chunk.text)]
        {
            document.add_pre_tokenized_text(field, self.words.read(tongue, text));
        }
        // One by one, so that no phrase begins in a heading and ends below it.
        for text in [title].into_iter().chain(chunk.heading.iter().map(String::as_str)).chain([chunk.text.as_str()]) {
            document.add_text(self.fields.exact, text);
        }
        guard(|| {
            self.writer()?.add_document(document)?;
            Ok(())
        })
    }

    /// Puts everything on the disk, with what it holds.
    pub(crate) fn commit(&mut self, payload: &Payload) -> Result<(), LexicalFailure> {
        let text = serde_json::to_string(payload).map_err(|error| LexicalFailure::Broken(error.to_string()))?;
        guard(|| {
            let mut prepared = self.writer()?.prepare_commit()?;
            prepared.set_payload(&text);
            crate::crash::point("lexical-before-commit");
            prepared.commit()?;
            Ok(())
        })?;
        if let Err(error) = files::make_files_private(&self.folder) {
            tracing::warn!(%error, "files of the full-text index keep their permissions");
        }
        Ok(())
    }

    /// Rewrites the segments that hold removed chunks, and removes files that nothing needs.
    pub(crate) fn purge(&mut self) -> Result<(), LexicalFailure> {
        guard(|| {
            let writer = self.writer()?;
            // A merge under way would refuse ours for its segments; the policy starts no other.
            writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
            for _ in 0..100 {
                let metas = writer.index().searchable_segment_metas()?;
                let Some(meta) = metas.iter().find(|meta| meta.has_deletes()) else { break };
                if writer.merge(&[meta.id()]).wait().is_err() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            if writer.index().searchable_segment_metas()?.iter().any(tantivy::SegmentMeta::has_deletes) {
                return Err(LexicalFailure::Broken("removed chunks could not be merged away".to_owned()));
            }
            writer.garbage_collect_files().wait()?;
            Ok(())
        })
    }
}

impl Drop for LexicalWriter {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        let (sender, receiver) = std::sync::mpsc::channel();
        let waiting = std::thread::Builder::new().name("sidenote-merges".to_owned()).spawn(move || {
            let result = guard(|| Ok(writer.wait_merging_threads()?));
            let _ = sender.send(result);
        });
        match waiting.map(|_| receiver.recv_timeout(MERGE_PATIENCE)) {
            Ok(Ok(Err(failure))) => tracing::debug!(?failure, "a merge of the full-text index failed"),
            Ok(Err(_)) => tracing::debug!("merges of the full-text index go on after its writer"),
            Ok(Ok(Ok(()))) | Err(_) => {}
        }
        if let Err(error) = files::make_files_private(&self.folder) {
            tracing::debug!(%error, "files of the full-text index keep their permissions");
        }
    }
}
