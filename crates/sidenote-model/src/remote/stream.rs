//! Asking a server, and reading what it says as it says it: chat completions as server-sent events, every length and wait bounded.

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, RequestBuilder, http};

use crate::{CancelToken, ModelError};

/// A server that answers takes a connection sooner.
const CONNECT: Duration = Duration::from_secs(10);
/// Reading a long prompt on a slow machine takes minutes, in which nothing is heard.
const SILENCE: Duration = Duration::from_secs(300);
/// Whatever is heard, an answer is done by then.
const WHOLE_ANSWER: Duration = Duration::from_secs(3_600);
/// How soon a cancelled request is noticed.
const LOOK_UP: Duration = Duration::from_millis(50);
/// Longest line of a stream. One with twenty likeliest tokens has a few thousand bytes.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Longest answer that is no stream: a list of models, a refusal.
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// Most of a refusal that is shown.
const MAX_SHOWN_CHARACTERS: usize = 200;
/// Events that are read ahead.
const AHEAD: usize = 64;

/// A server's API.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    url: Arc<str>,
    key: Option<Arc<str>>,
    agent: Agent,
}

impl Endpoint {
    pub(super) fn new(url: String, key: Option<&str>) -> Self {
        let agent = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .timeout_global(Some(WHOLE_ANSWER))
            // A server in the building mostly has a certificate that the building's machines know and the world does not.
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .user_agent("sidenote")
            .build()
            .new_agent();
        Self { url: url.into(), key: key.map(Arc::from), agent }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn error(&self, reason: &str) -> ModelError {
        ModelError::Endpoint { url: self.url.to_string(), reason: reason.to_owned() }
    }

    /// A JSON document.
    pub(super) fn get(&self, path: &str) -> Result<Value, ModelError> {
        let request = self.with_key(self.agent.get(format!("{}{path}", self.url)));
        let response = request.call().map_err(|error| self.failed(&error))?;
        let body = self.accepted(response)?.into_with_config().limit(MAX_DOCUMENT_BYTES).read_to_vec();
        let body = body.map_err(|error| self.failed(&error))?;
        serde_json::from_slice(&body).map_err(|_| self.error("it did not answer in JSON"))
    }

    /// Sends a request for a streamed completion and hands every event on, until the server or whoever listens has enough: `Break`
    /// where it was the latter, or the token.
    ///
    /// The connection is read by a thread of its own, so that a request can be left at any time; that thread ends with the next
    /// event that nobody wants, or after [`SILENCE`].
    pub(super) fn converse(
        &self,
        body: &Value,
        cancel: &CancelToken,
        on_chunk: &mut dyn FnMut(Chunk) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ModelError> {
        let (sender, heard) = sync_channel(AHEAD);
        let (endpoint, body) = (self.clone(), body.to_string());
        std::thread::Builder::new().name("sidenote-remote".to_owned()).spawn(move || {
            if let Err(error) = endpoint.read(&body, &sender) {
                // Nobody may be listening any more.
                let _ = sender.send(Err(error));
            }
        })?;
        self.listen(&heard, cancel, on_chunk)
    }

    fn listen(
        &self,
        heard: &Receiver<Result<Chunk, ModelError>>,
        cancel: &CancelToken,
        on_chunk: &mut dyn FnMut(Chunk) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ModelError> {
        let begun = Instant::now();
        let mut is_finished = false;
        loop {
            if cancel.is_cancelled() {
                return Ok(ControlFlow::Break(()));
            }
            match heard.recv_timeout(LOOK_UP) {
                Ok(Ok(chunk)) => {
                    is_finished |= chunk.finish().is_some();
                    if on_chunk(chunk).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(Err(error)) => return Err(error),
                // Comments keep a connection alive that says nothing.
                Err(RecvTimeoutError::Timeout) if begun.elapsed() > WHOLE_ANSWER => {
                    return Err(self.error("it did not come to an end within an hour"));
                }
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) if is_finished => return Ok(ControlFlow::Continue(())),
                Err(RecvTimeoutError::Disconnected) => return Err(self.error("it broke off in the middle")),
            }
        }
    }

    /// Reads a stream to its end, or until nobody listens.
    fn read(&self, body: &str, sender: &SyncSender<Result<Chunk, ModelError>>) -> Result<(), ModelError> {
        let request = self
            .with_key(self.agent.post(format!("{}/chat/completions", self.url)))
            .header("content-type", "application/json")
            .header("accept", "text/event-stream");
        let response = request.send(body).map_err(|error| self.failed(&error))?;
        let mut lines = BufReader::new(self.accepted(response)?.into_reader());
        let mut line = Vec::new();
        let mut is_stream = false;
        while self.next_line(&mut lines, &mut line)? {
            // Comments, names of events and empty lines say nothing here.
            let Some(data) = line.strip_prefix(b"data:") else { continue };
            is_stream = true;
            let data = data.trim_ascii();
            if data == b"[DONE]" {
                return Ok(());
            }
            let event: Value =
                serde_json::from_slice(data).map_err(|_| self.error("an event of its stream is no JSON"))?;
            if let Some(reason) = refusal(&event) {
                return Err(self.error(&reason));
            }
            let chunk = Chunk::deserialize(event)
                .map_err(|_| self.error("an event of its stream is none of a chat completion"))?;
            if sender.send(Ok(chunk)).is_err() {
                return Ok(());
            }
        }
        if is_stream { Ok(()) } else { Err(self.error("it did not answer with a stream of events")) }
    }

    fn with_key<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        }
    }

    /// The next line without its end; `false` after the last one.
    fn next_line(&self, lines: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, ModelError> {
        line.clear();
        let mut bounded = lines.take(MAX_LINE_BYTES as u64);
        let read = bounded.read_until(b'\n', line).map_err(|error| self.error(&cut_short(&error.to_string())))?;
        if read == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            return Err(self.error(&format!("a line of its answer has more than {MAX_LINE_BYTES} bytes")));
        }
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.pop();
        }
        Ok(read > 0)
    }

    fn accepted(&self, response: http::Response<Body>) -> Result<Body, ModelError> {
        let status = response.status();
        let body = response.into_body();
        if status.is_success() {
            return Ok(body);
        }
        let text = body.into_with_config().limit(MAX_DOCUMENT_BYTES).lossy_utf8(true).read_to_string();
        let said = text.ok().and_then(|text| refusal(&serde_json::from_str(&text).ok()?));
        Err(self.error(&match said {
            Some(said) => format!("status {}: {said}", status.as_u16()),
            None => format!("status {status}"),
        }))
    }

    fn failed(&self, error: &ureq::Error) -> ModelError {
        self.error(&cut_short(&error.to_string()))
    }
}

/// What a server says where it refuses: `{"error": {"message"}}`, `{"error"}`, `{"message"}` or `{"detail"}`.
fn refusal(value: &Value) -> Option<String> {
    let error = &value["error"];
    if error.is_null() {
        let is_answer = value["choices"].is_array();
        return value["message"].as_str().or(value["detail"].as_str()).filter(|_| !is_answer).map(cut_short);
    }
    let said = error.as_str().or(error["message"].as_str());
    Some(cut_short(said.unwrap_or("it says no more than that there is an error")))
}

fn cut_short(text: &str) -> String {
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SHOWN_CHARACTERS).collect();
    if text.chars().nth(MAX_SHOWN_CHARACTERS).is_some() {
        shown.push_str("...");
    }
    shown
}

/// One event of a streamed completion.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
}

/// Why a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// As many tokens as were asked for.
    Length,
    /// Anything else: the model was done.
    Done,
}

impl Chunk {
    pub(super) fn text(&self) -> &str {
        let delta = self.choices.first().and_then(|choice| choice.delta.as_ref());
        delta.and_then(|delta| delta.content.as_deref()).unwrap_or_default()
    }

    pub(super) fn finish(&self) -> Option<Finish> {
        let reason = self.choices.first()?.finish_reason.as_deref()?;
        Some(if reason == "length" { Finish::Length } else { Finish::Done })
    }

    /// Of each token that was written.
    pub(super) fn logprobs(&self) -> impl Iterator<Item = f32> {
        self.tokens().map(|token| token.logprob).filter(|logprob| logprob.is_finite())
    }

    /// The likeliest tokens in place of the first one that was written.
    pub(super) fn first_likeliest(&self) -> Vec<Likely> {
        let first = self.tokens().next();
        first.map(|token| token.top_logprobs.iter().flatten().cloned().collect()).unwrap_or_default()
    }

    fn tokens(&self) -> impl Iterator<Item = &Token> {
        let logprobs = self.choices.first().and_then(|choice| choice.logprobs.as_ref());
        logprobs.and_then(|logprobs| logprobs.content.as_ref()).into_iter().flatten()
    }
}

#[derive(Debug, Deserialize)]
struct Choice {
    delta: Option<Delta>,
    logprobs: Option<Logprobs>,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Logprobs {
    content: Option<Vec<Token>>,
}

#[derive(Debug, Deserialize)]
struct Token {
    logprob: f32,
    top_logprobs: Option<Vec<Likely>>,
}

/// A token that could have been written.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Likely {
    pub(super) token: String,
    pub(super) logprob: f32,
}

/// Tokens, as the server counts them.
#[derive(Debug, Deserialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: usize,
    #[serde(default)]
    pub(super) completion_tokens: usize,
    prompt_tokens_details: Option<PromptTokens>,
}

impl Usage {
    /// Tokens of the prompt that the server knew from before.
    pub(super) fn reused(&self) -> usize {
        self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
struct PromptTokens {
    cached_tokens: Option<usize>,
}
