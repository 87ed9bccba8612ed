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

use fastembed::{InitOptionsUserDefined, OutputKey, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use ort::environment::Environment;
use tokenizers::Tokenizer;

use crate::onnx_graph::{WeightBytes, lightened, with_int8_products};
use crate::stamp::{file_sha256, to_hex};
use crate::{Embedder, EmbedderInfo, ModelError, Precision, TokenVectors};

/// Tokens that sentence-transformers models of this family have positions for.
const POSITIONS: usize = 512;
/// Part of the identity of vectors that products of whole numbers made. Another number where they are made in another way.
const INT8_PRODUCTS: &str = "int8 products 1";

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
    /// How it computes, where the model leaves a choice.
    pub precision: Precision,
}

impl Default for EmbedderOptions {
    fn default() -> Self {
        Self { name: "all-minilm-l6-v2-int8".to_owned(), workers: 0, max_tokens: 256, precision: Precision::default() }
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

/// A text on its way to a worker, and who waits for what becomes of it.
enum Job {
    Text(Order<Vec<f32>>),
    Tokens(Order<TokenVectors>),
}

struct Order<T> {
    text: String,
    index: usize,
    reply: Sender<(usize, Result<T, String>)>,
}

impl<T> Order<T> {
    /// Does the work and hands the result over. Nobody may be waiting any more: fine.
    fn fill(self, session: &mut TextEmbedding, work: fn(&mut TextEmbedding, &str) -> Result<T, String>) {
        let answer = catch_unwind(AssertUnwindSafe(|| work(session, &self.text)))
            .unwrap_or_else(|_| Err("the runtime panicked".to_owned()));
        let _ = self.reply.send((self.index, answer));
    }
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
        let open = |model_file: &[u8]| open_session(&environment, model_file, &tokenizer_file);
        let with_products = match options.precision {
            Precision::Int8 => with_int8_products(&model_file, WeightBytes::of_this_machine()),
            Precision::F32 => None,
        };
        // A graph that ONNX Runtime does not take after the change is run as it was exported.
        let (model_file, made_by, mut first) = match with_products.and_then(|file| Some((open(&file).ok()?, file))) {
            Some((session, changed)) => (changed, INT8_PRODUCTS, session),
            None => {
                let model_file = lightened(&model_file).unwrap_or(model_file);
                let session = open(&model_file).map_err(|reason| damaged(&paths.model, reason))?;
                (model_file, "", session)
            }
        };

        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let count = if options.workers == 0 { cores } else { options.workers }.clamp(1, 64);
        // Room for one waiting text per worker: a lone query that comes during a long ingest waits for that many, not for all.
        let (queue, jobs) = sync_channel::<Job>(count);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut workers = Vec::with_capacity(count);
        let dimensions = embed_one(&mut first, "dimensions").map_err(|reason| damaged(&paths.model, reason))?.len();
        let mut first = Some(first);
        for number in 0..count {
            let mut session = match first.take() {
                Some(first) => first,
                None => open(&model_file).map_err(|reason| damaged(&paths.model, reason))?,
            };
            let jobs = Arc::clone(&jobs);
            let worker = std::thread::Builder::new()
                .name(format!("sidenote-embed-{number}"))
                .spawn(move || serve(&mut session, &jobs))?;
            workers.push(worker);
        }

        let identity = format!("{}{}{made_by}", file_sha256(&paths.model)?, file_sha256(&paths.tokenizer)?);
        let sha256_hex = to_hex(&<sha2::Sha256 as sha2::Digest>::digest(identity.as_bytes()));
        let max_tokens = options.max_tokens.clamp(8, POSITIONS);
        let info = EmbedderInfo { name: options.name.clone(), sha256_hex, dimensions, max_tokens, special_tokens };
        tracing::debug!(model = %info.name, dimensions, workers = count, "embedder loaded");
        Ok(Self { info, tokenizer, queue: Some(queue), workers })
    }

    /// Hands every text to the workers and waits for all of them.
    fn work_off<T>(&self, texts: &[&str], job: fn(Order<T>) -> Job) -> Result<Vec<T>, ModelError> {
        let ended = || ModelError::ThreadEnded { model: self.info.name.clone() };
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        let (reply, replies) = channel();
        for (index, text) in texts.iter().enumerate() {
            self.warn_if_cut(text);
            queue.send(job(Order { text: (*text).to_owned(), index, reply: reply.clone() })).map_err(|_| ended())?;
        }
        drop(reply);
        let mut results: Vec<Option<T>> = texts.iter().map(|_| None).collect();
        let mut first_failure: Option<(usize, String)> = None;
        for (index, answer) in replies {
            match answer {
                Ok(result) => results[index] = Some(result),
                Err(reason) if first_failure.as_ref().is_none_or(|(first, _)| index < *first) => {
                    first_failure = Some((index, reason))
                }
                Err(_) => (),
            }
        }
        if let Some((index, reason)) = first_failure {
            return Err(ModelError::Embed { model: self.info.name.clone(), bytes: texts[index].len(), reason });
        }
        results.into_iter().collect::<Option<Vec<T>>>().ok_or_else(ended)
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
        self.work_off(texts, Job::Text)
    }

    fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>, ModelError> {
        self.work_off(texts, Job::Tokens)
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
        match job {
            Ok(Job::Text(order)) => order.fill(session, embed_one),
            Ok(Job::Tokens(order)) => order.fill(session, embed_tokens_of),
            Err(_) => return,
        }
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

fn embed_tokens_of(session: &mut TextEmbedding, text: &str) -> Result<TokenVectors, String> {
    let encoding = session.tokenizer.encode(text, true).map_err(|error| error.to_string())?;
    let output = session.transform([text], Some(1)).map_err(|error| error.to_string())?.into_raw();
    let output = output.first().ok_or("no output came back")?;
    let keys: &[OutputKey] = &[OutputKey::ByName("last_hidden_state"), OutputKey::ByName("token_embeddings")];
    let hidden = output.select_output(&keys).map_err(|error| error.to_string())?;
    let &[1, tokens, dimensions] = hidden.shape() else {
        return Err(format!("the model gives no vectors of tokens: its output has the shape {:?}", hidden.shape()));
    };
    let hidden = hidden.as_slice().ok_or("the output is not contiguous")?;
    if tokens != encoding.len() || dimensions == 0 {
        return Err(format!("{tokens} vectors for {} tokens", encoding.len()));
    }
    let mut vectors = TokenVectors { ids: Vec::new(), offsets: Vec::new(), values: Vec::new() };
    for (token, vector) in hidden.chunks_exact(dimensions).enumerate() {
        if encoding.get_special_tokens_mask()[token] != 0 {
            continue;
        }
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if !norm.is_finite() || norm == 0.0 {
            return Err("a token's vector is not finite".to_owned());
        }
        vectors.ids.push(encoding.get_ids()[token]);
        vectors.offsets.push(encoding.get_offsets()[token]);
        vectors.values.extend(vector.iter().map(|value| value / norm));
    }
    Ok(vectors)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of short and long texts by the model as it is, and as it is after `change`.
    fn vectors_before_and_after(change: fn(&[u8]) -> Option<Vec<u8>>) -> Option<[Vec<Vec<f32>>; 2]> {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share/sidenote/models"));
        let models = std::env::var_os("SIDENOTE_MODELS").map(PathBuf::from).or(home).unwrap_or_default();
        let folder = models.join("all-minilm-l6-v2-int8");
        let Ok(model) = fs_err::read(folder.join("model.onnx")) else {
            assert!(std::env::var_os("SIDENOTE_REQUIRE_MODELS").is_none(), "no model in `{}`", folder.display());
            eprintln!("SKIPPED: no model in `{}`", folder.display());
            return None;
        };
        let tokenizer = fs_err::read(folder.join("tokenizer.json")).expect("a tokenizer");
        let environment =
            load_runtime(&models.join("onnxruntime-1.31.1/libonnxruntime.so.1.31.1")).expect("the runtime loads");
        let changed = change(&model).expect("a model that can be changed");
        Some([model, changed].map(|model| {
            let mut session = open_session(&environment, &model, &tokenizer).expect("the model loads");
            let texts = ["heron", "Who approves travel expenses?", &"Travel expenses are approved. ".repeat(60)];
            texts.iter().map(|text| embed_one(&mut session, text).expect("a vector")).collect()
        }))
    }

    #[test]
    fn without_its_guards_the_model_gives_the_same_vectors_bit_for_bit() {
        let Some([before, after]) = vectors_before_and_after(lightened) else { return };
        assert_eq!(before, after);
    }

    #[test]
    fn products_of_whole_numbers_give_nearly_the_same_vectors_and_the_same_on_every_cpu() {
        let unsigned = |model: &[u8]| with_int8_products(model, WeightBytes::Unsigned);
        let Some([before, after]) = vectors_before_and_after(unsigned) else { return };
        // Where signed ones are right.
        if WeightBytes::of_this_machine() == WeightBytes::Signed {
            let signed = vectors_before_and_after(|model| with_int8_products(model, WeightBytes::Signed));
            assert_eq!(signed.map(|[_, signed]| signed).as_ref(), Some(&after));
        }
        for (before, after) in before.iter().zip(&after) {
            let cosine: f32 = before.iter().zip(after).map(|(a, b)| a * b).sum();
            assert!(cosine > 0.995 && cosine < 0.99999, "{cosine}");
        }
    }
}
