//! `sidenote doctor`.

use sidenote_http::DoctorReport;

use super::Session;
use crate::{args::DoctorArgs, exit::Exit, terminal::one_line};

/// Checks the data folder, and mends what can be mended.
pub(crate) fn run(session: &Session, args: &DoctorArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let report = session.engine()?.doctor(args.repair)?;
    let exit = if report.is_sound() { Exit::Done } else { Exit::Nothing };
    let wire = DoctorReport::from(&report);
    if output.json {
        output.print_json(&wire)?;
        return Ok(exit);
    }
    let lines: Vec<String> = wire
        .checks
        .iter()
        .map(|check| {
            let name = check.name.replace('_', " ");
            let state = match (check.ok, wire.repaired.contains(&check.name)) {
                (true, false) => "ok",
                (true, true) => "repaired",
                (false, _) => "WRONG",
            };
            format!("{} {state:<9} {}", output.terminal.dim(&format!("{name:<10}")), one_line(&check.detail))
        })
        .collect();
    output.print(&lines.join("\n"))?;
    if !wire.removed.is_empty() {
        let removed: Vec<String> =
            wire.removed.iter().map(|path| format!("removed, as it was damaged: {}", one_line(path))).collect();
        output.print(&removed.join("\n"))?;
        output.hint("`sidenote ingest` with their folder reads these files anew");
    }
    if wire.checks.iter().any(|check| check.can_repair) {
        output.hint(
            "`sidenote doctor --repair` makes indexes anew from the database, and removes damaged documents whose files are there, so \
             that the next `sidenote ingest` reads them anew; `sidenote restore` brings a backup back",
        );
    } else if exit == Exit::Nothing {
        output.hint("`sidenote restore` brings a backup back; or move the data folder away and ingest again");
    }
    Ok(exit)
}
