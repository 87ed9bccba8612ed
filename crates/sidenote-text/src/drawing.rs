//! The words of shapes, as slides, sheets and diagrams hold them (DrawingML).

use crate::ExtractError;
use crate::flow::{Block, Flow, flat};
use crate::office_math::Formula;
use crate::xml_walk::{Step, Tag, Xml};

/// A shape with its words.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// What it stands for on its slide: `title`, `body`, `ftr`; `None` for a shape of its own.
    pub(crate) role: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

impl Shape {
    pub(crate) fn is_title(&self) -> bool {
        matches!(self.role.as_deref(), Some("title" | "ctrTitle"))
    }

    /// Whether it is the same on every slide.
    pub(crate) fn is_footer(&self) -> bool {
        matches!(self.role.as_deref(), Some("ftr" | "hdr"))
    }

    /// Whether it holds nothing but the number or the date of a slide, or its picture.
    fn is_filler(&self) -> bool {
        matches!(self.role.as_deref(), Some("sldNum" | "dt" | "sldImg"))
    }

    /// Whether its paragraphs are bullets where they do not say otherwise.
    fn is_body(&self) -> bool {
        matches!(self.role.as_deref(), Some("body" | "obj"))
    }

    pub(crate) fn words(self) -> String {
        let words: Vec<String> = self.blocks.into_iter().map(flat).collect();
        words.join(" ")
    }
}

/// Reads the shapes of a part in order. `embedded` reads what a shape shows from another part, by the id of its relation.
pub(crate) fn read_shapes(
    xml: &mut Xml<'_>,
    flow: &mut Flow<'_>,
    embedded: &mut dyn FnMut(&str) -> Vec<Block>,
) -> Result<Vec<Shape>, ExtractError> {
    let mut reader = Reader {
        flow,
        shapes: Vec::new(),
        shape: None,
        paragraph: None,
        formula: None,
        has_implied: false,
        has_header_row: false,
    };
    while let Some(step) = xml.next()? {
        if reader.flow.is_full() {
            break;
        }
        match step {
            Step::Open(tag) => reader.open(&tag, xml, embedded)?,
            Step::Close(end) => reader.close(end.name()),
            Step::Text(_) => {}
        }
    }
    reader.end_shape();
    Ok(reader.shapes)
}

struct Reader<'f, 'b> {
    flow: &'f mut Flow<'b>,
    shapes: Vec<Shape>,
    shape: Option<Shape>,
    paragraph: Option<Paragraph>,
    formula: Option<Formula>,
    /// Whether a paragraph of the shape was taken for a bullet although it does not say so.
    has_implied: bool,
    /// Whether the table says that its first row is a header.
    has_header_row: bool,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    depth: usize,
    has_bullet: Option<bool>,
}

impl Reader<'_, '_> {
    fn open(
        &mut self,
        tag: &Tag<'_>,
        xml: &mut Xml<'_>,
        embedded: &mut dyn FnMut(&str) -> Vec<Block>,
    ) -> Result<(), ExtractError> {
        if let (Some(formula), Some(paragraph)) = (&mut self.formula, &mut self.paragraph) {
            formula.open(tag, &mut paragraph.text);
        }
        match tag.name() {
            "sp" | "graphicFrame" | "pic" | "cxnSp" | "pt" => self.begin_shape(),
            "ph" => {
                let role = tag.attr("type").unwrap_or_else(|| "obj".to_owned());
                self.shape.get_or_insert_default().role = Some(role);
            }
            "Fallback" | "rPr" | "endParaRPr" | "extLst" => xml.skip()?,
            "fld" if tag.attr("type").is_some_and(|kind| kind == "slidenum") => xml.skip()?,
            "p" => {
                // A formula ends with its paragraph, also where the file does not say so: it counts bytes of that one's text.
                self.formula = None;
                self.paragraph = Some(Paragraph::default());
            }
            "pPr" if self.formula.is_none() => self.read_properties(tag, xml)?,
            "t" => {
                let text = xml.text()?;
                if let Some(paragraph) = &mut self.paragraph {
                    paragraph.text.push_str(&text);
                }
            }
            "br" => self.push("\n"),
            "tab" => self.push("\t"),
            "oMath" => self.formula = Some(Formula::default()),
            "tbl" => {
                self.flow.begin_table();
                self.has_header_row = false;
            }
            "tblPr" => self.has_header_row = matches!(tag.attr("firstRow").as_deref(), Some("1" | "true")),
            "tr" => {
                self.flow.begin_row();
                if self.has_header_row {
                    self.flow.mark_header();
                }
            }
            "tc" => self.flow.begin_cell(),
            "chart" | "relIds" => {
                if let Some(id) = tag.attr("r:id").or_else(|| tag.attr("r:dm")) {
                    let blocks = embedded(&id);
                    self.flow.blocks(blocks);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = &mut self.paragraph {
            paragraph.text.push_str(text);
        }
    }

    fn read_properties(&mut self, tag: &Tag<'_>, xml: &mut Xml<'_>) -> Result<(), ExtractError> {
        let level = tag.number("lvl").unwrap_or(0);
        let depth = xml.depth();
        let mut has_bullet = None;
        while let Some(step) = xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            match tag.name() {
                "buNone" => has_bullet = Some(false),
                "buChar" | "buAutoNum" | "buBlip" => has_bullet = Some(true),
                _ => {}
            }
        }
        if let Some(paragraph) = &mut self.paragraph {
            (paragraph.depth, paragraph.has_bullet) = (level, has_bullet);
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        if let (Some(formula), Some(paragraph)) = (&mut self.formula, &mut self.paragraph) {
            formula.close(name, &mut paragraph.text);
        }
        match name {
            "sp" | "graphicFrame" | "pic" | "cxnSp" | "pt" => self.end_shape(),
            "p" => {
                let Some(paragraph) = self.paragraph.take() else { return };
                let is_body = self.shape.as_ref().is_some_and(Shape::is_body);
                self.has_implied |= paragraph.has_bullet.is_none() && is_body;
                self.flow.block(match paragraph.has_bullet.unwrap_or(is_body) {
                    true => Block::Item(paragraph.depth, paragraph.text),
                    false => Block::Paragraph(paragraph.text),
                });
            }
            "oMath" => self.formula = None,
            "tc" => self.flow.end_cell(),
            "tbl" => self.flow.end_table(),
            _ => {}
        }
    }

    fn begin_shape(&mut self) {
        self.end_shape();
        self.shape = Some(Shape::default());
        self.has_implied = false;
        self.flow.begin_box();
    }

    fn end_shape(&mut self) {
        self.paragraph = None;
        self.formula = None;
        let Some(mut shape) = self.shape.take() else { return };
        shape.blocks = self.flow.end_box();
        if self.has_implied
            && let [Block::Item(_, text)] = shape.blocks.as_mut_slice()
        {
            // A single paragraph is no list.
            shape.blocks = vec![Block::Paragraph(std::mem::take(text))];
        }
        if !shape.blocks.is_empty() && !shape.is_filler() {
            self.shapes.push(shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::DocumentBuilder;
    use crate::{ExtractLimits, Format};

    fn shapes(source: &str) -> Vec<Shape> {
        let mut builder = DocumentBuilder::new(Format::Pptx, &ExtractLimits::default());
        let mut flow = Flow::new(&mut builder);
        let embedded = &mut |id: &str| vec![Block::Paragraph(format!("part {id}"))];
        read_shapes(&mut Xml::new("s", source), &mut flow, embedded).expect("reads")
    }

    #[test]
    fn bullets_are_known_by_what_the_shape_is() {
        let read = shapes(
            "<s><p:sp><p:ph type='title'/><a:p><a:r><a:t>Head</a:t></a:r></a:p></p:sp>\
             <p:sp><p:ph idx='1'/><a:p><a:t>one</a:t></a:p><a:p><a:pPr lvl='1'/><a:t>two</a:t><a:br/><a:t>more</a:t></a:p>\
             <a:p><a:pPr><a:buNone/></a:pPr><a:t>three</a:t></a:p></p:sp>\
             <p:sp><p:ph type='body'/><a:p><a:t>alone</a:t></a:p></p:sp>\
             <p:sp><p:ph type='sldNum'/><a:p><a:fld type='slidenum'><a:t>7</a:t></a:fld></a:p></p:sp></s>",
        );
        assert!(read[0].is_title());
        let item = |depth: usize, text: &str| Block::Item(depth, text.to_owned());
        let paragraph = |text: &str| Block::Paragraph(text.to_owned());
        assert_eq!(read[1].blocks, [item(0, "one"), item(1, "two\nmore"), paragraph("three")]);
        assert_eq!(read[2].blocks, [paragraph("alone")]);
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn a_paragraph_in_a_formula_ends_it() {
        let read = shapes(
            "<s><p:sp><a:p><a:t>abc</a:t><m:oMath><m:sup><a:p><a:t>ää</a:t></a:p></m:sup></m:oMath></a:p></p:sp></s>",
        );
        assert_eq!(read[0].blocks, [Block::Paragraph("ää".to_owned())]);
    }

    #[test]
    fn tables_and_other_parts_are_read_where_they_stand() {
        let cell = |text: &str| format!("<a:tc><a:txBody><a:p><a:t>{text}</a:t></a:p></a:txBody></a:tc>");
        let source = format!(
            "<s><p:graphicFrame><a:tbl><a:tr>{}{}</a:tr><a:tr>{}{}</a:tr></a:tbl></p:graphicFrame>\
             <p:grpSp><p:grpSp><p:graphicFrame><c:chart r:id='rId3'/></p:graphicFrame></p:grpSp></p:grpSp></s>",
            cell("Part"),
            cell("Price"),
            cell("Pump"),
            cell("4"),
        );
        let read = shapes(&source);
        let Block::Table(grid) = &read[0].blocks[0] else { panic!("{read:?}") };
        assert_eq!((grid.rows.len(), grid.has_header), (2, true));
        assert_eq!(read[1].blocks, [Block::Paragraph("part rId3".to_owned())]);
    }
}
