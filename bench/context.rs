//! What the language model gets to read: chosen sentences beside whole passages, with as many tokens.
//!
//! ```sh
//! cargo run --release --workspace --example context -- EVALDATA FOLDER [--take 100] [--contexts sentences:320,passages:640]
//! ```
//!
//! Of the questions of squad2_dev and musique_100, and of the golden ones about this repository's corpus: how often an accepted answer stands
//! in what is read, and of how many of the relevant documents that is. Of Chroma's chunking evaluation, long documents and questions with
//! the stretches that answer them: the share of these stretches' words that are read (recall), and the share of what is read that lies in them
//! (precision). Tokens are counted as the default language model does, which writes nothing here: what it is given does not depend on
//! what it says. The indexes are kept in FOLDER.

use std::collections::HashMap;
use std::error::Error;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sidenote::{
    Answer, AskRequest, CancelToken, Config, Engine, EvalRequest, Generation, Generator, IngestRequest, Isolation,
    StopReason,
};
use sidenote_model::{ChatMessage, GenerateRequest, GeneratorInfo, LlamaGenerator, LlamaOptions, ModelError, Prompt};

#[allow(dead_code, reason = "each program uses some of it")]
#[path = "support/machine.rs"]
mod machine;
#[allow(dead_code, reason = "each program uses some of it")]
#[path = "support/random.rs"]
mod random;

const CONTEXTS: &str = "sentences:320,passages:320,sentences:640,passages:640,passages:1280";

#[expect(clippy::print_stdout, reason = "figures to stdout")]
fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: context EVALDATA FOLDER [--take N] [--contexts sentences:320,passages:640]";
    let mut arguments = std::env::args().skip(1);
    let (sets, folder) = arguments.next().zip(arguments.next()).ok_or(usage)?;
    let (sets, folder) = (PathBuf::from(sets), PathBuf::from(folder));
    let (mut take, mut contexts) = (100, CONTEXTS.to_owned());
    while let Some((name, value)) = arguments.next().map(|name| (name, arguments.next())) {
        let value = value.ok_or(usage)?;
        match name.as_str() {
            "--take" => take = value.parse()?,
            "--contexts" => contexts = value,
            _ => return Err(usage.into()),
        }
    }
    let model = machine::models_folder().join(Config::default().models.generator).join("model.gguf");
    let generator: Arc<dyn Generator> = Arc::new(Silent(LlamaGenerator::load(&model, &LlamaOptions::default())?));
    let long = LongDocuments::read(&sets.join("chunking_eval"), &folder.join("chunking_eval-files"))?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!(
        "| context | squad2_dev: answer read | documents | musique_100: answer read | documents | golden: answer read | documents \
         | chunking_eval: recall | precision | words |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for context in contexts.split(',') {
        let (context, tokens) = context.split_once(':').ok_or(usage)?;
        let engine = |name: &str| -> Result<Engine, Box<dyn Error>> {
            let mut config = Config::default();
            config.paths.data = folder.join(name);
            config.paths.models = machine::models_folder();
            config.ingest.isolation = Isolation::InProcess;
            config.set("answer.context", context)?;
            config.set("answer.context_tokens", tokens)?;
            // Nothing that asks the model.
            for key in ["answer.rewrite", "answer.parts", "answer.steps", "answer.other_languages"] {
                config.set(key, "false")?;
            }
            Ok(Engine::with_models(config, None, Some(Arc::clone(&generator)))?)
        };
        let mut row = vec![format!("{context}, {tokens} tokens")];
        let golden = engine("golden")?;
        golden.ingest(&IngestRequest::new([repository.join("corpus")]), &mut |_| {}, &CancelToken::new())?;
        for (engine, set) in [
            (engine("squad2_dev")?, sets.join("squad2_dev")),
            (engine("musique_100")?, sets.join("musique_100")),
            (golden, repository.join("tests/eval/golden.jsonl")),
        ] {
            let request = EvalRequest { take: Some(take), ..EvalRequest::new(set) };
            let scores = engine.eval_answers(&request, Vec::new(), &mut |_| {}, &CancelToken::new())?.answerable;
            for share in [scores.read, scores.relevant_read] {
                row.push(share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}")));
            }
        }
        let engine = engine("chunking_eval")?;
        engine.ingest(&IngestRequest::new([long.files.clone()]), &mut |_| {}, &CancelToken::new())?;
        let (recall, precision, words) = long.measure(&engine, take)?;
        println!("| {} | {recall:.3} | {precision:.3} | {words:.0} |", row.join(" | "));
    }
    Ok(())
}

/// Counts tokens as a model does, and writes nothing.
struct Silent(LlamaGenerator);

impl Generator for Silent {
    fn info(&self) -> GeneratorInfo {
        self.0.info()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }

    fn render(&self, messages: &[ChatMessage]) -> Result<Prompt, ModelError> {
        self.0.render(messages)
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        _: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, ModelError> {
        Ok(Generation::of_nothing(request.prompt.tokens.len(), StopReason::EndOfText))
    }

    fn score(&self, _: &Prompt, continuations: &[&str]) -> Result<Vec<f32>, ModelError> {
        Ok(vec![0.0; continuations.len()])
    }
}

/// Chroma's chunking evaluation (Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval", 2024).
struct LongDocuments {
    /// A file for each document.
    files: PathBuf,
    texts: HashMap<String, String>,
    questions: Vec<Question>,
    /// The document that answers each question.
    homes: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Document {
    _id: String,
    text: String,
}

#[derive(Clone, Deserialize)]
struct Question {
    _id: String,
    text: String,
    metadata: Metadata,
}

#[derive(Clone, Deserialize)]
struct Metadata {
    references: Vec<Reference>,
}

/// A stretch that answers, in characters.
#[derive(Clone, Deserialize)]
struct Reference {
    start_index: usize,
    end_index: usize,
}

impl LongDocuments {
    fn read(set: &Path, files: &Path) -> Result<Self, Box<dyn Error>> {
        fs_err::create_dir_all(files)?;
        let mut texts = HashMap::new();
        for line in fs_err::read_to_string(set.join("corpus.jsonl"))?.lines() {
            let document: Document = serde_json::from_str(line)?;
            fs_err::write(files.join(format!("{}.txt", document._id)), &document.text)?;
            texts.insert(document._id, document.text);
        }
        let questions = fs_err::read_to_string(set.join("queries.jsonl"))?;
        let questions = questions.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let mut homes = HashMap::new();
        for line in fs_err::read_to_string(set.join("qrels.tsv"))?.lines().skip(1) {
            let mut fields = line.split('\t').map(str::to_owned);
            homes.extend(fields.next().zip(fields.next()));
        }
        Ok(Self { files: files.to_owned(), texts, questions, homes })
    }

    /// Recall, precision and words read, means over questions that are drawn.
    fn measure(&self, engine: &Engine, take: usize) -> Result<(f64, f64, f64), Box<dyn Error>> {
        let mut questions = self.questions.clone();
        random::Random(1).shuffle(&mut questions);
        questions.truncate(take);
        let (mut recall, mut precision, mut read) = (0.0, 0.0, 0.0);
        for question in &questions {
            let home = &self.homes[&question._id];
            let text = &self.texts[home];
            let byte = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte);
            let wanted: Vec<Range<usize>> =
                question.metadata.references.iter().map(|of| byte(of.start_index)..byte(of.end_index)).collect();
            let answer = engine.ask(&AskRequest::new(&question.text), &mut |_| {}, &CancelToken::new())?;
            let words = words_read(&answer);
            let is_inside = |word: &Range<usize>| wanted.iter().any(|of| of.start <= word.start && word.end <= of.end);
            let held = words.iter().filter(|(document, word)| document == home && is_inside(word)).count();
            let all = words_of(text).filter(is_inside).count();
            recall += held as f64 / all.max(1) as f64;
            precision += held as f64 / words.len().max(1) as f64;
            read += words.len() as f64;
        }
        let count = questions.len() as f64;
        Ok((recall / count, precision / count, read / count))
    }
}

/// Where the words of a text stand.
fn words_of(text: &str) -> impl Iterator<Item = Range<usize>> + Clone {
    let begin = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().map(move |word| begin(word)..begin(word) + word.len())
}

/// The words that were read, each with its document and its place in the stored text. What is read of a passage are words of it, in order.
fn words_read(answer: &Answer) -> Vec<(String, Range<usize>)> {
    let mut words = Vec::new();
    for read in &answer.read {
        let Some(hit) = answer.passages.iter().find(|hit| hit.chunk == read.chunk) else { continue };
        let name = hit.document.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut stored = words_of(&hit.text);
        for word in read.text.split_whitespace() {
            // The header of a table stands elsewhere.
            let mut ahead = stored.clone();
            let Some(found) = ahead.find(|place| &hit.text[place.clone()] == word) else { continue };
            stored = ahead;
            words.push((name.clone(), hit.span.start + found.start..hit.span.start + found.end));
        }
    }
    words
}
