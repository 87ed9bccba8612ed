//! What the language model reads: a fixed instruction first, so that its KV cache serves every question, then the
//! passages, then the question.
//!
//! The words of the instruction live in `prompts/`. Passages and question are message content: the generator turns
//! content into plain tokens, so nothing in a document can become a turn of the conversation.

use std::{fmt::Write, ops::ControlFlow};

use sidenote_model::{CancelToken, ChatMessage, GenerateRequest, Generation, Generator, Role};

use crate::{context::Passage, error::Error};

/// The role in which the model reads passages.
const SYSTEM: &str = include_str!("prompts/system.txt");
/// What it is told to do with them.
const ANSWER_TASK: &str = include_str!("prompts/answer_task.txt");
/// Ways to put a question over its passages. A small model errs in different places when it knows the question before it
/// reads and when it does not; where both drafts point at the same sentence it is seldom wrong.
pub(crate) const MAX_DRAFTS: usize = 2;

/// The instruction for taking a question apart, and examples: a question, and its parts below it.
const SPLIT_SYSTEM: &str = include_str!("prompts/split_system.txt");
const SPLIT_EXAMPLES: &str = include_str!("prompts/split_examples.txt");
/// The same for answering a question in two steps.
const STEPS_SYSTEM: &str = include_str!("prompts/steps_system.txt");
const STEPS_EXAMPLES: &str = include_str!("prompts/steps_examples.txt");

/// The same for a question that leans on what was said before. An example is a conversation, a line a turn, and below it its last
/// question as it stands alone.
const FOLLOW_UP_SYSTEM: &str = include_str!("prompts/follow_up_system.txt");
const FOLLOW_UP_EXAMPLES: &str = include_str!("prompts/follow_up_examples.txt");

/// The instruction for putting a question in another language.
const TRANSLATE_SYSTEM: &str = include_str!("prompts/translate_system.txt");

/// The instruction for the short form of a statement. An example is a text, its question, and the words of the text that answer it.
const SHORT_SYSTEM: &str = include_str!("prompts/short_system.txt");
const SHORT_EXAMPLES: &str = include_str!("prompts/short_examples.txt");

/// The two replies that are weighed against each other.
pub(crate) const VERDICTS: [&str; 2] = ["Yes", "No"];

/// Passages with a question each, and whether they answer it: source, passage, question, verdict. They are of other trades than
/// any document is likely to be. Without them a small model says "Yes" to whatever speaks of the matter.
const VERDICT_EXAMPLES: &str = include_str!("prompts/verdict_examples.txt");

/// What the model writes to messages of this room, beside the drafts: a question in other words, a name.
pub(crate) fn written(
    messages: &[ChatMessage],
    max_tokens: usize,
    generator: &dyn Generator,
    cancel: &CancelToken,
) -> Result<Generation, Error> {
    let prompt = generator.render(messages)?;
    let request = GenerateRequest { cancel: cancel.clone(), ..GenerateRequest::greedy(prompt, max_tokens) };
    Ok(generator.generate(&request, &mut |_| ControlFlow::Continue(()))?)
}

/// The messages that ask whether `text`, which stands under `source`, holds the answer. All but the last are the same for every
/// question.
pub(crate) fn verdict_messages(source: &str, text: &str, question: &str) -> Vec<ChatMessage> {
    let mut messages = vec![ChatMessage::fixed(Role::System, SYSTEM.trim_end())];
    for example in VERDICT_EXAMPLES.split("\n\n") {
        let lines: Vec<&str> = example.trim().lines().collect();
        if let [source, text, question, verdict] = lines[..] {
            messages.push(ChatMessage::fixed(Role::User, verdict_question(source, text, question)));
            messages.push(ChatMessage::fixed(Role::Assistant, verdict));
        }
    }
    messages.push(ChatMessage::new(Role::User, verdict_question(source, text, question.trim())));
    messages
}

fn verdict_question(source: &str, text: &str, question: &str) -> String {
    format!(
        "Passage from \"{source}\": {text}\n\nQuestion: {question}\n\nDoes the passage say the answer to this question? \
         Answer Yes or No."
    )
}

/// The messages that ask for the parts of a question. The examples are of other trades than any document is likely to be.
pub(crate) fn split_messages(question: &str) -> Vec<ChatMessage> {
    after_examples(SPLIT_SYSTEM, SPLIT_EXAMPLES, first_line, question)
}

/// The messages that ask for a question with a mark in place of a description. The examples are of other trades than any document is likely to be.
pub(crate) fn steps_messages(question: &str) -> Vec<ChatMessage> {
    after_examples(STEPS_SYSTEM, STEPS_EXAMPLES, first_line, question)
}

/// The messages that ask for a question that stands alone, after the turns of a conversation. The examples are of other trades than
/// any document is likely to be.
pub(crate) fn follow_up_messages(turns: &[String], question: &str) -> Vec<ChatMessage> {
    let conversation = format!("{}\n{}", turns.join("\n"), question.trim());
    after_examples(FOLLOW_UP_SYSTEM, FOLLOW_UP_EXAMPLES, all_but_the_last_line, &conversation)
}

/// The messages that ask for the words of `text` that answer a question. The examples are of other trades than any document is likely
/// to be.
pub(crate) fn short_messages(text: &str, question: &str) -> Vec<ChatMessage> {
    let asked = format!("Text: {text}\nQuestion: {}", question.trim());
    after_examples(SHORT_SYSTEM, SHORT_EXAMPLES, all_but_the_last_line, &asked)
}

/// The messages that ask for a question in another language.
pub(crate) fn translate_messages(question: &str, language: &str) -> Vec<ChatMessage> {
    let content = format!("Write this question in {language}:\n\n{}", question.trim());
    vec![ChatMessage::new(Role::System, TRANSLATE_SYSTEM.trim_end()), ChatMessage::new(Role::User, content)]
}

/// Where in an example what is asked ends, and what becomes of it begins.
type Parting = fn(&str) -> Option<(&str, &str)>;

fn first_line(example: &str) -> Option<(&str, &str)> {
    example.split_once('\n')
}

fn all_but_the_last_line(example: &str) -> Option<(&str, &str)> {
    example.rsplit_once('\n')
}

/// An instruction, examples that show a question and what becomes of it, and the question.
fn after_examples(system: &str, examples: &str, asked: Parting, question: &str) -> Vec<ChatMessage> {
    let mut messages = vec![ChatMessage::fixed(Role::System, system.trim_end())];
    for example in examples.split("\n\n") {
        let (asked, written) = asked(example.trim()).unwrap_or((example, ""));
        messages.push(ChatMessage::fixed(Role::User, asked));
        messages.push(ChatMessage::fixed(Role::Assistant, written));
    }
    messages.push(ChatMessage::new(Role::User, question.trim()));
    messages
}

/// The messages that ask for the name in `text`, which stands under `source`.
pub(crate) fn name_messages(source: &str, text: &str, question: &str) -> Vec<ChatMessage> {
    let content = format!(
        "Passage from \"{source}\": {text}\n\nQuestion: {}\n\nAnswer with the shortest exact words of the passage. Write \
         nothing else.",
        question.trim()
    );
    vec![ChatMessage::new(Role::System, SYSTEM.trim_end()), ChatMessage::new(Role::User, content)]
}

/// The messages of a question over its passages, in each of the ways: the question behind the passages, and before and
/// behind them.
pub(crate) fn answer_messages(passages: &[Passage], question: &str) -> [Vec<ChatMessage>; MAX_DRAFTS] {
    let read = read(passages);
    let question = format!("Question: {}\n\n", question.trim());
    let messages = |content: String| {
        vec![ChatMessage::new(Role::System, SYSTEM.trim_end()), ChatMessage::new(Role::User, content.trim_end())]
    };
    [messages(format!("{read}{question}{ANSWER_TASK}")), messages(format!("{question}{read}{question}{ANSWER_TASK}"))]
}

/// The messages of a question behind documents that are read whole, and that other questions share.
pub(crate) fn whole_messages(passages: &[Passage], question: &str) -> Vec<ChatMessage> {
    let question = format!("Question: {}\n\n{}", question.trim(), ANSWER_TASK.trim_end());
    vec![ChatMessage::new(Role::System, SYSTEM.trim_end()), ChatMessage::sharing(&read(passages), &question)]
}

fn read(passages: &[Passage]) -> String {
    let mut read = String::new();
    for passage in passages {
        // Writing to a String does not fail.
        let _ = writeln!(read, "[{}] {}\n{}\n", passage.n, passage.source, passage.text);
    }
    read
}

/// Whether a draft says that the passages do not hold the answer.
pub(crate) fn is_refusal(draft: &str) -> bool {
    let folded = draft.to_lowercase();
    let folded: String = folded.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let folded = folded.split_whitespace().collect::<Vec<_>>().join(" ");
    folded.is_empty()
        || [
            "not said",
            "not specified in the passages",
            "not mentioned in the passages",
            "not provided in the passages",
        ]
        .iter()
        .any(|refusal| folded.contains(refusal))
        || folded.starts_with("the documents do not say")
        || folded.starts_with("the passages do not")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_of_two_passages() {
        let passages = [
            Passage::of(1, "Travel policy > Approval", "The head of finance approves travel expenses."),
            Passage::of(2, "Handbook > Lunch", "Lunch is at noon."),
        ];
        let messages = answer_messages(&passages, " Who approves travel expenses? ");
        insta::assert_snapshot!(
            messages.iter().flatten().map(|m| format!("<{:?}>\n{}\n", m.role, m.content)).collect::<String>()
        );
    }

    #[test]
    fn the_prompt_of_a_question_that_leans_on_another() {
        let turns = ["What does the lamp cost?".to_owned(), "It costs 40 pounds.".to_owned()];
        let messages = follow_up_messages(&turns, "And the table?");
        insta::assert_snapshot!(
            messages.iter().map(|m| format!("<{:?}>\n{}\n", m.role, m.content)).collect::<String>()
        );
    }

    #[test]
    fn the_instruction_comes_first_and_is_the_same_for_every_question() {
        let one = answer_messages(&[Passage::of(1, "a", "b")], "c?");
        let other = answer_messages(&[Passage::of(1, "x", "y"), Passage::of(2, "p", "q")], "z?");
        assert_eq!(one[0][0].content, other[0][0].content);
        assert_eq!(one[0][0].content, one[1][0].content);
    }

    #[test]
    fn documents_read_whole_are_put_like_passages_and_shared_up_to_the_question() {
        let passages =
            [Passage::of(1, "Lease", "The rent is due in May."), Passage::of(2, "Lease", "It is 40 pounds.")];
        let whole = whole_messages(&passages, "When is it due? ");
        let usual = &answer_messages(&passages, "When is it due?")[0];
        assert_eq!(
            whole.iter().map(|m| &m.content).collect::<Vec<_>>(),
            usual.iter().map(|m| &m.content).collect::<Vec<_>>()
        );
        assert!(whole[1].content[whole[1].shared_bytes..].starts_with("Question: When is it due?\n"));
    }

    #[test]
    fn refusals_are_recognised_and_answers_are_not() {
        for refusal in ["NOT SAID", "Not said.", "", "  \n", "The documents do not say."] {
            assert!(is_refusal(refusal), "{refusal:?}");
        }
        for answer in ["14 days [2]", "It is not allowed [1]", "He said no [3]"] {
            assert!(!is_refusal(answer), "{answer:?}");
        }
    }
}
