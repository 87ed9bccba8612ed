//! `sidenote serve`.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use sidenote::Engine;
use sidenote_http::{Server, Serving, secret};
use tokio::net::TcpListener;

use super::Session;
use crate::{
    args::ServeArgs,
    exit::{Exit, Failure},
    progress::{Talk, say},
};

/// How often it is looked whether Ctrl-C was pressed.
const STOP_INTERVAL: Duration = Duration::from_millis(50);
/// A token that somebody wrote by hand has at least so many bytes.
const MIN_TOKEN_BYTES: usize = 16;
/// How long threads may still work when all connections are closed.
const LAST_WORK_TIMEOUT: Duration = Duration::from_millis(800);

/// Serves until stopped.
pub(crate) fn run(session: &Session, args: &ServeArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(session, args));
    // Work that cannot be stopped, such as opening a model, is not waited for.
    runtime.shutdown_timeout(LAST_WORK_TIMEOUT);
    served
}

async fn serve(session: &Session, args: &ServeArgs) -> anyhow::Result<Exit> {
    let config = &session.settings.config;
    let port = args.port.unwrap_or(config.serve.port);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::new("io", format!("cannot listen on {address}: {error}"))
            .hint("another program has the port, perhaps another `sidenote serve`; `--port` names another")
    })?;
    let address = listener.local_addr()?;
    let engine = session.engine_that_answers()?;
    let (token, token_file) = token(&engine)?;
    let server = Server::new(engine, address, token, session.collection.clone());
    announce(session, &address, server.page_link()?, &token_file)?;
    let stop = async {
        while !session.cancel.is_cancelled() {
            tokio::time::sleep(STOP_INTERVAL).await;
        }
    };
    server.serve(listener, stop).await?;
    Ok(Exit::Interrupted)
}

fn announce(session: &Session, address: &SocketAddr, page: String, token_file: &Path) -> anyhow::Result<()> {
    let output = &session.output;
    let url = format!("http://{address}");
    let token_file = token_file.to_string_lossy().into_owned();
    if output.json {
        return output.print_json(&Serving { url, page, token_file });
    }
    output.print(&page)?;
    if output.talk != Talk::Silent {
        say(&format!("listening on {url}; the link above opens the page once, Ctrl-C stops"));
        say(&format!("programs send the token in {token_file}"));
    }
    Ok(())
}

/// The token of a data folder and its file, which only its owner can read. Made the first time.
fn token(engine: &Engine) -> anyhow::Result<(String, PathBuf)> {
    let file = engine.private_folder("serve")?.join("token");
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(&file) {
        Ok(mut made) => {
            let token = secret()?;
            writeln!(made, "{token}")?;
            made.sync_all()?;
            Ok((token, file))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let known = fs_err::read_to_string(&file)?.trim().to_owned();
            if known.len() < MIN_TOKEN_BYTES {
                let failure = Failure::new("damaged_data", "the token is too short to keep anybody out");
                return Err(failure.hint("delete the file; the next start makes a new one").path(file).into());
            }
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
            }
            Ok((known, file))
        }
        Err(error) => Err(error.into()),
    }
}
