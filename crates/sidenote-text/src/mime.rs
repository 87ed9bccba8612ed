//! A mail's body is taken apart at its MIME boundaries.
//!
//! Seam for `mail-parser`: header fields and transfer encodings are its work, one header block and one part at a time. It
//! parses whole messages too, but then each boundary that never comes costs a search to the end of the file, and messages
//! nested in each other are dropped by recursion; so the boundaries are found here, in one pass over the lines with a bounded
//! stack. It is meant not to panic, and runs shielded nevertheless.

use std::borrow::Cow;

use encoding_rs::Encoding;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};

use crate::encoding;
use crate::shield::shield;

/// Multiparts inside of each other; deeper ones are read as text.
const MAX_DEPTH: usize = 64;
/// Parts of a message. No mail has so many; a file that was made to break something may.
const MAX_PARTS: usize = 20_000;

/// A part of a message that holds no parts.
pub(crate) struct Part<'a> {
    /// Type and subtype in lower case, such as `text/plain`.
    pub(crate) kind: String,
    /// The name it was sent under.
    pub(crate) name: Option<String>,
    /// The sender called it an attachment.
    pub(crate) is_attachment: bool,
    /// Lines end where the writer's window ended, except those that end without a space.
    pub(crate) is_flowed: bool,
    /// Which group of alternatives it belongs to.
    pub(crate) alternative: Option<usize>,
    charset: Option<String>,
    encoding: Option<String>,
    body: &'a [u8],
}

/// A message taken apart.
pub(crate) struct Parts<'a> {
    /// The message's own header fields, if they can be read.
    pub(crate) header: Option<Message<'a>>,
    pub(crate) parts: Vec<Part<'a>>,
}

/// A multipart that has begun.
struct Open {
    boundary: Vec<u8>,
    alternative: Option<usize>,
    is_digest: bool,
    has_parts: bool,
}

/// What the lines that are read belong to.
enum Place<'a> {
    Header,
    Body(Part<'a>),
    /// Before the first part of a multipart, or behind its last.
    Between,
}

/// Takes a message apart.
pub(crate) fn take_apart(message: &[u8]) -> Parts<'_> {
    let message = without_envelope(message);
    let mut splitter = Splitter {
        message,
        start: 0,
        place: Place::Header,
        open: Vec::new(),
        alternatives: 0,
        header: None,
        is_first: true,
        parts: Vec::new(),
    };
    let mut at = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        splitter.take_line(at, line);
        at += line.len();
        if splitter.parts.len() >= MAX_PARTS {
            splitter.place = Place::Between;
            break;
        }
    }
    splitter.end_part(message.len());
    Parts { header: splitter.header, parts: splitter.parts }
}

/// What a message says it is about, by its head alone.
pub(crate) fn subject_of(message: &[u8]) -> Option<String> {
    let message = without_envelope(message);
    let header = shield(|| MessageParser::default().parse_headers(message)).flatten()?;
    header.subject().map(crate::markdown::fold_white).filter(|subject| !subject.is_empty())
}

struct Splitter<'a> {
    message: &'a [u8],
    /// Where what is read now began.
    start: usize,
    place: Place<'a>,
    open: Vec<Open>,
    alternatives: usize,
    header: Option<Message<'a>>,
    is_first: bool,
    parts: Vec<Part<'a>>,
}

impl<'a> Splitter<'a> {
    fn take_line(&mut self, at: usize, line: &'a [u8]) {
        let next = at + line.len();
        let words = line.trim_ascii_end();
        if words.starts_with(b"--")
            && let Some((depth, is_last)) = self.boundary_at(words)
        {
            // Said before the part ends: what stands before a first part is for programs that know no parts.
            if let Some(open) = self.open.get_mut(depth) {
                open.has_parts |= !is_last;
            }
            self.end_part(at);
            self.open.truncate(if is_last { depth } else { depth + 1 });
            self.start = next;
            self.place = if is_last { Place::Between } else { Place::Header };
        } else if matches!(self.place, Place::Header) && words.is_empty() {
            let block = self.message.get(self.start..next).unwrap_or_default();
            self.take_header(block);
            self.start = next;
        }
    }

    /// The open multipart whose boundary a line is, and whether it is its last.
    fn boundary_at(&self, line: &[u8]) -> Option<(usize, bool)> {
        let name = line.get(2..)?;
        self.open.iter().enumerate().rev().find_map(|(depth, open)| {
            let rest = name.strip_prefix(open.boundary.as_slice())?;
            (rest.is_empty() || rest == b"--").then_some((depth, !rest.is_empty()))
        })
    }

    fn take_header(&mut self, block: &'a [u8]) {
        let header = shield(|| MessageParser::default().parse_headers(block)).flatten();
        let outer = self.open.last();
        let alternative = outer.and_then(|outer| outer.alternative);
        let mut part = Part::of_header(header.as_ref(), alternative, outer.is_some_and(|outer| outer.is_digest));
        let boundary = header.as_ref().and_then(|header| header.content_type()?.attribute("boundary"));
        let boundary = boundary.filter(|name| !name.is_empty() && self.open.len() < MAX_DEPTH);
        if let Some(boundary) = boundary.filter(|_| part.kind.starts_with("multipart/")) {
            let mut alternative = part.alternative;
            if part.kind == "multipart/alternative" {
                self.alternatives += 1;
                alternative = Some(self.alternatives);
            }
            let boundary = boundary.trim_end().as_bytes().to_vec();
            let is_digest = part.kind == "multipart/digest";
            self.open.push(Open { boundary, alternative, is_digest, has_parts: false });
            self.place = Place::Between;
        } else {
            if part.kind.starts_with("multipart/") {
                part.kind = "text/plain".to_owned();
            }
            self.place = Place::Body(part);
        }
        if self.is_first {
            self.header = header;
            self.is_first = false;
        }
    }

    /// What is read now ends here.
    fn end_part(&mut self, end: usize) {
        if matches!(self.place, Place::Header) {
            // Fields without an empty line behind them.
            let block = self.message.get(self.start..end).unwrap_or_default();
            self.take_header(block);
            self.start = end;
        }
        let body = self.message.get(self.start..end).unwrap_or_default();
        // The line break before a boundary belongs to the boundary.
        let body = body.strip_suffix(b"\n").map_or(body, |body| body.strip_suffix(b"\r").unwrap_or(body));
        match std::mem::replace(&mut self.place, Place::Between) {
            Place::Body(part) => self.parts.push(Part { body, ..part }),
            // A multipart whose boundary never comes: its text is all there is.
            Place::Between if self.open.last().is_some_and(|open| !open.has_parts) && !body.trim_ascii().is_empty() => {
                self.parts.push(Part { body, ..Part::of_header(None, None, false) });
            }
            Place::Between | Place::Header => {}
        }
    }
}

impl<'a> Part<'a> {
    fn of_header(header: Option<&Message<'_>>, alternative: Option<usize>, in_digest: bool) -> Self {
        let content = header.and_then(|header| header.content_type());
        let kind = content.map(|content| {
            format!("{}/{}", content.ctype(), content.subtype().unwrap_or("plain")).to_ascii_lowercase()
        });
        let disposition = header.and_then(|header| header.content_disposition());
        let attribute = |name: &str| content.and_then(|content| content.attribute(name)).map(str::to_owned);
        Self {
            kind: kind.unwrap_or_else(|| if in_digest { "message/rfc822" } else { "text/plain" }.to_owned()),
            name: header.and_then(|header| header.attachment_name()).map(str::to_owned),
            is_attachment: disposition
                .is_some_and(|disposition| disposition.ctype().eq_ignore_ascii_case("attachment")),
            is_flowed: attribute("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed")),
            alternative,
            charset: attribute("charset"),
            encoding: header.and_then(|header| header.content_transfer_encoding()).map(str::to_owned),
            body: &[],
        }
    }

    /// The part's bytes as they were before they were packed for the way.
    pub(crate) fn bytes(&self) -> Cow<'a, [u8]> {
        let Some(encoding) = self.encoding.as_deref().map(str::trim).filter(|encoding| is_packed(encoding)) else {
            return Cow::Borrowed(self.body);
        };
        let header = format!("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        let unpacked = unpack(&header, self.body, |part| Some(part.contents().to_vec()));
        unpacked.map_or(Cow::Borrowed(self.body), Cow::Owned)
    }

    /// The part's text, and what there is to say about how it was decoded.
    pub(crate) fn text(&self) -> (String, Option<String>) {
        let charset = self.charset.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
        // It is written into a header field below, and a line break in it would begin another field.
        let is_name =
            charset.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.'));
        // Seven-bit encodings look like ASCII to who does not know; only the field tells.
        if is_name && ["iso-2022", "utf-7", "hz"].iter().any(|start| charset.starts_with(start)) {
            let header = format!("Content-Type: text/plain; charset=\"{charset}\"\r\n\r\n");
            let bytes = self.bytes();
            let text = unpack(&header, &bytes, |part| match &part.body {
                PartType::Text(text) | PartType::Html(text) => Some(text.to_string()),
                PartType::Binary(_) | PartType::InlineBinary(_) | PartType::Message(_) | PartType::Multipart(_) => None,
            });
            if let Some(text) = text {
                return (text, None);
            }
        }
        let bytes = self.bytes();
        let decoded = encoding::decode(&bytes, Encoding::for_label(charset.as_bytes()));
        // The field says what it is; that is no news to the reader of a mail.
        let warning = decoded.warning.filter(|warning| warning.contains("guess") || warning.contains("replaced"));
        (decoded.text.into_owned(), warning)
    }
}

fn is_packed(encoding: &str) -> bool {
    encoding.eq_ignore_ascii_case("base64") || encoding.eq_ignore_ascii_case("quoted-printable")
}

/// Has a body decoded as a message of one part.
fn unpack<T>(header: &str, body: &[u8], take: impl FnOnce(&mail_parser::MessagePart<'_>) -> Option<T>) -> Option<T> {
    let mut message = Vec::with_capacity(header.len() + body.len());
    message.extend_from_slice(header.as_bytes());
    message.extend_from_slice(body);
    shield(|| take(MessageParser::default().parse(&message)?.parts.first()?)).flatten()
}

/// A message without blank lines, a byte order mark or a mailbox's own line before its fields.
fn without_envelope(message: &[u8]) -> &[u8] {
    let mut rest = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message).trim_ascii_start();
    while rest.starts_with(b"From ") || rest.starts_with(b">From ") {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        rest = rest.get(end..).unwrap_or_default();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(message: &str) -> Vec<(String, String)> {
        take_apart(message.as_bytes()).parts.iter().map(|part| (part.kind.clone(), part.text().0)).collect()
    }

    fn plain(text: &str) -> (String, String) {
        ("text/plain".to_owned(), text.to_owned())
    }

    #[test]
    fn parts_end_at_the_boundaries_of_any_level() {
        let message = "Content-Type: multipart/mixed; boundary=a\n\npreamble\n--a\nContent-Type: multipart/alternative;\n \
                       boundary=\"ab\"\n\n--ab\n\none\n--ab\nContent-Type: text/html\n\n<p>two\n--a\n\nthree\n\n--a--\nepilogue";
        let parts = kinds(message);
        assert_eq!(parts, [plain("one"), ("text/html".to_owned(), "<p>two".to_owned()), plain("three\n")]);
        let groups: Vec<_> = take_apart(message.as_bytes()).parts.iter().map(|part| part.alternative).collect();
        assert_eq!(groups, [Some(1), Some(1), None]);
    }

    #[test]
    fn text_behind_a_boundary_that_never_comes_is_kept() {
        assert_eq!(kinds("Content-Type: multipart/mixed; boundary=a\n\nall there is\n"), [plain("all there is")]);
        assert_eq!(kinds("Content-Type: multipart/mixed\n\nno boundary\n"), [plain("no boundary")]);
    }

    #[test]
    fn a_charset_adds_no_fields() {
        let nested = "Content-Type: text/plain; charset*=utf-8''iso-2022-jp%22%0D%0AContent-Type:%20message/rfc822\n\nSubject: x\n\ny\n";
        assert_eq!(kinds(nested), [plain("Subject: x\n\ny")]);
    }

    #[test]
    fn transfer_encodings_and_charsets_are_undone() {
        let latin = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=\n=DFe\n";
        assert_eq!(kinds(latin), [plain("Grüße")]);
        let utf8 = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: BASE64\n\nR3LDvMOf\r\nZQ==\r\n";
        assert_eq!(kinds(utf8), [plain("Grüße")]);
        let japanese = "Content-Type: text/plain; charset=iso-2022-jp\n\n\u{1b}$B$3$s\u{1b}(B\n";
        assert_eq!(kinds(japanese), [plain("こん")]);
    }
}
