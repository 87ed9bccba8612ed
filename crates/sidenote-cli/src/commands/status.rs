//! `sidenote status`.

use sidenote_http::Status;

use super::Session;
use crate::{
    exit::Exit,
    format::{bytes, counted, thousands},
    terminal::one_line,
};

/// Shows what is stored.
pub(crate) fn run(session: &Session) -> anyhow::Result<Exit> {
    let output = &session.output;
    let status = session.engine()?.status(session.collection.as_deref())?;
    let wire = Status::from(&status);
    if output.json {
        output.print_json(&wire)?;
        return Ok(Exit::Done);
    }
    let model = |name: &Option<String>, absent: &str| name.as_deref().map_or_else(|| absent.to_owned(), one_line);
    let mut rows = vec![
        ("Documents", thousands(wire.documents)),
        ("Chunks", thousands(wire.chunks)),
        ("Vectors", thousands(wire.vectors)),
        ("Size", format!("{} in {}", bytes(wire.bytes), output.names.short(&session.settings.config.paths.data))),
        ("Embedding", model(&wire.models.embedding, "none yet")),
        ("Generation", model(&wire.models.generation, "none")),
    ];
    for (at, collection) in wire.collections.iter().enumerate() {
        let text = format!(
            "{}: {}, {}",
            one_line(&collection.name),
            counted(collection.documents, "document"),
            counted(collection.chunks, "chunk")
        );
        rows.push((if at == 0 { "Collections" } else { "" }, text));
    }
    if wire.kv.sequences > 0 {
        rows.push(("KV cache", format!("{}, {}", counted(wire.kv.sequences, "prompt"), bytes(wire.kv.bytes))));
    }
    for (at, failed) in status.failures.iter().enumerate() {
        let text = format!("{}: {}", output.names.short(&failed.path), one_line(&failed.reason));
        rows.push((if at == 0 { "Not read" } else { "" }, text));
    }
    let text: Vec<String> =
        rows.iter().map(|(name, value)| format!("{} {value}", output.terminal.dim(&format!("{name:<12}")))).collect();
    output.print(&text.join("\n"))?;
    if wire.documents == 0 {
        output.hint("nothing has been ingested yet; `sidenote ingest FOLDER` reads a folder");
    }
    Ok(Exit::Done)
}
