//! What the tests of the real models share.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sidenote_model::{ChatMessage, GenerateRequest, Generation, Generator, LlamaGenerator, Prompt, Role};

fn models_dir() -> PathBuf {
    if let Some(folder) = std::env::var_os("SIDENOTE_MODELS") {
        return folder.into();
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
    data.unwrap_or_default().join("sidenote/models")
}

/// The file, or `None` after saying that the test is skipped.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn model_file(name: &str) -> Option<PathBuf> {
    let path = models_dir().join(name);
    if path.is_file() {
        return Some(path);
    }
    assert!(
        std::env::var_os("SIDENOTE_REQUIRE_MODELS").is_none_or(|value| value != "1"),
        "`{}` is missing: run `sidenote models pull`",
        path.display()
    );
    eprintln!("SKIPPED: `{}` is missing", path.display());
    None
}

/// Held by every test that evaluates: two models at once on the same cores would mostly wait for each other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static EVALUATING: Mutex<()> = Mutex::new(());
    EVALUATING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More tokens than are evaluated sooner than kept.
pub(crate) const LONG_QUESTION: &str = "The river rises in the hills above the old mill, where the snow lies until April. It passes two \
    bridges and a weir, and below the second bridge it is wide enough for boats. In the summer of the great drought it fell so \
    low that children walked across, and the fish were carried to the lake in buckets. Does the river ever fall low?";

pub(crate) fn small_gguf() -> Option<PathBuf> {
    model_file("smollm2-135m-instruct-q4_1/model.gguf")
}

pub(crate) fn chat(generator: &LlamaGenerator, system: &str, user: &str) -> Prompt {
    generator.render(&[ChatMessage::new(Role::System, system), ChatMessage::new(Role::User, user)]).expect("rendered")
}

pub(crate) fn run(generator: &LlamaGenerator, request: &GenerateRequest) -> (Generation, Vec<String>) {
    let mut pieces = Vec::new();
    let generation = generator
        .generate(request, &mut |piece| {
            pieces.push(piece.to_owned());
            ControlFlow::Continue(())
        })
        .expect("generated");
    assert_eq!(pieces.concat(), generation.text);
    (generation, pieces)
}
