//! Measures the vector leg: opening, exact search, seal, HNSW search and its recall, as a line of JSON. `bench/vectors.py` sets it
//! beside other libraries.
//!
//! ```text
//! cargo run --release --workspace --example vector_speed -- 20000 384
//! cargo run --release --workspace --example vector_speed -- 90000 384 DATA/vectors/*/vectors
//! ```
//!
//! The vectors are synthetic, in 200 separate heaps, which is harder than text is; or those of a data folder's sealed segments,
//! of which 200 are taken out as queries. Where more are asked for than there are, the others are neighbours of these: a vector and
//! a tenth of its length in a random direction. With `SIDENOTE_BENCH_DATA=FOLDER` the index is kept there, and not built again.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is the measurement")]
#![expect(clippy::unwrap_used, reason = "a measurement that meets bad data stops")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use sidenote_index::{
    EmbeddingModelInfo, Filter, Fingerprint, Index, IndexOptions, IndexWriter, NewChunk, NewDocument, Scored,
    VectorMode,
};
use sidenote_text::{Chunk, Format, Span};

#[path = "../../../bench/support/files.rs"]
mod files;
#[allow(dead_code, reason = "each program uses some of it")]
#[path = "../../../bench/support/memory.rs"]
mod memory;

const MODEL: &str = "synthetic";
const CHUNKS_A_DOCUMENT: u32 = 100;
const QUERIES: usize = 200;
const NEIGHBOURS: usize = 10;
/// Set for the process that builds the index and does nothing else.
const BUILDS: &str = "SIDENOTE_BENCH_BUILDS";

struct Random(u64);

impl Random {
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(self.0 >> 48).unwrap()) / 32_768.0 - 1.0
    }
}

/// Where vectors come from.
struct Source {
    random: Random,
    /// Centres of heaps, or vectors of text.
    known: Vec<Vec<f32>>,
    is_real: bool,
    place: usize,
}

impl Source {
    fn new(files: &[String], dimensions: usize) -> Self {
        let mut random = Random(1);
        let mut known: Vec<Vec<f32>> = Vec::new();
        for file in files {
            let numbers: Vec<f32> =
                fs_err::read(file).unwrap().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            known.extend(numbers.chunks_exact(dimensions).map(<[f32]>::to_vec));
        }
        let is_real = !known.is_empty();
        if !is_real {
            known = (0..200).map(|_| (0..dimensions).map(|_| random.number()).collect()).collect();
        }
        Self { random, known, is_real, place: 0 }
    }

    /// Vectors that are not given again, if they are of text.
    fn queries(&mut self) -> Vec<Vec<f32>> {
        if !self.is_real {
            return (0..QUERIES).map(|_| self.vector()).collect();
        }
        let step = self.known.len() / QUERIES;
        (0..QUERIES).rev().map(|at| self.known.swap_remove(at * step)).collect()
    }

    fn vector(&mut self) -> Vec<f32> {
        let (place, count) = (self.place, self.known.len());
        self.place += 1;
        let spread = match self.is_real {
            true if place < count => 0.0,
            // The numbers of `random` have a variance of a third.
            true => 0.1 * (3.0 / self.known[0].len() as f32).sqrt(),
            false => 0.7,
        };
        self.known[place % count].iter().map(|number| number + spread * self.random.number()).collect()
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| arguments.next().map_or(otherwise, |argument| argument.parse().unwrap());
    let (count, dimensions) = (number(20_000), number(384));
    let dimensions = usize::try_from(dimensions).unwrap();
    let mut source = Source::new(&arguments.collect::<Vec<_>>(), dimensions);
    let queries: Vec<Vec<f32>> = source.queries();
    let options = |mode| IndexOptions { vector: mode, ..IndexOptions::default() };
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("SIDENOTE_BENCH_DATA").map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or(scratch.path());
    if std::env::var_os(BUILDS).is_some() {
        return build(folder, &options(VectorMode::Hnsw), &mut source, count, dimensions);
    }
    let begun = Instant::now();
    let mut build_s = 0.0;
    if !folder.join("vectors").exists() {
        // Another process, so that what building takes is not counted as the memory of a search.
        let mut other = std::process::Command::new(std::env::current_exe().unwrap());
        let other = other.args(std::env::args_os().skip(1)).env(BUILDS, "1").env("SIDENOTE_BENCH_DATA", folder);
        let built = other.stderr(std::process::Stdio::inherit()).output().unwrap();
        build_s = String::from_utf8_lossy(&built.stdout).trim().parse().unwrap();
    }
    eprintln!("ready after {:.1} s", begun.elapsed().as_secs_f64());
    let before = memory::resident_mib("self");
    let (mut open_s, mut memory_mib, mut measured) = (f64::INFINITY, 0, Vec::new());
    for ef in [32, 64, 96, 200] {
        let begun = Instant::now();
        let index = Index::open(folder, &IndexOptions { ef_search: ef, ..options(VectorMode::Hnsw) }).unwrap();
        index.search_dense(&queries[0], MODEL, NEIGHBOURS, &Filter::default()).unwrap();
        open_s = begun.elapsed().as_secs_f64().min(open_s);
        // Once to bring the files into memory, as with all peers but one.
        search(&index, &queries);
        let (found, ms) = search(&index, &queries);
        memory_mib = memory_mib.max(memory::resident_mib("self") - before);
        measured.push((ef, ms, found));
    }
    let exact = Index::open(folder, &options(VectorMode::Exact)).unwrap();
    let (expected, _) = search(&exact, &queries);
    let (_, exact_ms) = search(&exact, &queries);
    let known = |hit: &Scored, expected: &[Scored]| expected.iter().any(|other| other.chunk == hit.chunk);
    let searches = measured.into_iter().map(|(ef, ms, found)| {
        let pairs = found.iter().zip(&expected);
        let same: usize = pairs.map(|(found, expected)| found.iter().filter(|hit| known(hit, expected)).count()).sum();
        let recall = same as f64 / (NEIGHBOURS * queries.len()) as f64;
        serde_json::json!({ "ef": ef, "ms": ms, "recall": recall })
    });
    let result = serde_json::json!({
        "name": "sidenote", "exact_ms": exact_ms, "build_s": build_s, "open_s": open_s, "memory_mib": memory_mib,
        "mb": files::bytes_below(&folder.join("vectors")) as f64 / 1e6, "searches": searches.collect::<Vec<_>>(),
    });
    println!("{result}");
}

/// Stores and seals vectors; prints how many seconds the sealing took.
fn build(folder: &Path, options: &IndexOptions, source: &mut Source, count: u32, dimensions: usize) {
    let index = Index::open(folder, options).unwrap();
    let mut writer = index.writer().unwrap();
    fill(&mut writer, source, count, dimensions);
    let begun = Instant::now();
    writer.seal(&mut |_, _| true).unwrap();
    println!("{}", begun.elapsed().as_secs_f64());
}

/// Stores so many vectors, a hundred a document.
fn fill(writer: &mut IndexWriter, source: &mut Source, count: u32, dimensions: usize) {
    writer
        .set_embedding_model(&EmbeddingModelInfo { name: MODEL.to_owned(), sha256_hex: String::new(), dimensions })
        .unwrap();
    let begun = Instant::now();
    let mut number = 0_u32;
    while number < count {
        let text = "word ".repeat(usize::try_from(CHUNKS_A_DOCUMENT).unwrap());
        let mut chunks = Vec::new();
        for ordinal in 0..CHUNKS_A_DOCUMENT.min(count - number) {
            let start = usize::try_from(ordinal).unwrap() * 5;
            let chunk = Chunk {
                span: Span::new(start, start + 4),
                page: None,
                place: None,
                rows: Vec::new(),
                heading: Vec::new(),
                table_header: None,
                prefix: String::new(),
                text: "word".to_owned(),
                tokens: 3,
            };
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&(number + ordinal).to_le_bytes());
            chunks.push(NewChunk { chunk, hash, vector: Some(source.vector()) });
        }
        let document = NewDocument {
            collection: "default".to_owned(),
            path: number.to_string().into(),
            part: None,
            title: None,
            author: None,
            created_unix_ms: None,
            format: Format::Text,
            language: None,
            fingerprint: Fingerprint { size: 0, mtime_ns: 0, inode: 0, sha256: [0; 32] },
            text,
            pages: Vec::new(),
            modified_unix_ms: None,
            warnings: Vec::new(),
            waits_for_ocr: false,
        };
        writer.put(&document, &chunks).unwrap();
        number += CHUNKS_A_DOCUMENT;
    }
    eprintln!("{count} vectors of {dimensions} put in {:.1} s", begun.elapsed().as_secs_f64());
}

/// What is found, and milliseconds a query.
fn search(index: &Index, queries: &[Vec<f32>]) -> (Vec<Vec<Scored>>, f64) {
    let begun = Instant::now();
    let search = |query: &Vec<f32>| index.search_dense(query, MODEL, NEIGHBOURS, &Filter::default()).unwrap();
    let found = queries.iter().map(search).collect();
    (found, begun.elapsed().as_secs_f64() * 1000.0 / queries.len() as f64)
}
