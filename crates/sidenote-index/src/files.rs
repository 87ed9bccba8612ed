//! The data folder: names, permissions, the writer's lock.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::error::IndexError;

/// Where things are in a data folder.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The data folder.
    pub(crate) root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("documents.sqlite")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("writer.lock")
    }

    pub(crate) fn chat_lock(&self) -> PathBuf {
        self.root.join("chats.lock")
    }

    pub(crate) fn lexical(&self) -> PathBuf {
        self.root.join("lexical")
    }

    pub(crate) fn lexical_generation(&self, generation: i64) -> PathBuf {
        self.lexical().join(format!("generation-{generation}"))
    }

    /// A backup on its way into the data folder.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.root.join("restoring")
    }

    pub(crate) fn vectors(&self) -> PathBuf {
        self.root.join("vectors")
    }

    pub(crate) fn segment(&self, generation: i64) -> PathBuf {
        self.vectors().join(format!("segment-{generation}"))
    }
}

/// A folder in a data folder for what the crates above keep there; only its owner can enter it.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(data_dir: &Path, name: &str) -> Result<PathBuf, IndexError> {
    let folder = data_dir.join(name);
    make_private_folder(&folder)?;
    Ok(folder)
}

/// Makes a folder that only its owner can enter, and its parents.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), IndexError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
        && !parent.exists()
    {
        make_private_folder(parent)?;
    }
    #[cfg(unix)]
    let made = {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(path)
    };
    #[cfg(not(unix))]
    let made = fs::create_dir(path);
    match made {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => {
            let kind = error.kind();
            let named = std::io::Error::new(kind, format!("failed to create folder `{}`: {error}", path.display()));
            Err(IndexError::from_io(path, named))
        }
    }
}

/// Makes an empty file that only its owner can read, where there is none. One that is there is not opened: when any descriptor of a
/// database is closed, the process loses all locks that SQLite has on it (<https://www.sqlite.org/howtocorrupt.html>, 2.2), and
/// another process may take the write-ahead log away.
pub(crate) fn make_private_file(path: &Path) -> Result<(), IndexError> {
    match private(fs::OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(IndexError::from_io(path, error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Opens a file that only its owner can read, made where there is none.
fn open_private(path: &Path, read: bool) -> Result<fs::File, IndexError> {
    let mut options = fs::OpenOptions::new();
    private(options.write(true).create(true).truncate(false).read(read))
        .open(path)
        .map_err(|error| IndexError::from_io(path, error))
}

/// What is made has the permissions of its owner alone.
fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

/// Takes the permissions of others from every file in a folder (not below it). Libraries create files by the umask.
pub(crate) fn make_files_private(folder: &Path) -> Result<(), IndexError> {
    #[cfg(unix)]
    for entry in fs::read_dir(folder)? {
        use std::os::unix::fs::PermissionsExt as _;
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            match fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o600)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Bytes of all files below a folder; what cannot be looked at counts nothing, links are not followed.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += metadata.len();
            }
        }
    }
    bytes
}

/// Bytes that may still be written to the disk of a folder; `None` where the system does not say.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(folder).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Refuses to begin a file that its disk has no room for: what cannot be finished is not begun.
pub(crate) fn want_room(file: &Path, bytes: u64) -> Result<(), IndexError> {
    let folder = file.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    match folder.and_then(free_bytes) {
        Some(free) if free < bytes => Err(IndexError::DiskFull { path: file.to_owned() }),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a folder on a network's disk: SQLite's write-ahead log needs memory that processes share, which two machines do
/// not, and locks there are often none.
pub(crate) fn refuse_network_disk(folder: &Path) -> Result<(), IndexError> {
    #[cfg(target_os = "linux")]
    if let Some(kind) = rustix::fs::statfs(folder).ok().and_then(|disk| network_disk(disk.f_type.cast_unsigned())) {
        return Err(IndexError::NetworkDisk { path: folder.to_owned(), kind });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = folder;
    Ok(())
}

/// The name of a network file system by its number, from `statfs(2)`.
#[cfg(target_os = "linux")]
fn network_disk(number: u64) -> Option<&'static str> {
    // The field is signed on some platforms and has 32 bits of meaning on all.
    match number & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x564c => Some("NCP"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x0102_1997 => Some("9P"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        _ => None,
    }
}

/// Removes a folder and what is in it; no folder is no error.
pub(crate) fn remove_folder(path: &Path) -> Result<(), IndexError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Puts a folder's list of names on the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<(), IndexError> {
    #[cfg(unix)]
    fs::File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A locked file, open as long as the lock is held. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
struct Held(std::fs::File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is being started has all files open until it is another program.
        let _ = self.0.unlock();
    }
}

/// The writer's lock.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _held: Held,
}

impl WriterLock {
    /// Takes the lock without waiting.
    pub(crate) fn take(layout: &Layout) -> Result<Self, IndexError> {
        let path = layout.lock();
        let file = open_private(&path, true)?;
        let (mut file, _) = file.into_parts();
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{}", std::process::id())?;
                Ok(Self { _held: Held(file) })
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only to name the holder; a file that cannot be read names nobody.
                let _ = file.take(64).read_to_string(&mut text);
                Err(IndexError::Locked { path, pid: text.trim().parse().ok() })
            }
            Err(std::fs::TryLockError::Error(error)) => Err(IndexError::from_io(&path, error)),
        }
    }
}

/// Held by who writes conversations, and by a restore: it is let go of after an instant.
#[derive(Debug)]
pub(crate) struct ChatLock {
    _held: Held,
}

impl ChatLock {
    /// Takes the lock; waits some seconds for it.
    pub(crate) fn take(layout: &Layout) -> Result<Self, IndexError> {
        let path = layout.chat_lock();
        let (file, _) = open_private(&path, false)?.into_parts();
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _held: Held(file) }),
                Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() < Duration::from_secs(5) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(std::fs::TryLockError::WouldBlock) => return Err(IndexError::Busy { path: layout.database() }),
                Err(std::fs::TryLockError::Error(error)) => return Err(IndexError::from_io(&path, error)),
            }
        }
    }
}

/// A path's exact bytes, as stored.
pub(crate) fn path_bytes(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        path.as_os_str().as_bytes().to_vec()
    }
    #[cfg(not(unix))]
    path.to_string_lossy().into_owned().into_bytes()
}

/// The path of stored bytes.
pub(crate) fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        std::ffi::OsString::from_vec(bytes).into()
    }
    #[cfg(not(unix))]
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// A path as a `file://` address.
pub(crate) fn file_uri(path: &[u8]) -> String {
    let mut uri = String::with_capacity(path.len() + 8);
    uri.push_str("file://");
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_exact_for_bytes_that_are_no_text() {
        assert_eq!(file_uri(b"/a b/\xff%.md"), "file:///a%20b/%FF%25.md");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_of_this_machine_is_not_a_networks() {
        let folder = tempfile::tempdir().unwrap();
        refuse_network_disk(folder.path()).unwrap();
        assert!(free_bytes(folder.path()).is_some_and(|bytes| bytes > 0));
        let file = folder.path().join("file");
        assert!(want_room(&file, 1).is_ok());
        assert!(matches!(want_room(&file, u64::MAX), Err(IndexError::DiskFull { path }) if path == file));
        assert_eq!(network_disk(0x6969), Some("NFS"));
        assert_eq!(network_disk(0xffff_ffff_ff53_4d42), Some("SMB"), "a signed field of 32 bits");
        assert_eq!(network_disk(0xef53), None, "ext4");
    }

    #[test]
    fn path_bytes_survive_the_round_trip() {
        let path = path_of_bytes(b"/tmp/\xc3\xa9 \xff".to_vec());
        assert_eq!(path_of_bytes(path_bytes(&path)), path);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_what_is_made() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        make_private_folder(&inner).unwrap();
        make_private_file(&inner.join("c")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join("c")), 0o600);
    }
}
