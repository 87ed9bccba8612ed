//! Random steps against a map that cannot be wrong.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]
#![expect(clippy::print_stdout, reason = "a failure is repeated by its seed")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Stdio};
use std::time::Duration;

use common::*;
use sidenote_index::{Filter, Index, IndexOptions, IndexWriter, VectorMode};

/// What must be stored: the lines of each path, a chunk each.
type Truth = BTreeMap<String, Vec<String>>;

const WORDS: &[&str] =
    &["amber", "basalt", "cobalt", "dune", "ember", "fjord", "grove", "harbor", "iris", "jade", "krill", "lotus"];

fn line(random: &mut Random) -> String {
    let words: Vec<&str> = (0..1 + random.below(4)).map(|_| *random.pick(WORDS)).collect();
    words.join(" ")
}

/// The default number of steps takes seconds; `SIDENOTE_MODEL_STEPS` asks for more.
fn steps() -> usize {
    std::env::var("SIDENOTE_MODEL_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(1000)
}

fn put_lines(writer: &mut IndexWriter, path: &str, lines: &[String]) {
    put(writer, path, &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
}

fn run(seed: u64, options: &IndexOptions) {
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut truth = Truth::new();
    let mut index = Index::open(folder.path(), options).unwrap();
    let mut writing = Some(writer(&index));
    let other_reader = Index::open(folder.path(), options).unwrap();
    let mut recall = (0_usize, 0_usize);
    for step in 0..steps() {
        let writer = writing.as_mut().unwrap();
        match random.below(11) {
            0..=3 => {
                let lines: Vec<String> = (0..random.below(6)).map(|_| line(&mut random)).collect();
                let path = format!("/{}.md", random.below(40));
                put_lines(writer, &path, &lines);
                truth.insert(path, lines);
            }
            4 | 5 => {
                let Some((path, lines)) = truth.iter().nth(random.below(truth.len().max(1))) else { continue };
                let (path, mut lines) = (path.clone(), lines.clone());
                let place = random.below(lines.len() + 1);
                lines.insert(place, line(&mut random));
                put_lines(writer, &path, &lines);
                truth.insert(path, lines);
            }
            6 => {
                let path = format!("/{}.md", random.below(40));
                let found = index.find_document("default", path.as_ref()).unwrap();
                assert_eq!(found.is_some(), truth.contains_key(&path), "step {step}");
                if let Some(found) = found {
                    assert_eq!(writer.remove(&[found.id]).unwrap(), 1);
                }
                truth.remove(&path);
            }
            7 => {
                drop(writing.take());
                drop(index);
                index = Index::open(folder.path(), options).unwrap();
                writing = Some(common::writer(&index));
            }
            8 => {
                let Some(from) = truth.keys().nth(random.below(truth.len().max(1))).cloned() else { continue };
                let to = format!("/{}.md", random.below(40));
                let print = fingerprint("renamed");
                let renamed = writer.rename("default", from.as_ref(), to.as_ref(), &print, None).unwrap();
                assert_eq!(renamed, !truth.contains_key(&to), "step {step}");
                if renamed {
                    let lines = truth.remove(&from).unwrap();
                    truth.insert(to, lines);
                }
            }
            9 if options.vector == VectorMode::Hnsw => {
                writer.commit().unwrap();
                writer.seal(&mut |_, _| true).unwrap();
                if random.below(4) == 0 {
                    writer.compact().unwrap();
                }
            }
            _ => {
                writer.commit().unwrap();
                for reader in [&index, &other_reader] {
                    compare(reader, &truth, &mut random, step, &mut recall);
                }
            }
        }
    }
    writing.as_mut().unwrap().commit().unwrap();
    compare(&index, &truth, &mut random, usize::MAX, &mut recall);
    assert!(recall.0 * 100 >= recall.1 * 95, "the vectors found {} of {}", recall.0, recall.1);
    if options.vector != VectorMode::Hnsw {
        assert_eq!(recall.0, recall.1);
    }
}

/// What is stored, each path once.
fn stored(index: &Index) -> Truth {
    let mut stored = Truth::new();
    for document in index.documents(None).unwrap() {
        let lines = index.chunks_of(document.id).unwrap().into_iter().map(|chunk| chunk.text).collect();
        let path = document.path.to_string_lossy().into_owned();
        assert_eq!(stored.insert(path, lines), None, "`{}` is stored twice", document.path.display());
    }
    stored
}

fn compare(index: &Index, truth: &Truth, random: &mut Random, step: usize, recall: &mut (usize, usize)) {
    assert_eq!(stored(index), *truth, "step {step}");
    let word = *random.pick(WORDS);
    let mut expected: Vec<String> =
        truth.values().flatten().filter(|line| line.split(' ').any(|other| other == word)).cloned().collect();
    let mut found = lexical(index, word);
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "step {step}, word {word}");

    let query = line(random);
    let vector = vector_of(&query);
    let score = |text: &str| vector.iter().zip(vector_of(text)).map(|(left, right)| left * right).sum::<f32>();
    let mut best: Vec<f32> = truth.values().flatten().map(|line| score(line)).collect();
    best.sort_by(|left, right| right.total_cmp(left));
    best.truncate(7);
    let hits = index.search_dense(&vector, MODEL, 7, &Filter::default()).unwrap();
    assert_eq!(hits.len(), best.len(), "step {step}");
    let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    for (hit, text) in hits.iter().zip(texts(index, &ids)) {
        assert!((hit.score - score(&text)).abs() < 1e-4, "step {step}: a score is not the cosine of its text");
    }
    let least = best.last().copied().unwrap_or(0.0) - 1e-4;
    recall.0 += hits.iter().filter(|hit| hit.score >= least).count();
    recall.1 += best.len();
    assert!(hits.is_sorted_by(|left, right| (left.score, right.chunk) >= (right.score, left.chunk)), "step {step}");
}

#[test]
fn random_steps_agree_with_a_map_when_every_vector_is_compared() {
    run(20_261_121, &IndexOptions::default());
}

#[test]
fn random_steps_agree_with_a_map_when_vectors_are_sealed() {
    run(11, &sealing());
}

const FOLDER: &str = "SIDENOTE_MODEL_TEST_FOLDER";

fn sealing() -> IndexOptions {
    IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 16, ..IndexOptions::default() }
}

/// One step of the process that is killed, as it travels to it: a word and its values, with tabs between them.
#[derive(Clone, Debug)]
enum Step {
    Put(String, Vec<String>),
    Remove(String),
    Rename(String, String),
    Commit,
    Seal,
    Compact,
}

impl Step {
    fn any(truth: &Truth, random: &mut Random) -> Self {
        let path = |random: &mut Random| format!("/{}.md", random.below(30));
        let known = |random: &mut Random| truth.keys().nth(random.below(truth.len().max(1))).cloned();
        match random.below(12) {
            0..=4 => Self::Put(path(random), (0..random.below(6)).map(|_| line(random)).collect()),
            5 => Self::Remove(path(random)),
            6 => known(random).map_or(Self::Commit, |from| Self::Rename(from, path(random))),
            7 => Self::Compact,
            8 | 9 => Self::Seal,
            _ => Self::Commit,
        }
    }

    /// What the step does to the map.
    fn apply(&self, truth: &mut Truth) {
        match self {
            Self::Put(path, lines) => drop(truth.insert(path.clone(), lines.clone())),
            Self::Remove(path) => drop(truth.remove(path)),
            Self::Rename(from, to) if !truth.contains_key(to) => {
                let lines = truth.remove(from);
                truth.extend(lines.map(|lines| (to.clone(), lines)));
            }
            Self::Rename(..) | Self::Commit | Self::Seal | Self::Compact => {}
        }
    }

    fn to_line(&self) -> String {
        match self {
            Self::Put(path, lines) => [&["put".to_owned(), path.clone()], &lines[..]].concat().join("\t"),
            Self::Remove(path) => format!("remove\t{path}"),
            Self::Rename(from, to) => format!("rename\t{from}\t{to}"),
            Self::Commit => "commit".to_owned(),
            Self::Seal => "seal".to_owned(),
            Self::Compact => "compact".to_owned(),
        }
    }

    /// Does the step of a line to the index.
    fn carry_out(line: &str, index: &Index, writer: &mut IndexWriter) {
        let words: Vec<&str> = line.split('\t').collect();
        match words[..] {
            ["put", path, ref lines @ ..] => {
                put_lines(writer, path, &lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>());
            }
            ["remove", path] => {
                let found = index.find_document("default", path.as_ref()).unwrap();
                writer.remove(&found.map(|document| document.id).into_iter().collect::<Vec<_>>()).unwrap();
            }
            ["rename", from, to] => {
                writer.rename("default", from.as_ref(), to.as_ref(), &fingerprint("renamed"), None).unwrap();
            }
            ["commit"] => writer.commit().unwrap(),
            ["seal"] => {
                writer.commit().unwrap();
                writer.seal(&mut |_, _| true).unwrap();
            }
            ["compact"] => {
                writer.compact().unwrap();
            }
            _ => panic!("`{line}` is no step"),
        }
    }
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let index = Index::open(Path::new(&folder), &sealing()).unwrap();
    let mut writer = writer(&index);
    let mut said = std::io::stderr();
    said.write_all(b"done\n").unwrap();
    for line in std::io::stdin().lines() {
        Step::carry_out(&line.unwrap(), &index, &mut writer);
        said.write_all(b"done\n").unwrap();
    }
}

/// The process that writes.
struct WritingProcess {
    process: Child,
    steps: ChildStdin,
    said: BufReader<ChildStderr>,
}

impl WritingProcess {
    fn start(folder: &Path) -> Self {
        let mut process = process_of("child")
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (steps, said) = (process.stdin.take().unwrap(), BufReader::new(process.stderr.take().unwrap()));
        let mut writing = Self { process, steps, said };
        assert!(writing.is_done(), "it opens what it finds");
        writing
    }

    fn send(&mut self, step: &Step) {
        writeln!(self.steps, "{}", step.to_line()).unwrap();
    }

    /// Waits for the end of what it does; false where it ended itself before.
    fn is_done(&mut self) -> bool {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert!(line.is_empty() || line == "done\n", "{line}");
        !line.is_empty()
    }

    /// Kills it; returns whether it had said before that it is done.
    fn kill(mut self) -> bool {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.is_done()
    }
}

#[test]
fn random_steps_agree_with_a_map_when_the_process_is_killed_meanwhile() {
    let seed = 2_026;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut truth = Truth::new();
    let mut writing = WritingProcess::start(folder.path());
    // Everything is read by another process than the one that writes.
    let reader = Index::open(folder.path(), &sealing()).unwrap();
    let (mut kills, mut undone, mut recall) = (0, 0, (0, 0));
    for number in 0..steps() {
        let step = Step::any(&truth, &mut random);
        writing.send(&step);
        let after = {
            let mut after = truth.clone();
            step.apply(&mut after);
            after
        };
        if random.below(12) > 0 {
            assert!(writing.is_done(), "step {number}, {step:?}");
            truth = after;
            if matches!(step, Step::Commit) {
                compare(&reader, &truth, &mut random, number, &mut recall);
            }
            continue;
        }
        // Most steps take less than a millisecond, some take many.
        let longest = *random.pick(&[500, 20_000]);
        std::thread::sleep(Duration::from_micros(random.below(longest) as u64));
        kills += 1;
        let was_done = writing.kill();
        writing = WritingProcess::start(folder.path());
        // What it did not say to be done is there as a whole or not at all.
        if was_done || stored(&reader) == after {
            truth = after;
        } else {
            undone += 1;
        }
        compare(&reader, &truth, &mut random, number, &mut recall);
    }
    drop(writing.steps);
    assert!(writing.process.wait().unwrap().success());
    println!("{kills} kills, {undone} of them before the step was stored");
    assert!(kills * 20 > steps(), "{kills} kills");
    assert!(recall.0 * 100 >= recall.1 * 95, "the vectors found {} of {}", recall.0, recall.1);
    let checks = reader.writer().unwrap().check().unwrap();
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
}
