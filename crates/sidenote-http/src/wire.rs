//! The JSON types. What is absent is `null`, never a missing field; lengths and spans are bytes, times milliseconds
//! unless a name says otherwise.

mod chats;
mod eval;
mod http;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use chats::{Chat, ChatList, ChatSummary, ChatTurn, ChatsDeleted, KeptAnswer};
pub use eval::{
    EvalAnswerMillis, EvalAnswerable, EvalAnswersReport, EvalComparison, EvalQuery, EvalReport, EvalRisk, EvalScores,
    EvalSetReport, EvalShort, EvalUnanswerable,
};
pub use http::{
    AskBody, DocumentPage, DocumentText, FilterBody, Health, IngestBody, Job, JobList, JobState, PageLink, Problem,
    SearchBody, Serving, SessionBody, TurnBody,
};

/// A document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Document {
    /// Number of the document in its data folder.
    pub id: i64,
    /// Absolute path, for display: bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The path exactly, as a percent-encoded `file:` address.
    pub uri: String,
    /// Title from the document itself.
    pub title: Option<String>,
    /// Collection it was ingested into.
    pub collection: String,
    /// Attachment or archive member, where the document is one.
    pub part: Option<String>,
    /// Number of pages, where the format has them.
    pub page_count: Option<u32>,
    /// Language, as an ISO 639 code.
    pub language: Option<String>,
    /// When the file was last changed, RFC 3339 in UTC.
    pub modified: Option<String>,
    /// Whether the file has changed or vanished since it was ingested.
    pub stale: bool,
}

/// Byte offsets into a document's stored text, `end` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// A passage that a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Hit {
    /// Place in the list, from 1.
    pub rank: u64,
    /// Number of the chunk, never reused.
    pub chunk: i64,
    /// Where it stands.
    pub document: Document,
    /// Page of its first character, from 1.
    pub page: Option<u32>,
    /// Slide, or sheet and rows.
    pub part: Option<String>,
    /// Headings above it, outermost first.
    pub heading: Vec<String>,
    /// Where in the stored text.
    pub span: Span,
    /// The stored text at the span.
    pub text: String,
    /// What the order follows; comparable within one search only.
    pub score: f32,
    /// Rank among the hits of BM25, from 1.
    pub lexical_rank: Option<u64>,
    /// Rank among the hits by vector, from 1.
    pub dense_rank: Option<u64>,
    /// Score of the reranker.
    pub rerank_score: Option<f32>,
}

/// A note under an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Citation {
    /// The note's number, from 1.
    pub n: u32,
    /// Where the quote stands.
    pub document: Document,
    /// Page of the quote, from 1.
    pub page: Option<u32>,
    /// Slide, or sheet and rows of the quote.
    pub part: Option<String>,
    /// Headings above it, outermost first.
    pub heading: Vec<String>,
    /// Where in the stored text.
    pub span: Span,
    /// The stored text at the span.
    pub quote: String,
}

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sentence {
    /// Its words.
    pub text: String,
    /// Those of its words that answer the question; `null` where it is short itself, or where they are not known.
    pub short: Option<String>,
    /// Numbers of the notes it rests on.
    pub citations: Vec<u32>,
    /// Whether a note was found to carry it.
    pub supported: bool,
}

/// A passage that was found and did not reach the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LeftOut {
    /// Number of the chunk.
    pub chunk: i64,
    /// About so many tokens of it were left out.
    pub tokens: u64,
    /// Why it was left out.
    pub why: String,
}

/// What the confidence of an answer is made of. Each speaks for the answer where it is high. Of quotes alone only `evidence`,
/// `quote_cosine`, `question_held` and `names_held` are known, the others are 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Signals {
    /// Log-odds that the language model gives to the quote answering the question.
    pub verdict: f32,
    /// Share of the question's names and numbers that the quoted document holds, 0 to 1.
    pub names_held: f32,
    /// Share of the drafts that point at the quote, 0 to 1.
    pub agreement: f32,
    /// How much the quoted sentences speak of the question: late interaction, cosine and words held, about 0 to 1.6.
    pub evidence: f32,
    /// Cosine of the quoted sentences with the question, -1 to 1.
    pub quote_cosine: f32,
    /// Share of the question's words that the quote and its headings hold, 0 to 1.
    pub question_held: f32,
    /// Share of the answer's own words that the quote and its headings hold, 0 to 1.
    pub answer_held: f32,
    /// Mean log-probability of what was written, a token, at most 0.
    pub mean_logprob: f32,
    /// Log-probability of its first token, at most 0.
    pub first_logprob: f32,
}

/// What the language model read of a passage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ReadPassage {
    /// Number of the chunk.
    pub chunk: i64,
    /// The text; ` ... ` stands where sentences are left out.
    pub text: String,
}

/// Where the time of an answer went, in milliseconds; `null` for a stage that was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AnswerMillis {
    /// Opening the models.
    pub load: f64,
    /// Finding passages.
    pub retrieve: f64,
    /// Putting them in a better order.
    pub rerank: Option<f64>,
    /// Reading the prompt.
    pub prefill: Option<f64>,
    /// From the question to the first draft word.
    pub first_token: Option<f64>,
    /// From the question to the first checked sentence.
    pub first_sentence: Option<f64>,
    /// Writing.
    pub decode: Option<f64>,
    /// From the question to the end.
    pub total: f64,
}

/// How many tokens of the language model an answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AnswerTokens {
    /// In the prompt.
    pub prompt: u64,
    /// Of those, already in the KV cache.
    pub reused: u64,
    /// Written.
    pub generated: u64,
}

/// An answer, or the statement that the documents do not hold one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Answer {
    /// What was asked.
    pub question: String,
    /// How it was understood, where it leans on earlier questions.
    pub standalone: Option<String>,
    /// Whether the documents answered.
    pub answered: bool,
    /// Where they did not, why, in a sentence.
    pub reason: Option<String>,
    /// From 0 to 1.
    pub confidence: f32,
    /// What the confidence is made of; `null` where there was nothing to judge.
    pub signals: Option<Signals>,
    /// The whole answer.
    pub answer: String,
    /// The answer's sentences in order.
    pub sentences: Vec<Sentence>,
    /// The notes in order of their numbers.
    pub citations: Vec<Citation>,
    /// The passages that were looked at, best first.
    pub passages: Vec<Hit>,
    /// The passages that were not read, or not whole.
    pub left_out: Vec<LeftOut>,
    /// What the language model read, in its order.
    pub read: Vec<ReadPassage>,
    /// Where the time went.
    pub timings_ms: AnswerMillis,
    /// What it took.
    pub tokens: AnswerTokens,
    /// The language model; empty where none was asked.
    pub model: String,
    /// Seed of sampling.
    pub seed: u64,
    /// Number of the conversation that it was kept in, where it was.
    pub chat: Option<i64>,
}

/// Where the time of a search went, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SearchMillis {
    /// Embedding the query.
    pub embed: f64,
    /// BM25.
    pub lexical: f64,
    /// Vectors.
    pub dense: f64,
    /// Putting the hits in a better order; `null` where nothing does.
    pub rerank: Option<f64>,
    /// All of it.
    pub total: f64,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SearchReport {
    /// What was looked for.
    pub query: String,
    /// Best first.
    pub hits: Vec<Hit>,
    /// What of the query was not read as it may have been meant, for people.
    pub hint: Option<String>,
    /// Where the time went.
    pub timings_ms: SearchMillis,
}

/// A file that could not be ingested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FailedFile {
    /// Absolute path, for display.
    pub path: String,
    /// Why, in words for its owner.
    pub reason: String,
}

/// What an ingest did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IngestReport {
    /// New files.
    pub added: u64,
    /// Files that had changed.
    pub updated: u64,
    /// Files that had not.
    pub unchanged: u64,
    /// Files under another path than before, with the same content.
    pub renamed: u64,
    /// Files that were gone.
    pub removed: u64,
    /// Files that could not be read, now or, where they have not changed since, earlier.
    pub failed: Vec<FailedFile>,
    /// Chunks written.
    pub chunks: u64,
    /// Texts that were embedded for them. A text that a chunk had before, here or in another file, is not.
    pub embedded: u64,
    /// Chunks that were there and got a vector of another embedding model.
    pub reembedded: u64,
    /// How long it took.
    pub seconds: f64,
}

/// A collection and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CollectionStatus {
    /// Its name.
    pub name: String,
    /// Documents in it.
    pub documents: u64,
    /// Chunks in it.
    pub chunks: u64,
}

/// The models a data folder works with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ModelsStatus {
    /// Embedding model; `null` before the first ingest.
    pub embedding: Option<String>,
    /// Language model.
    pub generation: Option<String>,
}

/// What is kept of the language model's work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KvStatus {
    /// Bytes on disk.
    pub bytes: u64,
    /// Prompts kept.
    pub sequences: u64,
    /// Share of prompt tokens that were found there, 0 to 1; `null` before the first question.
    pub hit_rate: Option<f32>,
}

/// What a data folder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Status {
    /// Documents.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
    /// Vectors; equal texts share one.
    pub vectors: u64,
    /// Bytes of the data folder.
    pub bytes: u64,
    /// Counts the commits.
    pub generation: u64,
    /// The collections by name.
    pub collections: Vec<CollectionStatus>,
    /// The models.
    pub models: ModelsStatus,
    /// The KV cache on disk.
    pub kv: KvStatus,
}

/// What a removal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RemoveReport {
    /// Documents that are gone from every answer.
    pub removed: u64,
    /// Documents that are gone from every byte of the data folder.
    pub purged: u64,
}

/// One thing that `doctor` looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Check {
    /// `database`, `documents`, `chunks`, `vectors`, `full_text`, `segments` or `chats`.
    pub name: String,
    /// Whether all is as it should be.
    pub ok: bool,
    /// How much was looked at, or what is wrong.
    pub detail: String,
    /// Whether `doctor --repair` mends it.
    pub can_repair: bool,
}

/// What `doctor` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DoctorReport {
    /// One for each thing that was looked at; after a repair, what was found then.
    pub checks: Vec<Check>,
    /// Names of the checks that failed before a repair and hold now.
    pub repaired: Vec<String>,
    /// Paths of files with a damaged document, whose documents were removed by a repair; the next ingest of their folder reads
    /// them anew. A damaged document whose file is gone stays.
    pub removed: Vec<String>,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CompactReport {
    /// Vectors that no chunk had any more.
    pub dropped_vectors: u64,
    /// Bytes of the data folder before.
    pub bytes_before: u64,
    /// Bytes of the data folder after.
    pub bytes_after: u64,
}

/// Documents that the language model has read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PinReport {
    /// Documents.
    pub documents: u64,
    /// Tokens of them and of the instruction before them.
    pub tokens: u64,
    /// Of those, tokens that had been read before.
    pub reused: u64,
    /// Tokens of the context window that are left for a question.
    pub left: u64,
}

/// A backup that was made, or brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BackupReport {
    /// The backup, absolute, for display.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Documents in the data folder.
    pub documents: u64,
    /// Chunks in the data folder.
    pub chunks: u64,
}

/// What `export` wrote to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExportReport {
    /// The file, absolute, for display.
    pub path: String,
    /// Documents, each a line.
    pub documents: u64,
    /// Chunks in them.
    pub chunks: u64,
}

/// A line of an export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExportedDocument {
    /// The document.
    pub document: Document,
    /// Who wrote it, where it says so.
    pub author: Option<String>,
    /// When it was made or sent by its own metadata: RFC 3339, UTC.
    pub created: Option<String>,
    /// sha256 of the file it came from, hexadecimal.
    pub sha256: String,
    /// What was noted when it was read.
    pub warnings: Vec<String>,
    /// The stored text.
    pub text: String,
    /// Its chunks, in order.
    pub chunks: Vec<ExportedChunk>,
}

/// A chunk of an exported document; its text is the document's under its span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExportedChunk {
    /// Its number in the index.
    pub chunk: i64,
    /// Bytes of the document's text.
    pub span: Span,
    /// 1-based; `null` where the format has no pages.
    pub page: Option<u32>,
    /// Slide, or sheet and rows; `null` where the format has none.
    pub part: Option<String>,
    /// Headings above it, outermost first.
    pub heading: Vec<String>,
    /// Header row of its table, where that is not inside the span.
    pub table_header: Option<Span>,
    /// What was embedded before its text.
    pub prefix: String,
    /// Tokens of prefix and text.
    pub tokens: u64,
}

/// The documents of a data folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DocumentList {
    /// By path.
    pub documents: Vec<Document>,
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ModelFile {
    /// Absolute path it is looked for at, for display.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its sha256 in hexadecimal.
    pub sha256: String,
    /// `missing`, `wrong_size`, `unverified`, `verified` or `damaged`.
    pub state: String,
}

/// A model of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ModelRow {
    /// The name that the configuration uses.
    pub name: String,
    /// `embedder`, `generator` or `runtime`.
    pub kind: String,
    /// What it is.
    pub description: String,
    /// SPDX name of its licence.
    pub licence: String,
    /// Context length in tokens it was trained for.
    pub context_tokens: Option<u64>,
    /// Dimensions of its vectors.
    pub dimensions: Option<u64>,
    /// Whether the resolved configuration uses it.
    pub used: bool,
    /// The worst state among its files.
    pub state: String,
    /// Its files.
    pub files: Vec<ModelFile>,
}

/// The models of the manifest, and where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ModelList {
    /// The models folder, for display.
    pub folder: String,
    /// In order of the manifest.
    pub models: Vec<ModelRow>,
}

/// One resolved setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ConfigSetting {
    /// `section.key`.
    pub key: String,
    /// Its value.
    pub value: serde_json::Value,
    /// `default`, `file`, `environment` or `flag`.
    pub source: String,
}

/// The resolved configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ConfigReport {
    /// The file that was read, for display.
    pub file: Option<String>,
    /// Every setting, by key.
    pub settings: Vec<ConfigSetting>,
}

/// A completion script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Completions {
    /// The shell it is for.
    pub shell: String,
    /// The script.
    pub script: String,
}

/// What happens while an answer is written. Over HTTP `event` is the event's name and `data` its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum AskEvent {
    /// How a question is understood that leans on earlier ones.
    Understood {
        /// The question as it stands alone.
        text: String,
    },
    /// Draft words, not checked yet.
    Token {
        /// The words.
        text: String,
    },
    /// A checked sentence: it takes the place of the draft.
    Sentence {
        /// The sentence.
        sentence: Sentence,
        /// The notes it rests on.
        citations: Vec<Citation>,
    },
    /// A draft sentence that nothing supports.
    Retract {
        /// The draft.
        text: String,
    },
    /// The end.
    Final(
        /// The whole answer, as without streaming.
        Box<Answer>,
    ),
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ErrorBody {
    /// A stable name for programs, in snake case.
    pub kind: String,
    /// A clause for people.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The file or folder it is about, for display.
    pub path: Option<String>,
}

/// An error, in place of any of the other values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ErrorReport {
    /// What went wrong.
    pub error: ErrorBody,
}
