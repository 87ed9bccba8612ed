//! Text to vectors, prompt to tokens.
//!
//! Three seams, each a small trait with a real part, two of them with a deterministic twin:
//!
//! | trait | real part | twin |
//! |---|---|---|
//! | [`Embedder`] | [`OnnxEmbedder`]: an ONNX model under fastembed and ONNX Runtime | [`HashEmbedder`]: hashed words |
//! | [`CrossEncoder`] | [`OnnxCrossEncoder`]: an ONNX model that reads two texts | |
//! | [`Generator`] | [`LlamaGenerator`]: a GGUF under llama.cpp, in a thread of its own | [`ScriptedGenerator`]: answers from a list |
//!
//! A server that the user runs takes the place of llama.cpp with the feature `remote` (`RemoteGenerator`), which no default build has.
//!
//! [`manifest`] knows which model files there are, where they come from and whether they are whole; [`cpu`] compares the
//! kernels this program was built with to the CPU it runs on, and is to be asked before anything else here.
//! This crate knows no documents: what it is given is text and tokens, and none of it is logged.

pub mod cpu;
mod cross_encoder;
mod embed;
mod error;
mod fastembed;
mod generate;
mod gguf;
mod grammar;
mod hash;
mod llama;
mod llama_log;
mod llama_thread;
pub mod manifest;
mod onnx_graph;
mod pieces;
mod prefix;
mod probe;
mod pull;
mod queue;
mod remembered;
#[cfg(feature = "remote")]
mod remote;
mod sample;
mod scripted;
mod sessions;
mod stamp;
mod state_file;
mod template;
mod writing;

pub use cross_encoder::CrossEncoder;
pub use embed::{Embedder, EmbedderInfo, Precision, TokenVectors};
pub use error::ModelError;
pub use fastembed::{EmbedderOptions, OnnxCrossEncoder, OnnxEmbedder, OnnxModelPaths};
pub use generate::{
    CancelToken, ChatMessage, GenerateRequest, Generation, Generator, GeneratorInfo, KeepShared, Prompt, Role,
    Sampling, StopReason, Timings, TokenId,
};
pub use gguf::{GgufSummary, read_gguf};
pub use hash::HashEmbedder;
pub use llama::{KvType, LlamaGenerator, LlamaOptions, LoadProgress};
pub use probe::{probe_gguf, probe_main};
pub use remembered::RememberingEmbedder;
#[cfg(feature = "remote")]
pub use remote::{RemoteGenerator, RemoteOptions};
pub use scripted::ScriptedGenerator;
pub use state_file::{KeptStates, kept_states, retain_states};
