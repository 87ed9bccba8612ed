//! The graph of an ONNX model, changed before ONNX Runtime sees it.
//!
//! How a model is exported says how it is computed, and some ways are several times as fast as others: each file beside this one
//! makes one change. The file on the disk stays as it is, and a model that is not understood is left alone.
//!
//! Messages and field numbers are those of `onnx.proto3` (<https://onnx.ai/onnx/repo-docs/IR.html>), in protobuf's wire format.
//! A model file is hostile until checked: every length is compared with what is there, and nothing recurses.

mod int8_products;
mod nan_guards;
mod skip_norms;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

const MODEL_GRAPH: u64 = 7;
const MODEL_OPSET: u64 = 8;
const OPSET_DOMAIN: u64 = 1;
const OPSET_VERSION: u64 = 2;
const GRAPH_NODE: u64 = 1;
const GRAPH_INITIALIZER: u64 = 5;
const GRAPH_INPUT: u64 = 11;
const GRAPH_OUTPUT: u64 = 12;
const VALUE_NAME: u64 = 1;
const NODE_INPUT: u64 = 1;
const NODE_OUTPUT: u64 = 2;
const NODE_OPERATOR: u64 = 4;
const NODE_ATTRIBUTE: u64 = 5;
const NODE_DOMAIN: u64 = 7;
const ATTRIBUTE_NAME: u64 = 1;
const ATTRIBUTE_TYPE: u64 = 20;
/// A graph inside of a node, one or several. It may use names of the graph around it.
const ATTRIBUTE_GRAPHS: [u64; 2] = [6, 11];
const TENSOR_DIMENSIONS: u64 = 1;
const TENSOR_TYPE: u64 = 2;
const TENSOR_NAME: u64 = 8;
const TENSOR_BYTES: u64 = 9;

/// The model without what costs time and never acts: the same vectors, bit for bit. `None` where nothing is to be changed, or the
/// model is not understood.
pub(crate) fn lightened(model: &[u8]) -> Option<Vec<u8>> {
    let mut graph = Graph::read(model)?;
    graph.drop_nan_guards().then(|| graph.into_bytes())
}

/// The model with products of whole numbers in place of those of its int8 weights made into fractions, and without what
/// [`lightened`] takes out: some two and a half times as fast on a CPU that has instructions for them, and vectors that differ by
/// some thousandths. `None` where the weights are not int8, or the model is not understood.
pub(crate) fn with_int8_products(model: &[u8], bytes: WeightBytes) -> Option<Vec<u8>> {
    let mut graph = Graph::read(model)?;
    if !graph.make_products_int8(bytes) {
        return None;
    }
    graph.drop_nan_guards();
    graph.keep_norms_apart();
    graph.drop_unread();
    Some(graph.into_bytes())
}

/// How weights are handed to ONNX Runtime. The products are the same to the last bit; one way is faster, and on some CPUs the other
/// is the one that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WeightBytes {
    /// As they are stored.
    Signed,
    /// With 128 added to each. On x86 without VNNI, ONNX Runtime adds two products of a signed and an unsigned byte in 16 bits,
    /// which do not hold them.
    Unsigned,
}

impl WeightBytes {
    /// What this machine's CPU wants.
    pub(crate) fn of_this_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_vnni = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
            if !has_vnni {
                return Self::Unsigned;
            }
        }
        Self::Signed
    }
}

/// A model's graph, taken apart.
struct Graph<'a> {
    /// The fields of the model, its graph among them.
    model: Vec<Field<'a>>,
    /// The version of the standard operators.
    opset: u64,
    nodes: Vec<Node>,
    /// What the graph is given.
    inputs: HashSet<String>,
    /// What the graph gives.
    outputs: HashSet<String>,
    /// The fields of the graph that are no nodes.
    others: Vec<Cow<'a, [u8]>>,
    /// Places in `others`.
    initializers: HashMap<String, usize>,
}

/// A node of the graph.
#[derive(Clone, Debug)]
struct Node {
    operator: String,
    /// Whether the operator is one of the standard: those of other domains may have the same names.
    is_standard: bool,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Its other fields, as they are stored.
    others: Vec<u8>,
}

impl Node {
    /// A node of a standard operator.
    fn new(operator: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            operator: operator.to_owned(),
            is_standard: true,
            inputs: owned(inputs),
            outputs: owned(outputs),
            others: Vec::new(),
        }
    }

    /// The same with an attribute that is a number, or a list of one.
    fn with_attribute(mut self, name: &str, kind: AttributeKind, number: i64) -> Self {
        let mut attribute = Vec::new();
        put(&mut attribute, ATTRIBUTE_NAME, name.as_bytes());
        put_number(&mut attribute, kind.field(), number.cast_unsigned());
        put_number(&mut attribute, ATTRIBUTE_TYPE, kind.code());
        put(&mut self.others, NODE_ATTRIBUTE, &attribute);
        self
    }

    /// `None` where it is none, or has a graph of its own.
    fn read(content: &[u8]) -> Option<Self> {
        let mut node = Self::new("", &[], &[]);
        for field in fields(content)? {
            let name = || String::from_utf8(field.content?.to_vec()).ok();
            match field.number {
                NODE_INPUT => node.inputs.push(name()?),
                NODE_OUTPUT => node.outputs.push(name()?),
                NODE_OPERATOR => node.operator = name()?,
                number => {
                    if number == NODE_ATTRIBUTE
                        && fields(field.content?)?.iter().any(|field| ATTRIBUTE_GRAPHS.contains(&field.number))
                    {
                        return None;
                    }
                    if number == NODE_DOMAIN {
                        node.is_standard = matches!(field.content?, b"" | b"ai.onnx");
                    }
                    node.others.extend_from_slice(field.whole);
                }
            }
        }
        Some(node)
    }

    fn is(&self, operator: &str) -> bool {
        self.is_standard && self.operator == operator
    }

    fn write(&self) -> Vec<u8> {
        let mut content = Vec::new();
        self.inputs.iter().for_each(|name| put(&mut content, NODE_INPUT, name.as_bytes()));
        self.outputs.iter().for_each(|name| put(&mut content, NODE_OUTPUT, name.as_bytes()));
        put(&mut content, NODE_OPERATOR, self.operator.as_bytes());
        content.extend_from_slice(&self.others);
        content
    }
}

/// What an attribute holds.
#[derive(Clone, Copy, Debug)]
enum AttributeKind {
    Number,
    Numbers,
}

impl AttributeKind {
    /// The field that holds it.
    fn field(self) -> u64 {
        match self {
            Self::Number => 3,
            Self::Numbers => 8,
        }
    }

    /// As `AttributeProto.AttributeType` numbers it.
    fn code(self) -> u64 {
        match self {
            Self::Number => 2,
            Self::Numbers => 7,
        }
    }
}

/// A constant of the graph.
struct Tensor<'a> {
    dimensions: Vec<u64>,
    /// As `TensorProto.DataType` numbers it.
    kind: u64,
    /// Its numbers, little-endian.
    bytes: &'a [u8],
}

impl<'a> Graph<'a> {
    /// `None` for what is no model, and for a graph with graphs inside of its nodes.
    fn read(model: &'a [u8]) -> Option<Self> {
        let model = fields(model)?;
        let content = model.iter().find(|field| field.number == MODEL_GRAPH)?.content?;
        let mut graph = Self {
            opset: 0,
            nodes: Vec::new(),
            inputs: HashSet::new(),
            outputs: HashSet::new(),
            others: Vec::new(),
            initializers: HashMap::new(),
            model: Vec::new(),
        };
        for opset in contents(&model, MODEL_OPSET) {
            let opset = fields(opset)?;
            if contents(&opset, OPSET_DOMAIN).all(|domain| matches!(domain, b"" | b"ai.onnx")) {
                graph.opset = opset.iter().find(|field| field.number == OPSET_VERSION)?.value?;
            }
        }
        for field in fields(content)? {
            let name_of = |message: &[u8], number: u64| {
                String::from_utf8(contents(&fields(message)?, number).next()?.to_vec()).ok()
            };
            match (field.number, field.content) {
                (GRAPH_NODE, Some(node)) => {
                    graph.nodes.push(Node::read(node)?);
                    continue;
                }
                (GRAPH_INPUT, Some(value)) => {
                    graph.inputs.insert(name_of(value, VALUE_NAME)?);
                }
                (GRAPH_OUTPUT, Some(value)) => {
                    graph.outputs.insert(name_of(value, VALUE_NAME)?);
                }
                (GRAPH_INITIALIZER, Some(tensor)) => {
                    graph.initializers.insert(name_of(tensor, TENSOR_NAME)?, graph.others.len());
                }
                _ => {}
            }
            graph.others.push(Cow::Borrowed(field.whole));
        }
        graph.model = model;
        Some(graph)
    }

    fn into_bytes(self) -> Vec<u8> {
        let mut graph = Vec::new();
        self.nodes.iter().for_each(|node| put(&mut graph, GRAPH_NODE, &node.write()));
        self.others.iter().for_each(|field| graph.extend_from_slice(field));
        let mut bytes = Vec::with_capacity(graph.len() + 1024);
        for field in &self.model {
            if field.number == MODEL_GRAPH {
                put(&mut bytes, MODEL_GRAPH, &graph);
            } else {
                bytes.extend_from_slice(field.whole);
            }
        }
        bytes
    }

    /// Places of the nodes by what they make.
    fn makers(&self) -> HashMap<String, usize> {
        let made =
            self.nodes.iter().enumerate().flat_map(|(place, node)| node.outputs.iter().map(move |it| (it, place)));
        made.map(|(name, place)| (name.clone(), place)).collect()
    }

    /// How often each name is read by a node.
    fn uses(&self) -> HashMap<String, usize> {
        let mut uses = HashMap::new();
        for input in self.nodes.iter().flat_map(|node| &node.inputs) {
            *uses.entry(input.clone()).or_default() += 1;
        }
        uses
    }

    /// Takes out nodes of which nothing is read any more.
    fn drop_unread(&mut self) {
        loop {
            let read: HashSet<&String> = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs).collect();
            let is_read: Vec<bool> =
                self.nodes.iter().map(|node| node.outputs.iter().any(|output| read.contains(output))).collect();
            if is_read.iter().all(|&is_read| is_read) {
                return;
            }
            let mut is_read = is_read.into_iter();
            self.nodes.retain(|_| is_read.next().unwrap_or(true));
        }
    }
}

/// A constant by the field that holds it; `None` where its numbers are stored in another way than as bytes.
fn tensor(field: &[u8]) -> Option<Tensor<'_>> {
    let content = fields(fields(field)?.first()?.content?)?;
    let mut dimensions = Vec::new();
    for field in content.iter().filter(|field| field.number == TENSOR_DIMENSIONS) {
        match (field.value, field.content) {
            (Some(dimension), _) => dimensions.push(dimension),
            (None, Some(mut packed)) => {
                while !packed.is_empty() {
                    dimensions.push(take_varint(&mut packed)?);
                }
            }
            (None, None) => return None,
        }
    }
    let kind = content.iter().find(|field| field.number == TENSOR_TYPE)?.value?;
    Some(Tensor { dimensions, kind, bytes: contents(&content, TENSOR_BYTES).next()? })
}

/// A field of a message in protobuf's wire format.
struct Field<'a> {
    number: u64,
    /// With its number and length.
    whole: &'a [u8],
    /// Of a text or a message.
    content: Option<&'a [u8]>,
    /// Of a number of variable length.
    value: Option<u64>,
}

/// The fields of a message in order; `None` where it is none.
fn fields(mut rest: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let begin = rest;
        let key = take_varint(&mut rest)?;
        let (mut content, mut value) = (None, None);
        match key & 7 {
            0 => value = Some(take_varint(&mut rest)?),
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                let (inside, after) = rest.split_at_checked(length)?;
                (content, rest) = (Some(inside), after);
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
        fields.push(Field { number: key >> 3, whole: &begin[..begin.len() - rest.len()], content, value });
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
    put_varint(bytes, number << 3 | 2);
    put_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

/// Appends a field that holds a number.
fn put_number(bytes: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(bytes, number << 3);
    put_varint(bytes, value);
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
        Node::new(operator, inputs, &[output]).write()
    }

    /// A constant of `kind` with these dimensions.
    pub(super) fn constant(name: &str, kind: u64, dimensions: &[u64], numbers: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        dimensions.iter().for_each(|&dimension| put_number(&mut bytes, TENSOR_DIMENSIONS, dimension));
        put_number(&mut bytes, TENSOR_TYPE, kind);
        put(&mut bytes, TENSOR_NAME, name.as_bytes());
        put(&mut bytes, TENSOR_BYTES, numbers);
        bytes
    }

    /// A model of these nodes and constants, with an output.
    pub(super) fn model(nodes: &[Vec<u8>], constants: &[Vec<u8>], output: &str) -> Vec<u8> {
        let (mut graph, mut value, mut model, mut opset) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        nodes.iter().for_each(|node| put(&mut graph, GRAPH_NODE, node));
        constants.iter().for_each(|constant| put(&mut graph, GRAPH_INITIALIZER, constant));
        put(&mut value, VALUE_NAME, output.as_bytes());
        put(&mut graph, GRAPH_OUTPUT, &value);
        put_number(&mut model, 1, 8);
        put(&mut model, MODEL_GRAPH, &graph);
        put(&mut model, 2, b"pytorch");
        put_number(&mut opset, OPSET_VERSION, 17);
        put(&mut model, MODEL_OPSET, &opset);
        model
    }

    #[test]
    fn a_graph_that_is_read_and_written_is_the_same() {
        let nodes = [node("Softmax", &["a"], "b"), node("MatMul", &["b", "w"], "c")];
        let bytes = model(&nodes, &[constant("w", 3, &[2, 300], &[7; 600])], "c");
        let graph = Graph::read(&bytes).unwrap();
        let stored = tensor(&graph.others[graph.initializers["w"]]).unwrap();
        assert_eq!((stored.dimensions, stored.kind, stored.bytes), (vec![2, 300], 3, &[7_u8; 600][..]));
        assert_eq!(graph.opset, 17);
        assert_eq!(graph.into_bytes(), bytes);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(at in 0_usize..4000, with: u8, cut in 0_usize..4000) {
            let mut bytes = int8_products::tests::quantised();
            let (at, cut) = (at % bytes.len(), cut % bytes.len());
            bytes[at] ^= with;
            for bytes in [&bytes[..], &bytes[..cut]] {
                let _ = lightened(bytes);
                let _ = with_int8_products(bytes, WeightBytes::Unsigned);
            }
        }
    }
}
