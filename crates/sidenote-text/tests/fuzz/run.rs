//! Takes one spoilt copy after the other, keeps those that were read in a new way to spoil them further, and says which broke
//! a promise, took too long or took too much memory.

#![expect(clippy::print_stderr, reason = "a long run says what it does while it runs")]

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use sidenote_text::Extracted;

use super::mutation::{Chance, mutate};
use super::{properties, seeds};

/// Longer than this no file of 64 KiB may take, on a busy machine.
const MAX_SECONDS: u64 = 20;
/// More than this the process may not hold.
const MAX_MEMORY_MIB: u64 = 4_096;
/// What takes longer than this is worth a look.
const SLOW: Duration = Duration::from_millis(500);
/// How long the files of one format are read before those of the next.
const TURN: Duration = Duration::from_millis(500);
/// Files kept of a format to spoil further.
const MAX_POOL: usize = 400;

/// Where the panics of the file that is read now began. Shields around libraries catch panics of ours too.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The file that is read now, for the watcher.
type Current = Arc<Mutex<Option<(Instant, String, Vec<u8>)>>>;

pub(crate) struct Run {
    chance: Chance,
    /// Larger than this no copy grows.
    max_bytes: usize,
    current: Current,
    keeps_last: bool,
    /// What went wrong, each once, with an example.
    findings: BTreeMap<String, PathBuf>,
}

/// Files of one format, by name and content; the seeds come first.
pub(crate) struct Pool {
    family: &'static str,
    files: Vec<(String, Vec<u8>)>,
    seen: BTreeSet<String>,
    /// Seeds that were not read yet as they are.
    fresh: usize,
    steps: usize,
    time: Duration,
    slowest: (Duration, PathBuf),
}

impl Run {
    pub(crate) fn new(seed: u64, max_bytes: usize) -> Self {
        collect_panics();
        let current = Current::default();
        let watched = Arc::clone(&current);
        std::thread::spawn(move || watch(&watched));
        Self { chance: Chance::new(seed), max_bytes, current, keeps_last: false, findings: BTreeMap::new() }
    }

    pub(crate) fn pool(&self, family: &'static str) -> Pool {
        let files: Vec<_> = seeds::seeds_of(family).into_iter().map(|seed| (seed.name, seed.bytes)).collect();
        Pool {
            family,
            fresh: files.len(),
            files,
            seen: BTreeSet::new(),
            steps: 0,
            time: Duration::ZERO,
            slowest: Default::default(),
        }
    }

    /// Reads a seed, once all were read a spoilt copy.
    pub(crate) fn step(&mut self, pool: &mut Pool) {
        pool.steps += 1;
        let (name, bytes) = if let Some(fresh) = pool.fresh.checked_sub(1) {
            pool.fresh = fresh;
            pool.files[fresh].clone()
        } else {
            let (name, bytes) = &pool.files[self.chance.below(pool.files.len())];
            let others: Vec<&[u8]> = pool.files.iter().map(|(_, bytes)| bytes.as_slice()).collect();
            (name.clone(), mutate(bytes, &others, self.max_bytes, &mut self.chance))
        };
        *self.current.lock().expect("the watcher does not panic") = Some((Instant::now(), name.clone(), bytes.clone()));
        if self.keeps_last {
            // A stack that overflows ends the process at once; then this file is the one.
            fs_err::write(findings_folder().join(format!("last-{}", pool.family)), &bytes).expect("writes");
        }
        PANICS.lock().expect("no panic while it is held").clear();
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| properties::check(&name, &bytes)));
        let took = begun.elapsed();
        pool.time += took;
        if took > pool.slowest.0.max(SLOW) {
            pool.slowest = (took, write_finding(&name, &bytes));
        }
        *self.current.lock().expect("the watcher does not panic") = None;
        let panics = std::mem::take(&mut *PANICS.lock().expect("no panic while it is held"));
        match outcome {
            // A library's panic that was caught is what the shields are for; one of our own is not.
            Ok(read) => match panics.into_iter().find(|panic| panic.starts_with("crates/sidenote-text/src")) {
                Some(panic) => self.keep_finding(panic, &name, &bytes),
                None if pool.files.len() < MAX_POOL && pool.seen.insert(kind_of(read.as_ref())) => {
                    pool.files.push((name, bytes));
                }
                None => {}
            },
            Err(_) => self.keep_finding(panics.into_iter().next_back().unwrap_or_default(), &name, &bytes),
        }
    }

    /// Reads all families in turn until the time is over.
    pub(crate) fn for_time(&mut self, families: &[&'static str], time: Duration) {
        self.keeps_last = true;
        let begun = Instant::now();
        let mut pools: Vec<Pool> = families.iter().map(|family| self.pool(family)).collect();
        while begun.elapsed() < time {
            // Formats share the time, not the files: some take a hundred times as long as others.
            for pool in &mut pools {
                let turn = Instant::now();
                while turn.elapsed() < TURN {
                    self.step(pool);
                }
            }
        }
        for pool in &pools {
            let (kinds, ms) = (pool.files.len(), pool.time.as_millis());
            eprintln!(
                "{:10} {:9} files in {ms:7} ms, {kinds:3} of them of a kind of their own",
                pool.family, pool.steps
            );
            if pool.slowest.0 > SLOW {
                eprintln!("    the slowest took {:?}: {}", pool.slowest.0, pool.slowest.1.display());
            }
        }
    }

    /// # Panics
    /// Where anything was found.
    pub(crate) fn finish(self) {
        let findings: Vec<String> =
            self.findings.iter().map(|(what, path)| format!("{what}\n    {}", path.display())).collect();
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    }

    fn keep_finding(&mut self, what: String, name: &str, bytes: &[u8]) {
        self.findings.entry(what).or_insert_with_key(|what| {
            eprintln!("{what}");
            write_finding(name, bytes)
        });
    }
}

/// A file is of a new kind where it was read with other results, by orders of magnitude.
fn kind_of(read: Option<&Extracted>) -> String {
    let size = |count: usize| count.checked_ilog2().map_or(0, |bits| bits + 1);
    let Some(read) = read else { return String::new() };
    let document = |kind: &mut String, document: &sidenote_text::Document| {
        let counts = [
            document.text.len() / 16,
            document.headings.len(),
            document.tables.len(),
            document.places.len(),
            document.warnings.len(),
        ];
        kind.push_str(&format!("{:?}{:?}", document.format, counts.map(size)));
    };
    let mut kind = format!("{}", size(read.warnings.len()));
    read.documents.iter().take(2).for_each(|one| document(&mut kind, one));
    kind
}

fn findings_folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz-findings");
    fs_err::create_dir_all(&folder).expect("creates");
    folder
}

fn write_finding(name: &str, bytes: &[u8]) -> PathBuf {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let path = findings_folder().join(format!("{hash:016x}-{name}"));
    fs_err::write(&path, bytes).expect("writes");
    path
}

/// Notes where panics begin instead of printing thousands of them.
fn collect_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_test = std::thread::current().name().is_some_and(|name| name.contains("format_has_a_seed"));
            if is_test || panic.to_string().contains(" findings:") {
                before(panic);
            } else if let Some(place) = panic.location() {
                let why = panic.payload_as_str().unwrap_or_default();
                let why: String = why.chars().filter(|c| !c.is_ascii_digit()).take(120).collect();
                let mut panics = PANICS.lock().expect("no panic while it is held");
                panics.push(format!("{}:{}: {why}", place.file(), place.line()));
            }
        }));
    });
}

/// Ends the process where one file takes too long or too much, since nothing else can.
fn watch(current: &Current) {
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let current = current.lock().expect("nobody panics while holding it");
        let Some((begun, name, bytes)) = &*current else { continue };
        let (seconds, memory) = (begun.elapsed().as_secs(), resident_mib());
        if seconds > MAX_SECONDS || memory > MAX_MEMORY_MIB {
            let path = write_finding(name, bytes);
            eprintln!("{seconds} seconds and {memory} MiB for\n    {}", path.display());
            std::process::abort();
        }
    }
}

/// Memory of this process, where the system tells it.
fn resident_mib() -> u64 {
    let status = fs_err::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * 4 / 1024)
}
