//! Versions of one document, told apart by the year in their names: `travel-policy-2023.md`, `travel-policy-2025.md`.
//!
//! A question that names no year is about what holds now. Names with a full date or a number of their own
//! (`minutes-2025-03-27`, `incident-2025-021`) are records and not versions: none of them replaces another.

use std::collections::{BTreeSet, HashMap};

use crate::{
    retrieve::Hit,
    terms::{Term, terms},
};

/// Words by which a question asks for the past.
const PAST: [&str; 9] = ["old", "older", "former", "formerly", "previous", "previously", "earlier", "used", "until"];

/// Words that a number of a version follows, as [`terms`] gives them.
const VERSION: [&str; 6] = ["version", "ver", "revis", "rev", "edit", "draft"];

/// Places of hits from documents of which a newer version is among the hits, unless the question asks for the past.
pub(crate) fn replaced(hits: &[Hit], question: &str) -> BTreeSet<usize> {
    let asks_for_past = question
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| year_of(word).is_some() || PAST.contains(&word.to_lowercase().as_str()));
    if asks_for_past {
        return BTreeSet::new();
    }
    let versions: Vec<Option<(String, u16)>> = hits.iter().map(version).collect();
    let mut newest: HashMap<&str, u16> = HashMap::new();
    for (name, year) in versions.iter().flatten() {
        let newest = newest.entry(name).or_insert(*year);
        *newest = (*newest).max(*year);
    }
    (0..hits.len())
        .filter(|place| versions[*place].as_ref().is_some_and(|(name, year)| newest[name.as_str()] > *year))
        .collect()
}

/// A document's name without its year, its folder's path being another matter, and the year. `None` where the name holds no
/// year, or any other number.
fn version(hit: &Hit) -> Option<(String, u16)> {
    let words = hit.document.name_words()?;
    let mut numbers = words.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    let (year, more) = (numbers.next()?, numbers.next());
    let year = year_of(year).filter(|_| more.is_none())?;
    let name: Vec<String> = terms(&words).into_iter().filter(|term| !term.is_number).map(|term| term.text).collect();
    (!name.is_empty()).then(|| (name.join(" "), year))
}

/// What a document and its other versions are called alike: its title, else its file's name, without year and version.
pub(crate) fn name_of_all(hit: &Hit) -> Vec<Term> {
    let name = hit.document.title.clone().or_else(|| hit.document.name_words()).unwrap_or_default();
    let mut words = terms(&name).into_iter().peekable();
    let mut common = Vec::new();
    while let Some(word) = words.next() {
        if VERSION.contains(&word.text.as_str()) {
            words.next_if(|number| number.is_number);
        } else if year_of(&word.text).is_none() && !is_version(&word.text) {
            common.push(word);
        }
    }
    common
}

/// Whether a word is `v2` or `v1.3`.
fn is_version(word: &str) -> bool {
    word.strip_prefix('v')
        .is_some_and(|number| !number.is_empty() && !number.contains(|c| !matches!(c, '0'..='9' | '.')))
}

fn year_of(word: &str) -> Option<u16> {
    word.parse().ok().filter(|year| word.len() == 4 && (1900..2100).contains(year))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced_of(names: &[&str], question: &str) -> Vec<usize> {
        let hits: Vec<Hit> = names
            .iter()
            .map(|name| {
                let mut hit = Hit::sample(1, "", "text");
                hit.document.path = format!("/files/{name}").into();
                hit
            })
            .collect();
        replaced(&hits, question).into_iter().collect()
    }

    #[test]
    fn the_newest_version_replaces_the_others() {
        let names = ["travel-policy-2023.md", "travel_policy 2025.pdf", "lunch.md", "travel-policy-2021.md"];
        assert_eq!(replaced_of(&names, "Who approves travel expenses?"), [0, 3]);
    }

    #[test]
    fn who_asks_for_the_past_gets_it() {
        let names = ["travel-policy-2023.md", "travel-policy-2025.md"];
        for question in ["Who approved travel in 2023?", "What was the former rule?", "Who used to approve travel?"] {
            assert!(replaced_of(&names, question).is_empty(), "{question}");
        }
    }

    #[test]
    fn records_with_dates_or_numbers_are_not_versions() {
        let names =
            ["minutes-2025-03-27.md", "minutes-2024-09-01.md", "incident-2025-021.md", "incident-2024-7.md", "a.md"];
        assert!(replaced_of(&names, "Who was there?").is_empty());
        assert!(replaced_of(&["2023.md", "2025.md"], "Who was there?").is_empty());
    }
}
