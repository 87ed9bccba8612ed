//! The disk is full, at every write that there is: a file system in memory is given a little more room each time, so that
//! another write is the first to fail.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use common::*;
use sidenote_index::{Filter, Index, IndexError, IndexOptions, VectorMode};

/// A file system in memory, gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn new(kilobytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(folder.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    fn grow(&self, kilobytes: usize) {
        let options = format!("remount,size={kilobytes}k");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap().success());
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn options() -> IndexOptions {
    IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 2, ..IndexOptions::default() }
}

fn text_of(number: usize, round: usize) -> String {
    (0..40).map(|line| format!("alpha note {number} of round {round} line {line}\n")).collect()
}

/// Fills the index until it is done or something fails; `stored` holds what was reported.
fn work(folder: &Path, stored: &mut BTreeMap<String, String>) -> Result<(), IndexError> {
    let index = Index::open(folder, &options())?;
    let mut writer = index.writer()?;
    writer.set_embedding_model(&model())?;
    for round in 0..2 {
        for number in 0..12 {
            let (path, text) = (format!("/{number}.md"), text_of(number, round));
            let (document, chunks) = document("default", &path, &text);
            writer.put(&document, &chunks)?;
            stored.insert(path, text);
        }
        writer.commit()?;
        writer.seal(&mut |_, _| true)?;
        let id = index.find_document("default", "/3.md".as_ref())?.unwrap().id;
        writer.remove(&[id])?;
        stored.remove("/3.md");
        writer.compact()?;
    }
    Ok(())
}

#[test]
fn whatever_write_fails_first_nothing_reported_is_lost() {
    if SmallDisk::new(64).is_none() {
        eprintln!("not run: this user may not mount a file system");
        return;
    }
    let mut failures = 0;
    // Ordinary runs take every fourth size; what is learnt between two neighbours is little.
    let step = if std::env::var_os("SIDENOTE_SLOW_TESTS").is_some() { 60 } else { 260 };
    for kilobytes in (20..).step_by(step) {
        let disk = SmallDisk::new(kilobytes).unwrap();
        let folder = disk.path().join("data");
        let mut stored = BTreeMap::new();
        let failed = work(&folder, &mut stored);
        let done = failed.is_ok();
        if let Err(error) = failed {
            failures += 1;
            let said = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
            let said: Vec<String> = said.map(ToString::to_string).collect();
            assert!(matches!(error, IndexError::DiskFull { .. }), "{kilobytes} kB: {said:?}");
        }
        disk.grow(64 << 10);
        let index = Index::open(&folder, &options()).unwrap_or_else(|error| panic!("{kilobytes} kB: {error}"));
        let held: BTreeMap<String, String> = index
            .documents(None)
            .unwrap()
            .into_iter()
            .map(|document| {
                let whole = sidenote_text::Span::new(0, usize::try_from(document.text_bytes).unwrap());
                let text = index.text(document.id, whole).unwrap().unwrap();
                (document.path.to_string_lossy().into_owned(), text)
            })
            .collect();
        for (path, text) in &stored {
            let found = held.get(path);
            // The call that failed may have been stored before its log could not be shortened.
            assert!(found.is_some_and(|found| found == text || found.contains("round 1")), "{kilobytes} kB: {path}");
        }
        assert!(index.writer().unwrap().check().unwrap().iter().all(|check| check.ok), "{kilobytes} kB");
        let chunks: u64 = index.documents(None).unwrap().iter().map(|document| document.chunk_count).sum();
        let found = index.search_lexical("alpha", 10_000, &Filter::default()).unwrap().len();
        assert_eq!(found as u64, chunks, "{kilobytes} kB");
        if done {
            break;
        }
    }
    assert!(failures >= 3, "only {failures} sizes were too small");
}
