//! What llama.cpp takes to evaluate several tokens at once, and whether a token's scores depend on its company: what drafting ahead
//! and answering several questions in one batch could gain on this machine, and what they would change.
//!
//! ```sh
//! cargo run --release --workspace --example rows -- MODEL.gguf
//! ```
//!
//! Tokens are those of one sequence (as when a draft is verified) or of as many sequences (as when questions are answered together),
//! behind 600 tokens each. Each sequence has cells of its own. The least of ten times is shown, and the greatest difference
//! of a score between a token in a batch of its own and the same token in company.

#![expect(clippy::print_stdout, reason = "its output is the measurement")]
#![expect(clippy::unwrap_used, reason = "a measurement that meets bad data stops")]

use std::num::NonZeroU32;
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

const SEQUENCES: usize = 4;
const BEFORE: usize = 600;
const BATCH: usize = 256;
const MOST_ROWS: usize = 16;
const TIMES: usize = 10;
const TEXT: &str = include_str!("../../../README.md");

fn main() {
    let path = std::env::args().nth(1).expect("usage: rows MODEL.gguf");
    let backend = LlamaBackend::init().unwrap();
    let params = LlamaModelParams::default().with_n_gpu_layers(0);
    let model = LlamaModel::load_from_file(&backend, path, &params).unwrap();
    let tokens = model.vocab().tokenize(TEXT.as_bytes(), false, false);
    let threads = i32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let batch = u32::try_from(BATCH).unwrap();
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(4096))
        .with_n_batch(batch)
        .with_n_ubatch(batch)
        .with_n_seq_max(u32::try_from(SEQUENCES).unwrap())
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_no_perf(true);
    let mut filled = Filled::new(model.new_context(&backend, params).unwrap(), &tokens);
    let alone = filled.run(&[(BEFORE, 0)]).remove(0);
    println!("| tokens at once | of one sequence, ms | of as many, ms | a score moves by at most |\n|---|---|---|---|");
    for rows in [1, 2, 3, 4, 8, 12, MOST_ROWS] {
        let drafted = |start: usize| -> Vec<(usize, usize)> { (start..start + rows).map(|at| (at, 0)).collect() };
        let together = |at: usize| -> Vec<(usize, usize)> { (0..rows).map(|sequence| (at, sequence)).collect() };
        filled.forget();
        let moved = difference(&alone, &filled.run(&drafted(BEFORE))[0]);
        filled.forget();
        let one = least_ms(&mut filled, |turn| drafted(BEFORE + turn * rows));
        filled.forget();
        let many = (rows <= SEQUENCES).then(|| least_ms(&mut filled, |turn| together(BEFORE + turn)));
        let many = many.map_or_else(|| "-".to_owned(), |many| format!("{many:.1}"));
        println!("| {rows} | {one:.1} | {many} | {moved:.3} |");
    }
}

/// A context whose sequences hold the same tokens.
struct Filled<'a> {
    context: LlamaContext<'a>,
    tokens: &'a [LlamaToken],
    batch: LlamaBatch<'static>,
}

impl<'a> Filled<'a> {
    fn new(context: LlamaContext<'a>, tokens: &'a [LlamaToken]) -> Self {
        let batch = LlamaBatch::new(BATCH, i32::try_from(SEQUENCES).unwrap());
        let mut filled = Self { context, tokens, batch };
        for sequence in 0..SEQUENCES {
            let places: Vec<(usize, usize)> = (0..BEFORE).map(|at| (at, sequence)).collect();
            for piece in places.chunks(BATCH) {
                filled.run(piece);
            }
        }
        filled
    }

    /// Takes away what came behind the first tokens.
    fn forget(&mut self) {
        for sequence in 0..SEQUENCES {
            let sequence = Some(u32::try_from(sequence).unwrap());
            self.context.clear_kv_cache_seq(sequence, Some(u32::try_from(BEFORE).unwrap()), None).unwrap();
        }
    }

    /// Evaluates tokens, by place in the text and sequence; gives the scores behind each where they are few.
    fn run(&mut self, places: &[(usize, usize)]) -> Vec<Vec<f32>> {
        let wants_scores = places.len() <= MOST_ROWS;
        self.batch.clear();
        for &(at, sequence) in places {
            let (position, sequence) = (i32::try_from(at).unwrap(), i32::try_from(sequence).unwrap());
            self.batch.add(self.tokens[at], position, &[sequence], wants_scores).unwrap();
        }
        self.context.decode(&mut self.batch).unwrap();
        let rows = if wants_scores { places.len() } else { 0 };
        (0..rows).map(|row| self.context.get_logits_ith(i32::try_from(row).unwrap()).to_vec()).collect()
    }
}

fn least_ms(filled: &mut Filled<'_>, places: impl Fn(usize) -> Vec<(usize, usize)>) -> f64 {
    let times = (0..TIMES).map(|turn| {
        let places = places(turn);
        let begun = Instant::now();
        filled.run(&places);
        begun.elapsed().as_secs_f64() * 1e3
    });
    times.fold(f64::MAX, f64::min)
}

fn difference(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}
