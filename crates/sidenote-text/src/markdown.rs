//! Markdown: the stored text is the file; headings and tables are found in it.
//!
//! Seam for `pulldown-cmark`. It accepts any text, its offsets are byte ranges into it, and it does not recurse; ranges
//! may end behind the line break, so they are trimmed here. It knows no byte order mark, which is skipped for it.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Span, Table, encoding, extract};

/// Reads a Markdown file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let decoded = encoding::decode(bytes, None);
    extract::check_length(&decoded.text, limits)?;
    let text = decoded.text.into_owned();
    let structure = structure_of(&text);
    let outermost = structure.headings.iter().map(|heading| heading.level).min();
    let first = structure.headings.iter().find(|heading| Some(heading.level) == outermost);
    let title = structure.title.or_else(|| first.map(|heading| heading.title.clone()));
    Ok(Document {
        title,
        headings: structure.headings,
        tables: structure.tables,
        warnings: decoded.warning.into_iter().collect(),
        ..Document::of_text(Format::Markdown, text)
    })
}

#[derive(Default)]
struct Structure {
    title: Option<String>,
    headings: Vec<Heading>,
    tables: Vec<Table>,
}

fn structure_of(text: &str) -> Structure {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let body = text.get(start..).unwrap_or_default();
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let span_of = |range: std::ops::Range<usize>| trim(text, Span::new(start + range.start, start + range.end));

    let mut structure = Structure::default();
    // A heading inside a quotation or a list rules only there; sections are made of those that stand free.
    let mut containers = 0usize;
    let mut heading: Option<Heading> = None;
    let mut table: Option<(Span, Option<Span>)> = None;
    let mut front_matter: Option<String> = None;
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        match event {
            Event::Start(Tag::BlockQuote(_) | Tag::List(_) | Tag::FootnoteDefinition(_)) => containers += 1,
            Event::End(TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::FootnoteDefinition) => {
                containers = containers.saturating_sub(1);
            }
            Event::Start(Tag::Heading { level, .. }) if containers == 0 => {
                heading = Some(Heading { level: level_number(level), title: String::new(), span: span_of(range) });
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(mut heading) = heading.take() {
                    heading.title = fold_white(&heading.title);
                    if !heading.title.is_empty() {
                        structure.headings.push(heading);
                    }
                }
            }
            Event::Start(Tag::Table(_)) => table = Some((span_of(range), None)),
            Event::Start(Tag::TableHead) => {
                if let Some((_, header)) = &mut table {
                    *header = Some(span_of(range));
                }
            }
            Event::End(TagEnd::Table) => {
                if let Some((span, Some(header))) = table.take() {
                    structure.tables.push(Table { span, header });
                }
            }
            Event::Start(Tag::MetadataBlock(_)) => front_matter = Some(String::new()),
            Event::End(TagEnd::MetadataBlock(_)) => {
                if let Some(block) = front_matter.take() {
                    structure.title = structure.title.or_else(|| title_in(&block));
                }
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(block) = &mut front_matter {
                    block.push_str(&words);
                } else if let Some(heading) = &mut heading {
                    heading.title.push_str(&words);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut heading {
                    heading.title.push(' ');
                }
            }
            Event::Start(_)
            | Event::End(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::Rule
            | Event::TaskListMarker(_) => {}
        }
    }
    structure
}

/// `title: "..."` or `title = "..."` in a front matter block.
fn title_in(block: &str) -> Option<String> {
    block.lines().find_map(|line| {
        let value = line.strip_prefix("title")?.trim_start();
        let value = value.strip_prefix(':').or_else(|| value.strip_prefix('='))?.trim();
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let title = fold_white(unquoted.unwrap_or(value));
        // `title: |` and `title: >` begin a block that is not read here.
        (!title.is_empty() && title != "|" && title != ">").then_some(title)
    })
}

/// The words of `text` with single spaces between them.
pub(crate) fn fold_white(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

/// `span` without white space at its ends.
pub(crate) fn trim(text: &str, span: Span) -> Span {
    let Some(slice) = span.slice(text) else { return span };
    let start = span.start + (slice.len() - slice.trim_start().len());
    Span::new(start, start + slice.trim().len())
}

fn level_number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Document {
        read(text.as_bytes(), &ExtractLimits::default()).expect("reads")
    }

    fn outline(document: &Document) -> Vec<(u8, &str, &str)> {
        let text = &document.text;
        document.headings.iter().map(|h| (h.level, h.title.as_str(), h.span.slice(text).expect("in text"))).collect()
    }

    #[test]
    fn both_kinds_of_heading_are_found_with_their_bytes() {
        let document = read_text("\u{feff}# One `a` *b*\n\ntext\n\nTwo\nlines\n---\n\n### Three ###\n");
        assert_eq!(
            outline(&document),
            [(1, "One a b", "# One `a` *b*"), (2, "Two lines", "Two\nlines\n---"), (3, "Three", "### Three ###")]
        );
        assert_eq!(document.title.as_deref(), Some("One a b"));
    }

    #[test]
    fn lines_that_only_look_like_headings_are_not() {
        let document = read_text("```\n# comment\n```\n\n> # quoted\n\n- # item\n\n#hashtag\n\n    # code\n\n#\n");
        assert_eq!(outline(&document), []);
        assert_eq!(document.title, None);
    }

    #[test]
    fn front_matter_gives_the_title() {
        let document = read_text("---\nauthor: x\ntitle: \"Travel: rules\"\n---\n\n# Other\n");
        assert_eq!(document.title.as_deref(), Some("Travel: rules"));
        let document = read_text("+++\ntitle = 'T'\n+++\ntext\n");
        assert_eq!(document.title.as_deref(), Some("T"));
    }

    #[test]
    fn a_document_without_a_top_heading_takes_its_first_outermost() {
        assert_eq!(read_text("### a\n\n## b\n\n## c\n").title.as_deref(), Some("b"));
    }

    #[test]
    fn tables_are_found_with_their_header() {
        let text = "before\n\n| A | B |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nafter\n";
        let document = read_text(text);
        let table = document.tables[0];
        assert_eq!(table.header.slice(text), Some("| A | B |"));
        assert_eq!(table.span.slice(text), Some("| A | B |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"));
    }
}
