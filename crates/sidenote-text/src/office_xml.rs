//! The XML inside office files, step by step.
//!
//! Seam for `quick-xml`. It never recurses, reads no document type and expands no entity but the five that XML names and
//! references by number; it returns errors for broken markup. What it leaves to us: nesting is bounded here, attributes are
//! looked up one by one (its check for duplicates is quadratic), a file that ends inside an element is an error, and text is
//! decoded before it sees it.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesEnd, BytesStart, Event};

use crate::{ExtractError, encoding};

/// Deeper than this nothing that a person made is nested.
const MAX_DEPTH: usize = 2_000;

/// What comes next in an XML file.
pub(crate) enum Step<'a> {
    Open(Tag<'a>),
    Text(Cow<'a, str>),
    Close(EndTag<'a>),
}

/// An element that begins.
pub(crate) struct Tag<'a>(BytesStart<'a>);

/// An element that ends.
pub(crate) struct EndTag<'a>(BytesEnd<'a>);

impl Tag<'_> {
    /// The name without its prefix: which prefix stands for which vocabulary is the file's own choice.
    pub(crate) fn name(&self) -> &str {
        local(self.0.name().0)
    }

    /// The prefix of the name, where names without theirs mean two things.
    pub(crate) fn prefix(&self) -> &str {
        self.0.name().0.split_once(':').map_or("", |(prefix, _)| prefix)
    }

    /// The value of an attribute. A `name` with a prefix means just that one, a name without means the first that ends so.
    pub(crate) fn attr(&self, name: &str) -> Option<String> {
        let is_wanted = |key: &str| if name.contains(':') { key == name } else { local(key) == name };
        let mut attributes = self.0.attributes();
        let found = attributes.with_checks(false).flatten().find(|attribute| is_wanted(attribute.key.0))?;
        let value = found.normalized_value(quick_xml::XmlVersion::Implicit1_0);
        Some(value.map_or_else(|_| found.value.to_string(), Cow::into_owned))
    }

    /// A number in an attribute.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attr(name)?.trim().parse().ok()
    }

    /// A switch such as `<w:vanish/>`, which is on where it stands, unless it says otherwise.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self.attr("val").as_deref(), Some("0" | "false" | "off"))
    }
}

impl EndTag<'_> {
    pub(crate) fn name(&self) -> &str {
        local(self.0.name().0)
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// An XML file that is being read.
pub(crate) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    /// The part's name, for messages.
    part: String,
    depth: usize,
}

impl<'a> Xml<'a> {
    pub(crate) fn new(part: &str, source: &'a str) -> Self {
        let mut reader = Reader::from_str(source);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self { reader, part: part.to_owned(), depth: 0 }
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The next step; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<Step<'a>>, ExtractError> {
        loop {
            let event = self.reader.read_event().map_err(|error| self.broken(&error.to_string()))?;
            return Ok(Some(match event {
                Event::Start(start) | Event::Empty(start) => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(self.broken(&format!("more than {MAX_DEPTH} elements lie in each other")));
                    }
                    Step::Open(Tag(start))
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    Step::Close(EndTag(end))
                }
                Event::Text(text) => Step::Text(text.into_inner()),
                Event::CData(data) => Step::Text(data.into_inner()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(c)) => Step::Text(Cow::Owned(c.to_string())),
                    Ok(None) => match named(&reference) {
                        Some(c) => Step::Text(Cow::Borrowed(c)),
                        None => continue,
                    },
                    Err(_) => continue,
                },
                Event::Eof if self.depth > 0 => return Err(self.broken("it ends in the middle of an element")),
                Event::Eof => return Ok(None),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
            }));
        }
    }

    /// The next step inside the element that was open when [`Xml::depth`] was `depth`; `None` once it has closed.
    pub(crate) fn next_inside(&mut self, depth: usize) -> Result<Option<Step<'a>>, ExtractError> {
        Ok(self.next()?.filter(|_| self.depth >= depth))
    }

    /// Passes over the element that has just opened.
    pub(crate) fn skip(&mut self) -> Result<(), ExtractError> {
        let depth = self.depth;
        while self.next_inside(depth)?.is_some() {}
        Ok(())
    }

    /// All text in the element that has just opened.
    pub(crate) fn text(&mut self) -> Result<String, ExtractError> {
        let depth = self.depth;
        let mut all = String::new();
        while let Some(step) = self.next_inside(depth)? {
            if let Step::Text(text) = step {
                all.push_str(&text);
            }
        }
        Ok(all)
    }

    fn broken(&self, reason: &str) -> ExtractError {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
        ExtractError::Damaged(format!("`{}`: {reason}", self.part))
    }
}

fn named(name: &str) -> Option<&'static str> {
    Some(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        "nbsp" => "\u{a0}",
        _ => return None,
    })
}

/// The text of an XML file: UTF-8, or UTF-16 with a byte order mark.
pub(crate) fn decode(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text,
        Ok(text) => encoding::decode(text.as_bytes(), None).text.into_owned(),
        Err(error) => encoding::decode(error.as_bytes(), None).text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(source: &str) -> Result<String, ExtractError> {
        let mut xml = Xml::new("a.xml", source);
        let mut seen = String::new();
        while let Some(step) = xml.next()? {
            match step {
                Step::Open(tag) => seen += &format!("<{} {:?}>", tag.name(), tag.attr("v")),
                Step::Text(text) => seen += &text,
                Step::Close(end) => seen += &format!("</{}>", end.name()),
            }
        }
        Ok(seen)
    }

    #[test]
    fn prefixes_references_and_empty_elements_are_resolved() {
        let source = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'boom'>]><w:a x:v='1 &lt; 2'>A&amp;&#66;&x;<b/><![CDATA[<c>]]></w:a>";
        assert_eq!(steps(source).expect("reads"), "<a Some(\"1 < 2\")>A&B<b None></b><c></a>");
    }

    #[test]
    fn broken_markup_is_damage() {
        for source in ["<a><b></a>", "<a>", "<a", "</a>", &"<a>".repeat(5_000)] {
            assert!(matches!(steps(source), Err(ExtractError::Damaged(why)) if why.starts_with("`a.xml`: ")));
        }
    }

    #[test]
    fn an_element_is_passed_over_as_a_whole() {
        let mut xml = Xml::new("a.xml", "<a><b>x<b>y</b>z</b><c>1<d>2</d>3</c></a>");
        assert!(matches!(xml.next(), Ok(Some(Step::Open(_)))));
        assert!(matches!(xml.next(), Ok(Some(Step::Open(_)))));
        xml.skip().expect("skips");
        assert!(matches!(xml.next(), Ok(Some(Step::Open(tag))) if tag.name() == "c"));
        assert_eq!(xml.text().expect("reads"), "123");
        assert_eq!(xml.depth(), 1);
    }

    #[test]
    fn utf16_is_decoded() {
        let bytes: Vec<u8> = "\u{feff}<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(bytes), "<a>é</a>");
    }
}
