//! From the names in the configuration to models that run.
//!
//! A name is one of the manifest, found below the models folder, or a path of the user's own: a GGUF file, a folder with
//! `model.onnx` and `tokenizer.json`, a shared library.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sidenote_index::EmbeddingModelInfo;
use sidenote_model::{
    CrossEncoder, Embedder, EmbedderOptions, Generator, LlamaGenerator, LlamaOptions, OnnxCrossEncoder, OnnxEmbedder,
    OnnxModelPaths, Precision, RememberingEmbedder, manifest,
};

use crate::{config::Config, error::Error, worker};

/// Name of the ONNX Runtime's file inside its folder, without the version behind it.
const RUNTIME_FILE: &str = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };

/// The configured embedding model.
pub(crate) fn load_embedder(config: &Config) -> Result<Arc<dyn Embedder>, Error> {
    let name = &config.models.embedder;
    check(config, name)?;
    load_embedder_from(config, &located(config, name), shown_name(name), config.embed.precision)
}

/// The embedding model that made an index, where it is the configured one with another precision or one of the models folder;
/// `None` where what is there is another.
pub(crate) fn load_embedder_that_made(
    config: &Config,
    made: &EmbeddingModelInfo,
) -> Result<Option<Arc<dyn Embedder>>, Error> {
    let configured = &config.models.embedder;
    let known = config.paths.models.join(&made.name);
    let place = located(config, configured);
    let mut tried = Vec::new();
    if shown_name(configured) == made.name {
        // As it is configured, it is another.
        tried
            .extend(Precision::ALL.into_iter().filter(|other| *other != config.embed.precision).map(|it| (&place, it)));
    }
    if place != known {
        tried.extend(Precision::ALL.map(|precision| (&known, precision)));
    }
    let mut failed = None;
    for (folder, precision) in tried {
        check(config, if *folder == place { configured } else { &made.name })?;
        match load_embedder_from(config, folder, made.name.clone(), precision) {
            Ok(embedder) if model_info(&*embedder) == *made => return Ok(Some(embedder)),
            Ok(_) => failed = None,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(None), Err)
}

fn load_embedder_from(
    config: &Config,
    folder: &Path,
    name: String,
    precision: Precision,
) -> Result<Arc<dyn Embedder>, Error> {
    let paths = onnx_paths(config, folder)?;
    let options = EmbedderOptions { name, workers: config.embed.workers, precision, ..EmbedderOptions::default() };
    let embedder = OnnxEmbedder::load(&paths, &options)?;
    Ok(Arc::new(RememberingEmbedder::new(Arc::new(embedder), config.embed.kept_bytes)))
}

/// The configured cross-encoder, where there is one.
pub(crate) fn load_cross_encoder(config: &Config) -> Result<Option<Arc<dyn CrossEncoder>>, Error> {
    let name = &config.models.reranker;
    if name.is_empty() || config.search.rerank_depth == 0 {
        return Ok(None);
    }
    check(config, name)?;
    let paths = onnx_paths(config, &located(config, name))?;
    Ok(Some(Arc::new(OnnxCrossEncoder::load(&paths, &shown_name(name), config.embed.workers)?)))
}

fn onnx_paths(config: &Config, folder: &Path) -> Result<OnnxModelPaths, Error> {
    check(config, &config.models.runtime)?;
    Ok(OnnxModelPaths {
        model: folder.join("model.onnx"),
        tokenizer: folder.join("tokenizer.json"),
        runtime: runtime(config),
    })
}

/// Where states of the language model are kept.
pub(crate) fn states_folder(config: &Config) -> PathBuf {
    config.paths.data.join("states")
}

/// The language model: the configured one of this machine, or of a server.
pub(crate) fn load_generator(config: &Config) -> Result<Arc<dyn Generator>, Error> {
    if !config.remote.url.is_empty() {
        return remote_generator(config);
    }
    check(config, &config.models.generator)?;
    let mut path = located(config, &config.models.generator);
    if path.is_dir() || !is_path(&config.models.generator) {
        path.push("model.gguf");
    }
    let options = LlamaOptions {
        name: shown_name(&config.models.generator),
        context_tokens: config.llm.context_tokens,
        threads: config.llm.threads,
        prefill_tokens: config.llm.prefill_tokens,
        kv_type: config.llm.kv_type,
        // A file that makes llama.cpp abort is met in a child process first, where a child can be had.
        probe: worker::own_program().transpose()?,
        kept_bytes: config.llm.kept_bytes,
        // Nothing of a document lies there, but in a folder of its own for those that were read whole (`whole.rs`).
        state_folder: Some(states_folder(config)),
        ..LlamaOptions::default()
    };
    Ok(Arc::new(LlamaGenerator::load(&path, &options)?))
}

#[cfg(feature = "remote")]
fn remote_generator(config: &Config) -> Result<Arc<dyn Generator>, Error> {
    let settings = &config.remote;
    let key = match settings.key_file.as_str() {
        "" => None,
        file => {
            let bad = |problem: String| Error::Config { key: "remote.key_file".into(), problem };
            let text = fs_err::read_to_string(file).map_err(|error| bad(error.to_string()))?;
            let line = text.lines().next().unwrap_or_default().trim();
            if line.is_empty() || !line.chars().all(|character| character.is_ascii_graphic()) {
                return Err(bad(format!(
                    "the first line of `{file}` is no key: it is empty or has spaces or signs beyond ASCII"
                )));
            }
            Some(line.to_owned())
        }
    };
    let options = sidenote_model::RemoteOptions {
        url: settings.url.clone(),
        model: settings.model.clone(),
        key,
        context_tokens: config.llm.context_tokens,
        allow_unencrypted: settings.allow_unencrypted,
    };
    Ok(Arc::new(sidenote_model::RemoteGenerator::new(options)?))
}

#[cfg(not(feature = "remote"))]
fn remote_generator(_: &Config) -> Result<Arc<dyn Generator>, Error> {
    let problem = "this program was built without what speaks to a server; \
        `cargo build --release --features remote` builds one that can, an empty value means the model of this machine";
    Err(Error::Config { key: "remote.url".into(), problem: problem.into() })
}

/// Which model an embedder is, as the index knows it.
pub(crate) fn model_info(embedder: &dyn Embedder) -> EmbeddingModelInfo {
    let info = embedder.info();
    EmbeddingModelInfo { name: info.name.clone(), sha256_hex: info.sha256_hex.clone(), dimensions: info.dimensions }
}

fn runtime(config: &Config) -> PathBuf {
    let path = located(config, &config.models.runtime);
    if !path.is_dir() {
        return if is_path(&config.models.runtime) { path } else { path.join(RUNTIME_FILE) };
    }
    let mut libraries: Vec<PathBuf> = fs_err::read_dir(&path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(RUNTIME_FILE)))
        .collect();
    libraries.sort();
    libraries.pop().unwrap_or_else(|| path.join(RUNTIME_FILE))
}

/// A model of the manifest has to be what the manifest says: a damaged one would answer, or embed, in its way. One by a path of the
/// user's own is what it is.
fn check(config: &Config, value: &str) -> Result<(), Error> {
    if !is_path(value)
        && let Some(entry) = manifest::Manifest::built_in()?.find(value)
    {
        manifest::check(&config.paths.models, entry)?;
    }
    Ok(())
}

/// Whether the value is a path of the user's own and not a name of the manifest.
fn is_path(value: &str) -> bool {
    value.contains(std::path::is_separator) || Path::new(value).exists()
}

fn located(config: &Config, value: &str) -> PathBuf {
    if is_path(value) { PathBuf::from(value) } else { config.paths.models.join(value) }
}

fn shown_name(value: &str) -> String {
    if !is_path(value) {
        return value.to_owned();
    }
    let path = Path::new(value);
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_below_the_models_folder_and_a_path_is_taken_as_it_is() {
        let mut config = Config::default();
        config.paths.models = "/models".into();
        assert_eq!(located(&config, "all-minilm-l6-v2-int8"), Path::new("/models/all-minilm-l6-v2-int8"));
        assert_eq!(located(&config, "/home/me/qwen.gguf"), Path::new("/home/me/qwen.gguf"));
        assert_eq!(shown_name("/home/me/qwen.gguf"), "qwen");
        assert_eq!(runtime(&config), Path::new("/models/onnxruntime-1.31.1").join(RUNTIME_FILE));
    }

    #[test]
    fn a_missing_model_is_an_error_with_its_path() {
        let mut config = Config::default();
        config.paths.models = "/nowhere/models".into();
        for error in [load_embedder(&config).err(), load_generator(&config).err()] {
            let error = error.unwrap();
            assert_eq!(error.kind(), crate::ErrorKind::MissingModel);
            assert!(error.path().is_some_and(|path| path.starts_with("/nowhere/models")), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("models pull")), "{error}");
        }
    }
}
