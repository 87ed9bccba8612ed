//! Another embedding model takes over: every chunk gets a vector of it, beside the old ones, which answer until all are there.
//!
//! The files are not read again. A chunk that the new model's tokenizer finds too long is cut where it stands; all others keep
//! their ids. What is embedded is kept when the work is stopped, and the next ingest goes on from there. The switch at the end,
//! some seconds for a hundred thousand chunks, cannot be stopped.

use sidenote_index::{ChunkId, EmbeddingModelInfo, Index, IndexWriter, NextChunk, StoredDocument};
use sidenote_model::{CancelToken, Embedder};
use sidenote_text::{Chunk, ChunkOptions, chunk_again, embedded_hash};

use crate::{embedding::EMBED_AT_A_TIME, error::Error, ingest::IngestEvent, reading::Counter};

/// Vectors stored in one transaction: so many are lost at the most when the process ends.
const STORE_AT_A_TIME: usize = 256;

/// A text to embed, by its hash.
type Waiting = ([u8; 32], String);

/// The work, and how far it is.
pub(crate) struct Reembedding<'a> {
    pub(crate) index: &'a Index,
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) options: ChunkOptions,
    pub(crate) cancel: &'a CancelToken,
}

impl Reembedding<'_> {
    /// Gives every chunk a vector of the model and lets it take over; returns the number of chunks, or `None` when stopped.
    pub(crate) fn run(
        &self,
        writer: &mut IndexWriter,
        from: &EmbeddingModelInfo,
        to: &EmbeddingModelInfo,
        show: &mut dyn FnMut(IngestEvent<'_>),
    ) -> Result<Option<usize>, Error> {
        writer.set_next_model(to)?;
        let documents = self.index.documents(None)?;
        let chunks_total = documents.iter().map(|document| usize::try_from(document.chunk_count).unwrap_or(0)).sum();
        let mut next: Vec<NextChunk> = Vec::with_capacity(chunks_total);
        let mut waiting: Vec<Waiting> = Vec::new();
        for document in &documents {
            // What is cut after a stop is not to be trusted, see `Counter`.
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            for stored in self.chunks_of(document)? {
                waiting.extend(stored.parts.iter().map(|(part, hash)| (*hash, part.embedded_text())));
                next.push(stored.into_next());
            }
            let is_last = document.id == documents[documents.len() - 1].id;
            if waiting.len() >= STORE_AT_A_TIME || is_last {
                let mut tell = |left: usize| {
                    let (from, to) = (from.name.as_str(), to.name.as_str());
                    let chunks_done = next.len().saturating_sub(left);
                    show(IngestEvent::Reembedding { from, to, chunks_done, chunks_total });
                };
                if !self.embed(writer, to, &mut waiting, &mut tell)? {
                    return Ok(None);
                }
            }
        }
        writer.switch_model(to, next)?;
        Ok(Some(chunks_total))
    }

    /// A document's chunks as they are to be, read with the check that an answer's are.
    fn chunks_of(&self, document: &StoredDocument) -> Result<Vec<Recut>, Error> {
        let ids: Vec<ChunkId> = self.index.chunks_of(document.id)?.iter().map(|chunk| chunk.id).collect();
        let pages = if document.page_count.is_some() { self.index.pages(document.id)? } else { Vec::new() };
        let counter = Counter { embedder: self.embedder, cancel: self.cancel };
        let mut chunks = Vec::with_capacity(ids.len());
        for stored in self.index.chunks(&ids)? {
            let (id, chunk) = (stored.id, Chunk::from(stored));
            let parts = chunk_again(&chunk, document.format, &pages, &counter, &self.options);
            chunks.push(Recut { id, hash: embedded_hash(&chunk), parts: with_hashes(parts) });
        }
        Ok(chunks)
    }

    /// Embeds and stores what is not there yet; false when stopped. What was embedded until then is stored.
    fn embed(
        &self,
        writer: &mut IndexWriter,
        to: &EmbeddingModelInfo,
        waiting: &mut Vec<Waiting>,
        tell_left: &mut dyn FnMut(usize),
    ) -> Result<bool, Error> {
        let hashes: Vec<[u8; 32]> = waiting.iter().map(|(hash, _)| *hash).collect();
        let mut known = writer.known_next_vectors(to, &hashes)?;
        waiting.retain(|(hash, _)| known.insert(*hash));
        let mut left = waiting.len();
        for stored in waiting.chunks(STORE_AT_A_TIME) {
            let mut vectors = Vec::with_capacity(stored.len());
            for some in stored.chunks(EMBED_AT_A_TIME) {
                if self.cancel.is_cancelled() {
                    break;
                }
                let texts: Vec<&str> = some.iter().map(|(_, text)| text.as_str()).collect();
                vectors.extend(some.iter().map(|(hash, _)| *hash).zip(self.embedder.embed(&texts)?));
            }
            left -= vectors.len();
            writer.store_next_vectors(to, vectors)?;
            tell_left(left);
            if self.cancel.is_cancelled() {
                return Ok(false);
            }
        }
        waiting.clear();
        Ok(!self.cancel.is_cancelled())
    }
}

fn with_hashes(parts: Vec<Chunk>) -> Vec<(Chunk, [u8; 32])> {
    let hashed = |part: Chunk| {
        let hash = embedded_hash(&part);
        (part, hash)
    };
    parts.into_iter().map(hashed).collect()
}

/// A chunk and what becomes of it.
struct Recut {
    id: ChunkId,
    /// Of what was embedded.
    hash: [u8; 32],
    parts: Vec<(Chunk, [u8; 32])>,
}

impl Recut {
    fn into_next(self) -> NextChunk {
        match self.parts.as_slice() {
            // One part may still be another: with a shorter prefix.
            [(only, hash)] if *hash == self.hash => {
                NextChunk::Same { chunk: self.id, hash: *hash, tokens: only.tokens }
            }
            _ => {
                // The text is in the database; many documents' would fill the memory.
                let lean = |(part, hash): (Chunk, [u8; 32])| (Chunk { text: String::new(), ..part }, hash);
                NextChunk::Cut { chunk: self.id, parts: self.parts.into_iter().map(lean).collect() }
            }
        }
    }
}
