//! The `sidenote` command: flags and files become settings, settings and a request become a call of the engine, its
//! answer becomes text or JSON and an exit code.

mod args;
mod commands;
mod exit;
mod format;
mod output;
mod progress;
mod settings;
mod terminal;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::{Parser, error::ErrorKind};
use sidenote::CancelToken;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{
    args::{Command, CommandLine, EvalCommand, GlobalArgs, ModelsCommand},
    commands::Session,
    exit::{Exit, Failure, explain, is_broken_pipe},
    format::PathNames,
    output::Output,
    progress::{Talk, say},
    settings::{Settings, Surroundings},
    terminal::Terminal,
};

fn main() -> ExitCode {
    // Before any kernel runs, and before this process becomes a worker.
    if let Err(error) = sidenote::cpu::check_cpu() {
        Output::print_error(asks_for_json(), &explain(&sidenote::Error::from(error).into()).1);
        return Exit::CouldNotRun.into();
    }
    sidenote::worker_main();

    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return refuse(&error).into(),
    };
    let json = line.globals.json;
    match run(line) {
        Ok(exit) => exit.into(),
        Err(error) if is_broken_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            let (exit, report) = explain(&error);
            Output::print_error(json, &report);
            exit.into()
        }
    }
}

fn run(line: CommandLine) -> anyhow::Result<Exit> {
    let globals = line.globals;
    log_to_stderr(globals.verbose);
    let output = Output {
        json: globals.json,
        verbose: globals.verbose,
        talk: Talk::of_stderr(globals.quiet, globals.verbose > 1),
        terminal: Terminal::stdout(),
        names: PathNames::from_here(),
    };
    if let Command::Completions(args) = &line.command {
        return commands::completions::run(&output, args);
    }
    let settings = Settings::resolve(&globals, &Surroundings::of_this_process()?)?;
    let collection = collection_of(&globals)?;
    let at_rest = Arc::new(AtomicBool::new(!looks_for_a_stop(&line.command)));
    let cancel = cancel_on_ctrl_c(Arc::clone(&at_rest))?;
    let session = Session { settings, collection, output, cancel, at_rest };
    match &line.command {
        Command::Ingest(args) => commands::ingest::run(&session, args),
        Command::Watch(args) => commands::watch::run(&session, args),
        Command::Ask(args) => commands::ask::run(&session, args),
        Command::Chat(args) => commands::chat::run(&session, args),
        Command::Pin(args) => commands::pin::run(&session, args),
        Command::Chats { command } => commands::chats::run(&session, command.as_ref()),
        Command::Search(args) => commands::search::run(&session, args),
        Command::Serve(args) => commands::serve::run(&session, args),
        Command::Mcp => commands::mcp::run(&session),
        Command::Remove(args) => commands::remove::run(&session, args),
        Command::Status => commands::status::run(&session),
        Command::Documents => commands::documents::run(&session),
        Command::Doctor(args) => commands::doctor::run(&session, args),
        Command::Compact => commands::compact::run(&session),
        Command::Backup(args) => commands::backup::save(&session, args),
        Command::Restore(args) => commands::backup::bring_back(&session, args),
        Command::Export(args) => commands::export::run(&session, args),
        Command::Eval(EvalCommand::Retrieval(args)) => commands::eval_retrieval::run(&session, args),
        Command::Eval(EvalCommand::Answers(args)) => commands::eval_answers::run(&session, args),
        Command::Eval(EvalCommand::Init(args)) => commands::eval_init::run(&session, args),
        Command::Models(command) => commands::models::run(&session, command),
        Command::Config => commands::config::run(&session),
        Command::Completions(args) => commands::completions::run(&session.output, args),
    }
}

/// Whether a command ends in good order when asked to. The others are ended where they are: the data folder bears that.
fn looks_for_a_stop(command: &Command) -> bool {
    match command {
        Command::Ingest(_)
        | Command::Watch(_)
        | Command::Ask(_)
        | Command::Chat(_)
        | Command::Pin(_)
        | Command::Serve(_)
        | Command::Mcp
        | Command::Eval(_)
        | Command::Models(ModelsCommand::Pull(_)) => true,
        Command::Search(_)
        | Command::Chats { .. }
        | Command::Remove(_)
        | Command::Status
        | Command::Documents
        | Command::Doctor(_)
        | Command::Compact
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Export(_)
        | Command::Models(_)
        | Command::Config
        | Command::Completions(_) => false,
    }
}

fn collection_of(globals: &GlobalArgs) -> Result<Option<String>, Failure> {
    match globals.collection.as_deref().map(str::trim) {
        Some("") => Err(Failure::new("usage", "the name of a collection is empty")
            .hint("leave --collection out to read all collections, or to ingest into \"default\"")),
        other => Ok(other.map(str::to_owned)),
    }
}

/// Usage errors keep clap's words, which hold the suggestion; under `--json` they have the shape of every error.
fn refuse(error: &clap::Error) -> Exit {
    let shows_text = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if shows_text || !asks_for_json() {
        // A terminal that is gone leaves nothing to tell.
        let _ = error.print();
    } else {
        let text = error.to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
        let tip = rest.lines().map(str::trim).find_map(|line| line.strip_prefix("tip: "));
        let failure =
            Failure::new("usage", message).hint(tip.unwrap_or("`sidenote help` lists the commands and flags"));
        Output::print_error(true, &explain(&failure.into()).1);
    }
    let was_asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if was_asked_for { Exit::Done } else { Exit::CouldNotRun }
}

/// Whether `--json` was typed, for errors that come before the flags are understood.
fn asks_for_json() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // Only sidenote's own crates go below a warning: what others log may hold words of documents.
    let own = ["sidenote", "sidenote_text", "sidenote_index", "sidenote_model", "sidenote_http"];
    let directives: Vec<String> = own.iter().map(|name| format!("{name}={level}")).collect();
    // To the library of the Model Context Protocol, a client that leaves is an error.
    let filter = EnvFilter::new(format!("error,rmcp::service=off,{}", directives.join(",")));
    let colors = false;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colors).init();
}

/// The first Ctrl-C asks the work to stop where it can go on later, if it looks for that; the second does not ask.
fn cancel_on_ctrl_c(at_rest: Arc<AtomicBool>) -> Result<CancelToken, Failure> {
    let cancel = CancelToken::new();
    let token = cancel.clone();
    ctrlc::set_handler(move || {
        if token.is_cancelled() || at_rest.load(Ordering::SeqCst) {
            #[expect(clippy::exit, reason = "the user does not want to wait")]
            std::process::exit(Exit::Interrupted as i32);
        }
        token.cancel();
        say("stopping; once more to stop at once");
    })
    .map_err(|error| Failure::new("io", format!("Ctrl-C cannot be caught: {error}")))?;
    Ok(cancel)
}
