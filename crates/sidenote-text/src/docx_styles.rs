//! What a Word file says about its paragraphs in other parts: which styles are headings, and how lists are numbered.

use std::collections::HashMap;

use crate::ExtractError;
use crate::xml_walk::{Step, Tag, Xml};

/// Longest name of a style or list, and longest pattern of a number.
const MAX_NAME_BYTES: usize = 255;

/// A style may be based on another; more steps than this go round in a circle.
const MAX_STYLE_STEPS: usize = 20;

/// Most levels of a list.
const LEVELS: usize = 9;

#[derive(Default)]
pub(crate) struct Styles(HashMap<String, Style>);

#[derive(Default)]
struct Style {
    name: String,
    based_on: Option<String>,
    outline: Option<u8>,
    list: ListRef,
}

/// The list that a paragraph or a style belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListRef {
    pub(crate) id: Option<String>,
    pub(crate) level: Option<usize>,
}

impl Styles {
    pub(crate) fn read(part: &str, source: &str) -> Result<Self, ExtractError> {
        let mut xml = Xml::new(part, source);
        let mut styles = Self::default();
        while let Some(step) = xml.next()? {
            let Step::Open(tag) = step else { continue };
            if tag.name() == "style" {
                let id = tag.attr("styleId").unwrap_or_default();
                styles.0.insert(id, read_style(&mut xml)?);
            }
        }
        Ok(styles)
    }

    /// The level of the headings in this style, from 1; `None` where it is no style of headings. 0 in an outline is 1 here.
    pub(crate) fn heading_level(&self, id: &str) -> Option<u8> {
        if !self.0.contains_key(id) {
            return level_in_name(id);
        }
        self.chain(id).find_map(|style| match style.outline {
            Some(level) => Some((level < 9).then_some(level + 1)),
            None => level_in_name(&style.name).map(Some),
        })?
    }

    /// The list this style puts its paragraphs in.
    pub(crate) fn list(&self, id: &str) -> ListRef {
        let mut list = ListRef::default();
        for style in self.chain(id) {
            list.id = list.id.or_else(|| style.list.id.clone());
            list.level = list.level.or(style.list.level);
        }
        list
    }

    /// A style and those it is based on, the nearest first.
    fn chain<'s>(&'s self, id: &str) -> impl Iterator<Item = &'s Style> {
        let first = self.0.get(id);
        std::iter::successors(first, |style| self.0.get(style.based_on.as_ref()?)).take(MAX_STYLE_STEPS)
    }
}

/// The name in a `val`. One that is longer than names are counts as none: it is looked up and copied with every paragraph.
fn name_of(tag: &Tag<'_>) -> Option<String> {
    tag.attr("val").filter(|name| name.len() <= MAX_NAME_BYTES)
}

fn read_style(xml: &mut Xml<'_>) -> Result<Style, ExtractError> {
    let depth = xml.depth();
    let mut style = Style::default();
    while let Some(step) = xml.next_inside(depth)? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            "name" => style.name = tag.attr("val").unwrap_or_default(),
            "basedOn" => style.based_on = name_of(&tag),
            "outlineLvl" => style.outline = tag.number("val"),
            "ilvl" => style.list.level = tag.number("val"),
            "numId" => style.list.id = name_of(&tag),
            _ => {}
        }
    }
    Ok(style)
}

/// `heading 2` and `Heading2` are of level 2. Word writes the names of its own styles in English whatever it speaks.
fn level_in_name(name: &str) -> Option<u8> {
    let name = name.trim().to_lowercase();
    if name == "title" {
        return Some(1);
    }
    let level: u8 = name.strip_prefix("heading")?.trim().parse().ok()?;
    (1..=9).contains(&level).then_some(level)
}

/// The lists of a file, and how far each is counted.
#[derive(Default)]
pub(crate) struct Numbering {
    /// Definitions by their id.
    kinds: HashMap<String, Vec<Level>>,
    /// Which definition a list follows, and where its levels start anew.
    lists: HashMap<String, List>,
    /// Definitions that a style stands for.
    style_kinds: HashMap<String, String>,
    /// The last numbers given, by definition.
    counts: HashMap<String, [Option<u32>; LEVELS]>,
}

#[derive(Default)]
struct List {
    kind: String,
    starts: Vec<(usize, u32)>,
    is_begun: bool,
}

#[derive(Clone, Default)]
struct Level {
    start: u32,
    format: String,
    /// `%1.%2` for `2.3`.
    text: String,
    style: Option<String>,
}

impl Numbering {
    pub(crate) fn read(part: &str, source: &str, styles: &Styles) -> Result<Self, ExtractError> {
        let mut xml = Xml::new(part, source);
        let mut numbering = Self::default();
        let mut follows: Vec<(String, String)> = Vec::new();
        while let Some(step) = xml.next()? {
            let Step::Open(tag) = step else { continue };
            match tag.name() {
                "abstractNum" => numbering.read_kind(&mut xml, &tag, &mut follows)?,
                "num" => numbering.read_list(&mut xml, &tag)?,
                _ => {}
            }
        }
        for (kind, style) in follows {
            let list = styles.list(&style).id.and_then(|id| numbering.lists.get(&id));
            let other = numbering.style_kinds.get(&style).or(list.map(|list| &list.kind));
            if let Some(levels) = other.and_then(|other| numbering.kinds.get(other)).cloned() {
                numbering.kinds.insert(kind, levels);
            }
        }
        Ok(numbering)
    }

    fn read_kind(
        &mut self,
        xml: &mut Xml<'_>,
        tag: &Tag<'_>,
        follows: &mut Vec<(String, String)>,
    ) -> Result<(), ExtractError> {
        let id = tag.attr("abstractNumId").unwrap_or_default();
        let depth = xml.depth();
        let mut levels: Vec<Level> = Vec::new();
        while let Some(step) = xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            let value = || tag.attr("val").unwrap_or_default();
            match tag.name() {
                "lvl" if levels.len() < LEVELS => levels.push(Level { start: 1, ..Level::default() }),
                "lvl" => xml.skip()?,
                "numStyleLink" => follows.push((id.clone(), value())),
                "styleLink" => drop(self.style_kinds.insert(value(), id.clone())),
                name => {
                    let Some(level) = levels.last_mut() else { continue };
                    match name {
                        "start" => level.start = tag.number("val").unwrap_or(1),
                        "numFmt" => level.format = value(),
                        "lvlText" => level.text = value().chars().take(MAX_NAME_BYTES).collect(),
                        "pStyle" => level.style = name_of(&tag),
                        _ => {}
                    }
                }
            }
        }
        self.kinds.insert(id, levels);
        Ok(())
    }

    fn read_list(&mut self, xml: &mut Xml<'_>, tag: &Tag<'_>) -> Result<(), ExtractError> {
        let id = tag.attr("numId").unwrap_or_default();
        let depth = xml.depth();
        let (mut list, mut level) = (List::default(), 0);
        while let Some(step) = xml.next_inside(depth)? {
            let Step::Open(tag) = step else { continue };
            match tag.name() {
                "abstractNumId" => list.kind = name_of(&tag).unwrap_or_default(),
                "lvlOverride" => level = tag.number("ilvl").unwrap_or(0),
                "startOverride" => list.starts.extend(tag.number("val").map(|start| (level, start))),
                _ => {}
            }
        }
        self.lists.insert(id, list);
        Ok(())
    }

    /// The level of a list that belongs to a style, for a style that names the list alone.
    pub(crate) fn level_of_style(&self, list: &str, style: &str) -> Option<usize> {
        let levels = self.kinds.get(&self.lists.get(list)?.kind)?;
        levels.iter().position(|level| level.style.as_deref() == Some(style))
    }

    /// Counts a paragraph of a list. `None` where there is no such list, else its number as shown, empty for a bullet.
    pub(crate) fn count(&mut self, list: &str, level: usize) -> Option<String> {
        let level = level.min(LEVELS - 1);
        let list = self.lists.get_mut(list)?;
        let levels = self.kinds.get(&list.kind)?;
        let counts = self.counts.entry(list.kind.clone()).or_default();
        if !list.is_begun {
            list.is_begun = true;
            for (level, start) in &list.starts {
                if let Some(count) = counts.get_mut(*level) {
                    *count = start.checked_sub(1);
                }
            }
        }
        let start_of = |at: usize| levels.get(at).map_or(1, |level| level.start);
        for (at, count) in counts.iter_mut().enumerate() {
            match at.cmp(&level) {
                std::cmp::Ordering::Less => *count = Some(count.unwrap_or_else(|| start_of(at))),
                std::cmp::Ordering::Equal => {
                    *count = Some(count.map_or_else(|| start_of(at), |last| last.saturating_add(1)));
                }
                std::cmp::Ordering::Greater => *count = None,
            }
        }
        let shown = levels.get(level)?;
        if matches!(shown.format.as_str(), "bullet" | "none") {
            return Some(String::new());
        }
        let mut text = shown.text.clone();
        for (at, count) in counts.iter().enumerate() {
            let place = format!("%{}", at + 1);
            if text.contains(&place) {
                let format = levels.get(at).map_or("decimal", |level| level.format.as_str());
                text = text.replace(&place, &number_in(format, count.unwrap_or(1)));
            }
        }
        Some(text.trim().to_owned())
    }
}

/// A number as a list shows it.
pub(crate) fn number_in(format: &str, number: u32) -> String {
    match format {
        "lowerLetter" | "a" => letters(number, 'a'),
        "upperLetter" | "A" => letters(number, 'A'),
        "lowerRoman" | "i" => roman(number).to_lowercase(),
        "upperRoman" | "I" => roman(number),
        "decimalZero" => format!("{number:02}"),
        "bullet" | "none" => String::new(),
        _ => number.to_string(),
    }
}

/// a, b … z, aa, bb: as Word counts.
fn letters(number: u32, first: char) -> String {
    let index = number.saturating_sub(1);
    let letter = u8::try_from(index % 26).unwrap_or(0);
    let repeated = usize::try_from(index / 26).unwrap_or(0).min(10) + 1;
    char::from(u8::try_from(first).unwrap_or(b'a') + letter).to_string().repeat(repeated)
}

fn roman(number: u32) -> String {
    const SIGNS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if number > 3_999 {
        return number.to_string();
    }
    let (mut left, mut text) = (number, String::new());
    for (value, sign) in SIGNS {
        while left >= value {
            left -= value;
            text.push_str(sign);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_known_by_outline_name_or_what_they_are_based_on() {
        let source = "<styles><style w:styleId='berschrift1'><name w:val='heading 1'/></style>\
                      <style w:styleId='Own'><name w:val='My style'/><basedOn w:val='berschrift1'/></style>\
                      <style w:styleId='Out'><name w:val='Kapitel'/><pPr><outlineLvl w:val='2'/></pPr></style>\
                      <style w:styleId='Body'><name w:val='Kein'/><basedOn w:val='berschrift1'/><pPr><outlineLvl w:val='9'/></pPr></style>\
                      <style w:styleId='Loop'><name w:val='Loop'/><basedOn w:val='Loop'/></style></styles>";
        let styles = Styles::read("s", source).expect("reads");
        let level = |id: &str| styles.heading_level(id);
        assert_eq!((level("berschrift1"), level("Own"), level("Out")), (Some(1), Some(1), Some(3)));
        assert_eq!((level("Body"), level("Loop"), level("Heading2"), level("Normal")), (None, None, Some(2), None));
    }

    #[test]
    fn lists_are_counted_as_word_does() {
        let level = |at: usize, format: &str, text: &str| {
            format!("<lvl w:ilvl='{at}'><start w:val='1'/><numFmt w:val='{format}'/><lvlText w:val='{text}'/></lvl>")
        };
        let source = format!(
            "<numbering><abstractNum w:abstractNumId='0'>{}{}{}</abstractNum><num w:numId='5'><abstractNumId w:val='0'/></num>\
             <num w:numId='6'><abstractNumId w:val='0'/><lvlOverride w:ilvl='0'><startOverride w:val='7'/></lvlOverride></num></numbering>",
            level(0, "decimal", "%1."),
            level(1, "lowerLetter", "%1.%2)"),
            level(2, "bullet", "•"),
        );
        let mut numbering = Numbering::read("n", &source, &Styles::default()).expect("reads");
        let mut count = |list: &str, level: usize| numbering.count(list, level).unwrap_or("none".to_owned());
        assert_eq!([count("5", 0), count("5", 1), count("5", 1), count("5", 2)], ["1.", "1.a)", "1.b)", ""]);
        assert_eq!([count("5", 0), count("5", 1), count("6", 0), count("9", 0)], ["2.", "2.a)", "7.", "none"]);
    }

    #[test]
    fn numbers_take_their_form() {
        assert_eq!(number_in("upperRoman", 1994), "MCMXCIV");
        assert_eq!((number_in("lowerLetter", 28), number_in("upperLetter", 26)), ("bb".to_owned(), "Z".to_owned()));
        assert_eq!(number_in("decimal", 12), "12");
        assert_eq!(number_in("lowerLetter", 0), "a");
    }
}
