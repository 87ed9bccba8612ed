//! The deterministic twin of the ONNX embedder: hashed words, no model file.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::{Embedder, EmbedderInfo, ModelError, TokenVectors};

const DIMENSIONS: usize = 384;

/// Embeds a text as the signed, hashed counts of its words and of their first letters. Texts that share words are near;
/// meaning plays no part. Needs no files and is exact, so tests and measurements of scale use it.
#[derive(Debug, Clone)]
pub struct HashEmbedder {
    info: EmbedderInfo,
}

impl Default for HashEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

impl HashEmbedder {
    /// The embedder named `hash-384`.
    #[must_use]
    pub fn new() -> Self {
        let name = "hash-384";
        let mut sha256_hex = String::with_capacity(64);
        for byte in Sha256::digest(name.as_bytes()) {
            let _ = write!(sha256_hex, "{byte:02x}");
        }
        Self {
            info: EmbedderInfo {
                name: name.to_owned(),
                sha256_hex,
                dimensions: DIMENSIONS,
                max_tokens: 256,
                special_tokens: 2,
            },
        }
    }
}

impl Embedder for HashEmbedder {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.token_offsets(text).len()
    }

    /// A token is a run of letters and digits, or any other single character that is not white space.
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let mut tokens: Vec<(usize, usize)> = Vec::new();
        let mut in_word = false;
        for (start, character) in text.char_indices() {
            let end = start + character.len_utf8();
            if character.is_alphanumeric() {
                match tokens.last_mut() {
                    Some(last) if in_word => last.1 = end,
                    _ => tokens.push((start, end)),
                }
                in_word = true;
            } else {
                if !character.is_whitespace() {
                    tokens.push((start, end));
                }
                in_word = false;
            }
        }
        tokens
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        Ok(texts.iter().map(|text| self.embed_one(text)).collect())
    }

    fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>, ModelError> {
        Ok(texts
            .iter()
            .map(|text| {
                let offsets = self.token_offsets(text);
                let words: Vec<String> = offsets.iter().map(|&(start, end)| text[start..end].to_lowercase()).collect();
                TokenVectors {
                    ids: words.iter().map(|word| vocabulary_number(word)).collect(),
                    values: words.iter().flat_map(|word| self.embed_one(word)).collect(),
                    offsets,
                }
            })
            .collect())
    }
}

impl HashEmbedder {
    fn embed_one(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0_f32; DIMENSIONS];
        for (start, end) in self.token_offsets(text) {
            let word = text[start..end].to_lowercase();
            if !word.starts_with(char::is_alphanumeric) {
                continue;
            }
            add_feature(&mut vector, &word, 1.0);
            let stem: String = word.chars().take(4).collect();
            add_feature(&mut vector, &format!("{stem}*"), 0.5);
        }
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if norm > 0.0 {
            vector.iter_mut().for_each(|value| *value /= norm);
        } else {
            // A text without words still needs a vector of length 1.
            vector[0] = 1.0;
        }
        vector
    }
}

/// FNV-1a with a final mix: stable over versions and platforms, which the standard hasher does not promise.
fn stable_hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

fn vocabulary_number(word: &str) -> u32 {
    u32::try_from(stable_hash(word) >> 32).unwrap_or(u32::MAX)
}

fn add_feature(vector: &mut [f32], feature: &str, weight: f32) {
    let hash = stable_hash(feature);
    let buckets = u64::try_from(vector.len()).unwrap_or(1);
    let bucket = usize::try_from((hash >> 1) % buckets).unwrap_or(0);
    vector[bucket] += if hash & 1 == 0 { weight } else { -weight };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn texts_that_share_words_are_nearer_and_all_have_length_one() {
        let embedder = HashEmbedder::new();
        let vectors = embedder
            .embed(&[
                "The boiler was repaired in March.",
                "Who repaired the boiler?",
                "Quarterly revenue grew.",
                "",
                "…!",
            ])
            .expect("cannot fail");
        assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
        for vector in &vectors {
            assert_eq!(vector.len(), 384);
            assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_same_text_has_the_same_vector_alone_and_in_company() {
        let embedder = HashEmbedder::new();
        let alone = embedder.embed(&["a b c"]).expect("cannot fail");
        let company = embedder.embed(&["x", "a b c", "y"]).expect("cannot fail");
        assert_eq!(alone[0], company[1]);
    }

    #[test]
    fn offsets_lie_on_characters_and_in_order() {
        let embedder = HashEmbedder::new();
        let text = "Grüße, 日本 42%!";
        let offsets = embedder.token_offsets(text);
        let words: Vec<&str> = offsets.iter().map(|&(start, end)| &text[start..end]).collect();
        assert_eq!(words, ["Grüße", ",", "日本", "42", "%", "!"]);
        assert_eq!(embedder.count_tokens(text), 6);
    }
}
