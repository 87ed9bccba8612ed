//! E-books: the chapters in the order in which they are read, each through the reader for HTML.
//!
//! An EPUB is a zip of pages with two files that describe it: `META-INF/container.xml` names the package file, and that gives
//! title and author, names the pages and puts them in order. Where it is broken all pages are read by name. Pages are XHTML,
//! which closes elements where HTML does not; that is undone before they are read.

use std::collections::{HashMap, HashSet};

use crate::builder::DocumentBuilder;
use crate::markdown::fold_white;
use crate::members::Budget;
use crate::package::{self, Package};
use crate::xml_walk::{self, Step, Xml};
use crate::{Document, ExtractError, ExtractLimits, Format, extract, html, language, office_meta};

/// Whether a file is an e-book: its first member says so, uncompressed, at a fixed place.
pub(crate) fn is_book(bytes: &[u8], extension: &str) -> bool {
    let is_zip = bytes.starts_with(b"PK\x03\x04");
    is_zip && (extension == "epub" || bytes.get(30..58) == Some(b"mimetypeapplication/epub+zip"))
}

/// Reads an e-book.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits, budget: &Budget) -> Result<Document, ExtractError> {
    let mut package = Package::open(bytes, budget)?;
    if is_locked(&mut package) {
        return Err(ExtractError::Encrypted);
    }
    let book = describe(&mut package);
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
        match package.bytes(&page) {
            Ok(Some(bytes)) => {
                let (source, _) = xml_walk::decode(bytes);
                builder.append(html::read(as_html(&source).as_bytes(), limits)?, 0);
            }
            Ok(None) => builder.warn(format!("chapter `{page}` was not read: it is missing")),
            Err(error) => builder.warn(format!("chapter `{page}` was not read: {error}")),
        }
    }
    let document = builder.document();
    document.title = book.title;
    document.author = (!book.authors.is_empty()).then(|| book.authors.join(", "));
    document.created_unix_ms = book.date.as_deref().and_then(office_meta::unix_ms);
    document.language = book.language;
    builder.finish()
}

fn has_page_extension(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".xhtml", ".html", ".htm"].iter().any(|extension| name.ends_with(extension))
}

/// Whether pages are encrypted. Fonts may be, in two ways that keep nobody out.
fn is_locked(package: &mut Package<'_>) -> bool {
    let algorithms = attributes(package, "META-INF/encryption.xml", "EncryptionMethod", "Algorithm");
    algorithms
        .iter()
        .any(|algorithm| !algorithm.contains("idpf.org/2008/embedding") && !algorithm.contains("ns.adobe.com/pdf/enc"))
}

/// The values of an attribute in all elements of a name, as far as the part can be read.
fn attributes(package: &mut Package<'_>, part: &str, element: &str, attribute: &str) -> Vec<String> {
    let Ok(Some(source)) = package.text(part) else { return Vec::new() };
    let mut xml = Xml::new(part, &source);
    let mut values = Vec::new();
    while let Ok(Some(step)) = xml.next() {
        if let Step::Open(tag) = step
            && tag.name() == element
        {
            values.push(tag.attr(attribute).unwrap_or_default());
        }
    }
    values
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

fn describe(package: &mut Package<'_>) -> Book {
    let roots = attributes(package, "META-INF/container.xml", "rootfile", "full-path");
    let Some(name) = roots.into_iter().find(|name| !name.is_empty()) else { return Book::default() };
    let Ok(Some(source)) = package.text(&name) else { return Book::default() };
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut book = Book::default();
    let mut manifest: HashMap<String, String> = HashMap::new();
    let mut spine: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut xml = Xml::new(&name, &source);
    // What stands before the place where it is broken counts.
    while let Ok(Some(step)) = xml.next() {
        match step {
            Step::Open(tag) => {
                text.clear();
                let attribute = |name: &str| tag.attr(name).unwrap_or_default();
                match tag.name() {
                    // The table of contents says again what the headings say.
                    "item" if !attribute("properties").split(' ').any(|property| property == "nav") => {
                        let (kind, href) = (attribute("media-type"), attribute("href"));
                        if kind.contains("html") || has_page_extension(&href) {
                            manifest.insert(attribute("id"), name_of_page(folder, &href));
                        }
                    }
                    "itemref" => spine.push(attribute("idref")),
                    _ => {}
                }
            }
            Step::Text(more) => text.push_str(&more),
            Step::Close(end) => {
                let value = fold_white(&text);
                match end.name() {
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
    }
    let mut seen = HashSet::new();
    book.pages = spine.iter().filter_map(|id| manifest.get(id)).filter(|page| seen.insert(*page)).cloned().collect();
    book
}

/// A page's name from where it is named: relative to the package file, written as in a link.
fn name_of_page(folder: &str, href: &str) -> String {
    package::resolve(folder, &percent_decoded(href.split('#').next().unwrap_or(href)))
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
        // Looked for only behind what begins a tag, and once there is none, no more: every search may go to the end.
        let is_tag = markup.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic());
        let Some((tag, after)) = is_tag.then(|| markup.split_once('>')).flatten() else {
            html.push('<');
            rest = markup;
            if is_tag {
                break;
            }
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
        assert_eq!(name_of_page("OEBPS", "text/a%20b.xhtml#n"), "OEBPS/text/a b.xhtml");
        assert_eq!(name_of_page("OEBPS/x", "../a.xhtml"), "OEBPS/a.xhtml");
        assert_eq!(name_of_page("", "../../a%zz.xhtml"), "a%zz.xhtml");
    }
}
