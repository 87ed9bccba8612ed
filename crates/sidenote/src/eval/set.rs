//! A set of documents, queries and judgements in the layout of BEIR (Thakur et al., NeurIPS 2021, arXiv 2104.08663).

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::EvalRequest;
use crate::error::Error;

/// Most bytes of a line; a longer one is no document of such a set.
const MAX_LINE_BYTES: usize = 64 << 20;

/// A document of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetDocument {
    pub(super) id: String,
    /// Empty where there is none.
    pub(super) title: String,
    pub(super) text: String,
}

/// A query with its judgements.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) text: String,
    /// Documents that were judged, at least one of them above 0.
    pub(super) relevant: HashMap<String, f64>,
}

/// A set, read.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) documents: Vec<SetDocument>,
    pub(super) queries: Vec<Query>,
}

impl Set {
    /// Reads a folder, and of its queries those that are asked for and have a relevant document.
    pub(super) fn read(request: &EvalRequest) -> Result<Self, Error> {
        let folder = &request.set;
        let corpus = folder.join(request.corpus.as_deref().unwrap_or(Path::new("corpus.jsonl")));
        let documents = documents(&corpus)?;
        let known: HashSet<&str> = documents.iter().map(|document| document.id.as_str()).collect();
        let judgements = [folder.join("qrels.tsv"), folder.join("qrels/test.tsv")];
        let judgements = judgements.iter().find(|path| path.is_file()).unwrap_or(&judgements[0]);
        let mut relevant = relevant(judgements, &known)?;
        let path = folder.join("queries.jsonl");
        let mut queries = Vec::new();
        let mut seen = HashSet::new();
        for_each_value(&path, |line, value| {
            let (id, text) = (text_of(&value, "_id"), text_of(&value, "text"));
            if id.is_empty() || text.trim().is_empty() {
                return Err(bad(&path, line, "wants an `_id` and a `text`"));
            }
            if !seen.insert(id.clone()) {
                return Err(bad(&path, line, &format!("the query `{id}` stands there twice")));
            }
            if request.only.as_ref().is_none_or(|(field, wanted)| has(&value, field, wanted))
                && let Some(relevant) = relevant.remove(&id)
            {
                queries.push(Query { id, text, relevant });
            }
            Ok(())
        })?;
        if let Some(take) = request.take.filter(|take| *take < queries.len()) {
            fastrand::Rng::with_seed(request.seed).shuffle(&mut queries);
            queries.truncate(take);
        }
        if queries.is_empty() {
            return Err(Error::EvalSet { path, reason: "no query of it has a relevant document".into() });
        }
        let name = fs_err::canonicalize(folder).unwrap_or_else(|_| folder.clone());
        let name = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, documents, queries })
    }
}

fn documents(path: &Path) -> Result<Vec<SetDocument>, Error> {
    let mut documents: Vec<SetDocument> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for_each_value(path, |line, value| {
        let document =
            SetDocument { id: text_of(&value, "_id"), title: text_of(&value, "title"), text: text_of(&value, "text") };
        if document.id.is_empty() {
            return Err(bad(path, line, "wants an `_id`"));
        }
        if !seen.insert(document.id.clone()) {
            return Err(bad(path, line, &format!("the document `{}` stands there twice", document.id)));
        }
        documents.push(document);
        Ok(())
    })?;
    if documents.is_empty() {
        return Err(Error::EvalSet { path: path.to_owned(), reason: "it holds no document".into() });
    }
    Ok(documents)
}

/// Judgements of each query that has a relevant document among the known ones.
fn relevant(path: &Path, known: &HashSet<&str>) -> Result<HashMap<String, HashMap<String, f64>>, Error> {
    let mut judged: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for_each_line(path, |number, line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let (query, document, score) = match cells.as_slice() {
            [query, document, score] => (*query, *document, *score),
            // As TREC writes it, with an unused second column.
            [query, _, document, score] => (*query, *document, *score),
            _ => return Err(bad(path, number, "wants a query, a document and a score with tabs between them")),
        };
        match score.trim().parse::<f64>() {
            Ok(score) if score.is_finite() => {
                if known.contains(document) {
                    judged.entry(query.to_owned()).or_default().insert(document.to_owned(), score);
                }
            }
            _ if number == 1 => {}
            _ => return Err(bad(path, number, &format!("`{score}` is no score"))),
        }
        Ok(())
    })?;
    judged.retain(|_, documents| documents.values().any(|score| *score > 0.0));
    Ok(judged)
}

/// A string, or what else has no parts written out; empty where there is none.
fn text_of(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// Whether a field, at the top or under `metadata`, has a value.
fn has(value: &Value, field: &str, wanted: &str) -> bool {
    [value, &value["metadata"]].into_iter().any(|fields| !fields[field].is_null() && text_of(fields, field) == wanted)
}

fn for_each_value(path: &Path, mut each: impl FnMut(usize, Value) -> Result<(), Error>) -> Result<(), Error> {
    for_each_line(path, |number, line| {
        let value = serde_json::from_str(line).map_err(|error| bad(path, number, &format!("is no JSON: {error}")))?;
        each(number, value)
    })
}

fn for_each_line(path: &Path, mut each: impl FnMut(usize, &str) -> Result<(), Error>) -> Result<(), Error> {
    let unread = |error: std::io::Error| Error::EvalSet { path: path.to_owned(), reason: error.kind().to_string() };
    let mut file = BufReader::new(fs_err::File::open(path).map_err(unread)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut limited = std::io::Read::take(&mut file, MAX_LINE_BYTES as u64 + 1);
        if limited.read_until(b'\n', &mut line).map_err(unread)? == 0 {
            break;
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(bad(path, number, &format!("is longer than {} MiB", MAX_LINE_BYTES >> 20)));
        }
        let text = str::from_utf8(&line).map_err(|_| bad(path, number, "is not UTF-8"))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if !text.trim().is_empty() {
            each(number, text)?;
        }
    }
    Ok(())
}

fn bad(path: &Path, line: usize, reason: &str) -> Error {
    Error::EvalSet { path: PathBuf::from(path), reason: format!("line {line} {reason}") }
}
