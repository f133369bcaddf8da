//! Doing the same to many things on a few threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};

/// More threads than this wait for the disk, not for each other.
const THREAD_COUNT_MAX: usize = 4;
/// Fewer items than this per thread are not worth starting it.
const ITEM_COUNT_MIN: usize = 64;

/// How many threads to use for this many items.
pub(crate) fn thread_count(item_count: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    cores.min(THREAD_COUNT_MAX).min(item_count / ITEM_COUNT_MIN).max(1)
}

/// Does `work` to every item and returns the results in their order, or an error of one of them.
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let thread_count = thread_count(items.len());
    if thread_count == 1 {
        return items.iter().map(work).collect();
    }
    let failed = AtomicBool::new(false);
    let part = |items: &[T]| {
        let until_failure = items.iter().take_while(|_| !failed.load(Ordering::Relaxed));
        let results: Result<Vec<R>, E> = until_failure.map(&work).collect();
        failed.fetch_or(results.is_err(), Ordering::Relaxed);
        results
    };
    let parts = std::thread::scope(|scope| {
        let chunks = items.chunks(items.len().div_ceil(thread_count));
        let threads: Vec<_> = chunks.map(|chunk| scope.spawn(|| part(chunk))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    // A part that stopped early is short, but then another one holds the error that is returned.
    let mut all = Vec::with_capacity(items.len());
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_an_error_is_returned() {
        let items: Vec<u32> = (0..10_000).collect();
        assert_eq!(map(&items, |item| Ok::<_, ()>(item * 2)).unwrap()[9_999], 19_998);
        assert_eq!(map(&items, |item| if *item == 7_000 { Err("here") } else { Ok(()) }), Err("here"));
        assert_eq!(map(&items[..0], |_| Ok::<_, ()>(())), Ok(vec![]));
    }
}
