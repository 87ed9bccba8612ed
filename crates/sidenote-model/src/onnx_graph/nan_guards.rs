//! Guards that cost time and never act.
//!
//! PyTorch exports attention with a look at every score after the softmax: what is not a number becomes 0 (`IsNaN`, `Where`).
//! That happens where all of a row is masked, which a text without padding has nowhere. The guards of all-MiniLM-L6-v2 take up to a
//! fourth of the time of an embedding (`bench/RESULTS.md`); without them the vectors are bit for bit the same.

use std::collections::{HashMap, HashSet};

use super::Graph;

impl Graph<'_> {
    /// Returns whether there were any.
    pub(super) fn drop_nan_guards(&mut self) -> bool {
        let (makers, uses) = (self.makers(), self.uses());
        let mut dropped = HashSet::new();
        // What they made, and what is read in its place.
        let mut replaced: HashMap<String, String> = HashMap::new();
        for (place, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.is("Where")) {
            let ([condition, _, guarded], [made]) = (&node.inputs[..], &node.outputs[..]) else { continue };
            let Some(&test_place) = makers.get(condition) else { continue };
            let test = &self.nodes[test_place];
            let is_test = test.is("IsNaN") && test.inputs == [guarded.clone()] && uses.get(condition) == Some(&1);
            // What comes out of another operator may well be no number.
            let is_softmax = makers.get(guarded).is_some_and(|maker| self.nodes[*maker].is("Softmax"));
            if is_test && is_softmax && !self.outputs.contains(made) && !self.outputs.contains(condition) {
                dropped.extend([place, test_place]);
                replaced.insert(made.clone(), guarded.clone());
            }
        }
        let mut place = 0;
        self.nodes.retain(|_| {
            place += 1;
            !dropped.contains(&(place - 1))
        });
        for input in self.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            if let Some(other) = replaced.get(input) {
                input.clone_from(other);
            }
        }
        !replaced.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{model, node};
    use super::super::{ATTRIBUTE_GRAPHS, NODE_ATTRIBUTE, lightened, put};

    fn of(nodes: &[Vec<u8>], output: &str) -> Vec<u8> {
        model(nodes, &[], output)
    }

    fn guarded() -> [Vec<u8>; 4] {
        [
            node("Softmax", &["scores"], "weights"),
            node("IsNaN", &["weights"], "bad"),
            node("Where", &["bad", "zero", "weights"], "clean"),
            node("MatMul", &["clean", "values"], "out"),
        ]
    }

    #[test]
    fn a_guard_goes_and_what_read_it_reads_what_it_guarded() {
        let plain = [node("Softmax", &["scores"], "weights"), node("MatMul", &["weights", "values"], "out")];
        assert_eq!(lightened(&of(&guarded(), "out")), Some(of(&plain, "out")));
        assert_eq!(lightened(&of(&plain, "out")), None);
    }

    #[test]
    fn what_does_more_than_guard_stays() {
        assert_eq!(lightened(&of(&guarded(), "clean")), None, "what it makes is an output");
        let mut divided = guarded();
        divided[0] = node("Div", &["scores", "sums"], "weights");
        assert_eq!(lightened(&of(&divided, "out")), None, "a quotient may be none");
        let mut masked = guarded();
        masked[2] = node("Where", &["mask", "zero", "weights"], "clean");
        assert_eq!(lightened(&of(&masked, "out")), None, "another condition");
        masked[2] = node("Where", &["bad", "zero", "scores"], "clean");
        assert_eq!(lightened(&of(&masked, "out")), None, "another value");
        let counted = [guarded().to_vec(), vec![node("ReduceSum", &["bad"], "count")]].concat();
        assert_eq!(lightened(&of(&counted, "out")), None, "the condition is read elsewhere");
        let (mut branch, mut attribute) = (node("If", &["condition"], "either"), Vec::new());
        put(&mut attribute, ATTRIBUTE_GRAPHS[0], b"");
        put(&mut branch, NODE_ATTRIBUTE, &attribute);
        assert_eq!(lightened(&of(&[guarded().to_vec(), vec![branch]].concat(), "out")), None);
    }
}
