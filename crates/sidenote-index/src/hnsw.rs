//! Seam for `hnsw_rs`, which builds the graph of a segment. Its links are mended (`mend.rs`), laid flat and walked
//! (`graph.rs`) by us.
//!
//! How hnsw_rs behaves on bad input, and how we shield it:
//! - A distance must be neither negative nor NaN, and more than 256 links end the process: guarded here.
//! - Equal vectors make others unreachable. The database holds each vector once, and they are inserted in shuffled order.
//! - Where there are too many links of a point it drops the farthest, and no link may be left that leads to a vector. Both is
//!   mended.
//! - Where a point opens a new layer, links of that layer lead to points that are not in it. They are left out.
//! - Its own files are written in place without syncing, panic or end the process where they are short, and must not be
//!   inserted into once read. They are not used.
//! - It logs through `log` and prints; nothing of a document reaches it but numbers.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hnsw_rs::hnsw::{Hnsw, Point};
use hnsw_rs::prelude::Distance;
use serde::{Deserialize, Serialize};

use crate::error::IndexError;
use crate::graph::{self, Lists, MAX_LAYERS};
use crate::mend::{choose_anew, lead_everywhere};
use crate::vector::{Node, dot};

/// Vectors read from the database at a time while a graph is built.
const FETCHED_AT_A_TIME: usize = 4_096;

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
        // Links that do not lead elsewhere than others would be taken out again by `choose_anew`.
        graph.set_keeping_pruned(false);
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
        let links = mended(&points, links).ok_or_else(|| BuildFailure::Broken("a link leads nowhere".to_owned()))?;
        Ok(Self { points, links })
    }

    /// The vectors by their numbers.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = &[f32]> {
        self.points.iter().map(|point| point.get_v())
    }

    /// The links as [`graph::Graph::new`] takes them.
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

/// The links of the graph, mended and laid flat; `None` where one leads nowhere. A point has `most` at the most in each layer, twice
/// as many in the lowest.
fn mended(points: &[Arc<Point<'static, f32>>], most: usize) -> Option<Vec<u32>> {
    let level = |point: &Point<'static, f32>| usize::from(point.get_point_id().0);
    let closeness = |left: usize, right: usize| dot(points[left].get_v(), points[right].get_v());
    let mut lists = Lists::with_capacity(points.len());
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
        choose_anew(&mut lists, layer, if layer == 0 { 2 * most } else { most }, closeness)?;
        lead_everywhere(&mut lists, entry, layer, closeness)?;
    }
    graph::laid_flat(&lists, entry)
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
