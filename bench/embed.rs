//! Chunks a second: sidenote's embedder and the fastembed crate, side by side in one run on the same chunks.
//!
//! ```sh
//! cargo run --release --example embed -- CORPUS [--chunks 400] [--documents 200] [--pairs 5] [--seed 1]
//! ```
//!
//! CORPUS is a `corpus.jsonl` or `corpus.jsonl.gz` with a `_id` and a `text` a line. Its documents are cut as ingest cuts
//! them, a seeded sample of the chunks is embedded by both. fastembed is called as its users call it, on one session with
//! all cores: `embed(texts, None)`, which is batches of 256, then batches of 32, then one text at a time. Each pair runs
//! both on all the chunks, one after the other, and the order changes from pair to pair. fastembed lives in a process of
//! its own, this program started a second time, because ONNX Runtime allows one environment in a process.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use serde::{Deserialize, Serialize};
use sidenote_model::{Embedder, EmbedderOptions, OnnxEmbedder, OnnxModelPaths};

#[allow(dead_code, reason = "each program uses some of it")]
#[path = "support/corpus.rs"]
mod corpus;
#[allow(dead_code, reason = "each program uses some of it")]
#[path = "support/machine.rs"]
mod machine;

/// The ways fastembed is called. The first is what its README shows.
const SETTINGS: [(&str, Option<usize>); 3] =
    [("its default call (batch 256)", None), ("batch 32", Some(32)), ("one text at a time", Some(1))];

/// The argument that starts the other side.
const PEER: &str = "--fastembed";

/// Rest between two measurements, so that one side's threads are asleep when the other begins.
const REST: Duration = Duration::from_millis(300);

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "figures to stdout, progress to stderr")]
fn main() -> Result<(), Box<dyn Error>> {
    let paths = machine::embedder_paths();
    if std::env::args().nth(1).as_deref() == Some(PEER) {
        return serve_fastembed(&paths);
    }
    let options = Options::read()?;
    let ours = OnnxEmbedder::load(&paths, &EmbedderOptions::default())?;
    let chunks = sample_chunks(&options, &ours)?;
    let texts: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let mut lengths: Vec<usize> = texts.iter().map(|text| ours.count_tokens(text)).collect();
    lengths.sort_unstable();
    println!("{}", machine::describe());
    println!(
        "{} chunks of {} documents, seed {}: {} tokens at the median, {} at most",
        texts.len(),
        options.documents,
        options.seed,
        lengths[lengths.len() / 2],
        lengths[lengths.len() - 1],
    );

    // Both are warm before anything is measured, and what they make is compared: a faster wrong vector is worth nothing.
    let expected = ours.embed(&texts)?;
    let mut theirs = Peer::start(&texts)?;
    let mut settings = Vec::new();
    for (name, batch) in SETTINGS {
        let least_cosine = least_cosine(&expected, &theirs.embed(batch, true)?.vectors);
        let mut pairs = Vec::new();
        for round in 0..options.pairs {
            let mut our_seconds = 0.0;
            let mut their_seconds = 0.0;
            for turn in 0..2 {
                std::thread::sleep(REST);
                if (round + turn) % 2 == 0 {
                    let begun = Instant::now();
                    ours.embed(&texts)?;
                    our_seconds = begun.elapsed().as_secs_f64();
                } else {
                    their_seconds = theirs.embed(batch, false)?.seconds;
                }
            }
            eprintln!("{name}, pair {}: sidenote {our_seconds:.2} s, fastembed {their_seconds:.2} s", round + 1);
            pairs.push((our_seconds, their_seconds));
        }
        settings.push(Comparison::new(name, texts.len(), &pairs, least_cosine));
    }

    println!();
    println!(
        "| fastembed, {} threads | its chunks/s | sidenote's chunks/s | ratio, median | ratio, min..max |",
        machine::cores()
    );
    println!("|---|---|---|---|---|");
    for Comparison { name, their_rate, our_rate, ratio, least, most, .. } in &settings {
        println!("| {name} | {their_rate:.1} | {our_rate:.1} | {ratio:.2} | {least:.2}..{most:.2} |");
    }
    println!();
    let line = serde_json::json!({
        "bench": "embed", "chunks": texts.len(), "seed": options.seed, "pairs": options.pairs,
        "machine": machine::describe(), "median_tokens": lengths[lengths.len() / 2],
        "settings": settings.iter().map(Comparison::to_json).collect::<Vec<_>>(),
    });
    println!("{line}");
    Ok(())
}

/// fastembed in a process of its own.
struct Peer {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    /// Taken around the call, in the process that makes it.
    seconds: f64,
    /// Empty unless asked for.
    vectors: Vec<Vec<f32>>,
}

impl Peer {
    fn start(texts: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(PEER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut peer = Self { child, answers };
        peer.ask(&texts)?;
        Ok(peer)
    }

    fn ask(&mut self, request: &impl Serialize) -> Result<(), Box<dyn Error>> {
        let requests = self.child.stdin.as_mut().ok_or("no input")?;
        writeln!(requests, "{}", serde_json::to_string(request)?)?;
        Ok(requests.flush()?)
    }

    fn embed(&mut self, batch: Option<usize>, with_vectors: bool) -> Result<Answer, Box<dyn Error>> {
        self.ask(&(batch, with_vectors))?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The other side of [`Peer`]: the texts in the first line, then a request a line.
fn serve_fastembed(paths: &OnnxModelPaths) -> Result<(), Box<dyn Error>> {
    let mut lines = std::io::stdin().lock().lines();
    let texts: Vec<String> = serde_json::from_str(&lines.next().ok_or("no texts")??)?;
    let mut model = load_fastembed(paths)?;
    for line in lines {
        let (batch, with_vectors): (Option<usize>, bool) = serde_json::from_str(&line?)?;
        let begun = Instant::now();
        let vectors = model.embed(&texts, batch)?;
        let seconds = begun.elapsed().as_secs_f64();
        let vectors = if with_vectors { vectors } else { Vec::new() };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&Answer { seconds, vectors })?)?;
        out.flush()?;
    }
    Ok(())
}

struct Comparison {
    name: &'static str,
    our_rate: f64,
    their_rate: f64,
    /// Above 1: sidenote is faster.
    ratio: f64,
    least: f64,
    most: f64,
    least_cosine: f32,
}

impl Comparison {
    fn new(name: &'static str, chunks: usize, pairs: &[(f64, f64)], least_cosine: f32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred chunks")]
        let chunks = chunks as f64;
        let ratios = sorted(pairs.iter().map(|(ours, theirs)| theirs / ours));
        Self {
            name,
            our_rate: median(&sorted(pairs.iter().map(|(ours, _)| chunks / ours))),
            their_rate: median(&sorted(pairs.iter().map(|(_, theirs)| chunks / theirs))),
            ratio: median(&ratios),
            least: ratios[0],
            most: ratios[ratios.len() - 1],
            least_cosine,
        }
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "fastembed": self.name, "sidenote_per_second": self.our_rate, "fastembed_per_second": self.their_rate,
            "ratio": self.ratio, "ratio_min": self.least, "ratio_max": self.most, "least_cosine": self.least_cosine,
        })
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

fn least_cosine(ours: &[Vec<f32>], theirs: &[Vec<f32>]) -> f32 {
    let cosine = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    ours.iter().zip(theirs).map(cosine).fold(1.0, f32::min)
}

struct Options {
    corpus: PathBuf,
    chunks: usize,
    documents: usize,
    pairs: usize,
    seed: u64,
}

impl Options {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut options = Self { corpus: PathBuf::new(), chunks: 400, documents: 200, pairs: 5, seed: 1 };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || {
                arguments.next().and_then(|value| value.parse::<u64>().ok()).ok_or(format!("{argument} wants a number"))
            };
            match argument.as_str() {
                "--chunks" => options.chunks = number()?.try_into()?,
                "--documents" => options.documents = number()?.try_into()?,
                "--pairs" => options.pairs = number()?.max(1).try_into()?,
                "--seed" => options.seed = number()?,
                _ => options.corpus = PathBuf::from(argument),
            }
        }
        if options.corpus.as_os_str().is_empty() {
            return Err("usage: embed CORPUS [--chunks N] [--documents N] [--pairs N] [--seed N]".into());
        }
        Ok(options)
    }
}

/// fastembed with its own defaults: all cores, 512 positions. Only the pooling is named, because the model wants the mean.
fn load_fastembed(paths: &OnnxModelPaths) -> Result<TextEmbedding, Box<dyn Error>> {
    let files = TokenizerFiles {
        tokenizer_file: fs_err::read(&paths.tokenizer)?,
        config_file: br#"{"pad_token_id": 0}"#.to_vec(),
        special_tokens_map_file: b"{}".to_vec(),
        tokenizer_config_file: br#"{"model_max_length": 512, "pad_token": "[PAD]"}"#.to_vec(),
    };
    // The same ONNX Runtime as ours; everything else is left to its defaults.
    let environment = ort::init_from(std::path::absolute(&paths.runtime)?)?.build()?;
    let model = UserDefinedEmbeddingModel::new(fs_err::read(&paths.model)?, files).with_pooling(Pooling::Mean);
    Ok(TextEmbedding::try_new_from_user_defined(model, InitOptionsUserDefined::new().with_environment(environment))?)
}

/// Texts as ingest would embed them.
fn sample_chunks(options: &Options, embedder: &OnnxEmbedder) -> Result<Vec<String>, Box<dyn Error>> {
    let mut chunks = Vec::new();
    for (name, text) in corpus::sample(&options.corpus, options.documents, options.seed)? {
        chunks.extend(corpus::cut(&name, &text, embedder)?.iter().map(sidenote_text::Chunk::embedded_text));
    }
    corpus::random::Random(options.seed).shuffle(&mut chunks);
    chunks.truncate(options.chunks);
    if chunks.is_empty() { Err("the corpus holds no text".into()) } else { Ok(chunks) }
}
