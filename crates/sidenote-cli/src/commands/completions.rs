//! `sidenote completions`.

use clap::CommandFactory;
use sidenote_http::Completions;

use crate::{
    args::{CommandLine, CompletionsArgs},
    exit::Exit,
    output::Output,
};

/// Prints a completion script.
pub(crate) fn run(output: &Output, args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "sidenote", &mut script);
    let script = String::from_utf8(script)?;
    if output.json {
        output.print_json(&Completions { shell: args.shell.to_string(), script })?;
    } else {
        output.print(script.trim_end())?;
    }
    Ok(Exit::Done)
}
