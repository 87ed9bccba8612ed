//! Standard output: one JSON value or text for people. Everything else goes to standard error.

use std::io::{self, Write};

use serde::Serialize;
use sidenote_http::{ErrorReport, to_safe_json};

use crate::{
    format::PathNames,
    progress::{Talk, say},
    terminal::{Terminal, one_line},
};

/// How results are printed.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// One JSON value instead of text.
    pub(crate) json: bool,
    /// 1 shows scores and timings; above that only the log grows.
    pub(crate) verbose: u8,
    /// What is said on standard error meanwhile.
    pub(crate) talk: Talk,
    /// Standard output.
    pub(crate) terminal: Terminal,
    /// How paths are said.
    pub(crate) names: PathNames,
}

impl Output {
    /// Prints `value` as one line of JSON.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn print_json<T: Serialize + ?Sized>(&self, value: &T) -> anyhow::Result<()> {
        let line = to_safe_json(value)?;
        self.print(&line)
    }

    /// Prints a line, or several, and flushes.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        Ok(stdout.flush()?)
    }

    /// Says what went wrong, in the place where the caller looks for it. A standard output that cannot be written
    /// leaves the exit code to speak.
    pub(crate) fn print_error(json: bool, report: &ErrorReport) {
        if json {
            if let Ok(line) = to_safe_json(report) {
                let _ = writeln!(io::stdout().lock(), "{line}");
            }
            return;
        }
        say(&format!("error: {}", one_line(&report.error.message)));
        if let Some(hint) = &report.error.hint {
            // A hint may be several lines: which file to put where.
            for (at, line) in hint.lines().enumerate() {
                say(&if at == 0 { format!("hint: {}", one_line(line)) } else { format!("      {}", one_line(line)) });
            }
        }
    }

    /// A hint beside a result.
    pub(crate) fn hint(&self, text: &str) {
        if !self.json && self.talk != Talk::Silent {
            say(&format!("hint: {}", one_line(text)));
        }
    }
}
