//! Beginnings of prompts, and the shelf where states of the cache wait to be used again.

use llama_cpp_2::token::LlamaToken;

/// The beginning of a prompt, or all of it, and how it is cut into batches. A token's state depends, in the last bits, on how
/// many were evaluated together with it, so a state fits another prompt only where both are cut alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// In order: position is index.
    pub(crate) tokens: Vec<LlamaToken>,
    /// Where its batches end, ascending. Tokens after the last end were generated, one at a time.
    pub(crate) batch_ends: Vec<usize>,
}

impl Prefix {
    /// A prompt in batches of at most `most` tokens, which end at each cut and at the end.
    pub(crate) fn of_prompt(tokens: Vec<LlamaToken>, cuts: &[usize], most: usize) -> Self {
        let length = tokens.len();
        let mut batch_ends = Vec::new();
        let mut start = 0;
        for cut in cuts.iter().copied().chain([length]) {
            let cut = cut.min(length);
            while start < cut {
                start = cut.min(start + most.max(1));
                batch_ends.push(start);
            }
        }
        Self { tokens, batch_ends }
    }

    /// Tokens of the batches, from the first on, that both have.
    pub(crate) fn shared_with(&self, other: &Self) -> usize {
        let tokens = self.tokens.iter().zip(&other.tokens).take_while(|(own, other)| own == other).count();
        let ends = self.batch_ends.iter().zip(&other.batch_ends);
        ends.take_while(|(own, other)| own == other && **own <= tokens).last().map_or(0, |(end, _)| *end)
    }

    /// Keeps the first `count` tokens.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.tokens.truncate(count);
        self.batch_ends.retain(|end| *end <= count);
    }

    /// The first `count` tokens.
    pub(crate) fn first(&self, count: usize) -> Self {
        let mut first = self.clone();
        first.truncate(count);
        first
    }
}

/// States that were set aside. When there is no more room, the one that nobody asked for the longest goes.
#[derive(Debug)]
pub(crate) struct Shelf<S> {
    // The one used last is last.
    states: Vec<(Prefix, S)>,
    bytes: usize,
    limit: usize,
    size_of: fn(&S) -> usize,
}

impl<S> Shelf<S> {
    /// Room for states of `limit` bytes in all.
    pub(crate) fn new(limit: usize, size_of: fn(&S) -> usize) -> Self {
        Self { states: Vec::new(), bytes: 0, limit, size_of }
    }

    /// Whether a state of it holds all of the prefix.
    pub(crate) fn covers(&self, prefix: &Prefix) -> bool {
        self.states.iter().any(|(held, _)| held.shared_with(prefix) == prefix.tokens.len())
    }

    /// Sets a state aside. One that a longer state holds as well gives way.
    pub(crate) fn put(&mut self, prefix: Prefix, state: S) {
        let size = (self.size_of)(&state);
        if !self.has_room_for(size) {
            return;
        }
        let size_of = self.size_of;
        let bytes = &mut self.bytes;
        self.states.retain(|(held, old)| {
            let kept = prefix.shared_with(held) < held.tokens.len();
            if !kept {
                *bytes -= size_of(old);
            }
            kept
        });
        while self.bytes + size > self.limit {
            let (_, oldest) = self.states.remove(0);
            self.bytes -= size_of(&oldest);
        }
        self.bytes += size;
        self.states.push((prefix, state));
    }

    /// Whether a state of so many bytes may be put here at all.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        bytes <= self.limit
    }

    /// Takes out the state that has the most in common with a prompt, if that is more than `least` tokens.
    pub(crate) fn take_best(&mut self, prompt: &Prefix, least: usize) -> Option<(Prefix, S)> {
        let shared = self.states.iter().map(|(held, _)| held.shared_with(prompt)).enumerate();
        let (place, _) = shared.filter(|(_, shared)| *shared > least).max_by_key(|(_, shared)| *shared)?;
        let (prefix, state) = self.states.remove(place);
        self.bytes -= (self.size_of)(&state);
        Some((prefix, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(tokens: &[i32], cuts: &[usize]) -> Prefix {
        Prefix::of_prompt(tokens.iter().copied().map(LlamaToken).collect(), cuts, 4)
    }

    #[test]
    fn batches_end_at_cuts_and_are_never_too_long() {
        let ends = |length, cuts: &[usize]| Prefix::of_prompt(vec![LlamaToken(1); length], cuts, 4).batch_ends;
        assert_eq!(ends(10, &[]), [4, 8, 10]);
        assert_eq!(ends(10, &[3]), [3, 7, 10]);
        assert_eq!(ends(10, &[0, 3, 3, 99]), [3, 7, 10]);
        assert_eq!(ends(4, &[4]), [4]);
        assert_eq!(ends(0, &[1]), Vec::<usize>::new());
    }

    #[test]
    fn what_two_prompts_share_ends_where_both_are_cut() {
        let one = prefix(&[1, 2, 3, 4, 5, 6], &[2]);
        assert_eq!(one.shared_with(&one), 6);
        assert_eq!(one.shared_with(&prefix(&[1, 2, 3, 9, 9, 9], &[2])), 2);
        assert_eq!(one.shared_with(&prefix(&[1, 2, 3, 4, 5, 6], &[3])), 0);
        assert_eq!(one.shared_with(&prefix(&[1, 2, 3, 4, 5, 6, 7], &[2])), 6, "a batch of four is full in both");
        assert_eq!(one.first(2), prefix(&[1, 2], &[]));
    }

    #[test]
    fn the_shelf_keeps_what_is_used_and_gives_up_the_rest() {
        let mut shelf: Shelf<Vec<u8>> = Shelf::new(10, Vec::len);
        shelf.put(prefix(&[1, 2], &[]), vec![0; 4]);
        shelf.put(prefix(&[3, 4], &[]), vec![1; 4]);
        let (taken, state) = shelf.take_best(&prefix(&[1, 2, 9], &[2]), 0).expect("one begins so");
        assert_eq!(taken, prefix(&[1, 2], &[]));
        assert!(shelf.take_best(&prefix(&[3, 4, 9], &[2]), 2).is_none(), "nothing is gained");
        shelf.put(taken, state);
        shelf.put(prefix(&[5, 6], &[]), vec![2; 4]);
        assert!(shelf.covers(&prefix(&[1, 2], &[])) && !shelf.covers(&prefix(&[3, 4], &[])));
        shelf.put(prefix(&[5, 6, 7], &[2]), vec![3; 6]);
        assert!(shelf.covers(&prefix(&[5, 6], &[])), "a longer one holds it");
        assert_eq!(shelf.bytes, 10);
        shelf.put(prefix(&[8], &[]), vec![4; 11]);
        assert!(!shelf.covers(&prefix(&[8], &[])), "too large for all of the shelf");
    }

    proptest! {
        #[test]
        fn the_shelf_never_holds_more_than_it_may(puts in proptest::collection::vec((proptest::collection::vec(0_i32..3, 1..6), 0_usize..9), 0..30)) {
            let mut shelf: Shelf<Vec<u8>> = Shelf::new(12, Vec::len);
            for (tokens, size) in puts {
                let wanted = prefix(&tokens, &[]);
                shelf.put(wanted.clone(), vec![0; size]);
                prop_assert!(shelf.covers(&wanted));
                prop_assert!(shelf.bytes <= 12);
                prop_assert_eq!(shelf.bytes, shelf.states.iter().map(|(_, state)| state.len()).sum::<usize>());
            }
        }
    }
}
