//! Search.

use std::{io::Write as _, path::Path};

use super::sandbox::{Sandbox, models_folder, repository};

#[test]
fn every_mode_finds_and_hits_stand_at_their_span() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    for mode in ["hybrid", "lexical", "dense"] {
        let (code, report) = sandbox.json(["search", "who approves travel expenses", "--mode", mode, "-k", "2"]);
        assert_eq!(code, 0);
        let hits = report["hits"].as_array().unwrap();
        assert!(!hits.is_empty() && hits.len() <= 2, "{mode}: {report}");
        for hit in hits {
            let stored = fs_err::read_to_string(hit["document"]["path"].as_str().unwrap()).unwrap();
            let at = |end: &str| usize::try_from(hit["span"][end].as_u64().unwrap()).unwrap();
            assert_eq!(&stored[at("start")..at("end")], hit["text"].as_str().unwrap(), "{mode}");
            assert!(mode != "dense" || hit["lexical_rank"].is_null(), "{hit}");
            assert!(mode != "lexical" || hit["dense_rank"].is_null(), "{hit}");
        }
        let best = &hits[0];
        assert!(best["document"]["path"].as_str().unwrap().ends_with("/docs/travel.md"), "{mode}: {report}");
        assert_eq!(best["rank"], 1);
        assert_eq!(best["heading"][0], "Travel", "{mode}");
    }
}

#[test]
fn a_search_prints_rank_place_and_snippet_and_scores_on_demand() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let run = sandbox.run(["search", "hotel", "night", "--mode", "lexical"]);
    assert_eq!(run.code, 0, "{run:?}");
    insta::assert_snapshot!("search", sandbox.shown(&run));
    let run = sandbox.run(["search", "hotel night", "--mode", "lexical", "-v"]);
    assert!(run.stdout.contains("words 1"), "{run:?}");
}

#[test]
fn the_same_search_gives_the_same_hits() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let hits = || sandbox.json(["search", "evening"]).1["hits"].clone();
    assert_eq!(hits(), hits());
}

#[test]
fn a_search_can_be_held_to_a_folder() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write("a/one.md", "The heron stands in the reeds.\n");
    sandbox.write("b/two.md", "The heron flies.\n");
    sandbox.ingest();
    let (_, report) = sandbox.json(["search", "heron", "--under", "docs/a", "--mode", "lexical"]);
    let paths: Vec<&str> = report["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["document"]["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(paths, ["one.md"]);
}

#[test]
fn signs_in_a_query_hold_every_mode_to_them() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write("one.md", "The heron stands in the grey reeds.\n");
    sandbox.write("two.md", "The grey heron flies over reeds.\n");
    sandbox.ingest();
    let names = |query: &str, mode: &str| {
        let (_, report) = sandbox.json(["search", query, "--mode", mode]);
        let hits = report["hits"].as_array().unwrap().clone();
        let name =
            |hit: &serde_json::Value| hit["document"]["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let mut names: Vec<String> = hits.iter().map(name).collect();
        names.sort();
        names
    };
    for mode in ["hybrid", "lexical", "dense"] {
        assert_eq!(names("heron reeds", mode), ["one.md", "two.md"], "{mode}");
        assert_eq!(names("\"grey heron\"", mode), ["two.md"], "{mode}");
        assert_eq!(names("heron -flying", mode), ["one.md"], "{mode}");
        assert_eq!(names("heron +stand", mode), ["one.md"], "{mode}");
        assert_eq!(names("reeds -\"grey heron\"", mode), ["one.md"], "{mode}");
    }
    let run = sandbox.run(["search", "\"reeds grey\""]);
    assert_eq!((run.code, run.stdout.as_str()), (1, "Nothing found.\n"));
    assert!(run.stderr.contains("hint: no passage holds"), "{run:?}");
    let (code, report) = sandbox.json(["search", "the \"grey heron"]);
    assert_eq!((code, report["hits"].as_array().unwrap().len()), (0, 2));
    assert!(report["hint"].as_str().unwrap().contains("not closed"), "{report}");
}

#[test]
fn in_a_language_that_the_embedding_model_does_not_know_words_decide() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write("lease.md", "Το ενοίκιο της αποθήκης πληρώνεται κάθε μήνα.\n");
    sandbox.write("lunch.md", "Το μεσημεριανό σερβίρεται από τις δώδεκα.\n");
    sandbox.write("thai.md", "ค่าเช่าโกดังจ่ายทุกเดือน และอาหารกลางวันเริ่มตอนเที่ยง\n");
    sandbox.write("leave.md", "छुट्टी के लिए प्रबंधक से पूछना होता है।\n");
    sandbox.write("code.md", "The seal AB-1203/7 fits the pump.\n");
    sandbox.ingest();
    for (query, name, is_read_closely) in [
        ("πότε πληρώνεται το ενοίκιο", "lease.md", false),
        ("อาหารกลางวันเริ่มเมื่อไร", "thai.md", false),
        ("छुट्टी के लिए किससे पूछना होता है?", "leave.md", false),
        ("AB-1203/7", "code.md", false),
        ("which seal fits the pump", "code.md", true),
    ] {
        let (_, report) = sandbox.json(["search", query]);
        let best = &report["hits"][0];
        assert!(best["document"]["path"].as_str().unwrap().ends_with(name), "{query}: {report}");
        assert_eq!(!best["rerank_score"].is_null(), is_read_closely, "{query}: {best}");
    }
}

/// A workbook of one sheet, with what each row holds by its number.
fn workbook(name: &str, rows: &[(u32, [&str; 2])]) -> Vec<u8> {
    let cell = |column: char, number: u32, text: &str| {
        format!("<c r='{column}{number}' t='inlineStr'><is><t>{text}</t></is></c>")
    };
    let rows: String = rows
        .iter()
        .map(|(at, [first, second])| format!("<row r='{at}'>{}{}</row>", cell('A', *at, first), cell('B', *at, second)))
        .collect();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (member, text) in [
        ("xl/workbook.xml", format!("<workbook><sheets><sheet name='{name}' r:id='s'/></sheets></workbook>")),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships><Relationship Id='s' Type='x/worksheet' Target='s.xml'/></Relationships>".to_owned(),
        ),
        ("xl/s.xml", format!("<worksheet><sheetData>{rows}</sheetData></worksheet>")),
    ] {
        archive.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn what_stands_in_a_sheet_is_found_with_its_rows() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    let rows = [
        (3, ["Part", "Supplier"]),
        (4, ["Impeller", "Harbour Works"]),
        (9, ["Gasket", "Lindenau Rubber"]),
        (10, ["Coupling", "Orchard Metals"]),
    ];
    sandbox.write("parts.xlsx", workbook("Parts", &rows));
    sandbox.ingest();
    let (_, report) = sandbox.json(["search", "gasket supplier", "--mode", "lexical"]);
    assert_eq!(report["hits"][0]["part"], "sheet Parts, rows 3 to 10", "{report}");
    let shown = sandbox.run(["search", "gasket supplier", "--mode", "lexical"]);
    assert!(shown.stdout.contains("parts.xlsx, sheet Parts, row"), "{shown:?}");
    // The small model trusts no answer; here what has a note is shown.
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    let (code, answer) = sandbox.json(["ask", "Gasket, Lindenau Rubber?"]);
    assert_eq!(code, 0, "{answer}");
    for citation in answer["citations"].as_array().unwrap() {
        let quote = citation["quote"].as_str().unwrap();
        let quoted: Vec<u32> =
            rows.iter().filter(|(_, cells)| quote.contains(&cells.join(" | "))).map(|(at, _)| *at).collect();
        let named = match quoted.as_slice() {
            [row] => format!("sheet Parts, row {row}"),
            [first, .., last] => format!("sheet Parts, rows {first} to {last}"),
            [] => panic!("no row is quoted: {answer}"),
        };
        assert_eq!(citation["part"], named, "{answer}");
    }
    // A row that moves takes its note along, though nothing of its text has changed.
    let moved = rows.map(|(at, cells)| (at + 5, cells));
    sandbox.write("parts.xlsx", workbook("Parts", &moved));
    let (code, report) = sandbox.json(["ingest", "docs"]);
    assert_eq!((code, &report["updated"], &report["embedded"]), (0, &1.into(), &0.into()), "{report}");
    let (_, report) = sandbox.json(["search", "gasket supplier", "--mode", "lexical"]);
    assert_eq!(report["hits"][0]["part"], "sheet Parts, rows 8 to 15", "{report}");
}

#[test]
fn nothing_found_is_exit_code_1() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let run = sandbox.run(["search", "xylophone", "--mode", "lexical"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, "Nothing found.\n"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let mut child = sandbox
        .command(["search", "hotel", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_search_is_narrowed_by_language_format_and_date() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    let english = "The heron nests in the old tower of the mill, and nobody is allowed to climb it before the summer.";
    let german = "Der Reiher (heron) nistet im alten Turm der Muehle, und niemand darf vor dem Sommer hinaufsteigen.";
    sandbox.write("heron.md", format!("# Heron\n\n{english}\n"));
    sandbox.write("reiher.txt", german);
    let mail = format!("From: a@example.org\nSubject: heron\nDate: Thu, 27 Mar 2025 10:00:00 +0000\n\n{english}\n");
    sandbox.write("heron.eml", mail);
    sandbox.ingest();
    let names = |flags: &[&str]| -> Vec<String> {
        let (_, report) = sandbox.json(["search", "heron"].iter().chain(flags));
        let hits = report["hits"].as_array().unwrap();
        let name =
            |hit: &serde_json::Value| hit["document"]["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let mut names: Vec<String> = hits.iter().map(name).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names(&[]), ["heron.eml", "heron.md", "reiher.txt"]);
    assert_eq!(names(&["--lang", "de"]), ["reiher.txt"]);
    assert_eq!(names(&["--lang", "DE", "--lang", "en"]), ["heron.eml", "heron.md", "reiher.txt"]);
    assert_eq!(names(&["--type", "markdown", "--type", "email"]), ["heron.eml", "heron.md"]);
    assert_eq!(names(&["--since", "2025-03-27", "--before", "2025-03-28"]), ["heron.eml"]);
    assert_eq!(names(&["--before", "2025-03-27"]), [] as [&str; 0]);
    for flags in [["--lang", "german"], ["--type", "paper"], ["--since", "2025-02-30"], ["--since", "soon"]] {
        let run = sandbox.run(["search", "heron"].iter().chain(&flags));
        assert_eq!(run.code, 2, "{run:?}");
    }
    assert!(sandbox.run(["search", "heron", "--type", "paper"]).stderr.contains("markdown, text, html, pdf"));
}

/// A cross-encoder that can be reckoned by hand: `tests/fixtures/make_word_overlap.py`.
fn write_cross_encoder(folder: &Path) {
    let fixtures = repository().join("tests/fixtures");
    fs_err::create_dir_all(folder).unwrap();
    fs_err::copy(fixtures.join("word_overlap.onnx"), folder.join("model.onnx")).unwrap();
    let tokenizer = models_folder().join("all-minilm-l6-v2-int8/tokenizer.json");
    fs_err::copy(tokenizer, folder.join("tokenizer.json")).unwrap();
}

#[test]
fn a_cross_encoder_orders_the_best_hits_where_one_is_configured() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write("car.md", "To come in by car you have to type 4711 into the box beside the road.\n");
    sandbox.write("gate.md", "The gate is green.\n");
    sandbox.write("code.md", "What is the code? What is the barrier? The gate is.\n");
    sandbox.ingest();
    let folder = sandbox.path().join("overlap");
    write_cross_encoder(&folder);
    sandbox.set("SIDENOTE_MODELS_RERANKER", &folder);
    let (code, report) = sandbox.json(["search", "what is the code of the barrier at the gate"]);
    assert_eq!(code, 0, "{report}");
    let found: Vec<(&str, f64)> = report["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| (hit["document"]["title"].as_str().unwrap_or("-"), hit["rerank_score"].as_f64().unwrap()))
        .collect();
    // Tokens of the question that the passage holds, and the separator: what, is, the, code, the, barrier, the, gate; the, is, the,
    // the, gate; the, the, the.
    assert_eq!(found.iter().map(|(_, score)| *score).collect::<Vec<_>>(), [9.0, 6.0, 4.0], "{report}");
    assert!(report["hits"][0]["document"]["path"].as_str().unwrap().ends_with("/code.md"), "{report}");
    assert!(report["timings_ms"]["rerank"].as_f64().unwrap() > 0.0);
    let (_, answer) = sandbox.json(["ask", "what is the code of the barrier at the gate?"]);
    assert!(answer["passages"][0]["document"]["path"].as_str().unwrap().ends_with("/code.md"), "{answer}");

    // One that scores no pairs, one that is none, one that is not there.
    fs_err::copy(models_folder().join("all-minilm-l6-v2-int8/model.onnx"), folder.join("model.onnx")).unwrap();
    let refused = |word: &str| {
        let (code, report) = sandbox.json(["search", "code"]);
        let message = report["error"]["message"].as_str().unwrap();
        assert!(code == 2 && message.contains("overlap/model.onnx") && message.contains(word), "{report}");
        assert_eq!(sandbox.json(["search", "code", "--mode", "lexical"]).0, 0, "which needs no model");
    };
    refused("logits");
    fs_err::write(folder.join("model.onnx"), "no model").unwrap();
    refused("cannot be loaded");
    fs_err::remove_file(folder.join("model.onnx")).unwrap();
    refused("is missing");
}
