//! Results as text, for clients that read nothing else: everything that a note needs stands in it.
//!
//! Words of documents are indented, so that none of them can pass for a line of ours.

use sidenote::{AskEvent, AskPhase};

use super::super::problem::Refusal;
use crate::wire::{Answer, Document, DocumentPage, DocumentText, Hit, SearchReport, Span};

/// How many passages are shown where there is no answer.
const CLOSEST: usize = 3;

/// A refusal and what to do about it.
pub(super) fn sentence(refusal: &Refusal) -> String {
    let told = refusal.told();
    let mut characters = told.chars();
    let whole: String =
        characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default();
    if whole.ends_with(['.', '!', '?']) { whole } else { format!("{whole}.") }
}

/// A search without hits. `hint` is the engine's own.
pub(super) fn nothing_found(hint: Option<&str>) -> Refusal {
    let hint = hint.unwrap_or("use other words, or leave out what narrows the search");
    let status = axum::http::StatusCode::NOT_FOUND;
    Refusal::new(status, "nothing_found", "nothing was found").hint(hint)
}

/// A list without documents.
pub(super) fn no_documents(collection: Option<&str>, collections: &[String]) -> Refusal {
    match collection {
        Some(name) if !collections.is_empty() => {
            let known: Vec<String> = collections.iter().map(|name| format!("`{name}`")).collect();
            let hint = format!("name another, there are {}", known.join(", "));
            Refusal::not_found(&format!("collection as `{name}`")).hint(hint)
        }
        Some(_) | None => Refusal::from(sidenote::Error::NothingIngested { path: std::path::PathBuf::new() }),
    }
}

/// The address of a document as a resource.
pub(super) fn uri(document: &Document) -> String {
    format!("sidenote://document/{}", document.id)
}

/// A file's name and, of an attachment or a member, its own.
pub(super) fn named(document: &Document) -> String {
    match &document.part {
        Some(part) => format!("{} ({})", one_line(&document.path), one_line(part)),
        None => one_line(&document.path),
    }
}

fn place(document: &Document, page: Option<u32>, part: Option<&str>, heading: &[String], span: Span) -> String {
    let mut words = vec![named(document)];
    words.extend(page.map(|page| format!("page {page}")));
    words.extend(part.map(one_line));
    if !heading.is_empty() {
        words.push(heading.iter().map(|heading| one_line(heading)).collect::<Vec<_>>().join(" > "));
    }
    format!("{}; {}, bytes {} to {}", words.join(", "), uri(document), span.start, span.end)
}

pub(super) fn hits(report: &SearchReport) -> String {
    let hint = report.hint.as_deref().map(|hint| format!("Note: {}", one_line(hint)));
    hint.into_iter().chain(report.hits.iter().map(hit)).collect::<Vec<_>>().join("\n\n")
}

fn hit(hit: &Hit) -> String {
    let place = place(&hit.document, hit.page, hit.part.as_deref(), &hit.heading, hit.span);
    format!("{}. {place}\n{}", hit.rank, indented(&hit.text))
}

pub(super) fn answer(answer: &Answer) -> String {
    if !answer.answered {
        let said = "The documents do not say.";
        let reason = answer.reason.as_deref().map(one_line).unwrap_or_default();
        let said = if reason.starts_with(said) { reason } else { format!("{said} {reason}").trim_end().to_owned() };
        let closest: Vec<String> = answer.passages.iter().take(CLOSEST).map(hit).collect();
        return if closest.is_empty() { said } else { format!("{said}\n\nClosest:\n\n{}", closest.join("\n\n")) };
    }
    let notes = answer.citations.iter().map(|note| {
        let place = place(&note.document, note.page, note.part.as_deref(), &note.heading, note.span);
        format!("[{}] {place}\n{}", note.n, indented(&note.quote))
    });
    std::iter::once(answer.answer.clone()).chain(notes).collect::<Vec<_>>().join("\n\n")
}

/// What is told of an answer before it is there: what is being done, and the sentences that stand.
pub(super) fn progress(event: &AskEvent<'_>) -> Option<String> {
    match *event {
        AskEvent::Phase(AskPhase::Loading) => Some("opening the models".to_owned()),
        AskEvent::Phase(AskPhase::Retrieving) => Some("looking for passages".to_owned()),
        AskEvent::Phase(AskPhase::Reading) => Some("reading the passages".to_owned()),
        AskEvent::Understood(question) => Some(format!("understood as: {question}")),
        AskEvent::Sentence { sentence, .. } => Some(sentence.text.clone()),
        AskEvent::Token(_) | AskEvent::Retract(_) | AskEvent::Final(_) => None,
    }
}

/// What stands above a stretch of text.
pub(super) fn head(read: &DocumentText) -> String {
    let DocumentText { document, start, end, total_bytes, .. } = read;
    let place = format!("{}; {}, bytes {start} to {end} of {total_bytes}", named(document), uri(document));
    if end < total_bytes { format!("{place}; it goes on at `start` {end}") } else { place }
}

pub(super) fn documents(page: &DocumentPage) -> String {
    let lines = page.documents.iter().map(|document| {
        let mut words = vec![named(document)];
        words.extend(document.title.as_deref().map(one_line));
        words.extend(document.page_count.map(|pages| format!("{pages} pages")));
        words.push(format!("collection {}", one_line(&document.collection)));
        if document.stale {
            words.push("changed since it was read".to_owned());
        }
        format!("{}: {}", document.id, words.join(", "))
    });
    let more = page.next_offset.map(|next| format!("{} in all; the list goes on at `offset` {next}", page.total));
    lines.chain(more).collect::<Vec<_>>().join("\n")
}

/// A line without line breaks and other control characters.
fn one_line(text: &str) -> String {
    text.split(|character: char| character.is_whitespace() || character.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_refusal_is_a_sentence_that_says_what_to_do() {
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "not_found", "über is no document").hint("ask again?");
        assert_eq!(sentence(&refusal), "Über is no document; ask again?");
        assert_eq!(sentence(&Refusal::not_found("document")), "There is no such document.");
        let none = no_documents(None, &[]);
        assert!(sentence(&none).contains("sidenote ingest"), "{}", sentence(&none));
        let other = no_documents(Some("site"), &["default".to_owned()]);
        assert!(sentence(&other).contains("`default`"), "{}", sentence(&other));
    }

    #[test]
    fn names_and_passages_cannot_pass_for_lines_of_ours() {
        assert_eq!(one_line("a\n2. b\u{1b}[2J\tc\u{85}d"), "a 2. b [2J c d");
        assert_eq!(indented("a\n2. /etc; x\n\n"), "    a\n    2. /etc; x");
    }
}
