//! An embedder for measurements of scale: copies of a text get neighbours of the text's vector.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sidenote_model::{Embedder, EmbedderInfo, ModelError, OnnxEmbedder, TokenVectors};

use crate::corpus::random::Random;

/// How far a copy's vector lies from the text's own, as a share of its length.
const DISTANCE: f32 = 0.1;

/// The real model for every text that it has not seen; a copy of one it has ([`mark`]) is cut as the text was and gets the text's
/// vector and a tenth of its length in a direction of its own. Bears the model's name, so what it filled is searched with the model.
pub(crate) struct Neighbours {
    model: OnnxEmbedder,
    known: Mutex<HashMap<String, Vec<f32>>>,
}

impl Neighbours {
    pub(crate) fn new(model: OnnxEmbedder) -> Self {
        Self { model, known: Mutex::default() }
    }
}

impl Embedder for Neighbours {
    fn info(&self) -> &EmbedderInfo {
        self.model.info()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.token_offsets(text).len()
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let marks = marks(text);
        let mut offsets = self.model.token_offsets(text);
        if !marks.is_empty() {
            offsets.retain(|(start, end)| !marks.iter().any(|mark| mark.start < *end && *start < mark.end));
        }
        offsets
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let bare: Vec<String> = texts.iter().map(|text| without_marks(text)).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<&str> = bare.iter().filter(|text| !known.contains_key(*text)).map(String::as_str).collect();
        for (text, vector) in new.iter().zip(self.model.embed(&new)?) {
            known.insert((*text).to_owned(), vector);
        }
        let vectors = texts.iter().zip(&bare).map(|(text, bare)| match *text == bare {
            true => known[bare].clone(),
            false => beside(&known[bare], text),
        });
        Ok(vectors.collect())
    }

    fn embed_tokens(&self, texts: &[&str]) -> Result<Vec<TokenVectors>, ModelError> {
        self.model.embed_tokens(texts)
    }
}

/// The text with a word of its own in every paragraph, so that no two copies are equal.
pub(crate) fn mark(text: &str, copy: usize) -> String {
    let paragraphs = text.split("\n\n").enumerate();
    paragraphs.map(|(place, paragraph)| format!("{paragraph} copy{copy}at{place}\n\n")).collect()
}

/// A file's name with such a word before its ending.
pub(crate) fn mark_name(name: &str, copy: usize) -> String {
    let (stem, ending) =
        name.rsplit_once('.').map_or((name, String::new()), |(stem, ending)| (stem, format!(".{ending}")));
    format!("{stem} copy{copy}at0{ending}")
}

/// Where the words of [`mark`] stand, with the space before each.
fn marks(text: &str) -> Vec<std::ops::Range<usize>> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let found = text.match_indices(" copy").filter_map(|(start, word)| {
        let number = &text[start + word.len()..];
        let copy = digits(number);
        let place = number[copy..].strip_prefix("at").map(|place| (place, digits(place)));
        place.filter(|(_, place)| copy > 0 && *place > 0).map(|(rest, place)| start..text.len() - rest.len() + place)
    });
    found.collect()
}

fn without_marks(text: &str) -> String {
    let mut bare = text.to_owned();
    for mark in marks(text).into_iter().rev() {
        bare.replace_range(mark, "");
    }
    bare
}

/// The vector and a random step of its own for every text.
fn beside(vector: &[f32], text: &str) -> Vec<f32> {
    let seed = text.bytes().fold(0_u64, |seed, byte| seed.wrapping_mul(0x0100_0000_01B3) ^ u64::from(byte));
    let mut random = Random(seed);
    let step: Vec<f32> = vector.iter().map(|_| random.signed()).collect();
    let share = DISTANCE / length(&step);
    let sum: Vec<f32> = vector.iter().zip(&step).map(|(value, step)| value + share * step).collect();
    let length = length(&sum);
    sum.into_iter().map(|value| value / length).collect()
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}
