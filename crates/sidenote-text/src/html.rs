//! HTML: the words a reader sees become the stored text, in a normal form.
//!
//! Seam for `scraper`. It parses anything, in the standard's own way, into a tree without recursion; what can make that
//! slow or large is taken out by `html_filter` before. The tree is walked edge by edge, so depth costs no stack here either.
//!
//! Normal form: paragraphs and headings with a blank line between them, list items on lines that begin with `- `, rows of
//! a table on lines with ` | ` between the cells, preformatted text as it is, other white space folded.

use std::collections::HashMap;

use ego_tree::iter::Edge;
use ego_tree::{NodeId, NodeRef};
use scraper::{Html, Node};

use crate::html_filter::filter_source;
use crate::html_text::TextBuilder;
use crate::{Document, ExtractError, ExtractLimits, Format, encoding, extract, language};

/// Reads an HTML file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let decoded = encoding::decode(bytes, declared_encoding(bytes));
    let filtered = filter_source(&decoded.text);
    let mut warnings: Vec<String> = decoded.warning.into_iter().collect();
    if filtered.is_capped {
        warnings.push("elements are nested too deeply; some structure was left out, no text".to_owned());
    }
    let html = Html::parse_document(&filtered.source);
    drop(filtered);
    let page = Page::new(&html);
    let built = page.readable();
    extract::check_length(&built.text, limits)?;
    let first_heading = || built.headings.iter().find(|heading| heading.level == 1).or(built.headings.first());
    let title = page.title.clone().or_else(|| first_heading().map(|heading| heading.title.clone()));
    Ok(Document {
        title,
        language: page.language,
        headings: built.headings,
        tables: built.tables,
        warnings,
        ..Document::of_text(Format::Html, built.text)
    })
}

/// The encoding a file names in its first bytes.
fn declared_encoding(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let head = String::from_utf8_lossy(bytes.get(..4096).unwrap_or(bytes)).to_ascii_lowercase();
    let after = head.split_once("charset")?.1.trim_start().strip_prefix('=')?.trim_start();
    let label = after
        .trim_start_matches(['"', '\''])
        .split(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c)))
        .next()?;
    let encoding = encoding_rs::Encoding::for_label(label.as_bytes())?;
    // A file whose declaration can be read byte by byte is not in UTF-16, whatever it says.
    (!encoding.name().starts_with("UTF-16")).then_some(encoding)
}

type NodeOf<'a> = NodeRef<'a, Node>;

struct Page<'a> {
    html: &'a Html,
    title: Option<String>,
    language: Option<String>,
    /// Elements that say they hold the page's own matter.
    roots: Vec<NodeOf<'a>>,
    /// Tables that hold data, as opposed to those that place things on the page.
    data_tables: HashMap<NodeId, bool>,
}

/// What of a page is walked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Everything that is shown.
    All,
    /// All but navigation, site headers and footers, side columns.
    Body,
    /// The page's own matter; what is set apart inside it belongs to it.
    Main,
}

impl<'a> Page<'a> {
    fn new(html: &'a Html) -> Self {
        let mut page = Self { html, title: None, language: None, roots: Vec::new(), data_tables: HashMap::new() };
        let (mut mains, mut articles) = (Vec::new(), Vec::new());
        let mut tables: Vec<TableShape> = Vec::new();
        let (mut inside_main, mut inside_article) = (0usize, 0usize);
        for edge in html.tree.root().traverse() {
            let (node, opens) = match edge {
                Edge::Open(node) => (node, true),
                Edge::Close(node) => (node, false),
            };
            if let (Node::Text(text), true, Some(table)) = (node.value(), opens, tables.last_mut()) {
                table.cell_bytes += text.trim().len();
            }
            let Some(element) = node.value().as_element() else { continue };
            let name = element.name();
            if opens {
                if name == "html" {
                    page.language = element.attr("lang").and_then(language::from_tag);
                }
                if name == "title" && page.title.is_none() {
                    page.title = title_of(node);
                }
            }
            let is_main = name == "main" || element.attr("role") == Some("main");
            for (is_root, depth, roots) in
                [(is_main, &mut inside_main, &mut mains), (name == "article", &mut inside_article, &mut articles)]
            {
                match (is_root, opens) {
                    (true, true) => {
                        if *depth == 0 {
                            roots.push(node);
                        }
                        *depth += 1;
                    }
                    (true, false) => *depth -= 1,
                    (false, _) => {}
                }
            }
            if name == "table" && opens {
                if let Some(outer) = tables.last_mut() {
                    outer.is_layout = true;
                }
                tables.push(TableShape::default());
            } else if name == "table" {
                let shape = tables.pop().unwrap_or_default();
                page.data_tables.insert(node.id(), !shape.is_layout && shape.widest_row >= 2);
            } else if opens && let Some(table) = tables.last_mut() {
                table.take(name);
            }
        }
        page.roots = if mains.is_empty() { articles } else { mains };
        page
    }

    /// The page's text, without what surrounds it on every page of its site, unless that is most of it.
    fn readable(&self) -> TextBuilder {
        let root = [self.html.tree.root()];
        let body = self.walk(&root, Scope::Body);
        let weight = |built: &TextBuilder| built.text.len();
        if !self.roots.is_empty() {
            let main = self.walk(&self.roots, Scope::Main);
            if weight(&main) * 2 >= weight(&body) {
                return main;
            }
        }
        let all = self.walk(&root, Scope::All);
        if weight(&body) * 4 >= weight(&all) { body } else { all }
    }

    fn walk(&self, roots: &[NodeOf<'a>], scope: Scope) -> TextBuilder {
        let mut builder = TextBuilder::default();
        for root in roots {
            let mut skipped: Option<NodeId> = None;
            for edge in root.traverse() {
                match edge {
                    Edge::Open(node) if skipped.is_none() => match node.value() {
                        Node::Text(text) => builder.push_text(text),
                        Node::Element(element) if is_skipped(element, scope) => skipped = Some(node.id()),
                        Node::Element(element) => {
                            let is_data = self.data_tables.get(&node.id()).copied().unwrap_or(false);
                            builder.open(element.name(), is_data);
                        }
                        Node::Document
                        | Node::Fragment
                        | Node::Doctype(_)
                        | Node::Comment(_)
                        | Node::ProcessingInstruction(_) => {}
                    },
                    Edge::Close(node) if skipped == Some(node.id()) => skipped = None,
                    Edge::Close(node) if skipped.is_none() => {
                        if let Some(element) = node.value().as_element() {
                            builder.close(element.name());
                        }
                    }
                    Edge::Open(_) | Edge::Close(_) => {}
                }
            }
            builder.end_root();
        }
        builder
    }
}

fn title_of(node: NodeOf<'_>) -> Option<String> {
    let text: String =
        node.children().filter_map(|child| child.value().as_text().map(|text| text.to_string())).collect();
    extract::sane_title(&text)
}

fn is_skipped(element: &scraper::node::Element, scope: Scope) -> bool {
    if element.attr("hidden").is_some() || matches!(element.name(), "head" | "title" | "button" | "annotation") {
        return true;
    }
    let role = element.attr("role");
    let leads_elsewhere = element.name() == "nav" || matches!(role, Some("navigation" | "search"));
    let surrounds = matches!(element.name(), "footer" | "aside")
        || matches!(role, Some("banner" | "contentinfo" | "complementary"));
    match scope {
        Scope::All => false,
        Scope::Body => leads_elsewhere || surrounds,
        Scope::Main => leads_elsewhere,
    }
}

/// Longest text of a cell, in bytes, in a table that holds data.
const MAX_CELL_BYTES: usize = 2_000;

#[derive(Default)]
struct TableShape {
    is_layout: bool,
    cell_bytes: usize,
    row: usize,
    widest_row: usize,
}

impl TableShape {
    fn take(&mut self, name: &str) {
        match name {
            "tr" => self.row = 0,
            "td" | "th" => {
                self.row += 1;
                self.widest_row = self.widest_row.max(self.row);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "pre" | "form" => self.is_layout = true,
            _ => return,
        }
        self.is_layout |= self.cell_bytes > MAX_CELL_BYTES;
        self.cell_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_html(source: &str) -> Document {
        read(source.as_bytes(), &ExtractLimits::default()).expect("reads")
    }

    fn text_of(source: &str) -> String {
        read_html(source).text
    }

    #[test]
    fn paragraphs_lists_and_entities_take_their_normal_form() {
        let source = "<body><h1>A &amp; B</h1><p>One\n  two<br>three</p>text <b>bo</b>ld\
                      <ul><li>x<li><p>y</p><ol><li>deep</ol></ul><p>end&nbsp;here</p>";
        assert_eq!(text_of(source), "A & B\n\nOne two\nthree\n\ntext bold\n\n- x\n- y\n  - deep\n\nend here");
    }

    #[test]
    fn a_data_table_keeps_rows_and_header() {
        let source = "<p>Prices</p><table><caption>Net</caption><thead><tr><th>Part<th>Price</thead>\
                      <tr><td>Pump<td><p>4</p><p>EUR</p><tr><td>Seal<td></table><p>end";
        let document = read_html(source);
        assert_eq!(
            document.text,
            "Prices\n\nNet\n\nPart | Price\nPump | 4 EUR\nSeal | \n\nend".replace(" | \n", " |\n")
        );
        let table = document.tables[0];
        assert_eq!(table.header.slice(&document.text), Some("Part | Price"));
        assert_eq!(table.span.slice(&document.text), Some("Part | Price\nPump | 4 EUR\nSeal |"));
    }

    #[test]
    fn a_table_that_only_places_things_is_read_as_paragraphs() {
        let text = text_of("<table><tr><td><table><tr><td>a<td>b</table><td><h2>Head</h2>body</table>");
        assert_eq!(text, "a | b\n\nHead\n\nbody");
    }

    #[test]
    fn hidden_parts_and_scripts_do_not_show() {
        let source = "<p>shown<p hidden>h1<p style='display: none'>h2<div aria-hidden=true>h3</div><template>h4</template>\
                      <script>h5</script><noscript>h6</noscript><button>h7</button>";
        assert_eq!(text_of(source), "shown");
        let small = "<p>shown <b style='font-size:1px'>h1</b>too<p style='color:white;font-size:.5px'>h2</p><p>and";
        assert_eq!(text_of(small), "shown too\n\nand");
    }

    #[test]
    fn the_page_is_read_without_its_surroundings() {
        let frame = "<nav>Home</nav><header><h1>Rules</h1></header><aside>ads</aside>{}<footer>imprint</footer>";
        assert_eq!(text_of(&frame.replace("{}", "<p>The rules are these.</p>")), "Rules\n\nThe rules are these.");
        let main = "<main><p>The rules are these and those.</p><aside>Note: not all.</aside></main>";
        assert_eq!(text_of(&frame.replace("{}", main)), "The rules are these and those.\n\nNote: not all.");
        let little = "<main>x</main><p>The rules are these, and they stand outside.</p>";
        assert!(text_of(&frame.replace("{}", little)).contains("stand outside"));
    }

    #[test]
    fn preformatted_text_keeps_its_lines() {
        assert_eq!(text_of("<p>a<pre>\nfn x() {\n    y\n}\n</pre>b"), "a\n\nfn x() {\n    y\n}\n\nb");
    }

    #[test]
    fn headings_lose_their_permalink_sign() {
        let document = read_html("<title>T &amp; U</title><h2>Install <a href='#i'>¶</a></h2><p>text");
        assert_eq!(document.headings[0].title, "Install");
        assert_eq!(document.text, "Install\n\ntext");
        assert_eq!(document.title.as_deref(), Some("T & U"));
    }

    #[test]
    fn declared_and_marked_encodings_are_followed() {
        let latin = b"<meta charset='windows-1252'><html lang=de><p>Gr\xfc\xdfe \x80 5";
        let document = read(latin, &ExtractLimits::default()).expect("reads");
        assert_eq!(document.text, "Grüße € 5");
        assert_eq!(document.language.as_deref(), Some("de"));
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("<p>Grüße".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(read(&utf16, &ExtractLimits::default()).expect("reads").text, "Grüße");
    }

    #[test]
    fn a_million_nested_elements_are_read() {
        for tag in
            ["div", "b", "p", "table", "a", "li", "ul", "span", "font", "blockquote", "ruby", "rt", "button", "select"]
        {
            let source = format!("<p>start</p>{}deep", format!("<{tag}>").repeat(1_000_000));
            assert!(text_of(&source).contains("start"), "{tag}");
        }
    }

    #[test]
    fn elements_that_breed_stay_small() {
        let formatting: String = (0..20_000).map(|i| format!("<p><b id={i}><i id={i}>x")).collect();
        assert_eq!(text_of(&formatting).matches('x').count(), 20_000);
        let attributes: String = (0..200_000).map(|i| format!(" a{i}=1")).collect();
        assert_eq!(text_of(&format!("<div{attributes}>x</div>")), "x");
        let foster = format!("<table>{}</table>", "x<tr>".repeat(100_000));
        assert!(text_of(&foster).contains('x'));
    }
}
