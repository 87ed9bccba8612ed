//! Tables as text: the stored text is the file; the header row is found in it, so that every row is cited with it.
//!
//! Records are told here and not by a library, since byte offsets are wanted and nothing else: a quoted field may hold
//! delimiters, line breaks and doubled quotes. A quote that never closes ends with its line, or one stray sign would swallow
//! the file.

use crate::{Document, ExtractError, ExtractLimits, Format, Span, Table, encoding, extract};

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Records looked at to tell the delimiter and the header.
const SAMPLE_RECORDS: usize = 50;
/// Longest record looked at.
const MAX_RECORD_BYTES: usize = 256 << 10;
/// Longest quoted field; a longer one was never meant to be one.
const MAX_QUOTED_BYTES: usize = 64 << 10;

/// Reads a file of delimited values.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let decoded = encoding::decode(bytes, None);
    extract::check_length(&decoded.text, limits)?;
    let text = decoded.text.into_owned();
    let table = table_of(&text);
    Ok(Document {
        tables: table.into_iter().collect(),
        warnings: decoded.warning.into_iter().collect(),
        ..Document::of_text(Format::Csv, text)
    })
}

/// The table with its header row, `None` where the rows have one column or no row looks like a header.
fn table_of(text: &str) -> Option<Table> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let (delimiter, columns) = DELIMITERS
        .iter()
        .filter_map(|delimiter| Some((*delimiter, usual_columns(text, start, *delimiter)?)))
        .max_by_key(|(_, (columns, records))| (*records, *columns))
        .map(|(delimiter, (columns, _))| (delimiter, columns))?;
    // A title may stand above the table, in a row of its own or in a column of its first.
    let words = |record: &Record| record.fields.iter().filter(|field| !value_of(text, field).is_empty()).count();
    let sample = records(text, start, delimiter).take(SAMPLE_RECORDS);
    let mut full = sample.filter(|record| record.fields.len() == columns && words(record) * 2 > columns);
    let header = full.next()?;
    let rest: Vec<Record> = full.collect();
    if rest.is_empty() || !is_header(text, &header, &rest) {
        return None;
    }
    let end = text.trim_end().len().max(header.span.end);
    Some(Table { span: Span::new(header.span.start, end), header: header.span })
}

struct Record {
    /// The record without its line break.
    span: Span,
    fields: Vec<Span>,
}

/// How many columns most of the first records have, if there are several, and how many records that are.
fn usual_columns(text: &str, start: usize, delimiter: u8) -> Option<(usize, usize)> {
    let counts: Vec<usize> =
        records(text, start, delimiter).take(SAMPLE_RECORDS).map(|record| record.fields.len()).collect();
    let usual = counts.iter().copied().filter(|count| *count > 1);
    usual
        .map(|count| (count, counts.iter().filter(|other| **other == count).count()))
        .max_by_key(|(columns, records)| (*records, *columns))
}

/// Names stand in a header and values under it: no field of it is empty or a number, unless its column holds none either.
fn is_header(text: &str, header: &Record, rest: &[Record]) -> bool {
    let names: Vec<&str> = header.fields.iter().map(|field| value_of(text, field)).collect();
    let is_number = |word: &str| {
        word.chars().any(|c| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || ".,+-% ".contains(c))
    };
    // Years and quarters head columns too, but a row of nothing else is a row of values.
    let words = names.iter().filter(|name| !name.is_empty() && !is_number(name)).count();
    if words * 2 < names.len().max(1) || words == 0 {
        return false;
    }
    // A first row that comes again is no header; one whose every value comes again in its column is neither.
    let repeats = names.iter().enumerate().filter(|(column, name)| {
        rest.iter().any(|record| record.fields.get(*column).is_some_and(|field| value_of(text, field) == **name))
    });
    repeats.count() * 2 <= names.len()
}

fn value_of<'a>(text: &'a str, field: &Span) -> &'a str {
    field.slice(text).unwrap_or_default().trim_matches(['"', ' ', '\u{feff}']).trim()
}

/// The records from `start`, empty ones left out.
fn records(text: &str, start: usize, delimiter: u8) -> impl Iterator<Item = Record> {
    let mut at = start;
    std::iter::from_fn(move || {
        while at < text.len() {
            let (record, next) = record_at(text, at, delimiter);
            at = text.ceil_char_boundary(next.min(text.len()));
            if record.span.slice(text).is_some_and(|line| !line.trim().is_empty()) {
                return Some(record);
            }
        }
        None
    })
}

/// The record that begins at `start`, and where the next one does.
fn record_at(text: &str, start: usize, delimiter: u8) -> (Record, usize) {
    let bytes = text.as_bytes();
    let mut fields = Vec::new();
    let mut field = start;
    let mut at = start;
    while let Some(byte) = bytes.get(at).filter(|_| at - start < MAX_RECORD_BYTES) {
        if *byte == b'"' && at == field {
            at = quoted_end(bytes, at, delimiter).unwrap_or(at + 1);
            continue;
        }
        if *byte == delimiter {
            fields.push(Span::new(field, at));
            field = at + 1;
        } else if matches!(byte, b'\n' | b'\r') {
            break;
        }
        at += 1;
    }
    // A record that is too long may end inside of a letter; what it was is no table anyway.
    let end = text.floor_char_boundary(at);
    fields.push(Span::new(field.min(end), end));
    (Record { span: Span::new(start, end), fields }, end.max(start) + 1)
}

/// Behind the quote that closes the one at `start`; `None` where that is no quoted field.
fn quoted_end(bytes: &[u8], start: usize, delimiter: u8) -> Option<usize> {
    let mut at = start + 1;
    while at - start < MAX_QUOTED_BYTES {
        if *bytes.get(at)? != b'"' {
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'"') {
            at += 2;
        } else {
            let next = bytes.get(at + 1);
            return next.is_none_or(|next| *next == delimiter || matches!(next, b'\n' | b'\r')).then_some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_of(source: &str) -> Option<String> {
        let document = read(source.as_bytes(), &ExtractLimits::default()).expect("reads");
        assert_eq!(document.text, source);
        let table = document.tables.first()?;
        assert!(table.span.contains(table.header) && table.span.slice(source).is_some());
        table.header.slice(source).map(str::to_owned)
    }

    #[test]
    fn the_header_is_found_under_any_delimiter() {
        for (source, header) in [
            ("part,price\nseal,12.50\npump,99\n", "part,price"),
            ("\u{feff}part;price\r\nseal;12,50\r\npump;99,00\r\n", "part;price"),
            ("Team\tWins\nMaple Leafs\t13\n", "Team\tWins"),
            ("a|b|c\n1|2|3\n", "a|b|c"),
            ("Prices of May,\npart,price\nseal,12\npump,9\n", "part,price"),
            ("Prices of May\n\npart,price\nseal,12\npump,9\n", "part,price"),
            ("name,\"note, long\"\n\"x\ny\",\"says \"\"no\"\"\"\nz,w\n", "name,\"note, long\""),
            ("region,2023,total\nnorth,1,2\nsouth,3,4\n", "region,2023,total"),
        ] {
            assert_eq!(header_of(source).as_deref(), Some(header), "{source:?}");
        }
    }

    #[test]
    fn a_file_without_a_header_has_none() {
        for source in ["1,2\n3,4\n", "one column\nof words\n", "a,b\n", "", "x,y\nx,y\nx,y\n"] {
            assert_eq!(header_of(source), None, "{source:?}");
        }
    }

    #[test]
    fn stray_quotes_and_endless_lines_end() {
        let stray = format!("a,b\n\"open,1\n{}", "x,2\n".repeat(1000));
        assert_eq!(header_of(&stray).as_deref(), Some("a,b"));
        for sign in [",", "\"", "\",", "\"\"", "ä,"] {
            header_of(&sign.repeat(3_000_000));
        }
    }
}
