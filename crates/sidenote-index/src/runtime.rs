//! A synchronous face for SQLite's asynchronous one.
//!
//! sqlx needs a tokio runtime. The index owns one on a thread of its own and waits for it on a plain channel, so a call
//! works from any thread, inside or outside of another runtime.

use std::future::Future;
use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};

use crate::error::IndexError;

/// The thread that drives the database connections.
#[derive(Debug)]
pub(crate) struct SqliteThread {
    /// Taken at drop: a runtime must not be waited for where the drop may happen inside another runtime.
    runtime: Option<Runtime>,
}

impl SqliteThread {
    pub(crate) fn start() -> Result<Self, IndexError> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("sidenote-index").enable_time().build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs `work` to its end on the runtime's thread.
    pub(crate) fn wait<T, F>(&self, work: F) -> Result<T, IndexError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, IndexError>> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().ok_or(IndexError::Stopped)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        // Boxed, so that the size of a query's future does not matter to the caller's stack.
        runtime.spawn(Box::pin(async move {
            // The receiver waits below; it can only be gone if its thread panicked.
            let _ = sender.send(work.await);
        }));
        receiver.recv().map_err(|_| IndexError::Stopped)?
    }
}

impl Drop for SqliteThread {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
