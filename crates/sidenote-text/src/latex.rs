//! LaTeX: the stored text is the file; `\section` and its kin are headings, `\title` and `\author` say what they say, the row
//! above the first rule of a `tabular` is its header.
//!
//! Comments and verbatim text are passed over. Nothing is expanded: a heading that a macro makes is not seen.

use crate::markdown::fold_white;
use crate::plain::of_markup;
use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Span, Table};

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
const TABLES: [&str; 5] = ["tabular", "tabularx", "tabulary", "longtable", "tblr"];
/// What may stand above the first row of a table.
const ABOVE_ROWS: [&str; 9] =
    ["hline", "toprule", "midrule", "noalign", "caption", "label", "centering", "rowcolor", "arrayrulecolor"];
/// What stands under a header.
const UNDER_HEADER: [&str; 6] = ["hline", "midrule", "specialrule", "endhead", "endfirsthead", "bottomrule"];
/// What stands under some columns of a header of several rows.
const UNDER_SOME: [&str; 2] = ["cline", "cmidrule"];
const MAX_HEADER_ROWS: usize = 4;
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
    document.tables = found.tables;
    Ok(document)
}

#[derive(Default)]
struct Found {
    title: Option<String>,
    author: Option<String>,
    headings: Vec<Heading>,
    tables: Vec<Table>,
}

fn find(text: &str) -> Found {
    let mut found = Found::default();
    // Environments whose end does not come any more, so that nobody looks again.
    let mut endless: Vec<&str> = Vec::new();
    let mut ends: Vec<(&str, usize)> = Vec::new();
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
            (None, _) => {
                let kind = argument.strip_suffix('*').unwrap_or(argument);
                let (is_verbatim, is_table) = (VERBATIM.contains(&kind), TABLES.contains(&kind));
                if !(is_verbatim || is_table) || endless.contains(&argument) {
                    continue;
                }
                let closing = format!("\\end{{{argument}}}");
                // One end may be the next of many beginnings.
                let known =
                    ends.iter().find(|(kind, place)| *kind == argument && *place >= end).map(|(_, place)| *place);
                let place = known.or_else(|| text.get(end..)?.find(&closing).map(|length| end + length));
                let Some(place) = place else {
                    endless.push(argument);
                    continue;
                };
                ends.retain(|(kind, _)| *kind != argument);
                ends.push((argument, place));
                if is_verbatim {
                    at = place;
                } else {
                    let takes_width = kind != argument || matches!(kind, "tabularx" | "tabulary");
                    let header = header_of(text, Span::new(end, place), 1 + usize::from(takes_width));
                    let span = Span::new(sign, place + closing.len());
                    // A table inside of another is part of its cell.
                    let is_inner = found.tables.last().is_some_and(|outer| outer.span.end > sign);
                    found.tables.extend(header.filter(|_| !is_inner).map(|header| Table { span, header }));
                }
            }
        }
    }
    found
}

/// The rows above the first rule that stands under one. `body` lies between `\\begin{tabular}` and its end.
/// `arguments` are to come, of the columns alone or the width before them.
fn header_of(text: &str, body: Span, mut arguments: usize) -> Option<Span> {
    // The next table is another one's.
    let offset = body.start;
    let window = text.get(offset..text.floor_char_boundary(offset + 2 * MAX_ARGUMENT_BYTES).min(body.end))?;
    let body = window.split("\\begin{").next()?;
    let mut start = 0;
    while arguments > 0 {
        start = behind_white(body, start);
        arguments -= usize::from(body.get(start..)?.starts_with('{'));
        start = behind_argument(body, start)?;
    }
    loop {
        start = behind_white(body, start);
        match command_at(body, start) {
            Some(("\\", behind)) => start = behind,
            Some((name, behind)) if ABOVE_ROWS.contains(&name) => start = behind_arguments(body, behind),
            Some(_) | None => break,
        }
    }
    let (mut row, mut rows) = (start, 0);
    while rows < MAX_HEADER_ROWS {
        let end = row + body.get(row..)?.find("\\\\")?;
        let mut under = behind_white(body, behind_arguments(body, end + 2));
        let mut goes_on = false;
        while let Some((name, behind)) = command_at(body, under) {
            if UNDER_HEADER.contains(&name) {
                let header = body.get(start..end)?.trim_end();
                return header.contains('&').then(|| Span::new(offset + start, offset + start + header.len()));
            }
            if !UNDER_SOME.contains(&name) {
                break;
            }
            goes_on = true;
            under = behind_white(body, behind_arguments(body, behind));
        }
        if !goes_on {
            return None;
        }
        (row, rows) = (under, rows + 1);
    }
    None
}

/// The place behind white space and comments.
fn behind_white(text: &str, mut at: usize) -> usize {
    while let Some(rest) = text.get(at..) {
        let words = rest.trim_start();
        at += rest.len() - words.len();
        match words.strip_prefix('%').map(|comment| comment.find('\n').unwrap_or(comment.len())) {
            Some(length) => at += 1 + length,
            None => break,
        }
    }
    at
}

/// The place behind what a command is given: `*`, `(lr)`, `[2pt]`, `{2-3}`.
fn behind_arguments(text: &str, mut at: usize) -> usize {
    while let Some(behind) = behind_argument(text, at) {
        at = behind;
    }
    at
}

fn behind_argument(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    match rest.chars().next()? {
        '*' => Some(at + 1),
        '(' => rest.find(')').map(|close| at + close + 1),
        '[' => rest.find(']').map(|close| at + close + 1),
        '{' => argument_at(text, at).map(|(_, end)| end),
        _ => None,
    }
}

/// The name of the command at a place, and where it ends; `\\` is one.
fn command_at(text: &str, at: usize) -> Option<(&str, usize)> {
    let behind = text.get(at..)?.strip_prefix('\\')?;
    if behind.starts_with('\\') {
        return Some(("\\", at + 2));
    }
    let length = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
    Some((behind.get(..length)?, at + 1 + length))
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
    fn the_row_above_a_rule_heads_its_table() {
        let text = "\\begin{table}\n\\begin{tabular}{l|r}\n\\hline % rule\n\\textbf{Part} & Price \\\\ \\hline\nSeal & 4 \\\\\n\\end{tabular}\n\
                    \\end{table}\n\\begin{tabularx}{\\textwidth}{lX}\n\\toprule\nSize & Use \\\\[2pt]\n\\midrule\n2 & a \\\\\n\\bottomrule\n\
                    \\end{tabularx}\n\\begin{tabular}{ll}\na & b \\\\\nc & d\n\\end{tabular}\n\
                    \\begin{longtable}{ll}\n\\caption{All}\\\\\nNo & Name \\\\\n\\endhead\n1 & x\n\\end{longtable}\n";
        let document = read(text.as_bytes(), &ExtractLimits::default()).expect("reads");
        let headers: Vec<_> =
            document.tables.iter().map(|table| table.header.slice(text).unwrap_or_default()).collect();
        assert_eq!(headers, ["\\textbf{Part} & Price", "Size & Use", "No & Name"]);
        for (rows, header) in [
            ("{@{}ll@{}}\n\\toprule\\noalign{}\nA & B \\\\\n\\midrule\\noalign{}\n1 & 2", Some("A & B")),
            ("[t] {ll} \\toprule[1pt] A & B \\\\* \\hline", Some("A & B")),
            (
                "{lll}\n& \\multicolumn{2}{c}{Price} \\\\ \\cmidrule(lr){2-3}\nA & B & C \\\\ \\midrule",
                Some("& \\multicolumn{2}{c}{Price} \\\\ \\cmidrule(lr){2-3}\nA & B & C"),
            ),
            ("{ll} A & B \\\\ 1 & 2 \\\\ \\hline", None),
            ("{ll}\n{\\bf A} & B \\\\ \\hline 1 & 2", Some("{\\bf A} & B")),
            ("{l} alone \\\\ \\hline", None),
        ] {
            let text = format!("\\begin{{tabular}}{rows}\\end{{tabular}}");
            let found =
                find(&text).tables.first().map(|table| table.header.slice(&text).unwrap_or_default().to_owned());
            assert_eq!(found.as_deref(), header, "{rows}");
        }
        let first = document.tables[0].span.slice(text).unwrap_or_default();
        assert!(first.starts_with("\\begin{tabular}") && first.ends_with("4 \\\\\n\\end{tabular}"), "{first}");
    }

    #[test]
    fn braces_and_backslashes_without_end_cost_little() {
        for sign in [
            "\\begin{tabular}",
            "\\begin{tabular}\\end{tabular}",
            "\\begin{tabular}{l}%\n\\hline\\\\",
            "\\cmidrule",
            "\\section{",
            "\\",
            "{",
            "\\begin{verbatim}",
            "%",
            "\\section[",
            "}\\title{\\\\",
        ] {
            let document = read(sign.repeat(300_000).as_bytes(), &ExtractLimits::default()).expect("reads");
            assert!(document.headings.len() < 2, "{sign}");
        }
        let many = "\\begin{tabular}".repeat(300_000) + "\\end{tabular}";
        assert!(read(many.as_bytes(), &ExtractLimits::default()).expect("reads").tables.is_empty());
    }
}
