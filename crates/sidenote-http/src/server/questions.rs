//! Questions at work: a bounded number, each of which stops when its client leaves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use sidenote::CancelToken;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::problem::Refusal;

/// After how many seconds a client is told to come again: about what an answer takes.
const RETRY_SECONDS: u32 = 10;
/// How long an answer has to come to its end once all are stopped; then its client waits no longer. Shorter than what connections
/// have, so that they are closed and not cut.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The questions that run or wait.
pub(super) struct Questions {
    places: Arc<Semaphore>,
    running: Arc<Mutex<Running>>,
    stopped: watch::Sender<bool>,
}

#[derive(Default)]
struct Running {
    next: u64,
    tokens: HashMap<u64, CancelToken>,
}

/// A question that was let in.
pub(super) struct Admitted {
    /// Its place; it is kept until the engine is done with the question, also when the client is gone.
    pub(super) place: OwnedSemaphorePermit,
    /// Stops it.
    pub(super) cancel: CancelToken,
    /// Stops it when it is dropped.
    pub(super) client: Client,
}

/// The client that waits for an answer.
pub(super) struct Client {
    number: u64,
    cancel: CancelToken,
    running: Arc<Mutex<Running>>,
    stopped: watch::Receiver<bool>,
}

impl Client {
    /// What `work` comes to, or that it was stopped.
    pub(super) async fn wait_for<T>(self, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        tokio::select! {
            done = work => done,
            () = self.given_up() => Err(sidenote::Error::Cancelled.into()),
        }
    }

    /// Ends when the client is to wait no longer, because all questions were stopped and this one has not ended for it.
    pub(super) fn given_up(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopped = self.stopped.clone();
        async move {
            // An error says that the server is gone, which is as well a stop.
            let _ = stopped.wait_for(|stopped| *stopped).await;
            tokio::time::sleep(LAST_WORDS).await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.running.lock().unwrap_or_else(PoisonError::into_inner).tokens.remove(&self.number);
    }
}

impl Questions {
    pub(super) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), running: Arc::default(), stopped: watch::Sender::new(false) }
    }

    /// Lets a question in, where there is a place.
    pub(super) fn admit(&self) -> Result<Admitted, Refusal> {
        // Held from here on: a question that is let in while all are stopped would miss that.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "as many questions are waiting as may wait")
                .hint("ask again later; `serve.max_questions` says how many may wait")
                .retry_after(RETRY_SECONDS)
        })?;
        let cancel = CancelToken::new();
        let number = running.next;
        running.next += 1;
        running.tokens.insert(number, cancel.clone());
        drop(running);
        let client = Client {
            number,
            cancel: cancel.clone(),
            running: Arc::clone(&self.running),
            stopped: self.stopped.subscribe(),
        };
        Ok(Admitted { place, cancel, client })
    }

    /// How many run or wait.
    pub(super) fn count(&self) -> usize {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).tokens.len()
    }

    /// Stops all that run, and lets no more in.
    pub(super) fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.places.close();
        running.tokens.values().for_each(CancelToken::cancel);
        self.stopped.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_question_too_many_is_told_when_to_come_again() {
        let questions = Questions::new(1);
        let first = questions.admit().unwrap();
        let refused = questions.admit().err().unwrap();
        assert_eq!((refused.status, refused.kind), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
        assert_eq!(refused.retry_after, Some(RETRY_SECONDS));
        drop(first);
        assert!(questions.admit().is_ok());
    }

    #[test]
    fn a_question_stops_when_its_client_leaves_and_keeps_its_place_until_it_has() {
        let questions = Questions::new(1);
        let Admitted { place, cancel, client } = questions.admit().unwrap();
        drop(client);
        assert!(cancel.is_cancelled());
        assert!(questions.admit().is_err());
        drop(place);
        assert!(questions.admit().is_ok());
    }

    #[test]
    fn stopping_stops_all_and_lets_none_in() {
        let questions = Questions::new(2);
        let running = questions.admit().unwrap();
        questions.stop();
        assert!(running.cancel.is_cancelled());
        assert!(questions.admit().is_err());
    }

    #[tokio::test]
    async fn a_client_gives_up_some_time_after_the_stop_and_not_before() {
        let questions = Questions::new(1);
        let Admitted { client, .. } = questions.admit().unwrap();
        let given_up = tokio::spawn(client.given_up());
        tokio::time::sleep(LAST_WORDS).await;
        assert!(!given_up.is_finished());
        questions.stop();
        given_up.await.unwrap();
    }
}
