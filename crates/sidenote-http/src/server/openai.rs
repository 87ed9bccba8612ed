//! `/v1`: the part of OpenAI's API that existing clients need: chat completions, embeddings, models.
//!
//! The model `sidenote` answers the last user message from the documents: every sentence with its notes, or the statement that the
//! documents do not say. The messages before it tell what it means where it leans on them. `sidenote-raw` is the bare language model, and the one that heeds `temperature`, `top_p` and `stop`. Fields that
//! are not known here are left aside, as that API does.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use aide::{
    OperationOutput,
    axum::{
        ApiRouter,
        routing::{get_with, post_with},
    },
    generate::GenContext,
    openapi::{Operation, Response as ApiResponse, StatusCode as StatusCodes},
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response, sse::Event},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sidenote::{AskRequest, CancelToken, ChatMessage, GenerateOptions, Role, Sampling, StopReason, Turn};
use tokio::sync::mpsc::unbounded_channel;

use super::{
    Server,
    api::{Address, MAX_TOKENS, answer, answer_in_background, blocking, filter_of, max_tokens, says, send, stream},
    body::Body,
    problem::Refusal,
};
use crate::{
    print::to_json,
    wire::{self, FilterBody},
};

/// Answers from the documents.
const GROUNDED: &str = "sidenote";
/// The bare language model.
const RAW: &str = "sidenote-raw";
/// The embedding model of the configuration.
const EMBEDDING: &str = "sidenote-embedding";
/// Most texts that are embedded with one request.
const MAX_INPUTS: usize = 256;
/// What stands behind the last event of a stream.
const DONE: &str = "[DONE]";

pub(super) fn routes() -> ApiRouter<Server> {
    ApiRouter::new()
        .api_route("/v1/models", get_with(models, says("The models.")))
        .api_route("/v1/models/{id}", get_with(model, says("A model.")))
        .api_route(
            "/v1/chat/completions",
            post_with(chat, |route| {
                says("Answers from the documents (`sidenote`), or talks without them (`sidenote-raw`).")(route)
                    .response::<200, Json<Value>>()
            }),
        )
        .api_route("/v1/embeddings", post_with(embeddings, says("Vectors of texts.")))
}

/// A refusal in the shape of that API.
struct Fault(Refusal);

impl<R: Into<Refusal>> From<R> for Fault {
    fn from(refusal: R) -> Self {
        Self(refusal.into())
    }
}

impl Fault {
    fn body(&self) -> Value {
        let kind = if self.0.status.is_client_error() { "invalid_request_error" } else { "server_error" };
        json!({"error": {"message": self.0.told(), "type": kind, "param": self.0.field, "code": self.0.kind}})
    }
}

/// A refusal in the shape of the API that the path belongs to.
pub(super) fn refuse(path: &str, refusal: Refusal) -> Response {
    if path.starts_with("/v1/") { Fault(refusal).into_response() } else { refusal.into_response() }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.0.on(Json(self.body()).into_response())
    }
}

impl OperationOutput for Fault {
    type Inner = Value;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<ApiResponse> {
        let response = Json::<Value>::operation_response(context, operation)?;
        Some(ApiResponse { description: "The request was not done.".to_owned(), ..response })
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<StatusCodes>, ApiResponse)> {
        Self::operation_response(context, operation).map(|response| (None, response)).into_iter().collect()
    }
}

/// A model as that API lists it.
#[derive(Serialize, JsonSchema)]
struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

/// The models as that API lists them.
#[derive(Serialize, JsonSchema)]
struct Models {
    object: &'static str,
    data: Vec<Model>,
}

fn known_models() -> Vec<Model> {
    [GROUNDED, RAW, EMBEDDING]
        .map(|id| Model { id: id.to_owned(), object: "model", created: 0, owned_by: "sidenote" })
        .into()
}

async fn models() -> Json<Models> {
    Json(Models { object: "list", data: known_models() })
}

#[derive(Deserialize, JsonSchema)]
struct Named {
    /// The model's name.
    id: String,
}

async fn model(Address(Named { id }): Address<Named>) -> Result<Json<Model>, Fault> {
    known_models().into_iter().find(|model| model.id == id).map(Json).ok_or_else(|| no_such_model(&id))
}

fn no_such_model(name: &str) -> Fault {
    let hint = format!("there are {GROUNDED}, {RAW} and, for embeddings, {EMBEDDING}");
    Refusal::new(StatusCode::NOT_FOUND, "model_not_found", format!("there is no model `{name}`")).hint(hint).into()
}

/// A chat completion that is asked for.
#[derive(Deserialize, JsonSchema)]
struct ChatRequest {
    /// `sidenote` or `sidenote-raw`.
    model: String,
    /// The conversation.
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f32>,
    #[serde(default)]
    top_p: Option<f32>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    stop: Option<OneOrMore>,
    /// Only 1.
    #[serde(default)]
    n: Option<u32>,
    /// Which documents; ours alone.
    #[serde(default)]
    filter: Option<FilterBody>,
}

#[derive(Default, Deserialize, JsonSchema)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
struct Message {
    /// `system`, `developer`, `user` or `assistant`.
    role: String,
    /// Absent where an assistant called tools.
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "text, or a list of parts")]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Deserialize, JsonSchema)]
struct ContentPart {
    /// Only `text`.
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "text, or a list of texts; numbers of tokens are not read")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::More(more) => more,
        }
    }
}

impl Message {
    fn read(self) -> Result<ChatMessage, Refusal> {
        let role = match self.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => return Err(Refusal::field("messages.role", &format!("`{other}` is no role that is known here"))),
        };
        let content = match self.content {
            None => String::new(),
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => {
                let texts = parts.into_iter().map(|part| match (part.kind.as_str(), part.text) {
                    ("text", Some(text)) => Ok(text),
                    (kind, _) => Err(Refusal::field("messages.content", &format!("only text is read, not `{kind}`"))),
                });
                texts.collect::<Result<Vec<_>, _>>()?.join("\n")
            }
        };
        Ok(ChatMessage::new(role, content))
    }
}

/// What stands at the head of every value of a completion.
#[derive(Clone)]
struct Head {
    id: String,
    created: u64,
    model: &'static str,
}

impl Head {
    fn new(model: &'static str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self { id: format!("chatcmpl-{created}-{}", NEXT.fetch_add(1, Ordering::Relaxed)), created, model }
    }

    fn value(&self, object: &str) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model})
    }

    /// A piece of a stream.
    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        let mut chunk = self.value("chat.completion.chunk");
        chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": null}]);
        chunk
    }

    fn whole(&self, message: Value, finish_reason: &str, usage: &Value) -> Value {
        let mut whole = self.value("chat.completion");
        whole["choices"] = json!([{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": null}]);
        whole["usage"] = usage.clone();
        whole
    }

    fn usage_chunk(&self, usage: &Value) -> Value {
        let mut chunk = self.value("chat.completion.chunk");
        chunk["choices"] = json!([]);
        chunk["usage"] = usage.clone();
        chunk
    }
}

fn usage(prompt: usize, completion: usize, reused: usize) -> Value {
    json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": reused},
    })
}

async fn chat(State(server): State<Server>, body: Result<Body<ChatRequest>, Refusal>) -> Result<Response, Fault> {
    let Body(request) = body?;
    if request.n.is_some_and(|n| n != 1) {
        return Err(Refusal::field("n", "one answer is given").into());
    }
    // A limit above ours is kept by every answer.
    let (named, asked_tokens) = match request.max_completion_tokens {
        None => ("max_tokens", request.max_tokens),
        tokens => ("max_completion_tokens", tokens),
    };
    let max_tokens = max_tokens(named, asked_tokens.map(|tokens| tokens.min(MAX_TOKENS)))?;
    let seed = request.seed.map(i64::cast_unsigned);
    let streams = request.stream.unwrap_or(false);
    let with_usage = request.stream_options.unwrap_or_default().include_usage.unwrap_or(false);
    match request.model.as_str() {
        GROUNDED => {
            let (earlier, question) = conversation(request.messages)?;
            let filter = filter_of(&server, request.filter)?;
            let request = AskRequest { earlier, filter, max_tokens, seed, ..AskRequest::new(question) };
            grounded(&server, request, streams, with_usage).await
        }
        RAW => {
            let messages = request.messages.into_iter().map(Message::read).collect::<Result<Vec<_>, _>>()?;
            if messages.is_empty() {
                return Err(Refusal::field("messages", "there are none").into());
            }
            let sampling = match request.temperature {
                Some(temperature) if !(0.0..=2.0).contains(&temperature) => {
                    return Err(Refusal::field("temperature", &format!("`{temperature}` is outside 0 to 2")).into());
                }
                Some(temperature) if temperature > 0.0 => Sampling::Temperature {
                    temperature,
                    top_p: request.top_p.unwrap_or(1.0).clamp(0.0, 1.0),
                    seed: seed.unwrap_or(server.inner.engine.config().answer.seed),
                },
                Some(_) | None => Sampling::Greedy,
            };
            let stop = request.stop.map(OneOrMore::into_vec).unwrap_or_default();
            raw(&server, messages, GenerateOptions { max_tokens, stop, sampling }, streams, with_usage).await
        }
        other => Err(no_such_model(other)),
    }
}

/// The last question of the user, and what was said before it.
fn conversation(mut messages: Vec<Message>) -> Result<(Vec<Turn>, String), Refusal> {
    let last = messages.iter().rposition(|message| message.role == "user");
    let before = messages.drain(..last.unwrap_or_default()).collect::<Vec<_>>();
    let question = match last {
        Some(_) => messages.swap_remove(0).read()?.content,
        None => String::new(),
    };
    if question.trim().is_empty() {
        return Err(Refusal::field("messages", "there is no question of the user among them"));
    }
    let mut earlier: Vec<Turn> = Vec::new();
    // What is no text says nothing here, so it may be whatever that API allows.
    for message in before.into_iter().filter_map(|message| message.read().ok()) {
        match (message.role, earlier.last_mut()) {
            (Role::User, _) => earlier.push(Turn::new(message.content, "")),
            (Role::Assistant, Some(turn)) => turn.answer = message.content,
            (Role::Assistant | Role::System, _) => {}
        }
    }
    Ok((earlier, question))
}

async fn grounded(server: &Server, request: AskRequest, streams: bool, with_usage: bool) -> Result<Response, Fault> {
    let admitted = server.inner.questions.admit()?;
    let asking = server.clone();
    let head = Head::new(GROUNDED);
    if !streams {
        let answer = answer(admitted, move |cancel| asking.ask(&request, &mut |_| {}, cancel)).await?;
        let message = json!({
            "role": "assistant", "content": said(&answer), "refusal": null, "annotations": annotations(&answer),
        });
        let tokens = answer.tokens;
        let mut whole = head.whole(message, "stop", &usage(tokens.prompt, tokens.generated, tokens.reused));
        whole[GROUNDED] = to_json(&wire::Answer::from(&answer));
        return Ok(Json(whole).into_response());
    }
    let (sender, receiver) = unbounded_channel();
    send(&sender, None, &head.chunk(&json!({"role": "assistant", "content": ""}), None));
    let mut settled = 0;
    let failed = sender.clone();
    let mut hear = move |event: sidenote::AskEvent<'_>| match event {
        // Drafts may be taken back, and this API has no way to say so.
        sidenote::AskEvent::Sentence { sentence, .. } => {
            let space = if settled > 0 { " " } else { "" };
            settled += 1;
            send(&sender, None, &head.chunk(&json!({"content": format!("{space}{}", sentence.with_notes())}), None));
        }
        sidenote::AskEvent::Final(answer) => {
            if answer.reason.is_some() {
                send(&sender, None, &head.chunk(&json!({"content": unsaid(answer)}), None));
            }
            let mut last = head.chunk(&json!({"annotations": annotations(answer)}), Some("stop"));
            last[GROUNDED] = to_json(&wire::Answer::from(answer));
            send(&sender, None, &last);
            if with_usage {
                let tokens = answer.tokens;
                send(&sender, None, &head.usage_chunk(&usage(tokens.prompt, tokens.generated, tokens.reused)));
            }
            let _ = sender.send(Event::default().data(DONE));
        }
        sidenote::AskEvent::Phase(_)
        | sidenote::AskEvent::Understood(_)
        | sidenote::AskEvent::Token(_)
        | sidenote::AskEvent::Retract(_) => {}
    };
    let client = answer_in_background(
        admitted,
        move |cancel| asking.ask(&request, &mut hear, cancel).map(drop),
        move |refusal| send(&failed, None, &Fault(refusal).body()),
    );
    Ok(stream(receiver, client))
}

async fn raw(
    server: &Server,
    messages: Vec<ChatMessage>,
    options: GenerateOptions,
    streams: bool,
    with_usage: bool,
) -> Result<Response, Fault> {
    let admitted = server.inner.questions.admit()?;
    let engine = server.inner.engine.clone();
    let head = Head::new(RAW);
    if !streams {
        let work = move |cancel: &CancelToken| {
            engine.generate(&messages, &options, &mut |_| ControlFlow::Continue(()), cancel)
        };
        let generation = answer(admitted, work).await?;
        let message = json!({"role": "assistant", "content": generation.text, "refusal": null});
        let usage = usage(generation.tokens_prompt, generation.tokens_generated, generation.tokens_reused);
        return Ok(Json(head.whole(message, finish_reason(generation.stop_reason), &usage)).into_response());
    }
    let (sender, receiver) = unbounded_channel();
    send(&sender, None, &head.chunk(&json!({"role": "assistant", "content": ""}), None));
    let failed = sender.clone();
    let work = move |cancel: &CancelToken| {
        let mut on_text = |text: &str| {
            send(&sender, None, &head.chunk(&json!({"content": text}), None));
            ControlFlow::Continue(())
        };
        let generation = engine.generate(&messages, &options, &mut on_text, cancel)?;
        send(&sender, None, &head.chunk(&json!({}), Some(finish_reason(generation.stop_reason))));
        if with_usage {
            let usage = usage(generation.tokens_prompt, generation.tokens_generated, generation.tokens_reused);
            send(&sender, None, &head.usage_chunk(&usage));
        }
        let _ = sender.send(Event::default().data(DONE));
        Ok(())
    };
    let client = answer_in_background(admitted, work, move |refusal| send(&failed, None, &Fault(refusal).body()));
    Ok(stream(receiver, client))
}

fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxTokens => "length",
        StopReason::EndOfText | StopReason::StopString | StopReason::Cancelled => "stop",
    }
}

/// The answer in words, then what of the question the documents do not say.
fn said(answer: &sidenote::Answer) -> String {
    format!("{}{}", answer.answer, unsaid(answer))
}

/// What the documents do not say, behind what they say.
fn unsaid(answer: &sidenote::Answer) -> String {
    match &answer.reason {
        Some(reason) if answer.answered => format!(" {reason}"),
        Some(reason) => reason.clone(),
        None => String::new(),
    }
}

/// The notes where they stand in the answer, as that API has citations: positions count characters.
fn annotations(answer: &sidenote::Answer) -> Vec<Value> {
    let mut annotations = Vec::new();
    let mut begin = 0;
    for sentence in &answer.sentences {
        let mut at = begin + sentence.text.chars().count() + 1;
        for n in &sentence.citations {
            let end = at + format!("[{n}]").chars().count();
            if let Some(citation) = answer.citations.iter().find(|citation| citation.n == *n) {
                let document = &citation.document;
                let title = document.title.clone().unwrap_or_else(|| document.path.to_string_lossy().into_owned());
                annotations.push(json!({
                    "type": "url_citation",
                    "url_citation": {"start_index": at, "end_index": end, "title": title, "url": document.uri},
                }));
            }
            at = end;
        }
        begin = at + 1;
    }
    annotations
}

/// Texts to embed.
#[derive(Deserialize, JsonSchema)]
struct EmbeddingRequest {
    /// `sidenote-embedding`.
    model: String,
    input: OneOrMore,
    /// `float` or `base64`.
    #[serde(default)]
    encoding_format: Option<String>,
    /// Only those that the model has.
    #[serde(default)]
    dimensions: Option<usize>,
}

async fn embeddings(
    State(server): State<Server>,
    body: Result<Body<EmbeddingRequest>, Refusal>,
) -> Result<Json<Value>, Fault> {
    let Body(request) = body?;
    if request.model != EMBEDDING {
        return Err(no_such_model(&request.model));
    }
    let inputs = request.input.into_vec();
    if inputs.is_empty() || inputs.len() > MAX_INPUTS || inputs.iter().any(String::is_empty) {
        let problem = format!("one to {MAX_INPUTS} texts are needed, none of them empty");
        return Err(Refusal::field("input", &problem).into());
    }
    let as_base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            return Err(Refusal::field("encoding_format", &format!("`{other}` is neither float nor base64")).into());
        }
    };
    let (vectors, tokens) = blocking(&server, move |engine| {
        let texts: Vec<&str> = inputs.iter().map(String::as_str).collect();
        engine.embed(&texts)
    })
    .await?;
    let length = vectors.first().map_or(0, Vec::len);
    if request.dimensions.is_some_and(|asked| asked != length) {
        return Err(Refusal::field("dimensions", &format!("the model's vectors have {length}")).into());
    }
    let encoded = |vector: Vec<f32>| {
        if as_base64 {
            json!(BASE64.encode(vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()))
        } else {
            json!(vector)
        }
    };
    let data: Vec<Value> = vectors
        .into_iter()
        .enumerate()
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": encoded(vector)}))
        .collect();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Json(json!({"object": "list", "data": data, "model": EMBEDDING, "usage": usage})))
}
