//! Asks every question of a set and writes one line of JSON for each: what was answered, whether it was right, and the
//! signals that the confidence is made of. `bench/fit_confidence.py` fits weights to such lines.
//!
//! ```sh
//! cargo run --release --example answers -- golden corpus tests/eval/golden.jsonl > golden.jsonl
//! cargo run --release --example answers -- beir DIR --take 300 --seed 1 > public.jsonl
//! ```
//!
//! Data folders live in `$SIDENOTE_BENCH` (default: `sidenote-bench` in the system's folder for temporary files) and are
//! used again by the next run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints its measurements")]

use std::{
    error::Error,
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use sidenote::{AskRequest, CancelToken, Config, Engine, IngestRequest};

#[path = "../tests/eval/judge.rs"]
mod judge;
#[path = "../tests/eval/questions.rs"]
mod questions;

use questions::Question;

fn main() -> Result<(), Box<dyn Error>> {
    sidenote::worker_main();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|place| arguments.get(place + 1)).cloned()
    };
    let bench =
        std::env::var_os("SIDENOTE_BENCH").map_or_else(|| std::env::temp_dir().join("sidenote-bench"), PathBuf::from);
    let (folder, mut questions) = match arguments.first().map(String::as_str) {
        Some("golden") => (PathBuf::from(&arguments[1]), questions::read_golden(Path::new(&arguments[2]))?),
        Some("beir") => {
            let set = PathBuf::from(&arguments[1]);
            (unpack(&set, &bench)?, questions::read_beir(&set)?)
        }
        _ => {
            return Err(
                "usage: answers golden FOLDER QUESTIONS | answers beir DIR [--take N] [--seed N] [--skip N]".into()
            );
        }
    };
    if let Some(take) = option("--take") {
        let seed = option("--seed").map_or(Ok(1), |seed| seed.parse())?;
        let skip = option("--skip").map_or(Ok(0), |skip| skip.parse())?;
        questions = sample(questions, seed, skip, take.parse()?);
    }

    let mut config = Config::default();
    let name = folder.file_name().unwrap_or_default();
    config.paths.data = bench.join("data").join(name);
    config.paths.models = std::env::var_os("SIDENOTE_MODELS").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share/sidenote/models"),
        PathBuf::from,
    );
    for key in Config::keys() {
        let variable = format!("SIDENOTE_{}", key.replace('.', "_").to_uppercase());
        if let Ok(value) = std::env::var(variable) {
            config.set(&key, &value)?;
        }
    }
    let engine = Engine::open(config)?;
    let report = engine.ingest(&IngestRequest::new([&folder]), &mut |_| {}, &CancelToken::new())?;
    eprintln!("{} added, {} unchanged, {} failed", report.added, report.unchanged, report.failed.len());

    let begun = Instant::now();
    let mut tally = Tally::default();
    for (place, question) in questions.iter().enumerate() {
        let answer = engine.ask(&AskRequest::new(&question.text), &mut |_| {}, &CancelToken::new())?;
        let right = judge::is_right(&answer.answer, &question.groups);
        let draft_right = judge::is_right(&answer.draft, &question.groups);
        tally.add(question, answer.answered, right, draft_right);
        let line = serde_json::json!({
            "id": question.id, "kind": question.kind, "question": question.text, "answerable": question.is_answerable(),
            "accepted": question.groups,
            "evidence": question.evidence.iter().map(|place| (&place.document, &place.quote)).collect::<Vec<_>>(), "answered": answer.answered, "right": right, "draft_right": draft_right,
            "answer": answer.answer, "draft": answer.draft, "confidence": answer.confidence,
            "f1": judge::token_f1(&answer.answer, &question.groups), "words": judge::words(&answer.answer),
            "signals": answer.signals, "prompt_tokens": answer.tokens.prompt,
            "passages": answer.passages.iter().map(|hit| hit.document.path.file_name().map(|n| n.to_string_lossy().into_owned())).collect::<Vec<_>>(),
            "first_token_ms": answer.timings.first_token, "total_ms": answer.timings.total,
            "quotes": answer.citations.iter().map(|citation| &citation.quote).collect::<Vec<_>>(),
        });
        println!("{line}");
        std::io::stdout().flush()?;
        if (place + 1) % 10 == 0 {
            eprintln!("{}/{} in {:.0} s: {}", place + 1, questions.len(), begun.elapsed().as_secs_f64(), tally.line());
        }
    }
    eprintln!("{}", tally.line());
    Ok(())
}

#[derive(Default)]
struct Tally {
    answerable: usize,
    right: usize,
    draft_right: usize,
    wrongly_refused: usize,
    unanswerable: usize,
    refused: usize,
}

impl Tally {
    fn add(&mut self, question: &Question, answered: bool, right: bool, draft_right: bool) {
        if question.is_answerable() {
            self.answerable += 1;
            self.right += usize::from(right);
            self.draft_right += usize::from(draft_right);
            self.wrongly_refused += usize::from(!answered);
        } else {
            self.unanswerable += 1;
            self.refused += usize::from(!answered);
        }
    }

    fn line(&self) -> String {
        format!(
            "answerable {}: right {}, right in the draft {}, wrongly refused {}; unanswerable {}: refused {}",
            self.answerable, self.right, self.draft_right, self.wrongly_refused, self.unanswerable, self.refused
        )
    }
}

/// Half answerable, half not where the set has both, in an order that depends on the seed alone.
fn sample(questions: Vec<Question>, seed: u64, skip: usize, take: usize) -> Vec<Question> {
    let mut keyed: Vec<(u64, Question)> = questions
        .into_iter()
        .map(|question| {
            let key = question
                .id
                .bytes()
                .fold(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
                });
            (key.rotate_left(29).wrapping_mul(0x9E37_79B9_7F4A_7C15), question)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    let (mut yes, mut no): (Vec<_>, Vec<_>) =
        keyed.into_iter().map(|(_, question)| question).partition(Question::is_answerable);
    let half = if no.is_empty() { take } else { take / 2 };
    yes = yes.into_iter().skip(skip).take(half).collect();
    no = no.into_iter().skip(skip).take(take - half).collect();
    yes.into_iter().chain(no).collect()
}

/// The set's corpus as files that can be ingested.
fn unpack(set: &Path, bench: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let folder = bench.join("files").join(set.file_name().unwrap_or_default());
    if folder.is_dir() {
        return Ok(folder);
    }
    let partial = folder.with_extension("partial");
    fs_err::create_dir_all(&partial)?;
    for line in fs_err::read_to_string(set.join("corpus.jsonl"))?.lines() {
        let document: serde_json::Value = serde_json::from_str(line)?;
        let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
        let name: String = text("_id").chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect();
        fs_err::write(partial.join(format!("{name}.md")), format!("# {}\n\n{}\n", text("title"), text("text")))?;
    }
    fs_err::rename(partial, &folder)?;
    Ok(folder)
}
