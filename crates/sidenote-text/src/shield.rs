//! What stands between us and third-party readers: their panics are caught, their messages made fit to be shown.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs third-party code that may panic on broken files. The panic's message still goes to the process's panic hook.
pub(crate) fn shield<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// A library's message as a clause: one line, not long.
pub(crate) fn plain_reason(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(200).collect()
}
