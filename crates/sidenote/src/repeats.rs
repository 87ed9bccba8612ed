//! What was said already: copies of a page and its other versions say most of their sentences again.
//!
//! Five versions of a page would take the place of everything else that the language model could read. Word for word the same
//! is what counts here, and no likeness short of it: versions often differ in the one number that is asked for.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    evidence::Sentence,
    retrieve::Hit,
    statement::{Kind, kind},
    terms::{Term, terms},
    version,
};

/// The sentences said so far.
///
/// One is the same as another where its very words stand under the same title and headings: "The price is 890 pounds" says another
/// thing under another. Rows of tables need their table, and are never the same.
pub(crate) struct Said {
    /// A number for each sentence, equal where they are the same; `None` for one that is never the same.
    kinds: Vec<Option<usize>>,
    said: HashSet<usize>,
}

impl Said {
    /// Nothing of these sentences yet.
    pub(crate) fn nothing_of(sentences: &[Sentence], hits: &[Hit]) -> Self {
        let mut numbers = HashMap::new();
        let abouts: Vec<Vec<Term>> = hits.iter().map(about).collect();
        let kinds = sentences.iter().map(|sentence| {
            let text = sentence.span.slice(&hits[sentence.hit].text).filter(|text| kind(text) != Kind::Row)?;
            let next = numbers.len();
            Some(*numbers.entry((&abouts[sentence.hit], terms(text))).or_insert(next))
        });
        Self { kinds: kinds.collect(), said: HashSet::new() }
    }

    /// Whether the sentence at a place was said.
    pub(crate) fn holds(&self, place: usize) -> bool {
        self.kinds[place].is_some_and(|kind| self.said.contains(&kind))
    }

    /// Adds the sentence at a place. Whether it was new.
    pub(crate) fn add(&mut self, place: usize) -> bool {
        self.kinds[place].is_none_or(|kind| self.said.insert(kind))
    }
}

/// What the sentences of a hit are about.
fn about(hit: &Hit) -> Vec<Term> {
    let mut about = version::name_of_all(hit);
    about.extend(hit.heading.iter().flat_map(|heading| terms(heading)));
    about
}

/// How many hits, in their order, hold `wanted` that say something else than those before them: one of which half was said does
/// not count.
pub(crate) fn reach(hits: &[Hit], sentences: &[Sentence], wanted: usize) -> usize {
    let mut said = Said::nothing_of(sentences, hits);
    let mut found = 0;
    for hit in 0..hits.len() {
        if found == wanted {
            return hit;
        }
        let (mut own, mut new) = (0, 0);
        for place in (0..sentences.len()).filter(|place| sentences[*place].hit == hit) {
            own += 1;
            new += usize::from(said.add(place));
        }
        found += usize::from(own == 0 || 2 * new > own);
    }
    hits.len()
}

/// Places of hits that hold the very words of a better hit. One word more or less is another statement.
pub(crate) fn copies(hits: &[Hit], replaced: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut seen = HashSet::new();
    (0..hits.len()).filter(|place| !replaced.contains(place) && !seen.insert(terms(&hits[*place].text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::sentences_of;
    use sidenote_model::HashEmbedder;

    fn hit(number: i64, title: &str, heading: &str, text: &str) -> Hit {
        let mut hit = Hit::sample(number, heading, text);
        hit.document.title = Some(title.to_owned());
        hit
    }

    fn repeated(hits: &[Hit]) -> Vec<usize> {
        let sentences = sentences_of(hits, "price", &HashEmbedder::new()).unwrap();
        let mut said = Said::nothing_of(&sentences, hits);
        let is_old = |place: &usize| {
            let held = said.holds(*place);
            assert_eq!(said.add(*place), !held);
            held
        };
        (0..sentences.len()).filter(is_old).collect()
    }

    #[test]
    fn a_sentence_is_said_once_under_a_title_and_its_versions() {
        let one = "The price is 890 pounds. It has not changed.";
        let other = "The price is 940 pounds. It has not changed.";
        for (first, second) in
            [("Pump v1", "Pump v2"), ("Pump, version 1", "Pump, version 2"), ("Pump 2023", "Pump 2025")]
        {
            assert_eq!(repeated(&[hit(1, first, "Sale", one), hit(2, second, "Sale", other)]), [3], "{first}");
        }
        for (first, second) in [("Pump CB-400", "Pump CB-200"), ("Building 3", "Building 4")] {
            assert!(repeated(&[hit(1, first, "Sale", one), hit(2, second, "Sale", one)]).is_empty(), "{first}");
        }
        assert!(repeated(&[hit(1, "Pump", "Sale", one), hit(2, "Pump", "Hire", one)]).is_empty());
    }

    #[test]
    fn rows_of_a_table_are_never_the_same() {
        let table = "Part | Price\nGasket | 12\nValve | 30";
        assert!(repeated(&[hit(1, "Parts", "", table), hit(2, "Parts", "", table)]).is_empty());
    }

    #[test]
    fn hits_that_say_it_again_do_not_count() {
        let page = |number: i64| {
            let title = format!("Pump v{number}");
            hit(number, &title, "Sale", &format!("Pumps are sold. They are red. Page {number} ends."))
        };
        let mut hits: Vec<Hit> = (1..=5).map(page).collect();
        hits.push(hit(6, "Lunch", "", "Lunch is at noon."));
        hits.push(hit(7, "Rent", "", "Rent is due in May."));
        let sentences = sentences_of(&hits, "pumps", &HashEmbedder::new()).unwrap();
        assert_eq!(reach(&hits, &sentences, 1), 1);
        assert_eq!(reach(&hits, &sentences, 2), 6);
        assert_eq!(reach(&hits, &sentences, 9), 7);
        assert_eq!(reach(&hits, &[], 3), 3, "what was not read closely is taken as new");
        assert_eq!(reach(&[], &[], 3), 0);
    }
}
