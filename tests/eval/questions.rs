//! The golden questions of this project, with their answers and the places that hold them.

use std::{error::Error, path::Path};

use serde::Deserialize;

/// A question whose answer is known.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Its name in the set.
    pub(crate) id: String,
    /// What it asks for: `fact`, `number`, ...
    pub(crate) kind: String,
    /// The question.
    pub(crate) text: String,
    /// Accepted answers: of each group one. Empty when the documents do not say.
    pub(crate) groups: Vec<Vec<String>>,
    /// Where the answer stands.
    pub(crate) evidence: Vec<Evidence>,
}

/// Where an answer stands.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Evidence {
    /// Path inside the ingested folder.
    pub(crate) document: String,
    /// The words that hold the answer, white space folded where the format has none of its own.
    pub(crate) quote: String,
}

impl Question {
    /// Whether the documents say.
    pub(crate) fn is_answerable(&self) -> bool {
        !self.groups.is_empty()
    }
}

/// Reads `golden.jsonl`; `tests/eval/README.md` explains its fields.
pub(crate) fn read_golden(path: &Path) -> Result<Vec<Question>, Box<dyn Error>> {
    #[derive(Deserialize)]
    struct Line {
        id: String,
        kind: String,
        question: String,
        answerable: bool,
        #[serde(default)]
        answers: Vec<String>,
        #[serde(default)]
        answers_all: Vec<Vec<String>>,
        #[serde(default)]
        evidence: Vec<Evidence>,
    }
    lines(path)?
        .into_iter()
        .map(|line: Line| {
            let mut groups = line.answers_all;
            if !line.answers.is_empty() {
                groups.push(line.answers);
            }
            if line.answerable == groups.is_empty() {
                return Err(format!("{}: `answerable` and its answers disagree", line.id).into());
            }
            Ok(Question { id: line.id, kind: line.kind, text: line.question, groups, evidence: line.evidence })
        })
        .collect()
}

fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, Box<dyn Error>> {
    let text = fs_err::read_to_string(path)?;
    let parse = |(place, line)| {
        serde_json::from_str(line).map_err(|error| format!("{}:{}: {error}", path.display(), place + 1).into())
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}
