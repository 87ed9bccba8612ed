//! What a person writes to say which documents: languages, formats, days.
//!
//! Errors are clauses that say what to write; the caller names the flag or the field.

use std::time::UNIX_EPOCH;

use sidenote_text::Format;

/// A language by its ISO 639 code of two or three letters, in any case.
///
/// # Errors
/// When it is no such code.
pub fn language_code(text: &str) -> Result<String, String> {
    let code = text.to_lowercase();
    if matches!(code.len(), 2 | 3) && code.chars().all(|c| c.is_ascii_lowercase()) {
        return Ok(code);
    }
    Err("write a code of two or three letters (ISO 639), such as de; `sidenote documents --json` shows each one's"
        .to_owned())
}

/// A format by its name, in any case.
///
/// # Errors
/// When there is none of this name.
pub fn format_named(text: &str) -> Result<Format, String> {
    let name = text.to_lowercase();
    Format::ALL
        .into_iter()
        .find(|format| format.name() == name)
        .ok_or_else(|| format!("formats are {}", Format::ALL.map(Format::name).join(", ")))
}

/// The beginning of a day such as `2025-03-27`: midnight in UTC, in milliseconds since 1970.
///
/// # Errors
/// When it is no day since then.
pub fn start_of_day(text: &str) -> Result<i64, String> {
    humantime::parse_rfc3339_weak(&format!("{text}T00:00:00"))
        .ok()
        .filter(|_| text.len() == 10)
        .and_then(|time| i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok())
        .ok_or_else(|| "write a day such as 2025-03-27".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_understood_and_the_rest_says_what_to_write() {
        assert_eq!(language_code("DE").unwrap(), "de");
        assert_eq!(format_named("Pdf").unwrap(), Format::Pdf);
        assert_eq!(start_of_day("1970-01-02").unwrap(), 86_400_000);
        for day in ["2025-3-27", "2025-02-30", "1969-12-31", "", "yesterday", "2025-03-27T10:00:00"] {
            assert!(start_of_day(day).unwrap_err().contains("2025-03-27"), "{day}");
        }
        assert!(language_code("German").unwrap_err().contains("such as de"));
        let refused = format_named("word").unwrap_err();
        assert!(refused.starts_with("formats are markdown, text, html, pdf,"), "{refused}");
    }
}
