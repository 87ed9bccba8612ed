//! `sidenote documents`.

use sidenote_http::{Document, DocumentList};

use super::Session;
use crate::{exit::Exit, format::counted, terminal::one_line};

/// Lists the documents.
pub(crate) fn run(session: &Session) -> anyhow::Result<Exit> {
    let output = &session.output;
    let documents = session.engine()?.documents(session.collection.as_deref())?;
    let exit = if documents.is_empty() { Exit::Nothing } else { Exit::Done };
    if output.json {
        output.print_json(&DocumentList { documents: documents.iter().map(Document::from).collect() })?;
        return Ok(exit);
    }
    if documents.is_empty() {
        output.hint(match session.collection {
            Some(_) => "there is nothing in this collection; `sidenote status` lists the collections",
            None => "nothing has been ingested yet; `sidenote ingest FOLDER` reads a folder",
        });
        return Ok(exit);
    }
    let terminal = output.terminal;
    let lines: Vec<String> = documents
        .iter()
        .map(|document| {
            let mut notes = Vec::new();
            notes.extend(document.title.as_deref().map(one_line));
            notes.extend(document.page_count.map(|pages| counted(pages.into(), "page")));
            if session.collection.is_none() && document.collection != sidenote::DEFAULT_COLLECTION {
                notes.push(format!("in {}", one_line(&document.collection)));
            }
            if document.stale {
                notes.push("changed since it was read".into());
            }
            let path = output.names.document(&document.path, document.part.as_deref());
            if notes.is_empty() { path } else { format!("{path}  {}", terminal.dim(&notes.join(", "))) }
        })
        .collect();
    output.print(&lines.join("\n"))?;
    Ok(exit)
}
