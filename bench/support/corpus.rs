//! A seeded sample of a corpus: the same on every machine.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

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

/// splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From -1 to 1.
    pub(crate) fn signed(&mut self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
        let unit = (self.next() >> 40) as f32 / (1_u32 << 24) as f32;
        2.0 * unit - 1.0
    }

    /// Puts the items in an order that the seed alone decides.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let place = usize::try_from(self.next() % (last as u64 + 1)).unwrap_or(0);
            items.swap(last, place);
        }
    }
}
