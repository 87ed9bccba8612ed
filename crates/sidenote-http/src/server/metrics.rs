//! What the server has done, for Prometheus. Numbers alone: nothing of a document, a question or a path is among them.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use sidenote::{Answer, ErrorKind, SearchReport, Status};

/// How the text is to be read.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds, in seconds, of what a search takes.
const SEARCH_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
/// Of what an answer takes.
const ANSWER_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

type Stages = Family<Stage, Histogram, fn() -> Histogram>;

/// The counters of a server.
pub(super) struct Metrics {
    registry: Registry,
    searches: Family<Outcome, Counter>,
    search_stages: Stages,
    questions: Family<Outcome, Counter>,
    answer_stages: Stages,
    tokens: Family<Kind, Counter>,
    running: Gauge,
    documents: Gauge,
    chunks: Gauge,
    bytes: Gauge,
    kv_bytes: Gauge,
    kv_hits: Gauge<f64, AtomicU64>,
    memory: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("sidenote"),
            searches: Family::default(),
            search_stages: Family::new_with_constructor(|| Histogram::new(SEARCH_SECONDS)),
            questions: Family::default(),
            answer_stages: Family::new_with_constructor(|| Histogram::new(ANSWER_SECONDS)),
            tokens: Family::default(),
            running: Gauge::default(),
            documents: Gauge::default(),
            chunks: Gauge::default(),
            bytes: Gauge::default(),
            kv_bytes: Gauge::default(),
            kv_hits: Gauge::default(),
            memory: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("searches", "Searches, by outcome", self.searches.clone());
        let stages = self.search_stages.clone();
        registry.register_with_unit("search", "What searches took, by stage", Unit::Seconds, stages);
        registry.register("questions", "Questions, by outcome", self.questions.clone());
        let stages = self.answer_stages.clone();
        registry.register_with_unit(
            "answer",
            "What answers took, by stage; the first ones from the question on",
            Unit::Seconds,
            stages,
        );
        registry.register(
            "tokens",
            "Tokens of the language model: read, of these known from before, and written",
            self.tokens.clone(),
        );
        registry.register("questions_running", "Questions that are answered or wait", self.running.clone());
        registry.register("documents", "Documents in the data folder", self.documents.clone());
        registry.register("chunks", "Chunks in the data folder", self.chunks.clone());
        registry.register_with_unit("data", "Size of the data folder", Unit::Bytes, self.bytes.clone());
        registry.register_with_unit("kv_states", "States of prompts kept on disk", Unit::Bytes, self.kv_bytes.clone());
        let hits = self.kv_hits.clone();
        registry.register_with_unit(
            "kv_hit",
            "Tokens of prompts that were known from before, of all; NaN before the first",
            Unit::Ratios,
            hits,
        );
        registry.register_with_unit("resident_memory", "Memory of the process", Unit::Bytes, self.memory.clone());
        self
    }

    /// Counts a search.
    pub(super) fn searched(&self, outcome: Result<&SearchReport, &sidenote::Error>) {
        let said = match outcome {
            Ok(report) if report.hits.is_empty() => "nothing_found",
            Ok(_) => "found",
            Err(_) => "failed",
        };
        self.searches.get_or_create(&Outcome { outcome: said }).inc();
        let Ok(report) = outcome else { return };
        let timings = report.timings;
        observe(
            &self.search_stages,
            [
                ("embed", Some(timings.embed)),
                ("lexical", Some(timings.lexical)),
                ("dense", Some(timings.dense)),
                ("rerank", timings.rerank),
                ("total", Some(timings.total)),
            ],
        );
    }

    /// Counts a question.
    pub(super) fn asked(&self, outcome: Result<&Answer, &sidenote::Error>) {
        let said = match outcome {
            Ok(answer) if answer.answered => "answered",
            Ok(_) => "not_answered",
            Err(error) if error.kind() == ErrorKind::Interrupted => "stopped",
            Err(_) => "failed",
        };
        self.questions.get_or_create(&Outcome { outcome: said }).inc();
        let Ok(answer) = outcome else { return };
        let timings = answer.timings;
        observe(
            &self.answer_stages,
            [
                ("load", Some(timings.load)),
                ("retrieve", Some(timings.retrieve)),
                ("rerank", timings.rerank),
                ("prefill", timings.prefill),
                ("decode", timings.decode),
                ("first_token", timings.first_token),
                ("first_sentence", timings.first_sentence),
                ("total", Some(timings.total)),
            ],
        );
        let tokens = answer.tokens;
        for (kind, count) in [("read", tokens.prompt), ("known", tokens.reused), ("written", tokens.generated)] {
            self.tokens.get_or_create(&Kind { kind }).inc_by(count as u64);
        }
    }

    /// All of it as text, with what the data folder holds and how many questions are at work.
    pub(super) fn text(&self, status: &Status, running: usize) -> Result<String, std::fmt::Error> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.running.set(number(running as u64));
        self.documents.set(number(status.documents));
        self.chunks.set(number(status.chunks));
        self.bytes.set(number(status.bytes));
        self.kv_bytes.set(number(status.kept_states.bytes));
        self.kv_hits.set(status.prompt_hit_rate.map_or(f64::NAN, f64::from));
        self.memory.set(number(memory_stats::memory_stats().map_or(0, |memory| memory.physical_mem as u64)));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn observe<const N: usize>(stages: &Stages, milliseconds: [(&'static str, Option<f64>); N]) {
    for (stage, took) in milliseconds {
        if let Some(took) = took {
            stages.get_or_create(&Stage { stage }).observe(took / 1000.0);
        }
    }
}
