//! Following a deployment that another process drives, by what that one writes into its journal.

use super::executor::HostPlan;
use super::journal_file::{journal_name, read};
use super::layout::Layout;
use super::lock::{self, Holder};
use super::transaction::{Ended, Surroundings, TransactionError};
use super::unfinished::done_beside;
use cutover_core::event::Event;
use cutover_core::id::DeploymentId;
use cutover_core::journal::{Entry, JournalError, Record};
use cutover_core::next::{DeploymentOutcome, Next, next};
use cutover_core::target::Cancel;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the journal is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Tells what the deployment does that is at work in one of these places, until it ends.
///
/// None: none is at work, or its engine ended without finishing it. Being asked to stop is passed on to that engine.
pub fn follow(deploy_to: &[&Path], surroundings: &Surroundings<'_>) -> Result<Option<Ended>, TransactionError> {
    let at_work = deploy_to.iter().find_map(|path| {
        let layout = Layout::new(path);
        let holder = lock::holder(&layout)?;
        let deployment = holder.deployment.clone()?;
        Some((layout, holder, deployment))
    });
    let Some((layout, holder, deployment)) = at_work else { return Ok(None) };
    let path = layout.open_journals().join(journal_name(&deployment));
    // Beside all targets but the first lies a link to the journal, which is removed when that is filed.
    let path = path.canonicalize().unwrap_or(path);
    Follower { layout, holder, deployment, path, told: 0, asked: false }.follow(surroundings)
}

struct Follower {
    layout: Layout,
    holder: Holder,
    deployment: DeploymentId,
    path: PathBuf,
    /// How many entries have been told.
    told: usize,
    /// Whether the engine was asked to stop.
    asked: bool,
}

/// What a journal says by now.
struct Heard {
    plan: HostPlan,
    records: Vec<Record>,
}

impl Follower {
    fn follow(mut self, surroundings: &Surroundings<'_>) -> Result<Option<Ended>, TransactionError> {
        loop {
            // Asked before the journal is read: whoever is gone by now has written all that it will.
            let is_at_work = self.is_at_work();
            if let Some(heard) = self.hear()? {
                self.tell(&heard, surroundings);
                if let Some(outcome) = outcome(&heard).filter(|_| !is_at_work || !self.path.exists()) {
                    return Ok(Some(self.end(heard, outcome, surroundings)));
                }
            }
            if !is_at_work {
                return Ok(None);
            }
            self.pass_on(surroundings.cancel);
            std::thread::sleep(POLL);
        }
    }

    fn is_at_work(&self) -> bool {
        lock::holder(&self.layout).is_some_and(|holder| holder.deployment.as_ref() == Some(&self.deployment))
    }

    /// The journal, where it is now: filed, when it is over. None: it has not been begun.
    fn hear(&self) -> Result<Option<Heard>, TransactionError> {
        let filed = done_beside(&self.path).join(journal_name(&self.deployment));
        for path in [&self.path, &filed] {
            match read(path) {
                Ok(recorded) => {
                    return Ok(recorded.map(|recorded| Heard { plan: recorded.plan, records: recorded.records }));
                }
                Err(JournalError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(TransactionError::Read { path: path.clone(), source }),
            }
        }
        Ok(None)
    }

    fn tell(&mut self, heard: &Heard, surroundings: &Surroundings<'_>) {
        if self.told == 0
            && let Ok(plan) = heard.plan.erased()
        {
            surroundings.observer.event(&Event::Began { plan: Box::new(plan), resumed: true, at: Timestamp::now() });
        }
        for record in heard.records.iter().skip(self.told) {
            surroundings.observer.event(&Event::Recorded { record: record.clone() });
        }
        self.told = heard.records.len();
    }

    /// The engine is told by a signal, as its user would; it takes back what it began and says so in its journal.
    fn pass_on(&mut self, cancel: &Cancel) {
        if !cancel.is_cancelled() || self.asked {
            return;
        }
        self.asked = true;
        let process = i32::try_from(self.holder.pid).ok().and_then(Pid::from_raw);
        // One that has just ended is seen in the journal.
        let _asked = process.map(|process| kill_process(process, Signal::INT));
    }

    fn end(self, heard: Heard, outcome: DeploymentOutcome, surroundings: &Surroundings<'_>) -> Ended {
        let at = heard.records.last().map_or_else(Timestamp::now, |record| record.at);
        let elapsed = at.duration_since(heard.plan.made_at).as_millis();
        let elapsed_ms = u64::try_from(elapsed).unwrap_or(0);
        surroundings.observer.event(&Event::Ended { outcome, at, elapsed_ms });
        Ended { plan: heard.plan, records: heard.records, outcome, unfiled: None }
    }
}

fn outcome(heard: &Heard) -> Option<DeploymentOutcome> {
    let entries: Vec<Entry> = heard.records.iter().map(|record| record.entry.clone()).collect();
    match next(&heard.plan, &entries) {
        Next::Done(outcome) => Some(outcome),
        Next::Start(_) | Next::Apply(_) | Next::Restore(_) => None,
    }
}
