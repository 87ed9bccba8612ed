//! Small documents and a deterministic stand-in for an embedding model: what is tested here is the store, which only
//! sees numbers.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are remainders")]

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};
use sidenote_index::{
    ChunkId, DocumentId, EmbeddingModelInfo, Filter, Fingerprint, Index, IndexOptions, IndexWriter, NewChunk,
    NewDocument, NewTurn, PutReport,
};
use sidenote_text::{Chunk, Format, Span};

/// A run of one of this file's tests, an ignored one, in a process of its own.
pub fn process_of(test: &str) -> Command {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args([test, "--exact", "--ignored", "--nocapture"]);
    process
}

pub const DIMENSIONS: usize = 8;
pub const MODEL: &str = "test-model";

/// A small generator whose numbers depend on its seed alone (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Between -1 and 1.
    pub fn number(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Words of a line to a direction: lines that share words point to similar places.
pub fn vector_of(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01; DIMENSIONS];
    for word in text.split_whitespace() {
        let mut random =
            Random::new(word.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))));
        for number in &mut vector {
            *number += random.number();
        }
    }
    unit(vector)
}

pub fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vector.into_iter().map(|number| number / length).collect()
}

/// Of a chunk without a prefix.
pub fn hash_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

pub fn model() -> EmbeddingModelInfo {
    EmbeddingModelInfo { name: MODEL.to_owned(), sha256_hex: "ab".repeat(32), dimensions: DIMENSIONS }
}

pub fn fingerprint(text: &str) -> Fingerprint {
    Fingerprint {
        size: text.len() as u64,
        mtime_ns: 1_700_000_000_000_000_000,
        inode: u64::MAX - 1,
        sha256: hash_of(text),
    }
}

/// A document whose chunks are its lines.
pub fn document(collection: &str, path: &str, text: &str) -> (NewDocument, Vec<NewChunk>) {
    let document = NewDocument {
        collection: collection.to_owned(),
        path: PathBuf::from(path),
        part: None,
        title: Some(format!("Title of {path}")),
        author: None,
        created_unix_ms: None,
        format: Format::Markdown,
        language: Some("en".to_owned()),
        fingerprint: fingerprint(text),
        text: text.to_owned(),
        pages: Vec::new(),
        modified_unix_ms: Some(1_700_000_000_000),
        warnings: Vec::new(),
        waits_for_ocr: false,
    };
    let mut chunks = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim_end_matches('\n');
        if !words.is_empty() {
            let chunk = Chunk {
                span: Span::new(start, start + words.len()),
                page: None,
                place: None,
                rows: Vec::new(),
                heading: vec!["Top".to_owned()],
                table_header: None,
                prefix: String::new(),
                text: words.to_owned(),
                tokens: words.split_whitespace().count() + 2,
            };
            chunks.push(NewChunk { hash: hash_of(&chunk.embedded_text()), vector: Some(vector_of(words)), chunk });
        }
        start += line.len();
    }
    (document, chunks)
}

pub fn open(folder: &Path) -> Index {
    Index::open(folder, &IndexOptions::default()).unwrap()
}

/// A writer with the test model registered.
pub fn writer(index: &Index) -> IndexWriter {
    let mut writer = index.writer().unwrap();
    writer.set_embedding_model(&model()).unwrap();
    writer
}

pub fn put(writer: &mut IndexWriter, path: &str, text: &str) -> PutReport {
    let (document, chunks) = document("default", path, text);
    writer.put(&document, &chunks).unwrap().1
}

/// Texts of the hits of a lexical search, best first.
pub fn lexical(index: &Index, query: &str) -> Vec<String> {
    texts(
        index,
        &index.search_lexical(query, 1000, &Filter::default()).unwrap().iter().map(|hit| hit.chunk).collect::<Vec<_>>(),
    )
}

/// Texts of the hits of a dense search, best first.
pub fn dense(index: &Index, query: &str, limit: usize) -> Vec<String> {
    let hits = index.search_dense(&vector_of(query), MODEL, limit, &Filter::default()).unwrap();
    texts(index, &hits.iter().map(|hit| hit.chunk).collect::<Vec<_>>())
}

pub fn texts(index: &Index, ids: &[ChunkId]) -> Vec<String> {
    let chunks = index.chunks(ids).unwrap();
    assert_eq!(chunks.len(), ids.len(), "a hit names a chunk that is gone");
    chunks.into_iter().map(|chunk| chunk.text).collect()
}

/// Every regular file below a folder.
pub fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// A turn of a conversation that quotes nothing.
pub fn turn(question: &str, answer: &str, documents: &[DocumentId]) -> NewTurn {
    NewTurn {
        question: question.to_owned(),
        answer: answer.to_owned(),
        documents: documents.to_vec(),
        quotes: Vec::new(),
    }
}

/// Changes the database behind its back.
pub fn run_sql(folder: &Path, statement: &'static str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("documents.sqlite"));
        let pool = sqlx::SqlitePool::connect_with(options.foreign_keys(false)).await.unwrap();
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    });
}
