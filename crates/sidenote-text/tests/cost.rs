//! Files made so that reading or cutting them would cost the square of their size, or many times their size in memory. At
//! these sizes that would take minutes or gigabytes; a fraction of a second is what it takes, so none needs a clock here.

mod shared;

use shared::zip_of;
use sidenote_text::{
    ChunkOptions, Document, ExtractError, ExtractLimits, SourceFile, TokenCounter, chunk_document, extract,
};

fn read(name: &str, bytes: &[u8]) -> Result<Document, ExtractError> {
    Ok(extract(&SourceFile { name, bytes }, &ExtractLimits::default())?.into_first().expect("a document"))
}

#[test]
fn a_chapter_of_tags_that_never_end() {
    for sign in ["<", "<a ", "</", "< a"] {
        let chapter = format!("<p>words</p>{}", sign.repeat(1_000_000));
        let book = zip_of(&[("mimetype", "application/epub+zip"), ("a.xhtml", &chapter)]);
        assert!(read("a.epub", &book).is_ok_and(|document| document.text.contains("words")), "{sign}");
    }
}

#[test]
fn unknown_elements_behind_much_white_space() {
    let source = format!("<r><p>{}a{}</p></r>", " ".repeat(1 << 20), "<x/>".repeat(200_000));
    assert_eq!(read("a.xml", source.as_bytes()).expect("reads").text, "a");
}

#[test]
fn capitals_behind_many_blank_lines() {
    let text = format!("{}quiet\n\n{}", "\n".repeat(4 << 20), "LOUD\n\n".repeat(200_000));
    assert_eq!(read("a.txt", text.as_bytes()).expect("reads").headings.len(), 200_000);
}

#[test]
fn headers_behind_much_white_space() {
    let text = format!("{{\\rtf1 {}{}words\\par}}", " ".repeat(2 << 20), "{\\header a}".repeat(100_000));
    assert!(read("a.rtf", text.as_bytes()).expect("reads").text.contains("words"));
}

#[test]
fn white_space_in_tables_inside_of_tables() {
    let (open, close) = ("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>");
    let text = format!("<w:p><w:t>{}a</w:t></w:p>", " ".repeat(32 << 20));
    let body = format!("<w:document>{}{text}{}</w:document>", open.repeat(600), close.repeat(600));
    assert!(
        read("a.docx", &zip_of(&[("word/document.xml", body.as_str())]))
            .is_err_and(|error| { matches!(error, ExtractError::TooLong { .. }) })
    );
}

#[test]
fn a_program_on_one_line() {
    let source = "function a(){}b;".repeat(60_000);
    assert!(read("a.js", source.as_bytes()).expect("reads").headings.len() > 1_000);
}

#[test]
fn verbatim_environments_of_many_names() {
    let source: String = (1..2_000).map(|stars| format!("\\begin{{verbatim{}}}\n", "*".repeat(stars))).collect();
    let source = format!("{source}{}\\section{{End}}", "word ".repeat(1 << 20));
    assert_eq!(read("a.tex", source.as_bytes()).expect("reads").headings.len(), 1);
}

#[test]
fn a_row_of_cells_that_show_one_long_text() {
    let cells = "<c t='s'><v>0</v></c>".repeat(10_000);
    let rels = "<Relationships><Relationship Id='s' Type='x/worksheet' Target='s.xml'/>\
                <Relationship Id='t' Type='x/sharedStrings' Target='t.xml'/></Relationships>";
    let file = zip_of(&[
        ("xl/workbook.xml", "<workbook><sheets><sheet name='S' r:id='s'/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", rels),
        ("xl/t.xml", &format!("<sst><si><t>{}</t></si></sst>", "word ".repeat(1 << 20))),
        ("xl/s.xml", &format!("<worksheet><row>{cells}</row></worksheet>")),
    ]);
    assert!(matches!(read("a.xlsx", &file), Err(ExtractError::TooLong { .. })));
    let cell = format!(
        "<table:table-cell table:number-columns-repeated='64'><text:p>{}</text:p></table:table-cell>",
        "word ".repeat(1 << 18)
    );
    let content = format!("<table:table><table:table-row>{cell}</table:table-row></table:table>");
    let file = zip_of(&[
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", &format!("<office:body>{content}</office:body>")),
    ]);
    assert!(matches!(read("a.ods", &file), Err(ExtractError::TooLong { .. })));
}

#[test]
fn lists_with_a_long_pattern_for_their_numbers() {
    let paragraph = "<w:p><w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr><w:r><w:t>a</w:t></w:r></w:p>";
    let numbering = format!(
        "<w:numbering><w:abstractNum w:abstractNumId='0'><w:lvl><w:numFmt w:val='decimal'/><w:lvlText w:val='{}%1.'/></w:lvl></w:abstractNum>\
         <w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num></w:numbering>",
        " ".repeat(4 << 20)
    );
    let file = zip_of(&[
        ("word/document.xml", format!("<w:document>{}</w:document>", paragraph.repeat(20_000)).as_str()),
        (
            "word/_rels/document.xml.rels",
            "<Relationships><Relationship Id='n' Type='x/numbering' Target='numbering.xml'/></Relationships>",
        ),
        ("word/numbering.xml", &numbering),
    ]);
    assert!(read("a.docx", &file).expect("reads").text.lines().count() >= 20_000);
}

/// Words are tokens.
struct Words;

impl TokenCounter for Words {
    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let start = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
        text.split_whitespace().map(|word| (start(word), start(word) + word.len())).collect()
    }
}

#[test]
fn a_table_with_a_very_long_header() {
    let header: String = (0..20_000).map(|column| format!("name {column},")).collect();
    let rows: String = (0..20_000).map(|row| format!("{row}, value of it, and more words of this row\n")).collect();
    let rows = rows.replace('\n', &format!("{}\n", ",".repeat(3)));
    let mut document = read("a.csv", format!("a,b\n1,2\n{header}\n{rows}").as_bytes()).expect("reads");
    let header_at = document.text.find("name 0").expect("the header");
    let header_end = header_at + header.len();
    let span = |start, end| sidenote_text::Span::new(start, end);
    document.tables =
        vec![sidenote_text::Table { span: span(header_at, document.text.len()), header: span(header_at, header_end) }];
    let chunks = chunk_document(&document, &Words, &ChunkOptions::default());
    assert!(chunks.len() > 500 && chunks.last().is_some_and(|last| last.prefix.starts_with("name 0")));
}
