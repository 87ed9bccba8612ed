//! A child process ends at a named point; the parent opens what it left and compares the stores.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

mod common;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use common::*;
use sidenote_index::{Filter, Index, IndexError, IndexOptions, VectorMode};

const FOLDER: &str = "SIDENOTE_CRASH_TEST_FOLDER";
/// In no other word of the tests.
const CANARY: &str = "xylographzebra";

fn options() -> IndexOptions {
    IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 2, ..IndexOptions::default() }
}

/// What the child does. Each line of the report is written after the call it names has returned.
fn script(folder: &Path) {
    let mut report = fs_err::OpenOptions::new().create(true).append(true).open(folder.join("report")).unwrap();
    let mut say = |line: String| {
        writeln!(report, "{line}").unwrap();
        report.sync_all().unwrap();
    };
    let index = Index::open(&folder.join("data"), &options()).unwrap();
    let mut writer = writer(&index);
    for round in 0..3 {
        for number in 0..4 {
            let secret = if number == 1 { CANARY } else { "plain" };
            put(
                &mut writer,
                &format!("/{number}.md"),
                &format!("alpha {secret} {number}\nalpha round {round} of {number}\n"),
            );
            say(format!("put /{number}.md {round}"));
        }
        writer.commit().unwrap();
        say("commit".to_owned());
        writer.seal(&mut |_, _| true).unwrap();
        let id = index.find_document("default", "/1.md".as_ref()).unwrap().unwrap().id;
        index.keep_turn(None, None, turn("who?", CANARY, &[id])).unwrap().unwrap();
        if round == 1 {
            writer.announce_purge().unwrap();
            assert_eq!(writer.forget("default", &["/1.md".into()]).unwrap().documents, 1);
        } else {
            writer.remove(&[id]).unwrap();
        }
        say("remove /1.md".to_owned());
        writer.compact().unwrap();
        say("purge".to_owned());
    }
}

#[test]
#[ignore = "the other tests run it in a process of its own"]
fn child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        script(Path::new(&folder));
    }
}

fn run_child(folder: &Path, crash_at: &str) -> bool {
    let output = process_of("child").env(FOLDER, folder).env("SIDENOTE_CRASH_AT", crash_at).output().unwrap();
    output.status.success()
}

/// Documents that must be there, and the path that a call under way may or may not have changed.
fn reported(folder: &Path) -> BTreeSet<String> {
    let mut documents = BTreeSet::new();
    for line in fs_err::read_to_string(folder.join("report")).unwrap_or_default().lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["put", path, _] => {
                documents.insert(path.to_owned());
            }
            ["remove", path] => {
                documents.remove(path);
            }
            _ => {}
        }
    }
    documents
}

/// All three stores show the same chunks.
fn assert_stores_agree(index: &Index, at: &str) {
    let mut all = BTreeSet::new();
    for document in index.documents(None).unwrap() {
        let chunks = index.chunks_of(document.id).unwrap();
        assert_eq!(chunks.len(), 2, "{at}: half a document");
        for chunk in chunks {
            assert_eq!(index.text(document.id, chunk.span).unwrap().as_deref(), Some(chunk.text.as_str()), "{at}");
            all.insert(chunk.id);
        }
    }
    let everything = Filter::default();
    let lexical: BTreeSet<_> =
        index.search_lexical("alpha", 1000, &everything).unwrap().iter().map(|hit| hit.chunk).collect();
    let dense: BTreeSet<_> = index
        .search_dense(&vector_of("alpha"), MODEL, 1000, &everything)
        .unwrap()
        .iter()
        .map(|hit| hit.chunk)
        .collect();
    assert_eq!(lexical, all, "{at}: full text and database");
    assert_eq!(dense, all, "{at}: vectors and database");
}

fn assert_no_trace(folder: &Path, at: &str) {
    for file in all_files(folder) {
        assert!(
            !contains(&fs_err::read(&file).unwrap(), CANARY.as_bytes()),
            "{at}: `{}` holds a removed word",
            file.display()
        );
    }
}

#[test]
fn nothing_reported_is_lost_wherever_the_process_ends() {
    let points = [
        "turn-before-commit:1",
        "put-before-commit:1",
        "put-after-commit:1",
        "put-before-commit:6",
        "put-after-commit:10",
        "lexical-before-commit:1",
        "lexical-before-commit:2",
        "lexical-before-commit:3",
        "lexical-after-commit:1",
        "lexical-after-commit:2",
        "lexical-after-commit:4",
        "rebuild-before-note:1",
        "remove-before-commit:1",
        "remove-after-commit:2",
        "forget-before-commit:1",
        "forget-after-commit:1",
        "segment-before-manifest:1",
        "segment-before-note:1",
        "segment-before-note:2",
        "purge-after-commit:1",
        "purge-before-lexical:2",
        "purge-before-vacuum:1",
    ];
    for point in points {
        let folder = tempfile::tempdir().unwrap();
        assert!(!run_child(folder.path(), point), "{point} was not reached");
        let data = folder.path().join("data");
        let index = Index::open(&data, &options()).unwrap();
        let stored: BTreeSet<String> = index
            .documents(None)
            .unwrap()
            .iter()
            .map(|document| document.path.to_string_lossy().into_owned())
            .collect();
        let must: BTreeSet<String> = reported(folder.path());
        let differ: Vec<&String> = stored.symmetric_difference(&must).collect();
        assert!(differ.len() <= 1, "{point}: {stored:?} against {must:?}");
        assert_stores_agree(&index, point);
        // The next writer makes up for an interrupted purge.
        let writer = index.writer().unwrap();
        if point.starts_with("purge") || point.starts_with("forget-after") {
            assert_no_trace(&data, point);
        }
        drop(writer);
        assert_stores_agree(&index, point);
        drop(index);
        assert!(run_child(folder.path(), "nowhere"), "{point}: work could not go on");
        let index = Index::open(&data, &options()).unwrap();
        assert_eq!(index.documents(None).unwrap().len(), 3);
        assert_stores_agree(&index, point);
        assert_no_trace(&data, point);
    }
}

#[test]
fn another_program_that_closes_the_database_takes_nothing_from_the_one_at_work() {
    // Who closes a database that nobody else has locked takes its write-ahead log away: SQLite's own shell does so, and Python.
    const COUNT: &str = "import sqlite3, sys; database = sqlite3.connect(sys.argv[1]); \
                         print(database.execute('SELECT count(*) FROM documents').fetchone()[0]); database.close()";
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    assert!(index.documents(None).unwrap().is_empty(), "a reader is open before the writer");
    let mut writer = writer(&index);
    for number in 1..=4 {
        put(&mut writer, &format!("/{number}.md"), &format!("alpha {number}\n"));
        // Each of these opens the database once more in this process.
        index.keep_turn(None, None, turn("who?", "me", &[])).unwrap().unwrap();
        assert_eq!(open(folder.path()).documents(None).unwrap().len(), number);
        let database = folder.path().join("documents.sqlite");
        let other = std::process::Command::new("python3").args(["-c", COUNT]).arg(database).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&other.stdout).trim(), number.to_string(), "{other:?}");
    }
}

#[test]
#[ignore = "the other tests run it in a process of its own"]
fn lock_holder() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let index = open(Path::new(&folder));
        let _writer = index.writer().unwrap();
        println!("locked");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    }
}

#[test]
fn another_process_that_writes_is_named_and_its_end_frees_the_lock() {
    use std::io::{BufRead as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut child = process_of("lock_holder")
        .env(FOLDER, folder.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().ends_with("locked")));
    let refused = index.writer().unwrap_err();
    assert!(matches!(refused, IndexError::Locked { pid: Some(pid), .. } if pid == child.id()), "{refused:?}");
    assert_eq!(lexical(&index, "anything"), [] as [&str; 0], "readers need no lock");
    child.kill().unwrap();
    child.wait().unwrap();
    index.writer().unwrap();
}
