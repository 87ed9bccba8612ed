//! Guards in an ONNX graph that cost time and never act.
//!
//! PyTorch exports attention with a look at every score after the softmax: what is not a number becomes 0 (`IsNaN`, `Where`).
//! That happens where all of a row is masked, which a text without padding has nowhere. The guards of all-MiniLM-L6-v2 take up to a
//! fourth of the time of an embedding (`bench/RESULTS.md`); without them the vectors are bit for bit the same. The file on the
//! disk stays as it is, and a model that is not understood is left alone.
//!
//! Messages and field numbers are those of `onnx.proto3` (<https://onnx.ai/onnx/repo-docs/IR.html>), in protobuf's wire format.

use std::collections::{HashMap, HashSet};

const MODEL_GRAPH: u64 = 7;
const GRAPH_NODE: u64 = 1;
const GRAPH_OUTPUT: u64 = 12;
const VALUE_NAME: u64 = 1;
const NODE_INPUT: u64 = 1;
const NODE_OUTPUT: u64 = 2;
const NODE_OPERATOR: u64 = 4;
const NODE_ATTRIBUTE: u64 = 5;
/// A graph inside of a node, one or several. It may use names of the graph around it.
const ATTRIBUTE_GRAPHS: [u64; 2] = [6, 11];

/// The model without the guards; `None` where it has none, or something in it is not understood.
pub(crate) fn without_nan_guards(model: &[u8]) -> Option<Vec<u8>> {
    let model = fields(model)?;
    let graph = fields(model.iter().find(|field| field.number == MODEL_GRAPH)?.content?)?;
    let plan = Plan::of(&graph)?;
    let (mut changed, mut place) = (Vec::new(), 0);
    for field in &graph {
        let Some(node) = field.content.filter(|_| field.number == GRAPH_NODE) else {
            changed.extend_from_slice(field.whole);
            continue;
        };
        if !plan.dropped.contains(&place) {
            put(&mut changed, GRAPH_NODE, &plan.with_other_inputs(node)?);
        }
        place += 1;
    }
    let mut bytes = Vec::with_capacity(changed.len());
    for field in model {
        if field.number == MODEL_GRAPH {
            put(&mut bytes, MODEL_GRAPH, &changed);
        } else {
            bytes.extend_from_slice(field.whole);
        }
    }
    Some(bytes)
}

/// What changes.
struct Plan<'a> {
    /// Places among the nodes of those that go.
    dropped: HashSet<usize>,
    /// What they made, and what is read in its place.
    replaced: HashMap<&'a [u8], &'a [u8]>,
}

impl<'a> Plan<'a> {
    /// `None` where there is no guard.
    fn of(graph: &[Field<'a>]) -> Option<Self> {
        let mut outputs = HashSet::new();
        let mut nodes = Vec::new();
        for field in graph {
            match (field.number, field.content) {
                (GRAPH_NODE, Some(content)) => nodes.push(Node::read(content)?),
                (GRAPH_OUTPUT, Some(value)) => outputs.extend(contents(&fields(value)?, VALUE_NAME)),
                _ => {}
            }
        }
        let mut uses: HashMap<&[u8], usize> = HashMap::new();
        for input in nodes.iter().flat_map(|node| &node.inputs) {
            *uses.entry(input).or_default() += 1;
        }
        let makers = nodes.iter().enumerate().flat_map(|(place, node)| node.outputs.iter().map(move |it| (*it, place)));
        let made_by: HashMap<&[u8], usize> = makers.collect();
        let mut plan = Self { dropped: HashSet::new(), replaced: HashMap::new() };
        for (place, node) in nodes.iter().enumerate().filter(|(_, node)| node.operator == b"Where") {
            let ([condition, _, guarded], [made]) = (&node.inputs[..], &node.outputs[..]) else { continue };
            let Some(&test_place) = made_by.get(condition) else { continue };
            let test = &nodes[test_place];
            let is_test = test.operator == b"IsNaN" && test.inputs == [*guarded] && uses.get(condition) == Some(&1);
            // What comes out of another operator may well be no number.
            let is_softmax = made_by.get(guarded).is_some_and(|maker| nodes[*maker].operator == b"Softmax");
            if is_test && is_softmax && !outputs.contains(made) && !outputs.contains(condition) {
                plan.dropped.extend([place, test_place]);
                plan.replaced.insert(made, guarded);
            }
        }
        (!plan.replaced.is_empty()).then_some(plan)
    }

    fn with_other_inputs(&self, node: &[u8]) -> Option<Vec<u8>> {
        let mut changed = Vec::with_capacity(node.len());
        for field in fields(node)? {
            match field.content.filter(|_| field.number == NODE_INPUT).and_then(|input| self.replaced.get(input)) {
                Some(other) => put(&mut changed, NODE_INPUT, other),
                None => changed.extend_from_slice(field.whole),
            }
        }
        Some(changed)
    }
}

/// A node of the graph; names are compared, not read.
struct Node<'a> {
    operator: &'a [u8],
    inputs: Vec<&'a [u8]>,
    outputs: Vec<&'a [u8]>,
}

impl<'a> Node<'a> {
    /// `None` where it has a graph of its own.
    fn read(content: &'a [u8]) -> Option<Self> {
        let all = fields(content)?;
        for attribute in contents(&all, NODE_ATTRIBUTE) {
            if fields(attribute)?.iter().any(|field| ATTRIBUTE_GRAPHS.contains(&field.number)) {
                return None;
            }
        }
        Some(Self {
            operator: contents(&all, NODE_OPERATOR).next().unwrap_or_default(),
            inputs: contents(&all, NODE_INPUT).collect(),
            outputs: contents(&all, NODE_OUTPUT).collect(),
        })
    }
}

/// A field of a message in protobuf's wire format.
struct Field<'a> {
    number: u64,
    /// With its number and length.
    whole: &'a [u8],
    /// Of a text or a message; numbers have none.
    content: Option<&'a [u8]>,
}

/// The fields of a message in order; `None` where it is none.
fn fields(mut rest: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let begin = rest;
        let key = take_varint(&mut rest)?;
        let content = match key & 7 {
            0 => {
                take_varint(&mut rest)?;
                None
            }
            1 => {
                rest = rest.get(8..)?;
                None
            }
            2 => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                let (content, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(content)
            }
            5 => {
                rest = rest.get(4..)?;
                None
            }
            _ => return None,
        };
        fields.push(Field { number: key >> 3, whole: &begin[..begin.len() - rest.len()], content });
    }
    Some(fields)
}

fn contents<'a>(fields: &[Field<'a>], number: u64) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.number == number).filter_map(|field| field.content)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends a field that holds a text or a message.
fn put(bytes: &mut Vec<u8>, number: u64, content: &[u8]) {
    for mut value in [number << 3 | 2, content.len() as u64] {
        while value >= 0x80 {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push((value & 0x7f) as u8);
    }
    bytes.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        inputs.iter().for_each(|input| put(&mut bytes, NODE_INPUT, input.as_bytes()));
        put(&mut bytes, NODE_OUTPUT, output.as_bytes());
        put(&mut bytes, NODE_OPERATOR, operator.as_bytes());
        bytes
    }

    /// A model of these nodes, with an output and a long initializer.
    fn model(nodes: &[Vec<u8>], output: &str) -> Vec<u8> {
        let (mut graph, mut value, mut model) = (Vec::new(), Vec::new(), vec![1 << 3, 8]);
        nodes.iter().for_each(|node| put(&mut graph, GRAPH_NODE, node));
        put(&mut graph, 5, &[7; 300]);
        put(&mut value, VALUE_NAME, output.as_bytes());
        put(&mut graph, GRAPH_OUTPUT, &value);
        put(&mut model, MODEL_GRAPH, &graph);
        put(&mut model, 2, b"pytorch");
        model
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
        assert_eq!(without_nan_guards(&model(&guarded(), "out")), Some(model(&plain, "out")));
        assert_eq!(without_nan_guards(&model(&plain, "out")), None);
    }

    #[test]
    fn what_does_more_than_guard_stays() {
        assert_eq!(without_nan_guards(&model(&guarded(), "clean")), None, "what it makes is an output");
        let mut divided = guarded();
        divided[0] = node("Div", &["scores", "sums"], "weights");
        assert_eq!(without_nan_guards(&model(&divided, "out")), None, "a quotient may be none");
        let mut masked = guarded();
        masked[2] = node("Where", &["mask", "zero", "weights"], "clean");
        assert_eq!(without_nan_guards(&model(&masked, "out")), None, "another condition");
        masked[2] = node("Where", &["bad", "zero", "scores"], "clean");
        assert_eq!(without_nan_guards(&model(&masked, "out")), None, "another value");
        let counted = [guarded().to_vec(), vec![node("ReduceSum", &["bad"], "count")]].concat();
        assert_eq!(without_nan_guards(&model(&counted, "out")), None, "the condition is read elsewhere");
        let (mut branch, mut attribute) = (node("If", &["condition"], "either"), Vec::new());
        put(&mut attribute, ATTRIBUTE_GRAPHS[0], b"");
        put(&mut branch, NODE_ATTRIBUTE, &attribute);
        assert_eq!(without_nan_guards(&model(&[guarded().to_vec(), vec![branch]].concat(), "out")), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(at in 0_usize..400, with: u8, cut in 0_usize..400) {
            let mut bytes = model(&guarded(), "out");
            let (at, cut) = (at % bytes.len(), cut % bytes.len());
            bytes[at] ^= with;
            let _ = without_nan_guards(&bytes);
            let _ = without_nan_guards(&bytes[..cut]);
        }
    }
}
