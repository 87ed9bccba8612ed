//! What goes over HTTP alone: the bodies of requests, work that goes on, and problems.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Document, IngestReport, Span};

/// Which documents are searched; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterBody {
    /// Only this collection.
    pub collection: Option<String>,
    /// Only this file, or what lies below this folder: an absolute path.
    pub under: Option<String>,
    /// Only documents in one of these languages, by ISO 639-1; an empty list means in any.
    pub languages: Vec<String>,
    /// Only documents of one of these formats, such as `pdf`; an empty list means of any.
    pub formats: Vec<String>,
    /// Only documents of this day or later, `YYYY-MM-DD`.
    pub since: Option<String>,
    /// Only documents from before this day, `YYYY-MM-DD`.
    pub before: Option<String>,
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// Words; `"words side by side"` and `+word` have to be in a passage, `-word` must not.
    pub query: String,
    /// Most hits, 1 to 1,000; by default `search.limit`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// `hybrid`, `lexical` or `dense`; by default `search.mode`.
    #[serde(default)]
    pub mode: Option<String>,
    /// Which documents.
    #[serde(default)]
    pub filter: Option<FilterBody>,
}

/// A question that was asked before, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TurnBody {
    /// The question; where an answer came with `standalone`, better that.
    pub question: String,
    /// The `answer` it got; empty where the documents did not say.
    #[serde(default)]
    pub answer: String,
}

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskBody {
    /// The question, in plain words.
    pub question: String,
    /// What was asked before in the same conversation, oldest first; of these the last two are read. They tell what a question means that
    /// leans on them, and nothing else: the answer comes from the documents.
    #[serde(default)]
    pub earlier: Vec<TurnBody>,
    /// The conversation of which this is the next question, in place of `earlier`. Its collection is asked, and the answer is kept in it.
    #[serde(default)]
    pub chat: Option<i64>,
    /// Whether question and answer are kept as the first of a new conversation, where `chat.keep` allows it.
    #[serde(default)]
    pub keep: bool,
    /// Whether the answer comes as server-sent events while it is written.
    #[serde(default)]
    pub stream: bool,
    /// Most tokens of the answer, 1 to 4,096; by default `answer.max_tokens`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4096))]
    pub max_tokens: Option<u32>,
    /// Seed of sampling; by default `answer.seed`.
    #[serde(default)]
    pub seed: Option<u64>,
    /// `write` (the language model answers) or `extract` (statements are quoted, no language model is asked); by default `answer.mode`.
    #[serde(default)]
    pub mode: Option<String>,
    /// Whether the language model reads the documents that `filter` lets through whole, which have to fit its context window. What it made
    /// of them is kept for the next question.
    #[serde(default)]
    pub whole: bool,
    /// Which documents.
    #[serde(default)]
    pub filter: Option<FilterBody>,
}

/// Files and folders to ingest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestBody {
    /// Absolute paths, inside of `serve.roots`.
    pub paths: Vec<String>,
    /// The collection that gets the documents; by default `default`.
    #[serde(default)]
    pub collection: Option<String>,
}

/// The one-time code of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionBody {
    /// As it stands behind `#code=`.
    pub code: String,
}

/// Where the link to the page leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PageLink {
    /// The page, with a code that opens it once.
    pub url: String,
}

/// A server that is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Serving {
    /// Where it listens.
    pub url: String,
    /// The page, with a code that opens it once.
    pub page: String,
    /// The file that holds the token, for display.
    pub token_file: String,
}

/// The server is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Version of the program.
    pub version: String,
}

/// A stretch of a document's stored text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DocumentText {
    /// The document.
    pub document: Document,
    /// First byte that is given.
    pub start: u64,
    /// One past the last byte that is given.
    pub end: u64,
    /// Bytes of all of the text.
    pub total_bytes: u64,
    /// The stored text from `start` to `end`.
    pub text: String,
}

/// A page of the list of documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DocumentPage {
    /// By path.
    pub documents: Vec<Document>,
    /// How many there are on all pages.
    pub total: u64,
    /// Where the next page begins; `null` on the last.
    pub next_offset: Option<u64>,
}

/// How far an ingest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It goes on.
    Running,
    /// It came to its end; files that failed are in the report.
    Done,
    /// It could not go on.
    Failed,
    /// It was stopped; what was finished is kept.
    Cancelled,
}

/// An ingest that was started over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Job {
    /// Its number in this run of the server.
    pub id: u64,
    /// How far it is.
    pub state: JobState,
    /// Files that have to be read; 0 until the folders were looked through.
    pub files: u64,
    /// Of those, done.
    pub done: u64,
    /// The file that was done last, for display.
    pub current: Option<String>,
    /// What it did, at the end.
    pub report: Option<IngestReport>,
    /// Why it failed.
    pub error: Option<Problem>,
}

/// The ingests of this run of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct JobList {
    /// Newest first.
    pub jobs: Vec<Job>,
    /// Folders that may be ingested over HTTP, for display.
    pub roots: Vec<String>,
}

/// What went wrong, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Problem {
    /// `about:blank`: the title says it all.
    #[serde(rename = "type")]
    pub type_: String,
    /// The name of the status.
    pub title: String,
    /// The status code.
    pub status: u16,
    /// A clause for people.
    pub detail: String,
    /// A stable name for programs, in snake case; the same as on the command line.
    pub kind: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl From<sidenote::TextRead> for DocumentText {
    fn from(read: sidenote::TextRead) -> Self {
        let Span { start, end } = read.span.into();
        Self {
            document: (&read.document).into(),
            start,
            end,
            total_bytes: u64::try_from(read.total_bytes).unwrap_or(u64::MAX),
            text: read.text,
        }
    }
}
