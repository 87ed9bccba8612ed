//! Office files that are broken, or were made to break something, give a document or an error; nothing panics, runs away or
//! fills the memory. Whole files of many makers are read in `parser_corpus`; some of them are spoilt here.

mod shared;

use std::io::{Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use shared::zip_of;
use sidenote_text::{Document, ExtractError, ExtractLimits, SourceFile, extract};
use zip::write::SimpleFileOptions;

fn read(name: &str, bytes: &[u8]) -> Result<Document, ExtractError> {
    Ok(extract(&SourceFile { name, bytes }, &ExtractLimits::default())?.into_first().expect("a document"))
}

fn docx(body: &str) -> Vec<u8> {
    zip_of(&[("word/document.xml", &format!("<w:document><w:body>{body}</w:body></w:document>"))])
}

fn xlsx(sheet: &str) -> Vec<u8> {
    let rels = "<Relationships><Relationship Id='s' Type='x/worksheet' Target='s.xml'/></Relationships>";
    zip_of(&[
        ("xl/workbook.xml", "<workbook><sheets><sheet name='S' r:id='s'/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", rels),
        ("xl/s.xml", &format!("<worksheet>{sheet}</worksheet>")),
    ])
}

fn pptx(slide: &str) -> Vec<u8> {
    let rels = "<Relationships><Relationship Id='s' Type='x/slide' Target='s.xml'/></Relationships>";
    zip_of(&[
        ("ppt/presentation.xml", "<p:presentation><p:sldId r:id='s'/></p:presentation>"),
        ("ppt/_rels/presentation.xml.rels", rels),
        ("ppt/s.xml", &format!("<p:sld>{slide}</p:sld>")),
    ])
}

fn odf(kind: &str, body: &str) -> Vec<u8> {
    let mimetype = format!("application/vnd.oasis.opendocument.{kind}");
    zip_of(&[("mimetype", mimetype.as_str()), ("content.xml", &format!("<office:body>{body}</office:body>"))])
}

/// One small file of each format that is written by hand.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let table = "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Part</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Price</w:t></w:r></w:p></w:tc></w:tr></w:tbl>";
    vec![
        ("a.docx", docx(&format!("<w:p><w:r><w:t>The travel rules</w:t></w:r></w:p>{table}"))),
        ("a.xlsx", xlsx("<row r='1'><c r='A1' t='str'><v>Part</v></c><c r='B1'><v>4</v></c></row>")),
        ("a.pptx", pptx("<p:sp><p:ph type='title'/><a:p><a:t>Prices</a:t></a:p></p:sp>")),
        ("a.odt", odf("text", "<text:h>Rules</text:h><text:p>All of them.</text:p>")),
        ("a.odp", odf("presentation", "<draw:page><draw:frame><text:p>Prices</text:p></draw:frame></draw:page>")),
        (
            "a.ods",
            odf(
                "spreadsheet",
                "<table:table><table:table-row><table:table-cell><text:p>4</text:p></table:table-cell></table:table-row></table:table>",
            ),
        ),
        (
            "a.rtf",
            b"{\\rtf1\\ansi {\\fonttbl{\\f0 A;}}\\pard The travel\\'20rules\\par\\trowd\\intbl a\\cell b\\cell\\row}"
                .to_vec(),
        ),
    ]
}

fn check(name: &str, bytes: &[u8]) {
    let begun = Instant::now();
    match read(name, bytes) {
        Ok(document) => {
            assert!(!document.text.trim().is_empty(), "{name}");
            assert!(document.headings.iter().all(|heading| heading.span.slice(&document.text).is_some()), "{name}");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "{name}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{name} took {:?}", begun.elapsed());
}

#[test]
fn every_sample_is_read_and_may_be_cut_or_spoilt_anywhere() {
    for (name, whole) in samples() {
        assert!(read(name, &whole).is_ok(), "{name}: {:?}", read(name, &whole));
        for end in (0..whole.len()).step_by(3) {
            check(name, &whole[..end]);
        }
        for at in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 0x15;
            check(name, &spoilt);
        }
    }
}

#[test]
fn real_files_may_be_cut_or_spoilt_anywhere() {
    let root = std::env::var_os("SIDENOTE_EVALDATA").map(|root| Path::new(&root).join("parser_corpus/files"));
    let Some(root) = root.filter(|root| root.is_dir()) else {
        eprintln!("SKIPPED: SIDENOTE_EVALDATA does not name a folder with parser_corpus");
        return;
    };
    for name in [
        "docling__legacy_sample.xls",
        "tika__testWORD_various.doc",
        "tika__testPPT_various.ppt",
        "docling__word_sample.docx",
        "docling__xlsx_comments.xlsx",
        "docling__powerpoint_comments.pptx",
        "docling__odf_presentation_01.odp",
        "tika__testRTFVarious.rtf",
    ] {
        let whole = fs_err::read(root.join(name)).expect("a corpus file");
        let step = (whole.len() / 40).max(1);
        for at in (0..whole.len()).step_by(step) {
            check(name, &whole[..at]);
            let mut spoilt = whole.clone();
            for byte in spoilt.iter_mut().skip(at).take(8) {
                *byte ^= 0x5a;
            }
            check(name, &spoilt);
        }
    }
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let blank = " ".repeat(8 << 20);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("word/document.xml", SimpleFileOptions::default().large_file(true)).expect("a part");
    for _ in 0..70 {
        writer.write_all(blank.as_bytes()).expect("written");
    }
    let bomb = writer.finish().expect("a zip").into_inner();
    assert!(bomb.len() < 4 << 20);
    let refused = read("a.docx", &bomb);
    assert!(matches!(&refused, Err(ExtractError::Damaged(why)) if why.contains("256 MiB")), "{refused:?}");
}

#[test]
fn nesting_without_end_is_damage() {
    for (open, close) in
        [("<w:p><w:r><w:txbxContent>", ""), ("<w:tbl><w:tr><w:tc>", ""), ("<x>", ""), ("<w:p>", "</w:p>")]
    {
        let body = format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        assert!(matches!(read("a.docx", &docx(&body)), Err(ExtractError::Damaged(_))), "{open}");
    }
    let shallow = format!(
        "{}<w:p><w:r><w:t>deep</w:t></w:r></w:p>{}",
        "<w:tbl><w:tr><w:tc>".repeat(300),
        "</w:tc></w:tr></w:tbl>".repeat(300)
    );
    assert!(read("a.docx", &docx(&shallow)).expect("reads").text.contains("deep"));
    let slides = pptx(&"<p:grpSp><p:sp><a:p>".repeat(50_000));
    assert!(matches!(read("a.pptx", &slides), Err(ExtractError::Damaged(_))));
    let text = odf("text", &"<text:list><text:list-item>".repeat(50_000));
    assert!(matches!(read("a.odt", &text), Err(ExtractError::Damaged(_))));
    check("a.rtf", format!("{{\\rtf1 x{}", "{\\footnote ".repeat(200_000)).as_bytes());
    check("a.rtf", format!("{{\\rtf1 x{}", "\\pard\\itap30 a\\nestcell ".repeat(50_000)).as_bytes());
}

#[test]
fn a_sheet_that_claims_to_be_huge_is_as_large_as_its_cells() {
    let sheet = "<dimension ref='A1:XFD1048576'/><sheetData><row r='1'><c r='A1'><v>1</v></c><c r='XFD1'><v>2</v></c></row>\
                 <row r='1048576'><c r='XFD1048576'><v>3</v></c></row></sheetData>";
    let document = read("a.xlsx", &xlsx(sheet)).expect("reads");
    assert!(document.text.len() < 1_000, "{} bytes", document.text.len());
}

#[test]
fn long_tables_are_read_to_their_end_or_to_the_limit() {
    let rows: String = (1..=200_000)
        .map(|row| format!("<row r='{row}'><c><v>{row}</v></c><c t='str'><v>part {row}</v></c></row>"))
        .collect();
    let bytes = xlsx(&rows);
    let document = read("a.xlsx", &bytes).expect("reads");
    assert!(document.text.ends_with("200000 | part 200000"));
    assert_eq!(document.tables.len(), 1);
    let limits = ExtractLimits { max_text_bytes: 10_000, ..ExtractLimits::default() };
    let source = SourceFile { name: "a.xlsx", bytes: &bytes };
    assert_eq!(extract(&source, &limits), Err(ExtractError::TooLong { limit: 10_000 }));

    let row = |n: u32| {
        format!(
            "<w:tr><w:tc><w:p><w:r><w:t>{n}</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>part</w:t></w:r></w:p></w:tc></w:tr>"
        )
    };
    let table: String = (0..50_000).map(row).collect();
    let document = read("a.docx", &docx(&format!("<w:tbl>{table}</w:tbl>"))).expect("reads");
    assert!(document.text.ends_with("49999 | part"));
}

#[test]
fn cells_without_words_do_not_fill_the_memory() {
    let table = format!("<w:tbl><w:tr>{}</w:tr></w:tbl>", "<w:tc/>".repeat(8_000_000));
    assert!(matches!(read("a.docx", &docx(&table)), Err(ExtractError::TooLong { .. } | ExtractError::Empty)));
    let sheet = format!("<row>{}</row>", "<c/>".repeat(5_000_000));
    assert_eq!(read("a.xlsx", &xlsx(&sheet)), Err(ExtractError::Empty));
    let repeated = "<table:table><table:table-row table:number-rows-repeated='4294967295'><table:table-cell table:number-columns-repeated='4294967295'>\
                    <text:p>x</text:p></table:table-cell></table:table-row></table:table>".repeat(50);
    assert!(read("a.ods", &odf("spreadsheet", &repeated)).expect("reads").text.len() < 2 << 20);
}

#[test]
fn parts_that_are_missing_or_wrong_are_told() {
    for (name, parts) in [
        ("a.docx", &[("[Content_Types].xml", "<Types/>")][..]),
        ("a.pptx", &[("[Content_Types].xml", "<Types/>"), ("ppt/presentation.xml", "<p:sldId r:id='no'/>")]),
        ("a.xlsx", &[("[Content_Types].xml", "<Types/>"), ("xl/workbook.xml", "no markup at all")]),
        ("a.odt", &[("mimetype", "application/vnd.oasis.opendocument.text")]),
    ] {
        let refused = read(name, &zip_of(parts));
        assert!(matches!(refused, Err(ExtractError::Damaged(_) | ExtractError::Empty)), "{name}: {refused:?}");
    }
    let itself = "<styles><style w:styleId='A'><basedOn w:val='B'/></style><style w:styleId='B'><basedOn w:val='A'/></style></styles>";
    let rels = "<Relationships><Relationship Id='s' Type='x/styles' Target='styles.xml'/><Relationship Id='d' Type='x/header' Target='document.xml'/></Relationships>";
    let body = "<w:body><w:p><w:pPr><w:pStyle w:val='A'/></w:pPr><w:r><w:t>text</w:t></w:r></w:p></w:body>";
    let parts = [("word/document.xml", body), ("word/_rels/document.xml.rels", rels), ("word/styles.xml", itself)];
    assert_eq!(read("a.docx", &zip_of(&parts)).expect("reads").text, "text\n\ntext");
}
