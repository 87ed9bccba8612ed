//! `sidenote watch`.

use sidenote::WatchEvent;
use sidenote_http::IngestReport;

use super::{
    Session,
    ingest::{request, show, summary},
};
use crate::{
    args::IngestArgs,
    exit::Exit,
    progress::{Progress, Talk},
    terminal::one_line,
};

/// Keeps the index current until stopped.
pub(crate) fn run(session: &Session, args: &IngestArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let request = request(session, args);
    let mut progress = Progress::new(output.talk);
    if output.talk == Talk::Bar {
        progress.phase("looking through the folders");
    }
    let mut printed = Ok(());
    let watched = session.engine()?.watch(
        &request,
        &mut |event| match event {
            WatchEvent::Ingest(event) => show(&event, &mut progress, output),
            WatchEvent::Current(report) => {
                progress.finish();
                progress = Progress::new(output.talk);
                let line = if output.json {
                    output.print_json(&IngestReport::from(report))
                } else {
                    output.print(&summary(report, output))
                };
                if printed.is_ok() && line.is_err() {
                    // Nobody reads any more.
                    session.cancel.cancel();
                    printed = line;
                }
            }
            WatchEvent::Polling(reason) => {
                progress.note(&format!("no events from the system ({}); looking every few seconds", one_line(reason)));
            }
            WatchEvent::Waiting => progress.note("another process is writing; waiting for it"),
        },
        &session.cancel,
    );
    progress.finish();
    printed?;
    watched?;
    Ok(Exit::Interrupted)
}
