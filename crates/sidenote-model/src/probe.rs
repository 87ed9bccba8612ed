//! Trying a GGUF in a process of its own, where an abort of llama.cpp harms nobody.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::stamp::{Stamp, file_sha256};
use crate::{ChatMessage, GenerateRequest, Generator, LlamaGenerator, LlamaOptions, ModelError, Role};

/// A model that takes longer to load and say two tokens is not one for this machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Another build may meet another bug.
const PROBED_BY: &str = concat!("sidenote ", env!("CARGO_PKG_VERSION"));

/// Loads the file in this process and generates two tokens.
///
/// # Errors
/// Whatever loading and generating report. It may also abort the process: that is what it is for.
pub fn probe_gguf(path: &Path) -> Result<(), ModelError> {
    let options = LlamaOptions { name: "probe".to_owned(), context_tokens: 256, ..LlamaOptions::default() };
    let generator = LlamaGenerator::load(path, &options)?;
    let prompt = generator.render(&[ChatMessage::new(Role::User, "1 2 3")])?;
    if prompt.tokens.len() < 250 {
        generator.generate(&GenerateRequest::greedy(prompt, 2), &mut |_| std::ops::ControlFlow::Continue(()))?;
    }
    Ok(())
}

/// The body of a probing process: what `--probe-gguf PATH` is to run. Says on standard error what is wrong, and gives the
/// exit code to end with: 0 when the file works, 2 when it does not.
#[must_use]
pub fn probe_main(path: &Path) -> i32 {
    match probe_gguf(path) {
        Ok(()) => 0,
        Err(error) => {
            // The path is known to who asked, and comes back in their own message.
            let reason = if let ModelError::Damaged { reason, .. } = error { reason } else { error.to_string() };
            let _ = writeln!(std::io::stderr(), "{reason}");
            2
        }
    }
}

/// Has `program` probe the file, unless this file was probed before.
pub(crate) fn probe_once(program: &Path, path: &Path) -> Result<(), ModelError> {
    if Stamp::read(path).and_then(|stamp| stamp.probed_by).as_deref() == Some(PROBED_BY) {
        return Ok(());
    }
    let started = Instant::now();
    run_probe(program, path, PATIENCE)?;
    tracing::debug!(milliseconds = started.elapsed().as_millis(), "model file probed");
    let sha256 = file_sha256(path)?;
    Stamp::write(path, &sha256, Some(PROBED_BY))?;
    Ok(())
}

fn run_probe(program: &Path, path: &Path, patience: Duration) -> Result<(), ModelError> {
    let damaged = |reason: String| ModelError::Damaged { path: path.to_owned(), reason };
    let mut child = Command::new(program)
        .arg("--probe-gguf")
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut words = Vec::new();
        if let Some(mut stderr) = stderr {
            // The first words are kept, the rest is read so that the child never waits for us.
            let _ = stderr.by_ref().take(4096).read_to_end(&mut words);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        }
        String::from_utf8_lossy(&words).into_owned()
    });
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let words = reader.join().unwrap_or_default();
    let words: String =
        words.trim().chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    match status {
        None => Err(damaged(format!("trying it took longer than {} seconds", patience.as_secs()))),
        Some(status) if status.success() => Ok(()),
        Some(_) if !words.is_empty() => Err(damaged(words)),
        Some(status) => Err(damaged(format!("trying it ended with {status}"))),
    }
}
