//! Sentences of a passage, and which of them speak of something.

use std::{cmp::Ordering, collections::HashSet};

use sidenote_text::{Span, sentences};

use crate::terms::{Term, term_set};

/// Longest snippet of a search hit, in bytes. About three lines on a terminal.
pub(crate) const SNIPPET_BYTES: usize = 320;

/// The run of neighbouring sentences, at most `max_bytes` long, that holds most of `wanted`; of equals the shorter, then the
/// earlier. A single sentence that is longer is returned whole. Offsets are into `text`.
pub(crate) fn best_window(text: &str, wanted: &HashSet<Term>, max_bytes: usize) -> Span {
    let spans = sentences(text);
    let held: Vec<HashSet<Term>> =
        spans.iter().map(|span| span.slice(text).map(term_set).unwrap_or_default()).collect();
    let mut best: Option<(usize, Span)> = None;
    for first in 0..spans.len() {
        let mut seen: HashSet<&Term> = HashSet::new();
        for last in first..spans.len() {
            let window = Span::new(spans[first].start, spans[last].end);
            if last > first && window.len() > max_bytes {
                break;
            }
            seen.extend(held[last].intersection(wanted));
            let better = best.is_none_or(|(most, kept): (usize, Span)| match seen.len().cmp(&most) {
                // Nothing speaks of it: as much of the beginning as fits.
                Ordering::Equal if most == 0 => window.start == kept.start,
                Ordering::Equal => window.len() < kept.len(),
                Ordering::Greater => true,
                Ordering::Less => false,
            });
            if better {
                best = Some((seen.len(), window));
            }
        }
    }
    best.map_or(Span::new(0, text.len()), |(_, window)| window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_holds_the_sentences_that_speak_of_the_question() {
        let text = "Pumps are blue. Travel expenses go to Ruth. She approves them within a week. Lunch is at noon.";
        let window = best_window(text, &term_set("who approves travel expenses"), 80);
        assert_eq!(window.slice(text), Some("Travel expenses go to Ruth. She approves them within a week."));
    }

    #[test]
    fn where_nothing_matches_the_passage_is_shown_from_its_beginning() {
        let text = "Pumps are blue. Valves are red. Pipes are green.";
        let window = best_window(text, &term_set("zebra"), 32);
        assert_eq!(window.slice(text), Some("Pumps are blue. Valves are red."));
        assert_eq!(best_window("", &term_set("zebra"), 32), Span::new(0, 0));
    }
}
