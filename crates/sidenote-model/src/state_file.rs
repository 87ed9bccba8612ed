//! States of prompts' beginnings, on disk: what a process has evaluated once, the next one reads in milliseconds.
//!
//! In the folder itself are beginnings that the program wrote (instructions and examples), nothing of a document or a question. In
//! the folder `documents` in it are those that hold documents read whole; they go when the caller says that one of these is not
//! wanted any more ([`retain_states`]). A
//! state is a file of llama.cpp and a note beside it, `NAME.state` and `NAME.json`. NAME depends on everything that the state depends on;
//! the note has the file's sha256 and that of the scores which the last token gives when evaluated alone after the restored
//! ones. A state whose file or scores differ is computed and written anew. The note is written last, by rename.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::generate::KeepShared;
use crate::llama::KvType;
use crate::prefix::Prefix;
use crate::stamp::{hash_file, to_hex};

/// States that a folder keeps; the oldest goes first. There are three for each language model in use.
const MAX_STATES: usize = 12;
/// The folder for states that hold documents.
const OF_DOCUMENTS: &str = "documents";
/// Raise it when the meaning of the files changes.
const FORMAT: u32 = 1;
/// What evaluates; a test compares it with Cargo.lock. Another version may come to other states.
const LLAMA: (&str, &str) = ("llama-cpp-sys-2", "0.1.161");

/// Where the states of one model lie.
#[derive(Debug, Clone)]
pub(crate) struct StateFolder {
    folder: PathBuf,
    /// What the states depend on beside their tokens.
    depends_on: String,
    /// What they were made of that may go.
    of: Vec<String>,
    max_bytes: u64,
}

/// How many states a folder keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptStates {
    /// Prompts' beginnings.
    pub count: usize,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Counts the states in a folder; none where it is not there.
pub fn kept_states(folder: &Path) -> KeptStates {
    let mut kept = KeptStates::default();
    let of_documents = fs_err::read_dir(folder.join(OF_DOCUMENTS));
    for entry in fs_err::read_dir(folder).into_iter().chain(of_documents).flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let is_state = entry.path().extension().is_some_and(|extension| extension == "state");
        kept.count += usize::from(is_state);
        kept.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
    }
    kept
}

/// Removes the states that were made of something that is not wanted any more, and whatever is half written beside them.
///
/// # Errors
/// When one cannot be removed.
pub fn retain_states(folder: &Path, is_wanted: &dyn Fn(&str) -> bool) -> std::io::Result<()> {
    let entries = match fs_err::read_dir(folder.join(OF_DOCUMENTS)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let note = fs_err::read(note_of(&path)).ok().and_then(|note| serde_json::from_slice::<Note>(&note).ok());
        let is_finished = path.extension().is_some_and(|extension| extension == "state" || extension == "json");
        if !is_finished || note.is_none_or(|note| !note.of.iter().all(|name| is_wanted(name))) {
            remove(&path.with_extension("state"))?;
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A state that was kept.
#[derive(Debug)]
pub(crate) struct KeptState {
    /// The file of llama.cpp; its sha256 was compared.
    pub(crate) state: PathBuf,
    /// sha256 of the scores that it has to give.
    pub(crate) scores_sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    state_sha256: String,
    scores_sha256: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    of: Vec<String>,
}

impl StateFolder {
    pub(crate) fn new(
        folder: PathBuf,
        model_sha256: &str,
        context_tokens: usize,
        threads: usize,
        kv_type: KvType,
    ) -> Self {
        let (llama, version) = LLAMA;
        let cpu = crate::cpu::system_info();
        let depends_on = format!(
            "{FORMAT} | {llama} {version} | {cpu} | {model_sha256} | {context_tokens} tokens | {threads} threads | {kv_type:?}"
        );
        Self { folder, depends_on, of: Vec::new(), max_bytes: u64::MAX }
    }

    /// Where states of the same model lie that hold documents.
    pub(crate) fn of_documents(&self, keep: &KeepShared) -> Self {
        Self {
            folder: self.folder.join(OF_DOCUMENTS),
            depends_on: self.depends_on.clone(),
            of: keep.of.clone(),
            max_bytes: keep.max_bytes,
        }
    }

    /// Whether a state of so many bytes may be kept here at all.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        u64::try_from(bytes).is_ok_and(|bytes| bytes <= self.max_bytes)
    }

    /// The state of a prefix, if there is one and its file is whole.
    pub(crate) fn find(&self, prefix: &Prefix) -> Option<KeptState> {
        let state = self.path_of(prefix);
        let note: Note = serde_json::from_slice(&fs_err::read(note_of(&state)).ok()?).ok()?;
        if hash_file(&state, &mut |_| ()).ok()? == note.state_sha256 {
            // It is the last to go. Where the time cannot be set, it goes earlier.
            let _ = std::fs::File::options()
                .append(true)
                .open(&state)
                .and_then(|file| file.set_modified(std::time::SystemTime::now()));
            return Some(KeptState { state, scores_sha256: note.scores_sha256 });
        }
        tracing::warn!(path = %state.display(), "a kept state of the language model is damaged and is computed anew");
        None
    }

    /// Keeps the state of a prefix, in place of one that was kept before: `write` writes llama.cpp's file where it is told, and
    /// gives the bytes it wrote.
    pub(crate) fn keep(
        &self,
        prefix: &Prefix,
        scores_sha256: String,
        write: impl FnOnce(&Path) -> Result<usize, String>,
    ) -> Result<(), String> {
        static DRAFTS: AtomicUsize = AtomicUsize::new(0);
        let state = self.path_of(prefix);
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let draft = state.with_extension(format!("draft-{}-{number}", std::process::id()));
        let kept = make_private_folder(&self.folder).map_err(|error| error.to_string()).and_then(|()| {
            let bytes = write(&draft)?;
            self.install(&draft, bytes, &state, scores_sha256).map_err(|error| error.to_string())
        });
        if kept.is_err() {
            let _ = fs_err::remove_file(&draft);
        }
        self.tidy();
        kept
    }

    fn path_of(&self, prefix: &Prefix) -> PathBuf {
        let mut hasher = Sha256::new();
        hasher.update(self.depends_on.as_bytes());
        for token in &prefix.tokens {
            hasher.update(token.0.to_le_bytes());
        }
        for end in &prefix.batch_ends {
            hasher.update(u64::try_from(*end).unwrap_or(u64::MAX).to_le_bytes());
        }
        self.folder.join(format!("{}.state", &to_hex(&hasher.finalize())[..32]))
    }

    /// Removes the oldest states over the limit, and drafts that nobody finished. What another process removes meanwhile, or
    /// what cannot be removed, is no matter.
    fn tidy(&self) {
        let Ok(entries) = fs_err::read_dir(&self.folder) else { return };
        let mut states = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let Some(modified) = entry.metadata().ok().and_then(|metadata| metadata.modified().ok()) else { continue };
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if extension == "state" {
                let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
                states.push((modified, path, bytes));
            } else if extension.starts_with("draft-") && modified.elapsed().is_ok_and(|age| age > ABANDONED_AFTER) {
                let _ = fs_err::remove_file(path);
            }
        }
        states.sort();
        let (mut count, mut bytes) = (states.len(), states.iter().map(|(_, _, bytes)| bytes).sum::<u64>());
        for (_, state, own) in &states {
            if count <= MAX_STATES && bytes <= self.max_bytes {
                break;
            }
            let _ = fs_err::remove_file(note_of(state));
            let _ = fs_err::remove_file(state);
            count -= 1;
            bytes -= own;
        }
    }

    /// Puts a draft in its place, then its note.
    fn install(&self, draft: &Path, bytes: usize, state: &Path, scores_sha256: String) -> std::io::Result<()> {
        // llama.cpp does not look whether the last bytes came through.
        let file = fs_err::File::open(draft)?;
        if file.metadata()?.len() != u64::try_from(bytes).unwrap_or(u64::MAX) {
            return Err(std::io::Error::other("not all of it could be written"));
        }
        file.sync_all()?;
        let state_sha256 = hash_file(draft, &mut |_| ())?;
        let note = serde_json::to_vec(&Note { state_sha256, scores_sha256, of: self.of.clone() })?;
        fs_err::rename(draft, state)?;
        fs_err::write(draft, note)?;
        fs_err::rename(draft, note_of(state))
    }
}

/// No draft takes so long to write.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

fn note_of(state: &Path) -> PathBuf {
    state.with_extension("json")
}

/// Makes a folder that only its owner can enter.
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// sha256 of a row of scores.
pub(crate) fn scores_sha256(scores: &[f32]) -> String {
    let mut hasher = Sha256::new();
    for score in scores {
        hasher.update(score.to_le_bytes());
    }
    to_hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::token::LlamaToken;

    use super::*;

    fn folder(path: &Path) -> StateFolder {
        StateFolder { folder: path.to_owned(), depends_on: "a test".to_owned(), of: Vec::new(), max_bytes: u64::MAX }
    }

    fn prefix(token: i32) -> Prefix {
        Prefix::of_prompt(vec![LlamaToken(token); 3], &[], 2)
    }

    fn keep(folder: &StateFolder, token: i32) {
        let write = |path: &Path| fs_err::write(path, [7; 100]).map(|()| 100).map_err(|error| error.to_string());
        folder.keep(&prefix(token), "the scores".to_owned(), write).expect("kept");
    }

    fn count(root: &Path) -> usize {
        fs_err::read_dir(root).expect("read").count()
    }

    #[test]
    fn the_version_of_what_evaluates_is_the_one_in_use() {
        let lock = include_str!("../../../Cargo.lock");
        let (llama, version) = LLAMA;
        assert!(lock.contains(&format!("name = \"{llama}\"\nversion = \"{version}\"\n")), "change `LLAMA`");
    }

    #[test]
    fn a_kept_state_is_found_and_a_damaged_one_is_not() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let states = folder(&root.path().join("states"));
        keep(&states, 1);
        let kept = states.find(&prefix(1)).expect("kept");
        assert_eq!(kept.scores_sha256, "the scores");
        assert!(states.find(&prefix(2)).is_none());
        let other_cut = Prefix { batch_ends: vec![3], ..prefix(1) };
        assert!(states.find(&other_cut).is_none(), "the batches count");

        fs_err::write(&kept.state, [8; 100]).expect("damaged");
        assert!(states.find(&prefix(1)).is_none());
        keep(&states, 1);
        assert!(states.find(&prefix(1)).is_some());
        fs_err::write(note_of(&kept.state), "{").expect("damaged");
        assert!(states.find(&prefix(1)).is_none());
    }

    #[test]
    fn the_oldest_states_give_way_also_where_their_note_is_gone() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let states = folder(root.path());
        for token in 0..16 {
            keep(&states, token);
            let state = states.path_of(&prefix(token));
            let at =
                std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + u64::from(token.unsigned_abs()));
            std::fs::File::options().append(true).open(&state).and_then(|file| file.set_modified(at)).expect("a time");
            if token == 6 {
                fs_err::remove_file(note_of(&state)).expect("removed");
            }
        }
        fs_err::create_dir(root.path().join("a folder")).expect("made");
        keep(&states, 16);
        assert_eq!(count(root.path()), 2 * MAX_STATES);
        let found: Vec<i32> = (0..17).filter(|token| states.find(&prefix(*token)).is_some()).collect();
        assert_eq!(found, [5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    }

    #[test]
    fn states_of_documents_have_a_budget_and_go_with_their_documents() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let of = |names: &[&str]| {
            let of = names.iter().map(|name| (*name).to_owned()).collect();
            folder(root.path()).of_documents(&KeepShared { of, max_bytes: 250 })
        };
        keep(&folder(root.path()), 9);
        keep(&of(&["a"]), 1);
        keep(&of(&["a", "b"]), 2);
        assert_eq!(kept_states(root.path()).count, 3);
        assert!(of(&["a"]).find(&prefix(1)).is_some(), "and it was used last");
        std::thread::sleep(Duration::from_millis(20));
        keep(&of(&["c"]), 3);
        assert!(of(&[]).find(&prefix(2)).is_none(), "there is room for two");

        fs_err::write(root.path().join(OF_DOCUMENTS).join("x.draft-1-1"), "half").expect("written");
        retain_states(root.path(), &|name| name == "c").expect("retained");
        assert_eq!(count(&root.path().join(OF_DOCUMENTS)), 2);
        assert!(of(&[]).find(&prefix(3)).is_some() && of(&[]).find(&prefix(1)).is_none());
        assert!(folder(root.path()).find(&prefix(9)).is_some(), "it holds no document");
        let nowhere = root.path().join("nowhere");
        assert_eq!(retain_states(&nowhere, &|_| false).ok(), Some(()));
    }

    #[test]
    fn a_state_that_cannot_be_written_leaves_nothing() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let states = folder(root.path());
        let fails = |path: &Path| {
            fs_err::write(path, "half").map_err(|error| error.to_string())?;
            Err("the disk is full".to_owned())
        };
        assert!(states.keep(&prefix(1), String::new(), fails).is_err());
        let short = |path: &Path| fs_err::write(path, "half").map(|()| 100).map_err(|error| error.to_string());
        assert!(states.keep(&prefix(1), String::new(), short).is_err());
        assert_eq!(count(root.path()), 0);
    }
}
