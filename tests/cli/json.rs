//! `--json`: one value, of the committed schema, whatever happens.

use super::sandbox::{Sandbox, check_schema};

#[test]
fn every_command_prints_one_value_of_its_schema() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    for (schema, words) in [
        ("ingest", &["ingest", "docs"][..]),
        ("search", &["search", "hotel"]),
        ("ask", &["ask", "What may a hotel night cost?"]),
        ("documents", &["documents"]),
        ("status", &["status"]),
        ("doctor", &["doctor"]),
        ("compact", &["compact"]),
        ("backup", &["backup", "docs.backup"]),
        ("backup", &["restore", "docs.backup", "--replace"]),
        ("export", &["export", "docs.jsonl"]),
        ("chats", &["chats"]),
        ("chats_deleted", &["chats", "delete", "--all"]),
        ("config", &["config"]),
        ("models", &["models", "list"]),
        ("models", &["models", "verify", "all-minilm-l6-v2-int8"]),
        ("models", &["models", "pull", "all-minilm-l6-v2-int8"]),
        ("completions", &["completions", "bash"]),
        ("remove", &["remove", "docs"]),
    ] {
        let run = sandbox.run(words.iter().chain(&["--json"]));
        assert_eq!(run.stdout.lines().count(), 1, "{words:?}: {run:?}");
        let value = serde_json::from_str(&run.stdout).unwrap();
        check_schema(schema, &value);
    }
}

#[test]
fn errors_are_json_too_with_the_same_exit_code() {
    let sandbox = Sandbox::new();
    for words in [
        &["frobnicate", "--json"][..],
        &["--json", "search"],
        &["search", "x", "-k", "0", "--json"],
        &["ask", "x", "--json", "--collection", ""],
        &["status", "--json", "--config", "nowhere.toml"],
        &["models", "pull", "no-such-model", "--json"],
    ] {
        let run = sandbox.run(words);
        assert_eq!((run.code, run.stderr.as_str()), (2, ""), "{words:?}: {run:?}");
        let value = serde_json::from_str(&run.stdout).unwrap();
        check_schema("error", &value);
        let plain = sandbox.run(words.iter().filter(|word| **word != "--json"));
        assert_eq!((plain.code, plain.stdout.as_str()), (2, ""), "{words:?}: {plain:?}");
        assert!(plain.stderr.starts_with("error: "), "{words:?}: {plain:?}");
    }
}

#[test]
fn a_quiet_run_says_nothing_on_standard_error() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    for words in [&["ingest", "docs", "-q"][..], &["search", "hotel", "-q"], &["status", "-q"]] {
        let run = sandbox.run(words);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{words:?}: {run:?}");
    }
}
