//! Looks at what a deployment would do on each of an environment's hosts. Nothing is changed.

use super::back::{Outlook, agree};
use super::draft::Draft;
use super::letter::{Letter, Look};
use super::order::{Order, Task};
use super::place::Place;
use super::preview::{Previewed, VariableChanges, compare_variables};
use super::remote::{Host, flight};
use super::session::Session;
use crate::error::CommandError;
use cutover_artifacts::Artifact;
use cutover_core::id::TargetName;
use cutover_core::rollout::{Rollout, Standing};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;

/// What was seen of one host, or why nothing was.
pub(crate) struct Seen<T> {
    /// The host, as the config calls it.
    pub(crate) host: String,
    /// The wave in which it would be switched, counted from 1; None where nobody waits for it.
    pub(crate) wave: Option<usize>,
    /// What was seen.
    pub(crate) seen: Result<T, CommandError>,
}

impl Session<'_> {
    /// What a deployment of this artifact would do on each host, in the order in which they would be switched.
    /// To `rehearse` is to check besides all that can be checked beforehand.
    pub(crate) fn preview(
        &self,
        connections: Vec<Option<Host>>,
        artifact: &Artifact,
        task: &Task,
        rehearse: bool,
    ) -> Result<Vec<Seen<Previewed>>, CommandError> {
        let orders = self.orders("look at a plan", task, &BTreeSet::new())?;
        let (variables, supervisor, manifest) = (&self.variables, self.supervisor(), &artifact.manifest);
        let near = |at: usize| {
            let order: &Order = &orders[at];
            Previewed::of(&Draft { order, variables, supervisor }, manifest, rehearse)
        };
        let flight = |at: usize| {
            let letter = Letter::Look(Look::Plan { order: Box::new(orders[at].clone()), rehearse });
            flight(&letter, Some(&variables.values), Some(manifest), None)
        };
        Ok(self.in_waves(see(self.places(), connections, &near, &flight), &orders))
    }

    /// Finds out at which release a rollback leaves which of several hosts, since the others go back to it.
    pub(crate) fn look_back(&mut self, task: &Task) -> Result<(), CommandError> {
        if self.places().len() < 2 {
            return Ok(());
        }
        let orders = self.orders("look where to go back to", task, &BTreeSet::new())?;
        let near = |at: usize| Outlook::of(&orders[at]);
        let flight = |at: usize| {
            let order = Box::new(orders[at].clone());
            flight(&Letter::Look(Look::Back { order }), None, None, None)
        };
        let seen = see(self.places(), self.connect()?, &near, &flight);
        // Who was not seen says why when it is asked to go back.
        let hosts: Vec<(String, Outlook)> =
            seen.into_iter().filter_map(|seen| Some((seen.host, seen.seen.ok()?))).collect();
        self.stays_at = agree(&hosts, hosts.len() == orders.len())?;
        Ok(())
    }

    /// Which variables a deployment would change on each host.
    pub(crate) fn compare_variables(
        &self,
        connections: Vec<Option<Host>>,
    ) -> Vec<Seen<BTreeMap<TargetName, VariableChanges>>> {
        let (variables, places) = (&self.variables, self.places());
        let targets_at = |at: usize| places[at].targets.iter().map(|(name, config)| (name, *config));
        let near = |at: usize| compare_variables(targets_at(at), variables);
        let flight = |at: usize| {
            let targets = targets_at(at).map(|(name, config)| (name.clone(), config.clone())).collect();
            let look = Look::Variables { targets, secret_names: variables.secret_names.clone() };
            flight(&Letter::Look(look), Some(&variables.values), None, None)
        };
        see(places, connections, &near, &flight)
    }

    /// In the order in which a rollout would switch them, with their waves; those that it would leave alone come last.
    fn in_waves(&self, mut all: Vec<Seen<Previewed>>, orders: &[Order]) -> Vec<Seen<Previewed>> {
        if all.len() < 2 {
            return all;
        }
        let migrating = orders.iter().position(Order::migrates);
        let standings: Vec<Standing> = all.iter().map(standing).collect();
        let waves = Rollout { config: self.rollout(), migrating }.waves(&standings);
        for (number, wave) in waves.iter().enumerate() {
            wave.iter().for_each(|at| all[*at].wave = Some(number + 1));
        }
        // The sort is stable: within a wave the config's order stays.
        all.sort_by_key(|seen| seen.wave.unwrap_or(usize::MAX));
        all
    }
}

/// Looks at all hosts at once. One that cannot be seen hides none of the others.
fn see<T: DeserializeOwned + Send>(
    places: &[Place<'_>],
    connections: Vec<Option<Host>>,
    near: &(dyn Fn(usize) -> Result<T, CommandError> + Sync),
    flight: &(dyn Fn(usize) -> Result<Vec<u8>, CommandError> + Sync),
) -> Vec<Seen<T>> {
    let look = |at: usize, connection: Option<Host>| match connection {
        Some(host) => flight(at).and_then(|flight| host.look(&flight)),
        None => near(at),
    };
    std::thread::scope(|scope| {
        let look = &look;
        let threads: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(at, connection)| scope.spawn(move || look(at, connection)))
            .collect();
        let all = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let named = |(place, seen): (&Place<'_>, _)| Seen { host: place.host.to_owned(), wave: None, seen };
        places.iter().zip(all).map(named).collect()
    })
}

/// How the host would stand when the first wave begins.
fn standing(seen: &Seen<Previewed>) -> Standing {
    match &seen.seen {
        Ok(seen) if seen.preview.is_nothing() => Standing::Unchanged,
        Ok(_) => Standing::Staged,
        Err(_) => Standing::Unreachable,
    }
}
