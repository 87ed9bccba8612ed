//! What is put before a chunk's text when it is embedded: where in the document it stands.

use crate::TokenCounter;

/// Between the parts of a heading path.
const JOINT: &str = " > ";

/// Builds a prefix of at most `max_tokens` tokens: title and headings joined by ` > `, then the table header on a line of
/// its own. What does not fit is left out from the outside in: the header row and the innermost heading matter most.
pub(crate) fn build_prefix(
    title: Option<&str>,
    heading: &[String],
    table_header: Option<&str>,
    counter: &dyn TokenCounter,
    max_tokens: usize,
) -> String {
    if max_tokens == 0 {
        return String::new();
    }
    let header = table_header.map(|row| cut(row.trim(), counter, max_tokens)).unwrap_or_default();
    let mut parts: Vec<&str> = Vec::new();
    parts.extend(title.filter(|title| heading.first().is_none_or(|first| !is_same(first, title))));
    parts.extend(heading.iter().map(String::as_str));
    parts.retain(|part| !part.trim().is_empty());

    let join = |parts: &[&str]| match (parts.is_empty(), header.is_empty()) {
        (true, _) => header.to_owned(),
        (false, true) => parts.join(JOINT),
        (false, false) => format!("{}\n{header}", parts.join(JOINT)),
    };
    let whole = join(&parts);
    if counter.count_tokens(&whole) <= max_tokens {
        return whole;
    }
    for first in 1..parts.len() {
        let prefix = join(parts.get(first..).unwrap_or_default());
        if counter.count_tokens(&prefix) <= max_tokens {
            return prefix;
        }
    }
    if !header.is_empty() {
        return header.to_owned();
    }
    parts.last().map(|innermost| cut(innermost, counter, max_tokens).to_owned()).unwrap_or_default()
}

fn is_same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// The longest start of `text` that ends at the end of a word and is at most `max_tokens` long.
pub(crate) fn cut<'a>(text: &'a str, counter: &dyn TokenCounter, max_tokens: usize) -> &'a str {
    let offsets = counter.token_offsets(text);
    let Some(&(limit, _)) = offsets.get(max_tokens) else { return text };
    let mut kept = text.get(..limit).unwrap_or_default();
    loop {
        let inside_word = text.get(kept.len()..).is_some_and(|rest| !rest.starts_with(char::is_whitespace));
        kept = match kept.rfind(char::is_whitespace).filter(|_| inside_word) {
            Some(gap) => kept.get(..gap).unwrap_or_default().trim_end(),
            None if inside_word => "",
            None => kept.trim_end(),
        };
        // Cutting can change how the tokenizer reads the last word; it rarely takes a second round.
        if kept.is_empty() || counter.count_tokens(kept) <= max_tokens {
            return kept;
        }
        kept = kept.rfind(char::is_whitespace).and_then(|gap| kept.get(..gap)).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::Pieces;

    fn prefix(title: Option<&str>, heading: &[&str], header: Option<&str>, max_tokens: usize) -> String {
        let heading: Vec<String> = heading.iter().map(|h| (*h).to_owned()).collect();
        build_prefix(title, &heading, header, &Pieces, max_tokens)
    }

    #[test]
    fn title_and_headings_are_joined_and_not_said_twice() {
        assert_eq!(prefix(Some("Book"), &["One", "Two"], None, 48), "Book > One > Two");
        assert_eq!(prefix(Some("book "), &["Book", "Two"], None, 48), "Book > Two");
        assert_eq!(prefix(Some("Book"), &[], Some("| a | b |"), 48), "Book\n| a | b |");
        assert_eq!(prefix(None, &[], None, 48), "");
    }

    #[test]
    fn the_innermost_heading_is_the_last_to_go() {
        assert_eq!(prefix(Some("aaaa"), &["bbbb", "cccc", "dddd"], None, 3), "cccc > dddd");
        assert_eq!(prefix(Some("aaaa"), &["bbbb", "cccc dddd eeee"], None, 2), "cccc dddd");
        assert_eq!(prefix(Some("aaaa"), &["bbbb"], Some("x y"), 2), "x y");
        assert_eq!(prefix(Some("aaaa"), &["bbbb"], Some("x y"), 0), "");
    }
}
