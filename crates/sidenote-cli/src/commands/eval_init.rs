//! `sidenote eval init`.

use std::{
    collections::HashSet,
    io::{self, BufRead, Write},
    path::Path,
};

use serde_json::json;
use sidenote::ExportedDocument;
use sidenote_http::{EvalSetReport, to_safe_json};

use super::{Session, absolute};
use crate::{args::EvalInitArgs, exit::Exit, format::counted, progress::say, terminal::one_line};

/// A shorter passage holds too little to be asked about.
const LEAST_WORDS: usize = 25;

/// A passage that a question may be asked about.
struct Passage {
    document: String,
    text: String,
}

/// Makes a set from what is ingested.
pub(crate) fn run(session: &Session, args: &EvalInitArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let folder = absolute(&args.set);
    fs_err::create_dir_all(&folder)?;
    let mut documents = 0;
    let mut passages = Vec::new();
    let mut corpus = io::BufWriter::new(fs_err::File::create(folder.join("corpus.jsonl.part"))?);
    session.engine()?.export(session.collection.as_deref(), &mut |document| {
        let id = id_of(&document);
        let line = json!({"_id": id, "title": document.document.title, "text": document.text});
        documents += 1;
        passages.extend(passages_of(&document, &id));
        writeln!(corpus, "{}", to_safe_json(&line)?)
    })?;
    corpus.flush()?;
    fs_err::rename(folder.join("corpus.jsonl.part"), folder.join("corpus.jsonl"))?;

    let mut queries = append(&folder.join("queries.jsonl"))?;
    let mut judgements = append(&folder.join("qrels.tsv"))?;
    let mut asked = lines_of(&folder.join("queries.jsonl"))?;
    if lines_of(&folder.join("qrels.tsv"))? == 0 {
        writeln!(judgements, "query-id\tcorpus-id\tscore")?;
    }
    // A set that is gone on with gets other passages than it has.
    fastrand::Rng::with_seed(args.seed.wrapping_add(asked as u64)).shuffle(&mut passages);
    let mut input = io::stdin().lock().lines();
    for passage in one_a_document_first(passages) {
        if asked >= args.questions || session.cancel.is_cancelled() {
            break;
        }
        say(&format!("\n{}\n    {}", one_line(&passage.document), one_line(&passage.text)));
        say(&format!("question {} of {} (an empty line for another passage):", asked + 1, args.questions));
        let Some(line) = input.next().transpose()? else { break };
        if session.cancel.is_cancelled() {
            break;
        }
        let question = line.trim();
        if question.is_empty() {
            continue;
        }
        asked += 1;
        writeln!(queries, "{}", to_safe_json(&json!({"_id": format!("q{asked}"), "text": question}))?)?;
        writeln!(judgements, "q{asked}\t{}\t1", passage.document)?;
    }
    let path = folder.to_string_lossy().into_owned();
    if output.json {
        output.print_json(&EvalSetReport { path, documents, queries: asked as u64 })?;
    } else {
        let (documents, questions) = (counted(documents, "document"), counted(asked as u64, "question"));
        output.print(&format!(
            "{documents} and {questions} in {0}\nsidenote eval retrieval {0}",
            output.names.short(&folder)
        ))?;
    }
    Ok(if asked == 0 { Exit::Nothing } else { Exit::Done })
}

/// A file and its part; without the tabs and line feeds that would break a line of judgements.
fn id_of(document: &ExportedDocument) -> String {
    let path = document.document.path.to_string_lossy();
    one_line(
        &document.document.part.as_ref().map_or_else(|| path.clone().into_owned(), |part| format!("{path}#{part}")),
    )
}

fn passages_of(document: &ExportedDocument, id: &str) -> Vec<Passage> {
    let texts = document.chunks.iter().filter_map(|chunk| chunk.span.slice(&document.text));
    let texts = texts.filter(|text| text.split_whitespace().count() >= LEAST_WORDS);
    texts.map(|text| Passage { document: id.to_owned(), text: text.to_owned() }).collect()
}

/// The passages, such that every document has its turn before one has its second.
fn one_a_document_first(passages: Vec<Passage>) -> Vec<Passage> {
    let mut seen = HashSet::new();
    let (mut first, rest): (Vec<Passage>, Vec<Passage>) =
        passages.into_iter().partition(|passage| seen.insert(passage.document.clone()));
    first.extend(rest);
    first
}

fn append(path: &Path) -> io::Result<fs_err::File> {
    fs_err::OpenOptions::new().create(true).append(true).open(path)
}

fn lines_of(path: &Path) -> io::Result<usize> {
    Ok(fs_err::read_to_string(path)?.lines().count())
}
