//! Bad files, bad models, bad data folders: each names its path and what to do, and costs itself alone.

use std::path::Path;

use super::{
    pdf::{deep_pdf, encrypted_pdf, pdf},
    sandbox::{SMALL_GENERATOR, Sandbox, check_schema, models_folder},
};

/// Runs with `--json` and wants an error of this kind with a hint; gives the whole error.
fn error_of(sandbox: &Sandbox, words: &[&str], code: i32, kind: &str) -> serde_json::Value {
    let (found, value) = sandbox.json(words);
    check_schema("error", &value);
    assert_eq!((found, value["error"]["kind"].as_str()), (code, Some(kind)), "{value:#}");
    assert!(value["error"]["hint"].is_string(), "{value:#}");
    value["error"].clone()
}

/// What is known to keep the reader of one file busy for minutes, and to exhaust the stack of the reader of another.
#[test]
fn files_that_hang_or_kill_their_reader_cost_themselves_alone() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.set("SIDENOTE_INGEST_EXTRACT_TIMEOUT_SECONDS", "2");
    sandbox.write("a-hang.java", "x=>".repeat(200_000));
    sandbox.write("b-heron.md", "The heron stands in the reeds.\n");
    sandbox.write("c-deep.pdf", deep_pdf());
    sandbox.write("d-owl.md", "The owl sleeps in the barn.\n");
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, &report["added"]), (3, &2.into()), "{report:#}");
    let reasons: Vec<&str> =
        report["failed"].as_array().unwrap().iter().map(|failed| failed["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.len(), 2, "{report:#}");
    assert!(reasons[0].contains("took longer than 2 seconds"), "{reasons:?}");
    assert!(reasons[1].contains("extraction died"), "{reasons:?}");
}

/// Runs with `--json` as somebody whom permissions bind: root gives up the rights to overrule them.
#[cfg(target_os = "linux")]
fn json_bound_by_permissions(sandbox: &Sandbox, words: &[&str]) -> (i32, serde_json::Value) {
    let mut command = sandbox.command(words.iter().chain(&["--json"]));
    if std::os::unix::fs::MetadataExt::uid(&fs_err::metadata(sandbox.path()).unwrap()) == 0 {
        let mut bound = std::process::Command::new("setpriv");
        let rights = "-dac_override,-dac_read_search";
        bound.args([format!("--bounding-set={rights}"), format!("--inh-caps={rights}")]);
        bound.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bound.env(name, value),
                None => bound.env_remove(name),
            };
        }
        bound.current_dir(sandbox.path());
        command = bound;
    }
    let output = command.output().unwrap();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), value)
}

#[cfg(target_os = "linux")]
#[test]
fn what_may_not_be_read_is_reported_and_what_is_known_of_it_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.write("closed/owl.md", "The owl sleeps in the barn.\n");
    let secret = sandbox.write("secret.md", "The heron stands in the reeds.\n");
    let closed = sandbox.docs().join("closed");
    fs_err::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    let (code, report) = json_bound_by_permissions(&sandbox, &["ingest", "docs"]);
    assert_eq!((code, &report["added"]), (3, &4.into()), "{report:#}");
    // The file may be read now, and the folder no longer.
    fs_err::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    fs_err::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    fs_err::remove_file(sandbox.docs().join("parking.txt")).unwrap();
    let (code, report) = json_bound_by_permissions(&sandbox, &["ingest", "docs"]);
    fs_err::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((code, &report["added"], &report["removed"]), (3, &1.into(), &1.into()), "{report:#}");
    let failed = &report["failed"][0];
    assert_eq!(failed["path"].as_str().map(Path::new), Some(&*fs_err::canonicalize(&closed).unwrap()), "{report:#}");
    assert!(failed["reason"].as_str().unwrap().contains("no permission"), "{report:#}");
    assert_eq!(sandbox.json(["search", "owl barn", "--mode", "lexical"]).0, 0, "what was known of it is still found");
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, &report["unchanged"], &report["removed"]), (0, &4.into(), &0.into()), "{report:#}");
}

#[test]
fn bad_files_are_reported_one_by_one_and_the_rest_goes_on() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.set("SIDENOTE_INGEST_MAX_FILE_BYTES", "20000");
    sandbox.write_handbook();
    sandbox.write("fine.pdf", pdf(&["The night watch begins at nine.", "It ends at six."]));
    sandbox.write("empty.md", "");
    sandbox.write("blank.txt", " \n\t\n ");
    sandbox
        .write("noise.txt", (0..4000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<u8>>());
    sandbox.write("locked.pdf", encrypted_pdf());
    let whole = pdf(&["This page is cut off in the middle of its objects."]);
    sandbox.write("damaged.pdf", &whole[..whole.len() / 3]);
    sandbox.write("huge.md", "A long line of words. ".repeat(2000));
    sandbox.write("latin.txt", b"Der K\xe4se und die Gr\xf6\xdfe liegen im K\xfchlschrank neben der T\xfcr.\n");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(".", sandbox.docs().join("loop")).unwrap();
        std::os::unix::fs::symlink("nowhere.md", sandbox.docs().join("dangling.md")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(sandbox.docs().join("pipe.md")).status().unwrap();
        assert!(made.success());
    }
    let (code, report) = sandbox.json(["ingest", "docs", "vanished.md"]);
    check_schema("ingest", &report);
    assert_eq!(code, 3, "{report:#}");
    let failed: Vec<(String, &str)> = report["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| {
            let path = Path::new(failed["path"].as_str().unwrap());
            (path.file_name().unwrap().to_string_lossy().into_owned(), failed["reason"].as_str().unwrap())
        })
        .collect();
    for (name, word) in [
        ("empty.md", "no text"),
        ("blank.txt", "no text"),
        ("noise.txt", "not a text file"),
        ("locked.pdf", "encrypted"),
        ("damaged.pdf", "damaged"),
        ("huge.md", "ingest.max_file_bytes"),
        ("vanished.md", ""),
    ] {
        assert!(failed.iter().any(|(path, reason)| path == name && reason.contains(word)), "{name}: {failed:#?}");
    }
    // Three of the handbook, the whole PDF, the old encoding.
    assert_eq!(report["added"], 5, "{report:#}");
    assert_eq!(sandbox.json(["search", "night watch", "--mode", "lexical"]).1["hits"][0]["page"], 1);
    assert_eq!(sandbox.json(["search", "Kühlschrank", "--mode", "lexical"]).0, 0);

    // What cannot be read is no reason to keep what is gone.
    fs_err::remove_file(sandbox.docs().join("kitchen.md")).unwrap();
    let again = sandbox.run(["ingest", "docs"]);
    assert_eq!(again.code, 3, "{again:?}");
    assert!(again.stdout.contains("1 removed"), "{again:?}");
    assert!(again.stdout.contains("could not be read:\n"), "{again:?}");
    assert!(again.stdout.contains("\n  docs/locked.pdf: "), "{again:?}");
}

#[cfg(unix)]
#[test]
fn links_that_lead_in_circles_end() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.set("SIDENOTE_INGEST_FOLLOW_SYMLINKS", "true");
    sandbox.write("a/b/note.md", "# Note\n\nThe circle ends here.\n");
    std::os::unix::fs::symlink("../..", sandbox.docs().join("a/b/up")).unwrap();
    std::os::unix::fs::symlink("itself", sandbox.docs().join("itself")).unwrap();
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert!(code == 0 || code == 3, "{report:#}");
    assert_eq!(report["added"], 1, "{report:#}");
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    let run = sandbox.run(["ingest", "nowhere"]);
    assert!(run.code == 2 || run.code == 3, "{run:?}");
    assert!(format!("{}{}", run.stdout, run.stderr).contains("nowhere"), "{run:?}");
}

/// A models folder with links to the real ones, one of them left out.
#[cfg(unix)]
fn models_without(sandbox: &mut Sandbox, left_out: &str) {
    let folder = sandbox.path().join("models");
    fs_err::create_dir_all(&folder).unwrap();
    for entry in fs_err::read_dir(models_folder()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != left_out {
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
    sandbox.set("SIDENOTE_MODELS", folder);
}

#[cfg(unix)]
#[test]
fn a_missing_model_names_its_file_and_how_to_get_it() {
    for (model, words) in [
        ("all-minilm-l6-v2-int8", ["ingest", "docs"]),
        ("onnxruntime-1.31.1", ["ingest", "docs"]),
        (SMALL_GENERATOR, ["ask", "who approves?"]),
    ] {
        let Some(mut sandbox) = Sandbox::with_models() else { return };
        sandbox.write_handbook();
        if words[0] == "ask" {
            sandbox.ingest();
        }
        models_without(&mut sandbox, model);
        let error = error_of(&sandbox, &words, 2, "missing_model");
        let said = format!("{} {}", error["message"], error["path"]);
        assert!(said.contains(model), "{error:#}");
        assert!(error["hint"].as_str().unwrap().contains("sidenote models pull"), "{error:#}");
    }
}

#[cfg(unix)]
#[test]
fn quotes_alone_want_no_language_model() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    models_without(&mut sandbox, SMALL_GENERATOR);
    let (code, answer) = sandbox.json(["ask", "Who approves travel expenses?", "--extract"]);
    check_schema("ask", &answer);
    assert_eq!((code, answer["answered"].as_bool(), answer["model"].as_str()), (0, Some(true), Some("")), "{answer:#}");
    let note = &answer["citations"][0];
    let stored = fs_err::read_to_string(note["document"]["path"].as_str().unwrap()).unwrap();
    assert!(stored.contains(note["quote"].as_str().unwrap()), "{answer:#}");
    assert!(note["quote"].as_str().unwrap().contains("Ruth Adler"), "{answer:#}");
    assert_eq!((&answer["tokens"]["prompt"], answer["read"].as_array().map(Vec::len)), (&0.into(), Some(0)));

    let (code, answer) = sandbox.json(["ask", "How do comets form in the outer solar system?", "--extract"]);
    assert_eq!((code, answer["answered"].as_bool()), (1, Some(false)), "{answer:#}");
    assert!(answer["reason"].as_str().unwrap().starts_with("The documents do not say."), "{answer:#}");
    let run = sandbox.run(["ask", "Who approves travel expenses?", "--extract", "--explain"]);
    assert!(run.stdout.contains("Confidence ") && !run.stdout.contains("Read by"), "{run:?}");
}

#[test]
fn a_damaged_model_is_refused_without_taking_the_program_down() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let own = sandbox.path().join("own");
    fs_err::create_dir_all(&own).unwrap();
    let whole = fs_err::read(models_folder().join(SMALL_GENERATOR).join("model.gguf")).unwrap();
    fs_err::write(own.join("cut.gguf"), &whole[..whole.len() / 2]).unwrap();
    fs_err::write(own.join("noise.gguf"), b"GGUF then nothing that makes sense".repeat(100)).unwrap();
    for name in ["cut.gguf", "noise.gguf"] {
        sandbox.set("SIDENOTE_MODELS_GENERATOR", own.join(name));
        let error = error_of(&sandbox, &["ask", "who approves?"], 2, "damaged_model");
        assert!(format!("{} {}", error["message"], error["path"]).contains(name), "{error:#}");
    }
    let real = models_folder().join("all-minilm-l6-v2-int8");
    for (file, keep) in [("model.onnx", 1000), ("tokenizer.json", 1000)] {
        let folder = own.join(file);
        fs_err::create_dir_all(&folder).unwrap();
        for name in ["model.onnx", "tokenizer.json"] {
            let bytes = fs_err::read(real.join(name)).unwrap();
            let end = if name == file { keep } else { bytes.len() };
            fs_err::write(folder.join(name), &bytes[..end]).unwrap();
        }
        sandbox.set("SIDENOTE_MODELS_EMBEDDER", folder);
        sandbox.set("SIDENOTE_PATHS_DATA", sandbox.path().join("other"));
        let error = error_of(&sandbox, &["ingest", "docs"], 2, "damaged_model");
        assert!(format!("{} {}", error["message"], error["path"]).contains(file), "{error:#}");
    }
}

#[cfg(unix)]
#[test]
fn a_model_that_is_not_the_manifests_answers_nothing_and_embeds_nothing() {
    let embedder = "all-minilm-l6-v2-int8";
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    models_without(&mut sandbox, embedder);
    let folder = sandbox.path().join("models").join(embedder);
    fs_err::create_dir_all(&folder).unwrap();
    for name in ["model.onnx", "tokenizer.json"] {
        let mut bytes = fs_err::read(models_folder().join(embedder).join(name)).unwrap();
        if name == "model.onnx" {
            // Somewhere among the weights: it still loads.
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x11;
        }
        fs_err::write(folder.join(name), bytes).unwrap();
    }
    sandbox.write("new.md", "The depot has a second gate.\n");
    for words in [&["search", "who approves?"][..], &["ingest", "docs"]] {
        let error = error_of(&sandbox, words, 2, "damaged_model");
        assert!(error["path"].as_str().unwrap().ends_with("model.onnx"), "{error:#}");
        assert!(error["hint"].as_str().unwrap().contains("sidenote models"), "{error:#}");
    }
    sandbox.set("SIDENOTE_MODELS", models_folder());
    assert_eq!(sandbox.json(["ingest", "docs"]).1["reembedded"], 0);
}

#[test]
fn a_damaged_onnx_runtime_is_refused() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    let library = sandbox.write("../libonnxruntime.so", "this is no library");
    sandbox.set("SIDENOTE_MODELS_RUNTIME", &library);
    let (code, value) = sandbox.json(["ingest", "docs"]);
    check_schema("error", &value);
    assert_eq!(code, 2, "{value:#}");
    assert!(value.to_string().contains("libonnxruntime.so"), "{value:#}");
}

#[test]
fn a_data_folder_of_a_newer_version_is_left_alone() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let database = sandbox.data().join("documents.sqlite");
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('pragma user_version = 999'); c.commit(); c.close()";
    let done = std::process::Command::new("python3").args(["-c", script]).arg(&database).status().unwrap();
    assert!(done.success());
    for words in [&["ingest", "docs"][..], &["search", "who"], &["status"], &["remove", "docs"]] {
        let error = error_of(&sandbox, words, 2, "newer_version");
        assert!(error.to_string().contains("documents.sqlite"), "{error:#}");
    }
}

#[test]
fn a_damaged_data_folder_says_so() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    fs_err::create_dir_all(sandbox.data()).unwrap();
    fs_err::write(sandbox.data().join("documents.sqlite"), "no database at all, and longer than a header").unwrap();
    for words in [&["search", "who"][..], &["status"]] {
        error_of(&sandbox, words, 2, "damaged_data");
    }
}

#[test]
fn a_second_writer_is_exit_code_4_and_readers_go_on() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let lock = fs_err::OpenOptions::new().write(true).open(sandbox.data().join("writer.lock")).unwrap();
    lock.file().lock().unwrap();
    for words in [&["ingest", "docs"][..], &["remove", "docs/kitchen.md"]] {
        let error = error_of(&sandbox, words, 4, "locked");
        assert!(error.to_string().contains("writer.lock"), "{error:#}");
    }
    assert_eq!(sandbox.run(["search", "hotel"]).code, 0);
    drop(lock);
    assert_eq!(sandbox.run(["remove", "docs/kitchen.md"]).code, 0);
}

#[cfg(unix)]
#[test]
fn an_interrupted_ingest_keeps_what_was_finished() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_matters(400);
    let (child, rest) = sandbox.begin_ingest();
    let stopped = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    let output = child.wait_with_output().unwrap();
    rest.join().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{report}");
    let added = report["added"].as_u64().unwrap();
    assert!(added > 0 && added < 400, "{report}");
    let run = sandbox.run(["ingest", "docs", "--json"]);
    assert!(run.code == 0 && run.stderr.contains("this one goes on"), "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["added"].as_u64().unwrap() + report["unchanged"].as_u64().unwrap(), 400, "{report}");
    assert!(report["unchanged"].as_u64().unwrap() >= added, "what was reported was lost: {report}");
}

#[test]
fn a_file_that_failed_is_read_again_when_something_speaks_for_it() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write("fine.md", "# Fine\n\nThe ferry leaves at seven.\n");
    let path = sandbox.write("ferry.pdf", b"%PDF-1.4\nnothing behind the header");
    // Older than the clock's grain: its time stamp is believed.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let set_old = |path: &Path| std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    set_old(&path);
    let reasons = |words: &[&str]| {
        let (code, report) = sandbox.json(words);
        let failed = report["failed"].as_array().unwrap().iter();
        (code, failed.map(|failed| failed["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    let (code, first) = reasons(&["ingest", "docs"]);
    assert_eq!((code, first.len()), (3, 1));
    // The same size, time and inode with other bytes: only a look inside shows them, and nobody looks.
    let bytes = fs_err::read(&path).unwrap();
    let mut picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    picture.resize(bytes.len(), 0);
    fs_err::write(&path, picture).unwrap();
    set_old(&path);
    assert_eq!(reasons(&["ingest", "docs"]), (3, first.clone()));
    let (code, retried) = reasons(&["ingest", "docs", "--retry"]);
    assert_eq!(code, 3);
    assert_ne!(retried, first);
    // Another limit may make it readable.
    fs_err::write(&path, bytes).unwrap();
    set_old(&path);
    assert_eq!(reasons(&["ingest", "docs"]), (3, retried));
    sandbox.set("SIDENOTE_INGEST_MAX_PAGES", "7");
    assert_eq!(sandbox.json(["ingest", "docs"]).1["failed"][0]["reason"], first[0].as_str());
    fs_err::remove_file(&path).unwrap();
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, report["failed"].as_array().unwrap().len()), (0, 0), "{report}");
    assert_eq!(sandbox.json(["status"]).0, 0);
}
