//! Fonts with a code table of their own: one byte a letter, under a name that sounds like two.
//!
//! A composite font may bring a table (a CMap stream) that says how many bytes make a letter. `pdf_oxide` goes by the table's
//! name alone, and takes every name with `Identity` in it for two bytes, so that text of one byte a letter comes out as next to
//! nothing. Here such a table is given another name of the same length before the file is opened; nothing else in it moves.

use std::io::Read;

const NAME_KEY: &[u8] = b"/CMapName";
const MISLEADING: &[u8] = b"Identity";
/// As long as `Identity`, and a part of no name that the library knows.
const REPLACEMENT: &[u8] = b"OneBytes";
/// How far a stream's dictionary may reach on either side of the name in it.
const MAX_DICTIONARY: usize = 2048;
/// A table is a few hundred bytes to a few kilobytes; its code ranges stand near its beginning.
const MAX_TABLE: u64 = 65_536;

/// A file with more tables was made to be slow.
const MAX_TABLES: usize = 2_000;

/// Renames tables whose codes are all of one byte.
pub(crate) fn rename_one_byte_tables(bytes: &mut [u8]) {
    let places: Vec<usize> = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at)
        .filter(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(NAME_KEY)))
        .take(MAX_TABLES)
        .collect();
    for place in places {
        let Some(at) = misleading_name(bytes, place + NAME_KEY.len()) else { continue };
        if stream_behind(bytes, place).is_some_and(|table| has_one_byte_codes(&table))
            && let Some(name) = bytes.get_mut(at..at + REPLACEMENT.len())
        {
            name.copy_from_slice(REPLACEMENT);
        }
    }
}

/// Where `Identity` stands in the name at `start`; `None` where the name is one that is read rightly.
fn misleading_name(bytes: &[u8], start: usize) -> Option<usize> {
    let blanks = bytes.get(start..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let name_start = start + blanks;
    let name = bytes.get(name_start..)?.strip_prefix(b"/")?;
    let length = name.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)).count();
    let name = name.get(..length)?;
    if matches!(name, b"Identity-H" | b"Identity-V") || find(name, b"OneByteIdentity").is_some() {
        return None;
    }
    Some(name_start + 1 + find(name, MISLEADING)?)
}

/// What the stream holds whose dictionary `place` lies in. `None` for what is no stream, or is packed in an unusual way.
fn stream_behind(bytes: &[u8], place: usize) -> Option<Vec<u8>> {
    let window_start = place.saturating_sub(MAX_DICTIONARY);
    let before = bytes.get(window_start..place)?;
    let start = window_start + rfind(before, b"obj")?;
    let head = bytes.get(place..bytes.len().min(place + MAX_DICTIONARY))?;
    let end = place + find(head, b"stream")?;
    let dictionary = bytes.get(start..end)?;
    if find(dictionary, b"endobj").is_some() {
        return None;
    }
    let body = bytes.get(end + b"stream".len()..)?;
    let body = body.strip_prefix(b"\r\n").or_else(|| body.strip_prefix(b"\n"))?;
    let mut table = Vec::new();
    if find(dictionary, b"/FlateDecode").is_some() {
        // What was read before an error is judged all the same.
        let _ = flate2::read::ZlibDecoder::new(body).take(MAX_TABLE).read_to_end(&mut table);
    } else if find(dictionary, b"/Filter").is_none() {
        body.take(MAX_TABLE).read_to_end(&mut table).ok()?;
    }
    Some(table)
}

/// Whether all code ranges that the table declares are of one byte.
fn has_one_byte_codes(table: &[u8]) -> bool {
    let Some(start) = find(table, b"begincodespacerange") else { return false };
    let ranges = table.get(start..).unwrap_or_default();
    let Some(end) = find(ranges, b"endcodespacerange") else { return false };
    let ranges = ranges.get(..end).unwrap_or_default();
    let mut codes = ranges.split(|byte| *byte == b'<').skip(1).peekable();
    codes.peek().is_some() && codes.all(|code| code.iter().position(|byte| *byte == b'>') == Some(2))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn rfind(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, range: &str) -> Vec<u8> {
        format!(
            "%PDF-1.4\n8 0 obj\n<< /Type /CMap /CMapName /{name} /Length 9 >>\nstream\n1 begincodespacerange\n{range}\n\
             endcodespacerange\nendstream\nendobj\n"
        )
        .into_bytes()
    }

    fn renamed(name: &str, range: &str) -> bool {
        let before = file(name, range);
        let mut after = before.clone();
        rename_one_byte_tables(&mut after);
        assert_eq!(before.len(), after.len());
        before != after
    }

    #[test]
    fn only_tables_of_one_byte_under_a_misleading_name_are_renamed() {
        assert!(renamed("Test-Identity-H", "<00> <7F>"));
        assert!(renamed("Test-Identity-H", "<00> <7f>\n<80><FF>"));
        assert!(!renamed("Test-Identity-H", "<0000> <FFFF>"));
        assert!(!renamed("Test-Identity-H", "<00> <7F> <8000> <FFFF>"));
        assert!(!renamed("Test-Identity-H", ""));
        assert!(!renamed("Identity-H", "<00> <7F>"));
        assert!(!renamed("OneByteIdentityH", "<00> <7F>"));
        assert!(!renamed("Prince-Arial-H", "<00> <7F>"));
    }

    #[test]
    fn a_file_cut_anywhere_is_left_alone_or_renamed() {
        let whole = file("Test-Identity-H", "<00> <7F>");
        for end in 0..whole.len() {
            rename_one_byte_tables(&mut whole[..end].to_vec());
        }
    }
}
