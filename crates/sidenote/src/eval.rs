//! How good retrieval is, measured: a folder of documents, questions and judgements goes in, the figures that papers use
//! come out, with intervals. The index under test is the ordinary one, in the engine's own data folder.
//!
//! `set` reads the folder, `corpus` brings its documents into the index, `metrics` scores a ranking, `bootstrap` says how sure
//! that is. Here documents are ranked; `answers` asks the questions, and `judge` says whether an answer is right.

pub(crate) mod answers;
mod bootstrap;
mod corpus;
pub mod judge;
mod metrics;
mod set;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sidenote_index::{Filter, Index};
use sidenote_model::{CancelToken, CrossEncoder, Embedder};

pub use answers::{AnswerScores, AnswerableScores, AnswersReport, RiskPoint};
pub use bootstrap::{Comparison, Interval};
pub use metrics::Metrics;

use crate::{
    config::{Config, Search, SearchMode},
    error::Error,
    retrieve::{Readers, SearchRequest, retrieve},
};
use set::{Query, Set};

/// Documents that a ranking is scored over, and that recall@100 needs.
const DEPTH: usize = 100;

/// What to measure.
#[derive(Clone, Debug)]
pub struct EvalRequest {
    /// A folder in the BEIR layout: `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels.tsv`
    /// or `qrels/test.tsv` (query, document, score; a header line). Answers are measured with `answers` (a list of ways to say it;
    /// a list of such lists where several have to be said) or `"answerable": false` beside a query, and also over the documents
    /// that are ingested: then this is a file of such queries, in which `evidence` may name documents by the end of their path.
    pub set: PathBuf,
    /// Another file of documents than `corpus.jsonl`, relative to the folder.
    pub corpus: Option<PathBuf>,
    /// Only queries whose field, at the top or under `metadata`, has this value.
    pub only: Option<(String, String)>,
    /// Which documents are searched; by default all.
    pub filter: Filter,
    /// So many queries, drawn with `seed`; `None` means all.
    pub take: Option<usize>,
    /// Of the draw and of the bootstrap.
    pub seed: u64,
}

impl EvalRequest {
    /// All queries of a folder.
    pub fn new(set: impl Into<PathBuf>) -> Self {
        Self { set: set.into(), corpus: None, only: None, filter: Filter::default(), take: None, seed: 1 }
    }

    /// Whether this is a file of questions about documents that are ingested, and no folder with documents of its own.
    pub fn is_of_questions_alone(&self) -> bool {
        self.set.is_file()
    }

    fn corpus(&self) -> &Path {
        self.corpus.as_deref().unwrap_or(Path::new("corpus.jsonl"))
    }
}

/// How far a measurement is.
#[derive(Clone, Copy, Debug)]
pub enum EvalEvent<'a> {
    /// Documents are brought into the index.
    Indexing {
        /// Documents that are there.
        done: usize,
        /// Documents in all.
        total: usize,
    },
    /// Queries are asked.
    Asking {
        /// Queries done.
        done: usize,
        /// Queries in all.
        total: usize,
    },
    /// A question was asked whose answer was not known yet.
    Answered(&'a AnswerScores),
}

/// One way to rank.
#[derive(Clone, Debug, PartialEq)]
pub struct LegScores {
    /// Means over the queries.
    pub mean: Metrics,
    /// Of the mean nDCG@10: 95 %, by bootstrap over the queries.
    pub ndcg_interval: Interval,
    /// Milliseconds of a search at the median, the query's embedding included. Two or more run side by side.
    pub median_ms: f64,
}

/// A query and how well each way ranked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryScores {
    /// As the set calls it.
    pub id: String,
    /// BM25.
    pub lexical: Metrics,
    /// Vectors.
    pub dense: Metrics,
    /// Both.
    pub fused: Metrics,
    /// What a plain search returns.
    pub default: Metrics,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalReport {
    /// Name of the set's folder.
    pub set: String,
    /// Documents searched.
    pub documents: usize,
    /// BM25 alone.
    pub lexical: LegScores,
    /// Vectors alone.
    pub dense: LegScores,
    /// Both, fused.
    pub fused: LegScores,
    /// What a plain search returns by the configuration, reranker included.
    pub default: LegScores,
    /// `fused` less the better of its legs, and `default` less `fused`, in nDCG@10.
    pub comparisons: Vec<(&'static str, Comparison)>,
    /// Every query, in order of the set.
    pub queries: Vec<QueryScores>,
}

impl EvalReport {
    /// This report's plain search less that of an earlier one, in nDCG@10 over the queries that both have; `None` where they
    /// share none.
    pub fn against(&self, earlier: &[(String, f64)], seed: u64) -> Option<Comparison> {
        let earlier: std::collections::HashMap<&str, f64> =
            earlier.iter().map(|(id, score)| (id.as_str(), *score)).collect();
        let differences: Vec<f64> = self
            .queries
            .iter()
            .filter_map(|query| Some(query.default.ndcg_10 - earlier.get(query.id.as_str())?))
            .collect();
        (!differences.is_empty()).then(|| Comparison::of(&differences, seed))
    }
}

/// Measures retrieval on a set. The index holds the set's documents afterwards, and nothing else.
pub(crate) fn measure(
    config: &Config,
    index: &Index,
    embedder: &dyn Embedder,
    cross_encoder: Option<&dyn CrossEncoder>,
    request: &EvalRequest,
    progress: &mut dyn FnMut(EvalEvent<'_>),
    cancel: &CancelToken,
) -> Result<EvalReport, Error> {
    let set = Set::for_rankings(request)?;
    corpus::bring_in(index, config, embedder, &set.documents, progress, cancel)?;
    let readers = Readers { embedder: Some(embedder), cross_encoder };
    let asking = Asking { index, readers, settings: &config.search, filter: &request.filter };
    let (queries, millis) = asking.ask_all(&set.queries, progress, cancel)?;
    let leg = |score: fn(&QueryScores) -> &Metrics, way: Way| {
        let scores: Vec<&Metrics> = queries.iter().map(score).collect();
        let ndcg: Vec<f64> = scores.iter().map(|metrics| metrics.ndcg_10).collect();
        LegScores {
            mean: Metrics::mean(&scores),
            ndcg_interval: Interval::of_mean(&ndcg, request.seed),
            median_ms: median(millis.iter().map(|of_query| of_query[way as usize]).collect()),
        }
    };
    let lexical = leg(|query| &query.lexical, Way::Lexical);
    let dense = leg(|query| &query.dense, Way::Dense);
    let lexical_is_better = lexical.mean.ndcg_10 >= dense.mean.ndcg_10;
    let better = |query: &QueryScores| if lexical_is_better { query.lexical.ndcg_10 } else { query.dense.ndcg_10 };
    let differences = |of: &dyn Fn(&QueryScores) -> f64| -> Comparison {
        Comparison::of(&queries.iter().map(of).collect::<Vec<_>>(), request.seed)
    };
    let comparisons = vec![
        (
            if lexical_is_better { "fused less lexical" } else { "fused less dense" },
            differences(&|query| query.fused.ndcg_10 - better(query)),
        ),
        ("default less fused", differences(&|query| query.default.ndcg_10 - query.fused.ndcg_10)),
    ];
    Ok(EvalReport {
        set: set.name,
        documents: set.documents.len(),
        lexical,
        dense,
        fused: leg(|query| &query.fused, Way::Fused),
        default: leg(|query| &query.default, Way::Default),
        comparisons,
        queries,
    })
}

/// The ways to rank that are compared.
#[derive(Clone, Copy)]
enum Way {
    Lexical,
    Dense,
    Fused,
    Default,
}

const WAYS: [Way; 4] = [Way::Lexical, Way::Dense, Way::Fused, Way::Default];

struct Asking<'a> {
    index: &'a Index,
    readers: Readers<'a>,
    settings: &'a Search,
    filter: &'a Filter,
}

type Asked = (QueryScores, [f64; 4]);

impl Asking<'_> {
    /// Asks all queries, as many side by side as there are cores.
    fn ask_all(
        &self,
        queries: &[Query],
        progress: &mut dyn FnMut(EvalEvent<'_>),
        cancel: &CancelToken,
    ) -> Result<(Vec<QueryScores>, Vec<[f64; 4]>), Error> {
        let next = AtomicUsize::new(0);
        let asked: Mutex<Vec<Option<Asked>>> = Mutex::new(queries.iter().map(|_| None).collect());
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let is_over = || {
            cancel.is_cancelled()
                || next.load(Ordering::Relaxed) >= queries.len()
                || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        };
        let work = || {
            while !is_over() {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(query) = queries.get(at) else { break };
                match self.ask(query) {
                    Ok(scores) => asked.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(scores),
                    Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
                }
            }
        };
        thread::scope(|scope| {
            let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            while !is_over() && !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                progress(EvalEvent::Asking { done: next.load(Ordering::Relaxed), total: queries.len() });
                thread::sleep(std::time::Duration::from_millis(100));
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let asked = asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        match asked.into_iter().collect::<Option<Vec<Asked>>>() {
            Some(asked) => Ok(asked.into_iter().unzip()),
            None => Err(Error::Cancelled),
        }
    }

    fn ask(&self, query: &Query) -> Result<Asked, Error> {
        let mut scores = [Metrics::default(); 4];
        let mut millis = [0.0; 4];
        for way in WAYS {
            let (ranking, ms) = self.ranking(query, way)?;
            scores[way as usize] = Metrics::of(&ranking, &query.relevant);
            millis[way as usize] = ms;
        }
        let [lexical, dense, fused, default] = scores;
        Ok((QueryScores { id: query.id.clone(), lexical, dense, fused, default }, millis))
    }

    /// Documents in order of their best passage, and the milliseconds of the search.
    fn ranking(&self, query: &Query, way: Way) -> Result<(Vec<String>, f64), Error> {
        let mut settings = self.settings.clone();
        let mode = match way {
            Way::Lexical => SearchMode::Lexical,
            Way::Dense => SearchMode::Dense,
            Way::Fused => SearchMode::Hybrid,
            Way::Default => settings.mode,
        };
        if matches!(way, Way::Fused) {
            settings.rerank_depth = 0;
        }
        // Several passages of one document stand for it once, so more are asked for than documents are wanted.
        let limit = settings.candidates.max(DEPTH);
        let request =
            SearchRequest { query: query.text.clone(), plain: true, limit, mode, filter: self.filter.clone() };
        let report = retrieve(self.index, &settings, &request, self.readers)?.report;
        let mut ranking: Vec<String> = Vec::new();
        for hit in &report.hits {
            let id = corpus::id_of(&hit.document.path);
            // Some sets ask with their own documents, which are no answers to themselves.
            if id != query.id && !ranking.contains(&id) {
                ranking.push(id);
            }
        }
        ranking.truncate(DEPTH);
        Ok((ranking, report.timings.total))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
