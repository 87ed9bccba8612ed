//! Documents that the language model reads whole, and the states of it that hold them.
//!
//! What it made of them is the same for every question, so it is kept: in memory, and in the data folder, where the next process
//! finds it. A state lasts as long as its documents are there with the same content.

use std::ops::ControlFlow;

use sidenote_index::{DocumentId, Filter, Index, StoredDocument};
use sidenote_model::{CancelToken, GenerateRequest, Generator, KeepShared, Prompt, StopReason, retain_states};

use crate::{
    config::Config,
    context::{self, Context},
    error::Error,
    models::states_folder,
    prompt,
    retrieve::{Hit, passages_of},
};

/// No text has fewer tokens than one for so many bytes.
const MAX_TOKEN_BYTES: u64 = 12;

/// Documents to be read whole.
pub(crate) struct Whole {
    /// All their passages: documents in order of id, passages in order of place.
    pub(crate) passages: Vec<Hit>,
    pub(crate) keep: KeepShared,
}

impl Whole {
    /// The documents that a filter lets through. More than a window of so many tokens could hold are refused before they are
    /// read.
    pub(crate) fn of(index: &Index, filter: &Filter, config: &Config, window: usize) -> Result<Self, Error> {
        let documents = index.documents_let_through(filter)?;
        let bytes: u64 = documents.iter().map(|document| document.text_bytes).sum();
        let least = usize::try_from(bytes / MAX_TOKEN_BYTES).unwrap_or(usize::MAX);
        if least > window {
            return Err(Error::DocumentsTooLong { tokens: least, limit: window });
        }
        let mut chunks = Vec::new();
        for document in &documents {
            chunks.extend(index.chunks_of(document.id)?.iter().map(|chunk| chunk.id));
        }
        let of = documents.iter().map(name_of).collect();
        let keep = KeepShared { of, max_bytes: config.llm.pinned_bytes };
        Ok(Self { passages: passages_of(index, &chunks)?, keep })
    }
}

/// A document with this content, as its states name it.
fn name_of(document: &StoredDocument) -> String {
    format!("{}-{}", document.id.0, &document.fingerprint.sha256_hex()[..16])
}

/// The prompt of a question behind documents that are read whole, where it leaves room for an answer of so many tokens.
pub(crate) fn prompt_of(
    context: &Context,
    question: &str,
    answer_tokens: usize,
    generator: &dyn Generator,
) -> Result<Prompt, Error> {
    let prompt = generator.render(&prompt::whole_messages(&context.passages, question))?;
    let limit = generator.info().context_tokens.saturating_sub(answer_tokens);
    if prompt.tokens.len() > limit {
        return Err(Error::DocumentsTooLong { tokens: prompt.tokens.len(), limit });
    }
    Ok(prompt)
}

/// What the language model has read ahead of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PinReport {
    /// Documents.
    pub documents: usize,
    /// Tokens of them and of the instruction before them.
    pub tokens: usize,
    /// Of those, tokens that had been read before.
    pub reused: usize,
    /// Tokens that are left for a question and its answer.
    pub left: usize,
}

/// Has the language model read documents whole, and keeps what it made of them.
pub(crate) fn pin(
    index: &Index,
    filter: &Filter,
    config: &Config,
    generator: &dyn Generator,
    cancel: &CancelToken,
) -> Result<PinReport, Error> {
    let window = generator.info().context_tokens;
    let whole = Whole::of(index, filter, config, window)?;
    if whole.passages.is_empty() {
        return Ok(PinReport::default());
    }
    let context = context::of_whole_documents(&whole.passages, &whole.passages, |_| true);
    let prompt = prompt_of(&context, "", config.answer.max_tokens, generator)?;
    let tokens = prompt.shared_tokens;
    let request = GenerateRequest {
        cancel: cancel.clone(),
        keep: Some(whole.keep.clone()),
        ..GenerateRequest::greedy(prompt, 1)
    };
    let generation = generator.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    if generation.stop_reason == StopReason::Cancelled {
        return Err(Error::Cancelled);
    }
    let documents = whole.keep.of.len();
    Ok(PinReport {
        documents,
        tokens,
        reused: generation.tokens_reused.min(tokens),
        left: window.saturating_sub(config.answer.max_tokens + tokens),
    })
}

/// Removes the states that hold documents which are gone or have another content now.
pub(crate) fn drop_stale_states(config: &Config, index: &Index) -> Result<(), Error> {
    let is_there = |name: &str| {
        let id = name.split('-').next().and_then(|id| id.parse().ok());
        let document = id.and_then(|id| index.document(DocumentId(id)).ok().flatten());
        document.is_some_and(|document| name_of(&document) == name)
    };
    let folder = states_folder(config);
    retain_states(&folder, &is_there)
        .map_err(|source| Error::Io { doing: "removing a state of the language model".into(), source })
}
