//! Extraction in a process of its own: a hostile file can cost itself, and nothing else.
//!
//! The parent opens the file and sends its bytes; the worker (the same program, started again) gives up files, network
//! and most of its memory (`cage.rs`), extracts, and sends the document back. One worker serves many files, one at a
//! time; it is killed and replaced when it exceeds its time, dies, or speaks nonsense.
//!
//! A message is a little-endian `u64` length and that many bytes. A request is two messages, a [`Request`] as JSON and
//! the file; a reply is one, [`FromWorker::Done`] as JSON. Before it the worker may ask for pages to be recognised, because it
//! can start no program: [`FromWorker::Page`] as JSON and the pixels go out, a [`Recognised`] as JSON comes in.

use std::{
    cell::{Cell, RefCell},
    io::{self, Read, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sidenote_model::CancelToken;
use sidenote_text::{ExtractError, ExtractLimits, Extracted, PageImage, RecognisedLine, Recogniser, SourceFile};

use crate::{
    cage,
    config::{EXTRACT_MEMORY_BYTES, Ingest, Isolation},
    error::Error,
    ocr::{self, Tesseract},
};

/// Set for a process that is to be an extraction worker; its value is the memory limit in bytes.
const WORKER_VARIABLE: &str = "SIDENOTE_EXTRACTION_WORKER";

/// How often a stop is looked for while a worker or tesseract works. Whether tesseract has ended is looked for as often, so a
/// page may wait this long.
pub(crate) const LOOK_FOR_STOP: Duration = Duration::from_millis(20);

/// Whether this process's `main` passes through [`worker_main`], so that starting it again gives a worker.
static MAIN_PASSES_HERE: AtomicBool = AtomicBool::new(false);

/// Call first thing in `main` of a program that embeds sidenote.
///
/// Returns at once in an ordinary process. In a process that the engine started as its extraction worker, to run tesseract, or
/// to try a model file that it has not met before, it does that work and never returns.
pub fn worker_main() {
    MAIN_PASSES_HERE.store(true, Ordering::Relaxed);
    ocr::helper_main();
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|argument| argument == "--probe-gguf")
        && let Some(path) = arguments.next()
    {
        #[expect(clippy::exit, reason = "a probe's life ends here; the host's main must not go on")]
        std::process::exit(sidenote_model::probe_main(std::path::Path::new(&path)));
    }
    if let Ok(memory_bytes) = std::env::var(WORKER_VARIABLE) {
        let memory_bytes = memory_bytes.parse().unwrap_or(EXTRACT_MEMORY_BYTES);
        let served = cage::enter(memory_bytes).and_then(|()| serve(&mut io::stdin().lock(), &mut io::stdout().lock()));
        #[expect(clippy::exit, reason = "a worker's life ends here; the host's main must not go on")]
        std::process::exit(i32::from(served.is_err()));
    }
}

/// This program, where starting it again gives a worker.
pub(crate) fn own_program() -> Option<Result<PathBuf, Error>> {
    MAIN_PASSES_HERE.load(Ordering::Relaxed).then(|| {
        // On Linux the running program itself, also after its file was replaced by an upgrade.
        if cfg!(target_os = "linux") {
            return Ok(PathBuf::from("/proc/self/exe"));
        }
        std::env::current_exe().map_err(|source| Error::Io { doing: "finding this program".into(), source })
    })
}

#[derive(Serialize, Deserialize)]
struct Request {
    name: String,
    max_text_bytes: usize,
    max_pages: usize,
    timeout_seconds: u64,
    /// Whether pages without a text layer may be sent.
    can_recognise: bool,
}

type Reply = Result<Extracted, ExtractError>;

#[derive(Serialize, Deserialize)]
enum FromWorker {
    Done(Reply),
    /// A page to be recognised; its pixels follow.
    Page {
        width: u32,
        height: u32,
        dpi: u32,
    },
}

type Recognised = Result<Vec<RecognisedLine>, String>;

fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    while let Some(header) = receive(input, u64::MAX)? {
        let request: Request = serde_json::from_slice(&header)?;
        let Some(bytes) = receive(input, u64::MAX)? else { return Ok(()) };
        // The parent kills a worker that is late; a worker whose parent was killed must not run on for ever.
        let (alive, signs_of_life) = mpsc::channel::<()>();
        let patience = Duration::from_secs(request.timeout_seconds.saturating_mul(2));
        thread::spawn(move || {
            loop {
                match signs_of_life.recv_timeout(patience) {
                    Ok(()) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(mpsc::RecvTimeoutError::Timeout) => std::process::abort(),
                }
            }
        });
        let parent = Parent { pipes: RefCell::new((&mut *input, &mut *output)), alive };
        let reply = extract_here(&request, &bytes, request.can_recognise.then_some(&parent as &dyn Recogniser));
        drop(parent);
        send(output, &serde_json::to_vec(&FromWorker::Done(reply))?)?;
    }
    Ok(())
}

fn extract_here(request: &Request, bytes: &[u8], recogniser: Option<&dyn Recogniser>) -> Reply {
    let limits = ExtractLimits { max_text_bytes: request.max_text_bytes, max_pages: request.max_pages };
    let source = SourceFile { name: &request.name, bytes };
    match recogniser {
        Some(recogniser) => sidenote_text::extract_recognising(&source, &limits, recogniser),
        None => sidenote_text::extract(&source, &limits),
    }
}

/// The parent, as the worker sees it: somebody who can have pages recognised.
struct Parent<'a, I, O> {
    pipes: RefCell<(&'a mut I, &'a mut O)>,
    /// A page takes the parent its time, and the next one to be drawn begins its own.
    alive: mpsc::Sender<()>,
}

impl<I: Read, O: Write> Recogniser for Parent<'_, I, O> {
    fn recognise(&self, page: &PageImage) -> Recognised {
        let _ = self.alive.send(());
        let mut pipes = self.pipes.borrow_mut();
        let (input, output) = &mut *pipes;
        let mut ask = || -> io::Result<Recognised> {
            let header = FromWorker::Page { width: page.width, height: page.height, dpi: page.dpi };
            send(*output, &serde_json::to_vec(&header)?)?;
            send(*output, &page.grey)?;
            let reply = receive(*input, u64::MAX)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok(serde_json::from_slice(&reply)?)
        };
        match ask() {
            Ok(reply) => {
                let _ = self.alive.send(());
                reply
            }
            // The parent is gone; there is nobody left to read for.
            Err(_) => std::process::abort(),
        }
    }
}

fn send(output: &mut impl Write, message: &[u8]) -> io::Result<()> {
    output.write_all(&(message.len() as u64).to_le_bytes())?;
    output.write_all(message)?;
    output.flush()
}

/// One message, or `None` at the end of the stream. Memory grows with the bytes that come, not with the length that a
/// broken peer claims.
fn receive(input: &mut impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u64::from_le_bytes(length);
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message over the limit"));
    }
    let mut message = Vec::new();
    if input.take(length).read_to_end(&mut message)? as u64 == length {
        Ok(Some(message))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Where files become documents: a worker process, or this one by explicit choice.
pub(crate) struct Extractor {
    program: Option<PathBuf>,
    limits: Ingest,
    tesseract: Option<Tesseract>,
    worker: Option<Worker>,
}

/// Who reads the pages that are pictures, for one file.
struct Reader<'a> {
    tesseract: &'a Tesseract,
    cancel: &'a CancelToken,
    /// Is told how many pages were read so far; says whether anybody still wants to know.
    on_page: &'a dyn Fn(usize) -> bool,
    /// How many came so far.
    pages: Cell<usize>,
    /// How long they took.
    spent: Cell<Duration>,
    is_over: Cell<bool>,
}

impl Reader<'_> {
    /// Counts a page that came; returns how many there are with it.
    fn count(&self) -> usize {
        self.pages.update(|pages| pages + 1);
        self.pages.get()
    }

    /// Reads a page that was counted.
    fn read(&self, page: &PageImage) -> Recognised {
        if self.is_over.get() {
            return Err("the ingest ended".to_owned());
        }
        self.tesseract.check_time(self.spent.get())?;
        let begun = Instant::now();
        let recognised = self.tesseract.recognise(page, self.cancel);
        self.spent.update(|spent| spent + begun.elapsed());
        self.is_over.set(!(self.on_page)(self.pages.get()));
        recognised
    }
}

impl Recogniser for Reader<'_> {
    fn recognise(&self, page: &PageImage) -> Recognised {
        self.count();
        self.read(page)
    }
}

impl Extractor {
    /// An extractor under the limits of the configuration. No process is started yet.
    ///
    /// # Errors
    /// [`Error::Config`] when a worker is asked for and the program that runs cannot be one.
    pub(crate) fn new(limits: &Ingest) -> Result<Self, Error> {
        let program = match limits.isolation {
            Isolation::InProcess => None,
            Isolation::Worker => Some(own_program().unwrap_or_else(|| {
                Err(Error::Config {
                    key: "ingest.isolation".into(),
                    problem: "`worker` needs `sidenote::worker_main()` to be the first call of this program's `main`; \
                              add it, or choose `in-process`"
                        .into(),
                })
            })?),
        };
        Ok(Self { program, limits: limits.clone(), tesseract: Tesseract::find(limits), worker: None })
    }

    /// Extracts one file; `name` is its file name, for the format. `on_page` is told how many of its pages were recognised.
    ///
    /// # Errors
    /// A clause for the report: what is wrong with this file. Other files are not concerned.
    pub(crate) fn extract(
        &mut self,
        name: &str,
        bytes: &[u8],
        cancel: &CancelToken,
        on_page: &dyn Fn(usize) -> bool,
    ) -> Result<Extracted, String> {
        let reader = self.tesseract.as_ref().map(|tesseract| Reader {
            tesseract,
            cancel,
            on_page,
            pages: Cell::new(0),
            spent: Cell::new(Duration::ZERO),
            is_over: Cell::new(false),
        });
        let reader = reader.as_ref();
        let request = Request {
            name: name.to_owned(),
            max_text_bytes: self.limits.max_text_bytes,
            max_pages: self.limits.max_pages,
            timeout_seconds: self.limits.extract_timeout_seconds,
            can_recognise: reader.is_some(),
        };
        let Some(program) = &self.program else {
            let recogniser = reader.map(|reader| reader as &dyn Recogniser);
            return extract_here(&request, bytes, recogniser).map_err(|error| error.to_string());
        };
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(program, &self.limits)
                .map_err(|error| format!("the extraction worker could not be started: {error}"))?,
        };
        match worker.ask(&request, bytes, reader, cancel) {
            Ok(reply) => {
                self.worker = Some(worker);
                reply.map_err(|error| error.to_string())
            }
            Err(failure) => Err(worker.bury(&failure, &self.limits)),
        }
    }
}

/// Why a worker gave no reply.
enum WorkerFailure {
    Late,
    Gone,
    Nonsense,
    /// Nobody wants the reply any more.
    Stopped,
}

struct Worker {
    child: Child,
    input: ChildStdin,
    replies: mpsc::Receiver<Vec<u8>>,
}

impl Worker {
    fn start(program: &std::path::Path, limits: &Ingest) -> io::Result<Self> {
        let mut child = Command::new(program)
            .env_clear()
            .env(WORKER_VARIABLE, limits.extract_memory_bytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What a library prints about a document is nobody's business and no terminal's.
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes to the worker"));
        };
        // JSON escapes a character with at most six bytes; the rest is headings, pages and punctuation.
        let limit = (limits.max_text_bytes as u64).saturating_mul(8).saturating_add(64 << 20);
        let (sender, replies) = mpsc::sync_channel(1);
        thread::Builder::new().name("sidenote-extract".into()).spawn(move || {
            while let Ok(Some(message)) = receive(&mut output, limit) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { child, input, replies })
    }

    fn ask(
        &mut self,
        request: &Request,
        bytes: &[u8],
        reader: Option<&Reader<'_>>,
        cancel: &CancelToken,
    ) -> Result<Reply, WorkerFailure> {
        let patience = Duration::from_secs(request.timeout_seconds);
        let header = serde_json::to_vec(request).map_err(|_| WorkerFailure::Nonsense)?;
        // A worker reads its request whole before it works, so writing cannot wait for it to finish.
        send(&mut self.input, &header).map_err(|_| WorkerFailure::Gone)?;
        send(&mut self.input, bytes).map_err(|_| WorkerFailure::Gone)?;
        loop {
            // Every page that has to be drawn has the time of a file.
            let message = self.next_message(patience, cancel)?;
            let (width, height, dpi) = match serde_json::from_slice(&message) {
                Ok(FromWorker::Done(reply)) => return Ok(reply),
                Ok(FromWorker::Page { width, height, dpi }) => (width, height, dpi),
                Err(_) => return Err(WorkerFailure::Nonsense),
            };
            let grey = self.next_message(patience, cancel)?;
            let Some(reader) = reader else { return Err(WorkerFailure::Nonsense) };
            let pages = reader.count();
            let is_sound = u64::from(width) * u64::from(height) == grey.len() as u64
                && pages <= request.max_pages.saturating_mul(2);
            if !is_sound {
                return Err(WorkerFailure::Nonsense);
            }
            let recognised = if pages > request.max_pages {
                Err(format!("more than {} pages are pictures (`ingest.max_pages`)", request.max_pages))
            } else {
                reader.read(&PageImage { width, height, dpi, grey })
            };
            let reply = serde_json::to_vec(&recognised).map_err(|_| WorkerFailure::Nonsense)?;
            send(&mut self.input, &reply).map_err(|_| WorkerFailure::Gone)?;
        }
    }

    fn next_message(&self, patience: Duration, cancel: &CancelToken) -> Result<Vec<u8>, WorkerFailure> {
        let asked = Instant::now();
        loop {
            match self.replies.recv_timeout(LOOK_FOR_STOP.min(patience)) {
                Ok(message) => return Ok(message),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(WorkerFailure::Gone),
                Err(mpsc::RecvTimeoutError::Timeout) if cancel.is_cancelled() => return Err(WorkerFailure::Stopped),
                Err(mpsc::RecvTimeoutError::Timeout) if asked.elapsed() >= patience => return Err(WorkerFailure::Late),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Ends a worker that failed and says why, for the report.
    fn bury(mut self, failure: &WorkerFailure, limits: &Ingest) -> String {
        let died_by_itself = match failure {
            // The pipe closes a moment before the process is gone: wait for its own exit status, not for ours.
            WorkerFailure::Gone => self.child.wait().ok(),
            WorkerFailure::Late | WorkerFailure::Nonsense | WorkerFailure::Stopped => {
                let _ = self.child.kill();
                let _ = self.child.wait();
                None
            }
        };
        match failure {
            WorkerFailure::Late => format!(
                "extraction took longer than {} seconds (`ingest.extract_timeout_seconds`)",
                limits.extract_timeout_seconds
            ),
            WorkerFailure::Gone => format!(
                "extraction died{}; the file is damaged, or needs more than {} MiB (`ingest.extract_memory_bytes`)",
                died_by_itself.map(describe).unwrap_or_default(),
                limits.extract_memory_bytes >> 20
            ),
            WorkerFailure::Stopped => "the ingest was stopped".into(),
            WorkerFailure::Nonsense => "extraction gave no usable result; the file is damaged".into(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!(" (signal {signal})");
    }
    format!(" ({status})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_its_reply_cross_the_pipe_whole() {
        let request = Request {
            name: "a.md".into(),
            max_text_bytes: 1 << 20,
            max_pages: 10,
            timeout_seconds: 5,
            can_recognise: true,
        };
        let mut input = Vec::new();
        send(&mut input, &serde_json::to_vec(&request).unwrap()).unwrap();
        send(&mut input, b"# Travel\n\nThe head of finance approves.\n").unwrap();
        let mut output = Vec::new();
        serve(&mut input.as_slice(), &mut output).unwrap();
        let reply = serde_json::from_slice(&receive(&mut output.as_slice(), u64::MAX).unwrap().unwrap()).unwrap();
        let FromWorker::Done(reply) = reply else { panic!("a page without a picture") };
        assert_eq!(reply.unwrap().documents[0].text, "# Travel\n\nThe head of finance approves.\n");
    }

    #[test]
    fn a_length_that_lies_fills_no_memory() {
        let mut message = u64::MAX.to_le_bytes().to_vec();
        message.extend_from_slice(b"short");
        assert!(receive(&mut message.as_slice(), u64::MAX).is_err());
        assert!(receive(&mut message.as_slice(), 1 << 20).is_err());
    }

    #[test]
    fn a_worker_is_refused_where_main_does_not_pass_through() {
        // The test harness has a main of its own.
        let refused = Extractor::new(&Ingest::default()).err().unwrap().to_string();
        assert!(refused.contains("ingest.isolation") && refused.contains("worker_main"), "{refused}");
    }
}
