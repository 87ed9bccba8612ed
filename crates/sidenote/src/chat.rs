//! Conversations that are kept: what was asked, what was answered, and on which documents that rests.
//!
//! The notes of an answer are kept as places. When a conversation is read again each quote is read from its document and compared, as
//! in an answer that was just made. Once a document of an answer is removed, or has another text, the answer is gone and the
//! question stays.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sidenote_index::{ChatId, DocumentId, Index, KeptChat, KeptTurn, NewTurn};
use sidenote_text::Span;

use crate::{
    answer::{Answer, AnswerSentence, AskRequest, Turn},
    cite::Citation,
    document::{Document, rfc3339},
    error::Error,
    follow_up,
};

/// A conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// Its number; `None` while nothing of it is kept.
    pub id: Option<ChatId>,
    /// The collection that it is about; `None` is all documents.
    pub collection: Option<String>,
    /// What was asked, oldest first.
    pub turns: Vec<ChatTurn>,
}

/// A question of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatTurn {
    /// Its place, from 1.
    pub number: u32,
    /// When it was answered: RFC 3339, UTC; `None` where it is not kept.
    pub asked: Option<String>,
    /// The question as it was asked.
    pub question: String,
    /// The answer; `None` once a document that it rests on was removed or has changed.
    pub answer: Option<KeptAnswer>,
}

/// What is kept of an answer.
#[derive(Clone, Debug, PartialEq)]
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
    pub sentences: Vec<AnswerSentence>,
    /// Its notes, read again.
    pub citations: Vec<Citation>,
    /// The language model.
    pub model: String,
}

impl Chat {
    /// A request as the next question of it: it is about the conversation's collection, may lean on the questions before, and its
    /// notes go on counting. What a first question leans on by itself stays.
    pub fn next_request(&self, mut request: AskRequest) -> AskRequest {
        request.filter.collection = self.collection.clone().or(request.filter.collection);
        if !self.turns.is_empty() {
            request.earlier = self.turns.iter().map(ChatTurn::as_turn).collect();
            request.first_note = self.notes().map(|note| note.n).max().unwrap_or(0) + 1;
        }
        request
    }

    /// Goes on in memory with an answer that is not kept.
    pub fn remember(&mut self, answer: &Answer) {
        self.turns.push(ChatTurn {
            number: u32::try_from(self.turns.len() + 1).unwrap_or(u32::MAX),
            asked: None,
            question: answer.question.clone(),
            answer: Some(KeptAnswer {
                standalone: answer.standalone.clone(),
                answered: answer.answered,
                reason: answer.reason.clone(),
                answer: answer.answer.clone(),
                sentences: answer.sentences.clone(),
                citations: answer.citations.clone(),
                model: answer.model.clone(),
            }),
        });
    }

    /// The notes of all answers.
    pub fn notes(&self) -> impl Iterator<Item = &Citation> {
        self.turns.iter().filter_map(|turn| turn.answer.as_ref()).flat_map(|answer| &answer.citations)
    }
}

impl ChatTurn {
    fn as_turn(&self) -> Turn {
        let standalone = self.answer.as_ref().and_then(|answer| answer.standalone.clone());
        let answer = self.answer.as_ref().map(|answer| answer.answer.clone());
        Turn::new(standalone.unwrap_or_else(|| self.question.clone()), answer.unwrap_or_default())
    }
}

/// An answer as the data folder keeps it. Fields may be added; a later version reads what an earlier one kept.
#[derive(Serialize, Deserialize)]
struct StoredAnswer {
    standalone: Option<String>,
    answered: bool,
    reason: Option<String>,
    answer: String,
    sentences: Vec<StoredSentence>,
    notes: Vec<StoredNote>,
    model: String,
}

#[derive(Serialize, Deserialize)]
struct StoredSentence {
    text: String,
    #[serde(default)]
    short: Option<String>,
    notes: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct StoredNote {
    n: u32,
    document: DocumentId,
    page: Option<u32>,
    part: Option<String>,
    heading: Vec<String>,
    span: Span,
    quote: String,
    table_header: Option<String>,
}

/// A conversation; `None` where there is none of this number.
pub(crate) fn chat(index: &Index, id: ChatId) -> Result<Option<Chat>, Error> {
    let Some(KeptChat { collection, turns }) = index.chat(id)? else { return Ok(None) };
    let turns = turns.into_iter().map(|turn| read(index, turn)).collect::<Result<_, _>>()?;
    Ok(Some(Chat { id: Some(id), collection, turns }))
}

/// Keeps an answer as the next turn of a conversation, or as the first of a new one.
pub(crate) fn keep(index: &Index, chat: &Chat, answer: &Answer) -> Result<Option<(ChatId, u32)>, Error> {
    let mut quotes: Vec<_> =
        answer.citations.iter().map(|note| (note.document.id, note.span, note.quote.clone())).collect();
    // The reason names the closest document and its heading.
    if answer.reason.is_some() {
        quotes.extend(answer.passages.iter().map(|hit| (hit.document.id, hit.span, hit.text.clone())));
    }
    let mut documents: BTreeSet<DocumentId> = quotes.iter().map(|(document, ..)| *document).collect();
    let (mut standalone, mut reason) = (answer.standalone.clone(), answer.reason.clone());
    if standalone.is_some() {
        match leant_on(index, chat)? {
            Some(earlier) => documents.extend(earlier),
            // Nobody would forget what it says; the reason may repeat it.
            None => {
                standalone = None;
                reason = reason.map(|_| "The documents do not say.".to_owned());
            }
        }
    }
    let stored = StoredAnswer {
        standalone,
        answered: answer.answered,
        reason,
        answer: answer.answer.clone(),
        sentences: answer
            .sentences
            .iter()
            .map(|sentence| StoredSentence {
                text: sentence.text.clone(),
                short: sentence.short.clone(),
                notes: sentence.citations.clone(),
            })
            .collect(),
        notes: answer.citations.iter().map(StoredNote::from).collect(),
        model: answer.model.clone(),
    };
    let turn = NewTurn {
        question: answer.question.clone(),
        answer: serde_json::to_string(&stored).map_err(|error| Error::Internal(error.to_string()))?,
        documents: documents.into_iter().collect(),
        quotes,
    };
    Ok(index.keep_turn(chat.id, chat.collection.as_deref(), turn)?)
}

/// The documents whose words may be in the way that the next question of a conversation is put; `None` where they are not known: an
/// answer that it leans on is gone, or was never kept.
fn leant_on(index: &Index, chat: &Chat) -> Result<Option<Vec<DocumentId>>, Error> {
    let Some(KeptChat { turns, .. }) = chat.id.map(|id| index.chat(id)).transpose()?.flatten() else { return Ok(None) };
    let last = &turns[turns.len().saturating_sub(follow_up::MAX_TURNS)..];
    let known = last.iter().all(|turn| turn.answer.is_some()) && chat.turns.iter().all(|turn| turn.asked.is_some());
    Ok(known.then(|| last.iter().flat_map(|turn| turn.documents.iter().copied()).collect()))
}

fn read(index: &Index, turn: KeptTurn) -> Result<ChatTurn, Error> {
    // What an earlier or later version kept in another way is as good as gone.
    let stored: Option<StoredAnswer> = turn.answer.and_then(|answer| serde_json::from_str(&answer).ok());
    Ok(ChatTurn {
        number: turn.number,
        asked: rfc3339(turn.asked_unix_ms),
        question: turn.question,
        answer: match stored {
            Some(stored) => stored.read(index)?,
            None => None,
        },
    })
}

impl StoredAnswer {
    /// With its notes read again; `None` where one is not what it was.
    fn read(self, index: &Index) -> Result<Option<KeptAnswer>, Error> {
        let mut citations = Vec::with_capacity(self.notes.len());
        for note in self.notes {
            let Some(document) = index.document(note.document)? else { return Ok(None) };
            if index.text(note.document, note.span)?.as_ref() != Some(&note.quote) {
                return Ok(None);
            }
            citations.push(note.of(document.into()));
        }
        let sentence = |kept: StoredSentence| AnswerSentence {
            text: kept.text,
            short: kept.short,
            citations: kept.notes,
            supported: true,
        };
        Ok(Some(KeptAnswer {
            standalone: self.standalone,
            answered: self.answered,
            reason: self.reason,
            answer: self.answer,
            sentences: self.sentences.into_iter().map(sentence).collect(),
            citations,
            model: self.model,
        }))
    }
}

impl From<&Citation> for StoredNote {
    fn from(note: &Citation) -> Self {
        Self {
            n: note.n,
            document: note.document.id,
            page: note.page,
            part: note.part.clone(),
            heading: note.heading.clone(),
            span: note.span,
            quote: note.quote.clone(),
            table_header: note.table_header.clone(),
        }
    }
}

impl StoredNote {
    fn of(self, document: Document) -> Citation {
        Citation {
            n: self.n,
            document,
            page: self.page,
            part: self.part,
            heading: self.heading,
            span: self.span,
            quote: self.quote,
            table_header: self.table_header,
        }
    }
}
