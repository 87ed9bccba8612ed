//! `sidenote pin`.

use sidenote_http::PinReport;

use super::Session;
use crate::{args::PinArgs, exit::Exit, format::counted, progress::Progress};

/// Has the language model read documents whole.
pub(crate) fn run(session: &Session, args: &PinArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let mut doing = Progress::new(output.talk);
    doing.phase("reading the documents");
    let report = session.engine()?.pin(&session.filter(&args.filter), &session.cancel);
    drop(doing);
    let report = PinReport::from(&report?);
    if output.json {
        output.print_json(&report)?;
    } else {
        let read = counted(report.tokens, "token");
        let before = if report.reused == report.tokens { ", kept from before" } else { "" };
        output.print(&format!("{} read whole: {read}{before}", counted(report.documents, "document")))?;
    }
    Ok(if report.documents > 0 { Exit::Done } else { Exit::Nothing })
}
