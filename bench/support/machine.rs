//! Where a measurement was made.

use std::path::PathBuf;

use sidenote_model::OnnxModelPaths;

/// Processor, cores and the features that the kernels use, in one line.
pub(crate) fn describe() -> String {
    let info = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let flags = field("flags");
    let features: Vec<&str> = ["avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8"]
        .into_iter()
        .filter(|feature| flags.split_whitespace().any(|flag| flag == *feature))
        .collect();
    let family = format!("family {} model {}", field("cpu family"), field("model\t"));
    format!("{} ({family}), {} cores, {}", field("model name"), cores(), features.join(" "))
}

/// Cores this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Where the models are, as the program itself looks for them.
pub(crate) fn models_folder() -> PathBuf {
    std::env::var_os("SIDENOTE_MODELS").map_or_else(
        || {
            let data = std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()).map_or_else(
                || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share"),
                PathBuf::from,
            );
            data.join("sidenote/models")
        },
        PathBuf::from,
    )
}

/// The default embedding model and its runtime.
pub(crate) fn embedder_paths() -> OnnxModelPaths {
    let models = models_folder();
    let model = models.join("all-minilm-l6-v2-int8");
    OnnxModelPaths {
        model: model.join("model.onnx"),
        tokenizer: model.join("tokenizer.json"),
        runtime: models.join("onnxruntime-1.31.1").join("libonnxruntime.so.1.31.1"),
    }
}
