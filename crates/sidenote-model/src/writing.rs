//! A generation under way: what it has written, and what it needs to go on after it gave way to others.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use llama_cpp_2::context::session::SeqState;
use llama_cpp_2::sampling::LlamaSampler;

use crate::llama_thread::PromptUsage;
use crate::pieces::{Piece, Pieces};
use crate::prefix::Prefix;
use crate::sample::Chooser;
use crate::{CancelToken, GenerateRequest, Generation, ModelError, StopReason};

/// What the thread answers to a generation.
pub(crate) enum Event {
    Piece(String),
    Done(Result<Generation, ModelError>),
}

/// A generation from when it is asked for until it is done.
pub(crate) struct Writing {
    pub(crate) request: GenerateRequest,
    /// The caller's callback has enough.
    enough: CancelToken,
    events: Sender<Event>,
    /// The text is put together by the receiver of the events.
    pub(crate) generation: Generation,
    pub(crate) grammar: Option<LlamaSampler>,
    pub(crate) chooser: Chooser,
    pieces: Pieces,
    logprobs: f32,
    is_counted: bool,
    /// Since when it waits; `None` while it has its turn.
    waits_since: Option<Instant>,
    // Both are moved on by the time it waits after them.
    started: Option<Instant>,
    first_token: Option<Instant>,
    /// The scores of its next token, where its prompt is evaluated.
    pub(crate) next_scores: Option<Arc<[f32]>>,
    /// What it had in the cache when it gave way.
    pub(crate) aside: Option<(Prefix, SeqState)>,
}

impl Writing {
    pub(crate) fn new(request: GenerateRequest, enough: CancelToken, events: Sender<Event>) -> Self {
        Self {
            enough,
            events,
            generation: Generation::of_nothing(request.prompt.tokens.len(), StopReason::Cancelled),
            grammar: None,
            chooser: Chooser::new(request.sampling),
            pieces: Pieces::new(&request.stop),
            logprobs: 0.0,
            is_counted: false,
            waits_since: Some(Instant::now()),
            started: None,
            first_token: None,
            next_scores: None,
            aside: None,
            request,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.request.cancel.is_cancelled() || self.enough.is_cancelled()
    }

    /// Bytes of what it had in the cache.
    pub(crate) fn bytes_aside(&self) -> usize {
        self.aside.as_ref().map_or(0, |(_, state)| state.byte_len())
    }

    /// Its turn begins; whether it is the first one.
    pub(crate) fn begin_turn(&mut self) -> bool {
        self.stop_waiting();
        let is_first = self.started.is_none();
        self.started.get_or_insert_with(Instant::now);
        is_first
    }

    /// Its turn is over, and it waits for the next one.
    pub(crate) fn give_way(&mut self, aside: (Prefix, SeqState)) {
        self.aside = Some(aside);
        self.waits_since = Some(Instant::now());
    }

    fn stop_waiting(&mut self) {
        let waited = self.waits_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.generation.timings.wait_ms += waited.as_secs_f64() * 1e3;
        self.started = self.started.map(|started| started + waited);
        self.first_token = self.first_token.map(|first| first + waited);
    }

    /// Its prompt, or a part of it, is in the cache, where so many tokens of it were before.
    pub(crate) fn note_prefill(&mut self, reused: usize, usage: &PromptUsage) {
        // What an earlier turn of it evaluated is not reused.
        if !self.is_counted {
            self.is_counted = true;
            self.generation.tokens_reused = reused;
            usage.count(self.generation.tokens_prompt, reused);
        }
        self.generation.timings.prefill_ms = self.started.map_or(0.0, milliseconds);
    }

    /// A token was chosen, which may be the one that ends the text.
    pub(crate) fn note_choice(&mut self, logprob: f32) {
        if self.first_token.is_none() {
            self.first_token = Some(Instant::now());
            self.generation.timings.first_token_ms = self.started.map_or(0.0, milliseconds);
            self.generation.first_logprob = logprob;
        }
    }

    /// Writes a token, given as its bytes. `Some` where that ends the text.
    pub(crate) fn write(&mut self, bytes: &[u8], logprob: f32) -> Option<StopReason> {
        let generation = &mut self.generation;
        generation.tokens_generated += 1;
        generation.min_logprob = generation.min_logprob.min(logprob);
        self.logprobs += logprob;
        match self.pieces.push(bytes) {
            Piece::Text(text) => (!self.show(text)).then_some(StopReason::Cancelled),
            Piece::Stop(text) => {
                self.show(text);
                Some(StopReason::StopString)
            }
        }
    }

    /// Whether there may be another token, as far as the request goes.
    pub(crate) fn has_room(&self) -> bool {
        self.generation.tokens_generated < self.request.max_tokens
    }

    /// Ends it, and tells who asked.
    pub(crate) fn end(&mut self, outcome: Result<StopReason, ModelError>) {
        self.stop_waiting();
        let outcome = outcome.map(|stop_reason| {
            if stop_reason != StopReason::StopString {
                let (Piece::Text(text) | Piece::Stop(text)) = self.pieces.finish();
                self.show(text);
            }
            let generation = &mut self.generation;
            generation.stop_reason = stop_reason;
            generation.timings.decode_ms = self.first_token.map_or(0.0, milliseconds);
            if generation.tokens_generated > 0 {
                let count = u16::try_from(generation.tokens_generated).map_or(f32::MAX, f32::from);
                generation.mean_logprob = self.logprobs / count;
            }
            tracing::debug!(
                tokens_prompt = generation.tokens_prompt,
                tokens_reused = generation.tokens_reused,
                tokens_generated = generation.tokens_generated,
                wait_ms = generation.timings.wait_ms,
                prefill_ms = generation.timings.prefill_ms,
                decode_ms = generation.timings.decode_ms,
                "generated"
            );
            generation.clone()
        });
        // Nobody waits any more: fine.
        let _ = self.events.send(Event::Done(outcome));
    }

    /// Ends it where it was cancelled while it waited; whether it was.
    pub(crate) fn end_if_cancelled(&mut self) -> bool {
        let is_cancelled = self.is_cancelled();
        if is_cancelled {
            self.end(Ok(StopReason::Cancelled));
        }
        is_cancelled
    }

    /// Whether somebody is there to see it.
    fn show(&self, text: String) -> bool {
        text.is_empty() || self.events.send(Event::Piece(text)).is_ok()
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
