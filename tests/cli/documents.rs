//! Ingest, status, documents, remove.

use super::sandbox::{Sandbox, files_below, models_folder};

fn counts(value: &serde_json::Value) -> [u64; 4] {
    ["added", "updated", "unchanged", "removed"].map(|name| value[name].as_u64().unwrap())
}

#[test]
fn ingesting_twice_changes_nothing_and_says_so() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    let first = sandbox.ingest();
    assert!(first.stdout.starts_with("3 documents added; "), "{first:?}");
    let before = sandbox.json(["status"]).1;
    let second = sandbox.ingest();
    assert_eq!(second.stdout, "Nothing changed: 3 documents up to date.\n");
    let after = sandbox.json(["status"]).1;
    for what in ["documents", "chunks", "vectors", "collections"] {
        assert_eq!(before[what], after[what], "{what}");
    }
}

#[test]
fn a_changed_file_replaces_its_chunks_and_a_vanished_one_goes() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    sandbox.write("parking.txt", "Visitors park on the spaces 30 to 34 now. The barrier is gone.\n");
    fs_err::remove_file(sandbox.docs().join("kitchen.md")).unwrap();
    // Another file in its place, of the same size and date.
    let (old, new) = (sandbox.docs().join("travel.md"), sandbox.path().join("new"));
    let modified = fs_err::metadata(&old).unwrap().modified().unwrap();
    fs_err::copy(&old, &new).unwrap();
    std::fs::File::options().write(true).open(&new).unwrap().set_modified(modified).unwrap();
    fs_err::rename(&new, &old).unwrap();
    let listed = sandbox.json(["documents"]).1;
    let stale: Vec<&str> = listed["documents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|document| document["stale"] == true)
        .map(|document| document["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(stale, ["kitchen.md", "parking.txt", "travel.md"]);
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, counts(&report)), (0, [0, 1, 1, 1]));
    for (query, found) in [("4711", false), ("dishwasher", false), ("barrier", true)] {
        let (code, value) = sandbox.json(["search", query, "--mode", "lexical"]);
        assert_eq!(code, i32::from(!found), "{query}: {value}");
    }
}

#[test]
fn a_text_is_embedded_once_and_only_what_was_edited_is_embedded_again() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    // Sections longer than half a chunk stand in chunks of their own.
    let section = |number: usize| {
        let sentence = format!("The valve of line {number} is opened by the shift leader alone. ");
        format!("## Line {number}\n\n{}\n\n", sentence.repeat(14))
    };
    let manual = |sections: &[usize]| sections.iter().map(|number| section(*number)).collect::<String>();
    sandbox.write("manual.md", manual(&[1, 2, 3, 4, 5, 6]));
    let (code, first) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, &first["chunks"], &first["embedded"]), (0, &6.into(), &6.into()), "{first}");
    // The same words in another file, in another order, and under another name.
    sandbox.write("copy.md", manual(&[1, 6, 5, 4, 3, 2]));
    let (_, copied) = sandbox.json(["ingest", "docs"]);
    assert_eq!((&copied["chunks"], &copied["embedded"]), (&6.into(), &0.into()), "{copied}");
    sandbox.write("manual.md", manual(&[1, 2, 7, 4, 5, 6]));
    let (_, edited) = sandbox.json(["ingest", "docs"]);
    assert_eq!((&edited["updated"], &edited["chunks"], &edited["embedded"]), (&1.into(), &6.into(), &1.into()));
    fs_err::rename(sandbox.docs().join("copy.md"), sandbox.docs().join("moved.md")).unwrap();
    let (_, moved) = sandbox.json(["ingest", "docs"]);
    assert_eq!((&moved["renamed"], &moved["chunks"], &moved["embedded"]), (&1.into(), &0.into(), &0.into()), "{moved}");
    assert_eq!(sandbox.json(["status"]).1["vectors"], 7);
}

#[test]
fn a_renamed_file_keeps_its_chunks() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.write("copy.txt", fs_err::read(sandbox.docs().join("parking.txt")).unwrap());
    sandbox.ingest();
    let chunk = |words: &[&str]| {
        let hits = sandbox.json(words).1["hits"].clone();
        let name =
            |hit: &serde_json::Value| hit["document"]["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        hits.as_array().unwrap().iter().map(|hit| (name(hit), hit["chunk"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let before = chunk(&["search", "dishwasher", "--mode", "lexical"]);
    assert_eq!(before[0].0, "kitchen.md");
    fs_err::create_dir(sandbox.docs().join("rooms")).unwrap();
    fs_err::rename(sandbox.docs().join("kitchen.md"), sandbox.docs().join("rooms/canteen.md")).unwrap();
    // One of two files with the same content moves, and another ending could mean another reading.
    fs_err::rename(sandbox.docs().join("copy.txt"), sandbox.docs().join("copy.md")).unwrap();
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, counts(&report), report["renamed"].as_u64()), (0, [1, 0, 2, 1], Some(1)), "{report}");
    let after = chunk(&["search", "dishwasher", "--mode", "lexical"]);
    assert_eq!(after, [("canteen.md".to_owned(), before[0].1)]);
    assert_eq!(sandbox.json(["search", "dishwasher", "--mode", "dense"]).1["hits"][0]["chunk"], before[0].1);
    let mut names: Vec<String> =
        chunk(&["search", "barrier", "--mode", "lexical"]).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["copy.md", "parking.txt"]);
    let listed = sandbox.json(["documents"]).1;
    assert!(listed["documents"].as_array().unwrap().iter().all(|document| document["stale"] == false), "{listed}");
    assert_eq!(counts(&sandbox.json(["ingest", "docs"]).1), [0, 0, 4, 0]);
}

#[test]
fn a_file_with_a_new_time_and_the_old_bytes_is_unchanged_and_not_stale() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    sandbox.write("kitchen.md", fs_err::read(sandbox.docs().join("kitchen.md")).unwrap());
    assert_eq!(counts(&sandbox.json(["ingest", "docs"]).1), [0, 0, 3, 0]);
    let listed = sandbox.json(["documents"]).1;
    assert!(listed["documents"].as_array().unwrap().iter().all(|document| document["stale"] == false), "{listed}");
}

#[test]
fn other_bytes_under_the_old_stamp_are_found_by_a_look_at_every_file() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    // Older than the clock's grain: its time stamp is believed.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let set_old = |path: &std::path::Path| {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    };
    let path = sandbox.write("gate.md", "# Gate\n\nThe code of the gate is 1234.\n");
    set_old(&path);
    sandbox.ingest();
    sandbox.write("gate.md", "# Gate\n\nThe code of the gate is 5678.\n");
    set_old(&path);
    assert_eq!(counts(&sandbox.json(["ingest", "docs"]).1), [0, 0, 1, 0]);
    assert_eq!(counts(&sandbox.json(["ingest", "docs", "--rehash"]).1), [0, 1, 0, 0]);
    assert_eq!(sandbox.json(["search", "5678", "--mode", "lexical"]).0, 0);
    assert_eq!(counts(&sandbox.json(["ingest", "docs", "--rehash"]).1), [0, 0, 1, 0]);
}

#[test]
fn what_is_ignored_or_hidden_is_left_out_and_goes_when_it_comes_to_be() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.write(".gitignore", "*.log.txt\n/build/\n");
    sandbox.write("server.log.txt", "The heron stood in the log.\n");
    sandbox.write("build/made.md", "# Made\n\nThe heron was made.\n");
    sandbox.write("drafts/.sidenoteignore", "*\n!final.md\n");
    sandbox.write("drafts/first.md", "# First\n\nThe heron of the draft.\n");
    sandbox.write("drafts/final.md", "# Final\n\nThe egret stands in the final text.\n");
    sandbox.write(".secret.md", "# Secret\n\nThe stork is hidden.\n");
    sandbox.ingest();
    let finds = |sandbox: &Sandbox, word: &str| sandbox.json(["search", word, "--mode", "lexical"]).0 == 0;
    assert_eq!(["heron", "egret", "stork"].map(|word| finds(&sandbox, word)), [false, true, false]);
    // A rule that is written later takes out what was read before.
    sandbox.write(".sidenoteignore", "kitchen.md\n");
    assert_eq!(counts(&sandbox.json(["ingest", "docs"]).1), [0, 0, 3, 1]);
    assert!(!finds(&sandbox, "dishwasher"));
    sandbox.set("SIDENOTE_INGEST_INCLUDE_HIDDEN", "true");
    sandbox.run(["ingest", "docs"]);
    assert!(finds(&sandbox, "stork"));
}

#[test]
fn attachments_and_members_are_documents_of_their_file() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    let mail = |attachment: &str| {
        format!(
            "From: Ruth Adler <ruth@example.org>\r\nTo: all@example.org\r\nSubject: Terms of the ferry\r\n\
             Date: Fri, 31 May 2024 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\nContent-Type: text/plain\r\n\r\n\
             The new timetable of the ferry is attached.\r\n--cut\r\n\
             Content-Type: text/markdown; name=timetable.md\r\nContent-Disposition: attachment; filename=timetable.md\r\n\
             \r\n# Timetable\r\n\r\n{attachment}\r\n--cut--\r\n"
        )
    };
    sandbox.write("ferry.eml", mail("The last ferry leaves at 21:40 from the northern pier."));
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, counts(&report)), (0, [1, 0, 0, 0]), "{report}");
    let (_, listed) = sandbox.json(["documents"]);
    let parts: Vec<Option<&str>> =
        listed["documents"].as_array().unwrap().iter().map(|document| document["part"].as_str()).collect();
    assert_eq!(parts, [None, Some("timetable.md")]);
    let (_, found) = sandbox.json(["search", "northern pier", "--mode", "lexical"]);
    assert_eq!(found["hits"][0]["document"]["part"], "timetable.md", "{found}");
    assert_eq!(found["hits"][0]["heading"], serde_json::json!(["Timetable"]));
    let shown = sandbox.run(["search", "northern pier", "--mode", "lexical"]);
    assert!(shown.stdout.contains("ferry.eml, timetable.md › Timetable"), "{shown:?}");
    // The mail is one file: it changes, moves and goes as one.
    sandbox.write("ferry.eml", mail("The last ferry leaves at 22:10 from the southern pier."));
    assert_eq!(counts(&sandbox.json(["ingest", "docs"]).1), [0, 1, 0, 0]);
    assert_eq!(sandbox.json(["search", "northern", "--mode", "lexical"]).0, 1);
    fs_err::rename(sandbox.docs().join("ferry.eml"), sandbox.docs().join("boat.eml")).unwrap();
    assert_eq!(sandbox.json(["ingest", "docs"]).1["renamed"], 1);
    assert_eq!(sandbox.json(["search", "southern", "--mode", "lexical"]).0, 0);
    let (_, report) = sandbox.json(["remove", "docs/boat.eml", "--purge"]);
    assert_eq!(report, serde_json::json!({"removed": 2, "purged": 2}));
    for file in files_below(&sandbox.data()) {
        let bytes = fs_err::read(&file).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"southern"), "{}", file.display());
    }
}

#[test]
fn patterns_narrow_an_ingest_and_remove_nothing() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    let (_, report) = sandbox.json(["ingest", "docs", "--include", "*.md", "--exclude", "kitchen*"]);
    assert_eq!(counts(&report), [1, 0, 0, 0]);
    sandbox.ingest();
    fs_err::remove_file(sandbox.docs().join("travel.md")).unwrap();
    let (_, report) = sandbox.json(["ingest", "docs", "--include", "*.txt"]);
    assert_eq!(counts(&report), [0, 0, 1, 1], "what is gone is gone");
    let (code, error) = sandbox.json(["ingest", "docs", "--include", "a[b"]);
    assert_eq!((code, error["error"]["kind"].as_str()), (2, Some("config")), "{error}");
}

#[test]
fn keeping_missing_documents_is_a_flag_and_an_empty_folder_removes_nothing_by_itself() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    fs_err::remove_file(sandbox.docs().join("kitchen.md")).unwrap();
    let (_, report) = sandbox.json(["ingest", "docs", "--keep-missing"]);
    assert_eq!(report["removed"], 0);
    for name in ["travel.md", "parking.txt"] {
        fs_err::remove_file(sandbox.docs().join(name)).unwrap();
    }
    let (_, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!(report["removed"], 0, "an unmounted disk must not empty the index");
    let (_, report) = sandbox.json(["ingest", "docs", "--allow-empty-root"]);
    assert_eq!(report["removed"], 3);
}

#[test]
fn removed_documents_are_gone_from_every_answer_and_purged_ones_from_every_byte() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let (code, report) = sandbox.json(["remove", "docs/kitchen.md"]);
    assert_eq!((code, report), (0, serde_json::json!({"removed": 1, "purged": 0})));
    assert_eq!(sandbox.json(["search", "dishwasher", "--mode", "lexical"]).0, 1);
    let (code, report) = sandbox.json(["remove", "docs/parking.txt", "--purge"]);
    assert_eq!((code, report), (0, serde_json::json!({"removed": 1, "purged": 1})));
    for file in files_below(&sandbox.data()) {
        let bytes = fs_err::read(&file).unwrap();
        for word in ["dishwasher", "barrier code"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} in {}", file.display());
        }
    }
    let run = sandbox.run(["remove", "docs/kitchen.md"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, "removed 0 documents\n"));
    assert!(run.stderr.contains("hint: nothing was stored"), "{run:?}");
}

#[test]
fn a_folder_that_was_removed_leaves_no_name_behind() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write("vaultfolder/heron.md", "The heron stands in the reeds.\n");
    sandbox.write("vaultfolder/brokenletter.pdf", "%PDF-1.4 and nothing else");
    sandbox.write("other.md", "Lunch is at noon.\n");
    let vault = ["ingest", "docs/vaultfolder", "--collection", "vaultbirds"];
    assert_eq!(sandbox.run(vault).code, 3);
    assert_eq!(sandbox.run(["ingest", "docs/other.md"]).code, 0);
    let run = sandbox.run(["remove", "docs/vaultfolder", "--collection", "vaultbirds", "--purge"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "removed 1 document, 1 document wiped from the data folder\n"));
    assert!(run.stderr.contains("forgotten too: 1 file that could not be read"), "{run:?}");
    for file in files_below(&sandbox.data()) {
        let bytes = fs_err::read(&file).unwrap();
        for word in ["heron", "vaultfolder", "brokenletter", "vaultbirds"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} in {}", file.display());
        }
    }
    // A failure alone is something to forget, too.
    assert_eq!(sandbox.run(["ingest", "docs/vaultfolder/brokenletter.pdf"]).code, 3);
    assert!(sandbox.run(["status"]).stdout.contains("brokenletter"));
    assert_eq!(sandbox.run(["remove", "docs/vaultfolder"]).code, 0);
    assert!(!sandbox.run(["status"]).stdout.contains("brokenletter"));
}

#[test]
fn a_disk_that_is_not_mounted_empties_no_index_also_inside_of_another_folder() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    let stick = sandbox.write("stick/heron.md", "The heron stands in the reeds.\n");
    let mount = stick.parent().unwrap();
    assert_eq!(sandbox.run(["ingest", "docs/stick"]).code, 0);
    assert_eq!(sandbox.run(["ingest", "docs"]).code, 0);
    fs_err::remove_dir_all(mount).unwrap();
    for _ in 0..2 {
        let (code, report) = sandbox.json(["ingest", "docs"]);
        assert_eq!((code, &report["removed"]), (3, &0.into()), "{report}");
        assert_eq!(report["failed"][0]["path"], mount.to_str().unwrap(), "{report}");
    }
    // It is mounted again: nothing is said of it any more, and files that are gone from it are gone.
    sandbox.write("stick/owl.md", "The owl sleeps in the barn.\n");
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, &report["removed"], &report["added"]), (0, &1.into(), &1.into()), "{report}");
    assert!(!sandbox.run(["status"]).stdout.contains("holds no file"));
    fs_err::remove_dir_all(mount).unwrap();
    assert_eq!(sandbox.run(["ingest", "docs/stick"]).code, 2);
    let (code, report) = sandbox.json(["ingest", "docs/stick", "--allow-empty-root"]);
    assert_eq!((code, &report["removed"]), (0, &1.into()), "{report}");
    assert_eq!(sandbox.json(["ingest", "docs"]).0, 0, "the folder is forgotten");
}

#[test]
fn collections_keep_to_themselves() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write("one/a.md", "# A\n\nThe heron stands in the reeds.\n");
    sandbox.write("two/b.md", "# B\n\nThe kingfisher dives from the branch.\n");
    assert_eq!(sandbox.run(["ingest", "docs/one", "--collection", "birds"]).code, 0);
    assert_eq!(sandbox.run(["ingest", "docs/two"]).code, 0);
    let status = sandbox.json(["status"]).1;
    let names: Vec<&str> =
        status["collections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["birds", "default"]);
    let found = |words: &[&str]| sandbox.json(words).0 == 0;
    assert!(found(&["search", "heron", "--mode", "lexical"]));
    assert!(found(&["search", "heron", "--mode", "lexical", "--collection", "birds"]));
    assert!(!found(&["search", "heron", "--mode", "lexical", "--collection", "default"]));
    assert_eq!(sandbox.json(["documents", "--collection", "birds"]).1["documents"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_printed_is_what_a_person_wants_to_read() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    let mut text = sandbox.shown(&sandbox.run(["status"]));
    text.push_str(&sandbox.shown(&sandbox.run(["ingest", "docs"])));
    text.push_str(&sandbox.shown(&sandbox.run(["documents"])));
    text.push_str(&sandbox.shown(&sandbox.run(["remove", "docs/kitchen.md"])));
    text.push_str(&sandbox.shown(&sandbox.run(["status", "-q"])));
    insta::with_settings!({filters => vec![
        (r"in \d+(\.\d+)? (ms|s)", "in TIME"),
        (r"\d[\d.]* (B|kB|MB) in", "SIZE in"),
        (r"\d[\d.]* (B|kB|MB) to read", "SIZE to read"),
    ]}, { insta::assert_snapshot!("people", text) });
}

#[cfg(unix)]
#[test]
fn a_watched_folder_is_read_again_when_something_changes() {
    use std::io::BufRead as _;
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    // Inside of what is watched: what the program writes there must not set it off.
    let data = sandbox.docs().join("data");
    let mut child = sandbox
        .command(["watch", "docs", "--json", "--data", data.to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (sender, reports) = std::sync::mpsc::channel();
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        for line in std::io::BufReader::new(stdout).lines() {
            let _ = sender.send(serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
        }
    });
    let next = || reports.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    let first = next();
    super::sandbox::check_schema("ingest", &first);
    assert_eq!((counts(&first), first["failed"].as_array().unwrap().len()), ([3, 0, 0, 0], 0), "{first}");
    sandbox.write("new/heron.md", "# Heron\n\nThe heron stands in the reeds.\n");
    assert_eq!(counts(&next()), [1, 0, 3, 0]);
    fs_err::remove_file(sandbox.docs().join("kitchen.md")).unwrap();
    assert_eq!(counts(&next())[3], 1);
    fs_err::rename(sandbox.docs().join("new/heron.md"), sandbox.docs().join("heron.md")).unwrap();
    assert_eq!(next()["renamed"], 1);
    assert_eq!(sandbox.json(["search", "reeds", "--data", data.to_str().unwrap()]).0, 0, "readers go on");
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    reader.join().unwrap();
}

#[test]
fn another_embedding_model_takes_over_and_the_old_one_answers_until_then() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let chunks = sandbox.json(["status"]).1["chunks"].as_u64().unwrap();
    // The same model under another name and with another hash: one byte more in its tokenizer's file.
    let (known, other) = (models_folder().join("all-minilm-l6-v2-int8"), sandbox.path().join("other-model"));
    fs_err::create_dir(&other).unwrap();
    fs_err::copy(known.join("model.onnx"), other.join("model.onnx")).unwrap();
    let tokenizer = fs_err::read_to_string(known.join("tokenizer.json")).unwrap();
    fs_err::write(other.join("tokenizer.json"), format!("{tokenizer}\n")).unwrap();
    sandbox.set("SIDENOTE_MODELS_EMBEDDER", &other);
    let found = |sandbox: &Sandbox| sandbox.json(["search", "who pays for flights", "--mode", "dense"]);
    assert_eq!(found(&sandbox).0, 0, "the model that made the index answers");
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, counts(&report), report["reembedded"].as_u64()), (0, [0, 0, 3, 0], Some(chunks)), "{report}");
    assert_eq!(sandbox.json(["status"]).1["models"]["embedding"], "other-model");
    assert_eq!(found(&sandbox).0, 0);
    assert_eq!(sandbox.json(["doctor"]).0, 0);
    assert_eq!(sandbox.json(["ingest", "docs"]).1["reembedded"], 0);
    // The way back is the same; until then a model that is nowhere to be found is named.
    sandbox.set("SIDENOTE_MODELS_EMBEDDER", "all-minilm-l6-v2-int8");
    let (code, refused) = found(&sandbox);
    assert_eq!((code, refused["error"]["kind"].as_str()), (2, Some("model_mismatch")), "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("other-model"), "{refused}");
    let back = sandbox.run(["ingest", "docs"]);
    assert!(back.stdout.contains("chunks embedded anew"), "{back:?}");
    assert_eq!(found(&sandbox).0, 0);
}

#[test]
fn another_precision_is_another_model_that_takes_over_at_the_next_ingest() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.set("SIDENOTE_EMBED_PRECISION", "f32");
    let chunks = sandbox.json(["ingest", "docs"]).1["chunks"].as_u64().unwrap();
    let found = |sandbox: &Sandbox| sandbox.json(["search", "who pays for flights", "--mode", "dense"]);
    assert_eq!(found(&sandbox).0, 0);
    sandbox.set("SIDENOTE_EMBED_PRECISION", "int8");
    assert_eq!(found(&sandbox).0, 0, "until then it is searched as it was made");
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!(
        (code, report["reembedded"].as_u64(), report["unchanged"].as_u64()),
        (0, Some(chunks), Some(3)),
        "{report}"
    );
    assert_eq!(found(&sandbox).0, 0);
    // And back: it is searched in the way that made it now.
    sandbox.set("SIDENOTE_EMBED_PRECISION", "f32");
    assert_eq!(found(&sandbox).0, 0);
}
