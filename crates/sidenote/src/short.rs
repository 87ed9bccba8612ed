//! The answer in short: of a statement that answers a question, the words that do.
//!
//! The language model copies them out, and what it writes counts only where the statement has it to the letter. Asked so it never
//! says that there is nothing (models.md); whether the statement answers at all was decided before.

use sidenote_model::{CancelToken, Generator};

use crate::{
    error::Error,
    prompt,
    terms::{find_words, says_more},
};

/// A statement of fewer words is short itself.
const MIN_WORDS: usize = 6;
/// The short form is at most this share of the statement's words; more is no shorter.
const MAX_SHARE: f32 = 0.7;
/// Most tokens of a short form: a name, a sum, a clause.
const MAX_TOKENS: usize = 40;

/// The words of `statement` that answer the question; `None` where it is short itself, or the model did not keep to its words.
pub(crate) fn short_form(
    statement: &str,
    question: &str,
    generator: &dyn Generator,
    cancel: &CancelToken,
) -> Result<Option<String>, Error> {
    if statement.split_whitespace().count() < MIN_WORDS {
        return Ok(None);
    }
    let written = prompt::written(&prompt::short_messages(statement, question), MAX_TOKENS, generator, cancel)?;
    let short = words_of(statement, &written.text, question);
    tracing::debug!(found = short.is_some(), "answer in short");
    Ok(short.map(str::to_owned))
}

/// What was written, as the statement has it; `None` where it has it not, where it is nearly all of it, or where it says no more than
/// the question did.
fn words_of<'a>(statement: &'a str, written: &str, question: &str) -> Option<&'a str> {
    let written = written.trim().lines().next()?;
    let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\u{201c}' | '\u{201d}' | '.' | ',' | ';');
    let same_letter = |a: char, b: char| a.to_lowercase().eq(b.to_lowercase());
    let found = find_words(statement, written.trim_matches(is_around), same_letter)?;
    let count = |text: &str| text.split_whitespace().count();
    #[expect(clippy::cast_precision_loss, reason = "numbers of words")]
    let share = count(found) as f32 / count(statement) as f32;
    (share <= MAX_SHARE && says_more(found, question)).then_some(found)
}

#[cfg(test)]
mod tests {
    use sidenote_model::ScriptedGenerator;

    use super::*;

    const STATEMENT: &str = "The lease of Mill Lane, No. 7, ends on 31 March 2027 unless it is renewed in writing.";

    fn short(written: &'static str, question: &str) -> Option<String> {
        let generator = ScriptedGenerator::from_answers([written]);
        short_form(STATEMENT, question, &generator, &CancelToken::new()).unwrap()
    }

    #[test]
    fn what_the_statement_has_to_the_letter_is_the_answer_in_short() {
        let question = "When does the lease of Mill Lane end?";
        assert_eq!(short("31 March 2027", question).unwrap(), "31 March 2027");
        assert_eq!(
            short(" \u{201c}on 31 march 2027.\u{201d}\nBecause it says so.", question).unwrap(),
            "on 31 March 2027"
        );
    }

    #[test]
    fn anything_else_is_not() {
        let question = "When does the lease of Mill Lane end?";
        for written in [
            "",
            "\n31 March 2027 is too late a line",
            "31 March 2028",
            "31/03/2027",
            "1 March 2027",
            "31 March 202",
            "the lease of Mill Lane",
            STATEMENT,
            "lease of Mill Lane, No. 7, ends on 31 March 2027 unless it is renewed",
        ] {
            assert_eq!(short(written, question), None, "{written:?}");
        }
    }

    #[test]
    fn of_a_short_statement_nobody_is_asked() {
        let generator = ScriptedGenerator::from_script(|_: &str| panic!("the model is not asked"));
        let short = short_form("It costs 40 pounds.", "What does it cost?", &generator, &CancelToken::new()).unwrap();
        assert_eq!(short, None);
    }
}
