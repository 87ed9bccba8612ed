//! Measures the vector leg on synthetic clustered vectors: first load, exact search, seal, HNSW search and its recall.
//!
//! ```text
//! cargo run --release -p sidenote-index --example vector_speed -- 20000 384
//! ```

#![expect(clippy::print_stdout, reason = "its output is the measurement")]
#![expect(clippy::unwrap_used, reason = "a measurement that meets bad data stops")]

use std::time::Instant;

use sidenote_index::{
    EmbeddingModelInfo, Filter, Fingerprint, Index, IndexOptions, NewChunk, NewDocument, Scored, VectorMode,
};
use sidenote_text::{Chunk, Format, Span};

const MODEL: &str = "synthetic";
const CHUNKS_A_DOCUMENT: u32 = 100;

struct Random(u64);

impl Random {
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(self.0 >> 48).unwrap()) / 32_768.0 - 1.0
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u32>().unwrap());
    let (count, dimensions) = (numbers.next().unwrap_or(20_000), numbers.next().unwrap_or(384));
    let mut random = Random(1);
    let centres: Vec<Vec<f32>> = (0..200).map(|_| (0..dimensions).map(|_| random.number()).collect()).collect();
    let mut place = 0;
    let mut vector = |random: &mut Random| -> Vec<f32> {
        place = (place + 7) % centres.len();
        centres[place].iter().map(|number| number + 0.7 * random.number()).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let options = |mode| IndexOptions { vector: mode, ..IndexOptions::default() };
    let index = Index::open(folder.path(), &options(VectorMode::Hnsw)).unwrap();
    let mut writer = index.writer().unwrap();
    let dimensions = usize::try_from(dimensions).unwrap();
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
            chunks.push(NewChunk { chunk, hash, vector: Some(vector(&mut random)) });
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
    println!("{count} vectors of {dimensions} put in {:.1} s", begun.elapsed().as_secs_f64());
    let queries: Vec<Vec<f32>> = (0..200).map(|_| vector(&mut random)).collect();
    let begun = Instant::now();
    let exact = Index::open(folder.path(), &options(VectorMode::Exact)).unwrap();
    let expected = search(&exact, &queries, "exact, first search included");
    println!("  exact in all {:.3} s", begun.elapsed().as_secs_f64());
    search(&exact, &queries, "exact");
    let begun = Instant::now();
    writer.seal(&mut |_, _| true).unwrap();
    println!("sealed in {:.1} s", begun.elapsed().as_secs_f64());
    drop(writer);
    drop(index);
    for ef_search in [32, 64, 96, 200] {
        let index = Index::open(folder.path(), &IndexOptions { ef_search, ..options(VectorMode::Hnsw) }).unwrap();
        let begun = Instant::now();
        index.search_dense(&queries[0], MODEL, 10, &Filter::default()).unwrap();
        println!("  segment loaded in {:.3} s", begun.elapsed().as_secs_f64());
        let found = search(&index, &queries, &format!("HNSW, ef_search {ef_search}"));
        let same: usize = found
            .iter()
            .zip(&expected)
            .map(|(found, expected)| {
                found.iter().filter(|hit| expected.iter().any(|other| other.chunk == hit.chunk)).count()
            })
            .sum();
        println!("  recall@10 {:.4}", same as f64 / (10 * queries.len()) as f64);
    }
}

fn search(index: &Index, queries: &[Vec<f32>], name: &str) -> Vec<Vec<Scored>> {
    let begun = Instant::now();
    let found = queries.iter().map(|query| index.search_dense(query, MODEL, 10, &Filter::default()).unwrap()).collect();
    println!("  {name}: {:.3} ms a query", begun.elapsed().as_secs_f64() * 1000.0 / queries.len() as f64);
    found
}
