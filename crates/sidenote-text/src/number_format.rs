//! Numbers of a sheet as a reader sees them: dates as `2024-05-31`, `12.5%`, `€ 12.50`, integers without `.0`. Digits are not
//! grouped, so that `1234567` is found however the sheet shows it.

use crate::office_meta::civil_from_days;

/// Longest words before or behind a number.
const MAX_LITERAL_BYTES: usize = 255;

/// How a cell shows its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum NumberFormat {
    #[default]
    General,
    /// A date, a time of day, or both, told by the number itself.
    Date {
        has_date: bool,
        has_time: bool,
    },
    /// Hours that go on beyond 24.
    Duration,
    Fixed {
        decimals: usize,
        is_percent: bool,
        before: String,
        after: String,
    },
}

/// The formats that have a number instead of a code.
pub(crate) fn builtin(id: u32) -> NumberFormat {
    let code = match id {
        1 => "0",
        2 => "0.00",
        3 | 37 | 38 | 41 => "#,##0",
        4 | 39 | 40 | 43 => "#,##0.00",
        9 => "0%",
        10 => "0.00%",
        // The currency of 5 to 8, 42 and 44 is that of the computer the sheet is shown on.
        5 | 6 | 42 => "#,##0",
        7 | 8 | 44 => "#,##0.00",
        14..=17 | 27..=31 | 34..=36 | 50..=54 | 57 | 58 => "yyyy-mm-dd",
        18..=21 | 32 | 33 | 45 | 47 | 55 | 56 => "hh:mm:ss",
        22 => "yyyy-mm-dd hh:mm",
        46 => "[h]:mm:ss",
        _ => return NumberFormat::General,
    };
    parse(code)
}

/// Reads a format code such as `#,##0.00 "kg"` or `[$-407]d. mmmm yyyy`; only its part for positive numbers counts.
pub(crate) fn parse(code: &str) -> NumberFormat {
    let mut scan = Scan::default();
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c {
            ';' => break,
            '"' => scan.literal(&chars.by_ref().take_while(|c| *c != '"').collect::<String>()),
            '\\' => scan.literal(&chars.next().map(String::from).unwrap_or_default()),
            // The width of a character, and one that fills the cell.
            '_' | '*' => drop(chars.next()),
            '[' => scan.bracket(&chars.by_ref().take_while(|c| *c != ']').collect::<String>()),
            'y' | 'Y' | 'd' | 'D' => scan.has_date = true,
            'h' | 'H' | 's' | 'S' => scan.has_time = true,
            // Months where it is about days, minutes where about hours.
            'm' | 'M' => scan.has_month = true,
            '0' | '#' | '?' => scan.digit(),
            '.' if scan.has_digits => scan.in_decimals = true,
            ',' if scan.has_digits && !scan.in_decimals => scan.pending_comma = true,
            '%' => scan.is_percent = true,
            'E' | 'e' | '/' | '@' | 'G' | 'g' => scan.is_general = true,
            ' ' | '-' | '+' | '(' | ')' | '$' | '€' | '£' | '¥' => scan.literal(&c.to_string()),
            _ => {}
        }
    }
    scan.format()
}

#[derive(Default)]
struct Scan {
    has_date: bool,
    has_time: bool,
    has_month: bool,
    is_duration: bool,
    is_general: bool,
    is_percent: bool,
    has_digits: bool,
    in_decimals: bool,
    /// A comma behind the digits divides by a thousand.
    pending_comma: bool,
    decimals: usize,
    before: String,
    after: String,
}

impl Scan {
    fn digit(&mut self) {
        self.has_digits = true;
        self.pending_comma = false;
        self.decimals += usize::from(self.in_decimals);
    }

    fn literal(&mut self, text: &str) {
        let words = if self.has_digits { &mut self.after } else { &mut self.before };
        // They are written with every cell.
        if words.len() + text.len() <= MAX_LITERAL_BYTES {
            words.push_str(text);
        }
    }

    /// A colour, a condition, a language with its currency, or hours that are counted on.
    fn bracket(&mut self, inside: &str) {
        if let Some(currency) = inside.strip_prefix('$') {
            let sign = currency.split('-').next().unwrap_or_default().to_owned();
            self.literal(&sign);
        } else if !inside.is_empty() && inside.chars().all(|c| matches!(c, 'h' | 'H' | 'm' | 'M' | 's' | 'S')) {
            self.is_duration = true;
        }
    }

    fn format(self) -> NumberFormat {
        if self.is_duration {
            return NumberFormat::Duration;
        }
        if self.has_date || self.has_time || (self.has_month && !self.has_digits) {
            let has_date = self.has_date || (self.has_month && !self.has_time);
            return NumberFormat::Date { has_date, has_time: self.has_time };
        }
        if self.is_general || !self.has_digits || self.pending_comma {
            return NumberFormat::General;
        }
        // Brackets mean less than nothing and have no place around a number that is more.
        let clean = |text: &str| text.replace(['(', ')', '-', '+'], "");
        let (before, after) = (clean(&self.before), clean(&self.after));
        NumberFormat::Fixed { decimals: self.decimals.min(15), is_percent: self.is_percent, before, after }
    }
}

impl NumberFormat {
    pub(crate) fn show(&self, value: f64, is_1904: bool) -> String {
        match self {
            Self::General => general(value),
            Self::Date { has_date, has_time } => {
                date(value, *has_date, *has_time, is_1904).unwrap_or_else(|| general(value))
            }
            Self::Duration => duration(value).unwrap_or_else(|| general(value)),
            Self::Fixed { decimals, is_percent, before, after } => {
                let value = if *is_percent { value * 100.0 } else { value };
                if !value.is_finite() || value.abs() >= 1e15 {
                    return general(value);
                }
                let number = fixed(value.abs(), *decimals);
                let sign = if value < 0.0 && number.bytes().any(|byte| matches!(byte, b'1'..=b'9')) { "-" } else { "" };
                let percent = if *is_percent { "%" } else { "" };
                format!("{sign}{}{number}{}{percent}", before.trim_start(), after.trim_end())
            }
        }
    }
}

/// With so many decimals; where the sheet shows none at all up to two are kept, as such a format often hides a rate.
fn fixed(value: f64, decimals: usize) -> String {
    // A half is rounded away from nothing, as spreadsheets do, also where its binary form is a little less.
    let value = value * (1.0 + 1e-15);
    if decimals > 0 {
        return format!("{value:.decimals$}");
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number in as few digits as tell it, at most fifteen, as spreadsheets reckon.
pub(crate) fn general(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    if value.fract() == 0.0 && value.abs() < 1e15 {
        let text = format!("{value:.0}");
        return if text == "-0" { "0".to_owned() } else { text };
    }
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    if rounded.abs() >= 1e21 || (rounded != 0.0 && rounded.abs() < 1e-9) {
        format!("{rounded:E}")
    } else {
        rounded.to_string()
    }
}

/// Days since the end of 1899, or since 1904; a fraction is the time of day.
fn date(value: f64, has_date: bool, has_time: bool, is_1904: bool) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&value) {
        return None;
    }
    // A second is the least that is shown: noon must not become 11:59:59.
    let seconds = whole(value * 86_400.0)?;
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let days = match (is_1904, days) {
        (true, days) => days - 24_107,
        // 1900 had no 29 February, but the first spreadsheet thought so.
        (false, days) if days < 60 => days - 25_568,
        (false, days) => days - 25_569,
    };
    let (year, month, day) = civil_from_days(days);
    let day = format!("{year:04}-{month:02}-{day:02}");
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    let time =
        if second == 0 { format!("{hour:02}:{minute:02}") } else { format!("{hour:02}:{minute:02}:{second:02}") };
    Some(match (has_date, has_time) {
        (true, true) if clock == 0 => day,
        (true, true) => format!("{day} {time}"),
        (true, false) => day,
        (false, _) if value >= 1.0 && clock == 0 => day,
        (false, _) => time,
    })
}

fn duration(days: f64) -> Option<String> {
    let seconds = whole(days.abs() * 86_400.0)?;
    let sign = if days < 0.0 { "-" } else { "" };
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let tail = if seconds == 0 { String::new() } else { format!(":{seconds:02}") };
    Some(format!("{sign}{hours}:{minutes:02}{tail}"))
}

/// A number without its fraction, where it is small enough to be exact.
fn whole(value: f64) -> Option<i64> {
    if !value.is_finite() || value.abs() >= 1e15 {
        return None;
    }
    format!("{:.0}", value.round()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &str, value: f64) -> String {
        parse(code).show(value, false)
    }

    #[test]
    fn numbers_are_shown_without_noise() {
        for (value, text) in [
            (2024.0, "2024"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (1e300, "1E300"),
            (123_456_789_012_345_680.0, "123456789012346000"),
            (f64::NAN, ""),
        ] {
            assert_eq!(general(value), text);
        }
    }

    #[test]
    fn formats_are_followed() {
        assert_eq!(shown("0%", 0.25), "25%");
        assert_eq!(shown("0.0%", 0.1234), "12.3%");
        assert_eq!(shown("0%", 0.1234), "12.34%");
        assert_eq!(shown("#,##0.00", 1234.5), "1234.50");
        assert_eq!(shown("#,##0.00\\ [$€-407];[Red]-#,##0.00", -12.5), "-12.50 €");
        assert_eq!(shown("_($* #,##0.00_)", 7.0), "$7.00");
        assert_eq!(shown("0.0\" kg\"", 2.25), "2.3 kg");
        assert_eq!(shown("#,##0,", 12_345.0), "12345");
        assert_eq!(shown("0.00E+00", 12_345.0), "12345");
        assert_eq!(shown("@", 12.0), "12");
        assert_eq!(shown("0.00", -0.001), "0.00");
    }

    #[test]
    fn dates_are_shown_as_iso() {
        assert_eq!(shown("dd/mm/yyyy", 45_443.0), "2024-05-31");
        assert_eq!(shown("[$-407]d. mmmm yyyy", 45_443.9), "2024-05-31");
        assert_eq!(shown("m/d/yy h:mm", 45_443.5), "2024-05-31 12:00");
        assert_eq!(shown("mmm yy", 45_443.0), "2024-05-31");
        assert_eq!(shown("h:mm AM/PM", 0.75), "18:00");
        assert_eq!(shown("[h]:mm", 1.5), "36:00");
        assert_eq!(shown("yyyy", 1.0), "1900-01-01");
        assert_eq!(parse("yyyy-mm-dd").show(1.0, true), "1904-01-02");
        assert_eq!(shown("yyyy-mm-dd", -5.0), "-5");
        assert_eq!(shown("yyyy-mm-dd", 1e300), "1E300");
        assert_eq!(shown("[Red]0.00", 1.0), "1.00");
        assert_eq!(builtin(14).show(45_443.0, false), "2024-05-31");
    }
}
