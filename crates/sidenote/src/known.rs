//! What the index knows of a collection's files, looked up once for a whole ingest.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    path::{Path, PathBuf},
};

use sidenote_index::{DocumentId, Failure, Fingerprint, Index};

use crate::{
    config::Ingest,
    error::Error,
    ocr::Tesseract,
    walk::{Found, is_gone},
};

/// A file that was read before.
#[derive(Debug)]
pub(crate) struct KnownFile {
    /// Its documents: itself, attachments, members.
    pub(crate) documents: Vec<DocumentId>,
    pub(crate) fingerprint: Fingerprint,
    /// Chunks of all its documents.
    pub(crate) chunks: usize,
    /// Whether some of its pages were left out because tesseract was not there.
    waits_for_ocr: bool,
}

impl KnownFile {
    fn new(fingerprint: Fingerprint) -> Self {
        Self { documents: Vec::new(), fingerprint, chunks: 0, waits_for_ocr: false }
    }
}

/// The files of a collection, and those that could not be read.
#[derive(Debug)]
pub(crate) struct Known {
    /// In order of path, so that the files below a folder stand together.
    files: BTreeMap<PathBuf, KnownFile>,
    by_content: HashMap<[u8; 32], Vec<PathBuf>>,
    failures: HashMap<PathBuf, Failure>,
    tried_with: String,
    has_ocr: bool,
}

impl Known {
    pub(crate) fn load(index: &Index, collection: &str, limits: &Ingest) -> Result<Self, Error> {
        let mut files: BTreeMap<PathBuf, KnownFile> = BTreeMap::new();
        for document in index.documents(Some(collection))? {
            let fingerprint = document.fingerprint;
            let file = files.entry(document.path).or_insert_with(|| KnownFile::new(fingerprint));
            file.documents.push(document.id);
            file.waits_for_ocr |= document.waits_for_ocr;
            file.chunks += usize::try_from(document.chunk_count).unwrap_or(usize::MAX);
        }
        let mut by_content: HashMap<[u8; 32], Vec<PathBuf>> = HashMap::new();
        for (path, file) in &files {
            by_content.entry(file.fingerprint.sha256).or_default().push(path.clone());
        }
        let failures = index.failures(Some(collection))?.into_iter().map(|failure| (failure.path.clone(), failure));
        let ocr = Tesseract::find(limits);
        let tried_with = tried_with(limits, ocr.as_ref());
        Ok(Self { files, by_content, failures: failures.collect(), tried_with, has_ocr: ocr.is_some() })
    }

    pub(crate) fn file(&self, path: &Path) -> Option<&KnownFile> {
        self.files.get(path)
    }

    /// Whether a file need not be looked into.
    pub(crate) fn is_current(&self, known: &KnownFile, found: &Found) -> bool {
        found.has(&known.fingerprint) && !self.gives_more(known)
    }

    /// Whether a file's content is known and would give what it gave.
    pub(crate) fn is_same(&self, known: &KnownFile, sha256: &[u8; 32]) -> bool {
        known.fingerprint.sha256 == *sha256 && !self.gives_more(known)
    }

    /// Whether pages that were left out can be read now.
    fn gives_more(&self, known: &KnownFile) -> bool {
        known.waits_for_ocr && self.has_ocr
    }

    /// Files below a folder, in order of path.
    pub(crate) fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (&'a Path, &'a KnownFile)> {
        let from = self.files.range::<Path, _>((Bound::Included(folder), Bound::Unbounded));
        from.take_while(move |(path, _)| path.starts_with(folder)).map(|(path, file)| (path.as_path(), file))
    }

    /// Files that could not be read, below a folder.
    pub(crate) fn failures_below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a Path> {
        self.failures.keys().map(PathBuf::as_path).filter(move |path| path.starts_with(folder))
    }

    /// Why a file could not be read the last time, where nothing speaks for another outcome now.
    pub(crate) fn hopeless(&self, found: &Found) -> Option<&str> {
        let failure = self.failures.get(&found.path).filter(|failure| failure.tried_with == self.tried_with)?;
        found.has(failure.fingerprint.as_ref()?).then_some(failure.reason.as_str())
    }

    /// Files with this content under another path, of the same ending as `path`, that are no longer there.
    pub(crate) fn moved_to<'a>(&'a self, path: &Path, sha256: &[u8; 32]) -> impl Iterator<Item = &'a Path> + use<'a> {
        let ending = path.extension().map(ToOwned::to_owned);
        let same = self.by_content.get(sha256).into_iter().flatten().map(PathBuf::as_path);
        same.filter(move |path| is_gone(path) && path.extension() == ending.as_deref())
    }

    /// A failure as it is noted.
    pub(crate) fn failure(&self, collection: &str, path: &Path, print: Option<Fingerprint>, reason: &str) -> Failure {
        Failure {
            collection: collection.to_owned(),
            path: path.to_owned(),
            reason: reason.to_owned(),
            fingerprint: print,
            tried_with: self.tried_with.clone(),
        }
    }
}

/// What decides, besides the file itself, whether it can be read.
fn tried_with(limits: &Ingest, ocr: Option<&Tesseract>) -> String {
    let ocr = ocr.map(Tesseract::description).unwrap_or_default();
    format!(
        "{} {} {} {} {} {} {} {ocr}",
        env!("CARGO_PKG_VERSION"),
        limits.max_file_bytes,
        limits.max_text_bytes,
        limits.max_pages,
        limits.extract_timeout_seconds,
        limits.extract_memory_bytes,
        limits.ocr_timeout_seconds
    )
}
