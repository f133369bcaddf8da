//! Doing the same on many hosts: some at a time, told in their order.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

/// On how many hosts at a time.
const AT_ONCE_MAX: usize = 10;

/// Does the work for each item; `tell` gets every result in the order of the items, as soon as those before it are told.
pub(crate) fn side_by_side<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync, mut tell: impl FnMut(R)) {
    let threads = items.len().min(AT_ONCE_MAX);
    let (queue, work, (done, results)) = (Mutex::new(items.into_iter().enumerate()), &work, channel());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                while let Some((at, item)) = next() {
                    // Whoever listens goes on until all have ended.
                    let _ = done.send((at, work(item)));
                }
            });
        }
        drop(done);
        let (mut held, mut told) = (BTreeMap::new(), 0);
        for (at, result) in results {
            held.insert(at, result);
            while let Some(result) = held.remove(&told) {
                tell(result);
                told += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_are_told_in_order_whoever_ends_first() {
        let (first_may_end, mut told) = (Barrier::new(2), Vec::new());
        let work = |item: usize| {
            if item < 2 {
                first_may_end.wait();
            }
            item * 10
        };
        side_by_side(vec![0, 2, 3, 1], work, |result| told.push(result));
        assert_eq!(told, [0, 20, 30, 10]);
        side_by_side(Vec::new(), work, |_| panic!("there is nothing to tell"));
    }

    #[test]
    fn no_more_are_at_work_at_a_time_than_may_be_and_no_fewer() {
        let (all, now, most) = (Barrier::new(AT_ONCE_MAX), AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            all.wait();
            now.fetch_sub(1, Ordering::SeqCst);
        };
        side_by_side(vec![(); AT_ONCE_MAX * 2], work, |()| {});
        assert_eq!(most.into_inner(), AT_ONCE_MAX);
    }
}
