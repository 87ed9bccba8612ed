//! Which vectors go into a segment, and which segments become one.
//!
//! Works from the database and the lists of nodes beside the graphs, so that a writer holds no vectors but those of the
//! segment it builds: the memory of an ingest does not grow with what is there already.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;

use crate::error::IndexError;
use crate::index::{Inner, VectorMode};
use crate::segment::Segment;
use crate::sqlite::ModelRow;
use crate::vector::Node;

/// Vectors of a segment at the most. Building one takes about 4 KiB a vector of 384 numbers: 128 MiB, however much is ingested.
/// Two tails of 20,000, which are sealed by default in a long ingest, stay two segments.
const MAX_SEGMENT: u64 = 32_768;
/// So many segments of a size become one of the next, up to the bound: a vector is built in a logarithmic number of times.
const OF_A_SIZE: usize = 4;
/// A segment is built anew when more than one in so many of its vectors are no longer in use.
const STALE_SHARE: u64 = 5;

/// The segments on the disk that were found sound, each with the nodes it holds. A segment never changes, so a process reads
/// it once.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    sound: BTreeMap<i64, RoaringTreemap>,
}

/// What is in segments and what is not.
pub(crate) struct Standing {
    /// In use and in no sound segment.
    tail: RoaringTreemap,
    /// Sound segments by generation: vectors held, and those of them that are in use.
    sound: BTreeMap<i64, (u64, RoaringTreemap)>,
    /// Segments that cannot be loaded, and why.
    broken: Vec<(i64, String)>,
}

impl Standing {
    /// Segments that hold something that is no longer in use, or that cannot be loaded.
    pub(crate) fn impure(&self) -> Vec<i64> {
        let impure =
            self.sound.iter().filter(|(_, (held, live))| live.len() < *held).map(|(generation, _)| *generation);
        impure.chain(self.broken.iter().map(|(generation, _)| *generation)).collect()
    }
}

/// What a seal does.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Vectors of the new segments, one list a segment, each ascending.
    pub(crate) built: Vec<Vec<Node>>,
    /// Segments that go.
    pub(crate) replaced: Vec<i64>,
}

impl Segments {
    /// Compares the segments with the database. The caller holds the lock.
    pub(crate) fn standing(&mut self, inner: &Inner, model: &ModelRow) -> Result<Standing, IndexError> {
        let reader = inner.reader.clone();
        let listed = inner.sqlite.wait(async move { reader.segments().await })?;
        let uuid = inner.state()?.uuid;
        let mut broken = Vec::new();
        self.sound.retain(|generation, _| listed.iter().any(|row| row.generation == *generation));
        for row in listed {
            if self.sound.contains_key(&row.generation) {
                continue;
            }
            let folder = inner.layout.segment(row.generation);
            match Segment::open(&folder, &uuid, model, row.generation) {
                Ok(segment) => {
                    self.sound.insert(row.generation, segment.nodes().iter().copied().collect());
                }
                Err(reason) => broken.push((row.generation, reason)),
            }
        }
        let reader = inner.reader.clone();
        let used = inner.sqlite.wait(async move { reader.used_nodes().await })?;
        let mut tail = used.clone();
        let mut sound = BTreeMap::new();
        for (generation, nodes) in &self.sound {
            tail -= nodes;
            sound.insert(*generation, (nodes.len(), nodes & &used));
        }
        Ok(Standing { tail, sound, broken })
    }

    /// What is worth sealing; `None` where nothing is.
    pub(crate) fn plan(&mut self, inner: &Inner, model: &ModelRow) -> Result<Option<Plan>, IndexError> {
        let options = &inner.options;
        if options.vector == VectorMode::Exact {
            return Ok(None);
        }
        let standing = self.standing(inner, model)?;
        for (generation, reason) in &standing.broken {
            tracing::warn!(segment = generation, %reason, "a vector segment cannot be used and is built anew");
        }
        let at_least = if options.vector == VectorMode::Auto { options.hnsw_min_vectors } else { 0 };
        let worth = Worth {
            in_use: at_least as u64,
            tail_least: options.seal_min_vectors.max(2) as u64,
            tail_most: options.hnsw_min_vectors as u64,
        };
        Ok(plan(standing, worth))
    }
}

/// From when on sealing is worth it.
#[derive(Clone, Copy, Debug)]
struct Worth {
    /// Vectors in use.
    in_use: u64,
    /// Vectors in no segment, at the least.
    tail_least: u64,
    /// Vectors in no segment that are always worth it.
    tail_most: u64,
}

fn plan(standing: Standing, worth: Worth) -> Option<Plan> {
    let sealed: u64 = standing.sound.values().map(|(_, live)| live.len()).sum();
    if standing.tail.len() + sealed < worth.in_use {
        return None;
    }
    let is_stale = |held: u64, live: u64| (held - live) * STALE_SHARE > held;
    let anything_stale = standing.sound.values().any(|(held, live)| is_stale(*held, live.len()));
    let enough = (sealed / 10).clamp(worth.tail_least, worth.tail_most.max(worth.tail_least));
    if standing.tail.len() < enough && standing.broken.is_empty() && !anything_stale {
        return None;
    }
    let mut replaced: Vec<i64> = standing.broken.iter().map(|(generation, _)| *generation).collect();
    let mut nodes = standing.tail;
    let mut others = Vec::new();
    for (generation, (held, live)) in standing.sound {
        if is_stale(held, live.len()) {
            nodes |= live;
            replaced.push(generation);
        } else {
            others.push((generation, live));
        }
    }
    others.sort_by_key(|(generation, live)| (live.len(), *generation));
    // Those that are not of a greater size, as soon as there are enough of them; then there may be enough of the next size.
    loop {
        let mut total = nodes.len();
        let fits = |(_, live): &&(i64, RoaringTreemap)| {
            total += live.len();
            size_class(live.len()) <= size_class(nodes.len()) && total <= MAX_SEGMENT
        };
        let small = others.iter().take_while(fits).count();
        if small + 1 < OF_A_SIZE {
            break;
        }
        for (generation, live) in others.drain(..small) {
            nodes |= live;
            replaced.push(generation);
        }
    }
    replaced.sort_unstable();
    let count = nodes.len().div_ceil(MAX_SEGMENT).max(1);
    let nodes: Vec<Node> = nodes.into_iter().collect();
    let size = nodes.len().div_ceil(usize::try_from(count).unwrap_or(1)).max(1);
    // A graph needs two; a single one stays to be compared.
    let built = nodes.chunks(size).filter(|part| part.len() > 1).map(<[Node]>::to_vec).collect();
    Some(Plan { built, replaced })
}

/// Sizes of one class differ by less than a factor of four.
fn size_class(vectors: u64) -> u32 {
    vectors.max(1).ilog2() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORTH: Worth = Worth { in_use: 0, tail_least: 2, tail_most: 1000 };

    /// Segments of so many vectors, all in use, and a tail behind them.
    fn standing(segments: &[u64], tail: u64) -> Standing {
        let mut start = 0;
        let mut sound = BTreeMap::new();
        for (generation, vectors) in (1..).zip(segments) {
            sound.insert(generation, (*vectors, (start..start + vectors).collect()));
            start += vectors;
        }
        Standing { tail: (start..start + tail).collect(), sound, broken: Vec::new() }
    }

    fn sizes(plan: &Plan) -> Vec<usize> {
        plan.built.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_small_tail_waits_and_a_large_one_becomes_a_segment() {
        assert_eq!(plan(standing(&[5_000], 499), WORTH), None);
        let sealed = plan(standing(&[5_000], 500), WORTH).unwrap();
        assert_eq!((sizes(&sealed), sealed.replaced), (vec![500], vec![]));
        // However much is sealed, no more than the bound waits.
        assert_eq!(plan(standing(&[90_000], 999), WORTH), None);
        assert!(plan(standing(&[90_000], 1_000), WORTH).is_some());
    }

    #[test]
    fn segments_of_a_size_become_one_and_larger_ones_stay() {
        let merged = plan(standing(&[1_000, 900, 50_000, 800], 1_000), WORTH).unwrap();
        assert_eq!((sizes(&merged), merged.replaced), (vec![3_700], vec![1, 2, 4]));
        let too_large = plan(standing(&[15_000, 15_000, 15_000], 15_000), WORTH).unwrap();
        assert_eq!((sizes(&too_large), too_large.replaced), (vec![15_000], vec![]));
        let some_fit = plan(standing(&[7_500, 7_500, 10_000, 10_000], 7_500), WORTH).unwrap();
        assert_eq!((sizes(&some_fit), some_fit.replaced), (vec![32_500], vec![1, 2, 3]));
    }

    #[test]
    fn a_segment_with_many_removed_vectors_is_built_anew_and_none_is_larger_than_the_bound() {
        let mut stale = standing(&[1_000], 0);
        stale.sound.get_mut(&1).unwrap().1.remove_range(0..201);
        let rebuilt = plan(stale, WORTH).unwrap();
        assert_eq!((sizes(&rebuilt), rebuilt.replaced), (vec![799], vec![1]));
        let divided = plan(standing(&[], 75_000), WORTH).unwrap();
        assert_eq!(sizes(&divided), [25_000; 3]);
        let mut empty = standing(&[10], 0);
        empty.sound.get_mut(&1).unwrap().1.clear();
        assert_eq!(plan(empty, WORTH), Some(Plan { built: Vec::new(), replaced: vec![1] }));
    }

    #[test]
    fn ever_new_tails_make_few_segments() {
        let mut segments: Vec<u64> = Vec::new();
        let mut built = 0;
        for _ in 0..200 {
            let done = plan(standing(&segments, 300), WORTH);
            let Some(done) = done else { continue };
            let mut kept: Vec<u64> =
                (1..).zip(&segments).filter(|(it, _)| !done.replaced.contains(it)).map(|(_, n)| *n).collect();
            kept.extend(done.built.iter().map(|part| part.len() as u64));
            built += done.built.iter().map(Vec::len).sum::<usize>();
            segments = kept;
        }
        assert!(segments.len() <= 3 * 5, "{segments:?}");
        assert!(built < 200 * 300 * 4, "{built}");
    }
}
