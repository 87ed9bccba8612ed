//! What the model made of a prompt's beginning outlives the process.

mod common;

use std::path::{Path, PathBuf};

use common::{LONG_QUESTION, alone, run, small_gguf};
use sidenote_model::{
    ChatMessage, GenerateRequest, Generator, KeepShared, KvType, LlamaGenerator, LlamaOptions, Role, kept_states,
    retain_states,
};

#[test]
fn a_document_read_whole_waits_for_the_next_process_until_it_is_not_wanted_any_more() {
    let _alone = alone();
    let Some(path) = small_gguf() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let document = format!("[1] The river\n{}\n\n", LONG_QUESTION.repeat(4));
    let load = |state_folder: Option<&Path>| {
        let state_folder = state_folder.map(Path::to_owned);
        let options = LlamaOptions { context_tokens: 2048, state_folder, ..LlamaOptions::default() };
        LlamaGenerator::load(&path, &options).expect("loads")
    };
    let ask = |generator: &LlamaGenerator, question: &str, max_bytes: u64| {
        let messages = [ChatMessage::new(Role::System, "Be brief."), ChatMessage::sharing(&document, question)];
        let prompt = generator.render(&messages).expect("rendered");
        assert!(prompt.shared_tokens > 256 && prompt.cuts.contains(&prompt.shared_tokens), "{:?}", prompt.cuts);
        let shared = prompt.shared_tokens;
        let keep = Some(KeepShared { of: vec!["7".to_owned()], max_bytes });
        let (generation, _) = run(generator, &GenerateRequest { keep, ..GenerateRequest::greedy(prompt, 8) });
        ((generation.text, generation.mean_logprob), generation.tokens_reused, shared)
    };
    let (cold, reused, _) = ask(&load(None), "How low did it fall?", 1 << 30);
    assert_eq!(reused, 0);
    ask(&load(Some(folder.path())), "Is it deep?", 1000);
    assert_eq!(kept_states(folder.path()).count, 0, "there is no room for it");
    ask(&load(Some(folder.path())), "Is it deep?", 1 << 30);
    assert_eq!(kept_states(folder.path()).count, 1);
    let (restored, reused, shared) = ask(&load(Some(folder.path())), "How low did it fall?", 1 << 30);
    assert_eq!((restored, reused), (cold, shared));
    retain_states(folder.path(), &|name| name == "8").expect("retained");
    let (_, reused, _) = ask(&load(Some(folder.path())), "How low did it fall?", 0);
    assert_eq!((reused, kept_states(folder.path()).count), (0, 0));
}

#[test]
fn what_the_program_always_says_first_outlives_the_process_and_a_damaged_state_is_noticed() {
    let _alone = alone();
    let Some(path) = small_gguf() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let load = || {
        let state_folder = Some(folder.path().to_owned());
        let options = LlamaOptions { context_tokens: 2048, state_folder, ..LlamaOptions::default() };
        LlamaGenerator::load(&path, &options).expect("loads")
    };
    let ask = |generator: &LlamaGenerator, question: &str| {
        let messages = [
            ChatMessage::fixed(Role::System, "Be brief."),
            ChatMessage::fixed(Role::User, LONG_QUESTION),
            ChatMessage::fixed(Role::Assistant, "Yes"),
            ChatMessage::new(Role::User, question),
        ];
        let prompt = generator.render(&messages).expect("rendered");
        assert!(prompt.fixed_tokens > 64 && prompt.cuts.contains(&prompt.fixed_tokens));
        let (generation, _) = run(generator, &GenerateRequest::greedy(prompt.clone(), 8));
        ((generation.text, generation.mean_logprob), generation.tokens_reused, prompt.fixed_tokens)
    };
    let states = || -> Vec<PathBuf> {
        fs_err::read_dir(folder.path()).expect("read").map(|entry| entry.expect("an entry").path()).collect()
    };

    let first = load();
    let (cold, reused, _) = ask(&first, "Is the river long?");
    assert_eq!(reused, 0);
    assert_eq!(states().len(), 2);
    let (_, reused, fixed) = ask(&first, "Is it deep?");
    assert_eq!(reused, fixed);
    drop(first);
    let (restored, reused, fixed) = ask(&load(), "Is the river long?");
    assert_eq!((&restored, reused), (&cold, fixed));

    // A byte of the state, then the note of what it has to give.
    let state = states().into_iter().find(|path| path.extension().is_some_and(|end| end == "state")).expect("a state");
    let mut bytes = fs_err::read(&state).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&state, bytes).expect("written");
    let (anew, reused, _) = ask(&load(), "Is the river long?");
    assert_eq!((&anew, reused), (&cold, 0));
    let note = state.with_extension("json");
    let text = fs_err::read_to_string(&note).expect("read");
    let mut fields: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    fields["scores_sha256"] = "0".repeat(64).into();
    fs_err::write(&note, fields.to_string()).expect("written");
    let (anew, reused, _) = ask(&load(), "Is the river long?");
    assert_eq!((&anew, reused), (&cold, 0));
    assert_eq!(fs_err::read_to_string(&note).expect("written anew"), text);
}

#[test]
fn a_cache_of_whole_numbers_answers_and_keeps_states_of_its_own() {
    let _alone = alone();
    let Some(path) = small_gguf() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ask = |kv_type| {
        let state_folder = Some(folder.path().to_owned());
        let options = LlamaOptions { context_tokens: 1024, kv_type, state_folder, ..LlamaOptions::default() };
        let generator = LlamaGenerator::load(&path, &options).expect("loads");
        let prompt = generator
            .render(&[
                ChatMessage::fixed(Role::System, LONG_QUESTION),
                ChatMessage::new(Role::User, "What is the capital of France?"),
            ])
            .expect("rendered");
        let (generation, _) = run(&generator, &GenerateRequest::greedy(prompt, 12));
        assert!(generation.text.contains("Paris"), "{kv_type:?}: {}", generation.text);
        (generation.tokens_reused > 0, (generation.text, generation.mean_logprob))
    };
    let (reused, fractions) = ask(KvType::F16);
    assert!(!reused);
    let (reused, whole_numbers) = ask(KvType::Q8_0);
    assert!(!reused, "a state of the other kind was used");
    assert_ne!(whole_numbers.1, fractions.1);
    assert_eq!(ask(KvType::Q8_0), (true, whole_numbers));
    assert_eq!(ask(KvType::F16), (true, fractions));
}
