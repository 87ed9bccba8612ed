//! sidenote's side of `bench/generate.py`: a generator that answers requests from standard input until it ends.
//!
//! ```sh
//! cargo run --release --example generate -- MODEL.gguf [--context 2048] [--threads 2] [--prefill 256] [--q8]
//! ```
//!
//! It says `{"system_info", "machine", "load_ms", ...}` once it is ready. A request is one line of JSON, either
//! `{"tokens": [1, 2, 3], "max_tokens": 1}` or `{"prompt": "text of the user", "max_tokens": 1}`; the answer is one line
//! too. With a `"continuation"` it is the logarithm of the probability of that behind the prompt. Times are taken here, around the
//! public call, as a program that uses the library would see them. The cache keeps what a prompt shares with the one before:
//! `tokens_reused` says how much that was, and the caller sees to it that it is nothing.

use std::error::Error;
use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use serde::Deserialize;
use sidenote_model::{
    ChatMessage, GenerateRequest, Generator, KvType, LlamaGenerator, LlamaOptions, Prompt, Role, TokenId, cpu,
};

#[allow(dead_code, reason = "each program uses some of it")]
#[path = "support/machine.rs"]
mod machine;

#[derive(Deserialize)]
struct Request {
    tokens: Option<Vec<i32>>,
    prompt: Option<String>,
    max_tokens: usize,
    continuation: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (path, options) = read_arguments()?;
    let begun = Instant::now();
    let generator = LlamaGenerator::load(&path, &options)?;
    let info = generator.info();
    say(&serde_json::json!({
        "machine": machine::describe(), "cores": machine::cores(), "system_info": cpu::system_info(), "load_ms": milliseconds(begun),
        "model": info.description, "sha256": info.sha256_hex, "context_tokens": info.context_tokens,
        "threads": options.threads, "prefill_tokens": options.prefill_tokens,
    }))?;
    for line in std::io::stdin().lock().lines() {
        let answer = match answer(&generator, &line?) {
            Ok(answer) => answer,
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        say(&answer)?;
    }
    Ok(())
}

fn answer(generator: &LlamaGenerator, line: &str) -> Result<serde_json::Value, Box<dyn Error>> {
    let request: Request = serde_json::from_str(line)?;
    let prompt = match (request.tokens, request.prompt) {
        (Some(tokens), _) => Prompt {
            tokens: tokens.into_iter().map(TokenId).collect(),
            text: String::new(),
            cuts: Vec::new(),
            fixed_tokens: 0,
            shared_tokens: 0,
        },
        (None, Some(text)) => generator.render(&[ChatMessage::new(Role::User, text)])?,
        (None, None) => return Err("neither `tokens` nor `prompt`".into()),
    };
    if let Some(continuation) = request.continuation {
        let tokens = generator.count_tokens(&continuation);
        let logprob = generator.score(&prompt, &[&continuation])?;
        return Ok(serde_json::json!({ "logprob": logprob, "tokens": tokens }));
    }
    let request = GenerateRequest::greedy(prompt, request.max_tokens);
    let mut first_piece_ms = None;
    let begun = Instant::now();
    let generation = generator.generate(&request, &mut |_| {
        first_piece_ms.get_or_insert_with(|| milliseconds(begun));
        ControlFlow::Continue(())
    })?;
    let total_ms = milliseconds(begun);
    // A first token may hold no whole character; the generator's own clock is then the nearest there is.
    let first_token_ms = first_piece_ms.unwrap_or(generation.timings.first_token_ms);
    Ok(serde_json::json!({
        "prefill_ms": generation.timings.prefill_ms, "first_token_ms": first_token_ms, "decode_ms": total_ms - first_token_ms,
        "total_ms": total_ms, "tokens_prompt": generation.tokens_prompt, "tokens_reused": generation.tokens_reused,
        "tokens_generated": generation.tokens_generated, "text": generation.text,
    }))
}

fn read_arguments() -> Result<(PathBuf, LlamaOptions), Box<dyn Error>> {
    let mut options = LlamaOptions { context_tokens: 2048, threads: 2, ..LlamaOptions::default() };
    let mut path = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number =
            || arguments.next().and_then(|value| value.parse().ok()).ok_or(format!("{argument} wants a number"));
        match argument.as_str() {
            "--context" => options.context_tokens = number()?,
            "--threads" => options.threads = number()?,
            "--prefill" => options.prefill_tokens = number()?,
            "--q8" => options.kv_type = KvType::Q8_0,
            _ => path = Some(PathBuf::from(argument)),
        }
    }
    // A bare name is one of the models that `sidenote models` knows.
    let path = path.ok_or("usage: generate MODEL [--context N] [--threads N] [--prefill N] [--q8]")?;
    let known = machine::models_folder().join(&path).join("model.gguf");
    Ok((if known.is_file() { known } else { path }, options))
}

fn say(value: &serde_json::Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
