//! Excel files (XLSX, XLSM, XLTX): sheet by sheet, hidden ones too.
//!
//! Walked here over the seams `package` (zip) and `xml_walk` (quick-xml), row by row: what a sheet claims to be its size is not
//! believed, and cells cost memory only where they hold words. Formulas are shown by the result that was saved with them.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::builder::DocumentBuilder;
use crate::chart::read_embedded;
use crate::docx_body::comment;
use crate::drawing::read_shapes;
use crate::flow::{Block, Flow};
use crate::members::Budget;
use crate::number_format::{self, NumberFormat};
use crate::package::{Package, Relations};
use crate::sheet::{self, SheetCell, SheetRow, write_sheet};
use crate::xml_walk::{Step, Tag, Xml};
use crate::{Document, ExtractError, ExtractLimits, Format, office_meta};

/// The last column a sheet can have, from 0.
const LAST_COLUMN: u32 = 16_383;

/// Reads an Excel file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits, budget: &Budget) -> Result<Document, ExtractError> {
    let mut builder = DocumentBuilder::new(Format::Xlsx, limits);
    let (mut package, main) = office_meta::open(bytes, budget, "xl/workbook.xml", builder.document())?;
    let relations = package.relations(&main)?;
    let (sheets, is_1904) = sheets_of(&mut package, &main, &relations)?;
    let mut book = Book { is_1904, ..Book::default() };
    if let Some(part) = relations.target_of("sharedStrings") {
        book.shared = read_shared(&mut package, part)?;
    }
    if let Some(part) = relations.target_of("styles") {
        book.formats = read_formats(&mut package, part).unwrap_or_default();
    }
    book.people = relations.of_kind("person").flat_map(|one| people(&mut package, &one.target)).collect();
    let count = sheets.len();
    for (name, part) in sheets {
        match read_sheet(&mut package, &book, &name, &part, &mut builder) {
            Ok(()) => {}
            Err(ExtractError::Damaged(_)) if count > 1 => {
                builder.warn(format!("the sheet `{name}` could not be read to its end"));
            }
            Err(error) => return Err(error),
        }
        if builder.is_full() {
            break;
        }
    }
    office_meta::finish(builder)
}

/// What the sheets of a file share.
#[derive(Default)]
struct Book {
    shared: Shared,
    /// By index of the cell's style.
    formats: Vec<NumberFormat>,
    is_1904: bool,
    /// Names of those who comment, by id.
    people: HashMap<String, String>,
}

/// The texts that cells refer to by number, in one piece: there may be millions.
#[derive(Default)]
struct Shared {
    text: String,
    ends: Vec<usize>,
}

impl Shared {
    fn get(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..*self.ends.get(index)?)
    }
}

/// Names and parts of the sheets, and whether their days are counted from 1904.
fn sheets_of(
    package: &mut Package<'_>,
    main: &str,
    relations: &Relations,
) -> Result<(Vec<(String, String)>, bool), ExtractError> {
    let source = package.text(main)?.ok_or_else(|| ExtractError::Damaged(format!("the part `{main}` is missing")))?;
    let mut xml = Xml::new(main, &source);
    let (mut sheets, mut is_1904) = (Vec::new(), false);
    while let Some(step) = xml.next()? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            "workbookPr" => is_1904 = matches!(tag.attr("date1904").as_deref(), Some("1" | "true")),
            "sheet" => {
                let id = tag.attr("r:id").unwrap_or_default();
                if let (Some(name), Some(relation)) = (tag.attr("name"), relations.with_id(&id)) {
                    sheets.push((name, relation.target.clone()));
                }
            }
            _ => {}
        }
    }
    Ok((sheets, is_1904))
}

fn read_shared(package: &mut Package<'_>, part: &str) -> Result<Shared, ExtractError> {
    let source = package.text(part)?.unwrap_or_default();
    let mut xml = Xml::new(part, &source);
    let mut shared = Shared::default();
    while let Some(step) = xml.next()? {
        match step {
            Step::Open(tag) => match tag.name() {
                "t" => shared.text.push_str(&unescaped(&xml.text()?)),
                // How a word is spoken.
                "rPh" => xml.skip()?,
                _ => {}
            },
            Step::Close(end) if end.name() == "si" => shared.ends.push(shared.text.len()),
            Step::Close(_) | Step::Text(_) => {}
        }
    }
    Ok(shared)
}

fn read_formats(package: &mut Package<'_>, part: &str) -> Result<Vec<NumberFormat>, ExtractError> {
    let source = package.text(part)?.unwrap_or_default();
    let mut xml = Xml::new(part, &source);
    let mut own: HashMap<u32, NumberFormat> = HashMap::new();
    let (mut formats, mut in_cells) = (Vec::new(), false);
    while let Some(step) = xml.next()? {
        match step {
            Step::Open(tag) => match tag.name() {
                "numFmt" => {
                    if let (Some(id), Some(code)) = (tag.number("numFmtId"), tag.attr("formatCode")) {
                        own.insert(id, number_format::parse(&code));
                    }
                }
                "cellXfs" => in_cells = true,
                "xf" if in_cells => {
                    let id: u32 = tag.number("numFmtId").unwrap_or(0);
                    formats.push(own.get(&id).cloned().unwrap_or_else(|| number_format::builtin(id)));
                }
                _ => {}
            },
            Step::Close(end) if end.name() == "cellXfs" => in_cells = false,
            Step::Close(_) | Step::Text(_) => {}
        }
    }
    Ok(formats)
}

fn people(package: &mut Package<'_>, part: &str) -> Vec<(String, String)> {
    let Ok(Some(source)) = package.text(part) else { return Vec::new() };
    let mut xml = Xml::new(part, &source);
    let mut people = Vec::new();
    while let Ok(Some(step)) = xml.next() {
        if let Step::Open(tag) = step
            && let Some(person) = tag.attr("id").zip(tag.attr("displayName"))
        {
            people.push(person);
        }
    }
    people
}

fn read_sheet(
    package: &mut Package<'_>,
    book: &Book,
    name: &str,
    part: &str,
    builder: &mut DocumentBuilder,
) -> Result<(), ExtractError> {
    let source = package.text(part)?.unwrap_or_default();
    let mut rows = Rows { xml: Xml::new(part, &source), book, max_bytes: builder.max_bytes(), number: 0, error: None };
    write_sheet(name, std::iter::from_fn(|| rows.next()), builder);
    let error = rows.error.take();
    drop(source);
    let relations = package.relations(part).unwrap_or_default();
    let mut behind = Vec::new();
    let is_threaded = relations.target_of("threadedComment").is_some();
    for relation in relations.iter() {
        match relation.kind.as_str() {
            "drawing" => behind.extend(read_drawing(package, &relation.target, builder)),
            "threadedComment" => behind.extend(read_comments(package, book, &relation.target, false)),
            "comments" => behind.extend(read_comments(package, book, &relation.target, is_threaded)),
            _ => {}
        }
    }
    Flow::new(builder).blocks(behind);
    error.map_or(Ok(()), Err)
}

/// The rows of a sheet as they are read. After an error there are no more.
struct Rows<'a> {
    xml: Xml<'a>,
    book: &'a Book,
    /// Most bytes of a row.
    max_bytes: usize,
    number: u32,
    error: Option<ExtractError>,
}

impl Rows<'_> {
    fn next(&mut self) -> Option<SheetRow> {
        if self.error.is_some() {
            return None;
        }
        self.read_next().unwrap_or_else(|error| {
            self.error = Some(error);
            None
        })
    }

    fn read_next(&mut self) -> Result<Option<SheetRow>, ExtractError> {
        while let Some(step) = self.xml.next()? {
            let Step::Open(tag) = step else { continue };
            if tag.name() == "row" {
                self.number = tag.number("r").unwrap_or(self.number.saturating_add(1));
                let row = self.read_row()?;
                if !row.cells.is_empty() {
                    return Ok(Some(row));
                }
            }
        }
        Ok(None)
    }

    fn read_row(&mut self) -> Result<SheetRow, ExtractError> {
        let depth = self.xml.depth();
        let (mut cells, mut next, mut row_bytes) = (Vec::new(), 0, 0usize);
        while let Some(step) = self.xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            if tag.name() != "c" {
                continue;
            }
            let column = tag.attr("r").and_then(|address| column_of(&address)).unwrap_or(next);
            next = column + 1;
            if let Some((text, is_label)) = self.read_cell(&tag)?
                && column <= LAST_COLUMN
            {
                row_bytes = row_bytes.saturating_add(text.len());
                sheet::check_row(row_bytes, self.max_bytes)?;
                cells.push(SheetCell { column, text, is_label });
            }
        }
        Ok(SheetRow { number: self.number, cells })
    }

    /// What a cell shows, and whether it is words; `None` for an empty one.
    fn read_cell(&mut self, tag: &Tag<'_>) -> Result<Option<(String, bool)>, ExtractError> {
        let depth = self.xml.depth();
        let kind = tag.attr("t").unwrap_or_default();
        let (mut value, mut inline) = (String::new(), String::new());
        while let Some(step) = self.xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            match tag.name() {
                "v" => value = self.xml.text()?,
                "t" => inline.push_str(&self.xml.text()?),
                "f" | "rPh" | "extLst" => self.xml.skip()?,
                _ => {}
            }
        }
        let trimmed = value.trim();
        let (text, is_label) = match kind.as_str() {
            "s" => (
                trimmed.parse().ok().and_then(|index| self.book.shared.get(index)).unwrap_or_default().to_owned(),
                true,
            ),
            "inlineStr" => (unescaped(&inline).into_owned(), true),
            "str" => (unescaped(&value).into_owned(), true),
            "b" => (if trimmed == "0" { "FALSE" } else { "TRUE" }.to_owned(), false),
            "d" => (trimmed.strip_suffix("T00:00:00").unwrap_or(trimmed).replace('T', " "), false),
            "e" => (trimmed.to_owned(), false),
            _ => match trimmed.parse() {
                Ok(number) => {
                    let style: usize = tag.number("s").unwrap_or(0);
                    let format = self.book.formats.get(style).unwrap_or(&NumberFormat::General);
                    (format.show(number, self.book.is_1904), false)
                }
                Err(_) => (trimmed.to_owned(), true),
            },
        };
        Ok((!text.trim().is_empty()).then_some((text, is_label)))
    }
}

/// A text with the characters that XML cannot hold: `_x000D_` is a carriage return, and `_x005F_` the line before an `x`.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("_x") {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("_x") {
        shown.push_str(before);
        let code = after.get(..4).filter(|_| after.get(4..5) == Some("_"));
        match code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32) {
            Some(c) => {
                shown.push(if c.is_control() { ' ' } else { c });
                rest = after.get(5..).unwrap_or_default();
            }
            None => {
                shown.push_str("_x");
                rest = after;
            }
        }
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The column of an address such as `AB12`, from 0.
fn column_of(address: &str) -> Option<u32> {
    let letters = address.bytes().take_while(u8::is_ascii_alphabetic);
    let number =
        letters.take(4).fold(0, |number, letter| number * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1);
    number.checked_sub(1)
}

/// Text boxes and charts that lie on a sheet; broken ones cost themselves alone.
fn read_drawing(package: &mut Package<'_>, part: &str, builder: &mut DocumentBuilder) -> Vec<Block> {
    let Ok(Some(source)) = package.text(part) else { return Vec::new() };
    let relations = package.relations(part).unwrap_or_default();
    let mut flow = Flow::new(builder);
    let mut embedded =
        |id: &str| relations.with_id(id).and_then(|relation| read_embedded(package, relation)).unwrap_or_default();
    let shapes = read_shapes(&mut Xml::new(part, &source), &mut flow, &mut embedded).unwrap_or_default();
    shapes.into_iter().flat_map(|shape| shape.blocks).collect()
}

/// Comments on cells, of either kind: notes with a list of authors, or threads with a list of people. Programs that know
/// threads write every thread as a note too, which is passed over.
fn read_comments(package: &mut Package<'_>, book: &Book, part: &str, is_threaded: bool) -> Vec<Block> {
    let Ok(Some(source)) = package.text(part) else { return Vec::new() };
    let mut xml = Xml::new(part, &source);
    let mut authors: Vec<String> = Vec::new();
    let mut open = (String::new(), String::new(), String::new());
    let mut comments = Vec::new();
    while let Ok(Some(step)) = xml.next() {
        match step {
            Step::Open(tag) => match tag.name() {
                "author" => authors.extend(xml.text().ok()),
                "comment" | "threadedComment" => {
                    let note = tag.number("authorId").and_then(|index: usize| authors.get(index));
                    let person = tag.attr("personId").and_then(|id| book.people.get(&id).cloned());
                    let author = person.or(note.cloned()).unwrap_or_default();
                    open = (tag.attr("ref").unwrap_or_default(), author, String::new());
                }
                "t" => open.2.push_str(&xml.text().unwrap_or_default()),
                "text" if part.to_lowercase().contains("threadedcomment") => {
                    open.2.push_str(&xml.text().unwrap_or_default());
                }
                _ => {}
            },
            Step::Close(end) if matches!(end.name(), "comment" | "threadedComment") => {
                let (cell, author, words) = std::mem::take(&mut open);
                let is_copy = is_threaded && words.trim_start().starts_with("[Threaded comment]");
                if !is_copy && !words.trim().is_empty() {
                    comments.push(comment(author.trim(), &format!("{cell}: {}", words.trim())));
                }
            }
            Step::Close(_) | Step::Text(_) => {}
        }
    }
    comments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests::zip_of;

    fn book(sheets: &[(&str, &str)], parts: &[(&str, &str)]) -> Result<Document, ExtractError> {
        let names: Vec<String> = (0..sheets.len()).map(|index| format!("xl/s{index}.xml")).collect();
        let listed: String = sheets
            .iter()
            .enumerate()
            .map(|(index, (name, _))| format!("<sheet name='{name}' state='hidden' r:id='s{index}'/>"))
            .collect();
        let related: String = (0..sheets.len())
            .map(|index| format!("<Relationship Id='s{index}' Type='x/worksheet' Target='s{index}.xml'/>"))
            .collect();
        let workbook = format!("<workbook><sheets>{listed}</sheets></workbook>");
        let rels = format!(
            "<Relationships>{related}<Relationship Id='a' Type='x/sharedStrings' Target='shared.xml'/>\
             <Relationship Id='b' Type='x/styles' Target='styles.xml'/></Relationships>"
        );
        let root =
            "<Relationships><Relationship Id='r' Type='x/officeDocument' Target='xl/workbook.xml'/></Relationships>";
        let mut all =
            vec![("_rels/.rels", root), ("xl/workbook.xml", &workbook), ("xl/_rels/workbook.xml.rels", &rels)];
        all.extend(names.iter().map(String::as_str).zip(sheets.iter().map(|(_, text)| *text)));
        all.extend(parts);
        read(&zip_of(&all), &ExtractLimits::default(), &Budget::new())
    }

    #[test]
    fn cells_are_shown_as_a_reader_sees_them() {
        let shared = "<sst><si><t>Day</t></si><si><r><t>Sh</t></r><r><t>are</t></r><rPh><t>x</t></rPh></si></sst>";
        let styles = "<styleSheet><numFmts><numFmt numFmtId='164' formatCode='dd\\.mm\\.yyyy'/></numFmts>\
                      <cellStyleXfs><xf numFmtId='9'/></cellStyleXfs><cellXfs><xf numFmtId='0'/><xf numFmtId='164'/><xf numFmtId='9'/></cellXfs></styleSheet>";
        let sheet = "<worksheet><dimension ref='A1:XFD1048576'/><sheetData><row r='1'><c r='A1' t='s'><v>0</v></c><c r='C1' t='s'><v>1</v></c></row>\
                     <row r='2'><c r='A2' s='1'><v>45443</v></c><c r='B2' t='inlineStr'><is><t>in</t></is></c><c r='C2' s='2'><f>A1*2</f><v>0.25</v></c></row>\
                     <row><c t='b'><v>1</v></c><c t='e'><v>#N/A</v></c><c><v>3.0</v></c><c t='s'><v>99</v></c></row></sheetData></worksheet>";
        let document = book(
            &[("Prices", sheet), ("Blank", "<worksheet/>")],
            &[("xl/shared.xml", shared), ("xl/styles.xml", styles)],
        );
        let document = document.expect("reads");
        assert_eq!(document.text, "Prices\n\nDay |  | Share\n2024-05-31 | in | 25%\nTRUE | #N/A | 3");
        assert_eq!(document.tables[0].header.slice(&document.text), Some("Day |  | Share"));
        assert_eq!(document.places[0].name, "sheet Prices");
    }

    #[test]
    fn comments_name_their_cell_and_author() {
        let sheet = "<worksheet><sheetData><row r='1'><c r='A1'><v>1</v></c></row></sheetData></worksheet>";
        let rels = "<Relationships><Relationship Id='c' Type='x/comments' Target='comments1.xml'/></Relationships>";
        let comments = "<comments><authors><author>Anna</author></authors><commentList><comment ref='A1' authorId='0'>\
                        <text><r><t>Too </t></r><r><t>low</t></r></text></comment></commentList></comments>";
        let document = book(&[("S", sheet)], &[("xl/_rels/s0.xml.rels", rels), ("xl/comments1.xml", comments)]);
        assert_eq!(document.expect("reads").text, "S\n\n1\n\nComment (Anna): A1: Too low");
    }

    #[test]
    fn a_broken_sheet_costs_itself_alone() {
        let good = "<worksheet><row><c><v>1</v></c></row></worksheet>";
        let document = book(&[("Good", good), ("Bad", "<worksheet><row><c><v>2</v></c></row>")], &[]).expect("reads");
        assert_eq!(document.text, "Good\n\n1\n\nBad\n\n2");
        assert_eq!(document.warnings, ["the sheet `Bad` could not be read to its end"]);
        assert!(matches!(book(&[("Bad", "<worksheet><row>")], &[]), Err(ExtractError::Damaged(_))));
    }

    #[test]
    fn escaped_characters_are_shown() {
        assert_eq!(unescaped("a_x000D_b _x005F_x _xyz_ _x00"), "a b _x _xyz_ _x00");
    }

    #[test]
    fn addresses_name_columns() {
        assert_eq!([column_of("A1"), column_of("AB12"), column_of("XFD1")], [Some(0), Some(27), Some(LAST_COLUMN)]);
        assert_eq!([column_of("12"), column_of("ZZZZZZZZ1")], [None, Some(475_253)]);
    }
}
