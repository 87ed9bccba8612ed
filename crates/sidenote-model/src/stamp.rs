//! Remembers the sha256 of a large file, so that a gigabyte is read once and not at every start.
//!
//! The stamp lies beside the file as `.NAME.stamp` and holds for as long as size, modification time and inode stay what they
//! were. It saves time and is no protection: who can write the folder can write the stamp.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What was found out about a file, and what the file looked like then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    bytes: u64,
    modified_ns: u64,
    inode: u64,
    /// sha256 of the content.
    pub(crate) sha256: String,
    /// Whether llama.cpp was seen to load and run it, and of which build of ours.
    #[serde(default)]
    pub(crate) probed_by: Option<String>,
}

impl Stamp {
    /// The stamp of `path` if it still holds. Anything odd about it counts as no stamp.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let stamp: Self = serde_json::from_slice(&fs_err::read(stamp_path(path)?).ok()?).ok()?;
        let (bytes, modified_ns, inode) = identity(path).ok()?;
        (stamp.bytes == bytes && stamp.modified_ns == modified_ns && stamp.inode == inode).then_some(stamp)
    }

    /// Writes a stamp for `path`. A folder that cannot be written only costs the time next time.
    pub(crate) fn write(path: &Path, sha256: &str, probed_by: Option<&str>) -> std::io::Result<Self> {
        let (bytes, modified_ns, inode) = identity(path)?;
        let stamp =
            Self { bytes, modified_ns, inode, sha256: sha256.to_owned(), probed_by: probed_by.map(str::to_owned) };
        if let Some(place) = stamp_path(path) {
            let draft = place.with_extension(format!("stamp-{}", std::process::id()));
            let written =
                fs_err::write(&draft, serde_json::to_vec(&stamp)?).and_then(|()| fs_err::rename(&draft, &place));
            if let Err(error) = written {
                tracing::debug!(%error, "the stamp of a model file could not be kept");
            }
        }
        Ok(stamp)
    }
}

/// sha256 of `path` as 64 hex digits, from the stamp where it holds.
pub(crate) fn file_sha256(path: &Path) -> std::io::Result<String> {
    if let Some(stamp) = Stamp::read(path) {
        return Ok(stamp.sha256);
    }
    let sha256 = hash_file(path, &mut |_| ())?;
    Stamp::write(path, &sha256, None)?;
    Ok(sha256)
}

/// Reads all of `path`; `progress` gets the bytes read so far.
pub(crate) fn hash_file(path: &Path, progress: &mut dyn FnMut(u64)) -> std::io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut done = 0_u64;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(to_hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
        done += u64::try_from(count).unwrap_or(0);
        progress(done);
    }
}

/// Lower-case hex digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

fn stamp_path(path: &Path) -> Option<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name()?);
    name.push(".stamp");
    Some(path.with_file_name(name))
}

fn identity(path: &Path) -> std::io::Result<(u64, u64, u64)> {
    let metadata = fs_err::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified_ns = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok((metadata.len(), modified_ns, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_until_the_file_changes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.gguf");
        fs_err::write(&path, b"abc").expect("write");
        let sha256 = file_sha256(&path).expect("hash");
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Stamp::read(&path).expect("a stamp").sha256, sha256);
        fs_err::write(&path, b"abcd").expect("write");
        assert_eq!(Stamp::read(&path), None);
        assert_ne!(file_sha256(&path).expect("hash"), sha256);
        fs_err::write(folder.path().join(".model.gguf.stamp"), b"{not json").expect("write");
        assert_eq!(Stamp::read(&path), None);
    }
}
