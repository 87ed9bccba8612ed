//! Rows of all pages become one text with headings, pages and tables.

use std::collections::{HashMap, HashSet};

use crate::markdown::{fold_white, trim};
use crate::pdf_layout::{Joint, Row};
use crate::pdf_words::{WordJoint, Words};
use crate::{Heading, Page, Span, Table};

/// Longest heading, in characters.
const MAX_HEADING_CHARS: usize = 160;

/// Text under construction.
#[derive(Default)]
pub(crate) struct TextWriter {
    pub(crate) text: String,
    pub(crate) headings: Vec<Heading>,
    pub(crate) pages: Vec<Page>,
    pub(crate) tables: Vec<Table>,
}

impl TextWriter {
    /// Writes the rows of all pages.
    pub(crate) fn write(pages: &[Vec<Row>]) -> Self {
        let mut writer = Self::default();
        let fonts = Fonts::of(pages);
        let words = Words::of(pages);
        for (number, rows) in (1..).zip(pages) {
            if !writer.text.is_empty() && !rows.is_empty() {
                writer.text.push_str("\n\n");
            }
            let start = writer.text.len();
            let spans = writer.write_page(rows, &words);
            writer.pages.push(Page { number, span: Span::new(start, writer.text.len()) });
            writer.find_headings(rows, &spans, &fonts);
            writer.find_tables(rows, &spans);
        }
        writer
    }

    fn write_page(&mut self, rows: &[Row], words: &Words) -> Vec<Span> {
        let mut spans = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let mut row_text = row.text.as_str();
            if index > 0 {
                match row.joint {
                    Joint::Paragraph => self.text.push_str("\n\n"),
                    Joint::Line => self.text.push('\n'),
                    Joint::Flow => row_text = self.flow_on(row_text, words),
                }
            }
            let start = self.text.len();
            // A broken word has lost its hyphen.
            if let Some(last) = spans.last_mut().filter(|last: &&mut Span| last.end > start) {
                *last = Span::new(last.start, start);
            }
            self.text.push_str(row_text);
            spans.push(Span::new(start, self.text.len()));
        }
        spans
    }

    /// Joins a row to the sentence before it. Gives back what is left of the row.
    fn flow_on<'a>(&mut self, row: &'a str, words: &Words) -> &'a str {
        let before = self.text.chars().next_back().unwrap_or(' ');
        let next = row.chars().next().unwrap_or(' ');
        if is_written_without_spaces(before) && is_written_without_spaces(next) {
            return row;
        }
        let is_hyphen = matches!(before, '-' | '\u{2010}');
        let stem_end = self.text.len() - if is_hyphen { before.len_utf8() } else { 0 };
        let stem = last_token(self.text.get(..stem_end).unwrap_or_default());
        if !is_hyphen || stem.chars().next_back().is_none_or(|c| !c.is_alphabetic()) {
            // A dash between numbers or words stays as it is and takes no space.
            self.text.push_str(if before == '–' || is_hyphen && !stem.is_empty() { "" } else { " " });
            return row;
        }
        match words.joint_of(stem, row) {
            WordJoint::OneWord => self.text.truncate(stem_end),
            WordJoint::Compound => {}
            WordJoint::TwoWords => self.text.push(' '),
        }
        row
    }

    fn find_headings(&mut self, rows: &[Row], spans: &[Span], fonts: &Fonts) {
        let mut index = 0;
        while let (Some(row), Some(span)) = (rows.get(index), spans.get(index)) {
            index += 1;
            let Some(level) = fonts.level_of(row) else { continue };
            let mut span = *span;
            // A heading may take two or three rows.
            while let (Some(next), Some(next_span)) = (rows.get(index), spans.get(index))
                && next.joint != Joint::Paragraph
                && fonts.level_of(next) == Some(level)
            {
                span = Span::new(span.start, next_span.end);
                index += 1;
            }
            let span = trim(&self.text, span);
            let title = fold_white(span.slice(&self.text).unwrap_or_default());
            // What follows in the same paragraph shows that it was bold type at the beginning of a sentence.
            let runs_on = rows.get(index).is_some_and(|next| next.joint == Joint::Flow);
            if !title.is_empty() && !runs_on && title.chars().count() <= MAX_HEADING_CHARS {
                self.headings.push(Heading { level, title, span });
            }
        }
    }

    fn find_tables(&mut self, rows: &[Row], spans: &[Span]) {
        let mut first = 0;
        while first < rows.len() {
            let is_table_row = |(at, row): (usize, &Row)| row.cells > 1 && (at == 0 || row.joint == Joint::Line);
            let tail = rows.get(first..).unwrap_or_default();
            let count = tail.iter().enumerate().take_while(|(at, row)| is_table_row((*at, row))).count();
            let table = tail.get(..count).unwrap_or_default();
            let header = header_rows(table);
            if count >= 3
                && header > 0
                && let (Some(start), Some(header_end), Some(end)) =
                    (spans.get(first), spans.get(first + header - 1), spans.get(first + count - 1))
            {
                self.tables.push(Table {
                    span: Span::new(start.start, end.end),
                    header: Span::new(start.start, header_end.end),
                });
            }
            first += count.max(1);
        }
    }
}

/// How many rows at the top of a table name its columns: those in bold type over others that are not, else a first row
/// without figures over rows that have them.
fn header_rows(table: &[Row]) -> usize {
    let bold = table.iter().take_while(|row| row.is_bold).count();
    if bold > 0 && bold <= 3 && bold < table.len() {
        return bold;
    }
    let has_figures = |row: &Row| row.text.contains(|c: char| c.is_ascii_digit());
    let (Some(first), rest) = (table.first(), table.get(1..).unwrap_or_default()) else { return 0 };
    usize::from(bold == 0 && !has_figures(first) && !rest.is_empty() && rest.iter().all(has_figures))
}

/// What the document's fonts say about its headings.
struct Fonts {
    body_size: f32,
    is_body_bold: bool,
    /// Sizes of headings, in tenths of a point, largest first.
    sizes: Vec<i32>,
    /// Rows that come back on page after page.
    running: HashSet<String>,
}

impl Fonts {
    fn of(pages: &[Vec<Row>]) -> Self {
        let mut weights: HashMap<(i32, bool), usize> = HashMap::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for rows in pages {
            let mut on_page: HashSet<String> = HashSet::new();
            for row in rows {
                *weights.entry((tenths(row.size), row.is_bold)).or_default() += row.text.len();
                if row.is_at_edge {
                    on_page.insert(without_figures(&row.text));
                }
            }
            for text in on_page {
                *seen.entry(text).or_default() += 1;
            }
        }
        let body =
            weights.iter().max_by_key(|(font, weight)| (**weight, **font)).map_or((100, false), |(font, _)| *font);
        let shared = (pages.len() / 3).max(2);
        let running = seen.into_iter().filter(|(_, count)| *count >= shared).map(|(text, _)| text).collect();
        let body_size = f32::from(i16::try_from(body.0).unwrap_or(i16::MAX)) / 10.0;
        let mut fonts = Self { body_size, is_body_bold: body.1, sizes: Vec::new(), running };
        let mut sizes: Vec<i32> = Vec::new();
        let (mut headings, mut total) = (0usize, 0usize);
        for row in pages.iter().flatten() {
            total += 1;
            if fonts.stands_out(row) {
                headings += 1;
                sizes.push(tenths(row.size));
            }
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.dedup_by(|a, b| (*a - *b).abs() <= 3);
        // Where every third row stands out, none does.
        if headings * 3 <= total {
            fonts.sizes = sizes;
        }
        fonts
    }

    fn stands_out(&self, row: &Row) -> bool {
        let letters = row.text.chars().filter(|c| c.is_alphabetic()).count();
        let ends_open = row.text.ends_with(['.', ',', ';', ':']) && !row.text.ends_with("...");
        if row.is_running || row.cells > 1 || letters < 3 || row.text.chars().count() > MAX_HEADING_CHARS || ends_open {
            return false;
        }
        if row.is_at_edge && self.running.contains(&without_figures(&row.text)) {
            return false;
        }
        let is_larger = row.size >= self.body_size * 1.12;
        let is_bolder =
            row.is_bold && !self.is_body_bold && row.size >= self.body_size * 0.97 && row.joint == Joint::Paragraph;
        is_larger || is_bolder
    }

    fn level_of(&self, row: &Row) -> Option<u8> {
        if !self.stands_out(row) {
            return None;
        }
        let rank = self.sizes.iter().position(|size| (*size - tenths(row.size)).abs() <= 3)?;
        Some(u8::try_from(rank + 1).unwrap_or(6).min(6))
    }
}

fn tenths(size: f32) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "sizes are clamped to a few hundred points when they are read")]
    let tenths = (size * 10.0).round() as i32;
    tenths
}

fn without_figures(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// The last word, with the hyphens in it.
fn last_token(text: &str) -> &str {
    text.rsplit(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap_or_default().trim_start_matches('-')
}

fn is_written_without_spaces(c: char) -> bool {
    matches!(u32::from(c), 0x2e80..=0x9fff | 0xf900..=0xfaff | 0xff00..=0xffef | 0x20000..=0x3ffff)
}
