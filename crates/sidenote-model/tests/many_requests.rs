//! Requests of every kind, good and bad, from several threads at once: afterwards the same questions have the same answers.

mod common;
#[allow(dead_code, reason = "each program uses some of it")]
#[path = "../../../bench/support/random.rs"]
mod random;

use std::ops::ControlFlow;

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

#[test]
fn whatever_is_asked_in_whatever_order_the_answers_stay_the_same() {
    let Some(path) = small_gguf() else { return };
    let slow = std::env::var_os("SIDENOTE_SLOW_TESTS").is_some();
    let requests = if slow { 1_000 } else { 120 };
    let load = |kept_bytes| {
        let options = LlamaOptions { context_tokens: CONTEXT_TOKENS, kept_bytes, ..LlamaOptions::default() };
        LlamaGenerator::load(&path, &options).expect("the generator loads")
    };
    let known: Vec<Known> = {
        let forgetful = load(0);
        QUESTIONS.iter().map(|question| cold(&forgetful, question)).collect()
    };
    // Room for a few states: some are found again and some had to go.
    let generator = load(8 << 20);
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
    let (generation, _) =
        run(&generator, &GenerateRequest::greedy(Prompt { cuts: Vec::new(), fixed_tokens: 0, ..whole }, 1));
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
