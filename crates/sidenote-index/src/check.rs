//! Everything in a data folder held against everything else: every byte is read, and nothing is trusted.

use sha2::{Digest as _, Sha256};

use crate::error::IndexError;
use crate::hnsw::HnswSegment;
use crate::index::Inner;
use crate::tantivy::Lexical;
use crate::types::{DocumentId, StoredChunk};

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What: `database`, `documents`, `chunks`, `vectors`, `full_text`, `segments`.
    pub name: &'static str,
    /// Whether all is as it should be.
    pub ok: bool,
    /// How much was looked at, or what is wrong.
    pub detail: String,
    /// Whether [`crate::IndexWriter::repair`] mends it: what is made from the database can be made anew.
    pub can_repair: bool,
}

/// How much was looked at, or what is wrong.
type Finding = Result<String, String>;

/// Whether the chunk's prefix and text are those that its vector was made from.
pub(crate) fn is_sound(chunk: &StoredChunk, hash: &[u8]) -> bool {
    let mut digest = Sha256::new();
    if !chunk.prefix.is_empty() {
        digest.update(&chunk.prefix);
        digest.update("\n");
    }
    digest.update(&chunk.text);
    digest.finalize()[..] == *hash
}

/// Reads every byte of the data folder and compares the stores with each other. The caller holds the lock.
pub(crate) fn check(inner: &Inner) -> Result<Vec<Check>, IndexError> {
    let mut checks = Vec::new();
    let mut add = |name, can_repair, finding: Finding| {
        let ok = finding.is_ok();
        let detail = finding.unwrap_or_else(|problem| problem);
        checks.push(Check { name, ok, detail, can_repair: can_repair && !ok });
        ok
    };
    let reader = inner.reader.clone();
    let problem = inner.sqlite.wait(async move { reader.integrity().await })?;
    if add("database", false, problem.map_or_else(|| Ok("whole".to_owned()), Err)) {
        add("documents", false, documents(inner)?);
        add("chunks", false, chunks(inner)?);
        add("vectors", false, vectors(inner)?);
        add("full_text", true, full_text(inner)?);
        add("segments", true, segments(inner)?);
    }
    // Where the database is damaged, whatever else would be found follows from it.
    Ok(checks)
}

fn documents(inner: &Inner) -> Result<Finding, IndexError> {
    let reader = inner.reader.clone();
    let (all, incomplete) = inner.sqlite.wait(async move { reader.incomplete_documents().await })?;
    if incomplete > 0 {
        return Ok(Err(format!("{incomplete} of {all} documents lack some of their text")));
    }
    let damage = each_document(inner, |document| {
        let reader = inner.reader.clone();
        inner.sqlite.wait(async move {
            reader.document(document).await?;
            reader.pages(document).await
        })?;
        Ok(())
    })?;
    Ok(match damage {
        None => Ok(format!("{all} with all of their text")),
        Some(damage) => Err(damage),
    })
}

fn chunks(inner: &Inner) -> Result<Finding, IndexError> {
    let (mut all, mut wrong) = (0_usize, Vec::new());
    let damage = each_document(inner, |document| {
        let reader = inner.reader.clone();
        for (chunk, hash) in inner.sqlite.wait(async move { reader.chunks_with_hashes(document).await })? {
            all += 1;
            if !is_sound(&chunk, &hash) {
                wrong.push(chunk.id.0);
            }
        }
        Ok(())
    })?;
    Ok(match (damage, wrong.first()) {
        (Some(damage), _) => Err(damage),
        (None, Some(first)) => {
            Err(format!("{} do not have the text that was stored, such as chunk {first}", wrong.len()))
        }
        (None, None) => Ok(format!("{all}, each with the text its vector was made from")),
    })
}

/// Looks at every document; what was damaged, and how many were.
fn each_document(
    inner: &Inner,
    mut look: impl FnMut(DocumentId) -> Result<(), IndexError>,
) -> Result<Option<String>, IndexError> {
    let (mut damaged, mut first, mut after) = (0_usize, None, 0);
    loop {
        let reader = inner.reader.clone();
        let documents = inner.sqlite.wait(async move { reader.document_ids(after, 1000).await })?;
        let Some(&DocumentId(last)) = documents.last() else { break };
        after = last;
        for document in documents {
            match look(document) {
                Ok(()) => {}
                Err(IndexError::Damaged { reason, .. }) => {
                    damaged += 1;
                    first.get_or_insert(reason);
                }
                Err(other) => return Err(other),
            }
        }
    }
    Ok(first.map(|first| format!("{damaged} documents are not as they were stored, such as: {first}")))
}

fn vectors(inner: &Inner) -> Result<Finding, IndexError> {
    let Some(model) = inner.model()? else { return Ok(Ok("none yet".to_owned())) };
    let is_unit = |vector: &[f32], dimensions: usize| {
        let squares: f32 = vector.iter().map(|number| number * number).sum();
        vector.len() == dimensions && (squares - 1.0).abs() < 1e-3
    };
    let (mut all, mut damaged, mut after) = (0_usize, 0_usize, 0);
    let reader = inner.reader.clone();
    let next = inner.sqlite.wait(async move { reader.next_vectors().await })?;
    loop {
        let reader = inner.reader.clone();
        let vectors = inner.sqlite.wait(async move { reader.vectors_after(after, 4096).await })?;
        let Some((last, ..)) = vectors.last() else { break };
        after = *last;
        all += vectors.len();
        damaged += vectors.iter().filter(|(_, vector, dimensions)| !is_unit(vector, *dimensions)).count();
    }
    Ok(match damaged {
        0 if next > 0 => {
            Ok(format!("{all} of length 1, {next} of them by a model that is to take over from `{}`", model.name))
        }
        0 => Ok(format!("{all} of length 1 by `{}`", model.name)),
        some => Err(format!("{some} of {all} are damaged")),
    })
}

fn full_text(inner: &Inner) -> Result<Finding, IndexError> {
    let reader = inner.reader.clone();
    let chunks = inner.sqlite.wait(async move { reader.chunk_ids().await })?;
    let generation = inner.state()?.lexical_generation;
    let folder = inner.layout.lexical_generation(generation);
    let look = || {
        let lexical = Lexical::open(&folder, generation)?;
        // No notes of an earlier look: every byte is read.
        lexical.verify(&folder.join("no-notes"), false)?;
        lexical.chunk_ids()
    };
    Ok(match look() {
        Ok(held) if held == chunks => Ok(format!("{} chunks, every file as it was written", held.len())),
        Ok(held) => {
            let missing = chunks.iter().filter(|id| held.binary_search(id).is_err()).count();
            let extra = held.iter().filter(|id| chunks.binary_search(id).is_err()).count();
            Err(format!("{missing} chunks are missing in it, {extra} in it are gone"))
        }
        Err(failure) => Err(failure.into_error(&folder).to_string()),
    })
}

fn segments(inner: &Inner) -> Result<Finding, IndexError> {
    let (sound, broken) = sort_segments(inner)?;
    Ok(match broken.first() {
        None => Ok(format!("{sound} sealed")),
        Some((_, reason)) => Err(reason.clone()),
    })
}

/// A segment's generation, and why it cannot be loaded.
pub(crate) type BrokenSegment = (i64, String);

/// The number of segments that can be loaded, and those that cannot.
pub(crate) fn sort_segments(inner: &Inner) -> Result<(usize, Vec<BrokenSegment>), IndexError> {
    let (mut sound, mut broken) = (0, Vec::new());
    let Some(model) = inner.model()? else { return Ok((sound, broken)) };
    let uuid = inner.state()?.uuid;
    let reader = inner.reader.clone();
    for row in inner.sqlite.wait(async move { reader.segments().await })? {
        let folder = inner.layout.segment(row.generation);
        match HnswSegment::load(&folder, &uuid, &model, row.generation, inner.options.ef_search) {
            Ok(_) => sound += 1,
            Err(reason) => broken.push((row.generation, format!("`{}`: {reason}", folder.display()))),
        }
    }
    Ok((sound, broken))
}
