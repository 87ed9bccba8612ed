//! Files that are ordinary to a file system and odd to a program.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use super::sandbox::Sandbox;

fn texts(sandbox: &Sandbox, query: &str) -> Vec<String> {
    let (_, found) = sandbox.json(["search", query, "--mode", "lexical"]);
    found["hits"].as_array().unwrap().iter().map(|hit| hit["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_text_of_two_gigabytes_is_refused_by_name_and_costs_nothing() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    // Sparse: two gigabytes of nothing that take no room.
    fs_err::File::create(sandbox.docs().join("huge.txt")).unwrap().set_len(2 << 30).unwrap();
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, report["added"].as_u64()), (3, Some(3)), "{report}");
    let failed = &report["failed"][0];
    assert!(failed["path"].as_str().unwrap().ends_with("huge.txt"), "{failed}");
    assert!(failed["reason"].as_str().unwrap().contains("2147483648 bytes"), "{failed}");
    assert!(failed["reason"].as_str().unwrap().contains("ingest.max_file_bytes"), "{failed}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_no_text_is_a_name() {
    use std::os::unix::ffi::OsStrExt as _;
    let Some(sandbox) = Sandbox::with_models() else { return };
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9 \xff.md");
    fs_err::write(sandbox.docs().join(name), "# Menu\n\nThe porcupine soup costs nine euros.\n").unwrap();
    sandbox.ingest();
    let (_, found) = sandbox.json(["search", "porcupine", "--mode", "lexical"]);
    let document = &found["hits"][0]["document"];
    assert!(document["uri"].as_str().unwrap().ends_with("/caf%E9%20%FF.md"), "the address is exact: {document}");
    assert_eq!(document["stale"], false, "the file is found by its bytes");
    assert_eq!(sandbox.json(["ingest", "docs"]).1["unchanged"], 1);
    fs_err::remove_file(sandbox.docs().join(name)).unwrap();
    fs_err::write(sandbox.docs().join("other.md"), "# Other\n\nSomething else.\n").unwrap();
    assert_eq!(sandbox.json(["ingest", "docs"]).1["removed"], 1);
}

#[test]
fn a_clock_that_went_back_hides_no_change() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    let write = |text: &str, time: SystemTime| {
        let path = sandbox.write("note.md", text);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    // Written while the clock was a day ahead; then again, with the same length, when it shows that very moment once more.
    let ahead = SystemTime::now() + Duration::from_secs(86_400);
    write("# Note\n\nThe heron stands in the pond.\n", ahead);
    sandbox.ingest();
    write("# Note\n\nThe stork stands in the pond.\n", ahead);
    assert_eq!(sandbox.json(["ingest", "docs"]).1["updated"], 1);
    assert_eq!(texts(&sandbox, "heron"), [] as [&str; 0]);
    // Written when the clock has gone back behind the last scan.
    write("# Note\n\nThe crane stands in the pond.\n", SystemTime::now() - Duration::from_secs(86_400));
    assert_eq!(sandbox.json(["ingest", "docs"]).1["updated"], 1);
    assert!(texts(&sandbox, "pond")[0].contains("crane"));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_whole_in_the_end() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    let version = |number: usize| format!("# Log\n\n{}", format!("Entry of version v{number}x.\n\n").repeat(40));
    sandbox.write("log.md", version(0));
    for number in 0..60 {
        sandbox.write(&format!("{number}.md"), format!("# Page {number}\n\nPlain words about matter {number}.\n"));
    }
    let done = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::SeqCst) {
                number += 1;
                sandbox.write("log.md", version(number));
            }
            number
        });
        let (code, report) = sandbox.json(["ingest", "docs"]);
        done.store(true, Ordering::SeqCst);
        assert!(code == 0 || code == 3, "{report}");
        writer.join().unwrap()
    });
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!(code, 0, "{report}");
    let found = texts(&sandbox, "entry version");
    assert!(!found.is_empty());
    for text in found {
        assert!(text.matches("Entry").count() == text.matches(&format!("v{last}x")).count(), "{last}: {text}");
    }
}

#[test]
fn a_folder_that_vanished_takes_no_document_with_it() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    fs_err::rename(sandbox.docs(), sandbox.path().join("elsewhere")).unwrap();
    let gone = sandbox.run(["ingest", "docs"]);
    assert_eq!(gone.code, 2, "{gone:?}");
    assert!(gone.stderr.contains("docs"), "{gone:?}");
    assert_eq!(sandbox.json(["status"]).1["documents"], 3);
    assert!(!texts(&sandbox, "dishwasher").is_empty());
}
