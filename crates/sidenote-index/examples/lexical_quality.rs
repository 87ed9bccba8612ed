//! Measures the full-text leg on retrieval sets in the BEIR layout (corpus.jsonl, queries.jsonl, qrels.tsv), one chunk
//! for each document, and tries other weights. The last line of a set is JSON, which `bench/lexical.py` sets beside other libraries.
//!
//! ```text
//! cargo run --release --workspace --example lexical_quality -- FOLDER/scifact FOLDER/cranfield
//! cargo run --release --workspace --example lexical_quality -- --grid FOLDER/scifact
//! ```

#![expect(clippy::print_stdout, reason = "its output is the measurement")]
#![expect(clippy::unwrap_used, reason = "a measurement that meets bad data stops")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use sidenote_index::{
    EmbeddingModelInfo, Filter, Fingerprint, Index, IndexOptions, LexicalWeights, NewChunk, NewDocument,
};
use sidenote_text::{Chunk, Format, Span};

#[path = "../../../bench/support/files.rs"]
mod files;

/// Documents of a transaction: one waits for the disk.
const AT_A_TIME: usize = 64;

fn main() {
    let mut folders: Vec<String> = std::env::args().skip(1).collect();
    let grid = folders.iter().any(|argument| argument == "--grid");
    folders.retain(|argument| !argument.starts_with("--"));
    for folder in &folders {
        measure(Path::new(folder), grid);
    }
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    fs_err::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text_of(value: &serde_json::Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn measure(folder: &Path, grid: bool) {
    let data = tempfile::tempdir().unwrap();
    let index = Index::open(data.path(), &IndexOptions::default()).unwrap();
    let mut writer = index.writer().unwrap();
    let model = EmbeddingModelInfo { name: "none".to_owned(), sha256_hex: String::new(), dimensions: 1 };
    writer.set_embedding_model(&model).unwrap();
    let mut documents = Vec::new();
    for document in lines(&folder.join("corpus.jsonl")) {
        let (id, title) = (text_of(&document, "_id"), text_of(&document, "title"));
        let text = if title.is_empty() {
            text_of(&document, "text")
        } else {
            format!("{title}\n{}", text_of(&document, "text"))
        };
        let chunk = Chunk {
            span: Span::new(0, text.len()),
            page: None,
            place: None,
            rows: Vec::new(),
            heading: Vec::new(),
            table_header: None,
            prefix: String::new(),
            text: text.clone(),
            tokens: 0,
        };
        let document = NewDocument {
            collection: "default".to_owned(),
            path: id.into(),
            part: None,
            title: (!title.is_empty()).then_some(title),
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
        documents.push(vec![(document, vec![NewChunk { chunk, hash: [0; 32], vector: Some(vec![1.0]) }])]);
    }
    let begun = Instant::now();
    for some in documents.chunks(AT_A_TIME) {
        writer.put_files(some.iter().map(Vec::as_slice)).unwrap();
    }
    let put_seconds = begun.elapsed().as_secs_f64();
    writer.commit().unwrap();
    let commit_seconds = begun.elapsed().as_secs_f64() - put_seconds;
    drop(writer);
    let names: HashMap<_, _> = index
        .documents(None)
        .unwrap()
        .into_iter()
        .map(|document| (document.id, document.path.to_string_lossy().into_owned()))
        .collect();
    let mut wanted: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in fs_err::read_to_string(folder.join("qrels.tsv")).unwrap().lines().skip(1) {
        let [query, document, score] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        wanted.entry(query.to_owned()).or_default().insert(document.to_owned(), score.parse().unwrap());
    }
    let queries: Vec<(String, String)> = lines(&folder.join("queries.jsonl"))
        .iter()
        .map(|query| (text_of(query, "_id"), text_of(query, "text")))
        .filter(|(id, _)| wanted.get(id).is_some_and(|documents| documents.values().any(|score| *score > 0.0)))
        .collect();
    println!(
        "{}: {} documents put in {put_seconds:.1} s, committed in {commit_seconds:.1} s, {} queries",
        folder.display(),
        names.len(),
        queries.len()
    );
    drop(index);
    let mut tried = vec![LexicalWeights::default()];
    if grid {
        for title in [0.0, 0.2, 0.5] {
            for exact in [0.0, 0.15, 0.3, 0.6] {
                tried.push(LexicalWeights { title, exact, ..LexicalWeights::default() });
            }
        }
    }
    let mut default = serde_json::Value::Null;
    for weights in tried {
        let options = IndexOptions { lexical_weights: weights, ..IndexOptions::default() };
        let begun = Instant::now();
        let index = Index::open(data.path(), &options).unwrap();
        index.search_lexical(&queries[0].1, 100, &Filter::default()).unwrap();
        let open_s = begun.elapsed().as_secs_f64();
        let (mut ndcg, mut recall10, mut recall100) = (0.0, 0.0, 0.0);
        let begun = Instant::now();
        for (id, text) in &queries {
            let relevant = &wanted[id];
            let hits = index.search_lexical(text, 100, &Filter::default()).unwrap();
            let gains: Vec<f64> =
                hits.iter().map(|hit| relevant.get(&names[&hit.document]).copied().unwrap_or(0.0).max(0.0)).collect();
            let mut best: Vec<f64> = relevant.values().copied().filter(|score| *score > 0.0).collect();
            best.sort_by(|left, right| right.total_cmp(left));
            ndcg += discounted(&gains) / discounted(&best);
            let found =
                |depth: usize| gains.iter().take(depth).filter(|gain| **gain > 0.0).count() as f64 / best.len() as f64;
            recall10 += found(10);
            recall100 += found(100);
        }
        let count = queries.len() as f64;
        let milliseconds = begun.elapsed().as_secs_f64() * 1000.0 / count;
        if default.is_null() {
            default = serde_json::json!({
                "name": "sidenote", "build_s": put_seconds + commit_seconds, "open_s": open_s,
                "mb": files::bytes_below(&data.path().join("lexical")) as f64 / 1e6, "ms": milliseconds, "ndcg": ndcg / count,
            });
        }
        println!(
            "  title {:.2} heading {:.2} exact {:.2}: nDCG@10 {:.4}  recall@10 {:.4}  recall@100 {:.4}  {milliseconds:.2} ms a query",
            weights.title,
            weights.heading,
            weights.exact,
            ndcg / count,
            recall10 / count,
            recall100 / count,
        );
    }
    println!("{default}");
}

fn discounted(gains: &[f64]) -> f64 {
    gains.iter().take(10).zip(2_u32..).map(|(gain, place)| gain / f64::from(place).log2()).sum()
}
