//! `sidenote search`.

use std::ops::Range;

use sidenote::{Hit, SearchMode, SearchRequest, Span};
use sidenote_http::SearchReport;

use super::Session;
use crate::{
    args::{Mode, SearchArgs},
    exit::Exit,
    format::{PathNames, duration},
    output::Output,
    terminal::{Terminal, one_line},
};

/// Finds passages.
pub(crate) fn run(session: &Session, args: &SearchArgs) -> anyhow::Result<Exit> {
    let (output, config) = (&session.output, &session.settings.config);
    let mut request = SearchRequest::new(args.query.join(" "));
    request.limit = args.limit.unwrap_or(config.search.limit);
    request.mode = match args.mode {
        None => config.search.mode,
        Some(Mode::Hybrid) => SearchMode::Hybrid,
        Some(Mode::Lexical) => SearchMode::Lexical,
        Some(Mode::Dense) => SearchMode::Dense,
    };
    request.filter = session.filter(&args.filter);
    let report = session.engine()?.search(&request)?;
    let exit = if report.hits.is_empty() { Exit::Nothing } else { Exit::Done };
    let wire = SearchReport::from(&report);
    if output.json {
        output.print_json(&wire)?;
        return Ok(exit);
    }
    if let Some(hint) = &report.hint {
        output.hint(hint);
    }
    if report.hits.is_empty() {
        output.print("Nothing found.")?;
        return Ok(exit);
    }
    let parts: Vec<String> = report.hits.iter().map(|hit| shown(hit, output)).collect();
    output.print(&parts.join(if output.terminal.is_terminal { "\n\n" } else { "\n" }))?;
    if output.verbose > 0 {
        output.print(&output.terminal.dim(&timings(&wire)))?;
    }
    Ok(exit)
}

/// A hit as people read it: rank and place, the snippet, scores with `-v`.
fn shown(hit: &Hit, output: &Output) -> String {
    let terminal = output.terminal;
    let rank = terminal.accent(&format!("{:>2}", hit.rank));
    let mut lines = vec![format!("{rank}  {}", terminal.bold(&place_of(hit, &output.names)))];
    if let Some(header) = &hit.table_header {
        lines.push(terminal.dim(&terminal.indented(&one_line(header), 4)));
    }
    lines.push(terminal.indented(&snippet(hit), 4));
    if output.verbose > 0 {
        let bytes = format!("bytes {}..{}", hit.span.start, hit.span.end);
        lines.push(terminal.dim(&format!("    {}, {bytes}", scores(hit))));
    }
    lines.join("\n")
}

/// What a hit is ordered by.
pub(super) fn scores(hit: &Hit) -> String {
    let rank = |name: &str, rank: Option<usize>| rank.map(|rank| format!("{name} {rank}"));
    let mut scores = vec![format!("score {:.3}", hit.score)];
    scores.extend(rank("words", hit.lexical_rank));
    scores.extend(rank("meaning", hit.dense_rank));
    scores.extend(hit.rerank_score.map(|score| format!("reranker {score:.3}")));
    scores.join(", ")
}

/// Where that stands which is shown of a hit.
pub(super) fn place_of(hit: &Hit, names: &PathNames) -> String {
    let shown = shown_part(hit);
    let span = Span::new(hit.span.start + shown.start, hit.span.start + shown.end);
    names.place(&hit.document, hit.page, hit.part_at(span).as_deref(), &hit.heading)
}

/// The snippet, with dots where the passage goes on.
fn snippet(hit: &Hit) -> String {
    let shown = shown_part(hit);
    let before = if shown.start > 0 { "… " } else { "" };
    let after = if shown.end < hit.text.trim_end().len() { " …" } else { "" };
    format!("{before}{}{after}", one_line(hit.text.get(shown).unwrap_or(&hit.text)))
}

/// The bytes of a hit's text that are shown: its snippet. A short one, such as a heading, takes some of what follows it along.
fn shown_part(hit: &Hit) -> Range<usize> {
    let start = hit.snippet.start.saturating_sub(hit.span.start);
    start..widened(&hit.text, start, hit.snippet.end.saturating_sub(hit.span.start))
}

/// A snippet shorter than this many bytes is widened to as many, at a word's end.
const SHORT_SNIPPET_BYTES: usize = 160;

fn widened(text: &str, start: usize, end: usize) -> usize {
    let wanted = start + SHORT_SNIPPET_BYTES;
    if end >= wanted {
        return end;
    }
    if text.len() <= wanted {
        return text.len();
    }
    let words = text.char_indices().filter(|(at, character)| character.is_whitespace() && (end..=wanted).contains(at));
    words.map(|(at, _)| at).next_back().unwrap_or(end)
}

fn timings(report: &SearchReport) -> String {
    let millis = &report.timings_ms;
    let time = |millis: f64| duration(millis / 1000.0);
    let rerank = millis.rerank.map(|millis| format!(", rerank {}", time(millis))).unwrap_or_default();
    let (embed, words, meaning) = (time(millis.embed), time(millis.lexical), time(millis.dense));
    format!("{} (embed {embed}, words {words}, meaning {meaning}{rerank})", time(millis.total))
}

/// A few hits in a line each: what is closest, where there is no answer.
pub(super) fn closest(hits: &[Hit], names: &PathNames, terminal: Terminal) -> String {
    let lines: Vec<String> = hits
        .iter()
        .take(3)
        .map(|hit| format!("  {}\n{}", place_of(hit, names), terminal.dim(&terminal.indented(&snippet(hit), 4))))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_snippet_takes_whole_words_of_what_follows() {
        let text = format!("# Heading\n\n{}", "wörter ".repeat(60));
        let end = widened(&text, 0, 9);
        assert!(end > 140 && end <= 160, "{end}");
        assert!(text[..end].ends_with("wörter"), "{}", &text[..end]);
        assert_eq!(widened(&text, 0, 300), 300);
        assert_eq!(widened("short text", 0, 5), 10);
        assert_eq!(widened(&"x".repeat(500), 100, 120), 120);
    }
}
