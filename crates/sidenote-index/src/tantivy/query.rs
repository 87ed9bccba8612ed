//! A query's words become terms of the index: any of them, in any place, in every language of the index.

use std::collections::{BTreeMap, HashMap};

use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, FuzzyTermQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, TantivyError, Term};

use super::analysers::{LANGUAGE_MARK, QueryWords, Tongue, phrase};
use super::score::Clause;
use super::{Fields, LexicalWeights};
use crate::types::Held;

/// Bytes of a query that are looked at.
const MAX_QUERY_BYTES: usize = 65_536;
/// Letters of its stem that a word must have for one of them to be taken for a slip; codes and numbers never are.
const MIN_TYPO_LETTERS: usize = 5;
/// What a word counts that is one letter off, beside one that is met as it is written.
const TYPO_WEIGHT: f32 = 0.5;
/// Words of a query that are taken for slips, and words of the index that each may have meant: the most frequent ones.
const MAX_TYPOS: usize = 16;
const MAX_MEANT: usize = 4;

/// What any chunk is asked for that holds one of the query's words; empty where the index holds none of them.
pub(super) fn clauses(
    query: &str,
    searcher: &Searcher,
    fields: &Fields,
    weights: &LexicalWeights,
) -> Result<Vec<Clause>, TantivyError> {
    let read = QueryWords::of(readable(query), &tongues(searcher, fields.language)?);
    let mut clauses = Vec::new();
    // Says whether any chunk has the word there.
    let mut ask = |field: Field, readings: &[String], weight: f32, in_document: f32| -> Result<bool, TantivyError> {
        let readings: Vec<Term> = readings.iter().map(|text| Term::from_field_text(field, text)).collect();
        let mut is_there = false;
        for term in &readings {
            is_there |= searcher.doc_freq(term)? > 0;
        }
        if is_there && weight > 0.0 {
            clauses.push(Clause { field, readings, weight, in_document });
        }
        Ok(is_there)
    };
    for term in &read.exact {
        let weight = if read.is_all_stop_words { 1.0 } else { weights.exact };
        ask(fields.exact, std::slice::from_ref(term), weight, 0.0)?;
    }
    let mut is_any_there = false;
    for word in &read.words {
        is_any_there |= ask(fields.body, word, weights.body, weights.document)?;
        is_any_there |= ask(fields.title, word, weights.title, 0.0)?;
        is_any_there |= ask(fields.heading, word, weights.heading, 0.0)?;
    }
    if !is_any_there {
        // Only then: a word that the documents do not have is mostly no slip.
        for word in read.words.iter().take(MAX_TYPOS) {
            let meant = meant(word, searcher, fields.body)?;
            ask(fields.body, &meant, TYPO_WEIGHT * weights.body, TYPO_WEIGHT * weights.document)?;
        }
    }
    Ok(clauses)
}

/// The words of the index that a word may have meant: those one letter off, in the same language.
fn meant(word: &[String], searcher: &Searcher, field: Field) -> Result<Vec<String>, TantivyError> {
    let mut near: HashMap<String, u64> = HashMap::new();
    for text in word {
        let (letters, language) = text.split_once(LANGUAGE_MARK).unwrap_or((text, ""));
        let is_word = letters.chars().count() >= MIN_TYPO_LETTERS && letters.chars().all(char::is_alphabetic);
        if !is_word {
            continue;
        }
        let query = FuzzyTermQuery::new(Term::from_field_text(field, text), 1, true);
        for segment in searcher.segment_readers() {
            let index = segment.inverted_index(field)?;
            let mut found = index.terms().search(query.automaton()?).into_stream()?;
            while found.advance() {
                let Ok(term) = std::str::from_utf8(found.key()) else { continue };
                if term.split_once(LANGUAGE_MARK).is_some_and(|(_, other)| other == language) {
                    *near.entry(term.to_owned()).or_default() += u64::from(found.value().doc_freq);
                }
            }
        }
    }
    let mut near: Vec<(String, u64)> = near.into_iter().collect();
    near.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(near.into_iter().take(MAX_MEANT).map(|(term, _)| term).collect())
}

/// As much of a query as is looked at.
fn readable(query: &str) -> &str {
    &query[..query.floor_char_boundary(MAX_QUERY_BYTES)]
}

/// A query for the chunks that hold all of `holds` and nothing of `lacks`, in their text or above it.
pub(super) fn holding(
    holds: &[Held],
    lacks: &[Held],
    searcher: &Searcher,
    fields: &Fields,
) -> Result<Box<dyn Query>, TantivyError> {
    let tongues = tongues(searcher, fields.language)?;
    let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, Box::new(AllQuery))];
    for (list, occur) in [(holds, Occur::Must), (lacks, Occur::MustNot)] {
        clauses.extend(list.iter().map(|held| (occur, held_query(held, &tongues, fields))));
    }
    Ok(Box::new(BooleanQuery::new(clauses)))
}

fn held_query(held: &Held, tongues: &BTreeMap<Tongue, u64>, fields: &Fields) -> Box<dyn Query> {
    let term = |field: Field, text: &String| -> (Occur, Box<dyn Query>) {
        let term = Term::from_field_text(field, text);
        (Occur::Should, Box::new(TermQuery::new(term, IndexRecordOption::Basic)))
    };
    if let Held::Word(word) = held
        && let QueryWords { words, exact, .. } = QueryWords::of(readable(word), tongues)
        && let ([readings], [_]) = (words.as_slice(), exact.as_slice())
    {
        let places = [fields.body, fields.title, fields.heading];
        let read = places.iter().flat_map(|field| readings.iter().map(|text| term(*field, text)));
        return Box::new(BooleanQuery::new(read.collect()));
    }
    let words = phrase(readable(held.text()));
    let first = words.first().map_or(0, |(place, _)| *place);
    let placed: Vec<(usize, Term)> =
        words.iter().map(|(place, text)| (place - first, Term::from_field_text(fields.exact, text))).collect();
    match placed.as_slice() {
        [] => Box::new(EmptyQuery),
        [(_, only)] => Box::new(TermQuery::new(only.clone(), IndexRecordOption::Basic)),
        _ => Box::new(PhraseQuery::new_with_offset(placed)),
    }
}

/// The languages in which the documents were read, with the chunks of each.
fn tongues(searcher: &Searcher, field: Field) -> Result<BTreeMap<Tongue, u64>, TantivyError> {
    let mut tongues = BTreeMap::new();
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(field)?;
        let mut codes = index.terms().stream()?;
        while codes.advance() {
            let tongue = Tongue::of(std::str::from_utf8(codes.key()).ok());
            *tongues.entry(tongue).or_default() += u64::from(codes.value().doc_freq);
        }
    }
    Ok(tongues)
}
