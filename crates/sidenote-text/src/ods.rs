//! OpenDocument spreadsheets (ODS), sheet by sheet.
//!
//! Walked here over the seams `package` (zip) and `xml_walk` (quick-xml), row by row. The format writes what a cell shows beside
//! what it is worth, and says of equal cells and rows how often they come: a sheet is filled to its last row with blank
//! ones in a few bytes, so blank ones are never made, and others not without bound.

use crate::builder::DocumentBuilder;
use crate::docx_body::comment;
use crate::flow::{Block, Flow};
use crate::members::Budget;
use crate::odf_object::{Object, read_object};
use crate::sheet::{self, SheetCell, SheetRow, write_sheet};
use crate::xml_walk::{Step, Tag, Xml};
use crate::{Document, ExtractError, ExtractLimits, Format, odf, office_meta};

/// Most equal cells beside each other, or equal rows, that are written.
const MAX_REPEATED: u32 = 64;

/// Reads a spreadsheet.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits, budget: &Budget) -> Result<Document, ExtractError> {
    let mut builder = DocumentBuilder::new(Format::Ods, limits);
    let (mut package, content) = odf::open(bytes, budget, builder.document())?;
    let mut xml = Xml::new("content.xml", &content);
    while let Some(step) = xml.next()? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            "tracked-changes" => xml.skip()?,
            "table" => {
                let name = tag.attr("name").unwrap_or_default();
                if name.starts_with("'file:") {
                    // A copy of another file's cells, kept for formulas.
                    xml.skip()?;
                    continue;
                }
                let mut rows = Rows {
                    depth: xml.depth(),
                    xml: &mut xml,
                    max_bytes: builder.max_bytes(),
                    number: 0,
                    again: None,
                    seen: Seen::default(),
                };
                write_sheet(&name, std::iter::from_fn(|| rows.next()), &mut builder);
                let seen = std::mem::take(&mut rows.seen);
                if let Some(error) = seen.error {
                    return Err(error);
                }
                let mut flow = Flow::new(&mut builder);
                flow.blocks(seen.behind);
                for folder in seen.objects {
                    if let Object::Chart(blocks) = read_object(&mut package, &folder) {
                        flow.blocks(blocks);
                    }
                }
            }
            _ => {}
        }
        if builder.is_full() {
            break;
        }
    }
    office_meta::finish(builder)
}

/// The rows of the sheet that is open, until it closes. After an error there are no more.
struct Rows<'r, 'a> {
    xml: &'r mut Xml<'a>,
    depth: usize,
    /// Most bytes of a row.
    max_bytes: usize,
    number: u32,
    /// A row that comes again, and how often.
    again: Option<(SheetRow, u32)>,
    seen: Seen,
}

/// What was met beside the cells.
#[derive(Default)]
struct Seen {
    /// Comments and text boxes.
    behind: Vec<Block>,
    /// Folders of charts.
    objects: Vec<String>,
    error: Option<ExtractError>,
    is_over: bool,
}

impl Rows<'_, '_> {
    fn next(&mut self) -> Option<SheetRow> {
        if let Some((row, times)) = &mut self.again {
            row.number = row.number.saturating_add(1);
            *times -= 1;
            let row = row.clone();
            self.again.take_if(|(_, times)| *times == 0);
            return Some(row);
        }
        if self.seen.is_over {
            return None;
        }
        let row = self.read_next().unwrap_or_else(|error| {
            self.seen.error = Some(error);
            None
        });
        self.seen.is_over = row.is_none();
        row
    }

    fn read_next(&mut self) -> Result<Option<SheetRow>, ExtractError> {
        while let Some(step) = self.xml.next_inside(self.depth)? {
            let Step::Open(tag) = step else { continue };
            match tag.name() {
                "table-row" => {
                    let repeated: u32 = tag.number("number-rows-repeated").unwrap_or(1).max(1);
                    let cells = self.read_row()?;
                    let row = SheetRow { number: self.number.saturating_add(1), cells };
                    self.number = self.number.saturating_add(repeated);
                    if !row.cells.is_empty() {
                        let again = repeated.min(MAX_REPEATED) - 1;
                        self.again = (again > 0).then(|| (row.clone(), again));
                        return Ok(Some(row));
                    }
                }
                "shapes" => self.read_shape()?,
                _ => {}
            }
        }
        Ok(None)
    }

    fn read_row(&mut self) -> Result<Vec<SheetCell>, ExtractError> {
        let depth = self.xml.depth();
        let (mut cells, mut column, mut row_bytes) = (Vec::new(), 0u32, 0usize);
        while let Some(step) = self.xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            if !matches!(tag.name(), "table-cell" | "covered-table-cell") {
                continue;
            }
            let repeated: u32 = tag.number("number-columns-repeated").unwrap_or(1).max(1);
            let text = self.read_cell(&tag, column)?;
            if !text.trim().is_empty() && tag.name() == "table-cell" {
                let is_label = matches!(tag.attr("value-type").as_deref(), Some("string") | None);
                let times = usize::try_from(repeated.min(MAX_REPEATED)).unwrap_or(1);
                row_bytes = row_bytes.saturating_add(text.len().saturating_mul(times));
                sheet::check_row(row_bytes, self.max_bytes)?;
                let columns = (0..repeated.min(MAX_REPEATED)).map(|offset| column.saturating_add(offset));
                cells.extend(columns.map(|column| SheetCell { column, text: text.clone(), is_label }));
            }
            column = column.saturating_add(repeated);
        }
        Ok(cells)
    }

    /// What a cell shows.
    fn read_cell(&mut self, tag: &Tag<'_>, column: u32) -> Result<String, ExtractError> {
        let depth = self.xml.depth();
        let mut shown = String::new();
        while let Some(step) = self.xml.next_inside(depth)? {
            match step {
                Step::Open(tag) => match tag.name() {
                    "annotation" => self.read_comment(column)?,
                    "frame" | "custom-shape" | "rect" | "caption" => self.read_shape()?,
                    "s" | "tab" | "line-break" => shown.push(' '),
                    _ => {}
                },
                Step::Text(text) => shown.push_str(&text),
                Step::Close(end) if end.name() == "p" => shown.push(' '),
                Step::Close(_) => {}
            }
        }
        if let Some(date) = tag.attr("date-value") {
            return Ok(date.strip_suffix("T00:00:00").unwrap_or(&date).replace('T', " "));
        }
        let is_shown = !shown.trim().is_empty();
        Ok(if is_shown { shown } else { tag.attr("office:value").or(tag.attr("string-value")).unwrap_or_default() })
    }

    fn read_comment(&mut self, column: u32) -> Result<(), ExtractError> {
        let depth = self.xml.depth();
        let (mut author, mut words) = (String::new(), String::new());
        while let Some(step) = self.xml.next_inside(depth)? {
            match step {
                Step::Open(tag) if tag.name() == "creator" => author = self.xml.text()?,
                Step::Open(tag) if tag.name() == "date" => self.xml.skip()?,
                Step::Close(end) if end.name() == "p" => words.push(' '),
                Step::Text(text) => words.push_str(&text),
                Step::Open(_) | Step::Close(_) => {}
            }
        }
        let row = self.number.saturating_add(1);
        if !words.trim().is_empty() {
            let cell = address(column, row);
            self.seen.behind.push(comment(&author, &format!("{cell}: {}", words.trim())));
        }
        Ok(())
    }

    /// The paragraphs of a text box, and where the objects in it are.
    fn read_shape(&mut self) -> Result<(), ExtractError> {
        let depth = self.xml.depth();
        while let Some(step) = self.xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            match tag.name() {
                "p" => {
                    let text = self.xml.text()?;
                    if !text.trim().is_empty() {
                        self.seen.behind.push(Block::Paragraph(text));
                    }
                }
                "object" => self.seen.objects.extend(tag.attr("href")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// `AB12` for a column from 0 and a row from 1.
pub(crate) fn address(column: u32, row: u32) -> String {
    let mut letters = Vec::new();
    let mut left = column.saturating_add(1);
    while left > 0 {
        let letter = u8::try_from((left - 1) % 26).unwrap_or(0);
        letters.push(char::from(b'A' + letter));
        left = (left - 1) / 26;
    }
    format!("{}{row}", letters.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests::zip_of;

    fn ods(tables: &str) -> Document {
        let content = format!("<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>");
        read(&zip_of(&[("content.xml", &content)]), &ExtractLimits::default(), &Budget::new()).expect("reads")
    }

    #[test]
    fn cells_are_shown_and_blank_ones_cost_nothing() {
        let text = |text: &str| {
            format!("<table:table-cell office:value-type='string'><text:p>{text}</text:p></table:table-cell>")
        };
        let document = ods(&format!(
            "<table:table table:name='Prices'><table:table-row table:number-rows-repeated='3'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>\
             <table:table-row>{}{}</table:table-row><table:table-row table:number-rows-repeated='2'>\
             <table:table-cell office:value-type='date' office:date-value='2024-05-31'><text:p>31.05.24</text:p></table:table-cell>\
             <table:table-cell office:value-type='percentage' office:value='0.25'><text:p>25%</text:p>\
             <office:annotation><dc:creator>Anna</dc:creator><text:p>Why?</text:p></office:annotation></table:table-cell></table:table-row>\
             <table:table-row table:number-rows-repeated='1048570'><table:table-cell table:number-columns-repeated='16384'/></table:table-row></table:table>",
            text("Day"),
            text("Share"),
        ));
        assert_eq!(
            document.text,
            "Prices\n\nDay | Share\n2024-05-31 | 25%\n2024-05-31 | 25%\n\nComment (Anna): B5: Why?"
        );
        assert_eq!(document.places[0].name, "sheet Prices");
    }

    #[test]
    fn equal_cells_are_written_in_bounds() {
        let row = "<table:table-row table:number-rows-repeated='1000000'><table:table-cell table:number-columns-repeated='1000000' \
                   office:value-type='float'><text:p>1</text:p></table:table-cell></table:table-row>";
        assert!(ods(&format!("<table:table>{row}</table:table>")).text.len() < 100_000);
    }

    #[test]
    fn rows_behind_the_last_number_are_read() {
        let blank = "<table:table-row table:number-rows-repeated='4294967295'><table:table-cell/></table:table-row>";
        let row = "<table:table-row table:number-rows-repeated='3'><table:table-cell office:value-type='float'><text:p>1</text:p></table:table-cell></table:table-row>";
        assert!(ods(&format!("<table:table>{blank}{row}</table:table>")).text.ends_with("1\n1\n1"));
    }

    #[test]
    fn columns_are_lettered() {
        assert_eq!([address(0, 1), address(27, 12), address(16_383, 3)], ["A1", "AB12", "XFD3"]);
    }
}
