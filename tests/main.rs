//! The `sidenote` binary as a user meets it: real files, the real embedding model, a small real language model, exit
//! codes, what is printed where.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli {
    mod ask;
    mod care;
    mod configuration;
    mod documents;
    mod eval;
    mod failures;
    mod help;
    mod hostile;
    mod json;
    mod mcp;
    mod odd_files;
    mod pdf;
    mod privacy;
    mod prose;
    #[cfg(feature = "remote")]
    mod remote;
    mod sandbox;
    mod scans;
    mod search;
    mod serve;
}
