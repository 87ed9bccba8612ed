//! Numbers, times and places as people read them.

use std::path::{Path, PathBuf};

use sidenote::Document;

use crate::terminal::one_line;

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 document`, `1,200 documents`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", thousands(number))
}

/// Bytes with a decimal unit: `1.2 MB`.
pub(crate) fn bytes(number: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    // Tenths, so that rounding stays in integers.
    let mut tenths = (u128::from(number) + 50) / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < units.len() {
        tenths = (tenths + 500) / 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// A length of time: `12 ms`, `3.4 s`, `2 min 5 s`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor())
    }
}

/// Paths as short as they can be said from here.
#[derive(Clone, Debug)]
pub(crate) struct PathNames {
    here: Option<PathBuf>,
    home: Option<PathBuf>,
}

impl PathNames {
    /// Said from the working folder.
    pub(crate) fn from_here() -> Self {
        let home =
            std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.parent().is_some());
        Self { here: std::env::current_dir().ok().filter(|here| here.parent().is_some()), home }
    }

    /// Relative to the working folder, else with `~`, else whole; control characters made visible.
    pub(crate) fn short(&self, path: &Path) -> String {
        if let Some(rest) = self.here.as_ref().and_then(|here| path.strip_prefix(here).ok())
            && !rest.as_os_str().is_empty()
        {
            return one_line(&rest.to_string_lossy());
        }
        if let Some(rest) = self.home.as_ref().and_then(|home| path.strip_prefix(home).ok())
            && !rest.as_os_str().is_empty()
        {
            return one_line(&format!("~/{}", rest.to_string_lossy()));
        }
        one_line(&path.to_string_lossy())
    }

    /// A file, and which of its attachments or members: `offer.eml, terms.docx`.
    pub(crate) fn document(&self, path: &Path, part: Option<&str>) -> String {
        let mut name = self.short(path);
        if let Some(part) = part {
            name.push_str(&format!(", {}", one_line(part)));
        }
        name
    }

    /// Where a passage stands in a document: `handbook.pdf, p. 3 › Travel › Approval`.
    pub(crate) fn place(
        &self,
        document: &Document,
        page: Option<u32>,
        part: Option<&str>,
        heading: &[String],
    ) -> String {
        let mut place = self.document(&document.path, document.part.as_deref());
        if let Some(part) = part {
            place.push_str(&format!(", {}", one_line(part)));
        }
        if let Some(page) = page {
            place.push_str(&format!(", p. {page}"));
        }
        // The name of a sheet or the title of a slide may be the heading too.
        let is_said = |title: &str| part.is_some_and(|part| part.ends_with(title));
        for title in heading.iter().enumerate().filter(|(at, title)| *at > 0 || !is_said(title)).map(|(_, title)| title)
        {
            place.push_str(&format!(" › {}", one_line(title)));
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_separators_and_units() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 1200].map(|number| counted(number, "chunk")), ["0 chunks", "1 chunk", "1,200 chunks"]);
        assert_eq!(
            [0, 999, 1000, 1_250_000, 999_999_999, u64::MAX].map(bytes),
            ["0 B", "999 B", "1.0 kB", "1.3 MB", "1.0 GB", "18.4 EB"]
        );
        assert_eq!([0.0124, 3.44, 125.9].map(duration), ["12 ms", "3.4 s", "2 min 5 s"]);
    }

    #[test]
    fn paths_are_short_and_harmless() {
        let names = PathNames { here: Some("/home/a/work".into()), home: Some("/home/a".into()) };
        assert_eq!(names.short(Path::new("/home/a/work/b/c.md")), "b/c.md");
        assert_eq!(names.short(Path::new("/home/a/notes/c.md")), "~/notes/c.md");
        assert_eq!(names.short(Path::new("/srv/c.md")), "/srv/c.md");
        assert_eq!(names.short(Path::new("/srv/\u{1b}]0;x\u{7}.md")), "/srv/␛]0;x␇.md");
        assert_eq!(names.document(Path::new("/srv/c.eml"), Some("a\nb.pdf")), "/srv/c.eml, a b.pdf");
    }
}
