//! Sealed vector segments on hnsw_rs.
//!
//! How hnsw_rs behaves on bad input, and how we shield it:
//! - A truncated graph file panics, a truncated data file calls `process::exit`. A segment is loaded only after length
//!   and crc32 of every file match its manifest, and the manifest is written last, by rename.
//! - Its dump writes in place without syncing. We dump into a new folder that nobody reads yet, and sync everything.
//! - A reloaded graph must not be inserted into (the level scale is applied twice). A segment never changes; removed
//!   vectors are marks in memory, and a new segment is built from the database.
//! - A dump needs sixteen layers, a distance must be neither negative nor NaN, more than 256 links end the process: all
//!   three are constants or guarded here.
//! - Equal vectors make others unreachable. The database holds each vector once, and they are inserted in shuffled order.
//! - A filter that lets little through makes it visit the whole graph. Then the few are compared one by one.
//! - It logs through `log` and prints; nothing of a document reaches it but numbers.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use hnsw_rs::api::AnnT as _;
use hnsw_rs::hnsw::{Hnsw, Point};
use hnsw_rs::hnswio::HnswIo;
use hnsw_rs::prelude::Distance;
use roaring::{RoaringBitmap, RoaringTreemap};
use serde::{Deserialize, Serialize};

use crate::error::IndexError;
use crate::files;
use crate::sqlite::ModelRow;
use crate::vector::{Node, VectorIndex, dot, keep_best};

/// Layers that a dump can hold; the library fixes it.
const MAX_LAYERS: usize = 16;
/// Name of the library's two files.
const BASENAME: &str = "graph";
/// Name of the list of nodes: 8 bytes each, little-endian, in the order of the graph's own numbers.
const NODES: &str = "nodes";
const MANIFEST: &str = "manifest.json";
/// A filter that lets at most this share of a segment through is not worth the graph.
const NARROW_SHARE: usize = 20;
/// Nor one that lets at most this many through.
const NARROW_COUNT: u64 = 1_000;

/// Vectors read from the database at a time while a graph is built.
const FETCHED_AT_A_TIME: usize = 4_096;

/// How a graph is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    /// Links of a node, 2 to 255.
    pub(crate) max_links: usize,
    /// Candidates looked at while building, at least 1.
    pub(crate) ef_construction: usize,
}

/// Vectors, each with its node.
type NodeVectors = Vec<(Node, Vec<f32>)>;

/// What a graph is built of.
pub(crate) struct Parts<'a> {
    /// Ascending.
    pub(crate) nodes: &'a [Node],
    /// Gives vectors, distinct and of length 1, some at a time: they need not be held beside the graph, which has a copy.
    pub(crate) fetch: &'a dyn Fn(&[Node]) -> Result<NodeVectors, IndexError>,
    /// Asked before each vector.
    pub(crate) go_on: &'a mut dyn FnMut() -> bool,
}

/// One minus the dot product; of unit vectors the cosine distance. The name is part of the file format.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnitDistance;

impl Distance<f32> for UnitDistance {
    fn eval(&self, left: &[f32], right: &[f32]) -> f32 {
        let distance = 1.0 - dot(left, right);
        // `max` also turns a NaN, which no stored vector can give, into 0.
        distance.max(0.0)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    store: String,
    generation: i64,
    model: String,
    dimensions: usize,
    vectors: usize,
    build: Build,
    files: Vec<FileSum>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileSum {
    name: String,
    bytes: u64,
    crc32: u32,
}

/// A sealed set of vectors with its graph.
pub(crate) struct HnswSegment {
    graph: Hnsw<'static, f32, UnitDistance>,
    /// The graph's own points by their number, for exact comparison.
    points: Vec<Arc<Point<'static, f32>>>,
    /// Node of each number, ascending.
    nodes: Vec<Node>,
    /// Numbers that are no longer in use.
    removed: RoaringBitmap,
    dimensions: usize,
    ef_search: usize,
}

impl HnswSegment {
    /// Builds a segment and puts it on the disk; false when stopped.
    pub(crate) fn write(
        folder: &Path,
        store: &str,
        model: &ModelRow,
        generation: i64,
        parts: Parts<'_>,
        build: Build,
    ) -> Result<bool, IndexError> {
        let nodes = parts.nodes;
        let failed = |reason: String| IndexError::Segment { path: folder.to_owned(), reason };
        files::remove_folder(folder)?;
        files::make_private_folder(folder)?;
        let dumped = catch_unwind(AssertUnwindSafe(|| {
            let links = build.max_links.clamp(2, 255);
            let mut graph = Hnsw::<f32, UnitDistance>::new(
                links,
                nodes.len(),
                MAX_LAYERS,
                build.ef_construction.max(1),
                UnitDistance,
            );
            graph.set_keeping_pruned(true);
            for numbers in shuffled(nodes.len()).chunks(FETCHED_AT_A_TIME) {
                let some: Vec<Node> = numbers.iter().map(|&number| nodes[number]).collect();
                let vectors: HashMap<Node, Vec<f32>> = (parts.fetch)(&some)?.into_iter().collect();
                for &number in numbers {
                    let missing = || failed(format!("the database has no vector {}", nodes[number]));
                    if !(parts.go_on)() {
                        return Ok(false);
                    }
                    graph.insert_slice((vectors.get(&nodes[number]).ok_or_else(missing)?, number));
                }
            }
            match graph.file_dump(folder, BASENAME).map_err(|error| error.to_string()) {
                Ok(name) if name == BASENAME => Ok(true),
                Ok(name) => Err(failed(format!("the graph was written as `{name}`"))),
                Err(reason) if reason.contains("No space left") => {
                    Err(IndexError::DiskFull { path: folder.to_owned() })
                }
                Err(reason) => Err(failed(reason)),
            }
        }));
        if !dumped.map_err(|_| failed("the library panicked".to_owned()))?? {
            return Ok(false);
        }
        let list: Vec<u8> = nodes.iter().flat_map(|node| node.to_le_bytes()).collect();
        write_synced(&folder.join(NODES), &list)?;
        crate::crash::point("segment-before-manifest");
        let mut sums = Vec::new();
        for name in [format!("{BASENAME}.hnsw.graph"), format!("{BASENAME}.hnsw.data"), NODES.to_owned()] {
            let path = folder.join(&name);
            fs::File::open(&path)?.sync_all()?;
            let (bytes, crc32) = checksum(&path)?;
            sums.push(FileSum { name, bytes, crc32 });
        }
        let manifest = Manifest {
            store: store.to_owned(),
            generation,
            model: model.sha256_hex.clone(),
            dimensions: model.dimensions,
            vectors: nodes.len(),
            build,
            files: sums,
        };
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(error.to_string()))?;
        let unfinished = folder.join("manifest.unfinished");
        write_synced(&unfinished, &json)?;
        fs::rename(&unfinished, folder.join(MANIFEST))?;
        files::make_files_private(folder)?;
        files::sync_folder(folder)?;
        if let Some(parent) = folder.parent() {
            files::sync_folder(parent)?;
        }
        Ok(true)
    }

    /// Checks every byte of a segment; returns its nodes, ascending. The error is words for the log.
    pub(crate) fn verify(folder: &Path, store: &str, model: &ModelRow, generation: i64) -> Result<Vec<Node>, String> {
        let bytes = fs::read(folder.join(MANIFEST)).map_err(|error| error.to_string())?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        if manifest.store != store
            || manifest.generation != generation
            || manifest.model != model.sha256_hex
            || manifest.dimensions != model.dimensions
        {
            return Err("it belongs to another database or model".to_owned());
        }
        let expected = [format!("{BASENAME}.hnsw.graph"), format!("{BASENAME}.hnsw.data"), NODES.to_owned()];
        if !manifest.files.iter().map(|sum| &sum.name).eq(expected.iter()) {
            return Err("its manifest lists other files".to_owned());
        }
        for sum in &manifest.files {
            let found = checksum(&folder.join(&sum.name)).map_err(|error| error.to_string())?;
            if found != (sum.bytes, sum.crc32) {
                return Err(format!("`{}` does not match its checksum", sum.name));
            }
        }
        let nodes: Vec<Node> = fs::read(folder.join(NODES))
            .map_err(|error| error.to_string())?
            .as_chunks::<8>()
            .0
            .iter()
            .map(|bytes| Node::from_le_bytes(*bytes))
            .collect();
        if nodes.len() != manifest.vectors || !nodes.is_sorted_by(|left, right| left < right) {
            return Err("its list of nodes does not fit its manifest".to_owned());
        }
        Ok(nodes)
    }

    /// Loads a segment after all of it was checked. The error is words for the log.
    pub(crate) fn load(
        folder: &Path,
        store: &str,
        model: &ModelRow,
        generation: i64,
        ef_search: usize,
    ) -> Result<Self, String> {
        let nodes = Self::verify(folder, store, model, generation)?;
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            // The loader must outlive the graph by its signature, though the graph keeps nothing of it when nothing is
            // mapped. It is a path and some numbers; a process loads few segments.
            let loader = Box::leak(Box::new(HnswIo::new(folder, BASENAME)));
            loader.load_hnsw::<f32, UnitDistance>().map_err(|error| error.to_string())
        }));
        let graph = loaded.map_err(|_| "the library panicked".to_owned())??;
        let points = points_of(&graph, nodes.len(), model.dimensions)?;
        Ok(Self { graph, points, nodes, removed: RoaringBitmap::new(), dimensions: model.dimensions, ef_search })
    }

    /// Marks as removed what `in_use` does not know.
    pub(crate) fn keep_only(&mut self, in_use: impl Fn(Node) -> bool) {
        self.removed =
            (0_u32..).zip(&self.nodes).filter(|(_, node)| !in_use(**node)).map(|(number, _)| number).collect();
    }

    /// Takes back a removal, where the vector is held.
    pub(crate) fn revive(&mut self, node: Node) {
        if let Some(number) = self.number(node) {
            self.removed.remove(number);
        }
    }

    fn number(&self, node: Node) -> Option<u32> {
        self.nodes.binary_search(&node).ok().and_then(|number| u32::try_from(number).ok())
    }

    fn score(&self, query: &[f32], number: usize) -> Option<(Node, f32)> {
        Some((*self.nodes.get(number)?, dot(query, self.points.get(number)?.get_v())))
    }
}

impl VectorIndex for HnswSegment {
    fn len(&self) -> usize {
        self.nodes.len()
    }

    fn contains(&self, node: Node) -> bool {
        self.number(node).is_some_and(|number| !self.removed.contains(number))
    }

    fn remove(&mut self, node: Node) {
        if let Some(number) = self.number(node) {
            self.removed.insert(number);
        }
    }

    fn search(&self, query: &[f32], limit: usize, allowed: Option<&RoaringTreemap>) -> Vec<(Node, f32)> {
        if query.len() != self.dimensions || limit == 0 {
            return Vec::new();
        }
        let mut found: Vec<(Node, f32)> = match allowed {
            None if self.removed.is_empty() => {
                let near = self.graph.search(query, limit.min(self.nodes.len()), self.ef_search.max(limit));
                near.iter().filter_map(|near| self.score(query, near.d_id)).collect()
            }
            allowed => {
                let passing: RoaringBitmap = match allowed {
                    Some(allowed) => allowed.iter().filter_map(|node| self.number(node)).collect(),
                    None => (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).collect(),
                };
                let passing = passing - &self.removed;
                let narrow = NARROW_COUNT.max((self.nodes.len() / NARROW_SHARE) as u64);
                if passing.len() <= narrow || passing.len() <= limit as u64 {
                    passing.iter().filter_map(|number| self.score(query, number as usize)).collect()
                } else {
                    let passes = |number: &usize| u32::try_from(*number).is_ok_and(|number| passing.contains(number));
                    let near = self.graph.search_filter(query, limit, self.ef_search.max(limit), Some(&passes));
                    near.iter()
                        .filter(|near| passes(&near.d_id))
                        .filter_map(|near| self.score(query, near.d_id))
                        .collect()
                }
            }
        };
        keep_best(&mut found, limit);
        found
    }
}

/// The graph's points in the order of their numbers, each number exactly once.
fn points_of(
    graph: &Hnsw<'static, f32, UnitDistance>,
    count: usize,
    dimensions: usize,
) -> Result<Vec<Arc<Point<'static, f32>>>, String> {
    let mut points = vec![None; count];
    let indexed = graph.get_point_indexation();
    for layer in 0..=usize::from(graph.get_max_level_observed()) {
        for point in indexed.get_layer_iterator(layer) {
            let length = point.get_v().len();
            let place = points.get_mut(point.get_origin_id()).ok_or("a point has a number out of range")?;
            if length != dimensions {
                return Err(format!("a point has {length} numbers"));
            }
            *place = Some(point);
        }
    }
    points.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| "a point is missing".to_owned())
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

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), IndexError> {
    files::make_private_file(path)?;
    let write = || {
        fs::write(path, bytes)?;
        fs::File::open(path)?.sync_all()
    };
    write().map_err(|error| IndexError::from_io(path, error))
}

/// Length and crc32 of a file, read in pieces.
fn checksum(path: &Path) -> std::io::Result<(u64, u32)> {
    use std::io::Read as _;
    let mut file = fs::File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}
