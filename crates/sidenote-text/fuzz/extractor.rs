//! One reader under libFuzzer: the one that the target is named after. What must hold is asked by the function that the
//! ordinary tests use, and packages are spoilt inside of their members as there, besides what libFuzzer does.
//!
//! With cargo-fuzz, on stable Rust, from `crates/sidenote-text`:
//!
//! ```text
//! mkdir -p /tmp/corpus && cargo fuzz run --sanitizer none docx /tmp/corpus tests/seeds/docx -- -max_len=65536 -timeout=20
//! ```
//!
//! Without it, build with the flags that it would set:
//!
//! ```text
//! cd fuzz && RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
//!     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table" \
//!     cargo run --release --target x86_64-unknown-linux-gnu --bin docx -- /tmp/corpus ../tests/seeds/docx -max_len=65536
//! ```

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

#[path = "../tests/fuzz/mutation.rs"]
mod mutation;
#[path = "../tests/fuzz/properties.rs"]
mod properties;

use mutation::{Chance, mutate};

/// The extensions of program code, one for every grammar.
const CODE: [&str; 9] = ["rs", "py", "js", "ts", "tsx", "java", "go", "c", "cpp"];

fuzz_target!(|bytes: &[u8]| {
    let extension = match env!("CARGO_BIN_NAME") {
        "markdown" => "md",
        "text" => "txt",
        "email" => "eml",
        "notebook" => "ipynb",
        "latex" => "tex",
        "asciidoc" => "adoc",
        "subtitles" => "vtt",
        "gzip" => "tar.gz",
        // Chosen by the length, so that each language meets each file.
        "code" => CODE[bytes.len() % CODE.len()],
        format => format,
    };
    let _ = properties::check(&format!("a.{extension}"), bytes);
});

fuzz_mutator!(|bytes: &mut [u8], length: usize, max_length: usize, seed: u32| {
    if seed % 2 == 0 {
        return fuzzer_mutate(bytes, length, max_length);
    }
    let mutant = mutate(&bytes[..length], &[], max_length, &mut Chance::new(seed.into()));
    let length = mutant.len().min(max_length);
    bytes[..length].copy_from_slice(&mutant[..length]);
    length
});
