//! Builds the normal form of a page from its elements and texts, in order.

use crate::builder::{CELL_JOINT, is_invisible};
use crate::markdown::{fold_white, trim};
use crate::{Heading, Span, Table};

/// What parts the text so far from what comes next. Greater wins.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
    Paragraph,
}

/// Text under construction, with headings and tables found on the way.
#[derive(Default)]
pub(crate) struct TextBuilder {
    pub(crate) text: String,
    pub(crate) headings: Vec<Heading>,
    pub(crate) tables: Vec<Table>,
    gap: Gap,
    /// A bullet was written and nothing behind it yet.
    after_bullet: bool,
    list_depth: usize,
    item_depth: usize,
    pre_depth: usize,
    heading_start: Option<usize>,
    open_tables: Vec<OpenTable>,
}

#[derive(Default)]
struct OpenTable {
    is_data: bool,
    in_head: bool,
    rows: Vec<Row>,
    row: Row,
    in_cell: bool,
}

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    is_header: bool,
}

impl TextBuilder {
    /// An element begins. `is_data` tells of a table whether it holds data.
    pub(crate) fn open(&mut self, name: &str, is_data: bool) {
        if self.in_data_cell() {
            self.open_in_cell(name);
            return;
        }
        match name {
            "br" => self.part(Gap::Line),
            "table" => {
                self.part(Gap::Paragraph);
                self.open_tables.push(OpenTable { is_data, ..OpenTable::default() });
            }
            "thead" | "tr" | "td" | "th" => self.open_table_part(name),
            "ul" | "ol" | "menu" | "dir" => {
                self.part(if self.list_depth == 0 { Gap::Paragraph } else { Gap::Line });
                self.list_depth += 1;
            }
            "li" => self.open_item(),
            "pre" | "listing" => {
                self.part(Gap::Paragraph);
                self.pre_depth += 1;
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.part(Gap::Paragraph);
                self.heading_start = Some(self.text.len());
            }
            _ => self.part(gap_around(name)),
        }
    }

    /// An element ends.
    pub(crate) fn close(&mut self, name: &str) {
        if self.in_data_cell() && !matches!(name, "td" | "th" | "tr" | "table") {
            self.open_in_cell(name);
            return;
        }
        match name {
            "table" => self.close_table(),
            "thead" | "tr" | "td" | "th" => self.close_table_part(name),
            "ul" | "ol" | "menu" | "dir" => {
                self.list_depth = self.list_depth.saturating_sub(1);
                self.part(if self.list_depth == 0 { Gap::Paragraph } else { Gap::Line });
            }
            "li" => {
                self.item_depth = self.item_depth.saturating_sub(1);
                self.after_bullet = false;
                self.part(Gap::Line);
            }
            "pre" | "listing" => {
                self.pre_depth = self.pre_depth.saturating_sub(1);
                self.part(Gap::Paragraph);
            }
            "h1" => self.close_heading(1),
            "h2" => self.close_heading(2),
            "h3" => self.close_heading(3),
            "h4" => self.close_heading(4),
            "h5" => self.close_heading(5),
            "h6" => self.close_heading(6),
            "br" => {}
            _ => self.part(gap_around(name)),
        }
    }

    /// Text inside the elements open now.
    pub(crate) fn push_text(&mut self, text: &str) {
        if let Some(table) = self.open_tables.last_mut().filter(|table| table.is_data && table.in_cell) {
            if let Some(cell) = table.row.cells.last_mut() {
                cell.extend(text.chars().filter(|c| !is_invisible(*c)));
            }
            return;
        }
        if self.pre_depth > 0 {
            self.push_verbatim(text);
            return;
        }
        for c in text.chars().filter(|c| !is_invisible(*c)) {
            if !c.is_whitespace() {
                self.fill_gap();
                self.text.push(c);
            } else if !self.text.is_empty() && !self.after_bullet {
                self.gap = self.gap.max(Gap::Space);
            }
        }
    }

    /// What was walked ends here; another part of the page may follow.
    pub(crate) fn end_root(&mut self) {
        while !self.open_tables.is_empty() {
            self.close_table();
        }
        self.list_depth = 0;
        self.item_depth = 0;
        self.pre_depth = 0;
        self.heading_start = None;
        self.after_bullet = false;
        self.text.truncate(self.text.trim_end().len());
        self.part(Gap::Paragraph);
    }

    fn part(&mut self, gap: Gap) {
        // Blocks inside an item keep to its lines, so that a list stays one.
        let gap = if self.item_depth > 0 { gap.min(Gap::Line) } else { gap };
        if !self.text.is_empty() && !self.after_bullet {
            self.gap = self.gap.max(gap);
        }
    }

    fn fill_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        self.after_bullet = false;
        if gap >= Gap::Line {
            self.text.truncate(self.text.trim_end().len());
        }
        self.text.push_str(match gap {
            Gap::None => "",
            Gap::Space => " ",
            Gap::Line => "\n",
            Gap::Paragraph => "\n\n",
        });
    }

    fn push_verbatim(&mut self, text: &str) {
        let text = if self.gap == Gap::None { text } else { text.trim_start_matches(['\n', '\r']) };
        if text.is_empty() {
            return;
        }
        self.fill_gap();
        self.text.extend(text.chars().filter(|c| *c != '\r' && !is_invisible(*c)));
    }

    fn open_item(&mut self) {
        // An empty item leaves no bullet behind.
        if self.after_bullet {
            self.after_bullet = false;
            self.text.truncate(self.text.trim_end_matches(['-', ' ']).len());
        }
        self.part(Gap::Line);
        if self.list_depth <= 1 && self.item_depth == 0 {
            self.gap = self.gap.max(if self.text.is_empty() { Gap::None } else { Gap::Line });
        }
        self.fill_gap();
        self.item_depth += 1;
        let indent = self.list_depth.saturating_sub(1).min(8);
        (0..indent).for_each(|_| self.text.push_str("  "));
        self.text.push_str("- ");
        self.after_bullet = true;
    }

    fn close_heading(&mut self, level: u8) {
        if let Some(start) = self.heading_start.take() {
            let permalink = ['¶', '§', '#', '\u{1f517}'];
            let words = self.text.get(start..).unwrap_or_default().trim_end();
            let bare = words.trim_end_matches(permalink).trim_end();
            if !bare.trim().is_empty() && bare.len() < words.len() {
                self.text.truncate(start + bare.len());
            }
            let span = trim(&self.text, Span::new(start.min(self.text.len()), self.text.len()));
            let title = fold_white(span.slice(&self.text).unwrap_or_default().trim_start_matches("- "));
            if !title.is_empty() {
                self.headings.push(Heading { level, title, span });
            }
        }
        self.part(Gap::Paragraph);
    }

    fn in_data_cell(&self) -> bool {
        self.open_tables.last().is_some_and(|table| table.is_data && table.in_cell)
    }

    fn open_in_cell(&mut self, name: &str) {
        let Some(table) = self.open_tables.last_mut() else { return };
        if matches!(name, "td" | "th" | "tr" | "thead") {
            // The parser closes cells; it never opens one inside another.
            table.in_cell = false;
            self.open_table_part(name);
        } else if (name == "br" || name == "li" || gap_around(name) > Gap::None)
            && let Some(cell) = table.row.cells.last_mut()
        {
            cell.push(' ');
        }
    }

    fn open_table_part(&mut self, name: &str) {
        let Some(table) = self.open_tables.last_mut().filter(|table| table.is_data) else {
            self.part(if name == "thead" { Gap::None } else { Gap::Paragraph });
            return;
        };
        match name {
            "thead" => table.in_head = true,
            "tr" => table.row = Row { cells: Vec::new(), is_header: true },
            _ => {
                table.row.is_header &= table.in_head || name == "th";
                table.row.cells.push(String::new());
                table.in_cell = true;
            }
        }
    }

    fn close_table_part(&mut self, name: &str) {
        let Some(table) = self.open_tables.last_mut().filter(|table| table.is_data) else {
            self.part(if name == "thead" { Gap::None } else { Gap::Paragraph });
            return;
        };
        match name {
            "thead" => table.in_head = false,
            "tr" => {
                table.in_cell = false;
                let row = std::mem::take(&mut table.row);
                table.rows.push(row);
            }
            _ => table.in_cell = false,
        }
    }

    fn close_table(&mut self) {
        let Some(mut table) = self.open_tables.pop() else { return };
        if !table.row.cells.is_empty() {
            let row = std::mem::take(&mut table.row);
            table.rows.push(row);
        }
        if table.is_data {
            self.write_table(table.rows);
        }
        self.part(Gap::Paragraph);
    }

    fn write_table(&mut self, mut rows: Vec<Row>) {
        for row in &mut rows {
            row.cells.iter_mut().for_each(|cell| *cell = fold_white(cell));
        }
        rows.retain(|row| row.cells.iter().any(|cell| !cell.is_empty()));
        let header_rows = rows.iter().take_while(|row| row.is_header && row.cells.len() > 1).count();
        let has_header = header_rows > 0 && header_rows < rows.len();
        // Without a header nobody counts columns, and empty cells are there to place things.
        if !has_header {
            rows.iter_mut().for_each(|row| row.cells.retain(|cell| !cell.is_empty()));
        }
        let mut spans: Vec<Span> = Vec::new();
        for row in &rows {
            self.part(if spans.is_empty() { Gap::Paragraph } else { Gap::Line });
            self.fill_gap();
            let start = self.text.len();
            self.text.push_str(row.cells.join(CELL_JOINT).trim());
            spans.push(Span::new(start, self.text.len()));
        }
        if has_header && let (Some(first), Some(last)) = (spans.first(), spans.last()) {
            let header_end = spans.get(header_rows - 1).map_or(first.end, |span| span.end);
            self.tables
                .push(Table { span: Span::new(first.start, last.end), header: Span::new(first.start, header_end) });
        }
    }
}

/// What parts an element from its surroundings.
fn gap_around(name: &str) -> Gap {
    match name {
        "p" | "div" | "section" | "article" | "main" | "header" | "footer" | "aside" | "nav" | "blockquote"
        | "figure" | "figcaption" | "dl" | "form" | "fieldset" | "details" | "address" | "center" | "hr" | "body"
        | "dialog" | "hgroup" | "caption" | "search" => Gap::Paragraph,
        "dt" | "dd" | "summary" | "legend" | "tbody" | "tfoot" => Gap::Line,
        _ => Gap::None,
    }
}
