//! Optical character recognition by the `tesseract` program, where the user has it.
//!
//! A page is drawn by the extraction worker, which may start nothing; the program is started from here, once a page, with
//! the picture on its standard input. On Linux it is confined as the worker is, but for the files of the system that it
//! needs to run (`cage.rs`): a picture is a stranger's file as much as the document is that it came from.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use sidenote_model::CancelToken;
use sidenote_text::{PageImage, RecognisedLine};

use crate::{
    config::Ingest,
    worker::{LOOK_FOR_STOP, own_program},
};

/// Set for a process that is to confine itself and become the program that its arguments name; its value is the memory limit
/// in bytes.
const HELPER_VARIABLE: &str = "SIDENOTE_CONFINED_HELPER";
/// A page of small print makes some hundred kilobytes.
const MAX_OUTPUT_BYTES: u64 = 16 << 20;
/// Said before anything else, it is why the program failed.
const MAX_COMPLAINT_BYTES: u64 = 4 << 10;

/// The program, ready to be started.
#[derive(Clone, Debug)]
pub(crate) struct Tesseract {
    program: PathBuf,
    languages: String,
    page_timeout: Duration,
    file_timeout: Duration,
    memory_bytes: u64,
}

impl Tesseract {
    /// The program, where it is wanted and there.
    pub(crate) fn find(limits: &Ingest) -> Option<Self> {
        let program = limits.ocr.then(|| find_program(Path::new(&limits.ocr_program))).flatten()?;
        Some(Self {
            program,
            languages: limits.ocr_languages.clone(),
            page_timeout: Duration::from_secs(limits.extract_timeout_seconds),
            file_timeout: Duration::from_secs(limits.ocr_timeout_seconds),
            memory_bytes: limits.extract_memory_bytes,
        })
    }

    /// What its results depend on, besides the page.
    pub(crate) fn description(&self) -> String {
        format!("{} {}", self.program.display(), self.languages)
    }

    /// Whether a file on whose pages so much time was spent may have another one read.
    ///
    /// # Errors
    /// A clause for the report.
    pub(crate) fn check_time(&self, spent: Duration) -> Result<(), String> {
        if spent < self.file_timeout {
            return Ok(());
        }
        let seconds = self.file_timeout.as_secs();
        Err(format!("the pages before it took {seconds} seconds (`ingest.ocr_timeout_seconds`)"))
    }

    /// Reads a page.
    ///
    /// # Errors
    /// A clause for the report.
    pub(crate) fn recognise(&self, page: &PageImage, cancel: &CancelToken) -> Result<Vec<RecognisedLine>, String> {
        let mut child = self.command(page.dpi).spawn().map_err(|error| format!("tesseract did not start: {error}"))?;
        let (Some(mut input), Some(output), Some(complaint)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("tesseract did not start: no pipes".to_owned());
        };
        thread::scope(|scope| {
            // It may end before it has read all.
            scope.spawn(move || input.write_all(header(page).as_bytes()).and_then(|()| input.write_all(&page.grey)));
            let output = scope.spawn(move || read_bounded(output, MAX_OUTPUT_BYTES));
            let complaint = scope.spawn(move || read_bounded(complaint, MAX_COMPLAINT_BYTES));
            let outcome = self.wait(&mut child, cancel);
            // A script in its place may have left others behind, who hold the pipes.
            end_group(&mut child);
            let output = output.join().unwrap_or_default();
            let complaint = complaint.join().unwrap_or_default();
            if outcome? { Ok(lines_of(&output)) } else { Err(self.reason(&complaint)) }
        })
    }

    fn command(&self, dpi: u32) -> Command {
        let own = own_program().and_then(Result::ok).filter(|_| cfg!(target_os = "linux"));
        let mut command = match own {
            Some(own) => {
                let mut command = Command::new(own);
                command.env_clear().env(HELPER_VARIABLE, self.memory_bytes.to_string()).arg(&self.program);
                command
            }
            None => {
                let mut command = Command::new(&self.program);
                command.env_clear();
                command
            }
        };
        if let Some(folder) = std::env::var_os("TESSDATA_PREFIX") {
            command.env("TESSDATA_PREFIX", folder);
        }
        // Page segmentation 1 finds out how the page is turned. Threads of its own cost more than they give, and the cores
        // are busy with the embedding.
        command
            .env("OMP_THREAD_LIMIT", "1")
            .args(["stdin", "stdout", "-l", &self.languages, "--psm", "1", "--dpi", &dpi.to_string(), "tsv"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }

    /// Whether it ended well.
    fn wait(&self, child: &mut Child, cancel: &CancelToken) -> Result<bool, String> {
        let begun = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status.success()),
                Ok(None) if cancel.is_cancelled() => return Err("the ingest was stopped".to_owned()),
                Ok(None) if begun.elapsed() > self.page_timeout => {
                    let seconds = self.page_timeout.as_secs();
                    return Err(format!(
                        "tesseract took longer than {seconds} seconds (`ingest.extract_timeout_seconds`)"
                    ));
                }
                Ok(None) => thread::sleep(LOOK_FOR_STOP),
                Err(error) => return Err(format!("tesseract was lost: {error}")),
            }
        }
    }

    fn reason(&self, complaint: &[u8]) -> String {
        let complaint = String::from_utf8_lossy(complaint);
        if complaint.contains("traineddata") || complaint.contains("load any languages") {
            return format!(
                "tesseract has no data for the languages `{}` (`ingest.ocr_languages`); install them, then ingest the file anew",
                self.languages
            );
        }
        let first = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        let first: String = first.chars().filter(|c| !c.is_control()).take(200).collect();
        format!("tesseract failed: {first}")
    }
}

/// What a process does that finds [`HELPER_VARIABLE`] set: it confines itself and becomes another program.
pub(crate) fn helper_main() {
    #[cfg(target_os = "linux")]
    if let Ok(memory_bytes) = std::env::var(HELPER_VARIABLE) {
        let mut arguments = std::env::args_os().skip(1);
        let program = PathBuf::from(arguments.next().unwrap_or_default());
        let memory_bytes = memory_bytes.parse().unwrap_or(crate::config::EXTRACT_MEMORY_BYTES);
        let data = std::env::var_os("TESSDATA_PREFIX").map(PathBuf::from);
        let reason = crate::cage::enter_as_helper(memory_bytes, &program, data.as_deref()).err().unwrap_or_else(|| {
            let mut command = Command::new(&program);
            command.args(arguments).env_remove(HELPER_VARIABLE);
            std::os::unix::process::CommandExt::exec(&mut command)
        });
        let _ = writeln!(io::stderr(), "{reason}");
        #[expect(clippy::exit, reason = "a helper's life ends here; the host's main must not go on")]
        std::process::exit(126);
    }
}

/// Ends a process that was made the leader of a group, and whoever else is in the group.
fn end_group(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(leader) = i32::try_from(child.id())
        && let Some(group) = rustix::process::Pid::from_raw(leader)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The header of a portable grey map, the simplest picture there is.
fn header(page: &PageImage) -> String {
    format!("P5\n{} {}\n255\n", page.width, page.height)
}

fn read_bounded(from: impl Read, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut from = from.take(limit);
    // What was read before an error is all there is; the exit status says whether it counts.
    let _ = from.read_to_end(&mut bytes);
    let _ = io::copy(&mut from.into_inner(), &mut io::sink());
    bytes
}

/// A program by its path, or by its name in the folders of `PATH`.
fn find_program(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return name.is_file().then(|| name.to_owned());
    }
    let folders: OsString = std::env::var_os("PATH")?;
    let mut with_suffix = name.as_os_str().to_owned();
    with_suffix.push(std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&folders).map(|folder| folder.join(&with_suffix)).find(|path| path.is_file())
}

/// Lines of tesseract's table: level, page, block, paragraph, line, word, left, top, width, height, confidence, text; each
/// line before its words.
fn lines_of(table: &[u8]) -> Vec<RecognisedLine> {
    const LINE: &str = "4";
    const WORD: &str = "5";
    let mut lines: Vec<RecognisedLine> = Vec::new();
    let mut paragraph: Option<(String, String)> = None;
    for row in String::from_utf8_lossy(table).lines() {
        let cells: Vec<&str> = row.splitn(12, '\t').collect();
        let [level, _, block, par, _, _, _, top, width, height, _, text] = cells.as_slice() else { continue };
        match *level {
            LINE => {
                let number = |text: &str| text.parse::<u32>().unwrap_or(0);
                let this = Some(((*block).to_owned(), (*par).to_owned()));
                // On a page that is turned, lines stand upright.
                let height = number(height).min(number(width));
                let begins_paragraph = paragraph != this;
                lines.push(RecognisedLine { text: String::new(), top: number(top), height, begins_paragraph });
                paragraph = this;
            }
            WORD if !text.trim().is_empty() => {
                if let Some(line) = lines.last_mut() {
                    if !line.text.is_empty() {
                        line.text.push(' ');
                    }
                    line.text.push_str(text.trim());
                }
            }
            _ => {}
        }
    }
    // A paragraph whose first line is a smudge begins with its second.
    let mut begins = false;
    lines.retain_mut(|line| {
        begins |= line.begins_paragraph;
        let is_kept = !line.text.is_empty();
        if is_kept {
            line.begins_paragraph = std::mem::take(&mut begins);
        }
        is_kept
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_becomes_lines_and_paragraphs() {
        let table = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
                     1\t1\t0\t0\t0\t0\t0\t0\t900\t900\t-1\t\n\
                     4\t1\t1\t1\t1\t0\t10\t20\t300\t40\t-1\t\n\
                     5\t1\t1\t1\t1\t1\t10\t20\t90\t40\t96.1\tTravel\n\
                     5\t1\t1\t1\t1\t2\t110\t20\t90\t40\t12.5\texpenses\n\
                     4\t1\t2\t1\t1\t0\t10\t90\t300\t31\t-1\t\n\
                     5\t1\t2\t1\t1\t1\t10\t90\t9\t31\t3.0\t \n\
                     4\t1\t2\t1\t2\t0\t10\t130\t33\t500\t-1\t\n\
                     5\t1\t2\t1\t2\t1\t10\t130\t33\t500\t99.0\tReceipts\tnow\n\
                     no row\n";
        let shown: Vec<(String, u32, u32, bool)> = lines_of(table.as_bytes())
            .into_iter()
            .map(|line| (line.text, line.top, line.height, line.begins_paragraph))
            .collect();
        assert_eq!(shown, [("Travel expenses".to_owned(), 20, 40, true), ("Receipts\tnow".to_owned(), 130, 33, true)]);
    }

    #[test]
    fn a_program_that_is_not_there_is_not_found() {
        let limits = |program: &str, ocr| Ingest { ocr_program: program.into(), ocr, ..Ingest::default() };
        assert!(Tesseract::find(&limits("no-such-program-of-ocr", true)).is_none());
        assert!(Tesseract::find(&limits("/no/such/tesseract", true)).is_none());
        assert!(Tesseract::find(&limits("cat", false)).is_none());
        assert!(Tesseract::find(&limits("cat", true)).is_some());
    }

    #[test]
    fn a_program_that_fails_or_hangs_costs_the_page() {
        let page = PageImage { width: 2, height: 1, dpi: 300, grey: vec![0, 255] };
        let of = |program: &str| Tesseract {
            page_timeout: Duration::from_millis(200),
            ..Tesseract::find(&Ingest { ocr_program: program.into(), ..Ingest::default() }).unwrap()
        };
        let failed = of("false").recognise(&page, &CancelToken::new()).unwrap_err();
        assert_eq!(failed, "tesseract failed: it said nothing");
        let folder = tempfile::tempdir().unwrap();
        let hangs = folder.path().join("hangs");
        // Not replaced by what it starts, which holds on to the pipes.
        fs_err::write(&hangs, "#!/bin/sh\nsleep 60\nsleep 60\n").unwrap();
        #[cfg(unix)]
        fs_err::set_permissions(&hangs, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let hangs = of(hangs.to_str().unwrap());
        assert!(hangs.recognise(&page, &CancelToken::new()).unwrap_err().contains("took longer"));
        let stopped = CancelToken::new();
        stopped.cancel();
        assert_eq!(hangs.recognise(&page, &stopped).unwrap_err(), "the ingest was stopped");
    }
}
