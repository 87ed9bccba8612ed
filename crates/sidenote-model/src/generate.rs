//! The seam to what turns a prompt into text.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ModelError;

/// A token of one model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub i32);

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The program: what the model is to do.
    System,
    /// The person.
    User,
    /// The model, in an earlier turn.
    Assistant,
}

impl Role {
    /// The word that chat templates know it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a chat. Its content is text and stays text: whatever it spells, it becomes no control token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// Whether the program itself wrote it, word for word the same in every prompt that begins with it: an instruction, an
    /// example. What the model makes of a beginning of such messages is kept, on disk too where a folder was named.
    pub is_fixed: bool,
    /// Bytes at the beginning of the content of a person's turn that other prompts may begin with too, such as a document that is
    /// asked about several times; a cut stands behind them. 0: none.
    pub shared_bytes: usize,
}

impl ChatMessage {
    /// A turn by `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), is_fixed: false, shared_bytes: 0 }
    }

    /// A turn that the program itself wrote; nothing of a document or a person may be in it.
    pub fn fixed(role: Role, content: impl Into<String>) -> Self {
        Self { is_fixed: true, ..Self::new(role, content) }
    }

    /// A person's turn that begins with what other prompts may begin with too.
    pub fn sharing(shared: &str, rest: &str) -> Self {
        Self { shared_bytes: shared.len(), ..Self::new(Role::User, format!("{shared}{rest}")) }
    }
}

/// A prompt as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The tokens, beginning-of-text included where the model wants one.
    pub tokens: Vec<TokenId>,
    /// The same as text, for people and snapshots; it is never tokenised.
    pub text: String,
    /// Where in `tokens` a stretch ends that other prompts may share, ascending: after the system text, and before each
    /// earlier answer. Evaluation pauses there, so that what is reused was computed exactly as a cold start would.
    pub cuts: Vec<usize>,
    /// How many tokens at the beginning come from fixed messages; there is a cut behind them.
    pub fixed_tokens: usize,
    /// How many tokens end with what a message shares ([`ChatMessage::shared_bytes`]); there is a cut behind them. 0: none.
    pub shared_tokens: usize,
}

impl Prompt {
    /// One of which nothing is known to be shared.
    pub(crate) fn without_cuts(tokens: Vec<TokenId>, text: String) -> Self {
        Self { tokens, text, cuts: Vec::new(), fixed_tokens: 0, shared_tokens: 0 }
    }

    /// Whether there is one, and it leaves room for an answer.
    pub(crate) fn check(&self, context_tokens: usize) -> Result<(), ModelError> {
        let limit = context_tokens.saturating_sub(1);
        if self.tokens.len() > limit {
            return Err(ModelError::PromptTooLong { tokens: self.tokens.len(), limit });
        }
        if self.tokens.is_empty() {
            return Err(ModelError::Request("the prompt is empty".to_owned()));
        }
        Ok(())
    }
}

/// Has what a prompt shares with others kept on disk too, for the next process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepShared {
    /// What it was made of. Once one of these is not wanted any more, the state goes ([`retain_states`](crate::retain_states)).
    pub of: Vec<String>,
    /// Most bytes of all states that are kept so; the ones that were not used for the longest go first. 0 keeps none.
    pub max_bytes: u64,
}

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// The most likely one; the lower id where two are equal.
    Greedy,
    /// Drawn from the likeliest ones.
    Temperature {
        /// Above 0; 1 leaves the model's distribution as it is.
        temperature: f32,
        /// 0 to 1: the smallest set of tokens whose probabilities reach this sum takes part.
        top_p: f32,
        /// The same seed draws the same tokens.
        seed: u64,
    },
}

/// Asks a running generation to stop. Clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has cancelled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything that holds a clone to stop soon: at the next token, or the next piece of the prompt.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Makes it as new, once what was asked to stop has stopped, for what comes next.
    pub fn renew(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One generation.
#[derive(Debug, Clone)]
pub struct GenerateRequest {
    /// From [`Generator::render`] of the same generator.
    pub prompt: Prompt,
    /// The most tokens to generate; the end of the context ends it earlier.
    pub max_tokens: usize,
    /// Texts that end the generation; they are not part of it. Empty ones are ignored.
    pub stop: Vec<String>,
    /// A grammar in GBNF with a rule `root` that the text must follow.
    pub grammar: Option<String>,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Stops it from outside.
    pub cancel: CancelToken,
    /// Whether what the prompt shares is kept on disk.
    pub keep: Option<KeepShared>,
}

impl GenerateRequest {
    /// Greedy, without grammar or stop texts.
    #[must_use]
    pub fn greedy(prompt: Prompt, max_tokens: usize) -> Self {
        Self {
            prompt,
            max_tokens,
            stop: Vec::new(),
            grammar: None,
            sampling: Sampling::Greedy,
            cancel: CancelToken::new(),
            keep: None,
        }
    }
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The model said it is done.
    EndOfText,
    /// `max_tokens`, or the context, is full.
    MaxTokens,
    /// One of the stop texts came.
    StopString,
    /// The callback or the token asked for it.
    Cancelled,
}

/// Where the time went, milliseconds. In none but the first is the time that was waited between turns.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timings {
    /// Waiting for other requests of the same generator.
    pub wait_ms: f64,
    /// Evaluating what of the prompt was not in the cache.
    pub prefill_ms: f64,
    /// From the start of the prefill to the first token.
    pub first_token_ms: f64,
    /// From the first token to the last.
    pub decode_ms: f64,
}

/// What was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// All pieces that were given to the callback, joined.
    pub text: String,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Tokens of the prompt.
    pub tokens_prompt: usize,
    /// How many of them were in the cache already, and were computed as a cold start would have computed them.
    pub tokens_reused: usize,
    /// Tokens generated, the end-of-text token not included.
    pub tokens_generated: usize,
    /// Mean natural logarithm of the probabilities that the model, before temperature and grammar, gave to the generated
    /// tokens; 0 where there are none.
    pub mean_logprob: f32,
    /// The same of the first token alone (the end-of-text token included); 0 where there is none.
    pub first_logprob: f32,
    /// The same of the least likely token; 0 where there is none.
    pub min_logprob: f32,
    /// Where the time went.
    pub timings: Timings,
}

impl Generation {
    /// Nothing yet, behind a prompt of so many tokens.
    pub fn of_nothing(tokens_prompt: usize, stop_reason: StopReason) -> Self {
        Self {
            text: String::new(),
            stop_reason,
            tokens_prompt,
            tokens_reused: 0,
            tokens_generated: 0,
            mean_logprob: 0.0,
            first_logprob: 0.0,
            min_logprob: 0.0,
            timings: Timings::default(),
        }
    }
}

/// Which model generates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratorInfo {
    /// Name for people.
    pub name: String,
    /// sha256 of the model file, 64 lower-case hex digits.
    pub sha256_hex: String,
    /// Tokens that prompt and answer may have together, as configured.
    pub context_tokens: usize,
    /// The same, as the model was trained.
    pub trained_context_tokens: usize,
    /// Architecture and quantisation for people, such as `qwen2 1.5B Q4_K - Medium`.
    pub description: String,
    /// Size of the weights in bytes.
    pub size_bytes: u64,
}

/// Turns a prompt into text.
pub trait Generator: Send + Sync {
    /// Which model this is.
    fn info(&self) -> GeneratorInfo;

    /// Number of tokens of `text` as content of a message: what spells a control token counts as the text it is.
    fn count_tokens(&self, text: &str) -> usize;

    /// The prompt for these messages, in the model's own chat format, up to where the model's answer begins.
    ///
    /// # Errors
    /// [`ModelError::Template`] where the format of the model cannot hold them.
    fn render(&self, messages: &[ChatMessage]) -> Result<Prompt, ModelError>;

    /// Generates; `on_token` gets every piece of text as it is settled (whole characters; nothing of a stop text) and may
    /// end it by `Break`: what was given until then is the text.
    ///
    /// # Errors
    /// [`ModelError::PromptTooLong`] and [`ModelError::Request`] before anything is evaluated, [`ModelError::Inference`]
    /// where llama.cpp fails.
    fn generate(
        &self,
        request: &GenerateRequest,
        on_token: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, ModelError>;

    /// For each continuation, the natural logarithm of the probability that the model gives it after the prompt (the sum
    /// over its tokens; 0 for an empty one). Each is tokenised by itself, as content.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    fn score(&self, prompt: &Prompt, continuations: &[&str]) -> Result<Vec<f32>, ModelError>;

    /// Share of the tokens of all prompts so far that were not evaluated because an earlier prompt had them, 0 to 1; `None`
    /// before the first prompt, and where nobody counts.
    fn prompt_hit_rate(&self) -> Option<f32> {
        None
    }
}
