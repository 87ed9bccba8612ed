//! The rows of a sheet become tables, one row at a time: a sheet of a million rows is never held as a whole.

use std::iter::Peekable;

use crate::ExtractError;
use crate::builder::DocumentBuilder;

/// Between two cells of a row at most so many columns are left blank: sheets are used as drawing paper too.
const MAX_GAP: u32 = 64;

/// A row with words; empty cells are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct SheetRow {
    pub(crate) number: u32,
    pub(crate) cells: Vec<SheetCell>,
}

#[derive(Clone, Debug)]
pub(crate) struct SheetCell {
    pub(crate) column: u32,
    pub(crate) text: String,
    /// Words that somebody wrote, as opposed to a number, a date or a result.
    pub(crate) is_label: bool,
}

impl SheetRow {
    /// Names of columns: all words, and more than one.
    fn is_like_header(&self) -> bool {
        self.cells.len() > 1 && self.cells.iter().all(|cell| cell.is_label)
    }

    /// The cells in their columns, counted from `first`.
    fn in_columns(self, first: u32) -> Vec<String> {
        let mut texts = Vec::new();
        let mut next = first;
        for cell in self.cells {
            let gap = cell.column.saturating_sub(next).min(MAX_GAP);
            texts.extend((0..gap).map(|_| String::new()));
            texts.push(cell.text);
            next = cell.column.saturating_add(1);
        }
        texts
    }
}

/// Fails where one row alone is over the limit: each of its cells may show the same long text, which the file holds once.
pub(crate) fn check_row(row_bytes: usize, max_bytes: usize) -> Result<(), ExtractError> {
    if row_bytes > max_bytes { Err(ExtractError::TooLong { limit: max_bytes }) } else { Ok(()) }
}

/// Writes a sheet. Where rows are blank a new table may begin; a row with a single cell above a table is a line of text.
pub(crate) fn write_sheet(name: &str, rows: impl Iterator<Item = SheetRow>, builder: &mut DocumentBuilder) {
    let mut rows = rows.filter(|row| !row.cells.is_empty()).peekable();
    builder.begin_place(format!("sheet {name}"));
    if rows.peek().is_none() {
        return;
    }
    builder.heading(1, name);
    let mut is_first = true;
    while let Some(row) = rows.next() {
        if builder.is_full() {
            return;
        }
        let stands_alone =
            rows.peek().is_none_or(|next| next.number > row.number.saturating_add(1) || next.cells.len() > 1);
        if row.cells.len() == 1 && stands_alone {
            row.cells.iter().for_each(|cell| builder.row_paragraph(row.number, &cell.text));
            continue;
        }
        let has_header = row.cells.len() > 1 && (is_first || row.is_like_header());
        is_first = false;
        let first_column = row.cells.first().map_or(0, |cell| cell.column);
        let mut table = TableRows { has_values: false, last: row.number, first: Some(row), rest: &mut rows };
        let cells = std::iter::from_fn(|| table.next());
        builder.sheet_table(cells.map(|row| (row.number, row.in_columns(first_column))), has_header);
    }
    builder.end_rows();
}

/// The rows of one table.
struct TableRows<'r, I: Iterator<Item = SheetRow>> {
    first: Option<SheetRow>,
    rest: &'r mut Peekable<I>,
    last: u32,
    /// Whether a row so far holds more than words.
    has_values: bool,
}

impl<I: Iterator<Item = SheetRow>> TableRows<'_, I> {
    fn next(&mut self) -> Option<SheetRow> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let (last, has_values) = (self.last, self.has_values);
        let row = self.rest.next_if(|next| {
            let gap = next.number.saturating_sub(last).saturating_sub(1);
            let begins_anew = gap > 0 && (next.cells.len() == 1 || (next.is_like_header() && (has_values || gap > 1)));
            !begins_anew
        })?;
        self.last = row.number;
        self.has_values |= row.cells.iter().any(|cell| !cell.is_label);
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExtractLimits, Format};

    fn sheet(rows: &[(u32, &[(u32, &str)])]) -> crate::Document {
        let mut builder = DocumentBuilder::new(Format::Xlsx, &ExtractLimits::default());
        let rows = rows.iter().map(|(number, cells)| SheetRow {
            number: *number,
            cells: cells
                .iter()
                .map(|(column, text)| SheetCell {
                    column: *column,
                    text: (*text).to_owned(),
                    is_label: text.parse::<f64>().is_err(),
                })
                .collect(),
        });
        write_sheet("Prices", rows, &mut builder);
        builder.finish().expect("fits")
    }

    #[test]
    fn lines_above_a_table_are_text_and_blank_rows_part_tables() {
        let document = sheet(&[
            (1, &[(0, "All prices net")]),
            (3, &[(1, "Part"), (3, "Price")]),
            (4, &[(1, "Pump"), (2, "big"), (3, "4")]),
            (6, &[(1, "Seal"), (3, "5")]),
            (8, &[(0, "Who"), (1, "What")]),
            (9, &[(0, "Anna"), (1, "Sales")]),
            (11, &[(0, "as of May")]),
        ]);
        assert_eq!(
            document.text,
            "Prices\n\nAll prices net\n\nPart |  | Price\nPump | big | 4\nSeal |  | 5\n\nWho | What\nAnna | Sales\n\nas of May"
        );
        assert_eq!(document.tables[1].header.slice(&document.text), Some("Who | What"));
        assert_eq!(document.places[0].name, "sheet Prices");
        for (words, row) in [("All prices", 1), ("Pump | big", 4), ("Seal", 6), ("Anna", 9), ("as of May", 11)] {
            let start = document.text.find(words).expect("there");
            let rows = crate::rows_at(&document.text, &document.rows, crate::Span::new(start, start + words.len()));
            assert_eq!(rows, Some(row..=row), "{words}");
        }
    }

    #[test]
    fn cells_far_apart_do_not_blow_a_row_up() {
        let document = sheet(&[(1, &[(0, "a"), (16_383, "b")]), (1_048_576, &[(0, "1"), (2, "3")])]);
        assert!(document.text.len() < 500, "{}", document.text.len());
    }

    #[test]
    fn a_sheet_without_words_gives_none() {
        assert_eq!(sheet(&[(1, &[])]).text, "");
    }
}
