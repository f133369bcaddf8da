//! What other clients did: the hosts' journals are the truth, wherever a deployment was asked for.

use super::hands::{Hands, Job};
use super::order::{Order, Task};
use super::remote::{Host, Voice};
use super::session::Session;
use crate::context::Context;
use crate::error::CommandError;
use cutover_core::event::Nobody;
use cutover_core::id::DeploymentId;
use cutover_core::plan::Plan;
use cutover_core::store::{Filter, Store, StoreError};
use cutover_core::target::Cancel;
use cutover_targets::host::transaction::Ended;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// How many deployments are asked for at most; about as many journals as a host keeps.
pub(super) const RECALLED_COUNT_MAX: usize = 200;

/// Takes into the history what an environment's other machines know and it does not.
pub(crate) fn catch_up_from_afar(context: &Context, environment: &str) -> Result<(), CommandError> {
    catch_up(context, &Session::open_without_variables(context, environment)?)
}

/// The same for an environment that is open. A host that cannot be reached is told about, and hides none of the others.
pub(super) fn catch_up(context: &Context, session: &Session<'_>) -> Result<(), CommandError> {
    if session.is_here() {
        return Ok(());
    }
    let filter = session.filter()?;
    let task = Task::Recall { known: context.recall(|store| known(store, &filter, session.host_count()))? };
    let orders = session.orders("look at what happened", &task, &BTreeSet::new())?;
    let hands = session.hands(&task)?;
    let (all, unheard) = ask(&hands, session.connect()?, &orders);
    session.remember(&all);
    for error in unheard {
        context.note_gap(error.message().to_owned());
    }
    Ok(())
}

/// The last deployments that nobody needs to tell anything about: they ended, on as many hosts as made them and are there.
fn known(store: &dyn Store, filter: &Filter, host_count: usize) -> Result<BTreeSet<DeploymentId>, StoreError> {
    let mut known = BTreeSet::new();
    for row in store.history(filter, RECALLED_COUNT_MAX)?.rows {
        let is_whole = |plan: Plan| plan.hosts().len() >= plan.fleet.len().max(1).min(host_count);
        // A plan that cannot be read is asked for again.
        if row.outcome.is_some() && store.plan(&row.deployment).is_ok_and(is_whole) {
            known.insert(row.deployment);
        }
    }
    Ok(known)
}

fn ask(hands: &Hands<'_>, connections: Vec<Option<Host>>, orders: &[Order]) -> (Vec<Ended>, Vec<CommandError>) {
    let (all, unheard, never) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()), Cancel::new());
    std::thread::scope(|scope| {
        for (connection, order) in connections.into_iter().zip(orders) {
            let (all, unheard, never) = (&all, &unheard, &never);
            scope.spawn(move || {
                let ended = |ended: &Ended| all.lock().unwrap_or_else(PoisonError::into_inner).push(ended.clone());
                let job = Job { order, voice: Voice::Cancel(never), observer: &Nobody, ended: &ended };
                if let Err(undone) = hands.perform(connection, &job) {
                    unheard.lock().unwrap_or_else(PoisonError::into_inner).push(undone.error);
                }
            });
        }
    });
    (
        all.into_inner().unwrap_or_else(PoisonError::into_inner),
        unheard.into_inner().unwrap_or_else(PoisonError::into_inner),
    )
}
