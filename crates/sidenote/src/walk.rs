//! Which files an ingest looks at.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use ignore::{
    WalkBuilder,
    overrides::{Override, OverrideBuilder},
};
use sidenote_index::Fingerprint;

use crate::config::{Ingest, Paths};

/// A file on disk, as a look at its folder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// Nanoseconds since 1970; negative before.
    pub(crate) mtime_ns: i64,
    /// 0 where the platform has none.
    pub(crate) inode: u64,
}

impl Found {
    /// Milliseconds since 1970, for display.
    pub(crate) fn mtime_ms(&self) -> i64 {
        self.mtime_ns / 1_000_000
    }

    /// Whether the file looks as it did when it was read; the content is not compared.
    pub(crate) fn has(&self, print: &Fingerprint) -> bool {
        (print.size, print.mtime_ns, print.inode) == (self.size, self.mtime_ns, self.inode)
    }
}

/// What a walk found, and what it could not look at.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// In order of path.
    pub(crate) files: Vec<Found>,
    pub(crate) failed: Vec<(PathBuf, String)>,
    /// Folders that were walked: what is known below them and was not found is gone, unless it is [`Walk::unread`].
    pub(crate) roots: Vec<PathBuf>,
    /// Those of them that are not there, and count as empty.
    pub(crate) gone: Vec<PathBuf>,
}

/// Walks the paths. Each file stands once, however many paths lead to it. Honours `.gitignore`, `.ignore` and
/// `.sidenoteignore`, and leaves the program's own folders out. Nothing is opened but folders.
pub(crate) fn walk_files(paths: &[PathBuf], options: &Ingest, own: &Paths) -> Walk {
    let mut walk = Walk::default();
    let own = [absolute(&own.data), absolute(&own.models)];
    for path in paths {
        match fs_err::canonicalize(path) {
            Ok(path) if own.iter().any(|own| !own.as_os_str().is_empty() && path.starts_with(own)) => {
                walk.failed.push((path, "it belongs to sidenote itself".into()));
            }
            Ok(path) if path.is_dir() => walk_folder(&path, options, own.clone(), &mut walk),
            Ok(path) => walk.look_at(&path),
            Err(error) => walk.failed.push((absolute(path), reason(error.kind()))),
        }
    }
    walk.files.sort_by(|a, b| a.path.cmp(&b.path));
    walk.files.dedup_by(|a, b| a.path == b.path);
    walk.failed.sort();
    walk.failed.dedup();
    walk
}

fn walk_folder(root: &Path, options: &Ingest, own: [PathBuf; 2], walk: &mut Walk) {
    let mut filters = OverrideBuilder::new(root);
    let only = options.include.iter().cloned();
    for glob in only.chain(options.exclude.iter().map(|glob| format!("!{glob}"))) {
        // `Config::validate` has tried them all.
        if let Err(error) = filters.add(&glob) {
            walk.failed.push((root.to_owned(), error.to_string()));
        }
    }
    let entries = WalkBuilder::new(root)
        .overrides(filters.build().unwrap_or_else(|_| Override::empty()))
        .hidden(!options.include_hidden)
        .follow_links(options.follow_symlinks)
        .require_git(false)
        .git_global(false)
        .add_custom_ignore_filename(".sidenoteignore")
        .filter_entry(move |entry| !own.iter().any(|folder| folder == entry.path()))
        .build();
    let failures_before = walk.failed.len();
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {}
            Ok(entry) if entry.path_is_symlink() && !options.follow_symlinks => {}
            Ok(entry) => walk.look_at(entry.path()),
            Err(error) => walk.failed.push(describe(&error, root)),
        }
    }
    if !walk.failed[failures_before..].iter().any(|(path, _)| path == root) {
        walk.roots.push(root.to_owned());
    }
}

impl Walk {
    /// Whether this file was found.
    pub(crate) fn has_file(&self, path: &Path) -> bool {
        self.files.binary_search_by(|found| found.path.as_path().cmp(path)).is_ok()
    }

    /// Whether a file below the folder was found.
    pub(crate) fn has_file_below(&self, folder: &Path) -> bool {
        let first = self.files.partition_point(|found| found.path.as_path() < folder);
        self.files.get(first).is_some_and(|found| found.path.starts_with(folder))
    }

    /// Files and folders that could not be looked at, as the walk met them and where links lead. What is known of them and below
    /// them says nothing about what is there.
    pub(crate) fn unread(&self) -> HashSet<PathBuf> {
        let met = self.failed.iter().map(|(path, _)| path.clone());
        // A link back to a folder above it hides nothing.
        let led_to = self.failed.iter().map(|(path, _)| (path, absolute(path)));
        met.chain(led_to.filter(|(path, real)| !path.starts_with(real)).map(|(_, real)| real)).collect()
    }

    /// Takes those of the folders that are not there for empty ones.
    pub(crate) fn take_for_empty(&mut self, folders: &[PathBuf]) {
        let gone = self.failed.extract_if(.., |(path, _)| folders.contains(path) && is_gone(path));
        self.gone.extend(gone.map(|(path, _)| path));
        self.roots.extend_from_slice(&self.gone);
    }

    fn look_at(&mut self, path: &Path) {
        let path = absolute(path);
        match fs_err::metadata(&path) {
            Ok(metadata) if metadata.is_file() => self.files.push(Found {
                size: metadata.len(),
                mtime_ns: mtime_ns(&metadata),
                inode: inode(&metadata),
                path,
            }),
            Ok(_) => self.failed.push((path, "not a regular file".into())),
            Err(error) => self.failed.push((path, reason(error.kind()))),
        }
    }
}

/// Nanoseconds since 1970 of the last change, 0 where the file system does not say.
pub(crate) fn mtime_ns(metadata: &std::fs::Metadata) -> i64 {
    let Ok(modified) = metadata.modified() else { return 0 };
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

pub(crate) fn inode(metadata: &std::fs::Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    return 0;
}

/// The path as the index knows it: absolute, links resolved as far as it exists.
pub fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let resolved = |there: &Path| {
        let rest = path.strip_prefix(there).ok()?;
        let there = fs_err::canonicalize(there).ok()?;
        Some(if rest.as_os_str().is_empty() { there } else { there.join(rest) })
    };
    path.ancestors().find_map(resolved).unwrap_or(path)
}

/// Whether there is certainly nothing at the path; a folder that may not be read, or a disk that does not answer, says nothing.
pub(crate) fn is_gone(path: &Path) -> bool {
    let looked_up = fs_err::symlink_metadata(path);
    matches!(looked_up, Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory))
}

/// What is wrong, as a clause behind a path.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what the operating system says in its own words is good enough for the rest"
)]
pub(crate) fn reason(kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "no permission to read it".into(),
        other => other.to_string(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what a walk cannot meet is shown as it is")]
fn describe(error: &ignore::Error, root: &Path) -> (PathBuf, String) {
    match error {
        ignore::Error::Loop { child, ancestor } => {
            (child.clone(), format!("a symbolic link back to `{}`, which is already being read", ancestor.display()))
        }
        ignore::Error::WithPath { path, err } => (path.clone(), describe(err, root).1),
        ignore::Error::WithDepth { err, .. } => describe(err, root),
        ignore::Error::Io(error) => (root.to_owned(), reason(error.kind())),
        other => (root.to_owned(), other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(walk: &Walk, root: &Path) -> Vec<String> {
        let root = absolute(root);
        walk.files.iter().map(|file| file.path.strip_prefix(&root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn hidden_and_ignored_files_are_left_out_and_the_rest_is_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("b.md", "b"), ("a/c.txt", "c"), (".secret", "s"), ("x.log", "x"), (".sidenoteignore", "*.log\n")]
        {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        let paths = [folder.path().to_owned(), folder.path().join("b.md")];
        let walk = walk_files(&paths, &Ingest::default(), &Paths::default());
        assert_eq!(names(&walk, folder.path()), ["a/c.txt", "b.md"]);
        assert_eq!(walk.roots, [absolute(folder.path())]);
        assert!(walk.failed.is_empty(), "{:?}", walk.failed);
    }

    #[test]
    fn patterns_choose_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.md", "b.log", "drafts/c.md", "deep/er/d.md", "e.pdf"] {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, name).unwrap();
        }
        let chosen = |include: &[&str], exclude: &[&str]| {
            let list = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
            let options = Ingest { include: list(include), exclude: list(exclude), ..Ingest::default() };
            let walk = walk_files(&[folder.path().to_owned()], &options, &Paths::default());
            assert!(walk.failed.is_empty(), "{:?}", walk.failed);
            names(&walk, folder.path())
        };
        assert_eq!(chosen(&[], &[]).len(), 5);
        assert_eq!(chosen(&["*.md"], &[]), ["a.md", "deep/er/d.md", "drafts/c.md"]);
        assert_eq!(chosen(&["*.md", "*.pdf"], &["drafts/"]), ["a.md", "deep/er/d.md", "e.pdf"]);
        assert_eq!(chosen(&[], &["*.log", "deep"]), ["a.md", "drafts/c.md", "e.pdf"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_on_the_way_to_what_is_gone_are_resolved() {
        let folder = tempfile::tempdir().unwrap();
        let real = absolute(folder.path());
        fs_err::create_dir(real.join("disk")).unwrap();
        std::os::unix::fs::symlink(real.join("disk"), real.join("link")).unwrap();
        assert_eq!(absolute(&real.join("link/gone/a.md")), real.join("disk/gone/a.md"));
        assert_eq!(absolute(&real.join("link/")), real.join("disk"));
        assert!(is_gone(&real.join("link/gone")) && !is_gone(&real.join("link")));
    }

    #[test]
    fn a_path_that_does_not_exist_is_reported_and_the_rest_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("a.md"), "a").unwrap();
        let walk =
            walk_files(&[folder.path().join("nope"), folder.path().to_owned()], &Ingest::default(), &Paths::default());
        assert_eq!(names(&walk, folder.path()), ["a.md"]);
        assert_eq!(walk.failed[0].1, "there is no such file");
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_is_reported_once_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("a.md"), "a").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        let follow = Ingest { follow_symlinks: true, ..Ingest::default() };
        let walk = walk_files(&[folder.path().to_owned()], &follow, &Paths::default());
        assert_eq!(names(&walk, folder.path()), ["a.md"]);
        assert!(walk.failed[0].1.contains("symbolic link back"), "{:?}", walk.failed);
        assert!(walk_files(&[folder.path().to_owned()], &Ingest::default(), &Paths::default()).failed.is_empty());
    }
}
