//! `sidenote remove`.

use sidenote_http::RemoveReport;

use super::{Session, absolute};
use crate::{args::RemoveArgs, exit::Exit, format::counted};

/// Forgets documents.
pub(crate) fn run(session: &Session, args: &RemoveArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let request = sidenote::RemoveRequest {
        paths: args.paths.iter().map(|path| absolute(path)).collect(),
        collection: session.collection.clone().unwrap_or_else(|| sidenote::DEFAULT_COLLECTION.into()),
        purge: args.purge,
    };
    let done = session.engine()?.remove(&request)?;
    let (report, unlisted) = (RemoveReport::from(&done), done.unlisted as u64);
    let exit = if report.removed == 0 && unlisted == 0 { Exit::Nothing } else { Exit::Done };
    if output.json {
        output.print_json(&report)?;
        return Ok(exit);
    }
    let purged = if args.purge {
        format!(", {} wiped from the data folder", counted(report.purged, "document"))
    } else {
        String::new()
    };
    output.print(&format!("removed {}{purged}", counted(report.removed, "document")))?;
    if unlisted > 0 {
        output.hint(&format!("forgotten too: {} that could not be read", counted(unlisted, "file")));
    }
    if exit == Exit::Nothing && args.purge {
        output.hint("nothing was stored under these paths; what was removed before is wiped from the data folder");
    } else if exit == Exit::Nothing {
        output.hint("nothing was stored under these paths; `sidenote documents` lists what is");
    }
    Ok(exit)
}
