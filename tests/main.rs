//! The `sidenote` binary as a user meets it: real files, the real embedding model, a small real language model, exit
//! codes, what is printed where.

mod cli {
    mod ask;
    mod configuration;
    mod documents;
    mod failures;
    mod help;
    mod hostile;
    mod json;
    mod pdf;
    mod privacy;
    mod prose;
    mod sandbox;
    mod search;
}
