//! PowerPoint files (PPTX, PPTM, PPSX, POTX): slide by slide in the order of the show.
//!
//! Walked here over the seams `package` (zip) and `xml_walk` (quick-xml). A slide is a place, `slide 3`; its title is a heading,
//! and a slide without one is called by its first short line, so that it is not found under the title of the slide before.
//! Speaker notes and comments stand at the end of their slide, a footer where it is first shown. A broken slide costs
//! itself and a warning.

use std::collections::{HashMap, HashSet};

use crate::builder::DocumentBuilder;
use crate::chart::read_embedded;
use crate::docx_body::comment;
use crate::drawing::{Shape, read_shapes};
use crate::flow::{Block, Flow};
use crate::markdown::fold_white;
use crate::members::Budget;
use crate::package::{Package, Relations};
use crate::xml_walk::{Step, Xml};
use crate::{Document, ExtractError, ExtractLimits, Format, office_meta};

/// A line that is longer is no title.
const MAX_TITLE_CHARS: usize = 100;

/// Reads a PowerPoint file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits, budget: &Budget) -> Result<Document, ExtractError> {
    let mut builder = DocumentBuilder::new(Format::Pptx, limits);
    let (mut package, main) = office_meta::open(bytes, budget, "ppt/presentation.xml", builder.document())?;
    let slides = slides_of(&mut package, &main)?;
    if slides.is_empty() {
        return Err(ExtractError::Empty);
    }
    if slides.len() > limits.max_pages {
        let (read, all) = (limits.max_pages, slides.len());
        builder.warn(format!("only the first {read} of {all} slides were read (`ingest.max_pages`)"));
    }
    let mut footers = HashSet::new();
    let authors = comment_authors(&mut package, &main);
    for (number, part) in (1..=limits.max_pages).zip(&slides) {
        builder.begin_place(format!("slide {number}"));
        match read_slide(&mut package, part, number, &mut builder, &authors) {
            Ok(slide) => write_slide(slide, number, &mut builder, &mut footers),
            Err(ExtractError::Damaged(_)) if number > 1 || slides.len() > 1 => {
                builder.warn(format!("slide {number} could not be read"));
            }
            Err(error) => return Err(error),
        }
        if builder.is_full() {
            break;
        }
    }
    office_meta::finish(builder)
}

/// The parts of the slides, in order.
fn slides_of(package: &mut Package<'_>, main: &str) -> Result<Vec<String>, ExtractError> {
    let source = package.text(main)?.ok_or_else(|| ExtractError::Damaged(format!("the part `{main}` is missing")))?;
    let relations = package.relations(main)?;
    let mut xml = Xml::new(main, &source);
    let mut slides = Vec::new();
    while let Some(step) = xml.next()? {
        let Step::Open(tag) = step else { continue };
        if tag.name() == "sldId"
            && let Some(part) =
                tag.attr("r:id").and_then(|id| relations.with_id(&id).map(|relation| relation.target.clone()))
            && package.has(&part)
        {
            slides.push(part);
        }
    }
    Ok(slides)
}

/// What is on a slide.
pub(crate) struct Slide {
    pub(crate) shapes: Vec<Shape>,
    /// Speaker notes and comments.
    pub(crate) behind: Vec<Block>,
}

fn read_slide(
    package: &mut Package<'_>,
    part: &str,
    number: usize,
    builder: &mut DocumentBuilder,
    authors: &HashMap<String, String>,
) -> Result<Slide, ExtractError> {
    let relations = package.relations(part).unwrap_or_default();
    let shapes = shapes_of(package, part, &relations, builder)?;
    let mut behind = Vec::new();
    if let Some(notes) = relations.target_of("notesSlide") {
        match shapes_of(package, notes, &Relations::default(), builder) {
            Ok(shapes) => {
                let own = shapes.into_iter().filter(|shape| !shape.is_footer());
                behind.extend(own.flat_map(|shape| shape.blocks));
            }
            Err(_) => builder.warn(format!("the notes of slide {number} could not be read")),
        }
    }
    for relation in relations.of_kind("comments") {
        let source = package.text(&relation.target).map(Option::unwrap_or_default);
        match source.and_then(|source| read_comments(&relation.target, &source, authors)) {
            Ok(comments) => behind.extend(comments),
            Err(_) => builder.warn(format!("the comments on slide {number} could not be read")),
        }
    }
    Ok(Slide { shapes, behind })
}

fn shapes_of(
    package: &mut Package<'_>,
    part: &str,
    relations: &Relations,
    builder: &mut DocumentBuilder,
) -> Result<Vec<Shape>, ExtractError> {
    let source = package.text(part)?.ok_or_else(|| ExtractError::Damaged(format!("the part `{part}` is missing")))?;
    let mut flow = Flow::new(builder);
    let mut embedded =
        |id: &str| relations.with_id(id).and_then(|relation| read_embedded(package, relation)).unwrap_or_default();
    read_shapes(&mut Xml::new(part, &source), &mut flow, &mut embedded)
}

/// The words in the boxes of a diagram, as a list; one that is missing or broken costs itself alone.
pub(crate) fn read_diagram(package: &mut Package<'_>, part: &str) -> Vec<Block> {
    let Ok(Some(source)) = package.text(part) else { return Vec::new() };
    let mut aside = DocumentBuilder::new(Format::Pptx, &ExtractLimits::default());
    let mut flow = Flow::new(&mut aside);
    let shapes = read_shapes(&mut Xml::new(part, &source), &mut flow, &mut |_| Vec::new()).unwrap_or_default();
    shapes.into_iter().map(|shape| Block::Item(0, shape.words())).collect()
}

/// Names of those who comment, by id; older and newer files keep them in different parts.
fn comment_authors(package: &mut Package<'_>, main: &str) -> HashMap<String, String> {
    let relations = package.relations(main).unwrap_or_default();
    let mut authors = HashMap::new();
    for relation in relations.iter().filter(|relation| matches!(relation.kind.as_str(), "commentAuthors" | "authors")) {
        let Ok(Some(source)) = package.text(&relation.target) else { continue };
        let mut xml = Xml::new(&relation.target, &source);
        while let Ok(Some(step)) = xml.next() {
            if let Step::Open(tag) = step
                && let (Some(id), Some(name)) = (tag.attr("id"), tag.attr("name"))
            {
                authors.insert(id, name);
            }
        }
    }
    authors
}

fn read_comments(part: &str, source: &str, authors: &HashMap<String, String>) -> Result<Vec<Block>, ExtractError> {
    let mut xml = Xml::new(part, source);
    let (mut comments, mut open, mut words) = (Vec::new(), Vec::new(), String::new());
    while let Some(step) = xml.next()? {
        match step {
            Step::Open(tag) => match tag.name() {
                "cm" | "reply" => open.push(tag.attr("authorId").unwrap_or_default()),
                "t" | "text" => words.push_str(&xml.text()?),
                _ => {}
            },
            Step::Close(end) => match end.name() {
                "p" => words.push(' '),
                "txBody" => comments.extend(said(open.last(), &mut words, authors)),
                "cm" | "reply" => {
                    comments.extend(said(open.last(), &mut words, authors));
                    open.pop();
                }
                _ => {}
            },
            Step::Text(_) => {}
        }
    }
    Ok(comments)
}

fn said(id: Option<&String>, words: &mut String, authors: &HashMap<String, String>) -> Option<Block> {
    let author = id.and_then(|id| authors.get(id)).map(String::as_str).unwrap_or_default();
    let words = std::mem::take(words);
    (!words.trim().is_empty()).then(|| comment(author, words.trim()))
}

/// Writes a slide under its title. A footer is written where it is met first.
pub(crate) fn write_slide(slide: Slide, number: usize, builder: &mut DocumentBuilder, footers: &mut HashSet<String>) {
    let Slide { mut shapes, behind } = slide;
    let title = match shapes.iter().position(Shape::is_title) {
        Some(at) => Some(shapes.remove(at).words()),
        None => take_first_line(&mut shapes),
    };
    let mut blocks: Vec<Block> = Vec::new();
    for shape in shapes {
        if !shape.is_footer() {
            blocks.extend(shape.blocks);
        } else {
            let words = shape.words();
            if footers.insert(words.clone()) {
                blocks.push(Block::Paragraph(words));
            }
        }
    }
    blocks.extend(behind);
    let mut flow = Flow::new(builder);
    match title {
        Some(title) => flow.block(Block::Heading(1, title)),
        None if blocks.is_empty() => {}
        None => flow.block(Block::Heading(1, format!("Slide {number}"))),
    }
    flow.blocks(blocks);
}

/// The first line of a slide without a title, where it is short: most such slides were drawn with boxes of text.
fn take_first_line(shapes: &mut [Shape]) -> Option<String> {
    let shape = shapes.iter_mut().find(|shape| !shape.is_footer())?;
    let first = match shape.blocks.first()? {
        Block::Paragraph(text) | Block::Item(0, text) => fold_white(text),
        Block::Item(..) | Block::Heading(..) | Block::Table(_) => return None,
    };
    let is_title = first.chars().count() <= MAX_TITLE_CHARS && first.chars().any(char::is_alphabetic);
    is_title.then(|| {
        shape.blocks.remove(0);
        first
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests::zip_of;

    const RELS: &str =
        "<Relationships><Relationship Id='r' Type='x/officeDocument' Target='ppt/presentation.xml'/></Relationships>";

    fn relations(pairs: &[(&str, &str)]) -> String {
        let one =
            |(kind, target): &(&str, &str)| format!("<Relationship Id='{target}' Type='x/{kind}' Target='{target}'/>");
        format!("<Relationships>{}</Relationships>", pairs.iter().map(one).collect::<String>())
    }

    fn shape(role: &str, paragraphs: &[&str]) -> String {
        let ph = if role.is_empty() { String::new() } else { format!("<p:ph type='{role}'/>") };
        let text: String = paragraphs.iter().map(|text| format!("<a:p><a:r><a:t>{text}</a:t></a:r></a:p>")).collect();
        format!("<p:sp><p:nvPr>{ph}</p:nvPr><p:txBody>{text}</p:txBody></p:sp>")
    }

    #[test]
    fn slides_come_in_the_order_of_the_show_with_notes_and_comments() {
        let main = "<p:presentation><p:sldIdLst><p:sldId id='256' r:id='slides/b.xml'/><p:sldId id='257' r:id='slides/a.xml'/>\
                    <p:sldId id='258' r:id='slides/c.xml'/></p:sldIdLst></p:presentation>";
        let first = format!(
            "<p:sld>{}{}{}</p:sld>",
            shape("body", &["one", "two"]),
            shape("title", &["Prices"]),
            shape("ftr", &["House"])
        );
        let second = format!("<p:sld>{}{}</p:sld>", shape("", &["No title here", "Text."]), shape("ftr", &["House"]));
        let notes = format!("<p:notes>{}{}</p:notes>", shape("sldImg", &["x"]), shape("body", &["Say it slowly."]));
        let comments = "<p:cmLst><p:cm authorId='0'><p:text>Why?</p:text></p:cm></p:cmLst>";
        let bytes = zip_of(&[
            ("_rels/.rels", RELS),
            ("ppt/presentation.xml", main),
            (
                "ppt/_rels/presentation.xml.rels",
                &relations(&[
                    ("slide", "slides/a.xml"),
                    ("slide", "slides/b.xml"),
                    ("slide", "slides/c.xml"),
                    ("commentAuthors", "authors.xml"),
                ]),
            ),
            ("ppt/authors.xml", "<l><p:cmAuthor id='0' name='Anna'/></l>"),
            ("ppt/slides/b.xml", &first),
            ("ppt/slides/a.xml", &second),
            ("ppt/slides/c.xml", "<p:sld><broken"),
            ("ppt/slides/_rels/b.xml.rels", &relations(&[("notesSlide", "n.xml"), ("comments", "c1.xml")])),
            ("ppt/slides/n.xml", &notes),
            ("ppt/slides/c1.xml", comments),
        ]);
        let document = read(&bytes, &ExtractLimits::default(), &Budget::new()).expect("reads");
        assert_eq!(
            document.text,
            "Prices\n\n- one\n- two\n\nHouse\n\nSay it slowly.\n\nComment (Anna): Why?\n\nNo title here\n\nText."
        );
        assert_eq!(document.places[1].name, "slide 2");
        assert_eq!(document.places[1].span.slice(&document.text), Some("No title here\n\nText."));
        assert_eq!(document.headings.len(), 2);
        assert_eq!(document.warnings, ["slide 3 could not be read"]);
    }

    #[test]
    fn slides_beyond_the_limit_are_reported() {
        let main = "<p:presentation><p:sldId r:id='a.xml'/><p:sldId r:id='a.xml'/></p:presentation>";
        let slide = format!("<p:sld>{}</p:sld>", shape("title", &["Same"]));
        let bytes = zip_of(&[
            ("_rels/.rels", RELS),
            ("ppt/presentation.xml", main),
            ("ppt/_rels/presentation.xml.rels", &relations(&[("slide", "a.xml")])),
            ("ppt/a.xml", &slide),
        ]);
        let limits = ExtractLimits { max_pages: 1, ..ExtractLimits::default() };
        let document = read(&bytes, &limits, &Budget::new()).expect("reads");
        assert_eq!(document.text, "Same");
        assert!(document.warnings[0].contains("first 1 of 2 slides"), "{:?}", document.warnings);
    }
}
