//! Every setting, with its default, range and meaning.
//!
//! `config.toml` at the repository root documents the same keys for people; a test of the command line keeps the two
//! equal. Reading files, the environment and flags is the host's business: the engine takes the resolved value.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sidenote_model::{KvType, Precision};

use crate::{error::Error, walk::absolute};

/// Most memory of the extraction worker, where nobody says otherwise.
pub(crate) const EXTRACT_MEMORY_BYTES: u64 = 2 << 30;

/// All settings. `Config::default()` is what the documentation describes; [`Config::validate`] checks the ranges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folders.
    pub paths: Paths,
    /// Which models.
    pub models: Models,
    /// Reading files.
    pub ingest: Ingest,
    /// Cutting documents into chunks.
    pub chunk: Chunking,
    /// The vector index.
    pub index: VectorIndexing,
    /// Embedding.
    pub embed: Embedding,
    /// Retrieval.
    pub search: Search,
    /// Answers.
    pub answer: Answering,
    /// Conversations.
    pub chat: Chats,
    /// The language model.
    pub llm: Llm,
    /// A language model on a server, in place of the local one.
    pub remote: Remote,
    /// The local endpoint.
    pub serve: Serve,
}

/// Folders. The engine wants both; the command line fills empty ones with the XDG data home.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Documents and indexes.
    pub data: PathBuf,
    /// Models and the ONNX Runtime.
    pub models: PathBuf,
}

/// Which models. Each is a name of the manifest or a path of one's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Embedding model: a manifest name, or a folder with `model.onnx` and `tokenizer.json`.
    pub embedder: String,
    /// Language model: a manifest name, or a GGUF file.
    pub generator: String,
    /// ONNX Runtime: a manifest name, or a shared library.
    pub runtime: String,
    /// Cross-encoder that puts the best hits in order: a folder with `model.onnx` and `tokenizer.json`; empty means none, and that
    /// they are read again by the embedding model.
    pub reranker: String,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            embedder: "all-minilm-l6-v2-int8".into(),
            generator: "qwen2.5-coder-1.5b-instruct-q4_k_m".into(),
            runtime: "onnxruntime-1.31.1".into(),
            reranker: String::new(),
        }
    }
}

/// Where extraction runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In a child process with limits on memory and time, without files and network.
    #[default]
    Worker,
    /// In this process: faster to start, and a hostile file can take it down. An explicit choice.
    InProcess,
}

/// Reading files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Largest file in bytes, 1 to 17,179,869,184 (16 GiB).
    pub max_file_bytes: u64,
    /// Largest extracted text in bytes, 1 to 1,073,741,824 (1 GiB).
    pub max_text_bytes: usize,
    /// Most pages of a document, 1 to 1,000,000.
    pub max_pages: usize,
    /// Where extraction runs.
    pub isolation: Isolation,
    /// Most seconds for one file's extraction, 1 to 3,600.
    pub extract_timeout_seconds: u64,
    /// Most memory of the extraction worker in bytes, 268,435,456 (256 MiB) upward.
    pub extract_memory_bytes: u64,
    /// Whether PDF pages without a text layer are read by `ocr_program`, where it is installed.
    pub ocr: bool,
    /// Tesseract: its name in the folders of `PATH`, or its path.
    pub ocr_program: String,
    /// Languages of such pages as tesseract names them, joined by `+`.
    pub ocr_languages: String,
    /// Most seconds of reading such pages of one file, 1 to 604,800 (a week).
    pub ocr_timeout_seconds: u64,
    /// Whether symbolic links inside an ingested folder are followed.
    pub follow_symlinks: bool,
    /// Whether files and folders whose name begins with a dot are read.
    pub include_hidden: bool,
    /// Globs as in `.gitignore`; where there are any, only files of an ingested folder that match one are read.
    pub include: Vec<String>,
    /// Globs as in `.gitignore` of files and folders that are not read.
    pub exclude: Vec<String>,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            max_file_bytes: 256 << 20,
            max_text_bytes: 64 << 20,
            max_pages: 20_000,
            isolation: Isolation::Worker,
            extract_timeout_seconds: 60,
            extract_memory_bytes: EXTRACT_MEMORY_BYTES,
            ocr: true,
            ocr_program: "tesseract".into(),
            ocr_languages: "eng".into(),
            ocr_timeout_seconds: 7_200,
            follow_symlinks: false,
            include_hidden: false,
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }
}

/// Cutting documents into chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chunking {
    /// Most tokens of a chunk, heading prefix and special tokens included; 32 to the embedding model's limit.
    pub max_tokens: usize,
    /// Most tokens of the heading prefix, 0 to half of `max_tokens`.
    pub max_prefix_tokens: usize,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { max_tokens: 256, max_prefix_tokens: 48 }
    }
}

/// Which vector index serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorIndexKind {
    /// Exact below `hnsw_min_vectors`, HNSW from there up.
    #[default]
    Auto,
    /// Always the exact scan.
    Exact,
    /// HNSW segments at any size.
    Hnsw,
}

/// The vector index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VectorIndexing {
    /// Which vector index serves.
    pub vector: VectorIndexKind,
    /// Vectors from which `auto` builds HNSW segments, 1 upward; during an ingest, whenever so many have come.
    pub hnsw_min_vectors: usize,
    /// HNSW candidate list of a search, 1 to 10,000; larger is slower and finds more.
    pub ef_search: usize,
}

impl Default for VectorIndexing {
    fn default() -> Self {
        Self { vector: VectorIndexKind::Auto, hnsw_min_vectors: 20_000, ef_search: 96 }
    }
}

/// Embedding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Embedding {
    /// Threads that embed, each with the model's weights of its own; 0 means one a core, 64 at most.
    pub workers: usize,
    /// How vectors are computed where the model's weights are int8. Another than the one that made an index is another model:
    /// the next ingest embeds everything anew.
    pub precision: Precision,
    /// Most bytes kept in memory of passages that were read closely ([`Search::rerank_depth`]), so that one that is found again is
    /// not read again; 0 keeps none.
    pub kept_bytes: usize,
}

impl Default for Embedding {
    fn default() -> Self {
        Self { workers: 0, precision: Precision::default(), kept_bytes: 64 << 20 }
    }
}

/// Conversations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chats {
    /// Whether `chat` and the endpoint's page keep them in the data folder.
    pub keep: bool,
}

impl Default for Chats {
    fn default() -> Self {
        Self { keep: true }
    }
}

/// Which legs a search uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchMode {
    /// BM25 and vectors, fused.
    #[default]
    Hybrid,
    /// BM25 alone.
    Lexical,
    /// Vectors alone.
    Dense,
}

/// How the two rankings become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    /// Weighted sum of min-max normalised scores.
    #[default]
    MinMax,
    /// Reciprocal rank fusion, k = 60.
    Rrf,
}

/// Retrieval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// Which legs a search uses.
    pub mode: SearchMode,
    /// Hits shown, 1 to 1,000.
    pub limit: usize,
    /// Candidates that each leg hands to fusion, 1 to 10,000; never fewer than hits are asked for.
    pub candidates: usize,
    /// How the two rankings become one.
    pub fusion: Fusion,
    /// Weight of the BM25 leg, 0 to 1; the vectors have the rest. 0 or 1 leaves one leg out.
    pub lexical_weight: f32,
    /// How much more of a word counts where it stands again and again, 0 to 10: `k1` of BM25.
    pub bm25_k1: f32,
    /// How much more often a long text has to say a word, 0 to 1: `b` of BM25.
    pub bm25_b: f32,
    /// How far the vectors look towards what a first ranking finds, 0 to 2; 0 looks for the query alone. Costs a search of the
    /// vectors, some milliseconds.
    pub feedback: f32,
    /// Best hits of a hybrid search that are read again sentence by sentence and put in a better order, 0 to 100; 0 leaves
    /// the order of fusion.
    pub rerank_depth: usize,
    /// Most tokens of these hits that are read again, 1 to 1,000,000: what bounds the time it takes, some 150 ms for the default
    /// on two cores. The best hit is read in any case.
    pub rerank_tokens: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            mode: SearchMode::Hybrid,
            limit: 10,
            candidates: 200,
            fusion: Fusion::MinMax,
            lexical_weight: 0.5,
            bm25_k1: 0.9,
            bm25_b: 0.75,
            feedback: 0.2,
            rerank_depth: 30,
            rerank_tokens: 5_000,
        }
    }
}

/// What the language model reads of the passages that are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContextOf {
    /// The sentences that speak of the question, and those without which they say nothing.
    #[default]
    Sentences,
    /// Whole passages, best first. With these `answer.context_tokens` wants to be 1,000 and more; where none fits, sentences are read.
    Passages,
}

/// How a question is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerMode {
    /// The language model reads what is found; what it writes is checked and noted.
    #[default]
    Write,
    /// The statements that speak most of the question are quoted; no language model is needed.
    Extract,
}

/// Answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answering {
    /// Whether the language model writes, or statements are quoted alone.
    pub mode: AnswerMode,
    /// Passages looked at, 1 to 50.
    pub passages: usize,
    /// What the language model reads of them.
    pub context: ContextOf,
    /// Most tokens of passages in the prompt, 128 upward; capped by the context window.
    pub context_tokens: usize,
    /// Drafts the language model writes of an answer, 1 or 2: a second one, with the question put another way, takes about a
    /// third longer and errs less.
    pub drafts: usize,
    /// Whether a question that leans on what was said before is put so that it stands alone; takes some seconds.
    pub rewrite: bool,
    /// Whether a question that asks two things is answered in two parts.
    pub parts: bool,
    /// Whether a question that describes what it does not name is answered in two steps, where it has no sure answer at once. Takes
    /// as long as two questions.
    pub steps: bool,
    /// Whether a question without a sure answer is put in the other languages of the documents too. Takes as long as a question for
    /// each, two at the most.
    pub other_languages: bool,
    /// Whether each sentence of an answer also has its short form: those of its words that answer the question. Takes about half a
    /// second a sentence.
    pub short: bool,
    /// Most tokens of an answer, 8 to 4,096.
    pub max_tokens: usize,
    /// Confidence under which the answer is "the documents do not say", 0 to 1.
    pub min_confidence: f32,
    /// Sampling temperature, 0 to 2; 0 is greedy: the same question gives the same answer.
    pub temperature: f32,
    /// Seed of sampling when the temperature is above 0.
    pub seed: u64,
}

impl Default for Answering {
    fn default() -> Self {
        Self {
            mode: AnswerMode::Write,
            passages: 10,
            context: ContextOf::Sentences,
            context_tokens: 320,
            drafts: 2,
            rewrite: true,
            parts: true,
            steps: true,
            other_languages: true,
            short: true,
            max_tokens: 160,
            min_confidence: 0.25,
            temperature: 0.0,
            seed: 1,
        }
    }
}

/// The language model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Llm {
    /// Context window in tokens, 512 to the model's; 0 means the model's own, 8,192 at most.
    pub context_tokens: usize,
    /// Threads, 1 to 512; 0 means one a physical core.
    pub threads: usize,
    /// Tokens of the prompt read at a time, 32 to 2,048; smaller stops sooner, larger reads faster.
    pub prefill_tokens: usize,
    /// How the KV cache holds its numbers: `q8_0` takes about half the memory of `f16`.
    pub kv_type: KvType,
    /// Most bytes of earlier prompts' states kept in memory for prompts that begin alike, 0 upward; 0 keeps none.
    pub kept_bytes: usize,
    /// Most bytes of states kept in the data folder of documents that were read whole, 0 upward; 0 keeps none.
    pub pinned_bytes: u64,
}

impl Default for Llm {
    fn default() -> Self {
        Self {
            context_tokens: 0,
            threads: 0,
            prefill_tokens: 512,
            kv_type: KvType::default(),
            kept_bytes: 256 << 20,
            pinned_bytes: 1 << 30,
        }
    }
}

/// A language model on a server that the user runs, asked as OpenAI's clients ask. Only programs built with the feature `remote` can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Remote {
    /// Where its API begins, such as `http://127.0.0.1:8080/v1`; empty means the local model. Questions and passages are sent there.
    pub url: String,
    /// The model's name there; empty where the server has one alone.
    pub model: String,
    /// A file whose first line is the key that the server wants to see; empty where it wants none.
    pub key_file: String,
    /// Whether `http` may be spoken to another machine, so that everyone between can read along.
    pub allow_unencrypted: bool,
}

/// The local endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Port on the loopback address, 0 to 65,535; 0 lets the system choose.
    pub port: u16,
    /// Folders that may be ingested over HTTP, absolute; none by default.
    pub roots: Vec<String>,
    /// Most questions that run or wait at a time, 1 to 1,000; one more is refused.
    pub max_questions: usize,
    /// Most other requests that are worked on at a time, 1 to 10,000; one more is refused.
    pub max_requests: usize,
}

impl Default for Serve {
    fn default() -> Self {
        Self { port: 7878, roots: Vec::new(), max_questions: 8, max_requests: 64 }
    }
}

impl Paths {
    /// Models are shared by data folders, and not to be backed up, moved or wiped with one of them.
    fn check(&self) -> Result<(), Error> {
        let [data, models] = [&self.data, &self.models].map(|path| absolute(path));
        if self.data.as_os_str().is_empty() || self.models.as_os_str().is_empty() || !models.starts_with(&data) {
            return Ok(());
        }
        let problem =
            format!("`{}` lies inside the data folder `{}`; name another one", models.display(), data.display());
        Err(Error::Config { key: "paths.models".into(), problem })
    }
}

impl Config {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] with the key, its value and the range.
    pub fn validate(&self) -> Result<(), Error> {
        self.paths.check()?;
        range("ingest.max_file_bytes", self.ingest.max_file_bytes, 1, 16 << 30)?;
        range("ingest.max_text_bytes", self.ingest.max_text_bytes, 1, 1 << 30)?;
        range("ingest.max_pages", self.ingest.max_pages, 1, 1_000_000)?;
        range("ingest.extract_timeout_seconds", self.ingest.extract_timeout_seconds, 1, 3_600)?;
        range("ingest.extract_memory_bytes", self.ingest.extract_memory_bytes, 256 << 20, u64::MAX)?;
        check_ocr_languages(&self.ingest.ocr_languages)?;
        range("ingest.ocr_timeout_seconds", self.ingest.ocr_timeout_seconds, 1, 604_800)?;
        check_globs("ingest.include", &self.ingest.include)?;
        check_globs("ingest.exclude", &self.ingest.exclude)?;
        range("chunk.max_tokens", self.chunk.max_tokens, 32, 8_192)?;
        range("chunk.max_prefix_tokens", self.chunk.max_prefix_tokens, 0, 4_096)?;
        range("index.hnsw_min_vectors", self.index.hnsw_min_vectors, 1, usize::MAX)?;
        range("index.ef_search", self.index.ef_search, 1, 10_000)?;
        range("embed.workers", self.embed.workers, 0, 64)?;
        range("search.limit", self.search.limit, 1, 1_000)?;
        range("search.candidates", self.search.candidates, 1, 10_000)?;
        range("search.lexical_weight", self.search.lexical_weight, 0.0, 1.0)?;
        range("search.bm25_k1", self.search.bm25_k1, 0.0, 10.0)?;
        range("search.bm25_b", self.search.bm25_b, 0.0, 1.0)?;
        range("search.feedback", self.search.feedback, 0.0, 2.0)?;
        range("search.rerank_depth", self.search.rerank_depth, 0, 100)?;
        range("search.rerank_tokens", self.search.rerank_tokens, 1, 1_000_000)?;
        range("answer.passages", self.answer.passages, 1, 50)?;
        range("answer.drafts", self.answer.drafts, 1, 2)?;
        range("answer.context_tokens", self.answer.context_tokens, 128, 1 << 20)?;
        range("answer.max_tokens", self.answer.max_tokens, 8, 4_096)?;
        range("answer.min_confidence", self.answer.min_confidence, 0.0, 1.0)?;
        range("answer.temperature", self.answer.temperature, 0.0, 2.0)?;
        if self.llm.context_tokens != 0 {
            range("llm.context_tokens", self.llm.context_tokens, 512, 1 << 20)?;
        }
        range("llm.threads", self.llm.threads, 0, 512)?;
        range("llm.prefill_tokens", self.llm.prefill_tokens, 32, 2_048)?;
        check_roots(&self.serve.roots)?;
        range("serve.max_questions", self.serve.max_questions, 1, 1_000)?;
        range("serve.max_requests", self.serve.max_requests, 1, 10_000)
    }

    /// The language model, for people.
    pub(crate) fn generator_name(&self) -> String {
        match (self.remote.url.as_str(), self.remote.model.as_str()) {
            ("", _) => self.models.generator.clone(),
            (url, "") => url.to_owned(),
            (url, model) => format!("{model} at {url}"),
        }
    }

    /// Names of all keys, as `section.key`, in order of the alphabet.
    pub fn keys() -> Vec<String> {
        let mut keys = Vec::new();
        if let serde_json::Value::Object(sections) = default_value() {
            for (section, entries) in &sections {
                if let serde_json::Value::Object(entries) = entries {
                    keys.extend(entries.keys().map(|key| format!("{section}.{key}")));
                }
            }
        }
        keys.sort();
        keys
    }

    /// Sets one key from text, as an environment variable gives it.
    ///
    /// # Errors
    /// [`Error::Config`] when the key is unknown or the text is not of its type. Ranges are for [`Config::validate`].
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Error> {
        let bad = |problem: String| Error::Config { key: key.to_owned(), problem };
        let mut value = serde_json::to_value(&*self).map_err(|error| bad(error.to_string()))?;
        let slot = key
            .split_once('.')
            .and_then(|(section, name)| value.get_mut(section)?.get_mut(name))
            .ok_or_else(|| bad("there is no such key".into()))?;
        *slot = if slot.is_string() {
            serde_json::Value::String(text.to_owned())
        } else if slot.is_array() && !text.trim_start().starts_with('[') {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(|item| serde_json::Value::String(item.to_owned())).collect()
        } else {
            serde_json::from_str(text).map_err(|_| bad(format!("`{text}` is not a value of its type")))?
        };
        *self = serde_json::from_value(value).map_err(|error| bad(format!("`{text}`: {error}")))?;
        Ok(())
    }
}

fn default_value() -> serde_json::Value {
    serde_json::to_value(Config::default()).unwrap_or_default()
}

fn check_roots(roots: &[String]) -> Result<(), Error> {
    match roots.iter().find(|root| !std::path::Path::new(root).is_absolute()) {
        None => Ok(()),
        Some(root) => Err(Error::Config {
            key: "serve.roots".into(),
            problem: format!("`{root}` is no absolute path; write the folder from the root of the file system on"),
        }),
    }
}

fn check_ocr_languages(languages: &str) -> Result<(), Error> {
    let is_language = |name: &str| {
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.chars().next().is_some_and(|c| c.is_ascii_alphabetic())
    };
    if languages.split('+').all(is_language) {
        return Ok(());
    }
    Err(Error::Config {
        key: "ingest.ocr_languages".into(),
        problem: format!("`{languages}` is no list of languages as tesseract names them; write eng or deu+eng"),
    })
}

pub(crate) fn check_globs(key: &str, globs: &[String]) -> Result<(), Error> {
    let mut builder = ignore::overrides::OverrideBuilder::new("/");
    for glob in globs {
        if glob.trim_start_matches('!').trim().is_empty() || glob.starts_with('!') {
            let problem = format!("`{glob}` is no glob; what is not to be read stands in `ingest.exclude`");
            return Err(Error::Config { key: key.to_owned(), problem });
        }
        let added = builder.add(glob).map(drop);
        added.map_err(|error| Error::Config { key: key.to_owned(), problem: format!("`{glob}`: {error}") })?;
    }
    Ok(())
}

fn range<T: PartialOrd + std::fmt::Display>(key: &str, value: T, low: T, high: T) -> Result<(), Error> {
    // A NaN is inside no range: the comparison is written so that it fails.
    if value >= low && value <= high {
        return Ok(());
    }
    Err(Error::Config { key: key.to_owned(), problem: format!("`{value}` is outside {low} to {high}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn models_do_not_lie_in_the_data_folder() {
        let paths = Paths { data: "/srv/sidenote".into(), models: "/srv/sidenote/models".into() };
        let mut config = Config { paths, ..Config::default() };
        let refused = config.validate().unwrap_err().to_string();
        assert!(refused.contains("`paths.models`") && refused.contains("inside the data folder"), "{refused}");
        config.paths.models = "/srv/sidenote-models".into();
        config.validate().unwrap();
    }

    #[test]
    fn a_value_out_of_range_names_key_value_and_range() {
        let mut config = Config::default();
        config.set("search.limit", "0").unwrap();
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "configuration key `search.limit`: `0` is outside 1 to 1000"
        );
        config = Config::default();
        config.search.lexical_weight = f32::NAN;
        assert!(config.validate().is_err());
    }

    #[test]
    fn keys_are_set_from_text_by_their_own_type() {
        let mut config = Config::default();
        config.set("models.generator", "42").unwrap();
        assert_eq!(config.models.generator, "42");
        config.set("search.mode", "dense").unwrap();
        assert_eq!(config.search.mode, SearchMode::Dense);
        config.set("ingest.follow_symlinks", "true").unwrap();
        assert!(config.ingest.follow_symlinks);
        config.set("ingest.exclude", "*.log, drafts/").unwrap();
        assert_eq!(config.ingest.exclude, ["*.log", "drafts/"]);
        config.set("ingest.exclude", r#"["a,b"]"#).unwrap();
        assert_eq!(config.ingest.exclude, ["a,b"]);
        config.set("ingest.exclude", "!*.md").unwrap();
        assert!(config.validate().unwrap_err().to_string().contains("ingest.exclude"));
        for (key, text) in [("search.mode", "fast"), ("search.limit", "ten"), ("search.nothing", "1"), ("limit", "1")] {
            assert!(config.set(key, text).unwrap_err().to_string().contains(key), "{key}");
        }
    }

    #[test]
    fn every_key_can_be_read_back() {
        assert!(Config::keys().contains(&"llm.threads".to_owned()));
        assert!(Config::keys().len() > 30, "{:?}", Config::keys());
    }
}
