//! The middle of an ingest: chunks get their vectors while the next files are read and the ones before are stored.

use std::{
    collections::{HashSet, VecDeque},
    path::PathBuf,
    sync::mpsc,
};

use sidenote_index::{Index, NewChunk};
use sidenote_model::{CancelToken, Embedder};

use crate::{
    error::Error,
    reading::{Content, Prepared},
};

/// Texts handed to the embedder at a time; between two of them a stop is noticed and progress shown.
pub(crate) const EMBED_AT_A_TIME: usize = 32;

/// Steps handed on before the storing end has to take one. It may be busy for a while, building a segment.
pub(crate) const EMBEDDED_AHEAD: usize = 8;

/// What is handed on, in order.
pub(crate) enum Embedded<'k> {
    /// So many chunks got their vectors.
    Chunks(usize),
    /// Files whose chunks all have theirs.
    Files(Vec<Prepared<'k>>),
    /// So many pages of a file that is being read were pictures and have been recognised. Comes from the reading end.
    Recognised(PathBuf, usize),
    /// It cannot go on.
    Failed(Error),
}

/// Gives chunks their vectors.
pub(crate) struct ChunkEmbedder<'a> {
    pub(crate) index: &'a Index,
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) cancel: &'a CancelToken,
    /// Texts of the last batches, whose vectors were handed on and may not be stored yet.
    pub(crate) recent: VecDeque<HashSet<[u8; 32]>>,
}

impl ChunkEmbedder<'_> {
    /// Works until stopped, or until nobody sends or listens any more.
    pub(crate) fn embed_all<'k>(
        mut self,
        batches: mpsc::Receiver<Vec<Prepared<'k>>>,
        done: &mpsc::SyncSender<Embedded<'k>>,
    ) {
        for mut batch in batches {
            let sent = match self.embed(&mut batch, done) {
                Ok(true) => done.send(Embedded::Files(batch)),
                // Stopped in the middle: the next ingest reads these files again.
                Ok(false) => return,
                Err(error) => done.send(Embedded::Failed(error)),
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// Gives each chunk its vector, unless one of the same text has it already. False when stopped.
    fn embed(&mut self, batch: &mut [Prepared<'_>], done: &mpsc::SyncSender<Embedded<'_>>) -> Result<bool, Error> {
        let mut new: Vec<&mut NewChunk> = batch.iter_mut().flat_map(chunks_of).collect();
        let hashes: Vec<[u8; 32]> = new.iter().map(|new| new.hash).collect();
        let known = self.index.known_vectors(&self.embedder.info().name, &hashes)?;
        // What is further back is stored: as many batches are under way as fit into the queue, and one at either end.
        self.recent.truncate(EMBEDDED_AHEAD + 2);
        let mut these = HashSet::new();
        new.retain(|new| {
            !known.contains(&new.hash)
                && !self.recent.iter().any(|sent| sent.contains(&new.hash))
                && these.insert(new.hash)
        });
        self.recent.push_front(these);
        for some in new.chunks_mut(EMBED_AT_A_TIME) {
            if self.cancel.is_cancelled() {
                return Ok(false);
            }
            give_vectors(self.embedder, some)?;
            if done.send(Embedded::Chunks(some.len())).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Embeds chunks, [`EMBED_AT_A_TIME`] of them at the most.
pub(crate) fn give_vectors(embedder: &dyn Embedder, chunks: &mut [&mut NewChunk]) -> Result<(), Error> {
    let texts: Vec<String> = chunks.iter().map(|new| new.chunk.embedded_text()).collect();
    let vectors = embedder.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
    for (new, vector) in chunks.iter_mut().zip(vectors) {
        new.vector = Some(vector);
    }
    Ok(())
}

fn chunks_of<'p>(prepared: &'p mut Prepared<'_>) -> impl Iterator<Item = &'p mut NewChunk> + use<'p> {
    let documents = match &mut prepared.result {
        Ok(Content::Read(read)) => read.documents.as_mut_slice(),
        Ok(Content::Same(_) | Content::Moved { .. }) | Err(_) => &mut [],
    };
    documents.iter_mut().flat_map(|(_, chunks)| chunks)
}
