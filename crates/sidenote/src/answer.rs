//! A question and its answer, as the library's users see them.

use std::collections::BTreeSet;

use sidenote_index::{DocumentId, Filter};

use crate::{
    cite::Citation,
    confidence::Signals,
    config::AnswerMode,
    context::{LeftOut, ReadPassage},
    draft::without_labels,
    retrieve::Hit,
};

/// A question that was asked before, and what was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The question, as it was asked.
    pub question: String,
    /// The answer, with or without the numbers of its notes; empty where the documents did not say.
    pub answer: String,
}

impl Turn {
    /// A question and its answer.
    pub fn new(question: impl Into<String>, answer: impl Into<String>) -> Self {
        Self { question: question.into(), answer: answer.into() }
    }
}

/// A question.
#[derive(Clone, Debug)]
pub struct AskRequest {
    /// The question, in plain words.
    pub question: String,
    /// What was asked before in the same conversation, oldest first. Only what the question means is taken from it ("and what does it
    /// cost?"); the answer comes from the documents.
    pub earlier: Vec<Turn>,
    /// Number of the first note, 1 by default: the notes of a conversation may be numbered through.
    pub first_note: u32,
    /// Which documents; by default all.
    pub filter: Filter,
    /// Most tokens of the answer; `None` means `answer.max_tokens`.
    pub max_tokens: Option<usize>,
    /// Seed of sampling; `None` means `answer.seed`. Without effect at temperature 0.
    pub seed: Option<u64>,
    /// Whether the language model writes, or statements are quoted alone; `None` means `answer.mode`. A question that is answered
    /// with quotes alone is taken as it stands, whatever was asked before.
    pub mode: Option<AnswerMode>,
    /// Whether the language model reads the documents that the filter lets through whole, in place of what of them speaks of the
    /// question. They have to fit its context window. The first question takes as long as reading them; what the model made of
    /// them is kept (`llm.pinned_bytes`), and the next ones begin with that. Without effect where quotes alone are asked for.
    pub whole: bool,
}

impl AskRequest {
    /// The question, over all documents.
    pub fn new(question: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            earlier: Vec::new(),
            first_note: 1,
            filter: Filter::default(),
            max_tokens: None,
            seed: None,
            mode: None,
            whole: false,
        }
    }
}

/// What the engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskPhase {
    /// Opening the models.
    Loading,
    /// Looking for passages.
    Retrieving,
    /// The model reads the passages.
    Reading,
}

/// What happens while a question is answered.
#[derive(Clone, Copy, Debug)]
pub enum AskEvent<'a> {
    /// A new phase begins.
    Phase(AskPhase),
    /// How a question is understood that leans on earlier ones.
    Understood(&'a str),
    /// Draft text. A passage number in it exists; the notes get numbers of their own when the sentence settles.
    Token(&'a str),
    /// A sentence is checked.
    Sentence {
        /// The sentence.
        sentence: &'a AnswerSentence,
        /// Its notes.
        citations: &'a [Citation],
    },
    /// A draft sentence that nothing supports.
    Retract(&'a str),
    /// The answer is complete.
    Final(&'a Answer),
}

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerSentence {
    /// Without note numbers.
    pub text: String,
    /// Those of its words that answer the question, as they stand in it; `None` where it is short itself, where the language model
    /// did not keep to its words, or where none was asked.
    pub short: Option<String>,
    /// Numbers of its notes.
    pub citations: Vec<u32>,
    /// Whether its notes carry it. Always so in an answer that is shown.
    pub supported: bool,
}

impl AnswerSentence {
    /// Its words, and the numbers of its notes in brackets.
    pub fn with_notes(&self) -> String {
        let notes: String = self.citations.iter().map(|n| format!("[{n}]")).collect();
        format!("{} {notes}", self.text)
    }

    /// Its short form, or all of it where it has none.
    pub fn in_short(&self) -> &str {
        self.short.as_deref().unwrap_or(&self.text)
    }
}

/// Milliseconds of each stage; `None` for a stage that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AskTimings {
    /// Opening the models.
    pub load: f64,
    /// Finding passages.
    pub retrieve: f64,
    /// Reading the best passages sentence by sentence; part of `retrieve`.
    pub rerank: Option<f64>,
    /// The model reads the prompt.
    pub prefill: Option<f64>,
    /// From the question to the first draft token.
    pub first_token: Option<f64>,
    /// From the question to the first checked sentence.
    pub first_sentence: Option<f64>,
    /// The model writes.
    pub decode: Option<f64>,
    /// All of it.
    pub total: f64,
}

/// Tokens of the language model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskTokens {
    /// In the prompt.
    pub prompt: usize,
    /// Of those, already in the KV cache.
    pub reused: usize,
    /// Written.
    pub generated: usize,
}

/// An answer, or the statement that the documents do not hold one.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The question.
    pub question: String,
    /// How it was understood, where it leans on earlier ones.
    pub standalone: Option<String>,
    /// Whether the documents say.
    pub answered: bool,
    /// Why not, or which part of the question is not answered, for the user; `None` when all of it is answered.
    pub reason: Option<String>,
    /// 0 to 1.
    pub confidence: f32,
    /// What the confidence was made of; `None` where there was nothing to judge.
    pub signals: Option<Signals>,
    /// What the model wrote, unchecked, with its numbers of passages: for measurements. [`Answer::written`] is for people.
    pub draft: String,
    /// The answer with its note numbers; empty when not answered.
    pub answer: String,
    /// Its sentences; empty when not answered.
    pub sentences: Vec<AnswerSentence>,
    /// Its notes, in order of number. When not answered, none.
    pub citations: Vec<Citation>,
    /// The passages that were found, best first.
    pub passages: Vec<Hit>,
    /// What was found and not read.
    pub left_out: Vec<LeftOut>,
    /// What the language model read of the passages, in its order.
    pub read: Vec<ReadPassage>,
    /// Milliseconds of each stage.
    pub timings: AskTimings,
    /// Tokens of the language model.
    pub tokens: AskTokens,
    /// The language model; empty where none was asked.
    pub model: String,
    /// The seed.
    pub seed: u64,
}

impl Answer {
    /// What the model wrote, unchecked, a line for each of its drafts and sentences; nothing in it looks like a note.
    pub fn written(&self) -> String {
        without_labels(&self.draft)
    }

    /// The short forms of its sentences, without notes; empty when not answered.
    pub fn in_short(&self) -> String {
        self.sentences.iter().map(AnswerSentence::in_short).collect::<Vec<_>>().join("; ")
    }

    /// Takes out what rests on documents that are gone.
    pub(crate) fn forget(&mut self, gone: &BTreeSet<DocumentId>) {
        let is_gone = |hit: &Hit| gone.contains(&hit.document.id);
        let chunks: BTreeSet<_> = self.passages.iter().filter(|hit| is_gone(hit)).map(|hit| hit.chunk).collect();
        self.passages.retain(|hit| !is_gone(hit));
        for (place, hit) in self.passages.iter_mut().enumerate() {
            hit.rank = place + 1;
        }
        self.left_out.retain(|left| !chunks.contains(&left.chunk));
        self.read.retain(|read| !chunks.contains(&read.chunk));
        self.citations.retain(|citation| !gone.contains(&citation.document.id));
        let citations = &self.citations;
        let stands = |n: &u32| citations.iter().any(|citation| citation.n == *n);
        self.sentences.retain(|sentence| sentence.citations.iter().all(stands));
    }
}
