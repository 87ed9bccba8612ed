//! A language model on a server: llama.cpp's own server, and another sidenote. Both are real, and so is the model.

use std::{
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::PathBuf,
    process::{Child, ChildStdin, Stdio},
};

use serde_json::Value;
use sidenote::{CancelToken, ChatMessage, Config, Engine, GenerateOptions, Role, Sampling};

use super::{
    ask::{QUESTIONS, check_answer, handbook},
    sandbox::{SMALL_GENERATOR, Sandbox, models_folder},
    serve::{Server, client, has_clients, sandbox},
};

const KEY: &str = "a-key-of-its-own";

/// llama.cpp's server with the small model; it ends with the value.
struct LlamaServer {
    child: Child,
    stdin: Option<ChildStdin>,
    url: String,
}

impl LlamaServer {
    fn start() -> Self {
        let mut child = client("llama_server.py")
            .arg(models_folder().join(SMALL_GENERATOR).join("model.gguf"))
            .arg(KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("http://127.0.0.1:"), "{address:?}");
        let stdin = child.stdin.take();
        Self { child, stdin, url: format!("{}/v1", address.trim()) }
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Documents that are asked about with the model at `url`.
fn handbook_with(url: &str, key: &str) -> Option<(Sandbox, PathBuf)> {
    let mut sandbox = handbook()?;
    let key_file = sandbox.path().join("key");
    fs_err::write(&key_file, format!("{key}\n")).unwrap();
    sandbox.set("SIDENOTE_REMOTE_URL", url);
    sandbox.set("SIDENOTE_REMOTE_KEY_FILE", &key_file);
    // What is here is not looked at.
    sandbox.set("SIDENOTE_MODELS_GENERATOR", "/nowhere/model.gguf");
    Some((sandbox, key_file))
}

#[test]
fn llama_cpps_own_server_takes_the_place_of_the_model() {
    if !has_clients() {
        return;
    }
    let server = LlamaServer::start();
    let Some((mut sandbox, key_file)) = handbook_with(&server.url, KEY) else { return };
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    for question in QUESTIONS {
        let run = sandbox.run(["ask", question, "--json"]);
        assert_eq!(run.code, 0, "{run:?}");
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        check_answer(&answer);
        let model = answer["model"].as_str().unwrap();
        assert!(model.contains("model.gguf") && model.ends_with(&format!(" at {}", server.url)), "{model}");
        assert!(run.stderr.contains(&format!("are sent to {}", server.url)), "{run:?}");
        assert!(answer["tokens"]["prompt"].as_u64().unwrap() > 50, "{answer:#}");
    }
    let quotes = sandbox.run(["ask", QUESTIONS[0], "--extract"]);
    assert!(quotes.code == 0 && !quotes.stderr.contains("are sent"), "{quotes:?}");
    let (code, refused) = sandbox.json(["pin", "--under", "docs"]);
    assert_eq!((code, &refused["error"]["kind"]), (2, &Value::from("config")), "{refused}");

    // It says how sure it is, and what it knew from before.
    let mut config = Config::default();
    config.paths.data = sandbox.data();
    config.remote.url.clone_from(&server.url);
    config.remote.key_file = key_file.to_string_lossy().into_owned();
    let engine = Engine::open(config).unwrap();
    let messages = [ChatMessage::new(Role::User, "Name three rivers, and say where each of them ends.")];
    let options = GenerateOptions { max_tokens: Some(8), stop: Vec::new(), sampling: Sampling::Greedy };
    let generate =
        || engine.generate(&messages, &options, &mut |_| ControlFlow::Continue(()), &CancelToken::new()).unwrap();
    let (first, again) = (generate(), generate());
    assert_eq!((&first.text, first.tokens_generated), (&again.text, 8));
    assert!(first.mean_logprob < 0.0 && first.min_logprob <= first.mean_logprob, "{first:?}");
    assert!(again.tokens_reused > 0 && again.tokens_reused < again.tokens_prompt, "{again:?}");
}

#[test]
fn a_sidenote_lends_its_model_to_another() {
    let Some(lender) = sandbox() else { return };
    let lending = Server::start(&lender);
    let url = format!("http://{}/v1", lending.address);
    let Some((mut sandbox, _)) = handbook_with(&url, &lending.token) else { return };
    let (code, unnamed) = sandbox.json(["ask", QUESTIONS[0]]);
    let said = unnamed["error"]["message"].as_str().unwrap();
    assert!(code == 2 && said.contains("none was named: sidenote, sidenote-raw, sidenote-embedding"), "{unnamed}");
    sandbox.set("SIDENOTE_REMOTE_MODEL", "sidenote-raw");
    sandbox.set("SIDENOTE_ANSWER_MIN_CONFIDENCE", "0");
    let (code, answer) = sandbox.json(["ask", QUESTIONS[1]]);
    assert_eq!(code, 0, "{answer}");
    check_answer(&answer);
    assert_eq!(answer["model"], format!("sidenote-raw at {url}"));
}

#[test]
fn a_server_that_refuses_or_is_not_there_is_named() {
    let Some(lender) = sandbox() else { return };
    let lending = Server::start(&lender);
    let url = format!("http://{}/v1", lending.address);
    let Some((mut sandbox, key_file)) = handbook_with(&url, "wrong") else { return };
    let (code, refused) = sandbox.json(["ask", QUESTIONS[0]]);
    let error = &refused["error"];
    assert_eq!((code, &error["kind"]), (2, &Value::from("endpoint")), "{refused}");
    assert!(error["message"].as_str().unwrap().contains(&format!("`{url}` cannot be used: status 401")), "{refused}");
    assert!(error["hint"].as_str().unwrap().contains("remote.key_file"), "{refused}");
    fs_err::write(&key_file, "\n").unwrap();
    let (code, refused) = sandbox.json(["ask", QUESTIONS[0]]);
    assert_eq!((code, &refused["error"]["kind"]), (2, &Value::from("config")), "{refused}");
    fs_err::write(&key_file, "right").unwrap();
    for (url, kind) in [("http://127.0.0.1:9/v1", "endpoint"), ("http://192.0.2.1/v1", "endpoint"), ("llm", "endpoint")]
    {
        sandbox.set("SIDENOTE_REMOTE_URL", url);
        let (code, refused) = sandbox.json(["ask", QUESTIONS[0]]);
        assert_eq!((code, &refused["error"]["kind"]), (2, &Value::from(kind)), "{url}: {refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(url), "{refused}");
    }
}
