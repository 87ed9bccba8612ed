//! `/mcp`: the protocol over HTTP, behind the door that every other path has.
//!
//! Each request stands alone and is answered with one JSON value, or with events where it asked for progress; a client that closes its connection stops its question, as everywhere.
//! That is all that the protocol asks for since its version 2026-07-28. In earlier ones a client has a session and cancels with a message
//! of its own. Such a client gets a session's name when it begins, by which that message finds the question; nothing else is kept
//! of it, so that a name outlives a restart of the server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, request::Parts},
    response::Response,
};
use http_body_util::Full;
use rmcp::{
    RoleServer,
    model::RequestId,
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde::Deserialize;
use sidenote::CancelToken;

use super::{
    super::{Server, body, door::secret, problem::Refusal},
    Handler,
};

const SESSION: &str = "mcp-session-id";

/// As much of a message as has to be known before rmcp reads it.
#[derive(Deserialize)]
#[serde(tag = "method")]
enum Message {
    #[serde(rename = "initialize")]
    Begins,
    #[serde(rename = "notifications/cancelled")]
    Cancels { params: Cancels },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Cancels {
    #[serde(rename = "requestId")]
    request: RequestId,
}

pub(in super::super) async fn endpoint(State(server): State<Server>, request: Request) -> Result<Response, Refusal> {
    // Other methods are refused by their name, whatever they send.
    if request.method() != Method::POST {
        let (parts, _) = request.into_parts();
        return Ok(answer(server, parts, Bytes::new()).await);
    }
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.headers, body).await?;
    let message = serde_json::from_slice(&bytes).unwrap_or(Message::Other);
    if let (Message::Cancels { params }, Some(session)) = (&message, session(&parts.headers)) {
        server.inner.calls.cancel(session, &params.request);
    }
    let mut response = answer(server, parts, bytes).await;
    if matches!(message, Message::Begins) && response.status().is_success() {
        response.headers_mut().insert(SESSION, HeaderValue::from_str(&secret()?).map_err(std::io::Error::other)?);
    }
    Ok(response)
}

/// What rmcp answers. The door has looked at `Host` and `Origin`, and the body has its bound.
async fn answer(server: Server, parts: Parts, body: Bytes) -> Response {
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let handler = Handler { server };
    let service =
        StreamableHttpService::new(move || Ok(handler.clone()), Arc::new(NeverSessionManager::default()), config);
    service.handle(Request::from_parts(parts, Full::new(body))).await.map(Body::new)
}

fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}

/// The questions of clients that cancel with a message, by session and request.
#[derive(Default)]
pub(in super::super) struct Calls {
    running: Mutex<HashMap<(String, RequestId), CancelToken>>,
}

impl Calls {
    /// Notes a question, until the value is dropped; `None` for one that needs no note.
    pub(super) fn note(&self, context: &RequestContext<RoleServer>, cancel: &CancelToken) -> Option<Noted<'_>> {
        let headers = &context.extensions.get::<Parts>()?.headers;
        let key = (session(headers)?.to_owned(), context.id.clone());
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), cancel.clone());
        Some(Noted { calls: self, key })
    }

    fn cancel(&self, session: &str, request: &RequestId) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cancel) = running.get(&(session.to_owned(), request.clone())) {
            cancel.cancel();
        }
    }
}

/// A question that was noted.
pub(super) struct Noted<'c> {
    calls: &'c Calls,
    key: (String, RequestId),
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.calls.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
