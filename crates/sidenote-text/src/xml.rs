//! XML of any kind: the text of its elements in normal form.
//!
//! Nothing is known of the file but the names that many formats share: titles, paragraphs, items, tables, listings. What has
//! none of these names is data: a short text alone in an element is written as `name: text`, so that a record is found by
//! what its fields are called. Feeds are told by their root and read entry by entry. A file that is not well-formed is text.

use crate::builder::DocumentBuilder;
use crate::markdown::fold_white;
use crate::xml_walk::{self, Step, Tag, Xml};
use crate::{Document, ExtractError, ExtractLimits, Format, extract, html, language, plain};

/// Elements inside of each other; a file that is deeper is text. Each costs its name and more in memory.
const MAX_DEPTH: usize = 500_000;
/// Longest text that is written as a field of its element.
const MAX_FIELD_BYTES: usize = 200;

/// Elements that stand inside of a line.
const INLINE: &[&str] = &[
    "a",
    "abbrev",
    "acronym",
    "b",
    "bold",
    "citetitle",
    "code",
    "command",
    "del",
    "em",
    "emph",
    "emphasis",
    "ext-link",
    "filename",
    "firstterm",
    "fn",
    "foreign",
    "foreignphrase",
    "function",
    "hi",
    "i",
    "ins",
    "italic",
    "link",
    "literal",
    "monospace",
    "option",
    "phrase",
    "q",
    "quote",
    "ref",
    "sc",
    "span",
    "strong",
    "style",
    "styled-content",
    "sub",
    "subscript",
    "sup",
    "superscript",
    "term",
    "tt",
    "u",
    "ulink",
    "uri",
    "userinput",
    "varname",
    "xref",
];
/// Elements that begin on a line of their own even in the middle of text.
const BLOCK: &[&str] = &[
    "article",
    "blockquote",
    "body",
    "chapter",
    "disp-quote",
    "div",
    "entry",
    "fig",
    "figure",
    "item",
    "itemizedlist",
    "li",
    "list",
    "list-item",
    "listitem",
    "note",
    "ol",
    "orderedlist",
    "p",
    "para",
    "preformat",
    "programlisting",
    "row",
    "screen",
    "sec",
    "section",
    "simpara",
    "table",
    "tr",
    "ul",
    "variablelist",
];
/// Elements whose text is prose, however short.
const PROSE: &[&str] = &[
    "abstract",
    "annotation",
    "body",
    "caption",
    "content",
    "desc",
    "description",
    "div",
    "dd",
    "dt",
    "line",
    "l",
    "p",
    "para",
    "paragraph",
    "q",
    "quote",
    "s",
    "simpara",
    "string",
    "summary",
    "t",
    "text",
    "v",
];
const TITLES: &[&str] = &["title", "head", "heading"];
const ITEMS: &[&str] = &["item", "li", "list-item", "listitem"];
const LISTINGS: &[&str] = &["literallayout", "preformat", "programlisting", "screen", "verbatim"];
/// Elements without words.
const SKIPPED: &[&str] =
    &["article-id", "binary", "contrib-id", "institution-id", "journal-id", "script", "style", "teiHeader"];

/// Reads an XML file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let (source, warning) = xml_walk::decode(bytes.to_vec());
    extract::check_length(&source, limits)?;
    let mut walker = Walker::new(limits);
    let mut xml = Xml::of_any_kind(&source, MAX_DEPTH);
    if let Err(error) = walker.walk(&mut xml) {
        let reason = if let ExtractError::Damaged(reason) = error { reason } else { error.to_string() };
        let mut document = plain::read(bytes, limits)?;
        document.warnings.push(format!("read as plain text, since the XML is not well-formed: {reason}"));
        return Ok(document);
    }
    if xml.depth() > 0 && !walker.builder.is_full() {
        walker.end_early();
        walker.builder.warn("the file ends in the middle of an element");
    }
    if let Some(warning) = warning.filter(|warning| warning.contains("guess") || warning.contains("replaced")) {
        walker.builder.warn(warning);
    }
    walker.write_fields();
    let language = walker.language.take();
    let mut document = walker.builder.finish()?;
    document.language = language;
    Ok(document)
}

/// An element that is open.
struct Open {
    name: String,
    /// It stands inside of a line.
    is_inline: bool,
    has_children: bool,
    has_title: bool,
    /// Its attributes, for when it has no text.
    attributes: String,
}

struct Walker<'a> {
    builder: DocumentBuilder,
    limits: &'a ExtractLimits,
    language: Option<String>,
    open: Vec<Open>,
    /// How many of them have a title.
    titled: usize,
    /// Text that was read and not written.
    text: String,
    /// Whether it holds more than white space. Asked at every element, while the text may be long.
    has_words: bool,
    /// Lines of the record that is read.
    fields: Vec<String>,
    /// How many elements were open when one began that is taken as a whole.
    whole: Option<(usize, Whole)>,
    table: Option<Table>,
    entry: Option<Entry>,
    is_feed: bool,
}

/// Elements whose text is taken with all that is in them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Title,
    Listing,
    Skipped,
    Field,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    /// The first row is the header.
    has_header: bool,
}

/// An entry of a feed.
#[derive(Default)]
struct Entry {
    title: String,
    fields: Vec<String>,
    summary: String,
    content: String,
}

impl<'a> Walker<'a> {
    fn new(limits: &'a ExtractLimits) -> Self {
        Self {
            builder: DocumentBuilder::new(Format::Xml, limits),
            limits,
            language: None,
            open: Vec::new(),
            titled: 0,
            text: String::new(),
            has_words: false,
            fields: Vec::new(),
            whole: None,
            table: None,
            entry: None,
            is_feed: false,
        }
    }

    fn walk(&mut self, xml: &mut Xml<'_>) -> Result<(), ExtractError> {
        while let Some(step) = xml.next()? {
            match step {
                Step::Open(tag) => self.begin(&tag),
                Step::Close(_) => self.end(),
                Step::Text(text) => {
                    if !matches!(self.whole, Some((_, Whole::Skipped))) {
                        self.has_words |= !text.trim().is_empty();
                        self.text.push_str(&text);
                    }
                }
            }
            if self.builder.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Writes what stands in elements that the file does not end.
    fn end_early(&mut self) {
        while !self.open.is_empty() {
            self.end();
        }
    }

    fn begin(&mut self, element: &Tag<'_>) {
        let name = element.name();
        if self.open.is_empty() {
            self.is_feed = matches!(name, "rss" | "feed" | "RDF");
            self.language = element.attr("lang").as_deref().and_then(language::from_tag);
        }
        let is_block = self.open.is_empty() || self.is_feed;
        let is_inline = self.whole.is_some() || (!is_block && self.is_in_line(name));
        if is_inline {
            // Elements of unknown names part words, those that set a letter apart do not.
            if !INLINE.contains(&name) && self.whole.is_none_or(|(_, whole)| whole != Whole::Listing) {
                self.text.push(' ');
            }
        } else {
            self.flush(false);
            self.begin_block(name, element);
        }
        if let Some(parent) = self.open.last_mut() {
            parent.has_children |= !is_inline;
        }
        let attributes = if is_inline { String::new() } else { attributes_of(element) };
        let open = Open { name: name.to_owned(), is_inline, has_children: false, has_title: false, attributes };
        self.open.push(open);
    }

    fn clear(&mut self) {
        self.text.clear();
        self.has_words = false;
    }

    fn take_text(&mut self) -> String {
        self.has_words = false;
        std::mem::take(&mut self.text)
    }

    fn is_in_line(&self, name: &str) -> bool {
        let in_cell = self.table.is_some() && !matches!(name, "thead" | "tbody" | "tr" | "row" | "th" | "td" | "entry");
        in_cell || INLINE.contains(&name) || (!BLOCK.contains(&name) && self.has_words)
    }

    fn begin_block(&mut self, name: &str, element: &Tag<'_>) {
        let depth = self.open.len();
        if self.is_feed {
            if matches!(name, "item" | "entry") {
                self.entry = Some(Entry::default());
            } else if self.entry.is_some() || !matches!(name, "rss" | "feed" | "RDF" | "channel") {
                self.whole = Some((depth, Whole::Field));
                if name == "language" || name == "link" {
                    // A link of Atom is an attribute, and no words either way.
                    self.clear();
                }
            }
            return;
        }
        let parent = self.open.last().map(|open| open.name.as_str());
        if TITLES.contains(&name) || (name == "article-title" && parent == Some("title-group")) {
            self.whole = Some((depth, Whole::Title));
        } else if LISTINGS.contains(&name) {
            self.whole = Some((depth, Whole::Listing));
        } else if SKIPPED.contains(&name) {
            self.whole = Some((depth, Whole::Skipped));
        } else if matches!(name, "table" | "tgroup") && self.table.is_none() {
            self.write_fields();
            self.table = Some(Table::default());
        } else if let Some(table) = &mut self.table
            && table.rows.is_empty()
        {
            table.has_header |= name == "thead" || (name == "th" && element.attr("scope").is_none_or(|s| s == "col"));
        }
    }

    fn end(&mut self) {
        let Some(element) = self.open.pop() else { return };
        self.titled -= usize::from(element.has_title);
        if let Some((depth, whole)) = self.whole {
            if depth == self.open.len() {
                self.whole = None;
                self.end_whole(whole, &element.name);
            } else if whole == Whole::Field {
                self.text.push(' ');
            }
            return;
        }
        if let Some(table) = &mut self.table {
            match element.name.as_str() {
                "td" | "th" | "entry" => {
                    self.has_words = false;
                    table.row.push(std::mem::take(&mut self.text));
                }
                "tr" | "row" => {
                    let row = std::mem::take(&mut table.row);
                    table.rows.push(row);
                    self.clear();
                }
                "table" | "tgroup" => {
                    if let Some(table) = self.table.take() {
                        self.builder.table(table.rows, table.has_header);
                    }
                    self.clear();
                }
                _ => self.text.push(' '),
            }
            return;
        }
        if element.is_inline {
            if !INLINE.contains(&element.name.as_str()) {
                self.text.push(' ');
            }
            return;
        }
        if self.is_feed {
            self.end_of_feed(&element.name);
            return;
        }
        self.open.push(element);
        self.flush(true);
        let element = self.open.pop();
        if element.is_some_and(|element| element.has_children) {
            self.write_fields();
        }
    }

    fn end_whole(&mut self, whole: Whole, name: &str) {
        let text = self.take_text();
        match whole {
            Whole::Skipped => {}
            Whole::Title => {
                self.write_fields();
                let own = self.open.last().map_or(0, |parent| usize::from(parent.has_title));
                let level = 1 + self.titled - own;
                self.builder.heading(u8::try_from(level).unwrap_or(6), &text);
                if let Some(parent) = self.open.last_mut().filter(|parent| !parent.has_title) {
                    parent.has_title = true;
                    self.titled += 1;
                }
            }
            Whole::Listing => {
                self.write_fields();
                self.builder.preformatted(&text);
            }
            Whole::Field => self.end_of_field(name, text),
        }
    }

    /// A field of a feed or of one of its entries.
    fn end_of_field(&mut self, name: &str, text: String) {
        let Some(entry) = &mut self.entry else {
            match name {
                "title" => self.builder.heading(1, &text),
                "description" | "subtitle" => self.write_page(&text),
                "language" => self.language = language::from_tag(&text),
                _ => {}
            }
            return;
        };
        match name {
            "title" => entry.title = page_text(&text, self.limits),
            "description" | "summary" => entry.summary = text,
            "content" | "encoded" => entry.content = text,
            "author" | "creator" | "contributor" | "category" | "pubDate" | "published" | "date" => {
                let text = fold_white(&text);
                let label = format!("{name}: ");
                match entry.fields.last_mut().filter(|last| last.starts_with(&label)) {
                    _ if text.is_empty() => {}
                    Some(last) => last.push_str(&format!(", {text}")),
                    None => entry.fields.push(label + &text),
                }
            }
            _ => {}
        }
    }

    fn end_of_feed(&mut self, name: &str) {
        self.clear();
        if !matches!(name, "item" | "entry") {
            return;
        }
        let Some(entry) = self.entry.take() else { return };
        self.builder.heading(2, &entry.title);
        self.builder.paragraph(&entry.fields.join("\n"));
        // The summary is the beginning of the content, or the content is left out.
        let text = if entry.content.trim().is_empty() { entry.summary } else { entry.content };
        self.write_page(&text);
    }

    /// Writes text that may be HTML.
    fn write_page(&mut self, text: &str) {
        if !text.contains(['<', '&']) {
            self.builder.paragraph(text);
        } else if let Ok(page) = html::read(text.as_bytes(), self.limits) {
            self.builder.append(page, 2);
        } else {
            self.builder.paragraph(text);
        }
    }

    /// Writes the text that was read, as what its element says it is.
    fn flush(&mut self, is_end: bool) {
        let text = fold_white(&self.text);
        self.clear();
        let Some(element) = self.open.last() else { return };
        let is_leaf = is_end && !element.has_children;
        let name = element.name.as_str();
        let parent = self.open.len().checked_sub(2).and_then(|index| self.open.get(index));
        if text.is_empty() {
            if is_leaf && !element.attributes.is_empty() {
                self.fields.push(format!("{name}: {}", element.attributes));
            }
        } else if ITEMS.contains(&name)
            || parent.is_some_and(|parent| ITEMS.contains(&parent.name.as_str())) && PROSE.contains(&name)
        {
            self.write_fields();
            self.builder.item(0, &text);
        } else if is_leaf && !PROSE.contains(&name) && text.len() <= MAX_FIELD_BYTES {
            self.fields.push(format!("{name}: {text}"));
        } else {
            self.write_fields();
            self.builder.paragraph(&text);
        }
    }

    fn write_fields(&mut self) {
        if !self.fields.is_empty() {
            self.builder.paragraph(&self.fields.join("\n"));
            self.fields.clear();
        }
    }
}

/// The text of what may be HTML, on one line.
fn page_text(text: &str, limits: &ExtractLimits) -> String {
    if !text.contains(['<', '&']) {
        return fold_white(text);
    }
    html::read(text.as_bytes(), limits).map_or_else(|_| fold_white(text), |page| fold_white(&page.text))
}

/// Attributes that may be data: not names of namespaces, ids and places of other files.
fn attributes_of(element: &Tag<'_>) -> String {
    let is_data = |key: &str, value: &str| {
        !key.starts_with("xml")
            && !key.contains(':')
            && !matches!(key, "id" | "class" | "style" | "href" | "src")
            && !value.is_empty()
    };
    let data = element.attrs().filter(|(key, value)| is_data(key, value)).take(20);
    data.map(|(key, value)| format!("{key} {}", fold_white(&value))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_xml(source: &str) -> Document {
        read(source.as_bytes(), &ExtractLimits::default()).expect("reads")
    }

    #[test]
    fn records_are_fields_with_their_names() {
        let source = "<book><country><name>Canada</name><capital>Ottawa</capital><area km2='9984670'/></country>\
                      <country><name>Trinidad &amp; Tobago</name></country></book>";
        assert_eq!(
            read_xml(source).text,
            "name: Canada\ncapital: Ottawa\narea: km2 9984670\n\nname: Trinidad & Tobago"
        );
    }

    #[test]
    fn sections_have_headings_and_prose_stays_prose() {
        let source = "<article xml:lang='de'><title>Pumps</title><section><title>Seals <emphasis>and</emphasis> rings</title>\
                      <para>A <emphasis>seal</emphasis> is H<subscript>2</subscript>O tight.</para><itemizedlist><listitem><para>one</para></listitem>\
                      <listitem><para>two</para></listitem></itemizedlist><programlisting>a\n  b</programlisting></section></article>";
        let document = read_xml(source);
        assert_eq!(document.text, "Pumps\n\nSeals and rings\n\nA seal is H2O tight.\n\n- one\n- two\n\na\n  b");
        let outline: Vec<_> = document.headings.iter().map(|heading| (heading.level, heading.title.as_str())).collect();
        assert_eq!(outline, [(1, "Pumps"), (2, "Seals and rings")]);
        assert_eq!((document.title.as_deref(), document.language.as_deref()), (Some("Pumps"), Some("de")));
    }

    #[test]
    fn tables_keep_rows_and_header() {
        let source = "<doc><table><thead><row><entry>Part</entry><entry>Price</entry></row></thead><tbody><row><entry><para>Seal</para></entry>\
                      <entry>4</entry></row></tbody></table><p>end</p></doc>";
        let document = read_xml(source);
        assert_eq!(document.text, "Part | Price\nSeal | 4\n\nend");
        assert_eq!(document.tables[0].header.slice(&document.text), Some("Part | Price"));
    }

    #[test]
    fn feeds_are_read_entry_by_entry() {
        let source = "<rss><channel><title>News</title><link>https://x</link><item><title>One &amp;amp; all</title>\
                      <creator>Ruth</creator><category>a</category><category>b</category><description>short</description><encoded>&lt;p&gt;The &lt;b&gt;long&lt;/b&gt; text</encoded></item>\
                      <item><title>Two</title><description>Only this.</description></item></channel></rss>";
        let document = read_xml(source);
        assert_eq!(
            document.text,
            "News\n\nOne & all\n\ncreator: Ruth\ncategory: a, b\n\nThe long text\n\nTwo\n\nOnly this."
        );
        assert_eq!(document.headings.iter().map(|heading| heading.level).collect::<Vec<_>>(), [1, 2, 2]);
        let atom = "<feed><title>News</title><entry><title>One</title><content type='xhtml'><div><p>a</p><p>b</p></div></content></entry></feed>";
        assert_eq!(read_xml(atom).text, "News\n\nOne\n\na b");
    }

    #[test]
    fn a_file_that_is_cut_off_keeps_what_it_has() {
        let document = read_xml("<article><title>Pumps</title><para>A seal</para><para>is ti");
        assert_eq!(document.text, "Pumps\n\nA seal\n\nis ti");
        assert_eq!(document.warnings, ["the file ends in the middle of an element"]);
    }

    #[test]
    fn what_is_not_well_formed_is_text() {
        let document = read_xml("<a>text<b></a>");
        assert_eq!((document.format, document.text.as_str()), (Format::Text, "<a>text<b></a>"));
        assert!(document.warnings[0].contains("not well-formed"));
    }

    #[test]
    fn depth_and_entities_cost_nothing() {
        let deep = format!("{}text{}", "<a><b><title>t</title>".repeat(100_000), "</b></a>".repeat(100_000));
        assert!(read_xml(&deep).text.ends_with("text"));
        let laughs = "<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><l><p>&b;&b;</p></l>";
        assert_eq!(read_xml(laughs).text, "&b; &b;".replace(' ', ""));
        let attributes: String = (0..100_000).map(|number| format!(" a{number}='1'")).collect();
        assert!(read_xml(&format!("<r><one{attributes}/></r>")).text.starts_with("one: a0 1"));
    }
}
