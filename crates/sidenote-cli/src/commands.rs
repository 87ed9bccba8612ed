//! One command, one file. Each takes what was typed and hands back the exit code.

pub(crate) mod ask;
pub(crate) mod backup;
pub(crate) mod chat;
pub(crate) mod chats;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod documents;
mod eval;
pub(crate) mod eval_answers;
pub(crate) mod eval_init;
pub(crate) mod eval_retrieval;
mod explain;
pub(crate) mod export;
pub(crate) mod ingest;
pub(crate) mod mcp;
pub(crate) mod models;
pub(crate) mod pin;
pub(crate) mod remove;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod watch;

use std::sync::{Arc, atomic::AtomicBool};

use sidenote::{CancelToken, Engine, Filter, absolute};

use crate::{
    args::FilterArgs,
    output::Output,
    progress::{Talk, say},
    settings::Settings,
    terminal::one_line,
};

/// What every command works with.
pub(crate) struct Session {
    /// The resolved settings.
    pub(crate) settings: Settings,
    /// `--collection`.
    pub(crate) collection: Option<String>,
    /// Where results go.
    pub(crate) output: Output,
    /// Set by Ctrl-C.
    pub(crate) cancel: CancelToken,
    /// Whether nothing is at work that could be asked to stop: Ctrl-C ends the program where it is.
    pub(crate) at_rest: Arc<AtomicBool>,
}

impl Session {
    /// The engine on the resolved settings; cheap.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub(crate) fn engine(&self) -> Result<Engine, sidenote::Error> {
        Engine::open(self.settings.config.clone())
    }

    /// The engine, to have questions answered; says where they go if that is not this machine.
    ///
    /// # Errors
    /// As [`Session::engine`].
    pub(crate) fn engine_that_answers(&self) -> Result<Engine, sidenote::Error> {
        self.say_where_questions_go();
        self.engine()
    }

    /// A line, where they leave this program.
    pub(crate) fn say_where_questions_go(&self) {
        let url = &self.settings.config.remote.url;
        if !url.is_empty() && self.output.talk != Talk::Silent {
            say(&one_line(&format!("note: questions and what is found for them are sent to {url} (`remote.url`)")));
        }
    }

    /// Which documents were asked for.
    pub(crate) fn filter(&self, args: &FilterArgs) -> Filter {
        Filter {
            collection: self.collection.clone(),
            path_prefix: args.under.as_deref().map(absolute),
            languages: args.lang.clone(),
            formats: args.formats.clone(),
            dated_from_unix_ms: args.since,
            dated_before_unix_ms: args.before,
            ..Filter::default()
        }
    }
}
