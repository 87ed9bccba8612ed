//! The whole of sidenote from a program of one's own: ingest a folder, search it, ask it, with streamed tokens.
//!
//! ```sh
//! cargo run --release --example ask -- corpus "Who approves travel expenses?"
//! ```
//!
//! Models are looked for in `SIDENOTE_MODELS`, else in `~/.local/share/sidenote/models` (`sidenote models pull` fills it).

#![expect(clippy::print_stdout, reason = "a program that prints its answer")]

use std::{error::Error, io::Write, path::PathBuf};

use sidenote::{AskEvent, AskRequest, CancelToken, Config, Engine, IngestRequest, SearchRequest};

fn main() -> Result<(), Box<dyn Error>> {
    // Extraction of strangers' files runs in a child process, which is this program started again.
    sidenote::worker_main();

    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "corpus".into());
    let question = arguments.next().unwrap_or_else(|| "Who approves travel expenses?".into());

    let data = std::env::temp_dir().join(format!("sidenote-example-{}", std::process::id()));
    let mut config = Config::default();
    config.paths.data.clone_from(&data);
    config.paths.models = models_folder();
    if let Ok(generator) = std::env::var("SIDENOTE_MODELS_GENERATOR") {
        config.models.generator = generator;
    }
    let engine = Engine::open(config)?;
    let cancel = CancelToken::new();

    let report = engine.ingest(&IngestRequest::new([folder]), &mut |_| {}, &cancel)?;
    println!("{} documents, {} chunks in {:.1} s", report.added, report.chunks, report.seconds);
    for failed in &report.failed {
        println!("  not read: {}: {}", failed.path.display(), failed.reason);
    }

    for hit in engine.search(&SearchRequest { limit: 3, ..SearchRequest::new(&question) })?.hits {
        println!("{}. {} {:?}", hit.rank, hit.document.path.display(), hit.snippet_text());
    }

    let answer = engine.ask(
        &AskRequest::new(question),
        &mut |event| {
            if let AskEvent::Token(text) = event {
                print!("{text}");
                let _ = std::io::stdout().flush();
            }
        },
        &cancel,
    )?;
    println!("\n\n{}", answer.reason.as_deref().unwrap_or(&answer.answer));
    for note in &answer.citations {
        println!("[{}] {}: {:?}", note.n, note.document.path.display(), note.quote);
    }

    fs_err::remove_dir_all(data)?;
    Ok(())
}

fn models_folder() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    std::env::var_os("SIDENOTE_MODELS").map_or_else(
        || {
            let data = std::env::var_os("XDG_DATA_HOME").map_or_else(|| home().join(".local/share"), PathBuf::from);
            data.join("sidenote/models")
        },
        PathBuf::from,
    )
}
