//! `sidenote export`.

use std::io::{self, Write};

use sidenote_http::{ExportReport, ExportedDocument, to_safe_json};

use super::{Session, absolute};
use crate::{args::ExportArgs, exit::Exit, format::counted};

/// Writes documents and chunks, a document a line.
pub(crate) fn run(session: &Session, args: &ExportArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let engine = session.engine()?;
    let (mut documents, mut chunks) = (0, 0);
    let mut write_all = |out: &mut dyn Write| {
        engine.export(session.collection.as_deref(), &mut |exported| {
            documents += 1;
            chunks += exported.chunks.len() as u64;
            writeln!(out, "{}", to_safe_json(&ExportedDocument::from(exported))?)
        })
    };
    let Some(file) = args.file.as_deref().map(absolute) else {
        let mut out = io::BufWriter::new(io::stdout().lock());
        write_all(&mut out)?;
        out.flush()?;
        return Ok(if documents == 0 { Exit::Nothing } else { Exit::Done });
    };
    // A file of the same name is replaced when the new one is whole.
    let part = file.with_added_extension("part");
    let mut out = io::BufWriter::new(fs_err::File::create(&part)?);
    let written = write_all(&mut out).map_err(anyhow::Error::from).and_then(|()| {
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(fs_err::rename(&part, &file)?)
    });
    if let Err(error) = written {
        let _ = fs_err::remove_file(&part);
        return Err(error);
    }
    if output.json {
        output.print_json(&ExportReport { path: file.to_string_lossy().into_owned(), documents, chunks })?;
    } else {
        let (documents, chunks) = (counted(documents, "document"), counted(chunks, "chunk"));
        output.print(&format!("{documents} with {chunks} in {}", output.names.short(&file)))?;
    }
    Ok(if documents == 0 { Exit::Nothing } else { Exit::Done })
}
