//! `sidenote ingest`.

use std::collections::BTreeMap;

use sidenote::{FileOutcome, IngestEvent, IngestRequest};
use sidenote_http::IngestReport;

use super::Session;
use crate::{
    args::IngestArgs,
    exit::Exit,
    format::{bytes, counted, duration},
    output::Output,
    progress::{Progress, Talk},
    terminal::one_line,
};

/// Reads files and folders.
pub(crate) fn run(session: &Session, args: &IngestArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let request = request(session, args);
    let mut progress = Progress::new(output.talk);
    if output.talk == Talk::Bar {
        progress.phase("looking through the folders");
    }
    let report = session.engine()?.ingest(&request, &mut |event| show(&event, &mut progress, output), &session.cancel);
    progress.finish();
    let report = report?;
    let exit = if report.interrupted {
        Exit::Interrupted
    } else if report.failed.is_empty() {
        Exit::Done
    } else {
        Exit::Partly
    };
    if output.json {
        output.print_json(&IngestReport::from(&report))?;
    } else {
        output.print(&summary(&report, output))?;
    }
    Ok(exit)
}

/// What was typed, as the engine takes it.
pub(super) fn request(session: &Session, args: &IngestArgs) -> IngestRequest {
    IngestRequest {
        collection: session.collection.clone().unwrap_or_else(|| sidenote::DEFAULT_COLLECTION.into()),
        keep_missing: args.keep_missing,
        allow_empty_root: args.allow_empty_root,
        rehash: args.rehash,
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        retry: args.retry,
        ..IngestRequest::new(&args.paths)
    }
}

pub(super) fn show(event: &IngestEvent<'_>, progress: &mut Progress, output: &Output) {
    match *event {
        IngestEvent::Scanned { files, bytes: size, unchanged, continues } => {
            if continues {
                progress
                    .note("the last ingest did not come to its end; what it finished is kept, and this one goes on");
            }
            let found = format!(
                "{} found, {} unchanged, {} to read",
                counted(files as u64, "file"),
                crate::format::thousands(unchanged as u64),
                bytes(size)
            );
            progress.phase(&found);
        }
        IngestEvent::Expected { chunks, seconds, bytes: size } => {
            progress.note(&format!(
                "about {}, {} at this machine's speed, {} in the data folder",
                counted(chunks as u64, "chunk"),
                duration(seconds),
                bytes(size)
            ));
        }
        IngestEvent::Progress { files_done, files_total, bytes_done, bytes_total, chunks_embedded } => {
            let seconds = progress.seconds();
            let rate = if seconds > 0.0 { chunks_embedded as f64 / seconds } else { 0.0 };
            let what = format!("{files_done}/{files_total} files, {rate:.0} chunks/s");
            progress.update(bytes_done, bytes_total, &what);
        }
        IngestEvent::Recognised { path, pages } => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            progress.within(&one_line(&format!("{name}: {} read by OCR", counted(pages as u64, "page"))));
        }
        IngestEvent::Reembedding { from, to, chunks_done, chunks_total } => {
            let what =
                format!("{chunks_done}/{chunks_total} chunks embedded anew with {to}; until then {from} answers");
            progress.update(chunks_done as u64, chunks_total as u64, &one_line(&what));
        }
        IngestEvent::Sealing { vectors } => {
            progress.phase(&format!(
                "all can be searched; building the vector index of {}",
                counted(vectors as u64, "vector")
            ));
        }
        IngestEvent::Warning { path, text } => progress.note(&format!("warning: {}: {text}", output.names.short(path))),
        IngestEvent::File { path, outcome, chunks } => {
            if output.verbose > 0 {
                let path = output.names.short(path);
                progress.note(&match outcome {
                    FileOutcome::Added => format!("added {path}, {}", counted(chunks as u64, "chunk")),
                    FileOutcome::Updated => format!("updated {path}, {}", counted(chunks as u64, "chunk")),
                    FileOutcome::Unchanged => format!("unchanged {path}"),
                    FileOutcome::Renamed { from } => format!("renamed {path}, was {}", output.names.short(from)),
                    FileOutcome::Removed => format!("removed {path}"),
                    FileOutcome::Failed(reason) => format!("failed {path}: {reason}"),
                });
            }
        }
    }
}

/// What an ingest did, in words.
pub(super) fn summary(report: &sidenote::IngestReport, output: &Output) -> String {
    let wire = IngestReport::from(report);
    let changed = wire.added + wire.updated + wire.renamed + wire.removed;
    let mut lines = Vec::new();
    if report.interrupted {
        lines.push("Interrupted; what was finished is kept. The same command goes on from here.".to_owned());
    }
    if wire.reembedded > 0 {
        let chunks = counted(wire.reembedded, "chunk");
        lines.push(format!("{chunks} embedded anew, with the embedding model that is named now."));
    }
    lines.push(if changed == 0 && wire.failed.is_empty() && !report.interrupted {
        if wire.unchanged == 0 {
            "Nothing to read: no files found.".to_owned()
        } else {
            format!("Nothing changed: {} up to date.", counted(wire.unchanged, "document"))
        }
    } else {
        let mut parts = vec![format!("{} added", counted(wire.added, "document"))];
        for (number, what) in [
            (wire.updated, "updated"),
            (wire.renamed, "renamed"),
            (wire.unchanged, "unchanged"),
            (wire.removed, "removed"),
        ] {
            if number > 0 {
                parts.push(format!("{} {what}", crate::format::thousands(number)));
            }
        }
        format!("{}; {} in {}.", parts.join(", "), counted(wire.chunks, "chunk"), duration(wire.seconds))
    });
    if !report.failed.is_empty() {
        lines.push(format!("{} could not be read:", counted(report.failed.len() as u64, "file")));
        lines.extend(failures(&report.failed, output));
    }
    lines.join("\n")
}

/// More files of a kind than this are counted, not listed.
const MOST_OF_A_KIND: usize = 5;

/// A line for each failed file, or for many that are all of a format that is not read, such as photographs.
fn failures(failed: &[sidenote::FailedFile], output: &Output) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&sidenote::FailedFile>> = BTreeMap::new();
    for one in failed {
        by_reason.entry(&one.reason).or_default().push(one);
    }
    let mut lines = Vec::new();
    for (reason, files) in by_reason {
        let listed = if files.len() > MOST_OF_A_KIND { 2 } else { files.len() };
        for file in &files[..listed] {
            lines.push(format!("  {}: {}", output.names.short(&file.path), one_line(reason)));
        }
        if listed < files.len() {
            lines.push(format!("  and {} more: {}", files.len() - listed, one_line(reason)));
        }
    }
    lines
}
