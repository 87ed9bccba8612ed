//! Conversations that are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Citation, Sentence};

/// A conversation that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Chat {
    /// Its number; `null` while nothing of it is kept.
    pub id: Option<i64>,
    /// The collection that it is about; `null` is all of them.
    pub collection: Option<String>,
    /// What was asked, oldest first.
    pub turns: Vec<ChatTurn>,
}

/// A question of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ChatTurn {
    /// Its place, from 1.
    pub number: u32,
    /// When it was answered, RFC 3339 in UTC.
    pub asked: Option<String>,
    /// The question as it was asked.
    pub question: String,
    /// The answer; `null` once a document that it rests on was removed or has changed.
    pub answer: Option<KeptAnswer>,
}

/// What is kept of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KeptAnswer {
    /// How the question was understood, where it leans on earlier ones.
    pub standalone: Option<String>,
    /// Whether the documents said.
    pub answered: bool,
    /// Why not, or which part of the question was not answered.
    pub reason: Option<String>,
    /// The answer with its note numbers; empty where not answered.
    pub answer: String,
    /// Its sentences.
    pub sentences: Vec<Sentence>,
    /// Its notes.
    pub citations: Vec<Citation>,
    /// The language model.
    pub model: String,
}

/// Conversations, the one last gone on with first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ChatList {
    /// The conversations.
    pub chats: Vec<ChatSummary>,
}

/// What a list of conversations shows of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ChatSummary {
    /// Its number.
    pub id: i64,
    /// The collection that it is about; `null` is all of them.
    pub collection: Option<String>,
    /// When it began, RFC 3339 in UTC.
    pub begun: Option<String>,
    /// When its last question was answered, RFC 3339 in UTC.
    pub last: Option<String>,
    /// How many questions were answered.
    pub turns: u64,
    /// The first of them.
    pub first_question: String,
}

/// What a deletion of conversations did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ChatsDeleted {
    /// Conversations that are gone.
    pub deleted: u64,
}
