//! A set of documents, queries and judgements in the layout of BEIR (Thakur et al., NeurIPS 2021, arXiv 2104.08663), with answers
//! beside the queries where answers are measured; and a file of questions about documents that are ingested.

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
    /// Documents that were judged, at least one of them above 0; none where nobody judged.
    pub(super) relevant: HashMap<String, f64>,
    /// Accepted answers, of each group one; none where the set names none.
    pub(super) answers: Vec<Vec<String>>,
    /// Whether the documents say.
    pub(super) is_answerable: bool,
}

impl Query {
    /// Whether it is known of an answer if it is right.
    fn can_be_judged(&self) -> bool {
        !self.is_answerable || !self.answers.is_empty() || !self.relevant.is_empty()
    }
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
    pub(super) fn for_rankings(request: &EvalRequest) -> Result<Self, Error> {
        let documents = documents(&request.set.join(request.corpus()))?;
        let relevant = relevant(&judgements(&request.set), &documents)?;
        let path = request.set.join("queries.jsonl");
        let queries = queries(&path, request, relevant, |query| !query.relevant.is_empty())?;
        if queries.is_empty() {
            return Err(Error::EvalSet { path, reason: "no query of it has a relevant document".into() });
        }
        Ok(Self { name: name_of(&request.set), documents, queries })
    }

    /// Reads a folder, or a file of questions about documents that are ingested, and of the questions those that are asked for and
    /// can be judged.
    pub(super) fn for_answers(request: &EvalRequest) -> Result<Self, Error> {
        let (path, documents, relevant) = if request.is_of_questions_alone() {
            (request.set.clone(), Vec::new(), Judgements::new())
        } else {
            let documents = documents(&request.set.join(request.corpus()))?;
            let path = judgements(&request.set);
            let relevant = if path.exists() { relevant(&path, &documents)? } else { Judgements::new() };
            (request.set.join("queries.jsonl"), documents, relevant)
        };
        let queries = queries(&path, request, relevant, Query::can_be_judged)?;
        if queries.is_empty() {
            let reason = "no question of it has `answers`, a relevant document, or `\"answerable\": false`".into();
            return Err(Error::EvalSet { path, reason });
        }
        Ok(Self { name: name_of(&request.set), documents, queries })
    }
}

fn name_of(set: &Path) -> String {
    let path = fs_err::canonicalize(set).unwrap_or_else(|_| set.to_owned());
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn judgements(folder: &Path) -> PathBuf {
    let [ours, theirs] = [folder.join("qrels.tsv"), folder.join("qrels/test.tsv")];
    if !ours.is_file() && theirs.is_file() { theirs } else { ours }
}

/// The queries that are asked for and wanted, each with its judgements.
fn queries(
    path: &Path,
    request: &EvalRequest,
    mut relevant: Judgements,
    wanted: fn(&Query) -> bool,
) -> Result<Vec<Query>, Error> {
    let mut queries = Vec::new();
    let mut seen = HashSet::new();
    let is_of_questions_alone = request.is_of_questions_alone();
    for_each_value(path, |line, value| {
        let (id, text) = (either(&value, "_id", "id"), either(&value, "text", "question"));
        if id.is_empty() || text.trim().is_empty() {
            return Err(bad(path, line, "wants an `_id` and a `text`"));
        }
        if !seen.insert(id.clone()) {
            return Err(bad(path, line, &format!("the query `{id}` stands there twice")));
        }
        if request.only.as_ref().is_none_or(|(field, wanted)| has(&value, field, wanted)) {
            let mut relevant = relevant.remove(&id).unwrap_or_default();
            if is_of_questions_alone {
                relevant.extend(evidence(&value));
            }
            let answers = answers(&value).ok_or_else(|| {
                bad(
                    path,
                    line,
                    "`answers` is no list of texts, and no list of such lists, of each of which one has to be there",
                )
            })?;
            let is_answerable = value["answerable"].as_bool().unwrap_or(true);
            // What some sets accept then is a way to say that one does not know.
            let answers = if is_answerable { answers } else { Vec::new() };
            let query = Query { id, text, relevant, answers, is_answerable };
            if wanted(&query) {
                queries.push(query);
            }
        }
        Ok(())
    })?;
    if let Some(take) = request.take.filter(|take| *take < queries.len()) {
        fastrand::Rng::with_seed(request.seed).shuffle(&mut queries);
        queries.truncate(take);
    }
    Ok(queries)
}

/// A list of ways to say the one answer; of several answers a list of such lists, also as `answers_all`. `None` for anything else.
fn answers(value: &Value) -> Option<Vec<Vec<String>>> {
    let texts = |list: &Value| -> Option<Vec<String>> {
        list.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let groups = |list: &Value| -> Option<Vec<Vec<String>>> { list.as_array()?.iter().map(texts).collect() };
    let found = match (&value["answers_all"], &value["answers"]) {
        (Value::Null, Value::Null) => Vec::new(),
        (Value::Null, one) => texts(one).map(|group| vec![group]).or_else(|| groups(one))?,
        (all, _) => groups(all)?,
    };
    Some(found.into_iter().filter(|group| !group.is_empty()).collect())
}

/// Documents that a question names itself, as the end of their path: `evidence` is a list of objects with a `document`.
fn evidence(value: &Value) -> impl Iterator<Item = (String, f64)> {
    let places = value["evidence"].as_array().into_iter().flatten();
    places.filter_map(|place| Some((place["document"].as_str()?.to_owned(), 1.0)))
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

/// Scores of documents, by query.
type Judgements = HashMap<String, HashMap<String, f64>>;

/// Judgements of each query that has a relevant document among these.
fn relevant(path: &Path, documents: &[SetDocument]) -> Result<Judgements, Error> {
    let known: HashSet<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let mut judged = Judgements::new();
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

fn either(value: &Value, key: &str, other: &str) -> String {
    let text = text_of(value, key);
    if text.is_empty() { text_of(value, other) } else { text }
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
