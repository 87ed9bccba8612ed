//! Texts read closely once are not read again: a question is asked in several ways, the next one is about the same matter, and
//! the same passages are found each time. Reading one takes milliseconds, finding it here microseconds.

use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use sha2::{Digest as _, Sha256};

use crate::{Embedder, EmbedderInfo, ModelError, TokenVectors};

/// An embedder that keeps the token vectors of the texts it was asked for last, up to a number of bytes, in memory alone: with
/// their tokens, which are the text's.
pub struct RememberingEmbedder {
    base: Arc<dyn Embedder>,
    kept: Mutex<Kept>,
}

struct Kept {
    /// By the sha256 of the text.
    texts: LruCache<[u8; 32], Arc<TokenVectors>>,
    bytes: usize,
    most_bytes: usize,
}

impl Kept {
    fn keep(&mut self, text: [u8; 32], vectors: Arc<TokenVectors>) {
        let bytes = bytes_of(&vectors);
        if bytes > self.most_bytes {
            return;
        }
        self.bytes += bytes;
        if let Some(before) = self.texts.put(text, vectors) {
            self.bytes -= bytes_of(&before);
        }
        while self.bytes > self.most_bytes
            && let Some((_, oldest)) = self.texts.pop_lru()
        {
            self.bytes -= bytes_of(&oldest);
        }
    }
}

fn bytes_of(vectors: &TokenVectors) -> usize {
    let TokenVectors { ids, offsets, values } = vectors;
    size_of_val(ids.as_slice()) + size_of_val(offsets.as_slice()) + size_of_val(values.as_slice())
}

impl RememberingEmbedder {
    /// Keeps `most_bytes` bytes of vectors; 0 keeps none. A passage of 200 tokens and 384 dimensions takes 310 kB.
    pub fn new(base: Arc<dyn Embedder>, most_bytes: usize) -> Self {
        Self { base, kept: Mutex::new(Kept { texts: LruCache::unbounded(), bytes: 0, most_bytes }) }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for RememberingEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RememberingEmbedder").field("base", self.base.info()).finish_non_exhaustive()
    }
}

impl Embedder for RememberingEmbedder {
    fn info(&self) -> &EmbedderInfo {
        self.base.info()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.base.count_tokens(text)
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.base.token_offsets(text)
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.base.embed(texts)
    }

    fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>, ModelError> {
        let hashes: Vec<[u8; 32]> = texts.iter().map(|text| Sha256::digest(text).into()).collect();
        let known: Vec<Option<Arc<TokenVectors>>> = {
            let mut kept = self.kept();
            hashes.iter().map(|hash| kept.texts.get(hash).cloned()).collect()
        };
        // Nobody waits for the lock while texts are read.
        let missing: Vec<&str> =
            texts.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(it, _)| *it).collect();
        let mut read = if missing.is_empty() { Vec::new() } else { self.base.embed_tokens(&missing)? }.into_iter();
        let mut all = Vec::with_capacity(texts.len());
        for (hash, known) in hashes.into_iter().zip(known) {
            let vectors = match known {
                Some(known) => known,
                None => {
                    let Some(new) = read.next().map(Arc::new) else { break };
                    self.kept().keep(hash, Arc::clone(&new));
                    new
                }
            };
            all.push(Arc::unwrap_or_clone(vectors));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::HashEmbedder;

    /// Counts the texts that it reads.
    struct Counting(HashEmbedder, AtomicUsize);

    impl Embedder for Counting {
        fn info(&self) -> &EmbedderInfo {
            self.0.info()
        }

        fn count_tokens(&self, text: &str) -> usize {
            self.0.count_tokens(text)
        }

        fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
            self.0.token_offsets(text)
        }

        fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
            self.0.embed(texts)
        }

        fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>, ModelError> {
            self.1.fetch_add(texts.len(), Ordering::SeqCst);
            self.0.embed_tokens(texts)
        }
    }

    #[test]
    fn a_text_is_read_once_until_there_is_no_room_for_it() {
        let base = Arc::new(Counting(HashEmbedder::new(), AtomicUsize::new(0)));
        let one = bytes_of(&base.0.embed_tokens(&["a heron"]).unwrap()[0]);
        let embedder = RememberingEmbedder::new(base.clone(), 2 * one);
        let plain = |texts: &[&str]| base.0.embed_tokens(texts).unwrap();
        let read = || base.1.swap(0, Ordering::SeqCst);
        for (texts, expected) in [
            (&["a heron", "an owl"][..], 2),
            (&["an owl", "a heron"], 0),
            (&["a heron", "a crane", "a heron"], 1),
            // The owl had to make room.
            (&["an owl"], 1),
            (&["a crane", "an owl"], 0),
            (&[], 0),
        ] {
            assert_eq!(embedder.embed_tokens(texts).unwrap(), plain(texts), "{texts:?}");
            assert_eq!(read(), expected, "{texts:?}");
        }
        let none = RememberingEmbedder::new(base.clone(), 0);
        assert_eq!(none.embed_tokens(&["an owl"]).unwrap(), none.embed_tokens(&["an owl"]).unwrap());
        assert_eq!(read(), 2, "nothing is kept");
    }
}
