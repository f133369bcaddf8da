//! Doing the same to many things on a few threads.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// More threads than this wait for the disk, not for each other.
const THREAD_COUNT_MAX: usize = 4;
/// Fewer items than this per thread are not worth starting it.
const ITEM_COUNT_MIN: usize = 64;

/// How many threads to use for this many items.
pub fn thread_count(item_count: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    cores.min(THREAD_COUNT_MAX).min(item_count / ITEM_COUNT_MIN).max(1)
}

/// Does `work` to every item and returns the results in their order, or an error of one of them.
pub fn map<T: Sync, R: Send, E: Send>(items: &[T], work: impl Fn(&T) -> Result<R, E> + Sync) -> Result<Vec<R>, E> {
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
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect::<Vec<_>>()
    });
    // A part that stopped early is short, but then another one holds the error that is returned.
    let mut all = Vec::with_capacity(items.len());
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

/// Does `work` to every item. `tell` is told by this thread how many items were begun, at first none, and may end the work.
///
/// Threads take a few neighbours at a time: where items are paths in their order, two threads are seldom in one directory.
pub fn each<T: Sync, E: Send>(
    items: &[T],
    tell: &dyn Fn(usize) -> Result<(), E>,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    tell(0)?;
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let take = |tell: &dyn Fn(usize) -> Result<(), E>| {
        while !is_over.load(Ordering::Relaxed) {
            let begun = next.fetch_add(ITEM_COUNT_MIN, Ordering::Relaxed);
            let block = items.get(begun..).unwrap_or_default();
            if block.is_empty() {
                break;
            }
            let done = tell(begun).and_then(|()| block.iter().take(ITEM_COUNT_MIN).try_for_each(&work));
            if done.is_err() {
                is_over.store(true, Ordering::Relaxed);
                return done;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..thread_count(items.len())).map(|_| scope.spawn(|| take(&|_| Ok(())))).collect();
        let own = take(tell);
        let all = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        all.fold(own, Result::and)
    })
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
