//! Zip files, whose members are read by name or one after the other: office files, e-books, archives.
//!
//! Seam for `zip`. It returns errors for broken archives and may panic on some, since sums of offsets from the file may
//! overflow, so calls run shielded. It would unpack whatever is there; here every member is read through the budget of
//! `members`, whatever size its header claims. Nothing is written to disk and no name is opened.

use std::collections::HashMap;
use std::io::Cursor;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::ExtractError;
use crate::members::Budget;
use crate::shield::{plain_reason, shield};
use crate::xml_walk::{self, Step, Xml};

/// A zip of parts.
pub(crate) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Names in lower case, as some programs write them otherwise than they refer to them.
    parts: HashMap<String, usize>,
    budget: &'a Budget,
}

/// A member that is a file.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_encrypted: bool,
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
    /// Opens a zip; what is read of it is taken from the budget.
    ///
    /// # Errors
    /// [`ExtractError::Damaged`] where its directory cannot be read.
    pub(crate) fn open(bytes: &'a [u8], budget: &'a Budget) -> Result<Self, ExtractError> {
        let opened = shield(|| {
            let archive = ZipArchive::new(Cursor::new(bytes))?;
            let parts = archive.file_names_raw().enumerate();
            let parts = parts.map(|(index, name)| (key_of(&String::from_utf8_lossy(name)), index)).collect();
            Ok::<_, ZipError>(Self { archive, parts, budget })
        });
        let opened = opened.unwrap_or(Err(ZipError::InvalidArchive("its directory makes no sense".into())));
        opened.map_err(|error| ExtractError::Damaged(plain_reason(&error.to_string())))
    }

    /// How many members there are, folders among them.
    pub(crate) fn len(&self) -> usize {
        self.archive.len()
    }

    /// Names of all members.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.archive.file_names().flatten().map(std::borrow::Cow::into_owned)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(&key_of(name))
    }

    /// What the member at an index is; `None` for a folder.
    pub(crate) fn entry(&mut self, index: usize) -> Result<Option<Entry>, String> {
        let described = shield(|| {
            let entry = self.archive.by_index_data(index)?;
            if !entry.is_file() {
                return Ok(None);
            }
            let raw = String::from_utf8_lossy(entry.name_raw());
            let name = entry.name().map_or_else(|_| raw.into_owned(), |name| name.into_owned());
            Ok::<_, ZipError>(Some(Entry { name, is_encrypted: entry.encrypted() }))
        });
        let described = described.ok_or("damaged: its header makes no sense")?;
        described.map_err(|error| plain_reason(&error.to_string()))
    }

    /// The bytes of the member at an index.
    pub(crate) fn read(&mut self, index: usize) -> Result<Vec<u8>, Unread> {
        let (archive, budget) = (&mut self.archive, self.budget);
        let read = shield(|| match archive.by_index(index) {
            Ok(mut entry) => {
                let size = entry.size();
                budget.read_all(&mut entry, size).map_err(Unread::Damaged)
            }
            Err(ZipError::UnsupportedArchive(reason)) if reason == ZipError::PASSWORD_REQUIRED => {
                Err(Unread::Encrypted)
            }
            Err(error) => Err(Unread::Damaged(plain_reason(&error.to_string()))),
        });
        read.unwrap_or_else(|| Err(Unread::Damaged("its bytes make no sense".to_owned())))
    }

    /// A part's bytes; `None` where there is no such part.
    pub(crate) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExtractError> {
        let Some(index) = self.parts.get(&key_of(name)).copied() else { return Ok(None) };
        self.read(index).map(Some).map_err(|unread| match unread {
            Unread::Encrypted => ExtractError::Encrypted,
            Unread::Damaged(reason) => ExtractError::Damaged(format!("`{}`: {reason}", plain_reason(name))),
        })
    }

    /// A part's text; `None` where there is no such part.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ExtractError> {
        Ok(self.bytes(name)?.map(|bytes| xml_walk::decode(bytes).0))
    }

    /// What `part` refers to, in order; the empty name means the package itself. Addresses outside of it are left out.
    pub(crate) fn relations(&mut self, part: &str) -> Result<Relations, ExtractError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let slash = if folder.is_empty() { "" } else { "/" };
        let name = format!("{folder}{slash}_rels/{file}.rels");
        let Some(source) = self.text(&name)? else { return Ok(Relations::default()) };
        let mut xml = Xml::new(&name, &source);
        let mut relations = Relations::default();
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

/// Why a member was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    Encrypted,
    Damaged(String),
}

/// What a part refers to, in order. Both a file's parts and its references may be many, so they are found by id and kind
/// without a search.
#[derive(Default)]
pub(crate) struct Relations {
    all: Vec<Relation>,
    by_id: HashMap<String, usize>,
    first_of_kind: HashMap<String, usize>,
}

impl Relations {
    fn push(&mut self, relation: Relation) {
        let index = self.all.len();
        self.by_id.entry(relation.id.clone()).or_insert(index);
        self.first_of_kind.entry(relation.kind.clone()).or_insert(index);
        self.all.push(relation);
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Relation> {
        self.all.iter()
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Relation> {
        self.all.iter().filter(move |relation| relation.kind == kind)
    }

    /// The target of the first one of a kind.
    pub(crate) fn target_of(&self, kind: &str) -> Option<&str> {
        self.first_of_kind.get(kind).and_then(|index| self.all.get(*index)).map(|relation| relation.target.as_str())
    }

    pub(crate) fn with_id(&self, id: &str) -> Option<&Relation> {
        self.by_id.get(id).and_then(|index| self.all.get(*index))
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

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
        let budget = Budget::new();
        let mut package = Package::open(&bytes, &budget).expect("opens");
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
        let budget = Budget::new();
        let relations = Package::open(&bytes, &budget).expect("opens").relations("ppt/notes/n1.xml").expect("reads");
        assert_eq!(relations.iter().count(), 2);
        assert_eq!(relations.target_of("slide"), Some("ppt/slides/s1.xml"));
        assert_eq!(relations.with_id("r3").map(|relation| relation.target.as_str()), Some("ppt/theme/t.xml"));
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let bytes = zip_of(&[("a.xml", &" ".repeat(3 << 20)), ("b.xml", "b")]);
        let budget = Budget::of(2 << 20);
        let mut package = Package::open(&bytes, &budget).expect("opens");
        assert!(matches!(package.bytes("a.xml"), Err(ExtractError::Damaged(why)) if why.contains("unpacks")));
        // What was tried counts too: a bomb that is named a thousand times goes off once.
        assert!(budget.is_spent() && package.bytes("b.xml").is_err());
    }

    #[test]
    fn noise_and_cut_archives_are_damage() {
        let bytes = zip_of(&[("a.xml", "<a/>")]);
        for end in 0..bytes.len() {
            assert!(matches!(Package::open(&bytes[..end], &Budget::new()).map(drop), Err(ExtractError::Damaged(_))));
        }
    }
}
