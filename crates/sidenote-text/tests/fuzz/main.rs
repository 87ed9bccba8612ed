//! Every reader on seed files and on thousands of spoilt copies of them.
//!
//! The ordinary test takes a fixed number of copies with a fixed seed. For hours, one format or all:
//!
//! ```text
//! SIDENOTE_FUZZ_SECONDS=3600 [SIDENOTE_FUZZ_FORMAT=docx] [SIDENOTE_FUZZ_SEED=7] \
//!     cargo test --release -p sidenote-text --test fuzz -- --ignored --nocapture long_run
//! ```
//!
//! What it finds lies in `fuzz-findings/` in the target's `tmp` and is named in the failure; where the process aborted, the
//! newest `last-…` there is the file. `fuzz/` holds the same for libFuzzer.

mod make;
mod mutation;
mod properties;
mod run;
mod seeds;
#[path = "../shared/mod.rs"]
mod shared;

use std::collections::BTreeSet;
use std::time::Duration;

use run::Run;
use seeds::{FORMATS, families, folder_of, seeds_of};

/// Spoilt copies of the seeds of a format in the ordinary test.
const MUTANTS: usize = 250;

#[test]
fn every_format_has_a_seed_that_is_read_as_it() {
    let named: BTreeSet<&str> = families().into_iter().collect();
    assert_eq!(named.len(), families().len());
    for format in FORMATS {
        let family = folder_of(format);
        let is_read = seeds_of(family).iter().any(|seed| {
            let read = properties::check(&seed.name, &seed.bytes);
            read.is_some_and(|read| read.documents.iter().any(|document| document.format == format))
        });
        assert!(is_read, "no seed in `{family}` is read as {format:?}");
    }
}

#[test]
fn spoilt_seeds_keep_every_promise() {
    let mut run = Run::new(1, 8 << 10);
    for family in families() {
        let mut pool = run.pool(family);
        (0..MUTANTS).for_each(|_| run.step(&mut pool));
    }
    run.finish();
}

#[test]
#[ignore = "runs for SIDENOTE_FUZZ_SECONDS"]
fn long_run() {
    let variable = |name: &str| std::env::var(name).ok();
    let seconds = variable("SIDENOTE_FUZZ_SECONDS").map_or(60, |text| text.parse().expect("seconds"));
    let seed = variable("SIDENOTE_FUZZ_SEED").map_or(2, |text| text.parse().expect("a seed"));
    let wanted = variable("SIDENOTE_FUZZ_FORMAT");
    let families: Vec<&str> =
        families().into_iter().filter(|family| wanted.as_ref().is_none_or(|wanted| wanted == family)).collect();
    assert!(!families.is_empty(), "SIDENOTE_FUZZ_FORMAT names none of {:?}", seeds::families());
    let mut run = Run::new(seed, 64 << 10);
    run.for_time(&families, Duration::from_secs(seconds));
    run.finish();
}
