//! A query's words become a query of tantivy's: any of them, in any place, in every language of the index.

use std::collections::{BTreeMap, HashMap};

use tantivy::query::{
    AllQuery, Bm25StatisticsProvider, BooleanQuery, BoostQuery, EmptyQuery, FuzzyTermQuery, Occur, PhraseQuery, Query,
    TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, TantivyError, Term};

use super::analysers::{LANGUAGE_MARK, QueryWords, Tongue, phrase};
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

/// A query, ready to be asked.
pub(super) struct LexicalQuery<'a> {
    pub(super) query: Box<dyn Query>,
    /// Its words in the texts of chunks, each as every language reads it.
    pub(super) words: Vec<Vec<Term>>,
    pub(super) statistics: Statistics<'a>,
}

/// Counts of the index, with one difference: a word is as frequent as all of its readings together. A document that was taken
/// to be of a language nobody else writes would hold nothing but rare words.
pub(super) struct Statistics<'a> {
    searcher: &'a Searcher,
    shared: HashMap<Term, u64>,
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        self.searcher.total_num_tokens(field)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        self.searcher.total_num_docs()
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        match self.shared.get(term) {
            Some(count) => Ok(*count),
            None => Bm25StatisticsProvider::doc_freq(self.searcher, term),
        }
    }
}

impl<'a> LexicalQuery<'a> {
    /// A query that matches any of the words, or everything with `all`, what has none of the words with a score of 0. `None`
    /// where there is nothing to match.
    pub(super) fn any_of(
        query: &str,
        all: bool,
        searcher: &'a Searcher,
        fields: &Fields,
        weights: &LexicalWeights,
    ) -> Result<Option<Self>, TantivyError> {
        let read = QueryWords::of(readable(query), &tongues(searcher, fields.language)?);
        let mut built = Building { searcher, clauses: Vec::new(), shared: HashMap::new() };
        for term in &read.exact {
            let weight = if read.is_all_stop_words { 1.0 } else { weights.exact };
            built.add(Term::from_field_text(fields.exact, term), weight);
        }
        let places = [(fields.body, weights.body), (fields.title, weights.title), (fields.heading, weights.heading)];
        let mut words = read.words;
        let mut found = 0;
        for word in &words {
            for (field, weight) in places {
                found += built.add_readings(field, word, weight)?;
            }
        }
        if found == 0 {
            // Only then: a word that the documents do not have is mostly no slip.
            for word in words.iter_mut().take(MAX_TYPOS) {
                *word = meant(word, searcher, fields.body)?;
                built.add_readings(fields.body, word, TYPO_WEIGHT * weights.body)?;
            }
        }
        let term = |text: &String| Term::from_field_text(fields.body, text);
        let words = words.iter().map(|word| word.iter().map(term).collect()).collect();
        let Building { mut clauses, shared, .. } = built;
        if all {
            clauses.push((Occur::Should, Box::new(BoostQuery::new(Box::new(AllQuery), 0.0))));
        }
        let query = (!clauses.is_empty()).then(|| Box::new(BooleanQuery::new(clauses)));
        Ok(query.map(|query| Self { query, words, statistics: Statistics { searcher, shared } }))
    }
}

/// A query in the making.
struct Building<'a> {
    searcher: &'a Searcher,
    clauses: Vec<(Occur, Box<dyn Query>)>,
    shared: HashMap<Term, u64>,
}

impl Building<'_> {
    fn add(&mut self, term: Term, weight: f32) {
        if weight > 0.0 {
            let query = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
            self.clauses.push((Occur::Should, Box::new(BoostQuery::new(query, weight))));
        }
    }

    /// Adds what the languages make of a word; says in how many chunks it is.
    fn add_readings(&mut self, field: Field, word: &[String], weight: f32) -> Result<u64, TantivyError> {
        let terms: Vec<Term> = word.iter().map(|text| Term::from_field_text(field, text)).collect();
        let mut having = 0;
        for term in &terms {
            having += Bm25StatisticsProvider::doc_freq(self.searcher, term)?;
        }
        for term in terms {
            self.shared.insert(term.clone(), having);
            self.add(term, weight);
        }
        Ok(having)
    }
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
