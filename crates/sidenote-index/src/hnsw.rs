//! The graph of a segment: hnsw_rs builds it, and it is laid flat and walked here (Malkov and Yashunin, "Efficient and robust
//! approximate nearest neighbor search using hierarchical navigable small world graphs", TPAMI 2020).
//!
//! In memory a graph of hnsw_rs takes some 2.5 KiB a vector beside its numbers, and a walk goes through two pointers and a lock to
//! each link; its files have to be read link by link before a first search. Laid flat the same links take 150 bytes a vector and are
//! searched where they stand in the file.
//!
//! How hnsw_rs behaves on bad input, and how we shield it:
//! - A distance must be neither negative nor NaN, and more than 256 links end the process: guarded here.
//! - Equal vectors make others unreachable. The database holds each vector once, and they are inserted in shuffled order.
//! - It drops links where there are too many of them, and no link may be left that leads to a vector. [`lead_everywhere`] adds
//!   one.
//! - Where a point opens a new layer, links of that layer lead to points that are not in it. They are left out.
//! - Its own files are written in place without syncing, panic or end the process where they are short, and must not be
//!   inserted into once read. They are not used.
//! - It logs through `log` and prints; nothing of a document reaches it but numbers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hnsw_rs::hnsw::{Hnsw, Point};
use hnsw_rs::prelude::Distance;
use serde::{Deserialize, Serialize};

use crate::error::IndexError;
use crate::vector::{Node, dot};

/// Layers of a graph at the most; the library fixes it.
const MAX_LAYERS: usize = 16;
/// Vectors read from the database at a time while a graph is built.
const FETCHED_AT_A_TIME: usize = 4_096;
/// Candidates followed in the upper layers. The paper follows one; vectors that lie in separate heaps have then often been left
/// in the wrong one, which no link of the lowest layer leads out of.
const UPPER_BEAM: usize = 32;

/// How a graph is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    /// Links of a node, 2 to 255; twice as many in the lowest layer.
    pub(crate) max_links: usize,
    /// Candidates looked at while building, at least 1.
    pub(crate) ef_construction: usize,
}

/// Vectors, each with its node.
type NodeVectors = Vec<(Node, Vec<f32>)>;

/// What a graph is built of.
pub(crate) struct Parts<'a> {
    /// Ascending. The number of a point is its place here.
    pub(crate) nodes: &'a [Node],
    /// Gives vectors, distinct and of length 1, some at a time: they need not be held beside the graph, which has a copy.
    pub(crate) fetch: &'a dyn Fn(&[Node]) -> Result<NodeVectors, IndexError>,
    /// Asked before each vector.
    pub(crate) go_on: &'a mut dyn FnMut() -> bool,
}

/// Why there is no graph.
#[derive(Debug)]
pub(crate) enum BuildFailure {
    /// It was told to stop.
    Stopped,
    /// The vectors could not be read.
    Index(IndexError),
    /// Something is not as it must be.
    Broken(String),
}

/// One minus the dot product; of unit vectors the cosine distance.
#[derive(Clone, Copy, Debug, Default)]
struct UnitDistance;

impl Distance<f32> for UnitDistance {
    fn eval(&self, left: &[f32], right: &[f32]) -> f32 {
        let distance = 1.0 - dot(left, right);
        // `max` also turns a NaN, which no stored vector can give, into 0.
        distance.max(0.0)
    }
}

/// A graph that was built, with its vectors.
pub(crate) struct Built {
    points: Vec<Arc<Point<'static, f32>>>,
    links: Vec<u32>,
}

impl Built {
    /// Builds the graph of these vectors.
    pub(crate) fn of(parts: Parts<'_>, build: Build) -> Result<Self, BuildFailure> {
        catch_unwind(AssertUnwindSafe(|| Self::insert_all(parts, build)))
            .unwrap_or_else(|_| Err(BuildFailure::Broken("the library panicked".to_owned())))
    }

    fn insert_all(parts: Parts<'_>, build: Build) -> Result<Self, BuildFailure> {
        let nodes = parts.nodes;
        let links = build.max_links.clamp(2, 255);
        let mut graph = Hnsw::new(links, nodes.len(), MAX_LAYERS, build.ef_construction.max(1), UnitDistance);
        graph.set_keeping_pruned(true);
        for numbers in shuffled(nodes.len()).chunks(FETCHED_AT_A_TIME) {
            let some: Vec<Node> = numbers.iter().map(|&number| nodes[number]).collect();
            let vectors: HashMap<Node, Vec<f32>> =
                (parts.fetch)(&some).map_err(BuildFailure::Index)?.into_iter().collect();
            for &number in numbers {
                let missing = || BuildFailure::Broken(format!("the database has no vector {}", nodes[number]));
                if !(parts.go_on)() {
                    return Err(BuildFailure::Stopped);
                }
                graph.insert_slice((vectors.get(&nodes[number]).ok_or_else(missing)?, number));
            }
        }
        let points =
            points_of(&graph, nodes.len()).ok_or_else(|| BuildFailure::Broken("a point is missing".to_owned()))?;
        let links = laid_flat(&points).ok_or_else(|| BuildFailure::Broken("a link leads nowhere".to_owned()))?;
        Ok(Self { points, links })
    }

    /// The vectors by their numbers.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = &[f32]> {
        self.points.iter().map(|point| point.get_v())
    }

    /// The links as [`Graph::new`] takes them.
    pub(crate) fn links(&self) -> &[u32] {
        &self.links
    }
}

/// The graph's points in the order of their numbers; `None` where one is missing.
fn points_of(graph: &Hnsw<'static, f32, UnitDistance>, count: usize) -> Option<Vec<Arc<Point<'static, f32>>>> {
    let mut points = vec![None; count];
    let indexed = graph.get_point_indexation();
    for layer in 0..=usize::from(graph.get_max_level_observed()) {
        for point in indexed.get_layer_iterator(layer) {
            let place = points.get_mut(point.get_origin_id())?;
            *place = Some(point);
        }
    }
    points.into_iter().collect()
}

/// The number of the point that searches begin at; where the lists of each point begin and where the last one's end, counted
/// from behind these; the lists. A point has one for each layer that it is in, the lowest first: how many links, then the
/// numbers of the points they lead to.
fn laid_flat(points: &[Arc<Point<'static, f32>>]) -> Option<Vec<u32>> {
    let level = |point: &Point<'static, f32>| usize::from(point.get_point_id().0);
    let mut lists: Vec<Vec<Vec<u32>>> = Vec::with_capacity(points.len());
    for point in points {
        let of_point =
            point.get_neighborhood_id().into_iter().take(level(point) + 1).enumerate().map(|(layer, near)| {
                let of_layer = near.iter().filter(|near| usize::from(near.p_id.0) >= layer);
                of_layer.map(|near| u32::try_from(near.d_id)).collect()
            });
        lists.push(of_point.collect::<Result<_, _>>().ok()?);
    }
    let entry = (0..points.len()).rev().max_by_key(|&number| level(&points[number]))?;
    for layer in 0..lists.get(entry)?.len() {
        lead_everywhere(&mut lists, entry, layer, |left, right| dot(points[left].get_v(), points[right].get_v()))?;
    }
    let mut flat = vec![u32::try_from(entry).ok()?, 0];
    let mut end = 0;
    for of_point in &lists {
        end += of_point.iter().map(|list| 1 + list.len()).sum::<usize>();
        flat.push(u32::try_from(end).ok()?);
    }
    flat.reserve_exact(end);
    for list in lists.iter().flatten() {
        flat.push(u32::try_from(list.len()).ok()?);
        flat.extend(list);
    }
    Some(flat)
}

/// Adds links to a layer until they lead from `entry` to every point of it: from the nearest that can be reached, which a walk
/// towards the point comes by. Points of other layers are left alone; `closeness` compares two.
fn lead_everywhere(
    lists: &mut [Vec<Vec<u32>>],
    entry: usize,
    layer: usize,
    closeness: impl Fn(usize, usize) -> f32,
) -> Option<()> {
    let is_here = |lists: &[Vec<Vec<u32>>], number: usize| lists.get(number).is_some_and(|of| of.len() > layer);
    let mut is_reached = vec![false; lists.len()];
    let mut todo = vec![entry];
    *is_reached.get_mut(entry)? = true;
    for number in 0..lists.len() {
        while let Some(from) = todo.pop() {
            for &next in lists[from].get(layer)? {
                let next = usize::try_from(next).ok().filter(|next| is_here(lists, *next))?;
                if !std::mem::replace(&mut is_reached[next], true) {
                    todo.push(next);
                }
            }
        }
        if is_reached[number] || !is_here(lists, number) {
            continue;
        }
        let reached = (0..lists.len()).filter(|&other| is_reached[other]);
        let from = reached.max_by(|&left, &right| closeness(left, number).total_cmp(&closeness(right, number)))?;
        lists[from].get_mut(layer)?.push(u32::try_from(number).ok()?);
        is_reached[number] = true;
        todo.push(number);
    }
    Some(())
}

/// A graph laid flat, and its vectors.
#[derive(Clone, Copy)]
pub(crate) struct Graph<'a> {
    entry: u32,
    starts: &'a [u32],
    lists: &'a [u32],
    vectors: &'a [f32],
    dimensions: usize,
}

/// A point that was come across, better ones greater.
#[derive(Clone, Copy)]
struct Near {
    score: f32,
    number: u32,
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Near {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Near {}

impl<'a> Graph<'a> {
    /// The graph of `count` vectors; `None` where these are no links of so many. Lists are believed when they are followed:
    /// what leads nowhere is passed over.
    pub(crate) fn new(links: &'a [u32], vectors: &'a [f32], count: usize, dimensions: usize) -> Option<Self> {
        let (&entry, rest) = links.split_first()?;
        let (starts, lists) = rest.split_at_checked(count.checked_add(1)?)?;
        let is_whole = vectors.len() == count.checked_mul(dimensions)?
            && usize::try_from(entry).is_ok_and(|entry| entry < count)
            && starts.first() == Some(&0)
            && starts.last().is_some_and(|end| usize::try_from(*end).is_ok_and(|end| end == lists.len()));
        is_whole.then_some(Self { entry, starts, lists, vectors, dimensions })
    }

    /// The cosine of a unit vector with the vector of this number.
    pub(crate) fn score(&self, query: &[f32], number: u32) -> Option<f32> {
        let start = usize::try_from(number).ok()?.checked_mul(self.dimensions)?;
        Some(dot(query, self.vectors.get(start..start.checked_add(self.dimensions)?)?))
    }

    /// The numbers that the links of a point in a layer lead to; none where it is not in that layer.
    fn links(&self, number: u32, layer: usize) -> &'a [u32] {
        let find = || {
            let number = usize::try_from(number).ok()?;
            let (start, end) = (*self.starts.get(number)?, *self.starts.get(number + 1)?);
            let mut lists = self.lists.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
            for _ in 0..layer {
                let (&length, rest) = lists.split_first()?;
                lists = rest.get(usize::try_from(length).ok()?..)?;
            }
            let (&length, rest) = lists.split_first()?;
            rest.get(..usize::try_from(length).ok()?)
        };
        find().unwrap_or_default()
    }

    /// Walks to the `ef` nearest of those that `passes` lets through, their scores with them, in no order. Points that it does not
    /// let through are still walked over.
    pub(crate) fn nearest(&self, query: &[f32], ef: usize, passes: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let mut ahead: Vec<Near> = self.near(query, self.entry).into_iter().collect();
        let layers = (1..MAX_LAYERS).rev().skip_while(|&layer| self.links(self.entry, layer).is_empty());
        for layer in layers {
            ahead = self.walk(query, layer, ahead, UPPER_BEAM, |_| true);
        }
        self.walk(query, 0, ahead, ef, passes).into_iter().map(|near| (near.number, near.score)).collect()
    }

    fn near(&self, query: &[f32], number: u32) -> Option<Near> {
        self.score(query, number).map(|score| Near { score, number })
    }

    /// The `ef` best that pass, in no order, of those that links of a layer lead to from the points `ahead`.
    fn walk(
        &self,
        query: &[f32],
        layer: usize,
        ahead: Vec<Near>,
        ef: usize,
        passes: impl Fn(u32) -> bool,
    ) -> Vec<Near> {
        let mut is_seen = vec![0_u64; self.starts.len().div_ceil(64)];
        let mut see = |number: u32| {
            let (word, bit) = (number as usize / 64, 1_u64 << (number % 64));
            is_seen.get_mut(word).is_some_and(|word| {
                let is_new = *word & bit == 0;
                *word |= bit;
                is_new
            })
        };
        let mut found: BinaryHeap<Reverse<Near>> = BinaryHeap::new();
        let mut ahead: BinaryHeap<Near> = ahead.into();
        for near in &ahead {
            see(near.number);
            if passes(near.number) {
                found.push(Reverse(*near));
            }
        }
        while found.len() > ef {
            found.pop();
        }
        let is_beaten = |found: &BinaryHeap<Reverse<Near>>, near: Near| {
            found.len() >= ef && found.peek().is_none_or(|Reverse(worst)| near < *worst)
        };
        while let Some(at) = ahead.pop().filter(|at| !is_beaten(&found, *at)) {
            for &next in self.links(at.number, layer) {
                let Some(next) = see(next).then(|| self.near(query, next)).flatten() else { continue };
                if is_beaten(&found, next) {
                    continue;
                }
                ahead.push(next);
                if passes(next.number) {
                    found.push(Reverse(next));
                    if found.len() > ef {
                        found.pop();
                    }
                }
            }
        }
        found.into_iter().map(|Reverse(near)| near).collect()
    }
}

/// `0..count` in an order that looks random and is always the same.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..count).rev() {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let place = mixed % (last as u64 + 1);
        order.swap(last, usize::try_from(place).unwrap_or(last));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_point_is_left_that_no_link_leads_to() {
        // 0 and 1 know each other; 2 knows 1 but nobody knows it; 3 and 4 know only each other.
        let mut lists: Vec<Vec<Vec<u32>>> = [vec![1], vec![0], vec![1], vec![4], vec![3]].map(|list| vec![list]).into();
        // They are also in the layer above, but for 1, and know nobody there.
        for number in [0, 2, 3, 4] {
            lists[number].push(Vec::new());
        }
        let closeness = |left: usize, right: usize| -((left as f32) - (right as f32)).abs();
        lead_everywhere(&mut lists, 0, 0, closeness).unwrap();
        let lowest: Vec<&[u32]> = lists.iter().map(|of_point| of_point[0].as_slice()).collect();
        assert_eq!(lowest, [&[1][..], &[0, 2], &[1, 3], &[4], &[3]]);
        lead_everywhere(&mut lists, 0, 1, closeness).unwrap();
        assert_eq!(
            (lists[0].get(1), lists[2].get(1), lists[3].get(1)),
            (Some(&vec![2]), Some(&vec![3]), Some(&vec![4]))
        );
        // To no point at all, and to one that is not in the layer.
        assert_eq!(lead_everywhere(&mut [vec![vec![7]]], 0, 0, closeness), None);
        assert_eq!(lead_everywhere(&mut [vec![vec![1], vec![1]], vec![vec![0]]], 0, 1, closeness), None);
    }

    #[test]
    fn links_that_lead_nowhere_are_passed_over() {
        let vectors = [1.0, 0.0, 0.8, 0.6, 0.0, 1.0];
        // The entry is 1, in two layers. Point 2's list says that it is longer than it is.
        let links = [1, 0, 3, 8, 10, 2, 1, 9, 2, 0, 2, 1, 2, 7, 0];
        let graph = Graph::new(&links, &vectors, 3, 2).unwrap();
        let mut found = graph.nearest(&[0.0, 1.0], 3, |_| true);
        found.sort_unstable_by_key(|(number, _)| *number);
        assert_eq!(found, [(0, 0.0), (1, 0.6), (2, 1.0)]);
        assert_eq!(graph.nearest(&[0.0, 1.0], 1, |number| number == 0), [(0, 0.0)]);
        for (links, count) in [(&links[..4], 3), (&links[..14], 3), (&links, 2), (&[3, 0, 0, 0, 0], 3), (&[], 0)] {
            assert!(Graph::new(links, &vectors, count, 2).is_none());
        }
    }
}
