//! `/api/v1`: what the command line can do, over HTTP, with the same values.

use std::{
    convert::Infallible,
    io,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use aide::{
    axum::{
        ApiRouter,
        routing::{delete_with, get_with, post_with},
    },
    openapi::{Info, MediaType, OpenApi, SchemaObject, SecurityScheme},
    transform::{TransformOpenApi, TransformOperation},
};
use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, Query, Request, State},
    http::{StatusCode, Uri, header, request::Parts},
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{any, get},
};
use futures_util::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use sidenote::{
    AnswerMode, AskRequest, CancelToken, DocumentId, Engine, Filter, SearchMode, SearchRequest, Span, Turn, absolute,
    format_named, language_code, start_of_day,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    Inner, Server,
    body::Body,
    chats, door, mcp, metrics, openai, page,
    problem::Refusal,
    questions::{Admitted, Client},
};
use crate::{
    print::to_safe_json,
    wire::{
        Answer, AskBody, AskEvent, Document, DocumentList, DocumentText, FilterBody, Health, IngestBody, Job, JobList,
        PageLink, RemoveReport, SearchBody, SearchReport, SessionBody, Status,
    },
};

/// Bytes of a document's text that are given at a time.
pub(super) const MAX_TEXT_BYTES: usize = 64 << 10;
/// Most hits of a search.
const MAX_HITS: u32 = 1_000;
/// Most tokens of an answer, as in the configuration.
pub(super) const MAX_TOKENS: u32 = 4_096;

pub(super) fn router(server: Server) -> Router {
    let (routes, document) = documented();
    let openapi = move || {
        let document = document.clone();
        async move { Json(document) }
    };
    routes
        .route("/openapi.json", get(openapi))
        .route("/mcp", any(mcp::endpoint))
        .route_layer(middleware::from_fn_with_state(server.clone(), bounded))
        .route("/", get(page::index))
        .route("/app.js", get(page::script))
        .route("/style.css", get(page::style))
        .fallback(|uri: Uri| async move { openai::refuse(uri.path(), Refusal::not_found("path")) })
        .method_not_allowed_fallback(|uri: Uri| async move {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "usage", "the path does not take this method");
            openai::refuse(uri.path(), refusal)
        })
        .layer(middleware::from_fn_with_state(server.clone(), door::guard))
        .with_state(server)
}

pub(super) fn openapi() -> serde_json::Value {
    serde_json::to_value(documented().1).unwrap_or_default()
}

fn documented() -> (Router<Server>, OpenApi) {
    let mut document = OpenApi {
        info: Info {
            title: "sidenote".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: Some(
                "Answers questions about documents of this machine, with a note for every sentence.".to_owned(),
            ),
            ..Info::default()
        },
        ..OpenApi::default()
    };
    let routes = ApiRouter::new()
        .api_route("/health", get_with(health, |route| open(route, "Whether the server is there.")))
        .api_route(
            "/api/v1/session",
            post_with(open_session, |route| {
                open(route, "Opens a session for the page with the code of a link: sets a cookie.")
                    .response_with::<204, (), _>(|response| response.description("The cookie is set."))
            }),
        )
        .api_route("/api/v1/link", post_with(link, says("Makes a link that opens the page once.")))
        .api_route("/api/v1/status", get_with(status, says("What the data folder holds.")))
        .api_route(
            "/api/v1/metrics",
            get_with(metrics, |route| {
                says("What was done so far, and how long it took, for Prometheus.")(route)
                    .response_with::<200, String, _>(|response| response.description("OpenMetrics text."))
            }),
        )
        .api_route("/api/v1/documents", get_with(documents, says("The documents by path.")))
        .api_route(
            "/api/v1/documents/{id}",
            get_with(document_of, says("A document."))
                .delete_with(forget, says("Forgets a document; its file stays.")),
        )
        .api_route(
            "/api/v1/documents/{id}/text",
            get_with(text, says("A stretch of a document's stored text, of 65,536 bytes at most.")),
        )
        .api_route("/api/v1/search", post_with(search, says("Finds passages.")))
        .api_route(
            "/api/v1/ask",
            post_with(ask, |route| {
                says("Answers a question; with `stream` as server-sent events, whose names and data are those of `AskEvent`, \
                      and `error` with a problem.")(route)
                .response_with::<200, Json<Answer>, _>(|mut response| {
                    let events = MediaType {
                        schema: Some(SchemaObject {
                            json_schema: schemars::json_schema!({"type": "string"}),
                            external_docs: None,
                            example: None,
                        }),
                        ..MediaType::default()
                    };
                    response.inner().content.insert("text/event-stream".to_owned(), events);
                    response
                })
            }),
        )
        .api_route(
            "/api/v1/ingest",
            post_with(start_ingest, |route| {
                says("Starts to ingest files and folders inside of `serve.roots`.")(route).response::<202, Json<Job>>()
            })
            .get_with(ingests, says("The ingests of this run of the server.")),
        )
        .api_route(
            "/api/v1/ingest/{id}",
            get_with(ingest, says("How far an ingest is.")).merge(delete_with(cancel_ingest, |route| {
                says("Stops an ingest; what is finished is kept.")(route)
                    .response_with::<204, (), _>(|response| response.description("It stops soon."))
            })),
        )
        .merge(chats::routes())
        .merge(openai::routes())
        .finish_api_with(&mut document, |document: TransformOpenApi<'_>| {
            document
                .security_scheme(
                    "token",
                    SecurityScheme::Http {
                        scheme: "bearer".to_owned(),
                        bearer_format: None,
                        description: Some("The token of the data folder's `serve` folder.".to_owned()),
                        extensions: aide::openapi::OpenApi::default().extensions,
                    },
                )
                .security_requirement("token")
                .default_response::<Refusal>()
        });
    (routes, document)
}

pub(super) fn says(text: &'static str) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |route| route.description(text)
}

/// A route that needs no token.
fn open<'t>(route: TransformOperation<'t>, text: &'static str) -> TransformOperation<'t> {
    let mut route = route.description(text);
    route.inner_mut().security = vec![aide::openapi::SecurityRequirement::default()];
    route
}

/// Lets so many requests in at a time.
async fn bounded(State(server): State<Server>, request: Request, next: Next) -> Response {
    // Who knows no token takes no place from those who do.
    if door::is_open(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    match server.inner.requests.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => {
            let busy =
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "as many requests are worked on as may be");
            openai::refuse(request.uri().path(), busy.retry_after(1))
        }
    }
}

/// Runs what blocks on a thread, of which there are so many. Work that has begun keeps its thread when the client leaves.
pub(super) async fn blocking<T: Send + 'static>(
    server: &Server,
    work: impl FnOnce(&Engine) -> Result<T, sidenote::Error> + Send + 'static,
) -> Result<T, Refusal> {
    let place = Arc::clone(&server.inner.threads).acquire_owned().await.map_err(io::Error::other)?;
    let engine = server.inner.engine.clone();
    on_a_thread(move || {
        let _place = place;
        work(&engine)
    })
    .await
}

/// Runs what blocks and has a place already.
pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, sidenote::Error> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(move || unpanicked(work)).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(sidenote::Error::Internal("a request's thread was stopped".to_owned()).into()),
    }
}

/// A panic as an error. Its own words may be those of a document, and are not passed on.
pub(super) fn unpanicked<T>(work: impl FnOnce() -> Result<T, sidenote::Error>) -> Result<T, sidenote::Error> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(sidenote::Error::Internal("the work of a request panicked".to_owned())))
}

/// Values in the address, with problems as everywhere.
pub(super) struct Address<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Server> for Address<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Refusal> {
        Path::from_request_parts(parts, server)
            .await
            .map(|Path(value)| Self(value))
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "usage", error.body_text()))
    }
}

impl<T: JsonSchema> aide::OperationInput for Address<T> {
    fn operation_input(context: &mut aide::generate::GenContext, operation: &mut aide::openapi::Operation) {
        Path::<T>::operation_input(context, operation);
    }
}

/// Values behind the `?`, with problems as everywhere.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Server> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Refusal> {
        Query::from_request_parts(parts, server)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "usage", error.body_text()))
    }
}

impl<T: JsonSchema> aide::OperationInput for Asked<T> {
    fn operation_input(context: &mut aide::generate::GenContext, operation: &mut aide::openapi::Operation) {
        Query::<T>::operation_input(context, operation);
    }
}

/// A document, a conversation or an ingest.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Numbered<N> {
    /// Its number.
    pub(super) id: N,
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

async fn open_session(State(server): State<Server>, Body(body): Body<SessionBody>) -> Result<Response, Refusal> {
    let cookie = server.inner.door.open_session(&body.code)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

async fn link(State(server): State<Server>) -> Result<Json<PageLink>, Refusal> {
    Ok(Json(PageLink { url: server.page_link()? }))
}

async fn status(State(server): State<Server>) -> Result<Json<Status>, Refusal> {
    let collection = server.collection_of(None);
    Ok(Json((&blocking(&server, move |engine| engine.status(collection.as_deref())).await?).into()))
}

async fn metrics(State(server): State<Server>) -> Result<Response, Refusal> {
    let counted = server.clone();
    let text = blocking(&server, move |engine| {
        let Inner { metrics, questions, .. } = &*counted.inner;
        let text = metrics.text(&engine.status(None)?, questions.count());
        text.map_err(|error| sidenote::Error::Internal(error.to_string()))
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfCollection {
    /// Only this collection.
    pub(super) collection: Option<String>,
}

async fn documents(
    State(server): State<Server>,
    Asked(asked): Asked<OfCollection>,
) -> Result<Json<DocumentList>, Refusal> {
    let collection = server.collection_of(asked.collection);
    let documents = blocking(&server, move |engine| engine.documents(collection.as_deref())).await?;
    Ok(Json(DocumentList { documents: documents.iter().map(Into::into).collect() }))
}

async fn document_of(
    State(server): State<Server>,
    Address(Numbered { id }): Address<Numbered<i64>>,
) -> Result<Json<Document>, Refusal> {
    let found = blocking(&server, move |engine| engine.document(DocumentId(id))).await?;
    found.map(|document| Json((&document).into())).ok_or_else(|| Refusal::not_found("document"))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stretch {
    /// First byte, 0 by default; moved back to the beginning of its character.
    start: Option<u64>,
    /// One past the last byte; by default, and at most, 65,536 bytes after the first.
    end: Option<u64>,
}

async fn text(
    State(server): State<Server>,
    Address(Numbered { id }): Address<Numbered<i64>>,
    Asked(stretch): Asked<Stretch>,
) -> Result<Json<DocumentText>, Refusal> {
    let span = self::stretch(stretch.start, stretch.end, MAX_TEXT_BYTES)?;
    let read = blocking(&server, move |engine| engine.text(DocumentId(id), span)).await?;
    read.map(|read| Json(read.into())).ok_or_else(|| Refusal::not_found("document"))
}

/// The bytes that are asked for, `most` of them.
pub(super) fn stretch(start: Option<u64>, end: Option<u64>, most: usize) -> Result<Span, Refusal> {
    let offset = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let start = start.map_or(0, offset);
    let last = start.saturating_add(most);
    let end = end.map_or(last, offset).min(last);
    if end < start { Err(Refusal::field("end", "it lies before `start`")) } else { Ok(Span::new(start, end)) }
}

async fn forget(
    State(server): State<Server>,
    Address(Numbered { id }): Address<Numbered<i64>>,
) -> Result<Json<RemoveReport>, Refusal> {
    let report = blocking(&server, move |engine| engine.forget(DocumentId(id))).await?;
    if report.removed == 0 { Err(Refusal::not_found("document")) } else { Ok(Json((&report).into())) }
}

async fn search(State(server): State<Server>, Body(body): Body<SearchBody>) -> Result<Json<SearchReport>, Refusal> {
    Ok(Json((&find(&server, body).await?).into()))
}

/// Checks a search and does it.
pub(super) async fn find(server: &Server, body: SearchBody) -> Result<sidenote::SearchReport, Refusal> {
    let settings = &server.inner.engine.config().search;
    let limit = match body.limit {
        Some(limit) if !(1..=MAX_HITS).contains(&limit) => {
            return Err(Refusal::field("limit", &format!("`{limit}` is outside 1 to {MAX_HITS}")));
        }
        Some(limit) => limit as usize,
        None => settings.limit,
    };
    let mode = match body.mode.as_deref() {
        None => settings.mode,
        Some("hybrid") => SearchMode::Hybrid,
        Some("lexical") => SearchMode::Lexical,
        Some("dense") => SearchMode::Dense,
        Some(other) => return Err(Refusal::field("mode", &format!("`{other}` is none of hybrid, lexical, dense"))),
    };
    let request =
        SearchRequest { limit, mode, filter: filter_of(server, body.filter)?, ..SearchRequest::new(body.query) };
    let searching = server.clone();
    blocking(server, move |_| searching.search(&request)).await
}

pub(super) fn filter_of(server: &Server, body: Option<FilterBody>) -> Result<Filter, Refusal> {
    let body = body.unwrap_or_default();
    let day = |name: &str, text: Option<String>| {
        text.map(|text| start_of_day(&text)).transpose().map_err(|problem| Refusal::field(name, &problem))
    };
    let languages = body.languages.iter().map(|code| language_code(code)).collect::<Result<_, _>>();
    let formats = body.formats.iter().map(|name| format_named(name)).collect::<Result<_, _>>();
    Ok(Filter {
        collection: server.collection_of(body.collection),
        path_prefix: body.under.map(|path| under(&path)).transpose()?,
        languages: languages.map_err(|problem| Refusal::field("languages", &problem))?,
        formats: formats.map_err(|problem| Refusal::field("formats", &problem))?,
        dated_from_unix_ms: day("since", body.since)?,
        dated_before_unix_ms: day("before", body.before)?,
        ..Filter::default()
    })
}

/// A path as the index knows it.
fn under(path: &str) -> Result<PathBuf, Refusal> {
    let path = FilePath::new(path);
    // Where this program was started from says nothing to a client.
    if path.is_absolute() { Ok(absolute(path)) } else { Err(Refusal::field("under", "an absolute path is needed")) }
}

/// A question, checked.
pub(super) fn ask_request(server: &Server, body: AskBody) -> Result<AskRequest, Refusal> {
    if body.question.trim().is_empty() {
        return Err(Refusal::field("question", "it is empty"));
    }
    let mode = match body.mode.as_deref() {
        None => None,
        Some("write") => Some(AnswerMode::Write),
        Some("extract") => Some(AnswerMode::Extract),
        Some(other) => return Err(Refusal::field("mode", &format!("`{other}` is none of write, extract"))),
    };
    let earlier = body.earlier.into_iter().map(|turn| Turn::new(turn.question, turn.answer)).collect();
    Ok(AskRequest {
        earlier,
        filter: filter_of(server, body.filter)?,
        max_tokens: max_tokens("max_tokens", body.max_tokens)?,
        seed: body.seed,
        mode,
        whole: body.whole,
        ..AskRequest::new(body.question)
    })
}

async fn ask(State(server): State<Server>, Body(body): Body<AskBody>) -> Result<Response, Refusal> {
    let streams = body.stream;
    let chat = chats::conversation(&server, &body).await?;
    let mut request = ask_request(&server, body)?;
    if let Some(chat) = &chat {
        request = chat.next_request(request);
    }
    let admitted = server.inner.questions.admit()?;
    if !streams {
        let work = move |cancel: &CancelToken| chats::ask(&server, &request, chat.as_ref(), &mut |_| {}, cancel);
        return Ok(Json(answer(admitted, work).await?).into_response());
    }
    let (sender, receiver) = unbounded_channel();
    let failed = sender.clone();
    let client = answer_in_background(
        admitted,
        move |cancel| {
            let tell = |event: &AskEvent| send(&sender, Some(event.name()), &event.data());
            let mut hear = |event: &sidenote::AskEvent<'_>| {
                if let Some(event) = AskEvent::from_engine(event) {
                    tell(&event);
                }
            };
            let answer = chats::ask(&server, &request, chat.as_ref(), &mut hear, cancel)?;
            tell(&AskEvent::Final(Box::new(answer)));
            Ok(())
        },
        move |refusal| send(&failed, Some("error"), &refusal.problem()),
    );
    Ok(stream(receiver, client))
}

/// The events; what makes them stops when the stream is dropped, and `client` with it. The stream ends with its events, or when
/// `client` gives up.
pub(super) fn stream(receiver: UnboundedReceiver<Event>, client: Client) -> Response {
    let given_up = Box::pin(client.given_up());
    let events = UnboundedReceiverStream::new(receiver).take_until(given_up).map(move |event| {
        let _ = &client;
        Ok::<_, Infallible>(event)
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// Sends an event. A client that is gone needs none.
pub(super) fn send(sender: &UnboundedSender<Event>, name: Option<&str>, data: &impl serde::Serialize) {
    if let Ok(data) = to_safe_json(data) {
        let event = name.map_or_else(Event::default, |name| Event::default().event(name));
        let _ = sender.send(event.data(data));
    }
}

/// A limit on an answer's length, checked.
pub(super) fn max_tokens(field: &str, asked: Option<u32>) -> Result<Option<usize>, Refusal> {
    match asked {
        Some(tokens) if !(1..=MAX_TOKENS).contains(&tokens) => {
            Err(Refusal::field(field, &format!("`{tokens}` is outside 1 to {MAX_TOKENS}")))
        }
        tokens => Ok(tokens.map(|tokens| tokens as usize)),
    }
}

/// What the work of a question that was let in comes to.
pub(super) async fn answer<T: Send + 'static>(
    Admitted { place, cancel, client }: Admitted,
    work: impl FnOnce(&CancelToken) -> Result<T, sidenote::Error> + Send + 'static,
) -> Result<T, Refusal> {
    client
        .wait_for(on_a_thread(move || {
            let _place = place;
            work(&cancel)
        }))
        .await
}

/// Answers on a thread of its own; `failed` is told where that fails. Nobody waits for a reader: an answer is short, and a reader
/// that is slow would hold the language model.
pub(super) fn answer_in_background(
    Admitted { place, cancel, client }: Admitted,
    work: impl FnOnce(&CancelToken) -> Result<(), sidenote::Error> + Send + 'static,
    failed: impl FnOnce(Refusal) + Send + 'static,
) -> Client {
    tokio::task::spawn_blocking(move || {
        let _place = place;
        if let Err(error) = unpanicked(|| work(&cancel)) {
            failed(error.into());
        }
    });
    client
}

async fn start_ingest(State(server): State<Server>, Body(mut body): Body<IngestBody>) -> Result<Response, Refusal> {
    body.collection = server.collection_of(body.collection);
    let jobs = server.clone();
    // Looking at paths takes a moment on a slow disk.
    let started = blocking(&server, move |engine| Ok(jobs.inner.jobs.start(engine, &jobs.inner.roots, body))).await?;
    let job = started?;
    Ok((StatusCode::ACCEPTED, Json(job)).into_response())
}

async fn ingests(State(server): State<Server>) -> Json<JobList> {
    let roots = server.inner.roots.iter().map(|root| root.to_string_lossy().into_owned()).collect();
    Json(JobList { jobs: server.inner.jobs.all(), roots })
}

async fn ingest(
    State(server): State<Server>,
    Address(Numbered { id }): Address<Numbered<u64>>,
) -> Result<Json<Job>, Refusal> {
    Ok(Json(server.inner.jobs.get(id)?))
}

async fn cancel_ingest(
    State(server): State<Server>,
    Address(Numbered { id }): Address<Numbered<u64>>,
) -> Result<StatusCode, Refusal> {
    server.inner.jobs.cancel(id)?;
    Ok(StatusCode::NO_CONTENT)
}
