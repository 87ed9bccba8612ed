//! `sidenote chat`.

use std::{
    io::{self, BufRead, IsTerminal},
    sync::atomic::{AtomicBool, Ordering},
};

use rustyline::{DefaultEditor, error::ReadlineError};
use sidenote::{Answer, AskRequest, Citation, Engine, ErrorKind, Span, Turn};

use super::{
    Session,
    ask::{self, Shows},
};
use crate::{
    args::ChatArgs,
    exit::{Exit, explain},
    output::Output,
    terminal::one_line,
};

/// Bytes of a document that `/open` shows on both sides of a quote.
const MARGIN_BYTES: usize = 600;

const HELP: &str = "\
/sources    the notes so far
/open N     what stands around the quote of note N
/new        forget what was said: the next question leans on nothing
/help       this list
/quit       end, as Ctrl-D does";

/// Answers questions one after the other. A question may lean on those before it.
pub(crate) fn run(session: &Session, args: &ChatArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let mut chat = Chat { session, args, engine: session.engine()?, turns: Vec::new(), notes: Vec::new() };
    let mut lines = Lines::open(output)?;
    if let Lines::Editor(_) = lines {
        output.hint("ask; /help lists what else there is, Ctrl-D ends");
    }
    while let Some(line) = lines.next(&session.at_rest)? {
        match Input::of(&line) {
            Input::Nothing => {}
            Input::Quit => break,
            Input::Question(question) => {
                let answered = chat.ask(question);
                // Who asks at a terminal goes on after an answer that was stopped.
                if session.cancel.is_cancelled() && matches!(lines, Lines::Editor(_)) {
                    session.cancel.renew();
                } else {
                    answered?;
                }
            }
            Input::New => {
                chat.turns.clear();
                output.hint("the next question leans on nothing");
            }
            Input::Sources if output.json => output.hint("under --json the notes stand in the answers"),
            Input::Sources if chat.notes.is_empty() => output.hint("there are no notes yet"),
            Input::Sources => output.print(&ask::notes(&chat.notes, output))?,
            Input::Open(n) => chat.open(n)?,
            Input::Help if output.json => output.hint("/new forgets what was said, /quit ends"),
            Input::Help => output.print(HELP)?,
            Input::Unknown(word) => output.hint(&format!("there is no `{word}`; /help lists what there is")),
        }
    }
    Ok(Exit::Done)
}

/// A conversation.
struct Chat<'a> {
    session: &'a Session,
    args: &'a ChatArgs,
    engine: Engine,
    turns: Vec<Turn>,
    /// All notes, numbered through.
    notes: Vec<Citation>,
}

impl Chat<'_> {
    fn ask(&mut self, question: &str) -> anyhow::Result<()> {
        let Session { output, .. } = self.session;
        let mut request = AskRequest::new(question);
        request.earlier.clone_from(&self.turns);
        request.first_note = u32::try_from(self.notes.len() + 1).unwrap_or(u32::MAX);
        request.filter = self.session.filter(&self.args.filter);
        let shows = if self.args.settled { Shows::Settled } else { Shows::Drafts };
        let answer = match ask::answered(self.session, &self.engine, &request, shows) {
            Ok(answer) => answer,
            // The next question may be a shorter one.
            Err(error) if is_about_the_question(&error) => {
                Output::print_error(output.json, &explain(&error).1);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        ask::show(&answer, output)?;
        if !output.json {
            output.print("")?;
        }
        self.remember(answer);
        Ok(())
    }

    fn remember(&mut self, answer: Answer) {
        let question = answer.standalone.unwrap_or(answer.question);
        self.turns.push(Turn::new(question, answer.answer));
        self.notes.extend(answer.citations);
    }

    /// Shows what stands around a quote.
    fn open(&self, n: u32) -> anyhow::Result<()> {
        let Session { output, .. } = self.session;
        let Some(note) = self.notes.iter().find(|note| note.n == n) else {
            output.hint(&format!("there is no note {n}; /sources lists them"));
            return Ok(());
        };
        let around = Span::new(note.span.start.saturating_sub(MARGIN_BYTES), note.span.end + MARGIN_BYTES);
        let Some(read) = self.engine.text(note.document.id, around)? else {
            output.hint("the document is not there any more");
            return Ok(());
        };
        let from = |at: usize| at.saturating_sub(read.span.start).min(read.text.len());
        let (begin, end) = (from(note.span.start), from(note.span.end));
        let (Some(before), Some(quote), Some(after)) =
            (read.text.get(..begin), read.text.get(begin..end), read.text.get(end..))
        else {
            output.hint("the document has changed since");
            return Ok(());
        };
        if quote != note.quote {
            output.hint("the document has changed since; this is what stands there now");
        }
        let terminal = output.terminal;
        let place = output.names.place(&note.document, note.page, note.part.as_deref(), &note.heading);
        let text = [
            terminal.bold(&place),
            terminal.dim(&terminal.indented(&one_line(before), 4)),
            terminal.indented(&one_line(quote), 2),
            terminal.dim(&terminal.indented(&one_line(after), 4)),
        ];
        output.print(&text.join("\n"))
    }
}

fn is_about_the_question(error: &anyhow::Error) -> bool {
    error.downcast_ref::<sidenote::Error>().is_some_and(|error| error.kind() == ErrorKind::QuestionTooLong)
}

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Input<'a> {
    Nothing,
    Question(&'a str),
    Sources,
    Open(u32),
    New,
    Help,
    Quit,
    Unknown(&'a str),
}

impl<'a> Input<'a> {
    fn of(line: &'a str) -> Self {
        let line = line.trim();
        let Some(command) = line.strip_prefix('/') else {
            return if line.is_empty() { Self::Nothing } else { Self::Question(line) };
        };
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (name, rest.trim()) {
            ("sources", "") => Self::Sources,
            ("new", "") => Self::New,
            ("help", "") => Self::Help,
            ("quit" | "exit", "") => Self::Quit,
            ("open", n) => n.trim_matches(['[', ']']).parse().map_or(Self::Unknown(line), Self::Open),
            _ => Self::Unknown(line),
        }
    }
}

/// Where lines come from.
enum Lines {
    /// A person, who may edit them and find the last ones again.
    Editor(Box<DefaultEditor>),
    /// A file or a program.
    Piped(io::Lines<io::StdinLock<'static>>),
}

impl Lines {
    fn open(output: &Output) -> anyhow::Result<Self> {
        if output.terminal.is_terminal && io::stdin().is_terminal() {
            return Ok(Self::Editor(Box::new(DefaultEditor::new()?)));
        }
        Ok(Self::Piped(io::stdin().lock().lines()))
    }

    /// The next line; `None` at the end.
    fn next(&mut self, at_rest: &AtomicBool) -> anyhow::Result<Option<String>> {
        at_rest.store(true, Ordering::SeqCst);
        let line = self.read();
        at_rest.store(false, Ordering::SeqCst);
        line
    }

    fn read(&mut self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Editor(editor) => match editor.readline("\u{203a} ") {
                Ok(line) => {
                    editor.add_history_entry(&line)?;
                    Ok(Some(line))
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Self::Piped(lines) => Ok(lines.next().transpose()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_question_or_a_command() {
        for (line, input) in [
            ("  ", Input::Nothing),
            (" Who signs? ", Input::Question("Who signs?")),
            ("/sources", Input::Sources),
            ("/open 2", Input::Open(2)),
            ("/open [12] ", Input::Open(12)),
            ("/open", Input::Unknown("/open")),
            ("/open x", Input::Unknown("/open x")),
            ("/quit", Input::Quit),
            ("/new", Input::New),
            ("/help", Input::Help),
            ("/etc/passwd", Input::Unknown("/etc/passwd")),
        ] {
            assert_eq!(Input::of(line), input, "{line:?}");
        }
    }
}
