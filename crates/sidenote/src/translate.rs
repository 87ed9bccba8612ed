//! A question in the language of the documents.
//!
//! It is searched for and never shown, so a clumsy translation does no harm: what counts are the words that the documents use.
//! (Searching in translation: Nie, "Cross-Language Information Retrieval", 2010.)

use sidenote_model::{CancelToken, Generator};

use crate::{error::Error, prompt};

/// Tokens of a translation for each token of the question: other languages have fewer words in a vocabulary.
const TOKENS_FOR_ONE: usize = 3;

/// `question` in `language`, which is named in English; empty where the model writes nothing.
pub(crate) fn question(
    question: &str,
    language: &str,
    generator: &dyn Generator,
    cancel: &CancelToken,
) -> Result<String, Error> {
    let max_tokens = TOKENS_FOR_ONE * generator.count_tokens(question);
    let written = prompt::written(&prompt::translate_messages(question, language), max_tokens, generator, cancel)?;
    Ok(written.text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned())
}
