//! Files that are broken, or were made to break something, give a document or an error; nothing panics or runs away.

mod pdf_file;

use pdf_file::pdf_with_pages;
use sidenote_text::{Document, ExtractError, ExtractLimits, SourceFile, extract, sentences};

fn read(name: &str, bytes: &[u8]) -> Result<Document, ExtractError> {
    Ok(extract(&SourceFile { name, bytes }, &ExtractLimits::default())?.into_first().expect("a document"))
}

const FIRST: &str = "BT /F1 12 Tf 72 720 Td (The travel rules of the house) Tj ET";
const SECOND: &str = "BT /F1 12 Tf 72 720 Td (Expenses are approved by the board) Tj ET";

#[test]
fn pages_are_numbered_and_hold_their_text() {
    let document = read("a.pdf", &pdf_with_pages(&[FIRST, "", SECOND])).expect("reads");
    let page = |index: usize| document.pages[index].span.slice(&document.text);
    assert_eq!(document.pages.iter().map(|page| page.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(page(0), Some("The travel rules of the house"));
    assert_eq!(page(1), Some(""));
    assert_eq!(page(2), Some("Expenses are approved by the board"));
    assert_eq!(document.warnings, ["no text on page 2"]);
}

#[test]
fn pages_beyond_the_limit_are_reported() {
    let limits = ExtractLimits { max_pages: 1, ..ExtractLimits::default() };
    let bytes = pdf_with_pages(&[FIRST, SECOND]);
    let extracted = extract(&SourceFile { name: "a.pdf", bytes: &bytes }, &limits).expect("reads");
    let document = extracted.into_first().expect("a document");
    assert_eq!(document.pages.len(), 1);
    assert!(document.warnings[0].contains("first 1 of 2 pages"), "{:?}", document.warnings);
}

#[test]
fn a_pdf_of_pictures_has_no_text_layer() {
    assert_eq!(read("a.pdf", &pdf_with_pages(&["", "q Q"])), Err(ExtractError::NoTextLayer { pages: 2 }));
}

#[test]
fn a_pdf_cut_at_any_place_is_read_or_refused() {
    let whole = pdf_with_pages(&[FIRST, SECOND]);
    for end in (0..whole.len()).step_by(7) {
        match read("a.pdf", &whole[..end]) {
            Ok(document) => assert!(!document.text.trim().is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn a_pdf_with_any_byte_changed_is_read_or_refused() {
    let whole = pdf_with_pages(&[FIRST, SECOND]);
    for at in (0..whole.len()).step_by(3) {
        let mut spoilt = whole.clone();
        spoilt[at] ^= 0x15;
        if let Ok(document) = read("a.pdf", &spoilt) {
            assert!(document.pages.iter().all(|page| page.span.slice(&document.text).is_some()));
        }
    }
}

#[test]
fn noise_behind_a_pdf_header_is_damage() {
    let mut noise = b"%PDF-1.7\n".to_vec();
    noise.extend((0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]));
    assert!(matches!(read("a.pdf", &noise), Err(ExtractError::Damaged(_))), "{:?}", read("a.pdf", &noise));
    assert!(matches!(read("a.pdf", b"%PDF-1.7"), Err(ExtractError::Damaged(_))));
}

#[test]
fn a_page_tree_that_holds_itself_ends() {
    let mut text = String::from_utf8(pdf_with_pages(&[FIRST])).expect("ascii");
    text = text.replace("/Kids [4 0 R]", "/Kids [2 0 R]");
    // The page itself is whole, and the library may find it by searching for it.
    match read("a.pdf", text.as_bytes()) {
        Ok(document) => assert!(document.text.contains("travel rules")),
        Err(error) => assert!(matches!(error, ExtractError::Damaged(_)), "{error}"),
    }
}

#[test]
fn one_huge_line_is_read() {
    let line = "word ".repeat(2_000_000);
    for name in ["a.txt", "a.md", "a.html"] {
        let document = read(name, line.as_bytes()).expect("reads");
        assert!(document.text.len() >= line.len() - 1, "{name}");
        assert!(!sentences(&document.text).is_empty());
    }
}

#[test]
fn markdown_made_to_be_slow_is_read() {
    for pattern in ["[", "*a ", "> ", "- ", "`", "![](", "<a ", "|", "# ", "\\", "[a]: ", "***", "~~~\n"] {
        let text = format!("start {}", pattern.repeat(300_000 / pattern.len()));
        assert!(read("a.md", text.as_bytes()).is_ok(), "{pattern:?}");
        let lines = format!("start\n\n{}", format!("{pattern}\n").repeat(100_000 / (pattern.len() + 1)));
        assert!(read("a.md", lines.as_bytes()).is_ok(), "{pattern:?} on lines");
    }
}

#[test]
fn broken_encodings_are_read_with_a_warning_or_refused() {
    let lone_surrogates: Vec<u8> = [0xff, 0xfe].into_iter().chain([0x41, 0x00, 0x00, 0xd8]).collect();
    match read("a.txt", &lone_surrogates) {
        Ok(document) => assert!(document.warnings[0].contains("replaced"), "{:?}", document.warnings),
        Err(error) => assert!(matches!(error, ExtractError::Unsupported(_)), "{error}"),
    }
    let mostly_text: Vec<u8> = "A plain sentence in English. ".repeat(20).bytes().chain([0xe9, 0x20]).collect();
    assert_eq!(read("a.txt", &mostly_text).expect("reads").warnings.len(), 1);
    assert!(matches!(read("a.txt", b"NUL \0 inside"), Err(ExtractError::Unsupported(_))));
    assert!(matches!(read("a.html", b"<p>\0\x01\x02\x03"), Err(ExtractError::Unsupported(_))));
}
