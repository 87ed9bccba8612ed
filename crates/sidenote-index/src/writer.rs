//! Writing: everything that needs the lock.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use crate::check::{self, Check, Damaged};
use crate::error::IndexError;
use crate::files::{self, WriterLock};
use crate::hnsw::{Build, Parts};
use crate::index::Inner;
use crate::keep::{self, Standing};
use crate::seal::Segments;
use crate::segment::Segment;
use crate::sqlite::{self, NextRows, PutRows, SegmentRow, Writer};
use crate::tantivy::{LexicalFailure, LexicalWriter};
use crate::types::{
    DocumentId, EmbeddingModelInfo, Failure, Fingerprint, Forgotten, NewChunk, NewDocument, NextChunk, PutReport,
};
use crate::vector::Node;

/// What [`IndexWriter::seal`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealReport {
    /// Vectors in the new segments; 0 where none was made.
    pub sealed_vectors: usize,
    /// Segments that they replace.
    pub replaced_segments: usize,
}

/// What [`IndexWriter::compact`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactReport {
    /// Vectors that no chunk had any more.
    pub dropped_vectors: u64,
    /// Bytes of the data folder before.
    pub bytes_before: u64,
    /// Bytes of the data folder after.
    pub bytes_after: u64,
}

/// The one writer of a data folder. Dropping it releases the lock; what was not committed is committed by the next open.
///
/// What a method reported as done survives the process ending at any instant. Documents are stored by [`put`] and
/// [`remove`] at once; searches see them after [`commit`].
///
/// [`put`]: IndexWriter::put
/// [`remove`]: IndexWriter::remove
/// [`commit`]: IndexWriter::commit
#[derive(Debug)]
pub struct IndexWriter {
    inner: Arc<Inner>,
    /// Taken at the end.
    writer: Option<Writer>,
    /// Open from the first commit on: dropping it would abandon merges.
    lexical: Option<LexicalWriter>,
    /// Last, so that everything is closed before another writer begins.
    _lock: WriterLock,
}

impl Drop for IndexWriter {
    fn drop(&mut self) {
        self.lexical = None;
        // Files that are noted as sound now need not be read by the next open.
        if let Ok(state) = self.inner.state()
            && let Standing::Unusable { reason: Some(reason) } = keep::inspect(&self.inner.layout, &state, true)
        {
            tracing::warn!(%reason, "the full-text index will be built anew by the next open");
        }
        if let Some(writer) = self.writer.take() {
            self.inner.close_writer(writer);
        }
    }
}

impl IndexWriter {
    pub(crate) fn open(inner: Arc<Inner>) -> Result<Self, IndexError> {
        let lock = WriterLock::take(&inner.layout)?;
        let writer = inner.open_writer()?;
        let mut open = Self { inner, writer: Some(writer), lexical: None, _lock: lock };
        keep::remove_strays(&open.inner)?;
        if open.inner.state()?.purge_pending {
            tracing::info!("a purge that was interrupted is done again");
            match open.compact() {
                // It takes room to give room back, and nobody who reads for long. Until then the rest goes on, and the next
                // writer tries again.
                Err(error @ (IndexError::DiskFull { .. } | IndexError::Busy { .. })) => {
                    tracing::warn!(%error, "a purge that was interrupted has to wait");
                }
                done => drop(done?),
            }
        }
        Ok(open)
    }

    fn writer(&self) -> Result<Writer, IndexError> {
        self.writer.clone().ok_or(IndexError::Stopped)
    }

    /// Registers the embedding model, whose vectors [`IndexWriter::put`] stores. A model under which nothing was stored
    /// yet may be replaced.
    ///
    /// # Errors
    /// [`IndexError::ModelMismatch`] where vectors of another model are stored, [`IndexError::BadVector`] for a model
    /// without dimensions, and where the database cannot be written; the latter so for all methods below.
    pub fn set_embedding_model(&mut self, model: &EmbeddingModelInfo) -> Result<(), IndexError> {
        if model.dimensions == 0 {
            return Err(IndexError::BadVector { reason: format!("`{}` makes vectors without numbers", model.name) });
        }
        let (writer, model) = (self.writer()?, model.clone());
        self.inner.sqlite.wait(async move { writer.set_model(&model).await })
    }

    /// Registers another embedding model, which is to take over. Its vectors are stored beside those that answer, and stay
    /// there until it has taken over or another is registered. [`IndexWriter::compact`] keeps those of texts that chunks have.
    ///
    /// # Errors
    /// [`IndexError::BadVector`] for a model without dimensions.
    pub fn set_next_model(&mut self, next: &EmbeddingModelInfo) -> Result<(), IndexError> {
        if next.dimensions == 0 {
            return Err(IndexError::BadVector { reason: format!("`{}` makes vectors without numbers", next.name) });
        }
        let (writer, next) = (self.writer()?, next.clone());
        self.inner.sqlite.wait(async move { writer.set_next_model(&next).await })
    }

    /// Which of the hashes have a vector of the next model.
    ///
    /// # Errors
    /// Where it was not registered.
    pub fn known_next_vectors(
        &self,
        next: &EmbeddingModelInfo,
        hashes: &[[u8; 32]],
    ) -> Result<HashSet<[u8; 32]>, IndexError> {
        let (writer, next, hashes) = (self.writer()?, next.clone(), hashes.to_vec());
        self.inner.sqlite.wait(async move { writer.known_next_vectors(&next, &hashes).await })
    }

    /// Stores vectors of the next model, each under the sha256 of what was embedded.
    ///
    /// # Errors
    /// [`IndexError::BadVector`]; and where the model was not registered.
    pub fn store_next_vectors(
        &mut self,
        next: &EmbeddingModelInfo,
        vectors: Vec<([u8; 32], Vec<f32>)>,
    ) -> Result<(), IndexError> {
        let (writer, next) = (self.writer()?, next.clone());
        self.inner.sqlite.wait(async move { writer.store_next_vectors(&next, &vectors).await })
    }

    /// The next model answers from here on, and the vectors of the other one are gone: one transaction. Chunks that stay
    /// keep their ids.
    ///
    /// # Errors
    /// [`IndexError::MissingVector`], [`IndexError::UnfinishedModel`]: then nothing was changed.
    pub fn switch_model(&mut self, next: &EmbeddingModelInfo, chunks: Vec<NextChunk>) -> Result<(), IndexError> {
        let (writer, next) = (self.writer()?, next.clone());
        let rows: Vec<NextRows> = chunks.into_iter().map(NextRows::from).collect();
        self.inner.sqlite.wait(async move { writer.switch_model(&next, &rows).await })?;
        keep::remove_strays(&self.inner)?;
        self.commit()
    }

    /// Stores a document with its chunks, in place of the one with the same collection, path and part, in one
    /// transaction. Chunks with the same text and prefix as before keep their ids. Ends a recorded failure of the file.
    ///
    /// # Errors
    /// [`IndexError::BadDocument`], [`IndexError::BadVector`], [`IndexError::MissingVector`], [`IndexError::NoModel`]:
    /// then nothing was changed.
    pub fn put(&mut self, document: &NewDocument, chunks: &[NewChunk]) -> Result<(DocumentId, PutReport), IndexError> {
        let (writer, rows) = (self.writer()?, vec![vec![PutRows::check(document, chunks)?]]);
        let stored = self.inner.sqlite.wait(async move { writer.put(rows, false).await })?;
        stored.into_iter().next().ok_or(IndexError::Stopped)
    }

    /// Stores files, each of which gives one document or several (itself, attachments, members), in one transaction: as
    /// [`IndexWriter::put`], and other documents of a file's collection and path go. All of a file must have the same of
    /// both. A transaction waits for the disk, so small files are best stored many at a time.
    ///
    /// # Errors
    /// As [`IndexWriter::put`].
    pub fn put_files<'d>(
        &mut self,
        files: impl IntoIterator<Item = &'d [(NewDocument, Vec<NewChunk>)]>,
    ) -> Result<Vec<(DocumentId, PutReport)>, IndexError> {
        let mut rows = Vec::new();
        for documents in files {
            let mut file = Vec::with_capacity(documents.len());
            for (document, chunks) in documents {
                let first = &documents[0].0;
                if (&document.collection, &document.path) != (&first.collection, &first.path) {
                    let reason = format!("it is stored together with `{}`, another file", first.path.display());
                    return Err(IndexError::BadDocument { path: document.path.clone(), reason });
                }
                file.push(PutRows::check(document, chunks)?);
            }
            rows.push(file);
        }
        let writer = self.writer()?;
        self.inner.sqlite.wait(async move { writer.put(rows, true).await })
    }

    /// Notes that the file of these documents holds the same bytes under another time or inode.
    pub fn touch(
        &mut self,
        ids: &[DocumentId],
        fingerprint: &Fingerprint,
        modified_unix_ms: Option<i64>,
    ) -> Result<(), IndexError> {
        let (writer, ids, fingerprint) = (self.writer()?, ids.to_vec(), *fingerprint);
        self.inner.sqlite.wait(async move { writer.touch(&ids, fingerprint, modified_unix_ms).await })
    }

    /// Gives the documents of a file another path: nothing else of them changes. Returns false, and does nothing, where
    /// there is no document under the old path or one under the new.
    pub fn rename(
        &mut self,
        collection: &str,
        from: &Path,
        to: &Path,
        fingerprint: &Fingerprint,
        modified_unix_ms: Option<i64>,
    ) -> Result<bool, IndexError> {
        let (writer, fingerprint) = (self.writer()?, *fingerprint);
        let (collection, from, to) = (collection.to_owned(), from.to_owned(), to.to_owned());
        self.inner
            .sqlite
            .wait(async move { writer.rename(&collection, &from, &to, fingerprint, modified_unix_ms).await })
    }

    /// Removes documents; returns how many of them were there. They are in no answer from here on; their bytes go with
    /// [`IndexWriter::compact`].
    pub fn remove(&mut self, ids: &[DocumentId]) -> Result<usize, IndexError> {
        let (writer, ids) = (self.writer()?, ids.to_vec());
        self.inner.sqlite.wait(async move { writer.remove(&ids).await })
    }

    /// Removes all that is known of paths and of what lies below them: documents, notes of files that could not be read, and that
    /// they were ingested by name. Bytes go as with [`IndexWriter::remove`].
    pub fn forget(&mut self, collection: &str, paths: &[PathBuf]) -> Result<Forgotten, IndexError> {
        let (writer, collection, paths) = (self.writer()?, collection.to_owned(), paths.to_vec());
        self.inner.sqlite.wait(async move { writer.forget(&collection, &paths).await })
    }

    /// Announces a [`IndexWriter::compact`] of what is removed next. Should the process end before it, the next writer does it.
    pub fn announce_purge(&mut self) -> Result<(), IndexError> {
        let writer = self.writer()?;
        self.inner.sqlite.wait(async move { writer.set_purge_pending(true).await })
    }

    /// Notes that an ingest has begun, or has come to its end.
    pub fn set_ingest_unfinished(&mut self, unfinished: bool) -> Result<(), IndexError> {
        let writer = self.writer()?;
        self.inner.sqlite.wait(async move { writer.set_ingest_unfinished(unfinished).await })
    }

    /// Notes that a file could not be ingested, in place of an earlier note.
    pub fn record_failure(&mut self, failure: &Failure) -> Result<(), IndexError> {
        let (writer, failure) = (self.writer()?, failure.clone());
        self.inner.sqlite.wait(async move { writer.record_failure(&failure).await })
    }

    /// Forgets that a file could not be ingested.
    pub fn clear_failure(&mut self, collection: &str, path: &Path) -> Result<(), IndexError> {
        let (writer, collection, path) = (self.writer()?, collection.to_owned(), path.to_owned());
        self.inner.sqlite.wait(async move { writer.clear_failure(&collection, &path).await })
    }

    /// Notes that a folder or file was ingested by name.
    pub fn record_root(&mut self, collection: &str, path: &Path) -> Result<(), IndexError> {
        let (writer, collection, path) = (self.writer()?, collection.to_owned(), path.to_owned());
        self.inner.sqlite.wait(async move { writer.record_root(&collection, &path).await })
    }

    /// Forgets that a folder or file was ingested by name.
    pub fn forget_root(&mut self, collection: &str, path: &Path) -> Result<(), IndexError> {
        let (writer, collection, path) = (self.writer()?, collection.to_owned(), path.to_owned());
        self.inner.sqlite.wait(async move { writer.forget_root(&collection, &path).await })
    }

    /// Folders and files that were ingested by name.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn roots(&self, collection: Option<&str>) -> Result<Vec<PathBuf>, IndexError> {
        let (reader, collection) = (self.inner.reader.clone(), collection.map(str::to_owned));
        self.inner.sqlite.wait(async move { reader.roots(collection.as_deref()).await })
    }

    /// Lets searches see what was put and removed. Worth calling every few seconds or some hundred documents, not after
    /// each.
    ///
    /// # Errors
    /// [`IndexError::DiskFull`]; the documents are stored all the same, and a later commit or open makes up for it.
    pub fn commit(&mut self) -> Result<(), IndexError> {
        let state = self.inner.state()?;
        if self.inner.lexical_broken.load(Ordering::SeqCst) {
            return self.rebuild();
        }
        let (lexical, sequence) = match self.inner.current_lexical(&state) {
            Ok(current) => current,
            Err(IndexError::Lexical { reason, .. }) => {
                tracing::warn!(%reason, "the full-text index cannot be used and is built anew");
                return self.rebuild();
            }
            Err(error) => return Err(error),
        };
        if sequence == state.sequence && state.lexical_sequence == state.sequence {
            return Ok(());
        }
        let applied = (|| {
            if self.lexical.as_ref().is_none_or(|open| open.generation != state.lexical_generation) {
                self.lexical = None;
                self.lexical = Some(lexical.writer()?);
            }
            let Some(open) = &mut self.lexical else { return Ok(()) };
            keep::replay(&self.inner, open, sequence, &state)
        })();
        match applied {
            Ok(()) => {
                keep::note(&self.inner, &self.writer()?, state.lexical_generation, state.sequence)?;
                let state = self.inner.state()?;
                self.inner.current_lexical(&state)?;
                Ok(())
            }
            Err(LexicalFailure::DiskFull) => {
                // A writer is dead after an error; the next commit opens another.
                self.lexical = None;
                Err(LexicalFailure::DiskFull.into_error(lexical.folder()))
            }
            Err(LexicalFailure::Broken(reason)) => {
                tracing::warn!(%reason, "the full-text index failed and is built anew");
                drop(lexical);
                self.rebuild()
            }
        }
    }

    fn rebuild(&mut self) -> Result<(), IndexError> {
        self.lexical = None;
        keep::rebuild_lexical(&self.inner, &self.writer()?)
    }

    fn segments(&self) -> std::sync::MutexGuard<'_, Segments> {
        self.inner.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals vectors into HNSW segments where the options ask for it and it is worth it: some milliseconds for each vector.
    /// Where there are several of a size, or some with many removed vectors, they are merged. `go_on` is told before each
    /// vector how many are in and how many there are; once it says no, nothing is sealed, and searches go on as before.
    ///
    /// # Errors
    /// [`IndexError::Segment`], [`IndexError::DiskFull`]; searches go on without the segment.
    pub fn seal(&mut self, go_on: &mut dyn FnMut(usize, usize) -> bool) -> Result<SealReport, IndexError> {
        let Some(model) = self.inner.model()? else { return Ok(SealReport::default()) };
        let Some(plan) = self.segments().plan(&self.inner, &model)? else { return Ok(SealReport::default()) };
        let options = &self.inner.options;
        let build = Build { max_links: options.max_links, ef_construction: options.ef_construction };
        let uuid = self.inner.state()?.uuid;
        let fetch = |nodes: &[Node]| {
            let reader = self.inner.reader.clone();
            let ids: Vec<i64> = nodes.iter().map(|node| node.cast_signed()).collect();
            self.inner.sqlite.wait(async move { reader.vectors(&ids).await })
        };
        let total = plan.built.iter().map(Vec::len).sum();
        let mut done = 0;
        let mut next = || {
            done += 1;
            go_on(done - 1, total)
        };
        let mut rows = Vec::new();
        for nodes in &plan.built {
            let writer = self.writer()?;
            let generation = self.inner.sqlite.wait(async move { writer.next_segment_generation().await })?;
            let folder = self.inner.layout.segment(generation);
            let parts = Parts { nodes, fetch: &fetch, go_on: &mut next };
            if !Segment::write(&folder, &uuid, &model, generation, parts, build)? {
                // What was built before it is a stray now, and goes with this one.
                keep::remove_strays(&self.inner)?;
                return Ok(SealReport::default());
            }
            rows.push(SegmentRow { generation, vectors: nodes.len() as u64 });
        }
        crate::crash::point("segment-before-note");
        let report = SealReport { sealed_vectors: total, replaced_segments: plan.replaced.len() };
        self.replace_segments(plan.replaced, rows)?;
        Ok(report)
    }

    /// Replaces segments in the database, then removes their folders.
    fn replace_segments(&self, old: Vec<i64>, new: Vec<SegmentRow>) -> Result<(), IndexError> {
        let (writer, listed) = (self.writer()?, old.clone());
        self.inner.sqlite.wait(async move { writer.replace_segments(&listed, &new).await })?;
        for generation in old {
            files::remove_folder(&self.inner.layout.segment(generation))?;
        }
        Ok(())
    }

    /// Takes every trace of what was removed out of every file: the database is rewritten, the full-text index merged,
    /// segments that hold removed vectors are dropped and sealed anew where the options ask for it. A process that ends
    /// before the end is made up for by the next writer.
    ///
    /// # Errors
    /// [`IndexError::Busy`] where a reader holds the database for seconds; [`IndexError::DiskFull`], as the rewrite
    /// takes as much room as what is left in the database. What was removed stays removed; the next writer goes on from there.
    pub fn compact(&mut self) -> Result<CompactReport, IndexError> {
        let bytes_before = files::folder_bytes(&self.inner.layout.root);
        self.announce_purge()?;
        self.commit()?;
        crate::crash::point("purge-after-commit");
        let writer = self.writer()?;
        let dropped_vectors = self.inner.sqlite.wait(async move { writer.drop_unused_vectors().await })?;
        self.inner.forget_dense();
        if let Some(model) = self.inner.model()? {
            let impure = self.segments().standing(&self.inner, &model)?.impure();
            if !impure.is_empty() {
                self.replace_segments(impure, Vec::new())?;
            }
        }
        crate::crash::point("purge-before-lexical");
        self.purge_lexical()?;
        keep::remove_strays(&self.inner)?;
        crate::crash::point("purge-before-vacuum");
        self.want_room_to_vacuum()?;
        let writer = self.writer()?;
        self.inner.sqlite.wait(async move { writer.vacuum().await })?;
        let writer = self.writer()?;
        self.inner.sqlite.wait(async move { writer.set_purge_pending(false).await })?;
        self.seal(&mut |_, _| true)?;
        let bytes_after = files::folder_bytes(&self.inner.layout.root);
        Ok(CompactReport { dropped_vectors, bytes_before, bytes_after })
    }

    /// What is left of the database goes through its log once: what cannot be finished is not begun.
    fn want_room_to_vacuum(&self) -> Result<(), IndexError> {
        let reader = self.inner.reader.clone();
        let needed = self.inner.sqlite.wait(async move { reader.bytes_in_use().await })?;
        files::want_room(&self.inner.layout.database(), needed)
    }

    /// Reads every byte of the data folder and compares the stores with each other; changes nothing. Takes as long as
    /// reading takes.
    ///
    /// # Errors
    /// Where something cannot be read at all; what is merely wrong is a check that failed.
    pub fn check(&mut self) -> Result<Vec<Check>, IndexError> {
        self.commit()?;
        check::check(&self.inner)
    }

    /// Removes the documents of files with one that is not as it was stored, where `is_there` says of the path that the file can
    /// be stored again, deletes conversations that are not as they were stored, and makes anew what can be made from the others: the
    /// full-text index, and segments that cannot be loaded. Returns the paths of the files whose documents were removed; the only copy of a text is not.
    ///
    /// # Errors
    /// As [`IndexWriter::commit`] and [`IndexWriter::seal`].
    pub fn repair(&mut self, is_there: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>, IndexError> {
        let Damaged { documents, vectors, chats } = check::damaged(&self.inner)?;
        let reader = self.inner.reader.clone();
        // A file is read as a whole or not at all, with all of its documents.
        let mut files = self.inner.sqlite.wait(async move { reader.files_of(&documents).await })?;
        files.retain(|path, _| is_there(path));
        let writer = self.writer()?;
        let gone: Vec<DocumentId> = files.values().flatten().copied().collect();
        self.inner.sqlite.wait(async move {
            writer.remove_damaged(&gone, &vectors).await?;
            writer.delete_chats(Some(&chats)).await
        })?;
        let (_, broken) = check::sort_segments(&self.inner)?;
        if !broken.is_empty() {
            self.replace_segments(broken.into_iter().map(|(generation, _)| generation).collect(), Vec::new())?;
        }
        self.inner.forget_dense();
        self.rebuild()?;
        self.seal(&mut |_, _| true)?;
        Ok(files.into_keys().collect())
    }

    fn purge_lexical(&mut self) -> Result<(), IndexError> {
        let state = self.inner.state()?;
        let (lexical, _) = self.inner.current_lexical(&state)?;
        if self.lexical.as_ref().is_none_or(|open| open.generation != lexical.generation) {
            self.lexical = None;
            self.lexical = Some(lexical.writer().map_err(|failure| failure.into_error(lexical.folder()))?);
        }
        let purged = self.lexical.as_mut().map_or(Ok(()), LexicalWriter::purge);
        // The merge policy of this writer was switched off; the next commit opens another.
        self.lexical = None;
        match purged {
            Ok(()) => lexical.reload().map_err(|failure| failure.into_error(lexical.folder())),
            Err(LexicalFailure::DiskFull) => Err(LexicalFailure::DiskFull.into_error(lexical.folder())),
            Err(LexicalFailure::Broken(reason)) => {
                tracing::warn!(%reason, "the full-text index is built anew to be free of what was removed");
                drop(lexical);
                self.rebuild()
            }
        }
    }

    /// Whether a vector can be stored: the check of [`IndexWriter::put`], for a caller that wants to know earlier.
    ///
    /// # Errors
    /// [`IndexError::BadVector`].
    pub fn check_vector(vector: &[f32]) -> Result<(), IndexError> {
        sqlite::unit_vector(vector).map(drop)
    }
}
