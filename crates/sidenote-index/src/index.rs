//! Reading: everything that needs no lock.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use roaring::RoaringTreemap;
use sidenote_text::{Page, Span};

use crate::dense::DenseView;
use crate::error::IndexError;
use crate::files::{self, Layout, WriterLock};
use crate::keep::{self, Standing};
use crate::runtime::SqliteThread;
use crate::seal::Segments;
use crate::sqlite::{self, ModelRow, Reader, Schema, State, Writer};
use crate::tantivy::{Bm25, Lexical, LexicalFailure, LexicalWeights};
use crate::types::{
    Allowed, ChunkId, DocumentId, EmbeddingModelInfo, Failure, Filter, Held, IndexStatus, Scored, StoredChunk,
    StoredDocument,
};
use crate::writer::IndexWriter;

/// How vectors are searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VectorMode {
    /// Exact below [`IndexOptions::hnsw_min_vectors`], sealed HNSW segments from there on.
    #[default]
    Auto,
    /// Every vector is compared. Segments that are there are not used.
    Exact,
    /// HNSW segments at any size that can be sealed.
    Hnsw,
}

/// How the index works. None of it changes what is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexOptions {
    /// How vectors are searched.
    pub vector: VectorMode,
    /// Distinct vectors from which on [`VectorMode::Auto`] seals segments. Default 20,000.
    pub hnsw_min_vectors: usize,
    /// Candidates that a search of a segment looks at, at least as many as results; 1 to some thousand. Higher finds
    /// more and takes longer. Default 128.
    pub ef_search: usize,
    /// Candidates looked at while a segment is built, 1 to some hundred. Default 128.
    pub ef_construction: usize,
    /// Links of a vector in a segment, 2 to 255. Default 16.
    pub max_links: usize,
    /// Vectors outside of segments from which on a seal is worth it, at least 2. Default 256.
    pub seal_min_vectors: usize,
    /// How much a word counts by where it stands.
    pub lexical_weights: LexicalWeights,
    /// How much it counts by how often it stands there.
    pub bm25: Bm25,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            vector: VectorMode::Auto,
            hnsw_min_vectors: 20_000,
            ef_search: 128,
            ef_construction: 128,
            max_links: 16,
            seal_min_vectors: 256,
            lexical_weights: LexicalWeights::default(),
            bm25: Bm25::default(),
        }
    }
}

/// A data folder, open for reading. A clone shares everything; any thread may use it. Readers see what was committed,
/// by this process or another, whenever they ask.
#[derive(Clone, Debug)]
pub struct Index {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) options: IndexOptions,
    pub(crate) reader: Reader,
    /// The open generation and the last change it shows.
    lexical: RwLock<Option<(Arc<Lexical>, i64)>>,
    /// A search met damage; the writer rebuilds at its next commit.
    pub(crate) lexical_broken: AtomicBool,
    dense: RwLock<Option<DenseView>>,
    /// The last few filters, by the change up to which they hold.
    allowed: Mutex<Vec<KnownFilter>>,
    /// What is known of the sealed segments' files.
    pub(crate) segments: Mutex<Segments>,
    /// Last, so that it outlives what uses it.
    pub(crate) sqlite: SqliteThread,
}

/// A filter, the change at which it was resolved, and the documents that it lets through.
type KnownFilter = (Filter, i64, Option<Arc<RoaringTreemap>>);

impl Drop for Inner {
    fn drop(&mut self) {
        let reader = self.reader.clone();
        let closed = self.sqlite.wait(async move {
            reader.close().await;
            Ok(())
        });
        if let Err(error) = closed {
            tracing::debug!(%error, "the database was not closed in order");
        }
    }
}

impl Index {
    /// Opens a data folder; makes it, and what belongs in it, where it is missing. Brings the full-text index in line
    /// with the database where it is not, unless another process writes just now.
    ///
    /// # Errors
    /// [`IndexError::NewerVersion`], [`IndexError::Damaged`], [`IndexError::DiskFull`], I/O, and
    /// [`IndexError::Locked`] where another process makes the folder and takes longer than ten seconds.
    pub fn open(data_dir: &Path, options: &IndexOptions) -> Result<Self, IndexError> {
        let layout = Layout::new(data_dir);
        files::make_private_folder(&layout.root)?;
        files::refuse_network_disk(&layout.root)?;
        let sqlite = SqliteThread::start()?;
        let begun = Instant::now();
        loop {
            let looked = layout.clone();
            if sqlite.wait(async move { sqlite::look(&looked).await })? == Schema::Current {
                break;
            }
            match WriterLock::take(&layout) {
                Ok(lock) => {
                    let place = layout.clone();
                    sqlite.wait(async move {
                        Writer::open(&place).await?.close().await;
                        Ok(())
                    })?;
                    drop(lock);
                }
                Err(IndexError::Locked { .. }) if begun.elapsed() < Duration::from_secs(10) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        }
        Self::of_current(layout, options, sqlite)
    }

    /// Opens a data folder; `None` where there is none yet. Makes no folder.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open_existing(data_dir: &Path, options: &IndexOptions) -> Result<Option<Self>, IndexError> {
        let layout = Layout::new(data_dir);
        let sqlite = SqliteThread::start()?;
        match sqlite.wait(async move { sqlite::look(&layout).await })? {
            Schema::Missing => Ok(None),
            Schema::Behind | Schema::Current => Self::open(data_dir, options).map(Some),
        }
    }

    fn of_current(layout: Layout, options: &IndexOptions, sqlite: SqliteThread) -> Result<Self, IndexError> {
        let opened = layout.clone();
        let reader = sqlite.wait(async move { Ok(Reader::open(&opened)) })?;
        let inner = Arc::new(Inner {
            layout,
            options: options.clone(),
            reader,
            lexical: RwLock::new(None),
            lexical_broken: AtomicBool::new(false),
            dense: RwLock::new(None),
            allowed: Mutex::new(Vec::new()),
            segments: Mutex::default(),
            sqlite,
        });
        let index = Self { inner };
        let state = index.inner.state()?;
        match keep::inspect(&index.inner.layout, &state, false) {
            Standing::InLine(lexical) => index.inner.install_lexical(lexical, state.sequence),
            standing @ (Standing::Behind { .. } | Standing::Unusable { .. }) => {
                match WriterLock::take(&index.inner.layout) {
                    Ok(_lock) => {
                        let writer = index.inner.open_writer()?;
                        let kept = keep::bring_in_line(&index.inner, &writer, standing);
                        index.inner.close_writer(writer);
                        kept?;
                    }
                    // Whoever writes brings it in line; we use what is committed.
                    Err(IndexError::Locked { .. }) => {
                        if let Standing::Behind { lexical, sequence } = standing {
                            index.inner.install_lexical(lexical, sequence);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(index)
    }

    /// Takes the writer's lock, without waiting. It is held until the writer is dropped.
    ///
    /// # Errors
    /// [`IndexError::Locked`] where another process, or another writer of this one, holds it.
    pub fn writer(&self) -> Result<IndexWriter, IndexError> {
        IndexWriter::open(Arc::clone(&self.inner))
    }

    /// Sees what was committed since the last look. Searches do this themselves; it is cheap where nothing changed.
    ///
    /// # Errors
    /// Where the database or the full-text index cannot be read.
    pub fn refresh(&self) -> Result<(), IndexError> {
        let state = self.inner.state()?;
        self.inner.current_lexical(&state)?;
        Ok(())
    }

    /// The best chunks by BM25 for any of the query's words; none where the query holds no word. A query of any length
    /// and content is fine; of a very long one the first 256 distinct terms count.
    ///
    /// # Errors
    /// Where the database cannot be read, or the full-text index is damaged and another process writes just now.
    pub fn search_lexical(&self, query: &str, limit: usize, filter: &Filter) -> Result<Vec<Scored>, IndexError> {
        self.repairing(|| self.search_lexical_once(query, limit, filter))
    }

    /// The documents with a chunk that holds something. What was stored since the last commit is not among them, what was removed
    /// since may be.
    ///
    /// # Errors
    /// As [`Index::search_lexical`].
    pub fn documents_holding(&self, held: &Held) -> Result<HashSet<DocumentId>, IndexError> {
        self.repairing(|| {
            let (lexical, _) = self.inner.current_lexical(&self.inner.state()?)?;
            let found = lexical.documents_holding(held).map_err(|failure| failure.into_error(lexical.folder()))?;
            Ok(found.into_iter().map(|id| DocumentId(id.cast_signed())).collect())
        })
    }

    /// Does what needs the full-text index, and where that turns out to be damaged, builds it anew and does it again.
    fn repairing<T>(&self, work: impl Fn() -> Result<T, IndexError>) -> Result<T, IndexError> {
        match work() {
            Err(IndexError::Lexical { reason, path }) => {
                tracing::warn!(%reason, "the full-text index is damaged and is built anew");
                self.inner.lexical_broken.store(true, Ordering::SeqCst);
                // Where this process writes too, its next commit rebuilds.
                let Ok(lock) = WriterLock::take(&self.inner.layout) else {
                    return Err(IndexError::Lexical { path, reason });
                };
                let writer = self.inner.open_writer()?;
                let rebuilt = keep::rebuild_lexical(&self.inner, &writer);
                self.inner.close_writer(writer);
                drop(lock);
                rebuilt?;
                work()
            }
            other => other,
        }
    }

    fn search_lexical_once(&self, query: &str, limit: usize, filter: &Filter) -> Result<Vec<Scored>, IndexError> {
        let state = self.inner.state()?;
        let (lexical, sequence) = self.inner.current_lexical(&state)?;
        let allowed = self.inner.allowed(filter, &state, &lexical)?;
        let mut removed = HashSet::new();
        if sequence < state.sequence {
            let reader = self.inner.reader.clone();
            let chunks = self.inner.sqlite.wait(async move { reader.removed_after(sequence).await })?;
            removed = chunks.into_iter().map(ChunkId).collect();
        }
        let options = &self.inner.options;
        lexical
            .search(query, limit, &options.lexical_weights, options.bm25, &allowed, &removed)
            .map_err(|failure| failure.into_error(lexical.folder()))
    }

    /// The chunks whose vectors are nearest to `vector` by cosine; none where nothing was embedded yet.
    ///
    /// # Errors
    /// [`IndexError::ModelMismatch`] where the index holds vectors of a model other than `model`,
    /// [`IndexError::BadVector`] for a vector that cannot be compared, and where the database cannot be read.
    pub fn search_dense(
        &self,
        vector: &[f32],
        model: &str,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<Scored>, IndexError> {
        let (state, known) = self.inner.state_and_model()?;
        let Some(known) = named(known, model)? else { return Ok(Vec::new()) };
        if known.dimensions != vector.len() {
            let reason = format!("it has {} numbers, `{model}` makes {}", vector.len(), known.dimensions);
            return Err(IndexError::BadVector { reason });
        }
        let query = sqlite::unit_vector(vector)?;
        let allowed = if filter.is_of_documents() {
            Allowed { documents: self.inner.allowed_documents(filter, &state)?, ..Allowed::default() }
        } else {
            self.repairing(|| {
                // Read again: a repair changes it.
                let state = self.inner.state()?;
                let (lexical, _) = self.inner.current_lexical(&state)?;
                self.inner.allowed(filter, &state, &lexical)
            })?
        };
        self.inner.with_dense(&state, &known, |view| view.search(&query, limit, &allowed))
    }

    /// Whether an ingest began and did not come to its end.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn ingest_unfinished(&self) -> Result<bool, IndexError> {
        Ok(self.inner.state()?.ingest_unfinished)
    }

    /// The embedding model whose vectors answer; `None` before the first was named.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn embedding_model(&self) -> Result<Option<EmbeddingModelInfo>, IndexError> {
        Ok(self.inner.model()?.map(|model| EmbeddingModelInfo {
            name: model.name,
            sha256_hex: model.sha256_hex,
            dimensions: model.dimensions,
        }))
    }

    fn model_named(&self, name: &str) -> Result<Option<ModelRow>, IndexError> {
        named(self.inner.model()?, name)
    }

    /// Chunks in the order asked for; those that are gone are left out.
    ///
    /// # Errors
    /// Where the database cannot be read; so for all methods below.
    pub fn chunks(&self, ids: &[ChunkId]) -> Result<Vec<StoredChunk>, IndexError> {
        let (reader, ids) = (self.inner.reader.clone(), ids.to_vec());
        self.inner.sqlite.wait(async move { reader.chunks(&ids).await })
    }

    /// A document's chunks in order of their span; none where it is gone.
    pub fn chunks_of(&self, document: DocumentId) -> Result<Vec<StoredChunk>, IndexError> {
        let reader = self.inner.reader.clone();
        let source = self.inner.sqlite.wait(async move { reader.chunks_of(document).await })?;
        Ok(source.unwrap_or_default().chunks)
    }

    /// Vectors of chunks, in the order asked for; those that are gone are left out. Empty where the index holds vectors
    /// of no model, [`IndexError::ModelMismatch`] where of another.
    pub fn vectors(&self, ids: &[ChunkId], model: &str) -> Result<Vec<(ChunkId, Vec<f32>)>, IndexError> {
        if self.model_named(model)?.is_none() {
            return Ok(Vec::new());
        }
        let (reader, ids) = (self.inner.reader.clone(), ids.to_vec());
        self.inner.sqlite.wait(async move { reader.vectors_of(&ids).await })
    }

    /// A document; `None` where it is gone.
    pub fn document(&self, id: DocumentId) -> Result<Option<StoredDocument>, IndexError> {
        let reader = self.inner.reader.clone();
        self.inner.sqlite.wait(async move { reader.document(id).await })
    }

    /// Those of some documents that are there, in order of id.
    pub fn documents_of_ids(&self, ids: &[DocumentId]) -> Result<Vec<StoredDocument>, IndexError> {
        let (reader, ids) = (self.inner.reader.clone(), ids.to_vec());
        self.inner.sqlite.wait(async move { reader.documents_of_ids(&ids).await })
    }

    /// All documents, or those of one collection, in order of id.
    pub fn documents(&self, collection: Option<&str>) -> Result<Vec<StoredDocument>, IndexError> {
        let (reader, collection) = (self.inner.reader.clone(), collection.map(str::to_owned));
        self.inner.sqlite.wait(async move { reader.documents(collection.as_deref()).await })
    }

    /// The documents that a filter lets through, in order of id. What it says of chunks is not looked at.
    pub fn documents_let_through(&self, filter: &Filter) -> Result<Vec<StoredDocument>, IndexError> {
        match self.inner.allowed_documents(filter, &self.inner.state()?)? {
            Some(ids) => self.documents_of_ids(&ids.iter().map(|id| DocumentId(id.cast_signed())).collect::<Vec<_>>()),
            None => self.documents(None),
        }
    }

    /// The document of a file itself.
    pub fn find_document(&self, collection: &str, path: &Path) -> Result<Option<StoredDocument>, IndexError> {
        Ok(self.find_documents(collection, path)?.into_iter().find(|document| document.part.is_none()))
    }

    /// The document of a file and those of its parts.
    pub fn find_documents(&self, collection: &str, path: &Path) -> Result<Vec<StoredDocument>, IndexError> {
        let (reader, collection, path) = (self.inner.reader.clone(), collection.to_owned(), path.to_owned());
        self.inner.sqlite.wait(async move { reader.find_documents(&collection, &path).await })
    }

    /// The stored text under a span, read anew; `None` where the document is gone, or the span does not fit it or cuts a
    /// character.
    pub fn text(&self, document: DocumentId, span: Span) -> Result<Option<String>, IndexError> {
        let reader = self.inner.reader.clone();
        self.inner.sqlite.wait(async move { reader.text(document, span).await })
    }

    /// A document's pages in order; none where its format has none.
    pub fn pages(&self, document: DocumentId) -> Result<Vec<Page>, IndexError> {
        let reader = self.inner.reader.clone();
        self.inner.sqlite.wait(async move { reader.pages(document).await })
    }

    /// Files that could not be ingested.
    pub fn failures(&self, collection: Option<&str>) -> Result<Vec<Failure>, IndexError> {
        let (reader, collection) = (self.inner.reader.clone(), collection.map(str::to_owned));
        self.inner.sqlite.wait(async move { reader.failures(collection.as_deref()).await })
    }

    /// Folders and files that were ingested by name, in order of collection and path.
    pub fn roots(&self, collection: Option<&str>) -> Result<Vec<PathBuf>, IndexError> {
        let (reader, collection) = (self.inner.reader.clone(), collection.map(str::to_owned));
        self.inner.sqlite.wait(async move { reader.roots(collection.as_deref()).await })
    }

    /// Languages that documents are in, by ISO 639-1, else 639-3, that of most documents first.
    pub fn languages(&self) -> Result<Vec<String>, IndexError> {
        let reader = self.inner.reader.clone();
        self.inner.sqlite.wait(async move { reader.languages().await })
    }

    /// Those of `hashes` whose vector by `model` is stored.
    pub fn known_vectors(&self, model: &str, hashes: &[[u8; 32]]) -> Result<HashSet<[u8; 32]>, IndexError> {
        let Some(known) = self.model_named(model)? else { return Ok(HashSet::new()) };
        let (reader, hashes) = (self.inner.reader.clone(), hashes.to_vec());
        self.inner.sqlite.wait(async move { reader.known_vectors(known.id, &hashes).await })
    }

    /// Bytes that may still be written to the data folder's disk; `None` where the system does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        files::free_bytes(&self.inner.layout.root)
    }

    /// How many there are.
    pub fn status(&self) -> Result<IndexStatus, IndexError> {
        let reader = self.inner.reader.clone();
        let mut status = self.inner.sqlite.wait(async move { reader.status().await })?;
        status.bytes = files::folder_bytes(&self.inner.layout.root);
        Ok(status)
    }
}

impl Inner {
    pub(crate) fn state(&self) -> Result<State, IndexError> {
        let reader = self.reader.clone();
        self.sqlite.wait(async move { reader.state().await })
    }

    pub(crate) fn model(&self) -> Result<Option<ModelRow>, IndexError> {
        let reader = self.reader.clone();
        self.sqlite.wait(async move { reader.model().await })
    }

    /// Both in one go: asking the database takes as long as a search of a small index.
    fn state_and_model(&self) -> Result<(State, Option<ModelRow>), IndexError> {
        let reader = self.reader.clone();
        self.sqlite.wait(async move { reader.state_and_model().await })
    }

    /// Hands on the id of every document, ascending.
    pub(crate) fn each_document(
        &self,
        mut look: impl FnMut(DocumentId) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let mut after = 0;
        loop {
            let reader = self.reader.clone();
            let documents = self.sqlite.wait(async move { reader.document_ids(after, 1000).await })?;
            let Some(&DocumentId(last)) = documents.last() else { return Ok(()) };
            after = last;
            documents.into_iter().try_for_each(&mut look)?;
        }
    }

    /// The writing connection. Whoever calls holds the lock.
    pub(crate) fn open_writer(&self) -> Result<Writer, IndexError> {
        let layout = self.layout.clone();
        self.sqlite.wait(async move { Writer::open(&layout).await })
    }

    pub(crate) fn close_writer(&self, writer: Writer) {
        let closed = self.sqlite.wait(async move {
            writer.close().await;
            Ok(())
        });
        if let Err(error) = closed {
            tracing::debug!(%error, "the database was not closed in order");
        }
    }

    pub(crate) fn install_lexical(&self, lexical: Lexical, sequence: i64) {
        *self.lexical.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::new(lexical), sequence));
        self.lexical_broken.store(false, Ordering::SeqCst);
    }

    /// Lets go of the full-text index, so that its files are closed.
    pub(crate) fn forget_lexical(&self) {
        *self.lexical.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The full-text index as the database names it, and the last change that it shows.
    pub(crate) fn current_lexical(&self, state: &State) -> Result<(Arc<Lexical>, i64), IndexError> {
        {
            let open = self.lexical.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((lexical, sequence)) = &*open
                && lexical.generation == state.lexical_generation
                && *sequence >= state.lexical_sequence
            {
                return Ok((Arc::clone(lexical), *sequence));
            }
        }
        let mut open = self.lexical.write().unwrap_or_else(PoisonError::into_inner);
        let folder = self.layout.lexical_generation(state.lexical_generation);
        let known =
            open.take().map(|(lexical, _)| lexical).filter(|lexical| lexical.generation == state.lexical_generation);
        let load = || -> Result<(Arc<Lexical>, i64), LexicalFailure> {
            let lexical = match known {
                Some(lexical) => lexical,
                None => Arc::new(Lexical::open(&folder, state.lexical_generation)?),
            };
            // Read before the reload: what is loaded is at least as new as what it says.
            let payload = lexical.payload()?;
            lexical.reload()?;
            match payload {
                Some(payload) if payload.store == state.uuid => Ok((lexical, payload.sequence)),
                Some(_) | None => Err(LexicalFailure::Broken("it does not belong to this database".to_owned())),
            }
        };
        let loaded = load().map_err(|failure| failure.into_error(&folder))?;
        *open = Some((Arc::clone(&loaded.0), loaded.1));
        Ok(loaded)
    }

    /// What a filter lets through.
    fn allowed(&self, filter: &Filter, state: &State, lexical: &Lexical) -> Result<Allowed, IndexError> {
        let documents = self.allowed_documents(filter, state)?;
        if filter.is_of_documents() {
            return Ok(Allowed { documents, chunks: None, is_asked_for: false });
        }
        let holding = lexical.holding(&filter.holds, &filter.lacks);
        let chunks = holding.map_err(|failure| failure.into_error(lexical.folder()))?;
        Ok(Allowed { documents, chunks: Some(Arc::new(chunks)), is_asked_for: !filter.holds.is_empty() })
    }

    /// The documents that a filter lets through; `None` where all.
    fn allowed_documents(&self, filter: &Filter, state: &State) -> Result<Option<Arc<RoaringTreemap>>, IndexError> {
        let filter = &Filter { holds: Vec::new(), lacks: Vec::new(), ..filter.clone() };
        if filter.is_everything() {
            return Ok(None);
        }
        {
            let known = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
            let same = known.iter().find(|(other, sequence, _)| *sequence == state.sequence && other == filter);
            if let Some((_, _, set)) = same {
                return Ok(set.clone());
            }
        }
        let (reader, asked) = (self.reader.clone(), filter.clone());
        let ids = self.sqlite.wait(async move { reader.allowed_documents(&asked).await })?;
        let set = ids.map(|ids| Arc::new(ids.into_iter().map(i64::cast_unsigned).collect::<RoaringTreemap>()));
        let mut known = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, sequence, _)| *sequence == state.sequence);
        known.truncate(7);
        known.insert(0, (filter.clone(), state.sequence, set.clone()));
        Ok(set)
    }

    /// Shows `work` the vectors as the database has them now.
    pub(crate) fn with_dense<T>(
        &self,
        state: &State,
        model: &ModelRow,
        work: impl Fn(&DenseView) -> T,
    ) -> Result<T, IndexError> {
        {
            let view = self.dense.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(view) = view.as_ref().filter(|view| view.is_current(state, model)) {
                return Ok(work(view));
            }
        }
        let mut place = self.dense.write().unwrap_or_else(PoisonError::into_inner);
        let old = place.take();
        let (reader, layout, model) = (self.reader.clone(), self.layout.clone(), model.clone());
        let ef_search = (self.options.vector != VectorMode::Exact).then_some(self.options.ef_search);
        let view =
            self.sqlite.wait(async move { DenseView::follow(&reader, &layout, &model, old, ef_search).await })?;
        let result = work(&view);
        *place = Some(view);
        Ok(result)
    }

    /// Lets go of the vectors in memory; the next search reads them again.
    pub(crate) fn forget_dense(&self) {
        *self.dense.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A model that is the one asked for.
fn named(known: Option<ModelRow>, asked: &str) -> Result<Option<ModelRow>, IndexError> {
    match known {
        Some(known) if known.name != asked => {
            Err(IndexError::ModelMismatch { indexed_with: known.name, asked: asked.to_owned() })
        }
        other => Ok(other),
    }
}
