//! `sidenote config`.

use sidenote::Config;
use sidenote_http::{ConfigReport, ConfigSetting};

use super::Session;
use crate::{
    exit::Exit,
    settings::{Source, value_of, variable},
    terminal::one_line,
};

/// Shows every setting and where it comes from, as a configuration file that could be read again.
pub(crate) fn run(session: &Session) -> anyhow::Result<Exit> {
    let (output, settings) = (&session.output, &session.settings);
    let report = ConfigReport {
        file: settings.file.as_ref().map(|file| file.to_string_lossy().into_owned()),
        settings: Config::keys()
            .into_iter()
            .map(|key| ConfigSetting {
                value: value_of(&settings.config, &key).unwrap_or_default(),
                source: settings.source(&key).as_str().into(),
                key,
            })
            .collect(),
    };
    if output.json {
        output.print_json(&report)?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![match &settings.file {
        Some(file) => format!("# from {}", output.names.short(file)),
        None => "# no configuration file".into(),
    }];
    let mut last_section = "";
    for setting in &report.settings {
        let (section, name) = setting.key.split_once('.').unwrap_or(("", &setting.key));
        if section != last_section {
            lines.push(format!("\n[{section}]"));
            last_section = section;
        }
        let source = match settings.source(&setting.key) {
            Source::Default => String::new(),
            Source::Environment => format!("  # environment, {}", variable(&setting.key)),
            source @ (Source::File | Source::Flag) => format!("  # {}", source.as_str()),
        };
        // A JSON text is a TOML text too, of the kinds that a setting can be.
        lines.push(format!("{name} = {}{}", one_line(&setting.value.to_string()), output.terminal.dim(&source)));
    }
    output.print(&lines.join("\n"))?;
    Ok(Exit::Done)
}
