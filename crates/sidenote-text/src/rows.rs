//! Which line of a sheet's text is which row of the sheet.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::Span;

/// Lines that one mark speaks for at the most: a row is found by counting them.
const LINES_OF_A_MARK: usize = 64;

/// The row of a line. The lines behind it are the rows behind it, up to the next mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowMark {
    /// Where the line begins, in bytes of the text.
    pub offset: usize,
    /// The row's number in its sheet, from 1; 0 where the lines from here on are none.
    pub number: u32,
}

/// Rows of sheets while their lines are written.
#[derive(Debug, Default)]
pub(crate) struct RowMarks {
    marks: Vec<RowMark>,
    /// End of the last line, its row, and how many lines the last mark speaks for.
    last: Option<(usize, u32, usize)>,
}

impl RowMarks {
    /// All lines under `span` of the text are this row.
    pub(crate) fn add(&mut self, text: &str, span: Span, number: u32) {
        let mut start = span.start;
        for line in span.slice(text).unwrap_or_default().split('\n') {
            let lines = match self.last {
                Some((end, last, lines))
                    if end + 1 == start && last.checked_add(1) == Some(number) && lines < LINES_OF_A_MARK =>
                {
                    lines + 1
                }
                _ => {
                    self.marks.push(RowMark { offset: start, number });
                    1
                }
            };
            let end = start + line.len();
            self.last = Some((end, number, lines));
            start = end + 1;
        }
    }

    /// What stands from `offset` on is no row until the next one is added.
    pub(crate) fn end(&mut self, offset: usize) {
        if self.last.take().is_some() {
            self.marks.push(RowMark { offset, number: 0 });
        }
    }

    pub(crate) fn finish(self) -> Vec<RowMark> {
        self.marks
    }
}

/// The first and the last row that the text under `span` holds something of; `None` where it holds nothing of a row. `marks`
/// are those of the text, ascending.
pub fn rows_at(text: &str, marks: &[RowMark], span: Span) -> Option<RangeInclusive<u32>> {
    let within = marks_within(text, marks, span);
    let first = within.iter().find(|mark| mark.number > 0)?.number;
    let words = span.slice(text)?.trim_end();
    let last = row_at(words, &within, words.len().saturating_sub(1)).unwrap_or(first);
    Some(first..=last.max(first))
}

/// The marks of the text under `span`, with offsets in it.
pub(crate) fn marks_within(text: &str, marks: &[RowMark], span: Span) -> Vec<RowMark> {
    let first = row_at(text, marks, span.start).map(|number| RowMark { offset: 0, number });
    let after = marks.partition_point(|mark| mark.offset <= span.start);
    let inside = marks.iter().skip(after).take_while(|mark| mark.offset < span.end);
    first
        .into_iter()
        .chain(inside.map(|mark| RowMark { offset: mark.offset - span.start, number: mark.number }))
        .collect()
}

/// The row of the line at an offset.
fn row_at(text: &str, marks: &[RowMark], offset: usize) -> Option<u32> {
    let after = marks.partition_point(|mark| mark.offset <= offset);
    let mark = marks.get(after.checked_sub(1)?).filter(|mark| mark.number > 0)?;
    let lines = text.as_bytes().get(mark.offset..offset)?.iter().filter(|byte| **byte == b'\n').count();
    mark.number.checked_add(u32::try_from(lines).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text whose lines are these rows; 0 is a line that is none.
    fn text_of(rows: &[(u32, &str)]) -> (String, Vec<RowMark>) {
        let (mut text, mut marks) = (String::new(), RowMarks::default());
        for (number, words) in rows {
            if !text.is_empty() {
                text.push('\n');
            }
            let start = text.len();
            text.push_str(words);
            match number {
                0 => marks.end(start),
                number => marks.add(&text, Span::new(start, text.len()), *number),
            }
        }
        (text, marks.finish())
    }

    fn rows_of(text: &str, marks: &[RowMark], words: &str) -> Option<(u32, u32)> {
        let start = text.find(words).expect("there");
        rows_at(text, marks, Span::new(start, start + words.len())).map(RangeInclusive::into_inner)
    }

    #[test]
    fn words_are_found_in_their_rows() {
        let (text, marks) =
            text_of(&[(0, "Prices"), (3, "Part"), (4, "Pump"), (7, "Seal\nof rubber"), (8, "Bolt"), (0, "Staff")]);
        assert_eq!(rows_of(&text, &marks, "Pump"), Some((4, 4)));
        assert_eq!(rows_of(&text, &marks, "rubber"), Some((7, 7)));
        assert_eq!(rows_of(&text, &marks, "Part\nPump\nSeal"), Some((3, 7)));
        assert_eq!(rows_of(&text, &marks, "Prices\nPart\n"), Some((3, 3)));
        assert_eq!(rows_of(&text, &marks, "rubber\nBolt"), Some((7, 8)));
        assert_eq!(rows_of(&text, &marks, "Prices"), None);
        assert_eq!(rows_of(&text, &marks, "Staff"), None);
    }

    #[test]
    fn the_marks_of_a_part_say_the_same_as_those_of_the_whole() {
        let rows: Vec<(u32, String)> = (1..400).map(|row| (row + row / 50, format!("cell {row}."))).collect();
        let (text, marks) = text_of(&rows.iter().map(|(row, words)| (*row, words.as_str())).collect::<Vec<_>>());
        assert!(marks.len() < 20, "{}", marks.len());
        let part = Span::new(text.find("cell 120.").unwrap() + 2, text.find("cell 300.").unwrap());
        let (words, within) = (part.slice(&text).unwrap(), marks_within(&text, &marks, part));
        for row in 121..299 {
            let cell = format!("cell {row}.");
            assert_eq!(rows_of(words, &within, &cell), rows_of(&text, &marks, &cell), "{row}");
        }
        assert_eq!(rows_of(words, &within, "ll 120."), Some((122, 122)));
    }

    #[test]
    fn marks_that_do_not_fit_the_text_are_no_rows() {
        let wrong = [RowMark { offset: 2, number: u32::MAX }, RowMark { offset: 900, number: 1 }];
        assert_eq!(rows_at("a\nb\nc", &wrong, Span::new(4, 5)), None);
        assert_eq!(rows_at("short", &wrong[1..], Span::new(900, 901)), None);
    }
}
