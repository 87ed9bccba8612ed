//! The engine: one handle on a data folder and its models.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use sidenote_index::{
    Bm25, ChatId, ChatSummary, CompactReport, DocumentId, EmbeddingModelInfo, Filter, Index, IndexError, IndexOptions,
    VectorMode,
};
use sidenote_model::{
    CancelToken, ChatMessage, CrossEncoder, Embedder, GenerateRequest, Generation, Generator, KeptStates, Sampling,
    StopReason, kept_states,
};
use sidenote_text::Span;

use crate::{
    answer::{Answer, AskEvent, AskPhase, AskRequest},
    ask::Asking,
    care::{self, DoctorReport, ExportedDocument},
    chat::{self, Chat},
    config::{AnswerMode, Config, SearchMode, VectorIndexKind},
    document::{Document, TextRead, read_text},
    error::{Error, ErrorKind},
    eval::{self, AnswerScores, AnswersReport, EvalEvent, EvalReport, EvalRequest},
    extract::extract,
    ingest::{FailedFile, IngestEvent, IngestReport, IngestRequest},
    ingestion::Ingestion,
    models,
    query::Query,
    question::Question,
    remove::{RemoveReport, RemoveRequest, remove},
    retrieve::{Readers, SearchReport, SearchRequest, retrieve},
    watch::{WatchEvent, watch},
    whole::{PinReport, Whole, drop_stale_states, pin},
};

/// One handle on a data folder and its models. Cheap to clone; all clones share the models.
///
/// Opening it is cheap: the index and each model are opened when they are first needed. Every call blocks until it is
/// done and may be made from any thread; there is one language model, and questions take turns at it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    index: Mutex<Option<Index>>,
    embedder: Mutex<Option<Arc<dyn Embedder>>>,
    /// The inner `None`: none is configured.
    cross_encoder: Mutex<Option<Option<Arc<dyn CrossEncoder>>>>,
    /// The model that made the index, while the configured one has not taken over.
    former_embedder: Mutex<Option<Former>>,
    generator: Mutex<Option<Arc<dyn Generator>>>,
}

/// A model that made the index, and its embedder; `None` where the model of that name is another.
type Former = (EmbeddingModelInfo, Option<Arc<dyn Embedder>>);

type BothModels = (Arc<dyn Embedder>, Arc<dyn Generator>);

/// What is in the data folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Documents.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
    /// Distinct vectors.
    pub vectors: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Counts the changes.
    pub generation: u64,
    /// Collections by name.
    pub collections: Vec<CollectionStatus>,
    /// The embedding model the index was made with, else the configured one.
    pub embedding_model: Option<String>,
    /// The configured language model.
    pub generation_model: Option<String>,
    /// Files that could not be read at the last ingest.
    pub failures: Vec<FailedFile>,
    /// States of the language model that are kept in the data folder.
    pub kept_states: KeptStates,
    /// Share of the tokens of all prompts of this process that did not have to be evaluated, 0 to 1; `None` before the first.
    pub prompt_hit_rate: Option<f32>,
}

/// How the bare language model is to write.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// Most tokens; `None` means `answer.max_tokens`.
    pub max_tokens: Option<usize>,
    /// Texts that end it; they are not part of it.
    pub stop: Vec<String>,
    /// How the next token is chosen.
    pub sampling: Sampling,
}

/// How many there are in one collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionStatus {
    /// Its name.
    pub name: String,
    /// Documents.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
}

impl Engine {
    /// An engine on `config.paths.data`, with the models the configuration names.
    ///
    /// # Errors
    /// [`Error::Config`] when a setting is outside its range, or a folder is not named.
    pub fn open(config: Config) -> Result<Self, Error> {
        Self::with_models(config, None, None)
    }

    /// An engine with models of the caller's own; `None` leaves one to the configuration.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn with_models(
        config: Config,
        embedder: Option<Arc<dyn Embedder>>,
        generator: Option<Arc<dyn Generator>>,
    ) -> Result<Self, Error> {
        config.validate()?;
        if config.paths.data.as_os_str().is_empty() {
            return Err(Error::Config { key: "paths.data".into(), problem: "no data folder is named".into() });
        }
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                index: Mutex::new(None),
                embedder: Mutex::new(embedder),
                former_embedder: Mutex::new(None),
                cross_encoder: Mutex::new(None),
                generator: Mutex::new(generator),
            }),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Makes files and folders searchable: reads what is new or changed, removes what is gone.
    ///
    /// A file that cannot be read costs itself alone and is reported. Stopping keeps what is finished.
    ///
    /// # Errors
    /// When another process writes, the data folder or the embedding model cannot be used, or no path exists.
    pub fn ingest(
        &self,
        request: &IngestRequest,
        progress: &mut dyn FnMut(IngestEvent<'_>),
        cancel: &CancelToken,
    ) -> Result<IngestReport, Error> {
        let embedder = self.embedder()?;
        let index = self.index_or_create()?;
        let ingestion = Ingestion { config: self.config(), index: &index, embedder: &*embedder, request, cancel };
        self.changing(&index, || ingestion.run(progress))
    }

    /// Ingests, and again whenever something changes in the folders, within two seconds after they are quiet, until stopped.
    /// Returns what was done in all. The data folder is locked only while something is read.
    ///
    /// # Errors
    /// As [`Engine::ingest`], but for another process that writes: that is waited for.
    pub fn watch(
        &self,
        request: &IngestRequest,
        on_event: &mut dyn FnMut(WatchEvent<'_>),
        cancel: &CancelToken,
    ) -> Result<IngestReport, Error> {
        watch(self, request, on_event, cancel)
    }

    /// Removes documents, and forgets the files that could not be read. They are gone from every answer at once; with `purge` also
    /// from every byte.
    ///
    /// # Errors
    /// When another process writes, or the data folder cannot be used.
    pub fn remove(&self, request: &RemoveRequest) -> Result<RemoveReport, Error> {
        let index = self.known_index()?;
        self.changing(&index, || remove(&index, request))
    }

    /// Removes one document; others of its file, such as a mail's attachments, stay.
    ///
    /// # Errors
    /// When another process writes, or the data folder cannot be used.
    pub fn forget(&self, id: DocumentId) -> Result<RemoveReport, Error> {
        let index = self.known_index()?;
        self.changing(&index, || {
            let mut writer = index.writer()?;
            let removed = writer.remove(&[id])?;
            writer.commit()?;
            Ok(RemoveReport { removed, ..RemoveReport::default() })
        })
    }

    /// Finds passages.
    ///
    /// # Errors
    /// When nothing has been ingested, or the data folder or the embedding model cannot be used.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchReport, Error> {
        let index = self.known_index()?;
        Self::over_a_switch(&index, |known| {
            let embedder = if request.mode == SearchMode::Lexical { None } else { Some(self.query_embedder(known)?) };
            let asked = if request.plain { Query::plain(&request.query) } else { Query::parse(&request.query) };
            let words =
                SearchRequest { query: asked.words.clone(), filter: asked.narrow(&request.filter), ..request.clone() };
            let cross_encoder = if request.mode == SearchMode::Hybrid { self.cross_encoder()? } else { None };
            let readers = Readers { embedder: embedder.as_deref(), cross_encoder: cross_encoder.as_deref() };
            let report = retrieve(&index, &self.config().search, &words, readers)?.report;
            Ok(SearchReport { query: request.query.clone(), hint: asked.hint(report.hits.len()), ..report })
        })
    }

    /// Answers a question from the documents, or says that they do not say.
    ///
    /// # Errors
    /// When nothing has been ingested, the question does not fit, a model or the data folder cannot be used, or the
    /// caller stopped it.
    pub fn ask(
        &self,
        request: &AskRequest,
        on_event: &mut dyn FnMut(AskEvent<'_>),
        cancel: &CancelToken,
    ) -> Result<Answer, Error> {
        let asked = Instant::now();
        let index = self.known_index()?;
        on_event(AskEvent::Phase(AskPhase::Loading));
        let mut said = false;
        Self::over_a_switch(&index, |known| {
            let (embedder, generator) = match request.mode.unwrap_or(self.config().answer.mode) {
                AnswerMode::Write => {
                    let (embedder, generator) = self.both_models(known)?;
                    (embedder, Some(generator))
                }
                AnswerMode::Extract => (self.query_embedder(known)?, None),
            };
            let whole = match &generator {
                Some(generator) if request.whole => {
                    Some(Whole::of(&index, &request.filter, self.config(), generator.info().context_tokens)?)
                }
                _ => None,
            };
            let cross_encoder = self.cross_encoder()?;
            let load_ms = crate::retrieve::milliseconds(asked);
            let question = Question {
                config: self.config(),
                index: &index,
                embedder: &*embedder,
                cross_encoder: cross_encoder.as_deref(),
                request,
                cancel,
                asked,
                load_ms,
                whole: whole.as_ref(),
            };
            let hear = &mut |event: AskEvent<'_>| {
                said |= !matches!(event, AskEvent::Phase(_) | AskEvent::Understood(_));
                on_event(event);
            };
            let answer = match &generator {
                Some(generator) => Asking { question: &question, generator: &**generator }.answer(hear),
                None => extract(&question, hear),
            };
            if whole.is_some() {
                // One of them may have been removed while it was read.
                drop_stale_states(self.config(), &index)?;
            }
            match answer {
                // What was said cannot be taken back, so nothing is done again.
                Err(error) if said && error.kind() == ErrorKind::ModelMismatch => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        })?
    }

    /// Has the language model read documents whole ahead of the questions about them ([`AskRequest::whole`]).
    ///
    /// # Errors
    /// [`Error::DocumentsTooLong`]; when nothing has been ingested, the model or the data folder cannot be used, or the caller stopped
    /// it.
    pub fn pin(&self, filter: &Filter, cancel: &CancelToken) -> Result<PinReport, Error> {
        if !self.config().remote.url.is_empty() {
            let problem = "what a model of another server has read is kept there, if at all; nothing can be pinned";
            return Err(Error::Config { key: "remote.url".into(), problem: problem.into() });
        }
        let (index, generator) = (self.known_index()?, self.generator()?);
        self.changing(&index, || pin(&index, filter, self.config(), &*generator, cancel))
    }

    /// Keeps an answer as the next turn of a conversation, or as the first of one that is not kept yet. Returns the conversation's
    /// number and the turn's in it; `None` where the conversation was deleted meanwhile. May be called while another process writes.
    ///
    /// # Errors
    /// When the data folder cannot be used, or somebody else writes for longer than some seconds.
    pub fn keep(&self, chat: &Chat, answer: &Answer) -> Result<Option<(ChatId, u32)>, Error> {
        chat::keep(&self.known_index()?, chat, answer)
    }

    /// The conversations that are kept, all or those about one collection, the one last gone on with first.
    ///
    /// # Errors
    /// When the data folder cannot be used, or what was kept is damaged; so for [`Engine::chat`].
    pub fn chats(&self, collection: Option<&str>) -> Result<Vec<ChatSummary>, Error> {
        let Some(index) = self.index()? else { return Ok(Vec::new()) };
        Ok(index.chats(collection)?)
    }

    /// A conversation, its quotes read again; `None` where there is none of this number.
    pub fn chat(&self, id: ChatId) -> Result<Option<Chat>, Error> {
        let Some(index) = self.index()? else { return Ok(None) };
        chat::chat(&index, id)
    }

    /// Deletes conversations, or all where none are named; returns how many there were. With `purge` they are gone from every byte,
    /// else from the next [`Engine::compact`] on.
    ///
    /// # Errors
    /// When the data folder cannot be used; with `purge`, when another process writes.
    pub fn delete_chats(&self, ids: Option<&[ChatId]>, purge: bool) -> Result<u64, Error> {
        let Some(index) = self.index()? else { return Ok(0) };
        if !purge {
            return Ok(index.delete_chats(ids)?);
        }
        let mut writer = index.writer()?;
        writer.announce_purge()?;
        let deleted = index.delete_chats(ids)?;
        writer.compact()?;
        Ok(deleted)
    }

    /// Does what may take documents away, or keep states of them; then the states of those that are gone go too, also where it failed half way.
    fn changing<T>(&self, index: &Index, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let done = work();
        drop_stale_states(self.config(), index)?;
        done
    }

    /// Does something with the model that made the index, and again where another took over meanwhile.
    fn over_a_switch<T>(
        index: &Index,
        mut work: impl FnMut(Option<&EmbeddingModelInfo>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = index.embedding_model()?;
        let done = work(before.as_ref());
        if !matches!(&done, Err(error) if error.kind() == ErrorKind::ModelMismatch) {
            return done;
        }
        let now = index.embedding_model()?;
        if now == before { done } else { work(now.as_ref()) }
    }

    /// Measures retrieval on a set of documents, queries and judgements, with the configuration of this engine. Its data folder
    /// is to be one for this set alone: the documents of the set replace what is there, and stay for the next time.
    ///
    /// # Errors
    /// [`Error::EvalSet`] names the file and the line of the set; the others are those of an ingest and a search.
    pub fn eval_retrieval(
        &self,
        request: &EvalRequest,
        progress: &mut dyn FnMut(EvalEvent<'_>),
        cancel: &CancelToken,
    ) -> Result<EvalReport, Error> {
        let (embedder, cross_encoder) = (self.embedder()?, self.cross_encoder()?);
        let index = self.index_or_create()?;
        eval::measure(self.config(), &index, &*embedder, cross_encoder.as_deref(), request, progress, cancel)
    }

    /// Measures answers: asks every question of a set, as a user would, and holds the answers against those the set accepts. Of a
    /// folder with documents of its own the same holds as for [`Self::eval_retrieval`]; a file of questions is asked over what is
    /// ingested. What is in `known` is not asked again: a measurement takes seconds a question, and goes on where it was.
    ///
    /// # Errors
    /// [`Error::EvalSet`] names the file and the line of the set; the others are those of an ingest and a question.
    pub fn eval_answers(
        &self,
        request: &EvalRequest,
        known: Vec<AnswerScores>,
        progress: &mut dyn FnMut(EvalEvent<'_>),
        cancel: &CancelToken,
    ) -> Result<AnswersReport, Error> {
        eval::answers::measure(self, request, known, progress, cancel)
    }

    /// Reads every byte of the data folder and holds the stores against each other; with `repair`, makes anew what can be
    /// made from the database, and removes damaged documents whose files are there to be ingested again.
    ///
    /// # Errors
    /// When nothing has been ingested, another process writes, or the data folder cannot be read at all.
    pub fn doctor(&self, repair: bool) -> Result<DoctorReport, Error> {
        let index = self.known_index()?;
        self.changing(&index, || care::check(&index, repair))
    }

    /// Takes every byte of removed documents out of every file, and the room they took.
    ///
    /// # Errors
    /// When nothing has been ingested, another process writes or reads for long, or the disk is full.
    pub fn compact(&self) -> Result<CompactReport, Error> {
        Ok(self.known_index()?.writer()?.compact()?)
    }

    /// Writes everything to one new file, as of one moment, while searching and ingesting go on; returns its length in
    /// bytes. The file is an SQLite database and holds the words of the documents.
    ///
    /// # Errors
    /// When nothing has been ingested, or the file exists or cannot be written; no half file stays behind.
    pub fn backup(&self, file: &Path) -> Result<u64, Error> {
        Ok(self.known_index()?.backup(file)?)
    }

    /// Makes the data folder what it was when the backup was made. With `replace`, what it holds now is given up.
    ///
    /// # Errors
    /// When the file is no backup, the data folder holds documents and `replace` is not set, or another process writes; the
    /// data folder is then as it was.
    pub fn restore(&self, file: &Path, replace: bool) -> Result<(), Error> {
        // What is open here shows the folder as it was.
        let mut open = self.inner.index.lock().unwrap_or_else(PoisonError::into_inner);
        *open = None;
        Ok(Index::restore(file, &self.config().paths.data, replace)?)
    }

    /// Hands on every document of a collection, or of all, with its text and chunks, in order of path.
    ///
    /// # Errors
    /// When nothing has been ingested, the data folder cannot be read, or `each` fails.
    pub fn export(
        &self,
        collection: Option<&str>,
        each: &mut dyn FnMut(ExportedDocument) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        care::export(&self.known_index()?, collection, each)
    }

    /// The documents of a collection, or of all, in order of path.
    ///
    /// # Errors
    /// When the data folder cannot be used.
    pub fn documents(&self, collection: Option<&str>) -> Result<Vec<Document>, Error> {
        let Some(index) = self.index()? else { return Ok(Vec::new()) };
        let mut documents: Vec<Document> = index.documents(collection)?.into_iter().map(Document::from).collect();
        documents.sort_by(|a, b| (&a.path, &a.collection).cmp(&(&b.path, &b.collection)));
        Ok(documents)
    }

    /// A document; `None` where there is none of this number.
    ///
    /// # Errors
    /// When the data folder cannot be used.
    pub fn document(&self, id: DocumentId) -> Result<Option<Document>, Error> {
        let Some(index) = self.index()? else { return Ok(None) };
        Ok(index.document(id)?.map(Document::from))
    }

    /// The stored text of a document under a span, which is cut down to the text and to whole characters; `None` where there is no
    /// such document. The span that was read comes along, and the length of all of the text.
    ///
    /// # Errors
    /// When the data folder cannot be used.
    pub fn text(&self, id: DocumentId, span: Span) -> Result<Option<TextRead>, Error> {
        let Some(index) = self.index()? else { return Ok(None) };
        read_text(&index, id, span)
    }

    /// What the language model says to messages, without any document: for programs that want the bare model. Blocks until it is
    /// done; `on_text` gets the words as they come.
    ///
    /// # Errors
    /// When the model cannot be used, or the messages do not fit its context window.
    pub fn generate(
        &self,
        messages: &[ChatMessage],
        options: &GenerateOptions,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        cancel: &CancelToken,
    ) -> Result<Generation, Error> {
        let generator = self.generator()?;
        let request = GenerateRequest {
            prompt: generator.render(messages)?,
            max_tokens: options.max_tokens.unwrap_or(self.config().answer.max_tokens),
            stop: options.stop.clone(),
            grammar: None,
            sampling: options.sampling,
            cancel: cancel.clone(),
            keep: None,
        };
        let generation = generator.generate(&request, on_text)?;
        if cancel.is_cancelled() && generation.stop_reason == StopReason::Cancelled {
            return Err(Error::Cancelled);
        }
        Ok(generation)
    }

    /// The vectors of texts, of length 1, and how many tokens they have together.
    ///
    /// # Errors
    /// [`Error::TextTooLong`] where the model would not read all of a text; when the embedding model cannot be used.
    pub fn embed(&self, texts: &[&str]) -> Result<(Vec<Vec<f32>>, usize), Error> {
        let embedder = self.embedder()?;
        let limit = embedder.info().max_tokens.saturating_sub(embedder.info().special_tokens);
        let mut total = 0;
        for (place, text) in texts.iter().enumerate() {
            let tokens = embedder.count_tokens(text);
            if tokens > limit {
                return Err(Error::TextTooLong { place, tokens, limit });
            }
            total += tokens;
        }
        Ok((embedder.embed(texts)?, total))
    }

    /// What is in the data folder, all zero where there is none yet; with a collection's name, its documents, chunks and failures
    /// alone.
    ///
    /// # Errors
    /// When the data folder cannot be used.
    pub fn status(&self, collection: Option<&str>) -> Result<Status, Error> {
        let mut status = Status {
            data_dir: self.config().paths.data.clone(),
            kept_states: kept_states(&models::states_folder(self.config())),
            // While the model is being loaded, there was no prompt.
            prompt_hit_rate: self.inner.generator.try_lock().ok().and_then(|it| it.as_ref()?.prompt_hit_rate()),
            embedding_model: Some(self.config().models.embedder.clone()),
            generation_model: Some(self.config().generator_name()),
            ..Status::default()
        };
        let Some(index) = self.index()? else { return Ok(status) };
        let counts = index.status()?;
        status.vectors = counts.vectors;
        status.bytes = counts.bytes;
        status.generation = counts.generation;
        status.embedding_model = counts.embedding_model.or(status.embedding_model);
        status.collections = counts
            .collections
            .into_iter()
            .filter(|known| collection.is_none_or(|name| known.name == name))
            .map(|known| CollectionStatus { name: known.name, documents: known.documents, chunks: known.chunks })
            .collect();
        status.documents = status.collections.iter().map(|known| known.documents).sum();
        status.chunks = status.collections.iter().map(|known| known.chunks).sum();
        status.failures = index
            .failures(collection)?
            .into_iter()
            .map(|failure| FailedFile { path: failure.path, reason: failure.reason })
            .collect();
        Ok(status)
    }

    /// A folder inside the data folder for what a host keeps beside the documents, such as the token of an endpoint. Only its owner
    /// can enter it. Made where there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn private_folder(&self, name: &str) -> Result<PathBuf, Error> {
        Ok(sidenote_index::private_folder(&self.config().paths.data, name)?)
    }

    /// The index of a data folder that there is.
    fn known_index(&self) -> Result<Index, Error> {
        self.index()?.ok_or_else(|| Error::NothingIngested { path: self.config().paths.data.clone() })
    }

    fn index_options(&self) -> IndexOptions {
        let (settings, search) = (&self.config().index, &self.config().search);
        let defaults = IndexOptions::default();
        IndexOptions {
            vector: match settings.vector {
                VectorIndexKind::Auto => VectorMode::Auto,
                VectorIndexKind::Exact => VectorMode::Exact,
                VectorIndexKind::Hnsw => VectorMode::Hnsw,
            },
            hnsw_min_vectors: settings.hnsw_min_vectors,
            // Whoever asks for segments early gets small ones.
            seal_min_vectors: defaults.seal_min_vectors.min(settings.hnsw_min_vectors),
            ef_search: settings.ef_search,
            bm25: Bm25 { k1: search.bm25_k1, b: search.bm25_b },
            ..defaults
        }
    }

    pub(crate) fn index_or_create(&self) -> Result<Index, Error> {
        once(&self.inner.index, || Ok(Index::open(&self.config().paths.data, &self.index_options())?))
    }

    /// The index, or `None` where nothing was ingested: asking leaves no trace on disk.
    fn index(&self) -> Result<Option<Index>, Error> {
        let mut slot = self.inner.index.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Index::open_existing(&self.config().paths.data, &self.index_options())?;
            if let Some(index) = &*slot {
                // Whoever removed a document may have ended before this, or brought another database.
                drop_stale_states(self.config(), index)?;
            }
        }
        Ok(slot.clone())
    }

    pub(crate) fn embedder(&self) -> Result<Arc<dyn Embedder>, Error> {
        once(&self.inner.embedder, || models::load_embedder(self.config()))
    }

    fn cross_encoder(&self) -> Result<Option<Arc<dyn CrossEncoder>>, Error> {
        once(&self.inner.cross_encoder, || models::load_cross_encoder(self.config()))
    }

    fn generator(&self) -> Result<Arc<dyn Generator>, Error> {
        once(&self.inner.generator, || models::load_generator(self.config()))
    }

    /// The embedder whose vectors the index holds: the configured one or, until that has taken over, the one before it.
    fn query_embedder(&self, known: Option<&EmbeddingModelInfo>) -> Result<Arc<dyn Embedder>, Error> {
        let configured = self.embedder()?;
        let Some(known) = known else { return Ok(configured) };
        let mut former = self.inner.former_embedder.lock().unwrap_or_else(PoisonError::into_inner);
        if models::model_info(&*configured) == *known {
            *former = None;
            return Ok(configured);
        }
        if former.as_ref().is_none_or(|(model, _)| model != known) {
            // One that cannot be loaded may be there the next time; one that is another stays another.
            *former =
                models::load_embedder_that_made(self.config(), known).ok().map(|embedder| (known.clone(), embedder));
        }
        let embedder = former.as_ref().and_then(|(_, embedder)| embedder.clone());
        embedder.ok_or_else(|| {
            let version = |model: &EmbeddingModelInfo| {
                format!("{} ({})", model.name, model.sha256_hex.get(..12).unwrap_or(&model.sha256_hex))
            };
            let asked = version(&models::model_info(&*configured));
            Error::Index(IndexError::ModelMismatch { indexed_with: version(known), asked })
        })
    }

    /// Both at once: each spends its time on other things, reading a file here, optimising a graph there.
    fn both_models(&self, known: Option<&EmbeddingModelInfo>) -> Result<BothModels, Error> {
        std::thread::scope(|scope| {
            let generator = scope.spawn(|| self.generator());
            let embedder = self.query_embedder(known)?;
            let generator =
                generator.join().map_err(|_| Error::Internal("opening the language model panicked".into()))??;
            Ok((embedder, generator))
        })
    }
}

/// Opens a thing the first time it is needed. A failure is not remembered: the user may mend it and ask again.
fn once<T: Clone>(slot: &Mutex<Option<T>>, open: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some(known) => Ok(known.clone()),
        None => {
            let opened = open()?;
            *slot = Some(opened.clone());
            Ok(opened)
        }
    }
}
