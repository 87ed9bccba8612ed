//! How good answers are, measured: every question is asked as a user would ask it, and a script judges what is shown.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sidenote_index::ChunkId;
use sidenote_model::CancelToken;

use super::{
    Comparison, EvalEvent, EvalRequest, Interval, corpus, judge, median,
    set::{Query, Set},
};
use crate::{
    answer::{Answer, AskRequest},
    confidence::Signals,
    config::AnswerMode,
    engine::Engine,
    error::Error,
};

/// An accepted answer of more words is prose: nobody says it in the very same words, so that only its notes and its token F1 tell.
const MAX_PHRASE_WORDS: usize = 20;
/// Thresholds of confidence that are shown lie so far apart.
const THRESHOLD_STEP: f64 = 0.05;

/// A question and how well it was answered. As JSON it can be kept, and given to a later measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerScores {
    /// As the set calls it.
    pub id: String,
    /// The question.
    pub question: String,
    /// Whether the documents say.
    pub answerable: bool,
    /// Whether an answer was shown.
    pub answered: bool,
    /// Whether an accepted answer is in what was shown; `None` where the set names none, or only whole paragraphs.
    pub right: Option<bool>,
    /// Whether it is all of what was shown.
    pub exact: Option<bool>,
    /// Token F1 of what was shown, 0 to 1.
    pub f1: Option<f64>,
    /// Words of what was shown.
    pub words: usize,
    /// The same of its short form; `None` where nothing was shown, or an earlier version measured.
    #[serde(default)]
    pub short: Option<ShortScores>,
    /// Notes of it.
    pub notes: usize,
    /// Notes to a relevant document; `None` where no document was judged.
    pub right_notes: Option<usize>,
    /// The engine's own estimate of being right, 0 to 1.
    pub confidence: f64,
    /// Milliseconds to the first draft token; `None` where there was no draft.
    pub first_token_ms: Option<f64>,
    /// Milliseconds of all of it.
    pub total_ms: f64,
    /// Whether an accepted answer stands in what the language model read; `None` as of `right`.
    #[serde(default)]
    pub read: Option<bool>,
    /// Share of the relevant documents of which it read something; `None` where no document was judged.
    #[serde(default)]
    pub relevant_read: Option<f64>,
    /// What was shown, with the numbers of its notes.
    pub answer: String,
    /// The quotes of its notes.
    pub quotes: Vec<String>,
    /// What the model wrote, unchecked.
    pub draft: String,
    /// What the confidence was made of.
    pub signals: Option<Signals>,
}

/// How good the short form of an answer is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShortScores {
    /// The short forms of its sentences, [`Answer::in_short`].
    pub text: String,
    /// Whether an accepted answer is in it; `None` as of [`AnswerScores::right`].
    pub right: Option<bool>,
    /// Whether it is all of it.
    pub exact: Option<bool>,
    /// Token F1, 0 to 1.
    pub f1: Option<f64>,
    /// Its words.
    pub words: usize,
}

impl AnswerScores {
    /// Whether a user is served: an accepted answer is shown, or, where the documents do not say, none. Where the set names no
    /// answer, a note to a relevant document stands for it.
    pub fn is_good(&self) -> bool {
        let shown = self.right.unwrap_or_else(|| self.has_right_note());
        if self.answerable { self.answered && shown } else { !self.answered }
    }

    /// The same as a number to take means of.
    fn served(&self) -> f64 {
        f64::from(u8::from(self.is_good()))
    }

    fn has_right_note(&self) -> bool {
        self.right_notes.is_some_and(|notes| notes > 0)
    }

    fn of(query: &Query, answer: &Answer, by_path: bool) -> Self {
        let is_phrase = |accepted: &String| judge::words(accepted) <= MAX_PHRASE_WORDS;
        let has_phrases = !query.answers.is_empty() && query.answers.iter().all(|group| group.iter().any(is_phrase));
        let shown = ShortScores::of(answer.answer.clone(), has_phrases, query);
        let short = answer.answered.then(|| ShortScores::of(answer.in_short(), has_phrases, query));
        let right_notes = (!query.relevant.is_empty()).then(|| {
            let notes = answer.citations.iter();
            notes.filter(|note| relevant_as(query, &note.document.path, by_path).is_some()).count()
        });
        Self {
            id: query.id.clone(),
            question: query.text.clone(),
            answerable: query.is_answerable,
            answered: answer.answered,
            right: shown.right.map(|right| answer.answered && right),
            exact: shown.exact.map(|exact| answer.answered && exact),
            f1: shown.f1,
            words: shown.words,
            short,
            notes: answer.citations.len(),
            right_notes,
            confidence: answer.confidence.into(),
            first_token_ms: answer.timings.first_token,
            total_ms: answer.timings.total,
            read: (has_phrases && !answer.model.is_empty()).then(|| {
                let read: Vec<&str> = answer.read.iter().map(|passage| passage.text.as_str()).collect();
                judge::is_right(&read.join("\n"), &query.answers)
            }),
            relevant_read: relevant_read(query, answer, by_path),
            answer: shown.text,
            quotes: answer.citations.iter().map(|citation| citation.quote.clone()).collect(),
            draft: answer.draft.clone(),
            signals: answer.signals,
        }
    }
}

impl ShortScores {
    fn of(text: String, has_phrases: bool, query: &Query) -> Self {
        Self {
            right: has_phrases.then(|| judge::is_right(&text, &query.answers)),
            exact: has_phrases.then(|| judge::is_exact(&text, &query.answers)),
            f1: (!query.answers.is_empty()).then(|| judge::token_f1(&text, &query.answers)),
            words: judge::words(&text),
            text,
        }
    }
}

fn relevant_read(query: &Query, answer: &Answer, by_path: bool) -> Option<f64> {
    let read: HashSet<ChunkId> = answer.read.iter().map(|passage| passage.chunk).collect();
    let hits = answer.passages.iter().filter(|hit| read.contains(&hit.chunk));
    let read: HashSet<&str> = hits.filter_map(|hit| relevant_as(query, &hit.document.path, by_path)).collect();
    let relevant = relevant(query).count();
    (relevant > 0 && !answer.model.is_empty()).then(|| read.len() as f64 / relevant as f64)
}

/// Names of the documents that answer a question.
fn relevant(query: &Query) -> impl Iterator<Item = &str> {
    query.relevant.iter().filter(|(_, score)| **score > 0.0).map(|(name, _)| name.as_str())
}

/// Which of the relevant documents a path is. Documents of a set have its names; those that are ingested have paths, of which a
/// question names the end.
fn relevant_as<'a>(query: &'a Query, path: &Path, by_path: bool) -> Option<&'a str> {
    let id = corpus::id_of(path);
    relevant(query).find(|name| if by_path { path.ends_with(name) } else { **name == id })
}

/// Means over the questions that the documents answer; `None` where there is nothing to take a mean of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerableScores {
    /// Questions.
    pub questions: usize,
    /// Share for which an answer was shown.
    pub answered: f64,
    /// Share with an accepted answer in what was shown; of the questions whose answers the set names.
    pub right: Option<f64>,
    /// The same of the answered ones alone.
    pub right_of_answered: Option<f64>,
    /// Share whose answer is an accepted one and nothing else, of the answered ones.
    pub exact_of_answered: Option<f64>,
    /// Token F1 of the answered ones.
    pub f1_of_answered: Option<f64>,
    /// Words of an answer that was shown, at the median.
    pub words: f64,
    /// The short forms of the answered ones; `None` where there are none.
    pub short: Option<ShortMeans>,
    /// Share of the answered ones with a note to a relevant document.
    pub with_right_note: Option<f64>,
    /// Share of the notes that are to a relevant document.
    pub right_notes: Option<f64>,
    /// Share whose accepted answer stands in what the language model read: no answer can be right more often.
    pub read: Option<f64>,
    /// Share of the relevant documents of which it read something, mean over the questions.
    pub relevant_read: Option<f64>,
}

/// Means over the short forms of answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShortMeans {
    /// Share with an accepted answer in them.
    pub right: Option<f64>,
    /// Share that is an accepted answer and nothing else.
    pub exact: Option<f64>,
    /// Token F1.
    pub f1: Option<f64>,
    /// Words, at the median.
    pub words: f64,
}

impl ShortMeans {
    fn of<'a>(forms: impl Iterator<Item = &'a ShortScores> + Clone) -> Option<Self> {
        let held = |held: fn(&ShortScores) -> Option<bool>| {
            mean(forms.clone().filter_map(|form| Some(f64::from(u8::from(held(form)?)))).collect())
        };
        forms.clone().next()?;
        Some(Self {
            right: held(|form| form.right),
            exact: held(|form| form.exact),
            f1: mean(forms.clone().filter_map(|form| form.f1).collect()),
            words: median(forms.map(|form| form.words as f64).collect()),
        })
    }
}

/// What a threshold of confidence would have shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiskPoint {
    /// Answers below it are not shown, 0 to 1.
    pub threshold: f64,
    /// Share of all questions for which an answer is shown.
    pub coverage: f64,
    /// Share of the answers shown that are wrong, be it because the documents do not say.
    pub risk: f64,
    /// Share of the answerable questions with a good answer.
    pub good: f64,
    /// Share of the other questions for which none is shown; `None` where there are none.
    pub refused: Option<f64>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswersReport {
    /// Name of the set's folder or file.
    pub set: String,
    /// The language model.
    pub model: String,
    /// Share of all questions after which a user is served, see [`AnswerScores::is_good`].
    pub good: f64,
    /// Of that share: 95 %, by bootstrap over the questions.
    pub good_interval: Interval,
    /// The questions that the documents answer.
    pub answerable: AnswerableScores,
    /// Questions that the documents do not answer.
    pub unanswerable: usize,
    /// Share of those for which no answer was shown; `None` where there are none.
    pub refused: Option<f64>,
    /// The risk-coverage curve (El-Yaniv and Wiener, JMLR 11, 2010), from `answer.min_confidence` upward. The way of working depends on
    /// that setting: what a lower one would have shown is not known.
    pub curve: Vec<RiskPoint>,
    /// Milliseconds to the first draft token at the median.
    pub first_token_ms: f64,
    /// Milliseconds of a question at the median.
    pub total_ms: f64,
    /// Every question, in order of the set.
    pub questions: Vec<AnswerScores>,
}

impl AnswersReport {
    /// The share of questions after which a user is served, less that of an earlier measurement, over the questions that both
    /// have; `None` where they share none.
    pub fn against(&self, earlier: &[AnswerScores], seed: u64) -> Option<Comparison> {
        let earlier: HashMap<&str, f64> = earlier.iter().map(|one| (one.id.as_str(), one.served())).collect();
        let differences: Vec<f64> =
            self.questions.iter().filter_map(|one| Some(one.served() - earlier.get(one.id.as_str())?)).collect();
        (!differences.is_empty()).then(|| Comparison::of(&differences, seed))
    }

    fn of(set: String, model: String, questions: Vec<AnswerScores>, least_threshold: f64, seed: u64) -> Self {
        let good: Vec<f64> = questions.iter().map(AnswerScores::served).collect();
        let (yes, no): (Vec<&AnswerScores>, Vec<&AnswerScores>) = questions.iter().partition(|one| one.answerable);
        Self {
            good: share(&questions, AnswerScores::is_good).unwrap_or_default(),
            good_interval: Interval::of_mean(&good, seed),
            answerable: AnswerableScores::of(&yes),
            unanswerable: no.len(),
            refused: share(no.iter().copied(), |one| !one.answered),
            curve: curve(&questions, least_threshold),
            first_token_ms: median(questions.iter().filter_map(|one| one.first_token_ms).collect()),
            total_ms: median(questions.iter().map(|one| one.total_ms).collect()),
            set,
            model,
            questions,
        }
    }
}

impl AnswerableScores {
    fn of(questions: &[&AnswerScores]) -> Self {
        let all = || questions.iter().copied();
        let answered = || all().filter(|one| one.answered);
        let named = |one: &&AnswerScores| one.right.is_some();
        let judged = |one: &&AnswerScores| one.right_notes.is_some();
        let (notes, right_notes) = answered()
            .filter_map(|one| Some((one.notes, one.right_notes?)))
            .fold((0, 0), |(notes, right), (more, more_right)| (notes + more, right + more_right));
        Self {
            questions: questions.len(),
            answered: share(all(), |one| one.answered).unwrap_or_default(),
            right: share(all().filter(named), |one| one.right == Some(true)),
            right_of_answered: share(answered().filter(named), |one| one.right == Some(true)),
            exact_of_answered: share(answered().filter(named), |one| one.exact == Some(true)),
            f1_of_answered: mean(answered().filter_map(|one| one.f1).collect()),
            words: median(answered().map(|one| one.words as f64).collect()),
            short: ShortMeans::of(answered().filter_map(|one| one.short.as_ref())),
            with_right_note: share(answered().filter(judged), AnswerScores::has_right_note),
            read: share(all().filter(|one| one.read.is_some()), |one| one.read == Some(true)),
            relevant_read: mean(all().filter_map(|one| one.relevant_read).collect()),
            right_notes: (notes > 0).then(|| right_notes as f64 / notes as f64),
        }
    }
}

/// `None` of none.
fn mean(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The share of them of which something holds; `None` of none.
fn share<'a>(all: impl IntoIterator<Item = &'a AnswerScores>, holds: impl Fn(&AnswerScores) -> bool) -> Option<f64> {
    let (mut count, mut held) = (0, 0);
    for one in all {
        count += 1;
        held += usize::from(holds(one));
    }
    (count > 0).then(|| held as f64 / count as f64)
}

fn curve(questions: &[AnswerScores], least_threshold: f64) -> Vec<RiskPoint> {
    let steps =
        (1..20_u8).map(|step| f64::from(step) * THRESHOLD_STEP).filter(|threshold| *threshold > least_threshold);
    let point = |threshold: f64| {
        let is_shown = |one: &AnswerScores| one.answered && one.confidence >= threshold;
        let is_good = |one: &AnswerScores| one.answerable && is_shown(one) && one.is_good();
        Some(RiskPoint {
            threshold,
            coverage: share(questions, is_shown)?,
            risk: share(questions.iter().filter(|one| is_shown(one)), |one| !is_good(one))?,
            good: share(questions.iter().filter(|one| one.answerable), is_good).unwrap_or_default(),
            refused: share(questions.iter().filter(|one| !one.answerable), |one| !is_shown(one)),
        })
    };
    // Where nothing is shown any more there is no risk to speak of, and the curve ends.
    std::iter::once(least_threshold).chain(steps).map_while(point).collect()
}

/// Asks what is not known yet, in order of the set.
pub(crate) fn measure(
    engine: &Engine,
    request: &EvalRequest,
    known: Vec<AnswerScores>,
    progress: &mut dyn FnMut(EvalEvent<'_>),
    cancel: &CancelToken,
) -> Result<AnswersReport, Error> {
    let set = Set::for_answers(request)?;
    let by_path = request.is_of_questions_alone();
    if !by_path {
        let (index, embedder) = (engine.index_or_create()?, engine.embedder()?);
        corpus::bring_in(&index, engine.config(), &*embedder, &set.documents, progress, cancel)?;
    }
    let mut known: HashMap<String, AnswerScores> = known.into_iter().map(|one| (one.id.clone(), one)).collect();
    let mut questions = Vec::new();
    for (done, query) in set.queries.iter().enumerate() {
        progress(EvalEvent::Asking { done, total: set.queries.len() });
        // A set that was edited since is asked again where it was.
        let before = known.remove(&query.id).filter(|before| before.question == query.text);
        questions.push(match before {
            Some(before) => before,
            None => {
                let asked = AskRequest { filter: request.filter.clone(), ..AskRequest::new(&query.text) };
                let scores = AnswerScores::of(query, &engine.ask(&asked, &mut |_| {}, cancel)?, by_path);
                progress(EvalEvent::Answered(&scores));
                scores
            }
        });
    }
    let least_threshold = f64::from(engine.config().answer.min_confidence);
    let model = match engine.config().answer.mode {
        AnswerMode::Write => engine.config().generator_name(),
        AnswerMode::Extract => "no language model".to_owned(),
    };
    Ok(AnswersReport::of(set.name, model, questions, least_threshold, request.seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(id: &str, answerable: bool, shown: Option<(f64, bool)>) -> AnswerScores {
        AnswerScores {
            id: id.to_owned(),
            question: id.to_owned(),
            answerable,
            answered: shown.is_some(),
            right: answerable.then(|| shown.is_some_and(|(_, right)| right)),
            exact: answerable.then_some(false),
            f1: answerable.then_some(0.5),
            words: 4,
            short: shown.map(|(_, right)| ShortScores {
                text: id.to_owned(),
                right: Some(right),
                exact: Some(false),
                f1: Some(if right { 0.8 } else { 0.0 }),
                words: 2,
            }),
            notes: usize::from(shown.is_some()),
            right_notes: answerable.then(|| shown.map_or(0, |(_, right)| usize::from(right))),
            confidence: shown.map_or(0.1, |(confidence, _)| confidence),
            first_token_ms: shown.map(|_| 3.0),
            total_ms: 7.0,
            read: answerable.then_some(true),
            relevant_read: answerable.then_some(0.5),
            answer: String::new(),
            quotes: Vec::new(),
            draft: String::new(),
            signals: None,
        }
    }

    fn report(questions: Vec<AnswerScores>) -> AnswersReport {
        AnswersReport::of("set".to_owned(), "model".to_owned(), questions, 0.25, 1)
    }

    #[test]
    fn shares_are_of_what_they_are_said_to_be() {
        let report = report(vec![
            scores("right", true, Some((0.9, true))),
            scores("wrong", true, Some((0.3, false))),
            scores("wrongly refused", true, None),
            scores("refused", false, None),
            scores("made up", false, Some((0.42, false))),
        ]);
        let third = 1.0 / 3.0;
        let all = report.answerable;
        assert_eq!((all.questions, all.answered, all.right), (3, 2.0 * third, Some(third)));
        assert_eq!((all.right_of_answered, all.with_right_note, all.right_notes), (Some(0.5), Some(0.5), Some(0.5)));
        assert_eq!((all.f1_of_answered, all.exact_of_answered, all.words), (Some(0.5), Some(0.0), 4.0));
        assert_eq!((all.read, all.relevant_read), (Some(1.0), Some(0.5)));
        let short = ShortMeans { right: Some(0.5), exact: Some(0.0), f1: Some(0.4), words: 2.0 };
        assert_eq!(all.short, Some(short));
        assert_eq!((report.good, report.unanswerable, report.refused), (0.4, 2, Some(0.5)));
        assert_eq!((report.first_token_ms, report.total_ms), (3.0, 7.0));
        let at = |threshold: f64| report.curve.iter().find(|point| (point.threshold - threshold).abs() < 1e-9).unwrap();
        assert_eq!((at(0.25).coverage, at(0.25).risk, at(0.25).refused), (0.6, 2.0 * third, Some(0.5)));
        assert_eq!((at(0.35).coverage, at(0.35).risk, at(0.35).good), (0.4, 0.5, third));
        assert_eq!((at(0.5).risk, at(0.5).refused), (0.0, Some(1.0)));
        assert!(report.curve.last().unwrap().threshold <= 0.9 + 1e-9);
    }

    #[test]
    fn a_set_without_answers_is_judged_by_its_notes_and_one_without_questions_by_nothing() {
        let by_notes = |notes| AnswerScores {
            right: None,
            exact: None,
            f1: None,
            right_notes: Some(notes),
            ..scores("noted", true, Some((0.9, true)))
        };
        assert!(by_notes(1).is_good() && !by_notes(0).is_good());
        let all = report(vec![by_notes(1)]).answerable;
        assert_eq!((all.right, all.f1_of_answered, all.with_right_note), (None, None, Some(1.0)));
        let nothing = report(vec![scores("refused", false, None)]);
        assert_eq!((nothing.answerable.questions, nothing.answerable.right_notes, nothing.good), (0, None, 1.0));
        assert!(nothing.curve.is_empty(), "nothing was shown: {nothing:?}");
    }

    #[test]
    fn measurements_are_compared_question_by_question() {
        let now = report(vec![scores("a", true, Some((0.9, true))), scores("b", true, None), scores("c", true, None)]);
        let earlier = [scores("a", true, None), scores("b", true, None), scores("z", true, None)];
        let comparison = now.against(&earlier, 1).unwrap();
        assert_eq!((comparison.queries, comparison.difference), (2, 0.5));
        assert_eq!(now.against(&[], 1), None);
    }
}
