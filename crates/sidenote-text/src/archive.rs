//! Members of archives: zip, tar, tar in gzip, and a file alone in gzip.
//!
//! Seam for `tar` and `flate2`; zip files are opened by `package`. They return errors for most of what is broken; sums of
//! offsets from the file may overflow, which panics here, so every call that parses runs shielded. None of them bounds what
//! comes out, so each member is read through the budget of `members`, whatever size its header claims. Nothing is written to
//! disk and no name is opened.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use crate::members::{Budget, Content, Member};
use crate::package::{Package, Unread};
use crate::shield::{plain_reason, shield};
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
    let mut package = Package::open(bytes, budget)?;
    if let Some(what) = packed_format(&package) {
        return Err(ExtractError::Unsupported(what.to_owned()));
    }
    for index in 0..package.len() {
        let Some(member) = zip_member(&mut package, index) else { continue };
        if !take(member) {
            break;
        }
    }
    Ok(())
}

/// What a zip file is to its user, where it is no archive: members of these would be nonsense each by itself.
fn packed_format(package: &Package<'_>) -> Option<&'static str> {
    let marks = [
        ("[Content_Types].xml", "an office document"),
        ("META-INF/container.xml", "an e-book without a mimetype"),
        ("META-INF/MANIFEST.MF", "application/java-archive"),
        ("AndroidManifest.xml", "application/vnd.android.package-archive"),
        ("mimetype", "a document packed as zip"),
    ];
    marks.iter().find(|(name, _)| package.has(name)).map(|(_, what)| *what)
}

/// A member, or `None` for folders and what the packing program left for itself.
fn zip_member(package: &mut Package<'_>, index: usize) -> Option<Member> {
    let entry = match package.entry(index) {
        Ok(entry) => entry?,
        Err(reason) => return Some(unread(format!("member {}", index + 1), &reason)),
    };
    if is_litter(&entry.name) {
        return None;
    }
    if entry.is_encrypted {
        return Some(unread(entry.name, ENCRYPTED));
    }
    Some(member(
        entry.name,
        package.read(index).map_err(|unread| match unread {
            Unread::Encrypted => ENCRYPTED.to_owned(),
            Unread::Damaged(reason) => reason,
        }),
    ))
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
                let content = budget.read_all(&mut entry, 0);
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
    take(member(name.to_owned(), budget.read_all(&mut MultiGzDecoder::new(source.bytes), 0)));
    Ok(())
}
