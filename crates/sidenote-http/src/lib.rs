//! The wire: the JSON that leaves the program, the same for the command line and for HTTP; and the local endpoint that serves it,
//! see [`Server`].
//!
//! The engine's types are not the wire's: a field of the engine may change its name or its unit, the wire does not.
//! `From<&sidenote::X>` is the only bridge, and `schema/` holds what came out of it as JSON Schema. A test makes the
//! schemas anew and compares.

mod convert;
mod print;
mod schema;
mod server;
mod wire;

pub use print::to_safe_json;
pub use schema::{Schema, schemas};
pub use server::{Server, secret};
pub use wire::{
    Answer, AnswerMillis, AnswerTokens, AskBody, AskEvent, BackupReport, Chat, ChatList, ChatSummary, ChatTurn,
    ChatsDeleted, Check, Citation, CollectionStatus, CompactReport, Completions, ConfigReport, ConfigSetting,
    DoctorReport, Document, DocumentList, DocumentPage, DocumentText, ErrorBody, ErrorReport, EvalAnswerMillis,
    EvalAnswerable, EvalAnswersReport, EvalComparison, EvalQuery, EvalReport, EvalRisk, EvalScores, EvalSetReport,
    EvalShort, EvalUnanswerable, ExportReport, ExportedChunk, ExportedDocument, FailedFile, FilterBody, Health, Hit,
    IngestBody, IngestReport, Job, JobList, JobState, KeptAnswer, KvStatus, LeftOut, ModelFile, ModelList, ModelRow,
    ModelsStatus, PageLink, PinReport, Problem, RemoveReport, SearchBody, SearchMillis, SearchReport, Sentence,
    Serving, SessionBody, Span, Status, TurnBody,
};
