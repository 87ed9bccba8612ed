//! Flags, environment and file become one configuration, once. Flags win over the environment, the environment over the
//! file, the file over the defaults; and each setting remembers which of them it came from.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use sidenote::Config;

use crate::{args::GlobalArgs, exit::Failure};

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Built in.
    Default,
    /// The configuration file.
    File,
    /// A variable of the environment.
    Environment,
    /// A flag.
    Flag,
}

impl Source {
    /// Its name in words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// Everything outside the command line that settings depend on.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// Variables that begin with `SIDENOTE_`.
    pub(crate) variables: BTreeMap<String, OsString>,
    /// XDG config home.
    pub(crate) config_home: Option<PathBuf>,
    /// XDG data home.
    pub(crate) data_home: Option<PathBuf>,
    /// Home folder.
    pub(crate) home: Option<PathBuf>,
    /// Working folder.
    pub(crate) here: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// When the working folder is gone.
    pub(crate) fn of_this_process() -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Failure::new("io", format!("the working folder cannot be named: {error}"))
                .hint("change to a folder that exists")
        })?;
        let xdg = etcetera::base_strategy::Xdg::new().ok();
        Ok(Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .filter(|(name, _)| name.starts_with("SIDENOTE_"))
                .collect(),
            config_home: xdg.as_ref().map(BaseStrategy::config_dir),
            data_home: xdg.as_ref().map(BaseStrategy::data_dir),
            home: xdg.as_ref().map(|xdg| xdg.home_dir().to_owned()),
            here,
        })
    }
}

/// The resolved settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What the engine works with: folders absolute, ranges checked.
    pub(crate) config: Config,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    /// Where each key came from; a key that is not here has its default.
    pub(crate) sources: BTreeMap<String, Source>,
}

impl Settings {
    /// Resolves the settings.
    ///
    /// # Errors
    /// A [`Failure`] of kind `config` that names key, value, range and where it stands.
    pub(crate) fn resolve(globals: &GlobalArgs, surroundings: &Surroundings) -> Result<Self, Failure> {
        let mut settings = Self { config: Config::default(), file: None, sources: BTreeMap::new() };
        if let Some(file) = config_file(globals, surroundings) {
            settings.read_file(&file, surroundings)?;
            settings.file = Some(file);
        }
        settings.read_variables(surroundings)?;
        if let Some(data) = &globals.data {
            settings.config.paths.data = surroundings.here.join(data);
            settings.sources.insert("paths.data".into(), Source::Flag);
        }
        settings.fill_folders(surroundings)?;
        settings.config.validate().map_err(|error| settings.refused(&error))?;
        Ok(settings)
    }

    /// Where `key` came from.
    pub(crate) fn source(&self, key: &str) -> Source {
        self.sources.get(key).copied().unwrap_or(Source::Default)
    }

    fn read_file(&mut self, file: &Path, surroundings: &Surroundings) -> Result<(), Failure> {
        let failure = |message: String| Failure::new("config", message).path(file).hint(HINT);
        let text = fs_err::read_to_string(file)
            .map_err(|error| failure(format!("the configuration file cannot be read: {error}")))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            failure(format!("`{}`, line {line}: {}", file.display(), error.message()))
        })?;
        let folder = file.parent().unwrap_or(&surroundings.here);
        for (section, entries) in &table {
            let toml::Value::Table(entries) = entries else {
                return Err(failure(format!(
                    "configuration key `{section}` in `{}`: {}",
                    file.display(),
                    unknown(section)
                )));
            };
            for (name, value) in entries {
                let key = format!("{section}.{name}");
                let refused =
                    |problem: String| failure(format!("configuration key `{key}` in `{}`: {problem}", file.display()));
                let wanted = default_value(&key).ok_or_else(|| refused(unknown(&key)))?;
                let text = match (&wanted, value) {
                    (serde_json::Value::String(_), toml::Value::String(text)) => {
                        expand(&key, text, folder, surroundings)
                    }
                    (serde_json::Value::String(_), _) => {
                        return Err(refused(format!("`{value}` wants quotes around it")));
                    }
                    (serde_json::Value::Bool(_), toml::Value::Boolean(_))
                    | (serde_json::Value::Number(_), toml::Value::Integer(_) | toml::Value::Float(_)) => {
                        value.to_string()
                    }
                    (serde_json::Value::Array(_), toml::Value::Array(items)) => {
                        // The engine takes a list as JSON.
                        serde_json::to_string(items).map_err(|error| refused(error.to_string()))?
                    }
                    (serde_json::Value::Array(_), _) => {
                        return Err(refused(format!("`{value}` is no list; write [\"...\"]")));
                    }
                    (serde_json::Value::Bool(_), _) => {
                        return Err(refused(format!("`{value}` is neither true nor false")));
                    }
                    _ => return Err(refused(format!("`{value}` is not a number"))),
                };
                self.config.set(&key, &text).map_err(|error| refused(problem_of(&error)))?;
                self.sources.insert(key, Source::File);
            }
        }
        Ok(())
    }

    fn read_variables(&mut self, surroundings: &Surroundings) -> Result<(), Failure> {
        let keys = Config::keys();
        for (name, value) in &surroundings.variables {
            let refused = |key: &str, problem: String| {
                Failure::new("config", format!("configuration key `{key}` in the environment as `{name}`: {problem}"))
                    .hint(HINT)
            };
            // `~/` is the home folder here too. A name that is not UTF-8 is taken as it is.
            let folder = |key: &str| match value.to_str() {
                Some(text) => PathBuf::from(expand(key, text, &surroundings.here, surroundings)),
                None => surroundings.here.join(value),
            };
            if value.is_empty() && (name == "SIDENOTE_MODELS" || name.starts_with("SIDENOTE_PATHS_")) {
                // Empty is not set, and not the working folder.
                continue;
            }
            if name == "SIDENOTE_MODELS" {
                // The folder's short name; SIDENOTE_PATHS_MODELS, later in the alphabet, wins over it.
                self.config.paths.models = folder("paths.models");
                self.sources.insert("paths.models".into(), Source::Environment);
                continue;
            }
            let Some(key) = keys.iter().find(|key| variable(key) == *name) else {
                let section = keys.iter().filter_map(|key| key.split_once('.')).map(|(section, _)| section);
                // A variable of a section that has no such key is a slip of the pen; others are not settings.
                if let Some(section) = { section }.find(|section| name.starts_with(&format!("{}_", variable(section))))
                {
                    let key = format!("{section}.{}", name[variable(section).len() + 1..].to_lowercase());
                    return Err(refused(&key, unknown(&key)));
                }
                continue;
            };
            if key.starts_with("paths.") {
                let path = folder(key);
                if key == "paths.data" { self.config.paths.data = path } else { self.config.paths.models = path }
            } else {
                let text = value.to_str().ok_or_else(|| refused(key, "the value is not UTF-8".into()))?;
                let text = expand(key, text, &surroundings.here, surroundings);
                self.config.set(key, &text).map_err(|error| refused(key, problem_of(&error)))?;
            }
            self.sources.insert(key.clone(), Source::Environment);
        }
        Ok(())
    }

    fn fill_folders(&mut self, surroundings: &Surroundings) -> Result<(), Failure> {
        let folder = |name: &str, flag: &str| match &surroundings.data_home {
            Some(home) => Ok(home.join("sidenote").join(name)),
            None => Err(Failure::new("config", "there is no home folder to keep things in")
                .hint(format!("set HOME, or {flag}"))),
        };
        if self.config.paths.data.as_os_str().is_empty() {
            self.config.paths.data = folder("data", "name a folder with --data")?;
        }
        if self.config.paths.models.as_os_str().is_empty() {
            self.config.paths.models = folder("models", "name a folder in SIDENOTE_MODELS")?;
        }
        Ok(())
    }

    /// The engine's complaint about a range, with where the value stands.
    fn refused(&self, error: &sidenote::Error) -> Failure {
        let message = error.to_string();
        let key = Config::keys().into_iter().find(|key| message.contains(&format!("`{key}`"))).unwrap_or_default();
        let file = self.file.as_ref().filter(|_| self.source(&key) == Source::File);
        let place = match (self.source(&key), file) {
            (_, Some(file)) => format!(" (in `{}`)", file.display()),
            (Source::Environment, None) => format!(" (in the environment as `{}`)", variable(&key)),
            (Source::Default | Source::File | Source::Flag, None) => String::new(),
        };
        let failure = Failure::new("config", format!("{message}{place}")).hint(HINT);
        match file {
            Some(file) => failure.path(file),
            None => failure,
        }
    }
}

const HINT: &str = "`sidenote config` shows every key; the config.toml of the project explains each with its range";

/// `SIDENOTE_SECTION_KEY` of `section.key`.
pub(crate) fn variable(key: &str) -> String {
    format!("SIDENOTE_{}", key.to_uppercase().replace('.', "_"))
}

/// What a configuration holds under `section.key`.
pub(crate) fn value_of(config: &Config, key: &str) -> Option<serde_json::Value> {
    let (section, name) = key.split_once('.')?;
    serde_json::to_value(config).ok()?.get(section)?.get(name).cloned()
}

fn default_value(key: &str) -> Option<serde_json::Value> {
    value_of(&Config::default(), key)
}

fn config_file(globals: &GlobalArgs, surroundings: &Surroundings) -> Option<PathBuf> {
    if let Some(file) = &globals.config {
        return Some(surroundings.here.join(file));
    }
    let file = surroundings.config_home.as_ref()?.join("sidenote").join("config.toml");
    file.exists().then_some(file)
}

/// Paths in settings: `~/` is the home folder, what is relative is relative to `folder`. A model's name holds no slash.
fn expand(key: &str, text: &str, folder: &Path, surroundings: &Surroundings) -> String {
    let is_path =
        key.starts_with("paths.") || key == "remote.key_file" || (key.starts_with("models.") && text.contains('/'));
    if !is_path || text.is_empty() {
        return text.to_owned();
    }
    let path = match (text.strip_prefix("~/"), &surroundings.home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => folder.join(text),
    };
    path.to_string_lossy().into_owned()
}

/// The clause after the key, which the caller names with its place.
fn problem_of(error: &sidenote::Error) -> String {
    if let sidenote::Error::Config { problem, .. } = error { problem.clone() } else { error.to_string() }
}

fn unknown(key: &str) -> String {
    let near = Config::keys()
        .into_iter()
        .map(|known| (distance(&known, key), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3);
    match near {
        Some((_, known)) => format!("there is no such key; did you mean `{known}`?"),
        None => "there is no such key".into(),
    }
}

/// Edits from `a` to `b`: letters put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(folder: &Path, variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect(),
            config_home: Some(folder.join("config")),
            data_home: Some(folder.join("share")),
            home: Some(folder.to_owned()),
            here: folder.join("here"),
        }
    }

    fn globals() -> GlobalArgs {
        GlobalArgs { data: None, config: None, collection: None, json: false, quiet: false, verbose: 0 }
    }

    fn file(folder: &Path, text: &str) -> GlobalArgs {
        let path = folder.join("my.toml");
        fs_err::write(&path, text).unwrap();
        GlobalArgs { config: Some(path), ..globals() }
    }

    fn message(text: &str, variables: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let failure =
            Settings::resolve(&file(folder.path(), text), &surroundings(folder.path(), variables)).unwrap_err();
        assert_eq!(failure.kind, "config");
        assert!(failure.hint.is_some());
        failure.message.replace(&folder.path().to_string_lossy().into_owned(), "DIR")
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let mut globals = file(
            folder.path(),
            "[paths]\ndata = \"stored\"\nmodels = \"~/m\"\n[search]\nlimit = 7\ncandidates = 70\n[answer]\ntemperature = 1\n",
        );
        let variables = [("SIDENOTE_SEARCH_LIMIT", "8"), ("SIDENOTE_PATHS_DATA", "other")];
        let settings = Settings::resolve(&globals, &surroundings(folder.path(), &variables)).unwrap();
        assert_eq!(settings.config.search.limit, 8);
        assert_eq!(settings.config.search.candidates, 70);
        assert_eq!(settings.config.answer.passages, Config::default().answer.passages);
        assert_eq!(settings.config.paths.data, folder.path().join("here/other"));
        assert_eq!(settings.config.paths.models, folder.path().join("m"));
        let keys = ["search.limit", "search.candidates", "answer.passages", "paths.data"];
        assert_eq!(keys.map(|key| settings.source(key).as_str()), ["environment", "file", "default", "environment"]);
        globals.data = Some("flagged".into());
        let settings = Settings::resolve(&globals, &surroundings(folder.path(), &variables)).unwrap();
        assert_eq!(settings.config.paths.data, folder.path().join("here/flagged"));
        assert_eq!(settings.source("paths.data"), Source::Flag);
    }

    #[test]
    fn folders_default_to_the_xdg_data_home_and_the_file_to_the_config_home() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::resolve(&globals(), &surroundings(folder.path(), &[])).unwrap();
        assert_eq!(settings.config.paths.data, folder.path().join("share/sidenote/data"));
        assert_eq!(settings.config.paths.models, folder.path().join("share/sidenote/models"));
        assert_eq!(settings.file, None);
        fs_err::create_dir_all(folder.path().join("config/sidenote")).unwrap();
        fs_err::write(folder.path().join("config/sidenote/config.toml"), "[search]\nlimit = 3\n").unwrap();
        let settings =
            Settings::resolve(&globals(), &surroundings(folder.path(), &[("SIDENOTE_MODELS", "/m")])).unwrap();
        assert_eq!(settings.config.search.limit, 3);
        assert_eq!(settings.config.paths.models, Path::new("/m"));
    }

    #[test]
    fn a_configuration_file_in_the_working_folder_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("here")).unwrap();
        fs_err::write(folder.path().join("here/config.toml"), "[search]\nlimit = 3\n").unwrap();
        let settings = Settings::resolve(&globals(), &surroundings(folder.path(), &[])).unwrap();
        assert_eq!(settings.config.search.limit, Config::default().search.limit);
    }

    #[test]
    fn a_bad_file_names_key_value_range_and_place() {
        let cases = [
            ("[search]\nlimit = 0\n", "configuration key `search.limit`: `0` is outside 1 to 1000 (in `DIR/my.toml`)"),
            (
                "[search]\nlimits = 5\n",
                "configuration key `search.limits` in `DIR/my.toml`: there is no such key; did you mean `search.limit`?",
            ),
            ("[zoo]\nlion = 5\n", "configuration key `zoo.lion` in `DIR/my.toml`: there is no such key"),
            ("limit = 5\n", "configuration key `limit` in `DIR/my.toml`: there is no such key"),
            (
                "[ingest]\nexclude = \"*.log\"\n",
                "configuration key `ingest.exclude` in `DIR/my.toml`: `\"*.log\"` is no list; write [\"...\"]",
            ),
            ("[search]\nlimit = \"5\"\n", "configuration key `search.limit` in `DIR/my.toml`: `\"5\"` is not a number"),
            ("[search]\nmode = 5\n", "configuration key `search.mode` in `DIR/my.toml`: `5` wants quotes around it"),
            (
                "[ingest]\nfollow_symlinks = 1\n",
                "configuration key `ingest.follow_symlinks` in `DIR/my.toml`: `1` is neither true nor false",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(message(text, &[]), wanted);
        }
        let wrong_choice = message("[search]\nmode = \"fast\"\n", &[]);
        assert!(wrong_choice.starts_with("configuration key `search.mode` in `DIR/my.toml`: "), "{wrong_choice}");
        assert!(wrong_choice.contains("fast") && wrong_choice.contains("hybrid"), "{wrong_choice}");
        let broken = message("[search]\n\nlimit = = 3\n", &[]);
        assert!(broken.starts_with("`DIR/my.toml`, line 3: "), "{broken}");
    }

    #[test]
    fn a_bad_variable_names_itself_and_its_key() {
        assert_eq!(
            message("", &[("SIDENOTE_SEARCH_LIMIT", "0")]),
            "configuration key `search.limit`: `0` is outside 1 to 1000 (in the environment as `SIDENOTE_SEARCH_LIMIT`)"
        );
        assert_eq!(
            message("", &[("SIDENOTE_ANSWER_PASSAGE", "3")]),
            "configuration key `answer.passage` in the environment as `SIDENOTE_ANSWER_PASSAGE`: \
             there is no such key; did you mean `answer.passages`?"
        );
        let text = message("", &[("SIDENOTE_ANSWER_PASSAGES", "three")]);
        assert!(text.contains("`SIDENOTE_ANSWER_PASSAGES`") && text.contains("three"), "{text}");
    }

    #[test]
    fn variables_that_are_no_settings_are_let_be() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [
            ("SIDENOTE_REQUIRE_MODELS", "1"),
            ("SIDENOTE_EVALDATA", "/x"),
            ("SIDENOTE_MODELS_GENERATOR", "./own.gguf"),
        ];
        let settings = Settings::resolve(&globals(), &surroundings(folder.path(), &variables)).unwrap();
        assert_eq!(settings.config.models.generator, folder.path().join("here/./own.gguf").to_string_lossy());
    }

    #[test]
    fn a_missing_named_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let globals = GlobalArgs { config: Some("nowhere.toml".into()), ..globals() };
        let failure = Settings::resolve(&globals, &surroundings(folder.path(), &[])).unwrap_err();
        assert!(failure.message.contains("here/nowhere.toml"), "{}", failure.message);
    }
}
