//! What must hold of any file, whatever is in it. The ordinary tests and the fuzz targets in `fuzz/` ask the same.

use std::mem::discriminant;

use sidenote_text::{
    ChunkOptions, Document, ExtractLimits, Extracted, Format, PageImage, RecognisedLine, Recogniser, SourceFile, Span,
    TokenCounter, chunk_document, detect_format, extract_recognising, sentences,
};

/// Small, so that what runs away is seen soon.
pub(crate) const LIMITS: ExtractLimits = ExtractLimits { max_text_bytes: 1 << 20, max_pages: 50 };

/// Reads a file and panics where what it gives breaks a promise: spans lie in the text and on letters, chunks are the text
/// under their span and leave nothing out, limits hold, and reading again gives the same.
///
/// Gives what was read, so that a caller can tell one outcome from another.
pub(crate) fn check(name: &str, bytes: &[u8]) -> Option<Extracted> {
    let source = SourceFile { name, bytes };
    let format = detect_format(&source);
    let read = extract_recognising(&source, &LIMITS, &Reader);
    match (&read, &extract_recognising(&source, &LIMITS, &Reader)) {
        // Where the table of objects is broken, `pdf_oxide` looks for pages in the order of a hash map.
        _ if format == Ok(Format::Pdf) => {}
        // Of several things that are wrong with a file, a library may name another one the next time.
        (Err(one), Err(other)) => assert_eq!(discriminant(one), discriminant(other), "`{one}` and then `{other}`"),
        (one, other) => assert_eq!(one, other, "reading `{name}` again gives something else"),
    }
    match read {
        Ok(extracted) => {
            check_extracted(&extracted);
            Some(extracted)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Makes pages that have lost their text be drawn, and finds the same on all of them.
struct Reader;

impl Recogniser for Reader {
    fn recognise(&self, page: &PageImage) -> Result<Vec<RecognisedLine>, String> {
        assert_eq!(page.grey.len() as u64, u64::from(page.width) * u64::from(page.height));
        Ok(vec![RecognisedLine { text: "a line".to_owned(), top: 9, height: 40, begins_paragraph: true }])
    }
}

fn check_extracted(extracted: &Extracted) {
    assert!(!extracted.documents.is_empty(), "no document and no error");
    let bytes: usize = extracted.documents.iter().map(|document| document.text.len()).sum();
    assert!(bytes <= LIMITS.max_text_bytes, "{bytes} bytes of text are over the limit");
    for document in &extracted.documents {
        check_document(document);
        check_chunks(document);
        let mut end = 0;
        for span in sentences(&document.text) {
            assert!(span.slice(&document.text).is_some() && span.start >= end, "a sentence at {span:?}");
            end = span.end;
        }
    }
}

fn check_document(document: &Document) {
    let text = &document.text;
    assert!(!text.trim().is_empty(), "a document without words");
    assert!(document.pages.len() <= LIMITS.max_pages);
    let in_text = |what: &str, span: Span| assert!(span.slice(text).is_some(), "{what} at {span:?} of {}", text.len());
    let mut last = 0;
    for page in &document.pages {
        in_text("a page", page.span);
        assert!(page.number > last, "pages out of order");
        last = page.number;
    }
    let mut last = 0;
    for heading in &document.headings {
        in_text("a heading", heading.span);
        assert!((1..=6).contains(&heading.level), "a heading of level {}", heading.level);
        assert!(!heading.title.trim().is_empty(), "a heading without words");
        assert!(heading.span.start >= last, "headings out of order");
        last = heading.span.start;
    }
    for place in &document.places {
        in_text("a place", place.span);
    }
    for table in &document.tables {
        in_text("a table", table.span);
        in_text("a table's header", table.header);
        assert!(table.span.contains(table.header), "a header at {:?} of a table at {:?}", table.header, table.span);
    }
}

fn check_chunks(document: &Document) {
    let options = ChunkOptions { max_tokens: 64, max_prefix_tokens: 16, special_tokens: 2 };
    let text = &document.text;
    let mut end = 0;
    for chunk in chunk_document(document, &Letters, &options) {
        assert_eq!(chunk.span.slice(text), Some(chunk.text.as_str()), "a chunk is not the text under its span");
        assert!(chunk.tokens <= options.max_tokens, "a chunk of {} tokens", chunk.tokens);
        let left_out = text.get(end..chunk.span.start).expect("chunks out of order");
        assert!(left_out.trim().is_empty(), "text in no chunk: {left_out:?}");
        end = chunk.span.end;
    }
    assert!(text.get(end..).is_some_and(|rest| rest.trim().is_empty()), "text behind the last chunk");
}

/// A token for every four letters or digits of a word, and for every other sign.
struct Letters;

impl TokenCounter for Letters {
    fn count_tokens(&self, text: &str) -> usize {
        self.token_offsets(text).len()
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let mut tokens: Vec<(usize, usize)> = Vec::new();
        let mut letters = 0;
        for (at, sign) in text.char_indices() {
            let end = at + sign.len_utf8();
            match tokens.last_mut() {
                Some(token) if sign.is_alphanumeric() && letters > 0 && letters < 4 => {
                    token.1 = end;
                    letters += 1;
                }
                _ if sign.is_whitespace() => letters = 0,
                _ => {
                    tokens.push((at, end));
                    letters = usize::from(sign.is_alphanumeric());
                }
            }
        }
        tokens
    }
}
