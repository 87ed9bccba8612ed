//! A question finds passages: both legs, fused, as hits that know where they stand.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::RangeInclusive,
    time::Instant,
};

use sidenote_index::{ChunkId, DocumentId, Filter, Index, Scored, StoredChunk};
use sidenote_model::{CrossEncoder, Embedder};
use sidenote_text::{RowMark, Span, rows_at};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    config::{Search, SearchMode},
    document::Document,
    error::Error,
    evidence::{Sentence, as_read, best_sentences, sentences_of},
    feedback,
    fuse::{Leg, fuse_scores},
    known_names::KnownNames,
    passage,
    rerank::{Reread, rerank},
    terms::term_set,
};

/// What to search for.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// Any text is a query. `"words side by side"` and `+word` have to be in a passage, `-word` must not.
    pub query: String,
    /// Whether the query is words and nothing else, as where no person typed it.
    pub plain: bool,
    /// Most hits.
    pub limit: usize,
    /// Which legs.
    pub mode: SearchMode,
    /// Which documents; by default all.
    pub filter: Filter,
}

impl SearchRequest {
    /// Ten hits by both legs, in all documents.
    pub fn new(query: impl Into<String>) -> Self {
        let defaults = Search::default();
        Self {
            query: query.into(),
            plain: false,
            limit: defaults.limit,
            mode: defaults.mode,
            filter: Filter::default(),
        }
    }
}

/// Milliseconds of each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SearchTimings {
    /// The query's embedding.
    pub embed: f64,
    /// The BM25 leg.
    pub lexical: f64,
    /// The vector leg.
    pub dense: f64,
    /// Reading the best hits again; `None` where none were.
    pub rerank: Option<f64>,
    /// All of it.
    pub total: f64,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchReport {
    /// The query as given.
    pub query: String,
    /// Best first.
    pub hits: Vec<Hit>,
    /// What of the query was not read as it may have been meant.
    pub hint: Option<String>,
    /// Milliseconds of each stage.
    pub timings: SearchTimings,
}

/// A chunk that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// 1 is the best.
    pub rank: usize,
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: Document,
    /// Page of its first character.
    pub page: Option<u32>,
    /// Slide or sheet; [`Hit::part_at`] also names the rows.
    pub part: Option<String>,
    /// Rows of its sheet, with offsets in `text`; empty where there are none.
    pub rows: Vec<RowMark>,
    /// Headings above it, outermost first.
    pub heading: Vec<String>,
    /// Where in the document's stored text.
    pub span: Span,
    /// The stored text under the span.
    pub text: String,
    /// Tokens of it and of what was embedded before it.
    pub tokens: usize,
    /// Where in the stored text the sentences stand that match the query best; inside `span`.
    pub snippet: Span,
    /// Header row of the table it continues, when the row is not inside the span.
    pub table_header: Option<String>,
    /// What it is ordered by, 0 to 1: comparable within one search alone.
    pub score: f32,
    /// Place in the BM25 leg, 1 is the best.
    pub lexical_rank: Option<usize>,
    /// Place in the vector leg, 1 is the best.
    pub dense_rank: Option<usize>,
    /// Late interaction of its best sentence with the query, -1 to 1, where it was read closely.
    pub rerank_score: Option<f32>,
    /// Cosine of query and chunk, -1 to 1, where the vector leg found it.
    pub cosine: Option<f32>,
}

impl Hit {
    /// The text of the snippet.
    pub fn snippet_text(&self) -> &str {
        self.text.get(self.snippet.start - self.span.start..self.snippet.end - self.span.start).unwrap_or(&self.text)
    }

    /// Where `span` of the document's text, inside of the hit's own, stands as a reader would look it up: the slide, the sheet
    /// with its rows.
    pub fn part_at(&self, span: Span) -> Option<String> {
        let name = self.part.as_deref()?;
        let inside =
            Span { start: span.start.saturating_sub(self.span.start), end: span.end.saturating_sub(self.span.start) };
        Some(with_rows(name, &self.text, &self.rows, inside))
    }
}

/// A sheet's name and the rows of it that stand under a span of a text; of a slide the name.
pub(crate) fn with_rows(name: &str, text: &str, rows: &[RowMark], span: Span) -> String {
    match rows_at(text, rows, span).map(RangeInclusive::into_inner) {
        Some((first, last)) if first == last => format!("{name}, row {first}"),
        Some((first, last)) => format!("{name}, rows {first} to {last}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
impl Hit {
    /// A hit of a document of its own, under one heading.
    pub(crate) fn sample(number: i64, heading: &str, text: &str) -> Self {
        Self {
            rank: 1,
            chunk: ChunkId(number),
            document: Document::sample(number),
            page: None,
            part: None,
            rows: Vec::new(),
            heading: vec![heading.to_owned()],
            span: Span::new(0, text.len()),
            text: text.to_owned(),
            tokens: text.split_whitespace().count(),
            snippet: Span::new(0, text.len()),
            table_header: None,
            score: 0.0,
            lexical_rank: None,
            dense_rank: None,
            rerank_score: None,
            cosine: None,
        }
    }
}

/// What a search found, and the sentences of the hits that were read closely.
pub(crate) struct Found {
    pub(crate) report: SearchReport,
    /// In order of hit and place; none where nothing was read closely.
    pub(crate) sentences: Vec<Sentence>,
}

/// What a search reads with.
#[derive(Clone, Copy)]
pub(crate) struct Readers<'a> {
    /// Needed unless the mode is lexical.
    pub(crate) embedder: Option<&'a dyn Embedder>,
    /// Where one is configured.
    pub(crate) cross_encoder: Option<&'a dyn CrossEncoder>,
}

/// Searches for the query's words, whatever signs are among them.
pub(crate) fn retrieve(
    index: &Index,
    settings: &Search,
    request: &SearchRequest,
    readers: Readers<'_>,
) -> Result<Found, Error> {
    let Readers { embedder, cross_encoder } = readers;
    let begun = Instant::now();
    let mut timings = SearchTimings::default();
    let filter = &request.filter;
    let readable = embedder.map_or("", |embedder| readable(embedder, &request.query));
    let knows_words = embedder.is_none_or(|embedder| knows_words(embedder, readable));
    let rerank_depth = if request.mode == SearchMode::Hybrid && knows_words { settings.rerank_depth } else { 0 };
    let candidates = settings.candidates.max(request.limit).max(rerank_depth);

    let by_words = || {
        let started = Instant::now();
        let found = match request.mode {
            SearchMode::Hybrid | SearchMode::Lexical => index.search_lexical(&request.query, candidates, filter)?,
            SearchMode::Dense => Vec::new(),
        };
        Ok::<_, Error>((found, milliseconds(started)))
    };
    let mut by_meaning = || {
        let asked = embedder.filter(|_| request.mode != SearchMode::Lexical && !readable.trim().is_empty());
        asked.map(|embedder| search_by_meaning(index, embedder, readable, candidates, filter, &mut timings)).transpose()
    };
    let (words, meaning) = match request.mode {
        SearchMode::Hybrid => side_by_side(by_words, by_meaning)?,
        SearchMode::Lexical | SearchMode::Dense => (by_words(), by_meaning()),
    };
    let (lexical, lexical_ms) = words?;
    let (vector, dense) = meaning?.unzip();
    let (asked, dense) = (embedder.map(|embedder| &embedder.info().name).zip(vector), dense.unwrap_or_default());
    timings.lexical = lexical_ms;

    let (lexical_scores, dense_scores) = (scores(&lexical), scores(&dense));
    let (lexical_weight, dense_weight) = match request.mode {
        SearchMode::Hybrid if knows_words => (settings.lexical_weight, 1.0 - settings.lexical_weight),
        SearchMode::Hybrid => (1.0 - UNKNOWN_DENSE_WEIGHT, UNKNOWN_DENSE_WEIGHT),
        SearchMode::Lexical => (1.0, 0.0),
        SearchMode::Dense => (0.0, 1.0),
    };
    let fuse = |dense_scores: &[(ChunkId, f32)]| {
        let lexical = Leg { scores: &lexical_scores, weight: lexical_weight };
        fuse_scores(&[lexical, Leg { scores: dense_scores, weight: dense_weight }], settings.fusion)
    };
    let mut fused = fuse(&dense_scores);
    if let Some((model, vector)) = &asked
        && request.mode == SearchMode::Hybrid
        && knows_words
        && settings.feedback > 0.0
        && !dense.is_empty()
    {
        let started = Instant::now();
        let first = &fused[..fused.len().min(feedback::PASSAGES)];
        let vectors = index.vectors(&first.iter().map(|(chunk, _)| *chunk).collect::<Vec<_>>(), model)?;
        let moved = feedback::moved(vector, first, &vectors, settings.feedback);
        fused = fuse(&scores(&index.search_dense(&moved, model, candidates, filter)?));
        timings.dense += milliseconds(started);
    }
    best_of_legs_first(&mut fused, [&lexical, &dense], rerank_depth);
    fused.truncate(request.limit.max(rerank_depth));

    let mut hits = hits(index, &request.query, &fused, &lexical, &dense)?;
    let mut sentences = Vec::new();
    if let Some(embedder) = embedder.filter(|_| rerank_depth > 0 && !hits.is_empty()) {
        let started = Instant::now();
        let first = &hits[..worth_reading(&hits, rerank_depth, settings.rerank_tokens)];
        let reread = match cross_encoder {
            Some(cross_encoder) => {
                let texts: Vec<String> = first.iter().map(as_read).collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                Reread::CrossEncoder(cross_encoder.scores(readable, &texts)?)
            }
            None => {
                sentences = sentences_of(first, readable, embedder)?;
                Reread::Sentences(best_sentences(&sentences, first.len()))
            }
        };
        let names = KnownNames::of(readable, index)?;
        rerank(&mut hits, &mut sentences, reread, &names, request.limit);
        timings.rerank = Some(milliseconds(started));
    }
    timings.total = milliseconds(begun);
    Ok(Found { report: SearchReport { query: request.query.clone(), hits, hint: None, timings }, sentences })
}

/// How many of the first `depth` hits are read again: as many as have so many tokens, and the first in any case.
fn worth_reading(hits: &[Hit], depth: usize, tokens: usize) -> usize {
    let mut sum: usize = 0;
    let fits = |hit: &&Hit| {
        sum = sum.saturating_add(hit.tokens);
        sum <= tokens
    };
    hits.iter().take(depth).take_while(fits).count().max(1)
}

/// Does one on another thread, where there is one to be had.
fn side_by_side<A: Send, B>(other: impl Fn() -> A + Sync, this: impl FnOnce() -> B) -> Result<(A, B), Error> {
    std::thread::scope(|scope| match std::thread::Builder::new().spawn_scoped(scope, &other) {
        Ok(running) => {
            let this = this();
            let other = running.join().map_err(|_| Error::Internal("a search ended before its time".into()))?;
            Ok((other, this))
        }
        Err(_) => Ok((other(), this())),
    })
}

/// The query's vector and what is nearest to it.
fn search_by_meaning(
    index: &Index,
    embedder: &dyn Embedder,
    query: &str,
    candidates: usize,
    filter: &Filter,
    timings: &mut SearchTimings,
) -> Result<(Vec<f32>, Vec<Scored>), Error> {
    let started = Instant::now();
    let vector = embedder.embed(&[query])?.pop();
    let vector = vector.ok_or_else(|| Error::Internal("the embedder gave no vector".into()))?;
    timings.embed = milliseconds(started);
    let started = Instant::now();
    let found = index.search_dense(&vector, &embedder.info().name, candidates, filter)?;
    timings.dense = milliseconds(started);
    Ok((vector, found))
}

/// Of what is read again, the share that each leg may choose by itself.
const LEG_SHARE: f32 = 0.3;

/// Brings what is worth to be read again to the front, in order of the fused score: the best `depth`, among them the best of each
/// leg. A passage that one leg knows nothing of is far down where the other finds many.
fn best_of_legs_first(fused: &mut [(ChunkId, f32)], legs: [&[Scored]; 2], depth: usize) {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most a thousand"
    )]
    let of_a_leg = (depth as f32 * LEG_SHARE) as usize;
    let best: HashSet<ChunkId> =
        legs.iter().flat_map(|leg| leg.iter().take(of_a_leg)).map(|scored| scored.chunk).collect();
    let mut others = depth.saturating_sub(best.len());
    let mut is_read = HashSet::new();
    for (chunk, _) in fused.iter() {
        if best.contains(chunk) {
            is_read.insert(*chunk);
        } else if others > 0 {
            others -= 1;
            is_read.insert(*chunk);
        }
    }
    // A stable sort: both parts keep their order.
    fused.sort_by_key(|(chunk, _)| !is_read.contains(chunk));
}

/// What the vectors count where the embedding model does not know the words of the query: enough to put something behind what the
/// words find.
const UNKNOWN_DENSE_WEIGHT: f32 = 0.01;
/// Letters and digits of a token, on average, in a text whose words a model knows. A model of English spells Greek letter by
/// letter, and of Thai it sees one unknown word between two spaces. A letter counts once with the signs on it, which such a model
/// leaves out.
const KNOWN_TOKEN_CHARACTERS: std::ops::Range<f32> = 1.4..12.0;

/// Whether the embedding model knows the words of a query, by its tokens: not those of a language that it was not made for, and not
/// a code like `AB-1203/7`.
fn knows_words(embedder: &dyn Embedder, query: &str) -> bool {
    let characters = query.graphemes(true).filter(|grapheme| grapheme.chars().any(char::is_alphanumeric)).count();
    #[expect(clippy::cast_precision_loss, reason = "counts of characters")]
    let of_a_token = characters as f32 / embedder.count_tokens(query).max(1) as f32;
    characters == 0 || KNOWN_TOKEN_CHARACTERS.contains(&of_a_token)
}

/// As much of the query's beginning as the embedding model reads.
pub(crate) fn readable<'a>(embedder: &dyn Embedder, query: &'a str) -> &'a str {
    let limit = embedder.info().max_tokens.saturating_sub(embedder.info().special_tokens);
    // A token is rarely longer than its bytes are many: bounds the tokeniser's work on a query of megabytes.
    let query = head(query, limit.saturating_mul(32));
    let offsets = embedder.token_offsets(query);
    match offsets.get(limit.saturating_sub(1)) {
        Some((_, end)) if offsets.len() > limit => head(query, *end),
        _ => query,
    }
}

/// The first `bytes` of a text, shortened to a character boundary.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn scores(found: &[Scored]) -> Vec<(ChunkId, f32)> {
    found.iter().map(|scored| (scored.chunk, scored.score)).collect()
}

/// Passages by their numbers, in that order, that no query found.
pub(crate) fn passages_of(index: &Index, chunks: &[ChunkId]) -> Result<Vec<Hit>, Error> {
    let unscored: Vec<_> = chunks.iter().map(|chunk| (*chunk, 0.0)).collect();
    hits(index, "", &unscored, &[], &[])
}

fn hits(
    index: &Index,
    query: &str,
    fused: &[(ChunkId, f32)],
    lexical: &[Scored],
    dense: &[Scored],
) -> Result<Vec<Hit>, Error> {
    let place = |leg: &[Scored]| -> HashMap<ChunkId, usize> {
        leg.iter().enumerate().map(|(place, scored)| (scored.chunk, place + 1)).collect()
    };
    let (lexical_ranks, dense_ranks) = (place(lexical), place(dense));
    let fused_scores: HashMap<ChunkId, f32> = fused.iter().copied().collect();
    let cosines: HashMap<ChunkId, f32> = scores(dense).into_iter().collect();
    let query_terms = term_set(query);

    let chunks = index.chunks(&fused.iter().map(|(chunk, _)| *chunk).collect::<Vec<_>>())?;
    let ids: BTreeSet<DocumentId> = chunks.iter().map(|chunk| chunk.document).collect();
    let documents = index.documents_of_ids(&ids.into_iter().collect::<Vec<_>>())?;
    let documents: HashMap<DocumentId, Document> =
        documents.into_iter().map(|document| (document.id, Document::from(document))).collect();
    let mut hits = Vec::with_capacity(chunks.len());
    for stored in chunks {
        // Removed since the index was asked: it is gone from answers at once.
        let Some(document) = documents.get(&stored.document).cloned() else { continue };
        let table_header = table_header(index, &stored)?;
        let snippet = passage::best_window(&stored.text, &query_terms, passage::SNIPPET_BYTES);
        hits.push(Hit {
            rank: hits.len() + 1,
            chunk: stored.id,
            document,
            page: stored.page,
            part: stored.place,
            rows: stored.rows,
            heading: stored.heading,
            span: stored.span,
            snippet: Span::new(stored.span.start + snippet.start, stored.span.start + snippet.end),
            text: stored.text,
            tokens: stored.tokens,
            table_header,
            score: fused_scores.get(&stored.id).copied().unwrap_or_default(),
            lexical_rank: lexical_ranks.get(&stored.id).copied(),
            dense_rank: dense_ranks.get(&stored.id).copied(),
            rerank_score: None,
            cosine: cosines.get(&stored.id).copied(),
        });
    }
    Ok(hits)
}

fn table_header(index: &Index, stored: &StoredChunk) -> Result<Option<String>, Error> {
    match stored.table_header {
        Some(span) => Ok(index.text(stored.document, span)?),
        None => Ok(None),
    }
}

pub(crate) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_hits_are_read_again_as_fit() {
        let hits: Vec<Hit> = [3, 4, 5].map(|words| Hit::sample(1, "Parts", &"word ".repeat(words))).into();
        for (depth, tokens, expected) in [(3, 12, 3), (3, 11, 2), (2, 100, 2), (3, 1, 1), (3, usize::MAX, 3)] {
            assert_eq!(worth_reading(&hits, depth, tokens), expected);
        }
    }

    #[test]
    fn a_place_in_a_sheet_has_its_rows() {
        let mut hit = Hit::sample(1, "Parts", "Part | Supplier\nGasket | Lindenau\nValve | Orchard");
        let span_of = |hit: &Hit, words: &str| {
            let start = hit.span.start + hit.text.find(words).unwrap();
            Span::new(start, start + words.len())
        };
        assert_eq!(hit.part_at(hit.span), None);
        hit.span = Span::new(100, 100 + hit.text.len());
        hit.part = Some("sheet Parts".to_owned());
        assert_eq!(hit.part_at(hit.span).as_deref(), Some("sheet Parts"));
        hit.rows = vec![RowMark { offset: 0, number: 3 }, RowMark { offset: 16, number: 9 }];
        assert_eq!(hit.part_at(hit.span).as_deref(), Some("sheet Parts, rows 3 to 10"));
        assert_eq!(hit.part_at(span_of(&hit, "Gasket | Lindenau")).as_deref(), Some("sheet Parts, row 9"));
        assert_eq!(hit.part_at(span_of(&hit, "Orchard")).as_deref(), Some("sheet Parts, row 10"));
        // What is asked of another place than its own has no row.
        assert_eq!(hit.part_at(Span::new(900, 950)).as_deref(), Some("sheet Parts"));
    }
}
