//! E-books: the chapters in the order in which they are read, each through the reader for HTML.
//!
//! An EPUB is a zip of pages with two files that describe it: `META-INF/container.xml` names the package file, and that gives
//! title and author, names the pages and puts them in order. Where it is broken all pages are read by name. Pages are XHTML,
//! which closes elements where HTML does not; that is undone before they are read.

use std::collections::{HashMap, HashSet};

use crate::archive::Package;
use crate::builder::DocumentBuilder;
use crate::markdown::fold_white;
use crate::members::Budget;
use crate::xml_walk::{self, Piece};
use crate::{Document, ExtractError, ExtractLimits, Format, extract, html, language};

/// Whether a file is an e-book: its first member says so, uncompressed, at a fixed place.
pub(crate) fn is_book(bytes: &[u8], extension: &str) -> bool {
    let is_zip = bytes.starts_with(b"PK\x03\x04");
    is_zip && (extension == "epub" || bytes.get(30..58) == Some(b"mimetypeapplication/epub+zip"))
}

/// Reads an e-book.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let budget = Budget::new();
    let mut package = Package::open(bytes)?;
    if is_locked(&mut package, &budget) {
        return Err(ExtractError::Encrypted);
    }
    let book = describe(&mut package, &budget);
    let mut builder = DocumentBuilder::new(Format::Epub, limits);
    if let Some(description) = &book.description {
        builder.append(html::read(description.as_bytes(), limits)?, 0);
    }
    let mut pages = book.pages;
    if pages.is_empty() {
        pages = package.names().filter(|name| has_page_extension(name)).collect();
        pages.sort_unstable();
        builder.warn("the order of the chapters is not known; they stand in the order of their names");
    }
    for page in pages {
        if builder.is_full() {
            break;
        }
        match package.read(&page, &budget) {
            Ok(bytes) => {
                let (source, _) = xml_walk::decode(&bytes);
                builder.append(html::read(as_html(&source).as_bytes(), limits)?, 0);
            }
            Err(reason) => builder.warn(format!("chapter `{page}` was not read: {reason}")),
        }
    }
    let document = builder.document();
    document.title = book.title;
    document.author = (!book.authors.is_empty()).then(|| book.authors.join(", "));
    document.created_unix_ms = book.date.as_deref().and_then(unix_ms_of_day);
    document.language = book.language;
    builder.finish()
}

fn has_page_extension(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".xhtml", ".html", ".htm"].iter().any(|extension| name.ends_with(extension))
}

/// Whether pages are encrypted. Fonts may be, in two ways that keep nobody out.
fn is_locked(package: &mut Package<'_>, budget: &Budget) -> bool {
    let Ok(bytes) = package.read("META-INF/encryption.xml", budget) else { return false };
    let mut is_locked = false;
    let _ = xml_walk::walk(&xml_walk::decode(&bytes).0, &mut |piece| {
        if let Piece::Open(element) = piece
            && element.name() == "EncryptionMethod"
        {
            let algorithm = element.attribute("Algorithm").unwrap_or_default();
            is_locked |= !algorithm.contains("idpf.org/2008/embedding") && !algorithm.contains("ns.adobe.com/pdf/enc");
        }
        true
    });
    is_locked
}

#[derive(Default)]
struct Book {
    title: Option<String>,
    authors: Vec<String>,
    language: Option<String>,
    date: Option<String>,
    /// What the publisher says of it; may be HTML.
    description: Option<String>,
    /// Names of the pages in the zip, in the order of reading.
    pages: Vec<String>,
}

fn describe(package: &mut Package<'_>, budget: &Budget) -> Book {
    let Some(name) = package_file(package, budget) else { return Book::default() };
    let Ok(bytes) = package.read(&name, budget) else { return Book::default() };
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut book = Book::default();
    let mut manifest: HashMap<String, String> = HashMap::new();
    let mut spine: Vec<String> = Vec::new();
    let mut text = String::new();
    let _ = xml_walk::walk(&xml_walk::decode(&bytes).0, &mut |piece| {
        match piece {
            Piece::Open(element) => {
                text.clear();
                let attribute = |name: &str| element.attribute(name).unwrap_or_default();
                match element.name() {
                    // The table of contents says again what the headings say.
                    "item" if !attribute("properties").split(' ').any(|property| property == "nav") => {
                        let (kind, href) = (attribute("media-type"), attribute("href"));
                        if kind.contains("html") || has_page_extension(&href) {
                            manifest.insert(attribute("id"), resolve(folder, &href));
                        }
                    }
                    "itemref" => spine.push(attribute("idref")),
                    _ => {}
                }
            }
            Piece::Text(more) => text.push_str(more),
            Piece::Close(name) => {
                let value = fold_white(&text);
                match name {
                    "title" if book.title.is_none() => book.title = extract::sane_title(&value),
                    "creator" if !value.is_empty() => book.authors.push(value),
                    "language" if book.language.is_none() => book.language = language::from_tag(&value),
                    "description" if !value.is_empty() => book.description = Some(value),
                    "date" if book.date.is_none() => book.date = Some(value),
                    _ => {}
                }
                text.clear();
            }
        }
        true
    });
    let mut seen = HashSet::new();
    book.pages = spine.iter().filter_map(|id| manifest.get(id)).filter(|page| seen.insert(*page)).cloned().collect();
    book
}

fn package_file(package: &mut Package<'_>, budget: &Budget) -> Option<String> {
    let bytes = package.read("META-INF/container.xml", budget).ok()?;
    let mut name = None;
    let _ = xml_walk::walk(&xml_walk::decode(&bytes).0, &mut |piece| {
        if let Piece::Open(element) = piece
            && element.name() == "rootfile"
        {
            name = element.attribute("full-path");
        }
        name.is_none()
    });
    name
}

/// A member's name from where it is named: relative to the package file, written as in a link.
fn resolve(folder: &str, href: &str) -> String {
    let path = href.split('#').next().unwrap_or(href);
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    let decoded = percent_decoded(path);
    for step in decoded.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}

fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        if let (b'%', Some(byte)) = (first, hex) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Elements that HTML knows to be empty; any other needs its end.
const VOID: &[&str] =
    &["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// XHTML written as HTML: `<title/>` would open a title that never ends. Notes and ends of chapters, which a page on the web
/// may leave out as its surroundings, belong to a book.
fn as_html(source: &str) -> String {
    let mut html = String::with_capacity(source.len() + source.len() / 16);
    let mut rest = source;
    while let Some((text, markup)) = rest.split_once('<') {
        html.push_str(text);
        let Some((tag, after)) =
            markup.split_once('>').filter(|(tag, _)| tag.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic()))
        else {
            html.push('<');
            rest = markup;
            continue;
        };
        rest = after;
        let (slash, body) = tag.strip_prefix('/').map_or(("", tag), |body| ("/", body));
        let (body, is_empty) = body.strip_suffix('/').map_or((body, false), |body| (body, true));
        let end = body.find(|c: char| c.is_ascii_whitespace()).unwrap_or(body.len());
        let (name, attributes) = body.split_at(end);
        let shown = if matches!(name, "aside" | "footer") { "div" } else { name };
        html.push_str(&format!("<{slash}{shown}{attributes}>"));
        if is_empty && slash.is_empty() && !VOID.contains(&name) {
            html.push_str(&format!("</{shown}>"));
        }
    }
    html.push_str(rest);
    html
}

/// The beginning of a day such as `2011-04-12`, or of a year or month, in milliseconds since 1970.
fn unix_ms_of_day(date: &str) -> Option<i64> {
    let mut parts = date.trim().split(['-', 'T', ' ']);
    let year: i64 = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let mut part = |range: std::ops::RangeInclusive<i64>| {
        let number = parts.next().map_or(Some(1), |part| part.parse::<i64>().ok())?;
        range.contains(&number).then_some(number)
    };
    let (month, day) = (part(1..=12)?, part(1..=31)?);
    // Years that begin in March put the odd day last, where it moves no other.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_get_an_end_and_notes_stay() {
        let source = "<html><head><title/></head><body><a id=\"x\"/><p>a<br/>b</p><aside epub:type=\"footnote\">note</aside></body></html>";
        let document = html::read(as_html(source).as_bytes(), &ExtractLimits::default()).expect("reads");
        assert_eq!(document.text, "a\nb\n\nnote");
        assert_eq!(as_html("a < b <!-- <p/> --> c"), "a < b <!-- <p></p> --> c");
    }

    #[test]
    fn names_of_pages_are_resolved_as_links() {
        assert_eq!(resolve("OEBPS", "text/a%20b.xhtml#n"), "OEBPS/text/a b.xhtml");
        assert_eq!(resolve("OEBPS/x", "../a.xhtml"), "OEBPS/a.xhtml");
        assert_eq!(resolve("", "../../a%zz.xhtml"), "a%zz.xhtml");
    }

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(unix_ms_of_day("1970-01-01"), Some(0));
        assert_eq!(unix_ms_of_day("2000-03-01T12:00:00Z"), Some(951_868_800_000));
        assert_eq!(unix_ms_of_day("2011"), Some(1_293_840_000_000));
        assert_eq!(unix_ms_of_day("1922-02"), Some(-1_512_086_400_000));
        for odd in ["", "soon", "2011-13-01", "12 April 2011"] {
            assert_eq!(unix_ms_of_day(odd), None, "{odd}");
        }
    }
}
