//! Which tokens a grammar allows next.

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use crate::sample::best;

/// How many of the likeliest tokens a grammar is asked about before it is asked about all.
const GRAMMAR_SHORTLIST: usize = 64;

/// The best token if the grammar allows one of the likeliest: asking it about all of a vocabulary takes as long as a small
/// model takes for a token.
pub(crate) fn best_allowed(logits: &[f32], grammar: &mut LlamaSampler) -> Option<usize> {
    let top = best(logits)?;
    if !allowed_among(logits, &[top], grammar).is_empty() {
        return Some(top);
    }
    let mut order: Vec<usize> = (0..logits.len()).filter(|&index| !logits[index].is_nan()).collect();
    let by_score = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    if order.len() > GRAMMAR_SHORTLIST {
        order.select_nth_unstable_by(GRAMMAR_SHORTLIST, by_score);
        order.truncate(GRAMMAR_SHORTLIST);
    }
    order.sort_unstable_by(by_score);
    let allowed = allowed_among(logits, &order, grammar);
    order.into_iter().find(|index| allowed.contains(index))
}

pub(crate) fn allowed_scores(logits: &[f32], grammar: &mut LlamaSampler) -> Vec<f32> {
    let all: Vec<usize> = (0..logits.len()).collect();
    let mut scores = vec![f32::NEG_INFINITY; logits.len()];
    for index in allowed_among(logits, &all, grammar) {
        scores[index] = logits[index];
    }
    scores
}

fn allowed_among(logits: &[f32], indexes: &[usize], grammar: &mut LlamaSampler) -> Vec<usize> {
    let candidates =
        indexes.iter().filter_map(|&index| Some(LlamaTokenData::new(token_of(index)?, logits[index], 0.0)));
    let mut array = LlamaTokenDataArray::from_iter(candidates, false);
    grammar.apply(&mut array);
    array
        .data
        .iter()
        .filter(|candidate| candidate.logit() > f32::NEG_INFINITY)
        .filter_map(|candidate| usize::try_from(candidate.id().0).ok())
        .collect()
}

pub(crate) fn token_of(index: usize) -> Option<LlamaToken> {
    i32::try_from(index).ok().map(LlamaToken)
}
