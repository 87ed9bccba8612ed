//! Sessions of a model, each with a thread of its own, and work that is handed out among them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ModelError;

/// A piece of work on its way to a session.
type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Sessions that work side by side. A session works on one piece at a time (`&mut`).
pub(crate) struct Sessions<S> {
    // None only while it is being dropped: closing the queue ends the workers.
    queue: Option<SyncSender<Job<S>>>,
    workers: Vec<std::thread::JoinHandle<()>>,
}

/// Why work came to nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unworked {
    /// The threads are gone.
    Ended,
    /// The piece at this place, the first one that failed, and the reason.
    Piece(usize, String),
}

impl<S: Send + 'static> Sessions<S> {
    /// One thread a session; `wanted` of them, 0 meaning one a core, at most 64. `first` is open already.
    pub(crate) fn start(
        name: &str,
        wanted: usize,
        first: S,
        open: impl Fn() -> Result<S, ModelError>,
    ) -> Result<Self, ModelError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let count = if wanted == 0 { cores } else { wanted }.clamp(1, 64);
        // Room for one waiting piece per worker: a lone query that comes during a long ingest waits for that many, not for all.
        let (queue, jobs) = sync_channel::<Job<S>>(count);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut sessions = Self { queue: Some(queue), workers: Vec::with_capacity(count) };
        let mut first = Some(first);
        for number in 0..count {
            let mut session = first.take().map_or_else(&open, Ok)?;
            let jobs = Arc::clone(&jobs);
            let worker = std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || serve(&mut session, &jobs))?;
            sessions.workers.push(worker);
        }
        Ok(sessions)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.workers.len()
    }

    /// Does the work on every piece and waits for all of them; the results in order. A panic in it is a failure of its piece.
    pub(crate) fn each<P: Send + 'static, T: Send + 'static>(
        &self,
        pieces: impl IntoIterator<Item = P>,
        work: fn(&mut S, &P) -> Result<T, String>,
    ) -> Result<Vec<T>, Unworked> {
        let queue = self.queue.as_ref().ok_or(Unworked::Ended)?;
        let (reply, replies) = channel();
        let mut count = 0;
        for (index, piece) in pieces.into_iter().enumerate() {
            let reply = reply.clone();
            let job: Job<S> = Box::new(move |session| {
                let done = catch_unwind(AssertUnwindSafe(|| work(session, &piece)))
                    .unwrap_or_else(|_| Err("the runtime panicked".to_owned()));
                // Nobody may be waiting any more: fine.
                let _ = reply.send((index, done));
            });
            queue.send(job).map_err(|_| Unworked::Ended)?;
            count += 1;
        }
        drop(reply);
        let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
        let mut first_failure: Option<(usize, String)> = None;
        for (index, done) in replies {
            match done {
                Ok(result) => results[index] = Some(result),
                Err(reason) if first_failure.as_ref().is_none_or(|(first, _)| index < *first) => {
                    first_failure = Some((index, reason));
                }
                Err(_) => (),
            }
        }
        match first_failure {
            Some((index, reason)) => Err(Unworked::Piece(index, reason)),
            None => results.into_iter().collect::<Option<Vec<T>>>().ok_or(Unworked::Ended),
        }
    }
}

impl<S> Drop for Sessions<S> {
    fn drop(&mut self) {
        self.queue = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn serve<S>(session: &mut S, jobs: &Mutex<Receiver<Job<S>>>) {
    loop {
        // The lock is held while waiting: exactly one worker waits at the queue, the others at the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(session),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_the_first_failure_is_told() {
        let sessions = Sessions::start("test", 3, 0_u32, || Ok(0)).expect("threads");
        assert_eq!(sessions.count(), 3);
        let double = |_: &mut u32, piece: &u32| Ok(piece * 2);
        assert_eq!(sessions.each(0..100, double), Ok((0..100).map(|piece| piece * 2).collect()));
        assert_eq!(sessions.each(Vec::<u32>::new(), double), Ok(Vec::new()));
        let some = |_: &mut u32, piece: &u32| if *piece % 10 == 7 { Err(piece.to_string()) } else { Ok(()) };
        assert_eq!(sessions.each(0..100, some), Err(Unworked::Piece(7, "7".to_owned())));
        let panic = |_: &mut u32, piece: &u32| if *piece == 2 { panic!("a test") } else { Ok(()) };
        assert_eq!(sessions.each(0..4, panic), Err(Unworked::Piece(2, "the runtime panicked".to_owned())));
        assert_eq!(sessions.each(0..4, double), Ok(vec![0, 2, 4, 6]), "the workers go on");
        let missing = || ModelError::Request("no second one".to_owned());
        assert!(Sessions::start("test", 2, 0_u32, || Err(missing())).is_err());
    }
}
