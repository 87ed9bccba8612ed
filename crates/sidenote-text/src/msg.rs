//! Outlook's .msg: a mail as properties in the streams of an OLE file.
//!
//! Seam for `cfb`. It checks the file's directory when it opens it and returns errors for broken chains; it may panic on what
//! it does not foresee, so it runs shielded as a whole, and streams are read through the budget of `members`. Only the
//! properties named here are looked at: [MS-OXMSG] says where they lie, [MS-OXPROPS] what they mean. A body that exists in
//! compressed RTF alone is unpacked ([MS-OXRTFCP]) and becomes a member.

use std::collections::HashMap;
use std::io::Cursor;

use cfb::CompoundFile;
use encoding_rs::Encoding;
use mail_parser::DateTime;

use crate::builder::DocumentBuilder;
use crate::mail::{self, Head};
use crate::markdown::fold_white;
use crate::members::{Budget, Content, Member, Opened};
use crate::mime;
use crate::shield::{plain_reason, shield};
use crate::{ExtractError, ExtractLimits, Format, encoding};

/// Messages inside of each other that are opened here. `members` counts too; this bounds the recursion.
const MAX_DEPTH: usize = 5;
/// Attachments of one message that are looked at.
const MAX_ATTACHMENTS: usize = 10_000;

mod tag {
    pub(super) const SUBJECT: u16 = 0x0037;
    pub(super) const SENT: u16 = 0x0039;
    pub(super) const SENDER_NAME: u16 = 0x0c1a;
    pub(super) const SENDER_ADDRESS: u16 = 0x0c1f;
    pub(super) const SENDER_SMTP: u16 = 0x5d01;
    pub(super) const ON_BEHALF_NAME: u16 = 0x0042;
    pub(super) const ON_BEHALF_ADDRESS: u16 = 0x0065;
    pub(super) const TRANSPORT_HEADERS: u16 = 0x007d;
    pub(super) const RECIPIENT_KIND: u16 = 0x0c15;
    pub(super) const DISPLAY_CC: u16 = 0x0e03;
    pub(super) const DISPLAY_TO: u16 = 0x0e04;
    pub(super) const DELIVERED: u16 = 0x0e06;
    pub(super) const BODY: u16 = 0x1000;
    pub(super) const BODY_RTF: u16 = 0x1009;
    pub(super) const BODY_HTML: u16 = 0x1013;
    pub(super) const DISPLAY_NAME: u16 = 0x3001;
    pub(super) const ADDRESS: u16 = 0x3003;
    pub(super) const SMTP_ADDRESS: u16 = 0x39fe;
    pub(super) const DATA: u16 = 0x3701;
    pub(super) const SHORT_FILE_NAME: u16 = 0x3704;
    pub(super) const LONG_FILE_NAME: u16 = 0x3707;
    pub(super) const INTERNET_CODE_PAGE: u16 = 0x3fde;
    pub(super) const MESSAGE_CODE_PAGE: u16 = 0x3ffd;
}

type File<'a> = CompoundFile<Cursor<&'a [u8]>>;

/// Whether an OLE file is a message: its directory names the table of a message's named properties.
pub(crate) fn is_message(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "__nameid_version1.0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    // The directory is an array of entries of 128 bytes, at a sector's start.
    bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
        && bytes.chunks(128).any(|entry| entry.starts_with(name.as_slice()))
}

/// Reads a message.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits, budget: &Budget) -> Result<Opened, ExtractError> {
    let damaged = |reason: &str| ExtractError::Damaged(plain_reason(reason));
    let opened = shield(|| {
        let mut file = CompoundFile::open(Cursor::new(bytes)).map_err(|error| damaged(&error.to_string()))?;
        read_message(&mut file, "", budget, 0, limits)
    });
    opened.unwrap_or_else(|| Err(damaged("its streams make no sense")))
}

fn read_message(
    file: &mut File<'_>,
    storage: &str,
    budget: &Budget,
    depth: usize,
    limits: &ExtractLimits,
) -> Result<Opened, ExtractError> {
    let header_bytes = if depth == 0 { 32 } else { 24 };
    let mut properties = Properties::of(file, storage, header_bytes, budget);
    let mut members = attachments(file, storage, budget, depth, limits);
    let sent = properties.time(tag::SENT).or_else(|| properties.time(tag::DELIVERED));
    let mut head = properties.head(file);
    (head.to, head.cc) = recipients(file, storage, budget, (head.to, head.cc));
    if let Some(seconds) = sent.map(|ms| ms.div_euclid(1000)) {
        head.date = DateTime::from_timestamp(seconds).to_rfc822();
    }
    head.attachments = members.iter().map(|member| member.name.clone()).collect();
    let author = properties.sender_name(file);

    let mut builder = DocumentBuilder::new(Format::Msg, limits);
    head.write(&mut builder);
    let plain = properties.text(file, tag::BODY).unwrap_or_default();
    if !plain.trim().is_empty() {
        mail::write_plain(&mut builder, &plain);
    } else if let Some(html) = properties.html(file) {
        mail::write_html(&mut builder, &html, limits);
    } else if let Some(rtf) = properties.bytes(file, tag::BODY_RTF, 0x0102).and_then(|packed| unpack_rtf(&packed)) {
        members.insert(0, Member { name: "message.rtf".to_owned(), content: Content::File(rtf) });
    }
    let document = builder.document();
    document.title = Some(fold_white(&head.subject));
    document.author = author;
    document.created_unix_ms = sent;
    let mut document = builder.finish()?;
    if document.title.as_ref().is_some_and(String::is_empty) {
        document.title = None;
    }
    Ok(Opened { document: Some(document), members })
}

/// The properties of a message, recipient or attachment.
struct Properties<'s> {
    storage: &'s str,
    budget: &'s Budget,
    /// Those of a fixed size, by tag.
    fixed: HashMap<u16, [u8; 8]>,
}

impl<'s> Properties<'s> {
    fn of(file: &mut File<'_>, storage: &'s str, header_bytes: usize, budget: &'s Budget) -> Self {
        let stream = read_stream(file, &format!("{storage}/__properties_version1.0"), budget).unwrap_or_default();
        let (entries, _) = stream.get(header_bytes..).unwrap_or_default().as_chunks::<16>();
        let fixed = entries.iter().map(|[_, _, tag_low, tag_high, _, _, _, _, value @ ..]| {
            (u16::from_le_bytes([*tag_low, *tag_high]), *value)
        });
        Self { storage, budget, fixed: fixed.collect() }
    }

    fn number(&self, tag: u16) -> Option<u32> {
        let [a, b, c, d, ..] = *self.fixed.get(&tag)?;
        Some(u32::from_le_bytes([a, b, c, d]))
    }

    /// A time in milliseconds since 1970.
    fn time(&self, tag: u16) -> Option<i64> {
        let ticks = u64::from_le_bytes(*self.fixed.get(&tag)?);
        let ms = i64::try_from(ticks / 10_000).ok()?.checked_sub(11_644_473_600_000)?;
        // Before 1970 and behind 9999 stand fillers.
        (0..=253_402_300_799_999).contains(&ms).then_some(ms)
    }

    fn bytes(&self, file: &mut File<'_>, tag: u16, kind: u16) -> Option<Vec<u8>> {
        read_stream(file, &format!("{}/__substg1.0_{tag:04X}{kind:04X}", self.storage), self.budget)
    }

    fn text(&self, file: &mut File<'_>, tag: u16) -> Option<String> {
        if let Some(wide) = self.bytes(file, tag, 0x001f) {
            let (units, _) = wide.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
            return Some(String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned());
        }
        let narrow = self.bytes(file, tag, 0x001e)?;
        Some(self.decode(&narrow, [tag::MESSAGE_CODE_PAGE, tag::INTERNET_CODE_PAGE]).trim_end_matches('\0').to_owned())
    }

    fn html(&self, file: &mut File<'_>) -> Option<String> {
        let Some(bytes) = self.bytes(file, tag::BODY_HTML, 0x0102) else { return self.text(file, tag::BODY_HTML) };
        Some(self.decode(&bytes, [tag::INTERNET_CODE_PAGE, tag::MESSAGE_CODE_PAGE]))
    }

    fn decode(&self, bytes: &[u8], code_pages: [u16; 2]) -> String {
        let declared = code_pages.iter().find_map(|tag| encoding_of(self.number(*tag)?));
        encoding::decode(bytes, declared).text.into_owned()
    }

    fn some_text(&self, file: &mut File<'_>, tags: &[u16]) -> Option<String> {
        tags.iter().find_map(|tag| self.text(file, *tag).map(|text| fold_white(&text)).filter(|text| !text.is_empty()))
    }

    fn sender_name(&self, file: &mut File<'_>) -> Option<String> {
        self.some_text(file, &[tag::SENDER_NAME, tag::ON_BEHALF_NAME, tag::SENDER_SMTP, tag::SENDER_ADDRESS])
    }

    fn head(&mut self, file: &mut File<'_>) -> Head {
        let address = [tag::SENDER_SMTP, tag::SENDER_ADDRESS, tag::ON_BEHALF_ADDRESS];
        let address = address.iter().find_map(|tag| self.some_text(file, &[*tag]).filter(|text| text.contains('@')));
        let mut head = Head {
            from: named_address(self.sender_name(file), address),
            to: self.some_text(file, &[tag::DISPLAY_TO]).unwrap_or_default(),
            cc: self.some_text(file, &[tag::DISPLAY_CC]).unwrap_or_default(),
            subject: self.some_text(file, &[tag::SUBJECT]).unwrap_or_default(),
            ..Head::default()
        };
        if let Some(transport) = self.text(file, tag::TRANSPORT_HEADERS) {
            let sent = mime::take_apart(transport.as_bytes()).header.as_ref().map(mail::head_of).unwrap_or_default();
            head.date = sent.date;
            for (field, sent) in [(&mut head.from, sent.from), (&mut head.to, sent.to), (&mut head.cc, sent.cc)] {
                if field.is_empty() {
                    *field = sent;
                }
            }
        }
        head
    }
}

fn named_address(name: Option<String>, address: Option<String>) -> String {
    match (name, address) {
        (Some(name), Some(address)) if !name.eq_ignore_ascii_case(&address) => format!("{name} <{address}>"),
        (_, Some(address)) => address,
        (Some(name), None) => name,
        (None, None) => String::new(),
    }
}

/// The encoding of a Windows code page.
fn encoding_of(code_page: u32) -> Option<&'static Encoding> {
    let label = match code_page {
        874 | 1250..=1258 => format!("windows-{code_page}"),
        866 => "ibm866".to_owned(),
        932 => "shift_jis".to_owned(),
        936 | 54936 => "gb18030".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        10000 => "macintosh".to_owned(),
        20866 => "koi8-r".to_owned(),
        21866 => "koi8-u".to_owned(),
        28591..=28606 => format!("iso-8859-{}", code_page - 28590),
        51932 => "euc-jp".to_owned(),
        65001 => "utf-8".to_owned(),
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

/// A stream, or `None` where there is none or it is broken. Streams may share their sectors, so that a small file has many
/// large ones: what they give is taken from the budget.
fn read_stream(file: &mut File<'_>, path: &str, budget: &Budget) -> Option<Vec<u8>> {
    if !file.is_stream(path) {
        return None;
    }
    budget.read_all(&mut file.open_stream(path).ok()?, 0).ok()
}

/// Names of the storages in a storage that begin with `prefix`, in order.
fn storages(file: &File<'_>, storage: &str, prefix: &str) -> Vec<String> {
    let path = if storage.is_empty() { "/" } else { storage };
    let Ok(entries) = file.read_storage(path) else { return Vec::new() };
    let names = entries.filter(|entry| entry.is_storage()).map(|entry| entry.name().to_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).take(MAX_ATTACHMENTS).collect();
    names.sort_unstable();
    names
}

/// Who it went to with addresses, where the message names each of them; else as they are displayed.
fn recipients(file: &mut File<'_>, storage: &str, budget: &Budget, shown: (String, String)) -> (String, String) {
    let (mut to, mut cc) = (Vec::new(), Vec::new());
    for name in storages(file, storage, "__recip_version1.0_") {
        let path = format!("{storage}/{name}");
        let properties = Properties::of(file, &path, 8, budget);
        let address = [tag::SMTP_ADDRESS, tag::ADDRESS];
        let address =
            address.iter().find_map(|tag| properties.some_text(file, &[*tag]).filter(|text| text.contains('@')));
        let named = named_address(properties.some_text(file, &[tag::DISPLAY_NAME]), address);
        match properties.number(tag::RECIPIENT_KIND) {
            _ if named.is_empty() => {}
            Some(2) => cc.push(named),
            // Blind copies are not for every reader of the file's text.
            Some(3) => {}
            _ => to.push(named),
        }
    }
    let or_shown = |named: Vec<String>, shown: String| if named.is_empty() { shown } else { named.join(", ") };
    (or_shown(to, shown.0), or_shown(cc, shown.1))
}

fn attachments(
    file: &mut File<'_>,
    storage: &str,
    budget: &Budget,
    depth: usize,
    limits: &ExtractLimits,
) -> Vec<Member> {
    let mut members = Vec::new();
    for (number, name) in (1usize..).zip(storages(file, storage, "__attach_version1.0_")) {
        let path = format!("{storage}/{name}");
        let properties = Properties::of(file, &path, 8, budget);
        let name = properties.some_text(file, &[tag::LONG_FILE_NAME, tag::SHORT_FILE_NAME, tag::DISPLAY_NAME]);
        let name = name.map(|name| name.replace(['/', '\\'], "_")).unwrap_or_else(|| format!("part {number}"));
        let inner = format!("{path}/__substg1.0_{:04X}000D", tag::DATA);
        let content = if let Some(bytes) = properties.bytes(file, tag::DATA, 0x0102) {
            Content::File(bytes)
        } else if file.is_stream(format!("{inner}/__properties_version1.0")) && depth < MAX_DEPTH {
            match read_message(file, &inner, budget, depth + 1, limits) {
                Ok(opened) => Content::Opened(Box::new(opened)),
                Err(error) => Content::Unread(error.to_string()),
            }
        } else {
            Content::Unread("it is not in the file, or an object of another program".to_owned())
        };
        members.push(Member { name, content });
    }
    members
}

/// What the dictionary of compressed RTF holds before the first byte.
const RTF_DICTIONARY: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \
    \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// Unpacks compressed RTF; `None` where it is none. Seventeen bytes for two at most: it needs no budget.
fn unpack_rtf(packed: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = packed.split_at_checked(16)?;
    match header.get(8..12)? {
        b"MELA" => return Some(rest.to_vec()),
        b"LZFu" => {}
        _ => return None,
    }
    let mut dictionary = [0u8; 4096];
    dictionary.get_mut(..RTF_DICTIONARY.len())?.copy_from_slice(RTF_DICTIONARY);
    let mut at = RTF_DICTIONARY.len();
    let mut text = Vec::new();
    let mut bytes = rest.iter().copied();
    let mut put = |at: &mut usize, byte: u8, dictionary: &mut [u8; 4096]| {
        text.push(byte);
        if let Some(slot) = dictionary.get_mut(*at) {
            *slot = byte;
        }
        *at = (*at + 1) % 4096;
    };
    'runs: while let Some(control) = bytes.next() {
        for bit in 0..8 {
            let Some(first) = bytes.next() else { break 'runs };
            if control & (1 << bit) == 0 {
                put(&mut at, first, &mut dictionary);
                continue;
            }
            let Some(second) = bytes.next() else { break 'runs };
            let offset = (usize::from(first) << 4) | (usize::from(second) >> 4);
            if offset == at {
                break 'runs;
            }
            for step in 0..usize::from(second & 15) + 2 {
                let byte = dictionary.get((offset + step) % 4096).copied().unwrap_or_default();
                put(&mut at, byte, &mut dictionary);
            }
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{SourceFile, extract};

    /// Writes streams into a new OLE file.
    fn ole(streams: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).expect("creates");
        for (path, bytes) in streams {
            if let Some((storage, _)) = path.rsplit_once('/').filter(|(storage, _)| !storage.is_empty()) {
                file.create_storage_all(storage).expect("creates");
            }
            file.create_stream(path).expect("creates").write_all(bytes).expect("writes");
        }
        file.into_inner().into_inner()
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn head_body_and_attachments_are_read() {
        let mut properties = vec![0u8; 32];
        properties.extend([0x40, 0, 0x39, 0, 6, 0, 0, 0]);
        properties.extend(133_500_000_000_000_000u64.to_le_bytes());
        let inner = "/__attach_version1.0_#00000001/__substg1.0_3701000D";
        let bytes = ole(&[
            ("/__nameid_version1.0/__substg1.0_00020102", b""),
            ("/__properties_version1.0", &properties),
            ("/__substg1.0_0037001F", &wide("Prices\0")),
            ("/__substg1.0_0C1A001F", &wide("Ruth")),
            ("/__substg1.0_0C1F001F", &wide("ruth@example.com")),
            ("/__substg1.0_0E04001F", &wide("Bo")),
            ("/__substg1.0_1000001E", b"Gr\xfc\xdfe,\r\n\r\nneue Preise f\xfcr M\xfcnchen."),
            ("/__attach_version1.0_#00000000/__substg1.0_3707001F", &wide("n.txt")),
            ("/__attach_version1.0_#00000000/__substg1.0_37010102", b"note"),
            ("/__attach_version1.0_#00000001/__substg1.0_3001001F", &wide("Inner")),
            (&format!("{inner}/__properties_version1.0"), &[0; 24]),
            (&format!("{inner}/__substg1.0_10130102"), b"<p>inside"),
        ]);
        assert!(is_message(&bytes));
        let extracted =
            extract(&SourceFile { name: "a.msg", bytes: &bytes }, &ExtractLimits::default()).expect("reads");
        let document = &extracted.documents[0];
        assert_eq!(
            document.text,
            "From: Ruth <ruth@example.com>\nTo: Bo\nDate: Wed, 17 Jan 2024 21:20:00 +0000\nSubject: Prices\nAttachments: n.txt, Inner\n\n\
             Grüße,\n\nneue Preise für München."
        );
        assert_eq!((document.title.as_deref(), document.author.as_deref()), (Some("Prices"), Some("Ruth")));
        assert_eq!(document.created_unix_ms, Some(1_705_526_400_000));
        let parts: Vec<_> = extracted
            .documents
            .iter()
            .map(|document| (document.part.as_deref(), document.text.as_str()))
            .skip(1)
            .collect();
        assert_eq!(parts, [(Some("n.txt"), "note"), (Some("Inner"), "inside")]);
    }

    #[test]
    fn compressed_rtf_is_unpacked() {
        // The example of the specification.
        let packed = [
            0x2d, 0, 0, 0, 0x2b, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5, 0xc7, 0xa7, 0x03, 0x00, 0x0a, 0x00, 0x72,
            0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62,
            0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0,
        ];
        let text = String::from_utf8(unpack_rtf(&packed).expect("unpacks")).expect("ascii");
        assert_eq!(text, "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        assert_eq!(unpack_rtf(b"short"), None);
    }
}
