//! A generator on a server that the user runs, asked as OpenAI's clients ask: llama-server, vLLM, another sidenote. Behind the
//! feature `remote`, which no default build has: whoever uses it sends questions, and what was found for them, to that server.
//!
//! How ureq and such servers behave on bad input, and the shield:
//! - ureq goes through a proxy that the environment names, and follows redirects: neither happens here. What is sent goes to the
//!   address that was named, encrypted unless that is this machine or the user says otherwise.
//! - A server may be silent, never end, send lines without end or far more than was asked for: every wait and every length has
//!   a bound (`stream.rs`).
//! - Its words of refusal are shown, cut short; they may repeat what was sent, so they are not for a log.
//! - No such server says how many tokens a text has in a way that all share: they are estimated (`estimate.rs`), and counted by
//!   what it says after it has answered.
//! - Log-probabilities are asked for. Where a server gives none, those of an answer are 0, and a choice between continuations is
//!   the one it writes.

mod estimate;
mod stream;

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::Uri;

use self::estimate::estimated_tokens;
use self::stream::{Chunk, Endpoint, Finish, Likely};
use crate::llama_thread::PromptUsage;
use crate::pieces::{Piece, Pieces};
use crate::{
    CancelToken, ChatMessage, GenerateRequest, Generation, Generator, GeneratorInfo, ModelError, Prompt, Sampling,
    StopReason, TokenId,
};

/// Context that is taken where neither the user nor the server names one.
const DEFAULT_CONTEXT_TOKENS: usize = 4096;
/// What a chat format puts around a message, at most.
const TOKENS_AROUND_A_MESSAGE: usize = 8;
/// Likeliest tokens that are asked for when continuations are compared; vLLM and OpenAI allow no more.
const LIKELIEST: usize = 20;
/// What a continuation is given that a server without log-probabilities wrote, and what the others are: it says yes or no, and not
/// how sure it is.
const WRITTEN: f32 = -0.105; // ln 0.9
const NOT_WRITTEN: f32 = -2.303; // ln 0.1
/// No token of any vocabulary is longer. A server that sends more was told another number of tokens.
const MAX_TOKEN_BYTES: usize = 512;

/// Which server, and which of its models.
#[derive(Clone, Default)]
pub struct RemoteOptions {
    /// Where its API begins, such as `http://127.0.0.1:8080/v1`.
    pub url: String,
    /// The model's name there; empty where the server has one alone.
    pub model: String,
    /// What it wants to see of a caller (`Authorization: Bearer`).
    pub key: Option<String>,
    /// Tokens that prompt and answer may have together; 0 means what the server says, and 4096 where it says nothing.
    pub context_tokens: usize,
    /// Whether `http` may be spoken to another machine: everyone between can then read questions and passages.
    pub allow_unencrypted: bool,
}

impl std::fmt::Debug for RemoteOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RemoteOptions")
            .field("url", &self.url)
            .field("model", &self.model)
            .field("key", &self.key.as_ref().map(|_| "..."))
            .field("context_tokens", &self.context_tokens)
            .field("allow_unencrypted", &self.allow_unencrypted)
            .finish()
    }
}

/// A model of a server that speaks OpenAI's chat completions. It knows no grammar and keeps no states; whether it knows the
/// beginning of a prompt from before is the server's business.
#[derive(Debug)]
pub struct RemoteGenerator {
    options: RemoteOptions,
    endpoint: Endpoint,
    model: OnceLock<RemoteModel>,
    usage: PromptUsage,
}

#[derive(Clone, Debug)]
struct RemoteModel {
    name: String,
    context_tokens: usize,
}

impl RemoteGenerator {
    /// Checks the address; nothing is sent before the first question.
    ///
    /// # Errors
    /// [`ModelError::Endpoint`] where the address is none, holds a password, or would be spoken to in the clear.
    pub fn new(options: RemoteOptions) -> Result<Self, ModelError> {
        let url = options.url.trim_end_matches('/').to_owned();
        if let Err(reason) = check_url(&url, options.allow_unencrypted) {
            return Err(ModelError::Endpoint { url, reason });
        }
        let endpoint = Endpoint::new(url, options.key.as_deref());
        Ok(Self { options, endpoint, model: OnceLock::new(), usage: PromptUsage::default() })
    }

    /// The model, asked for once: what there is, and how much it reads.
    fn model(&self) -> Result<RemoteModel, ModelError> {
        if let Some(model) = self.model.get() {
            return Ok(model.clone());
        }
        let RemoteOptions { model: wanted, context_tokens, .. } = &self.options;
        let model = if wanted.is_empty() || *context_tokens == 0 {
            match self.endpoint.get("/models") {
                Ok(list) => self.chosen(&list)?,
                // A server may have no list; whoever named the model needs none.
                Err(_) if !wanted.is_empty() => self.named_alone(wanted),
                Err(error) => return Err(error),
            }
        } else {
            self.named_alone(wanted)
        };
        Ok(self.model.get_or_init(|| model).clone())
    }

    fn named_alone(&self, name: &str) -> RemoteModel {
        let known = Some(self.options.context_tokens).filter(|tokens| *tokens > 0);
        RemoteModel { name: name.to_owned(), context_tokens: known.unwrap_or(DEFAULT_CONTEXT_TOKENS) }
    }

    fn chosen(&self, list: &Value) -> Result<RemoteModel, ModelError> {
        let known: Vec<ListedModel> = list["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|model| ListedModel::deserialize(model).ok())
            .collect();
        let wanted = &self.options.model;
        let found = if wanted.is_empty() {
            known.first().filter(|_| known.len() == 1)
        } else {
            known.iter().find(|model| model.id == *wanted)
        };
        match found {
            Some(model) => {
                let named = self.named_alone(&model.id);
                let says = model.max_model_len.or(model.meta.n_ctx).filter(|tokens| *tokens > 0);
                Ok(match says {
                    Some(most) if self.options.context_tokens == 0 => RemoteModel { context_tokens: most, ..named },
                    Some(most) => RemoteModel { context_tokens: named.context_tokens.min(most), ..named },
                    None => named,
                })
            }
            // It may know a name that it does not list.
            None if !wanted.is_empty() => Ok(self.named_alone(wanted)),
            None => {
                let names: Vec<&str> = known.iter().take(10).map(|model| model.id.as_str()).collect();
                let reason = format!("it has {} models and none was named: {}", known.len(), names.join(", "));
                Err(self.endpoint.error(&reason))
            }
        }
    }

    fn check(&self, prompt: &Prompt) -> Result<RemoteModel, ModelError> {
        let model = self.model()?;
        prompt.check(model.context_tokens)?;
        Ok(model)
    }

    fn body(model: &RemoteModel, prompt: &Prompt, max_tokens: usize) -> Result<Value, ModelError> {
        let messages: Value = serde_json::from_str(&prompt.text)
            .map_err(|_| ModelError::Request("the prompt was rendered by another generator".to_owned()))?;
        Ok(json!({
            "model": model.name,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": true,
            "stream_options": { "include_usage": true },
            "logprobs": true,
        }))
    }
}

impl Generator for RemoteGenerator {
    /// The file of the model is not known: its sha256 is given as zeros, its size as 0. Where the server cannot be asked, the name is
    /// the configured one.
    fn info(&self) -> GeneratorInfo {
        let model = self.model().unwrap_or_else(|_| self.named_alone(&self.options.model));
        GeneratorInfo {
            name: format!("{} at {}", model.name, self.endpoint.url()),
            sha256_hex: "0".repeat(64),
            context_tokens: model.context_tokens,
            trained_context_tokens: model.context_tokens,
            description: "a model of another server".to_owned(),
            size_bytes: 0,
        }
    }

    /// An estimate, rather too high than too low.
    fn count_tokens(&self, text: &str) -> usize {
        estimated_tokens(text)
    }

    /// The messages as JSON; the server has its own chat format. The tokens are as many as they are taken to be, and say nothing.
    fn render(&self, messages: &[ChatMessage]) -> Result<Prompt, ModelError> {
        let count: usize =
            messages.iter().map(|message| estimated_tokens(&message.content) + TOKENS_AROUND_A_MESSAGE).sum();
        let messages: Vec<Value> =
            messages.iter().map(|message| json!({ "role": message.role.name(), "content": message.content })).collect();
        Ok(Prompt::without_cuts(vec![TokenId(0); count], Value::Array(messages).to_string()))
    }

    /// A request that is cancelled ends at once here; the server hears of it with its next token.
    fn generate(
        &self,
        request: &GenerateRequest,
        on_token: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, ModelError> {
        if request.grammar.is_some() {
            return Err(ModelError::Request("a model of another server is given no grammar".to_owned()));
        }
        let model = self.check(&request.prompt)?;
        let mut body = Self::body(&model, &request.prompt, request.max_tokens)?;
        if let Sampling::Temperature { temperature, top_p, seed } = request.sampling {
            body["temperature"] = json!(temperature);
            body["top_p"] = json!(top_p);
            body["seed"] = json!(seed);
        }
        let begun = Instant::now();
        let mut reply = Reply::new(request);
        let heard = self.endpoint.converse(&body, &request.cancel, &mut |chunk| reply.take(&chunk, on_token))?;
        let generation = reply.end(heard, begun, on_token);
        self.usage.count(generation.tokens_prompt, generation.tokens_reused);
        Ok(generation)
    }

    /// By the first token of each continuation, of which two should not begin alike: a server tells no more. One that is not among
    /// the likeliest is given the probability of the least likely of these, which it has at most.
    fn score(&self, prompt: &Prompt, continuations: &[&str]) -> Result<Vec<f32>, ModelError> {
        let model = self.check(prompt)?;
        let mut body = Self::body(&model, prompt, 1)?;
        body["top_logprobs"] = json!(LIKELIEST);
        let (mut likeliest, mut written) = (Vec::new(), String::new());
        let _whole = self.endpoint.converse(&body, &CancelToken::new(), &mut |chunk| {
            if likeliest.is_empty() {
                likeliest = chunk.first_likeliest();
            }
            written.push_str(chunk.text());
            ControlFlow::Continue(())
        })?;
        Ok(continuations.iter().map(|text| score_of(text, &likeliest, &written)).collect())
    }

    fn prompt_hit_rate(&self) -> Option<f32> {
        self.usage.hit_rate()
    }
}

/// What comes back, as it comes.
struct Reply<'a> {
    request: &'a GenerateRequest,
    pieces: Pieces,
    generation: Generation,
    bytes: usize,
    logprobs: Vec<f32>,
    first_token: Option<Instant>,
}

impl<'a> Reply<'a> {
    fn new(request: &'a GenerateRequest) -> Self {
        Self {
            request,
            pieces: Pieces::new(&request.stop),
            generation: Generation::of_nothing(request.prompt.tokens.len(), StopReason::EndOfText),
            bytes: 0,
            logprobs: Vec::new(),
            first_token: None,
        }
    }

    fn take(&mut self, chunk: &Chunk, on_token: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        if let Some(usage) = &chunk.usage {
            self.generation.tokens_prompt = usage.prompt_tokens;
            self.generation.tokens_reused = usage.reused().min(usage.prompt_tokens);
            self.generation.tokens_generated = usage.completion_tokens.min(self.request.max_tokens);
        }
        if chunk.finish() == Some(Finish::Length) {
            self.generation.stop_reason = StopReason::MaxTokens;
        }
        self.logprobs.extend(chunk.logprobs());
        let text = chunk.text();
        if text.is_empty() {
            return ControlFlow::Continue(());
        }
        self.first_token.get_or_insert_with(Instant::now);
        self.bytes += text.len();
        self.generation.tokens_generated += 1;
        if self.generation.tokens_generated > self.request.max_tokens
            || self.bytes > MAX_TOKEN_BYTES * self.request.max_tokens
        {
            self.generation.tokens_generated = self.request.max_tokens;
            self.generation.stop_reason = StopReason::MaxTokens;
            return ControlFlow::Break(());
        }
        match self.pieces.push(text.as_bytes()) {
            Piece::Text(text) => self.show(&text, on_token),
            Piece::Stop(text) => {
                let shown = self.show(&text, on_token);
                if shown.is_continue() {
                    self.generation.stop_reason = StopReason::StopString;
                }
                ControlFlow::Break(())
            }
        }
    }

    fn show(&mut self, text: &str, on_token: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        if text.is_empty() {
            return ControlFlow::Continue(());
        }
        self.generation.text.push_str(text);
        let shown = on_token(text);
        if shown.is_break() {
            self.generation.stop_reason = StopReason::Cancelled;
        }
        shown
    }

    /// `heard` is whether the server was heard to its end, `Break` where somebody stopped it.
    fn end(
        mut self,
        heard: ControlFlow<()>,
        begun: Instant,
        on_token: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Generation {
        if heard.is_continue() {
            let (Piece::Text(rest) | Piece::Stop(rest)) = self.pieces.finish();
            let _ = self.show(&rest, on_token);
        } else if self.request.cancel.is_cancelled() {
            self.generation.stop_reason = StopReason::Cancelled;
        }
        let mut generation = self.generation;
        if let Some(first) = self.logprobs.first() {
            generation.first_logprob = *first;
            generation.min_logprob = self.logprobs.iter().copied().fold(0.0, f32::min);
            #[expect(clippy::cast_precision_loss, reason = "a mean over some hundred tokens")]
            let count = self.logprobs.len() as f32;
            generation.mean_logprob = self.logprobs.iter().sum::<f32>() / count;
        }
        let first = self.first_token.unwrap_or_else(Instant::now);
        generation.timings.prefill_ms = (first - begun).as_secs_f64() * 1e3;
        generation.timings.first_token_ms = generation.timings.prefill_ms;
        generation.timings.decode_ms = first.elapsed().as_secs_f64() * 1e3;
        generation
    }
}

/// An entry of the server's list. vLLM says `max_model_len`, llama-server `meta.n_ctx`.
#[derive(Deserialize)]
struct ListedModel {
    id: String,
    max_model_len: Option<usize>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    n_ctx: Option<usize>,
}

fn score_of(continuation: &str, likeliest: &[Likely], written: &str) -> f32 {
    let begins = |token: &str| !token.trim().is_empty() && continuation.starts_with(token.trim());
    if likeliest.is_empty() {
        let said = written.trim_start();
        let is_it = !said.is_empty() && (continuation.starts_with(said.trim_end()) || said.starts_with(continuation));
        return if is_it { WRITTEN } else { NOT_WRITTEN };
    }
    let found = likeliest.iter().filter(|likely| begins(&likely.token)).map(|likely| likely.logprob);
    let least = likeliest.iter().map(|likely| likely.logprob).fold(0.0, f32::min);
    found.reduce(f32::max).unwrap_or(least)
}

fn check_url(url: &str, allow_unencrypted: bool) -> Result<(), String> {
    let parsed: Uri = url.parse().map_err(|error| format!("this is no address: {error}"))?;
    let authority = parsed.authority().ok_or("an address begins with https:// or http:// and names a host")?;
    if authority.as_str().contains('@') {
        return Err("a password in an address would be shown; name a file that holds the key".to_owned());
    }
    if parsed.query().is_some() {
        return Err("what follows `?` is not sent; name where the API begins, mostly .../v1".to_owned());
    }
    match parsed.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if allow_unencrypted || is_this_machine(authority.host()) => Ok(()),
        Some("http") => Err("over http everyone between could read questions and passages".to_owned()),
        _ => Err("an address begins with https:// or http://".to_owned()),
    }
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
