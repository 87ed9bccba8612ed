//! Rich Text Format: paragraphs, headings by outline level, list items, tables, footnotes.
//!
//! No library: the tokens are four (a group, its end, a control word, text), and what matters is which groups hold words a
//! reader sees. Groups may lie in each other as deep as they like, at the price of a small state each. Bytes outside of
//! ASCII are in the code page of the font they are set in, or of the file, and become text through `encoding_rs`.

use std::collections::{HashMap, HashSet};

use encoding_rs::Encoding;

use crate::builder::DocumentBuilder;
use crate::flow::{Block, Flow, flat};
use crate::markdown::fold_white;
use crate::{Document, ExtractError, ExtractLimits, Format, extract, office_meta, rtf_encoding};

/// Groups that are deeper are passed over.
const MAX_DEPTH: usize = 10_000;

/// Reads an RTF file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let mut builder = DocumentBuilder::new(Format::Rtf, limits);
    let mut reader = Reader::new(Flow::new(&mut builder));
    let is_whole = reader.read(bytes);
    reader.end_paragraph();
    reader.end_tables(0);
    reader.flow.end();
    let footers = std::mem::take(&mut reader.footers);
    reader.flow.blocks(footers);
    let info = std::mem::take(&mut reader.info);
    if !is_whole {
        builder.warn("the file ends in the middle of a group");
    }
    let document = builder.document();
    document.title = info.get("title").and_then(|title| extract::sane_title(title));
    document.author = info.get("author").and_then(|author| office_meta::authors(author));
    builder.finish()
}

/// What the words of a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Text,
    /// A font's name, whose number and character set count.
    Fonts,
    /// A style's name, whose level counts.
    Styles,
    /// The title and the like.
    Info,
    Title,
    Author,
    /// The sign or number of a list item.
    ListSign,
    /// A footnote or a comment: its paragraphs are set aside.
    Note,
    /// Nothing a reader sees.
    Nowhere,
}

/// What a group inherits, and gives back at its end.
#[derive(Clone, Debug)]
struct State {
    place: Place,
    encoding: &'static Encoding,
    /// How many characters stand in for one that `\u` names.
    fallback: usize,
    is_hidden: bool,
    is_deleted: bool,
}

/// What holds for a paragraph until it is reset.
#[derive(Clone, Debug, Default)]
struct Paragraph {
    outline: Option<u8>,
    style: Option<i32>,
    list_level: usize,
    is_listed: bool,
    /// How deep in tables; 0 is outside.
    table: usize,
}

struct Reader<'b> {
    flow: Flow<'b>,
    state: State,
    stack: Vec<State>,
    /// Groups too deep to keep.
    dropped: usize,
    paragraph: Paragraph,
    text: String,
    /// Bytes of the state's encoding that are not decoded yet.
    raw: Vec<u8>,
    /// The first half of a character of two `\u`.
    surrogate: Option<u16>,
    /// Characters still to be passed over.
    skip: usize,
    is_optional: bool,
    fonts: HashMap<i32, &'static Encoding>,
    font: i32,
    styles: HashMap<i32, u8>,
    style: i32,
    file_encoding: &'static Encoding,
    info: HashMap<&'static str, String>,
    /// What the sign of the list item that begins is.
    sign: String,
    /// How many tables are open, and for each whether a row is.
    tables: Vec<bool>,
    /// Notes that stand behind the paragraph that is open.
    behind: Vec<Block>,
    /// The notes that are open, and the paragraphs they stand in.
    outer: Vec<Outer>,
    /// What headers and footers say, each once; those of footers wait for the end.
    seen: HashSet<String>,
    footers: Vec<Block>,
}

/// What a note, a header or a footer stands in.
struct Outer {
    kind: Aside,
    paragraph: Paragraph,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Aside {
    Note,
    Header,
    Footer,
}

impl<'b> Reader<'b> {
    fn new(flow: Flow<'b>) -> Self {
        let encoding = encoding_rs::WINDOWS_1252;
        Self {
            flow,
            state: State { place: Place::Text, encoding, fallback: 1, is_hidden: false, is_deleted: false },
            stack: Vec::new(),
            dropped: 0,
            paragraph: Paragraph::default(),
            text: String::new(),
            raw: Vec::new(),
            surrogate: None,
            skip: 0,
            is_optional: false,
            fonts: HashMap::new(),
            font: 0,
            styles: HashMap::new(),
            style: 0,
            file_encoding: encoding,
            info: HashMap::new(),
            sign: String::new(),
            tables: Vec::new(),
            behind: Vec::new(),
            outer: Vec::new(),
            seen: HashSet::new(),
            footers: Vec::new(),
        }
    }

    /// Reads all tokens; whether every group that began has ended.
    fn read(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let Some((&first, tail)) = rest.split_first() {
            if self.flow.is_full() {
                return true;
            }
            rest = tail;
            match first {
                b'{' => self.open(),
                b'}' => self.close(),
                b'\\' => rest = self.control(tail),
                b'\r' | b'\n' => {}
                _ if self.skip > 0 => self.skip -= 1,
                byte => self.raw.push(byte),
            }
        }
        self.decode();
        self.stack.is_empty() && self.dropped == 0
    }

    fn open(&mut self) {
        self.decode();
        self.skip = 0;
        if self.stack.len() >= MAX_DEPTH {
            self.dropped += 1;
        } else {
            self.stack.push(self.state.clone());
        }
    }

    fn close(&mut self) {
        self.decode();
        self.skip = 0;
        self.is_optional = false;
        if self.dropped > 0 {
            self.dropped -= 1;
            return;
        }
        let Some(before) = self.stack.pop() else { return };
        let left = std::mem::replace(&mut self.state, before);
        if left.place == Place::Note && self.state.place != Place::Note {
            self.end_aside();
        }
    }

    /// Reads a control word or sign behind its backslash, and gives what follows.
    fn control<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((&first, tail)) = bytes.split_first() else { return bytes };
        if !first.is_ascii_alphabetic() {
            return self.sign_control(first, tail);
        }
        let length = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (word, mut rest) = bytes.split_at(length);
        let mut digits = rest.strip_prefix(b"-").unwrap_or(rest);
        let sign = rest.len() - digits.len();
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut value = None;
        if count > 0 {
            let number = rest.get(..sign + count).and_then(|number| std::str::from_utf8(number).ok());
            value = number.and_then(|number| number.parse::<i32>().ok());
            digits = digits.get(count..).unwrap_or_default();
            rest = digits;
        }
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let word = std::str::from_utf8(word).unwrap_or_default();
        if word == "bin" {
            // Bytes of a picture, which may look like anything.
            let skipped = usize::try_from(value.unwrap_or(0)).unwrap_or(0);
            return rest.get(skipped..).unwrap_or_default();
        }
        if self.skip > 0 && word != "u" {
            self.skip -= 1;
            return rest;
        }
        self.word(word, value);
        rest
    }

    fn sign_control<'a>(&mut self, sign: u8, tail: &'a [u8]) -> &'a [u8] {
        if sign == b'\'' {
            let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return tail };
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                self.raw.push(byte);
            }
            return tail.get(2..).unwrap_or_default();
        }
        match sign {
            b'*' => self.is_optional = true,
            b'~' => self.push("\u{a0}"),
            b'_' => self.push("-"),
            b'\\' | b'{' | b'}' => self.raw.push(sign),
            b'\r' | b'\n' => self.end_paragraph(),
            b'\t' => self.push("\t"),
            _ => {}
        }
        tail
    }

    fn word(&mut self, word: &str, value: Option<i32>) {
        if word != "u" {
            self.decode();
            self.surrogate = None;
        }
        let is_on = value != Some(0);
        let is_optional = std::mem::take(&mut self.is_optional);
        match word {
            "u" => self.unicode(value.unwrap_or(0)),
            "uc" => self.state.fallback = usize::try_from(value.unwrap_or(1)).unwrap_or(1).min(64),
            "ansicpg" => self.set_file_encoding(value),
            "mac" => self.file_encoding = encoding_rs::MACINTOSH,
            "plain" => {
                (self.state.is_hidden, self.state.is_deleted) = (false, false);
                self.state.encoding = self.file_encoding;
            }
            "f" => self.set_font(value.unwrap_or(0)),
            "fcharset" if self.state.place == Place::Fonts => {
                if let Some(encoding) = rtf_encoding::of_character_set(value.unwrap_or(0)) {
                    self.fonts.insert(self.font, encoding);
                }
            }
            "v" => self.state.is_hidden = is_on,
            "deleted" => self.state.is_deleted = is_on,
            "par" | "sect" | "page" | "column" => self.end_paragraph(),
            "line" | "softline" | "lbr" => self.push("\n"),
            "tab" => self.push("\t"),
            "emdash" => self.push("—"),
            "endash" => self.push("–"),
            "lquote" => self.push("‘"),
            "rquote" => self.push("’"),
            "ldblquote" => self.push("“"),
            "rdblquote" => self.push("”"),
            "bullet" => self.push("•"),
            "emspace" | "enspace" | "qmspace" => self.push(" "),
            "pard" => {
                self.paragraph = Paragraph::default();
                self.paragraph.table = usize::from(self.tables.len() > 1) * self.tables.len();
            }
            "s" if self.state.place == Place::Styles => self.style = value.unwrap_or(0),
            "s" => self.paragraph.style = value,
            "outlinelevel" => {
                let level = value.and_then(|level| u8::try_from(level).ok()).filter(|level| *level < 9);
                match (self.state.place, level) {
                    (Place::Styles, Some(level)) => drop(self.styles.insert(self.style, level)),
                    (Place::Styles, None) => {}
                    _ => self.paragraph.outline = level,
                }
            }
            "ilvl" => self.paragraph.list_level = usize::try_from(value.unwrap_or(0)).unwrap_or(0),
            "ls" => self.paragraph.is_listed = is_on,
            "intbl" => self.paragraph.table = self.paragraph.table.max(1),
            "itap" => self.paragraph.table = usize::try_from(value.unwrap_or(0)).unwrap_or(0).min(32),
            "trhdr" => self.mark_header(),
            "cell" => self.end_cell(1),
            "nestcell" => self.end_cell(self.paragraph.table.max(2)),
            "row" => self.end_row(1),
            "nestrow" => self.end_row(self.paragraph.table.max(2)),
            _ => self.destination(word, is_optional),
        }
    }

    /// A word that tells what its group is.
    fn destination(&mut self, word: &str, is_optional: bool) {
        let place = match word {
            "fonttbl" => Place::Fonts,
            "stylesheet" => Place::Styles,
            "info" => Place::Info,
            "title" if self.state.place == Place::Info => Place::Title,
            "author" if self.state.place == Place::Info => Place::Author,
            "listtext" | "pntext" => Place::ListSign,
            "footnote" | "annotation" if self.state.place == Place::Text => self.begin_aside(Aside::Note),
            "header" | "headerl" | "headerr" | "headerf" if self.state.place == Place::Text => {
                self.begin_aside(Aside::Header)
            }
            "footer" | "footerl" | "footerr" | "footerf" if self.state.place == Place::Text => {
                self.begin_aside(Aside::Footer)
            }
            // Shown although older programs may pass them over.
            "shptxt" | "fldrslt" | "nesttableprops" | "shpinst" | "shp" | "field" | "ud" | "upr" | "mmath"
            | "moMath" | "mr" | "mt" => return,
            "colortbl" | "listtable" | "listoverridetable" | "revtbl" | "rsidtbl" | "generator" | "pict" | "object"
            | "objdata" | "fldinst" | "datafield" | "themedata" | "colorschememapping" | "latentstyles"
            | "xmlnstbl" | "private" | "falt" | "panose" | "nonesttables" | "shprslt" | "atnid" | "atnauthor"
            | "atndate" | "atnref" | "bkmkstart" | "bkmkend" | "pn" | "pntxta" | "pntxtb" | "sp" | "sn" | "sv"
            | "nonshppict" | "filetbl" | "operator" | "creatim" | "revtim" | "printim" | "buptim" | "userprops"
            | "xe" | "tc" | "mmathPr" | "ffname" | "ffdeftext" | "ffformat" | "fontemb" | "fontfile"
            | "passwordhash" | "blipuid" | "picprop" | "wgrffmtfilter" | "datastore" | "docvar" | "template"
            | "ftnsep" | "ftnsepc" | "ftncn" | "aftnsep" | "aftnsepc" | "aftncn" => Place::Nowhere,
            // What is marked as optional and not known is not shown.
            _ if is_optional => Place::Nowhere,
            _ => return,
        };
        if self.state.place != Place::Nowhere {
            self.state.place = place;
        }
    }

    fn set_file_encoding(&mut self, page: Option<i32>) {
        if let Some(encoding) = rtf_encoding::of_code_page(page.unwrap_or(1252)) {
            self.file_encoding = encoding;
            self.state.encoding = encoding;
        }
    }

    fn set_font(&mut self, font: i32) {
        if self.state.place == Place::Fonts {
            self.font = font;
        } else {
            self.state.encoding = self.fonts.get(&font).copied().unwrap_or(self.file_encoding);
        }
    }

    /// A character by its number, negative ones for the upper half; those that stand in for it follow.
    fn unicode(&mut self, value: i32) {
        self.decode();
        self.skip = self.state.fallback;
        let unit = u16::try_from(value.rem_euclid(65_536)).unwrap_or(0xfffd);
        let units: Vec<u16> = self.surrogate.take().into_iter().chain([unit]).collect();
        if (0xd800..0xdc00).contains(&unit) {
            self.surrogate = Some(unit);
            return;
        }
        // The private letters of symbol fonts tell nothing outside of them.
        let text: String = char::decode_utf16(units)
            .filter_map(Result::ok)
            .filter(|c| !matches!(c, '\u{e000}'..='\u{f8ff}'))
            .collect();
        self.push_decoded(&text);
    }

    fn decode(&mut self) {
        if !self.raw.is_empty() {
            let raw = std::mem::take(&mut self.raw);
            let (text, _) = self.state.encoding.decode_without_bom_handling(&raw);
            self.push_decoded(&text);
        }
    }

    fn push(&mut self, text: &str) {
        self.decode();
        self.push_decoded(text);
    }

    fn push_decoded(&mut self, text: &str) {
        match self.state.place {
            Place::Text | Place::Note if self.state.is_hidden || self.state.is_deleted => {}
            Place::Text | Place::Note => {
                // Text outside of any table ends those that are open.
                if !text.trim().is_empty() && self.paragraph.table < self.tables.len() {
                    self.end_tables(self.paragraph.table);
                }
                self.text.push_str(text);
            }
            Place::ListSign => self.sign.push_str(text),
            Place::Title => self.info.entry("title").or_default().push_str(text),
            Place::Author => self.info.entry("author").or_default().push_str(text),
            Place::Fonts | Place::Styles | Place::Info | Place::Nowhere => {}
        }
    }

    fn end_paragraph(&mut self) {
        self.decode();
        if !matches!(self.state.place, Place::Text | Place::Note | Place::ListSign) {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let sign = std::mem::take(&mut self.sign);
        let behind = std::mem::take(&mut self.behind);
        if !text.trim().is_empty() {
            self.open_tables();
            let of_style = self.paragraph.style.and_then(|style| self.styles.get(&style).copied());
            let sign = sign.trim();
            let number = if sign.chars().any(char::is_alphanumeric) { format!("{sign} ") } else { String::new() };
            self.flow.block(match self.paragraph.outline.or(of_style) {
                Some(level) => Block::Heading(level + 1, format!("{number}{text}")),
                None if self.paragraph.is_listed || !sign.is_empty() => {
                    Block::Item(self.paragraph.list_level, format!("{number}{text}"))
                }
                None => Block::Paragraph(text),
            });
        }
        self.flow.blocks(behind);
    }

    /// Opens the tables and the cell that the paragraph stands in.
    fn open_tables(&mut self) {
        while self.tables.len() < self.paragraph.table {
            self.flow.begin_table();
            self.tables.push(false);
        }
        if let Some(in_row) = self.tables.last_mut().filter(|_| self.paragraph.table > 0) {
            if !std::mem::replace(in_row, true) {
                self.flow.begin_row();
            }
            self.flow.begin_cell();
        }
    }

    fn end_cell(&mut self, depth: usize) {
        if self.state.place == Place::Nowhere {
            return;
        }
        self.decode();
        self.paragraph.table = depth;
        self.end_tables(depth);
        self.end_paragraph();
        // An empty cell is one too.
        self.open_tables();
        self.flow.end_cell();
    }

    fn end_row(&mut self, depth: usize) {
        if self.state.place == Place::Nowhere {
            return;
        }
        self.end_tables(depth);
        self.flow.end_cell();
        if let Some(in_row) = self.tables.last_mut() {
            *in_row = false;
        }
    }

    fn mark_header(&mut self) {
        if self.tables.len() == 1 {
            self.flow.mark_header();
        }
    }

    /// Ends the tables that are deeper than `depth`.
    fn end_tables(&mut self, depth: usize) {
        while self.tables.len() > depth {
            self.tables.pop();
            self.flow.end_cell();
            self.flow.end_table();
        }
    }

    fn begin_aside(&mut self, kind: Aside) -> Place {
        self.decode();
        let (paragraph, text) = (std::mem::take(&mut self.paragraph), std::mem::take(&mut self.text));
        self.outer.push(Outer { kind, paragraph, text });
        self.flow.begin_box();
        Place::Note
    }

    /// Whether the paragraph that is open has words. One that is longer than this is taken to have some: it is asked at every
    /// header, and white space may be most of a file.
    fn has_begun(&self) -> bool {
        self.text.len() > 1_000 || !self.text.trim().is_empty()
    }

    fn end_aside(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.trim().is_empty() {
            self.flow.block(Block::Paragraph(text));
        }
        // Its own notes and what its tables left open end with it.
        let behind = std::mem::take(&mut self.behind);
        self.flow.blocks(behind);
        let mut blocks = self.flow.end_box();
        let Some(outer) = self.outer.pop() else { return };
        (self.paragraph, self.text) = (outer.paragraph, outer.text);
        self.tables.truncate(self.paragraph.table);
        if outer.kind != Aside::Note {
            blocks.retain(|block| {
                let words = fold_white(&flat(block.clone()));
                words.chars().any(char::is_alphabetic) && self.seen.insert(words)
            });
        }
        match outer.kind {
            Aside::Footer => self.footers.extend(blocks),
            Aside::Header if !self.has_begun() && self.tables.is_empty() => self.flow.blocks(blocks),
            Aside::Note | Aside::Header => self.behind.extend(blocks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtf(body: &str) -> Document {
        read(format!("{{\\rtf1\\ansi\\ansicpg1252\\deff0 {body}}}").as_bytes(), &ExtractLimits::default())
            .expect("reads")
    }

    #[test]
    fn paragraphs_headings_and_lists_take_their_normal_form() {
        let document = rtf(
            "{\\fonttbl{\\f0 Arial;}}{\\stylesheet{\\s1\\outlinelevel0 heading 1;}}{\\info{\\title Travel rules}{\\author Anna}}\
             \\pard\\s1 Rules\\par\\pard All {\\b of} them\\line here.{\\*\\generator x}{\\v hidden}{\\deleted gone}\\par\
             {\\listtext\\pard 1.\\tab}\\ls1\\ilvl0 one\\par{\\listtext\\'b7\\tab}\\ls1\\ilvl1 two\\par",
        );
        assert_eq!(document.text, "Rules\n\nAll of them\nhere.\n\n- 1. one\n  - two");
        assert_eq!((document.title.as_deref(), document.author.as_deref()), (Some("Travel rules"), Some("Anna")));
        assert_eq!(document.headings[0].level, 1);
    }

    #[test]
    fn characters_come_from_their_code_page_or_their_number() {
        let body = "{\\fonttbl{\\f0\\fcharset0 A;}{\\f1\\fcharset204 B;}{\\f2\\fcharset128 C;}}Gr\\'fc\\'dfe {\\f1 \\'cc\\'e8\\'f0} {\\f2 \\'93\\'fa\\'96{}\\'7b} \
                    \\u8364? \\uc2\\u-10179\\'3f\\'3f\\u-8704\\'3f\\'3f\\uc1 a\\~b\\emdash c\\{d\\}\\\\";
        assert_eq!(rtf(body).text, "Grüße Мир 日\u{fffd}{ € 😀a b—c{d}\\");
    }

    #[test]
    fn tables_keep_rows_and_what_follows_stands_outside() {
        let document = rtf("before\\par\\trowd\\trhdr\\cellx1\\cellx2\\pard\\intbl Part\\cell 2024\\cell\\row\
             \\trowd\\pard\\intbl Pump\\par big\\cell\\cell\\row\\pard after\\par");
        assert_eq!(document.text, "before\n\nPart | 2024\nPump big\n\nafter");
        assert_eq!(document.tables.len(), 1);
    }

    #[test]
    fn notes_follow_their_paragraph() {
        let document = rtf("Text{\\super 1{\\footnote\\pard The note.\\par More.}} goes on.\\par Next.\\par");
        assert_eq!(document.text, "Text1 goes on.\n\nThe note.\n\nMore.\n\nNext.");
    }

    #[test]
    fn headers_and_footers_stand_once() {
        let document = rtf(
            "{\\header House\\par}{\\footer Below\\par}Text\\par\\sect{\\header House\\par}{\\footer 7\\par}More\\par",
        );
        assert_eq!(document.text, "House\n\nText\n\nMore\n\nBelow");
    }

    #[test]
    fn pictures_and_programs_words_are_passed_over() {
        let document = rtf(
            "{\\pict\\bin5 }}{{\\0123}{\\*\\unknown words}{\\field{\\*\\fldinst HYPERLINK x}{\\fldrslt link}}\\par",
        );
        assert_eq!(document.text, "link");
    }

    #[test]
    fn broken_files_are_read_as_far_as_they_go() {
        let deep = format!("{{\\rtf1 start {}", "{".repeat(1_000_000));
        let document = read(deep.as_bytes(), &ExtractLimits::default()).expect("reads");
        assert_eq!(document.text, "start");
        assert_eq!(document.warnings, ["the file ends in the middle of a group"]);
        for body in [
            "\\",
            "\\'",
            "\\'zz",
            "\\u",
            "\\u99999999999",
            "\\bin99999",
            "}}}}\\par x",
            "\\cell\\row\\nestcell\\nestrow",
        ] {
            let _ = read(format!("{{\\rtf1 {body}").as_bytes(), &ExtractLimits::default());
        }
    }
}
