//! `sidenote compact`.

use sidenote_http::CompactReport;

use super::Session;
use crate::{
    exit::Exit,
    format::{bytes, counted},
};

/// Takes every byte of removed documents out of the data folder.
pub(crate) fn run(session: &Session) -> anyhow::Result<Exit> {
    let output = &session.output;
    let report = CompactReport::from(&session.engine()?.compact()?);
    if output.json {
        output.print_json(&report)?;
        return Ok(Exit::Done);
    }
    output.print(&format!(
        "{} without a chunk dropped; {} before, {} now",
        counted(report.dropped_vectors, "vector"),
        bytes(report.bytes_before),
        bytes(report.bytes_after)
    ))?;
    Ok(Exit::Done)
}
