//! The dense leg: the tail in memory and the segments, kept in line with the database.
//!
//! Nothing is read before the first dense search. After that each search follows the list of changes from where the view
//! stands; only where that list has been trimmed, or was rewritten, everything is read again.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;
use roaring::RoaringTreemap;
use sqlx::SqliteConnection;

use crate::error::IndexError;
use crate::exact::ExactIndex;
use crate::files::Layout;
use crate::segment::Segment;
use crate::sqlite::{self, ChunkRow, ModelRow, Reader, State};
use crate::types::{Allowed, ChunkId, DocumentId, Scored};
use crate::vector::{Node, VectorIndex, keep_best, sort_best_first};

/// Rows read at a time.
const PAGE_ROWS: i64 = 16_384;
/// Fewer segments are not worth the handing over to other threads.
const SEGMENTS_FOR_THREADS: usize = 4;

/// The vectors of one moment.
pub(crate) struct DenseView {
    uuid: String,
    sequence: i64,
    segments_generation: i64,
    model: i64,
    /// The chunks that have each vector.
    chunks_of_node: HashMap<Node, Vec<ChunkId>>,
    /// The vector and the document of each chunk.
    places: HashMap<ChunkId, (Node, DocumentId)>,
    /// Vectors that are in no segment.
    tail: ExactIndex,
    /// Sealed segments by generation.
    segments: BTreeMap<i64, Segment>,
    /// Segments that could not be loaded; their vectors are in the tail.
    broken: HashSet<i64>,
}

impl std::fmt::Debug for DenseView {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DenseView")
            .field("sequence", &self.sequence)
            .field("tail", &self.tail.len())
            .field("segments", &self.segments.len())
            .finish_non_exhaustive()
    }
}

impl DenseView {
    /// Whether the view shows the database as `state` has it, by the vectors of `model`.
    pub(crate) fn is_current(&self, state: &State, model: &ModelRow) -> bool {
        self.uuid == state.uuid
            && self.model == model.id
            && self.sequence == state.sequence
            && self.segments_generation == state.segments_generation
    }

    /// Brings `old` (or nothing) in line with the database.
    pub(crate) async fn follow(
        reader: &Reader,
        layout: &Layout,
        model: &ModelRow,
        old: Option<Self>,
        ef_search: Option<usize>,
    ) -> Result<Self, IndexError> {
        // One snapshot for everything that is read; the segments' files are checked against their own manifest.
        let mut snapshot = reader.snapshot().await?;
        let work = async {
            let state = sqlite::state(&mut snapshot).await?;
            let answers = sqlite::model(&mut snapshot).await?;
            if answers.as_ref().is_none_or(|answers| answers.id != model.id) {
                // Another model took over since the caller looked; its vectors say nothing about this query.
                return Ok(Err(answers.map_or_else(String::new, |answers| answers.name)));
            }
            let kept = old.filter(|view| {
                view.uuid == state.uuid
                    && view.model == model.id
                    && view.sequence >= state.trimmed_to
                    && view.sequence <= state.sequence
            });
            let (mut view, fresh) = match kept {
                Some(view) => (view, false),
                None => (Self::empty(&state, model), true),
            };
            let changed = if fresh {
                view.read_all_chunks(&mut snapshot).await?;
                None
            } else if view.sequence < state.sequence {
                Some(view.read_changed_chunks(&mut snapshot).await?)
            } else {
                Some(Vec::new())
            };
            let reload = fresh || view.segments_generation != state.segments_generation;
            if reload {
                view.load_segments(&mut snapshot, layout, model, ef_search).await?;
            }
            view.load_tail(&mut snapshot, if reload { None } else { changed }).await?;
            view.sequence = state.sequence;
            view.segments_generation = state.segments_generation;
            Ok(Ok(view))
        };
        let followed = work.await.map_err(|error| reader.error(error))?;
        followed.map_err(|indexed_with| IndexError::ModelMismatch { indexed_with, asked: model.name.clone() })
    }

    fn empty(state: &State, model: &ModelRow) -> Self {
        Self {
            uuid: state.uuid.clone(),
            sequence: state.sequence,
            segments_generation: -1,
            model: model.id,
            chunks_of_node: HashMap::new(),
            places: HashMap::new(),
            tail: ExactIndex::new(model.dimensions),
            segments: BTreeMap::new(),
            broken: HashSet::new(),
        }
    }

    async fn read_all_chunks(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let mut after = 0;
        loop {
            let rows = sqlite::chunk_rows(&mut *connection, after, PAGE_ROWS).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.chunk;
            for row in &rows {
                self.add_chunk(row);
            }
        }
    }

    /// Follows the list of changes; returns the nodes that may be new.
    async fn read_changed_chunks(&mut self, connection: &mut SqliteConnection) -> Result<Vec<Node>, sqlx::Error> {
        for chunk in sqlite::removed_after(&mut *connection, self.sequence).await? {
            self.remove_chunk(ChunkId(chunk));
        }
        let mut nodes = Vec::new();
        for row in sqlite::chunk_rows_changed(&mut *connection, self.sequence).await? {
            self.add_chunk(&row);
            nodes.push(row.embedding.cast_unsigned());
        }
        Ok(nodes)
    }

    fn add_chunk(&mut self, row: &ChunkRow) {
        let (chunk, node) = (ChunkId(row.chunk), row.embedding.cast_unsigned());
        if self.places.get(&chunk).is_some_and(|(known, _)| *known != node) {
            self.remove_chunk(chunk);
        }
        if self.places.insert(chunk, (node, DocumentId(row.document))).is_none() {
            self.chunks_of_node.entry(node).or_default().push(chunk);
            for segment in self.segments.values_mut() {
                segment.revive(node);
            }
        }
    }

    fn remove_chunk(&mut self, chunk: ChunkId) {
        let Some((node, _)) = self.places.remove(&chunk) else { return };
        let Some(chunks) = self.chunks_of_node.get_mut(&node) else { return };
        chunks.retain(|other| *other != chunk);
        if chunks.is_empty() {
            self.chunks_of_node.remove(&node);
            self.tail.remove(node);
            for segment in self.segments.values_mut() {
                segment.remove(node);
            }
        }
    }

    /// Loads the segments that the database lists and forgets the others.
    async fn load_segments(
        &mut self,
        connection: &mut SqliteConnection,
        layout: &Layout,
        model: &ModelRow,
        ef_search: Option<usize>,
    ) -> Result<(), sqlx::Error> {
        // Without it, segments are not used and everything is compared.
        let Some(ef_search) = ef_search else { return Ok(()) };
        let listed = sqlite::segments(&mut *connection).await?;
        let wanted: HashSet<i64> = listed.iter().map(|row| row.generation).collect();
        self.segments.retain(|generation, _| wanted.contains(generation));
        self.broken.retain(|generation| wanted.contains(generation));
        for row in listed {
            if self.segments.contains_key(&row.generation) || self.broken.contains(&row.generation) {
                continue;
            }
            let folder = layout.segment(row.generation);
            match Segment::open(&folder, &self.uuid, model, row.generation, ef_search) {
                Ok(mut segment) => {
                    segment.keep_only(|node| self.chunks_of_node.contains_key(&node));
                    self.segments.insert(row.generation, segment);
                }
                Err(reason) => {
                    tracing::warn!(segment = row.generation, %reason, "a vector segment cannot be used; its vectors are compared one by one until it is built anew");
                    self.broken.insert(row.generation);
                }
            }
        }
        Ok(())
    }

    /// Reads the vectors that are in use and held nowhere; `among` names the only ones that can be.
    async fn load_tail(
        &mut self,
        connection: &mut SqliteConnection,
        among: Option<Vec<Node>>,
    ) -> Result<(), sqlx::Error> {
        let sealed = |node: &Node| self.segments.values().any(|segment| segment.contains(*node));
        let mut missing: Vec<i64> = match among {
            Some(nodes) => nodes
                .iter()
                .filter(|node| self.chunks_of_node.contains_key(node) && !self.tail.contains(**node) && !sealed(node))
                .map(|node| node.cast_signed())
                .collect(),
            None => {
                let held: Vec<Node> = self.tail.nodes().iter().filter(|node| sealed(node)).copied().collect();
                for node in held {
                    self.tail.remove(node);
                }
                let sealed = |node: &Node| self.segments.values().any(|segment| segment.contains(*node));
                self.chunks_of_node
                    .keys()
                    .filter(|node| !self.tail.contains(**node) && !sealed(node))
                    .map(|node| node.cast_signed())
                    .collect()
            }
        };
        missing.sort_unstable();
        missing.dedup();
        for some in missing.chunks(4096) {
            for (node, vector) in sqlite::vectors(&mut *connection, some).await? {
                self.tail.add(node.cast_unsigned(), &vector);
            }
        }
        Ok(())
    }

    /// The nearest nodes of the tail and of all segments, each once.
    fn nearest(&self, query: &[f32], limit: usize, allowed: Option<&RoaringTreemap>) -> Vec<(Node, f32)> {
        let mut found = self.tail.search(query, limit, allowed);
        if self.segments.len() < SEGMENTS_FOR_THREADS {
            found.extend(self.segments.values().flat_map(|segment| segment.search(query, limit, allowed)));
        } else {
            found.par_extend(
                self.segments.par_iter().flat_map_iter(|(_, segment)| segment.search(query, limit, allowed)),
            );
        }
        found.sort_unstable_by_key(|(node, _)| *node);
        found.dedup_by_key(|(node, _)| *node);
        keep_best(&mut found, limit);
        found
    }

    /// The best chunks for a unit vector, best first, ties by chunk id.
    pub(crate) fn search(&self, query: &[f32], limit: usize, allowed: &Allowed) -> Vec<Scored> {
        let nodes: Option<RoaringTreemap> = (!allowed.is_everything()).then(|| {
            let passing = self.places.iter().filter(|(chunk, (_, document))| allowed.passes(**chunk, *document));
            passing.map(|(_, (node, _))| *node).collect()
        });
        let found = self.nearest(query, limit, nodes.as_ref());
        let mut hits = Vec::with_capacity(found.len());
        for (node, score) in found {
            for &chunk in self.chunks_of_node.get(&node).map(Vec::as_slice).unwrap_or_default() {
                if let Some(&(_, document)) = self.places.get(&chunk)
                    && allowed.passes(chunk, document)
                {
                    hits.push(Scored { chunk, document, score });
                }
            }
        }
        sort_best_first(&mut hits);
        hits.truncate(limit);
        hits
    }
}
