//! XML as a stream of elements and text.
//!
//! Seam for `quick-xml`. It reads a string from front to back, keeps the names of open elements and nothing else, and returns
//! an error where tags do not match. It expands no entities: the five of XML, numbered characters and the space that does not
//! break are resolved here, any other stays as it is written, so that entities made of entities stay as small as their file.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::encoding;

/// What comes next in a file.
pub(crate) enum Piece<'a> {
    Open(&'a Element<'a>),
    /// The name without its prefix.
    Close(&'a str),
    Text(&'a str),
}

/// The start of an element.
pub(crate) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// The name without its prefix.
    pub(crate) fn name(&self) -> &str {
        local(self.0.name().0)
    }

    /// The value of the attribute of this name, whatever its prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.attributes().find(|(key, _)| local(key) == name).map(|(_, value)| value)
    }

    /// Names with their prefixes, and values.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (String, String)> {
        let mut attributes = self.0.attributes();
        // Looking for doubles compares each with each.
        attributes.with_checks(false);
        attributes.flatten().map(|attribute| {
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_or_else(|_| attribute.value.to_string(), |value| value.into_owned());
            (attribute.key.0.to_owned(), value)
        })
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Decodes a file as its first line says, and what there is to say about that.
pub(crate) fn decode(bytes: &[u8]) -> (String, Option<String>) {
    let head = String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)).into_owned();
    let declared = head.split_once("encoding=").and_then(|(_, rest)| {
        let label = rest.trim_start_matches(['"', '\'']).split(['"', '\'', '?', ' ']).next()?;
        encoding_rs::Encoding::for_label(label.as_bytes())
    });
    let decoded = encoding::decode(bytes, declared);
    (decoded.text.into_owned(), decoded.warning)
}

/// Hands the pieces of a file to `take`, until it says no.
///
/// # Errors
/// Why the file is not well-formed. What stands before was handed over.
pub(crate) fn walk(source: &str, take: &mut dyn FnMut(Piece<'_>) -> bool) -> Result<(), String> {
    let mut reader = Reader::from_str(source.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().allow_dangling_amp = true;
    loop {
        let goes_on = match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => take(Piece::Open(&Element(start))),
            Ok(Event::End(end)) => take(Piece::Close(local(end.name().0))),
            Ok(Event::Text(text)) => take(Piece::Text(&text.xml10_content())),
            Ok(Event::CData(text)) => take(Piece::Text(&text.xml10_content())),
            Ok(Event::GeneralRef(reference)) => match reference.resolve_char_ref() {
                Ok(Some(character)) => take(Piece::Text(character.encode_utf8(&mut [0; 4]))),
                Ok(None) | Err(_) => take(Piece::Text(&resolve(&reference.into_inner()))),
            },
            Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_)) => true,
            Ok(Event::Eof) => return Ok(()),
            Err(error) => return Err(crate::members::plain_reason(&error.to_string())),
        };
        if !goes_on {
            return Ok(());
        }
    }
}

fn resolve(entity: &str) -> String {
    match entity {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        "nbsp" => " ".to_owned(),
        other => format!("&{other};"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(source: &str) -> (Vec<String>, Result<(), String>) {
        let mut seen = Vec::new();
        let outcome = walk(source, &mut |piece| {
            seen.push(match piece {
                Piece::Open(element) => format!("<{} {:?}", element.name(), element.attribute("a")),
                Piece::Close(name) => format!(">{name}"),
                Piece::Text(text) => text.to_owned(),
            });
            true
        });
        (seen, outcome)
    }

    #[test]
    fn elements_texts_and_references_come_in_order() {
        let (seen, outcome) =
            pieces("<?xml version='1.0'?><x:r y:a='1&amp;2'>a &lt;&#65;&own;<![CDATA[<b>]]><e/></x:r>");
        assert_eq!(outcome, Ok(()));
        assert_eq!(seen, ["<r Some(\"1&2\")", "a ", "<", "A", "&own;", "<b>", "<e None", ">e", ">r"]);
    }

    #[test]
    fn tags_that_do_not_match_are_an_error_behind_what_was_read() {
        let (seen, outcome) = pieces("<a>text<b></a>");
        assert!(outcome.is_err());
        assert_eq!(seen[1], "text");
    }

    #[test]
    fn the_declared_encoding_is_followed() {
        assert_eq!(
            decode(b"<?xml version='1.0' encoding='windows-1252'?><a>Gr\xfc\xdfe").0.get(45..),
            Some("<a>Grüße")
        );
    }
}
