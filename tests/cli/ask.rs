//! Questions and answers. The small model is real and not clever: what it may get wrong is its words, never the shape of
//! an answer, and never a note.

use std::collections::BTreeSet;

use serde_json::Value;

use super::sandbox::{Run, Sandbox, check_schema, files_below};

pub(super) const QUESTIONS: [&str; 4] = [
    "Who approves travel expenses?",
    "What may a hotel night cost?",
    "When does the dishwasher run?",
    "What is the barrier code?",
];

pub(super) fn handbook() -> Option<Sandbox> {
    let sandbox = Sandbox::with_models()?;
    sandbox.write_handbook();
    sandbox.ingest();
    Some(sandbox)
}

/// Every number shown has a note, every note its document's own words.
pub(super) fn check_answer(answer: &Value) {
    check_schema("ask", answer);
    let notes: BTreeSet<u64> =
        answer["citations"].as_array().unwrap().iter().map(|note| note["n"].as_u64().unwrap()).collect();
    for sentence in answer["sentences"].as_array().unwrap() {
        let text = sentence["text"].as_str().unwrap();
        assert!(sentence["short"].as_str().is_none_or(|short| !short.is_empty() && text.contains(short)), "{answer:#}");
        for n in sentence["citations"].as_array().unwrap() {
            assert!(notes.contains(&n.as_u64().unwrap()), "{answer:#}");
        }
    }
    for number in bracketed_numbers(answer["answer"].as_str().unwrap()) {
        assert!(notes.contains(&number), "[{number}] has no note: {answer:#}");
    }
    for note in answer["citations"].as_array().unwrap() {
        let stored = fs_err::read_to_string(note["document"]["path"].as_str().unwrap()).unwrap();
        let at = |end: &str| usize::try_from(note["span"][end].as_u64().unwrap()).unwrap();
        assert_eq!(&stored[at("start")..at("end")], note["quote"].as_str().unwrap());
    }
    assert_eq!(answer["answered"].as_bool().unwrap(), answer["reason"].is_null(), "{answer:#}");
}

fn bracketed_numbers(text: &str) -> Vec<u64> {
    text.split('[').skip(1).filter_map(|rest| rest.split(']').next()?.parse().ok()).collect()
}

#[test]
fn a_conversation_is_followed_and_its_notes_are_numbered_through() {
    let Some(mut sandbox) = handbook() else { return };
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    let lines = format!("{}\n\n/bogus\nWhy?\n/new\nWhy?\n", QUESTIONS[0]);
    let run = sandbox.run_with_input(["chat", "--json"], &lines);
    assert_eq!(run.code, 0, "{run:?}");
    let answers: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second, third] = &answers[..] else { panic!("{run:?}") };
    answers.iter().for_each(check_answer);
    assert_eq!(second["question"], "Why?");
    let understood = second["standalone"].as_str().unwrap();
    assert!(understood.contains("travel") || understood.contains("expenses"), "{understood}");
    assert!(first["standalone"].is_null() && third["standalone"].is_null(), "{first:#} {third:#}");
    let numbers = |answers: &[&Value]| -> Vec<u64> {
        let notes = answers.iter().flat_map(|answer| answer["citations"].as_array().unwrap());
        notes.map(|note| note["n"].as_u64().unwrap()).collect()
    };
    for conversation in [&[first, second][..], &[third]] {
        let numbers = numbers(conversation);
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    }
    sandbox.set("SIDENOTE_ANSWER_REWRITE", "false");
    let run = sandbox.run_with_input(["chat", "--json"], &format!("{}\nWhy?\n", QUESTIONS[0]));
    let second: Value = serde_json::from_str(run.stdout.lines().nth(1).unwrap()).unwrap();
    assert!(second["standalone"].is_null(), "{second:#}");

    let lines = format!("{}\n/sources\n/open 1\n/open 99\n/quit\nnever asked\n", QUESTIONS[0]);
    let run = sandbox.run_with_input(["chat"], &lines);
    assert_eq!(run.code, 0, "{run:?}");
    // Below the answer, in the list, and where it stands in the document.
    assert_eq!(run.stdout.matches("travel.md").count(), 3, "{run:?}");
    assert!(run.stderr.contains("there is no note 99"), "{run:?}");
}

#[test]
fn conversations_are_kept_gone_on_with_shown_and_deleted() {
    let Some(mut sandbox) = handbook() else { return };
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    let json = |run: Run| -> Value { serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}")) };
    let asked = |run: &Run| -> Vec<Value> { run.stdout.lines().map(|it| serde_json::from_str(it).unwrap()).collect() };
    let none = sandbox.run(["chats"]);
    assert_eq!((none.code, none.stdout.as_str()), (1, ""), "{none:?}");
    assert_eq!(sandbox.run(["chat", "--resume"]).code, 2);

    let run = sandbox.run_with_input(["chat", "--no-keep", "--json"], &format!("{}\n", QUESTIONS[0]));
    let first_note = asked(&run)[0]["citations"][0]["n"].as_u64().expect("a note");
    assert_eq!(first_note, 1);
    assert_eq!(json(sandbox.run(["chats", "--json"]))["chats"], serde_json::json!([]));
    let run = sandbox.run_with_input(["chat", "--json"], &format!("{}\n/new\n{}\n", QUESTIONS[0], QUESTIONS[1]));
    assert_eq!(run.code, 0, "{run:?}");
    let answer = asked(&run)[0].clone();
    assert_eq!(asked(&run).iter().map(|it| it["chat"].as_i64()).collect::<Vec<_>>(), [Some(1), Some(2)]);
    let list = json(sandbox.run(["chats", "--json"]));
    check_schema("chats", &list);
    let shown: Vec<_> = list["chats"].as_array().unwrap().iter().map(|it| (&it["id"], &it["first_question"])).collect();
    assert_eq!(shown, [(&2.into(), &QUESTIONS[1].into()), (&1.into(), &QUESTIONS[0].into())]);

    // Gone on with: what it leans on is known, and its notes go on counting.
    let run = sandbox.run_with_input(["chat", "--resume", "1", "--json"], "Why?\n");
    let next = asked(&run)[0].clone();
    assert!(next["standalone"].is_string(), "{next:#}");
    let chat = json(sandbox.run(["chats", "show", "1", "--json"]));
    check_schema("chat", &chat);
    assert_eq!(chat["turns"].as_array().unwrap().len(), 2);
    for key in ["answer", "citations", "sentences", "answered", "reason"] {
        assert_eq!(chat["turns"][0]["answer"][key], answer[key], "{key}");
        assert_eq!(chat["turns"][1]["answer"][key], next[key], "{key}");
    }
    let last = answer["citations"].as_array().unwrap().len() as u64;
    assert!(next["citations"].as_array().unwrap().iter().all(|note| note["n"].as_u64().unwrap() > last));
    let run = sandbox.run(["chats", "show", "1"]);
    assert!(run.stdout.contains(QUESTIONS[0]) && run.stdout.contains("travel.md"), "{run:?}");

    // The document goes, and what was answered from it with it.
    let path = answer["citations"][0]["document"]["path"].as_str().unwrap().to_owned();
    assert_eq!(sandbox.run(["remove", &path]).code, 0);
    let chat = json(sandbox.run(["chats", "show", "1", "--json"]));
    assert_eq!((&chat["turns"][0]["question"], &chat["turns"][0]["answer"]), (&QUESTIONS[0].into(), &Value::Null));
    assert!(sandbox.run(["chats", "show", "1"]).stdout.contains("Forgotten"));

    let run = sandbox.run(["chats", "delete", "1", "--purge", "--json"]);
    assert_eq!(json(run)["deleted"], 1);
    assert_eq!(sandbox.run(["chats", "show", "1"]).code, 1);
    assert_eq!(json(sandbox.run(["chats", "delete", "--all", "--json"]))["deleted"], 1);
    assert_eq!(sandbox.run(["chats", "delete", "--all"]).code, 1);
}

#[test]
fn streamed_events_end_in_the_answer_and_answers_carry_the_documents_own_words() {
    let Some(mut sandbox) = handbook() else { return };
    // The small model trusts no answer; here all that have a note are shown.
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    let (mut kinds, mut answered) = (BTreeSet::new(), 0);
    for question in QUESTIONS {
        let run = sandbox.run(["ask", question, "--json", "--stream"]);
        let events: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for event in &events {
            check_schema("event", event);
            kinds.insert(event["event"].as_str().unwrap().to_owned());
        }
        let finals: Vec<&Value> = events.iter().filter(|event| event["event"] == "final").collect();
        assert_eq!(finals.len(), 1);
        let last = events.last().unwrap();
        assert_eq!(last["event"], "final");
        check_answer(&last["data"]);
        assert_eq!(run.code, i32::from(last["data"]["answered"] == false));
        let settled: Vec<&Value> = events
            .iter()
            .filter(|event| event["event"] == "sentence")
            .map(|event| &event["data"]["sentence"])
            .collect();
        if last["data"]["answered"] == true {
            assert_eq!(settled, last["data"]["sentences"].as_array().unwrap().iter().collect::<Vec<_>>());
            answered += 1;
        }
        assert!(last["data"]["tokens"]["prompt"].as_u64().unwrap() > 0);
    }
    assert!(answered > 0, "not one of {} questions was answered", QUESTIONS.len());
    assert!(kinds.contains("token") && kinds.contains("final"), "{kinds:?}");
    // Instruction and examples were kept for the next process; this one evaluated nothing.
    let kv = sandbox.json(["status"]).1["kv"].clone();
    assert!(kv["sequences"].as_u64() > Some(0) && kv["bytes"].as_u64() > Some(0) && kv["hit_rate"].is_null(), "{kv}");
}

#[test]
fn a_pipe_gets_settled_text_and_notes_without_escape_sequences() {
    let Some(sandbox) = handbook() else { return };
    for question in &QUESTIONS[..2] {
        let run = sandbox.run(["ask", question]);
        assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{run:?}");
        if run.code == 0 {
            assert!(run.stdout.contains("\n\n[1] docs/"), "{run:?}");
            assert!(run.stdout.contains("\n    “"), "{run:?}");
        } else {
            assert_eq!(run.code, 1, "{run:?}");
            assert!(run.stdout.starts_with("The documents do not say."), "{run:?}");
            assert!(run.stdout.contains("\nClosest:\n  docs/"), "{run:?}");
        }
    }
}

#[test]
fn the_words_that_answer_are_shown_alone_on_request() {
    let Some(mut sandbox) = handbook() else { return };
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    let mut shorter = 0;
    for question in QUESTIONS {
        let answer = sandbox.json(["ask", question]).1;
        check_answer(&answer);
        let sentences = answer["sentences"].as_array().unwrap();
        let shown: Vec<String> = sentences
            .iter()
            .map(|sentence| {
                let words = sentence["short"].as_str().or(sentence["text"].as_str()).unwrap();
                format!("{words} [{}]", sentence["citations"][0])
            })
            .collect();
        shorter += sentences.iter().filter(|sentence| sentence["short"].is_string()).count();
        let run = sandbox.run(["ask", question, "--short"]);
        assert_eq!(run.stdout.lines().next().unwrap(), shown.join("; "), "{run:?}");
    }
    assert!(shorter > 0, "not one sentence has a short form");
    sandbox.set("SIDENOTE_ANSWER_SHORT", "false");
    assert!(sandbox.json(["ask", QUESTIONS[0]]).1["sentences"][0]["short"].is_null());
}

#[test]
fn the_same_question_gets_the_same_answer() {
    let Some(sandbox) = handbook() else { return };
    let answer = || {
        let (code, answer) = sandbox.json(["ask", QUESTIONS[0]]);
        check_answer(&answer);
        assert_eq!(code, i32::from(answer["answered"] == false), "{answer:#}");
        (answer["answer"].clone(), answer["citations"].clone(), answer["confidence"].clone())
    };
    assert_eq!(answer(), answer());
}

#[test]
fn details_name_the_model_and_the_times() {
    let Some(sandbox) = handbook() else { return };
    let run = sandbox.run(["ask", QUESTIONS[0], "-v"]);
    assert!(run.stdout.contains("smollm2-135m") && run.stdout.contains("reading "), "{run:?}");
}

#[test]
fn an_answer_is_explained_from_what_was_found_to_its_confidence() {
    let Some(mut sandbox) = handbook() else { return };
    let (_, answer) = sandbox.json(["ask", QUESTIONS[0], "--explain"]);
    check_answer(&answer);
    let found: BTreeSet<i64> =
        answer["passages"].as_array().unwrap().iter().map(|hit| hit["chunk"].as_i64().unwrap()).collect();
    let read = answer["read"].as_array().unwrap();
    assert!(!read.is_empty() && read.iter().all(|read| found.contains(&read["chunk"].as_i64().unwrap())), "{answer:#}");
    assert!(answer["signals"]["verdict"].is_number(), "{answer:#}");

    let run = sandbox.run(["ask", QUESTIONS[0], "--explain"]);
    for said in ["Found, best first", "travel.md", "score ", ": read", "Read by the language model", "Confidence "] {
        assert!(run.stdout.contains(said), "{said}: {run:?}");
    }
    sandbox.set("SIDENOTE_ANSWER_CONTEXT", "passages");
    let (_, whole) = sandbox.json(["ask", QUESTIONS[0]]);
    check_answer(&whole);
    let first = whole["read"][0]["text"].as_str().unwrap();
    let hits = whole["passages"].as_array().unwrap();
    let hit = hits.iter().find(|hit| hit["chunk"] == whole["read"][0]["chunk"]).unwrap();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(first), words(hit["text"].as_str().unwrap()), "a passage is read whole");
}

#[test]
fn a_question_longer_than_the_context_is_refused_with_its_length() {
    let Some(mut sandbox) = handbook() else { return };
    sandbox.set("SIDENOTE_LLM_CONTEXT_TOKENS", "512");
    let (code, error) = sandbox.json(["ask", &"why and how ".repeat(500)]);
    check_schema("error", &error);
    assert_eq!((code, error["error"]["kind"].as_str()), (2, Some("question_too_long")), "{error}");
    assert!(error["error"]["hint"].is_string(), "{error}");
}

#[test]
fn a_document_read_whole_is_not_read_again_and_leaves_nothing_when_it_goes() {
    let Some(sandbox) = handbook() else { return };
    let states = || files_below(&sandbox.data().join("states").join("documents")).len();
    let under = |name: &str| sandbox.docs().join(name).to_string_lossy().into_owned();
    let filler = |topic: &str| {
        format!("The {topic} is looked after by the house team, who write down what they find. ").repeat(8)
    };
    sandbox
        .write("travel.md", format!("# Travel\n\nTravel expenses are approved by Ruth Adler.\n\n{}\n", filler("car")));
    sandbox.write("kitchen.md", format!("# Kitchen\n\nThe dishwasher runs at 18:30.\n\n{}\n", filler("oven")));
    sandbox.ingest();
    let (code, pinned) = sandbox.json(["pin", "--under", &under("travel.md")]);
    check_schema("pin", &pinned);
    assert_eq!((code, pinned["documents"].as_u64(), pinned["reused"].as_u64(), states()), (0, Some(1), Some(0), 2));
    let tokens = pinned["tokens"].as_u64().unwrap();
    assert!(tokens > 100, "{pinned}");
    let (_, again) = sandbox.json(["pin", "--under", &under("travel.md")]);
    assert_eq!(again["reused"].as_u64(), Some(tokens), "{again}");
    let (_, answer) = sandbox.json(["ask", "--whole", "--under", &under("travel.md"), "Who approves travel expenses?"]);
    check_schema("ask", &answer);
    assert!(answer["tokens"]["reused"].as_u64().unwrap() >= tokens, "{answer}");
    assert!(answer["read"][0]["text"].as_str().unwrap().contains("Ruth Adler"), "{answer}");

    sandbox.json(["pin", "--under", &under("kitchen.md")]);
    assert_eq!(states(), 4);
    sandbox.write("travel.md", "# Travel\n\nNobody approves travel expenses any more.\n");
    sandbox.ingest();
    assert_eq!(states(), 2, "what was changed goes, the other stays");
    assert_eq!(sandbox.run(["remove", &under("kitchen.md")]).code, 0);
    assert_eq!(states(), 0);
    let (code, nothing) = sandbox.json(["pin", "--under", &under("kitchen.md")]);
    assert_eq!((code, nothing["documents"].as_u64()), (1, Some(0)));
}

#[test]
fn an_empty_index_says_so_and_how_to_begin() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    for words in [["ask", "who?"], ["search", "who"], ["remove", "docs"]] {
        let run = sandbox.run(words);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
        assert!(run.stderr.starts_with("error: nothing has been ingested yet\nhint: "), "{run:?}");
        assert!(run.stderr.contains("sidenote ingest"), "{run:?}");
    }
    assert!(!sandbox.data().exists(), "asking leaves no trace");
    let (code, status) = sandbox.json(["status"]);
    check_schema("status", &status);
    assert_eq!((code, status["documents"].as_u64()), (0, Some(0)));
}
