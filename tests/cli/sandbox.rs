//! A home folder of its own for every test: documents, data, configuration; the models are this machine's.

use std::{
    ffi::OsStr,
    io::{Seek, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
};

use serde_json::Value;

/// Models that the tests use, as folders of the models folder.
const MODELS: [&str; 3] = ["all-minilm-l6-v2-int8", "onnxruntime-1.31.1", SMALL_GENERATOR];

/// The language model of the tests: real, small, and not clever.
pub(super) const SMALL_GENERATOR: &str = "smollm2-135m-instruct-q4_1";

/// A home folder that is removed with the value.
pub(super) struct Sandbox {
    folder: tempfile::TempDir,
    variables: Vec<(String, PathBuf)>,
}

/// What a run left behind.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Sandbox {
    /// An empty one, for tests that need no model.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("docs")).unwrap();
        Self { folder, variables: Vec::new() }
    }

    /// One with models; `None`, and said so, where this machine has none.
    #[expect(clippy::print_stderr, reason = "a skip must be seen")]
    pub(super) fn with_models() -> Option<Self> {
        let folder = models_folder();
        let missing: Vec<&str> = MODELS.into_iter().filter(|name| !folder.join(name).is_dir()).collect();
        if missing.is_empty() {
            return Some(Self::new());
        }
        assert!(
            std::env::var_os("SIDENOTE_REQUIRE_MODELS").is_none(),
            "{missing:?} not in {}; `sidenote models pull NAME` fetches them",
            folder.display()
        );
        eprintln!("SKIPPED: {missing:?} not in {}", folder.display());
        None
    }

    /// Its own path; also the home folder and the working folder of every run.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder that the tests ingest.
    pub(super) fn docs(&self) -> PathBuf {
        self.path().join("docs")
    }

    /// The data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.path().join(".local/share/sidenote/data")
    }

    /// Sets a variable for the runs to come.
    pub(super) fn set(&mut self, name: &str, value: impl Into<PathBuf>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Writes a document.
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.docs().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Three small documents that know who approves what.
    pub(super) fn write_handbook(&self) {
        self.write(
            "travel.md",
            "# Travel\n\n## Approval\n\nTravel expenses are approved by Ruth Adler, the head of finance.\n\n\
             ## Limits\n\nA hotel night may cost 140 euros. Flights under 600 kilometres are not paid.\n",
        );
        self.write(
            "kitchen.md",
            "# Kitchen\n\nThe dishwasher runs every evening at 18:30. Whoever leaves last switches it on.\n",
        );
        self.write("parking.txt", "Parking spaces 12 to 20 belong to visitors. The barrier code is 4711.\n");
    }

    /// Writes so many documents that an ingest of them takes seconds.
    pub(super) fn write_matters(&self, count: usize) {
        for at in 0..count {
            let words = format!("Page {at} tells about matter {at} and nothing else of note. ").repeat(12);
            self.write(&format!("{at:03}.md"), format!("# Matter {at}\n\n{words}\n"));
        }
    }

    /// Starts an ingest with `--json`, which has stored its first document when this returns. The thread reads what it goes on
    /// to write to standard error, and counts the lines.
    pub(super) fn begin_ingest(&self) -> (Child, JoinHandle<usize>) {
        let mut child = self
            .command(["ingest", "docs", "--json", "-v"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
        assert!(lines.by_ref().any(|line| line.unwrap().starts_with("added ")), "nothing was added");
        (child, std::thread::spawn(move || lines.count()))
    }

    /// A run that is about to start.
    pub(super) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidenote"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("SIDENOTE_") || name.starts_with("XDG_") || name == "NO_COLOR" || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
            .args(words)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("COLUMNS", "100")
            .env("SIDENOTE_MODELS", models_folder())
            .env("SIDENOTE_MODELS_GENERATOR", SMALL_GENERATOR)
            // Tests run side by side, and threads of llama.cpp that wait for each other across them crawl.
            .env("SIDENOTE_LLM_THREADS", "1")
            .env("SIDENOTE_ANSWER_MAX_TOKENS", "48")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs `sidenote` with these words.
    pub(super) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Run {
        Run::of(self.command(words).output().unwrap())
    }

    /// Runs `sidenote WORDS` with `input` on its standard input.
    pub(super) fn run_with_input<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>, input: &str) -> Run {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input.as_bytes()).unwrap();
        file.rewind().unwrap();
        Run::of(self.command(words).stdin(file).output().unwrap())
    }

    /// Runs `sidenote WORDS --json` and reads its one value.
    pub(super) fn json<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> (i32, Value) {
        let words: Vec<_> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let run = self.run(words.into_iter().chain(["--json".into()]));
        let value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        (run.code, value)
    }

    /// Ingests the documents and wants exit code 0.
    pub(super) fn ingest(&self) -> Run {
        let run = self.run(["ingest", "docs"]);
        assert_eq!(run.code, 0, "{run:?}");
        run
    }

    /// The run as a snapshot shows it: code, both streams, this machine's words replaced.
    pub(super) fn shown(&self, run: &Run) -> String {
        let text = format!("exit {}\n--- stdout\n{}--- stderr\n{}", run.code, run.stdout, run.stderr);
        let real = fs_err::canonicalize(self.path()).unwrap();
        text.replace(&*real.to_string_lossy(), "HOME").replace(&*self.path().to_string_lossy(), "HOME")
    }
}

/// The models of this machine.
pub(super) fn models_folder() -> PathBuf {
    let under = |variable: &str, rest: &str| {
        std::env::var_os(variable).filter(|value| !value.is_empty()).map(|value| PathBuf::from(value).join(rest))
    };
    under("SIDENOTE_MODELS", "")
        .or_else(|| under("XDG_DATA_HOME", "sidenote/models"))
        .or_else(|| under("HOME", ".local/share/sidenote/models"))
        .unwrap()
}

/// The root of the repository. Cargo starts a test in the folder of its package, which need not be the one it was built in.
pub(super) fn repository() -> PathBuf {
    Path::new("../..").canonicalize().unwrap()
}

/// All files below a folder.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Checks `value` against the committed schema of that name.
pub(super) fn check_schema(name: &str, value: &Value) {
    let file = repository().join(format!("crates/sidenote-http/schema/{name}.json"));
    let schema: Value = serde_json::from_str(&fs_err::read_to_string(file).unwrap()).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource(name, schema).unwrap();
    let compiled = compiler.compile(name, &mut schemas).unwrap();
    if let Err(errors) = schemas.validate(value, compiled) {
        panic!("{errors:#}");
    }
}
