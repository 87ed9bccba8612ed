//! Bytes become text. A byte order mark decides, then UTF-8 validity, then a guess that is reported as a guess.
//!
//! Seam for `encoding_rs` and `chardetng`. Both are total: any bytes decode, broken sequences become U+FFFD, and decoding
//! never grows text beyond three times its bytes. What they do not know is UTF-32 and UTF-16 without a mark, which are
//! read here.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

/// Decoded text, and what the user should know about how it was decoded.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) warning: Option<String>,
}

/// How many bytes the guesses look at.
const SAMPLE_BYTES: usize = 256 << 10;

/// Decodes a whole file. `declared` is what the file says of itself, believed only where the bytes are not UTF-8.
pub(crate) fn decode<'a>(bytes: &'a [u8], declared: Option<&'static Encoding>) -> Decoded<'a> {
    match marked_encoding(bytes) {
        Some(Marked::Utf32 { big_endian }) => return decode_utf32(bytes, big_endian),
        Some(Marked::Utf16(encoding)) => return decode_as(bytes.get(2..).unwrap_or_default(), encoding, false),
        None => {}
    }
    // Before UTF-8: plain English in UTF-16 is valid UTF-8 with a NUL behind every letter.
    if let Some(encoding) = unmarked_utf16(bytes) {
        return decode_as(bytes, encoding, true);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Decoded { text: Cow::Borrowed(text), warning: None };
    }
    let without_mark = bytes.strip_prefix(b"\xef\xbb\xbf");
    if without_mark.is_some() || mostly_utf8(bytes) {
        return decode_as(without_mark.unwrap_or(bytes), encoding_rs::UTF_8, false);
    }
    if let Some(encoding) = declared.filter(|encoding| *encoding != encoding_rs::UTF_8) {
        return decode_as(bytes, encoding, false);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample(bytes), true);
    decode_as(bytes, detector.guess(None, Utf8Detection::Deny), true)
}

/// Whether the bytes are text in some encoding: no NUL and next to no control characters once decoded.
pub(crate) fn looks_like_text(bytes: &[u8]) -> bool {
    if marked_encoding(bytes).is_some() || unmarked_utf16(bytes).is_some() {
        let head = sample(bytes);
        let decoded = decode(head.get(..head.len() & !3).unwrap_or_default(), None);
        let (controls, broken, total) = decoded.text.chars().fold((0, 0, 0), |(controls, broken, total), c| {
            (controls + usize::from(is_odd_control(c)), broken + usize::from(c == '\u{fffd}'), total + 1)
        });
        return controls * 50 <= total && broken * 10 <= total;
    }
    if bytes.contains(&0) {
        return false;
    }
    let head = sample(bytes);
    let controls = head.iter().filter(|byte| byte.is_ascii() && is_odd_control(char::from(**byte))).count();
    controls * 50 <= head.len()
}

/// A control character that plain text has no use for. Escape is let through: terminal logs are text.
fn is_odd_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{8}' | '\u{1b}' | '\u{85}')
}

enum Marked {
    Utf16(&'static Encoding),
    Utf32 { big_endian: bool },
}

fn marked_encoding(bytes: &[u8]) -> Option<Marked> {
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) && bytes.len().is_multiple_of(4) {
        Some(Marked::Utf32 { big_endian: false })
    } else if bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        Some(Marked::Utf32 { big_endian: true })
    } else if bytes.starts_with(&[0xff, 0xfe]) {
        Some(Marked::Utf16(UTF_16LE))
    } else if bytes.starts_with(&[0xfe, 0xff]) {
        Some(Marked::Utf16(UTF_16BE))
    } else {
        None
    }
}

/// UTF-16 without a mark shows in Western text as a NUL in every other byte, and nowhere else.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    if bytes.len() < 8 || !bytes.len().is_multiple_of(2) {
        return None;
    }
    let (mut even, mut odd, mut pairs) = (0usize, 0usize, 0usize);
    for pair in sample(bytes).chunks_exact(2) {
        even += usize::from(pair[0] == 0);
        odd += usize::from(pair[1] == 0);
        pairs += 1;
    }
    if even == 0 && odd * 10 >= pairs * 7 {
        Some(UTF_16LE)
    } else if odd == 0 && even * 10 >= pairs * 7 {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Whether a few broken bytes spoil what else is UTF-8: then those bytes are lost and not the reading of all others.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0usize, 0usize);
    for chunk in sample(bytes).utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > bad * 20
}

fn decode_as<'a>(bytes: &'a [u8], encoding: &'static Encoding, guessed: bool) -> Decoded<'a> {
    let (text, broken) = encoding.decode_without_bom_handling(bytes);
    let name = encoding.name();
    let mut warning = match (guessed, encoding == encoding_rs::UTF_8) {
        (true, _) => format!("read as {name}, which is a guess"),
        (false, true) => String::new(),
        (false, false) => format!("read as {name}"),
    };
    if broken {
        let lead = if warning.is_empty() { format!("read as {name}") } else { warning };
        warning = format!("{lead}; bytes that are not {name} were replaced");
    }
    Decoded { text, warning: (!warning.is_empty()).then_some(warning) }
}

fn decode_utf32(bytes: &[u8], big_endian: bool) -> Decoded<'static> {
    let mut text = String::with_capacity(bytes.len() / 2);
    let mut units = bytes.get(4..).unwrap_or_default().chunks_exact(4);
    let mut broken = false;
    for unit in units.by_ref() {
        let unit = [unit[0], unit[1], unit[2], unit[3]];
        let code = if big_endian { u32::from_be_bytes(unit) } else { u32::from_le_bytes(unit) };
        text.push(char::from_u32(code).unwrap_or_else(|| {
            broken = true;
            '\u{fffd}'
        }));
    }
    broken |= !units.remainder().is_empty();
    let tail = if broken { "; bytes that are not UTF-32 were replaced" } else { "" };
    Decoded { text: Cow::Owned(text), warning: Some(format!("read as UTF-32{tail}")) }
}

fn sample(bytes: &[u8]) -> &[u8] {
    bytes.get(..SAMPLE_BYTES).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn valid_utf8_is_borrowed_and_not_remarked_on() {
        let decoded = decode("naïve".as_bytes(), None);
        assert!(matches!(decoded.text, Cow::Borrowed("naïve")));
        assert_eq!(decoded.warning, None);
    }

    #[test]
    fn latin_1_is_guessed_and_said_to_be_a_guess() {
        let decoded = decode(b"Gr\xf6\xdfe und Gewicht f\xfcr M\xfcnchen", None);
        assert_eq!(decoded.text, "Größe und Gewicht für München");
        assert!(decoded.warning.expect("warns").contains("guess"));
    }

    #[test]
    fn utf16_is_read_with_and_without_a_mark() {
        let text = "Seite 1: Prüfung bestanden";
        let mut marked = vec![0xff, 0xfe];
        marked.extend(utf16le(text));
        assert_eq!(decode(&marked, None).text, text);
        assert!(looks_like_text(&marked));
        for text in [text, "plain English"] {
            assert_eq!(decode(&utf16le(text), None).text, text);
            assert!(looks_like_text(&utf16le(text)));
        }
    }

    #[test]
    fn utf32_is_read() {
        let mut bytes = vec![0xff, 0xfe, 0, 0];
        bytes.extend("héllo".chars().flat_map(|c| u32::from(c).to_le_bytes()));
        assert_eq!(decode(&bytes, None).text, "héllo");
        assert!(looks_like_text(&bytes));
    }

    #[test]
    fn a_lone_surrogate_is_replaced_and_reported() {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(utf16le("ab"));
        bytes.extend([0x00, 0xd8]);
        bytes.extend(utf16le("cd"));
        let decoded = decode(&bytes, None);
        assert_eq!(decoded.text, "ab\u{fffd}cd");
        assert!(decoded.warning.expect("warns").contains("replaced"));
    }

    #[test]
    fn one_broken_byte_does_not_cost_the_other_letters() {
        let mut bytes =
            "Überprüfung der Größenänderungen, ärgerlich schön für übermütige Käufer über Öl".repeat(4).into_bytes();
        bytes.push(0xff);
        let decoded = decode(&bytes, None);
        assert!(decoded.text.starts_with("Überprüfung"));
        assert!(decoded.text.ends_with('\u{fffd}'));
        assert!(decoded.warning.expect("warns").contains("UTF-8"));
    }

    #[test]
    fn noise_is_not_text() {
        let noise: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
        assert!(!looks_like_text(&noise));
        assert!(looks_like_text(b"\x1b[31mred\x1b[0m log line\n"));
    }
}
