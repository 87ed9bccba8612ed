//! A backup is one file: the database, from which everything else is made. It is a plain SQLite database and can be read
//! as one.

use std::path::{Path, PathBuf};

use crate::error::IndexError;
use crate::files::{self, ChatLock, Layout, WriterLock};
use crate::index::Index;
use crate::runtime::SqliteThread;
use crate::sqlite::{self, Reader, Schema, Writer};

impl Index {
    /// Writes a backup of one moment to a new file, while searches and a writer go on. It holds what was not yet purged.
    /// Returns its length in bytes.
    ///
    /// # Errors
    /// [`IndexError::Io`] where the file exists or cannot be written, [`IndexError::DiskFull`]; no half file stays behind.
    pub fn backup(&self, file: &Path) -> Result<u64, IndexError> {
        if file.exists() {
            let exists = std::io::Error::new(std::io::ErrorKind::AlreadyExists, format!("`{}` exists", file.display()));
            return Err(IndexError::Io(exists));
        }
        let reader = self.inner.reader.clone();
        files::want_room(file, self.inner.sqlite.wait(async move { reader.bytes_in_use().await })?)?;
        // Nobody else's: another backup to the same file may be under way, and a killed one leaves its own.
        let part = beside(file, &format!("{}.part", std::process::id()));
        let _ = fs_err::remove_file(&part);
        let (reader, target) = (self.inner.reader.clone(), part.clone());
        let written = self.inner.sqlite.wait(async move { reader.copy_into(&target).await }).and_then(|()| {
            fs_err::File::open(&part)?.sync_all()?;
            let bytes = fs_err::metadata(&part)?.len();
            fs_err::rename(&part, file)?;
            if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                files::sync_folder(folder)?;
            }
            Ok(bytes)
        });
        if written.is_err() {
            let _ = fs_err::remove_file(&part);
        }
        written
    }

    /// Makes a data folder from a backup. What is derived from the database is made anew by the next open.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] and [`IndexError::NewerVersion`] for a file that is no backup this version can read;
    /// [`IndexError::NotEmpty`] where the data folder holds documents and `replace` is not set; [`IndexError::Locked`],
    /// [`IndexError::Busy`], [`IndexError::DiskFull`]. The data folder is then as it was.
    pub fn restore(file: &Path, data_dir: &Path, replace: bool) -> Result<(), IndexError> {
        let layout = Layout::new(data_dir);
        files::make_private_folder(&layout.root)?;
        let lock = WriterLock::take(&layout)?;
        let sqlite = SqliteThread::start()?;
        let old = layout.clone();
        let there = match sqlite.wait(async move { sqlite::look(&old).await }) {
            Ok(Schema::Missing) => false,
            // What is there is damaged: that is why somebody restores.
            Ok(Schema::Behind | Schema::Current) | Err(_) => true,
        };
        if there && !replace {
            return Err(IndexError::NotEmpty { path: layout.root });
        }
        let staged = Staged::copy(file, &layout)?;
        let copy = staged.layout.clone();
        sqlite.wait(async move { check_copy(&copy).await })?;
        let copy = staged.layout.clone();
        sqlite.wait(async move {
            let writer = Writer::open(&copy).await?;
            let renewed = writer.become_another_store().await;
            writer.close().await;
            renewed
        })?;
        // Nobody else writes from here on; conversations are written without the writer's lock.
        let chat_lock = ChatLock::take(&layout)?;
        // Changes of the old database must not be replayed into the new one: its log is emptied before it goes.
        if there {
            let old = layout.clone();
            let emptied = sqlite.wait(async move {
                let writer = Writer::open(&old).await?;
                let emptied = writer.truncate_log().await;
                writer.close().await;
                emptied
            });
            // A database that cannot be opened has no log worth keeping.
            if let Err(error @ (IndexError::Busy { .. } | IndexError::DiskFull { .. })) = emptied {
                return Err(error);
            }
        }
        for ending in ["sqlite-wal", "sqlite-shm"] {
            let _ = fs_err::remove_file(layout.database().with_extension(ending));
        }
        crate::crash::point("restore-before-rename");
        fs_err::rename(staged.layout.database(), layout.database())?;
        files::sync_folder(&layout.root)?;
        drop(chat_lock);
        crate::crash::point("restore-after-rename");
        for folder in [layout.lexical(), layout.vectors()] {
            files::remove_folder(&folder)?;
        }
        drop(lock);
        Ok(())
    }
}

/// A copy of a backup in a folder of its own inside the data folder; removed with the value.
struct Staged {
    layout: Layout,
}

impl Staged {
    fn copy(file: &Path, layout: &Layout) -> Result<Self, IndexError> {
        let staged = Self { layout: Layout::new(&layout.restoring()) };
        files::remove_folder(&staged.layout.root)?;
        files::make_private_folder(&staged.layout.root)?;
        let target = staged.layout.database();
        files::want_room(&target, fs_err::metadata(file)?.len())?;
        files::make_private_file(&target)?;
        let mut from = fs_err::File::open(file)?;
        let mut to = fs_err::OpenOptions::new().write(true).open(&target)?;
        std::io::copy(&mut from, &mut to).map_err(|error| IndexError::from_io(&target, error))?;
        to.sync_all()?;
        Ok(staged)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = files::remove_folder(&self.layout.root);
    }
}

/// Whether a copied file is a whole database of ours.
async fn check_copy(layout: &Layout) -> Result<(), IndexError> {
    let damaged = |reason: String| IndexError::Damaged { path: layout.database(), reason };
    match sqlite::look(layout).await? {
        Schema::Missing => return Err(damaged("it is empty".to_owned())),
        Schema::Behind | Schema::Current => {}
    }
    let reader = Reader::open(layout);
    let said = reader.integrity().await;
    reader.close().await;
    match said? {
        None => Ok(()),
        Some(problem) => Err(damaged(problem)),
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(format!(".{ending}"));
    file.with_file_name(name)
}
