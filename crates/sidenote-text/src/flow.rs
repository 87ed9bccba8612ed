//! Puts the paragraphs, lists and tables of an office file in order while they open and close: text boxes stand inside
//! paragraphs, tables inside tables, and any of them is written only when what it stands in is complete.

use crate::builder::DocumentBuilder;
use crate::markdown::fold_white;

/// A piece of text that stands by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Heading(u8, String),
    Paragraph(String),
    /// A list item at a depth from 0.
    Item(usize, String),
    Table(Grid),
}

/// A table's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) has_header: bool,
}

/// A cell with more text than this is a part of the page that was put into a table.
const MAX_CELL_BYTES: usize = 2_000;

/// Most columns that a merged cell is given.
const MAX_SPAN: usize = 64;

/// What an open cell or row costs beside its text, in bytes.
const CELL_COST: usize = 64;

/// The blocks of a document on their way to the builder.
pub(crate) struct Flow<'b> {
    builder: &'b mut DocumentBuilder,
    open: Vec<Frame>,
    /// Bytes held in open frames, for a bound on memory; what was written to the builder is bounded by the builder.
    kept: usize,
    max_kept: usize,
}

enum Frame {
    /// A text box, a note: set aside until its place is known.
    Box(Vec<Block>),
    Table(OpenTable),
    Cell {
        blocks: Vec<Block>,
        columns: usize,
    },
}

#[derive(Default)]
struct OpenTable {
    rows: Vec<Vec<Cell>>,
    /// Whether the first row says that it is a header.
    is_marked: bool,
    /// Text between the cells, which has no place in a table.
    stray: Vec<Block>,
}

enum Cell {
    Text(String),
    Blocks(Vec<Block>),
}

impl<'b> Flow<'b> {
    pub(crate) fn new(builder: &'b mut DocumentBuilder) -> Self {
        let max_kept = builder.max_bytes().saturating_mul(4);
        Self { builder, open: Vec::new(), kept: 0, max_kept }
    }

    /// Whether there is too much already: what follows need not be read, and [`DocumentBuilder::finish`] tells so.
    pub(crate) fn is_full(&self) -> bool {
        self.builder.is_full()
    }

    /// Puts a block where the text now stands.
    pub(crate) fn block(&mut self, block: Block) {
        if size_of(&block) == 0 {
            return;
        }
        let bytes = bytes_of(&block);
        match self.open.last_mut() {
            None => return write(self.builder, block),
            Some(Frame::Box(blocks) | Frame::Cell { blocks, .. }) => blocks.push(block),
            Some(Frame::Table(table)) => table.stray.push(block),
        }
        // White space too: it is copied wherever the block goes.
        self.keep(bytes);
    }

    pub(crate) fn blocks(&mut self, blocks: Vec<Block>) {
        blocks.into_iter().for_each(|block| self.block(block));
    }

    /// What follows is set aside, until [`Flow::end_box`] gives it back.
    pub(crate) fn begin_box(&mut self) {
        self.open.push(Frame::Box(Vec::new()));
    }

    pub(crate) fn end_box(&mut self) -> Vec<Block> {
        // What a broken file left open inside belongs to the box.
        while matches!(self.open.last(), Some(Frame::Cell { .. } | Frame::Table(_))) {
            self.end_cell();
            self.end_table();
        }
        match self.open.pop() {
            Some(Frame::Box(blocks)) => blocks,
            Some(Frame::Table(_) | Frame::Cell { .. }) | None => Vec::new(),
        }
    }

    pub(crate) fn begin_table(&mut self) {
        self.open.push(Frame::Table(OpenTable::default()));
    }

    pub(crate) fn begin_row(&mut self) {
        if let Some(Frame::Table(table)) = self.open.last_mut() {
            table.rows.push(Vec::new());
            self.keep(CELL_COST);
        }
    }

    /// The row that was begun last says that it is the table's header.
    pub(crate) fn mark_header(&mut self) {
        if let Some(Frame::Table(table)) = self.open.last_mut() {
            table.is_marked |= table.rows.len() == 1;
        }
    }

    /// The row that was begun last is not shown.
    pub(crate) fn drop_row(&mut self) {
        if let Some(Frame::Table(table)) = self.open.last_mut() {
            table.rows.pop();
        }
    }

    pub(crate) fn begin_cell(&mut self) {
        if matches!(self.open.last(), Some(Frame::Table(_))) {
            self.open.push(Frame::Cell { blocks: Vec::new(), columns: 1 });
        }
    }

    /// The cell that is open covers so many columns.
    pub(crate) fn set_columns(&mut self, covered: usize) {
        if let Some(Frame::Cell { columns, .. }) = self.open.last_mut() {
            *columns = covered.clamp(1, MAX_SPAN);
        }
    }

    pub(crate) fn end_cell(&mut self) {
        if !matches!(self.open.last(), Some(Frame::Cell { .. })) {
            return;
        }
        let Some(Frame::Cell { blocks, columns }) = self.open.pop() else { return };
        let Some(Frame::Table(table)) = self.open.last_mut() else { return };
        if table.rows.is_empty() {
            table.rows.push(Vec::new());
        }
        let Some(row) = table.rows.last_mut() else { return };
        row.push(match <[Block; 1]>::try_from(blocks) {
            Ok([Block::Paragraph(text)]) => Cell::Text(text),
            Ok(blocks) => Cell::Blocks(blocks.into()),
            Err(blocks) if blocks.is_empty() => Cell::Text(String::new()),
            Err(blocks) => Cell::Blocks(blocks),
        });
        row.extend((1..columns).map(|_| Cell::Text(String::new())));
        self.keep(columns * CELL_COST);
    }

    pub(crate) fn end_table(&mut self) {
        if !matches!(self.open.last(), Some(Frame::Table(_))) {
            return;
        }
        let Some(Frame::Table(table)) = self.open.pop() else { return };
        self.blocks(table.stray);
        if is_layout(&table.rows) {
            for cell in table.rows.into_iter().flatten() {
                match cell {
                    Cell::Text(text) => self.block(Block::Paragraph(text)),
                    Cell::Blocks(blocks) => self.blocks(blocks),
                }
            }
        } else {
            let rows = table.rows.into_iter().map(|row| row.into_iter().map(words_of).collect());
            self.block(Block::Table(Grid::new(rows.collect(), table.is_marked)));
        }
    }

    /// Closes what a broken file left open.
    pub(crate) fn end(&mut self) {
        while let Some(frame) = self.open.last() {
            match frame {
                Frame::Cell { .. } => self.end_cell(),
                Frame::Table(_) => self.end_table(),
                Frame::Box(_) => {
                    let blocks = self.end_box();
                    self.blocks(blocks);
                }
            }
        }
    }

    fn keep(&mut self, size: usize) {
        self.kept = self.kept.saturating_add(size);
        if self.kept > self.max_kept {
            self.builder.refuse();
            self.open.clear();
        }
    }
}

impl Grid {
    /// A table whose first row is its header where it says so, or where it looks like one.
    pub(crate) fn new(mut rows: Vec<Vec<String>>, is_marked: bool) -> Self {
        for row in &mut rows {
            row.truncate(row.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1));
        }
        rows.retain(|row| !row.is_empty());
        let has_header = rows.len() > 1 && (is_marked || rows.first().is_some_and(|row| is_like_header(row)));
        Self { rows, has_header }
    }
}

/// Names of columns: words in every cell but perhaps the first.
fn is_like_header(row: &[String]) -> bool {
    let is_word = |cell: &String| cell.chars().any(char::is_alphabetic) && cell.len() <= 100;
    row.len() > 1 && row.iter().skip(1).all(is_word)
}

/// A table that only places things on the page: one cell a row, or headings or much text in a cell.
fn is_layout(rows: &[Vec<Cell>]) -> bool {
    let is_empty = |cell: &Cell| matches!(cell, Cell::Text(text) if text.trim().is_empty());
    let is_page = |cell: &Cell| match cell {
        Cell::Text(text) => text.len() > MAX_CELL_BYTES,
        Cell::Blocks(blocks) => {
            blocks.iter().any(|block| matches!(block, Block::Heading(..)))
                || blocks.iter().map(size_of).sum::<usize>() > MAX_CELL_BYTES
        }
    };
    rows.iter().all(|row| row.iter().filter(|cell| !is_empty(cell)).count() <= 1) || rows.iter().flatten().any(is_page)
}

fn words_of(cell: Cell) -> String {
    match cell {
        Cell::Text(text) => text,
        Cell::Blocks(blocks) => {
            let texts: Vec<String> = blocks.into_iter().map(flat).collect();
            texts.join(" ")
        }
    }
}

/// A block on one line.
pub(crate) fn flat(block: Block) -> String {
    match block {
        Block::Heading(_, text) | Block::Paragraph(text) => fold_white(&text),
        Block::Item(_, text) => format!("- {}", fold_white(&text)),
        Block::Table(grid) => {
            let rows: Vec<String> = grid.rows.iter().map(|row| row.join(", ")).collect();
            rows.join("; ")
        }
    }
}

/// Bytes that a block holds.
fn bytes_of(block: &Block) -> usize {
    match block {
        Block::Heading(_, text) | Block::Paragraph(text) | Block::Item(_, text) => text.len(),
        Block::Table(grid) => grid.rows.iter().flatten().map(String::len).sum(),
    }
}

/// As many, but for white space around a text: 0 where there is nothing to read.
fn size_of(block: &Block) -> usize {
    match block {
        Block::Heading(_, text) | Block::Paragraph(text) | Block::Item(_, text) => text.trim().len(),
        Block::Table(_) => bytes_of(block),
    }
}

fn write(builder: &mut DocumentBuilder, block: Block) {
    match block {
        Block::Heading(level, text) => builder.heading(level, &text),
        Block::Paragraph(text) => builder.paragraph(&text),
        Block::Item(depth, text) => builder.item(depth, &text),
        Block::Table(grid) => builder.table(grid.rows, grid.has_header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExtractError, ExtractLimits, Format};

    fn text_of(fill: impl FnOnce(&mut Flow<'_>)) -> String {
        let mut builder = DocumentBuilder::new(Format::Docx, &ExtractLimits::default());
        let mut flow = Flow::new(&mut builder);
        fill(&mut flow);
        flow.end();
        builder.finish().expect("fits").text
    }

    fn cell(flow: &mut Flow<'_>, text: &str) {
        flow.begin_cell();
        flow.block(Block::Paragraph(text.to_owned()));
        flow.end_cell();
    }

    #[test]
    fn a_table_in_a_cell_becomes_words_of_that_cell() {
        let text = text_of(|flow| {
            flow.begin_table();
            flow.begin_row();
            cell(flow, "Part");
            cell(flow, "Price");
            flow.begin_row();
            cell(flow, "Pump");
            flow.begin_cell();
            flow.begin_table();
            for row in [["net", "gross"], ["4", "5"]] {
                flow.begin_row();
                row.iter().for_each(|text| cell(flow, text));
            }
            flow.end_table();
            flow.end_cell();
            flow.end_table();
        });
        assert_eq!(text, "Part | Price\nPump | net, gross; 4, 5");
    }

    #[test]
    fn merged_cells_keep_the_columns_under_their_names() {
        let text = text_of(|flow| {
            flow.begin_table();
            flow.begin_row();
            flow.begin_cell();
            flow.set_columns(2);
            flow.block(Block::Paragraph("Both".to_owned()));
            flow.end_cell();
            cell(flow, "Third");
            flow.begin_row();
            ["1", "2", "3"].iter().for_each(|text| cell(flow, text));
            flow.end_table();
        });
        assert_eq!(text, "Both |  | Third\n1 | 2 | 3");
    }

    #[test]
    fn a_table_that_only_places_things_is_read_as_paragraphs() {
        let text = text_of(|flow| {
            flow.begin_table();
            for words in ["one", "two"] {
                flow.begin_row();
                cell(flow, words);
                cell(flow, "");
            }
            flow.end_table();
        });
        assert_eq!(text, "one\n\ntwo");
    }

    #[test]
    fn what_is_left_open_is_still_read() {
        let text = text_of(|flow| {
            flow.begin_box();
            flow.begin_table();
            flow.begin_row();
            flow.begin_cell();
            flow.block(Block::Paragraph("words".to_owned()));
        });
        assert_eq!(text, "words");
    }

    #[test]
    fn empty_cells_without_end_are_refused() {
        let limits = ExtractLimits { max_text_bytes: 1 << 10, ..ExtractLimits::default() };
        let mut builder = DocumentBuilder::new(Format::Docx, &limits);
        let mut flow = Flow::new(&mut builder);
        flow.begin_table();
        for _ in 0..10_000 {
            flow.begin_row();
            flow.begin_cell();
            flow.end_cell();
        }
        assert!(flow.is_full());
        assert!(matches!(builder.finish(), Err(ExtractError::TooLong { .. })));
    }
}
