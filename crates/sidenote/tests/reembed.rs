//! Another embedding model is named: it takes over without the files, and the old one answers until it has.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use sidenote::{CancelToken, Config, Engine, ErrorKind, IngestEvent, IngestReport, IngestRequest, SearchRequest};
use sidenote_model::{Embedder, EmbedderInfo, HashEmbedder, ModelError, TokenVectors};

/// A model of its own name whose tokens are of so many letters at the most.
struct Other {
    base: HashEmbedder,
    info: EmbedderInfo,
    letters: usize,
    embedded: AtomicUsize,
}

impl Other {
    fn new(name: &str, letters: usize) -> Self {
        let base = HashEmbedder::new();
        let info = EmbedderInfo { name: name.to_owned(), sha256_hex: format!("{letters:064x}"), ..base.info().clone() };
        Self { base, info, letters, embedded: AtomicUsize::new(0) }
    }
}

impl Embedder for Other {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.token_offsets(text).len()
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let pieces = |(start, end): (usize, usize)| {
            (start..end).step_by(self.letters).map(move |at| (at, (at + self.letters).min(end)))
        };
        self.base.token_offsets(text).into_iter().flat_map(pieces).collect()
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.embedded.fetch_add(texts.len(), Ordering::SeqCst);
        self.base.embed(texts)
    }

    fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>, ModelError> {
        self.base.embed_tokens(texts)
    }
}

fn engine(data: &Path, embedder: &Arc<Other>) -> Engine {
    let mut config = Config::default();
    config.paths.data = data.to_owned();
    config.ingest.isolation = sidenote::Isolation::InProcess;
    Engine::with_models(config, Some(Arc::clone(embedder) as Arc<dyn Embedder>), None).unwrap()
}

fn ingest(engine: &Engine, files: &Path, each: &mut dyn FnMut(IngestEvent<'_>), cancel: &CancelToken) -> IngestReport {
    engine.ingest(&IngestRequest::new([files]), each, cancel).unwrap()
}

/// A folder with so many files of a dozen paragraphs of all lengths under long headings, and a data folder.
fn folders(files: usize) -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (documents, data) = (folder.path().join("documents"), folder.path().join("data"));
    fs_err::create_dir(&documents).unwrap();
    for file in 0..files {
        let sentence = |number: usize| {
            format!("Paragraph {number} of file {file} is about turbines, gearboxes and their maintenance intervals. ")
        };
        let section = |number: usize| {
            let heading =
                format!("Part {number}: maintenance of the turbines and gearboxes in the northern plant by the owner");
            format!("## {heading}\n\n{}\n\n", sentence(number).repeat(2 + (number + file) % 6))
        };
        let text: String = (0..12).map(section).collect();
        let path = documents.join(format!("{file}.md"));
        fs_err::write(&path, text).unwrap();
        // So that its time stamp proves that it has not changed.
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        fs_err::OpenOptions::new().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    }
    (folder, documents, data)
}

fn found(engine: &Engine) -> Result<usize, ErrorKind> {
    let search = engine.search(&SearchRequest::new("gearboxes of file 3"));
    search.map(|report| report.hits.len()).map_err(|error| error.kind())
}

#[test]
fn the_old_model_answers_until_the_new_one_has_everything() {
    let (_folder, documents, data) = folders(12);
    let (old, new) = (Arc::new(Other::new("old", 100)), Arc::new(Other::new("new", 2)));
    let before = engine(&data, &old);
    let first = ingest(&before, &documents, &mut |_| {}, &CancelToken::new());
    assert_eq!((first.added, first.reembedded), (12, 0));
    let file = documents.join("3.md");
    fs_err::remove_file(&file).unwrap();

    let after = engine(&data, &new);
    assert_eq!(found(&after), Err(ErrorKind::ModelMismatch), "the old model is in no folder of models");
    let mut seen = 0;
    let mut each = |event: IngestEvent<'_>| {
        if let IngestEvent::Reembedding { from, to, chunks_done, chunks_total } = event {
            assert_eq!((from, to, chunks_total), ("old", "new", first.chunks));
            assert!(chunks_done <= chunks_total);
            assert!(found(&before).unwrap() > 0, "the old model answers");
            seen += 1;
        }
    };
    let second = ingest(&after, &documents, &mut each, &CancelToken::new());
    assert!(seen > 0);
    assert_eq!((second.reembedded, second.added, second.unchanged, second.removed), (first.chunks, 0, 11, 1));
    assert_eq!(found(&before), Err(ErrorKind::ModelMismatch));
    assert!(found(&after).unwrap() > 0);
    let mut chunks = 0;
    after
        .export(None, &mut |document| {
            for chunk in document.chunks {
                assert!(chunk.tokens <= 256, "{} tokens", chunk.tokens);
                assert!(!document.text[chunk.span.start..chunk.span.end].trim().is_empty());
                chunks += 1;
            }
            Ok(())
        })
        .unwrap();
    assert!(chunks > first.chunks, "{chunks} chunks of {}: some were too long for the new tokenizer", first.chunks);
    assert!(after.doctor(false).unwrap().checks.iter().all(|check| check.ok));
}

#[test]
fn what_was_embedded_before_a_stop_is_not_embedded_again() {
    let (_folder, documents, data) = folders(60);
    let (old, new) = (Arc::new(Other::new("old", 100)), Arc::new(Other::new("new", 100)));
    let before = engine(&data, &old);
    let first = ingest(&before, &documents, &mut |_| {}, &CancelToken::new());
    let cancel = CancelToken::new();
    let mut stop = |event: IngestEvent<'_>| {
        if let IngestEvent::Reembedding { .. } = event {
            cancel.cancel();
        }
    };
    let after = engine(&data, &new);
    let stopped = ingest(&after, &documents, &mut stop, &cancel);
    assert!(stopped.interrupted && stopped.reembedded == 0, "{stopped:?}");
    let done = new.embedded.load(Ordering::SeqCst);
    assert!(done > 0 && done < first.chunks, "{done} of {}", first.chunks);
    assert!(found(&before).unwrap() > 0, "the old model still answers");

    let second = ingest(&after, &documents, &mut |_| {}, &CancelToken::new());
    assert_eq!((second.reembedded, second.unchanged), (first.chunks, 60));
    assert_eq!(new.embedded.load(Ordering::SeqCst), first.chunks, "each text once");
    // A third run has nothing to do.
    let third = ingest(&after, &documents, &mut |_| {}, &CancelToken::new());
    assert_eq!((third.reembedded, third.chunks), (0, 0));
    assert_eq!(new.embedded.load(Ordering::SeqCst), first.chunks);
}
