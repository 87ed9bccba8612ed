//! What the model writes, and the passage numbers in it.
//!
//! A draft is text with labels such as `[2]`. [`LabelFilter`] lets a draft through as it comes, without them: they number the
//! passages of the prompt, and notes have numbers of their own. [`parse`] takes the finished draft apart.

use sidenote_text::sentences;

/// Longest label held back while it is incomplete, in bytes. No passage list of a prompt is near as long.
const MAX_LABEL_BYTES: usize = 256;

/// Passes a draft on piece by piece, without labels.
#[derive(Debug, Default)]
pub(crate) struct LabelFilter {
    held: String,
}

impl LabelFilter {
    /// Takes the next piece; gives what can be shown now. Spaces are held back too: a label takes them along.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let mut shown = String::new();
        loop {
            let open = self.held.find('[');
            let begin = self.held[..open.unwrap_or(self.held.len())].trim_end_matches(' ').len();
            shown.extend(self.held.drain(..begin));
            let Some(open) = open.map(|open| open - begin) else { return shown };
            let next = self.held[open + 1..].find(['[', ']']).map(|next| open + 1 + next);
            match next {
                Some(close) if self.held[close..].starts_with(']') => {
                    let label: String = self.held.drain(..=close).collect();
                    if numbers(&label[open..]).is_none() {
                        shown.push_str(&label);
                    }
                }
                None if may_become_label(&self.held[open..]) => return shown,
                // What opens another bracket, or holds other characters, is text.
                Some(_) | None => shown.extend(self.held.drain(..=open)),
            }
        }
    }

    /// Gives what is left at the end of the draft.
    pub(crate) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if may_become_label(held.trim_start_matches(' ')) { String::new() } else { held }
    }
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, ',' | ' ' | ';' | '-')
}

/// Whether an opened bracket may still be closed as a label.
fn may_become_label(held: &str) -> bool {
    const WORD: &str = "passage";
    let Some(inner) = held.strip_prefix('[').filter(|_| held.len() <= MAX_LABEL_BYTES) else { return false };
    let inner = inner.trim_start();
    let letters = inner.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(inner.len());
    let (word, rest) = inner.split_at(letters);
    let is_begun = rest.is_empty() && WORD.starts_with(&word.to_ascii_lowercase());
    (word.is_empty() || is_begun || word.eq_ignore_ascii_case(WORD)) && rest.chars().all(is_label_char)
}

/// A document's own sentence with its own bracketed numbers (of references, of years) in round brackets: nothing in an answer
/// may look like a note that is none.
pub(crate) fn without_labels(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let Some(close) = rest[open..].find(']').map(|close| open + close) else { break };
        shown.push_str(&rest[..open]);
        let bracketed = &rest[open..=close];
        if numbers(bracketed).is_some() {
            shown.extend(["(", &rest[open + 1..close], ")"]);
            rest = &rest[close + 1..];
        } else {
            // What is inside may hold another one.
            shown.push('[');
            rest = &rest[open + 1..];
        }
    }
    shown.push_str(rest);
    shown
}

/// The numbers of `[1, 2]`; `None` where the brackets hold something else, which is then text.
fn numbers(label: &str) -> Option<Vec<usize>> {
    let inner = label.strip_prefix('[')?.strip_suffix(']')?;
    let inner = inner.trim().trim_start_matches("passage").trim_start_matches("Passage").trim();
    (!inner.is_empty() && inner.chars().all(is_label_char))
        .then(|| inner.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect())
}

/// A sentence of a draft, its labels apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DraftSentence {
    /// Without labels.
    pub(crate) text: String,
    /// The passages it points at, as numbered in the prompt.
    pub(crate) labels: Vec<usize>,
}

/// Takes a draft apart. Labels belong to the sentence they stand in, or stand behind.
pub(crate) fn parse(draft: &str, passages: usize) -> Vec<DraftSentence> {
    let mut parsed: Vec<DraftSentence> = Vec::new();
    for span in sentences(draft) {
        let mut rest = span.slice(draft).unwrap_or_default();
        let mut text = String::new();
        let mut labels = Vec::new();
        while let Some(open) = rest.find('[') {
            let Some(close) = rest[open..].find(']').map(|close| open + close) else { break };
            text.push_str(rest[..open].trim_end());
            match numbers(&rest[open..=close]) {
                Some(found) => {
                    let found = found.into_iter().filter(|n| (1..=passages).contains(n));
                    match parsed.last_mut() {
                        // A label before any word of this sentence stands behind the one before.
                        Some(before) if text.is_empty() => before.labels.extend(found),
                        _ => labels.extend(found),
                    }
                }
                None => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(&rest[open..=close]);
                }
            }
            rest = &rest[close + 1..];
            if rest.starts_with(char::is_whitespace) && !text.is_empty() && !rest.trim().is_empty() {
                text.push(' ');
                rest = rest.trim_start();
            }
        }
        text.push_str(rest);
        let text = text.trim().to_owned();
        if text.chars().any(char::is_alphanumeric) {
            parsed.push(DraftSentence { text, labels });
        } else if let Some(before) = parsed.last_mut() {
            before.labels.extend(labels);
        }
    }
    for sentence in &mut parsed {
        sentence.labels.sort_unstable();
        sentence.labels.dedup();
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(pieces: &[&str]) -> String {
        let mut filter = LabelFilter::default();
        let mut shown: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        shown.push_str(&filter.finish());
        shown
    }

    #[test]
    fn numbers_of_passages_are_not_shown() {
        assert_eq!(filter(&["14 days", " [", "2", "]."]), "14 days.");
        assert_eq!(filter(&["14 days ", "[2", "] ago"]), "14 days ago");
        assert_eq!(filter(&["14 days [2]."]), "14 days.");
        assert_eq!(filter(&["a [1, 9] b [0]"]), "a b");
        assert_eq!(filter(&["cut off [1"]), "cut off");
        assert_eq!(filter(&["a [9, 10, 11, 12, ", "13, 14, 15, 16, 17", ", 2] b"]), "a b");
        assert_eq!(filter(&["a [Passage ", "7] b [pass", "age 2]"]), "a b");
    }

    #[test]
    fn brackets_that_are_no_label_are_text() {
        assert_eq!(filter(&["see [annex A] and arr[", "i]"]), "see [annex A] and arr[i]");
        assert_eq!(filter(&["a [b [9] c]"]), "a [b c]");
        assert_eq!(filter(&["an open [bracket that goes on for long"]), "an open [bracket that goes on for long");
    }

    #[test]
    fn numbers_of_a_document_do_not_look_like_notes() {
        assert_eq!(
            without_labels("Built in 1998.[12] See [3, 4] and [annex [5]]."),
            "Built in 1998.(12) See (3, 4) and [annex (5)]."
        );
        assert_eq!(without_labels("[1990] 2 AC 605 [open"), "(1990) 2 AC 605 [open");
        assert_eq!(without_labels("No brackets, [no] number."), "No brackets, [no] number.");
    }

    #[test]
    fn labels_belong_to_the_sentence_they_stand_in_or_behind() {
        let parsed = parse("Ruth approves. [2] It takes 14 days [1][3]. [9]", 3);
        assert_eq!(
            parsed,
            [
                DraftSentence { text: "Ruth approves.".into(), labels: vec![2] },
                DraftSentence { text: "It takes 14 days.".into(), labels: vec![1, 3] },
            ]
        );
        assert_eq!(parse("14 days [2]", 3), [DraftSentence { text: "14 days".into(), labels: vec![2] }]);
        assert_eq!(parse("the code is arr[i] [1]", 3)[0].labels, [1]);
        assert!(parse("  [1]  ", 3).is_empty());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter_and_no_invented_number_passes(text in "[a-z \\[\\]0-9,.]{0,60}", cut in 0_usize..60, passages in 0_usize..5) {
            let cut = cut.min(text.len());
            let whole = filter(&[&text]);
            prop_assert_eq!(&filter(&[&text[..cut], &text[cut..]]), &whole);
            for sentence in parse(&text, passages) {
                prop_assert!(sentence.labels.iter().all(|n| (1..=passages).contains(n)));
            }
        }
    }
}
