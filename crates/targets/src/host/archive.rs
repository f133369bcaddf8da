//! Deployments that ended in a place, as their journals tell.

use super::journal_file::read;
use super::layout::Layout;
use super::transaction::Ended;
use super::unfinished::done_journals;
use cutover_core::journal::Entry;
use cutover_core::next::{Next, next};
use std::path::Path;

/// The newest deployments that ended in this place, oldest first; `is_known` leaves out those that nobody wants to hear of.
///
/// A journal that cannot be read is passed over: commands that act on the place tell about it.
pub fn ended_in(layout: &Layout, is_known: &dyn Fn(&str) -> bool, count_max: usize) -> Vec<Ended> {
    let journals = done_journals(layout);
    let newest = journals.iter().skip(journals.len().saturating_sub(count_max));
    let unknown = newest.filter(|path| !path.file_stem().and_then(|stem| stem.to_str()).is_some_and(is_known));
    unknown.filter_map(|path| ended(path)).collect()
}

fn ended(journal: &Path) -> Option<Ended> {
    let recorded = read(journal).ok().flatten()?;
    let entries: Vec<Entry> = recorded.entries();
    let Next::Done(outcome) = next(&recorded.plan, &entries) else { return None };
    Some(Ended { plan: recorded.plan, records: recorded.records, outcome, unfiled: None })
}
