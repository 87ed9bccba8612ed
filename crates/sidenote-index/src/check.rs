//! Everything in a data folder held against everything else: every byte is read, and nothing is trusted.

use sha2::{Digest as _, Sha256};

use crate::error::IndexError;
use crate::index::Inner;
use crate::segment::Segment;
use crate::tantivy::Lexical;
use crate::types::{ChatId, DocumentId, StoredChunk};

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What: `database`, `documents`, `chunks`, `vectors`, `full_text`, `segments`, `chats`.
    pub name: &'static str,
    /// Whether all is as it should be.
    pub ok: bool,
    /// How much was looked at, or what is wrong.
    pub detail: String,
    /// Whether [`crate::IndexWriter::repair`] mends it.
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
        add("documents", true, documents(inner)?);
        add("chunks", true, chunks(inner)?);
        add("vectors", true, vectors(inner)?);
        add("full_text", true, full_text(inner)?);
        add("segments", true, segments(inner)?);
        add("chats", true, chats(inner)?);
    }
    // Where the database is damaged, whatever else would be found follows from it.
    Ok(checks)
}

/// A document that is not as it was stored, and what is wrong with it.
type Damage = (DocumentId, String);

/// What is not as it was stored.
#[derive(Debug)]
pub(crate) struct Damaged {
    /// By themselves, by their chunks or by their vectors.
    pub(crate) documents: Vec<DocumentId>,
    /// Ids of vectors.
    pub(crate) vectors: Vec<i64>,
    pub(crate) chats: Vec<ChatId>,
}

/// Looks for everything that is not as it was stored.
pub(crate) fn damaged(inner: &Inner) -> Result<Damaged, IndexError> {
    let (vectors, _) = damaged_vectors(inner)?;
    let (reader, ids) = (inner.reader.clone(), vectors.clone());
    let with_vectors = inner.sqlite.wait(async move { reader.documents_with_vectors(&ids).await })?;
    let ((documents, _), (chunks, _)) = (damage_of_documents(inner)?, damage_of_chunks(inner)?);
    let documents = documents.into_iter().chain(chunks).map(|(document, _)| document).chain(with_vectors).collect();
    let (_, chats) = damaged_chats(inner)?;
    Ok(Damaged { documents, vectors, chats })
}

fn finding_of(damage: &[Damage], sound: impl FnOnce() -> String) -> Finding {
    match damage.first() {
        None => Ok(sound()),
        Some((_, first)) => Err(format!("{} documents are not as they were stored, such as: {first}", damage.len())),
    }
}

fn documents(inner: &Inner) -> Result<Finding, IndexError> {
    let (damage, all) = damage_of_documents(inner)?;
    Ok(finding_of(&damage, || format!("{all} with all of their text")))
}

/// Also says how many documents there are.
fn damage_of_documents(inner: &Inner) -> Result<(Vec<Damage>, usize), IndexError> {
    let reader = inner.reader.clone();
    let incomplete = inner.sqlite.wait(async move { reader.incomplete_documents().await })?;
    let mut all = 0;
    let damage = damage_by(inner, |document| {
        all += 1;
        let reader = inner.reader.clone();
        inner.sqlite.wait(async move {
            reader.document(document).await?;
            reader.pages(document).await
        })?;
        let lacks = incomplete.binary_search(&document).is_ok();
        Ok(lacks.then(|| format!("document {} lacks some of its text", document.0)))
    })?;
    Ok((damage, all))
}

fn chunks(inner: &Inner) -> Result<Finding, IndexError> {
    let (damage, all) = damage_of_chunks(inner)?;
    Ok(finding_of(&damage, || format!("{all}, each with the text its vector was made from")))
}

/// Also says how many chunks there are.
fn damage_of_chunks(inner: &Inner) -> Result<(Vec<Damage>, usize), IndexError> {
    let mut all = 0;
    let damage = damage_by(inner, |document| {
        let reader = inner.reader.clone();
        let chunks = inner.sqlite.wait(async move { reader.chunks_with_hashes(document).await })?;
        all += chunks.len();
        let wrong = chunks.iter().find(|(chunk, hash)| !is_sound(chunk, hash));
        Ok(wrong.map(|(chunk, _)| format!("chunk {} does not have the text that was stored", chunk.id.0)))
    })?;
    Ok((damage, all))
}

/// Looks at every document. What is damaged for the database is damaged, and so is what `look` has something to say about.
fn damage_by(
    inner: &Inner,
    mut look: impl FnMut(DocumentId) -> Result<Option<String>, IndexError>,
) -> Result<Vec<Damage>, IndexError> {
    let mut damage = Vec::new();
    inner.each_document(|document| {
        match look(document) {
            Ok(wrong) => damage.extend(wrong.map(|wrong| (document, wrong))),
            Err(IndexError::Damaged { reason, .. }) => damage.push((document, reason)),
            Err(other) => return Err(other),
        }
        Ok(())
    })?;
    Ok(damage)
}

fn vectors(inner: &Inner) -> Result<Finding, IndexError> {
    let Some(model) = inner.model()? else { return Ok(Ok("none yet".to_owned())) };
    let reader = inner.reader.clone();
    let next = inner.sqlite.wait(async move { reader.next_vectors().await })?;
    let (damaged, all) = damaged_vectors(inner)?;
    Ok(match damaged.len() {
        0 if next > 0 => {
            Ok(format!("{all} of length 1, {next} of them by a model that is to take over from `{}`", model.name))
        }
        0 => Ok(format!("{all} of length 1 by `{}`", model.name)),
        some => Err(format!("{some} of {all} are damaged")),
    })
}

/// Ids of the vectors that no model has made; also says how many vectors there are.
fn damaged_vectors(inner: &Inner) -> Result<(Vec<i64>, usize), IndexError> {
    let is_unit = |vector: &[f32], dimensions: usize| {
        let squares: f32 = vector.iter().map(|number| number * number).sum();
        vector.len() == dimensions && (squares - 1.0).abs() < 1e-3
    };
    let (mut damaged, mut all, mut after) = (Vec::new(), 0, 0);
    loop {
        let reader = inner.reader.clone();
        let vectors = inner.sqlite.wait(async move { reader.vectors_after(after, 4096).await })?;
        let Some((last, ..)) = vectors.last() else { return Ok((damaged, all)) };
        after = *last;
        all += vectors.len();
        let wrong = vectors.iter().filter(|(_, vector, dimensions)| !is_unit(vector, *dimensions));
        damaged.extend(wrong.map(|(id, ..)| *id));
    }
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

fn chats(inner: &Inner) -> Result<Finding, IndexError> {
    let (all, damaged) = damaged_chats(inner)?;
    Ok(match damaged.first() {
        None => Ok(format!("{all} questions and their answers")),
        Some(ChatId(first)) => Err(format!("{} are not as they were stored, such as chat {first}", damaged.len())),
    })
}

/// How many questions there are in all, and the conversations that are not as they were stored.
fn damaged_chats(inner: &Inner) -> Result<(u64, Vec<ChatId>), IndexError> {
    let reader = inner.reader.clone();
    inner.sqlite.wait(async move { reader.damaged_chats().await })
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
        match Segment::open(&folder, &uuid, &model, row.generation) {
            Ok(_) => sound += 1,
            Err(reason) => broken.push((row.generation, format!("`{}`: {reason}", folder.display()))),
        }
    }
    Ok((sound, broken))
}
