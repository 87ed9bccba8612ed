//! `sidenote pin`.

use sidenote_http::PinReport;

use super::Session;
use crate::{args::PinArgs, exit::Exit, format::counted};

/// Has the language model read documents whole.
pub(crate) fn run(session: &Session, args: &PinArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let report = PinReport::from(&session.engine()?.pin(&session.filter(&args.filter), &session.cancel)?);
    if output.json {
        output.print_json(&report)?;
    } else {
        let read = counted(report.tokens, "token");
        let before = match report.reused {
            0 => String::new(),
            reused => format!(", of which {reused} were kept from before"),
        };
        output.print(&format!("{} read whole: {read}{before}", counted(report.documents, "document")))?;
    }
    Ok(if report.documents > 0 { Exit::Done } else { Exit::Nothing })
}
