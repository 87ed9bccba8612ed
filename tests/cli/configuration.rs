//! The configuration file, the environment, and the committed config.toml.

use std::collections::BTreeMap;

use super::sandbox::{Sandbox, repository};

#[cfg(not(feature = "remote"))]
#[test]
fn a_program_that_cannot_speak_to_a_server_says_so_and_asks_no_other_model() {
    let Some(mut sandbox) = Sandbox::with_models() else { return };
    sandbox.write_handbook();
    sandbox.ingest();
    sandbox.set("SIDENOTE_REMOTE_URL", "http://127.0.0.1:8080/v1");
    let (code, refused) = sandbox.json(["ask", "Who approves travel expenses?"]);
    let message = refused["error"]["message"].as_str().unwrap();
    assert_eq!((code, &refused["error"]["kind"]), (2, &"config".into()), "{refused}");
    assert!(message.contains("`remote.url`") && message.contains("--features remote"), "{refused}");
}

#[test]
fn the_committed_file_holds_every_key_with_its_default_and_an_explanation() {
    let text = fs_err::read_to_string(repository().join("config.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let mut written = BTreeMap::new();
    for (section, entries) in &table {
        for (name, value) in entries.as_table().unwrap() {
            written.insert(format!("{section}.{name}"), serde_json::to_value(value).unwrap());
        }
    }
    let defaults = serde_json::to_value(sidenote::Config::default()).unwrap();
    let mut built_in = BTreeMap::new();
    for key in sidenote::Config::keys() {
        let (section, name) = key.split_once('.').unwrap();
        built_in.insert(key.clone(), defaults[section][name].clone());
    }
    assert_eq!(written.keys().collect::<Vec<_>>(), built_in.keys().collect::<Vec<_>>());
    for (key, value) in &built_in {
        let same = match (value.as_f64(), written[key].as_f64()) {
            (Some(built_in), Some(written)) => (built_in - written).abs() < 1e-6,
            _ => value == &written[key],
        };
        assert!(same, "{key}: {} written, {value} built in", written[key]);
    }
    let mut before = "";
    for line in text.lines() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(before.starts_with("# "), "no explanation above `{line}`");
        }
        before = line;
    }
}

#[test]
fn the_committed_file_can_be_used_as_it_is() {
    let sandbox = Sandbox::new();
    let file = repository().join("config.toml");
    let (code, config) = sandbox.json(["config", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{config}");
}

#[test]
fn what_config_prints_can_be_read_again() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(["config"]);
    fs_err::write(sandbox.path().join("printed.toml"), &run.stdout).unwrap();
    let (code, again) = sandbox.json(["config", "--config", "printed.toml"]);
    assert_eq!(code, 0, "{again}");
    let limit = again["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == "search.limit").unwrap();
    assert_eq!(limit["source"], "file");
}

#[test]
fn a_bad_value_names_key_value_range_and_file() {
    let sandbox = Sandbox::new();
    fs_err::write(sandbox.path().join("bad.toml"), "[search]\nlimit = 5000\n").unwrap();
    let run = sandbox.run(["status", "--config", "bad.toml"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    let wanted = "error: configuration key `search.limit`: `5000` is outside 1 to 1000 (in `";
    assert!(run.stderr.starts_with(wanted) && run.stderr.contains("bad.toml"), "{run:?}");
    assert!(run.stderr.contains("\nhint: "), "{run:?}");
}

#[test]
fn every_key_can_be_set_in_the_environment() {
    let defaults = serde_json::to_value(sidenote::Config::default()).unwrap();
    let mut sandbox = Sandbox::new();
    let keys = sidenote::Config::keys();
    for key in &keys {
        let (section, name) = key.split_once('.').unwrap();
        let value = &defaults[section][name];
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = if section == "paths" { format!("{name}-folder") } else { text };
        sandbox.set(&format!("SIDENOTE_{}_{}", section.to_uppercase(), name.to_uppercase()), text);
    }
    let (code, config) = sandbox.json(["config"]);
    assert_eq!(code, 0, "{config}");
    for setting in config["settings"].as_array().unwrap() {
        assert_eq!(setting["source"], "environment", "{setting}");
    }
    assert_eq!(config["settings"].as_array().unwrap().len(), keys.len());
}

#[test]
fn an_empty_folder_in_the_environment_is_not_set_and_a_tilde_is_the_home_folder() {
    let mut sandbox = Sandbox::new();
    let folder = |sandbox: &Sandbox, key: &str| {
        let (code, config) = sandbox.json(["config"]);
        assert_eq!(code, 0, "{config}");
        let settings = config["settings"].as_array().unwrap().clone();
        settings.into_iter().find(|setting| setting["key"] == key).unwrap()["value"].as_str().unwrap().to_owned()
    };
    sandbox.set("SIDENOTE_PATHS_DATA", "");
    sandbox.set("SIDENOTE_MODELS", "~/own/models");
    assert!(folder(&sandbox, "paths.data").ends_with("/sidenote/data"));
    assert_eq!(std::path::Path::new(&folder(&sandbox, "paths.models")), sandbox.path().join("own/models"));
    // What suits one setting by itself suits it beside the others as they are.
    sandbox.set("SIDENOTE_SEARCH_LIMIT", "500");
    sandbox.set("SIDENOTE_CHUNK_MAX_TOKENS", "64");
    assert_eq!(sandbox.run(["status"]).code, 0);
}

#[test]
fn a_file_in_the_working_folder_is_not_read_and_one_in_the_config_home_is() {
    let sandbox = Sandbox::new();
    fs_err::write(sandbox.path().join("config.toml"), "[search]\nlimit = 3\n").unwrap();
    let limit = |sandbox: &Sandbox| {
        let config = sandbox.json(["config"]).1;
        config["settings"].as_array().unwrap().iter().find(|one| one["key"] == "search.limit").unwrap()["value"].clone()
    };
    assert_eq!(limit(&sandbox), 10);
    fs_err::create_dir_all(sandbox.path().join(".config/sidenote")).unwrap();
    fs_err::write(sandbox.path().join(".config/sidenote/config.toml"), "[search]\nlimit = 4\n").unwrap();
    assert_eq!(limit(&sandbox), 4);
}
