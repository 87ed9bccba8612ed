//! What a caller can rely on, one small data folder each.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

mod common;

use std::collections::BTreeSet;

use common::*;
use sidenote_index::{
    DocumentId, Failure, Filter, Fingerprint, Held, Index, IndexError, IndexOptions, IndexWriter, NewChunk, Scored,
    VectorMode,
};
use sidenote_text::{Format, Page, Span};

#[test]
fn a_document_is_found_by_its_words_and_by_its_vector() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    put(&mut writer, "/a.md", "The travel expenses are approved by Dana Whitfield.\nParking is free.\n");
    put(&mut writer, "/b.md", "Invoices carry the code AB-1203/7.\n");
    writer.commit().unwrap();
    assert_eq!(
        lexical(&index, "who approves travelling expenses?"),
        ["The travel expenses are approved by Dana Whitfield."]
    );
    assert_eq!(lexical(&index, "ab-1203/7"), ["Invoices carry the code AB-1203/7."]);
    assert_eq!(dense(&index, "Parking is free.", 1), ["Parking is free."]);
    let status = index.status().unwrap();
    assert_eq!((status.documents, status.chunks, status.vectors), (2, 3, 3));
    assert!(status.bytes > 0);
    assert_eq!(status.embedding_model.as_deref(), Some(MODEL));
}

#[test]
fn unchanged_chunks_keep_their_ids_when_the_document_changes() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    put(&mut writer, "/a.md", "one\ntwo\nthree\ntwo\n");
    let id = index.documents(None).unwrap()[0].id;
    let before = index.chunks_of(id).unwrap();
    let report = put(&mut writer, "/a.md", "a new first line\none\ntwo\ntwo\nfour\n");
    assert_eq!((report.chunks_reused, report.chunks_added, report.chunks_removed), (3, 2, 1));
    let after = index.chunks_of(id).unwrap();
    let ids = |text: &str, chunks: &[sidenote_index::StoredChunk]| -> Vec<_> {
        chunks.iter().filter(|chunk| chunk.text == text).map(|chunk| chunk.id).collect()
    };
    assert_eq!(ids("one", &before), ids("one", &after));
    assert_eq!(ids("two", &before), ids("two", &after));
    assert_eq!(
        after.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(),
        ["a new first line", "one", "two", "two", "four"]
    );
    let report = put(&mut writer, "/a.md", "a new first line\none\ntwo\ntwo\nfour\n");
    assert_eq!((report.chunks_reused, report.chunks_added, report.chunks_removed), (5, 0, 0));
}

#[test]
fn a_removed_document_is_in_no_answer_even_before_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    put(&mut writer, "/a.md", "alpha beta\n");
    put(&mut writer, "/b.md", "alpha gamma\n");
    writer.commit().unwrap();
    let id = index.find_document("default", "/a.md".as_ref()).unwrap().unwrap().id;
    assert_eq!(writer.remove(&[id, DocumentId(999)]).unwrap(), 1);
    assert_eq!(lexical(&index, "alpha"), ["alpha gamma"]);
    assert_eq!(dense(&index, "alpha beta", 10), ["alpha gamma"]);
    assert!(index.document(id).unwrap().is_none());
    assert_eq!(index.text(id, Span::new(0, 1)).unwrap(), None);
}

#[test]
fn filters_hold_in_both_legs_before_ranking() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    for (collection, path) in
        [("work", "/w/a/1.md"), ("work", "/w/ab/2.md"), ("home", "/w/a/3.md"), ("home", "/h/4.md")]
    {
        let (document, chunks) = document(collection, path, &format!("alpha in {path}\n"));
        writer.put(&document, &chunks).unwrap();
    }
    writer.commit().unwrap();
    let found = |filter: Filter| {
        let lexical = index.search_lexical("alpha", 10, &filter).unwrap();
        let dense = index.search_dense(&vector_of("alpha"), MODEL, 10, &filter).unwrap();
        let mut paths: Vec<Vec<String>> = Vec::new();
        for hits in [lexical, dense] {
            let mut leg: Vec<String> = hits
                .iter()
                .map(|hit| index.document(hit.document).unwrap().unwrap().path.to_string_lossy().into_owned())
                .collect();
            leg.sort();
            paths.push(leg);
        }
        assert_eq!(paths[0], paths[1]);
        paths.remove(0)
    };
    let collection = |name: &str| Filter { collection: Some(name.to_owned()), ..Filter::default() };
    let below = |path: &str| Filter { path_prefix: Some(path.into()), ..Filter::default() };
    assert_eq!(found(Filter::default()).len(), 4);
    assert_eq!(found(collection("work")), ["/w/a/1.md", "/w/ab/2.md"]);
    assert_eq!(found(collection("nowhere")), [] as [&str; 0]);
    assert_eq!(found(below("/w/a")), ["/w/a/1.md", "/w/a/3.md"]);
    assert_eq!(found(below("/w/a/")), ["/w/a/1.md", "/w/a/3.md"]);
    assert_eq!(found(below("/w/a/3.md")), ["/w/a/3.md"]);
    assert_eq!(found(below("/")).len(), 4);
    let ids: Vec<DocumentId> = index.documents(Some("home")).unwrap().iter().map(|document| document.id).collect();
    assert_eq!(found(Filter { documents: Some(ids), ..below("/w") }), ["/w/a/3.md"]);
    assert_eq!(found(Filter { documents: Some(Vec::new()), ..Filter::default() }), [] as [&str; 0]);
}

/// Each chunk says one half of what is asked, and so does one of another document; but only one document says both.
#[test]
fn a_document_that_says_all_of_it_in_parts_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    put(&mut writer, "/a.md", "The heron is a bird.\nGrey clouds pass slowly.\n");
    put(&mut writer, "/b.md", "The heron is a bird.\nNests fill old towers.\n");
    put(&mut writer, "/c.md", "The heron is a bird.\nWhite clouds pass slowly.\n");
    writer.commit().unwrap();
    let first = |index: &Index| {
        let hits = index.search_lexical("heron towers", 10, &Filter::default()).unwrap();
        let of = |hit: &Scored| index.document(hit.document).unwrap().unwrap().path.to_string_lossy().into_owned();
        let herons: Vec<String> = hits.iter().map(of).collect();
        (hits.len(), herons)
    };
    let (count, order) = first(&index);
    assert_eq!((count, &order[..2]), (4, &["/b.md".to_owned(), "/b.md".to_owned()][..]), "{order:?}");
    // What is gone counts no more.
    put(&mut writer, "/b.md", "The heron is a bird.\nDark clouds pass slowly.\n");
    writer.commit().unwrap();
    assert_eq!(first(&index).1, ["/a.md", "/b.md", "/c.md"].map(str::to_owned));
}

/// Whatever a filter lets through is found by both legs, and by an HNSW index as by an exact scan, however little it is.
#[test]
fn a_filter_holds_exactly_at_any_selectivity() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions { vector: VectorMode::Hnsw, hnsw_min_vectors: 50, ..IndexOptions::default() };
    let index = Index::open(folder.path(), &options).unwrap();
    let mut writer = writer(&index);
    let formats = [Format::Markdown, Format::Pdf, Format::Email];
    for number in 0..300_i64 {
        let text = format!("alpha number{number} of all\n");
        let (mut document, chunks) = document("c", &format!("/d/{number}"), &text);
        document.language = (number % 10 != 0).then(|| if number % 100 == 1 { "th" } else { "en" }.to_owned());
        document.format = formats[usize::try_from(number % 3).unwrap()];
        // A mail has a date of its own.
        document.modified_unix_ms = (number % 7 != 0).then_some(number);
        document.created_unix_ms = (document.format == Format::Email).then_some(number + 10_000);
        writer.put(&document, &chunks).unwrap();
    }
    writer.commit().unwrap();
    writer.seal(&mut |_, _| true).unwrap();
    let numbers = |filter: &Filter| -> BTreeSet<i64> {
        let lexical = index.search_lexical("alpha", 1000, filter).unwrap();
        let dense = index.search_dense(&vector_of("alpha of all"), MODEL, 1000, filter).unwrap();
        let of = |hits: Vec<Scored>| -> BTreeSet<i64> {
            let path = |hit: &Scored| index.document(hit.document).unwrap().unwrap().path;
            hits.iter().map(|hit| path(hit).file_name().unwrap().to_str().unwrap().parse().unwrap()).collect()
        };
        let (lexical, dense) = (of(lexical), of(dense));
        assert_eq!(lexical, dense, "{filter:?}");
        lexical
    };
    let date = |number: i64| match number {
        mail if mail % 3 == 2 => Some(mail + 10_000),
        undated if undated % 7 == 0 => None,
        other => Some(other),
    };
    let check = |filter: Filter, lets_through: &dyn Fn(i64) -> bool| {
        let expected: BTreeSet<i64> = (0..300).filter(|number| lets_through(*number)).collect();
        assert_eq!(numbers(&filter), expected, "{filter:?}");
    };
    let of = |languages: &[&str], formats: &[Format], from: Option<i64>, before: Option<i64>| Filter {
        languages: languages.iter().map(|code| (*code).to_owned()).collect(),
        formats: formats.to_vec(),
        dated_from_unix_ms: from,
        dated_before_unix_ms: before,
        ..Filter::default()
    };
    check(of(&["th"], &[], None, None), &|number| number % 100 == 1);
    check(of(&["th", "en"], &[], None, None), &|number| number % 10 != 0);
    check(of(&["tlh"], &[], None, None), &|_| false);
    check(of(&[], &[Format::Pdf, Format::Email], None, None), &|number| number % 3 != 0);
    check(of(&[], &[], Some(250), Some(300)), &|number| date(number).is_some_and(|date| (250..300).contains(&date)));
    check(of(&["th"], &[Format::Pdf], Some(0), Some(200)), &|number| number == 1);
    check(of(&[], &[Format::Email], Some(10_290), None), &|number| number % 3 == 2 && number >= 290);
}

/// What a chunk has to hold and what it must not is a filter like any other: both legs keep to it.
#[test]
fn chunks_can_be_held_to_words_and_phrases() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    let texts = [
        "The alpha invoices are paid at once.",
        "One alpha invoice paid, for part AB-1203/7.",
        "Paid at once: alpha.",
        "At once the alpha is paid, for part AB-1203/8.",
    ];
    for (number, text) in texts.iter().enumerate() {
        let (mut document, chunks) = document("c", &format!("/{number}"), &format!("{text}\n"));
        document.title = (number == 3).then(|| "Invoices of caf\u{e9}s".to_owned());
        writer.put(&document, &chunks).unwrap();
    }
    writer.commit().unwrap();
    let word = |text: &str| Held::Word(text.to_owned());
    let phrase = |text: &str| Held::Phrase(text.to_owned());
    for (holds, lacks, expected) in [
        (vec![word("invoice")], vec![], vec![0, 1, 3]),
        (vec![phrase("invoice")], vec![], vec![1]),
        (vec![phrase("paid at once")], vec![], vec![0, 2]),
        (vec![phrase("PAID AT ONCE"), word("invoice")], vec![], vec![0]),
        (vec![word("AB-1203/7")], vec![], vec![1]),
        (vec![phrase("part ab 1203")], vec![], vec![1, 3]),
        (vec![phrase("1203/8")], vec![], vec![3]),
        (vec![phrase("cafes")], vec![], vec![3]),
        (vec![], vec![word("invoices")], vec![2]),
        (vec![word("alpha")], vec![phrase("at once"), word("AB-1203/7")], vec![]),
        (vec![phrase("cafes at once")], vec![], vec![]),
        (vec![phrase("?!")], vec![], vec![]),
        (vec![], vec![phrase("?!")], vec![0, 1, 2, 3]),
        (vec![word("the")], vec![], vec![0, 3]),
    ] {
        let filter = Filter { holds, lacks, ..Filter::default() };
        let of = |hits: Vec<Scored>| -> Vec<i64> {
            let path = |hit: &Scored| index.document(hit.document).unwrap().unwrap().path;
            let mut found: Vec<i64> =
                hits.iter().map(|hit| path(hit).file_name().unwrap().to_str().unwrap().parse().unwrap()).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(of(index.search_lexical("alpha", 10, &filter).unwrap()), expected, "{filter:?}");
        assert_eq!(of(index.search_dense(&vector_of("alpha"), MODEL, 10, &filter).unwrap()), expected, "{filter:?}");
    }
}

/// Each document is read in its own language, and a question in every language of the index.
#[test]
fn words_are_met_in_their_other_forms_in_every_language() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    let put = |writer: &mut IndexWriter, path: &str, language: Option<&str>, text: &str| {
        let (mut document, chunks) = document("c", path, text);
        document.language = language.map(str::to_owned);
        writer.put(&document, &chunks).unwrap();
    };
    put(&mut writer, "/de", Some("de"), "Die K\u{fc}ndigungsfristen der Vertr\u{e4}ge stehen im Anhang.\n");
    put(&mut writer, "/fr", Some("fr"), "Les employ\u{e9}s licenci\u{e9}s re\u{e7}oivent une indemnit\u{e9}.\n");
    put(&mut writer, "/none", None, "The batteries die in cold weather.\n");
    writer.commit().unwrap();
    let found = |query: &str| -> Vec<String> {
        let hits = index.search_lexical(query, 10, &Filter::default()).unwrap();
        let path = |hit: &Scored| index.document(hit.document).unwrap().unwrap().path.to_string_lossy().into_owned();
        hits.iter().map(path).collect()
    };
    assert_eq!(index.languages().unwrap(), ["de", "fr"]);
    let knowing = |held: &Held| -> Vec<String> {
        let found = index.documents_holding(held).unwrap();
        found.iter().map(|id| index.document(*id).unwrap().unwrap().path.to_string_lossy().into_owned()).collect()
    };
    assert_eq!(knowing(&Held::Word("Vertrag".into())), ["/de"]);
    assert_eq!(knowing(&Held::Phrase("cold weather".into())), ["/none"]);
    assert_eq!(knowing(&Held::Word("Lisbon".into())), [] as [&str; 0]);
    assert_eq!(found("Vertrag"), ["/de"]);
    assert_eq!(found("K\u{fc}ndigungsfrist"), ["/de"]);
    assert_eq!(found("employ\u{e9} licenci\u{e9}"), ["/fr"]);
    assert_eq!(found("battery"), ["/none"]);
    // In a German question the article is no word to look for, in an English one the verb is.
    assert_eq!(found("Wo ist die Frist f\u{fc}r die Batterien"), [] as [&str; 0]);
    assert_eq!(found("Does the heron die of it")[0], "/none");
    // Read anew when it turns out to be in another language.
    put(&mut writer, "/de", Some("en"), "Die K\u{fc}ndigungsfristen der Vertr\u{e4}ge stehen im Anhang.\n");
    put(&mut writer, "/none", Some("en"), "The batteries die in cold weather.\n");
    writer.commit().unwrap();
    assert_eq!(index.languages().unwrap(), ["en", "fr"], "that of most documents first");
    assert_eq!(found("K\u{fc}ndigungsfrist"), [] as [&str; 0]);
}

#[test]
fn a_filter_by_date_sees_a_file_that_was_touched() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    let (mut document, chunks) = document("c", "/a", "alpha\n");
    document.modified_unix_ms = Some(1);
    let (id, _) = writer.put(&document, &chunks).unwrap();
    writer.commit().unwrap();
    let late = Filter { dated_from_unix_ms: Some(5), ..Filter::default() };
    let found = || index.search_lexical("alpha", 10, &late).unwrap().len();
    assert_eq!(found(), 0);
    writer.touch(&[id], &document.fingerprint, Some(9)).unwrap();
    assert_eq!(found(), 1);
}

#[test]
fn a_word_that_no_document_has_meets_those_one_letter_off() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    put(&mut writer, "/a.md", "The director approves expenses.\n");
    put(&mut writer, "/b.md", "Nests of herons, part AB-1203/7.\n");
    writer.commit().unwrap();
    let found = |query: &str| index.search_lexical(query, 10, &Filter::default()).unwrap().len();
    assert_eq!((found("direktor"), found("herosn"), found("expanses")), (1, 1, 1));
    assert_eq!(
        (found("nets"), found("AB-1204/7"), found("1204")),
        (0, 1, 0),
        "short words and numbers are what they are"
    );
}

#[test]
fn everything_stored_comes_back_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    #[cfg(unix)]
    let path = {
        use std::os::unix::ffi::OsStringExt as _;
        std::path::PathBuf::from(std::ffi::OsString::from_vec(b"/tmp/\xff \xc3\xa9.pdf".to_vec()))
    };
    #[cfg(not(unix))]
    let path = std::path::PathBuf::from("/tmp/e.pdf");
    // Longer than several pieces, with characters across their borders.
    let text = "h\u{e9}llo w\u{f6}rld \u{1F600}\n".repeat(4000);
    let (mut document, mut chunks) = document("c", "/x", &text);
    document.path.clone_from(&path);
    document.part = Some("inner".to_owned());
    document.pages =
        vec![Page { number: 1, span: Span::new(0, 20) }, Page { number: 2, span: Span::new(20, text.len()) }];
    document.warnings = vec!["page 2 has no text".to_owned()];
    chunks[7].chunk.heading = vec!["\"A\"".to_owned(), "B".to_owned()];
    chunks[7].chunk.page = Some(2);
    chunks[7].chunk.table_header = Some(Span::new(0, 5));
    let (id, _) = writer.put(&document, &chunks).unwrap();
    let stored = index.document(id).unwrap().unwrap();
    assert_eq!((stored.path, stored.part.as_deref(), stored.page_count), (path, Some("inner"), Some(2)));
    assert_eq!(stored.fingerprint, document.fingerprint);
    assert_eq!(stored.warnings, document.warnings);
    assert_eq!(stored.text_bytes, text.len() as u64);
    #[cfg(unix)]
    assert_eq!(stored.uri, "file:///tmp/%FF%20%C3%A9.pdf");
    assert_eq!(index.pages(id).unwrap(), document.pages);
    let all = index.chunks_of(id).unwrap();
    assert_eq!(all.len(), 4000);
    for (stored, new) in all.iter().zip(&chunks) {
        assert_eq!((&stored.text, stored.span, &stored.heading), (&new.chunk.text, new.chunk.span, &new.chunk.heading));
        assert_eq!((stored.page, stored.table_header), (new.chunk.page, new.chunk.table_header));
    }
    let ids: Vec<_> = all.iter().rev().map(|chunk| chunk.id).collect();
    let again = index.chunks(&ids).unwrap();
    assert!(again.iter().rev().eq(all.iter()));
    assert_eq!(index.text(id, Span::new(0, text.len())).unwrap().as_deref(), Some(text.as_str()));
    assert_eq!(index.text(id, Span::new(0, 2)).unwrap(), None, "cuts a character");
    assert_eq!(index.text(id, Span::new(0, text.len() + 1)).unwrap(), None);
    assert_eq!(index.text(id, Span { start: 5, end: 3 }).unwrap(), None);
    let vectors = index.vectors(&ids[..2], MODEL).unwrap();
    assert_eq!((vectors[0].0, vectors[1].0), (ids[0], ids[1]));
    for (number, expected) in vectors[0].1.iter().zip(vector_of(&chunks[3999].chunk.text)) {
        assert!((number - expected).abs() < 1e-6);
    }
}

#[test]
fn what_does_not_fit_together_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = index.writer().unwrap();
    let (document, chunks) = document("default", "/a.md", "one two\n");
    assert!(matches!(writer.put(&document, &chunks), Err(IndexError::NoModel)));
    writer.set_embedding_model(&model()).unwrap();
    let with_vector = |vector: Option<Vec<f32>>| vec![NewChunk { vector, ..chunks[0].clone() }];
    for bad in
        [vec![0.0; DIMENSIONS], vec![f32::NAN; DIMENSIONS], vec![f32::INFINITY; DIMENSIONS], vec![1.0; 3], Vec::new()]
    {
        let refused = writer.put(&document, &with_vector(Some(bad)));
        assert!(matches!(refused, Err(IndexError::BadVector { .. })), "{refused:?}");
    }
    assert!(matches!(writer.put(&document, &with_vector(None)), Err(IndexError::MissingVector { ordinal: 0, .. })));
    let mut shifted = chunks.clone();
    shifted[0].chunk.span = Span::new(1, 8);
    assert!(matches!(writer.put(&document, &shifted), Err(IndexError::BadDocument { .. })));
    shifted[0].chunk.span = Span { start: 8, end: 1 };
    assert!(matches!(writer.put(&document, &shifted), Err(IndexError::BadDocument { .. })));
    assert_eq!(index.status().unwrap().documents, 0);
    assert_eq!(index.status().unwrap().generation, 0);
    writer.put(&document, &chunks).unwrap();
    writer.put(&document, &with_vector(None)).unwrap();
}

#[test]
fn vectors_of_another_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    let mut other = model();
    other.sha256_hex = "cd".repeat(32);
    writer.set_embedding_model(&other).unwrap();
    writer.set_embedding_model(&model()).unwrap();
    put(&mut writer, "/a.md", "one\n");
    let refused = writer.set_embedding_model(&other).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the index was made with the embedding model `test-model (abababababab)`, not with `test-model (cdcdcdcdcdcd)`"
    );
    let asked = index.search_dense(&vector_of("one"), "other", 1, &Filter::default());
    assert!(matches!(asked, Err(IndexError::ModelMismatch { .. })));
    let short = index.search_dense(&[1.0], MODEL, 1, &Filter::default());
    assert!(matches!(short, Err(IndexError::BadVector { .. })));
}

#[test]
fn hostile_queries_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    assert_eq!(lexical(&index, "anything"), [] as [&str; 0]);
    let mut writer = writer(&index);
    put(&mut writer, "/a.md", "To be or not to be, that is the question.\nSmall print.\n");
    writer.commit().unwrap();
    for empty in ["", "   ", "\u{0}", "?!\"((", "\u{301}", "AND OR NOT \u{202e}"] {
        let _ = lexical(&index, empty);
    }
    assert_eq!(lexical(&index, "+part:\"unclosed (print"), ["Small print."]);
    assert_eq!(lexical(&index, "to be or not to be").len(), 1, "stop words alone are looked up as they are written");
    let long: String = (0..20_000).map(|number| format!("w{number} ")).collect::<String>();
    assert_eq!(lexical(&index, &format!("print {long}")), ["Small print."]);
    assert_eq!(lexical(&index, &"\u{1F600}".repeat(30_000)), [] as [&str; 0]);
    assert_eq!(index.search_lexical("print", 0, &Filter::default()).unwrap(), []);
    assert_eq!(index.search_lexical("print", usize::MAX, &Filter::default()).unwrap().len(), 1);
    assert_eq!(index.search_dense(&vector_of("x"), MODEL, usize::MAX, &Filter::default()).unwrap().len(), 2);
}

#[test]
fn equal_scores_are_ordered_by_chunk_id() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    for number in 0..200 {
        let (mut document, chunks) = document("default", &format!("/{number}.md"), "the very same words\n");
        document.title = None;
        writer.put(&document, &chunks).unwrap();
        if number % 50 == 0 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    let lexical = index.search_lexical("same words", 10, &Filter::default()).unwrap();
    let dense = index.search_dense(&vector_of("same"), MODEL, 10, &Filter::default()).unwrap();
    for hits in [lexical, dense] {
        let ids: Vec<i64> = hits.iter().map(|hit| hit.chunk.0).collect();
        assert_eq!(ids, (1..=10).collect::<Vec<_>>());
    }
    assert_eq!(index.status().unwrap().vectors, 1, "one vector for equal text");
}

#[test]
fn a_search_on_an_empty_machine_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing/here");
    assert!(Index::open_existing(&missing, &IndexOptions::default()).unwrap().is_none());
    assert!(!missing.exists());
    drop(open(&missing));
    assert!(Index::open_existing(&missing, &IndexOptions::default()).unwrap().is_some());
}

#[test]
fn a_second_writer_is_told_who_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let first = writer(&index);
    let second = open(folder.path()).writer();
    assert!(
        matches!(second, Err(IndexError::Locked { pid: Some(pid), .. }) if pid == std::process::id()),
        "{second:?}"
    );
    drop(first);
    index.writer().unwrap();
}

#[test]
fn failures_and_roots_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    writer.record_root("c", "/docs".as_ref()).unwrap();
    writer.record_root("c", "/docs".as_ref()).unwrap();
    let failure = |path: &str, print: Option<Fingerprint>, reason: &str| Failure {
        collection: "c".to_owned(),
        path: path.into(),
        reason: reason.to_owned(),
        fingerprint: print,
        tried_with: "1".to_owned(),
    };
    writer.record_failure(&failure("/docs/a.pdf", Some(fingerprint("x")), "the file is encrypted")).unwrap();
    writer.record_failure(&failure("/docs/b.pdf", None, "not there")).unwrap();
    writer.record_failure(&failure("/docs/b.pdf", None, "still not there")).unwrap();
    let failures = index.failures(None).unwrap();
    assert_eq!(failures.len(), 2);
    assert_eq!(failures[0].fingerprint, Some(fingerprint("x")));
    assert_eq!(failures[1].reason, "still not there");
    assert_eq!(index.failures(Some("other")).unwrap(), []);
    writer.clear_failure("c", "/docs/b.pdf".as_ref()).unwrap();
    let (document, chunks) = document("c", "/docs/a.pdf", "readable now\n");
    writer.put(&document, &chunks).unwrap();
    assert_eq!(index.failures(None).unwrap(), []);
    assert_eq!(writer.roots(Some("c")).unwrap(), index.roots(None).unwrap());
    writer.forget_root("c", "/docs".as_ref()).unwrap();
    assert!(index.roots(None).unwrap().is_empty());
    // All of a path at once, and nothing of its neighbours.
    for root in ["/docs", "/docs/deep", "/docs2"] {
        writer.record_root("c", root.as_ref()).unwrap();
        writer.record_failure(&failure(&format!("{root}/b.pdf"), None, "not there")).unwrap();
    }
    let forgotten = writer.forget("c", &["/docs/".into()]).unwrap();
    assert_eq!((forgotten.documents, forgotten.failures, forgotten.roots), (1, 2, 2));
    assert_eq!(index.roots(None).unwrap(), [std::path::PathBuf::from("/docs2")]);
    assert_eq!(index.failures(None).unwrap().len(), 1);
    assert_eq!(index.documents(None).unwrap().len(), 0);
    writer.put(&document, &chunks).unwrap();
    let id = index.documents(None).unwrap()[0].id;
    let touched = sidenote_index::Fingerprint { mtime_ns: 5_000_000, inode: 9, ..fingerprint("readable now\n") };
    writer.touch(&[id], &touched, Some(1_700_000_000_000)).unwrap();
    assert_eq!(index.document(id).unwrap().unwrap().fingerprint, touched);
}

#[test]
fn known_vectors_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    assert!(index.known_vectors(MODEL, &[hash_of("one")]).unwrap().is_empty());
    let mut writer = writer(&index);
    put(&mut writer, "/a.md", "one\ntwo\n");
    let known = index.known_vectors(MODEL, &[hash_of("one"), hash_of("three"), hash_of("two")]).unwrap();
    assert_eq!(known, [hash_of("one"), hash_of("two")].into());
}

#[test]
fn calls_work_inside_another_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let index = open(folder.path());
        let mut writer = writer(&index);
        put(&mut writer, "/a.md", "one\n");
        writer.commit().unwrap();
        assert_eq!(lexical(&index, "one"), ["one"]);
        drop(writer);
        drop(index);
    });
}
