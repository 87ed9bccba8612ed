//! Answers from private documents, with a note to the exact place of every sentence, on the machine they live on.
//!
//! ```no_run
//! use sidenote::{AskRequest, CancelToken, Config, Engine, IngestRequest};
//!
//! # fn main() -> Result<(), sidenote::Error> {
//! sidenote::worker_main(); // first thing in `main`: extraction runs in a child process of this program
//! let mut config = Config::default();
//! config.paths.data = "/home/me/notes.sidenote".into();
//! config.paths.models = "/home/me/.local/share/sidenote/models".into();
//! let engine = Engine::open(config)?;
//! engine.ingest(&IngestRequest::new(["/home/me/documents"]), &mut |_| {}, &CancelToken::new())?;
//! let answer = engine.ask(&AskRequest::new("Who approves travel expenses?"), &mut |_| {}, &CancelToken::new())?;
//! println!("{}", answer.answer);
//! for note in &answer.citations {
//!     println!("[{}] {}: {}", note.n, note.document.path.display(), note.quote);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The modules, in the order in which a document and then a question pass through them: `ingest`, `walk`, `known`, `worker`, `reading`,
//! `ingestion`; `follow_up`, `parts`, `retrieve`, `fuse`, `evidence`, `rerank`, `statement`, `context`, `prompt`, `draft`, `cite`, `verdict`, `confidence`, `ask`,
//! `answer`, `chat`.

mod answer;
mod ask;
mod cage;
mod care;
mod chat;
mod cite;
mod confidence;
mod config;
mod context;
mod document;
mod draft;
mod embedding;
mod engine;
mod error;
mod estimate;
mod eval;
mod evidence;
mod extract;
mod feedback;
mod filter;
mod follow_up;
mod fuse;
mod ingest;
mod ingestion;
mod known;
mod known_names;
mod models;
mod ocr;
mod orders;
mod parts;
mod passage;
mod prompt;
mod query;
mod question;
mod reading;
mod reembed;
mod remove;
mod repeats;
mod rerank;
mod retrieve;
mod retry;
mod short;
mod statement;
mod steps;
mod terms;
mod translate;
mod verdict;
mod version;
mod walk;
mod watch;
mod whole;
mod worker;

pub use answer::{Answer, AnswerSentence, AskEvent, AskPhase, AskRequest, AskTimings, AskTokens, Turn};
pub use care::{DoctorReport, ExportedChunk, ExportedDocument};
pub use chat::{Chat, ChatTurn, KeptAnswer};
pub use cite::Citation;
pub use confidence::Signals;
pub use config::{
    AnswerMode, Answering, Chats, Chunking, Config, ContextOf, Embedding, Fusion, Ingest, Isolation, Llm, Models,
    Paths, Search, SearchMode, VectorIndexKind, VectorIndexing,
};
pub use context::{LeftOut, ReadPassage};
pub use document::{Document, TextRead, rfc3339};
pub use engine::{CollectionStatus, Engine, GenerateOptions, Status};
pub use error::{Error, ErrorKind};
pub use eval::{
    AnswerScores, AnswerableScores, AnswersReport, Comparison, EvalEvent, EvalReport, EvalRequest, Interval, LegScores,
    Metrics, QueryScores, RiskPoint, judge,
};
pub use filter::{format_named, language_code, start_of_day};
pub use ingest::{FailedFile, FileOutcome, IngestEvent, IngestReport, IngestRequest};
pub use remove::{RemoveReport, RemoveRequest};
pub use retrieve::{Hit, SearchReport, SearchRequest, SearchTimings};
pub use sidenote_index::{ChatId, ChatSummary, Check, ChunkId, CompactReport, DocumentId, Filter, Held};
pub use sidenote_model::{
    CancelToken, ChatMessage, Embedder, Generation, Generator, KeptStates, KvType, Precision, Role, Sampling,
    StopReason, cpu, manifest,
};
pub use sidenote_text::{Format, RowMark, Span};
pub use walk::absolute;
pub use watch::WatchEvent;
pub use whole::PinReport;
pub use worker::worker_main;

/// The collection of documents for which none is named.
pub const DEFAULT_COLLECTION: &str = "default";
