//! The dense leg: the tail in memory and the segments, kept in line with the database.
//!
//! Nothing is read before the first dense search. After that each search follows the list of changes from where the view
//! stands; only where that list has been trimmed, or was rewritten, everything is read again.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use roaring::RoaringTreemap;
use sqlx::SqliteConnection;

use crate::chunk_table::ChunkTable;
use crate::error::IndexError;
use crate::exact::ExactIndex;
use crate::files::Layout;
use crate::segment::Segment;
use crate::sqlite::{self, ChunkRow, ModelRow, Reader, State};
use crate::types::{Allowed, ChunkId, DocumentId, Scored};
use crate::vector::{Node, VectorIndex, keep_best, sort_best_first};

/// Fewer segments are not worth the handing over to other threads.
const SEGMENTS_FOR_THREADS: usize = 4;
/// Candidates of a first look at one segment of several: so many times its share of what is wanted.
const FIRST_LOOK: usize = 3;
/// From so many segments on two thirds of the usual candidates are enough in each.
const MANY_SEGMENTS: usize = 8;
/// A segment is looked at again where one in so many of those candidates is among the best of all.
const ENOUGH: usize = 4;

/// The vectors of one moment.
pub(crate) struct DenseView {
    uuid: String,
    sequence: i64,
    segments_generation: i64,
    model: i64,
    chunks: ChunkTable,
    /// Vectors that are in no segment.
    tail: ExactIndex,
    /// Sealed segments by generation.
    segments: BTreeMap<i64, Segment>,
    /// Segments that could not be loaded; their vectors are in the tail.
    broken: HashSet<i64>,
    /// Candidates that a search of a segment looks at, at the least.
    ef_search: usize,
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
                view.chunks = ChunkTable::of(sqlite::chunk_rows(&mut snapshot).await?);
                Vec::new()
            } else if view.sequence < state.sequence {
                view.read_changed_chunks(&mut snapshot).await?
            } else {
                Vec::new()
            };
            let missing = if fresh || view.segments_generation != state.segments_generation {
                let in_use = view.chunks.nodes();
                view.load_segments(&mut snapshot, layout, model, ef_search, &in_use).await?;
                view.drop_sealed(in_use)
            } else {
                view.held_nowhere(changed)
            };
            view.load_tail(&mut snapshot, missing).await?;
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
            chunks: ChunkTable::default(),
            tail: ExactIndex::new(model.dimensions),
            segments: BTreeMap::new(),
            broken: HashSet::new(),
            ef_search: 0,
        }
    }

    /// Follows the list of changes; returns the nodes that may be new.
    async fn read_changed_chunks(&mut self, connection: &mut SqliteConnection) -> Result<Vec<Node>, sqlx::Error> {
        let rows = sqlite::chunk_rows_changed(&mut *connection, self.sequence).await?;
        let removed = sqlite::removed_after(&mut *connection, self.sequence).await?;
        let nodes: Vec<Node> = rows.iter().map(ChunkRow::node).collect();
        let out = removed.into_iter().chain(rows.iter().map(|row| row.chunk)).collect();
        let left = self.chunks.change(&out, rows);
        for segment in self.segments.values_mut() {
            left.iter().for_each(|node| segment.remove(*node));
            nodes.iter().for_each(|node| segment.revive(*node));
        }
        left.iter().for_each(|node| self.tail.remove(*node));
        Ok(nodes)
    }

    /// Loads the segments that the database lists and forgets the others.
    async fn load_segments(
        &mut self,
        connection: &mut SqliteConnection,
        layout: &Layout,
        model: &ModelRow,
        ef_search: Option<usize>,
        in_use: &RoaringTreemap,
    ) -> Result<(), sqlx::Error> {
        // Without it, segments are not used and everything is compared.
        let Some(ef_search) = ef_search else { return Ok(()) };
        self.ef_search = ef_search;
        let listed = sqlite::segments(&mut *connection).await?;
        let wanted: HashSet<i64> = listed.iter().map(|row| row.generation).collect();
        self.segments.retain(|generation, _| wanted.contains(generation));
        self.broken.retain(|generation| wanted.contains(generation));
        let new: Vec<i64> = listed
            .into_iter()
            .map(|row| row.generation)
            .filter(|generation| !self.segments.contains_key(generation) && !self.broken.contains(generation))
            .collect();
        let open = |generation| {
            let opened = Segment::open(&layout.segment(generation), &self.uuid, model, generation);
            let kept = opened.map(|mut segment| {
                segment.keep_only(in_use);
                segment
            });
            (generation, kept)
        };
        for (generation, opened) in new.into_par_iter().map(open).collect::<Vec<_>>() {
            match opened {
                Ok(segment) => {
                    self.segments.insert(generation, segment);
                }
                Err(reason) => {
                    tracing::warn!(segment = generation, %reason, "a vector segment cannot be used; its vectors are compared one by one until it is built anew");
                    self.broken.insert(generation);
                }
            }
        }
        Ok(())
    }

    /// Takes out of the tail what is in a segment now; returns those of the nodes in use that are held nowhere.
    fn drop_sealed(&mut self, in_use: RoaringTreemap) -> RoaringTreemap {
        let sealed: RoaringTreemap =
            self.segments.values().flat_map(|segment| segment.nodes().iter().copied()).collect();
        let twice: Vec<Node> = self.tail.nodes().iter().copied().filter(|node| sealed.contains(*node)).collect();
        twice.into_iter().for_each(|node| self.tail.remove(node));
        let tail: RoaringTreemap = self.tail.nodes().iter().copied().collect();
        in_use - sealed - tail
    }

    /// Those of a few nodes that are in use and held nowhere.
    fn held_nowhere(&self, nodes: Vec<Node>) -> RoaringTreemap {
        let is_held = |node| self.tail.contains(node) || self.segments.values().any(|segment| segment.contains(node));
        nodes.into_iter().filter(|node| !self.chunks.with(*node).is_empty() && !is_held(*node)).collect()
    }

    /// Reads vectors into the tail.
    async fn load_tail(
        &mut self,
        connection: &mut SqliteConnection,
        missing: RoaringTreemap,
    ) -> Result<(), sqlx::Error> {
        let missing: Vec<i64> = missing.into_iter().map(Node::cast_signed).collect();
        for some in missing.chunks(4096) {
            for (node, vector) in sqlite::vectors(&mut *connection, some).await? {
                self.tail.add(node.cast_unsigned(), &vector);
            }
        }
        Ok(())
    }

    /// The nearest nodes of the tail and of all segments, each once.
    fn nearest(&self, query: &[f32], limit: usize, allowed: Option<&RoaringTreemap>) -> Vec<(Node, f32)> {
        let segments: Vec<&Segment> = self.segments.values().collect();
        let whole = self.ef_search.max(limit);
        // A segment holds few of them where there are many segments, and a narrow look finds these.
        let usual = if segments.len() < MANY_SEGMENTS { self.ef_search } else { self.ef_search * 2 / 3 };
        let first = FIRST_LOOK.saturating_mul(limit.div_ceil(segments.len().max(1))).max(usual).min(whole);
        let mut looks = vec![self.tail.search(query, limit, limit, allowed)];
        looks.extend(look(&segments, first, query, limit, allowed));
        if first < whole {
            let mut best = looks.concat();
            keep_best(&mut best, limit);
            let least = best.iter().map(|(_, score)| *score).fold(f32::INFINITY, f32::min);
            // Where so many of what was found are among the best of all, there may be more of them.
            let may_hold_more = |found: &[(Node, f32)]| {
                best.len() < limit || found.iter().filter(|(_, score)| *score >= least).count() * ENOUGH > first
            };
            let again: Vec<usize> = (0..segments.len()).filter(|place| may_hold_more(&looks[place + 1])).collect();
            let wide: Vec<&Segment> = again.iter().map(|place| segments[*place]).collect();
            for (place, found) in again.into_iter().zip(look(&wide, whole, query, limit, allowed)) {
                looks[place + 1] = found;
            }
        }
        let mut found = looks.concat();
        found.sort_unstable_by_key(|(node, _)| *node);
        found.dedup_by_key(|(node, _)| *node);
        keep_best(&mut found, limit);
        found
    }

    /// The best chunks for a unit vector, best first, ties by chunk id.
    pub(crate) fn search(&self, query: &[f32], limit: usize, allowed: &Allowed) -> Vec<Scored> {
        let passes = |row: &&ChunkRow| allowed.passes(ChunkId(row.chunk), DocumentId(row.document));
        let nodes: Option<RoaringTreemap> =
            (!allowed.is_everything()).then(|| self.chunks.rows().iter().filter(passes).map(ChunkRow::node).collect());
        let found = self.nearest(query, limit, nodes.as_ref());
        let mut hits = Vec::with_capacity(found.len());
        for (node, score) in found {
            let chunks = self.chunks.with(node).iter().filter(passes);
            hits.extend(chunks.map(|row| Scored {
                chunk: ChunkId(row.chunk),
                document: DocumentId(row.document),
                score,
            }));
        }
        sort_best_first(&mut hits);
        hits.truncate(limit);
        hits
    }
}

/// Searches segments, each with so many candidates.
fn look(
    segments: &[&Segment],
    candidates: usize,
    query: &[f32],
    limit: usize,
    allowed: Option<&RoaringTreemap>,
) -> Vec<Vec<(Node, f32)>> {
    let search = |segment: &&Segment| segment.search(query, limit, candidates, allowed);
    if segments.len() < SEGMENTS_FOR_THREADS {
        segments.iter().map(search).collect()
    } else {
        segments.par_iter().map(search).collect()
    }
}
