//! Panics: one sentence instead of a backtrace, and only for those that matter.

use cutover_reporters::THREAD_NAME;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Keeps what panics say, for [`last`]. A reporter's panic is dropped with the reporter.
pub(crate) fn keep() {
    std::panic::set_hook(Box::new(|info| {
        if std::thread::current().name() != Some(THREAD_NAME) {
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(describe(info));
        }
    }));
}

/// What the last panic said.
pub(crate) fn last() -> String {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| "a panic without words".to_owned())
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let said = info.payload_as_str().unwrap_or("no message");
    info.location().map_or_else(|| said.to_owned(), |at| format!("{said} ({}:{})", at.file(), at.line()))
}
