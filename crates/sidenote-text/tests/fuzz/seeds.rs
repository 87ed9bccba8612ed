//! The seed files: a folder for every format and every container, made for this project (see `make`).

use std::path::PathBuf;

use sidenote_text::Format;

/// Every format, with the folder of its seeds.
pub(crate) const FORMATS: [Format; 27] = [
    Format::Markdown,
    Format::Text,
    Format::Html,
    Format::Pdf,
    Format::Docx,
    Format::Pptx,
    Format::Xlsx,
    Format::Doc,
    Format::Xls,
    Format::Ppt,
    Format::Odt,
    Format::Ods,
    Format::Odp,
    Format::Rtf,
    Format::Email,
    Format::Mbox,
    Format::Msg,
    Format::Epub,
    Format::Xml,
    Format::Notebook,
    Format::Csv,
    Format::Json,
    Format::Latex,
    Format::Asciidoc,
    Format::Rst,
    Format::Subtitles,
    Format::Code,
];
/// Files that hold files.
pub(crate) const CONTAINERS: [&str; 3] = ["zip", "tar", "gzip"];

/// A seed.
pub(crate) struct Seed {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from("tests/seeds")
}

/// The name of a format's folder. A new format stops here until it has one.
pub(crate) fn folder_of(format: Format) -> &'static str {
    match format {
        Format::Markdown => "markdown",
        Format::Text => "text",
        Format::Html => "html",
        Format::Pdf => "pdf",
        Format::Docx => "docx",
        Format::Pptx => "pptx",
        Format::Xlsx => "xlsx",
        Format::Doc => "doc",
        Format::Xls => "xls",
        Format::Ppt => "ppt",
        Format::Odt => "odt",
        Format::Ods => "ods",
        Format::Odp => "odp",
        Format::Rtf => "rtf",
        Format::Email => "email",
        Format::Mbox => "mbox",
        Format::Msg => "msg",
        Format::Epub => "epub",
        Format::Xml => "xml",
        Format::Notebook => "notebook",
        Format::Csv => "csv",
        Format::Json => "json",
        Format::Latex => "latex",
        Format::Asciidoc => "asciidoc",
        Format::Rst => "rst",
        Format::Subtitles => "subtitles",
        Format::Code => "code",
    }
}

/// All folders.
pub(crate) fn families() -> Vec<&'static str> {
    FORMATS.iter().map(|format| folder_of(*format)).chain(CONTAINERS).collect()
}

/// The seeds of a folder, in the order of their names.
pub(crate) fn seeds_of(family: &str) -> Vec<Seed> {
    let folder = folder().join(family);
    let entries = fs_err::read_dir(&folder).expect("a folder of seeds");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort_unstable();
    let seed = |path: PathBuf| Seed {
        name: path.file_name().expect("a name").to_string_lossy().into_owned(),
        bytes: fs_err::read(&path).expect("a seed"),
    };
    paths.into_iter().map(seed).collect()
}
