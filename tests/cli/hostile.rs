//! Documents and file names that try to talk to the terminal.

use super::sandbox::{Sandbox, check_schema};

const ATTACK: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}cod.exe\u{2066}";

fn sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::with_models()?;
    sandbox.write(
        &format!("plan{ATTACK}\nerror: forged.md"),
        format!("# Heron {ATTACK}\n\nThe heron {ATTACK} stands in the reeds. It waits for fish all day.\n"),
    );
    sandbox.write(&format!("empty{ATTACK}.md"), "");
    Some(sandbox)
}

/// Line ends are the only control characters, and nothing turns the direction of reading.
fn check_harmless(text: &str) {
    let bad = |character: char| {
        character.is_control() && character != '\n'
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.chars().any(bad), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{text:?}");
}

#[test]
fn escape_sequences_in_documents_and_file_names_reach_no_terminal() {
    let Some(sandbox) = sandbox() else { return };
    for words in [
        &["ingest", "docs"][..],
        &["ingest", "docs", "-v"],
        &["documents"],
        &["status"],
        &["search", "heron", "-v"],
        &["ask", "Where does the heron stand?", "-v"],
        &["ask", "Who is the queen of Denmark?"],
        &["config", "--config", "no\u{1b}[31mfile"],
        &["remove", "docs", "-v"],
    ] {
        let run = sandbox.run(words);
        check_harmless(&run.stdout);
        check_harmless(&run.stderr);
    }
}

#[test]
fn json_is_harmless_on_a_terminal_and_exact_for_a_program() {
    let Some(sandbox) = sandbox() else { return };
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!(code, 3, "{report}");
    for (words, schema) in [(&["search", "heron", "--json"][..], "search"), (&["documents", "--json"], "documents")] {
        let run = sandbox.run(words);
        check_harmless(&run.stdout);
        let value: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        check_schema(schema, &value);
        assert!(value.to_string().contains('\u{202e}'), "the characters themselves are kept: {value}");
    }
}

/// On a terminal sidenote sends sequences of its own, and only those.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_only_sidenotes_own_sequences_arrive() {
    let Some(sandbox) = sandbox() else { return };
    assert_eq!(sandbox.run(["ingest", "docs"]).code, 3);
    for words in ["search heron -v", "ask where does the heron stand -v", "ask where does the heron stand --settled"] {
        let bytes = on_a_terminal(&sandbox, words);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("heron") || text.contains("Heron"), "{text:?}");
        assert!(!text.contains("\u{1b}[2J") && !text.contains("\u{1b}]0;"), "{text:?}");
        assert!(!text.contains('\u{9b}') && !text.contains('\u{7}') && !text.contains('\u{202e}'), "{text:?}");
    }
}

/// The words run under `script`, which gives them a terminal.
#[cfg(target_os = "linux")]
fn on_a_terminal(sandbox: &Sandbox, words: &str) -> Vec<u8> {
    let plain = sandbox.command::<&str>([]);
    let mut command = std::process::Command::new("script");
    let line = format!("{} {words}", env!("CARGO_BIN_EXE_sidenote"));
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(sandbox.path())
        .env("TERM", "xterm");
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    output.stdout
}
