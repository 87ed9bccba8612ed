//! Office files that are a zip of XML parts: opening them, reading their parts and how these refer to each other.
//!
//! Seam for `zip`. It returns errors for broken archives and may panic on some, so calls run under `catch_unwind`. It would
//! decompress whatever is there; here all parts of a file together give at most [`MAX_BYTES`], so that a bomb is refused.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::ExtractError;
use crate::office_xml::{self, Step, Xml};

/// Most bytes that the parts of one file may give, decompressed, in all.
const MAX_BYTES: u64 = 512 << 20;

/// A zip of parts.
pub(crate) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Names in lower case, as some programs write them otherwise than they refer to them.
    parts: HashMap<String, usize>,
    left: u64,
}

/// How a part refers to another.
pub(crate) struct Relation {
    pub(crate) id: String,
    /// The last word of its type: `slide`, `footnotes`.
    pub(crate) kind: String,
    /// Name of the part referred to.
    pub(crate) target: String,
}

impl<'a> Package<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, ExtractError> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let archive = ZipArchive::new(Cursor::new(bytes))?;
            let parts = archive.file_names_raw().enumerate();
            let parts = parts.map(|(index, name)| (key_of(&String::from_utf8_lossy(name)), index)).collect();
            Ok::<_, ZipError>(Self { archive, parts, left: MAX_BYTES })
        }));
        match opened {
            Ok(Ok(package)) => Ok(package),
            Ok(Err(error)) => Err(damaged("the archive", &error.to_string())),
            Err(_) => Err(damaged("the archive", "its directory makes no sense")),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(&key_of(name))
    }

    /// A part's bytes; `None` where there is no such part.
    pub(crate) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExtractError> {
        let Some(index) = self.parts.get(&key_of(name)).copied() else { return Ok(None) };
        let (archive, left) = (&mut self.archive, self.left);
        let read = catch_unwind(AssertUnwindSafe(|| {
            let entry = archive.by_index(index)?;
            // As large as it says, within the bound: growing step by step would take up to twice the memory.
            let size = usize::try_from(entry.size().min(left) + 1).unwrap_or(0);
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(size).map_err(std::io::Error::other)?;
            entry.take(left + 1).read_to_end(&mut bytes)?;
            Ok::<_, ZipError>(bytes)
        }));
        let bytes = match read {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(ZipError::UnsupportedArchive(reason))) if reason == ZipError::PASSWORD_REQUIRED => {
                return Err(ExtractError::Encrypted);
            }
            Ok(Err(error)) => return Err(damaged(&format!("`{name}`"), &error.to_string())),
            Err(_) => return Err(damaged(&format!("`{name}`"), "its bytes make no sense")),
        };
        match self.left.checked_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX)) {
            Some(left) => self.left = left,
            None => {
                let limit = MAX_BYTES >> 20;
                return Err(ExtractError::Damaged(format!("it unpacks to more than {limit} MiB")));
            }
        }
        Ok(Some(bytes))
    }

    /// A part's text; `None` where there is no such part.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ExtractError> {
        Ok(self.bytes(name)?.map(office_xml::decode))
    }

    /// What `part` refers to, in order; the empty name means the package itself. Addresses outside of it are left out.
    pub(crate) fn relations(&mut self, part: &str) -> Result<Vec<Relation>, ExtractError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let slash = if folder.is_empty() { "" } else { "/" };
        let name = format!("{folder}{slash}_rels/{file}.rels");
        let Some(source) = self.text(&name)? else { return Ok(Vec::new()) };
        let mut xml = Xml::new(&name, &source);
        let mut relations = Vec::new();
        while let Some(step) = xml.next()? {
            let Step::Open(tag) = step else { continue };
            let is_outside = tag.attr("TargetMode").is_some_and(|mode| mode == "External");
            if tag.name() != "Relationship" || is_outside {
                continue;
            }
            if let (Some(id), Some(kind), Some(target)) = (tag.attr("Id"), tag.attr("Type"), tag.attr("Target")) {
                let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                relations.push(Relation { id, kind, target: resolve(folder, &target) });
            }
        }
        Ok(relations)
    }
}

/// The target of the first relation of a kind.
pub(crate) fn target_of<'r>(relations: &'r [Relation], kind: &str) -> Option<&'r str> {
    relations.iter().find(|relation| relation.kind == kind).map(|relation| relation.target.as_str())
}

/// The target of the relation with this id.
pub(crate) fn target_with_id<'r>(relations: &'r [Relation], id: &str) -> Option<&'r str> {
    relations.iter().find(|relation| relation.id == id).map(|relation| relation.target.as_str())
}

/// The name of a part that is referred to from `folder`.
pub(crate) fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let mut steps: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => folder.split('/').collect(),
    };
    for step in target.split('/') {
        match step {
            ".." => drop(steps.pop()),
            "." | "" => {}
            step => steps.push(step),
        }
    }
    steps.retain(|step| !step.is_empty());
    steps.join("/")
}

fn key_of(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches("./").trim_start_matches('/').to_lowercase()
}

fn damaged(what: &str, reason: &str) -> ExtractError {
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
    ExtractError::Damaged(format!("{what}: {reason}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    /// A zip of the given parts.
    pub(crate) fn zip_of(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in parts {
            writer.start_file(*name, SimpleFileOptions::default()).expect("a part");
            writer.write_all(text.as_bytes()).expect("written");
        }
        writer.finish().expect("a zip").into_inner()
    }

    #[test]
    fn parts_are_found_however_they_are_spelt() {
        let bytes = zip_of(&[("Word/Document.xml", "<a/>"), ("word\\styles.xml", "<b/>")]);
        let mut package = Package::open(&bytes).expect("opens");
        assert_eq!(package.text("/word/document.xml").expect("reads").as_deref(), Some("<a/>"));
        assert_eq!(package.text("word/styles.xml").expect("reads").as_deref(), Some("<b/>"));
        assert_eq!(package.text("word/none.xml"), Ok(None));
    }

    #[test]
    fn relations_name_parts_from_where_they_stand() {
        let rels = "<Relationships><Relationship Id='r1' Type='http://x/slide' Target='../slides/s1.xml'/>\
                    <Relationship Id='r2' Type='http://x/hyperlink' Target='http://a.b' TargetMode='External'/>\
                    <Relationship Id='r3' Type='http://x/theme' Target='/ppt/theme/t.xml'/></Relationships>";
        let bytes = zip_of(&[("ppt/notes/_rels/n1.xml.rels", rels)]);
        let relations = Package::open(&bytes).expect("opens").relations("ppt/notes/n1.xml").expect("reads");
        assert_eq!(relations.len(), 2);
        assert_eq!(target_of(&relations, "slide"), Some("ppt/slides/s1.xml"));
        assert_eq!(target_with_id(&relations, "r3"), Some("ppt/theme/t.xml"));
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let bytes = zip_of(&[("a.xml", &" ".repeat(3 << 20)), ("b.xml", "b")]);
        let mut package = Package::open(&bytes).expect("opens");
        package.left = 2 << 20;
        assert!(matches!(package.bytes("a.xml"), Err(ExtractError::Damaged(why)) if why.contains("unpacks")));
    }

    #[test]
    fn noise_and_cut_archives_are_damage() {
        let bytes = zip_of(&[("a.xml", "<a/>")]);
        for end in 0..bytes.len() {
            assert!(matches!(Package::open(&bytes[..end]).map(drop), Err(ExtractError::Damaged(_))));
        }
    }
}
