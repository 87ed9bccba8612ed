//! Products of whole numbers in place of products of fractions.
//!
//! The weights of a model that is "int8" are often stored so and made into fractions when it is loaded (`Cast`, `Mul` by the scale of each
//! column), so its products are those of fp32. Here the other factor is rounded to 256 steps as it comes, and the product is that of
//! whole numbers, which a CPU with VNNI does several times as fast: `DynamicQuantizeLinear`, `MatMulInteger`, and the scales
//! behind it, in the shape that ONNX Runtime makes one operator of.
//!
//! The steps are as wide as the largest number of all tokens asks for. In the feed-forward part some tokens have numbers many times
//! as large as the others, which would be left with few steps; there every token is divided by its own largest number before, and
//! multiplied after. (Such outliers: Bondarenko, Nagel and Blankevoort, "Understanding and Overcoming the Challenges of Efficient
//! Transformer Quantization", EMNLP 2021, arXiv 2109.12948.) What it gains and costs is in `bench/RESULTS.md`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::{
    AttributeKind, GRAPH_INITIALIZER, Graph, Node, TENSOR_BYTES, TENSOR_NAME, TENSOR_TYPE, WeightBytes, fields, put,
    put_number, tensor,
};

const FLOAT: u64 = 1;
const UNSIGNED_BYTE: u64 = 2;
const SIGNED_BYTE: u64 = 3;
/// What is added to a signed byte to make it an unsigned one.
const MIDDLE: u8 = 128;
const MIDDLE_NAME: &str = "sidenote_middle";
/// What a token is divided by at least: all of its numbers may be 0.
const LEAST: f32 = f32::MIN_POSITIVE;
const LEAST_NAME: &str = "sidenote_least";
/// Versions of the standard operators in which `ReduceMax` has its axes as an attribute and `DynamicQuantizeLinear` exists.
const OPSETS: std::ops::RangeInclusive<u64> = 11..=17;

/// Weights of a product.
struct Weights {
    /// The whole numbers, by rows of the other factor's columns.
    bytes: String,
    /// What each column is multiplied by.
    scale: String,
    is_square: bool,
}

impl Graph<'_> {
    /// Returns whether there were any.
    pub(super) fn make_products_int8(&mut self, weight_bytes: WeightBytes) -> bool {
        if !OPSETS.contains(&self.opset) {
            return false;
        }
        let (makers, uses) = (self.makers(), self.uses());
        let known: Vec<Option<Weights>> = self.nodes.iter().map(|node| self.weights_of(node, &makers, &uses)).collect();
        let mut nodes = Vec::with_capacity(2 * self.nodes.len());
        // The same numbers are a factor of several products.
        let mut rounded: HashSet<String> = HashSet::new();
        let mut changed: HashSet<String> = HashSet::new();
        for (node, weights) in std::mem::take(&mut self.nodes).into_iter().zip(known) {
            let ([factor, _], [product], Some(weights)) = (&node.inputs[..], &node.outputs[..], weights) else {
                nodes.push(node);
                continue;
            };
            let named = |of: &str, what: &str| format!("{of}/sidenote_{what}");
            let per_token = !weights.is_square;
            let way = if per_token { "token" } else { "all" };
            let [largest, bytes, step, zero] =
                ["largest", "bytes", "step", "zero"].map(|what| named(factor, &format!("{way}_{what}")));
            if rounded.insert(bytes.clone()) {
                let mut divided = factor.clone();
                if per_token {
                    let size = named(factor, "size");
                    divided = named(factor, "divided");
                    nodes.push(Node::new("Abs", &[factor], &[&size]));
                    let most = Node::new("ReduceMax", &[&size], &[&named(factor, "most")]);
                    nodes.push(most.with_attribute("axes", AttributeKind::Numbers, -1));
                    nodes.push(Node::new("Max", &[&named(factor, "most"), LEAST_NAME], &[&largest]));
                    nodes.push(Node::new("Div", &[factor, &largest], &[&divided]));
                }
                nodes.push(Node::new("DynamicQuantizeLinear", &[&divided], &[&bytes, &step, &zero]));
            }
            let [whole, fraction, scale, scaled] =
                ["whole", "fraction", "scale", "scaled"].map(|what| named(product, what));
            let scaled = if per_token { &scaled } else { product };
            let mut factors = vec![&bytes[..], &weights.bytes, &zero];
            if weight_bytes == WeightBytes::Unsigned {
                factors.push(MIDDLE_NAME);
            }
            nodes.push(Node::new("MatMulInteger", &factors, &[&whole]));
            let cast = Node::new("Cast", &[&whole], &[&fraction]);
            nodes.push(cast.with_attribute("to", AttributeKind::Number, FLOAT.cast_signed()));
            nodes.push(Node::new("Mul", &[&step, &weights.scale], &[&scale]));
            nodes.push(Node::new("Mul", &[&fraction, &scale], &[scaled]));
            if per_token {
                nodes.push(Node::new("Mul", &[scaled, &largest], &[product]));
            }
            changed.insert(weights.bytes);
        }
        self.nodes = nodes;
        self.add_constant(LEAST_NAME, FLOAT, &LEAST.to_le_bytes());
        if weight_bytes == WeightBytes::Unsigned {
            self.shift(&changed);
            self.add_constant(MIDDLE_NAME, UNSIGNED_BYTE, &[MIDDLE]);
        }
        !changed.is_empty()
    }

    /// The weights of a product with int8 ones, which are made into fractions by columns before it, and for it alone.
    fn weights_of(
        &self,
        product: &Node,
        makers: &HashMap<String, usize>,
        uses: &HashMap<String, usize>,
    ) -> Option<Weights> {
        let made_by = |name: &String, operator: &str| {
            let maker = &self.nodes[*makers.get(name)?];
            (maker.is(operator) && uses.get(name) == Some(&1) && !self.outputs.contains(name)).then_some(maker)
        };
        let [_, factor] = &product.inputs[..] else { return None };
        let [fractions, scale] = &made_by(factor, "Mul").filter(|_| product.is("MatMul"))?.inputs[..] else {
            return None;
        };
        let [bytes] = &made_by(fractions, "Cast")?.inputs[..] else { return None };
        // What is an input as well may be given another value by who runs the graph, and has its type declared there.
        let constant = |name: &String| {
            let place = self.initializers.get(name).filter(|_| !self.inputs.contains(name))?;
            tensor(&self.others[*place])
        };
        let (stored, columns) = (constant(bytes)?, constant(scale)?);
        let [rows, width] = stored.dimensions[..] else { return None };
        let fits = stored.kind == SIGNED_BYTE && stored.bytes.len() as u64 == rows.checked_mul(width)?;
        let by_columns = columns.kind == FLOAT && columns.dimensions.last() == Some(&width);
        let is_row = columns.dimensions.iter().rev().skip(1).all(|&dimension| dimension == 1);
        let weights = Weights { bytes: bytes.clone(), scale: scale.clone(), is_square: rows == width };
        (fits && by_columns && is_row && uses.get(bytes) == Some(&1)).then_some(weights)
    }

    /// Stores weights as unsigned bytes.
    fn shift(&mut self, weights: &HashSet<String>) {
        for place in weights.iter().filter_map(|name| self.initializers.get(name)) {
            if let Some(shifted) = shifted(&self.others[*place]) {
                self.others[*place] = Cow::Owned(shifted);
            }
        }
    }

    /// Adds a constant that is one number.
    fn add_constant(&mut self, name: &str, kind: u64, bytes: &[u8]) {
        let mut constant = Vec::new();
        put_number(&mut constant, TENSOR_TYPE, kind);
        put(&mut constant, TENSOR_NAME, name.as_bytes());
        put(&mut constant, TENSOR_BYTES, bytes);
        let mut field = Vec::new();
        put(&mut field, GRAPH_INITIALIZER, &constant);
        self.others.push(Cow::Owned(field));
    }
}

/// A constant of signed bytes as one of unsigned bytes.
fn shifted(field: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::with_capacity(field.len());
    for field in fields(fields(field)?.first()?.content?)? {
        match (field.number, field.content) {
            (TENSOR_TYPE, _) => put_number(&mut content, TENSOR_TYPE, UNSIGNED_BYTE),
            (TENSOR_BYTES, Some(bytes)) => {
                let unsigned: Vec<u8> = bytes.iter().map(|byte| byte.wrapping_add(MIDDLE)).collect();
                put(&mut content, TENSOR_BYTES, &unsigned);
            }
            _ => content.extend_from_slice(field.whole),
        }
    }
    let mut shifted = Vec::with_capacity(content.len() + 8);
    put(&mut shifted, GRAPH_INITIALIZER, &content);
    Some(shifted)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{constant, model, node};
    use super::super::with_int8_products;
    use super::*;

    /// A model with a square product and one that is not, a norm, and a guard.
    pub(in super::super) fn quantised() -> Vec<u8> {
        quantised_with(&[1, 3])
    }

    fn quantised_with(scale: &[u64]) -> Vec<u8> {
        let nodes = [
            node("Cast", &["a_q"], "a_f"),
            node("Mul", &["a_f", "a_s"], "a"),
            node("Cast", &["b_q"], "b_f"),
            node("Mul", &["b_f", "b_s"], "b"),
            node("MatMul", &["x", "a"], "y"),
            node("Softmax", &["y"], "soft"),
            node("IsNaN", &["soft"], "bad"),
            node("Where", &["bad", "zero", "soft"], "clean"),
            node("Add", &["clean", "x"], "sum"),
            node("LayerNormalization", &["sum", "g"], "norm"),
            node("MatMul", &["norm", "b"], "out"),
        ];
        let constants = [
            constant("a_q", SIGNED_BYTE, &[2, 2], &[1, 255, 127, 129]),
            constant("a_s", FLOAT, &[1, 2], &[0; 8]),
            constant("b_q", SIGNED_BYTE, &[2, 3], &[0, 1, 2, 3, 4, 5]),
            constant("b_s", FLOAT, scale, &[0; 12]),
        ];
        model(&nodes, &constants, "out")
    }

    fn operators(model: &[u8]) -> Vec<String> {
        Graph::read(model).unwrap().nodes.into_iter().map(|node| node.operator).collect()
    }

    #[test]
    fn products_with_int8_weights_are_of_whole_numbers() {
        let changed = with_int8_products(&quantised(), WeightBytes::Signed).unwrap();
        let product = ["DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul", "Mul"];
        let expected = [
            &product[..],
            &["Softmax", "Sum", "LayerNormalization", "Abs", "ReduceMax", "Max", "Div"],
            &product,
            &["Mul"],
        ];
        assert_eq!(operators(&changed), expected.concat());
        let graph = Graph::read(&changed).unwrap();
        assert_eq!(graph.nodes.last().unwrap().outputs, ["out"]);
        assert_eq!(graph.nodes[1].inputs, ["x/sidenote_all_bytes", "a_q", "x/sidenote_all_zero"]);
        assert_eq!(tensor(&graph.others[graph.initializers["a_q"]]).unwrap().bytes, [1, 255, 127, 129]);
    }

    #[test]
    fn a_cpu_without_vnni_gets_unsigned_weights_and_what_was_added() {
        let changed = with_int8_products(&quantised(), WeightBytes::Unsigned).unwrap();
        let graph = Graph::read(&changed).unwrap();
        assert_eq!(graph.nodes[1].inputs.last().unwrap(), MIDDLE_NAME);
        let constant = |name: &str| tensor(&graph.others[graph.initializers[name]]).unwrap();
        assert_eq!((constant("a_q").kind, constant("a_q").bytes), (UNSIGNED_BYTE, &[129, 127, 255, 1][..]));
        assert_eq!((constant(MIDDLE_NAME).kind, constant(MIDDLE_NAME).bytes), (UNSIGNED_BYTE, &[MIDDLE][..]));
    }

    #[test]
    fn what_is_no_scale_of_columns_stays() {
        // One for each row, or of another length.
        for scale in [&[3, 1][..], &[2, 1], &[1, 2], &[2, 3], &[]] {
            let changed = with_int8_products(&quantised_with(scale), WeightBytes::Signed).unwrap();
            let products = operators(&changed).iter().filter(|operator| *operator == "MatMul").count();
            assert_eq!(products, 1, "{scale:?}");
        }
        assert!(
            with_int8_products(&model(&[node("MatMul", &["x", "w"], "y")], &[], "y"), WeightBytes::Signed).is_none()
        );
    }
}
