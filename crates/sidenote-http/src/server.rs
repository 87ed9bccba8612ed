//! The local endpoint: what a running server knows, and how connections are served.
//!
//! The engine blocks, so its calls run on threads of their own; a question whose client left is stopped. What a client asks for holds
//! a place among a bounded number, of connections, of requests, of threads, of questions, until it is really done.

mod api;
mod body;
mod chats;
mod door;
mod jobs;
mod mcp;
mod metrics;
mod openai;
mod page;
mod problem;
mod questions;

use std::{future::Future, io, net::SocketAddr, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use sidenote::{Answer, AskEvent, AskRequest, CancelToken, Engine, SearchReport, SearchRequest};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_io_timeout::TimeoutStream;

pub use door::secret;

use door::Door;
use jobs::Jobs;
use metrics::Metrics;
use questions::Questions;

/// Connections at a time; more wait until one is closed.
const MAX_CONNECTIONS: usize = 256;
/// How long a client may take to send the head of a request, and how long a connection may stay idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may leave what is sent to it unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of the head of a request.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// How long answers that are being sent have to come to their end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// A server on an engine: what its requests share. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    door: Door,
    jobs: Jobs,
    questions: Questions,
    metrics: Metrics,
    /// The questions among them that came over MCP and are cancelled by a message.
    calls: mcp::Calls,
    requests: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    roots: Vec<PathBuf>,
    /// Of a request that names none.
    collection: Option<String>,
}

impl Server {
    /// A server for clients that come to `address` and know `token`. Limits and folders are those of the engine's configuration,
    /// section `serve`. A request that names no collection means `collection`; without one, all of them, and `default` for what
    /// is ingested.
    pub fn new(engine: Engine, address: SocketAddr, token: String, collection: Option<String>) -> Self {
        Self::behind(Door::new(address, token), engine, collection)
    }

    /// A server for the one client that started this process, which speaks to it over streams: see [`Server::serve_mcp`]. Over HTTP it
    /// lets nobody in.
    pub fn without_socket(engine: Engine, collection: Option<String>) -> Self {
        Self::behind(Door::closed(), engine, collection)
    }

    fn behind(door: Door, engine: Engine, collection: Option<String>) -> Self {
        let settings = engine.config().serve.clone();
        Self {
            inner: Arc::new(Inner {
                door,
                jobs: Jobs::default(),
                calls: mcp::Calls::default(),
                questions: Questions::new(settings.max_questions),
                metrics: Metrics::new(),
                requests: Arc::new(Semaphore::new(settings.max_requests)),
                threads: Arc::new(Semaphore::new(settings.max_requests)),
                roots: settings.roots.iter().map(PathBuf::from).collect(),
                collection,
                engine,
            }),
        }
    }

    /// Finds passages, and counts it.
    fn search(&self, request: &SearchRequest) -> Result<SearchReport, sidenote::Error> {
        let found = self.inner.engine.search(request);
        self.inner.metrics.searched(found.as_ref());
        found
    }

    /// Answers a question, and counts it.
    fn ask(
        &self,
        request: &AskRequest,
        hear: &mut dyn FnMut(AskEvent<'_>),
        cancel: &CancelToken,
    ) -> Result<Answer, sidenote::Error> {
        let answer = self.inner.engine.ask(request, hear, cancel);
        self.inner.metrics.asked(answer.as_ref());
        answer
    }

    /// The collection that a request means which names this one, or none.
    fn collection_of(&self, named: Option<String>) -> Option<String> {
        named.or_else(|| self.inner.collection.clone())
    }

    /// The address of the page, with a code that opens it once.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn page_link(&self) -> io::Result<String> {
        self.inner.door.page_link()
    }

    /// Every route, behind the door.
    pub fn router(&self) -> axum::Router {
        api::router(self.clone())
    }

    /// The OpenAPI document, made from the routes.
    pub fn openapi() -> serde_json::Value {
        api::openapi()
    }

    /// Serves until `stop` is done, then lets what is under way end: questions and ingests are stopped, and their streams closed
    /// as streams are. What has not ended after four seconds is cut off.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
        let router = self.router();
        let graceful = GracefulShutdown::new();
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &connections) => accepted,
                () = &mut stop => break,
            };
            let (stream, place) = accepted?;
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
            let service = TowerToHyperService::new(router.clone());
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(WRITE_TIMEOUT));
            let connection = graceful.watch(builder.serve_connection(TokioIo::new(Box::pin(stream)), service));
            tokio::spawn(async move {
                // A client that breaks off, or speaks no HTTP, concerns nobody else.
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
                drop(place);
            });
        }
        drop(listener);
        self.inner.questions.stop();
        self.inner.jobs.stop();
        if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were cut off that did not end in time");
        }
        Ok(())
    }
}

type Accepted = (tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Events are small and are to arrive at once.
                let _ = stream.set_nodelay(true);
                return Ok((stream, place));
            }
            // The client was gone before it was served.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // Out of file handles, mostly: connections that end give some back.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}
