//! Members of archives: zip, tar, tar in gzip, and a file alone in gzip.
//!
//! Seam for `zip`, `tar` and `flate2`. They return errors for most of what is broken; sums of offsets from the file may
//! overflow, which panics here, so every call that parses runs shielded. None of them bounds what comes out, so each member is
//! read through the budget of `members`, whatever size its header claims. Nothing is written to disk and no name is opened.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use tar::EntryType;
use zip::ZipArchive;

use crate::members::{Budget, Content, Member, plain_reason, shield};
use crate::{ExtractError, SourceFile};

/// Why an encrypted member is not read.
pub(crate) const ENCRYPTED: &str = "it is encrypted";

/// A kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Archive {
    Zip,
    Tar,
    /// A tar in gzip, or one file.
    Gzip,
}

/// Which archive a file is that is no document; `None` where it is none.
pub(crate) fn detect(source: &SourceFile<'_>) -> Option<Archive> {
    let bytes = source.bytes;
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        Some(Archive::Zip)
    } else if bytes.starts_with(b"\x1f\x8b\x08") {
        Some(Archive::Gzip)
    } else if is_tar(bytes) || (has_extension(source.name, ".tar") && bytes.len() >= TAR_BLOCK_BYTES) {
        Some(Archive::Tar)
    } else {
        None
    }
}

const TAR_BLOCK_BYTES: usize = 512;

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

fn has_extension(name: &str, extension: &str) -> bool {
    name.to_ascii_lowercase().ends_with(extension)
}

/// Takes the members of an archive, one after the other, until `take` says no.
///
/// # Errors
/// [`ExtractError::Damaged`] where the archive as a whole cannot be read; [`ExtractError::Unsupported`] for a file of a
/// format that is packed as an archive but is none to its user.
pub(crate) fn for_each_member(
    source: &SourceFile<'_>,
    kind: Archive,
    budget: &Budget,
    take: &mut dyn FnMut(Member) -> bool,
) -> Result<(), ExtractError> {
    match kind {
        Archive::Zip => zip_members(source.bytes, budget, take),
        Archive::Tar => tar_members(source.bytes, budget, take),
        Archive::Gzip => gzip_members(source, budget, take),
    }
}

fn damaged(reason: &str) -> ExtractError {
    ExtractError::Damaged(plain_reason(reason))
}

fn zip_members(bytes: &[u8], budget: &Budget, take: &mut dyn FnMut(Member) -> bool) -> Result<(), ExtractError> {
    let Package(mut archive) = Package::open(bytes)?;
    if let Some(what) = packed_format(&archive) {
        return Err(ExtractError::Unsupported(what.to_owned()));
    }
    for index in 0..archive.len() {
        let member = shield(|| zip_member(&mut archive, index, budget))
            .unwrap_or_else(|| Some(unread(format!("member {}", index + 1), "damaged: its header makes no sense")));
        let Some(member) = member else { continue };
        if !take(member) {
            break;
        }
    }
    Ok(())
}

/// What a zip file is to its user, where it is no archive: members of these would be nonsense each by itself.
fn packed_format(archive: &ZipArchive<Cursor<&[u8]>>) -> Option<&'static str> {
    let marks = [
        ("[Content_Types].xml", "an office document"),
        ("META-INF/container.xml", "an e-book without a mimetype"),
        ("META-INF/MANIFEST.MF", "application/java-archive"),
        ("AndroidManifest.xml", "application/vnd.android.package-archive"),
        ("mimetype", "a document packed as zip"),
    ];
    marks.iter().find(|(name, _)| archive.index_for_name(name).is_some()).map(|(_, what)| *what)
}

/// A member, or `None` for folders and what the packing program left for itself.
fn zip_member(archive: &mut ZipArchive<Cursor<&[u8]>>, index: usize, budget: &Budget) -> Option<Member> {
    let (name, is_encrypted) = match archive.by_index_data(index) {
        Ok(entry) if !entry.is_file() => return None,
        Ok(entry) => {
            let raw = entry.name_raw();
            let name =
                entry.name().map_or_else(|_| String::from_utf8_lossy(raw).into_owned(), |name| name.into_owned());
            (name, entry.encrypted())
        }
        Err(error) => return Some(unread(format!("member {}", index + 1), &error.to_string())),
    };
    if is_litter(&name) {
        return None;
    }
    if is_encrypted {
        return Some(unread(name, ENCRYPTED));
    }
    let content = match archive.by_index(index) {
        Ok(mut file) => budget.read_all(&mut file),
        Err(error) => Err(plain_reason(&error.to_string())),
    };
    Some(member(name, content))
}

/// A zip whose members are read by name: a document that is packed in one.
pub(crate) struct Package<'a>(ZipArchive<Cursor<&'a [u8]>>);

impl<'a> Package<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, ExtractError> {
        let archive =
            shield(|| ZipArchive::new(Cursor::new(bytes))).ok_or_else(|| damaged("its directory makes no sense"))?;
        archive.map(Self).map_err(|error| damaged(&error.to_string()))
    }

    /// Names of all members.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.0.file_names().flatten().map(std::borrow::Cow::into_owned)
    }

    /// The bytes of a member, or why there are none.
    pub(crate) fn read(&mut self, name: &str, budget: &Budget) -> Result<Vec<u8>, String> {
        let index = self.0.index_for_name(name).ok_or_else(|| "it is missing".to_owned())?;
        let content = shield(|| zip_member(&mut self.0, index, budget)).flatten().map(|member| member.content);
        match content {
            Some(Content::File(bytes)) => Ok(bytes),
            Some(Content::Unread(reason)) => Err(reason),
            Some(Content::Mail(_) | Content::Opened(_)) | None => Err("its header makes no sense".to_owned()),
        }
    }
}

/// What macOS and Windows add to archives beside the user's files.
fn is_litter(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    name.starts_with("__MACOSX/") || file.starts_with("._") || matches!(file, ".DS_Store" | "Thumbs.db" | "desktop.ini")
}

fn member(name: String, content: Result<Vec<u8>, String>) -> Member {
    let content = match content {
        Ok(bytes) => Content::File(bytes),
        Err(reason) => Content::Unread(reason),
    };
    Member { name, content }
}

fn unread(name: String, reason: &str) -> Member {
    Member { name, content: Content::Unread(plain_reason(reason)) }
}

/// Takes members until the archive ends or breaks; what came before is kept.
fn tar_members(reader: impl Read, budget: &Budget, take: &mut dyn FnMut(Member) -> bool) -> Result<(), ExtractError> {
    let mut archive = tar::Archive::new(reader);
    let mut entries = archive.entries().map_err(|error| damaged(&error.to_string()))?;
    let mut count = 0usize;
    loop {
        let entry = match shield(|| entries.next()) {
            Some(None) => return Ok(()),
            Some(Some(Ok(entry))) => Ok(entry),
            Some(Some(Err(error))) => Err(plain_reason(&error.to_string())),
            None => Err("its header makes no sense".to_owned()),
        };
        count += 1;
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(reason) if count == 1 => return Err(ExtractError::Damaged(reason)),
            Err(reason) => {
                take(unread(format!("member {count}"), &format!("the archive is damaged from here on: {reason}")));
                return Ok(());
            }
        };
        let taken = shield(|| {
            let kind = entry.header().entry_type();
            if !matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse) {
                return None;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            (!is_litter(&name) && !name.ends_with('/')).then(|| {
                let content = budget.read_all(&mut entry);
                member(name, content)
            })
        });
        match taken {
            Some(Some(member)) => {
                if !take(member) {
                    return Ok(());
                }
            }
            Some(None) => {}
            None => {
                take(unread(format!("member {count}"), "damaged: its header makes no sense"));
                return Ok(());
            }
        }
        if budget.is_spent() {
            return Ok(());
        }
    }
}

fn gzip_members(
    source: &SourceFile<'_>,
    budget: &Budget,
    take: &mut dyn FnMut(Member) -> bool,
) -> Result<(), ExtractError> {
    let mut start = Vec::new();
    let length = u64::try_from(TAR_BLOCK_BYTES).unwrap_or(u64::MAX);
    // A file that breaks off early is judged by what came before.
    let _ = MultiGzDecoder::new(source.bytes).take(length).read_to_end(&mut start);
    if is_tar(&start) || has_extension(source.name, ".tar.gz") || has_extension(source.name, ".tgz") {
        // Headers of a tar are unpacked too, and long names among them; the end of the budget is the end of the archive.
        let reader = MultiGzDecoder::new(source.bytes).take(budget.left().saturating_mul(2));
        return tar_members(reader, budget, take);
    }
    let file = source.name.rsplit(['/', '\\']).next().unwrap_or(source.name);
    let name = if has_extension(file, ".gz") { file.get(..file.len() - 3).unwrap_or(file) } else { file };
    take(member(name.to_owned(), budget.read_all(&mut MultiGzDecoder::new(source.bytes))));
    Ok(())
}
