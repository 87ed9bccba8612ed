//! Requests of every kind, good and bad, from several threads at once: afterwards the same questions have the same answers.

mod common;
#[allow(dead_code, reason = "each program uses some of it")]
#[path = "../../../bench/support/random.rs"]
mod random;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use common::{chat, run, small_gguf};
use random::Random;
use sidenote_model::{
    CancelToken, GenerateRequest, Generator, LlamaGenerator, LlamaOptions, ModelError, Prompt, StopReason, TokenId,
};

const THREADS: u64 = 4;
const CONTEXT_TOKENS: usize = 1024;
const QUESTIONS: [&str; 5] = [
    "What is the capital of France?",
    "What is the capital of France, and of Spain?",
    "Count to five.",
    "Is the river deep? It passes two bridges and a weir, and below the second bridge it is wide enough for boats. In the \
     summer of the great drought it fell so low that children walked across, and the fish were carried to the lake.",
    "Name a colour.",
];

/// A question and what a generator says to it that has never been asked anything else.
struct Known {
    prompt: Prompt,
    /// With at most as many tokens as the place says, and one.
    answers: Vec<(String, f32)>,
    scores: Vec<f32>,
}

fn load(path: &Path, kept_bytes: usize, turn: Duration) -> LlamaGenerator {
    let options = LlamaOptions { context_tokens: CONTEXT_TOKENS, kept_bytes, turn, ..LlamaOptions::default() };
    LlamaGenerator::load(path, &options).expect("the generator loads")
}

#[test]
fn a_short_question_is_answered_beside_a_long_text_and_both_are_what_they_are_alone() {
    let Some(path) = small_gguf() else { return };
    let turns = load(&path, 64 << 20, Duration::from_millis(50));
    let long = GenerateRequest::greedy(chat(&turns, "You tell long stories.", "Tell me of a lighthouse."), 400);
    let short = GenerateRequest::greedy(chat(&turns, "Be brief.", QUESTIONS[3]), 12);
    let (long_alone, _) = run(&turns, &long);
    let (short_alone, _) = run(&turns, &short);
    assert!(long_alone.tokens_generated > 100, "{long_alone:?}");

    // Asked when the long one has begun; each notes how far the long one is.
    let beside = |generator: &LlamaGenerator| {
        let pieces = AtomicUsize::new(0);
        let (begun, begins) = channel();
        std::thread::scope(|scope| {
            let (pieces, short) = (&pieces, &short);
            let asking = scope.spawn(move || {
                begins.recv().expect("the long one begins");
                let (answer, _) = run(generator, short);
                (answer, pieces.load(Ordering::SeqCst))
            });
            let mut begun = Some(begun);
            let told = generator.generate(&long, &mut |_| {
                pieces.fetch_add(1, Ordering::SeqCst);
                if let Some(begun) = begun.take() {
                    begun.send(()).expect("somebody waits for it");
                }
                ControlFlow::Continue(())
            });
            let (answer, at) = asking.join().expect("answered");
            let told = told.expect("told");
            assert_eq!((&told.text, told.mean_logprob), (&long_alone.text, long_alone.mean_logprob));
            assert_eq!((&answer.text, answer.mean_logprob), (&short_alone.text, short_alone.mean_logprob));
            (at < pieces.load(Ordering::SeqCst), told)
        })
    };
    let (was_first, told) = beside(&turns);
    assert!(was_first, "the short answer waited for the end of the long text");
    assert!(told.timings.wait_ms > 0.0);
    let (was_first, _) = beside(&load(&path, 0, Duration::ZERO));
    assert!(!was_first, "there was no room to set anything aside");
}

#[test]
fn who_is_cancelled_while_others_write_does_not_wait_for_them() {
    let Some(path) = small_gguf() else { return };
    let generator = load(&path, 0, Duration::ZERO);
    let long = GenerateRequest::greedy(chat(&generator, "You tell long stories.", "Tell me of a lighthouse."), 400);
    let cancel = CancelToken::new();
    let waiting = GenerateRequest { cancel: cancel.clone(), ..long.clone() };
    std::thread::scope(|scope| {
        let (begun, begins) = channel();
        let (generator, waiting, enough) = (&generator, &waiting, &CancelToken::new());
        let stop_the_long_one = enough.clone();
        scope.spawn(move || {
            begins.recv().expect("the long one begins");
            let canceller = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            let (answer, _) = run(generator, waiting);
            assert_eq!((answer.stop_reason, answer.text.as_str()), (StopReason::Cancelled, ""));
            canceller.join().expect("cancelled");
            stop_the_long_one.cancel();
        });
        let mut begun = Some(begun);
        let told = generator.generate(&GenerateRequest { cancel: enough.clone(), ..long }, &mut |_| {
            if let Some(begun) = begun.take() {
                begun.send(()).expect("somebody waits for it");
            }
            ControlFlow::Continue(())
        });
        let told = told.expect("told");
        assert_eq!(told.stop_reason, StopReason::Cancelled, "the cancelled one waited for the end of the long one");
    });
}

#[test]
fn whatever_is_asked_in_whatever_order_the_answers_stay_the_same() {
    let Some(path) = small_gguf() else { return };
    let slow = std::env::var_os("SIDENOTE_SLOW_TESTS").is_some();
    let requests = if slow { 1_000 } else { 120 };
    let known: Vec<Known> = {
        let forgetful = load(&path, 0, Duration::MAX);
        QUESTIONS.iter().map(|question| cold(&forgetful, question)).collect()
    };
    // Room for a few states: some are found again and some had to go. Turns are a token long.
    let generator = load(&path, 8 << 20, Duration::ZERO);
    std::thread::scope(|scope| {
        for seed in 0..THREADS {
            let (generator, known) = (&generator, &known);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..requests / THREADS {
                    ask_anything(generator, known, &mut random);
                }
            });
        }
    });
    assert!(
        generator.prompt_hit_rate().is_some_and(|rate| rate > 0.1 && rate < 1.0),
        "{:?}",
        generator.prompt_hit_rate()
    );
    // Nothing of all that is left in the way: a prompt that needs all of the context still has it.
    let whole = Prompt { tokens: vec![known[0].prompt.tokens[1]; CONTEXT_TOKENS - 1], ..known[0].prompt.clone() };
    let (generation, _) = run(
        &generator,
        &GenerateRequest::greedy(Prompt { cuts: Vec::new(), fixed_tokens: 0, shared_tokens: 0, ..whole }, 1),
    );
    assert_eq!(generation.tokens_prompt, CONTEXT_TOKENS - 1);
    for question in &known {
        let (generation, _) = run(&generator, &GenerateRequest::greedy(question.prompt.clone(), 2));
        assert_eq!((generation.text, generation.mean_logprob), question.answers[1]);
    }
}

const CONTINUATIONS: [&str; 2] = ["Yes", "No, it is not."];

fn cold(forgetful: &LlamaGenerator, question: &str) -> Known {
    let prompt = chat(forgetful, "Be brief.", question);
    let other = chat(forgetful, "Something else.", "And nothing that is asked here.");
    let fresh = || forgetful.score(&other, &["Yes"]).expect("scored");
    let answer = |most| {
        fresh();
        let (generation, _) = run(forgetful, &GenerateRequest::greedy(prompt.clone(), most));
        (generation.text, generation.mean_logprob)
    };
    let answers = (1..=4).map(answer).collect();
    fresh();
    let scores = forgetful.score(&prompt, &CONTINUATIONS).expect("scored");
    Known { prompt, answers, scores }
}

fn ask_anything(generator: &LlamaGenerator, known: &[Known], random: &mut Random) {
    let question = &known[random.below(known.len())];
    let most = 1 + random.below(4);
    let request = GenerateRequest::greedy(question.prompt.clone(), most);
    let refused = |request: &GenerateRequest| {
        generator.generate(request, &mut |_| ControlFlow::Continue(())).expect_err("refused")
    };
    match random.below(12) {
        0 => {
            let cancel = CancelToken::new();
            cancel.cancel();
            let (generation, _) = run(generator, &GenerateRequest { cancel, ..request });
            assert_eq!((generation.stop_reason, generation.text.as_str()), (StopReason::Cancelled, ""));
        }
        1 => {
            let request = GenerateRequest { max_tokens: 200, ..request };
            let stopped = generator.generate(&request, &mut |_| ControlFlow::Break(())).expect("stopped");
            assert!(matches!(stopped.stop_reason, StopReason::Cancelled | StopReason::EndOfText), "{stopped:?}");
        }
        2 => {
            let prompt =
                Prompt { tokens: vec![TokenId(5); CONTEXT_TOKENS + random.below(9_000)], ..question.prompt.clone() };
            assert!(matches!(refused(&GenerateRequest { prompt, ..request }), ModelError::PromptTooLong { .. }));
        }
        3 => {
            let mut prompt = question.prompt.clone();
            let place = random.below(prompt.tokens.len());
            prompt.tokens[place] = TokenId([-1, i32::MAX, i32::MIN][random.below(3)]);
            assert!(matches!(refused(&GenerateRequest { prompt, ..request }), ModelError::Request(_)));
        }
        4 => {
            let prompt = Prompt { tokens: Vec::new(), ..question.prompt.clone() };
            assert!(matches!(refused(&GenerateRequest { prompt, ..request }), ModelError::Request(_)));
        }
        5 => {
            let grammar = ["root ::= (", "root ::= missing", "no root"][random.below(3)].to_owned();
            assert!(matches!(refused(&GenerateRequest { grammar: Some(grammar), ..request }), ModelError::Request(_)));
        }
        6 => {
            let grammar = Some("root ::= \"maybe \" (\"so\" | \"not\")".to_owned());
            let (generation, _) = run(generator, &GenerateRequest { grammar, max_tokens: 9, ..request });
            assert!(["maybe so", "maybe not"].contains(&generation.text.as_str()), "{generation:?}");
        }
        7 => {
            let scores = generator.score(&question.prompt, &CONTINUATIONS).expect("scored");
            assert_eq!(scores, question.scores);
        }
        _ => {
            let (generation, _) = run(generator, &request);
            assert_eq!((generation.text, generation.mean_logprob), question.answers[most - 1]);
        }
    }
}
