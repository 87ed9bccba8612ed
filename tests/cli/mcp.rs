//! `sidenote mcp` and `/mcp`: the official client over both, and whoever keeps to no protocol.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    sandbox::{Sandbox, check_schema},
    serve::{Server, client, has_clients, sandbox, seen_by},
};

/// `sidenote mcp` with its streams; ends with the value.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    last: u64,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Started, and past the beginning that versions before 2026-07-28 have.
    fn start(sandbox: &Sandbox, words: &[&str]) -> Self {
        let mut process = Self::spawn(sandbox, words);
        let client = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let begun = process.ask("initialize", client);
        assert_eq!(begun["result"]["protocolVersion"], "2025-06-18", "{begun}");
        process.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        process
    }

    fn spawn(sandbox: &Sandbox, words: &[&str]) -> Self {
        let mut child = sandbox
            .command(words.iter().chain(&["mcp"]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, last: 0 }
    }

    fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
    }

    fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.last += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}).to_string());
        self.last
    }

    /// Every line has to be a message of the protocol; this one is the answer to `id`.
    fn answer(&mut self, id: &Value) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server is gone");
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(message["jsonrpc"], "2.0", "{message}");
            if message["id"] == *id {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.answer(&json!(id))
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))["result"].take()
    }

    /// Closes standard input; what is left on standard output, the log, the exit code.
    fn leave(mut self) -> (Vec<Value>, String, Option<i32>) {
        drop(self.input.take());
        let rest = (&mut self.output).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        let mut log = String::new();
        std::io::Read::read_to_string(self.child.stderr.as_mut().unwrap(), &mut log).unwrap();
        (rest, log, self.child.wait().unwrap().code())
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

/// What the official client understood, which runs with the variables of the sandbox.
fn seen_by_client(sandbox: &Sandbox, words: &[&str]) -> Value {
    let mut command: Command = client("mcp_client.py");
    command.args(words).current_dir(sandbox.path());
    for (name, value) in sandbox.command::<&str>([]).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    seen_by(&mut command)
}

fn check(seen: &Value, version: &str) {
    assert_eq!(seen["version"], version, "{seen}");
    assert!(seen["instructions"].as_str().unwrap().contains("`ask`"), "{seen}");
    let tools = ["search", "ask", "read_document", "list_documents"].map(|name| json!([name, true, true]));
    assert_eq!(seen["tools"], json!(tools));
    let resources = seen["pages"][0].as_array().unwrap();
    assert_eq!((seen["pages"].as_array().unwrap().len(), resources.len()), (1, 3), "{seen}");
    assert!(
        resources.iter().any(|resource| resource["name"] == "travel.md" && resource["title"] == "Travel"),
        "{seen}"
    );
    assert_eq!(seen["templates"], json!(["sidenote://document/{id}{?start,end}"]));

    // The values are those of the command line, and the text has all that a note needs.
    let answer = &seen["answer"];
    assert_eq!(answer["error"], false, "{answer}");
    check_schema("ask", &answer["value"]);
    let note = &answer["value"]["citations"][0];
    let quote = note["quote"].as_str().unwrap();
    let said = answer["text"].as_str().unwrap();
    let span = format!("bytes {} to {}", note["span"]["start"], note["span"]["end"]);
    for part in [answer["value"]["answer"].as_str().unwrap(), quote, note["document"]["path"].as_str().unwrap(), &span]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    let progress = seen["progress"].as_array().unwrap();
    assert_eq!(progress[0][0], 1.0, "{seen}");
    assert!(progress.iter().any(|step| step[1] == "looking for passages"), "{seen}");
    let quotes = &seen["quotes"];
    assert_eq!((&quotes["tool"]["value"]["text"], &quotes["resource"]), (&note["quote"], &note["quote"]), "{quotes}");
    assert!(quotes["whole"].as_str().unwrap().contains(quote), "{quotes}");
    let found = &seen["found"];
    check_schema("search", &found["value"]);
    assert!(found["value"]["hits"][0]["text"].as_str().unwrap().contains("140 euros"), "{found}");
    assert!(found["text"].as_str().unwrap().contains("140 euros"), "{found}");
    let (first, rest) = (&seen["listed"]["value"], &seen["listed_on"]["value"]);
    assert_eq!((&first["total"], &first["next_offset"], &rest["next_offset"]), (&json!(3), &json!(2), &Value::Null));
    assert_eq!(rest["documents"].as_array().unwrap().len(), 1);

    for (what, words) in [
        ("limit", &["`limit`", "1 to 1000"][..]),
        ("type", &["`limit`", "u32"]),
        ("unknown", &["qeury"]),
        ("missing", &["query"]),
        ("filter", &["`since`"]),
        ("empty", &["`question`"]),
        ("document", &["no such document", "`list_documents`"]),
        ("stretch", &["`end`"]),
        ("collection", &["`nowhere`", "`default`"]),
        ("nothing", &["Nothing was found", "words"]),
    ] {
        let told = &seen["wrong"][what];
        assert_eq!((&told["error"], &told["value"]), (&json!(true), &Value::Null), "{what}: {told}");
        let text = told["text"].as_str().unwrap();
        assert!(words.iter().all(|word| text.contains(word)) && text.ends_with('.'), "{what}: {text}");
    }
    for (what, word) in
        [("tool", "`read_document`"), ("resource", "no such"), ("address", "sidenote://"), ("cursor", "cursor")]
    {
        let fault = &seen["wrong"][what];
        assert!(fault[0].as_i64().unwrap() < 0 && fault[1].as_str().unwrap().contains(word), "{what}: {fault}");
    }

    // One question at a time may run here: the cancelled one has given its place back long before its answer.
    let cancelled = &seen["cancelled"];
    assert_eq!(cancelled["busy"]["error"], true, "{cancelled}");
    assert!(cancelled["busy"]["text"].as_str().unwrap().contains("ask again later"), "{cancelled}");
    assert_eq!(cancelled["after"]["error"], false, "{cancelled}");
    let (kept, whole) = (cancelled["kept"].as_f64().unwrap(), cancelled["whole"].as_f64().unwrap());
    assert!(kept < whole / 2.0, "kept for {kept} s, where an answer takes {whole} s");
}

#[test]
fn the_official_client_works_over_standard_input_and_output() {
    let Some(mut sandbox) = sandbox() else { return };
    if !has_clients() {
        return;
    }
    sandbox.set("SIDENOTE_SERVE_MAX_QUESTIONS", "1");
    for (mode, version) in [("legacy", "2025-11-25"), ("auto", "2026-07-28")] {
        let seen = seen_by_client(&sandbox, &[mode, "stdio", env!("CARGO_BIN_EXE_sidenote"), "mcp"]);
        check(&seen, version);
    }
}

#[test]
fn the_official_client_works_over_http() {
    let Some(mut sandbox) = sandbox() else { return };
    if !has_clients() {
        return;
    }
    sandbox.set("SIDENOTE_SERVE_MAX_QUESTIONS", "1");
    let server = Server::start(&sandbox);
    let url = format!("http://{}", server.address);
    for (mode, version) in [("legacy", "2025-11-25"), ("auto", "2026-07-28")] {
        check(&seen_by_client(&sandbox, &[mode, "http", &url, &server.token]), version);
    }
}

#[test]
fn standard_output_holds_the_protocol_and_the_log_no_words() {
    let Some(sandbox) = sandbox() else { return };
    let mut process = Process::start(&sandbox, &["-vv"]);
    // The models are opened and used, and say what they say; every line that comes is looked at.
    let answer = process.call("ask", json!({"question": "Who approves travel expenses, xylophonequery?"}));
    assert_eq!(answer["isError"], false, "{answer}");
    check_schema("ask", &answer["structuredContent"]);
    process.call("search", json!({"query": "xylophonequery hotel"}));
    process.call("search", json!({"query": "hotel", "xylophonequery": 1}));
    process.ask("resources/read", json!({"uri": "sidenote://document/xylophonequery"}));
    let (rest, log, code) = process.leave();
    assert_eq!((rest, code), (Vec::new(), Some(0)), "{log}");
    for word in ["xylophonequery", "ruth adler", "hotel"] {
        assert!(!log.to_lowercase().contains(word), "{word} in {log}");
    }
}

#[test]
fn who_keeps_to_no_protocol_harms_nobody() {
    let Some(sandbox) = sandbox() else { return };
    let mut process = Process::start(&sandbox, &[]);
    for line in ["", "nonsense", "{", "\u{0}", "[]", "{}", "5", "{\"jsonrpc\":\"1.0\",\"id\":1}", &"[".repeat(100_000)]
    {
        process.send(line);
    }
    process.send(&format!("{{\"jsonrpc\": \"2.0\", \"id\": 77, \"method\": \"{}\"}}", "x".repeat(5 << 20)));
    assert!(process.ask("no/such", json!({}))["error"]["code"].as_i64().unwrap() < 0);
    assert!(process.ask("tools/call", json!({"name": 5}))["error"]["code"].as_i64().unwrap_or(-1) < 0);
    let long = process.call("ask", json!({"question": "word ".repeat(200_000)}));
    assert!(text(&long).contains("tokens") && long["isError"] == true, "{}", text(&long));
    let hit = process.call("search", json!({"query": "barrier code"}));
    assert!(text(&hit).contains("4711"), "{hit}");
    let (_, log, code) = process.leave();
    assert_eq!(code, Some(0), "{log}");

    // One that does not even begin.
    let mut process = Process::spawn(&sandbox, &[]);
    process.send(&json!({"jsonrpc": "2.0", "method": "notifications/xylophone"}).to_string());
    let (rest, log, code) = process.leave();
    assert_eq!((rest, code), (Vec::new(), Some(2)), "{log}");
    assert!(log.contains("did not begin") && !log.contains("xylophone"), "{log}");
}

#[test]
fn a_client_that_leaves_stops_its_question() {
    let Some(sandbox) = sandbox() else { return };
    let mut process = Process::start(&sandbox, &[]);
    let begun = Instant::now();
    process.call("ask", json!({"question": "How much may a hotel night cost?"}));
    let whole = begun.elapsed();
    process.begin("tools/call", json!({"name": "ask", "arguments": {"question": "Who switches the dishwasher on?"}}));
    std::thread::sleep(whole / 8);
    let left = Instant::now();
    let (_, log, code) = process.leave();
    assert_eq!(code, Some(0), "{log}");
    // Some moments for the end of a process, beside other tests.
    assert!(left.elapsed() < whole / 2 + Duration::from_secs(1), "{:?} of {whole:?}", left.elapsed());
}

#[test]
fn nothing_ingested_is_said_and_what_to_do_about_it() {
    let sandbox = Sandbox::new();
    let mut process = Process::start(&sandbox, &[]);
    for (tool, arguments) in
        [("search", json!({"query": "a"})), ("ask", json!({"question": "a?"})), ("list_documents", json!({}))]
    {
        let result = process.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        assert!(text(&result).contains("sidenote ingest"), "{tool}: {result}");
    }
    assert_eq!(process.ask("resources/list", json!({}))["result"]["resources"], json!([]));
    assert_eq!(process.call("read_document", json!({"id": 1}))["isError"], true);
}

#[test]
fn resources_come_in_pages_that_miss_nothing() {
    let Some(sandbox) = Sandbox::with_models() else { return };
    for at in 0..120 {
        sandbox.write(&format!("{at:03}.txt"), format!("Matter {at}.\n"));
    }
    sandbox.write("long.txt", "A line of a long text, which says nothing. \n".repeat(30_000));
    assert_eq!(sandbox.run(["ingest", "docs", "-q"]).code, 0);
    let mut process = Process::start(&sandbox, &[]);
    let first = process.ask("resources/list", json!({}))["result"].take();
    assert_eq!(first["resources"].as_array().unwrap().len(), 100);
    let rest = process.ask("resources/list", json!({"cursor": first["nextCursor"]}))["result"].take();
    assert_eq!((rest["resources"].as_array().unwrap().len(), &rest["nextCursor"]), (21, &Value::Null), "{rest}");
    let all = first["resources"].as_array().unwrap().iter().chain(rest["resources"].as_array().unwrap());
    let long = all.clone().find(|resource| resource["name"] == "long.txt").unwrap()["uri"].as_str().unwrap().to_owned();
    assert_eq!(all.map(|one| one["uri"].to_string()).collect::<std::collections::BTreeSet<_>>().len(), 121);

    // What does not fit is refused, not cut.
    let refused = process.ask("resources/read", json!({"uri": long}));
    assert!(refused["error"]["message"].as_str().unwrap().contains("stretches"), "{refused}");
    let stretch = process.ask("resources/read", json!({"uri": format!("{long}?start=0&end=1048576")}));
    assert_eq!(stretch["result"]["contents"][0]["text"].as_str().unwrap().len(), 1 << 20);
    let id: i64 = long.rsplit('/').next().unwrap().parse().unwrap();
    let read = process.call("read_document", json!({"id": id}));
    assert_eq!(read["structuredContent"]["end"], 65_536);
    assert!(text(&read).contains("goes on at `start` 65536"), "{}", text(&read));
}

#[test]
fn the_collection_of_the_command_line_is_meant_unless_another_is_named() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.write("other/visits.md", "Visitors sign the book at the gate.\n");
    assert_eq!(sandbox.run(["--collection", "site", "ingest", "docs/other"]).code, 0);
    let mut process = Process::start(&sandbox, &["--collection", "site"]);
    let collections = |result: &Value, of: &str| -> Vec<String> {
        let listed = result["structuredContent"][of].as_array().unwrap_or_else(|| panic!("{result}")).iter();
        let documents = listed.map(|one| one.get("document").unwrap_or(one)["collection"].as_str().unwrap().to_owned());
        documents.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    };
    let query = json!({"query": "who signs the book"});
    assert_eq!(collections(&process.call("search", query), "hits"), ["site"]);
    let query = json!({"query": "who signs the book", "filter": {"collection": "default"}});
    assert_eq!(collections(&process.call("search", query), "hits"), ["default"]);
    assert_eq!(collections(&process.call("list_documents", json!({})), "documents"), ["site"]);
    let other = process.call("list_documents", json!({"collection": "default"}));
    assert_eq!(collections(&other, "documents"), ["default"]);
    assert_eq!(process.ask("resources/list", json!({}))["result"]["resources"].as_array().unwrap().len(), 1);
}

#[test]
fn the_door_stands_before_mcp_too() {
    let Some(sandbox) = sandbox() else { return };
    let server = Server::start(&sandbox);
    let bearer = format!("Bearer {}", server.token);
    let accept = ("accept", "application/json, text/event-stream");
    let listing = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let post = |headers: &[(&str, &str)]| server.send("POST", "/mcp", headers, Some(&listing));
    assert_eq!(post(&[accept]).status, 401);
    assert_eq!(post(&[accept, ("authorization", "Bearer wrong")]).status, 401);
    let token = ("authorization", bearer.as_str());
    assert_eq!(post(&[accept, token, ("origin", "https://attacker.example")]).status, 403);
    assert_eq!(post(&[accept, token, ("host", "attacker.example")]).status, 403);
    assert_eq!(post(&[accept, token, ("content-type", "text/plain")]).status, 415);
    let listed = post(&[accept, token]);
    assert_eq!((listed.status, listed.header("content-type")), (200, Some("application/json")), "{listed:?}");
    assert_eq!(listed.json()["result"]["tools"].as_array().unwrap().len(), 4);
    let got = server.send("GET", "/mcp", &[("accept", "text/event-stream"), token], None);
    assert_eq!(got.status, 405, "{got:?}");
    for body in [json!([]), json!({}), json!("x"), json!({"jsonrpc": "2.0", "id": 1, "method": 5})] {
        let reply = server.send("POST", "/mcp", &[accept, token], Some(&body));
        assert!((400..500).contains(&reply.status), "{body}: {reply:?}");
    }
}
