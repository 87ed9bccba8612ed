//! Progress on standard error: a bar with rate and time left on a terminal, plain lines otherwise, nothing under `-q`.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{format, terminal::one_line};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Nothing.
    Silent,
    /// Plain lines, a few.
    Lines,
    /// A bar that is redrawn.
    Bar,
}

impl Talk {
    /// What suits standard error.
    pub(crate) fn of_stderr(quiet: bool, logging: bool) -> Self {
        if quiet {
            Self::Silent
        } else if io::stderr().is_terminal() && !logging {
            Self::Bar
        } else {
            Self::Lines
        }
    }
}

/// A line on standard error. A reader that went away is no reason to stop the work.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Between two lines of plain progress.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Progress of a piece of work whose size is known in bytes.
pub(crate) struct Progress {
    talk: Talk,
    bar: ProgressBar,
    started: Instant,
    said: Instant,
}

impl Progress {
    /// Begins.
    pub(crate) fn new(talk: Talk) -> Self {
        let bar = if talk == Talk::Bar { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if talk == Talk::Bar {
            bar.set_style(style("{spinner} {msg}"));
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        let now = Instant::now();
        Self { talk, bar, started: now, said: now }
    }

    /// What is being done, where its length is not known.
    pub(crate) fn phase(&mut self, text: &str) {
        match self.talk {
            Talk::Silent => {}
            Talk::Lines => say(text),
            Talk::Bar => self.bar.set_message(text.to_owned()),
        }
    }

    /// How much is done of how much; `what` says it in the words of the work.
    pub(crate) fn update(&mut self, done: u64, total: u64, what: &str) {
        match self.talk {
            Talk::Silent => {}
            Talk::Bar => {
                if self.bar.length() != Some(total) {
                    self.bar
                        .set_style(style("{spinner} [{bar:20}] {percent:>3}% {msg}, {eta} left").progress_chars("=> "));
                    self.bar.set_length(total);
                }
                self.bar.set_position(done);
                self.bar.set_message(what.to_owned());
            }
            Talk::Lines => {
                if self.said.elapsed() >= LINE_EVERY && done < total {
                    self.said = Instant::now();
                    let spent = self.started.elapsed().as_secs_f64();
                    let share = done as f64 / total.max(1) as f64;
                    let left = if share > 0.0 {
                        format!(", {} left", format::duration(spent / share - spent))
                    } else {
                        String::new()
                    };
                    say(&format!("{:.0}% {what}{left}", share * 100.0));
                }
            }
        }
    }

    /// What goes on inside of one step that takes long; the bar stays where it is.
    pub(crate) fn within(&mut self, text: &str) {
        match self.talk {
            Talk::Silent => {}
            Talk::Bar => self.bar.set_message(text.to_owned()),
            Talk::Lines => {
                if self.said.elapsed() >= LINE_EVERY {
                    self.said = Instant::now();
                    say(text);
                }
            }
        }
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// A line that stays, such as a file that failed. The caller's text may come from anywhere.
    pub(crate) fn note(&self, text: &str) {
        let line = one_line(text);
        match self.talk {
            Talk::Silent => {}
            Talk::Lines => say(&line),
            Talk::Bar => self.bar.suspend(|| say(&line)),
        }
    }

    /// The bar goes.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are this file's own; one that does not parse falls back to a plain bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_parse() {
        for template in ["{spinner} {msg}", "{spinner} [{bar:20}] {percent:>3}% {msg}, {eta} left"] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn quiet_wins_over_everything() {
        assert_eq!(Talk::of_stderr(true, true), Talk::Silent);
        assert_eq!(Talk::of_stderr(true, false), Talk::Silent);
    }
}
