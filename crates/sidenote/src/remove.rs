//! Documents are taken out.

use std::path::PathBuf;

use sidenote_index::{DocumentId, Index};

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
}

pub(crate) fn remove(index: &Index, request: &RemoveRequest) -> Result<RemoveReport, Error> {
    let mut writer = index.writer()?;
    let paths: Vec<PathBuf> = request.paths.iter().map(|path| absolute(path)).collect();
    let ids: Vec<DocumentId> = index
        .documents(Some(&request.collection))?
        .into_iter()
        .filter(|document| paths.iter().any(|path| document.path.starts_with(path)))
        .map(|document| document.id)
        .collect();
    let removed = writer.remove(&ids)?;
    writer.commit()?;
    if request.purge {
        writer.compact()?;
    }
    Ok(RemoveReport { removed, purged: if request.purge { removed } else { 0 } })
}
