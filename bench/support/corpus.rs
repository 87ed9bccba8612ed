//! A seeded sample of a corpus: the same on every machine.

#[path = "random.rs"]
pub(crate) mod random;

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use random::Random;
use sidenote_model::Embedder;
use sidenote_text::{Chunk, ChunkOptions, ExtractLimits, SourceFile, TokenCounter, chunk_document, extract};

/// Names and texts of so many documents of a `corpus.jsonl` or `corpus.jsonl.gz`.
pub(crate) fn sample(corpus: &Path, documents: usize, seed: u64) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let file = fs_err::File::open(corpus)?;
    let reader: Box<dyn Read> = if corpus.extension().is_some_and(|extension| extension == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut lines: Vec<String> = BufReader::new(reader).lines().collect::<Result<_, _>>()?;
    Random(seed).shuffle(&mut lines);
    let mut sample = Vec::new();
    for line in lines.iter().take(documents) {
        let entry: serde_json::Value = serde_json::from_str(line)?;
        let text = entry["text"].as_str().ok_or("a line without `text`")?;
        let name = entry["_id"].as_str().ok_or("a line without `_id`")?;
        sample.push((name.to_owned(), text.to_owned()));
    }
    if sample.is_empty() { Err("the corpus holds no document".into()) } else { Ok(sample) }
}

/// The chunks of a document, as an ingest cuts them for an embedder.
pub(crate) fn cut(name: &str, text: &str, embedder: &dyn Embedder) -> Result<Vec<Chunk>, Box<dyn Error>> {
    let extracted = extract(&SourceFile { name, bytes: text.as_bytes() }, &ExtractLimits::default())?;
    let document = extracted.into_first().ok_or("a text that gives no document")?;
    Ok(chunk_document(&document, &Counter(embedder), &ChunkOptions::default()))
}

/// The embedder's tokenizer, for the chunker.
struct Counter<'a>(&'a dyn Embedder);

impl TokenCounter for Counter<'_> {
    fn count_tokens(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.0.token_offsets(text)
    }
}
