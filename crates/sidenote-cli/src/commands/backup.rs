//! `sidenote backup` and `sidenote restore`.

use std::path::Path;

use sidenote::Engine;
use sidenote_http::BackupReport;

use super::{Session, absolute};
use crate::{
    args::{BackupArgs, RestoreArgs},
    exit::Exit,
    format::{bytes, counted},
};

/// Writes everything to one file.
pub(crate) fn save(session: &Session, args: &BackupArgs) -> anyhow::Result<Exit> {
    let engine = session.engine()?;
    let file = absolute(&args.file);
    let length = engine.backup(&file)?;
    report(session, &engine, &file, length, "in")
}

/// Makes the data folder what it was.
pub(crate) fn bring_back(session: &Session, args: &RestoreArgs) -> anyhow::Result<Exit> {
    let engine = session.engine()?;
    let file = absolute(&args.file);
    engine.restore(&file, args.replace)?;
    let length = fs_err::metadata(&file)?.len();
    report(session, &engine, &file, length, "restored from")
}

fn report(session: &Session, engine: &Engine, file: &Path, length: u64, what: &str) -> anyhow::Result<Exit> {
    let output = &session.output;
    let status = engine.status(None)?;
    if output.json {
        output.print_json(&BackupReport {
            path: file.to_string_lossy().into_owned(),
            bytes: length,
            documents: status.documents,
            chunks: status.chunks,
        })?;
        return Ok(Exit::Done);
    }
    output.print(&format!(
        "{}, {} {what} {} ({})",
        counted(status.documents, "document"),
        counted(status.chunks, "chunk"),
        output.names.short(file),
        bytes(length)
    ))?;
    Ok(Exit::Done)
}
