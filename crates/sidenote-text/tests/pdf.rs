//! How the words of a PDF file come together: columns, broken words, running lines, turned pages, forms, fonts.

mod pdf_file;

use pdf_file::{PageParts, pdf_with, pdf_with_pages};
use std::cell::RefCell;

use sidenote_text::{
    Document, ExtractError, ExtractLimits, PageImage, RecognisedLine, Recogniser, SourceFile, extract,
    extract_recognising,
};

fn try_read(bytes: &[u8]) -> Result<Document, ExtractError> {
    let extracted = extract(&SourceFile { name: "a.pdf", bytes }, &ExtractLimits::default())?;
    Ok(extracted.into_first().expect("a document"))
}

fn read(bytes: &[u8]) -> Document {
    try_read(bytes).expect("reads")
}

/// Lines of text, each at its place.
fn content(lines: &[(u32, u32, &str)]) -> String {
    let line = |(x, y, text): &(u32, u32, &str)| format!("BT /F1 10 Tf {x} {y} Td ({text}) Tj ET");
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn page_texts(document: &Document) -> Vec<&str> {
    document.pages.iter().filter_map(|page| page.span.slice(&document.text)).collect()
}

#[test]
fn two_columns_are_read_one_after_the_other() {
    let left = [
        "The rules of travel are set by",
        "the board once a year and are",
        "binding for all of the staff",
        "of the house and its guests.",
    ];
    let right = [
        "Costs are paid back within two",
        "weeks after the journey if the",
        "receipts are handed in without",
        "delay by whoever travelled.",
    ];
    let mut lines = vec![(60, 760, "Rules of the house about journeys and what they cost, as of this year")];
    for ((y, left), right) in [730, 718, 706, 694].into_iter().zip(left).zip(right) {
        lines.push((60, y, left));
        lines.push((320, y, right));
    }
    let document = read(&pdf_with_pages(&[&content(&lines)]));
    let words = document.text.replace(['\n'], " ");
    assert!(words.contains("binding for all of the staff of the house and its guests."), "{words}");
    assert!(words.contains("are handed in without delay by whoever travelled."), "{words}");
    assert!(words.find("its guests.") < words.find("Costs are paid"), "{words}");
}

#[test]
fn words_broken_at_line_ends_are_made_whole_and_compounds_stay() {
    let lines = [
        (60, 700, "The board asks for all of the infor-"),
        (60, 688, "mation that is known, and goes by well-"),
        (60, 676, "known rules, which are known to work well in this house"),
        (60, 664, "and are kept by everybody in it."),
    ];
    let text = read(&pdf_with_pages(&[&content(&lines)])).text;
    assert!(text.contains("all of the information that is known"), "{text}");
    assert!(text.contains("goes by well-known rules"), "{text}");
}

#[test]
fn running_lines_stay_where_they_stand_first() {
    let pages: Vec<String> = (1..=4)
        .map(|number| {
            let body = ["first", "second", "third", "fourth"][number - 1];
            let (text, foot) = (format!("The {body} page says something new."), format!("Page {number} of 4"));
            content(&[(60, 800, "Handbook of the house"), (60, 760, "Rules"), (60, 700, &text), (60, 40, &foot)])
        })
        .collect();
    let document = read(&pdf_with_pages(&pages.iter().map(String::as_str).collect::<Vec<_>>()));
    let read = page_texts(&document);
    assert!(read[0].starts_with("Handbook of the house") && read[0].ends_with("Page 1 of 4"), "{read:?}");
    assert_eq!(read[2], "The third page says something new.");
    assert_eq!(document.text.matches("Handbook").count(), 1);
}

#[test]
fn the_header_of_a_table_stays_on_every_page() {
    let pages: Vec<String> = (1..=4)
        .map(|number| {
            let mut lines = vec![(60, 800, "Price list"), (60, 760, "Article"), (200, 760, "Net"), (320, 760, "Gross")];
            let names: Vec<String> = (0..5).map(|row| format!("Lamp {number}{row}")).collect();
            for (y, name) in (1..).map(|row| 760 - row * 14).zip(&names) {
                lines.extend([(60, y, name.as_str()), (200, y, "12.00"), (320, y, "14.28")]);
            }
            content(&lines)
        })
        .collect();
    let document = read(&pdf_with_pages(&pages.iter().map(String::as_str).collect::<Vec<_>>()));
    let read = page_texts(&document);
    assert_eq!(document.text.matches("Price list").count(), 1);
    assert!(read.iter().all(|page| page.contains("Article   Net   Gross\nLamp")), "{read:?}");
}

#[test]
fn a_font_with_a_one_byte_table_of_its_own_is_read() {
    let table = |name: &str, body: &str| {
        let text = format!(
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /{name} def\n1 begincodespacerange\n\
             <00> <7F>\nendcodespacerange\n{body}\nendcmap end end"
        );
        (text.len(), text)
    };
    let (code_length, codes) = table("Test-Identity-H", "1 begincidrange\n<00> <7F> 0\nendcidrange");
    let (letter_length, letters) = table("Letters", "1 beginbfrange\n<01> <1A> <0061>\nendbfrange");
    let page = PageParts {
        content: "BT /F2 12 Tf 72 700 Td <08050C0C0F> Tj ET".to_owned(),
        entries: "/Resources << /Font << /F2 6 0 R >> >>".to_owned(),
    };
    let more = [
        "<< /Type /Font /Subtype /Type0 /BaseFont /T /DescendantFonts [7 0 R] /Encoding 9 0 R /ToUnicode 10 0 R >>"
            .to_owned(),
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /T /DW 500 /FontDescriptor 8 0 R \
         /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>"
            .to_owned(),
        "<< /Type /FontDescriptor /FontName /T /Flags 32 /FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800 \
         /Descent -200 /CapHeight 700 /StemV 80 >>"
            .to_owned(),
        format!("<< /Type /CMap /CMapName /Test-Identity-H /Length {code_length} >>\nstream\n{codes}\nendstream"),
        format!("<< /Length {letter_length} >>\nstream\n{letters}\nendstream"),
    ];
    assert_eq!(read(&pdf_with(&[page], &more)).text, "hello");
}

#[test]
fn the_title_of_a_single_page_and_of_two_stays() {
    let page = content(&[(60, 800, "Handbook of the house"), (60, 700, "The page says something.")]);
    assert!(read(&pdf_with_pages(&[&page])).text.starts_with("Handbook"));
    assert_eq!(read(&pdf_with_pages(&[&page, &page])).text.matches("Handbook").count(), 2);
}

#[test]
fn a_page_written_sideways_is_read_like_another() {
    // Upwards: the second line stands to the right of the first.
    let line = |x: u32, y: u32, text: &str| format!("BT /F1 10 Tf 0 1 -1 0 {x} {y} Tm ({text}) Tj ET");
    let content = [
        line(100, 60, "The first line of a page that was written"),
        line(112, 60, "sideways, and the second one."),
        line(150, 60, "Hotel"),
        line(150, 300, "120 EUR"),
    ]
    .join("\n");
    for entries in ["", "/Rotate 90"] {
        let page = PageParts { content: content.clone(), entries: entries.to_owned() };
        let text = read(&pdf_with(&[page], &[])).text;
        let wanted = "The first line of a page that was written sideways, and the second one.\n\nHotel   120 EUR";
        assert_eq!(text, wanted, "{entries}");
    }
}

/// A page with labels and beside them fields, of which two are filled in and may be read.
fn form() -> Vec<u8> {
    let content = content(&[(60, 702, "Name"), (60, 672, "City"), (60, 642, "Notes")]);
    let page = PageParts { content, entries: "/Annots [6 0 R 7 0 R 8 0 R 9 0 R]".to_owned() };
    let field = |rest: &str, bottom: u32| {
        format!("<< /Type /Annot /Subtype /Widget /Rect [150 {bottom} 400 {}] {rest} >>", bottom + 16)
    };
    let more = [
        field("/FT /Tx /T (name) /V (Rosa Weber)", 698),
        // The value belongs to the field above this one.
        field("/Parent 10 0 R", 668),
        field("/FT /Tx /Ff 8192 /T (secret) /V (hunter2)", 638),
        field("/FT /Tx /F 2 /T (hidden) /V (unseen)", 608),
        "<< /FT /Ch /T (city) /V (Bremen) /Kids [7 0 R] >>".to_owned(),
    ];
    pdf_with(&[page], &more)
}

#[test]
fn what_was_filled_into_a_form_is_read_and_a_password_is_not() {
    assert_eq!(read(&form()).text, "Name   Rosa Weber\nCity   Bremen\n\nNotes");
}

#[test]
fn a_form_with_any_byte_changed_is_read_or_refused() {
    let whole = form();
    for at in (0..whole.len()).step_by(3) {
        let mut spoilt = whole.clone();
        spoilt[at] ^= 0x15;
        match try_read(&spoilt) {
            Ok(document) => assert!(!document.text.trim().is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn a_field_that_inherits_from_itself_ends() {
    let page = PageParts { content: content(&[(60, 702, "Name")]), entries: "/Annots [6 0 R]".to_owned() };
    let more = ["<< /Type /Annot /Subtype /Widget /Rect [150 698 400 714] /Parent 6 0 R >>".to_owned()];
    assert_eq!(read(&pdf_with(&[page], &more)).text, "Name");
}

/// Reads every page as its answers say, and remembers the pictures.
struct Reader {
    answers: RefCell<Vec<Result<&'static str, &'static str>>>,
    pictures: RefCell<Vec<PageImage>>,
}

impl Reader {
    fn new(answers: &[Result<&'static str, &'static str>]) -> Self {
        Self { answers: RefCell::new(answers.to_vec()), pictures: RefCell::default() }
    }

    fn read(&self, bytes: &[u8]) -> Result<Document, ExtractError> {
        let source = SourceFile { name: "a.pdf", bytes };
        let extracted = extract_recognising(&source, &ExtractLimits::default(), self)?;
        Ok(extracted.into_first().expect("a document"))
    }
}

impl Recogniser for Reader {
    fn recognise(&self, page: &PageImage) -> Result<Vec<RecognisedLine>, String> {
        self.pictures.borrow_mut().push(page.clone());
        let text = self.answers.borrow_mut().remove(0).map_err(str::to_owned)?;
        let line = |text: &str| RecognisedLine { text: text.to_owned(), top: 0, height: 40, begins_paragraph: false };
        Ok(text.lines().map(line).collect())
    }
}

/// A black bar over the upper half of a page.
const PICTURE: &str = "0 g 100 421 395 300 re f";

#[test]
fn pages_that_are_pictures_are_drawn_and_read() {
    let text = content(&[(60, 700, "The first page has a text layer and needs nobody.")]);
    let file = pdf_with_pages(&[&text, PICTURE, "", PICTURE]);
    let reader = Reader::new(&[Ok("Travel expenses are app-\nroved by Ruth Adler."), Err("tesseract fell over")]);
    let document = reader.read(&file).expect("reads");
    assert_eq!(
        page_texts(&document),
        ["The first page has a text layer and needs nobody.", "Travel expenses are approved by Ruth Adler.", "", ""]
    );
    assert_eq!(
        document.warnings,
        [
            "no text on page 3",
            "page 2: no text layer, read by OCR",
            "page 4: no text layer, not read by OCR: tesseract fell over"
        ]
    );
    // A blank page is nothing to read; a picture comes as it is drawn, the right way up.
    let pictures = reader.pictures.borrow();
    assert_eq!(pictures.len(), 2);
    let PageImage { width, height, dpi, grey } = &pictures[0];
    assert_eq!((grey.len(), *dpi), ((width * height) as usize, 300));
    let at = |x: u32, y: u32| grey[(y * dpi / 72 * width + x * dpi / 72) as usize];
    let page_height = height * 72 / dpi;
    assert_eq!((at(300, page_height - 600), at(300, page_height - 300), at(20, page_height - 600)), (0, 255, 255));
}

#[test]
fn a_file_of_pictures_alone_needs_a_reader_who_finds_words() {
    let file = pdf_with_pages(&[PICTURE, PICTURE]);
    assert_eq!(try_read(&file), Err(ExtractError::NoTextLayer { pages: 2 }));
    let nothing =
        |reason: Option<&str>| Err(ExtractError::NothingRecognised { pages: 2, reason: reason.map(str::to_owned) });
    assert_eq!(Reader::new(&[Ok(""), Ok(" ")]).read(&file), nothing(None));
    assert_eq!(Reader::new(&[Ok(""), Err("no data for `tlh`")]).read(&file), nothing(Some("no data for `tlh`")));
}
