//! JSON that a terminal can be shown.
//!
//! A JSON string may hold U+009B or U+202E as they are, and a terminal obeys the one and reorders by the other. Here
//! every such character is written as `\uXXXX`: the value stays the same, the bytes are harmless.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// `value` as one line of JSON without control characters and without characters that change the direction of text.
///
/// # Errors
/// When the value's own `Serialize` fails; those of this crate do not.
pub fn to_safe_json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    let mut line = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut line, SafeFormatter))?;
    String::from_utf8(line).map_err(serde::ser::Error::custom)
}

/// `value` as its JSON text has it. `serde_json::to_value` would write a number of 32 bits with the digits of 64, another one than
/// the same value has where it is printed.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> serde_json::Value {
    serde_json::to_string(value).and_then(|text| serde_json::from_str(&text)).unwrap_or_default()
}

struct SafeFormatter;

impl Formatter for SafeFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut written = 0;
        for (at, character) in fragment.char_indices().filter(|(_, character)| needs_escape(*character)) {
            writer.write_all(&fragment.as_bytes()[written..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
}

/// C0 is serde_json's own business; the rest a terminal may obey or hide.
fn needs_escape(character: char) -> bool {
    matches!(character,
        '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped_and_the_value_stays() {
        let text = "a\u{1b}[31m\u{9b}2J\u{7f}\u{202e}gpj\u{2066}\u{e0041}é€😀\"\\\n";
        let line = to_safe_json(text).unwrap();
        assert!(line.chars().all(|character| !character.is_control() && !needs_escape(character)), "{line}");
        assert!(line.contains("é€😀"), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn plain_text_is_written_as_serde_json_writes_it() {
        let value = serde_json::json!({"a": ["x", 1, null, 0.5], "b": "Grüße"});
        assert_eq!(to_safe_json(&value).unwrap(), value.to_string());
    }
}
