//! Which office format a file is in: what is inside a zip or a compound file decides, never its name alone.

use crate::members::Budget;
use crate::package::Package;
use crate::xml_walk::{Step, Xml};
use crate::{ExtractError, Format};

/// How a compound file (the container of Office 97 to 2003, and of encrypted newer files) begins.
const COMPOUND_MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Most bytes unpacked to tell a format.
const MAX_DETECT_BYTES: u64 = 16 << 20;

/// The office format of `bytes`, why they are refused although they are of one, or `None` where they are of none.
pub(crate) fn detect(bytes: &[u8], extension: &str) -> Option<Result<Format, ExtractError>> {
    if bytes.starts_with(b"PK\x03\x04") {
        return detect_zip(bytes, extension);
    }
    if bytes.starts_with(COMPOUND_MAGIC) {
        return detect_compound(bytes, extension);
    }
    bytes.starts_with(b"{\\rtf").then_some(Ok(Format::Rtf))
}

fn detect_zip(bytes: &[u8], extension: &str) -> Option<Result<Format, ExtractError>> {
    let by_name = match extension {
        "docx" | "docm" | "dotx" | "dotm" => Some(Format::Docx),
        "pptx" | "pptm" | "ppsx" | "ppsm" | "potx" | "potm" => Some(Format::Pptx),
        "xlsx" | "xlsm" | "xltx" | "xltm" => Some(Format::Xlsx),
        "odt" | "ott" => Some(Format::Odt),
        "ods" | "ots" => Some(Format::Ods),
        "odp" | "otp" => Some(Format::Odp),
        _ => None,
    };
    let budget = Budget::of(MAX_DETECT_BYTES);
    // What is named as an office file and cannot be opened was one before it was damaged; reading it tells so.
    let Ok(mut package) = Package::open(bytes, &budget) else { return by_name.map(Ok) };
    if let Ok(Some(kind)) = package.text("mimetype") {
        return detect_open_document(kind.trim());
    }
    if let Ok(Some(types)) = package.text("[Content_Types].xml")
        && let Some(found) = detect_by_types(&types)
    {
        return Some(found);
    }
    let parts = [
        ("word/document.xml", Format::Docx),
        ("ppt/presentation.xml", Format::Pptx),
        ("xl/workbook.xml", Format::Xlsx),
    ];
    let found = parts.into_iter().find(|(part, _)| package.has(part)).map(|(_, format)| format);
    let is_package = package.has("[Content_Types].xml") || package.has("content.xml");
    found.or(by_name.filter(|_| is_package)).map(Ok)
}

fn detect_open_document(kind: &str) -> Option<Result<Format, ExtractError>> {
    let kind = kind.strip_prefix("application/vnd.oasis.opendocument.")?;
    Some(Ok(match kind.split('-').next().unwrap_or(kind) {
        "text" => Format::Odt,
        "spreadsheet" => Format::Ods,
        "presentation" => Format::Odp,
        other => return Some(refused(&format!("OpenDocument {other}"))),
    }))
}

/// The main part tells what a package is; the parts that lie in it may be of any kind.
fn detect_by_types(types: &str) -> Option<Result<Format, ExtractError>> {
    let mut xml = Xml::new("[Content_Types].xml", types);
    while let Ok(Some(step)) = xml.next() {
        let Step::Open(tag) = step else { continue };
        let kind = tag.attr("ContentType").unwrap_or_default().to_lowercase();
        if kind.ends_with("sheet.binary.macroenabled.main") {
            return Some(refused("a binary Excel workbook; save it as .xlsx"));
        }
        let Some(kind) = kind.strip_suffix(".main+xml") else { continue };
        for (word, format) in [
            ("word", Format::Docx),
            ("presentation", Format::Pptx),
            ("powerpoint", Format::Pptx),
            ("spreadsheet", Format::Xlsx),
            ("excel", Format::Xlsx),
        ] {
            if kind.contains(word) {
                return Some(Ok(format));
            }
        }
    }
    None
}

fn detect_compound(bytes: &[u8], extension: &str) -> Option<Result<Format, ExtractError>> {
    let has = |name: &str| has_entry(bytes, name);
    // A message carries its attachments as they are, with names of all kinds in them.
    if has("__properties_version1.0") {
        return None;
    }
    if has("EncryptedPackage") || has("EncryptionInfo") {
        return Some(Err(ExtractError::Encrypted));
    }
    // A document may hold a workbook, and a workbook a document: then the name tells which holds which.
    let mut kinds = [
        (&["doc", "dot"][..], &["WordDocument"][..], Format::Doc),
        (&["ppt", "pps", "pot"], &["PowerPoint Document"], Format::Ppt),
        (&["xls", "xlt"], &["Workbook", "Book"], Format::Xls),
    ];
    kinds.sort_by_key(|(extensions, ..)| !extensions.contains(&extension));
    let found = kinds.into_iter().find(|(_, names, _)| names.iter().any(|name| has(name)));
    found.map(|(.., format)| Ok(format))
}

fn refused(what: &str) -> Result<Format, ExtractError> {
    Err(ExtractError::Unsupported(what.to_owned()))
}

/// Whether the directory of a compound file has an entry of this name. Its entries are 128 bytes long and aligned, so they
/// are found without following the chains of sectors, which may be broken or go round.
fn has_entry(bytes: &[u8], name: &str) -> bool {
    let wanted: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let length = u16::try_from(wanted.len()).unwrap_or(u16::MAX).to_le_bytes();
    bytes.chunks_exact(128).skip(4).any(|entry| {
        entry.starts_with(&wanted) && entry.get(64..66) == Some(&length) && matches!(entry.get(66), Some(1 | 2 | 5))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests::zip_of;

    fn types(kinds: &[&str]) -> String {
        let one = |kind: &&str| format!("<Override PartName='/x' ContentType='application/{kind}'/>");
        format!("<Types>{}</Types>", kinds.iter().map(one).collect::<String>())
    }

    #[test]
    fn the_main_part_decides_and_not_the_name() {
        for (kinds, format) in [
            (&["vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"][..], Format::Docx),
            (&["vnd.ms-word.template.macroEnabledTemplate.main+xml"], Format::Docx),
            (
                &[
                    "vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                    "vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml",
                ],
                Format::Pptx,
            ),
            (&["vnd.ms-excel.sheet.macroEnabled.main+xml"], Format::Xlsx),
        ] {
            assert_eq!(detect(&zip_of(&[("[Content_Types].xml", &types(kinds))]), "zip"), Some(Ok(format)));
        }
        let text = zip_of(&[("mimetype", "application/vnd.oasis.opendocument.text-template"), ("content.xml", "<a/>")]);
        assert_eq!(detect(&text, "docx"), Some(Ok(Format::Odt)));
        assert_eq!(detect(&zip_of(&[("word/document.xml", "<a/>")]), ""), Some(Ok(Format::Docx)));
    }

    #[test]
    fn other_archives_are_not_ours_and_cut_ones_are() {
        let archive = zip_of(&[("a.txt", "a")]);
        assert_eq!(detect(&archive, "zip"), None);
        assert_eq!(detect(&zip_of(&[("mimetype", "application/epub+zip")]), "epub"), None);
        assert_eq!(detect(&archive[..40], "docx"), Some(Ok(Format::Docx)));
        assert_eq!(detect(&archive[..40], "zip"), None);
    }

    #[test]
    fn compound_files_are_told_apart() {
        let compound = |names: &[&str]| {
            let mut bytes = COMPOUND_MAGIC.to_vec();
            bytes.resize(512, 0);
            for name in names {
                let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
                let length = u8::try_from(entry.len() + 2).expect("short");
                entry.resize(128, 0);
                entry[64] = length;
                entry[66] = 2;
                bytes.extend(entry);
            }
            bytes
        };
        assert_eq!(detect(&compound(&["EncryptedPackage"]), "xlsx"), Some(Err(ExtractError::Encrypted)));
        assert_eq!(detect(&compound(&["Workbook"]), ""), Some(Ok(Format::Xls)));
        assert_eq!(detect(&compound(&["Workbook", "WordDocument"]), "xls"), Some(Ok(Format::Xls)));
        assert_eq!(detect(&compound(&["__properties_version1.0", "Workbook"]), "msg"), None);
        assert_eq!(detect(&compound(&["WordDocument", "Workbook"]), "doc"), Some(Ok(Format::Doc)));
        assert_eq!(detect(&compound(&["Workbook", "PowerPoint Document"]), "x"), Some(Ok(Format::Ppt)));
    }
}
