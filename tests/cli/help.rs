//! Help and usage errors, word by word.

use super::sandbox::Sandbox;

#[test]
fn help_reads_well() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(["--help"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("help", run.stdout);
    for command in [
        "ingest",
        "watch",
        "ask",
        "search",
        "mcp",
        "remove",
        "status",
        "documents",
        "doctor",
        "compact",
        "backup",
        "restore",
        "export",
        "models",
        "config",
        "completions",
    ] {
        let run = sandbox.run([command, "--help"]);
        assert_eq!(run.code, 0, "{run:?}");
        let own = run.stdout.split("\nEverywhere:").next().unwrap();
        insta::assert_snapshot!(format!("help_{command}"), own);
    }
}

#[test]
fn a_slip_of_the_pen_gets_a_suggestion() {
    let sandbox = Sandbox::new();
    for (words, suggestion) in [
        (&["serch", "x"][..], "'search'"),
        (&["search", "x", "--mod", "dense"], "'--mode'"),
        (&["ask", "x", "--setled"], "'--settled'"),
    ] {
        let run = sandbox.run(words);
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains(suggestion), "{run:?}");
    }
}

#[test]
fn no_words_show_the_help_and_the_version_is_the_packages() {
    let sandbox = Sandbox::new();
    let run = sandbox.run::<&str>([]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("Usage: sidenote"), "{run:?}");
    let run = sandbox.run(["--version"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, concat!("sidenote ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn every_shell_gets_a_completion_script() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = sandbox.run(["completions", shell]);
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("ingest"), "{shell}");
    }
}
