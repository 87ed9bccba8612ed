//! XML, step by step: of office files, e-books, feeds and anything else.
//!
//! Seam for `quick-xml`. It never recurses, reads no document type and expands no entity, and it returns errors for broken
//! markup. What it leaves to us: nesting is bounded here, attributes are looked up one by one (its check for duplicates is
//! quadratic), a file that ends inside an element is an error, and text is decoded before it sees it. The five entities of
//! XML, numbered characters and the space that does not break are resolved; any other stays as it is written, so that
//! entities made of entities stay as small as their file and nothing is lost.

use std::borrow::Cow;

use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::shield::plain_reason;
use crate::{ExtractError, encoding};

/// Deeper than this no part of an office file that a person made is nested.
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

    /// All attributes, names with their prefixes.
    pub(crate) fn attrs(&self) -> impl Iterator<Item = (String, String)> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        attributes.flatten().map(|attribute| (attribute.key.0.to_owned(), value_of(&attribute)))
    }

    /// The value of an attribute. A `name` with a prefix means just that one, a name without means the first that ends so.
    pub(crate) fn attr(&self, name: &str) -> Option<String> {
        let is_wanted = |key: &str| if name.contains(':') { key == name } else { local(key) == name };
        let mut attributes = self.0.attributes();
        let found = attributes.with_checks(false).flatten().find(|attribute| is_wanted(attribute.key.0))?;
        Some(value_of(&found))
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

fn value_of(attribute: &Attribute<'_>) -> String {
    let value = attribute.normalized_value(XmlVersion::Implicit1_0);
    value.map_or_else(|_| attribute.value.to_string(), Cow::into_owned)
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
    max_depth: usize,
    may_end_early: bool,
}

impl<'a> Xml<'a> {
    pub(crate) fn new(part: &str, source: &'a str) -> Self {
        let mut reader = Reader::from_str(source.trim_start_matches('\u{feff}'));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self { reader, part: part.to_owned(), depth: 0, max_depth: MAX_DEPTH, may_end_early: false }
    }

    /// A file that may be nested so deep, and end inside of elements: then [`Xml::depth`] is not 0 at its end.
    pub(crate) fn of_any_kind(source: &'a str, max_depth: usize) -> Self {
        Self { max_depth, may_end_early: true, ..Self::new("", source) }
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
                    if self.depth > self.max_depth {
                        return Err(self.broken(&format!("more than {} elements lie in each other", self.max_depth)));
                    }
                    Step::Open(Tag(start))
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    Step::Close(EndTag(end))
                }
                Event::Text(text) => Step::Text(with_plain_breaks(text.into_inner())),
                Event::CData(data) => Step::Text(with_plain_breaks(data.into_inner())),
                Event::GeneralRef(reference) => Step::Text(match reference.resolve_char_ref() {
                    Ok(Some(c)) => Cow::Owned(c.to_string()),
                    Ok(None) | Err(_) => resolved(&reference),
                }),
                Event::Eof if self.depth > 0 && !self.may_end_early => {
                    return Err(self.broken("it ends in the middle of an element"));
                }
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
        let reason = plain_reason(reason);
        ExtractError::Damaged(if self.part.is_empty() { reason } else { format!("`{}`: {reason}", self.part) })
    }
}

fn resolved(entity: &str) -> Cow<'static, str> {
    Cow::Borrowed(match entity {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        "nbsp" => "\u{a0}",
        other => return Cow::Owned(format!("&{other};")),
    })
}

/// Text with line breaks as XML wants them read, whatever the file has.
fn with_plain_breaks(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text }
}

/// Decodes a file: UTF-8, UTF-16, or else as its first line says. The second is what there is to say about that.
pub(crate) fn decode(bytes: Vec<u8>) -> (String, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => (text, None),
        Ok(text) => decode_bytes(text.as_bytes()),
        Err(error) => decode_bytes(error.as_bytes()),
    }
}

fn decode_bytes(bytes: &[u8]) -> (String, Option<String>) {
    let head = String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes));
    let declared = head.split_once("encoding=").and_then(|(_, rest)| {
        let label = rest.trim_start_matches(['"', '\'']).split(['"', '\'', '?', ' ']).next()?;
        encoding_rs::Encoding::for_label(label.as_bytes())
    });
    let decoded = encoding::decode(bytes, declared);
    (decoded.text.into_owned(), decoded.warning)
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
        assert_eq!(steps(source).expect("reads"), "<a Some(\"1 < 2\")>A&B&x;<b None></b><c></a>");
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
        assert_eq!(decode(bytes).0, "<a>é</a>");
    }

    #[test]
    fn the_declared_encoding_is_followed() {
        let source = b"<?xml version='1.0' encoding='windows-1252'?><a>Gr\xfc\xdfe".to_vec();
        assert_eq!(decode(source).0.get(45..), Some("<a>Grüße"));
    }

    #[test]
    fn a_file_of_any_kind_may_be_deep_and_end_early() {
        let source = "<a>".repeat(5_000);
        let mut xml = Xml::of_any_kind(&source, 10_000);
        while xml.next().expect("reads").is_some() {}
        assert_eq!(xml.depth(), 5_000);
        let mut xml = Xml::of_any_kind(&source, 4_000);
        let error = std::iter::from_fn(|| xml.next().transpose()).find_map(Result::err);
        assert!(matches!(error, Some(ExtractError::Damaged(why)) if why.starts_with("more than 4000")));
    }
}
