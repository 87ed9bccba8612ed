//! HTML source is made harmless before it is parsed.
//!
//! An HTML parser follows the standard, and the standard lets a small file cost much: every new element looks through all
//! open ones, unclosed `<b>`s are opened again in every paragraph, attributes of a tag are compared with each other. This
//! one pass over the source, linear whatever it meets, removes what those costs need and what has no part in the text:
//! comments, scripts, inline formatting, attributes, and nesting beyond a depth that no document written for readers has.

use std::borrow::Cow;

/// Nested elements kept; further in, tags are dropped and their text is kept.
const MAX_DEPTH: usize = 256;

/// Source that is safe to parse.
pub(crate) struct Filtered {
    pub(crate) source: String,
    /// Whether tags were dropped for their depth.
    pub(crate) is_capped: bool,
}

/// Filters a whole HTML file.
pub(crate) fn filter_source(source: &str) -> Filtered {
    let kept = String::with_capacity(source.len() / 2);
    let mut filter = Filter { rest: source, kept, depth: 0, is_capped: false, formatting: Vec::new() };
    let mut missing = Missing::default();
    while let Some(at) = filter.rest.find('<') {
        let (text, markup) = filter.rest.split_at(at);
        filter.kept.push_str(text);
        filter.rest = markup;
        if !filter.take_markup(&mut missing) {
            return Filtered { source: filter.kept, is_capped: filter.is_capped };
        }
    }
    filter.kept.push_str(filter.rest);
    Filtered { source: filter.kept, is_capped: filter.is_capped }
}

/// What was looked for once and does not come any more, so that nobody looks again.
#[derive(Default)]
struct Missing {
    double_quote: bool,
    single_quote: bool,
    end_tags: Vec<String>,
}

struct Filter<'a> {
    rest: &'a str,
    kept: String,
    depth: usize,
    is_capped: bool,
    /// From the first one that hides its text on, the formatting that is open, and whether it hides its text.
    formatting: Vec<(String, bool)>,
}

impl Filter<'_> {
    /// Takes what begins with `<`. False where the rest of the file is inside of it.
    fn take_markup(&mut self, missing: &mut Missing) -> bool {
        let rest = self.rest;
        if let Some(comment) = rest.strip_prefix("<!--") {
            if let Some(after) = comment.strip_prefix('>').or_else(|| comment.strip_prefix("->")) {
                self.rest = after;
                return true;
            }
            return self.skip_behind(comment, "-->");
        }
        let next = rest.as_bytes().get(1).copied().unwrap_or(b' ');
        if next == b'!' || next == b'?' {
            return self.skip_behind(rest, ">");
        }
        let is_end = next == b'/';
        let body = rest.get(1 + usize::from(is_end)..).unwrap_or_default();
        if !body.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.kept.push_str("&lt;");
            self.rest = rest.get(1..).unwrap_or_default();
            return true;
        }
        let name_len = body.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap_or(body.len());
        let (name, inside) = body.split_at(name_len);
        let Some(end) = end_of_tag(inside, missing) else { return false };
        let attributes = inside.get(..end).unwrap_or_default();
        self.rest = inside.get(end + 1..).unwrap_or_default();
        let name = if name.len() <= 32 { name.to_ascii_lowercase() } else { "span".to_owned() };
        if is_end {
            self.take_end(&name);
            return true;
        }
        self.take_start(&name, attributes, missing)
    }

    fn skip_behind(&mut self, from: &str, mark: &str) -> bool {
        let Some(at) = from.find(mark) else { return false };
        let behind = self.rest.len() - from.len() + at + mark.len();
        self.rest = self.rest.get(behind..).unwrap_or_default();
        true
    }

    fn take_start(&mut self, name: &str, attributes: &str, missing: &mut Missing) -> bool {
        if DROPPED_WITH_CONTENT.contains(&name) {
            let swallows_rest = matches!(name, "script" | "style");
            return match self.end_of_content(name, missing) {
                Some(end) => {
                    self.rest = self.rest.get(end..).unwrap_or_default();
                    self.skip_behind(self.rest, ">")
                }
                None => !swallows_rest,
            };
        }
        if name == "title" {
            let end = self.end_of_content(name, missing).unwrap_or(0);
            let (title, rest) = self.rest.split_at(end);
            self.kept.push_str("<title>");
            self.kept.push_str(title);
            self.kept.push_str("</title>");
            self.rest = rest;
            return true;
        }
        if DROPPED_TAGS.contains(&name) {
            self.begin_formatting(name, attributes);
            return true;
        }
        if !NOT_COUNTED.contains(&name) {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                self.is_capped = true;
                // Words on both sides of a block stay apart.
                self.kept.push(' ');
                return true;
            }
        }
        self.kept.push('<');
        self.kept.push_str(name);
        push_attributes(name, attributes, &mut self.kept);
        self.kept.push('>');
        true
    }

    /// Formatting is left out but for the kind that hides its text, which becomes an element that parsers do not open again.
    fn begin_formatting(&mut self, name: &str, attributes: &str) {
        let hides = self.depth < MAX_DEPTH
            && attributes_of(attributes).any(|(key, value)| is_hidden_by(name, &key.to_ascii_lowercase(), value));
        if (hides || !self.formatting.is_empty()) && self.formatting.len() < MAX_DEPTH {
            self.formatting.push((name.to_owned(), hides));
            if hides {
                self.depth += 1;
                self.kept.push_str("<span hidden>");
            }
        }
    }

    fn take_end(&mut self, name: &str) {
        if let Some(place) = self.formatting.iter().rposition(|(open, _)| open == name) {
            let (_, hides) = self.formatting.remove(place);
            if hides {
                self.depth = self.depth.saturating_sub(1);
                self.kept.push_str("</span>");
            }
        }
        if DROPPED_TAGS.contains(&name) || DROPPED_WITH_CONTENT.contains(&name) || name == "title" {
            return;
        }
        if !NOT_COUNTED.contains(&name) {
            let was = self.depth;
            self.depth = was.saturating_sub(1);
            if was > MAX_DEPTH {
                self.kept.push(' ');
                return;
            }
        }
        self.kept.push_str("</");
        self.kept.push_str(name);
        self.kept.push('>');
    }

    /// Offset in the rest of `</name`.
    fn end_of_content(&self, name: &str, missing: &mut Missing) -> Option<usize> {
        if missing.end_tags.iter().any(|known| known == name) {
            return None;
        }
        let mut from = 0;
        while let Some(at) = self.rest.get(from..).and_then(|rest| rest.find("</")) {
            let tag = self.rest.as_bytes().get(from + at + 2..from + at + 2 + name.len());
            if tag.is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes())) {
                return Some(from + at);
            }
            from += at + 2;
        }
        missing.end_tags.push(name.to_owned());
        None
    }
}

/// Offset of the `>` that ends a tag; one inside a quoted value does not.
fn end_of_tag(inside: &str, missing: &mut Missing) -> Option<usize> {
    let bytes = inside.as_bytes();
    let mut at = 0;
    let mut after_equals = false;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'>' => return Some(at),
            b'"' | b'\'' if after_equals => {
                let known_missing = if byte == b'"' { &mut missing.double_quote } else { &mut missing.single_quote };
                if !*known_missing {
                    match inside.get(at + 1..).and_then(|rest| rest.find(char::from(byte))) {
                        Some(close) => at += close + 1,
                        None => *known_missing = true,
                    }
                }
                after_equals = false;
            }
            b'=' => after_equals = true,
            _ if byte.is_ascii_whitespace() => {}
            _ => after_equals = false,
        }
        at += 1;
    }
    None
}

/// Keeps what decides whether an element is shown, what it is for, and its language.
fn push_attributes(element: &str, attributes: &str, kept: &mut String) {
    let (mut hidden, mut role, mut lang) = (false, None, None);
    for (name, value) in attributes_of(attributes) {
        let name = name.to_ascii_lowercase();
        hidden |= is_hidden_by(element, &name, value);
        match name.as_str() {
            "role" => role = role.or_else(|| ROLES.iter().find(|role| value.trim().eq_ignore_ascii_case(role))),
            "lang" | "xml:lang" => lang = lang.or_else(|| crate::language::from_tag(value)),
            _ => {}
        }
    }
    if hidden {
        kept.push_str(" hidden");
    }
    for (name, value) in [("role", role.map(|role| Cow::Borrowed(*role))), ("lang", lang.map(Cow::Owned))] {
        if let Some(value) = value {
            kept.push_str(&format!(" {name}={value}"));
        }
    }
}

/// Nobody reads text of this size, or finds it.
const TINY_PIXELS: f32 = 1.0;
/// Elements that hold words, and not boxes with a size of letters of their own: a frame of boxes has none where nothing is to stand
/// between them.
const HOLD_WORDS: &[&str] = &["p", "span", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "label", "mark"];

/// Whether an attribute, its name in small letters, hides the text of its element.
fn is_hidden_by(element: &str, name: &str, value: &str) -> bool {
    match name {
        "hidden" => !value.eq_ignore_ascii_case("until-found"),
        "aria-hidden" => value.eq_ignore_ascii_case("true"),
        "style" => hides(element, value),
        _ => false,
    }
}

fn hides(element: &str, style: &str) -> bool {
    let style: String =
        style.chars().take(4096).filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let holds_words = HOLD_WORDS.contains(&element) || DROPPED_TAGS.contains(&element);
    style.contains("display:none")
        || style.contains("visibility:hidden")
        || font_size_of(&style).is_some_and(|size| size <= TINY_PIXELS && (size > 0.0 || holds_words))
}

/// The size of the letters in pixels, where a style without white space says so.
fn font_size_of(style: &str) -> Option<f32> {
    let value = style.split(';').rev().find_map(|declaration| declaration.strip_prefix("font-size:"))?;
    let value = value.trim_end_matches("!important");
    let unit = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let pixels = match &value[unit..] {
        "" | "px" => 1.0,
        "pt" => 4.0 / 3.0,
        "em" | "rem" => 16.0,
        "%" => 0.16,
        _ => return None,
    };
    value[..unit].parse::<f32>().ok().map(|size| size * pixels)
}

fn attributes_of(source: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = source;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        let name_end = rest.char_indices().skip(1).find(|(_, c)| c.is_ascii_whitespace() || matches!(c, '=' | '/'));
        let (name, after) = rest.split_at(name_end.map_or(rest.len(), |(at, _)| at));
        let Some(value) = after.trim_ascii_start().strip_prefix('=').map(str::trim_ascii_start) else {
            rest = after;
            return Some((name, ""));
        };
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quoted = quote.and_then(|quote| value.get(1..)?.split_once(quote));
        let bare = || value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len()));
        let (value, after) = quoted.unwrap_or_else(bare);
        rest = after;
        Some((name, value))
    })
}

/// Roles that say what a part of a page is for.
const ROLES: &[&str] = &["navigation", "banner", "contentinfo", "search", "complementary", "main"];

/// Elements without readable text.
const DROPPED_WITH_CONTENT: &[&str] = &[
    "script", "style", "template", "noscript", "iframe", "noembed", "noframes", "svg", "canvas", "audio", "video",
    "select", "textarea", "datalist",
];

/// Tags that do not part words and rule nothing here; their text is kept.
const DROPPED_TAGS: &[&str] = &[
    "a",
    "b",
    "big",
    "code",
    "em",
    "font",
    "i",
    "nobr",
    "s",
    "small",
    "strike",
    "strong",
    "tt",
    "u",
    "ruby",
    "rb",
    "rt",
    "rp",
    "rtc",
    "option",
    "optgroup",
    "img",
    "input",
    "link",
    "meta",
    "wbr",
    "area",
    "base",
    "basefont",
    "bgsound",
    "embed",
    "param",
    "source",
    "track",
    "col",
    "colgroup",
    "plaintext",
    "xmp",
    "frameset",
    "frame",
    "math",
    "annotation-xml",
];

/// Elements that cannot be nested in themselves without another element in between, or hold nothing.
const NOT_COUNTED: &[&str] = &[
    "html", "head", "body", "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "caption", "br", "hr",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(source: &str) -> String {
        filter_source(source).source
    }

    #[test]
    fn what_has_no_part_in_the_text_is_dropped() {
        assert_eq!(filter("<p>a<!-- <p> --><B>b</B><script>if (a<b) '</p>'</SCRIPT >c</p>"), "<p>abc</p>");
        assert_eq!(filter("<title>a <b> &amp; c</title>x"), "<title>a <b> &amp; c</title>x");
        assert_eq!(filter("1 < 2 <3"), "1 &lt; 2 &lt;3");
        assert_eq!(filter("<p>a<script>never closed <p>b"), "<p>a");
        assert_eq!(filter("<p>a<svg>never closed <p>b"), "<p>anever closed <p>b");
    }

    #[test]
    fn attributes_that_matter_stay() {
        assert_eq!(filter(r#"<div class="x > y" HIDDEN id=1>"#), "<div hidden>");
        assert_eq!(filter("<div style='color:red; DISPLAY : none'>"), "<div hidden>");
        assert_eq!(filter("<div aria-hidden=true role=Navigation>"), "<div hidden role=navigation>");
        for (style, becomes) in [
            ("color:white;font-size:1px", "<p hidden>"),
            ("Font-Size: .05em !important", "<p hidden>"),
            ("font-size:0;color:red", "<p hidden>"),
            ("font-size:1px;font-size:12px", "<p>"),
            ("font-size:1em", "<p>"),
            ("font-size:larger", "<p>"),
            ("font-size:.", "<p>"),
        ] {
            assert_eq!(filter(&format!("<p style='{style}'>")), becomes, "{style}");
        }
        assert_eq!(filter("<td style='font-size:0px'><p style='font-size:13px'>x"), "<td><p>x");
        assert_eq!(
            filter("<p>a<font style='font-size:1px'>b<font>c</font>d</font>e<b>f</b><i hidden>g</b></i>"),
            "<p>a<span hidden>bcd</span>ef<span hidden>g</span>"
        );
        assert_eq!(filter("<html lang='de-AT'/>"), "<html lang=de>");
        assert_eq!(filter("<div data-hidden=1 title='hidden'>"), "<div>");
    }

    #[test]
    fn nesting_is_capped_and_the_text_stays() {
        let filtered = filter_source(&format!("{}deep{}", "<div>".repeat(5_000), "</div>".repeat(5_000)));
        assert!(filtered.is_capped);
        assert_eq!(filtered.source.matches("<div>").count(), MAX_DEPTH);
        assert!(filtered.source.contains("deep"));
        assert!(!filter_source(&"<p>item<li>x<td>y".repeat(5_000)).is_capped);
    }

    #[test]
    fn unclosed_things_take_linear_time() {
        for pattern in ["<a b=\"", "<a b='x>", "<!--", "<svg>", "</", "<a ", "<select>", "<title>", "<?", "<div\u{0}"] {
            let source = pattern.repeat(2_000_000 / pattern.len());
            assert!(filter(&source).len() <= source.len() * 3);
        }
    }
}
