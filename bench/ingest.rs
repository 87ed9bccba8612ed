//! The side of `bench/ingest.py` that runs sidenote: each call does one thing and prints one line of JSON.
//!
//! ```sh
//! ingest prepare CORPUS FOLDER [--documents N] [--seed N] [--copies N]
//! ingest whole FOLDER [--hash | --neighbours]
//! ingest embed FOLDER
//! ```
//!
//! `prepare` writes a seeded sample of a corpus (`corpus.jsonl` or `corpus.jsonl.gz`, a `_id` and a `text` a line) as files
//! to FOLDER/files, and what their chunks are embedded as to FOLDER/chunks.jsonl, with `--copies` each document so many
//! times, each copy with a word of its own in every paragraph, so that no two chunks are equal. `whole` ingests FOLDER/files
//! into FOLDER/data, as `sidenote ingest` does, worker process and all. `embed` does nothing but embed the chunks.
//! `--hash` takes the deterministic embedder: what remains is everything but the model. `--neighbours` has the model embed each
//! document once and gives its copies vectors beside those: an index of a million chunks that the program searches as any other.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sidenote::{CancelToken, Config, Engine, IngestEvent, IngestRequest};
use sidenote_model::{Embedder, EmbedderOptions, HashEmbedder, OnnxEmbedder};

#[allow(dead_code, reason = "each program uses some of it")]
#[path = "support/corpus.rs"]
mod corpus;
#[allow(dead_code, reason = "each program uses some of it")]
#[path = "support/machine.rs"]
mod machine;
#[allow(dead_code, reason = "each program uses some of it")]
#[path = "support/memory.rs"]
mod memory;
#[path = "support/neighbours.rs"]
mod neighbours;

use neighbours::{Neighbours, mark, mark_name};

/// Texts handed to the embedder at a time, as an ingest does.
const EMBED_AT_A_TIME: usize = 32;

#[expect(clippy::print_stdout, reason = "figures to stdout")]
fn main() -> Result<(), Box<dyn Error>> {
    sidenote::worker_main();
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let line = match what.as_str() {
        "prepare" => prepare(&Options::read(arguments)?)?,
        "whole" => whole(&Options::read(arguments)?)?,
        "embed" => embed(&Options::read(arguments)?)?,
        _ => return Err("usage: ingest prepare CORPUS FOLDER | whole FOLDER | embed FOLDER".into()),
    };
    println!("{line}");
    Ok(())
}

struct Options {
    paths: Vec<PathBuf>,
    documents: usize,
    copies: usize,
    seed: u64,
    embedder: Embedding,
}

/// What embeds.
#[derive(Clone, Copy)]
enum Embedding {
    Model,
    Hash,
    Neighbours,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options =
            Self { paths: Vec::new(), documents: usize::MAX, copies: 1, seed: 1, embedder: Embedding::Model };
        while let Some(argument) = arguments.next() {
            let mut number = || {
                arguments.next().and_then(|value| value.parse::<u64>().ok()).ok_or(format!("{argument} wants a number"))
            };
            match argument.as_str() {
                "--documents" => options.documents = number()?.try_into()?,
                "--copies" => options.copies = number()?.try_into()?,
                "--seed" => options.seed = number()?,
                "--hash" => options.embedder = Embedding::Hash,
                "--neighbours" => options.embedder = Embedding::Neighbours,
                _ => options.paths.push(PathBuf::from(argument)),
            }
        }
        Ok(options)
    }

    fn path(&self, index: usize) -> Result<&Path, Box<dyn Error>> {
        Ok(self.paths.get(index).ok_or("a path is missing, see the usage")?)
    }

    fn embedder(&self) -> Result<Arc<dyn Embedder>, Box<dyn Error>> {
        let model = || OnnxEmbedder::load(&machine::embedder_paths(), &EmbedderOptions::default());
        Ok(match self.embedder {
            Embedding::Model => Arc::new(model()?),
            Embedding::Hash => Arc::new(HashEmbedder::new()),
            Embedding::Neighbours => Arc::new(Neighbours::new(model()?)),
        })
    }
}

fn prepare(options: &Options) -> Result<serde_json::Value, Box<dyn Error>> {
    let (corpus, folder) = (options.path(0)?, options.path(1)?);
    let files = folder.join("files");
    fs_err::create_dir_all(&files)?;
    let embedder = options.embedder()?;
    let mut chunks = std::io::BufWriter::new(fs_err::File::create(folder.join("chunks.jsonl"))?);
    let (mut documents, mut bytes, mut count, mut tokens) = (0, 0, 0, 0);
    for (name, text) in corpus::sample(corpus, options.documents, options.seed)? {
        for copy in 0..options.copies {
            let (name, text) = match copy {
                0 => (name.clone(), text.clone()),
                // The name may become the title, which is embedded too.
                _ => (mark_name(&name, copy), mark(&text, copy)),
            };
            let name = name.replace('/', "~");
            fs_err::write(files.join(&name), &text)?;
            documents += 1;
            bytes += text.len();
            if options.copies == 1 {
                for chunk in corpus::cut(&name, &text, &*embedder)? {
                    count += 1;
                    tokens += chunk.tokens;
                    writeln!(chunks, "{}", serde_json::to_string(&chunk.embedded_text())?)?;
                }
            }
        }
    }
    chunks.flush()?;
    Ok(serde_json::json!({
        "machine": machine::describe(), "documents": documents, "bytes": bytes, "chunks": count, "tokens": tokens,
    }))
}

fn whole(options: &Options) -> Result<serde_json::Value, Box<dyn Error>> {
    let folder = options.path(0)?;
    let mut config = Config::default();
    config.paths.data = folder.join("data");
    let engine = Engine::with_models(config, Some(options.embedder()?), None)?;
    let request = IngestRequest::new([folder.join("files")]);
    let begun = Instant::now();
    let mut sealing = None;
    let report = engine.ingest(
        &request,
        &mut |event| {
            // What is sealed on the way is followed by other events; what is sealed at the end is the last of all.
            sealing = matches!(event, IngestEvent::Sealing { .. }).then(|| begun.elapsed().as_secs_f64());
        },
        &CancelToken::new(),
    )?;
    let seconds = begun.elapsed().as_secs_f64();
    let searchable = sealing.unwrap_or(seconds);
    Ok(serde_json::json!({
        "seconds": searchable, "seal_seconds": seconds - searchable, "chunks": report.chunks,
        "unchanged": report.unchanged, "failed": report.failed.len(), "peak_mib": memory::peak_mib("self"),
        "data_bytes": engine.status(None)?.bytes,
    }))
}

fn embed(options: &Options) -> Result<serde_json::Value, Box<dyn Error>> {
    let embedder = options.embedder()?;
    let lines = fs_err::read_to_string(options.path(0)?.join("chunks.jsonl"))?;
    let texts: Vec<String> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    for some in texts.chunks(EMBED_AT_A_TIME) {
        embedder.embed(&some.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(serde_json::json!({
        "seconds": begun.elapsed().as_secs_f64(), "chunks": texts.len(), "peak_mib": memory::peak_mib("self"),
    }))
}
