//! What an office file says of itself: title, author, when it was made, language. A file without it, or with a broken one,
//! is read all the same.

use crate::builder::DocumentBuilder;
use crate::markdown::fold_white;
use crate::members::Budget;
use crate::package::Package;
use crate::xml_walk::{Step, Xml};
use crate::{Document, ExtractError, extract, language};

/// Opens a package of OOXML, with its own description read. Gives the name of its main part too, which is `usual` where the
/// package does not say.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    budget: &'a Budget,
    usual: &str,
    document: &mut Document,
) -> Result<(Package<'a>, String), ExtractError> {
    let mut package = Package::open(bytes, budget)?;
    let relations = package.relations("").unwrap_or_default();
    let core = relations.target_of("core-properties").unwrap_or("docProps/core.xml");
    read(&mut package, core, document);
    let main = relations.target_of("officeDocument").unwrap_or(usual).to_owned();
    Ok((package, main))
}

/// Reads the Dublin Core fields of a part: `core.xml` of OOXML and `meta.xml` of ODF hold the same ones.
pub(crate) fn read(package: &mut Package<'_>, part: &str, document: &mut Document) {
    if let Ok(Some(source)) = package.text(part) {
        // What stands before the place where it is broken counts.
        let _ = read_fields(&mut Xml::new(part, &source), document);
    }
}

fn read_fields(xml: &mut Xml<'_>, document: &mut Document) -> Result<(), ExtractError> {
    let mut last_author = None;
    while let Some(step) = xml.next()? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            "title" => document.title = extract::sane_title(&xml.text()?).filter(|title| !is_filler(title)),
            // In ODF the creator is who saved it last.
            "initial-creator" => document.author = authors(&xml.text()?),
            "creator" => last_author = authors(&xml.text()?),
            "created" | "creation-date" => document.created_unix_ms = unix_ms(&xml.text()?),
            "language" => document.language = language::from_tag(xml.text()?.trim()),
            _ => continue,
        }
    }
    if document.author.is_none() {
        document.author = last_author;
    }
    Ok(())
}

/// What programs write where nobody gave a title.
pub(crate) fn is_filler(title: &str) -> bool {
    let title = title.to_lowercase();
    title == "slide 1" || title.starts_with("powerpoint")
}

/// The document. A sheet or a slide that is called by its number gives it no title: `Sheet1`, `Slide 1`, `Tabelle1`.
///
/// # Errors
/// As [`DocumentBuilder::finish`].
pub(crate) fn finish(mut builder: DocumentBuilder) -> Result<Document, ExtractError> {
    let has_own = builder.document().title.is_some();
    let mut document = builder.finish()?;
    let is_numbered = |title: &str| {
        let word = title.trim_end_matches(|c: char| c.is_ascii_digit());
        word.len() < title.len() && word.trim_end().chars().all(char::is_alphabetic)
    };
    if !has_own && document.title.as_deref().is_some_and(is_numbered) {
        document.title = None;
    }
    Ok(document)
}

/// Names joined by `, `; OOXML parts them by semicolons.
pub(crate) fn authors(raw: &str) -> Option<String> {
    let names: Vec<String> = raw.split(';').map(fold_white).filter(|name| !name.is_empty()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Milliseconds since 1970 of a date as XML writes it: `2024-05-31`, `2024-05-31T13:45:00Z`, `…+02:00`. Without a zone it
/// is taken for UTC.
pub(crate) fn unix_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let mut fields = date.splitn(3, '-');
    let year: i64 = fields.next()?.parse().ok()?;
    let month: i64 = fields.next().unwrap_or("1").parse().ok()?;
    let day: i64 = fields.next().unwrap_or("1").parse().ok()?;
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let mut fields = clock.split(':').map(|field| field.split('.').next().unwrap_or(field));
    let mut part = |top: i64| match fields.next() {
        None | Some("") => Some(0),
        Some(field) => field.parse::<i64>().ok().filter(|value| (0..=top).contains(value)),
    };
    let (hour, minute, second) = (part(24)?, part(59)?, part(60)?);
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some((seconds - zone_seconds(zone)?) * 1_000)
}

/// Seconds east of Greenwich of `Z`, `+02:00` or nothing.
fn zone_seconds(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Some(0),
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..=18).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Days from 1970-01-01 in the Gregorian calendar, reckoned in years that begin in March.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The other way: year, month and day.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    #[test]
    fn dates_become_milliseconds() {
        assert_eq!(unix_ms("1970-01-02"), Some(86_400_000));
        assert_eq!(unix_ms("2024-02-29T12:30:15Z"), Some(1_709_209_815_000));
        assert_eq!(unix_ms("2024-02-29T14:30:15.123+02:00"), Some(1_709_209_815_000));
        assert_eq!(unix_ms("2013"), Some(1_356_998_400_000));
        for broken in ["", "soon", "2024-13-01", "2024-01-01T25:99", "99999999999-01-01", "2024-01-01Tü"] {
            assert_eq!(unix_ms(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_numbered_sheet_is_no_title() {
        for (heading, title) in
            [("Sheet1", None), ("Slide 12", None), ("2024", None), ("Prices 2024 net", Some("Prices 2024 net"))]
        {
            let mut builder = DocumentBuilder::new(Format::Xlsx, &crate::ExtractLimits::default());
            builder.heading(1, heading);
            assert_eq!(finish(builder).expect("fits").title.as_deref(), title);
        }
    }

    #[test]
    fn days_are_counted_both_ways() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
    }

    #[test]
    fn the_first_author_counts_and_names_are_joined() {
        let mut document = Document::of_text(Format::Docx, String::new());
        let source = "<m><dc:title>Travel rules</dc:title><initial-creator>Anna</initial-creator><dc:creator>Bo</dc:creator>\
                      <dc:language>de-DE</dc:language></m>";
        read_fields(&mut Xml::new("meta.xml", source), &mut document).expect("reads");
        assert_eq!(document.author.as_deref(), Some("Anna"));
        assert_eq!((document.title.as_deref(), document.language.as_deref()), (Some("Travel rules"), Some("de")));
        assert_eq!(authors("Anna ; Bo;"), Some("Anna, Bo".to_owned()));
        assert_eq!(authors("  "), None);
    }
}
