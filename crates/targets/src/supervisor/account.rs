//! What is known of a supervisor and its service: as it told, or else as their processes show.

use super::place::{Place, SupervisorState};
use super::{SERVICE_MARK, SUPERVISOR_MARK, SupervisorError};
use crate::process::{ProcessIdentity, ProcessStat, descendants, stat_of, with_variable};
use std::collections::BTreeSet;
use std::path::Path;

/// What is known of a supervisor and its service.
#[derive(Debug, Clone, PartialEq)]
pub enum Account {
    /// Nothing was ever started.
    None,
    /// The supervisor told. It may be dead: look at its identity.
    Told(SupervisorState),
    /// What it told is lost.
    Lost(Traces),
}

/// What the processes show where the supervisor's word is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The supervisor, when it lives.
    pub supervisor: Option<ProcessIdentity>,
    /// The service's main process, when it lives.
    pub main: Option<ProcessIdentity>,
    /// All living processes of the service.
    pub family: BTreeSet<u32>,
    /// Whether what it told is there and cannot be read, rather than missing.
    pub is_damaged: bool,
}

/// What is known of the supervisor of this directory and its service.
pub fn account(dir: &Path) -> Result<Account, SupervisorError> {
    let place = Place::new(dir);
    let is_damaged = match place.read_state() {
        Ok(Some(told)) => return Ok(Account::Told(told)),
        Ok(None) => false,
        Err(SupervisorError::Damaged { .. }) => true,
        Err(error) => return Err(error),
    };
    let traces = traces(&place, is_damaged);
    let is_known = is_damaged || traces.is_anything_alive() || place.has_spec();
    Ok(if is_known { Account::Lost(traces) } else { Account::None })
}

impl Traces {
    /// Whether the supervisor lives, or any process of the service.
    pub fn is_anything_alive(&self) -> bool {
        self.supervisor.is_some() || !self.family.is_empty()
    }
}

fn traces(place: &Place, is_damaged: bool) -> Traces {
    let supervisor = marked_supervisor(place);
    let mut family = with_variable(SERVICE_MARK, &place.dir().to_string_lossy());
    // One that took its environment away still descends from its supervisor.
    family.extend(supervisor.iter().flat_map(|supervisor| descendants(supervisor.pid)));
    let main = main_of(&family, supervisor.as_ref());
    Traces { supervisor, main, family, is_damaged }
}

/// The living supervisor, known by its mark.
pub(super) fn marked_supervisor(place: &Place) -> Option<ProcessIdentity> {
    let marked = with_variable(SUPERVISOR_MARK, &place.dir().to_string_lossy());
    marked.into_iter().find_map(ProcessIdentity::of)
}

/// The oldest that is a child of none of the others: what a service leaves to its supervisor began after it.
fn main_of(family: &BTreeSet<u32>, supervisor: Option<&ProcessIdentity>) -> Option<ProcessIdentity> {
    let is_root = |stat: &ProcessStat| match supervisor {
        Some(supervisor) => stat.parent == supervisor.pid,
        None => !family.contains(&stat.parent),
    };
    let roots = family.iter().filter_map(|pid| stat_of(*pid)).filter(is_root);
    ProcessIdentity::of(roots.min_by_key(|stat| (stat.start_ticks, stat.pid))?.pid)
}
