//! The deterministic twin of the llama.cpp generator: says what it was told to say.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use crate::pieces::{Piece, Pieces};
use crate::{
    ChatMessage, GenerateRequest, Generation, Generator, GeneratorInfo, ModelError, Prompt, StopReason, TokenId,
};

/// Computes an answer from the text of the prompt.
type Script = Box<dyn FnMut(&str) -> String + Send>;

/// A generator without a model: answers come from a list or a closure, a token is a word with the white space before it, the
/// chat format is `role: text`. Its cache is the tokens of its last prompt and answer, as llama.cpp's is, so that
/// `tokens_reused` means the same.
pub struct ScriptedGenerator {
    context_tokens: usize,
    state: Mutex<State>,
}

struct State {
    script: Script,
    held: Vec<TokenId>,
}

impl std::fmt::Debug for ScriptedGenerator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ScriptedGenerator")
            .field("context_tokens", &self.context_tokens)
            .finish_non_exhaustive()
    }
}

impl ScriptedGenerator {
    /// Gives these answers in order, and then says nothing.
    pub fn from_answers<T: Into<String>>(answers: impl IntoIterator<Item = T>) -> Self {
        let mut answers: VecDeque<String> = answers.into_iter().map(Into::into).collect();
        Self::from_script(move |_| answers.pop_front().unwrap_or_default())
    }

    /// Answers what `script` makes of the prompt's text.
    pub fn from_script(script: impl FnMut(&str) -> String + Send + 'static) -> Self {
        Self { context_tokens: 4096, state: Mutex::new(State { script: Box::new(script), held: Vec::new() }) }
    }

    /// The same with another context length; 4096 is the default.
    #[must_use]
    pub fn with_context_tokens(mut self, context_tokens: usize) -> Self {
        self.context_tokens = context_tokens;
        self
    }
}

impl Generator for ScriptedGenerator {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo {
            name: "scripted".to_owned(),
            sha256_hex: "0".repeat(64),
            context_tokens: self.context_tokens,
            trained_context_tokens: self.context_tokens,
            description: "answers from a script".to_owned(),
            size_bytes: 0,
        }
    }

    fn count_tokens(&self, text: &str) -> usize {
        words(text).count()
    }

    fn render(&self, messages: &[ChatMessage]) -> Result<Prompt, ModelError> {
        let mut text = String::new();
        for message in messages {
            text.push_str(message.role.name());
            text.push_str(": ");
            text.push_str(&message.content);
            text.push('\n');
        }
        text.push_str("assistant:");
        let tokens = words(&text).map(word_token).collect();
        Ok(Prompt::without_cuts(tokens, text))
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        on_token: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, ModelError> {
        request.prompt.check(self.context_tokens)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let prompt = &request.prompt.tokens;
        let shared = state.held.iter().zip(prompt).take_while(|(held, new)| held == new).count();
        let tokens_reused = shared.min(prompt.len() - 1);
        state.held.clone_from(prompt);
        let answer = (state.script)(&request.prompt.text);
        let mut pieces = Pieces::new(&request.stop);
        let nothing = Generation::of_nothing(prompt.len(), StopReason::EndOfText);
        let mut generation = Generation { tokens_reused, ..nothing };
        let room = request.max_tokens.min(self.context_tokens - prompt.len());
        let mut last = None;
        for word in words(&answer) {
            if request.cancel.is_cancelled() {
                generation.stop_reason = StopReason::Cancelled;
                return Ok(generation);
            }
            if generation.tokens_generated == room {
                generation.stop_reason = StopReason::MaxTokens;
                break;
            }
            generation.tokens_generated += 1;
            state.held.push(word_token(word));
            let (text, stopped) = match pieces.push(word.as_bytes()) {
                Piece::Text(text) => (text, false),
                Piece::Stop(text) => (text, true),
            };
            if !text.is_empty() {
                generation.text.push_str(&text);
                if on_token(&text).is_break() {
                    generation.stop_reason = StopReason::Cancelled;
                    return Ok(generation);
                }
            }
            if stopped {
                generation.stop_reason = StopReason::StopString;
                return Ok(generation);
            }
            last = Some(());
        }
        if last.is_some() {
            let (Piece::Text(text) | Piece::Stop(text)) = pieces.finish();
            generation.text.push_str(&text);
            if !text.is_empty() && on_token(&text).is_break() {
                generation.stop_reason = StopReason::Cancelled;
            }
        }
        Ok(generation)
    }

    /// The number of words of each continuation, negative: longer is less likely.
    fn score(&self, prompt: &Prompt, continuations: &[&str]) -> Result<Vec<f32>, ModelError> {
        prompt.check(self.context_tokens)?;
        Ok(continuations
            .iter()
            .map(|text| -f32::from(u16::try_from(words(text).count()).unwrap_or(u16::MAX)))
            .collect())
    }
}

/// Words, each with the white space before it; joined they are the text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(|character: char| !character.is_whitespace()).unwrap_or(rest.len());
        let length = rest[start..].find(char::is_whitespace).map_or(rest.len(), |end| start + end);
        let (word, after) = rest.split_at(length);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

fn word_token(word: &str) -> TokenId {
    let hash = word.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    TokenId(i32::try_from(hash >> 1).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn ask(
        generator: &ScriptedGenerator,
        text: &str,
        edit: impl FnOnce(&mut GenerateRequest),
    ) -> (Generation, Vec<String>) {
        let prompt = generator.render(&[ChatMessage::new(Role::User, text)]).expect("rendered");
        let mut request = GenerateRequest::greedy(prompt, 100);
        edit(&mut request);
        let mut shown = Vec::new();
        let generation = generator
            .generate(&request, &mut |piece| {
                shown.push(piece.to_owned());
                ControlFlow::Continue(())
            })
            .expect("generated");
        (generation, shown)
    }

    #[test]
    fn answers_come_in_order_and_in_words() {
        let generator = ScriptedGenerator::from_answers(["It is  [2].\n", "No."]);
        let (generation, shown) = ask(&generator, "What?", |_| ());
        assert_eq!(shown, ["It", " is", "  [2].", "\n"]);
        assert_eq!(generation.text, "It is  [2].\n");
        assert_eq!(ask(&generator, "What?", |_| ()).0.text, "No.");
        assert_eq!(ask(&generator, "What?", |_| ()).0.text, "");
    }

    #[test]
    fn limits_stops_and_cancels_are_kept() {
        let generator = ScriptedGenerator::from_script(|_| "one two three".to_owned());
        let (generation, _) = ask(&generator, "x", |request| request.max_tokens = 2);
        assert_eq!((generation.text.as_str(), generation.stop_reason), ("one two", StopReason::MaxTokens));
        let (generation, _) = ask(&generator, "x", |request| request.stop = vec!["wo t".to_owned()]);
        assert_eq!((generation.text.as_str(), generation.stop_reason), ("one t", StopReason::StopString));
        let (generation, _) = ask(&generator, "x", |request| request.cancel.cancel());
        assert_eq!((generation.text.as_str(), generation.stop_reason), ("", StopReason::Cancelled));
    }

    #[test]
    fn the_shared_beginning_of_two_prompts_is_reused() {
        let generator = ScriptedGenerator::from_script(|_| "yes".to_owned());
        assert_eq!(ask(&generator, "a b c", |_| ()).0.tokens_reused, 0);
        assert_eq!(ask(&generator, "a b d", |_| ()).0.tokens_reused, 3);
    }

    #[test]
    fn a_prompt_beyond_the_context_is_refused() {
        let generator = ScriptedGenerator::from_script(|_| "yes".to_owned()).with_context_tokens(5);
        let prompt = generator.render(&[ChatMessage::new(Role::User, "a b c d e f")]).expect("rendered");
        let refused = generator.generate(&GenerateRequest::greedy(prompt, 1), &mut |_| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(ModelError::PromptTooLong { tokens: 8, limit: 4 })), "{refused:?}");
    }
}
