//! `sidenote ask`.

use std::io::{self, Write};

use sidenote::{Answer, AnswerMode, AnswerSentence, AskEvent, AskPhase, AskRequest, ChatId, Citation, Engine};
use sidenote_http::to_safe_json;

use super::{Session, explain, search};
use crate::{
    args::AskArgs,
    exit::Exit,
    output::Output,
    progress::{Progress, Talk},
    terminal::{Draft, Terminal, one_line},
};

/// Asks a question.
pub(crate) fn run(session: &Session, args: &AskArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let mut request = AskRequest::new(args.question.join(" "));
    request.filter = session.filter(&args.filter);
    request.max_tokens = args.max_tokens;
    request.seed = args.seed;
    request.whole = args.whole;
    request.mode = args.extract.then_some(AnswerMode::Extract);
    let shows = match (args.stream, args.settled || args.short) {
        (true, _) => Shows::Events,
        (_, true) => Shows::Settled { short: args.short },
        (false, false) => Shows::Drafts,
    };
    let engine = if args.extract { session.engine() } else { session.engine_that_answers() }?;
    let answer = answered(session, &engine, &request, shows)?;
    if !args.stream {
        // What is explained has the details of `-v` too.
        let brief = Output { verbose: 0, ..output.clone() };
        show(&answer, None, if args.explain { &brief } else { output })?;
    }
    if args.explain && !output.json {
        let needed = session.settings.config.answer.min_confidence;
        output.print(&format!("\n{}", explain::explained(&answer, needed, output)))?;
    }
    Ok(if answer.answered { Exit::Done } else { Exit::Nothing })
}

/// What is shown before an answer is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// Drafts, settled in place; where nobody looks on, checked sentences. Nothing under `--json`.
    Drafts,
    /// Checked sentences, or their short forms. Nothing under `--json`.
    Settled { short: bool },
    /// One JSON event a line.
    Events,
}

/// Has a question answered, and shows the answer while it is written.
pub(super) fn answered(
    session: &Session,
    engine: &Engine,
    request: &AskRequest,
    shows: Shows,
) -> anyhow::Result<Answer> {
    let mut listener = Listener::new(&session.output, shows);
    let answer = engine.ask(request, &mut |event| listener.hear(&event, session), &session.cancel);
    listener.finish()?;
    Ok(answer?)
}

/// What stands below an answer: its notes, or what came closest; under `--json` all of it, and the conversation that it is kept in.
pub(super) fn show(answer: &Answer, chat: Option<ChatId>, output: &Output) -> anyhow::Result<()> {
    if output.json {
        let answer = sidenote_http::Answer::from(answer);
        return output.print_json(&sidenote_http::Answer { chat: chat.map(|id| id.0), ..answer });
    }
    if answer.answered {
        output.print(&notes(&answer.citations, output))?;
        if let Some(reason) = &answer.reason {
            output.print(&format!("\n{}", output.terminal.indented(&one_line(reason), 0)))?;
        }
    } else {
        print_abstention(answer, output)?;
    }
    if output.verbose > 0 {
        output.print(&format!("\n{}", explain::details(answer, output)))?;
    }
    Ok(())
}

/// Shows an answer while it is written.
struct Listener {
    terminal: Terminal,
    shown: Shown,
    /// What the engine is doing, on standard error, until there is something to read.
    doing: Option<Progress>,
    /// The first failure to write: the reader is gone, the answer is stopped.
    failed: Option<io::Error>,
}

enum Shown {
    /// Nothing before the end.
    Nothing,
    /// One JSON event a line.
    Events,
    /// Drafts, settled in place.
    Drafts(Draft<io::Stdout>),
    /// Checked sentences only, or their short forms. Whether one stands there already.
    Settled { short: bool, begun: bool },
}

impl Listener {
    fn new(output: &Output, shows: Shows) -> Self {
        let shown = match shows {
            Shows::Events => Shown::Events,
            Shows::Drafts | Shows::Settled { .. } if output.json => Shown::Nothing,
            Shows::Drafts if output.terminal.is_terminal => Shown::Drafts(Draft::new(io::stdout(), output.terminal)),
            Shows::Drafts => Shown::Settled { short: false, begun: false },
            Shows::Settled { short } => Shown::Settled { short, begun: false },
        };
        let doing = (output.talk == Talk::Bar).then(|| Progress::new(Talk::Bar));
        Self { terminal: output.terminal, shown, doing, failed: None }
    }

    fn hear(&mut self, event: &AskEvent<'_>, session: &Session) {
        if self.failed.is_some() {
            return;
        }
        if let AskEvent::Phase(phase) = event {
            if let Some(doing) = &mut self.doing {
                doing.phase(match phase {
                    AskPhase::Loading => "opening the models",
                    AskPhase::Retrieving => "looking for passages",
                    AskPhase::Reading => "reading the passages",
                });
            }
            return;
        }
        if let (AskEvent::Understood(question), false) = (event, session.output.json) {
            self.doing = None;
            session.output.hint(&format!("understood as: {question}"));
            return;
        }
        // A draft on the terminal takes the place of the spinner; where no draft shows, the spinner stays until a
        // sentence does.
        if !matches!((event, &self.shown), (AskEvent::Token(_), Shown::Settled { .. } | Shown::Nothing | Shown::Events))
        {
            self.doing = None;
        }
        if let Err(error) = self.show(event) {
            session.cancel.cancel();
            self.failed = Some(error);
        }
    }

    fn show(&mut self, event: &AskEvent<'_>) -> io::Result<()> {
        let emphasised =
            |sentence: &AnswerSentence| self.terminal.emphasised(&sentence.text, sentence.short.as_deref());
        match &mut self.shown {
            Shown::Nothing => Ok(()),
            Shown::Events => {
                let Some(event) = sidenote_http::AskEvent::from_engine(event) else { return Ok(()) };
                let mut stdout = io::stdout().lock();
                writeln!(stdout, "{}", to_safe_json(&event)?)?;
                stdout.flush()
            }
            Shown::Drafts(draft) => match event {
                AskEvent::Token(text) => draft.extend(text),
                AskEvent::Sentence { sentence, .. } => {
                    draft.settle(&format!("{} {}", emphasised(sentence), marks(&sentence.citations)))
                }
                AskEvent::Retract(_) => draft.retract(),
                AskEvent::Phase(_) | AskEvent::Understood(_) | AskEvent::Final(_) => Ok(()),
            },
            Shown::Settled { short, begun } => {
                let AskEvent::Sentence { sentence, .. } = event else { return Ok(()) };
                let space = match (std::mem::replace(begun, true), *short) {
                    (false, _) => "",
                    (true, false) => " ",
                    // What is no sentence does not end as one.
                    (true, true) => "; ",
                };
                let text = match short {
                    true => one_line(sentence.in_short()),
                    false => emphasised(sentence),
                };
                let mut stdout = io::stdout().lock();
                write!(stdout, "{space}{text} {}", marks(&sentence.citations))?;
                stdout.flush()
            }
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.doing = None;
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        match self.shown {
            Shown::Drafts(draft) => {
                draft.finish()?;
            }
            Shown::Settled { begun: true, .. } => writeln!(io::stdout().lock())?,
            Shown::Settled { begun: false, .. } | Shown::Nothing | Shown::Events => {}
        }
        Ok(())
    }
}

fn marks(numbers: &[u32]) -> String {
    numbers.iter().map(|n| format!("[{n}]")).collect()
}

/// The notes: number and place, the quote below.
pub(super) fn notes<'c>(citations: impl IntoIterator<Item = &'c Citation>, output: &Output) -> String {
    let terminal = output.terminal;
    let mut text = String::new();
    for citation in citations {
        let place = output.names.place(&citation.document, citation.page, citation.part.as_deref(), &citation.heading);
        text.push_str(&format!("\n{} {}\n", terminal.accent(&format!("[{}]", citation.n)), terminal.bold(&place)));
        if let Some(header) = &citation.table_header {
            text.push_str(&format!("{}\n", terminal.dim(&terminal.indented(&one_line(header), 4))));
        }
        text.push_str(&format!("{}\n", terminal.indented(&format!("“{}”", one_line(&citation.quote)), 4)));
    }
    text.trim_end().to_owned()
}

fn print_abstention(answer: &Answer, output: &Output) -> anyhow::Result<()> {
    let said = "The documents do not say.";
    let reason = answer.reason.as_deref().map(one_line).unwrap_or_default();
    let text = if reason.starts_with(said) { reason } else { format!("{said} {reason}") };
    output.print(&output.terminal.indented(text.trim_end(), 0))?;
    if !answer.passages.is_empty() {
        output.print(&format!("\nClosest:\n{}", search::closest(&answer.passages, &output.names, output.terminal)))?;
    }
    Ok(())
}
