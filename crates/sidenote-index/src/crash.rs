//! Named points at which a test can have the process end, to show that nothing that was reported as stored is lost.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Ends the process on the spot when `SIDENOTE_CRASH_AT` is `name`, or `name:N` and this is the N-th time.
/// Costs one comparison with a value read once.
pub(crate) fn point(name: &str) {
    static WHERE: OnceLock<Option<(String, usize)>> = OnceLock::new();
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let place = WHERE.get_or_init(|| {
        let value = std::env::var("SIDENOTE_CRASH_AT").ok()?;
        match value.split_once(':') {
            Some((name, count)) => Some((name.to_owned(), count.parse().unwrap_or(1))),
            None => Some((value, 1)),
        }
    });
    if let Some((place, count)) = place
        && place == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 >= *count
    {
        std::process::abort();
    }
}
