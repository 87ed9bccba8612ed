//! The part of llama.cpp that callers hold: loading, tokenising, rendering. What evaluates is in `llama_thread.rs`; few other
//! files name the library, and none but these two calls it with what comes from outside.
//!
//! How llama.cpp behaves on bad input, and the shield:
//! - Wrong files: most end in a null pointer and a log line. The header is read by our own reader first (`gguf.rs`), the log
//!   line becomes the error, and what could still abort the process is met by a child process that loads and runs the file
//!   once before this one does (`probe.rs`).
//! - It **aborts** on a batch longer than configured, on a row of scores that was not computed, on sequence numbers it does
//!   not have. Batches are cut here to the configured length, rows are counted, there is one sequence.
//! - It throws C++ exceptions across the boundary where a grammar meets a token it does not allow. Grammars are asked first.
//! - Contexts must not be created in parallel, the library must be initialised once: both under one lock.
//! - Logs go to standard error unless taken: `llama_log.rs`.
//! - Text that spells control tokens becomes them, if parsed that way: contents of messages never are.
//! - States come from llama.cpp itself, in this process or from a file whose sha256 was noted when it was written.
//! - What remains: a failed allocation, or a bug in a kernel, ends the process.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::VocabType;
use serde::{Deserialize, Serialize};

use crate::gguf::read_gguf;
use crate::llama_thread::{PromptUsage, Setup, start};
use crate::queue::Command;
use crate::stamp::file_sha256;
use crate::state_file::StateFolder;
use crate::template::{ChatTemplate, Part};
use crate::writing::{Event, Writing};
use crate::{
    CancelToken, ChatMessage, GenerateRequest, Generation, Generator, GeneratorInfo, ModelError, Prompt, StopReason,
    TokenId, cpu, probe,
};

/// Called while a model loads, with the share that is loaded, 0 to 1. `false` gives the loading up.
pub type LoadProgress = Arc<dyn Fn(f32) -> bool + Send + Sync>;

/// How the KV cache holds its numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvType {
    /// Two bytes each.
    #[default]
    F16,
    /// 34 bytes for 32 of them. Wants a model whose heads are a multiple of 32 wide, and flash attention, which llama.cpp then switches
    /// on by itself.
    Q8_0,
}

/// How to run a GGUF.
#[derive(Clone)]
pub struct LlamaOptions {
    /// Name for people.
    pub name: String,
    /// Tokens that prompt and answer may have together; 0 means the model's own, at most 8192. Memory for it is taken at load.
    pub context_tokens: usize,
    /// Threads; 0 means one per core that this process may use.
    pub threads: usize,
    /// Tokens of a prompt that are evaluated at once, 32 to 2048. A request is cancelled between two of these pieces.
    pub prefill_tokens: usize,
    /// How the KV cache holds its numbers. Answers of one kind are not those of the other, to the letter.
    pub kv_type: KvType,
    /// A program that loads and runs the file once in a process of its own before this process does, called as
    /// `PROGRAM --probe-gguf PATH` and answering through [`probe_main`](crate::probe_main). Done once per file.
    pub probe: Option<PathBuf>,
    /// Called while the model loads.
    pub progress: Option<LoadProgress>,
    /// Most bytes of states of earlier prompts that are kept in memory, so that a prompt which begins like one of them is not
    /// evaluated from its beginning; 0 keeps none. As much again may be taken by generations that gave way to others. Recurrent
    /// models and those with a sliding window keep none, and their generations do not give way.
    pub kept_bytes: usize,
    /// How long a generation may keep others waiting before it gives way to them, and goes on when its turn comes again. A short
    /// one is then done soon beside long ones; several of a length would all be done late if turns were much shorter.
    pub turn: Duration,
    /// Folder for the states of fixed messages, which the next process begins with; without one they are evaluated anew.
    pub state_folder: Option<PathBuf>,
}

impl Default for LlamaOptions {
    fn default() -> Self {
        Self {
            name: "gguf".to_owned(),
            context_tokens: 0,
            threads: 0,
            prefill_tokens: 256,
            kv_type: KvType::default(),
            probe: None,
            progress: None,
            kept_bytes: 256 << 20,
            turn: Duration::from_secs(5),
            state_folder: None,
        }
    }
}

impl std::fmt::Debug for LlamaOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LlamaOptions")
            .field("name", &self.name)
            .field("context_tokens", &self.context_tokens)
            .field("threads", &self.threads)
            .field("prefill_tokens", &self.prefill_tokens)
            .field("kv_type", &self.kv_type)
            .field("probe", &self.probe)
            .field("kept_bytes", &self.kept_bytes)
            .field("turn", &self.turn)
            .field("state_folder", &self.state_folder)
            .finish_non_exhaustive()
    }
}

/// The most context that is taken without being asked for.
const DEFAULT_CONTEXT_TOKENS: usize = 8192;
const MIN_CONTEXT_TOKENS: usize = 64;

/// A GGUF model under llama.cpp. One thread, `sidenote-llama`, evaluates one request after the other, long ones by turns; calls may
/// come from any thread. What a prompt shares with an earlier one whose state is still kept is not evaluated again.
pub struct LlamaGenerator {
    info: GeneratorInfo,
    model: Arc<LlamaModel>,
    template: ChatTemplate,
    // None only while it is being dropped.
    commands: Option<Sender<Command>>,
    thread: Option<std::thread::JoinHandle<()>>,
    // What a vocabulary of the sentencepiece kind makes of the line break that shields a stretch from a leading space.
    line_break: Option<Vec<LlamaToken>>,
    usage: Arc<PromptUsage>,
}

impl std::fmt::Debug for LlamaGenerator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LlamaGenerator").field("info", &self.info).finish_non_exhaustive()
    }
}

impl LlamaGenerator {
    /// Checks, probes and loads the model, and takes the memory for its context.
    ///
    /// # Errors
    /// [`ModelError::CpuFeature`] before anything else, [`ModelError::Missing`], [`ModelError::Damaged`] with llama.cpp's last
    /// words, [`ModelError::Cancelled`] where the progress callback said so.
    pub fn load(path: &Path, options: &LlamaOptions) -> Result<Self, ModelError> {
        cpu::check_cpu()?;
        let summary = read_gguf(path)?;
        if let Some(program) = &options.probe {
            probe::probe_once(program, path)?;
        }
        let sha256_hex = file_sha256(path)?;
        let trained = summary.trained_context_tokens.and_then(|tokens| usize::try_from(tokens).ok()).unwrap_or(0);
        let known = if trained == 0 { DEFAULT_CONTEXT_TOKENS } else { trained };
        let wanted = if options.context_tokens == 0 {
            known.min(DEFAULT_CONTEXT_TOKENS)
        } else {
            options.context_tokens.min(known)
        };
        let context_tokens = wanted.max(MIN_CONTEXT_TOKENS.min(known));
        let threads = if options.threads == 0 { default_threads() } else { options.threads.min(512) };
        // States of layers that forget are not whole: llama.cpp leaves out what no later token would see.
        let whole_states = summary.sliding_window.is_none() && summary.architecture != "gemma2";
        let folder = options.state_folder.clone().filter(|_| whole_states);
        let states =
            folder.map(|folder| StateFolder::new(folder, &sha256_hex, context_tokens, threads, options.kv_type));
        let usage = Arc::<PromptUsage>::default();
        let setup = Setup {
            name: options.name.clone(),
            path: path.to_owned(),
            context_tokens,
            prefill_tokens: options.prefill_tokens.clamp(32, 2048),
            threads,
            kv_type: options.kv_type,
            progress: options.progress.clone(),
            kept_bytes: if whole_states { options.kept_bytes } else { 0 },
            turn: options.turn,
            states,
            usage: Arc::clone(&usage),
        };
        let started = Instant::now();
        let (model, commands, thread) = start(setup)?;
        tracing::info!(model = %options.name, context_tokens, threads, milliseconds = started.elapsed().as_millis(), "generator loaded");

        let special = |token: LlamaToken| {
            if token.0 < 0 {
                String::new()
            } else {
                model.vocab().text(token).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
            }
        };
        let (bos, eos) = (special(model.vocab().bos()), special(model.vocab().eos()));
        if summary.chat_template.is_none() {
            tracing::warn!(model = %options.name, "the model has no chat template; messages are written as `role: text`");
        }
        let template = ChatTemplate::new(summary.chat_template.clone(), &bos, &eos);
        let info = GeneratorInfo {
            name: options.name.clone(),
            sha256_hex,
            context_tokens,
            trained_context_tokens: trained,
            description: summary.description(),
            size_bytes: model.size(),
        };
        let line_break = leading_line_break(&model);
        Ok(Self { info, model, template, commands: Some(commands), thread: Some(thread), line_break, usage })
    }

    /// What llama.cpp says about the CPU features its kernels were built with.
    #[must_use]
    pub fn system_info() -> &'static str {
        cpu::system_info()
    }

    /// Tokens of a stretch that stands after something else. The sentencepiece kind puts a space before every text it is
    /// given, which is right only at the very beginning; a line break, which never joins with what follows, takes that space
    /// and is cut off again.
    fn tokenize(&self, text: &str, is_format: bool, at_start: bool) -> Vec<LlamaToken> {
        let vocab = self.model.vocab();
        match &self.line_break {
            Some(line_break) if !at_start => {
                let tokens = vocab.tokenize(format!("\n{text}").as_bytes(), false, is_format);
                match tokens.strip_prefix(line_break.as_slice()) {
                    Some(rest) => rest.to_vec(),
                    None => vocab.tokenize(text.as_bytes(), false, is_format),
                }
            }
            _ => vocab.tokenize(text.as_bytes(), false, is_format),
        }
    }

    fn check(&self, prompt: &Prompt) -> Result<(), ModelError> {
        prompt.check(self.info.context_tokens)?;
        let known = self.model.n_vocab();
        match prompt.tokens.iter().find(|token| token.0 < 0 || token.0 >= known) {
            Some(token) => Err(ModelError::Request(format!("token {} is not in the vocabulary of {known}", token.0))),
            None => Ok(()),
        }
    }

    fn send(&self, command: Command) -> Result<(), ModelError> {
        self.commands.as_ref().and_then(|commands| commands.send(command).ok()).ok_or_else(|| self.ended())
    }

    fn ended(&self) -> ModelError {
        ModelError::ThreadEnded { model: self.info.name.clone() }
    }
}

impl Generator for LlamaGenerator {
    fn prompt_hit_rate(&self) -> Option<f32> {
        self.usage.hit_rate()
    }

    fn info(&self) -> GeneratorInfo {
        self.info.clone()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.tokenize(text, false, false).len()
    }

    fn render(&self, messages: &[ChatMessage]) -> Result<Prompt, ModelError> {
        let parts = self
            .template
            .render(messages)
            .map_err(|reason| ModelError::Template { model: self.info.name.clone(), reason })?;
        let vocab = self.model.vocab();
        let mut tokens = Vec::new();
        let mut text = String::new();
        let mut cuts = Vec::new();
        let (mut fixed_tokens, mut shared_tokens) = (0, 0);
        for part in &parts {
            let at_start = tokens.is_empty();
            let (stretch, is_format) = match part {
                Part::Format(stretch) => (stretch, true),
                Part::Content(stretch) => (stretch, false),
                Part::Cut => {
                    cuts.push(tokens.len());
                    continue;
                }
                Part::FixedEnd => {
                    cuts.push(tokens.len());
                    fixed_tokens = tokens.len();
                    continue;
                }
                Part::SharedEnd => {
                    cuts.push(tokens.len());
                    shared_tokens = tokens.len();
                    continue;
                }
            };
            tokens.extend(self.tokenize(stretch, is_format, at_start));
            text.push_str(stretch);
        }
        // Templates mostly write the beginning of text themselves.
        if vocab.should_add_bos() && vocab.bos().0 >= 0 && tokens.first() != Some(&vocab.bos()) {
            tokens.insert(0, vocab.bos());
            cuts.iter_mut().for_each(|cut| *cut += 1);
            fixed_tokens += usize::from(fixed_tokens > 0);
            shared_tokens += usize::from(shared_tokens > 0);
        }
        let tokens = tokens.into_iter().map(|token| TokenId(token.0)).collect();
        Ok(Prompt { tokens, text, cuts, fixed_tokens, shared_tokens })
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        on_token: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, ModelError> {
        self.check(&request.prompt)?;
        let (events, received) = channel();
        // The callback's wish to stop ends this request only, so it has a token of its own beside the caller's.
        let enough = CancelToken::new();
        let writing = Writing::new(request.clone(), enough.clone(), events);
        self.send(Command::Generate(Box::new(writing)))?;
        let mut text = String::new();
        for event in received {
            match event {
                Event::Piece(_) if enough.is_cancelled() => (),
                Event::Piece(piece) => {
                    text.push_str(&piece);
                    if on_token(&piece).is_break() {
                        enough.cancel();
                    }
                }
                Event::Done(outcome) => {
                    let mut generation = outcome?;
                    if enough.is_cancelled() {
                        generation.stop_reason = StopReason::Cancelled;
                    }
                    generation.text = text;
                    return Ok(generation);
                }
            }
        }
        Err(self.ended())
    }

    fn score(&self, prompt: &Prompt, continuations: &[&str]) -> Result<Vec<f32>, ModelError> {
        self.check(prompt)?;
        let continuations: Vec<Vec<LlamaToken>> =
            continuations.iter().map(|text| self.tokenize(text, false, false)).collect();
        let longest = continuations.iter().map(Vec::len).max().unwrap_or(0);
        let tokens = prompt.tokens.len() + longest;
        if tokens > self.info.context_tokens {
            return Err(ModelError::PromptTooLong { tokens, limit: self.info.context_tokens });
        }
        let (reply, received) = channel();
        self.send(Command::Score { prompt: prompt.clone(), continuations, reply })?;
        received.recv().map_err(|_| self.ended())?
    }
}

impl Drop for LlamaGenerator {
    fn drop(&mut self) {
        // Closing the queue ends the thread after what it is doing.
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The library, initialised once and for the life of the process.
pub(crate) fn backend() -> Result<&'static LlamaBackend, String> {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(backend) = BACKEND.get() {
        return Ok(backend);
    }
    let backend = LlamaBackend::init().map_err(|error| error.to_string())?;
    Ok(BACKEND.get_or_init(|| backend))
}

/// One per core this process may use: measured, prefill gains nearly twofold from the second and decoding half as much.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get).min(64)
}

/// The tokens of a line break, where the vocabulary is of the kind that puts a space before every text.
fn leading_line_break(model: &LlamaModel) -> Option<Vec<LlamaToken>> {
    let vocab = model.vocab();
    matches!(vocab.vocab_type(), VocabType::SPM).then(|| vocab.tokenize(b"\n", false, false))
}
