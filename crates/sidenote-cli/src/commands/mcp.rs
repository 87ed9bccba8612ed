//! `sidenote mcp`.

use std::{
    io::IsTerminal as _,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use sidenote_http::Server;
use tokio::fs::File;

use super::Session;
use crate::{
    exit::{Exit, Failure},
    progress::{Talk, say},
};

/// How often it is looked whether Ctrl-C was pressed.
const STOP_INTERVAL: Duration = Duration::from_millis(50);
/// How long threads may still work when the client is gone.
const LAST_WORK_TIMEOUT: Duration = Duration::from_millis(800);

/// Speaks the protocol until the client leaves.
pub(crate) fn run(session: &Session) -> anyhow::Result<Exit> {
    if std::io::stdin().is_terminal() && session.output.talk != Talk::Silent {
        say(
            "a program that speaks the Model Context Protocol is to start this; `sidenote mcp --help` says how, Ctrl-C ends",
        );
    }
    let (input, output) = streams()?;
    let server = Server::without_socket(session.engine_that_answers()?, session.collection.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = async {
        while !session.cancel.is_cancelled() {
            tokio::time::sleep(STOP_INTERVAL).await;
        }
    };
    let served = runtime.block_on(async { server.serve_mcp(file(input), file(output), stop).await });
    // A read of standard input cannot be called back, nor can the opening of a model.
    runtime.shutdown_timeout(LAST_WORK_TIMEOUT);
    served.map_err(|error| {
        Failure::new("usage", error.to_string())
            .hint("the first message is `initialize`, `server/discover` or a request that names its version")
    })?;
    Ok(if session.cancel.is_cancelled() { Exit::Interrupted } else { Exit::Done })
}

/// Standard input and output, from here on the protocol's alone: what libraries below print to standard output goes to standard
/// error.
fn streams() -> Result<(OwnedFd, OwnedFd), Failure> {
    let kept = || {
        let pair = (std::io::stdin().as_fd().try_clone_to_owned()?, std::io::stdout().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdout(std::io::stderr())?;
        Ok(pair)
    };
    kept().map_err(|error: std::io::Error| {
        Failure::new("io", format!("standard input and output cannot be kept for the protocol: {error}"))
    })
}

fn file(descriptor: OwnedFd) -> File {
    File::from_std(std::fs::File::from(descriptor))
}
