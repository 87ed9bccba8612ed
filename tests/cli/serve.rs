//! `sidenote serve`: the real binary on a real port, real clients, and those who should not get in.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::sandbox::{Sandbox, check_schema, repository};

/// A server that ends with the value.
pub(super) struct Server {
    child: Child,
    pub(super) address: String,
    page: String,
    pub(super) token: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(super) fn start(sandbox: &Sandbox) -> Self {
        Self::start_with(sandbox, &[])
    }

    pub(super) fn start_with(sandbox: &Sandbox, words: &[&str]) -> Self {
        let mut child = sandbox
            .command([words, &["serve", "--port", "0", "--json"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.as_mut().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        check_schema("serve", &ready);
        let url = ready["url"].as_str().unwrap();
        let token = fs_err::read_to_string(ready["token_file"].as_str().unwrap()).unwrap().trim().to_owned();
        Self {
            child,
            address: url.strip_prefix("http://").unwrap().to_owned(),
            page: ready["page"].as_str().unwrap().to_owned(),
            token,
        }
    }

    /// A request with the token.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.send(method, path, &[("authorization", &format!("Bearer {}", self.token))], body)
    }

    pub(super) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request.push_str("content-type: application/json\r\n");
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        self.raw(request.as_bytes())
    }

    /// Bytes as they are.
    fn raw(&self, request: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        // A server that refuses early closes before it has read all.
        let _ = stream.write_all(request);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        Reply { status, head: head.to_owned(), body: if chunked { unchunked(body) } else { body.to_owned() } }
    }

    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }
}

fn unchunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || after.len() < size {
            break;
        }
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    whole
}

/// A sandbox with an ingested handbook that shows every answer, because the small model is sure of none.
pub(super) fn sandbox() -> Option<Sandbox> {
    let mut sandbox = Sandbox::with_models()?;
    sandbox.write_handbook();
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    sandbox.set("SIDENOTE_SERVE_ROOTS", sandbox.docs());
    let run = sandbox.run(["ingest", "docs", "-q"]);
    assert_eq!(run.code, 0, "{run:?}");
    Some(sandbox)
}

const QUESTION: &str = "Who approves travel expenses?";

#[test]
fn the_command_lines_values_come_over_http() {
    let Some(sandbox) = sandbox() else { return };
    let server = Server::start(&sandbox);
    check_schema("status", &server.ask("GET", "/api/v1/status", None).json());

    let found = server.ask("POST", "/api/v1/search", Some(&json!({"query": "hotel night", "limit": 1})));
    check_schema("search", &found.json());
    let hit = &found.json()["hits"][0];
    assert!(hit["text"].as_str().unwrap().contains("140 euros"), "{found:?}");

    let answer = server.ask("POST", "/api/v1/ask", Some(&json!({"question": QUESTION}))).json();
    check_schema("ask", &answer);
    let citation = &answer["citations"][0];
    assert_eq!(answer["answered"], true, "{answer}");

    // Offsets inside of a character are widened to it.
    sandbox.write("umlauts.txt", "Die Tür öffnet sich. é日😀 Ω");
    assert_eq!(sandbox.run(["ingest", "docs", "-q"]).code, 0);
    let listed = server.ask("GET", "/api/v1/documents", None).json();
    let umlauts =
        listed["documents"].as_array().unwrap().iter().find(|d| d["path"].as_str().unwrap().ends_with("umlauts.txt"));
    let umlauts = umlauts.unwrap()["id"].clone();
    let text = "Die Tür öffnet sich. é日😀 Ω";
    for start in 0..=text.len() {
        let read =
            server.ask("GET", &format!("/api/v1/documents/{umlauts}/text?start={start}&end={}", start + 1), None);
        let read = read.json();
        let offset = |name: &str| usize::try_from(read[name].as_u64().unwrap()).unwrap();
        let (from, to) = (offset("start"), offset("end"));
        assert!(from <= start && read["text"] == text[from..to], "{start}: {read}");
    }
    assert_eq!(server.ask("DELETE", &format!("/api/v1/documents/{umlauts}"), None).json()["removed"], 1);

    // A note leads to the very bytes.
    let (id, span) = (&citation["document"]["id"], &citation["span"]);
    let stretch = format!("/api/v1/documents/{id}/text?start={}&end={}", span["start"], span["end"]);
    assert_eq!(server.ask("GET", &stretch, None).json()["text"], citation["quote"]);
    let whole = server.ask("GET", &format!("/api/v1/documents/{id}/text"), None).json();
    assert_eq!((&whole["start"], &whole["end"]), (&json!(0), &whole["total_bytes"]));

    let documents = server.ask("GET", "/api/v1/documents", None).json();
    check_schema("documents", &documents);
    assert_eq!(documents["documents"].as_array().unwrap().len(), 3);
    let forgotten = server.ask("DELETE", &format!("/api/v1/documents/{id}"), None).json();
    check_schema("remove", &forgotten);
    assert_eq!(server.ask("GET", &format!("/api/v1/documents/{id}"), None).status, 404);
}

#[test]
fn an_answer_streams_and_ends_with_the_whole_of_it() {
    let Some(sandbox) = sandbox() else { return };
    let server = Server::start(&sandbox);
    let reply = server.ask("POST", "/api/v1/ask", Some(&json!({"question": QUESTION, "stream": true})));
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let mut names = Vec::new();
    let mut last = Value::Null;
    for block in reply.body.split("\n\n").filter(|block| block.starts_with("event: ")) {
        let (name, data) = block.split_once("\ndata: ").unwrap();
        let name = name.trim_start_matches("event: ");
        let event = json!({"event": name, "data": serde_json::from_str::<Value>(data).unwrap()});
        check_schema("event", &event);
        names.push(name.to_owned());
        last = event["data"].clone();
    }
    assert!(names.contains(&"token".to_owned()) && names.contains(&"sentence".to_owned()), "{names:?}");
    assert_eq!(names.last().unwrap(), "final");
    check_schema("ask", &last);

    let before = json!([{"question": QUESTION, "answer": last["answer"]}]);
    let follow_up = json!({"question": "Why?", "earlier": before, "stream": true});
    let reply = server.ask("POST", "/api/v1/ask", Some(&follow_up));
    assert!(reply.body.starts_with("event: understood\n"), "{reply:?}");
}

#[test]
fn conversations_are_kept_and_gone_on_with() {
    let Some(sandbox) = sandbox() else { return };
    let server = Server::start(&sandbox);
    let asked = |body: Value| {
        let reply = server.ask("POST", "/api/v1/ask", Some(&body));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply
    };
    let list = || server.ask("GET", "/api/v1/chats", None).json()["chats"].clone();
    let question = "Who approves travel expenses?";
    assert_eq!(asked(json!({"question": question})).json()["chat"], Value::Null);
    assert_eq!(list(), json!([]));
    let first = asked(json!({"question": question, "keep": true, "filter": {"collection": "default"}})).json();
    check_schema("ask", &first);
    let chat = first["chat"].as_i64().expect("it is kept");
    // The next one as a stream: its last event says where it is kept.
    let events = asked(json!({"question": "Why?", "chat": chat, "stream": true})).body;
    let last = events.split("\n\n").filter(|event| event.starts_with("event: final")).last().unwrap();
    let last: Value = serde_json::from_str(last.split_once("data: ").unwrap().1).unwrap();
    assert!(last["standalone"].is_string() && last["chat"] == json!(chat), "{last:#}");
    let shown = server.ask("GET", &format!("/api/v1/chats/{chat}"), None).json();
    check_schema("chat", &shown);
    assert_eq!(
        (&shown["turns"][0]["answer"]["citations"], &shown["turns"][1]["question"]),
        (&first["citations"], &json!("Why?"))
    );
    assert_eq!((list().as_array().unwrap().len(), &list()[0]["turns"]), (1, &json!(2)));

    for (body, status) in [
        (json!({"question": "Why?", "chat": 99}), 404),
        (json!({"question": "Why?", "chat": chat, "earlier": [{"question": "Who?"}]}), 400),
        (json!({"question": "Why?", "chat": chat, "filter": {"collection": "other"}}), 400),
    ] {
        assert_eq!(server.ask("POST", "/api/v1/ask", Some(&body)).status, status, "{body}");
    }
    let path = format!("/api/v1/chats/{chat}");
    assert_eq!(server.ask("DELETE", &path, None).json()["deleted"], 1);
    assert_eq!((server.ask("DELETE", &path, None).status, server.ask("GET", &path, None).status), (404, 404));
    assert_eq!(server.send("GET", "/api/v1/chats", &[], None).status, 401, "not without the token");
}

#[test]
fn a_folder_is_ingested_with_progress_and_only_inside_of_the_roots() {
    let Some(sandbox) = sandbox() else { return };
    let server = Server::start(&sandbox);
    sandbox.write("new/garden.md", "# Garden\n\nThe hedge is cut in June.\n");
    let started = server.ask("POST", "/api/v1/ingest", Some(&json!({"paths": [sandbox.docs()]})));
    assert_eq!(started.status, 202, "{started:?}");
    let path = format!("/api/v1/ingest/{}", started.json()["id"]);
    let begun = Instant::now();
    let job = loop {
        let job = server.ask("GET", &path, None).json();
        if job["state"] != "running" {
            break job;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{job}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!((&job["state"], &job["report"]["added"]), (&json!("done"), &json!(1)), "{job}");
    let found = server.ask("POST", "/api/v1/search", Some(&json!({"query": "hedge"}))).json();
    assert!(found["hits"][0]["text"].as_str().unwrap().contains("June"), "{found}");

    let way_out = sandbox.docs().join("way-out");
    std::os::unix::fs::symlink("/etc", &way_out).unwrap();
    for outside in
        [PathBuf::from("/etc"), way_out, sandbox.docs().join("../secret"), "docs".into(), sandbox.path().into()]
    {
        let refused = server.ask("POST", "/api/v1/ingest", Some(&json!({"paths": [outside]})));
        assert_eq!((refused.status, refused.json()["kind"].clone()), (403, json!("outside_roots")), "{outside:?}");
    }
}

#[test]
fn who_does_not_belong_here_does_not_get_in() {
    let Some(sandbox) = sandbox() else { return };
    let server = Server::start(&sandbox);
    let bearer = format!("Bearer {}", server.token);
    let token = ("authorization", bearer.as_str());
    let get = |path: &str, headers: &[(&str, &str)]| server.send("GET", path, headers, None).status;
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.address);
    assert_eq!(get("/health", &[]), 200);
    for path in
        ["/api/v1/status", "/api/v1/documents", "/v1/models", "/mcp", "/openapi.json", "/api/v1/documents/1/text"]
    {
        assert_eq!(get(path, &[]), 401, "{path}");
        assert_eq!(get(path, &[("authorization", "Bearer wrong")]), 401, "{path}");
        assert_eq!(get(&format!("{path}?token={}", server.token), &[]), 401, "{path}");
        assert_eq!(get(path, &[token, ("host", "attacker.example")]), 403, "{path}");
        assert_eq!(get(path, &[token, ("origin", "https://attacker.example")]), 403, "{path}");
    }
    let question = json!({"question": QUESTION});
    let form = server.send("POST", "/api/v1/ask", &[token, ("content-type", "text/plain")], Some(&question));
    assert_eq!(form.status, 415);
    let preflight = server.send("OPTIONS", "/api/v1/ask", &[("origin", "https://attacker.example")], None);
    assert!(preflight.status >= 400 && preflight.header("access-control-allow-origin").is_none(), "{preflight:?}");
    for path in ["/../../etc/passwd", "/%2e%2e/etc/passwd", "/app.js/../../etc/passwd", "/page/index.html", "//etc"] {
        let reply = server.ask("GET", path, None);
        assert!(reply.status == 404 && !reply.body.contains("root:"), "{path}: {reply:?}");
    }

    // The link opens the page once.
    let code = server.page.split_once("#code=").unwrap().1;
    let opened = server.send("POST", "/api/v1/session", &[], Some(&json!({"code": code})));
    let cookie = opened.header("set-cookie").unwrap();
    assert!(opened.status == 204 && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{opened:?}");
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(get("/api/v1/status", &[("cookie", pair)]), 200);
    assert_eq!(server.send("POST", "/api/v1/session", &[], Some(&json!({"code": code}))).status, 401);

    // The page may load nothing from elsewhere.
    let page = server.send("GET", "/", &[], None);
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"), "{page:?}");
    assert!(page.body.contains("<title>") && !page.body.contains("https://"), "{page:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs_err::metadata(sandbox.data().join("serve/token")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_no_decent_request_is_refused_and_harms_nobody() {
    let Some(sandbox) = sandbox() else { return };
    let server = Server::start(&sandbox);
    let host = format!("host: {}\r\nauthorization: Bearer {}\r\n", server.address, server.token);
    let json_head =
        format!("POST /api/v1/search HTTP/1.1\r\n{host}connection: close\r\ncontent-type: application/json\r\n");
    for (path, body) in [("/v1/nowhere", "error"), ("/nowhere", "kind")] {
        assert!(server.ask("GET", path, None).json()[body].is_object() == (body == "error"), "{path}");
    }
    for (what, request) in [
        ("no HTTP", "\u{0}\u{1}\u{2} nonsense\r\n\r\n".to_owned()),
        ("a flood of headers", format!("GET /health HTTP/1.1\r\n{host}{}\r\n", "a: b\r\n".repeat(2_000))),
        ("an endless header", format!("GET /health HTTP/1.1\r\n{host}x: {}\r\n\r\n", "y".repeat(1 << 20))),
        ("two lengths", format!("{json_head}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}")),
        ("a chunk of nonsense", format!("{json_head}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n")),
        ("too long a body", format!("{json_head}content-length: 9999999\r\n\r\n{}", "x".repeat(2 << 20))),
        ("no JSON", format!("{json_head}content-length: 4\r\n\r\nnope")),
    ] {
        let status = server.raw(request.as_bytes()).status;
        assert!(status == 0 || (400..500).contains(&status), "{what}: {status}");
    }
    for (path, body) in [
        ("/api/v1/search", json!({})),
        ("/api/v1/search", json!({"query": "a", "limit": 0})),
        ("/api/v1/search", json!({"query": "a", "limit": 1_000_000})),
        ("/api/v1/search", json!({"query": "a", "mode": "psychic"})),
        ("/api/v1/search", json!({"query": "a", "qeury": "b"})),
        ("/api/v1/search", json!({"query": "a", "filter": {"since": "yesterday"}})),
        ("/api/v1/ask", json!({"question": "  "})),
        ("/api/v1/ask", json!({"question": "a", "max_tokens": 0})),
        ("/api/v1/ask", json!({"question": "a", "mode": "psychic"})),
        ("/api/v1/ingest", json!({"paths": []})),
        ("/v1/chat/completions", json!({"model": "sidenote", "messages": []})),
        ("/v1/embeddings", json!({"model": "sidenote-embedding", "input": []})),
        ("/v1/embeddings", json!({"model": "sidenote-embedding", "input": "too long ".repeat(200)})),
    ] {
        let reply = server.ask("POST", path, Some(&body));
        assert!(reply.status == 400, "{path} {body}: {reply:?}");
        assert!(!reply.body.is_empty() && reply.json().is_object());
    }
    let mistyped = json!({"model": "sidenote", "messages": [{"role": "user", "content": 7}]});
    let reply = server.ask("POST", "/v1/chat/completions", Some(&mistyped));
    assert_eq!(
        (reply.status, reply.json()["error"]["param"].clone()),
        (400, json!("messages[0].content")),
        "{reply:?}"
    );
    assert_eq!(server.ask("GET", "/api/v1/documents/x", None).status, 400);
    assert_eq!(server.ask("GET", "/api/v1/documents/1/text?start=9&end=3", None).status, 400);
    assert_eq!(server.ask("GET", "/api/v1/documents/999", None).status, 404);
    assert_eq!(server.ask("PUT", "/api/v1/status", None).status, 405);
    assert_eq!(server.ask("GET", "/nowhere", None).status, 404);
    assert_eq!(server.ask("GET", "/health", None).json()["status"], "ok");
}

#[test]
fn a_stopped_server_closes_its_streams_and_gives_the_port_back() {
    let Some(sandbox) = sandbox() else { return };
    let mut server = Server::start(&sandbox);
    let body = json!({"question": QUESTION, "stream": true}).to_string();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(
        stream,
        "POST /api/v1/ask HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        server.address,
        server.token,
        body.len()
    )
    .unwrap();
    let mut begun = [0_u8; 12];
    stream.read_exact(&mut begun).unwrap();
    let interrupted = Instant::now();
    server.interrupt();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    // The last chunk of a body is empty: the stream was closed, not cut.
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(server.child.wait().unwrap().code(), Some(130));
    // The promise is five seconds; other tests run beside this one.
    assert!(interrupted.elapsed() < Duration::from_secs(15), "{:?}", interrupted.elapsed());
    assert!(TcpStream::connect(&server.address).is_err());
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let Some(sandbox) = sandbox() else { return };
    let server = Server::start(&sandbox);
    let port = server.address.rsplit(':').next().unwrap();
    let run = sandbox.run(["serve", "--port", port]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("cannot listen on") && run.stderr.contains("--port"), "{run:?}");
}

#[test]
fn requests_that_name_no_collection_mean_that_of_the_command_line() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.write("other/visits.md", "Visitors sign the book at the gate.\n");
    assert_eq!(sandbox.run(["--collection", "site", "ingest", "docs/other"]).code, 0);
    let server = Server::start_with(&sandbox, &["--collection", "site"]);
    let collections = |reply: Reply, of: &str| -> BTreeSet<String> {
        let reply = reply.json();
        let documents = reply[of].as_array().unwrap().iter().map(|one| one.get("document").unwrap_or(one).clone());
        documents.map(|document| document["collection"].as_str().unwrap().to_owned()).collect()
    };
    let site = BTreeSet::from(["site".to_owned()]);
    assert_eq!(collections(server.ask("GET", "/api/v1/documents", None), "documents"), site);
    let search = json!({"query": "who signs the book"});
    assert_eq!(collections(server.ask("POST", "/api/v1/search", Some(&search)), "hits"), site);
    let named = json!({"query": "who signs the book", "filter": {"collection": "default"}});
    let found = collections(server.ask("POST", "/api/v1/search", Some(&named)), "hits");
    assert_eq!(found, BTreeSet::from(["default".to_owned()]));
}

#[test]
fn the_client_of_prometheus_reads_what_was_done_and_nothing_of_the_documents() {
    let Some(sandbox) = sandbox() else { return };
    if !has_clients() {
        return;
    }
    let server = Server::start(&sandbox);
    let search = json!({"query": "hotel night"});
    server.ask("POST", "/api/v1/search", Some(&search));
    server.ask("POST", "/api/v1/search", Some(&search));
    let quotes = json!({"question": QUESTION, "mode": "extract"});
    assert_eq!(server.ask("POST", "/api/v1/ask", Some(&quotes)).json()["answered"], true);
    assert_eq!(server.ask("GET", "/api/v1/metrics", None).status, 200);
    let url = format!("http://{}", server.address);
    let seen = seen_by(client("metrics_client.py").args([&url, &server.token]));
    let value = |name: &str, labels: Value| -> Option<f64> {
        let samples = seen["samples"].as_array().unwrap();
        samples.iter().find(|sample| sample[0] == name && sample[1] == labels)?[2].as_f64()
    };
    assert_eq!(value("sidenote_searches_total", json!({"outcome": "found"})), Some(2.0), "{seen:#}");
    assert_eq!(value("sidenote_search_seconds_count", json!({"stage": "lexical"})), Some(2.0));
    assert!(value("sidenote_search_seconds_sum", json!({"stage": "total"})).unwrap() > 0.0);
    assert_eq!(value("sidenote_questions_total", json!({"outcome": "answered"})), Some(1.0));
    assert_eq!(value("sidenote_answer_seconds_count", json!({"stage": "first_sentence"})), Some(1.0));
    assert_eq!(value("sidenote_answer_seconds_count", json!({"stage": "prefill"})), None, "no model was asked");
    assert_eq!(value("sidenote_documents", json!({})), Some(3.0));
    assert_eq!(value("sidenote_questions_running", json!({})), Some(0.0));
    assert!(value("sidenote_resident_memory_bytes", json!({})).unwrap() > 1e6);
    let text = seen["text"].as_str().unwrap();
    for word in ["hotel", "travel", "Ruth", "docs/"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[test]
fn openais_own_client_works_unchanged() {
    let Some(sandbox) = sandbox() else { return };
    if !has_clients() {
        return;
    }
    let server = Server::start(&sandbox);
    let url = format!("http://{}", server.address);
    let seen = seen_by(client("openai_client.py").args([&url, &server.token]));
    assert_eq!(seen["models"], json!(["sidenote", "sidenote-raw", "sidenote-embedding"]));
    check_schema("ask", &seen["answer"]);
    assert!(seen["answer"]["standalone"].is_null() && seen["follow_up"]["standalone"].is_string(), "{seen}");
    assert_eq!(seen["content"], seen["answer"]["answer"]);
    let cited = seen["cited"].as_array().unwrap();
    assert!(!cited.is_empty() && cited.iter().all(|note| note["mark"].as_str().unwrap().starts_with('[')), "{seen}");
    assert!(cited[0]["url"].as_str().unwrap().starts_with("file:///"), "{seen}");
    // The same question again gives the same answer, streamed or not.
    assert_eq!(seen["streamed"]["text"], seen["content"]);
    assert_eq!((&seen["streamed"]["reasons"], &seen["streamed"]["notes"]), (&json!(["stop"]), &json!(cited.len())));
    assert_eq!(seen["raw"]["reasons"].as_array().unwrap().len(), 1);
    assert!(seen["raw"]["completion_tokens"].as_u64().unwrap() <= 8 && seen["raw"]["text"] != "", "{seen}");
    assert_eq!(seen["dimensions"], json!([384, 384]));
    assert!((seen["norm"].as_f64().unwrap() - 1.0).abs() < 1e-3);
    assert_eq!(seen["unknown_model"], json!(["NotFoundError", 404, "model_not_found"]));
    assert_eq!(seen["bad_field"], json!(["BadRequestError", 400, "usage"]));
    assert_eq!(seen["wrong_token"][1], 401);
}

#[test]
fn a_person_asks_in_a_browser_and_opens_a_note() {
    if std::env::var_os("SIDENOTE_SLOW_TESTS").is_none() {
        eprintln!("the browser is driven with SIDENOTE_SLOW_TESTS=1");
        return;
    }
    let Some(sandbox) = sandbox() else { return };
    sandbox.write("<img src=x onerror=alert(1)>.md", "# <img src=x onerror=alert(1)>\n\n<script>alert(2)</script>\n");
    assert_eq!(sandbox.run(["ingest", "docs", "-q"]).code, 0);
    let server = Server::start(&sandbox);
    let chromium = std::env::var_os("SIDENOTE_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    let seen = seen_by(client("page.py").arg(&server.page).arg(chromium));
    assert_eq!((&seen["foreign_requests"], &seen["complaints"]), (&json!([]), &json!([])), "{seen}");
    assert_eq!(seen["code_is_gone"], true);
    assert!(!seen["marked"].as_str().unwrap().is_empty(), "{seen}");
    assert!(seen["quote"].as_str().unwrap().contains(seen["marked"].as_str().unwrap().trim()), "{seen}");
    assert!(seen["quotes_only"].as_str().unwrap().contains("none: quotes alone"), "{seen}");
    assert!(seen["past"].as_str().unwrap().contains("Who approves travel expenses?"), "{seen}");
    assert_eq!(seen["quote_again"], seen["quote"], "{seen}");
    assert_eq!((&seen["mark_has_focus"], &seen["source_closes"]), (&json!(true), &json!(true)), "{seen}");
    assert!(seen["first_hit"].as_str().unwrap().contains("140 euros"), "{seen}");
    assert!(seen["documents"].as_str().unwrap().contains("<img src=x onerror=alert(1)>"), "{seen}");
    assert_eq!(seen["images"], 0, "{seen}");
}

/// Whether the Python with the clients is there; said, where it is not.
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
pub(super) fn has_clients() -> bool {
    let python = clients_python();
    if !python.exists() {
        assert!(
            std::env::var_os("SIDENOTE_REQUIRE_MODELS").is_none(),
            "{} is missing; `make test` makes it",
            python.display()
        );
        eprintln!("SKIPPED: {} is missing", python.display());
        return false;
    }
    true
}

/// A script of `tests/clients`, run by the Python that has the clients.
pub(super) fn client(script: &str) -> Command {
    let mut command = Command::new(clients_python());
    command.arg(repository().join("tests/clients").join(script));
    command
}

/// What a client says that it has seen.
pub(super) fn seen_by(client: &mut Command) -> Value {
    let done = client.output().unwrap();
    assert!(done.status.success(), "{client:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn clients_python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"), PathBuf::from);
    cache.join("sidenote/clients/bin/python")
}
