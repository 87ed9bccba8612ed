//! The thread that evaluates: it alone holds the context of llama.cpp, so nothing else can disturb what the cache holds.
//!
//! The cache holds one sequence, and `held` says which tokens and how they were cut into batches (`prefix.rs` says why that
//! matters). Only batches that the next prompt has in common are reused, so the answer is bit for bit that of a cold
//! start. A prompt that gives way is set aside on a shelf, state and all, and copied back when another one begins as it
//! does; beginnings that were to be kept wait on disk as well. After any failure the cache is emptied; the shelf stays.
//!
//! A generation that has had its turn gives way where others wait, in the same manner: its state is copied away, and copied back
//! when its next turn comes, so that it writes what it would have written alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;

use crate::grammar::{allowed_scores, best_allowed, token_of};
use crate::llama::{KvType, LoadProgress, backend};
use crate::llama_log::{clear_last_words, last_words, take_logs};
use crate::prefix::{Prefix, Shelf};
use crate::queue::{Command, Queue};
use crate::sample::log_probability;
use crate::state_file::{StateFolder, scores_sha256};
use crate::writing::Writing;
use crate::{CancelToken, KeepShared, ModelError, Prompt, Sampling, StopReason};

/// What the thread is to load.
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) context_tokens: usize,
    pub(crate) prefill_tokens: usize,
    pub(crate) threads: usize,
    pub(crate) kv_type: KvType,
    pub(crate) progress: Option<LoadProgress>,
    pub(crate) kept_bytes: usize,
    pub(crate) turn: Duration,
    pub(crate) states: Option<StateFolder>,
    pub(crate) usage: Arc<PromptUsage>,
}

/// Tokens of prompts, and of those the ones that were found in the cache. Written by the thread, read by anyone.
#[derive(Debug, Default)]
pub(crate) struct PromptUsage {
    tokens: AtomicU64,
    reused: AtomicU64,
}

impl PromptUsage {
    pub(crate) fn count(&self, tokens: usize, reused: usize) {
        self.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
        self.reused.fetch_add(reused as u64, Ordering::Relaxed);
    }

    /// `None` before the first prompt.
    pub(crate) fn hit_rate(&self) -> Option<f32> {
        let (tokens, reused) = (self.tokens.load(Ordering::Relaxed), self.reused.load(Ordering::Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "a share to be shown")]
        (tokens > 0).then(|| reused as f32 / tokens as f32)
    }
}

type Started = (Arc<LlamaModel>, Sender<Command>, std::thread::JoinHandle<()>);

/// Rows of scores that are computed at once when scoring: each has a number for every token of the vocabulary.
const SCORED_TOKENS: usize = 32;
/// Fewer tokens than these are evaluated sooner than they are kept.
const KEPT_TOKENS: usize = 64;

/// Loads the model in its thread and waits until it is ready.
pub(crate) fn start(setup: Setup) -> Result<Started, ModelError> {
    let (commands, queue) = channel();
    let (ready, loaded) = channel();
    let name = setup.name.clone();
    let thread =
        std::thread::Builder::new().name("sidenote-llama".to_owned()).spawn(move || live(setup, queue, &ready))?;
    let model = loaded.recv().map_err(|_| ModelError::ThreadEnded { model: name })??;
    Ok((model, commands, thread))
}

fn live(setup: Setup, queue: Receiver<Command>, ready: &Sender<Result<Arc<LlamaModel>, ModelError>>) {
    // Creating contexts in parallel is unsound in llama.cpp, and two loads at once would mix their last words.
    static LOADING: Mutex<()> = Mutex::new(());
    let loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    take_logs();
    clear_last_words();
    let model = match load_model(&setup) {
        Ok(model) => Arc::new(model),
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let damaged = |reason: String| ModelError::Damaged { path: setup.path.clone(), reason };
    let context = backend().map_err(&damaged).and_then(|backend| {
        model.new_context(backend, context_params(&setup)).map_err(|error| damaged(last_words(&error.to_string())))
    });
    drop(loading);
    let context = match context {
        Ok(context) => context,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    // What recurrent layers hold cannot be cut.
    let (kept_bytes, states) =
        if model.is_recurrent() || model.is_hybrid() { (0, None) } else { (setup.kept_bytes, setup.states) };
    let held_limit = setup.context_tokens.min(usize::try_from(context.n_ctx()).unwrap_or(0));
    let mut evaluator = Evaluator {
        batch: LlamaBatch::new(setup.prefill_tokens.max(SCORED_TOKENS), 1),
        name: setup.name,
        model: &model,
        context,
        prefill_tokens: setup.prefill_tokens,
        held_limit,
        held: Prefix::default(),
        after_prompt: None,
        may_return: false,
        shelf: Shelf::new(kept_bytes, SeqState::byte_len),
        turn: setup.turn,
        states,
        usage: setup.usage,
    };
    if ready.send(Ok(Arc::clone(&model))).is_err() {
        return;
    }
    let mut queue = Queue::new(queue);
    while let Some(command) = queue.next() {
        let handled = catch_unwind(AssertUnwindSafe(|| evaluator.handle(command, &mut queue)));
        if handled.is_err() {
            // The answer's channel is closed by the panic, so the caller is told; the cache may be anything now.
            evaluator.forget();
        }
    }
}

fn load_model(setup: &Setup) -> Result<LlamaModel, ModelError> {
    let damaged = |reason: String| ModelError::Damaged { path: setup.path.clone(), reason };
    let cancelled = CancelToken::new();
    // No layers are moved to a graphics card: this build has none, and a number keeps it so.
    let mut params = LlamaModelParams::default().with_n_gpu_layers(0);
    if let Some(progress) = setup.progress.clone() {
        let cancelled = cancelled.clone();
        params = params.with_progress_callback(move |share| {
            let go_on = progress(share);
            if !go_on {
                cancelled.cancel();
            }
            go_on
        });
    }
    let backend = backend().map_err(damaged)?;
    LlamaModel::load_from_file(backend, &setup.path, &params).map_err(|error| {
        if cancelled.is_cancelled() {
            ModelError::Cancelled { path: setup.path.clone() }
        } else {
            damaged(last_words(&error.to_string()))
        }
    })
}

fn context_params(setup: &Setup) -> LlamaContextParams {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let batch = number(setup.prefill_tokens.max(SCORED_TOKENS));
    let threads = i32::try_from(setup.threads).unwrap_or(1);
    let kv_type = match setup.kv_type {
        KvType::F16 => KvCacheType::F16,
        KvType::Q8_0 => KvCacheType::Q8_0,
    };
    LlamaContextParams::default()
        .with_type_k(kv_type)
        .with_type_v(kv_type)
        .with_n_ctx(std::num::NonZeroU32::new(number(setup.context_tokens)))
        .with_n_batch(batch)
        .with_n_ubatch(batch)
        .with_n_seq_max(1)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_no_perf(true)
}

struct Evaluator<'model> {
    name: String,
    model: &'model LlamaModel,
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    prefill_tokens: usize,
    held_limit: usize,
    // The tokens in the cache.
    held: Prefix,
    // The scores of the token that follows the held prompt, and the length of that prompt: asked again, it costs nothing.
    after_prompt: Option<(usize, Arc<[f32]>)>,
    // Whether the held prompt may be the beginning of another: a chat goes on, a question is asked again. A prompt that is
    // only scored does not come back.
    may_return: bool,
    shelf: Shelf<SeqState>,
    turn: Duration,
    states: Option<StateFolder>,
    usage: Arc<PromptUsage>,
}

/// What of a prompt is in the cache.
struct Prefilled {
    /// Tokens that were there before.
    reused: usize,
    /// The scores of the token that follows; `None` where the evaluation was stopped before its end.
    scores: Option<Arc<[f32]>>,
}

/// How a generation's turn ended.
enum Turn {
    /// It gave way to others.
    GaveWay,
    /// It was the last one.
    Last(StopReason),
}

/// The beginning of a prompt that waits for the next one.
struct Beginning {
    tokens: usize,
    /// Where it is kept on disk, if it is.
    folder: Option<StateFolder>,
}

impl Evaluator<'_> {
    fn handle(&mut self, command: Command, queue: &mut Queue) {
        match command {
            Command::Generate(mut writing) => match self.write(&mut writing, queue) {
                Ok(Turn::GaveWay) => queue.come_again(writing),
                Ok(Turn::Last(stop_reason)) => writing.end(Ok(stop_reason)),
                Err(error) => writing.end(Err(error)),
            },
            Command::Score { prompt, continuations, reply } => {
                let _ = reply.send(self.score(&prompt, &continuations));
            }
        }
    }

    /// Gives a generation a turn: to its end, or until it had its time and others wait.
    fn write(&mut self, writing: &mut Writing, queue: &mut Queue) -> Result<Turn, ModelError> {
        let is_first = writing.begin_turn();
        if writing.is_cancelled() {
            return Ok(Turn::Last(StopReason::Cancelled));
        }
        if is_first && let Some(text) = &writing.request.grammar {
            writing.grammar = Some(self.grammar(text)?);
        }
        if let Some((prefix, state)) = writing.aside.take() {
            self.bring_back(&prefix, &state)?;
        }
        let since = Instant::now();
        let Some(first_scores) = self.read(writing, since, queue)? else {
            return Ok(if writing.is_cancelled() { Turn::Last(StopReason::Cancelled) } else { Turn::GaveWay });
        };

        let mut row = None;
        let mut bytes = Vec::with_capacity(64);
        loop {
            if writing.is_cancelled() {
                return Ok(Turn::Last(StopReason::Cancelled));
            }
            if !writing.has_room() {
                return Ok(Turn::Last(StopReason::MaxTokens));
            }
            let scores = row.map_or(&*first_scores, |row| self.context.get_logits_ith(row));
            let (token, logprob) = self.choose(scores, writing)?;
            writing.note_choice(logprob);
            if self.model.vocab().is_eog(token) {
                return Ok(Turn::Last(StopReason::EndOfText));
            }
            bytes.clear();
            self.model.vocab().token_to_piece_into(token, &mut bytes, false, None);
            if let Some(stop_reason) = writing.write(&bytes, logprob) {
                return Ok(Turn::Last(stop_reason));
            }
            if !writing.has_room() || self.held.tokens.len() >= self.held_limit {
                return Ok(Turn::Last(StopReason::MaxTokens));
            }
            let evaluated = self.evaluate(&[token], true)?;
            row = Some(evaluated);
            if self.is_over(since, queue) && self.give_way(writing) {
                writing.next_scores = Some(self.context.get_logits_ith(evaluated).into());
                return Ok(Turn::GaveWay);
            }
        }
    }

    /// Has the prompt of a generation in the cache, and gives the scores of its next token. `None` where it was cancelled, or gave
    /// way.
    fn read(
        &mut self,
        writing: &mut Writing,
        since: Instant,
        queue: &mut Queue,
    ) -> Result<Option<Arc<[f32]>>, ModelError> {
        if let Some(scores) = writing.next_scores.take() {
            return Ok(Some(scores));
        }
        loop {
            let mut is_enough = |evaluator: &Self| writing.is_cancelled() || evaluator.is_over(since, queue);
            let Prefilled { reused, scores } =
                self.prefill(&writing.request.prompt, writing.request.keep.as_ref(), true, &mut is_enough)?;
            writing.note_prefill(reused, &self.usage);
            if scores.is_some() || writing.is_cancelled() || self.give_way(writing) {
                return Ok(scores);
            }
        }
    }

    /// Whether a turn that began at a time is over: it took long enough, others wait, and there is room for what would be set aside.
    fn is_over(&self, since: Instant, queue: &mut Queue) -> bool {
        since.elapsed() >= self.turn
            && queue.others_wait()
            && self
                .shelf
                .has_room_for(queue.bytes_aside() + self.context.state_seq_get_size_ext(0, LlamaStateSeqFlags::empty()))
    }

    /// Sets aside what a generation has in the cache; whether that could be done.
    fn give_way(&mut self, writing: &mut Writing) -> bool {
        match self.context.state_seq_get(0, LlamaStateSeqFlags::empty()) {
            Ok(state) => {
                writing.give_way((self.held.clone(), state));
                true
            }
            Err(error) => {
                tracing::debug!(%error, "a generation could not give way");
                false
            }
        }
    }

    /// Has in the cache again what a generation had there when it gave way.
    fn bring_back(&mut self, prefix: &Prefix, state: &SeqState) -> Result<(), ModelError> {
        if self.held != *prefix {
            self.set_aside(0);
            self.after_prompt = None;
            let restored = self.context.state_seq_set(state, 0).map_err(|error| error.to_string());
            self.hold(prefix, restored).map_err(|reason| self.failed(&reason))?;
        }
        self.may_return = true;
        Ok(())
    }

    fn score(&mut self, prompt: &Prompt, continuations: &[Vec<LlamaToken>]) -> Result<Vec<f32>, ModelError> {
        let mut sums = Vec::with_capacity(continuations.len());
        for continuation in continuations {
            // From the second continuation on this is free.
            let Prefilled { reused, scores } = self.prefill(prompt, None, false, &mut |_| false)?;
            self.usage.count(prompt.tokens.len(), reused);
            let scores = scores.ok_or_else(|| self.failed("it stopped"))?;
            let mut sum = continuation.first().map_or(0.0, |first| log_probability(&scores, index_of(*first)));
            let mut done = 0;
            // The scores after each token are those of the token that follows it; after the last one nobody asks.
            while done + 1 < continuation.len() {
                let end = (done + SCORED_TOKENS).min(continuation.len() - 1);
                self.run(&continuation[done..end], |_| true)?;
                for (offset, next) in continuation[done + 1..=end].iter().enumerate() {
                    let row = i32::try_from(offset).unwrap_or(0);
                    sum += log_probability(self.context.get_logits_ith(row), index_of(*next));
                }
                done = end;
            }
            sums.push(sum);
        }
        Ok(sums)
    }

    /// Brings the prompt into the cache, batch by batch, until it is there or enough is done; what was evaluated by then stays.
    fn prefill(
        &mut self,
        prompt: &Prompt,
        keep: Option<&KeepShared>,
        may_return: bool,
        is_enough: &mut dyn FnMut(&Self) -> bool,
    ) -> Result<Prefilled, ModelError> {
        let tokens = prompt.tokens.iter().map(|token| LlamaToken(token.0)).collect();
        let wanted = Prefix::of_prompt(tokens, &prompt.cuts, self.prefill_tokens);
        let length = wanted.tokens.len();
        if self.held.shared_with(&wanted) == length
            && let Some((after, scores)) = &self.after_prompt
            && *after == length
        {
            let scores = Arc::clone(scores);
            self.trim(length);
            if self.held.tokens.len() == length {
                self.may_return |= may_return;
                return Ok(Prefilled { reused: length, scores: Some(scores) });
            }
        }
        let beginnings = self.beginnings(prompt, keep);
        self.make_ready(&wanted, &beginnings);
        self.may_return = may_return;
        let reused = self.held.tokens.len();
        for &end in wanted.batch_ends.iter().filter(|end| **end > reused) {
            let start = self.held.tokens.len();
            let row = self.evaluate(&wanted.tokens[start..end], end == length)?;
            self.held.batch_ends.push(end);
            if end == length {
                let scores: Arc<[f32]> = self.context.get_logits_ith(row).into();
                self.after_prompt = Some((end, Arc::clone(&scores)));
                return Ok(Prefilled { reused, scores: Some(scores) });
            }
            if let Some(beginning) = beginnings.iter().find(|beginning| beginning.tokens == end) {
                self.keep_beginning(beginning)?;
            }
            if is_enough(self) {
                return Ok(Prefilled { reused, scores: None });
            }
        }
        Err(self.failed("the prompt is empty"))
    }

    /// The longest first.
    fn beginnings(&self, prompt: &Prompt, keep: Option<&KeepShared>) -> [Beginning; 2] {
        let states = self.states.as_ref();
        let of_documents = states.zip(keep).map(|(states, keep)| states.of_documents(keep));
        [
            Beginning { tokens: prompt.shared_tokens, folder: of_documents },
            Beginning { tokens: prompt.fixed_tokens, folder: states.cloned() },
        ]
    }

    /// Brings as much of the prompt into the cache as is known, but never its last batch: the scores of what comes next are a
    /// part of that.
    fn make_ready(&mut self, wanted: &Prefix, beginnings: &[Beginning]) {
        self.after_prompt = None;
        let before_last = wanted.batch_ends.iter().rev().nth(1).copied().unwrap_or(0);
        let reusable = wanted.first(before_last);
        let known = self.held.shared_with(&reusable);
        let better = self.shelf.take_best(&reusable, known);
        self.set_aside(known);
        match better {
            Some((prefix, state)) => {
                let shared = prefix.shared_with(&reusable);
                let restored = self.context.state_seq_set(&state, 0).map_err(|error| error.to_string());
                if self.hold(&prefix, restored).is_ok() {
                    self.shelf.put(prefix, state);
                }
                self.trim(shared);
            }
            None => self.trim(known),
        }
        for Beginning { tokens, folder } in beginnings {
            if let Some(folder) = folder
                && (KEPT_TOKENS..=before_last).contains(tokens)
                && self.held.tokens.len() < *tokens
            {
                self.restore_kept(wanted.first(*tokens), folder);
            }
        }
    }

    /// Keeps the held prompt on the shelf where much more than its first `known` tokens would be lost.
    fn set_aside(&mut self, known: usize) {
        let end = self.held.batch_ends.last().copied().unwrap_or(0);
        if self.may_return && end >= known + KEPT_TOKENS && !self.shelf.covers(&self.held.first(end)) {
            self.trim(end);
            self.shelve();
        }
    }

    /// Puts what is held on the shelf, where there is room.
    fn shelve(&mut self) {
        let flags = LlamaStateSeqFlags::empty();
        if self.held.tokens.len() < KEPT_TOKENS
            || !self.shelf.has_room_for(self.context.state_seq_get_size_ext(0, flags))
        {
            return;
        }
        match self.context.state_seq_get(0, flags) {
            Ok(state) => self.shelf.put(self.held.clone(), state),
            Err(error) => tracing::debug!(%error, "a state could not be set aside"),
        }
    }

    /// Keeps the beginning that was evaluated just now, in memory and, where there is a folder, on disk. That a file cannot be
    /// written costs only the time next time.
    fn keep_beginning(&mut self, beginning: &Beginning) -> Result<(), ModelError> {
        if self.held.tokens.len() < KEPT_TOKENS {
            return Ok(());
        }
        self.shelve();
        let Some(folder) = &beginning.folder else { return Ok(()) };
        if !folder.has_room_for(self.context.state_seq_get_size_ext(0, LlamaStateSeqFlags::empty())) {
            return Ok(());
        }
        let scores = self.control_scores()?;
        let kept = folder.keep(&self.held, scores, |path| {
            let written = self.context.state_seq_save_file(path, 0, &self.held.tokens);
            written.map_err(|error| error.to_string())
        });
        if let Err(reason) = kept {
            tracing::debug!(reason, "a state could not be kept on disk");
        }
        Ok(())
    }

    /// Reads a beginning from disk in place of what is held, if it is there and gives the scores that it gave when it was
    /// kept. If not, it is evaluated and kept anew.
    fn restore_kept(&mut self, prefix: Prefix, folder: &StateFolder) {
        let Some(kept) = folder.find(&prefix) else { return };
        let read = match self.context.state_seq_load_file(&kept.state, 0, prefix.tokens.len()) {
            Ok((tokens, _)) if tokens == prefix.tokens => Ok(()),
            Ok(_) => Err("it holds other tokens".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let restored = self.hold(&prefix, read).and_then(|()| {
            let scores = self.control_scores().map_err(|error| error.to_string())?;
            if scores == kept.scores_sha256 {
                Ok(())
            } else {
                Err("it gives other scores than when it was kept".to_owned())
            }
        });
        match restored {
            Ok(()) => self.shelve(),
            Err(reason) => {
                tracing::warn!(path = %kept.state.display(), reason, "a kept state of the language model is computed anew");
                self.forget();
            }
        }
    }

    /// The state of `prefix` was put in the place of what was held; where that failed, nothing is held. So it is where llama.cpp
    /// left out the first tokens, which layers do that forget.
    fn hold(&mut self, prefix: &Prefix, restored: Result<(), String>) -> Result<(), String> {
        let whole = restored.and_then(|()| match self.context.kv_cache_seq_pos_min(0) {
            0 => Ok(()),
            first => Err(format!("it begins with token {first}")),
        });
        match &whole {
            Ok(()) => self.held = prefix.clone(),
            Err(reason) => {
                tracing::debug!(reason, "a state could not be restored");
                self.forget();
            }
        }
        whole
    }

    /// sha256 of the scores that follow when the last held token comes once more. What is held stays what it is.
    fn control_scores(&mut self) -> Result<String, ModelError> {
        let count = self.held.tokens.len();
        let last = *self.held.tokens.last().ok_or_else(|| self.failed("nothing is held"))?;
        let row = self.evaluate(&[last], true)?;
        let scores = scores_sha256(self.context.get_logits_ith(row));
        self.trim(count);
        Ok(scores)
    }

    /// Evaluates tokens after those held; with scores for the last one, whose row is returned.
    fn evaluate(&mut self, tokens: &[LlamaToken], with_scores: bool) -> Result<i32, ModelError> {
        let last = tokens.len().saturating_sub(1);
        self.run(tokens, |index| with_scores && index == last)?;
        i32::try_from(last).map_err(|error| self.failed(&error.to_string()))
    }

    /// Evaluates tokens after those held, with scores for those wanted.
    fn run(&mut self, tokens: &[LlamaToken], wants_scores: impl Fn(usize) -> bool) -> Result<(), ModelError> {
        if tokens.is_empty() || self.held.tokens.len() + tokens.len() > self.held_limit {
            return Err(self.failed("the context is full"));
        }
        self.batch.clear();
        for (index, &token) in tokens.iter().enumerate() {
            let added =
                i32::try_from(self.held.tokens.len() + index).map_err(|error| error.to_string()).and_then(|position| {
                    self.batch.add(token, position, &[0], wants_scores(index)).map_err(|error| error.to_string())
                });
            added.map_err(|reason| self.failed(&reason))?;
        }
        if let Err(error) = self.context.decode(&mut self.batch) {
            let failed = self.failed(&last_words(&error.to_string()));
            self.forget();
            return Err(failed);
        }
        self.held.tokens.extend_from_slice(tokens);
        Ok(())
    }

    /// Keeps the first `count` tokens of the cache. Models whose state cannot be cut (recurrent ones) lose all of it.
    fn trim(&mut self, count: usize) {
        if count >= self.held.tokens.len() {
            return;
        }
        let cut =
            u32::try_from(count).ok().is_some_and(|from| self.context.kv_cache_seq_rm(0, Some(from), None).is_ok());
        if cut && count > 0 {
            self.held.truncate(count);
        } else {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.context.clear_kv_cache();
        self.held = Prefix::default();
        self.after_prompt = None;
    }

    fn failed(&self, reason: &str) -> ModelError {
        ModelError::Inference { model: self.name.clone(), reason: reason.to_owned() }
    }

    fn grammar(&self, text: &str) -> Result<LlamaSampler, ModelError> {
        clear_last_words();
        LlamaSampler::grammar(self.model, text, "root").map_err(|error| {
            ModelError::Request(format!("the grammar does not parse: {}", last_words(&error.to_string())))
        })
    }

    /// The next token, with the logarithm of the probability the model gave it.
    fn choose(&self, logits: &[f32], writing: &mut Writing) -> Result<(LlamaToken, f32), ModelError> {
        let chooser = &mut writing.chooser;
        let chosen = match &mut writing.grammar {
            None => chooser.choose(logits),
            Some(grammar) => {
                let allowed = match writing.request.sampling {
                    Sampling::Greedy => best_allowed(logits, grammar),
                    Sampling::Temperature { .. } => None,
                };
                let chosen = allowed.or_else(|| chooser.choose(&allowed_scores(logits, grammar)));
                if let Some(token) = chosen.and_then(token_of) {
                    grammar
                        .try_accept(token)
                        .map_err(|error| self.failed(&format!("the grammar refused its own token: {error}")))?;
                }
                chosen
            }
        };
        let index = chosen
            .ok_or_else(|| self.failed("no token can follow: the scores hold no number, or the grammar allows none"))?;
        let token = token_of(index).ok_or_else(|| self.failed("the vocabulary is too large"))?;
        Ok((token, log_probability(logits, index)))
    }
}

fn index_of(token: LlamaToken) -> usize {
    usize::try_from(token.0).unwrap_or(usize::MAX)
}
