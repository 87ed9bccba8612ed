//! A document becomes chunks.

use serde::{Deserialize, Serialize};

use crate::Span;

/// A piece of a document that is embedded, indexed and cited as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where in the document's stored text; `document.text[span] == text`.
    pub span: Span,
    /// Page of the chunk's first character; `None` where the format has no pages.
    pub page: Option<u32>,
    /// Headings above it, outermost first.
    pub heading: Vec<String>,
    /// Header row of the table it continues, when the row itself is not inside the span.
    pub table_header: Option<Span>,
    /// What is put before the text when it is embedded: title, headings, table header, capped in tokens. May be empty.
    pub prefix: String,
    /// The stored text under the span.
    pub text: String,
    /// Tokens of the embedded text, prefix and special tokens included.
    pub tokens: usize,
}

impl Chunk {
    /// What is embedded: prefix, a line break where there is a prefix, text.
    pub fn embedded_text(&self) -> String {
        if self.prefix.is_empty() { self.text.clone() } else { format!("{}\n{}", self.prefix, self.text) }
    }
}

/// Counts tokens as the embedding model does, special tokens excluded, without truncation.
pub trait TokenCounter {
    /// Number of tokens of `text`.
    fn count_tokens(&self, text: &str) -> usize;

    /// Byte ranges in `text` of its tokens, ascending. `count_tokens(text) == token_offsets(text).len()`.
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)>;
}

/// How chunks are cut.
#[derive(Clone, Copy, Debug)]
pub struct ChunkOptions {
    /// Most tokens of a chunk, prefix and special tokens included; 32 to the model's limit. Default 256.
    pub max_tokens: usize,
    /// Most tokens of the prefix; 0 to a half of `max_tokens`. Default 48.
    pub max_prefix_tokens: usize,
    /// Tokens the model adds to every text (`[CLS]` and `[SEP]`: 2).
    pub special_tokens: usize,
}
