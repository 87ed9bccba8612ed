//! The only file that names fastembed, ONNX Runtime and tokenizers.
//!
//! How they behave on bad input, and the shield:
//! - ort **panics** when it first needs a runtime library that is not there. So the library is loaded by name, once, before
//!   anything else, and what it says becomes a [`ModelError`]. Runtimes before 1.24 are refused by ort itself.
//! - fastembed keeps the raw output of every text of one call, half a megabyte each, and pads texts to the longest of their
//!   batch; an int8 model then gives other vectors for other company. So it sees one text at a time.
//! - A session works on one text at a time (`&mut`). Each worker thread owns one, with a single thread inside: two such
//!   workers are faster than one session with two threads, and a text's vector does not depend on their number.
//! - The tokenizer file may switch on truncation and padding: off for counting. Text that spells a special token such as
//!   `[SEP]` would become it: both tokenizers are told to read it as text.
//! - A panic inside the library ends one text with an error, not the worker.
//! - A damaged model file is an error of the library at load; ONNX Runtime checks shapes and types itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use ort::environment::Environment;
use tokenizers::Tokenizer;

use crate::stamp::{file_sha256, to_hex};
use crate::{Embedder, EmbedderInfo, ModelError};

/// Tokens that sentence-transformers models of this family have positions for.
const POSITIONS: usize = 512;

/// Where the parts of an ONNX embedder lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxModelPaths {
    /// The model, `.onnx`.
    pub model: PathBuf,
    /// Its `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// The shared library of ONNX Runtime, 1.24 or later. The first one loaded stays for the life of the process.
    pub runtime: PathBuf,
}

/// How to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedderOptions {
    /// Name for people.
    pub name: String,
    /// Worker threads, each with its copy of the model; 0 means one per core.
    pub workers: usize,
    /// The most tokens a packed text has, special tokens included, 8 to 512. Only reported in [`EmbedderInfo`]: a longer text
    /// is still embedded up to the 512 positions of the model.
    pub max_tokens: usize,
}

impl Default for EmbedderOptions {
    fn default() -> Self {
        Self { name: "all-minilm-l6-v2-int8".to_owned(), workers: 0, max_tokens: 256 }
    }
}

/// An ONNX sentence embedder with mean pooling.
pub struct OnnxEmbedder {
    info: EmbedderInfo,
    tokenizer: Tokenizer,
    // None only while it is being dropped: closing the queue ends the workers.
    queue: Option<SyncSender<Job>>,
    workers: Vec<std::thread::JoinHandle<()>>,
}

struct Job {
    text: String,
    index: usize,
    reply: Sender<(usize, Result<Vec<f32>, String>)>,
}

impl std::fmt::Debug for OnnxEmbedder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OnnxEmbedder")
            .field("info", &self.info)
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

impl OnnxEmbedder {
    /// Loads runtime, tokenizer and model.
    ///
    /// # Errors
    /// [`ModelError::Missing`] for a file that is not there, [`ModelError::Runtime`] for a library that is no usable ONNX
    /// Runtime, [`ModelError::Damaged`] for a model or tokenizer that does not load.
    pub fn load(paths: &OnnxModelPaths, options: &EmbedderOptions) -> Result<Self, ModelError> {
        for path in [&paths.runtime, &paths.model, &paths.tokenizer] {
            if !path.is_file() {
                let hint = "`sidenote models pull` fetches the embedding model and its runtime".to_owned();
                return Err(ModelError::Missing { path: path.clone(), hint });
            }
        }
        let environment = load_runtime(&paths.runtime)?;
        let tokenizer_file = fs_err::read(&paths.tokenizer)?;
        let tokenizer = counting_tokenizer(&tokenizer_file).map_err(|reason| damaged(&paths.tokenizer, reason))?;
        let special_tokens =
            tokenizer.encode_fast("", true).map_err(|error| damaged(&paths.tokenizer, error.to_string()))?.len();
        let model_file = fs_err::read(&paths.model)?;

        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let count = if options.workers == 0 { cores } else { options.workers }.clamp(1, 64);
        // Room for one waiting text per worker: a lone query that comes during a long ingest waits for that many, not for all.
        let (queue, jobs) = sync_channel::<Job>(count);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut workers = Vec::with_capacity(count);
        let mut dimensions = 0;
        for number in 0..count {
            let mut session = open_session(&environment, &model_file, &tokenizer_file)
                .map_err(|reason| damaged(&paths.model, reason))?;
            if number == 0 {
                dimensions =
                    embed_one(&mut session, "dimensions").map_err(|reason| damaged(&paths.model, reason))?.len();
            }
            let jobs = Arc::clone(&jobs);
            let worker = std::thread::Builder::new()
                .name(format!("sidenote-embed-{number}"))
                .spawn(move || serve(&mut session, &jobs))?;
            workers.push(worker);
        }

        let identity = format!("{}{}", file_sha256(&paths.model)?, file_sha256(&paths.tokenizer)?);
        let sha256_hex = to_hex(&<sha2::Sha256 as sha2::Digest>::digest(identity.as_bytes()));
        let max_tokens = options.max_tokens.clamp(8, POSITIONS);
        let info = EmbedderInfo { name: options.name.clone(), sha256_hex, dimensions, max_tokens, special_tokens };
        tracing::debug!(model = %info.name, dimensions, workers = count, "embedder loaded");
        Ok(Self { info, tokenizer, queue: Some(queue), workers })
    }

    /// Says with numbers what the positions of the model cut off. More bytes than positions is the cheap first test, since a
    /// token has at least one byte.
    fn warn_if_cut(&self, text: &str) {
        if text.len() + self.info.special_tokens > POSITIONS {
            let tokens = self.count_tokens(text) + self.info.special_tokens;
            if tokens > POSITIONS {
                tracing::warn!(
                    tokens,
                    limit = POSITIONS,
                    "a text is longer than the embedding model reads; its end is not in the vector"
                );
            }
        }
    }
}

impl Embedder for OnnxEmbedder {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn count_tokens(&self, text: &str) -> usize {
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => encoding.len(),
            // No tokenizer of this family fails on text; if one does, too high a count is the safe side.
            Err(_) => text.len(),
        }
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        match self.tokenizer.encode(text, false) {
            Ok(encoding) => encoding.get_offsets().to_vec(),
            Err(_) => text.char_indices().map(|(start, character)| (start, start + character.len_utf8())).collect(),
        }
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let ended = || ModelError::ThreadEnded { model: self.info.name.clone() };
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        let (reply, replies) = channel();
        for (index, text) in texts.iter().enumerate() {
            self.warn_if_cut(text);
            let job = Job { text: (*text).to_owned(), index, reply: reply.clone() };
            queue.send(job).map_err(|_| ended())?;
        }
        drop(reply);
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut first_failure: Option<(usize, String)> = None;
        let mut answers = 0;
        for (index, answer) in replies {
            answers += 1;
            match answer {
                Ok(vector) => vectors[index] = vector,
                Err(reason) if first_failure.as_ref().is_none_or(|(first, _)| index < *first) => {
                    first_failure = Some((index, reason))
                }
                Err(_) => (),
            }
        }
        if let Some((index, reason)) = first_failure {
            return Err(ModelError::Embed { model: self.info.name.clone(), bytes: texts[index].len(), reason });
        }
        if answers == texts.len() { Ok(vectors) } else { Err(ended()) }
    }
}

impl Drop for OnnxEmbedder {
    fn drop(&mut self) {
        self.queue = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn serve(session: &mut TextEmbedding, jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: exactly one worker waits at the queue, the others at the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let answer = catch_unwind(AssertUnwindSafe(|| embed_one(session, &job.text)))
            .unwrap_or_else(|_| Err("the runtime panicked".to_owned()));
        // Nobody waits for it any more: fine.
        let _ = job.reply.send((job.index, answer));
    }
}

fn embed_one(session: &mut TextEmbedding, text: &str) -> Result<Vec<f32>, String> {
    let vectors = session.embed([text], Some(1)).map_err(|error| error.to_string())?;
    let vector = vectors.into_iter().next().ok_or("no vector came back")?;
    if vector.is_empty() || !vector.iter().all(|value| value.is_finite()) {
        return Err("the vector is not finite".to_owned());
    }
    Ok(vector)
}

fn load_runtime(path: &Path) -> Result<Environment, ModelError> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment.clone());
    }
    let failed = |reason: String| ModelError::Runtime { path: path.to_owned(), reason };
    // A relative path would be looked for beside the executable.
    let absolute = std::path::absolute(path)?;
    let environment = ort::init_from(&absolute)
        .map_err(|error| failed(error.to_string()))?
        .with_name("sidenote")
        .with_telemetry(false)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment).clone())
}

fn open_session(environment: &Environment, model_file: &[u8], tokenizer_file: &[u8]) -> Result<TextEmbedding, String> {
    // fastembed wants four files of which only the tokenizer says anything that matters here.
    let files = TokenizerFiles {
        tokenizer_file: tokenizer_file.to_vec(),
        config_file: br#"{"pad_token_id": 0}"#.to_vec(),
        special_tokens_map_file: b"{}".to_vec(),
        tokenizer_config_file: format!(r#"{{"model_max_length": {POSITIONS}, "pad_token": "[PAD]"}}"#).into_bytes(),
    };
    let model = UserDefinedEmbeddingModel::new(model_file.to_vec(), files).with_pooling(Pooling::Mean);
    let options = InitOptionsUserDefined::new()
        .with_environment(environment.clone())
        .with_max_length(POSITIONS)
        .with_intra_threads(1)
        .with_execution_providers(vec![ort::ep::CPU::default().with_arena_allocator(false).build()]);
    let mut session = TextEmbedding::try_new_from_user_defined(model, options).map_err(|error| error.to_string())?;
    session.tokenizer.set_encode_special_tokens(true);
    Ok(session)
}

fn counting_tokenizer(file: &[u8]) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(file).map_err(|error| error.to_string())?;
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    tokenizer.with_padding(None);
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

fn damaged(path: &Path, reason: String) -> ModelError {
    ModelError::Damaged { path: path.to_owned(), reason }
}
