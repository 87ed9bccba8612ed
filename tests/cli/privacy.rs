//! What stays on the machine, and out of the log.

use std::process::Command;

use super::sandbox::{Sandbox, repository};

/// Crates that open connections to somewhere.
const NETWORK_CLIENTS: [&str; 12] = [
    "reqwest",
    "hyper",
    "hyper-util",
    "ureq",
    "curl",
    "isahc",
    "attohttpc",
    "native-tls",
    "rustls",
    "openssl",
    "hf-hub",
    "tungstenite",
];

#[test]
fn the_library_crates_link_no_network_client() {
    for package in ["sidenote-text", "sidenote-index", "sidenote-model", "sidenote", "sidenote-http"] {
        for line in dependencies(package, "normal").lines() {
            let name = line.split(' ').next().unwrap_or_default();
            // The endpoint is served with hyper, of which the half that asks others is left out, see below.
            let serves = package == "sidenote-http" && matches!(name, "hyper" | "hyper-util");
            assert!(serves || !NETWORK_CLIENTS.contains(&name), "{package} links {line}");
        }
    }
    let features = dependencies("sidenote-http", "normal,features");
    assert!(features.contains("hyper feature \"server\""), "{features}");
    for line in features.lines().filter(|line| line.starts_with("hyper")) {
        assert!(!line.contains("feature \"client"), "sidenote-http links {line}");
    }
}

/// What a crate links, a line each.
fn dependencies(package: &str, edges: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", edges, "--prefix", "none", "--locked", "--offline"])
        .current_dir(repository())
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.starts_with(package), "{}", String::from_utf8_lossy(&output.stderr));
    tree
}

#[test]
fn no_word_of_documents_or_questions_is_logged() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox
        .write("note.md", "# Quokkaheading\n\nThe zanzibarword lies under the stone. It has lain there for years.\n");
    for words in [
        &["ingest", "docs", "-vv"][..],
        &["search", "xylophonequery zanzibarword", "-vv", "--json"],
        &["ask", "Where does the zanzibarword lie, xylophonequery?", "-vv", "--json"],
        &["remove", "docs", "--purge", "-vv"],
    ] {
        let run = sandbox.run(words);
        let log = run.stderr.to_lowercase();
        for word in ["zanzibarword", "quokkaheading", "xylophonequery", "under the stone"] {
            assert!(!log.contains(word), "{word} in the log of {words:?}:\n{}", run.stderr);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn everything_but_fetching_models_works_without_a_network() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    let cut_off = Command::new("unshare").args(["--net", "true"]).output().is_ok_and(|output| output.status.success());
    if !cut_off {
        eprintln!("NOTE: this user may not make a network namespace; the commands run with the network there");
    }
    for words in
        [&["ingest", "docs"][..], &["search", "hotel"], &["ask", "What may a hotel night cost?"], &["models", "list"]]
    {
        let plain = sandbox.command(words);
        let mut command = Command::new(if cut_off { "unshare" } else { "env" });
        if cut_off {
            command.arg("--net");
        }
        command.arg(plain.get_program()).args(plain.get_args()).current_dir(sandbox.path());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{words:?}: {output:?}");
    }
}
