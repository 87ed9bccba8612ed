//! A question becomes an answer: retrieve, choose sentences, ask the model, check what it wrote, cut the notes.
//!
//! Draft tokens are events as they come. When the model is done each sentence is held against the passages: what they
//! carry is settled with its notes, what they do not is retracted. When nothing is left, or confidence is under the
//! threshold, the answer is that the documents do not say, and what came closest is named.

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use sidenote_index::Index;
use sidenote_model::{
    CancelToken, Embedder, GenerateRequest, Generation, Generator, ModelError, Prompt, Sampling, StopReason,
};

use crate::{
    cite::{self, Citation, Support},
    confidence::Signals,
    config::{Config, SearchMode},
    context::{self, Context, LeftOut},
    draft::{self, DraftSentence, LabelFilter},
    error::Error,
    evidence::{self, Sentence},
    prompt,
    retrieve::{Found, Hit, SearchRequest, milliseconds, retrieve},
    terms::{names, term_set},
    verdict::{self, Claim},
};

/// A question.
#[derive(Clone, Debug)]
pub struct AskRequest {
    /// The question, in plain words.
    pub question: String,
    /// Only from this collection; `None` means from all.
    pub collection: Option<String>,
    /// Only from files below this folder, or from this file.
    pub path_prefix: Option<PathBuf>,
    /// Most tokens of the answer; `None` means `answer.max_tokens`.
    pub max_tokens: Option<usize>,
    /// Seed of sampling; `None` means `answer.seed`. Without effect at temperature 0.
    pub seed: Option<u64>,
}

impl AskRequest {
    /// The question, over all collections.
    pub fn new(question: impl Into<String>) -> Self {
        Self { question: question.into(), collection: None, path_prefix: None, max_tokens: None, seed: None }
    }
}

/// What the engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskPhase {
    /// Opening the models.
    Loading,
    /// Looking for passages.
    Retrieving,
    /// The model reads the passages.
    Reading,
}

/// What happens while a question is answered.
#[derive(Clone, Copy, Debug)]
pub enum AskEvent<'a> {
    /// A new phase begins.
    Phase(AskPhase),
    /// Draft text. A passage number in it exists; the notes get numbers of their own when the sentence settles.
    Token(&'a str),
    /// A sentence is checked.
    Sentence {
        /// The sentence.
        sentence: &'a AnswerSentence,
        /// Its notes.
        citations: &'a [Citation],
    },
    /// A draft sentence that nothing supports.
    Retract(&'a str),
    /// The answer is complete.
    Final(&'a Answer),
}

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerSentence {
    /// Without note numbers.
    pub text: String,
    /// Numbers of its notes.
    pub citations: Vec<u32>,
    /// Whether its notes carry it. Always so in an answer that is shown.
    pub supported: bool,
}

/// Milliseconds of each stage; `None` for a stage that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AskTimings {
    /// Opening the models.
    pub load: f64,
    /// Finding passages.
    pub retrieve: f64,
    /// Reading the best passages sentence by sentence; part of `retrieve`.
    pub rerank: Option<f64>,
    /// The model reads the prompt.
    pub prefill: Option<f64>,
    /// From the question to the first draft token.
    pub first_token: Option<f64>,
    /// From the question to the first checked sentence.
    pub first_sentence: Option<f64>,
    /// The model writes.
    pub decode: Option<f64>,
    /// All of it.
    pub total: f64,
}

/// Tokens of the language model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskTokens {
    /// In the prompt.
    pub prompt: usize,
    /// Of those, already in the KV cache.
    pub reused: usize,
    /// Written.
    pub generated: usize,
}

/// An answer, or the statement that the documents do not hold one.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The question.
    pub question: String,
    /// Whether the documents say.
    pub answered: bool,
    /// Why not, in a sentence for the user; `None` when answered.
    pub reason: Option<String>,
    /// 0 to 1.
    pub confidence: f32,
    /// What the confidence was made of; `None` where there was no draft to judge.
    pub signals: Option<Signals>,
    /// What the model wrote, unchecked: for measurements, never for display.
    pub draft: String,
    /// The answer with its note numbers; empty when not answered.
    pub answer: String,
    /// Its sentences; empty when not answered.
    pub sentences: Vec<AnswerSentence>,
    /// Its notes, in order of number. When not answered, none.
    pub citations: Vec<Citation>,
    /// The passages that were found, best first.
    pub passages: Vec<Hit>,
    /// What was found and not read.
    pub left_out: Vec<LeftOut>,
    /// Milliseconds of each stage.
    pub timings: AskTimings,
    /// Tokens of the language model.
    pub tokens: AskTokens,
    /// The language model.
    pub model: String,
    /// The seed.
    pub seed: u64,
}

/// One question at work.
pub(crate) struct Question<'a> {
    pub(crate) config: &'a Config,
    pub(crate) index: &'a Index,
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) generator: &'a dyn Generator,
    pub(crate) request: &'a AskRequest,
    pub(crate) cancel: &'a CancelToken,
    /// When the question was asked, and how long opening the models took.
    pub(crate) asked: Instant,
    pub(crate) load_ms: f64,
}

impl Question<'_> {
    /// Answers it.
    pub(crate) fn answer(&self, on_event: &mut dyn FnMut(AskEvent<'_>)) -> Result<Answer, Error> {
        let mut answer = self.blank();
        on_event(AskEvent::Phase(AskPhase::Retrieving));
        let sentences = self.find_passages(&mut answer)?;
        if answer.passages.is_empty() {
            return Ok(self.abstain(answer, "Nothing in the documents matches the question.".into(), on_event));
        }
        let (context, prompt) = self.build_prompt(&answer.passages, &sentences)?;
        answer.left_out.clone_from(&context.left_out);
        self.stop_if_cancelled()?;

        on_event(AskEvent::Phase(AskPhase::Reading));
        let generation = self.generate(prompt, context.passages.len(), &mut answer, on_event)?;
        if generation.stop_reason == StopReason::Cancelled {
            return Err(Error::Cancelled);
        }

        answer.draft.clone_from(&generation.text);
        let drafted = self.check(&generation.text, &answer.passages, &sentences, &context);
        let started = Instant::now();
        let claims =
            verdict::decide(drafted, &self.request.question, &answer.passages, &sentences, &context, self.generator)?;
        self.stop_if_cancelled()?;
        tracing::debug!(verdict_ms = milliseconds(started), claims = claims.len(), "claims weighed");
        let signals = claims
            .iter()
            .max_by(|a, b| a.verdict.total_cmp(&b.verdict))
            .map(|claim| signals(&generation, claim, &self.request.question, &answer.passages));
        answer.confidence = signals.map_or(0.0, |signals| signals.confidence());
        answer.signals = signals;
        tracing::debug!(?signals, confidence = answer.confidence, "answer checked");

        for sentence in draft::parse(&generation.text, context.passages.len()) {
            if !claims.iter().any(|claim| claim.sentence.text.contains(&sentence.text)) {
                on_event(AskEvent::Retract(&sentence.text));
            }
        }
        if answer.confidence >= self.config.answer.min_confidence {
            self.settle(&mut answer, claims, on_event)?;
        }
        if answer.sentences.is_empty() {
            let reason = closest(&answer.passages, &sentences);
            return Ok(self.abstain(answer, reason, on_event));
        }
        answer.answered = true;
        answer.timings.total = milliseconds(self.asked);
        on_event(AskEvent::Final(&answer));
        Ok(answer)
    }

    fn blank(&self) -> Answer {
        Answer {
            question: self.request.question.clone(),
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
            timings: AskTimings { load: self.load_ms, ..AskTimings::default() },
            tokens: AskTokens::default(),
            model: self.generator.info().name,
            seed: self.request.seed.unwrap_or(self.config.answer.seed),
        }
    }

    /// Finds the passages; gives their sentences.
    fn find_passages(&self, answer: &mut Answer) -> Result<Vec<Sentence>, Error> {
        let request = SearchRequest {
            query: self.request.question.clone(),
            limit: self.config.answer.passages,
            mode: SearchMode::Hybrid,
            collection: self.request.collection.clone(),
            path_prefix: self.request.path_prefix.clone(),
        };
        let Found { report, mut sentences } = retrieve(self.index, &self.config.search, &request, Some(self.embedder))?;
        if sentences.is_empty() && !report.hits.is_empty() {
            // Reranking is switched off; what the language model reads is chosen by sentences all the same.
            sentences = evidence::sentences_of(&report.hits, &self.request.question, self.embedder)?;
        }
        answer.timings.retrieve = report.timings.total;
        answer.timings.rerank = report.timings.rerank;
        answer.passages = report.hits;
        Ok(sentences)
    }

    /// The context and the prompt that holds it. Counting the parts of a prompt is an estimate of the whole, so the
    /// whole is counted too, and the last passages give way until it fits.
    fn build_prompt(&self, hits: &[Hit], sentences: &[Sentence]) -> Result<(Context, Prompt), Error> {
        let window = self.generator.info().context_tokens;
        let bare = self.render(&[])?;
        let reserved = bare.tokens.len() + self.max_tokens();
        if reserved >= window {
            return Err(Error::QuestionTooLong {
                tokens: bare.tokens.len(),
                limit: window.saturating_sub(self.max_tokens()),
            });
        }
        let mut budget = window - reserved;
        loop {
            let context =
                context::pack(hits, sentences, &self.request.question, &self.config.answer, budget, self.generator);
            let prompt = self.render(&context.passages)?;
            let needed = prompt.tokens.len() + self.max_tokens();
            if needed <= window || context.passages.is_empty() {
                return Ok((context, prompt));
            }
            budget = budget.saturating_sub(needed - window);
        }
    }

    fn render(&self, passages: &[context::Passage]) -> Result<Prompt, Error> {
        Ok(self.generator.render(&prompt::answer_messages(passages, &self.request.question))?)
    }

    fn max_tokens(&self) -> usize {
        self.request.max_tokens.unwrap_or(self.config.answer.max_tokens)
    }

    fn generate(
        &self,
        prompt: Prompt,
        passages: usize,
        answer: &mut Answer,
        on_event: &mut dyn FnMut(AskEvent<'_>),
    ) -> Result<Generation, Error> {
        let settings = &self.config.answer;
        let sampling = if settings.temperature > 0.0 {
            Sampling::Temperature { temperature: settings.temperature, top_p: 0.95, seed: answer.seed }
        } else {
            Sampling::Greedy
        };
        let request = GenerateRequest {
            prompt,
            max_tokens: self.max_tokens(),
            stop: Vec::new(),
            grammar: None,
            sampling,
            cancel: self.cancel.clone(),
        };
        let mut filter = LabelFilter::new(passages);
        let mut first_token = None;
        let generation = self.generator.generate(&request, &mut |piece| {
            first_token.get_or_insert_with(|| milliseconds(self.asked));
            let shown = filter.push(piece);
            if !shown.is_empty() {
                on_event(AskEvent::Token(&shown));
            }
            ControlFlow::Continue(())
        });
        let generation = match generation {
            Err(ModelError::PromptTooLong { tokens, limit }) => return Err(Error::QuestionTooLong { tokens, limit }),
            other => other?,
        };
        let rest = filter.finish();
        if !rest.is_empty() {
            on_event(AskEvent::Token(&rest));
        }
        answer.timings.first_token = first_token;
        answer.timings.prefill = Some(generation.timings.prefill_ms);
        answer.timings.decode = Some(generation.timings.decode_ms);
        answer.tokens = AskTokens {
            prompt: generation.tokens_prompt,
            reused: generation.tokens_reused,
            generated: generation.tokens_generated,
        };
        Ok(generation)
    }

    /// The sentences of the draft that a passage carries, each with its support; none when the model says that the
    /// passages do not say.
    fn check(
        &self,
        draft: &str,
        hits: &[Hit],
        sentences: &[Sentence],
        context: &Context,
    ) -> Vec<(DraftSentence, Support)> {
        if prompt::is_refusal(draft) {
            return Vec::new();
        }
        draft::parse(draft, context.passages.len())
            .into_iter()
            .filter(|sentence| !prompt::is_refusal(&sentence.text))
            .filter_map(|sentence| {
                let labelled: Vec<usize> = sentence.labels.iter().map(|n| context.passages[n - 1].hit).collect();
                let support = cite::find_support(&sentence.text, &self.request.question, &labelled, hits, sentences)?;
                support.carries.then_some((sentence, support))
            })
            .collect()
    }

    /// Settles the claims whose quotes can be cut.
    fn settle(
        &self,
        answer: &mut Answer,
        claims: Vec<Claim>,
        on_event: &mut dyn FnMut(AskEvent<'_>),
    ) -> Result<(), Error> {
        for Claim { sentence, support, .. } in claims {
            let Some(note) = self.note(answer, support)? else {
                on_event(AskEvent::Retract(&sentence.text));
                continue;
            };
            let settled = AnswerSentence { text: sentence.text, citations: vec![note], supported: true };
            let notes: Vec<Citation> = answer.citations.iter().filter(|citation| citation.n == note).cloned().collect();
            answer.timings.first_sentence.get_or_insert_with(|| milliseconds(self.asked));
            on_event(AskEvent::Sentence { sentence: &settled, citations: &notes });
            answer.sentences.push(settled);
        }
        answer.answer = answer
            .sentences
            .iter()
            .map(|sentence| {
                let notes: String = sentence.citations.iter().map(|n| format!("[{n}]")).collect();
                format!("{} {notes}", sentence.text)
            })
            .collect::<Vec<_>>()
            .join(" ");
        Ok(())
    }

    /// The number of the note at a place: the one that stands already, or a new one.
    fn note(&self, answer: &mut Answer, support: Support) -> Result<Option<u32>, Error> {
        let hit = &answer.passages[support.hit];
        let known = answer
            .citations
            .iter()
            .find(|citation| citation.document.id == hit.document.id && citation.span.contains(support.span));
        if let Some(known) = known {
            return Ok(Some(known.n));
        }
        let n = u32::try_from(answer.citations.len() + 1).unwrap_or(u32::MAX);
        let cut = cite::cut(self.index, hit, support.span, n)?;
        answer.citations.extend(cut.clone());
        Ok(cut.map(|citation| citation.n))
    }

    fn abstain(&self, mut answer: Answer, reason: String, on_event: &mut dyn FnMut(AskEvent<'_>)) -> Answer {
        answer.answered = false;
        answer.answer.clear();
        answer.sentences.clear();
        answer.citations.clear();
        answer.reason = Some(reason);
        answer.timings.total = milliseconds(self.asked);
        on_event(AskEvent::Final(&answer));
        answer
    }

    fn stop_if_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

fn signals(generation: &Generation, claim: &Claim, question: &str, hits: &[Hit]) -> Signals {
    let hit = &hits[claim.support.hit];
    let names = names(question);
    let held = term_set(&format!("{}\n{}", evidence::above(hit), hit.text));
    Signals {
        evidence: claim.support.evidence,
        quote_cosine: claim.support.cosine,
        question_held: claim.support.question_held,
        names_held: evidence::share(names.iter().filter(|name| held.contains(name)).count(), names.len()),
        answer_held: claim.support.held,
        mean_logprob: generation.mean_logprob,
        first_logprob: generation.first_logprob,
        verdict: claim.verdict,
    }
}

/// What was looked at, and what came closest.
fn closest(hits: &[Hit], sentences: &[Sentence]) -> String {
    let looked_at = hits.iter().map(|hit| hit.document.id).collect::<std::collections::BTreeSet<_>>().len();
    let best = sentences.iter().max_by(|a, b| a.score().total_cmp(&b.score())).map_or(0, |sentence| sentence.hit);
    let hit = &hits[best];
    let name = hit.document.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let place = hit.heading.last().map(|heading| format!(", under \u{201c}{heading}\u{201d}")).unwrap_or_default();
    let page = hit.page.map(|page| format!(", page {page}")).unwrap_or_default();
    format!(
        "The documents do not say. Looked at {} passages of {looked_at} document{}; the closest is {name}{page}{place}.",
        hits.len(),
        if looked_at == 1 { "" } else { "s" },
    )
}
