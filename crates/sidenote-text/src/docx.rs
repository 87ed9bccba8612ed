//! Word files (DOCX, DOCM, DOTX): the parts of the package and what is read from each.
//!
//! The XML is walked here, over the seams `package` (zip) and `xml_walk` (quick-xml): what Word keeps in other parts stands where
//! a reader meets it. Footnotes, endnotes and comments follow the paragraph they belong to, headers come before the text
//! and footers behind it, each once. A broken document is damage; a broken side part costs itself and a warning.

use std::collections::{HashMap, HashSet};

use crate::builder::DocumentBuilder;
use crate::chart::read_embedded;
use crate::docx_body::{Context, Notes, walk};
use crate::docx_styles::{Numbering, Styles};
use crate::flow::{Block, Flow, flat};
use crate::markdown::fold_white;
use crate::members::Budget;
use crate::package::{Package, Relation, Relations};
use crate::{Document, ExtractError, ExtractLimits, Format, office_meta};

/// Reads a Word file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits, budget: &Budget) -> Result<Document, ExtractError> {
    let mut builder = DocumentBuilder::new(Format::Docx, limits);
    let (mut package, main) = office_meta::open(bytes, budget, "word/document.xml", builder.document())?;
    let source = package.text(&main)?.ok_or_else(|| ExtractError::Damaged(format!("the part `{main}` is missing")))?;

    let relations = package.relations(&main).unwrap_or_default();
    let mut side = Side { package, relations, broken: Vec::new() };
    let styles = side.one("styles", Styles::read).unwrap_or_default();
    let numbering = side.one("numbering", |part, source| Numbering::read(part, source, &styles)).unwrap_or_default();
    let mut flow = Flow::new(&mut builder);
    let mut context = Context { styles, numbering, notes: HashMap::new(), embedded: HashMap::new() };
    for kind in ["footnotes", "endnotes", "comments"] {
        let notes = side.notes(kind, &mut context, &mut flow);
        context.notes.extend(notes);
    }
    let headers = side.frames("header", &mut context, &mut flow);
    let footers = side.frames("footer", &mut context, &mut flow);
    context.embedded = side.embedded();
    flow.blocks(headers);
    walk(&main, &source, &mut context, &mut flow)?;
    flow.end();
    flow.blocks(footers);
    for part in side.broken {
        builder.warn(format!("`{part}` could not be read"));
    }
    builder.finish()
}

/// The parts beside the main one.
struct Side<'a> {
    package: Package<'a>,
    /// Those of the main part.
    relations: Relations,
    /// Names of parts that could not be read.
    broken: Vec<String>,
}

impl Side<'_> {
    /// Reads the part of a kind; `None` where there is none, or it is broken.
    fn one<T>(&mut self, kind: &str, read: impl FnOnce(&str, &str) -> Result<T, ExtractError>) -> Option<T> {
        let part = self.relations.target_of(kind)?.to_owned();
        self.part(&part, read)
    }

    fn part<T>(&mut self, part: &str, read: impl FnOnce(&str, &str) -> Result<T, ExtractError>) -> Option<T> {
        let read = self.package.text(part).and_then(|source| source.map(|source| read(part, &source)).transpose());
        read.unwrap_or_else(|_| {
            self.broken.push(part.to_owned());
            None
        })
    }

    /// Footnotes, endnotes or comments by kind and id.
    fn notes(&mut self, kind: &str, context: &mut Context, flow: &mut Flow<'_>) -> Notes {
        let read = self.one(kind, |part, source| walk(part, source, context, flow));
        read.unwrap_or_default().into_iter().map(|(id, blocks)| ((kind.to_owned(), id), blocks)).collect()
    }

    /// The words of headers or footers. They may differ for the first page, for left and right, and by section; equal ones
    /// are given once.
    fn frames(&mut self, kind: &str, context: &mut Context, flow: &mut Flow<'_>) -> Vec<Block> {
        let parts: Vec<String> = self.relations.of_kind(kind).map(|relation| relation.target.clone()).collect();
        let mut seen: HashSet<String> = HashSet::new();
        let mut frames = Vec::new();
        for part in parts {
            flow.begin_box();
            let read = self.part(&part, |part, source| walk(part, source, context, flow));
            let blocks = flow.end_box();
            if read.is_none() {
                continue;
            }
            for block in blocks {
                let words = fold_white(&flat(block.clone()));
                if words.chars().any(char::is_alphabetic) && seen.insert(words) {
                    // A heading in a header would rule everything below it.
                    frames.push(match block {
                        Block::Heading(_, text) => Block::Paragraph(text),
                        Block::Paragraph(_) | Block::Item(..) | Block::Table(_) => block,
                    });
                }
            }
        }
        frames
    }

    /// What charts and diagrams in the text show, by the id of their relation.
    fn embedded(&mut self) -> HashMap<String, Vec<Block>> {
        let package = &mut self.package;
        let read = |relation: &Relation| Some((relation.id.clone(), read_embedded(package, relation)?));
        self.relations.iter().filter_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests::zip_of;

    const MAIN: &str =
        "<Relationships><Relationship Id='r' Type='x/officeDocument' Target='word/document.xml'/></Relationships>";

    fn docx(body: &str, parts: &[(&str, &str)]) -> Document {
        let document = format!("<w:document><w:body>{body}</w:body></w:document>");
        let rels: String = parts
            .iter()
            .map(|(name, _)| {
                let kind = name.trim_end_matches(".xml").trim_end_matches(|c: char| c.is_ascii_digit());
                format!("<Relationship Id='{name}' Type='x/{kind}' Target='{name}'/>")
            })
            .collect();
        let rels = format!("<Relationships>{rels}</Relationships>");
        let names: Vec<String> = parts.iter().map(|(name, _)| format!("word/{name}")).collect();
        let mut all =
            vec![("_rels/.rels", MAIN), ("word/document.xml", &document), ("word/_rels/document.xml.rels", &rels)];
        all.extend(names.iter().map(String::as_str).zip(parts.iter().map(|(_, text)| *text)));
        read(&zip_of(&all), &ExtractLimits::default(), &Budget::new()).expect("reads")
    }

    fn p(properties: &str, text: &str) -> String {
        format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    }

    #[test]
    fn headings_lists_and_tables_take_their_normal_form() {
        let list = |level: u8| format!("<w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='1'/></w:numPr>");
        let cell = |text: &str| format!("<w:tc>{}</w:tc>", p("", text));
        let body = [
            p("<w:pStyle w:val='Heading2'/>", "Rules"),
            p("", "All of them."),
            p(&list(0), "one"),
            p(&list(1), "two"),
            format!(
                "<w:tbl><w:tr><w:trPr><w:tblHeader/></w:trPr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>",
                cell("Part"),
                cell("2024"),
                cell("Pump"),
                cell("4")
            ),
        ];
        let numbering = "<numbering><abstractNum w:abstractNumId='0'><lvl><numFmt w:val='decimal'/><lvlText w:val='%1)'/></lvl>\
                         <lvl><numFmt w:val='bullet'/></lvl></abstractNum><num w:numId='1'><abstractNumId w:val='0'/></num></numbering>";
        let document = docx(&body.concat(), &[("numbering.xml", numbering)]);
        assert_eq!(document.text, "Rules\n\nAll of them.\n\n- 1) one\n  - two\n\nPart | 2024\nPump | 4");
        assert_eq!((document.headings[0].level, document.title.as_deref()), (2, Some("Rules")));
        assert_eq!(document.tables[0].header.slice(&document.text), Some("Part | 2024"));
    }

    #[test]
    fn notes_follow_their_paragraph_and_frames_stand_once() {
        let body = "<w:p><w:r><w:t>Text</w:t><w:footnoteReference w:id='2'/><w:commentReference w:id='0'/></w:r></w:p><w:p><w:r><w:t>More</w:t></w:r></w:p>";
        let frame = |text: &str| format!("<w:hdr>{}</w:hdr>", p("", text));
        let document = docx(
            body,
            &[
                (
                    "footnotes.xml",
                    &format!("<w:footnotes><w:footnote w:id='2'>{}</w:footnote></w:footnotes>", p("", "The note.")),
                ),
                (
                    "comments.xml",
                    &format!(
                        "<w:comments><w:comment w:id='0' w:author='Anna'>{}</w:comment></w:comments>",
                        p("", "Really?")
                    ),
                ),
                ("header1.xml", &frame("House")),
                ("header2.xml", &frame("House")),
                ("header3.xml", &frame("12")),
                ("footer1.xml", &frame("Below")),
                ("endnotes.xml", "<broken"),
            ],
        );
        assert_eq!(document.text, "House\n\nText\n\nThe note.\n\nComment (Anna): Really?\n\nMore\n\nBelow");
        assert_eq!(document.warnings, ["`word/endnotes.xml` could not be read"]);
    }

    #[test]
    fn what_was_deleted_or_hidden_or_stands_twice_is_left_out() {
        let body = "<w:p><w:ins><w:r><w:t>new </w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>\
                    <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>\
                    <w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>kept</w:t><w:br/><w:t>line</w:t><w:noBreakHyphen/><w:t>x</w:t></w:r></w:p>\
                    <w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Choice>\
                    <mc:Fallback><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Fallback></mc:AlternateContent><w:t>around</w:t></w:r></w:p>";
        assert_eq!(docx(body, &[]).text, "new kept\nline-x\n\naround\n\nboxed");
    }

    #[test]
    fn boxes_and_formulas_are_shown() {
        let body = "<w:p><w:r><w:fldChar><w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox></w:ffData></w:fldChar>\
                    <w:t> yes </w:t><w:sym w:font='Wingdings' w:char='F0A8'/></w:r><m:oMath><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e>\
                    <m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></w:p>";
        assert_eq!(docx(body, &[]).text, "☒ yes ☐x^2");
    }

    #[test]
    fn what_is_over_the_budget_is_refused() {
        let file =
            zip_of(&[("word/document.xml", &format!("<w:document>{}</w:document>", p("", &"word ".repeat(100))))]);
        let budget = Budget::of(300);
        let read = read(&file, &ExtractLimits::default(), &budget);
        assert!(matches!(read, Err(ExtractError::Damaged(why)) if why.contains("unpacks")) && budget.is_spent());
    }

    #[test]
    fn a_file_without_its_document_is_damaged() {
        let missing = zip_of(&[("_rels/.rels", MAIN)]);
        assert!(matches!(read(&missing, &ExtractLimits::default(), &Budget::new()), Err(ExtractError::Damaged(_))));
        let broken = zip_of(&[("_rels/.rels", MAIN), ("word/document.xml", "<w:document><w:p><w:t>half")]);
        assert!(matches!(read(&broken, &ExtractLimits::default(), &Budget::new()), Err(ExtractError::Damaged(_))));
    }
}
