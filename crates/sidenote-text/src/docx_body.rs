//! The text of a Word part: the document, its notes, a header. One walk serves them all.

use std::collections::HashMap;

use crate::ExtractError;
use crate::docx_styles::{ListRef, Numbering, Styles};
use crate::flow::{Block, Flow, flat};
use crate::office_math::Formula;
use crate::xml_walk::{Step, Tag, Xml};

/// Footnotes, endnotes and comments, by kind and id.
pub(crate) type Notes = HashMap<(String, String), Vec<Block>>;

/// What other parts say about the text.
#[derive(Default)]
pub(crate) struct Context {
    pub(crate) styles: Styles,
    pub(crate) numbering: Numbering,
    pub(crate) notes: Notes,
    /// What charts and diagrams show, by the id of their relation.
    pub(crate) embedded: HashMap<String, Vec<Block>>,
}

/// Walks a part and puts its blocks into the flow; notes are given back by their id instead.
pub(crate) fn walk(
    part: &str,
    source: &str,
    context: &mut Context,
    flow: &mut Flow<'_>,
) -> Result<HashMap<String, Vec<Block>>, ExtractError> {
    let mut xml = Xml::new(part, source);
    let mut walker = Walker { context, flow, paragraphs: Vec::new(), note: None, notes: HashMap::new() };
    while let Some(step) = xml.next()? {
        if walker.flow.is_full() {
            break;
        }
        match step {
            Step::Open(tag) => walker.open(&tag, &mut xml)?,
            Step::Close(end) => walker.close(end.name()),
            Step::Text(_) => {}
        }
    }
    Ok(walker.notes)
}

struct Walker<'w, 'b> {
    context: &'w mut Context,
    flow: &'w mut Flow<'b>,
    /// The paragraphs that are open, the outermost first: a text box stands inside a paragraph.
    paragraphs: Vec<Paragraph>,
    /// Id and author of the note that is open.
    note: Option<(String, String)>,
    notes: HashMap<String, Vec<Block>>,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    outline: Option<u8>,
    list: ListRef,
    is_run_hidden: bool,
    formula: Option<Formula>,
    /// Text boxes, charts and notes: they follow.
    behind: Vec<Block>,
}

impl Walker<'_, '_> {
    fn open(&mut self, tag: &Tag<'_>, xml: &mut Xml<'_>) -> Result<(), ExtractError> {
        if let Some(Paragraph { formula: Some(formula), text, .. }) = self.paragraphs.last_mut() {
            formula.open(tag, text);
        }
        match tag.name() {
            "p" => self.paragraphs.push(Paragraph::default()),
            "pPr" => self.read_paragraph_properties(xml)?,
            "r" => self.hide_run(false),
            "rPr" => {
                let is_hidden = has_vanish(xml)?;
                self.hide_run(is_hidden);
            }
            "t" => {
                let text = xml.text()?;
                self.push(&text);
            }
            "tab" | "ptab" => self.push("\t"),
            "br" | "cr" => self.push("\n"),
            "noBreakHyphen" => self.push("-"),
            "sym" => self.push(symbol(tag)),
            "checkBox" => {
                let sign = check_box(xml)?;
                self.push(sign);
            }
            "oMath" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.formula = Some(Formula::default());
                }
            }
            // Taken out, moved away, drawn a second time for older programs, or about the text and not in it.
            "del" | "moveFrom" | "Fallback" | "sdtPr" | "sectPr" | "tblGrid" | "tblPr" => xml.skip()?,
            "tbl" => self.flow.begin_table(),
            "tr" => self.flow.begin_row(),
            "trPr" => self.read_row_properties(xml)?,
            "tc" => self.flow.begin_cell(),
            "gridSpan" => self.flow.set_columns(tag.number("val").unwrap_or(1)),
            "txbxContent" => self.flow.begin_box(),
            "footnoteReference" => self.refer("footnotes", tag),
            "endnoteReference" => self.refer("endnotes", tag),
            "commentReference" => self.refer("comments", tag),
            "chart" | "relIds" => {
                let id = tag.attr("r:id").or_else(|| tag.attr("r:dm"));
                let blocks = id.and_then(|id| self.context.embedded.remove(&id)).unwrap_or_default();
                self.behind(blocks);
            }
            "footnote" | "endnote" | "comment" => {
                if tag.attr("type").is_some_and(|kind| kind != "normal") {
                    // The lines between text and notes are notes too.
                    xml.skip()?;
                } else {
                    self.note = Some((tag.attr("id").unwrap_or_default(), tag.attr("author").unwrap_or_default()));
                    self.flow.begin_box();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        if let Some(Paragraph { formula: Some(formula), text, .. }) = self.paragraphs.last_mut() {
            formula.close(name, text);
        }
        match name {
            "p" => self.end_paragraph(),
            "tc" => self.flow.end_cell(),
            "tbl" => self.flow.end_table(),
            "txbxContent" => {
                let blocks = self.flow.end_box();
                self.behind(blocks);
            }
            "oMath" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.formula = None;
                }
            }
            "footnote" | "endnote" | "comment" => {
                let Some((id, author)) = self.note.take() else { return };
                let mut blocks = self.flow.end_box();
                if name == "comment" {
                    let words: Vec<String> = blocks.into_iter().map(flat).collect();
                    blocks = vec![comment(&author, &words.join(" "))];
                }
                self.notes.insert(id, blocks);
            }
            _ => {}
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut().filter(|paragraph| !paragraph.is_run_hidden) {
            paragraph.text.push_str(text);
        }
    }

    fn hide_run(&mut self, is_hidden: bool) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.is_run_hidden = is_hidden;
        }
    }

    /// What stands behind the paragraph that is open, or here where none is.
    fn behind(&mut self, blocks: Vec<Block>) {
        match self.paragraphs.last_mut() {
            Some(paragraph) => paragraph.behind.extend(blocks),
            None => self.flow.blocks(blocks),
        }
    }

    fn refer(&mut self, kind: &str, tag: &Tag<'_>) {
        let id = tag.attr("id").unwrap_or_default();
        if let Some(blocks) = self.context.notes.remove(&(kind.to_owned(), id)) {
            self.behind(blocks);
        }
    }

    fn read_paragraph_properties(&mut self, xml: &mut Xml<'_>) -> Result<(), ExtractError> {
        let depth = xml.depth();
        let mut read = Paragraph::default();
        while let Some(step) = xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            match tag.name() {
                "pStyle" => read.style = tag.attr("val"),
                "outlineLvl" => read.outline = tag.number("val"),
                "ilvl" => read.list.level = tag.number("val"),
                "numId" => read.list.id = tag.attr("val"),
                // What it was before a change, and how the sign of its end looks.
                "pPrChange" | "rPr" | "sectPr" | "numberingChange" => xml.skip()?,
                _ => {}
            }
        }
        if let Some(paragraph) = self.paragraphs.last_mut() {
            (paragraph.style, paragraph.outline, paragraph.list) = (read.style, read.outline, read.list);
        }
        Ok(())
    }

    fn read_row_properties(&mut self, xml: &mut Xml<'_>) -> Result<(), ExtractError> {
        let depth = xml.depth();
        while let Some(step) = xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            match tag.name() {
                "tblHeader" if tag.is_on() => self.flow.mark_header(),
                "del" => self.flow.drop_row(),
                "trPrChange" => xml.skip()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraphs.pop() else { return };
        let Paragraph { text, style, outline, list, behind, .. } = paragraph;
        if !text.trim().is_empty() {
            let style = style.unwrap_or_default();
            let level = match outline {
                Some(level) => (level < 9).then_some(level + 1),
                None => self.context.styles.heading_level(&style),
            };
            let number = self.count(&style, list);
            let numbered = |number: &str| if number.is_empty() { text.clone() } else { format!("{number} {text}") };
            self.flow.block(match (level, number) {
                (Some(level), number) => Block::Heading(level, numbered(&number.unwrap_or_default().1)),
                (None, Some((depth, number))) => Block::Item(depth, numbered(&number)),
                (None, None) => Block::Paragraph(text),
            });
        }
        self.flow.blocks(behind);
    }

    /// Depth and number of a paragraph in its list; `None` where it is in none.
    fn count(&mut self, style: &str, list: ListRef) -> Option<(usize, String)> {
        let of_style = self.context.styles.list(style);
        let id = list.id.or(of_style.id).filter(|id| id != "0")?;
        let level = list.level.or(of_style.level);
        let level = level.or_else(|| self.context.numbering.level_of_style(&id, style)).unwrap_or(0);
        let number = self.context.numbering.count(&id, level)?;
        Some((level, number))
    }
}

/// A remark in the margin, with who made it.
pub(crate) fn comment(author: &str, words: &str) -> Block {
    let author = author.trim();
    Block::Paragraph(match (words.trim().is_empty(), author.is_empty()) {
        (true, _) => String::new(),
        (false, true) => format!("Comment: {words}"),
        (false, false) => format!("Comment ({author}): {words}"),
    })
}

fn has_vanish(xml: &mut Xml<'_>) -> Result<bool, ExtractError> {
    let depth = xml.depth();
    let mut is_hidden = false;
    while let Some(step) = xml.next_inside(depth)? {
        match step {
            Step::Open(tag) if tag.name() == "vanish" => is_hidden = tag.is_on(),
            Step::Open(tag) if tag.name() == "rPrChange" => xml.skip()?,
            Step::Open(_) | Step::Text(_) | Step::Close(_) => {}
        }
    }
    Ok(is_hidden)
}

fn check_box(xml: &mut Xml<'_>) -> Result<&'static str, ExtractError> {
    let depth = xml.depth();
    let (mut default, mut checked) = (false, None);
    while let Some(step) = xml.next_inside(depth)? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            "default" => default = tag.is_on(),
            "checked" => checked = Some(tag.is_on()),
            _ => {}
        }
    }
    Ok(if checked.unwrap_or(default) { "☒" } else { "☐" })
}

/// A sign of a symbol font; those that tell something are given as what they show.
fn symbol(tag: &Tag<'_>) -> &'static str {
    let code = tag.attr("char").and_then(|code| u32::from_str_radix(&code, 16).ok()).unwrap_or(0) & 0xff;
    let is_wingdings = tag.attr("font").is_some_and(|font| font.to_lowercase().starts_with("wingdings"));
    match (is_wingdings, code) {
        (true, 0x6f | 0xa8) => "☐",
        (true, 0xfd | 0x78) => "☒",
        (true, 0xfe) => "☑",
        (true, 0xfc) => "✓",
        (true, 0xfb) => "✗",
        (true, 0xe0) => "→",
        _ => " ",
    }
}
