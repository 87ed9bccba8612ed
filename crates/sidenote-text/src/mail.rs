//! Mail: who wrote to whom, when and about what, then the text; attachments become documents of their own.
//!
//! The text is the plain one where the sender wrote both, since the other says the same with ornaments; unless the plain one
//! only says that there is another. Quoted lines stay as they are.

use std::borrow::Cow;

use mail_parser::{Address, DateTime, Message};

use crate::builder::DocumentBuilder;
use crate::markdown::fold_white;
use crate::members::{Content, Member, Opened};
use crate::mime::{self, Part};
use crate::{ExtractError, ExtractLimits, Format, encoding, html};

/// Times as long as the plain text an HTML body must be to be looked at, and its text to be taken.
const STUB_FACTOR: usize = 8;

/// Reads a mail.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Opened, ExtractError> {
    let bytes = recoded(bytes);
    let mut builder = DocumentBuilder::new(Format::Email, limits);
    let (fields, members) = write_message(&mut builder, &bytes, limits);
    let document = builder.document();
    // Set even where it is empty: a heading inside of the mail is not what it is about.
    document.title = Some(fields.subject);
    document.author = fields.author;
    document.created_unix_ms = fields.sent_unix_ms;
    let mut document = builder.finish()?;
    if document.title.as_ref().is_some_and(String::is_empty) {
        document.title = None;
    }
    Ok(Opened { document: Some(document), members })
}

/// A mail that was saved by an editor in an encoding of two bytes.
fn recoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Cow::Owned(encoding::decode(bytes, None).text.into_owned().into_bytes());
    }
    Cow::Borrowed(bytes)
}

/// What the head of a mail says.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) subject: String,
    pub(crate) author: Option<String>,
    pub(crate) sent_unix_ms: Option<i64>,
}

/// The lines at the head of a mail, in the order in which mail programs show them.
#[derive(Default)]
pub(crate) struct Head {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) cc: String,
    pub(crate) date: String,
    pub(crate) subject: String,
    pub(crate) attachments: Vec<String>,
}

impl Head {
    /// Writes the lines as one paragraph.
    pub(crate) fn write(&self, builder: &mut DocumentBuilder) {
        let attachments = self.attachments.join(", ");
        let lines = [
            ("From", &self.from),
            ("To", &self.to),
            ("Cc", &self.cc),
            ("Date", &self.date),
            ("Subject", &self.subject),
            ("Attachments", &attachments),
        ];
        let lines = lines.iter().map(|(name, value)| (name, fold_white(value))).filter(|(_, value)| !value.is_empty());
        let lines: Vec<String> = lines.map(|(name, value)| format!("{name}: {value}")).collect();
        builder.paragraph(&lines.join("\n"));
    }
}

/// Writes a message's head and text; what is attached is handed back.
pub(crate) fn write_message(
    builder: &mut DocumentBuilder,
    message: &[u8],
    limits: &ExtractLimits,
) -> (Fields, Vec<Member>) {
    let taken = mime::take_apart(message);
    let mut members = Vec::new();
    let mut bodies: Vec<&Part<'_>> = Vec::new();
    for (index, part) in taken.parts.iter().enumerate() {
        let is_body = matches!(part.kind.as_str(), "text/plain" | "text/html");
        if is_body && part.name.is_none() && !part.is_attachment {
            bodies.push(part);
        } else if !holds_no_words(&part.kind) {
            members.push(member_of(part, index + 1));
        }
    }
    let mut head = taken.header.as_ref().map(head_of).unwrap_or_default();
    head.attachments = members.iter().map(|member| member.name.clone()).collect();
    let fields = Fields {
        subject: fold_white(&head.subject),
        author: taken.header.as_ref().and_then(|header| header.from()).and_then(author_of),
        sent_unix_ms: taken.header.as_ref().and_then(|header| header.date()).and_then(unix_ms),
    };
    head.write(builder);
    write_bodies(builder, &bodies, limits);
    (fields, members)
}

/// Signatures of the machine kind, and pictures that a page shows inside of its text, are not missed by who reads.
fn holds_no_words(kind: &str) -> bool {
    matches!(kind, "application/pgp-signature" | "application/pkcs7-signature" | "application/x-pkcs7-signature")
}

fn member_of(part: &Part<'_>, number: usize) -> Member {
    let is_mail = matches!(part.kind.as_str(), "message/rfc822" | "message/global" | "message/news");
    let bytes = part.bytes().into_owned();
    let name = part.name.as_deref().map(fold_white).filter(|name| !name.is_empty());
    if is_mail {
        let name = name.or_else(|| mime::subject_of(&bytes)).map(|name| name.replace(['/', '\\'], "_"));
        return Member { name: name.unwrap_or_else(|| format!("message {number}.eml")), content: Content::Mail(bytes) };
    }
    let name = name.unwrap_or_else(|| format!("part {number}{}", extension_for(&part.kind)));
    Member { name, content: Content::File(bytes) }
}

/// The extension of a part that was sent without a name, where its bytes alone do not tell.
fn extension_for(kind: &str) -> &'static str {
    match kind {
        "text/plain" | "message/delivery-status" => ".txt",
        "text/html" => ".html",
        "text/calendar" => ".ics",
        "text/csv" => ".csv",
        "text/markdown" => ".md",
        "text/xml" | "application/xml" => ".xml",
        "application/json" => ".json",
        "application/pdf" => ".pdf",
        _ => "",
    }
}

/// The lines at the head, from the fields.
pub(crate) fn head_of(header: &Message<'_>) -> Head {
    let named = |address: Option<&Address<'_>>| address.map(addresses).unwrap_or_default();
    let date = match header.date() {
        Some(date) if date.is_valid() => date.to_rfc822(),
        _ => header.header_raw("Date").unwrap_or_default().to_owned(),
    };
    Head {
        from: named(header.from().or_else(|| header.sender())),
        to: named(header.to()),
        cc: named(header.cc()),
        date,
        subject: header.subject().unwrap_or_default().to_owned(),
        attachments: Vec::new(),
    }
}

fn addresses(address: &Address<'_>) -> String {
    let each = address.iter().filter_map(|one| match (one.name(), one.address()) {
        (Some(name), Some(address)) if name != address => Some(format!("{name} <{address}>")),
        (_, Some(address)) => Some(address.to_owned()),
        (Some(name), None) => Some(name.to_owned()),
        (None, None) => None,
    });
    each.collect::<Vec<_>>().join(", ")
}

fn author_of(address: &Address<'_>) -> Option<String> {
    let each = address.iter().filter_map(|one| one.name().or_else(|| one.address()).map(fold_white));
    let each: Vec<String> = each.filter(|name| !name.is_empty()).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

fn unix_ms(date: &DateTime) -> Option<i64> {
    if !date.is_valid() {
        return None;
    }
    date.to_timestamp().checked_mul(1000)
}

/// Writes the bodies in order, of alternatives one.
fn write_bodies(builder: &mut DocumentBuilder, bodies: &[&Part<'_>], limits: &ExtractLimits) {
    let mut written: Vec<usize> = Vec::new();
    for part in bodies {
        let Some(group) = part.alternative else {
            write_texts(builder, std::slice::from_ref(part), limits);
            continue;
        };
        if written.last() == Some(&group) || written.contains(&group) {
            continue;
        }
        written.push(group);
        let of_kind = |kind: &str| {
            let of_group = bodies.iter().filter(|part| part.alternative == Some(group) && part.kind == kind);
            of_group.copied().collect::<Vec<_>>()
        };
        let (plain, html) = (of_kind("text/plain"), of_kind("text/html"));
        let chosen =
            if html.is_empty() || (!plain.is_empty() && !is_stub(&plain, &html, limits)) { plain } else { html };
        write_texts(builder, &chosen, limits);
    }
}

/// Whether the plain text only says that there is a page to look at.
fn is_stub(plain: &[&Part<'_>], html: &[&Part<'_>], limits: &ExtractLimits) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::len).sum::<usize>();
    let plain: usize = plain.iter().map(|part| words(&part.text().0)).sum();
    let sources: Vec<String> = html.iter().map(|part| part.text().0).collect();
    if sources.iter().map(String::len).sum::<usize>() <= plain.saturating_mul(STUB_FACTOR) {
        return false;
    }
    let pages = sources.iter().filter_map(|source| html::read(source.as_bytes(), limits).ok());
    let shown: usize = pages.map(|page| words(&page.text)).sum();
    shown > plain.saturating_mul(STUB_FACTOR)
}

fn write_texts(builder: &mut DocumentBuilder, parts: &[&Part<'_>], limits: &ExtractLimits) {
    for part in parts {
        if builder.is_full() {
            return;
        }
        let (text, warning) = part.text();
        if let Some(warning) = warning {
            builder.warn(warning);
        }
        if part.kind == "text/html" {
            write_html(builder, &text, limits);
        } else if part.is_flowed {
            write_plain(builder, &unflowed(&text));
        } else {
            write_plain(builder, &text);
        }
    }
}

/// Writes a mail's page.
pub(crate) fn write_html(builder: &mut DocumentBuilder, source: &str, limits: &ExtractLimits) {
    match html::read(source.as_bytes(), limits) {
        Ok(page) => builder.append(page, 0),
        Err(error) => builder.warn(format!("the text in HTML was not read: {error}")),
    }
}

/// Writes plain text as it is, a block for every stretch between empty lines: columns that are set with spaces stay columns.
pub(crate) fn write_plain(builder: &mut DocumentBuilder, text: &str) {
    let mut block = String::new();
    for line in text.lines().chain([""]) {
        let line = line.trim_end();
        if line.is_empty() {
            builder.preformatted(&block);
            block.clear();
        } else {
            block.push_str(line);
            block.push('\n');
        }
    }
}

/// Lines that end with a space go on in the next one, where it is quoted as deep.
fn unflowed(text: &str) -> String {
    let depth_of = |line: &str| line.chars().take_while(|c| *c == '>').count();
    let mut whole = String::with_capacity(text.len());
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let depth = depth_of(line);
        let words = line.get(depth..).unwrap_or_default();
        if open == Some(depth) {
            whole.push_str(words.strip_prefix(' ').unwrap_or(words));
        } else {
            if !whole.is_empty() {
                whole.push('\n');
            }
            whole.push_str(line);
        }
        open = (line.ends_with(' ') && words.trim_end() != "--").then_some(depth);
        if open.is_none() && line.is_empty() {
            whole.push('\n');
        }
    }
    whole
}

/// Whether the first line that says anything is a header field, or the line that a mailbox puts before them.
pub(crate) fn starts_with_field(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    start.starts_with(b"From ") || (is_name && !name.is_empty() && name.len() < line.len())
}

/// Whether a text is a mail by its first lines: fields as every mail has them and few other texts.
pub(crate) fn starts_as_mail(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(bytes.get(..4096).unwrap_or(bytes)).to_ascii_lowercase();
    let mut fields = 0;
    let mut has_from = false;
    for line in head.lines() {
        if line.starts_with([' ', '\t']) && fields > 0 {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { break };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            break;
        }
        has_from |= name == "from";
        fields +=
            usize::from(matches!(name, "message-id" | "received" | "mime-version" | "return-path" | "delivered-to"));
    }
    has_from && fields > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceFile, extract};

    fn read_mail(source: &str) -> crate::Extracted {
        extract(&SourceFile { name: "a.eml", bytes: source.as_bytes() }, &ExtractLimits::default()).expect("reads")
    }

    #[test]
    fn the_head_comes_first_and_describes_the_document() {
        let mail = "Received: x\nSubject: =?utf-8?q?Preise_f=C3=BCr?=\n Mai\nDate: Fri, 16 Dec 2022 17:04:16 -0500\n\
                    From: \"Ruth Meier\" <ruth@example.com>\nTo: a@example.com, Bo <b@example.com>\n\nGuten  Tag,\n\nneue Preise.\n> alt\n";
        let document = read_mail(mail).into_first().expect("a document");
        assert_eq!(
            document.text,
            "From: Ruth Meier <ruth@example.com>\nTo: a@example.com, Bo <b@example.com>\n\
             Date: Fri, 16 Dec 2022 17:04:16 -0500\nSubject: Preise für Mai\n\nGuten  Tag,\n\nneue Preise.\n> alt"
        );
        assert_eq!(document.title.as_deref(), Some("Preise für Mai"));
        assert_eq!(document.author.as_deref(), Some("Ruth Meier"));
        assert_eq!(document.created_unix_ms, Some(1_671_228_256_000));
        assert_eq!((document.format, document.part), (Format::Email, None));
    }

    #[test]
    fn of_alternatives_the_plain_one_is_read_unless_it_is_a_stub() {
        let mail = |plain: &str, html: &str| {
            let parts = format!(
                "Subject: s\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\n{plain}\n--b\nContent-Type: text/html\n\n{html}\n--b--\n"
            );
            read_mail(&parts).into_first().expect("a document").text
        };
        assert_eq!(mail("plain words", "<p>other words"), "Subject: s\n\nplain words");
        assert_eq!(mail(" ", "<p>other words"), "Subject: s\n\nother words");
        let long = "<p>All that the page says and the plain text does not. ".repeat(4);
        assert!(mail("See page.", &long).contains("All that the page says"));
    }

    #[test]
    fn attachments_are_parts_with_names_of_their_own() {
        let attached = "--b\nContent-Disposition: attachment; filename=\"n.txt\"\n\nnote\n";
        let picture = "--b\nContent-Type: image/png; name=\"logo.png\"\nContent-Transfer-Encoding: base64\n\niVBORw0KGgoAAAANSUhEUgAA\n";
        let nested = "--b\nContent-Type: message/rfc822\n\nSubject: inner/mail\nFrom: c@d\n\ninside\n";
        let mail = format!(
            "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nbody\n{attached}{attached}{picture}{nested}--b--\n"
        );
        let extracted = read_mail(&mail);
        let parts: Vec<_> = extracted.documents.iter().map(|document| document.part.as_deref()).collect();
        assert_eq!(parts, [None, Some("n.txt"), Some("n.txt (2)"), Some("inner_mail")]);
        assert!(extracted.documents[0].text.contains("Attachments: n.txt, n.txt, logo.png, inner_mail"));
        assert_eq!(extracted.documents[2].text, "note");
        assert!(extracted.documents[3].text.ends_with("inside"));
        assert_eq!(
            extracted.warnings,
            ["attachment `logo.png` was not read: not a text file and not a format sidenote reads (image/png)"]
        );
    }

    #[test]
    fn flowed_lines_are_joined() {
        assert_eq!(unflowed("one \ntwo\n> q \n> r\n-- \nname"), "one two\n> q r\n-- \nname");
    }

    #[test]
    fn mail_is_told_from_other_texts_with_colons() {
        assert!(starts_as_mail(b"Return-Path: <a@b>\nReceived: from x\n by y\nFrom: a@b\n\ntext"));
        assert!(!starts_as_mail(b"From: Ruth\nTo: Bo\n\nDear Bo,"));
        assert!(!starts_as_mail(b"Title: a\nFrom here on: b"));
    }
}
