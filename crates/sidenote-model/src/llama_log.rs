//! What llama.cpp and ggml say goes to tracing, and the last of it is kept for error messages: their functions report only
//! that something failed, their log says what.
//!
//! Their log speaks of files, tensors and sizes, never of the text that is evaluated.

use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_void};
use std::sync::{Mutex, Once, PoisonError};

const KEPT_LINES: usize = 6;
const KEPT_BYTES: usize = 400;

static LAST_WORDS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Sends all logs here; once per process, and before anything else of llama.cpp.
#[expect(unsafe_code, reason = "the callback is a C function pointer, and the safe wrapper keeps no last words")]
pub(crate) fn take_logs() {
    static ONCE: Once = Once::new();
    // SAFETY: `receive` is a function that lives for ever, allows a null user pointer and may be called from any thread.
    ONCE.call_once(|| unsafe {
        llama_cpp_sys_2::llama_log_set(Some(receive), std::ptr::null_mut());
        llama_cpp_sys_2::ggml_log_set(Some(receive), std::ptr::null_mut());
    });
}

/// Forgets what was said so far.
pub(crate) fn clear_last_words() {
    LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// The last errors and warnings since, oldest first, or `otherwise`.
pub(crate) fn last_words(otherwise: &str) -> String {
    let lines = LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.is_empty() {
        otherwise.to_owned()
    } else {
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

#[expect(unsafe_code, reason = "a C callback")]
unsafe extern "C" fn receive(level: llama_cpp_sys_2::ggml_log_level, text: *const c_char, _user: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a string that ends in a zero byte and is valid during the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let line = text.trim_end();
    if line.is_empty() || line.chars().all(|character| character == '.') {
        return;
    }
    // Lines come from files that others wrote: no control characters into terminals and logs.
    let line: String =
        line.chars().map(|character| if character.is_control() { ' ' } else { character }).take(KEPT_BYTES).collect();
    if level == llama_cpp_sys_2::GGML_LOG_LEVEL_ERROR || level == llama_cpp_sys_2::GGML_LOG_LEVEL_WARN {
        if level == llama_cpp_sys_2::GGML_LOG_LEVEL_ERROR {
            tracing::debug!(target: "llama.cpp", severity = "error", "{line}");
        } else {
            tracing::debug!(target: "llama.cpp", severity = "warning", "{line}");
        }
        let mut lines = LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    } else {
        tracing::trace!(target: "llama.cpp", "{line}");
    }
}
