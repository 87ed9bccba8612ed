//! How an answer came about: what was found, what of it the model read, what it wrote, what the confidence is made of, and where
//! the time went.

use sidenote::{Answer, ChunkId, Hit, Signals};

use super::search;
use crate::{
    format::{counted, duration, thousands},
    output::Output,
    terminal::one_line,
};

/// All of it. `needed` is the confidence from which an answer is shown.
pub(super) fn explained(answer: &Answer, needed: f32, output: &Output) -> String {
    let terminal = output.terminal;
    let mut lines = vec![terminal.bold("Found, best first")];
    if answer.passages.is_empty() {
        lines.push("    nothing".into());
    }
    for hit in &answer.passages {
        let rank = terminal.accent(&format!("{:>2}", hit.rank));
        lines.push(format!("{rank}  {}", search::place_of(hit, &output.names)));
        lines.push(terminal.dim(&format!("    {}: {}", search::scores(hit), became(hit, answer))));
    }
    if !answer.read.is_empty() {
        lines.push(format!("\n{}", terminal.bold("Read by the language model")));
    }
    for read in &answer.read {
        lines.push(format!("    {}", terminal.dim(&place_of(read.chunk, answer, output))));
        lines.push(terminal.indented(&one_line(&read.text), 4));
    }
    let written = answer.written();
    let written: Vec<&str> = written.lines().filter(|line| !line.trim().is_empty()).collect();
    if !written.is_empty() {
        lines.push(format!("\n{}", terminal.bold("Written by it, before the check")));
    }
    lines.extend(written.iter().map(|line| terminal.indented(&one_line(line), 4)));
    let verdict = if answer.answered { "shown" } else { "not shown" };
    let confidence = format!("Confidence {:.2}, {needed:.2} is needed: {verdict}", answer.confidence);
    lines.push(format!("\n{}", terminal.bold(&confidence)));
    // The confidence of a quote that no model has read is made of the first three.
    let known = if answer.model.is_empty() { 3 } else { 9 };
    let signals = answer.signals.iter().flat_map(|signals| made_of(signals).into_iter().take(known));
    lines.extend(signals.map(|(what, value)| format!("    {value:>6.2}  {what}")));
    lines.push(String::new());
    lines.extend(costs(answer).iter().map(|line| terminal.dim(line)));
    lines.join("\n")
}

/// What was left out, and where the time went: a few lines below an answer.
pub(super) fn details(answer: &Answer, output: &Output) -> String {
    let left_out = answer.left_out.iter().map(|left| {
        let place = place_of(left.chunk, answer, output);
        format!("left out: {place} ({}): {}", counted(left.tokens as u64, "token"), one_line(&left.why))
    });
    let lines: Vec<String> = left_out.chain(costs(answer)).map(|line| output.terminal.dim(&line)).collect();
    lines.join("\n")
}

/// Where a passage stands.
fn place_of(chunk: ChunkId, answer: &Answer, output: &Output) -> String {
    let hit = answer.passages.iter().find(|hit| hit.chunk == chunk);
    hit.map_or_else(|| format!("passage {}", chunk.0), |hit| search::place_of(hit, &output.names))
}

/// What became of a hit.
fn became(hit: &Hit, answer: &Answer) -> String {
    let is_quoted =
        answer.citations.iter().any(|note| note.document.id == hit.document.id && hit.span.contains(note.span));
    let is_read = answer.read.iter().any(|read| read.chunk == hit.chunk);
    let left_out = answer.left_out.iter().find(|left| left.chunk == hit.chunk);
    let read = match (is_read, left_out) {
        (true, Some(left)) => {
            format!("read but for {}: {}", counted(left.tokens as u64, "token"), one_line(&left.why))
        }
        (true, None) => "read".into(),
        (false, Some(left)) => format!("not read: {}", one_line(&left.why)),
        (false, None) => "not read".into(),
    };
    if is_quoted { format!("quoted; {read}") } else { read }
}

fn made_of(signals: &Signals) -> [(&'static str, f32); 9] {
    [
        ("evidence: how much the quote speaks of the question", signals.evidence),
        ("cosine of quote and question", signals.quote_cosine),
        ("share of the question's names and numbers that the document holds", signals.names_held),
        ("log-odds by the language model that the quote answers the question", signals.verdict),
        ("share of the drafts that point at the quote", signals.agreement),
        ("share of the question's words in the quote and its headings", signals.question_held),
        ("share of the answer's words in the quote and its headings", signals.answer_held),
        ("log-probability of what was written, mean of its tokens", signals.mean_logprob),
        ("log-probability of its first token", signals.first_logprob),
    ]
}

/// Times and tokens.
fn costs(answer: &Answer) -> Vec<String> {
    let timings = &answer.timings;
    let stages = [
        ("opening", Some(timings.load)),
        ("finding", Some(timings.retrieve)),
        ("choosing", timings.rerank),
        ("reading", timings.prefill),
        ("writing", timings.decode),
    ];
    let time = |milliseconds: f64| duration(milliseconds / 1000.0);
    let stages: Vec<String> =
        stages.into_iter().filter_map(|(name, took)| Some(format!("{name} {}", time(took?)))).collect();
    let first = timings.first_token.map(|took| format!("first word after {}, ", time(took))).unwrap_or_default();
    let tokens = &answer.tokens;
    let times = format!("{first}all in {}: {}", time(timings.total), stages.join(", "));
    if answer.model.is_empty() {
        return vec![times];
    }
    vec![
        times,
        format!(
            "{}, {} tokens read ({} known), {} written, confidence {:.2}, seed {}",
            one_line(&answer.model),
            thousands(tokens.prompt as u64),
            thousands(tokens.reused as u64),
            thousands(tokens.generated as u64),
            answer.confidence,
            answer.seed
        ),
    ]
}
