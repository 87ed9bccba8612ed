//! A set's documents on their way into the index, as if they were files of plain text with a title.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use sidenote_index::{DocumentId, Fingerprint, Index, NewChunk, NewDocument};
use sidenote_model::{CancelToken, Embedder};
use sidenote_text::{Document, ExtractLimits, Heading, SourceFile, Span, chunk_document, embedded_hash};

use super::{EvalEvent, set::SetDocument};
use crate::{
    config::Config,
    embedding::{EMBED_AT_A_TIME, give_vectors},
    error::Error,
    models::model_info,
    reading::{Counter, chunk_options},
};

/// The collection of a set's documents, which no ingest gives a name like this: an index with another one is somebody's own.
pub(super) const COLLECTION: &str = "sidenote eval";
/// Before the id of a document, which may be any text, so that it is a path of its own. No such file is opened.
const PREFIX: &str = "eval:";
/// Chunks stored at a time.
const STORE_AT_A_TIME: usize = 4 * EMBED_AT_A_TIME;

/// A document that is about to be stored.
type Prepared = Vec<(NewDocument, Vec<NewChunk>)>;

/// The id of a document of the set.
pub(super) fn id_of(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.strip_prefix(PREFIX).unwrap_or(&path).to_owned()
}

/// Makes the index hold these documents and no others. What is there already is left alone.
pub(super) fn bring_in(
    index: &Index,
    config: &Config,
    embedder: &dyn Embedder,
    documents: &[SetDocument],
    progress: &mut dyn FnMut(EvalEvent),
    cancel: &CancelToken,
) -> Result<(), Error> {
    if let Some(other) = index.documents(None)?.iter().find(|document| document.collection != COLLECTION) {
        let reason =
            "is no document of a set, and the set's documents would replace it; name another folder for the index";
        return Err(Error::EvalSet { path: other.path.clone(), reason: reason.into() });
    }
    let mut writer = index.writer()?;
    if index.embedding_model()?.is_some_and(|known| known != model_info(embedder)) {
        // Of another model there is nothing to keep: the set is where it was.
        let all: Vec<DocumentId> = index.documents(None)?.iter().map(|document| document.id).collect();
        writer.remove(&all)?;
        writer.compact()?;
    }
    writer.set_embedding_model(&model_info(embedder))?;
    let options = chunk_options(config, embedder);
    let stamp = format!("{} {} {}", env!("CARGO_PKG_VERSION"), options.max_tokens, options.max_prefix_tokens);
    let known: HashMap<PathBuf, (DocumentId, [u8; 32])> = index
        .documents(None)?
        .into_iter()
        .map(|document| (document.path, (document.id, document.fingerprint.sha256)))
        .collect();
    let wanted: HashSet<PathBuf> = documents.iter().map(path_of).collect();
    let gone: Vec<DocumentId> =
        known.iter().filter(|(path, _)| !wanted.contains(*path)).map(|(_, (id, _))| *id).collect();
    writer.remove(&gone)?;
    let mut prepared: Vec<Prepared> = Vec::new();
    let mut chunks = 0;
    for (done, document) in documents.iter().enumerate() {
        let sha256 = hash_of(document, &stamp);
        if known.get(&path_of(document)).is_some_and(|(_, known)| *known == sha256) {
            continue;
        }
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let counter = Counter { embedder, cancel };
        let read = read(document);
        if let (None, Some((id, _))) = (&read, known.get(&path_of(document))) {
            writer.remove(&[*id])?;
        }
        if let Some(read) = read {
            let cut = chunk_document(&read, &counter, &options).into_iter();
            let cut: Vec<NewChunk> =
                cut.map(|chunk| NewChunk { hash: embedded_hash(&chunk), chunk, vector: None }).collect();
            chunks += cut.len();
            prepared.push(vec![(new_document(document, read, sha256), cut)]);
        }
        if chunks >= STORE_AT_A_TIME || done + 1 == documents.len() {
            embed(index, embedder, &mut prepared)?;
            writer.put_files(prepared.iter().map(Vec::as_slice))?;
            prepared.clear();
            chunks = 0;
            progress(EvalEvent::Indexing { done: done + 1, total: documents.len() });
        }
    }
    embed(index, embedder, &mut prepared)?;
    writer.put_files(prepared.iter().map(Vec::as_slice))?;
    writer.commit()?;
    writer.seal(&mut |_, _| !cancel.is_cancelled())?;
    Ok(())
}

fn path_of(document: &SetDocument) -> PathBuf {
    PathBuf::from(format!("{PREFIX}{}", document.id))
}

/// Of everything that what is stored depends on.
fn hash_of(document: &SetDocument, stamp: &str) -> [u8; 32] {
    let parts = [stamp, &document.title, &document.text];
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part).chain_update([0])).finalize().into()
}

/// The document as the reader of plain text gives it, its title above it. `None` where it holds no text.
fn read(document: &SetDocument) -> Option<Document> {
    let title = document.title.trim();
    let text = if title.is_empty() { document.text.clone() } else { format!("{title}\n\n{}", document.text) };
    let source = SourceFile { name: "document.txt", bytes: text.as_bytes() };
    let mut read = sidenote_text::extract(&source, &ExtractLimits::default()).ok()?.into_first()?;
    if !title.is_empty() && read.text.starts_with(title) {
        read.title = Some(title.to_owned());
        read.headings.retain(|heading| heading.span.start >= title.len());
        let span = Span::new(0, title.len());
        read.headings.insert(0, Heading { level: 1, title: title.to_owned(), span });
    }
    Some(read)
}

fn new_document(document: &SetDocument, read: Document, sha256: [u8; 32]) -> NewDocument {
    NewDocument {
        collection: COLLECTION.to_owned(),
        path: path_of(document),
        part: None,
        title: read.title,
        author: None,
        created_unix_ms: None,
        format: read.format,
        language: read.language,
        fingerprint: Fingerprint { size: read.text.len() as u64, mtime_ns: 0, inode: 0, sha256 },
        text: read.text,
        pages: Vec::new(),
        modified_unix_ms: None,
        warnings: Vec::new(),
    }
}

/// Gives each chunk its vector, unless one of the same text has it already.
fn embed(index: &Index, embedder: &dyn Embedder, prepared: &mut [Prepared]) -> Result<(), Error> {
    let mut new: Vec<&mut NewChunk> = prepared.iter_mut().flatten().flat_map(|(_, chunks)| chunks).collect();
    let hashes: Vec<[u8; 32]> = new.iter().map(|new| new.hash).collect();
    let mut known = index.known_vectors(&embedder.info().name, &hashes)?;
    new.retain(|new| known.insert(new.hash));
    new.chunks_mut(EMBED_AT_A_TIME).try_for_each(|some| give_vectors(embedder, some))
}
