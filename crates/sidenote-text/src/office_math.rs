//! Formulas of office files as one line that can be read and found: `x=(-b±√(b^2-4ac))/(2a)`.

use crate::xml_walk::Tag;

/// Groups inside of each other; what lies deeper is written without signs. Every group's text is copied once at its end.
const MAX_DEPTH: usize = 100;

/// The formula that is being read into a text. It is told of every element inside it; the letters come by themselves.
#[derive(Default)]
pub(crate) struct Formula {
    groups: Vec<Group>,
    /// A large operator whose sign has not come: without one it is an integral.
    needs_sign: bool,
}

struct Group {
    name: &'static str,
    /// Where in the text its letters begin.
    start: usize,
    /// What stands behind it.
    tail: String,
    /// Elements of its name that are open in it and are no groups.
    alike: usize,
}

impl Formula {
    /// An element of the formula begins.
    pub(crate) fn open(&mut self, tag: &Tag<'_>, out: &mut String) {
        let (name, lead) = match tag.name() {
            "num" => ("num", ""),
            "den" => ("den", "/"),
            "sup" => ("sup", "^"),
            "sub" => ("sub", "_"),
            "rad" => ("rad", "√"),
            "d" => ("d", "("),
            "naryPr" => {
                self.needs_sign = true;
                return;
            }
            "chr" => {
                self.needs_sign = false;
                out.push_str(&tag.attr("val").unwrap_or_default());
                return;
            }
            "begChr" | "endChr" => {
                let sign = tag.attr("val").unwrap_or_default();
                let Some(group) = self.groups.iter_mut().rev().find(|group| group.name == "d") else { return };
                if tag.name() == "endChr" {
                    group.tail = sign;
                } else if out.len() == group.start && out.ends_with('(') {
                    out.pop();
                    out.push_str(&sign);
                    group.start = out.len();
                }
                return;
            }
            // A root's degree is rarely there, and then it reads as a factor.
            "e" if self.groups.last().is_some_and(|group| group.name == "rad") => ("e", ""),
            name => {
                if let Some(group) = self.groups.last_mut().filter(|group| group.name == name) {
                    group.alike += 1;
                }
                return;
            }
        };
        if self.groups.len() >= MAX_DEPTH {
            return;
        }
        out.push_str(lead);
        let tail = if name == "d" { ")".to_owned() } else { String::new() };
        self.groups.push(Group { name, start: out.len(), tail, alike: 0 });
    }

    /// An element of the formula ends.
    pub(crate) fn close(&mut self, name: &str, out: &mut String) {
        if name == "naryPr" && std::mem::take(&mut self.needs_sign) {
            out.push('∫');
        }
        match self.groups.last_mut() {
            Some(group) if group.name == name && group.alike > 0 => {
                group.alike -= 1;
                return;
            }
            Some(group) if group.name == name => {}
            Some(_) | None => return,
        }
        let Some(group) = self.groups.pop() else { return };
        let inner = out.get(group.start..).unwrap_or_default().trim();
        if inner.is_empty() && matches!(name, "sup" | "sub" | "den") {
            let lead = group.start.saturating_sub(1);
            if out.is_char_boundary(lead) {
                out.truncate(lead);
            }
            return;
        }
        let is_short = inner.chars().count() <= 1 || inner.chars().all(|c| c.is_ascii_digit() || c == '.');
        if matches!(name, "num" | "den" | "sup" | "sub" | "e") && !is_short {
            let grouped = format!("({inner})");
            out.truncate(group.start);
            out.push_str(&grouped);
        }
        out.push_str(&group.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml_walk::{Step, Xml};

    fn line(source: &str) -> String {
        let (mut out, mut formula) = (String::new(), Formula::default());
        let mut xml = Xml::new("a", source);
        while let Some(step) = xml.next().expect("reads") {
            match step {
                Step::Open(tag) => formula.open(&tag, &mut out),
                Step::Text(text) => out.push_str(&text),
                Step::Close(end) => formula.close(end.name(), &mut out),
            }
        }
        out
    }

    #[test]
    fn formulas_are_read_on_one_line() {
        let source = "<oMath><t>x=</t><f><num><t>-b±</t><rad><deg/><e><sSup><e><t>b</t></e><sup><t>2</t></sup></sSup>\
                      <t>-4ac</t></e></rad></num><den><t>2a</t></den></f></oMath>";
        assert_eq!(line(source), "x=(-b±√(b^2-4ac))/(2a)");
        // A group may be nested as deep as it likes.
        let deep = line(&format!("<a>{}x{}</a>", "<num>".repeat(1_900), "</num>".repeat(1_900)));
        assert_eq!(deep, "x");
        let source = "<oMath><d><dPr><begChr val='['/><endChr val=']'/></dPr><e><t>a</t></e></d><sSup><e><t>c</t></e><sup/></sSup></oMath>";
        assert_eq!(line(source), "[a]c");
    }
}
