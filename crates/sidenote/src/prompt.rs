//! What the language model reads: a fixed instruction first, so that its KV cache serves every question, then the
//! passages, then the question.
//!
//! The words of the instruction live in `prompts/`. Passages and question are message content: the generator turns
//! content into plain tokens, so nothing in a document can become a turn of the conversation.

use std::fmt::Write;

use sidenote_model::{ChatMessage, Role};

use crate::context::Passage;

/// The instruction for answering.
const ANSWER_SYSTEM: &str = include_str!("prompts/answer_system.txt");

/// The role in which the model is asked whether a passage holds the answer.
const VERDICT_SYSTEM: &str = include_str!("prompts/verdict_system.txt");
/// The two replies that are weighed against each other.
pub(crate) const VERDICTS: [&str; 2] = ["Yes", "No"];

/// The messages that ask whether `text`, which stands under `source`, holds the answer.
pub(crate) fn verdict_messages(source: &str, text: &str, question: &str) -> Vec<ChatMessage> {
    let content = format!(
        "Passage from \"{source}\": {text}\n\nQuestion: {}\n\nDoes the passage say the answer to this question? \
         Answer Yes or No.",
        question.trim()
    );
    vec![
        ChatMessage { role: Role::System, content: VERDICT_SYSTEM.trim_end().to_owned() },
        ChatMessage { role: Role::User, content },
    ]
}

/// The messages of a question over its passages.
pub(crate) fn answer_messages(passages: &[Passage], question: &str) -> Vec<ChatMessage> {
    let mut content = String::new();
    for passage in passages {
        // Writing to a String does not fail.
        let _ = writeln!(content, "[{}] {}\n{}\n", passage.n, passage.source, passage.text);
    }
    let _ = write!(content, "Question: {}", question.trim());
    vec![
        ChatMessage { role: Role::System, content: ANSWER_SYSTEM.trim_end().to_owned() },
        ChatMessage { role: Role::User, content },
    ]
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
            messages.iter().map(|m| format!("<{:?}>\n{}\n", m.role, m.content)).collect::<String>()
        );
    }

    #[test]
    fn the_instruction_comes_first_and_is_the_same_for_every_question() {
        let one = answer_messages(&[Passage::of(1, "a", "b")], "c?");
        let other = answer_messages(&[Passage::of(1, "x", "y"), Passage::of(2, "p", "q")], "z?");
        assert_eq!(one[0].content, other[0].content);
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
