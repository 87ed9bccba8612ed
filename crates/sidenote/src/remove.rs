//! Documents are taken out.

use std::path::PathBuf;

use sidenote_index::Index;

use crate::{error::Error, walk::absolute};

/// What to remove.
#[derive(Clone, Debug)]
pub struct RemoveRequest {
    /// Files, and folders with all below them. They need not exist any more.
    pub paths: Vec<PathBuf>,
    /// The collection they are removed from.
    pub collection: String,
    /// Leave nothing in any byte of the data folder. Takes time that grows with the data folder.
    pub purge: bool,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoveReport {
    /// Documents.
    pub removed: usize,
    /// Of those, gone from every byte.
    pub purged: usize,
    /// Files that could not be read, and are no longer listed.
    pub unlisted: usize,
}

pub(crate) fn remove(index: &Index, request: &RemoveRequest) -> Result<RemoveReport, Error> {
    let mut writer = index.writer()?;
    let paths: Vec<PathBuf> = request.paths.iter().map(|path| absolute(path)).collect();
    if request.purge {
        // Should this process end on the way, the next one that writes goes on from there.
        writer.announce_purge()?;
    }
    let forgotten = writer.forget(&request.collection, &paths)?;
    writer.commit()?;
    if request.purge {
        writer.compact()?;
    }
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let removed = count(forgotten.documents);
    Ok(RemoveReport { removed, purged: if request.purge { removed } else { 0 }, unlisted: count(forgotten.failures) })
}
