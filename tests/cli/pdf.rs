//! PDF files made by hand: small, and whole or broken in a known way.

use std::{path::PathBuf, process::Command};

/// A PDF of one page for each text, in Helvetica.
pub(super) fn pdf(pages: &[&str]) -> Vec<u8> {
    build(pages, "")
}

/// A page in a file with an array that is nested deeper than the stack of its reader is long.
pub(super) fn deep_pdf() -> Vec<u8> {
    const DEPTH: usize = 100_000;
    build(&["Deep."], &format!(" /Deep {}{}", "[".repeat(DEPTH), "]".repeat(DEPTH)))
}

/// The same page behind a password: the standard security handler with keys that fit no empty password.
pub(super) fn encrypted_pdf() -> Vec<u8> {
    let key = "5a".repeat(32);
    build(
        &["The secret is out."],
        &format!(
            " /Encrypt << /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -44 >> /ID [<{id}> <{id}>]",
            id = "31".repeat(16)
        ),
    )
}

/// The same pages as a scanner makes them: a picture each, drawn by another program. `None` where that is not installed.
pub(super) fn scanned_pdf(pages: &[&str]) -> Option<Vec<u8>> {
    scanned_after(&[], pages)
}

/// Pages with a text layer, and after them scanned ones.
pub(super) fn scanned_after(texts: &[&str], pages: &[&str]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("written.pdf");
    fs_err::write(&written, pdf(pages)).unwrap();
    let mut draw = Command::new("pdftoppm");
    draw.args(["-gray", "-r", "150"]).arg(&written).arg(folder.path().join("page"));
    assert!(draw.status().ok()?.success());
    let mut pictures: Vec<PathBuf> = fs_err::read_dir(folder.path()).unwrap().map(|it| it.unwrap().path()).collect();
    pictures.retain(|path| path.extension().is_some_and(|extension| extension == "pgm"));
    pictures.sort();
    let mut objects = head(texts.len() + pictures.len());
    for (at, text) in texts.iter().enumerate() {
        objects.extend(page(at, &text_drawing(text)));
    }
    for (at, path) in pictures.iter().enumerate() {
        let bytes = fs_err::read(path).unwrap();
        let header: Vec<&[u8]> = bytes.splitn(4, |byte| byte.is_ascii_whitespace()).collect();
        let size: Vec<&str> = header[1..3].iter().map(|number| std::str::from_utf8(number).unwrap()).collect();
        // What is left begins with the largest grey and a line feed.
        let pixels: String = header[3][4..].iter().map(|grey| format!("{grey:02x}")).collect();
        let drawing = "q 595 0 0 842 0 0 cm BI /W WIDTH /H HEIGHT /BPC 8 /CS /G /F /AHx ID PIXELS> EI Q";
        let drawing = drawing.replace("WIDTH", size[0]).replace("HEIGHT", size[1]).replace("PIXELS", &pixels);
        objects.extend(page(texts.len() + at, &drawing));
    }
    Some(file(&objects, ""))
}

fn build(pages: &[&str], trailer: &str) -> Vec<u8> {
    let mut objects = head(pages.len());
    for (at, text) in pages.iter().enumerate() {
        objects.extend(page(at, &text_drawing(text)));
    }
    file(&objects, trailer)
}

fn text_drawing(text: &str) -> String {
    format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET")
}

/// The number of the first page's object.
const FIRST_PAGE: usize = 4;

fn head(pages: usize) -> Vec<String> {
    let kids: Vec<String> = (0..pages).map(|at| format!("{} 0 R", FIRST_PAGE + 2 * at)).collect();
    vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), kids.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ]
}

fn page(at: usize, drawing: &str) -> [String; 2] {
    let contents = FIRST_PAGE + 2 * at + 1;
    [
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents {contents} 0 R >>"
        ),
        format!("<< /Length {} >>\nstream\n{drawing}\nendstream", drawing.len()),
    ]
}

fn file(objects: &[String], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        offsets.push(bytes.len());
        bytes.extend(format!("{} 0 obj\n{object}\nendobj\n", at + 1).bytes());
    }
    let table = bytes.len();
    bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        bytes.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    bytes.extend(
        format!("trailer\n<< /Size {} /Root 1 0 R{trailer} >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1).bytes(),
    );
    bytes
}
