//! `sidenote chat`.

use std::{
    io::{self, BufRead, IsTerminal},
    sync::atomic::{AtomicBool, Ordering},
};

use rustyline::{DefaultEditor, error::ReadlineError};
use sidenote::{Answer, AskRequest, Chat, ChatId, ChatTurn, Engine, ErrorKind, Span};

use super::{
    Session,
    ask::{self, Shows},
};
use crate::{
    args::ChatArgs,
    exit::{Exit, Failure, explain},
    output::Output,
    terminal::one_line,
};

/// Bytes of a document that `/open` shows on both sides of a quote.
const MARGIN_BYTES: usize = 600;

const HELP: &str = "\
/sources    the notes so far
/open N     what stands around the quote of note N
/new        begin another conversation: the next question leans on nothing
/help       this list
/quit       end, as Ctrl-D does";

/// Answers questions one after the other. A question may lean on those before it.
pub(crate) fn run(session: &Session, args: &ChatArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let mut talk = Talk::begin(session, args)?;
    let mut lines = Lines::open(output)?;
    if let Lines::Editor(_) = lines {
        output.hint("ask; /help lists what else there is, Ctrl-D ends");
    }
    while let Some(line) = lines.next(&session.at_rest)? {
        match Input::of(&line) {
            Input::Nothing => {}
            Input::Quit => break,
            Input::Question(question) => {
                let answered = talk.ask(question);
                // Who asks at a terminal goes on after an answer that was stopped.
                if session.cancel.is_cancelled() && matches!(lines, Lines::Editor(_)) {
                    session.cancel.renew();
                } else {
                    answered?;
                }
            }
            Input::New => {
                talk.chat = talk.another();
                output.hint("the next question leans on nothing");
            }
            Input::Sources if output.json => output.hint("under --json the notes stand in the answers"),
            Input::Sources => match ask::notes(talk.chat.notes(), output) {
                notes if notes.is_empty() => output.hint("there are no notes yet"),
                notes => output.print(&notes)?,
            },
            Input::Open(n) => talk.open(n)?,
            Input::Help if output.json => output.hint("/new begins another conversation, /quit ends"),
            Input::Help => output.print(HELP)?,
            Input::Unknown(word) => output.hint(&format!("there is no `{word}`; /help lists what there is")),
        }
    }
    if let (Some(ChatId(id)), false) = (talk.chat.id, output.json) {
        output.hint(&format!(
            "kept as chat {id}: `sidenote chat --resume {id}` goes on, `sidenote chats delete {id}` deletes it"
        ));
    }
    Ok(Exit::Done)
}

/// A conversation at work.
struct Talk<'a> {
    session: &'a Session,
    args: &'a ChatArgs,
    engine: Engine,
    chat: Chat,
}

impl<'a> Talk<'a> {
    /// A new conversation, or the one that is to be gone on with.
    fn begin(session: &'a Session, args: &'a ChatArgs) -> anyhow::Result<Self> {
        let mut talk = Talk { session, args, engine: session.engine_that_answers()?, chat: Chat::default() };
        talk.chat = match args.resume {
            None => talk.another(),
            Some(asked) => talk.resumed(asked)?,
        };
        Ok(talk)
    }

    /// A conversation of which nothing is said yet.
    fn another(&self) -> Chat {
        Chat { collection: self.session.collection.clone(), ..Chat::default() }
    }

    /// The conversation of a number, or the one last gone on with.
    fn resumed(&self, asked: Option<i64>) -> anyhow::Result<Chat> {
        let Session { collection, output, .. } = self.session;
        let id = match asked {
            Some(id) => Some(ChatId(id)),
            None => self.engine.chats(collection.as_deref())?.first().map(|last| last.id),
        };
        let found = match id {
            Some(id) => self.engine.chat(id)?,
            None => None,
        };
        let Some(chat) = found else {
            let what = asked.map_or("no conversation is kept".to_owned(), |id| format!("there is no chat {id}"));
            return Err(Failure::new("usage", what).hint("`sidenote chats` lists those that are kept").into());
        };
        if collection.is_some() && *collection != chat.collection {
            let about = chat.collection.as_deref().map_or("all collections".to_owned(), |name| format!("`{name}`"));
            let what = format!("that conversation is about {about}");
            return Err(Failure::new("usage", what).hint("leave --collection out").into());
        }
        if !output.json {
            for turn in &chat.turns {
                output.print(&said(turn, output))?;
            }
        }
        Ok(chat)
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<()> {
        let Session { output, .. } = self.session;
        self.read_again()?;
        let filter = self.session.filter(&self.args.filter);
        let request =
            self.chat.next_request(AskRequest { filter, whole: self.args.whole, ..AskRequest::new(question) });
        let shows = if self.args.settled { Shows::Settled { short: false } } else { Shows::Drafts };
        let answer = match ask::answered(self.session, &self.engine, &request, shows) {
            Ok(answer) => answer,
            // The next question may be a shorter one.
            Err(error) if is_about_the_question(&error) => {
                Output::print_error(output.json, &explain(&error).1);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let keeps = !self.args.no_keep && self.session.settings.config.chat.keep;
        let kept = if keeps { self.keep(&answer) } else { None };
        if kept.is_some() {
            self.chat.id = kept;
            self.read_again()?;
        } else {
            self.chat.remember(&answer);
        }
        ask::show(&answer, kept, output)?;
        if !output.json {
            output.print("")?;
        }
        Ok(())
    }

    /// Keeps an answer, and says in which conversation; where that cannot be done, the conversation goes on without.
    fn keep(&self, answer: &Answer) -> Option<ChatId> {
        let kept = self.engine.keep(&self.chat, answer);
        if let Err(error) = &kept {
            self.session.output.hint(&format!("this answer could not be kept: {error}"));
        }
        kept.ok().flatten().map(|(id, _)| id)
    }

    /// What is kept of the conversation as it is now, and what is not kept: answers may be gone with their documents, and all of it
    /// may have been deleted.
    fn read_again(&mut self) -> anyhow::Result<()> {
        if let Some(id) = self.chat.id {
            let now = self.engine.chat(id)?.unwrap_or_else(|| self.another());
            let before = std::mem::replace(&mut self.chat, now);
            self.chat.turns.extend(before.turns.into_iter().filter(|turn| turn.asked.is_none()));
        }
        Ok(())
    }

    /// Shows what stands around a quote.
    fn open(&self, n: u32) -> anyhow::Result<()> {
        let Session { output, .. } = self.session;
        let Some(note) = self.chat.notes().find(|note| note.n == n) else {
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

/// A question of before and its answer, as they are shown again.
pub(super) fn said(turn: &ChatTurn, output: &Output) -> String {
    let terminal = output.terminal;
    let mut lines = vec![terminal.bold(&format!("\u{203a} {}", one_line(&turn.question)))];
    match &turn.answer {
        None => lines.push(terminal.dim("Forgotten: a document that the answer rests on was removed or has changed.")),
        Some(answer) => {
            let sentences =
                answer.sentences.iter().map(|sentence| terminal.indented(&one_line(&sentence.with_notes()), 0));
            lines.extend(sentences);
            lines.extend(answer.reason.iter().map(|reason| terminal.indented(&one_line(reason), 0)));
            if !answer.citations.is_empty() {
                lines.push(ask::notes(&answer.citations, output));
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
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
