//! Which sentences of which passages the language model reads.
//!
//! Reading is what takes the time on a CPU, so the context is made of the sentences that matter; a list item comes with the
//! line that opens its list, a table row with the header of its table. Whole passages go in where the configuration says so.
//! What was found and did not go in is said, with the reason.

use std::{collections::BTreeSet, ops::Range};

use sidenote_index::ChunkId;
use sidenote_model::Generator;

use crate::{
    config::{Answering, ContextOf},
    evidence::Sentence,
    repeats::{Said, copies},
    retrieve::Hit,
    statement::{Kind, kind, needed_with, whole},
    version,
};

/// Why a passage is left out that is of an older version.
pub(crate) const REPLACED: &str = "a newer version of the document was found";
/// Why one is that repeats what was said.
pub(crate) const SAID_BEFORE: &str = "says the same as a passage before it";

/// A numbered passage of the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// 1 upward, as the prompt and the draft name it.
    pub(crate) n: usize,
    /// Place of its chunk among the hits.
    pub(crate) hit: usize,
    /// Title and innermost heading.
    pub(crate) source: String,
    /// The sentences, in order; ` ... ` stands where some are left out.
    pub(crate) text: String,
}

#[cfg(test)]
impl Passage {
    pub(crate) fn of(n: usize, source: &str, text: &str) -> Self {
        Self { n, hit: n - 1, source: source.into(), text: text.into() }
    }
}

/// A passage that was found and that the language model did not read, or not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The chunk.
    pub chunk: ChunkId,
    /// Tokens of it that were left out.
    pub tokens: usize,
    /// A clause.
    pub why: String,
}

/// What the language model reads of a passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPassage {
    /// The chunk.
    pub chunk: ChunkId,
    /// The sentences chosen of it, under the header of their table; ` ... ` stands where some are left out.
    pub text: String,
}

/// What the language model reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) passages: Vec<Passage>,
    pub(crate) left_out: Vec<LeftOut>,
}

impl Context {
    /// Whether any of the hit at this place is read.
    pub(crate) fn holds(&self, hit: usize) -> bool {
        self.passages.iter().any(|passage| passage.hit == hit)
    }

    /// The same for the library's users.
    pub(crate) fn read(&self, hits: &[Hit]) -> impl Iterator<Item = ReadPassage> {
        self.passages.iter().map(|passage| ReadPassage { chunk: hits[passage.hit].chunk, text: passage.text.clone() })
    }
}

/// Packs the best of the hits into at most `budget_tokens` tokens.
pub(crate) fn pack(
    hits: &[Hit],
    sentences: &[Sentence],
    question: &str,
    settings: &Answering,
    budget_tokens: usize,
    generator: &dyn Generator,
) -> Context {
    let mut context = Context::default();
    let replaced = version::replaced(hits, question);
    let copies = copies(hits, &replaced);
    let mut said = Said::nothing_of(sentences, hits);
    let mut order: Vec<usize> = (0..sentences.len())
        .filter(|place| {
            let hit = &sentences[*place].hit;
            !copies.contains(hit) && !replaced.contains(hit)
        })
        .collect();
    match settings.context {
        ContextOf::Sentences => {
            order.sort_by(|a, b| sentences[*b].score().total_cmp(&sentences[*a].score()).then(a.cmp(b)));
        }
        ContextOf::Passages => order.dedup_by_key(|place| sentences[*place].hit),
    }

    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    let mut tokens = 0;
    let mut opened: BTreeSet<usize> = BTreeSet::new();
    let mut by_best_sentence: Vec<usize> = Vec::new();
    let budget_tokens = budget_tokens.min(settings.context_tokens);
    for place in order {
        let sentence = &sentences[place];
        let mut wanted: Vec<usize> = match settings.context {
            ContextOf::Sentences if said.holds(place) => Vec::new(),
            ContextOf::Sentences => with_what_it_needs(place, sentences, hits),
            ContextOf::Passages => of_hit(sentence.hit, sentences).filter(|place| !said.holds(*place)).collect(),
        };
        wanted.retain(|place| !chosen.contains(place));
        if wanted.is_empty() {
            continue;
        }
        let mut cost: usize = wanted.iter().map(|place| count(&sentences[*place], hits, generator)).sum();
        if !opened.contains(&sentence.hit) {
            cost += generator.count_tokens(&source(&hits[sentence.hit])) + PASSAGE_OVERHEAD_TOKENS;
        }
        if tokens + cost > budget_tokens {
            // A long table row does not keep a short sentence out.
            continue;
        }
        tokens += cost;
        if opened.insert(sentence.hit) {
            by_best_sentence.push(sentence.hit);
        }
        wanted.iter().for_each(|place| {
            said.add(*place);
        });
        chosen.extend(wanted);
    }

    if chosen.is_empty() && settings.context == ContextOf::Passages {
        // No passage fits: its best sentences may.
        let settings = Answering { context: ContextOf::Sentences, ..settings.clone() };
        return pack(hits, sentences, question, &settings, budget_tokens, generator);
    }
    let unopened = (0..hits.len()).filter(|place| !opened.contains(place));
    for place in by_best_sentence.into_iter().chain(unopened) {
        let hit = &hits[place];
        let (inside, outside): (Vec<usize>, Vec<usize>) =
            of_hit(place, sentences).partition(|sentence| chosen.contains(sentence));
        if !outside.is_empty() {
            let tokens = outside.iter().map(|sentence| count(&sentences[*sentence], hits, generator)).sum();
            let why = if replaced.contains(&place) {
                REPLACED
            } else if copies.contains(&place) || outside.iter().all(|sentence| said.holds(*sentence)) {
                SAID_BEFORE
            } else if inside.is_empty() {
                "did not fit into the context (`answer.context_tokens`)"
            } else {
                "other sentences of it fitted into the context (`answer.context_tokens`)"
            };
            context.left_out.push(LeftOut { chunk: hit.chunk, tokens, why: why.into() });
        }
        if !inside.is_empty() {
            context.passages.push(Passage {
                n: context.passages.len() + 1,
                hit: place,
                source: source(hit),
                text: join(&inside, sentences, hit),
            });
        }
    }
    context
}

/// All of some passages, in their order, but for those that may not be read. The places are those in `hits`.
pub(crate) fn of_whole_documents(passages: &[Hit], hits: &[Hit], may_be_read: impl Fn(usize) -> bool) -> Context {
    let mut context = Context::default();
    for passage in passages {
        let Some(place) = hits.iter().position(|hit| hit.chunk == passage.chunk).filter(|place| may_be_read(*place))
        else {
            continue;
        };
        let header = passage.table_header.as_ref().map(|header| format!("{header}\n")).unwrap_or_default();
        context.passages.push(Passage {
            n: context.passages.len() + 1,
            hit: place,
            source: source(passage),
            text: format!("{header}{}", passage.text.trim_end()),
        });
    }
    context
}

/// The sentence, and those without which it says nothing.
///
/// The sentence before always helps to understand, and measured it costs more by what it takes the place of: prose takes along
/// only what it points back to, and what points back to it.
fn with_what_it_needs(place: usize, sentences: &[Sentence], hits: &[Hit]) -> Vec<usize> {
    match kind(sentences[place].span.slice(&hits[sentences[place].hit].text).unwrap_or_default()) {
        Kind::Prose => whole(place, sentences, hits).collect(),
        Kind::Row | Kind::Item => needed_with(place, sentences, hits),
    }
}

/// Places of the sentences of a hit.
fn of_hit(hit: usize, sentences: &[Sentence]) -> Range<usize> {
    sentences.partition_point(|sentence| sentence.hit < hit)..sentences.partition_point(|sentence| sentence.hit <= hit)
}

/// The number, the brackets and the line breaks of a passage.
const PASSAGE_OVERHEAD_TOKENS: usize = 6;

fn source(hit: &Hit) -> String {
    let file = hit.document.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let title = hit.document.title.clone().or(file).unwrap_or_default();
    let mut parts = vec![title];
    // The innermost heading says most; the others would take the place of sentences.
    parts.extend(hit.heading.last().filter(|heading| **heading != parts[0]).cloned());
    parts.join(" > ")
}

fn count(sentence: &Sentence, hits: &[Hit], generator: &dyn Generator) -> usize {
    sentence.span.slice(&hits[sentence.hit].text).map_or(0, |text| generator.count_tokens(text) + 1)
}

fn join(places: &[usize], sentences: &[Sentence], hit: &Hit) -> String {
    let mut text = hit.table_header.as_ref().map(|header| format!("{header}\n")).unwrap_or_default();
    let mut last: Option<usize> = None;
    for place in places {
        let span = sentences[*place].span;
        if let Some(last) = last {
            let gap = &hit.text[sentences[last].span.end..span.start];
            text.push_str(match (*place == last + 1, gap.contains('\n')) {
                (true, true) => "\n",
                (true, false) => " ",
                (false, true) => "\n...\n",
                (false, false) => " ... ",
            });
        }
        text.push_str(span.slice(&hit.text).unwrap_or_default());
        last = Some(*place);
    }
    text
}
