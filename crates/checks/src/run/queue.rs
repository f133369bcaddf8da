//! Which check begins when: pure, with indices for checks and no clock of its own.

use super::{Job, RunError};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::num::NonZeroUsize;
use std::time::Duration;

/// What a check is taken to last that nobody knows.
pub const EXPECTED_DEFAULT: Duration = Duration::from_secs(1);
/// The longest name of a check, in bytes: it names a file, too.
pub const NAME_BYTES_MAX: usize = 100;

/// What carries out checks when they are due.
pub(super) trait Executor {
    /// Begins a check.
    fn begin(&mut self, job: usize);
    /// Waits until one of those that were begun has ended, and tells whether it lets others pass.
    fn wait(&mut self) -> (usize, bool);
    /// Whether no other shall begin.
    fn is_stopped(&self) -> bool;
    /// Hears that a check will never begin; `root` is the one that did not pass, or None when all was stopped.
    fn lost(&mut self, job: usize, root: Option<usize>);
}

/// Runs a queue to its end, with at most `slots` checks at once. Each one ends, or is lost, once.
pub(super) fn drive(mut queue: Queue, slots: NonZeroUsize, executor: &mut impl Executor) {
    let mut running_count = 0;
    loop {
        while running_count < slots.get() && !executor.is_stopped() {
            let Some(job) = queue.next() else { break };
            executor.begin(job);
            running_count += 1;
        }
        if running_count == 0 {
            break;
        }
        let (job, passes) = executor.wait();
        running_count -= 1;
        queue.end(job, passes).into_iter().for_each(|lost| executor.lost(lost, Some(job)));
    }
    queue.left().for_each(|job| executor.lost(job, None));
}

/// Checks that have not begun, and in which order they shall.
#[derive(Debug)]
pub(super) struct Queue {
    /// Who waits for each.
    dependents: Vec<Vec<usize>>,
    /// For how many others each waits.
    waited_for: Vec<usize>,
    /// How long it takes from the begin of each until all is done that waits for it.
    chain: Vec<Duration>,
    /// Of equal ones the first that was given.
    ready: BinaryHeap<(Duration, Reverse<usize>)>,
    /// Which have not begun, and can.
    waiting: BTreeSet<usize>,
}

impl Queue {
    /// Orders checks. Those that are left out are not in the queue: whoever needs one waits for what that one needs.
    pub(super) fn new(jobs: &[Job]) -> Result<Self, RunError> {
        let needs = needs(jobs)?;
        let order = order(&needs).map_err(|cycle| RunError::Cycle(names(jobs, &cycle)))?;
        let needs = without_skipped(jobs, &needs, &order);
        let mut dependents = vec![Vec::new(); jobs.len()];
        for (job, needs) in needs.iter().enumerate() {
            needs.iter().for_each(|need| dependents[*need].push(job));
        }
        let mut chain = vec![Duration::ZERO; jobs.len()];
        for job in order.into_iter().rev() {
            let after = dependents[job].iter().map(|next| chain[*next]).max().unwrap_or_default();
            chain[job] = after.saturating_add(jobs[job].expected.unwrap_or(EXPECTED_DEFAULT));
        }
        let waiting: BTreeSet<usize> = (0..jobs.len()).filter(|job| jobs[*job].skip.is_none()).collect();
        let waited_for: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
        let ready =
            waiting.iter().filter(|job| waited_for[**job] == 0).map(|job| (chain[*job], Reverse(*job))).collect();
        Ok(Self { dependents, waited_for, chain, ready, waiting })
    }

    /// Takes the check that should begin now: the one with the longest chain behind it.
    fn next(&mut self) -> Option<usize> {
        let (_, Reverse(job)) = self.ready.pop()?;
        self.waiting.remove(&job);
        Some(job)
    }

    /// Notes an end, and takes out all that can never begin for it, in the order of names given.
    fn end(&mut self, job: usize, passes: bool) -> Vec<usize> {
        if !passes {
            return self.lose(job);
        }
        for next in &self.dependents[job] {
            self.waited_for[*next] -= 1;
            if self.waited_for[*next] == 0 && self.waiting.contains(next) {
                self.ready.push((self.chain[*next], Reverse(*next)));
            }
        }
        Vec::new()
    }

    fn lose(&mut self, job: usize) -> Vec<usize> {
        let mut lost = BTreeSet::new();
        let mut roots = vec![job];
        while let Some(root) = roots.pop() {
            for next in &self.dependents[root] {
                if self.waiting.remove(next) {
                    lost.insert(*next);
                    roots.push(*next);
                }
            }
        }
        lost.into_iter().collect()
    }

    /// Those that have not begun.
    fn left(&self) -> impl Iterator<Item = usize> {
        self.waiting.iter().copied()
    }
}

/// What each check needs, by its place.
fn needs(jobs: &[Job]) -> Result<Vec<BTreeSet<usize>>, RunError> {
    let mut places = BTreeMap::new();
    for (place, job) in jobs.iter().enumerate() {
        if !is_name(&job.name) {
            return Err(RunError::Name(job.name.clone()));
        }
        if places.insert(job.name.as_str(), place).is_some() {
            return Err(RunError::Twice(job.name.clone()));
        }
    }
    let place = |job: &Job, need: &String| {
        let unknown = || RunError::Unknown { check: job.name.clone(), need: need.clone() };
        places.get(need.as_str()).copied().ok_or_else(unknown)
    };
    jobs.iter().map(|job| job.needs.iter().map(|need| place(job, need)).collect()).collect()
}

/// A name is a file's name, too, and nobody should have to quote it.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain)
}

/// An order in which each comes after all that it needs, or a cycle.
fn order(needs: &[BTreeSet<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut left: BTreeSet<usize> = (0..needs.len()).collect();
    let mut order = Vec::with_capacity(needs.len());
    while !left.is_empty() {
        let free: Vec<usize> = left.iter().copied().filter(|job| needs[*job].is_disjoint(&left)).collect();
        if free.is_empty() {
            return Err(cycle(needs, &left));
        }
        left.retain(|job| !free.contains(job));
        order.extend(free);
    }
    Ok(order)
}

/// One cycle among checks of which each needs another one of them, from its first to its first again.
fn cycle(needs: &[BTreeSet<usize>], among: &BTreeSet<usize>) -> Vec<usize> {
    let mut path: Vec<usize> = among.first().copied().into_iter().collect();
    while let Some(next) = path.last().and_then(|last| needs[*last].intersection(among).next().copied()) {
        let seen = path.iter().position(|job| *job == next);
        path.push(next);
        if let Some(start) = seen {
            return path.split_off(start);
        }
    }
    path
}

/// Needs without those that are left out: in the place of each stands what that one needs.
fn without_skipped(jobs: &[Job], needs: &[BTreeSet<usize>], order: &[usize]) -> Vec<BTreeSet<usize>> {
    let mut direct: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); jobs.len()];
    for job in order {
        let mut found = BTreeSet::new();
        for need in &needs[*job] {
            match jobs[*need].skip {
                Some(_) => found.extend(&direct[*need]),
                None => found.extend([*need]),
            }
        }
        direct[*job] = found;
    }
    direct
}

fn names(jobs: &[Job], places: &[usize]) -> Vec<String> {
    places.iter().map(|place| jobs[*place].name.clone()).collect()
}

#[cfg(test)]
mod tests;
