//! The only file that names fastembed, ONNX Runtime and tokenizers.
//!
//! How they behave on bad input, and the shield:
//! - ort **panics** when it first needs a runtime library that is not there. So the library is loaded by name, once, before
//!   anything else, and what it says becomes a [`ModelError`]. Runtimes before 1.24 are refused by ort itself.
//! - fastembed keeps the raw output of every text of one call, half a megabyte each, and pads texts to the longest of their
//!   batch; an int8 model then gives other vectors for other company. So it sees one text at a time.
//! - A session works on one text at a time. Each worker thread (`sessions.rs`) owns one, with a single thread inside: two such
//!   workers are faster than one session with two threads, and a text's vector does not depend on their number.
//! - The tokenizer file may switch on truncation and padding: off for counting. Text that spells a special token such as
//!   `[SEP]` would become it: both tokenizers are told to read it as text.
//! - A panic inside the library ends one text with an error, not the worker.
//! - A damaged model file is an error of the library at load; ONNX Runtime checks shapes and types itself.
//! - A cross-encoder's output of another shape than one row a pair makes fastembed panic: that is met when it is loaded, with a
//!   first pair.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use fastembed::{
    InitOptionsUserDefined, OnnxSource, OutputKey, Pooling, RerankInitOptionsUserDefined, TextEmbedding, TextRerank,
    TokenizerFiles, UserDefinedEmbeddingModel, UserDefinedRerankingModel,
};
use ort::environment::Environment;
use tokenizers::Tokenizer;

use crate::onnx_graph::{WeightBytes, lightened, with_int8_products};
use crate::sessions::{Sessions, Unworked};
use crate::stamp::{file_sha256, to_hex};
use crate::{CrossEncoder, Embedder, EmbedderInfo, ModelError, Precision, TokenVectors};

/// Tokens that sentence-transformers models of this family have positions for.
const POSITIONS: usize = 512;
/// Part of the identity of vectors that products of whole numbers made. Another number where they are made in another way.
const INT8_PRODUCTS: &str = "int8 products 1";

/// Where the parts of an ONNX model for text lie.
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
    sessions: Sessions<TextEmbedding>,
}

impl std::fmt::Debug for OnnxEmbedder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OnnxEmbedder")
            .field("info", &self.info)
            .field("workers", &self.sessions.count())
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
        paths.find("`sidenote models pull` fetches the embedding model and its runtime")?;
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

        let dimensions = embed_one(&mut first, "dimensions").map_err(|reason| damaged(&paths.model, reason))?.len();
        let sessions = Sessions::start("sidenote-embed", options.workers, first, || {
            open(&model_file).map_err(|reason| damaged(&paths.model, reason))
        })?;

        let identity = format!("{}{}{made_by}", file_sha256(&paths.model)?, file_sha256(&paths.tokenizer)?);
        let sha256_hex = to_hex(&<sha2::Sha256 as sha2::Digest>::digest(identity.as_bytes()));
        let max_tokens = options.max_tokens.clamp(8, POSITIONS);
        let info = EmbedderInfo { name: options.name.clone(), sha256_hex, dimensions, max_tokens, special_tokens };
        tracing::debug!(model = %info.name, dimensions, workers = sessions.count(), "embedder loaded");
        Ok(Self { info, tokenizer, sessions })
    }

    /// Hands every text to the workers and waits for all of them.
    fn work_off<T: Send + 'static>(
        &self,
        texts: &[&str],
        work: fn(&mut TextEmbedding, &str) -> Result<T, String>,
    ) -> Result<Vec<T>, ModelError> {
        let pieces = texts.iter().map(|text| {
            self.warn_if_cut(text);
            ((*text).to_owned(), work)
        });
        let done = self.sessions.each(pieces, |session, (text, work)| work(session, text));
        done.map_err(|unworked| failed(unworked, &self.info.name, texts))
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
        self.work_off(texts, embed_one)
    }

    fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>, ModelError> {
        self.work_off(texts, embed_tokens_of)
    }
}

/// An ONNX cross-encoder: one that reads two texts and has one number for them, the first of its output `logits`.
pub struct OnnxCrossEncoder {
    name: String,
    sessions: Sessions<TextRerank>,
}

impl std::fmt::Debug for OnnxCrossEncoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let workers = self.sessions.count();
        formatter.debug_struct("OnnxCrossEncoder").field("name", &self.name).field("workers", &workers).finish()
    }
}

impl OnnxCrossEncoder {
    /// Loads runtime, tokenizer and model; `workers` as in [`EmbedderOptions`].
    ///
    /// # Errors
    /// As [`OnnxEmbedder::load`]; [`ModelError::Damaged`] also for a model that has no score for a pair of texts.
    pub fn load(paths: &OnnxModelPaths, name: &str, workers: usize) -> Result<Self, ModelError> {
        paths.find("a cross-encoder is a folder with `model.onnx` and `tokenizer.json`")?;
        let environment = load_runtime(&paths.runtime)?;
        let tokenizer_file = fs_err::read(&paths.tokenizer)?;
        counting_tokenizer(&tokenizer_file).map_err(|reason| damaged(&paths.tokenizer, reason))?;
        let model_file = fs_err::read(&paths.model)?;
        let open = || {
            open_cross_encoder(&environment, &model_file, &tokenizer_file)
                .map_err(|reason| damaged(&paths.model, reason))
        };
        let mut first = open()?;
        let pair = ("query".to_owned(), "passage".to_owned());
        catch_unwind(AssertUnwindSafe(|| score_of(&mut first, &pair)))
            .unwrap_or_else(|_| Err("it gives no row of numbers for a pair of texts".to_owned()))
            .map_err(|reason| damaged(&paths.model, reason))?;
        let sessions = Sessions::start("sidenote-rerank", workers, first, open)?;
        tracing::debug!(model = name, workers = sessions.count(), "cross-encoder loaded");
        Ok(Self { name: name.to_owned(), sessions })
    }
}

impl CrossEncoder for OnnxCrossEncoder {
    fn name(&self) -> &str {
        &self.name
    }

    fn scores(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, ModelError> {
        let pairs = passages.iter().map(|passage| (query.to_owned(), (*passage).to_owned()));
        self.sessions.each(pairs, score_of).map_err(|unworked| failed(unworked, &self.name, passages))
    }
}

impl OnnxModelPaths {
    /// All are there; `hint` says what to do where one is not.
    fn find(&self, hint: &str) -> Result<(), ModelError> {
        let missing = [&self.runtime, &self.model, &self.tokenizer].into_iter().find(|path| !path.is_file());
        missing.map_or(Ok(()), |path| Err(ModelError::Missing { path: path.clone(), hint: hint.to_owned() }))
    }
}

fn failed(unworked: Unworked, model: &str, texts: &[&str]) -> ModelError {
    match unworked {
        Unworked::Ended => ModelError::ThreadEnded { model: model.to_owned() },
        Unworked::Piece(index, reason) => {
            ModelError::Embed { model: model.to_owned(), bytes: texts[index].len(), reason }
        }
    }
}

fn score_of(session: &mut TextRerank, (query, passage): &(String, String)) -> Result<f32, String> {
    let scored =
        session.rerank(query.as_str(), [passage.as_str()], false, Some(1)).map_err(|error| error.to_string())?;
    let score = scored.first().ok_or("no score came back")?.score;
    if score.is_finite() { Ok(score) } else { Err("the score is not finite".to_owned()) }
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
    let model = UserDefinedEmbeddingModel::new(model_file.to_vec(), tokenizer_files(tokenizer_file))
        .with_pooling(Pooling::Mean);
    let options = InitOptionsUserDefined::new()
        .with_environment(environment.clone())
        .with_max_length(POSITIONS)
        .with_intra_threads(1)
        .with_execution_providers(cpu());
    let mut session = TextEmbedding::try_new_from_user_defined(model, options).map_err(|error| error.to_string())?;
    session.tokenizer.set_encode_special_tokens(true);
    Ok(session)
}

fn open_cross_encoder(
    environment: &Environment,
    model_file: &[u8],
    tokenizer_file: &[u8],
) -> Result<TextRerank, String> {
    let source = OnnxSource::Memory(model_file.to_vec());
    let model = UserDefinedRerankingModel::new(source, tokenizer_files(tokenizer_file));
    let options = RerankInitOptionsUserDefined::new()
        .with_environment(environment.clone())
        .with_max_length(POSITIONS)
        .with_intra_threads(1)
        .with_execution_providers(cpu());
    let mut session = TextRerank::try_new_from_user_defined(model, options).map_err(|error| error.to_string())?;
    session.tokenizer.set_encode_special_tokens(true);
    Ok(session)
}

/// The CPU alone, without an arena, which would keep what its longest text has needed.
fn cpu() -> Vec<ort::ep::ExecutionProviderDispatch> {
    vec![ort::ep::CPU::default().with_arena_allocator(false).build()]
}

/// fastembed wants four files of which only the tokenizer says anything that matters here.
fn tokenizer_files(tokenizer_file: &[u8]) -> TokenizerFiles {
    TokenizerFiles {
        tokenizer_file: tokenizer_file.to_vec(),
        config_file: br#"{"pad_token_id": 0}"#.to_vec(),
        special_tokens_map_file: b"{}".to_vec(),
        tokenizer_config_file: format!(r#"{{"model_max_length": {POSITIONS}, "pad_token": "[PAD]"}}"#).into_bytes(),
    }
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
