//! Real files of many makers: each gives text or a clear error, as its manifest says, and next to all of its words.
//!
//! The corpus is found through `SIDENOTE_EVALDATA`; without it the test is skipped, visibly. The references were made by
//! other programs (poppler's pdftotext, Python's HTML parser, plain decoding). `--nocapture` prints the table.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use sidenote_text::{
    Chunk, ChunkOptions, Document, ExtractError, ExtractLimits, Format, SourceFile, TokenCounter, chunk_document,
    extract, sentences,
};

/// Words and single signs; enough to cut by.
struct Words;

impl TokenCounter for Words {
    fn count_tokens(&self, text: &str) -> usize {
        self.token_offsets(text).len()
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let mut offsets: Vec<(usize, usize)> = Vec::new();
        let mut in_word = false;
        for (at, c) in text.char_indices() {
            let end = at + c.len_utf8();
            match offsets.last_mut() {
                Some(last) if in_word && c.is_alphanumeric() => last.1 = end,
                _ if c.is_whitespace() => {}
                _ => offsets.push((at, end)),
            }
            in_word = c.is_alphanumeric();
        }
        offsets
    }
}

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("SIDENOTE_EVALDATA").map(|root| Path::new(&root).join("parser_corpus"))?;
    root.join("manifest.jsonl").is_file().then_some(root)
}

fn words(text: &str) -> Vec<String> {
    // Ligatures and accents may be one character here and two there.
    let folded =
        text.replace('\u{fb01}', "fi").replace('\u{fb02}', "fl").replace('\u{fb00}', "ff").replace('\u{ad}', "");
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Share of the runs of `length` words of `expected` that `found` has too, as often as it has them.
fn recall(expected: &[String], found: &[String], length: usize) -> Option<f64> {
    let mut have: HashMap<&[String], usize> = HashMap::new();
    found.windows(length).for_each(|run| *have.entry(run).or_default() += 1);
    let (mut hits, mut total) = (0u32, 0u32);
    for run in expected.windows(length) {
        total += 1;
        if let Some(left) = have.get_mut(run).filter(|left| **left > 0) {
            *left -= 1;
            hits += 1;
        }
    }
    (total > 0).then(|| f64::from(hits) / f64::from(total))
}

fn check_document(name: &str, document: &Document) -> Vec<Chunk> {
    let text = &document.text;
    for heading in &document.headings {
        assert!(heading.span.slice(text).is_some_and(|words| !words.trim().is_empty()), "{name}: heading {heading:?}");
    }
    assert!(
        document.headings.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start),
        "{name}: headings in order"
    );
    assert!(document.pages.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start), "{name}: pages in order");
    for table in &document.tables {
        assert!(table.span.contains(table.header) && table.span.slice(text).is_some(), "{name}: table {table:?}");
    }
    // Plain text is stored as it is; what is extracted is clean.
    if !matches!(document.format, Format::Markdown | Format::Text) {
        let control = text.chars().find(|c| c.is_control() && !c.is_whitespace());
        assert_eq!(control, None, "{name}: control character in the text");
    }
    let spans = sentences(text);
    assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start), "{name}: sentences in order");
    let chunks = chunk_document(document, &Words, &ChunkOptions::default());
    let mut end = 0;
    for chunk in &chunks {
        assert_eq!(chunk.span.slice(text), Some(chunk.text.as_str()), "{name}: span and text of a chunk");
        assert!(chunk.tokens <= 256, "{name}: {} tokens", chunk.tokens);
        assert!(text[end..chunk.span.start].trim().is_empty(), "{name}: text between chunks");
        assert_eq!(chunk.page.is_some(), !document.pages.is_empty(), "{name}: page of a chunk");
        end = chunk.span.end;
    }
    assert!(text[end..].trim().is_empty(), "{name}: text behind the last chunk");
    chunks
}

/// Strings that the manifest wants to see in the text, or not, word for word: what is Markdown in them is the form of the
/// program they were written for.
fn check_strings(name: &str, document: &Document, entry: &serde_json::Value) {
    /// Words that program adds; the author, who is not in the text here; the sender, whose name stands before the address.
    const ADDED: [&str; 6] = [
        "# Email Message",
        "## Content",
        "```python",
        "**Authors:** Test Author",
        "**From:** test.sender@example.com",
        "---",
    ];
    let strings = |key: &str| entry[key].as_array().into_iter().flatten().filter_map(|one| one.as_str());
    let found = words(&document.text);
    for wanted in strings("must_contain").filter(|wanted| !ADDED.contains(wanted)) {
        let wanted_words = words(wanted);
        let is_there = wanted_words.is_empty() || found.windows(wanted_words.len()).any(|run| run == wanted_words);
        assert!(is_there, "{name}: `{wanted}` is missing");
    }
    for unwanted in strings("must_not_contain") {
        assert!(!document.text.contains(unwanted), "{name}: `{unwanted}` is in the text");
    }
}

/// PDF files of which not all words can be found, and why.
const OUT_OF_REACH: [(&str, &str); 4] = [
    ("pypdf__habibi", "one glyph stands for a whole Arabic word and a letter; the reference has that word backwards"),
    (
        "unstructured__pdf-with-ocr-text",
        "the reference has spaced words letter by letter (`l e t t e r`), we have them whole",
    ),
    ("pdfplumber__federal-register", "the reference has header, footer and stamp 13 times, we have each once"),
    (
        "docling__right_to_left_01",
        "the library puts single letters of three lines elsewhere; a number of words end up in parts",
    ),
];

#[derive(Default)]
struct Group {
    words: Vec<f64>,
    runs: Vec<f64>,
    /// Of files that another program read too: our share of the words, and its.
    beside: Vec<(f64, f64)>,
}

/// Tables, cell by cell: what another program's tables hold stands in a cell of ours too.
#[derive(Default)]
struct Tables {
    shares: HashMap<String, Vec<f64>>,
}

impl Tables {
    fn take(&mut self, group: &str, expected: &str, document: &Document) -> Option<String> {
        // A row of one cell is a box and no table, and a formula in TeX stands in no file.
        let is_row = |line: &&str| {
            let is_ruler = line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
            line.starts_with('|') && line.matches('|').count() > 2 && !is_ruler
        };
        let cells = expected.lines().filter(is_row).flat_map(|line| line.split('|'));
        let wanted: Vec<String> = cells.filter(|cell| !cell.contains('$')).map(fold_cell).collect();
        let wanted: Vec<&String> = wanted.iter().filter(|cell| !cell.is_empty()).collect();
        if wanted.is_empty() || group == "other" {
            return None;
        }
        // The columns of a page stand three spaces apart; a file that is stored as it is has its own signs between cells.
        let cells = document.text.lines().flat_map(|line| line.split("   ")).flat_map(|part| part.split(['|', '\t']));
        let own_signs = document.text.lines().filter(|_| group == "text").flat_map(|line| line.split([',', ';']));
        let found: HashSet<String> = cells.chain(own_signs).map(fold_cell).collect();
        let missing: Vec<&&String> = wanted.iter().filter(|cell| !found.contains(**cell)).collect();
        let count = |cells: usize| f64::from(u32::try_from(cells).unwrap_or(u32::MAX));
        let share = 1.0 - count(missing.len()) / count(wanted.len());
        self.shares.entry(group.to_owned()).or_default().push(share);
        Some(format!("{group:5} cells {share:.3} of {}, not found {missing:?}", wanted.len()))
    }

    fn check(&self) {
        // What one program takes for the cells of a page is a matter of taste; it nests tables in cells too.
        let floors =
            [("docx", 0.99), ("xlsx", 0.99), ("pptx", 0.99), ("office97", 0.99), ("odf", 0.93), ("text", 0.95)];
        for (group, floor) in floors.into_iter().chain([("html", 0.88), ("pdf", 0.65)]) {
            let shares = self.shares.get(group).expect("a group with tables");
            let mean = shares.iter().sum::<f64>() / f64::from(u32::try_from(shares.len()).unwrap_or(u32::MAX));
            assert!(mean >= floor, "{group}: {mean:.3} of the cells, {floor} expected");
        }
    }
}

/// A cell's letters and digits; numbers by what they are worth, days without midnight, links without where they lead. What
/// stands for a picture is nothing.
fn fold_cell(cell: &str) -> String {
    let mut cell = cell.replace("<!-- image -->", "").replace("[x]", "").replace(" 00:00:00", "");
    while let Some((before, after)) = cell.split_once("](").map(|(before, link)| (before, link.split_once(')'))) {
        cell = format!("{before} {}", after.map_or("", |(_, rest)| rest));
    }
    let cell = cell.trim();
    cell.parse::<f64>().map_or_else(|_| words(cell).concat(), |number| number.to_string())
}

#[test]
fn real_files_give_their_words_or_a_clear_error() {
    let Some(root) = corpus() else {
        eprintln!("SKIPPED: SIDENOTE_EVALDATA does not name a folder with parser_corpus");
        return;
    };
    let manifest = fs_err::read_to_string(root.join("manifest.jsonl")).expect("manifest");
    let mut groups: HashMap<&str, Group> = HashMap::new();
    let mut tables = Tables::default();
    let mut seen = 0;
    for line in manifest.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("a manifest line");
        let field = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let group = match field("format").as_str() {
            "pdf" => "pdf",
            "html" => "html",
            "docx" => "docx",
            "pptx" => "pptx",
            "xlsx" | "xlsm" => "xlsx",
            "odt" | "ods" | "odp" => "odf",
            "doc" | "xls" | "ppt" => "office97",
            "rtf" => "rtf",
            "txt" | "md" | "csv" | "tsv" | "rst" | "asciidoc" | "vtt" => "text",
            "eml" => "eml",
            "mbox" | "msg" | "xml" | "ipynb" => "words",
            "epub" => "epub",
            _ => "other",
        };
        let file = field("file");
        let bytes = fs_err::read(root.join(&file)).expect("a corpus file");
        let result = extract(&SourceFile { name: &file, bytes: &bytes }, &ExtractLimits::default());
        let result = result.map(|extracted| extracted.into_first().expect("a document"));
        if let Ok(document) = &result {
            check_document(&file, document);
        }
        if let (Ok(document), false) = (&result, field("expected_md").is_empty()) {
            let expected = fs_err::read_to_string(root.join(field("expected_md"))).expect("an expected text");
            if let Some(line) = tables.take(group, &expected, document) {
                eprintln!("{line:.160}  {file}");
            }
        }
        if group == "other" {
            // Formats that are not read are refused, or they are text after all.
            continue;
        }
        seen += 1;
        match field("behaviour").as_str() {
            "parse" => {
                let document = result.as_ref().unwrap_or_else(|error| panic!("{file}: {error}"));
                if matches!(group, "eml" | "words" | "epub") {
                    check_strings(&file, document, &entry);
                }
                let reference = field("reference_text");
                // The first two are not the file's words: they were decoded with a NUL between the letters, or not at all.
                // That of the third holds what its text boxes say up to six times over, that of the fourth is three words.
                let odd = ["fake-text-utf-16-le", "fake-email-utf-16", "docling__textbox", "tika__testRTF.rtf"];
                if reference.is_empty() || odd.iter().any(|odd| reference.contains(odd)) {
                    eprintln!(
                        "{group:5} {:7} bytes  headings {:3}  {file}",
                        document.text.len(),
                        document.headings.len()
                    );
                    continue;
                }
                let mut reference = fs_err::read_to_string(root.join(reference)).expect("a reference");
                if group == "rtf" {
                    // unrtf shows what the file says of itself above its text.
                    let is_said = |line: &&str| {
                        ["TITLE:", "AUTHOR:", "KEYWORDS:", "CREATION"].iter().any(|key| line.starts_with(key))
                    };
                    reference = reference.lines().filter(|line| !is_said(line)).collect::<Vec<_>>().join("\n");
                }
                let (expected, found) = (words(&reference), words(&document.text));
                let (one, four) = (recall(&expected, &found, 1), recall(&expected, &found, 4));
                eprintln!(
                    "{group:5} words {:.3}  runs of four {:.3}  headings {:3}  tables {:2}  {file}",
                    one.unwrap_or(1.0),
                    four.unwrap_or(1.0),
                    document.headings.len(),
                    document.tables.len(),
                );
                if let Some((_, reason)) = OUT_OF_REACH.iter().find(|(name, _)| file.contains(name)) {
                    eprintln!("      {reason}");
                }
                let theirs = Some(field("expected_md")).filter(|theirs| !theirs.is_empty());
                let theirs = theirs.map(|theirs| fs_err::read_to_string(root.join(theirs)).expect("an expected text"));
                let theirs = theirs.and_then(|theirs| recall(&expected, &words(&theirs), 1));
                if let Some((ours, theirs)) = one.zip(theirs).filter(|(ours, theirs)| ours + 0.005 < *theirs) {
                    eprintln!("      the expected Markdown has {theirs:.3} of the words, {:.3} more", theirs - ours);
                }
                let group = groups.entry(group).or_default();
                group.words.extend(one);
                group.runs.extend(four);
                group.beside.extend(one.zip(theirs));
            }
            "empty" => assert_eq!(result, Err(ExtractError::Empty), "{file}"),
            "needs-password" => assert_eq!(result, Err(ExtractError::Encrypted), "{file}"),
            "no-text-layer" => assert!(matches!(result, Err(ExtractError::NoTextLayer { .. })), "{file}: {result:?}"),
            "parse-or-report" => eprintln!("{group:5} {file}: {:?}", result.map(|document| document.text.len())),
            other => panic!("{file}: unknown behaviour `{other}`"),
        }
    }
    assert!(seen > 60, "only {seen} files in the corpus");
    tables.check();
    let floors = [
        ("text", 0.999, 0.999),
        ("html", 0.95, 0.945),
        ("pdf", 0.955, 0.81),
        // office files
        ("docx", 0.97, 0.89),
        ("office97", 0.98, 0.90),
        ("rtf", 0.95, 0.92),
        ("odf", 0.98, 0.94),
        ("pptx", 0.99, 0.88),
        ("xlsx", 0.99, 0.0),
        // mail
        ("eml", 0.99, 0.91),
        ("epub", 0.94, 0.92),
    ];
    for (name, words_floor, runs_floor) in floors {
        let group = groups.get(name).expect("a group");
        let mean =
            |values: &[f64]| values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
        let (words, runs) = (mean(&group.words), mean(&group.runs));
        eprintln!("{name:5} words {words:.3}  runs of four {runs:.3}  over {} files", group.words.len());
        if !group.beside.is_empty() {
            let (ours, theirs): (Vec<f64>, Vec<f64>) = group.beside.iter().copied().unzip();
            let (ours, theirs) = (mean(&ours), mean(&theirs));
            eprintln!(
                "      of {} files with expected Markdown {ours:.3}, the Markdown itself {theirs:.3}",
                group.beside.len()
            );
            // A word in five hundred, on the one e-book that has expected Markdown.
            assert!(ours >= theirs - 0.002, "{name}: {ours:.3} of the words, another program has {theirs:.3}");
        }
        assert!(words >= words_floor, "{name}: {words:.3} of the words, {words_floor} expected");
        assert!(runs >= runs_floor, "{name}: {runs:.3} of the runs of four words, {runs_floor} expected");
    }
}
