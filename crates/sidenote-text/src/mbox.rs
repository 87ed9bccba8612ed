//! Mailboxes: one document with a place and a heading for every message; what is attached to a message is a part of its own.
//!
//! A message begins with a line `From sender date` behind an empty line; `>` before such a line inside of a message is taken
//! off again. Both are told here, since programs differ in what they write.

use std::borrow::Cow;

use crate::builder::DocumentBuilder;
use crate::members::{Member, Opened};
use crate::{ExtractError, ExtractLimits, Format, mail};

/// Reads a mailbox.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Opened, ExtractError> {
    let mut builder = DocumentBuilder::new(Format::Mbox, limits);
    let mut members = Vec::new();
    for (number, message) in (1usize..).zip(messages(bytes)) {
        if builder.is_full() {
            break;
        }
        let message = unquoted(message);
        let place = format!("message {number}");
        builder.begin_place(place.clone());
        // The subject is in the message's own fields, which come after the heading that is made of it.
        let subject = crate::mime::subject_of(&message).unwrap_or_else(|| place.clone());
        builder.heading(1, &subject);
        let (_, attached) = mail::write_message(&mut builder, &message, limits);
        members
            .extend(attached.into_iter().map(|member| Member { name: format!("{place}/{}", member.name), ..member }));
    }
    let mut document = builder.finish()?;
    // The first message does not name the mailbox.
    document.title = None;
    Ok(Opened { document: Some(document), members })
}

/// Whether a line begins a message: `From`, a sender, and a date with a time in it.
fn is_envelope(line: &[u8]) -> bool {
    line.starts_with(b"From ")
        && line.windows(5).any(|w| matches!(w, [a, b, b':', c, d] if [a, b, c, d].iter().all(|x| x.is_ascii_digit())))
}

/// Whether a file begins as a mailbox does.
pub(crate) fn starts_as_mailbox(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    lines.next().is_some_and(is_envelope) && lines.next().is_some_and(mail::starts_with_field)
}

/// The messages, without the lines that part them.
fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    let mut stands_free = true;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if stands_free && is_envelope(line) {
            starts.push((at, at + line.len()));
        }
        stands_free = line.trim_ascii().is_empty();
        at += line.len();
    }
    if starts.is_empty() {
        return vec![bytes];
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([bytes.len()]);
    starts.iter().zip(ends).map(|((_, start), end)| bytes.get(*start..end).unwrap_or_default()).collect()
}

/// A message as it was sent: `>From ` at the start of a line was `From ` before it came into a mailbox.
fn unquoted(message: &[u8]) -> Cow<'_, [u8]> {
    let is_quoted = |line: &[u8]| {
        let depth = line.iter().take_while(|byte| **byte == b'>').count();
        depth > 0 && line.get(depth..).is_some_and(|rest| rest.starts_with(b"From "))
    };
    if !message.split(|byte| *byte == b'\n').any(is_quoted) {
        return Cow::Borrowed(message);
    }
    let mut plain = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        plain.extend_from_slice(if is_quoted(line) { line.get(1..).unwrap_or_default() } else { line });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceFile, extract};

    #[test]
    fn each_message_is_a_place_with_a_heading() {
        let mailbox = "From a@b Mon Jul 20 01:01:07 2015\nSubject: One\nFrom: a@b\n\nfirst\n>From now on\nFrom here too\n\n\
                       From c@d Tue Jul 21 02:02:08 2015\nFrom: c@d\nContent-Type: multipart/mixed; boundary=x\n\n\
                       --x\n\nsecond\n--x\nContent-Disposition: attachment; filename=n.txt\n\nnote\n--x--\n";
        let extracted = extract(&SourceFile { name: "in.mbox", bytes: mailbox.as_bytes() }, &ExtractLimits::default())
            .expect("reads");
        let document = &extracted.documents[0];
        let places: Vec<_> = document
            .places
            .iter()
            .map(|place| (place.name.as_str(), place.span.slice(&document.text).expect("in text")))
            .collect();
        assert_eq!(
            places,
            [
                ("message 1", "One\n\nFrom: a@b\nSubject: One\n\nfirst\nFrom now on\nFrom here too"),
                ("message 2", "message 2\n\nFrom: c@d\nAttachments: n.txt\n\nsecond"),
            ]
        );
        assert_eq!(
            document.headings.iter().map(|heading| heading.title.as_str()).collect::<Vec<_>>(),
            ["One", "message 2"]
        );
        assert_eq!((document.title.as_deref(), document.format), (None, Format::Mbox));
        assert_eq!(extracted.documents[1].part.as_deref(), Some("message 2/n.txt"));
        assert!(starts_as_mailbox(mailbox.as_bytes()));
        assert!(!starts_as_mailbox(b"From 10:30 on the shop is open.\nPlease ring."));
    }
}
