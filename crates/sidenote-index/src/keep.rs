//! Keeps the full-text index in line with the database: compares, replays, rebuilds.

use crate::error::IndexError;
use crate::files::{self, Layout};
use crate::index::Inner;
use crate::sqlite::{State, Writer};
use crate::tantivy::{Lexical, LexicalFailure, LexicalWriter, Payload};

/// How the full-text index stands to the database.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It holds every change.
    InLine(Lexical),
    /// It holds the changes up to `sequence`; the others are listed.
    Behind {
        /// Open and sound.
        lexical: Lexical,
        /// Last change that it holds.
        sequence: i64,
    },
    /// There is none, or it is damaged, or it belongs to something else.
    Unusable {
        /// Words for the log; `None` where there was none to begin with.
        reason: Option<String>,
    },
}

/// Opens the full-text index and compares it with the database. With `remember` (under the lock), files that were found
/// sound are not read again until they change.
pub(crate) fn inspect(layout: &Layout, state: &State, remember: bool) -> Standing {
    if state.lexical_generation == 0 {
        return Standing::Unusable { reason: None };
    }
    let folder = layout.lexical_generation(state.lexical_generation);
    let look = || -> Result<(Lexical, i64), LexicalFailure> {
        let lexical = Lexical::open(&folder, state.lexical_generation)?;
        lexical.verify(&notes(layout, state.lexical_generation), remember)?;
        match lexical.payload()? {
            Some(payload) if payload.follows(&state.uuid, state.sequence, state.trimmed_to) => {
                Ok((lexical, payload.sequence))
            }
            Some(payload) => Err(LexicalFailure::Broken(format!(
                "it holds change {} by analysis {}, the database has {} to {}",
                payload.sequence, payload.analysis, state.trimmed_to, state.sequence
            ))),
            None => Err(LexicalFailure::Broken("it does not say what it holds".to_owned())),
        }
    };
    match look() {
        Ok((lexical, sequence)) if sequence == state.sequence => Standing::InLine(lexical),
        Ok((lexical, sequence)) => Standing::Behind { lexical, sequence },
        Err(LexicalFailure::DiskFull) => Standing::Unusable { reason: Some("the disk is full".to_owned()) },
        Err(LexicalFailure::Broken(reason)) => Standing::Unusable { reason: Some(reason) },
    }
}

/// Where the checked files of a generation are noted.
pub(crate) fn notes(layout: &Layout, generation: i64) -> std::path::PathBuf {
    layout.lexical().join(format!("generation-{generation}.checked"))
}

/// Replays or rebuilds, so that the full-text index holds every change. The caller holds the lock.
pub(crate) fn bring_in_line(inner: &Inner, writer: &Writer, standing: Standing) -> Result<(), IndexError> {
    let state = inner.state()?;
    match standing {
        Standing::InLine(lexical) => {
            inner.install_lexical(lexical, state.sequence);
            Ok(())
        }
        Standing::Behind { lexical, sequence } => {
            let replayed = lexical.writer().and_then(|mut open| replay(inner, &mut open, sequence, &state));
            match replayed {
                Ok(()) => {
                    note(inner, writer, state.lexical_generation, state.sequence)?;
                    lexical.reload().map_err(|failure| failure.into_error(lexical.folder()))?;
                    inner.install_lexical(lexical, state.sequence);
                    Ok(())
                }
                Err(LexicalFailure::DiskFull) => Err(LexicalFailure::DiskFull.into_error(lexical.folder())),
                Err(LexicalFailure::Broken(reason)) => {
                    tracing::warn!(%reason, "changes could not be replayed into the full-text index; it is built anew");
                    drop(lexical);
                    rebuild_lexical(inner, writer)
                }
            }
        }
        Standing::Unusable { reason } => {
            if let Some(reason) = reason {
                tracing::warn!(%reason, "the full-text index cannot be used and is built anew");
            }
            rebuild_lexical(inner, writer)
        }
    }
}

/// Applies the changes after `sequence` and commits. May be repeated: a change is a removal and an addition.
pub(crate) fn replay(
    inner: &Inner,
    lexical: &mut LexicalWriter,
    sequence: i64,
    state: &State,
) -> Result<(), LexicalFailure> {
    let reader = inner.reader.clone();
    let changes = inner.sqlite.wait(async move { reader.changes_after(sequence).await }).map_err(read_failure)?;
    for (document, chunks) in changes {
        for &chunk in &chunks {
            lexical.remove(chunk)?;
        }
        let reader = inner.reader.clone();
        let source = inner.sqlite.wait(async move { reader.chunks_of(document).await }).map_err(read_failure)?;
        if let Some(source) = source {
            // `chunks` is ascending.
            for chunk in source.chunks.iter().filter(|chunk| chunks.binary_search(&chunk.id.0).is_ok()) {
                lexical.add(&source.title, source.language.as_deref(), chunk)?;
            }
        }
    }
    lexical.commit(&Payload::new(&state.uuid, state.sequence))
}

/// A failure to read the database, on its way through the full-text index's own kind of failure.
fn read_failure(error: IndexError) -> LexicalFailure {
    LexicalFailure::Broken(format!("the database could not be read: {error}"))
}

/// Makes a new generation from the database and removes the old one. The caller holds the lock.
pub(crate) fn rebuild_lexical(inner: &Inner, writer: &Writer) -> Result<(), IndexError> {
    let state = inner.state()?;
    let generation = state.lexical_generation + 1;
    let folder = inner.layout.lexical_generation(generation);
    inner.forget_lexical();
    files::remove_folder(&folder)?;
    files::make_private_folder(&folder)?;
    let fail = |failure: LexicalFailure| failure.into_error(&folder);
    let lexical = Lexical::create(&folder, generation).map_err(fail)?;
    let mut open = lexical.writer().map_err(fail)?;
    inner.each_document(|document| {
        let reader = inner.reader.clone();
        let source = match inner.sqlite.wait(async move { reader.chunks_of(document).await }) {
            // The others are to be found, and `doctor` opens the index to take this one out.
            Err(IndexError::Damaged { reason, .. }) => {
                tracing::warn!(%reason, "a damaged document is not found by its words; `sidenote doctor` says more");
                return Ok(());
            }
            source => source?,
        };
        let Some(source) = source else { return Ok(()) };
        for chunk in &source.chunks {
            open.add(&source.title, source.language.as_deref(), chunk).map_err(fail)?;
        }
        Ok(())
    })?;
    open.commit(&Payload::new(&state.uuid, state.sequence)).map_err(fail)?;
    drop(open);
    files::sync_folder(&inner.layout.lexical())?;
    crate::crash::point("rebuild-before-note");
    note(inner, writer, generation, state.sequence)?;
    lexical.reload().map_err(fail)?;
    inner.install_lexical(lexical, state.sequence);
    remove_strays(inner)
}

/// Notes in the database what the full-text index holds.
pub(crate) fn note(inner: &Inner, writer: &Writer, generation: i64, sequence: i64) -> Result<(), IndexError> {
    crate::crash::point("lexical-after-commit");
    let writer = writer.clone();
    inner.sqlite.wait(async move { writer.note_lexical(generation, sequence).await })
}

/// Removes folders that the database does not name: what a crash left, and older generations. The caller holds the lock.
pub(crate) fn remove_strays(inner: &Inner) -> Result<(), IndexError> {
    files::remove_folder(&inner.layout.restoring())?;
    let state = inner.state()?;
    let reader = inner.reader.clone();
    let segments = inner.sqlite.wait(async move { reader.segments().await })?;
    let mut wanted: Vec<std::ffi::OsString> =
        segments.iter().map(|row| format!("segment-{}", row.generation).into()).collect();
    wanted.push(format!("generation-{}", state.lexical_generation).into());
    wanted.push(format!("generation-{}.checked", state.lexical_generation).into());
    for folder in [inner.layout.lexical(), inner.layout.vectors()] {
        let Ok(entries) = fs_err::read_dir(&folder) else { continue };
        for entry in entries.flatten().filter(|entry| !wanted.contains(&entry.file_name())) {
            let path = entry.path();
            let removed = if path.is_dir() { files::remove_folder(&path) } else { Ok(fs_err::remove_file(&path)?) };
            if let Err(error) = removed {
                tracing::warn!(%error, "a folder that is no longer needed could not be removed");
            }
        }
    }
    Ok(())
}
