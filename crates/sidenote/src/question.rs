//! What answering a question takes beside a language model: passages with their sentences, notes, and the answer they become part of.

use std::{collections::BTreeSet, time::Instant};

use sidenote_index::{Filter, Index};
use sidenote_model::{CancelToken, CrossEncoder, Embedder};
use sidenote_text::Span;

use crate::{
    answer::{Answer, AnswerSentence, AskEvent, AskRequest, AskTimings, AskTokens},
    cite::{self, Citation},
    config::{Config, SearchMode},
    context::LeftOut,
    error::Error,
    evidence::{self, Sentence},
    orders::Asked,
    repeats::reach,
    retrieve::{Found, Hit, Readers, SearchRequest, milliseconds, retrieve},
    whole::Whole,
};

/// One question at work.
pub(crate) struct Question<'a> {
    pub(crate) config: &'a Config,
    pub(crate) index: &'a Index,
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) cross_encoder: Option<&'a dyn CrossEncoder>,
    pub(crate) request: &'a AskRequest,
    pub(crate) cancel: &'a CancelToken,
    /// When the question was asked, and how long opening the models took.
    pub(crate) asked: Instant,
    pub(crate) load_ms: f64,
    /// The documents that the language model is to read whole.
    pub(crate) whole: Option<&'a Whole>,
}

impl Question<'_> {
    /// The answer before anything is known. `model` is empty where no language model is asked.
    pub(crate) fn blank(&self, model: String) -> Answer {
        Answer {
            question: self.request.question.clone(),
            standalone: None,
            answered: false,
            reason: None,
            confidence: 0.0,
            signals: None,
            draft: String::new(),
            answer: String::new(),
            sentences: Vec::new(),
            citations: Vec::new(),
            passages: Vec::new(),
            left_out: Vec::new(),
            read: Vec::new(),
            timings: AskTimings { load: self.load_ms, ..AskTimings::default() },
            tokens: AskTokens::default(),
            model,
            seed: self.request.seed.unwrap_or(self.config.answer.seed),
        }
    }

    /// Finds the passages; gives them with their sentences. `part` is the part of the question that they are for, where `query` says it
    /// otherwise.
    pub(crate) fn find(
        &self,
        query: &str,
        part: &str,
        filter: Filter,
        answer: &mut Answer,
    ) -> Result<(Vec<Hit>, Vec<Sentence>), Error> {
        let all = self.whole.map(|whole| whole.passages.len());
        let wanted = all.unwrap_or(self.config.answer.passages);
        let mut settings = self.config.search.clone();
        if let Some(all) = all {
            // The model may draft from any of them.
            (settings.rerank_depth, settings.rerank_tokens) = (all, usize::MAX);
        }
        let request = SearchRequest {
            query: query.to_owned(),
            plain: true,
            // Much of it may say the same again.
            limit: wanted.max(settings.rerank_depth),
            mode: SearchMode::Hybrid,
            filter,
        };
        let readers = Readers { embedder: Some(self.embedder), cross_encoder: self.cross_encoder };
        let Found { mut report, mut sentences } = retrieve(self.index, &settings, &request, readers)?;
        if let Some(whole) = self.whole {
            let found = report.hits.len();
            let is_missing = |passage: &&Hit| report.hits[..found].iter().all(|hit| hit.chunk != passage.chunk);
            let missing: Vec<Hit> = whole.passages.iter().filter(is_missing).cloned().collect();
            if !missing.is_empty() {
                report.hits.extend(missing);
                sentences.clear();
            }
        }
        if sentences.is_empty() && !report.hits.is_empty() {
            report.hits.truncate(wanted);
            // No sentence was looked at; what is read or quoted is chosen by sentences all the same.
            sentences = evidence::sentences_of(&report.hits, query, self.embedder)?;
        }
        report.hits.truncate(reach(&report.hits, &sentences, wanted));
        sentences.retain(|sentence| sentence.hit < report.hits.len());
        let standalone = answer.standalone.as_deref().unwrap_or_default();
        let asked = Asked::in_ways(&[query, part, &self.request.question, standalone]);
        let orders: Vec<usize> =
            (0..report.hits.len()).filter(|place| asked.is_ordered_by(&report.hits[*place])).collect();
        sentences.retain(|sentence| !orders.contains(&sentence.hit));
        for place in orders {
            self.leave_out(answer, &report.hits[place], "it tells whoever answers what to say");
        }
        answer.timings.retrieve += report.timings.total;
        answer.timings.rerank = sum(answer.timings.rerank, report.timings.rerank);
        Ok((report.hits, sentences))
    }

    /// Says that nothing of a passage is read or quoted, and why.
    pub(crate) fn leave_out(&self, answer: &mut Answer, hit: &Hit, why: &str) {
        if answer.left_out.iter().all(|left| left.chunk != hit.chunk) {
            let tokens = self.embedder.count_tokens(&hit.text);
            answer.left_out.push(LeftOut { chunk: hit.chunk, tokens, why: why.to_owned() });
        }
    }

    /// Settles a sentence, and its short form, with the note to what carries it; whether the quote could be cut.
    pub(crate) fn settle(
        &self,
        answer: &mut Answer,
        (text, short): (String, Option<String>),
        (hit, span): (&Hit, Span),
        on_event: &mut dyn FnMut(AskEvent<'_>),
    ) -> Result<bool, Error> {
        let Some(note) = self.note(answer, hit, span)? else { return Ok(false) };
        if answer.sentences.iter().any(|known| known.text == text && known.citations == [note]) {
            // One sentence answers two parts.
            return Ok(true);
        }
        let settled = AnswerSentence { text, short, citations: vec![note], supported: true };
        let notes: Vec<Citation> = answer.citations.iter().filter(|citation| citation.n == note).cloned().collect();
        answer.timings.first_sentence.get_or_insert_with(|| milliseconds(self.asked));
        on_event(AskEvent::Sentence { sentence: &settled, citations: &notes });
        answer.sentences.push(settled);
        Ok(true)
    }

    /// The number of the note at a place: the one that stands already, or a new one.
    fn note(&self, answer: &mut Answer, hit: &Hit, span: Span) -> Result<Option<u32>, Error> {
        let known = answer
            .citations
            .iter()
            .find(|citation| citation.document.id == hit.document.id && citation.span.contains(span));
        if let Some(known) = known {
            return Ok(Some(known.n));
        }
        let before = u32::try_from(answer.citations.len()).unwrap_or(u32::MAX);
        let n = self.request.first_note.saturating_add(before);
        let cut = cite::cut(self.index, hit, span, n)?;
        answer.citations.extend(cut.clone());
        Ok(cut.map(|citation| citation.n))
    }

    /// Completes an answer whose sentences are settled, and tells it.
    pub(crate) fn finish(&self, mut answer: Answer, on_event: &mut dyn FnMut(AskEvent<'_>)) -> Result<Answer, Error> {
        self.forget_removed(&mut answer)?;
        answer.answered = !answer.sentences.is_empty();
        answer.answer = answer.sentences.iter().map(AnswerSentence::with_notes).collect::<Vec<_>>().join(" ");
        answer.timings.total = milliseconds(self.asked);
        on_event(AskEvent::Final(&answer));
        Ok(answer)
    }

    /// A document may be removed while it is read. What was streamed of it was there then; the answer does not have it.
    fn forget_removed(&self, answer: &mut Answer) -> Result<(), Error> {
        let read: BTreeSet<_> = answer.passages.iter().map(|hit| hit.document.id).collect();
        let mut gone = BTreeSet::new();
        for id in read {
            if self.index.document(id)?.is_none() {
                gone.insert(id);
            }
        }
        let said = answer.sentences.len();
        answer.forget(&gone);
        if answer.sentences.len() < said {
            answer.reason = Some("A document that said it was removed meanwhile.".into());
        } else if answer.reason.is_some() && !gone.is_empty() {
            // It may name what is gone.
            answer.reason = Some("The documents do not say; one that was looked at was removed meanwhile.".into());
        }
        Ok(())
    }

    pub(crate) fn stop_if_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// The sum of what is known of both.
pub(crate) fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| a + b).or(a).or(b)
}

/// What was looked at, and what came closest.
pub(crate) fn closest(hits: &[Hit], sentences: &[Sentence]) -> String {
    if hits.is_empty() {
        return "Nothing in the documents matches the question.".into();
    }
    let looked_at = hits.iter().map(|hit| hit.document.id).collect::<BTreeSet<_>>().len();
    let looked_at =
        format!("Looked at {} passages of {looked_at} document{}", hits.len(), if looked_at == 1 { "" } else { "s" });
    let best = sentences.iter().max_by(|a, b| a.score().total_cmp(&b.score()));
    let Some(hit) = best.map(|sentence| &hits[sentence.hit]) else {
        return format!("The documents do not say. {looked_at}.");
    };
    let name = hit.document.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let place = hit.heading.last().map(|heading| format!(", under \u{201c}{heading}\u{201d}")).unwrap_or_default();
    let page = hit.page.map(|page| format!(", page {page}")).unwrap_or_default();
    format!("The documents do not say. {looked_at}; the closest is {name}{page}{place}.")
}
