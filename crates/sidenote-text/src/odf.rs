//! OpenDocument texts and presentations (ODT, ODP and their templates).
//!
//! Walked here over the seams `package` (zip) and `xml_walk` (quick-xml): everything is in `content.xml`, notes and comments at
//! the place they belong to. What was deleted while changes were tracked is kept apart by the format and passed over.
//! Headers and footers are in `styles.xml`, each given once. A broken text is damage; broken styles cost a warning.

use std::collections::{HashMap, HashSet};

use crate::builder::DocumentBuilder;
use crate::docx_body::comment;
use crate::drawing::Shape;
use crate::flow::{Block, Flow, flat};
use crate::markdown::fold_white;
use crate::members::Budget;
use crate::odf_object::{Object, read_object};
use crate::package::Package;
use crate::pptx::{Slide, write_slide};
use crate::xml_walk::{Step, Tag, Xml};
use crate::{Document, ExtractError, ExtractLimits, Format, office_meta};

/// Elements that hold text beside the paragraphs around them.
const SHAPES: &[&str] = &[
    "frame",
    "custom-shape",
    "rect",
    "ellipse",
    "circle",
    "polygon",
    "polyline",
    "path",
    "line",
    "connector",
    "caption",
    "regular-polygon",
    "measure",
];

/// Opens a package that is not encrypted, with its own description read.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    budget: &'a Budget,
    document: &mut Document,
) -> Result<(Package<'a>, String), ExtractError> {
    let mut package = Package::open(bytes, budget)?;
    if let Ok(Some(manifest)) = package.text("META-INF/manifest.xml")
        && manifest.contains("encryption-data")
    {
        return Err(ExtractError::Encrypted);
    }
    office_meta::read(&mut package, "meta.xml", document);
    let content = package.text("content.xml")?;
    let content = content.ok_or_else(|| ExtractError::Damaged("the part `content.xml` is missing".to_owned()))?;
    Ok((package, content))
}

/// Reads a text or a presentation.
pub(crate) fn read(
    bytes: &[u8],
    format: Format,
    limits: &ExtractLimits,
    budget: &Budget,
) -> Result<Document, ExtractError> {
    let mut builder = DocumentBuilder::new(format, limits);
    let (mut package, content) = open(bytes, budget, builder.document())?;
    if format == Format::Odp {
        let walker = Walker::new(&mut package);
        let (slides, is_cut) = walker.slides(&mut Xml::new("content.xml", &content), &mut builder, limits.max_pages)?;
        if is_cut {
            builder.warn(format!("only the first {} slides were read (`ingest.max_pages`)", limits.max_pages));
        }
        let mut footers = HashSet::new();
        for (number, slide) in (1..).zip(slides) {
            builder.begin_place(format!("slide {number}"));
            write_slide(slide, number, &mut builder, &mut footers);
        }
        return office_meta::finish(builder);
    }
    let styles = package.text("styles.xml").unwrap_or_default().unwrap_or_default();
    let mut flow = Flow::new(&mut builder);
    let frames = Walker::new(&mut package).frames(&mut Xml::new("styles.xml", &styles), &mut flow);
    let is_broken = frames.is_err();
    let (headers, footers) = frames.unwrap_or_default();
    flow.end();
    flow.blocks(headers);
    Walker::new(&mut package).walk(&mut Xml::new("content.xml", &content), &mut flow)?;
    flow.end();
    flow.blocks(footers);
    if is_broken {
        builder.warn("`styles.xml` could not be read");
    }
    builder.finish()
}

struct Walker<'w, 'a> {
    package: &'w mut Package<'a>,
    /// What the styles of paragraphs are based on.
    parents: HashMap<String, String>,
    /// Paragraphs that are open, the outermost first: a text box stands inside a paragraph.
    paragraphs: Vec<Paragraph>,
    /// What the boxes that are open hold, the outermost first.
    boxes: Vec<Boxed>,
    /// For every list that is open, whether something of its last item was read.
    lists: Vec<bool>,
    /// Shapes of the slide that is open.
    slide: Option<Vec<Shape>>,
    notes: Vec<Block>,
    in_header_rows: bool,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    heading: Option<u8>,
    behind: Vec<Block>,
}

enum Boxed {
    Shape(Option<String>),
    Note,
    /// With the name of who made it.
    Comment(String),
}

impl<'w, 'a> Walker<'w, 'a> {
    fn new(package: &'w mut Package<'a>) -> Self {
        Self {
            package,
            parents: HashMap::new(),
            paragraphs: Vec::new(),
            boxes: Vec::new(),
            lists: Vec::new(),
            slide: None,
            notes: Vec::new(),
            in_header_rows: false,
        }
    }

    fn walk(mut self, xml: &mut Xml<'_>, flow: &mut Flow<'_>) -> Result<(), ExtractError> {
        while let Some(step) = xml.next()? {
            if flow.is_full() {
                break;
            }
            self.step(step, xml, flow)?;
        }
        Ok(())
    }

    /// The slides of a presentation, and whether there are more than `max`.
    fn slides(
        mut self,
        xml: &mut Xml<'_>,
        builder: &mut DocumentBuilder,
        max: usize,
    ) -> Result<(Vec<Slide>, bool), ExtractError> {
        let mut flow = Flow::new(builder);
        let mut slides = Vec::new();
        while let Some(step) = xml.next()? {
            match &step {
                Step::Open(tag) if tag.name() == "page" && slides.len() == max => return Ok((slides, true)),
                Step::Open(tag) if tag.name() == "page" => self.slide = Some(Vec::new()),
                Step::Close(end) if end.name() == "page" => {
                    let behind = std::mem::take(&mut self.notes);
                    slides.extend(self.slide.take().map(|shapes| Slide { shapes, behind }));
                }
                // Masters hold nothing but hints.
                Step::Open(_) | Step::Close(_) | Step::Text(_) => {}
            }
            if flow.is_full() {
                break;
            }
            self.step(step, xml, &mut flow)?;
        }
        Ok((slides, false))
    }

    /// Headers and footers of the pages.
    fn frames(mut self, xml: &mut Xml<'_>, flow: &mut Flow<'_>) -> Result<(Vec<Block>, Vec<Block>), ExtractError> {
        let (mut frames, mut seen) = ((Vec::new(), Vec::new()), HashSet::new());
        let mut depth = None;
        while let Some(step) = xml.next()? {
            let (name, opens) = match &step {
                Step::Open(tag) if tag.prefix() == "style" => (tag.name().to_owned(), true),
                Step::Close(end) => (end.name().to_owned(), false),
                Step::Open(_) | Step::Text(_) => (String::new(), true),
            };
            let is_frame = matches!(
                name.as_str(),
                "header" | "header-left" | "header-first" | "footer" | "footer-left" | "footer-first"
            );
            if is_frame && opens && depth.is_none() {
                depth = Some(xml.depth());
                flow.begin_box();
            } else if is_frame && !opens && depth == Some(xml.depth() + 1) {
                depth = None;
                let blocks = flow.end_box().into_iter().filter(|block| {
                    let words = fold_white(&flat(block.clone()));
                    words.chars().any(char::is_alphabetic) && seen.insert(words)
                });
                if name.starts_with("header") { &mut frames.0 } else { &mut frames.1 }.extend(blocks);
            } else if depth.is_some() {
                self.step(step, xml, flow)?;
            }
        }
        Ok(frames)
    }

    fn step(&mut self, step: Step<'_>, xml: &mut Xml<'_>, flow: &mut Flow<'_>) -> Result<(), ExtractError> {
        match step {
            Step::Open(tag) => self.open(&tag, xml, flow)?,
            Step::Text(text) => self.push(&text),
            Step::Close(end) => self.close(end.name(), flow),
        }
        Ok(())
    }

    fn open(&mut self, tag: &Tag<'_>, xml: &mut Xml<'_>, flow: &mut Flow<'_>) -> Result<(), ExtractError> {
        match tag.name() {
            "style" => {
                if let (Some(name), Some(parent)) = (tag.attr("name"), tag.attr("parent-style-name")) {
                    self.parents.insert(name, parent);
                }
            }
            "p" | "h" => {
                let level = tag.number("outline-level").unwrap_or(1);
                let heading = if tag.name() == "h" { Some(level) } else { self.title_level(tag) };
                self.paragraphs.push(Paragraph { heading, ..Paragraph::default() });
            }
            "s" => self.push(" "),
            "tab" => self.push("\t"),
            "line-break" => self.push("\n"),
            "list" => self.lists.push(false),
            "list-item" | "list-header" => self.mark_item(false),
            "table" => flow.begin_table(),
            "table-header-rows" => self.in_header_rows = true,
            "table-row" => {
                flow.begin_row();
                if self.in_header_rows {
                    flow.mark_header();
                }
            }
            "table-cell" => {
                flow.begin_cell();
                flow.set_columns(tag.number("number-columns-repeated").unwrap_or(1));
            }
            "covered-table-cell" => {
                flow.begin_cell();
                flow.end_cell();
                xml.skip()?;
            }
            "note" => self.begin_box(Boxed::Note, flow),
            "annotation" => self.begin_box(Boxed::Comment(String::new()), flow),
            "creator" => {
                let name = xml.text()?;
                if let Some(Boxed::Comment(author)) = self.boxes.last_mut() {
                    *author = name;
                }
            }
            "object" => self.read_object(tag, flow),
            // The sign of a note, days and initials of comments, alternatives for pictures, how a word is spoken, what was
            // deleted, and what indexes and forms are made of.
            "note-citation"
            | "date-string"
            | "creator-initials"
            | "ruby-text"
            | "tracked-changes"
            | "forms"
            | "script"
            | "table-of-content-source"
            | "sequence-decls"
            | "variable-decls"
            | "page-thumbnail" => xml.skip()?,
            "date" if tag.prefix() == "dc" => xml.skip()?,
            "title" | "desc" if tag.prefix() == "svg" => xml.skip()?,
            name if SHAPES.contains(&name) => {
                self.begin_box(Boxed::Shape(tag.attr("presentation:class")), flow);
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, flow: &mut Flow<'_>) {
        match name {
            "p" | "h" => self.end_paragraph(flow),
            "list" => drop(self.lists.pop()),
            "table-header-rows" => self.in_header_rows = false,
            "table-cell" => flow.end_cell(),
            "table" => flow.end_table(),
            "note" | "annotation" => self.end_box(flow),
            name if SHAPES.contains(&name) => self.end_box(flow),
            _ => {}
        }
    }

    /// A paragraph in the style of titles is a heading too.
    fn title_level(&self, tag: &Tag<'_>) -> Option<u8> {
        let style = tag.attr("style-name")?;
        let parent = self.parents.get(&style);
        (style == "Title" || parent.is_some_and(|parent| parent == "Title")).then_some(1)
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn mark_item(&mut self, has_begun: bool) {
        if let Some(item) = self.lists.last_mut() {
            *item = has_begun;
        }
    }

    fn begin_box(&mut self, boxed: Boxed, flow: &mut Flow<'_>) {
        self.boxes.push(boxed);
        flow.begin_box();
    }

    fn end_box(&mut self, flow: &mut Flow<'_>) {
        let Some(boxed) = self.boxes.pop() else { return };
        let blocks = flow.end_box();
        match boxed {
            Boxed::Comment(author) => {
                let words: Vec<String> = blocks.into_iter().map(flat).collect();
                self.behind(vec![comment(&author, &words.join(" "))], flow);
            }
            Boxed::Note => self.behind(blocks, flow),
            Boxed::Shape(class) => match (class.as_deref(), &mut self.slide) {
                (Some("notes"), Some(_)) => self.notes.extend(blocks),
                (Some("page-number" | "date-time" | "header" | "page" | "handout"), Some(_)) => {}
                (class, Some(shapes)) if self.boxes.is_empty() && self.paragraphs.is_empty() => {
                    let role = match class {
                        Some("title") => Some("title"),
                        Some("footer") => Some("ftr"),
                        Some(_) | None => None,
                    };
                    if !blocks.is_empty() {
                        shapes.push(Shape { role: role.map(str::to_owned), blocks });
                    }
                }
                _ => self.behind(blocks, flow),
            },
        }
    }

    /// What stands behind the paragraph that is open, or here where none is.
    fn behind(&mut self, blocks: Vec<Block>, flow: &mut Flow<'_>) {
        match self.paragraphs.last_mut() {
            Some(paragraph) => paragraph.behind.extend(blocks),
            None => flow.blocks(blocks),
        }
    }

    fn end_paragraph(&mut self, flow: &mut Flow<'_>) {
        let Some(Paragraph { text, heading, behind }) = self.paragraphs.pop() else { return };
        if !text.trim().is_empty() {
            let depth = self.lists.len().checked_sub(1);
            let is_continued = self.lists.last().copied().unwrap_or(false);
            flow.block(match (heading, depth) {
                (Some(level), _) => Block::Heading(level, text),
                (None, Some(depth)) if !is_continued => Block::Item(depth, text),
                (None, _) => Block::Paragraph(text),
            });
            self.mark_item(true);
        }
        flow.blocks(behind);
    }

    fn read_object(&mut self, tag: &Tag<'_>, flow: &mut Flow<'_>) {
        let Some(folder) = tag.attr("href") else { return };
        match read_object(self.package, &folder) {
            Object::Formula(text) if self.paragraphs.is_empty() => flow.block(Block::Paragraph(text)),
            Object::Formula(text) => self.push(&text),
            Object::Chart(blocks) => flow.blocks(blocks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests::zip_of;

    fn odf(format: Format, body: &str, parts: &[(&str, &str)]) -> Result<Document, ExtractError> {
        let content = format!("<office:document-content><office:body>{body}</office:body></office:document-content>");
        let mut all = vec![("content.xml", content.as_str())];
        all.extend(parts);
        read(&zip_of(&all), format, &ExtractLimits::default(), &Budget::new())
    }

    #[test]
    fn a_text_takes_its_normal_form() {
        let cell = |text: &str| format!("<table:table-cell><text:p>{text}</text:p></table:table-cell>");
        let body = format!(
            "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>\
             <text:h text:outline-level='2'>Rules</text:h><text:p>One<text:s text:c='2'/>two<text:line-break/>three\
             <text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>The note.</text:p></text:note-body></text:note>\
             <office:annotation><dc:creator>Anna</dc:creator><dc:date>2024</dc:date><text:p>Why?</text:p></office:annotation></text:p>\
             <text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p></text:list-item></text:list></text:list-item></text:list>\
             <table:table><table:table-header-rows><table:table-row>{}{}</table:table-row></table:table-header-rows>\
             <table:table-row>{}{}</table:table-row></table:table>\
             <text:p><draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box><svg:title>x</svg:title></draw:frame>around</text:p>",
            cell("Part"),
            cell("2024"),
            cell("Pump"),
            cell("4"),
        );
        let styles = "<s><style:header><text:p>House</text:p></style:header><style:header-left><text:p>House</text:p></style:header-left>\
                      <style:footer><text:p>Below</text:p></style:footer></s>";
        let meta = "<m><dc:title>Travel rules</dc:title><meta:initial-creator>Bo</meta:initial-creator></m>";
        let document = odf(Format::Odt, &body, &[("styles.xml", styles), ("meta.xml", meta)]).expect("reads");
        assert_eq!(
            document.text,
            "House\n\nRules\n\nOne two\nthree\n\nThe note.\n\nComment (Anna): Why?\n\n- a\n  - b\n\nPart | 2024\nPump | 4\n\naround\n\nboxed\n\nBelow"
        );
        assert_eq!(document.tables[0].header.slice(&document.text), Some("Part | 2024"));
        assert_eq!((document.title.as_deref(), document.author.as_deref()), (Some("Travel rules"), Some("Bo")));
    }

    #[test]
    fn slides_hold_their_shapes_and_notes() {
        let shape = |class: &str, text: &str| {
            format!(
                "<draw:frame presentation:class='{class}'><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"
            )
        };
        let body = format!(
            "<draw:page>{}{}<presentation:notes>{}{}</presentation:notes></draw:page>\
             <draw:page><draw:g><draw:custom-shape><text:p>No title</text:p></draw:custom-shape></draw:g><draw:custom-shape><text:p>Text</text:p></draw:custom-shape></draw:page>",
            shape("outline", "Text below"),
            shape("title", "Prices"),
            shape("page-number", "1"),
            shape("notes", "Say it slowly."),
        );
        let document = odf(Format::Odp, &body, &[]).expect("reads");
        assert_eq!(document.text, "Prices\n\nText below\n\nSay it slowly.\n\nNo title\n\nText");
        assert_eq!(document.places[1].name, "slide 2");
    }

    #[test]
    fn formulas_and_charts_are_read_from_their_own_parts() {
        let body = "<text:p>Area <draw:frame><draw:object xlink:href='./Object 1'/></draw:frame>.</text:p>\
                    <text:p><draw:frame><draw:object xlink:href='./Object 2'/></draw:frame></text:p>";
        let formula = "<math><semantics><mi>A</mi><annotation encoding='StarMath 5.0'>A = %pi r^2</annotation></semantics></math>";
        let chart = "<c><chart:title><text:p>Ducks</text:p></chart:title><table:table><table:table-row><table:table-cell/>\
                     <table:table-cell><text:p>Wild</text:p></table:table-cell></table:table-row><table:table-row><table:table-cell><text:p>North</text:p></table:table-cell>\
                     <table:table-cell><text:p>12</text:p></table:table-cell></table:table-row></table:table></c>";
        let parts = [("Object 1/content.xml", formula), ("Object 2/content.xml", chart)];
        let document = odf(Format::Odt, body, &parts).expect("reads");
        assert_eq!(document.text, "Area A = %pi r^2.\n\nDucks\n\n | Wild\nNorth | 12");
    }

    #[test]
    fn encrypted_and_broken_files_say_so() {
        let manifest = "<m><manifest:encryption-data/></m>";
        let encrypted = odf(Format::Odt, "", &[("META-INF/manifest.xml", manifest)]);
        assert_eq!(encrypted, Err(ExtractError::Encrypted));
        assert!(matches!(odf(Format::Odt, "<text:p>", &[]), Err(ExtractError::Damaged(_))));
        assert!(matches!(odf(Format::Odp, "</office:body>", &[]), Err(ExtractError::Damaged(_))));
    }
}
