//! A document becomes chunks.
//!
//! Sections come first: no chunk crosses a page, a slide or a sheet, and none crosses a heading, except that very small sections that lie side
//! by side share one, and that a heading with nothing under it goes with what follows. A section that is too large is cut
//! by `chunk_cut`. Chunks do not overlap.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::chunk_cut::{Cutter, MAX_BYTES_PER_TOKEN};
use crate::chunk_prefix::build_prefix;
use crate::markdown::trim;
use crate::rows::marks_within;
use crate::{Document, Format, Page, RowMark, Span};

/// A piece of a document that is embedded, indexed and cited as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where in the document's stored text; `document.text[span] == text`.
    pub span: Span,
    /// Page of the chunk's first character; `None` where the format has no pages.
    pub page: Option<u32>,
    /// Name of the slide, sheet or other place it stands in; `None` where the format has none.
    pub place: Option<String>,
    /// Rows of its sheet, with offsets in `text`; empty where the format has none.
    pub rows: Vec<RowMark>,
    /// Headings above it, outermost first.
    pub heading: Vec<String>,
    /// Header row of the table it continues, when the row itself is not inside the span.
    pub table_header: Option<Span>,
    /// What is put before the text when it is embedded: title, headings, table header, capped in tokens. May be empty.
    pub prefix: String,
    /// The stored text under the span.
    pub text: String,
    /// Tokens of the embedded text, prefix and special tokens included.
    pub tokens: usize,
}

impl Chunk {
    /// What is embedded: prefix, a line break where there is a prefix, text.
    pub fn embedded_text(&self) -> String {
        if self.prefix.is_empty() { self.text.clone() } else { format!("{}\n{}", self.prefix, self.text) }
    }
}

/// Counts tokens as the embedding model does, special tokens excluded, without truncation.
pub trait TokenCounter {
    /// Number of tokens of `text`.
    fn count_tokens(&self, text: &str) -> usize;

    /// Byte ranges in `text` of its tokens, ascending. `count_tokens(text) == token_offsets(text).len()`.
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)>;
}

/// How chunks are cut.
#[derive(Clone, Copy, Debug)]
pub struct ChunkOptions {
    /// Most tokens of a chunk, prefix and special tokens included; 32 to the model's limit. Default 256.
    pub max_tokens: usize,
    /// Most tokens of the prefix; 0 to a half of `max_tokens`. Default 48.
    pub max_prefix_tokens: usize,
    /// Tokens the model adds to every text (`[CLS]` and `[SEP]`: 2).
    pub special_tokens: usize,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self { max_tokens: 256, max_prefix_tokens: 48, special_tokens: 2 }
    }
}

impl ChunkOptions {
    /// Tokens left for prefix and text.
    pub(crate) fn budget(&self) -> usize {
        self.max_tokens.saturating_sub(self.special_tokens).max(1)
    }

    /// A section of at most so many tokens is small enough to share a chunk with its neighbours.
    fn tiny_tokens(&self) -> usize {
        self.max_tokens / 8
    }

    /// Most tokens of a chunk that small sections share.
    fn shared_tokens(&self) -> usize {
        self.max_tokens / 2
    }
}

/// What a chunk's vector depends on: the sha256 of its [`Chunk::embedded_text`]. Equal hash, one vector.
pub fn embedded_hash(chunk: &Chunk) -> [u8; 32] {
    Sha256::digest(chunk.embedded_text().as_bytes()).into()
}

/// Cuts a document into chunks, in order. Together they hold every byte of the text that is not white space, each of them
/// once. A chunk has at most `options.max_tokens` tokens; the one exception is a single character that alone has more.
pub fn chunk_document(document: &Document, counter: &dyn TokenCounter, options: &ChunkOptions) -> Vec<Chunk> {
    let chunker = Chunker { document, counter, options, title: document.title.as_deref().map(shorten) };
    let mut chunks = Vec::new();
    for group in group_sections(&sections_of(document), &document.text, counter, options) {
        chunker.chunk_group(&group, &mut chunks);
    }
    chunks
}

/// Longest heading kept in a path, in bytes. A path is stored with every chunk under it.
const MAX_HEADING_BYTES: usize = 300;

/// Text under one heading on one page.
struct Section {
    span: Span,
    /// Its heading and those above it, outermost first.
    path: Vec<String>,
    /// Whether there is nothing in it but its heading.
    is_heading_only: bool,
    /// Whether a page, slide or sheet begins with it.
    is_page_start: bool,
}

/// Sections that are cut as one.
struct Group {
    span: Span,
    path: Vec<String>,
    is_heading_only: bool,
    /// Sum over its sections, where all are small.
    tokens: Option<usize>,
}

fn sections_of(document: &Document) -> Vec<Section> {
    let text = &document.text;
    let mut cuts: Vec<(usize, Option<&crate::Heading>)> = vec![(0, None)];
    let mut page_starts: Vec<usize> = document.pages.iter().map(|page| page.span.start).collect();
    page_starts.extend(document.places.iter().map(|place| place.span.start));
    page_starts.sort_unstable();
    cuts.extend(page_starts.iter().map(|start| (*start, None)));
    cuts.extend(document.headings.iter().map(|heading| (heading.span.start, Some(heading))));
    cuts.retain(|(at, _)| text.is_char_boundary(*at));
    // A page's cut comes before that of a heading at its top.
    cuts.sort_by_key(|(at, heading)| (*at, heading.is_some()));

    let mut sections = Vec::new();
    let mut path: Vec<(u8, String)> = Vec::new();
    let mut is_page_start = false;
    for (index, (start, heading)) in cuts.iter().enumerate() {
        if let Some(heading) = heading {
            path.retain(|(level, _)| *level < heading.level);
            path.push((heading.level, shorten(&heading.title)));
        }
        // A page may begin with white space alone: then the section after it is the page's first.
        is_page_start |= page_starts.binary_search(start).is_ok();
        let end = cuts.get(index + 1).map_or(text.len(), |(next, _)| *next);
        let span = trim(text, Span::new(*start, end));
        if span.is_empty() {
            continue;
        }
        let is_heading_only = heading.is_some_and(|heading| heading.span.end >= span.end);
        let path = path.iter().map(|(_, title)| title.clone()).collect();
        sections.push(Section { span, path, is_heading_only, is_page_start });
        is_page_start = false;
    }
    sections
}

fn group_sections(sections: &[Section], text: &str, counter: &dyn TokenCounter, options: &ChunkOptions) -> Vec<Group> {
    let tiny = options.tiny_tokens();
    let mut groups: Vec<Group> = Vec::new();
    let mut last_tiny = false;
    for section in sections {
        let may_be_tiny = section.span.len() <= tiny * MAX_BYTES_PER_TOKEN;
        let tokens = section.span.slice(text).filter(|_| may_be_tiny).map(|slice| counter.count_tokens(slice));
        let is_tiny = tokens.is_some_and(|tokens| tokens <= tiny);
        let joined = groups.last_mut().filter(|_| !section.is_page_start).is_some_and(|group| {
            let sum = group.tokens.zip(tokens).map(|(a, b)| a + b);
            if group.is_heading_only && section.path.starts_with(&group.path) {
                group.path.clone_from(&section.path);
            } else if last_tiny && is_tiny && sum.is_some_and(|sum| sum <= options.shared_tokens()) {
                let parent = parent_of(&section.path);
                if group.path != parent && parent_of(&group.path) != parent {
                    return false;
                }
                group.path = parent.to_vec();
            } else {
                return false;
            }
            group.is_heading_only &= section.is_heading_only;
            group.tokens = sum;
            group.span = Span::new(group.span.start, section.span.end);
            true
        });
        if !joined {
            let (path, is_heading_only) = (section.path.clone(), section.is_heading_only);
            groups.push(Group { span: section.span, path, is_heading_only, tokens });
        }
        last_tiny = is_tiny;
    }
    groups
}

fn parent_of(path: &[String]) -> &[String] {
    path.split_last().map_or(path, |(_, parent)| parent)
}

/// As much of a header row as may ride in a prefix. A row is counted with every chunk of its table, and one of a hundred
/// thousand columns would cost as much as the table each time.
fn start_of_row<'a>(text: &'a str, header: Span, options: &ChunkOptions) -> Option<&'a str> {
    let row = header.slice(text)?;
    Some(start_of(row, options.max_prefix_tokens.saturating_mul(MAX_BYTES_PER_TOKEN * 4)))
}

/// The start of a text, of so many bytes at most.
fn start_of(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or_default()
}

/// A heading cut to what a path may hold.
fn shorten(title: &str) -> String {
    start_of(title, MAX_HEADING_BYTES).to_owned()
}

/// Makes chunks of spans, each with the tokens it was cut to have, and cuts those again that have more than they may.
pub(crate) fn cut_to_fit(
    cutter: &Cutter<'_>,
    mut queue: Vec<(Span, usize)>,
    options: &ChunkOptions,
    chunks: &mut Vec<Chunk>,
    build: impl Fn(Span, bool) -> Chunk,
) {
    queue.reverse();
    while let Some((span, room)) = queue.pop() {
        let mut chunk = build(span, true);
        if chunk.tokens > options.max_tokens {
            // Counted alone, a piece may have more tokens than it had in its surroundings.
            let smaller = (room * options.budget() / chunk.tokens.max(1)).min(room - 1);
            if smaller > 0 {
                queue.extend(cutter.cut(span, smaller).into_iter().rev().map(|span| (span, smaller)));
                continue;
            }
            chunk = build(span, false);
        }
        chunks.push(chunk);
    }
}

struct Chunker<'a> {
    document: &'a Document,
    counter: &'a dyn TokenCounter,
    options: &'a ChunkOptions,
    title: Option<String>,
}

impl Chunker<'_> {
    fn chunk_group(&self, group: &Group, chunks: &mut Vec<Chunk>) {
        let text = &self.document.text;
        let budget = self.options.budget();
        let prefix = self.prefix_of(&group.path, None);
        // One more for the line break behind the prefix, which some tokenizers count.
        let prefix_tokens = if prefix.is_empty() { 0 } else { self.counter.count_tokens(&prefix) + 1 };
        let room = budget.saturating_sub(prefix_tokens).max(1);
        let whole = self.count_if_small(group.span, room).is_some_and(|tokens| tokens <= room);
        let is_markdown = self.document.format == Format::Markdown;
        let cutter = Cutter { text, counter: self.counter, is_markdown };
        let queue = if whole {
            vec![(group.span, room)]
        } else {
            let header = self.largest_header(group.span);
            let with_header = self.options.max_prefix_tokens.min(prefix_tokens + header) + 1;
            let prefix_tokens = if header == 0 { prefix_tokens } else { prefix_tokens.max(with_header) };
            let room = budget.saturating_sub(prefix_tokens).max(1);
            cutter.cut(group.span, room).into_iter().map(|span| (span, room)).collect()
        };
        cut_to_fit(&cutter, queue, self.options, chunks, |span, with_prefix| {
            let table_header = self.header_for(span);
            let prefix = match (with_prefix, table_header) {
                (false, _) => String::new(),
                (true, None) => prefix.clone(),
                (true, Some(_)) => self.prefix_of(&group.path, table_header),
            };
            self.chunk_at(span, group, prefix, table_header)
        });
    }

    /// Tokens of a span, `None` where it is clearly too large for `room`.
    fn count_if_small(&self, span: Span, room: usize) -> Option<usize> {
        let slice = span.slice(&self.document.text).filter(|slice| slice.len() <= room * MAX_BYTES_PER_TOKEN)?;
        Some(self.counter.count_tokens(slice))
    }

    fn chunk_at(&self, span: Span, group: &Group, prefix: String, table_header: Option<Span>) -> Chunk {
        let text = span.slice(&self.document.text).unwrap_or_default().to_owned();
        let mut chunk = Chunk {
            span,
            page: page_at(&self.document.pages, span.start),
            place: self.place_at(span.start),
            rows: marks_within(&self.document.text, &self.document.rows, span),
            heading: group.path.clone(),
            table_header,
            prefix,
            text,
            tokens: 0,
        };
        chunk.tokens = self.counter.count_tokens(&chunk.embedded_text()) + self.options.special_tokens;
        chunk
    }

    fn prefix_of(&self, path: &[String], table_header: Option<Span>) -> String {
        let row = table_header.and_then(|header| start_of_row(&self.document.text, header, self.options));
        build_prefix(self.title.as_deref(), path, row, self.counter, self.options.max_prefix_tokens)
    }

    /// Header row of the table that a chunk continues.
    fn header_for(&self, span: Span) -> Option<Span> {
        let tables = &self.document.tables;
        let after = tables.partition_point(|table| table.span.start <= span.start);
        let table = after.checked_sub(1).and_then(|index| tables.get(index))?;
        let continues = span.start >= table.header.end && span.start < table.span.end;
        (continues && !table.header.is_empty()).then_some(table.header)
    }

    /// Most tokens that the header of a table in `span` would add to a prefix.
    fn largest_header(&self, span: Span) -> usize {
        let tables = &self.document.tables;
        let first = tables.partition_point(|table| table.span.end <= span.start);
        let inside = tables.iter().skip(first).take_while(|table| table.span.start < span.end);
        inside
            .filter_map(|table| start_of_row(&self.document.text, table.header, self.options))
            .map(|row| self.counter.count_tokens(row).min(self.options.max_prefix_tokens))
            .max()
            .unwrap_or(0)
    }

    fn place_at(&self, offset: usize) -> Option<String> {
        let places = &self.document.places;
        let after = places.partition_point(|place| place.span.start <= offset);
        after.checked_sub(1).and_then(|index| places.get(index)).map(|place| place.name.clone())
    }
}

/// The page that a text offset stands on; `None` where there are no pages.
pub(crate) fn page_at(pages: &[Page], offset: usize) -> Option<u32> {
    let after = pages.partition_point(|page| page.span.start <= offset);
    after.checked_sub(1).and_then(|index| pages.get(index)).map(|page| page.number)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ExtractLimits, Heading, Page, SourceFile, Table, extract};

    /// A tokenizer in miniature: words in pieces of at most four characters, every other sign alone.
    pub(crate) struct Pieces;

    impl TokenCounter for Pieces {
        fn count_tokens(&self, text: &str) -> usize {
            self.token_offsets(text).len()
        }

        fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
            let mut offsets: Vec<(usize, usize)> = Vec::new();
            let mut run = 0;
            for (at, c) in text.char_indices() {
                let end = at + c.len_utf8();
                match offsets.last_mut() {
                    Some(last) if c.is_alphanumeric() && run > 0 && run < 4 && last.1 == at => {
                        last.1 = end;
                        run += 1;
                    }
                    _ if c.is_whitespace() => run = 0,
                    _ => {
                        offsets.push((at, end));
                        run = usize::from(c.is_alphanumeric());
                    }
                }
            }
            offsets
        }
    }

    fn read(name: &str, text: &str) -> Document {
        let extracted =
            extract(&SourceFile { name, bytes: text.as_bytes() }, &ExtractLimits::default()).expect("reads");
        extracted.into_first().expect("a document")
    }

    fn options(max_tokens: usize) -> ChunkOptions {
        ChunkOptions { max_tokens, max_prefix_tokens: max_tokens / 4, special_tokens: 2 }
    }

    fn check(document: &Document, counter: &dyn TokenCounter, options: &ChunkOptions) -> Vec<Chunk> {
        let chunks = chunk_document(document, counter, options);
        let text = &document.text;
        let mut end = 0;
        for chunk in &chunks {
            assert_eq!(chunk.span.slice(text), Some(chunk.text.as_str()), "span and text differ");
            assert!(chunk.span.start >= end, "chunks overlap or are out of order");
            assert_eq!(text[end..chunk.span.start].trim(), "", "text between chunks");
            assert!(!chunk.text.trim().is_empty(), "blank chunk");
            assert_eq!(chunk.tokens, counter.count_tokens(&chunk.embedded_text()) + options.special_tokens);
            assert!(chunk.tokens <= options.max_tokens, "{} tokens in {:?}", chunk.tokens, chunk.embedded_text());
            assert!(counter.count_tokens(&chunk.prefix) <= options.max_prefix_tokens);
            for page in &document.pages {
                let inside = page.span.contains(chunk.span);
                assert!(inside || !page.span.overlaps(chunk.span), "chunk crosses a page");
                assert!(!inside || chunk.page == Some(page.number));
            }
            end = chunk.span.end;
        }
        assert_eq!(text[end..].trim(), "", "text behind the last chunk");
        assert_eq!(chunks, chunk_document(document, counter, options), "chunking is not deterministic");
        chunks
    }

    fn no_word_is_cut(document: &Document, chunks: &[Chunk]) {
        for pair in chunks.windows(2) {
            assert!(
                pair[0].span.end < pair[1].span.start,
                "cut inside a word at {}",
                &document.text[pair[1].span.start..][..20]
            );
        }
    }

    #[test]
    fn a_section_is_a_chunk_with_its_path() {
        let body = "word and word and another word to make it long enough for a chunk of its own here. ".repeat(3);
        let text = format!("# Book\n\n## One\n\n{body}\n\n### Deep\n\n{body}\n\n## Two\n\n{body}\n");
        let document = read("a.md", &text);
        let chunks = check(&document, &Pieces, &options(256));
        let paths: Vec<String> = chunks.iter().map(|chunk| chunk.heading.join("/")).collect();
        assert_eq!(paths, ["Book/One", "Book/One/Deep", "Book/Two"]);
        assert!(chunks[0].text.starts_with("# Book\n\n## One"));
        assert_eq!(chunks[1].prefix, "Book > One > Deep");
    }

    #[test]
    fn tiny_sections_share_a_chunk_under_their_parent() {
        let sections: String = (0..40).map(|i| format!("## Item {i}\n\nOne line.\n\n")).collect();
        let document = read("a.md", &format!("# Book\n\n{sections}"));
        let chunks = check(&document, &Pieces, &options(256));
        assert!(chunks.len() < 8, "{} chunks", chunks.len());
        assert!(chunks.iter().all(|chunk| chunk.heading == ["Book"]));
    }

    #[test]
    fn a_chunk_that_continues_a_table_carries_its_header() {
        let rows: String = (0..80).map(|i| format!("| part {i} | {i}.50 |\n")).collect();
        let text = format!("# Prices\n\nAll prices net.\n\n| Part | Price |\n|---|---|\n{rows}\nEnd of the list.\n");
        let document = read("a.md", &text);
        let chunks = check(&document, &Pieces, &options(128));
        let table = document.tables[0];
        assert!(chunks.len() > 3);
        assert!(chunks[0].text.contains("All prices net.") && chunks[0].text.contains("| part 0 | 0.50 |"));
        for chunk in &chunks {
            let continues = chunk.span.start > table.header.start && chunk.span.start < table.span.end;
            assert_eq!(chunk.table_header, continues.then_some(table.header));
            assert_eq!(chunk.prefix, if continues { "Prices\n| Part | Price |" } else { "Prices" });
        }
    }

    #[test]
    fn a_long_paragraph_is_cut_between_sentences_into_even_chunks() {
        let text = "The pump runs for ten hours without a stop. ".repeat(40);
        let document = read("a.txt", &text);
        let chunks = check(&document, &Pieces, &options(256));
        let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.tokens).collect();
        assert!(chunks.iter().all(|chunk| chunk.text.ends_with("stop.")));
        assert!(sizes.iter().min() > Some(&120), "{sizes:?}");
    }

    #[test]
    fn words_are_not_cut_although_unicode_sees_parts_in_them() {
        let text = "a/b-c 12.50EUR, (see_foo:bar) user@example.org x=y;z ".repeat(300);
        for name in ["a.txt", "a.md"] {
            let document = read(name, &text);
            let chunks = check(&document, &Pieces, &options(64));
            no_word_is_cut(&document, &chunks);
        }
    }

    #[test]
    fn a_word_beyond_the_limit_is_cut_at_graphemes() {
        let family = "👨‍👩‍👧‍👦";
        let document = read("a.txt", &family.repeat(500));
        let chunks = check(&document, &Pieces, &options(64));
        assert!(chunks.len() > 10);
        assert!(chunks.iter().all(|chunk| chunk.text.len().is_multiple_of(family.len())));
    }

    #[test]
    fn a_huge_word_does_not_become_a_huge_chunk() {
        struct Unknown;
        impl TokenCounter for Unknown {
            fn count_tokens(&self, text: &str) -> usize {
                text.split_whitespace().count()
            }
            fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
                text.split_whitespace()
                    .map(|w| (w.as_ptr().addr() - text.as_ptr().addr(), w.len()))
                    .map(|(s, l)| (s, s + l))
                    .collect()
            }
        }
        let document = read("a.txt", &"x".repeat(1 << 20));
        let chunks = check(&document, &Unknown, &ChunkOptions::default());
        assert!(chunks.iter().all(|chunk| chunk.text.len() <= 256 * MAX_BYTES_PER_TOKEN));
    }

    #[test]
    fn a_huge_heading_is_not_repeated_in_every_chunk() {
        let text = format!("# {}\n\n{}", "title ".repeat(50_000), "word ".repeat(5_000));
        let chunks = check(&read("a.md", &text), &Pieces, &ChunkOptions::default());
        assert!(chunks.iter().all(|chunk| chunk.heading.iter().map(String::len).sum::<usize>() <= MAX_HEADING_BYTES));
    }

    #[test]
    fn equal_embedded_text_has_an_equal_hash() {
        let text = "# A\n\nsame words here\n";
        let one = chunk_document(&read("a.md", text), &Pieces, &ChunkOptions::default());
        let two = chunk_document(&read("b.md", &format!("\n\n{text}\n")), &Pieces, &ChunkOptions::default());
        assert_eq!(embedded_hash(&one[0]), embedded_hash(&two[0]));
        let other = chunk_document(&read("a.md", "# B\n\nsame words here\n"), &Pieces, &ChunkOptions::default());
        assert_ne!(embedded_hash(&one[0]), embedded_hash(&other[0]));
    }

    fn any_text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => "[a-z]{1,9} ",
            2 => "[A-Z][a-z]{1,9}\\. ",
            1 => "\\PC{0,12}",
            1 => "[a-z0-9./:_-]{1,120} ",
            1 => Just("\n".to_owned()),
            1 => Just("\n\n".to_owned()),
            1 => Just("\n\n# Heading\n\n".to_owned()),
            1 => Just("\n\n## Sub *heading* here\n".to_owned()),
            1 => Just("\n\n| a | b |\n|---|---|\n| 1 | 2 |\n".to_owned()),
            1 => Just("\n- item ".to_owned()),
            1 => Just("\n```\ncode   here\n".to_owned()),
            1 => Just("漢字仮名".to_owned()),
            1 => Just("e\u{301}\u{301}".to_owned()),
            1 => Just("\u{feff}".to_owned()),
        ];
        proptest::collection::vec(part, 1..120).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn chunks_cover_any_text_within_the_limit(text in any_text(), max_tokens in 32usize..200, markdown: bool) {
            let name = if markdown { "a.md" } else { "a.txt" };
            let source = SourceFile { name, bytes: text.as_bytes() };
            if let Some(document) = extract(&source, &ExtractLimits::default()).ok().and_then(crate::Extracted::into_first) {
                check(&document, &Pieces, &options(max_tokens));
            }
        }

        #[test]
        fn chunks_stay_inside_pages_whatever_headings_and_tables_say(
            text in any_text(),
            cuts in proptest::collection::vec(0.0f64..1.0, 0..6),
            marks in proptest::collection::vec((0.0f64..1.0, 1u8..7), 0..8),
        ) {
            let at = |share: f64| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a small length")]
                let offset = (text.len() as f64 * share) as usize;
                text.floor_char_boundary(offset)
            };
            let mut starts: Vec<usize> = cuts.into_iter().map(at).chain([0]).collect();
            starts.sort_unstable();
            starts.dedup();
            let ends = starts.iter().skip(1).copied().chain([text.len()]);
            let pages = (1..).zip(starts.iter().zip(ends)).map(|(number, (s, e))| Page { number, span: Span::new(*s, e) }).collect();
            let mut marks: Vec<(usize, u8)> = marks.into_iter().map(|(share, level)| (at(share), level)).collect();
            marks.sort_unstable();
            let headings = marks.iter().map(|(s, level)| Heading { level: *level, title: "h".to_owned(), span: Span::new(*s, *s) }).collect();
            let tables = marks.first().map(|(s, _)| Table { span: Span::new(*s, text.len()), header: Span::new(*s, *s) }).into_iter().collect();
            let document = Document { headings, pages, tables, ..Document::of_text(Format::Pdf, text.clone()) };
            check(&document, &Pieces, &options(64));
        }
    }
}
