//! A language model on a server: what the server may do wrong, with a server that does it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidenote_model::{
    ChatMessage, GenerateRequest, Generation, Generator, ModelError, RemoteGenerator, RemoteOptions, Role, Sampling,
    StopReason,
};

/// A request as it came in.
struct Heard {
    head: String,
    body: Value,
}

/// Takes one connection after the other, each for one request, and answers with what `answer` writes.
fn server(answer: impl Fn(&Heard, &mut TcpStream) + Send + 'static) -> (String, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (sender, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let length = lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
            reader.read_exact(&mut body).unwrap();
            let request = Heard { head, body: serde_json::from_slice(&body).unwrap_or_default() };
            answer(&request, &mut stream);
            let _ = sender.send(request);
        }
    });
    (url, heard)
}

/// One that answers every request with these bytes, and closes.
fn server_that_says(reply: String) -> (String, Receiver<Heard>) {
    server(move |_, stream| {
        let _ = stream.write_all(reply.as_bytes());
    })
}

fn stream_of(events: &[Value]) -> String {
    let events: String = events.iter().map(|event| format!(": a comment\n\ndata: {event}\n\n")).collect();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}data: [DONE]\n\n")
}

fn says(text: &str) -> Value {
    json!({"choices": [{"delta": {"content": text}, "finish_reason": null}]})
}

fn ends(reason: &str) -> Value {
    json!({"choices": [{"delta": {}, "finish_reason": reason}]})
}

fn generator(url: &str) -> RemoteGenerator {
    let options = RemoteOptions {
        url: url.to_owned(),
        model: "small".to_owned(),
        key: Some("secret".to_owned()),
        context_tokens: 1000,
        allow_unencrypted: false,
    };
    RemoteGenerator::new(options).unwrap()
}

fn ask(url: &str, edit: impl FnOnce(&mut GenerateRequest)) -> Result<(Generation, Vec<String>), ModelError> {
    let generator = generator(url);
    let prompt =
        generator.render(&[ChatMessage::new(Role::System, "Be \"brief\"."), ChatMessage::new(Role::User, "What?")])?;
    let mut request = GenerateRequest::greedy(prompt, 20);
    edit(&mut request);
    let mut pieces = Vec::new();
    let generation = generator.generate(&request, &mut |piece| {
        pieces.push(piece.to_owned());
        ControlFlow::Continue(())
    })?;
    assert_eq!(generation.text, pieces.concat());
    Ok((generation, pieces))
}

fn reason(outcome: Result<(Generation, Vec<String>), ModelError>) -> String {
    match outcome {
        Err(ModelError::Endpoint { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_asked_is_what_openais_clients_ask_and_what_comes_is_counted() {
    let token = |text: &str, logprob: f32| {
        json!({"choices": [{"delta": {"content": text}, "finish_reason": null,
            "logprobs": {"content": [{"token": text, "logprob": logprob, "top_logprobs": []}]}}]})
    };
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 31, "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 30}}});
    let (url, heard) = server_that_says(stream_of(&[
        json!({"choices": [{"delta": {"role": "assistant", "content": null}}]}),
        token("It", -0.5),
        token(" is.", -1.5),
        ends("stop"),
        usage,
    ]));
    let sampling = Sampling::Temperature { temperature: 0.5, top_p: 0.9, seed: 7 };
    let (generation, pieces) = ask(&url, |request| request.sampling = sampling).unwrap();
    assert_eq!(pieces, ["It", " is."]);
    assert_eq!(generation.stop_reason, StopReason::EndOfText);
    assert_eq!((generation.tokens_prompt, generation.tokens_reused, generation.tokens_generated), (31, 30, 2));
    let logprobs = [generation.first_logprob, generation.mean_logprob, generation.min_logprob];
    assert_eq!(logprobs, [-0.5, -1.0, -1.5]);
    let request = heard.recv().unwrap();
    assert!(request.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", request.head);
    assert!(request.head.to_lowercase().contains("authorization: bearer secret\r\n"), "{}", request.head);
    let messages = json!([{"role": "system", "content": "Be \"brief\"."}, {"role": "user", "content": "What?"}]);
    assert_eq!(request.body["messages"], messages);
    for (field, value) in [("model", json!("small")), ("max_tokens", json!(20)), ("stream", json!(true))] {
        assert_eq!(request.body[field], value);
    }
    assert_eq!((&request.body["temperature"], &request.body["seed"]), (&json!(0.5), &json!(7)));
}

#[test]
fn stops_and_limits_are_kept_here() {
    let (url, _) = server_that_says(stream_of(&[says("one tw"), says("o thr"), says("ee four"), ends("stop")]));
    let (generation, _) = ask(&url, |request| request.stop = vec!["three".to_owned()]).unwrap();
    assert_eq!((generation.text.as_str(), generation.stop_reason), ("one two ", StopReason::StopString));
    let (generation, _) = ask(&url, |request| request.max_tokens = 2).unwrap();
    assert_eq!((generation.text.as_str(), generation.stop_reason), ("one two thr", StopReason::MaxTokens));
    assert_eq!(generation.tokens_generated, 2);
    let (url, _) = server_that_says(stream_of(&[says("one"), ends("length")]));
    assert_eq!(ask(&url, |_| ()).unwrap().0.stop_reason, StopReason::MaxTokens);
}

#[test]
fn a_server_that_never_ends_is_left() {
    let (url, _) = server(|_, stream| {
        let event = format!("data: {}\n\n", says("and so on "));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(event.as_bytes()).is_ok() {}
    });
    let (generation, pieces) = ask(&url, |_| ()).unwrap();
    assert_eq!((pieces.len(), generation.stop_reason), (20, StopReason::MaxTokens));
    let (url, _) = server_that_says(stream_of(&[says(&"x".repeat(100_000)), ends("stop")]));
    assert_eq!(ask(&url, |_| ()).unwrap().0.text, "", "no token has so many bytes");
}

#[test]
fn a_silent_server_does_not_hold_up_whoever_has_enough() {
    let (url, _) = server(|_, _| std::thread::sleep(Duration::from_secs(60)));
    let begun = Instant::now();
    let (generation, _) = ask(&url, |request| {
        let cancel = request.cancel.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            cancel.cancel();
        });
    })
    .unwrap();
    assert_eq!(generation.stop_reason, StopReason::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_is_no_answer_is_an_error_that_says_what_it_was() {
    let answers = |head: &str, body: &str| {
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    };
    let long_line = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ndata: {}", "x".repeat(2 << 20));
    let long_message =
        json!({"error": {"message": format!("too long:\u{1b}[31m {}", "word ".repeat(1000))}}).to_string();
    for (reply, expected) in [
        (answers("401 Unauthorized", r#"{"error": {"message": "Invalid API Key"}}"#), "status 401: Invalid API Key"),
        (answers("404 Not Found", "<html>"), "status 404 Not Found"),
        (answers("422 Unprocessable", r#"{"detail": "no such field"}"#), "status 422: no such field"),
        (answers("307 Temporary Redirect", ""), "status 307 Temporary Redirect"),
        (answers("200 OK", "<html>hello</html>"), "it did not answer with a stream of events"),
        (answers("200 OK", "data: {]\n\n"), "an event of its stream is no JSON"),
        (answers("200 OK", "data: [1]\n\n"), "an event of its stream is none of a chat completion"),
        (answers("200 OK", "data: {\"error\": \"out of memory\"}\n\n"), "out of memory"),
        (answers("200 OK", &format!("data: {}\n\n", says("It"))), "it broke off in the middle"),
        (answers("400 Bad Request", &long_message), "status 400: too long: [31m word"),
        (long_line, "a line of its answer has more than 1048576 bytes"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), ""),
        (String::new(), ""),
    ] {
        let (url, _) = server_that_says(reply);
        let reason = reason(ask(&url, |_| ()));
        assert!(reason.starts_with(expected) && reason.chars().count() < 250, "{reason:?} is not {expected:?}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(!reason(ask(&format!("http://{nobody}/v1"), |_| ())).is_empty());
}

#[test]
fn a_redirect_is_not_followed_with_what_was_asked() {
    let (elsewhere, heard) = server_that_says(stream_of(&[says("Mine."), ends("stop")]));
    let (url, _) = server_that_says(format!(
        "HTTP/1.1 308 Permanent Redirect\r\nlocation: {elsewhere}/chat/completions\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    ));
    assert_eq!(reason(ask(&url, |_| ())), "status 308 Permanent Redirect");
    assert!(heard.recv_timeout(Duration::from_millis(300)).is_err(), "what was asked went elsewhere");
}

#[test]
fn what_would_be_read_on_the_way_is_not_sent() {
    for (url, allow_unencrypted, expected) in [
        ("http://127.0.0.1:8080/v1", false, true),
        ("http://[::1]:8080/v1", false, true),
        ("http://localhost/v1", false, true),
        ("https://llm.example.org/v1", false, true),
        ("http://llm.example.org/v1", false, false),
        ("http://192.168.1.7:8080/v1", false, false),
        ("http://192.168.1.7:8080/v1", true, true),
        ("http://localhost.example.org/v1", false, false),
        ("https://me:secret@llm.example.org/v1", false, false),
        ("https://llm.example.org/v1?key=1", false, false),
        ("ftp://llm.example.org", true, false),
        ("/v1", true, false),
        ("llm", true, false),
        ("", true, false),
    ] {
        let options = RemoteOptions { url: url.to_owned(), allow_unencrypted, ..RemoteOptions::default() };
        assert_eq!(RemoteGenerator::new(options).is_ok(), expected, "{url}");
    }
}

#[test]
fn tokens_are_estimated_by_words_digits_and_signs() {
    let generator = generator("http://localhost/v1");
    for (text, tokens) in [
        ("", 0),
        ("   ", 0),
        ("the lease ends", 3),
        ("expiration date", 3),
        ("31.12.2027", 10),
        ("a\nb", 3),
        ("Übergänge", 3),
        ("契約は終わる", 6),
    ] {
        assert_eq!(generator.count_tokens(text), tokens, "{text:?}");
    }
}

#[test]
fn a_prompt_that_does_not_fit_and_a_grammar_are_refused_before_anything_is_sent() {
    let (url, heard) = server_that_says(stream_of(&[ends("stop")]));
    let generator = generator(&url);
    let prompt = generator.render(&[ChatMessage::new(Role::User, "word ".repeat(2000))]).unwrap();
    let refused = generator.generate(&GenerateRequest::greedy(prompt, 1), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(ModelError::PromptTooLong { limit: 999, .. })), "{refused:?}");
    let refused = ask(&url, |request| request.grammar = Some("root ::= \"x\"".to_owned()));
    assert!(matches!(refused, Err(ModelError::Request(_))), "{refused:?}");
    assert!(heard.try_recv().is_err());
}

#[test]
fn the_model_and_its_context_are_what_the_server_says() {
    let of_list = |list: &Value, wanted: &str, context_tokens: usize| {
        let list = list.to_string();
        let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{list}", list.len());
        let (url, _) = server_that_says(reply);
        let options = RemoteOptions { url, model: wanted.to_owned(), context_tokens, ..RemoteOptions::default() };
        let generator = RemoteGenerator::new(options).unwrap();
        let prompt = generator.render(&[ChatMessage::new(Role::User, "What?")]).unwrap();
        let info = generator.info();
        let asked = generator.generate(&GenerateRequest::greedy(prompt, 1), &mut |_| ControlFlow::Continue(()));
        (info.name.split(' ').next().unwrap().to_owned(), info.context_tokens, asked.unwrap_err().to_string())
    };
    let llama = json!({"data": [{"id": "one.gguf", "meta": {"n_ctx": 2048}}]});
    let vllm = json!({"data": [{"id": "large", "max_model_len": 32768}, {"id": "adapter", "max_model_len": 16384}]});
    let (name, tokens, _) = of_list(&llama, "", 0);
    assert_eq!((name.as_str(), tokens), ("one.gguf", 2048));
    assert_eq!(of_list(&llama, "", 1000).1, 1000);
    assert_eq!(of_list(&llama, "", 9000).1, 2048);
    assert_eq!(of_list(&vllm, "adapter", 0).1, 16384);
    assert_eq!(of_list(&vllm, "unlisted", 0).1, 4096);
    let (_, _, error) = of_list(&vllm, "", 0);
    assert!(error.contains("it has 2 models and none was named: large, adapter"), "{error}");
}

#[test]
fn continuations_are_compared_by_their_first_token() {
    let likeliest = json!({"choices": [{"delta": {"content": "No"}, "finish_reason": null, "logprobs": {"content": [
        {"token": "No", "logprob": -0.25, "top_logprobs": [
            {"token": "No", "logprob": -0.25}, {"token": "Yes", "logprob": -2.5}, {"token": "The", "logprob": -4.0}]}]}}]});
    let (url, heard) = server_that_says(stream_of(&[likeliest, ends("length")]));
    let generator = generator(&url);
    let prompt = generator.render(&[ChatMessage::new(Role::User, "Is it?")]).unwrap();
    assert_eq!(generator.score(&prompt, &["Yes", "No", "Maybe"]).unwrap(), [-2.5, -0.25, -4.0]);
    // One that gives no log-probabilities says at least which it would write.
    let (url, _) = server_that_says(stream_of(&[says(" Yes"), ends("length")]));
    let scores = self::generator(&url).score(&prompt, &["Yes", "No"]).unwrap();
    assert!(scores[0] > scores[1], "{scores:?}");
    let body = heard.recv().unwrap().body;
    assert_eq!((&body["max_tokens"], &body["top_logprobs"]), (&json!(1), &json!(20)));
}
