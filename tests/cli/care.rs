//! doctor, compact, backup, restore, export; and that killing the program at any instant loses nothing.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use super::sandbox::{Sandbox, check_schema, files_below};

#[test]
fn a_damaged_index_is_found_and_mended() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    assert_eq!(sandbox.run(["doctor"]).code, 1, "nothing ingested");
    sandbox.write_handbook();
    sandbox.ingest();
    let sound = sandbox.run(["doctor"]);
    assert_eq!(sound.code, 0, "{sound:?}");
    let words: Vec<Vec<&str>> = sound.stdout.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    assert!(words.iter().all(|line| line.contains(&"ok") || line == &["full", "text"]), "{sound:?}");
    // A byte of the full-text index flips and nothing else of the file shows it.
    let file =
        files_below(&sandbox.data()).into_iter().find(|file| file.extension().is_some_and(|it| it == "idx")).unwrap();
    let metadata = fs_err::metadata(&file).unwrap();
    let mut bytes = fs_err::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs_err::write(&file, bytes).unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(metadata.modified().unwrap()).unwrap();
    let (code, report) = sandbox.json(["doctor"]);
    check_schema("doctor", &report);
    let wrong: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!((code, wrong.as_slice()), (1, &["full_text"][..]), "{report:#}");
    let (code, report) = sandbox.json(["doctor", "--repair"]);
    assert_eq!((code, &report["repaired"]), (0, &serde_json::json!(["full_text"])), "{report:#}");
    assert_eq!(sandbox.json(["search", "dishwasher", "--mode", "lexical"]).0, 0);
    assert_eq!(sandbox.run(["doctor"]).code, 0);
}

#[test]
fn a_damaged_document_is_read_anew() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
         c.execute(\"UPDATE documents SET title = 'Lies' WHERE id = 1\"); c.commit(); c.close()";
    let database = sandbox.data().join("documents.sqlite");
    let changed = std::process::Command::new("python3").args(["-c", script]).arg(database).status().unwrap();
    assert!(changed.success());
    // Nothing goes on as if nothing were wrong, and what to do is said.
    let refused = sandbox.run(["ingest", "docs"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("not as it was stored") && refused.stderr.contains("--repair"), "{refused:?}");
    let (code, report) = sandbox.json(["doctor"]);
    assert_eq!((code, &report["checks"][1]["can_repair"]), (1, &true.into()), "{report:#}");
    let (code, report) = sandbox.json(["doctor", "--repair"]);
    check_schema("doctor", &report);
    assert_eq!((code, report["removed"].as_array().map(Vec::len)), (0, Some(1)), "{report:#}");
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, &report["added"]), (0, &1.into()), "{report:#}");
    assert_eq!(sandbox.run(["doctor"]).code, 0);
}

#[test]
fn a_backup_comes_back_and_replaces_only_when_told() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let (code, report) = sandbox.json(["backup", "all.backup"]);
    assert_eq!((code, report["documents"].as_u64()), (0, Some(3)), "{report}");
    let (code, error) = sandbox.json(["backup", "all.backup"]);
    assert_eq!(code, 2, "{error}");
    sandbox.run(["remove", "docs"]);
    assert_eq!(sandbox.json(["search", "dishwasher"]).0, 1);
    let (code, error) = sandbox.json(["restore", "all.backup"]);
    assert_eq!((code, error["error"]["kind"].as_str()), (2, Some("usage")), "{error}");
    assert!(error["error"]["hint"].as_str().unwrap().contains("--replace"), "{error}");
    let run = sandbox.run(["restore", "all.backup", "--replace"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.starts_with("3 documents, "), "{run:?}");
    assert_eq!(sandbox.json(["search", "dishwasher"]).0, 0);
    assert_eq!(sandbox.run(["ingest", "docs"]).stdout, "Nothing changed: 3 documents up to date.\n");
    let elsewhere = sandbox.run(["restore", "all.backup", "--data", "elsewhere"]);
    assert_eq!(elsewhere.code, 0, "{elsewhere:?}");
    assert_eq!(sandbox.json(["search", "dishwasher", "--data", "elsewhere"]).0, 0);
    let (code, error) = sandbox.json(["restore", "docs/travel.md", "--data", "third"]);
    assert_eq!((code, error["error"]["kind"].as_str()), (2, Some("damaged_data")), "{error}");
}

#[test]
fn an_export_holds_every_document_with_its_chunks() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let run = sandbox.run(["export"]);
    assert_eq!(run.code, 0, "{run:?}");
    let mut texts = BTreeMap::new();
    for line in run.stdout.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        check_schema("exported_document", &value);
        let text = value["text"].as_str().unwrap();
        assert!(!value["chunks"].as_array().unwrap().is_empty());
        for chunk in value["chunks"].as_array().unwrap() {
            let at = |end: &str| usize::try_from(chunk["span"][end].as_u64().unwrap()).unwrap();
            assert!(text.get(at("start")..at("end")).is_some_and(|slice| !slice.is_empty()));
        }
        texts.insert(value["document"]["path"].as_str().unwrap().to_owned(), text.to_owned());
    }
    assert_eq!(texts.len(), 3);
    for (path, text) in &texts {
        assert_eq!(fs_err::read_to_string(path).unwrap(), *text);
    }
    let (code, report) = sandbox.json(["export", "all.jsonl"]);
    assert_eq!((code, report["documents"].as_u64()), (0, Some(3)));
    assert_eq!(fs_err::read_to_string(sandbox.path().join("all.jsonl")).unwrap(), run.stdout);
}

/// What does not look for a stop is ended where it is.
#[cfg(unix)]
#[test]
fn one_ctrl_c_ends_a_command_that_cannot_go_on_later() {
    use std::io::Read as _;
    let Some(sandbox) = Sandbox::with_models() else { return };
    // More than a pipe holds: nobody reads it, so the command would never end.
    sandbox.write("long.md", "The heron stands in the reeds and waits for fish.\n\n".repeat(10_000));
    sandbox.ingest();
    let mut child = sandbox.command(["export"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let asked = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(sandbox.run(["doctor"]).code, 0);
}

#[test]
fn a_backup_taken_while_an_ingest_writes_is_whole() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_matters(300);
    let (mut child, rest) = sandbox.begin_ingest();
    let (code, backup) = sandbox.json(["backup", "all.backup"]);
    let was_writing = child.try_wait().unwrap().is_none();
    assert_eq!(code, 0, "{backup}");
    assert!(child.wait().unwrap().success());
    rest.join().unwrap();
    assert!(was_writing, "the ingest was done before the backup");
    let (code, restored) = sandbox.json(["restore", "all.backup", "--data", "elsewhere"]);
    assert_eq!((code, &restored["documents"]), (0, &backup["documents"]), "{restored}");
    let doctor = sandbox.run(["doctor", "--data", "elsewhere"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    let (all, held) = (stored(&sandbox, None), stored(&sandbox, Some("elsewhere")));
    assert!(!held.is_empty() && held.len() < all.len(), "{} of {}", held.len(), all.len());
    assert!(held.iter().all(|(path, text)| all[path] == *text));
}

/// Documents by path, with their text: what a run reported as stored.
fn stored(sandbox: &Sandbox, data: Option<&str>) -> BTreeMap<String, String> {
    let run = sandbox.run(["export"].into_iter().chain(data.into_iter().flat_map(|data| ["--data", data])));
    assert!(matches!(run.code, 0 | 1), "{run:?}");
    let mut texts = BTreeMap::new();
    for line in run.stdout.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = value["document"]["path"].as_str().unwrap().to_owned();
        assert!(texts.insert(path.clone(), value["text"].as_str().unwrap().to_owned()).is_none(), "twice: {path}");
    }
    texts
}

/// Ten kills in the ordinary run, two hundred with `SIDENOTE_SLOW_TESTS=1`.
#[test]
fn killed_at_any_instant_an_ingest_loses_nothing_it_reported() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    // Segments are built and merged all the time.
    sandbox.set("SIDENOTE_INDEX_HNSW_MIN_VECTORS", "8");
    let kills = if std::env::var_os("SIDENOTE_SLOW_TESTS").is_some() { 200 } else { 10 };
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut survived = 0;
    for kill in 0..kills {
        for _ in 0..6 {
            let name = format!("note-{}.md", next(40));
            match next(4) {
                0 => drop(fs_err::remove_file(sandbox.docs().join(&name))),
                _ => {
                    let words: Vec<String> = (0..30 + next(200)).map(|_| format!("word{}", next(500))).collect();
                    sandbox.write(&name, format!("# Note {kill}\n\n{}\n", words.join(" ")));
                }
            }
        }
        sandbox.write("always.md", "# Always\n\nThis one stays as it is.\n");
        let mut child =
            sandbox.command(["ingest", "docs", "-v"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let reported = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
        let deadline = Instant::now() + Duration::from_millis(next(700));
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = child.kill();
        survived += u32::from(child.wait().unwrap().success());
        let reported = reported.join().unwrap();
        let doctor = sandbox.run(["doctor"]);
        assert!(doctor.code == 0 || doctor.stderr.contains("nothing has been ingested"), "kill {kill}: {doctor:?}");
        if doctor.code != 0 {
            continue;
        }
        let stored = stored(&sandbox, None);
        for line in reported.lines() {
            let Some(rest) = line.strip_prefix("added ").or_else(|| line.strip_prefix("updated ")) else { continue };
            let name = rest.split(',').next().unwrap();
            let path = sandbox.path().canonicalize().unwrap().join(name);
            let found = stored.get(path.to_str().unwrap());
            assert_eq!(found, Some(&fs_err::read_to_string(&path).unwrap()), "kill {kill}: {line}");
        }
    }
    // And what was cut off is made up for.
    let run = sandbox.run(["ingest", "docs"]);
    assert_eq!(run.code, 0, "{run:?}");
    let stored = stored(&sandbox, None);
    let there: BTreeMap<String, String> = files_below(&sandbox.docs().canonicalize().unwrap())
        .into_iter()
        .map(|path| (path.to_string_lossy().into_owned(), fs_err::read_to_string(path).unwrap()))
        .collect();
    assert_eq!(stored, there);
    assert!(survived < kills, "no ingest was cut off");
    let (code, report) = sandbox.json(["doctor"]);
    assert_eq!(code, 0, "{report}");
    // Nothing half-done lies about.
    assert!(!sandbox.data().join("restoring").exists());
    let folders = |of: &str| fs_err::read_dir(sandbox.data().join(of)).unwrap().count();
    let sealed = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "segments").unwrap();
    assert!(folders("vectors") > 0, "{report}");
    assert_eq!(sealed["detail"].as_str().unwrap(), format!("{} sealed", folders("vectors")), "{report}");
}
