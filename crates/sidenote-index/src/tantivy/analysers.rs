//! How text becomes terms: the readings of `analysis`, then stop words left out, endings taken off, accents folded.
//!
//! Each language has its own stop words and endings, so words are read in the language of their document and a term says in
//! which: the German "die" is nothing, the English "die" is a word. Names and codes are the same in all languages and are read
//! once more as they are written.

use std::collections::{BTreeMap, HashMap, HashSet};

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, PreTokenizedString, RawTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    Token, TokenStream, Tokenizer,
};

use crate::analysis::{Read, Reading, terms};

/// Name of `exact_analyser` in the schema.
pub(super) const EXACT: &str = "exact";

/// Distinct words of a query that are looked up; the first ones count.
const MAX_QUERY_WORDS: usize = 256;
/// Between a term and the language it was read in. No text holds it: it parts terms.
pub(super) const LANGUAGE_MARK: char = '\u{1f}';

/// A language in which words are read, by its ISO 639-1 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tongue(&'static str);

impl Tongue {
    /// What a text is read in that says nothing of its language, or is of one whose endings are not known. It leaves words of
    /// other scripts as they are.
    const DEFAULT: Self = Self("en");

    const KNOWN: [(&str, Language); 18] = [
        ("ar", Language::Arabic),
        ("da", Language::Danish),
        ("de", Language::German),
        ("el", Language::Greek),
        ("en", Language::English),
        ("es", Language::Spanish),
        ("fi", Language::Finnish),
        ("fr", Language::French),
        ("hu", Language::Hungarian),
        ("it", Language::Italian),
        ("nl", Language::Dutch),
        ("no", Language::Norwegian),
        ("pt", Language::Portuguese),
        ("ro", Language::Romanian),
        ("ru", Language::Russian),
        ("sv", Language::Swedish),
        ("ta", Language::Tamil),
        ("tr", Language::Turkish),
    ];

    /// The one in which a document of this language is read.
    pub(super) fn of(code: Option<&str>) -> Self {
        let code = match code {
            Some("nb" | "nn") => "no",
            Some(code) => code,
            None => return Self::DEFAULT,
        };
        Self::KNOWN.iter().find(|(known, _)| *known == code).map_or(Self::DEFAULT, |(known, _)| Self(known))
    }

    pub(super) fn code(self) -> &'static str {
        self.0
    }

    fn language(self) -> Language {
        Self::KNOWN.iter().find(|(known, _)| *known == self.0).map_or(Language::English, |(_, language)| *language)
    }
}

/// Our readings of a text as tantivy sees them.
#[derive(Clone, Copy, Debug)]
struct Terms(Reading);

struct TermStream {
    terms: std::vec::IntoIter<Read>,
    token: Token,
}

impl Tokenizer for Terms {
    type TokenStream<'a> = TermStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> TermStream {
        TermStream { terms: terms(text, self.0).into_iter(), token: Token::default() }
    }
}

impl TokenStream for TermStream {
    fn advance(&mut self) -> bool {
        let Some(Read { range, text, position, .. }) = self.terms.next() else { return false };
        self.token = Token { offset_from: range.start, offset_to: range.end, position, text, position_length: 1 };
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// Accents folded, nothing else changed.
pub(super) fn exact_analyser() -> TextAnalyzer {
    TextAnalyzer::builder(Terms(Reading::Exact)).filter(LowerCaser).filter(AsciiFoldingFilter).build()
}

/// The words of a phrase as the exact reading holds them, with the places in which they stand to each other.
pub(super) fn phrase(text: &str) -> Vec<(usize, String)> {
    let mut folding =
        TextAnalyzer::builder(RawTokenizer::default()).filter(LowerCaser).filter(AsciiFoldingFilter).build();
    let mut words = Vec::new();
    for part in terms(text, Reading::Words).into_iter().filter(|term| term.is_part).take(MAX_QUERY_WORDS) {
        folding.token_stream(&part.text).process(&mut |token| words.push((part.position, token.text.clone())));
    }
    words
}

/// Reads words in one language.
struct WordReader {
    analyser: TextAnalyzer,
    tongue: Tongue,
}

impl WordReader {
    fn new(tongue: Tongue) -> Self {
        let language = tongue.language();
        let lower = TextAnalyzer::builder(Terms(Reading::Words)).filter(LowerCaser);
        // Lists of stop words and rules for endings know accents, so these are folded last.
        let analyser = match StopWordFilter::new(language) {
            Some(stop) => lower.filter(stop).filter(Stemmer::new(language)).filter(AsciiFoldingFilter).build(),
            None => lower.filter(Stemmer::new(language)).filter(AsciiFoldingFilter).build(),
        };
        Self { analyser, tongue }
    }

    fn tokens(&mut self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut stream = self.analyser.token_stream(text);
        while stream.advance() {
            let mut token = stream.token().clone();
            token.text.push(LANGUAGE_MARK);
            token.text.push_str(self.tongue.0);
            tokens.push(token);
        }
        tokens
    }

    fn leaves_out(&mut self, word: &str) -> bool {
        !self.analyser.token_stream(word).advance()
    }
}

/// Reads words in any language; what it takes to read one is made once.
#[derive(Default)]
pub(super) struct WordReaders(HashMap<Tongue, WordReader>);

impl WordReaders {
    fn of(&mut self, tongue: Tongue) -> &mut WordReader {
        self.0.entry(tongue).or_insert_with(|| WordReader::new(tongue))
    }

    /// A text as it goes into the index.
    pub(super) fn read(&mut self, tongue: Tongue, text: &str) -> PreTokenizedString {
        // The text itself is not stored.
        PreTokenizedString { text: String::new(), tokens: self.of(tongue).tokens(text) }
    }
}

/// A query's words, as terms.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct QueryWords {
    /// Each word that means something, as each of the languages reads it.
    pub(super) words: Vec<Vec<String>>,
    /// The same words, and compounds, as they are written.
    pub(super) exact: Vec<String>,
    /// Whether there is nothing but stop words, which only the exact reading holds.
    pub(super) is_all_stop_words: bool,
}

impl QueryWords {
    /// Reads a query for an index with so many chunks in each of these languages.
    pub(super) fn of(query: &str, tongues: &BTreeMap<Tongue, u64>) -> Self {
        let mut readers: Vec<WordReader> = tongues.keys().map(|tongue| WordReader::new(*tongue)).collect();
        let written = written(query);
        let stop = stop_words(&written, &mut readers, tongues.values());
        let is_all_stop_words = written.iter().all(|word| stop.contains(word));
        let mut folding = TextAnalyzer::builder(RawTokenizer::default()).filter(AsciiFoldingFilter).build();
        let mut exact = Vec::new();
        for word in written.iter().filter(|word| is_all_stop_words || !stop.contains(*word)) {
            folding.token_stream(word).process(&mut |token| {
                if !exact.contains(&token.text) {
                    exact.push(token.text.clone());
                }
            });
        }
        let words = if is_all_stop_words { Vec::new() } else { variants(query, &stop, &mut readers) };
        Self { words, exact, is_all_stop_words }
    }
}

/// The distinct words and compounds of a query, in lower case.
fn written(query: &str) -> Vec<String> {
    let mut analyser = TextAnalyzer::builder(Terms(Reading::Exact)).filter(LowerCaser).build();
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    let mut stream = analyser.token_stream(query);
    while list.len() < MAX_QUERY_WORDS && stream.advance() {
        let word = &stream.token().text;
        if seen.insert(word.clone()) {
            list.push(word.clone());
        }
    }
    list
}

/// The stop words among them, in the language that the query is most likely in: the one that leaves out most of it. That of most
/// chunks is ahead by one, because a single word proves nothing: "door" is a stop word in Dutch.
fn stop_words<'a>(
    written: &[String],
    readers: &mut [WordReader],
    chunks: impl Iterator<Item = &'a u64>,
) -> HashSet<String> {
    let mut usual = (0, HashSet::new());
    let mut likely = HashSet::new();
    for (reader, chunks) in readers.iter_mut().zip(chunks) {
        let left_out: HashSet<String> = written.iter().filter(|word| reader.leaves_out(word)).cloned().collect();
        if *chunks > usual.0 {
            usual = (*chunks, left_out.clone());
        }
        if left_out.len() > likely.len() {
            likely = left_out;
        }
    }
    if likely.len() > usual.1.len() + 1 { likely } else { usual.1 }
}

/// Each word of the query with what the languages make of it, in order, each once.
fn variants(query: &str, stop: &HashSet<String>, readers: &mut [WordReader]) -> Vec<Vec<String>> {
    let mut by_place: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
    for reader in readers {
        for token in reader.tokens(query) {
            let place = (token.offset_from, token.offset_to);
            let is_stop = query.get(place.0..place.1).is_some_and(|word| stop.contains(&word.to_lowercase()));
            if !is_stop {
                by_place.entry(place).or_default().push(token.text);
            }
        }
    }
    let mut seen = HashSet::new();
    let distinct = by_place.into_values().filter(|variants| seen.insert(variants.clone()));
    distinct.take(MAX_QUERY_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(query: &str, tongues: &[&str]) -> QueryWords {
        // The first is that of most chunks.
        let counted = tongues.iter().zip([9, 1, 1]).map(|(code, chunks)| (Tongue::of(Some(code)), chunks));
        QueryWords::of(query, &counted.collect())
    }

    fn plain(words: &QueryWords) -> Vec<String> {
        words.words.iter().map(|variants| variants.join("|").replace(LANGUAGE_MARK, ":")).collect()
    }

    #[test]
    fn a_word_is_read_in_every_language_of_the_index() {
        let read = words("Kündigungsfristen", &["de", "en"]);
        assert_eq!(plain(&read), ["kundigungsfrist:de|kundigungsfristen:en"]);
        assert_eq!(read.exact, ["kundigungsfristen"]);
    }

    #[test]
    fn stop_words_are_those_of_the_language_that_has_most_of_them() {
        let german = words("Was ist die Frist für den Vertrag?", &["de", "en"]);
        assert_eq!(german.exact, ["frist", "vertrag"]);
        let english = words("Is it the battery, or does it die?", &["de", "en"]);
        assert_eq!(plain(&english), ["battery:de|batteri:en", "dos:de|doe:en", "die:en"]);
        let one_word = words("door hinge", &["en", "nl"]);
        assert_eq!(one_word.exact, ["door", "hinge"]);
    }

    #[test]
    fn of_nothing_but_stop_words_the_exact_reading_is_left() {
        let read = words("to be or not to be", &["en"]);
        assert!(read.is_all_stop_words && read.words.is_empty());
        assert_eq!(read.exact, ["to", "be", "or", "not"]);
    }

    #[test]
    fn documents_of_unknown_languages_are_read_in_one() {
        for code in [None, Some("tlh"), Some("zh"), Some("")] {
            assert_eq!(Tongue::of(code), Tongue::DEFAULT);
        }
        assert_eq!(Tongue::of(Some("nb")).code(), "no");
    }

    #[test]
    fn what_is_read_from_a_document_is_found_by_its_query() {
        let mut readers = WordReaders::default();
        for (code, text, query) in [
            ("en", "The travellers' cafés", "traveller café"),
            ("de", "Die Verträge der Häuser", "Vertrag Haus"),
            ("fr", "les employés licenciés", "employé licencié"),
            ("ru", "договоры аренды", "договор аренда"),
        ] {
            let terms: HashSet<String> =
                readers.read(Tongue::of(Some(code)), text).tokens.into_iter().map(|token| token.text).collect();
            let asked = words(query, &[code]);
            assert_eq!(asked.words.len(), 2);
            assert!(asked.words.iter().all(|variants| terms.contains(&variants[0])), "{code}: {terms:?} {asked:?}");
        }
    }
}
