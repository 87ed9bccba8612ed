//! The documentation names things that exist.

use super::sandbox::repository;

#[test]
fn every_path_that_the_documentation_names_exists() {
    let root = repository();
    let mut named = 0;
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs_err::read_to_string(root.join(document)).unwrap();
        for quoted in text.split('`').skip(1).step_by(2).chain(links(&text)) {
            let is_path = !quoted.is_empty()
                && quoted.chars().all(|character| character.is_ascii_alphanumeric() || "._/-".contains(character));
            let in_repository = quoted.split('/').next().is_some_and(|first| {
                let folders = ["crates", "corpus", "tests", "scripts", "bench", "migrations", ".ci", ".cargo"];
                folders.contains(&first)
                    || (!quoted.contains('/')
                        && [".md", "Cargo.toml", "config.toml", "models.toml", "Makefile", "deny.toml"]
                            .iter()
                            .any(|name| quoted.ends_with(name)))
            });
            if is_path && in_repository {
                named += 1;
                assert!(root.join(quoted).exists(), "{document} names {quoted}");
            }
        }
    }
    assert!(named > 10, "only {named} paths were found; does the search still see them?");
}

/// Targets of Markdown links, without anchors.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|target| target.split('#').next().unwrap_or(""))
}
