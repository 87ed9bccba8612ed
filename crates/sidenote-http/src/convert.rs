//! From the engine's types to the wire's: the only place that knows both.

mod eval;

use crate::{print::to_json, wire};

/// What the engine counts in `usize` is `u64` on the wire, the same on every platform.
fn count(number: usize) -> u64 {
    number as u64
}

impl From<&sidenote::Document> for wire::Document {
    fn from(document: &sidenote::Document) -> Self {
        Self {
            id: document.id.0,
            path: document.path.to_string_lossy().into_owned(),
            uri: document.uri.clone(),
            title: document.title.clone(),
            collection: document.collection.clone(),
            part: document.part.clone(),
            page_count: document.page_count,
            language: document.language.clone(),
            modified: document.modified.clone(),
            stale: document.stale,
        }
    }
}

impl From<sidenote::Span> for wire::Span {
    fn from(span: sidenote::Span) -> Self {
        Self { start: count(span.start), end: count(span.end) }
    }
}

impl From<&sidenote::Hit> for wire::Hit {
    fn from(hit: &sidenote::Hit) -> Self {
        Self {
            rank: count(hit.rank),
            chunk: hit.chunk.0,
            document: (&hit.document).into(),
            page: hit.page,
            part: hit.part_at(hit.span),
            heading: hit.heading.clone(),
            span: hit.span.into(),
            text: hit.text.clone(),
            score: hit.score,
            lexical_rank: hit.lexical_rank.map(count),
            dense_rank: hit.dense_rank.map(count),
            rerank_score: hit.rerank_score,
        }
    }
}

impl From<&sidenote::Citation> for wire::Citation {
    fn from(citation: &sidenote::Citation) -> Self {
        Self {
            n: citation.n,
            document: (&citation.document).into(),
            page: citation.page,
            part: citation.part.clone(),
            heading: citation.heading.clone(),
            span: citation.span.into(),
            quote: citation.quote.clone(),
        }
    }
}

impl From<&sidenote::Chat> for wire::Chat {
    fn from(chat: &sidenote::Chat) -> Self {
        Self {
            id: chat.id.map(|id| id.0),
            collection: chat.collection.clone(),
            turns: chat.turns.iter().map(Into::into).collect(),
        }
    }
}

impl From<&sidenote::ChatTurn> for wire::ChatTurn {
    fn from(turn: &sidenote::ChatTurn) -> Self {
        Self {
            number: turn.number,
            asked: turn.asked.clone(),
            question: turn.question.clone(),
            answer: turn.answer.as_ref().map(Into::into),
        }
    }
}

impl From<&sidenote::KeptAnswer> for wire::KeptAnswer {
    fn from(answer: &sidenote::KeptAnswer) -> Self {
        Self {
            standalone: answer.standalone.clone(),
            answered: answer.answered,
            reason: answer.reason.clone(),
            answer: answer.answer.clone(),
            sentences: answer.sentences.iter().map(Into::into).collect(),
            citations: answer.citations.iter().map(Into::into).collect(),
            model: answer.model.clone(),
        }
    }
}

impl From<&sidenote::ChatSummary> for wire::ChatSummary {
    fn from(chat: &sidenote::ChatSummary) -> Self {
        Self {
            id: chat.id.0,
            collection: chat.collection.clone(),
            begun: sidenote::rfc3339(chat.begun_unix_ms),
            last: sidenote::rfc3339(chat.last_unix_ms),
            turns: chat.turns,
            first_question: chat.first_question.clone(),
        }
    }
}

impl From<&sidenote::AnswerSentence> for wire::Sentence {
    fn from(sentence: &sidenote::AnswerSentence) -> Self {
        Self {
            text: sentence.text.clone(),
            short: sentence.short.clone(),
            citations: sentence.citations.clone(),
            supported: sentence.supported,
        }
    }
}

impl From<&sidenote::Signals> for wire::Signals {
    fn from(signals: &sidenote::Signals) -> Self {
        Self {
            verdict: signals.verdict,
            names_held: signals.names_held,
            agreement: signals.agreement,
            evidence: signals.evidence,
            quote_cosine: signals.quote_cosine,
            question_held: signals.question_held,
            answer_held: signals.answer_held,
            mean_logprob: signals.mean_logprob,
            first_logprob: signals.first_logprob,
        }
    }
}

impl From<&sidenote::Answer> for wire::Answer {
    fn from(answer: &sidenote::Answer) -> Self {
        let timings = &answer.timings;
        Self {
            question: answer.question.clone(),
            standalone: answer.standalone.clone(),
            answered: answer.answered,
            reason: answer.reason.clone(),
            confidence: answer.confidence,
            signals: answer.signals.as_ref().map(Into::into),
            answer: answer.answer.clone(),
            sentences: answer.sentences.iter().map(Into::into).collect(),
            citations: answer.citations.iter().map(Into::into).collect(),
            passages: answer.passages.iter().map(Into::into).collect(),
            left_out: answer
                .left_out
                .iter()
                .map(|left| wire::LeftOut { chunk: left.chunk.0, tokens: count(left.tokens), why: left.why.clone() })
                .collect(),
            read: answer
                .read
                .iter()
                .map(|read| wire::ReadPassage { chunk: read.chunk.0, text: read.text.clone() })
                .collect(),
            timings_ms: wire::AnswerMillis {
                load: timings.load,
                retrieve: timings.retrieve,
                rerank: timings.rerank,
                prefill: timings.prefill,
                first_token: timings.first_token,
                first_sentence: timings.first_sentence,
                decode: timings.decode,
                total: timings.total,
            },
            tokens: wire::AnswerTokens {
                prompt: count(answer.tokens.prompt),
                reused: count(answer.tokens.reused),
                generated: count(answer.tokens.generated),
            },
            model: answer.model.clone(),
            seed: answer.seed,
            chat: None,
        }
    }
}

impl wire::AskEvent {
    /// Its name, as `event` has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Understood { .. } => "understood",
            Self::Token { .. } => "token",
            Self::Sentence { .. } => "sentence",
            Self::Retract { .. } => "retract",
            Self::Final(_) => "final",
        }
    }

    /// What it says, as `data` has it.
    pub fn data(&self) -> serde_json::Value {
        to_json(self)["data"].take()
    }

    /// The event on the wire; `None` for a phase, which is the terminal's business alone.
    pub fn from_engine(event: &sidenote::AskEvent<'_>) -> Option<Self> {
        match *event {
            sidenote::AskEvent::Phase(_) => None,
            sidenote::AskEvent::Understood(text) => Some(Self::Understood { text: text.to_owned() }),
            sidenote::AskEvent::Token(text) => Some(Self::Token { text: text.to_owned() }),
            sidenote::AskEvent::Sentence { sentence, citations } => Some(Self::Sentence {
                sentence: sentence.into(),
                citations: citations.iter().map(Into::into).collect(),
            }),
            sidenote::AskEvent::Retract(text) => Some(Self::Retract { text: text.to_owned() }),
            sidenote::AskEvent::Final(answer) => Some(Self::Final(Box::new(answer.into()))),
        }
    }
}

impl From<&sidenote::SearchReport> for wire::SearchReport {
    fn from(report: &sidenote::SearchReport) -> Self {
        Self {
            query: report.query.clone(),
            hits: report.hits.iter().map(Into::into).collect(),
            hint: report.hint.clone(),
            timings_ms: wire::SearchMillis {
                embed: report.timings.embed,
                lexical: report.timings.lexical,
                dense: report.timings.dense,
                rerank: report.timings.rerank,
                total: report.timings.total,
            },
        }
    }
}

impl From<&sidenote::FailedFile> for wire::FailedFile {
    fn from(failed: &sidenote::FailedFile) -> Self {
        Self { path: failed.path.to_string_lossy().into_owned(), reason: failed.reason.clone() }
    }
}

impl From<&sidenote::IngestReport> for wire::IngestReport {
    fn from(report: &sidenote::IngestReport) -> Self {
        Self {
            added: count(report.added),
            updated: count(report.updated),
            unchanged: count(report.unchanged),
            renamed: count(report.renamed),
            removed: count(report.removed),
            failed: report.failed.iter().map(Into::into).collect(),
            chunks: count(report.chunks),
            embedded: count(report.embedded),
            reembedded: count(report.reembedded),
            seconds: report.seconds,
        }
    }
}

impl From<&sidenote::Status> for wire::Status {
    fn from(status: &sidenote::Status) -> Self {
        Self {
            documents: status.documents,
            chunks: status.chunks,
            vectors: status.vectors,
            bytes: status.bytes,
            generation: status.generation,
            collections: status
                .collections
                .iter()
                .map(|collection| wire::CollectionStatus {
                    name: collection.name.clone(),
                    documents: collection.documents,
                    chunks: collection.chunks,
                })
                .collect(),
            models: wire::ModelsStatus {
                embedding: status.embedding_model.clone(),
                generation: status.generation_model.clone(),
            },
            kv: wire::KvStatus {
                bytes: status.kept_states.bytes,
                sequences: count(status.kept_states.count),
                hit_rate: status.prompt_hit_rate,
            },
        }
    }
}

impl From<&sidenote::RemoveReport> for wire::RemoveReport {
    fn from(report: &sidenote::RemoveReport) -> Self {
        Self { removed: count(report.removed), purged: count(report.purged) }
    }
}

impl From<&sidenote::DoctorReport> for wire::DoctorReport {
    fn from(report: &sidenote::DoctorReport) -> Self {
        let check = |check: &sidenote::Check| wire::Check {
            name: check.name.into(),
            ok: check.ok,
            detail: check.detail.clone(),
            can_repair: check.can_repair,
        };
        Self {
            checks: report.checks.iter().map(check).collect(),
            repaired: report.repaired.iter().map(|name| (*name).to_owned()).collect(),
            removed: report.removed.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
        }
    }
}

impl From<&sidenote::CompactReport> for wire::CompactReport {
    fn from(report: &sidenote::CompactReport) -> Self {
        Self {
            dropped_vectors: report.dropped_vectors,
            bytes_before: report.bytes_before,
            bytes_after: report.bytes_after,
        }
    }
}

impl From<&sidenote::PinReport> for wire::PinReport {
    fn from(report: &sidenote::PinReport) -> Self {
        Self {
            documents: report.documents as u64,
            tokens: report.tokens as u64,
            reused: report.reused as u64,
            left: report.left as u64,
        }
    }
}

impl From<sidenote::ExportedDocument> for wire::ExportedDocument {
    fn from(exported: sidenote::ExportedDocument) -> Self {
        let chunk = |chunk: sidenote::ExportedChunk| wire::ExportedChunk {
            chunk: chunk.chunk.0,
            span: chunk.span.into(),
            page: chunk.page,
            part: chunk.part,
            heading: chunk.heading,
            table_header: chunk.table_header.map(Into::into),
            prefix: chunk.prefix,
            tokens: count(chunk.tokens),
        };
        Self {
            document: (&exported.document).into(),
            author: exported.author,
            created: exported.created,
            sha256: exported.sha256,
            warnings: exported.warnings,
            text: exported.text,
            chunks: exported.chunks.into_iter().map(chunk).collect(),
        }
    }
}

impl From<&sidenote::Error> for wire::ErrorReport {
    fn from(error: &sidenote::Error) -> Self {
        Self {
            error: wire::ErrorBody {
                kind: error.kind().as_str().into(),
                message: message_of(error),
                hint: error.hint(),
                path: error.path().map(|path| path.to_string_lossy().into_owned()),
            },
        }
    }
}

/// The message and its causes, each said once.
fn message_of(error: &sidenote::Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}
