//! A set's documents on their way into the index, as if they were files of plain text with a title.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use sidenote_index::{DocumentId, Fingerprint, Index, IndexWriter, NewChunk, NewDocument};
use sidenote_model::{CancelToken, Embedder};
use sidenote_text::{Document, ExtractLimits, Heading, SourceFile, Span};

use super::{EvalEvent, set::SetDocument};
use crate::{
    config::Config,
    embedding::{EMBED_AT_A_TIME, give_vectors},
    error::Error,
    ingestion::FileDocuments,
    models::model_info,
    reading::{Counter, chunk_options, cut},
};

/// The collection of a set's documents, which no ingest gives a name like this: an index with another one is somebody's own.
pub(super) const COLLECTION: &str = "sidenote eval";
/// Before the id of a document, which may be any text, so that it is a path of its own. No such file is opened.
const PREFIX: &str = "eval:";
/// Chunks stored at a time.
const STORE_AT_A_TIME: usize = 4 * EMBED_AT_A_TIME;

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
    progress: &mut dyn FnMut(EvalEvent<'_>),
    cancel: &CancelToken,
) -> Result<(), Error> {
    refuse_others(index)?;
    let mut writer = index.writer()?;
    take_model(index, &mut writer, embedder)?;
    let options = chunk_options(config, embedder);
    let known = known_documents(index)?;
    forget_gone(&mut writer, &known, documents)?;
    let stamp = format!("{} {} {}", env!("CARGO_PKG_VERSION"), options.max_tokens, options.max_prefix_tokens);
    let changed = changed_documents(documents, &known, &stamp);
    let counter = Counter { embedder, cancel };
    let mut prepared: Vec<FileDocuments> = Vec::new();
    let mut chunks = 0;
    for (place, Changed { document, known, sha256, done }) in changed.iter().enumerate() {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if let Some(read) = read(document) {
            let new = cut(&read, &counter, &options);
            // What was cut after a stop is not to be trusted, see `Counter`.
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            chunks += new.len();
            prepared.push(vec![(new_document(document, read, *sha256), new)]);
        } else if let Some(id) = known {
            writer.remove(&[*id])?;
        }
        if chunks >= STORE_AT_A_TIME || place + 1 == changed.len() {
            embed(index, embedder, &mut prepared)?;
            writer.put_files(prepared.iter().map(Vec::as_slice))?;
            prepared.clear();
            chunks = 0;
            progress(EvalEvent::Indexing { done: *done, total: documents.len() });
        }
    }
    writer.commit()?;
    writer.seal(&mut |_, _| !cancel.is_cancelled())?;
    Ok(())
}

/// An index that is somebody's own is left alone.
fn refuse_others(index: &Index) -> Result<(), Error> {
    if let Some(other) = index.documents(None)?.iter().find(|document| document.collection != COLLECTION) {
        let reason =
            "is no document of a set, and the set's documents would replace it; name another folder for the index";
        return Err(Error::EvalSet { path: other.path.clone(), reason: reason.into() });
    }
    Ok(())
}

/// Makes the embedder that of the index.
fn take_model(index: &Index, writer: &mut IndexWriter, embedder: &dyn Embedder) -> Result<(), Error> {
    let model = model_info(embedder);
    if index.embedding_model()?.is_some_and(|known| known != model) {
        // Of another model there is nothing to keep: the set is where it was.
        let all: Vec<DocumentId> = index.documents(None)?.iter().map(|document| document.id).collect();
        writer.remove(&all)?;
        writer.compact()?;
    }
    writer.set_embedding_model(&model)?;
    Ok(())
}

/// What the index holds, by path, with the hash of what it was made from.
type KnownDocuments = HashMap<PathBuf, (DocumentId, [u8; 32])>;

fn known_documents(index: &Index) -> Result<KnownDocuments, Error> {
    let documents = index.documents(None)?.into_iter();
    Ok(documents.map(|document| (document.path, (document.id, document.fingerprint.sha256))).collect())
}

/// Removes what is no longer in the set.
fn forget_gone(writer: &mut IndexWriter, known: &KnownDocuments, documents: &[SetDocument]) -> Result<(), Error> {
    let wanted: HashSet<PathBuf> = documents.iter().map(path_of).collect();
    let gone: Vec<DocumentId> =
        known.iter().filter(|(path, _)| !wanted.contains(*path)).map(|(_, (id, _))| *id).collect();
    writer.remove(&gone)?;
    Ok(())
}

/// A document that the index does not hold, or holds otherwise.
struct Changed<'a> {
    document: &'a SetDocument,
    /// What the index holds in its place.
    known: Option<DocumentId>,
    sha256: [u8; 32],
    /// How many documents of the set are done with it.
    done: usize,
}

fn changed_documents<'a>(documents: &'a [SetDocument], known: &KnownDocuments, stamp: &str) -> Vec<Changed<'a>> {
    let changed = |(document, done): (&'a SetDocument, usize)| {
        let sha256 = hash_of(document, stamp);
        let known = known.get(&path_of(document));
        let is_same = known.is_some_and(|(_, known)| *known == sha256);
        (!is_same).then(|| Changed { document, known: known.map(|(id, _)| *id), sha256, done })
    };
    documents.iter().zip(1..).filter_map(changed).collect()
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
        waits_for_ocr: false,
    }
}

/// Gives each chunk its vector, unless one of the same text has it already.
fn embed(index: &Index, embedder: &dyn Embedder, prepared: &mut [FileDocuments]) -> Result<(), Error> {
    let mut new: Vec<&mut NewChunk> = prepared.iter_mut().flatten().flat_map(|(_, chunks)| chunks).collect();
    let hashes: Vec<[u8; 32]> = new.iter().map(|new| new.hash).collect();
    let mut known = index.known_vectors(&embedder.info().name, &hashes)?;
    new.retain(|new| known.insert(new.hash));
    new.chunks_mut(EMBED_AT_A_TIME).try_for_each(|some| give_vectors(embedder, some))
}
