//! `sidenote eval`: small sets with known answers, and sets made from one's own documents.

use std::{io::Write, path::Path, process::Stdio};

use serde_json::{Value, json};

use super::sandbox::{Sandbox, check_schema};

/// Four documents; three questions, each answered by one of them.
fn write_set(folder: &Path) {
    let documents = [
        ("travel", "Travel", "Travel expenses are approved by Ruth Adler, the head of finance."),
        ("kitchen", "", "The dishwasher runs every evening at half past six."),
        ("parking", "", "Spaces 12 to 20 of the garage belong to visitors. The barrier code is AB-1203/7."),
        ("birds", "", "A pair of herons has nested in the old tower since spring."),
    ];
    let queries = [
        ("1", "Who approves travel expenses?", "travel"),
        ("2", "barrier code AB-1203/7", "parking"),
        ("3", "Where do the herons nest?", "birds"),
        ("4", "A question that nobody judged", ""),
    ];
    fs_err::create_dir_all(folder).unwrap();
    let lines = |lines: Vec<Value>| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let corpus = documents.map(|(id, title, text)| json!({"_id": id, "title": title, "text": text}));
    fs_err::write(folder.join("corpus.jsonl"), lines(corpus.to_vec())).unwrap();
    let asked = queries.map(|(id, text, _)| json!({"_id": id, "text": text, "metadata": {"lang": "en", "number": id}}));
    fs_err::write(folder.join("queries.jsonl"), lines(asked.to_vec())).unwrap();
    let judged: String =
        queries[..3].iter().map(|(id, _, document)| format!("{id}\t{document}\t1\n{id}\tkitchen\t0\n")).collect();
    fs_err::write(folder.join("qrels.tsv"), format!("query-id\tcorpus-id\tscore\n{judged}")).unwrap();
}

fn sandbox_with_set() -> Option<Sandbox> {
    let sandbox = Sandbox::with_models()?;
    write_set(&sandbox.path().join("set"));
    Some(sandbox)
}

fn read(path: &Path) -> String {
    fs_err::read_to_string(path).unwrap()
}

#[test]
fn retrieval_is_measured_and_the_index_is_made_once() {
    let Some(sandbox) = sandbox_with_set() else { return };
    let (code, report) = sandbox.json(["eval", "retrieval", "set", "--per-query"]);
    check_schema("eval", &report);
    assert_eq!((code, &report["documents"], &report["queries"]), (0, &json!(4), &json!(3)), "{report}");
    for way in ["lexical", "dense", "fused", "default"] {
        let scores = &report[way];
        let means = ["ndcg@10", "recall@5", "recall@10", "recall@100", "mrr@10", "success@1"].map(|name| &scores[name]);
        assert!(means.iter().all(|mean| mean.as_f64() == Some(1.0)), "{way}: {scores}");
    }
    let ids: Vec<&Value> = report["per_query"].as_array().unwrap().iter().map(|query| &query["id"]).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    // What is searched for is not one's own documents, and none of them is touched.
    assert!(!sandbox.data().exists());
    let index = fs_err::read_dir(sandbox.path().join(".cache/sidenote/eval")).unwrap().next().unwrap().unwrap();
    assert!(index.file_name().to_string_lossy().starts_with("set-"));
    let table = sandbox.run(["eval", "retrieval", "set"]);
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.stdout.starts_with("set: 4 documents, 3 questions\n") && table.stdout.contains("success@1"));
    assert!(!table.stderr.contains("documents"), "nothing is embedded again: {table:?}");
}

#[test]
fn queries_are_chosen_and_measurements_compared() {
    let Some(sandbox) = sandbox_with_set() else { return };
    assert_eq!(sandbox.json(["eval", "retrieval", "set", "--only", "number=2"]).1["queries"], 1);
    assert_eq!(sandbox.json(["eval", "retrieval", "set", "--only", "lang=en", "--take", "2"]).1["queries"], 2);
    let before = sandbox.run(["eval", "retrieval", "set", "--per-query", "--json"]).stdout;
    fs_err::write(sandbox.path().join("before.json"), &before).unwrap();
    let (code, same) = sandbox.json(["eval", "retrieval", "set", "--against", "before.json"]);
    let comparison = same["comparisons"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((code, &comparison["difference"], &comparison["queries"]), (0, &json!(0.0), &json!(3)), "{same}");
    // An earlier measurement that no search can reach.
    let better = before.replace("\"default\":1.0}", "\"default\":1.5}");
    assert_ne!(better, before);
    fs_err::write(sandbox.path().join("better.json"), better).unwrap();
    let (code, worse) = sandbox.json(["eval", "retrieval", "set", "--against", "better.json"]);
    let comparison = worse["comparisons"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((code, &comparison["holds"]), (1, &json!(false)), "{worse}");
    assert_eq!(comparison["difference"], -0.5);
}

#[test]
fn a_set_that_is_broken_is_named_with_file_and_line() {
    let sandbox = Sandbox::new();
    let set = sandbox.path().join("set");
    let refused = |file: &str, content: &str, words: &[&str]| {
        write_set(&set);
        fs_err::write(set.join(file), content).unwrap();
        let Some(sandbox) = Sandbox::with_models() else { return };
        let (code, report) = sandbox.json(["eval", "retrieval", set.to_str().unwrap()]);
        let message = report["error"]["message"].as_str().unwrap();
        assert_eq!(code, 2, "{report}");
        for word in [file].iter().chain(words) {
            assert!(message.contains(word), "{message}");
        }
    };
    refused("corpus.jsonl", "", &["no document"]);
    refused("corpus.jsonl", "{\"_id\": \"a\", \"text\": \"x\"}\n{\"text\": \"y\"}\n", &["line 2", "_id"]);
    refused("corpus.jsonl", "{\"_id\": 1}\n{\"_id\": \"1\"}\n", &["line 2", "`1` stands there twice"]);
    refused("queries.jsonl", "{\"_id\": \"a\"}\n", &["line 1", "`text`"]);
    refused("queries.jsonl", "no json\n", &["line 1", "JSON"]);
    refused("queries.jsonl", "{\"_id\": \"other\", \"text\": \"x\"}\n", &["no query"]);
    refused("qrels.tsv", "query\tdocument\tscore\n1\ttravel\tgood\n", &["line 2", "`good`"]);
    refused("qrels.tsv", "1 travel 1\n", &["line 1", "tabs"]);
    fs_err::remove_file(set.join("qrels.tsv")).unwrap();
    let Some(sandbox) = Sandbox::with_models() else { return };
    let (code, report) = sandbox.json(["eval", "retrieval", set.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(report["error"]["message"].as_str().unwrap().contains("qrels.tsv"), "{report}");
}

#[test]
fn the_layout_of_beir_and_of_trec_is_read_too() {
    let Some(sandbox) = sandbox_with_set() else { return };
    let set = sandbox.path().join("set");
    let judged = read(&set.join("qrels.tsv"));
    fs_err::remove_file(set.join("qrels.tsv")).unwrap();
    fs_err::create_dir(set.join("qrels")).unwrap();
    let trec: String = judged.lines().skip(1).map(|line| line.replacen('\t', "\t0\t", 1) + "\n").collect();
    fs_err::write(set.join("qrels/test.tsv"), trec).unwrap();
    assert_eq!(sandbox.json(["eval", "retrieval", "set"]).1["queries"], 3);
}

#[test]
fn ones_own_documents_are_never_replaced() {
    let Some(sandbox) = sandbox_with_set() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    let data = sandbox.data();
    let (code, report) = sandbox.json(["eval", "retrieval", "set", "--index", data.to_str().unwrap()]);
    assert_eq!((code, &report["error"]["kind"]), (2, &json!("usage")), "{report}");
    assert_eq!(sandbox.json(["status"]).1["documents"], 3);
}

#[test]
fn a_set_is_made_from_ones_own_documents_and_measured() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    let filler = "Everything else about it is written in the folder of the house, which stands beside the door.";
    sandbox.write("travel.md", format!("# Travel\n\nTravel expenses are approved by Ruth Adler alone. {filler}\n"));
    sandbox.write("birds.md", format!("# Birds\n\nThe herons nest in the tower of the mill. {filler}\n"));
    sandbox.ingest();
    let asked = |words: &[&str], lines: &str| {
        let mut command = sandbox.command(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, report, shown) =
        asked(&["eval", "init", "set", "--questions", "2", "--json"], "\nWho must agree?\nWhere are they?\n");
    assert_eq!(code, Some(0), "{shown}");
    let report: Value = serde_json::from_str(&report).unwrap();
    check_schema("eval_init", &report);
    // The first passage was skipped, and there are but two.
    assert_eq!((&report["documents"], &report["queries"]), (&json!(2), &json!(1)), "{shown}");
    let set = sandbox.path().join("set");
    assert_eq!(read(&set.join("queries.jsonl")).lines().count(), 1);
    // It goes on with what is there.
    let (code, _, shown) = asked(&["eval", "init", "set", "--questions", "2"], "Where do the herons nest?\n");
    assert_eq!((code, read(&set.join("qrels.tsv")).lines().count()), (Some(0), 3), "{shown}");
    // The ids are paths of files, and the second time the index is there.
    for _ in 0..2 {
        let (_, measured) = sandbox.json(["eval", "retrieval", "set"]);
        assert_eq!((&measured["documents"], &measured["queries"]), (&json!(2), &json!(2)), "{measured}");
        assert_eq!(measured["fused"]["recall@5"], 1.0, "{measured}");
    }
}

/// The set with answers: two that are short, one that several words have to be in, and a question that nothing answers.
fn write_answers(folder: &Path) {
    write_set(folder);
    let queries = [
        json!({"_id": "1", "text": "Who approves travel expenses?", "answers": ["Ruth Adler", "the head of finance"]}),
        json!({"_id": "2", "text": "What is the barrier code?", "answers": [["AB-1203/7"], ["barrier code", "code"]]}),
        json!({"_id": "3", "text": "Where do the herons nest?"}),
        json!({"_id": "4", "text": "Who feeds the zebras of the circus?", "answerable": false, "answers": ["No answer"]}),
        json!({"_id": "5", "text": "Nothing is known about this one"}),
    ];
    let lines: String = queries.iter().map(|query| format!("{query}\n")).collect();
    fs_err::write(folder.join("queries.jsonl"), lines).unwrap();
}

#[test]
fn answers_are_measured_kept_and_gone_on_with() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    write_answers(&sandbox.path().join("set"));
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    let words = ["eval", "answers", "set", "--keep", "kept.jsonl"];
    let (code, report) = sandbox.json(words);
    check_schema("eval_answers", &report);
    assert_eq!((code, &report["questions"], &report["answerable"]["questions"]), (0, &json!(4), &json!(3)), "{report}");
    assert_eq!(report["unanswerable"]["questions"], 1, "{report}");
    assert_eq!(report["curve"][0]["threshold"], 0.0, "{report}");
    let file = sandbox.path().join("kept.jsonl");
    let kept = read(&file);
    let lines: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["made_with"]["answer"]["min_confidence"], 0.0);
    assert_eq!(lines.len(), 5);
    // The figures are those of the lines.
    let right = lines.iter().filter(|line| line["right"] == true).count() as f64 / 2.0;
    assert_eq!((&report["answerable"]["right"], &lines[3]["right"]), (&json!(right), &Value::Null), "{kept}");
    for line in lines.iter().filter(|line| line["answered"] == true) {
        assert!(line["notes"].as_u64().unwrap() >= 1 && !line["quotes"][0].as_str().unwrap().is_empty(), "{line}");
    }

    // What is known is not asked again: the times are those of then. What a kill has cut is.
    let (_, again) = sandbox.json(words);
    assert_eq!((&again, read(&file).trim_end()), (&report, kept.trim_end()));
    fs_err::write(&file, &kept[..kept.len() - 40]).unwrap();
    let (_, again) = sandbox.json(words);
    assert_eq!((&again["questions"], read(&file).lines().count()), (&json!(4), 6));
    assert_eq!(again["good"], report["good"], "{again}");

    let (code, same) = sandbox.json(["eval", "answers", "set", "--keep", "kept.jsonl", "--against", "kept.jsonl"]);
    assert_eq!((code, &same["comparisons"][0]["queries"]), (0, &json!(4)), "{same}");
    let better: String =
        kept.replace("\"answerable\":true,\"answered\":true", "\"answerable\":true,\"answered\":false");
    fs_err::write(sandbox.path().join("worse.jsonl"), better).unwrap();
    let (code, _) = sandbox.json(["eval", "answers", "set", "--keep", "kept.jsonl", "--against", "worse.jsonl"]);
    assert_eq!(code, 0, "better than one that answers nothing");

    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0.5");
    let (code, refused) = sandbox.json(words);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(code == 2 && message.contains("kept.jsonl") && message.contains("`answer.min_confidence`"), "{refused}");
    let (code, refused) = sandbox.json(["eval", "answers", "set", "--against", "set/queries.jsonl"]);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(code == 2 && message.contains("is no file of answers"), "{refused}");
}

#[test]
fn questions_are_asked_over_ones_own_documents() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    let write = |line: Value| fs_err::write(sandbox.path().join("mine.jsonl"), format!("{line}\n")).unwrap();
    let travel = json!([{"document": "travel.md", "quote": "not looked at"}]);
    write(
        json!({"id": "a", "question": "Who approves travel expenses?", "answers": ["Ruth Adler"], "evidence": travel}),
    );
    let shown = sandbox.run(["eval", "answers", "mine.jsonl"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.starts_with("mine: 1 question, ") && shown.stdout.contains("right, of the answered"));
    let (_, report) = sandbox.json(["eval", "answers", "mine.jsonl"]);
    assert_eq!(report["answerable"]["with_right_note"], 1.0, "{report}");
    write(json!({"id": "a", "question": "Who approves travel expenses?", "evidence": [{"document": "avel.md"}]}));
    let (_, report) = sandbox.json(["eval", "answers", "mine.jsonl"]);
    assert_eq!(report["answerable"]["with_right_note"], 0.0, "half a name is none: {report}");
    assert_eq!(sandbox.json(["status"]).1["documents"], 3);

    for (line, word) in [
        (json!({"id": "a", "question": "Who?", "answers": [1]}), "`answers`"),
        (json!({"id": "a", "question": "Who?"}), "no question of it"),
        (json!({"question": "Who?", "answers": ["Ruth"]}), "`_id`"),
    ] {
        write(line);
        let (code, refused) = sandbox.json(["eval", "answers", "mine.jsonl"]);
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(code == 2 && message.contains("mine.jsonl") && message.contains(word), "{refused}");
    }
}
