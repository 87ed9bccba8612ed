//! What a file holds: attachments of a mail and members of an archive become documents of their own.
//!
//! A container is a few bytes that may promise any amount of others, in itself again and again. So everything that is opened
//! here draws on one budget for the whole file: how deep, how many, how many bytes unpacked, how much text. What is over it,
//! broken or not read is named in the warnings, and the rest is kept. Names of members are shown and never opened.

use std::cell::Cell;
use std::collections::HashMap;

use crate::archive::{self, Archive};
use crate::shield::plain_reason;
use crate::{Document, ExtractError, ExtractLimits, Extracted, Format, Recogniser, SourceFile, detect_format, extract};

/// Containers inside of each other; what lies deeper is left out.
const MAX_DEPTH: usize = 4;
/// Attachments and members of one file, all levels together.
const MAX_MEMBERS: usize = 10_000;
/// Bytes unpacked from one file, all levels together.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;
/// Bytes of one member. The containers around it are in memory at the same time.
const MAX_MEMBER_BYTES: u64 = 256 << 20;
/// Warnings kept for one file; an archive of ten thousand photographs needs no ten thousand.
const MAX_WARNINGS: usize = 100;
/// Longest name of a member, in bytes, as it is shown.
const MAX_NAME_BYTES: usize = 240;

/// A file that was opened: its own text, and what it holds.
pub(crate) struct Opened {
    /// `None` where the file has no text of its own.
    pub(crate) document: Option<Document>,
    pub(crate) members: Vec<Member>,
}

impl From<Document> for Opened {
    fn from(document: Document) -> Self {
        Self { document: Some(document), members: Vec::new() }
    }
}

/// An attachment or an archive member.
pub(crate) struct Member {
    /// As its container calls it, with the extension by which its format is told.
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// What is known of a member.
pub(crate) enum Content {
    /// A file in some format.
    File(Vec<u8>),
    /// A mail, whatever its name.
    Mail(Vec<u8>),
    /// A mail inside of a mail that has no bytes of its own.
    Opened(Box<Opened>),
    /// Why it could not be taken out of its container.
    Unread(String),
}

/// Bytes that may still be unpacked.
pub(crate) struct Budget {
    unpacked_bytes: Cell<u64>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self::of(MAX_UNPACKED_BYTES)
    }

    /// A budget of so many bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        Self { unpacked_bytes: Cell::new(bytes) }
    }

    /// Reads all that `reader` gives, within the budget. As many bytes as it claims to give are set aside at once, within the
    /// bound: growing step by step would take up to twice the memory.
    pub(crate) fn read_all(&self, reader: &mut dyn std::io::Read, claimed_bytes: u64) -> Result<Vec<u8>, String> {
        use std::io::Read as _;
        let left = self.unpacked_bytes.get();
        let limit = left.min(MAX_MEMBER_BYTES);
        let mut bytes = Vec::new();
        let expected = usize::try_from(claimed_bytes.min(limit).saturating_add(1)).unwrap_or(0);
        bytes.try_reserve_exact(expected).map_err(|_| "there is not enough memory for it".to_owned())?;
        // One byte more than allowed tells what is larger.
        let outcome = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        let taken = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.unpacked_bytes.set(left.saturating_sub(taken));
        if taken > limit {
            return Err(if limit < left {
                format!("it unpacks to more than {} MiB", MAX_MEMBER_BYTES >> 20)
            } else {
                format!("the file unpacks to more than {} MiB in all", MAX_UNPACKED_BYTES >> 20)
            });
        }
        outcome.map_err(|error| format!("damaged: {}", plain_reason(&error.to_string())))?;
        Ok(bytes)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.unpacked_bytes.get() == 0
    }

    /// All bytes that may still be unpacked.
    pub(crate) fn left(&self) -> u64 {
        self.unpacked_bytes.get()
    }
}

/// Reads a file and all that it holds.
pub(crate) fn read_all(
    source: &SourceFile<'_>,
    limits: &ExtractLimits,
    recogniser: Option<&dyn Recogniser>,
) -> Result<Extracted, ExtractError> {
    let budget = Budget::new();
    let mut reading = Reading {
        limits,
        budget: &budget,
        recogniser,
        members: 0,
        text_bytes_left: limits.max_text_bytes,
        names: HashMap::new(),
        failures: 0,
        is_encrypted: true,
        waits_for_ocr: false,
        extracted: Extracted::default(),
    };
    reading.read(None, source, None, 0)?;
    reading.finish()
}

struct Reading<'a> {
    limits: &'a ExtractLimits,
    budget: &'a Budget,
    recogniser: Option<&'a dyn Recogniser>,
    /// Attachments and members met so far.
    members: usize,
    text_bytes_left: usize,
    /// How often a part's name came.
    names: HashMap<String, usize>,
    failures: usize,
    /// Whether all that failed did so for want of a password.
    is_encrypted: bool,
    /// Whether one failed because all of its pages are pictures that nobody is there to read.
    waits_for_ocr: bool,
    extracted: Extracted,
}

impl Reading<'_> {
    fn read(
        &mut self,
        part: Option<&str>,
        source: &SourceFile<'_>,
        known: Option<Format>,
        depth: usize,
    ) -> Result<(), ExtractError> {
        let format = match known.map_or_else(|| detect_format(source), Ok) {
            Ok(format) => format,
            Err(error) => {
                return match archive::detect(source) {
                    Some(kind) => self.read_archive(part, source, kind, depth),
                    None => Err(error),
                };
            }
        };
        let limits = ExtractLimits { max_text_bytes: self.text_bytes_left, ..*self.limits };
        let opened = extract::open(source, format, &limits, self.budget, self.recogniser)?;
        self.keep(part, opened, depth)
    }

    fn read_archive(
        &mut self,
        part: Option<&str>,
        source: &SourceFile<'_>,
        kind: Archive,
        depth: usize,
    ) -> Result<(), ExtractError> {
        let budget = self.budget;
        archive::for_each_member(source, kind, budget, &mut |member| self.take_member(part, member, "member", depth))
    }

    /// Keeps a file's own text, then what it holds.
    fn keep(&mut self, part: Option<&str>, opened: Opened, depth: usize) -> Result<(), ExtractError> {
        let is_alone = opened.members.is_empty();
        match opened.document.map(|document| self.checked(document)) {
            Some(Ok(document)) => {
                self.text_bytes_left = self.text_bytes_left.saturating_sub(document.text.len());
                self.extracted.documents.push(Document { part: part.map(str::to_owned), ..document });
            }
            Some(Err(ExtractError::Empty)) | None if !is_alone => {}
            Some(Err(error)) => return Err(error),
            None => return Err(ExtractError::Empty),
        }
        for member in opened.members {
            if !self.take_member(part, member, "attachment", depth) {
                break;
            }
        }
        Ok(())
    }

    fn checked(&self, document: Document) -> Result<Document, ExtractError> {
        extract::checked(document, &ExtractLimits { max_text_bytes: self.text_bytes_left, ..*self.limits })
    }

    /// Reads an attachment or member. False where no further one is taken.
    fn take_member(&mut self, outer: Option<&str>, member: Member, what: &str, depth: usize) -> bool {
        self.members += 1;
        if self.members > MAX_MEMBERS {
            self.warn(format!("only the first {MAX_MEMBERS} attachments and members were read"));
            return false;
        }
        let name = shown_name(&member.name);
        let part = self.distinct(&outer.map_or_else(|| name.clone(), |outer| format!("{outer}/{name}")));
        let outcome = if depth >= MAX_DEPTH {
            Err(format!("it lies more than {MAX_DEPTH} containers deep"))
        } else {
            self.read_member(&part, &name, member.content, depth + 1)
        };
        if let Err(reason) = outcome {
            self.failures += 1;
            self.warn(format!("{what} `{part}` was not read: {reason}"));
        }
        true
    }

    fn read_member(&mut self, part: &str, name: &str, content: Content, depth: usize) -> Result<(), String> {
        let outcome = match content {
            Content::Unread(reason) => {
                self.is_encrypted &= reason == archive::ENCRYPTED;
                return Err(reason);
            }
            Content::Opened(opened) => self.keep(Some(part), *opened, depth),
            Content::File(bytes) => self.read(Some(part), &SourceFile { name, bytes: &bytes }, None, depth),
            Content::Mail(bytes) => {
                self.read(Some(part), &SourceFile { name, bytes: &bytes }, Some(Format::Email), depth)
            }
        };
        outcome.map_err(|error| {
            self.is_encrypted &= error == ExtractError::Encrypted;
            self.waits_for_ocr |= matches!(error, ExtractError::NoTextLayer { .. });
            // The limit was set for all texts together; the number that is left for this one says nothing.
            if matches!(error, ExtractError::TooLong { .. }) {
                let limit = self.limits.max_text_bytes;
                return format!("the texts of the file are over the limit of {limit} bytes (`ingest.max_text_bytes`)");
            }
            error.to_string()
        })
    }

    /// A part's name that no other part has.
    fn distinct(&mut self, name: &str) -> String {
        let mut distinct = name.to_owned();
        loop {
            let Some(count) = self.names.get_mut(&distinct) else {
                self.names.insert(distinct.clone(), 1);
                return distinct;
            };
            *count += 1;
            distinct = format!("{distinct} ({count})");
        }
    }

    fn warn(&mut self, warning: String) {
        if self.extracted.warnings.len() < MAX_WARNINGS {
            self.extracted.warnings.push(warning);
        }
    }

    fn finish(mut self) -> Result<Extracted, ExtractError> {
        if self.extracted.documents.is_empty() {
            return Err(match self.extracted.warnings.first() {
                None => ExtractError::Empty,
                Some(_) if self.is_encrypted && self.failures > 0 => ExtractError::Encrypted,
                Some(first) => ExtractError::NothingRead(first.clone()),
            });
        }
        if let Some(first) = self.extracted.documents.first_mut() {
            first.waits_for_ocr |= self.waits_for_ocr;
        }
        if let Some(more) = self.failures.checked_sub(MAX_WARNINGS).filter(|more| *more > 0) {
            self.extracted.warnings.push(format!("{more} more attachments or members were not read"));
        }
        Ok(self.extracted)
    }
}

/// A member's name for readers: no steps up or to the root, nothing that cannot be seen, not endless.
fn shown_name(raw: &str) -> String {
    let visible: String = raw.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let steps = visible.split(['/', '\\']).map(str::trim);
    let name = steps.filter(|step| !matches!(*step, "" | "." | "..")).collect::<Vec<_>>().join("/");
    if name.is_empty() {
        return "unnamed".to_owned();
    }
    // The end tells the format, so the beginning goes.
    let start = name.ceil_char_boundary(name.len().saturating_sub(MAX_NAME_BYTES));
    name.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit_to_be_shown() {
        for (raw, shown) in [
            ("a/b.txt", "a/b.txt"),
            ("/etc/passwd", "etc/passwd"),
            ("..\\..\\x.md", "x.md"),
            ("", "unnamed"),
            ("../..", "unnamed"),
            ("a\u{1b}[2J.txt", "a [2J.txt"),
        ] {
            assert_eq!(shown_name(raw), shown, "{raw:?}");
        }
        let long = shown_name(&format!("{}.txt", "ä".repeat(1000)));
        assert!(long.len() <= MAX_NAME_BYTES && long.ends_with(".txt"));
    }
}
