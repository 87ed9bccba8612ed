//! Sealed vector segments: a folder each, written once and then searched where it lies.
//!
//! ```text
//! vectors          the numbers of each vector, f32, little-endian
//! links            the graph laid flat, u32, little-endian (graph.rs)
//! nodes            node of each vector, u64, little-endian, ascending
//! manifest.json    what it belongs to; length and crc32 of the others; written last, by rename
//! ```
//!
//! Everything is compared with the manifest before it is used. A segment never changes: removed vectors are marks in memory,
//! and what replaces it is another folder.

use std::io::{Read as _, Write as _};
use std::path::Path;

use fs_err as fs;
use memmap2::Mmap;
use roaring::{RoaringBitmap, RoaringTreemap};
use serde::{Deserialize, Serialize};

use crate::error::IndexError;
use crate::files;
use crate::graph::Graph;
use crate::hnsw::{Build, BuildFailure, Built, Parts};
use crate::sqlite::ModelRow;
use crate::vector::{Node, VectorIndex, keep_best};

const VECTORS: &str = "vectors";
const LINKS: &str = "links";
const NODES: &str = "nodes";
const MANIFEST: &str = "manifest.json";
/// A filter that lets at most this share of a segment through is not worth the graph.
const NARROW_SHARE: usize = 20;
/// Nor one that lets at most this many through.
const NARROW_COUNT: u64 = 1_000;

/// How the files are laid out. Those of another number are made anew.
const FORMAT: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    #[serde(default)]
    format: u32,
    store: String,
    generation: i64,
    model: String,
    dimensions: usize,
    vectors: usize,
    build: Build,
    files: Vec<FileSum>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileSum {
    name: String,
    bytes: u64,
    crc32: u32,
}

/// A sealed set of vectors with its graph.
pub(crate) struct Segment {
    vectors: Mmap,
    links: Mmap,
    /// Node of each number, ascending.
    nodes: Vec<Node>,
    /// Numbers that are no longer in use.
    removed: RoaringBitmap,
    dimensions: usize,
}

impl Segment {
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
        files::remove_folder(folder)?;
        files::make_private_folder(folder)?;
        let failed = |reason: String| IndexError::Segment { path: folder.to_owned(), reason };
        let built = match Built::of(parts, build) {
            Ok(built) => built,
            Err(BuildFailure::Stopped) => return Ok(false),
            Err(BuildFailure::Index(error)) => return Err(error),
            Err(BuildFailure::Broken(reason)) => return Err(failed(reason)),
        };
        let numbers = built.vectors().flatten().map(|number| number.to_le_bytes());
        let links = built.links().iter().map(|number| number.to_le_bytes());
        let sums = vec![
            write_synced(folder, VECTORS, numbers)?,
            write_synced(folder, LINKS, links)?,
            write_synced(folder, NODES, nodes.iter().map(|node| node.to_le_bytes()))?,
        ];
        drop(built);
        crate::crash::point("segment-before-manifest");
        let manifest = Manifest {
            format: FORMAT,
            store: store.to_owned(),
            generation,
            model: model.sha256_hex.clone(),
            dimensions: model.dimensions,
            vectors: nodes.len(),
            build,
            files: sums,
        };
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(error.to_string()))?;
        let unfinished = "manifest.unfinished";
        write_synced(folder, unfinished, [json])?;
        fs::rename(folder.join(unfinished), folder.join(MANIFEST))?;
        files::sync_folder(folder)?;
        if let Some(parent) = folder.parent() {
            files::sync_folder(parent)?;
        }
        Ok(true)
    }

    /// Opens a segment after every byte of it was checked. The error is words for the log.
    pub(crate) fn open(folder: &Path, store: &str, model: &ModelRow, generation: i64) -> Result<Self, String> {
        if cfg!(target_endian = "big") {
            return Err("its numbers are little-endian".to_owned());
        }
        let bytes = fs::read(folder.join(MANIFEST)).map_err(|error| error.to_string())?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        if manifest.format != FORMAT {
            return Err("another version of sidenote wrote it".to_owned());
        }
        if manifest.store != store
            || manifest.generation != generation
            || manifest.model != model.sha256_hex
            || manifest.dimensions != model.dimensions
        {
            return Err("it belongs to another database or model".to_owned());
        }
        let open = |name: &str| -> Result<Mmap, String> {
            let path = folder.join(name);
            // Read, not mapped: of what the disk cannot give, reading says so.
            let (bytes, crc32) = checksum(&path).map_err(|error| error.to_string())?;
            if !manifest.files.contains(&FileSum { name: name.to_owned(), bytes, crc32 }) {
                return Err(format!("`{name}` is not what its manifest says"));
            }
            map(&path).map_err(|error| error.to_string())
        };
        let (vectors, links) = (open(VECTORS)?, open(LINKS)?);
        let nodes: Vec<Node> = open(NODES)?.as_chunks().0.iter().map(|bytes| Node::from_le_bytes(*bytes)).collect();
        if nodes.len() != manifest.vectors || !nodes.is_sorted_by(|left, right| left < right) {
            return Err("its list of nodes does not fit its manifest".to_owned());
        }
        let segment = Self { vectors, links, nodes, removed: RoaringBitmap::new(), dimensions: model.dimensions };
        match segment.graph() {
            Some(_) => Ok(segment),
            None => Err("its files do not fit each other".to_owned()),
        }
    }

    /// The nodes of its vectors, ascending.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Marks all others as removed.
    pub(crate) fn keep_only(&mut self, in_use: &RoaringTreemap) {
        self.removed =
            (0_u32..).zip(&self.nodes).filter(|(_, node)| !in_use.contains(**node)).map(|(number, _)| number).collect();
    }

    /// Takes back a removal, where the vector is held.
    pub(crate) fn revive(&mut self, node: Node) {
        if let Some(number) = self.number(node) {
            self.removed.remove(number);
        }
    }

    fn graph(&self) -> Option<Graph<'_>> {
        let (links, vectors) = (bytemuck::try_cast_slice(&self.links), bytemuck::try_cast_slice(&self.vectors));
        Graph::new(links.ok()?, vectors.ok()?, self.nodes.len(), self.dimensions)
    }

    /// The numbers of those nodes that are held.
    fn held_of(&self, nodes: &RoaringTreemap) -> RoaringBitmap {
        if nodes.len() < self.nodes.len() as u64 {
            nodes.iter().filter_map(|node| self.number(node)).collect()
        } else {
            (0..).zip(&self.nodes).filter(|(_, node)| nodes.contains(**node)).map(|(number, _)| number).collect()
        }
    }

    fn number(&self, node: Node) -> Option<u32> {
        self.nodes.binary_search(&node).ok().and_then(|number| u32::try_from(number).ok())
    }
}

impl VectorIndex for Segment {
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

    fn search(
        &self,
        query: &[f32],
        limit: usize,
        candidates: usize,
        allowed: Option<&RoaringTreemap>,
    ) -> Vec<(Node, f32)> {
        let Some(graph) = self.graph().filter(|_| query.len() == self.dimensions && limit > 0) else {
            return Vec::new();
        };
        let found = match allowed {
            None if self.removed.is_empty() => graph.nearest(query, candidates, |_| true),
            None => graph.nearest(query, candidates, |number| !self.removed.contains(number)),
            Some(allowed) => {
                let passing = self.held_of(allowed) - &self.removed;
                let narrow = NARROW_COUNT.max((self.nodes.len() / NARROW_SHARE) as u64);
                if passing.len() <= narrow.max(candidates as u64) {
                    passing.iter().filter_map(|number| Some((number, graph.score(query, number)?))).collect()
                } else {
                    graph.nearest(query, candidates, |number| passing.contains(number))
                }
            }
        };
        let node = |(number, score): (u32, f32)| Some((*self.nodes.get(usize::try_from(number).ok()?)?, score));
        let mut found: Vec<(Node, f32)> = found.into_iter().filter_map(node).collect();
        keep_best(&mut found, limit);
        found
    }
}

/// Writes a private file from pieces, and waits until it is on the disk.
fn write_synced(
    folder: &Path,
    name: &str,
    pieces: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<FileSum, IndexError> {
    let path = folder.join(name);
    files::make_private_file(&path)?;
    let write = || {
        let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(&path)?);
        for piece in pieces {
            file.write_all(piece.as_ref())?;
        }
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        checksum(&path)
    };
    let (bytes, crc32) = write().map_err(|error| IndexError::from_io(&path, error))?;
    Ok(FileSum { name: name.to_owned(), bytes, crc32 })
}

/// Length and crc32 of a file, read in pieces.
fn checksum(path: &Path) -> std::io::Result<(u64, u32)> {
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

#[expect(unsafe_code, reason = "memory that others can change is not what Rust promises, see below")]
fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = fs::File::open(path)?;
    // SAFETY: nobody writes to a segment's files once they are there; a segment that goes is unlinked, which leaves what is
    // mapped as it is. Bytes that another program changes all the same are read as numbers, of which every pattern is one.
    // Where it cuts a file that is in use, or the disk loses it, the process ends, as it does for tantivy's files beside.
    unsafe { Mmap::map(&file) }
}
