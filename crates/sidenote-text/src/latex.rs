//! LaTeX: the stored text is the file; `\section` and its kin are headings, `\title` and `\author` say what they say.
//!
//! Comments and verbatim text are passed over. Nothing is expanded: a heading that a macro makes is not seen.

use crate::markdown::fold_white;
use crate::plain::of_markup;
use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Span};

/// Sectioning commands, outermost first.
const SECTIONS: [(&str, u8); 7] = [
    ("part", 1),
    ("chapter", 2),
    ("section", 3),
    ("subsection", 4),
    ("subsubsection", 5),
    ("paragraph", 6),
    ("frametitle", 6),
];
const VERBATIM: [&str; 5] = ["verbatim", "lstlisting", "minted", "comment", "filecontents"];
/// Longest argument read; a brace that never closes is no heading.
const MAX_ARGUMENT_BYTES: usize = 2_000;

/// Reads a LaTeX file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let mut found = Found::default();
    let mut document = of_markup(Format::Latex, bytes, limits, |text| {
        found = find(text);
        std::mem::take(&mut found.headings)
    })?;
    document.title = found.title.or(document.title);
    document.author = found.author;
    Ok(document)
}

#[derive(Default)]
struct Found {
    title: Option<String>,
    author: Option<String>,
    headings: Vec<Heading>,
}

fn find(text: &str) -> Found {
    let mut found = Found::default();
    // Environments whose end does not come any more, so that nobody looks again.
    let mut endless: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(sign) = text.get(at..).and_then(|rest| rest.find(['\\', '%'])).map(|offset| at + offset) {
        let behind = text.get(sign + 1..).unwrap_or_default();
        if text.as_bytes().get(sign) == Some(&b'%') {
            at = sign + 1 + behind.find('\n').unwrap_or(behind.len());
            continue;
        }
        let length = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let name = behind.get(..length).unwrap_or_default();
        // `\%` and `\\` are two signs.
        at = sign + 1 + length.max(behind.chars().next().map_or(0, char::len_utf8));
        let section = SECTIONS.iter().find(|(section, _)| *section == name);
        let Some((argument, end)) = section
            .is_some()
            .then_some(())
            .or_else(|| matches!(name, "title" | "author" | "begin").then_some(()))
            .and_then(|()| argument_at(text, sign + 1 + length))
        else {
            continue;
        };
        at = end;
        match (section, name) {
            (Some((_, level)), _) => {
                let title = words_of(argument);
                if !title.is_empty() {
                    found.headings.push(Heading { level: *level, title, span: Span::new(sign, end) });
                }
            }
            (None, "title") => found.title = Some(words_of(argument)).filter(|title| !title.is_empty()).or(found.title),
            (None, "author") => {
                let authors = argument.replace("\\and", ", ");
                found.author =
                    Some(words_of(&authors).replace(" ,", ",")).filter(|author| !author.is_empty()).or(found.author);
            }
            (None, _)
                if VERBATIM.contains(&argument.strip_suffix('*').unwrap_or(argument))
                    && !endless.contains(&argument) =>
            {
                match text.get(end..).and_then(|rest| rest.find(&format!("\\end{{{argument}}}"))) {
                    Some(length) => at = end + length,
                    None => endless.push(argument),
                }
            }
            (None, _) => {}
        }
    }
    found
}

/// The argument in braces behind a command, and where it ends: `*` and `[...]` may stand before it.
fn argument_at(text: &str, start: usize) -> Option<(&str, usize)> {
    let mut at = start;
    let bytes = text.as_bytes();
    if bytes.get(at) == Some(&b'*') {
        at += 1;
    }
    if bytes.get(at) == Some(&b'[') {
        let window = bytes.get(at..(at + MAX_ARGUMENT_BYTES).min(bytes.len()))?;
        at += window.iter().position(|byte| *byte == b']')? + 1;
    }
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    let mut depth = 0usize;
    let mut end = at;
    while end - at < MAX_ARGUMENT_BYTES {
        match bytes.get(end)? {
            b'\\' => end += 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((text.get(at + 1..end)?, end + 1));
                }
            }
            _ => {}
        }
        end += 1;
    }
    None
}

/// The words of an argument, without commands and braces.
fn words_of(argument: &str) -> String {
    let mut words = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['\\', '{', '}', '~', '$']) {
        let (before, sign) = rest.split_at(at);
        words.push_str(before);
        let behind = sign.get(1..).unwrap_or_default();
        if sign.starts_with('\\') {
            let length = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
            // A sign that is escaped stands for itself; a double backslash breaks the line.
            match (length, behind.chars().next()) {
                (0, Some('\\')) => words.push(' '),
                (0, Some(c)) => words.push(c),
                _ => {}
            }
            let skip = length.max(behind.chars().next().map_or(0, char::len_utf8));
            rest = behind.get(skip..).unwrap_or_default();
        } else {
            if sign.starts_with('~') {
                words.push(' ');
            }
            rest = behind;
        }
    }
    words.push_str(rest);
    fold_white(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_title_and_author_are_found() {
        let text = "\\documentclass{article}\n\\title{On \\emph{Pumps}~\\& Seals}\n\\author{Ruth Meier \\and Bo Li}\n\\begin{document}\n\
                    \\section*{First}\ntext % \\section{no}\n100\\% \\section{yes}\n\\begin{verbatim}\n\\section{shown}\n\\end{verbatim}\n\
                    \\subsection[short]{Long {and} deep}\n\\section{never closed";
        let document = read(text.as_bytes(), &ExtractLimits::default()).expect("reads");
        let outline: Vec<_> = document.headings.iter().map(|heading| (heading.level, heading.title.as_str())).collect();
        assert_eq!(outline, [(3, "First"), (3, "yes"), (4, "Long and deep")]);
        assert_eq!(document.headings[2].span.slice(text), Some("\\subsection[short]{Long {and} deep}"));
        assert_eq!(document.title.as_deref(), Some("On Pumps & Seals"));
        assert_eq!(document.author.as_deref(), Some("Ruth Meier, Bo Li"));
        assert_eq!(document.text, text);
    }

    #[test]
    fn braces_and_backslashes_without_end_cost_little() {
        for sign in ["\\section{", "\\", "{", "\\begin{verbatim}", "%", "\\section[", "}\\title{\\\\"] {
            let document = read(sign.repeat(300_000).as_bytes(), &ExtractLimits::default()).expect("reads");
            assert!(document.headings.len() < 2, "{sign}");
        }
    }
}
