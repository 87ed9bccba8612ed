//! The seam to what turns text into vectors.

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// Which model made a vector. Vectors of different models never meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedderInfo {
    /// Name for people.
    pub name: String,
    /// Identity: sha256 over the hashes of the model file and of the tokenizer file, and over the way it computes, 64 lower-case
    /// hex digits.
    pub sha256_hex: String,
    /// Length of a vector.
    pub dimensions: usize,
    /// The most tokens a text to embed may have, special tokens included.
    pub max_tokens: usize,
    /// How many of these are special tokens that the model adds itself.
    pub special_tokens: usize,
}

/// How an embedder computes whose weights are stored as int8. Vectors of the two ways do not meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Products of whole numbers, on every CPU the same: more than twice as fast where it has instructions for them (VNNI).
    #[default]
    Int8,
    /// Products of fractions, as the model is exported. Models with weights of fractions compute so in any case.
    F32,
}

impl Precision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Int8, Self::F32];
}

/// A text as the model sees it, token by token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenVectors {
    /// The tokens' numbers in the vocabulary, in order, special tokens left out.
    pub ids: Vec<u32>,
    /// Byte range in the text of each token.
    pub offsets: Vec<(usize, usize)>,
    /// Their vectors, each of length 1, one after another: `ids.len() * dimensions` numbers.
    pub values: Vec<f32>,
}

impl TokenVectors {
    /// The vector of each token, in order.
    pub fn vectors(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact((self.values.len() / self.ids.len().max(1)).max(1))
    }
}

/// Turns text into vectors.
pub trait Embedder: Send + Sync {
    /// Which model this is.
    fn info(&self) -> &EmbedderInfo;

    /// Number of tokens of `text`, special tokens not included and nothing cut off.
    fn count_tokens(&self, text: &str) -> usize;

    /// Byte range in `text` of every token, in order, special tokens not included and nothing cut off.
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)>;

    /// One vector of length 1 for each text, in order.
    ///
    /// The vector of a text depends on that text only: not on its company, not on the number of threads. What exceeds the
    /// positions of the model is not embedded and a warning with the counts is logged, so pack texts to
    /// [`EmbedderInfo::max_tokens`].
    ///
    /// # Errors
    /// [`ModelError::Embed`] for the first text that the runtime refused.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError>;

    /// The vectors of the tokens of each text, in order, as they are before the model's pooling: each knows the text around
    /// it. Takes as long as [`Embedder::embed`]. What exceeds the positions of the model is left out.
    ///
    /// A text takes `tokens * dimensions * 4` bytes: hand over dozens at a time, not thousands.
    ///
    /// # Errors
    /// [`ModelError::Embed`] for the first text that the runtime refused, or when the model gives one vector a text alone.
    fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>, ModelError>;
}
