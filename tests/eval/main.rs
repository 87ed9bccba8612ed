//! Quality on the golden questions over `corpus/`: whether the right span is found, whether answers are right, whether
//! sidenote keeps silent where the documents do, and whether what it quotes is what stands there.
//!
//! The results are committed per question in `tests/eval/results/`; `SIDENOTE_UPDATE_EVAL=1` writes them anew. Floors, not
//! exact results, are asserted: the arithmetic differs a little from CPU to CPU. The run with the large model takes up to hours; one
//! that was cut goes on where it stopped, as long as the program is the same.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: what fails here fails it, and results are shown"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use sidenote::{AskRequest, CancelToken, Config, Engine, Hit, IngestRequest, Isolation, SearchRequest, judge};

mod questions;

use questions::{Evidence, Question};

/// A corpus that is ingested, and its questions.
struct Golden {
    engine: Engine,
    corpus: PathBuf,
    questions: Vec<Question>,
    _data: tempfile::TempDir,
}

/// `None`, and said so, where the models are not on this machine.
fn golden(generator: &str) -> Option<Golden> {
    golden_with(generator, |_| ())
}

fn golden_with(generator: &str, change: fn(&mut Config)) -> Option<Golden> {
    let root = Path::new("../..").canonicalize().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.paths.data = data.path().join("data");
    config.paths.models = models_folder();
    config.models.generator = generator.to_owned();
    change(&mut config);
    // This is a test harness: it has a main of its own. The worker is tested with the real binary.
    config.ingest.isolation = Isolation::InProcess;
    for needed in [&config.models.embedder, &config.models.runtime, &config.models.generator] {
        if !config.paths.models.join(needed).is_dir() {
            assert!(std::env::var_os("SIDENOTE_REQUIRE_MODELS").is_none(), "model `{needed}` is missing");
            eprintln!("SKIPPED: model `{needed}` is missing; `sidenote models pull` fetches it");
            return None;
        }
    }
    let engine = Engine::open(config).unwrap();
    let corpus = root.join("corpus");
    let report = engine.ingest(&IngestRequest::new([&corpus]), &mut |_| {}, &CancelToken::new()).unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert!(report.added >= 40, "{report:?}");
    let questions = questions::read_golden(&root.join("tests/eval/golden.jsonl")).unwrap();
    assert!(questions.len() >= 80);
    Some(Golden { engine, corpus, questions, _data: data })
}

fn models_folder() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let data = || std::env::var_os("XDG_DATA_HOME").map_or_else(|| home().join(".local/share"), PathBuf::from);
    std::env::var_os("SIDENOTE_MODELS").map_or_else(|| data().join("sidenote/models"), PathBuf::from)
}

/// White space, hyphens, bullets and cell borders gone: what an extraction may set differently.
fn fold(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric() || !(c.is_whitespace() || "-\u{ad}\u{2010}\u{2011}\u{2022}|*_`".contains(*c)))
        .collect()
}

fn holds(hit: &Hit, corpus: &Path, evidence: &Evidence) -> bool {
    hit.document.path == corpus.join(&evidence.document) && fold(&hit.text).contains(&fold(&evidence.quote))
}

/// Place, from 1, at which the question's evidence is complete: all of it for a question of two documents, any of it
/// for the others.
fn rank(question: &Question, hits: &[Hit], corpus: &Path) -> Option<usize> {
    let places: Vec<Option<usize>> = question
        .evidence
        .iter()
        .map(|evidence| hits.iter().find(|hit| holds(hit, corpus, evidence)).map(|hit| hit.rank))
        .collect();
    if question.kind == "two_documents" {
        places.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max()
    } else {
        places.into_iter().flatten().min()
    }
}

#[test]
fn the_right_span_is_among_the_first_five() {
    let Some(golden) = golden("smollm2-135m-instruct-q4_1") else { return };
    let mut lines = String::new();
    let mut found = 0;
    let answerable: Vec<&Question> = golden.questions.iter().filter(|question| question.is_answerable()).collect();
    for question in &answerable {
        let request = SearchRequest { limit: 20, ..SearchRequest::new(&question.text) };
        let hits = golden.engine.search(&request).unwrap().hits;
        let rank = rank(question, &hits, &golden.corpus);
        found += usize::from(rank.is_some_and(|rank| rank <= 5));
        lines.push_str(&format!("{}\n", serde_json::json!({"id": question.id, "kind": question.kind, "rank": rank})));
        if rank.is_none_or(|rank| rank > 5) {
            eprintln!("{} {:?} at {rank:?}: {}", question.id, question.kind, question.text);
        }
    }
    eprintln!("recall@5 of the right span: {found} of {}", answerable.len());
    write_results("retrieval.jsonl", &lines);
    // The aim is 90 of 100 and is just reached; three questions less are left to the arithmetic of other CPUs.
    assert!(found * 100 >= answerable.len() * 87, "recall@5 {found} of {}", answerable.len());
}

#[test]
fn quotes_are_the_documents_own_words() {
    // The small model trusts no answer; here all that have a note are shown.
    let Some(golden) = golden_with("smollm2-135m-instruct-q4_1", |config| config.answer.min_confidence = 0.0) else {
        return;
    };
    // The small model writes nonsense now and then; what it writes that is shown must be backed by real quotes all the same.
    // The first question of each format that answers stand in, and the first that no document answers.
    let mut formats = BTreeSet::new();
    let format = |evidence: &Evidence| Path::new(&evidence.document).extension().map(ToOwned::to_owned);
    let taken: Vec<&Question> =
        golden.questions.iter().filter(|question| formats.insert(question.evidence.first().map(format))).collect();
    assert!(taken.len() >= 5, "Markdown, text, HTML, PDF and nothing");
    let shown = taken.into_iter().map(|question| check_quotes(&golden, question).1).sum::<usize>();
    eprintln!("{shown} quotes compared");
    assert!(shown >= 3, "only {shown} quotes were shown");
}

#[test]
fn the_large_model_answers_and_keeps_silent() {
    if std::env::var_os("SIDENOTE_SLOW_TESTS").is_none() {
        eprintln!("slow: the 1.5B model on the golden set runs with SIDENOTE_SLOW_TESTS=1");
        return;
    }
    let Some(golden) = golden("qwen2.5-coder-1.5b-instruct-q4_k_m") else { return };
    let mut lines = String::new();
    let (mut right, mut answerable, mut refused, mut unanswerable) = (0, 0, 0, 0);
    let (mut f1, mut lengths) = (Vec::new(), Vec::new());
    let mut by_kind: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut run = Run::resume("answers");
    for question in &golden.questions {
        let line = run.line(&question.id, || {
            let (answer, _) = check_quotes(&golden, question);
            let good = match question.is_answerable() {
                true => answer.answered && judge::is_right(&answer.answer, &question.groups),
                false => !answer.answered,
            };
            serde_json::json!({
                "id": question.id, "kind": question.kind, "good": good, "answered": answer.answered,
                "answer": answer.answer, "confidence": (f64::from(answer.confidence) * 1000.0).round() / 1000.0,
                "quotes": answer.citations.iter().map(|citation| &citation.quote).collect::<Vec<_>>(),
            })
        });
        let good = line["good"] == true;
        if question.is_answerable() {
            answerable += 1;
            right += usize::from(good);
            let answer = line["answer"].as_str().unwrap();
            if line["answered"] == true {
                f1.push(judge::token_f1(answer, &question.groups));
                lengths.push(judge::words(answer));
            }
        } else {
            unanswerable += 1;
            refused += usize::from(good);
        }
        let kind = by_kind.entry(&question.kind).or_default();
        *kind = (kind.0 + usize::from(good), kind.1 + 1);
        lines.push_str(&format!("{line}\n"));
    }
    eprintln!("right {right} of {answerable}, silent {refused} of {unanswerable}, by kind {by_kind:?}");
    lengths.sort_unstable();
    eprintln!(
        "shown answers: token F1 {:.2}, {} words at the median",
        f1.iter().sum::<f64>() / f1.len().max(1) as f64,
        lengths.get(lengths.len() / 2).copied().unwrap_or_default()
    );
    write_results("answers.jsonl", &lines);
    // The aims. Four more were right when this was written, which leaves something to the kernels of other CPUs.
    assert!(right * 100 >= answerable * 80, "right answers: {right} of {answerable}");
    assert!(refused * 100 >= unanswerable * 60, "refusals: {refused} of {unanswerable}");
}

/// The lines of a long run, kept beside the program as they come.
struct Run {
    file: PathBuf,
    lines: BTreeMap<String, serde_json::Value>,
}

impl Run {
    /// What is there of this program's run; another build begins anew.
    fn resume(name: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let built = fs_err::metadata(&program).unwrap().modified().unwrap();
        let built = built.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let file = program.with_file_name(format!("eval-{name}-{built}.jsonl"));
        let kept = fs_err::read_to_string(&file).unwrap_or_default();
        // The last line may be half of one.
        let lines = kept.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let lines: BTreeMap<_, _> = lines.map(|line| (line["id"].as_str().unwrap().to_owned(), line)).collect();
        if !lines.is_empty() {
            eprintln!("{} questions were asked before: {}", lines.len(), file.display());
        }
        Self { file, lines }
    }

    /// The line of a question; made where it is not there.
    fn line(&mut self, id: &str, make: impl FnOnce() -> serde_json::Value) -> serde_json::Value {
        if let Some(line) = self.lines.get(id) {
            return line.clone();
        }
        let line = make();
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(&self.file).unwrap();
        // What was cut stays a line of its own.
        write!(file, "\n{line}").unwrap();
        line
    }
}

/// Asks, and holds every quote against the file it names: byte for byte at its span for Markdown and text, and for HTML
/// and PDF in what an independent program reads on that page.
fn check_quotes(golden: &Golden, question: &Question) -> (sidenote::Answer, usize) {
    let answer = golden.engine.ask(&AskRequest::new(&question.text), &mut |_| {}, &CancelToken::new()).unwrap();
    for sentence in &answer.sentences {
        assert!(sentence.supported && !sentence.citations.is_empty(), "{}: {sentence:?}", question.id);
    }
    for citation in &answer.citations {
        let path = &citation.document.path;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if matches!(extension, "md" | "txt") {
            let file = fs_err::read(path).unwrap();
            assert_eq!(&file[citation.span.start..citation.span.end], citation.quote.as_bytes(), "{}", question.id);
        } else {
            let page = citation.page.map_or(0, |page| page as usize - 1);
            let readings = independent_readings(path);
            let found = readings
                .iter()
                .any(|pages| pages.get(page).is_some_and(|text| fold(text).contains(&fold(&citation.quote))));
            assert!(
                found,
                "{}: {:?} is not on page {} of {} as an independent program reads it",
                question.id,
                citation.quote,
                page + 1,
                path.display()
            );
        }
    }
    let quotes = answer.citations.len();
    (answer, quotes)
}

/// The text of a file page by page, read by programs that share no code with ours: Python's HTML parser, and `pdftotext` in
/// its own order and by layout, since each takes some tables apart that the other keeps.
fn independent_readings(path: &Path) -> Vec<Vec<String>> {
    let folder = Path::new("../../tests/eval");
    let script = "import sys, json, pathlib; sys.path.insert(0, sys.argv[1]); import check_golden; \
                  json.dump(list(check_golden.pages_of(pathlib.Path(sys.argv[2]))), sys.stdout)";
    let mut readings: Vec<Vec<String>> = vec![
        serde_json::from_slice(&output(Command::new("python3").args(["-c", script]).arg(folder).arg(path))).unwrap(),
    ];
    if path.extension().is_some_and(|extension| extension == "pdf") {
        let text = output(Command::new("pdftotext").args(["-layout", "-enc", "UTF-8"]).arg(path).arg("-"));
        readings.push(String::from_utf8(text).unwrap().split('\u{c}').map(str::to_owned).collect());
    }
    readings
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn write_results(name: &str, lines: &str) {
    if std::env::var_os("SIDENOTE_UPDATE_EVAL").is_some() {
        let folder = Path::new("../../tests/eval/results");
        fs_err::create_dir_all(folder).unwrap();
        fs_err::write(folder.join(name), lines).unwrap();
    }
}
