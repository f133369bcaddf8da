//! `cutover app ENV stop`: ends the services on this machine, under the lock.

use super::deploy::WaitArgs;
use crate::context::Context;
use crate::deployments::{Session, asker};
use crate::error::CommandError;
use crate::exit::Exit;
use cutover_core::config::HostConfig;
use cutover_core::id::TargetName;
use cutover_core::target::{Failure, Unheard};
use cutover_reporters::one_line;
use cutover_targets::host::lock::{self, Holder, Lock, LockError, Waiting};
use cutover_targets::host::{Layout, linked, other_project};
use serde_json::json;

/// Stops these targets' services. What does not run is left alone, and one that cannot be stopped keeps none of the others
/// running.
pub(super) fn stop(
    context: &Context,
    session: &Session<'_>,
    chosen: &[(&TargetName, &HostConfig, Layout)],
    waiting: &WaitArgs,
) -> Result<Exit, CommandError> {
    let _locks = locked(context, chosen.iter().map(|(_, _, layout)| layout), waiting)?;
    let project = &context.project()?.config.name;
    if let Some(foreign) = chosen.iter().find_map(|(_, _, layout)| other_project(layout, project)) {
        return Err(CommandError::from(foreign).state("nothing was stopped"));
    }
    let mut failures: Vec<(&TargetName, Failure)> = Vec::new();
    for (name, config, layout) in chosen {
        let Some(service) = &config.service else { continue };
        let service = session.service(name, config, service, layout);
        if is_nothing_live(layout) && service.state().is_ok_and(|state| !state.active && !state.wanted) {
            pass_over(context, name)?;
            continue;
        }
        let stopped = service.state().and_then(|was| {
            let is_stopped = !was.active && !was.wanted && !was.failed;
            if !is_stopped {
                service.stop(&Unheard)?;
            }
            Ok((is_stopped, service.state()?.description))
        });
        match stopped {
            Ok((is_stopped, now)) => tell(context, name, is_stopped, &now)?,
            Err(failure) => failures.push((name, failure)),
        }
    }
    let Some((_, last)) = failures.pop() else { return Ok(Exit::Done) };
    failures.iter().for_each(|(name, failure)| context.output.warn(&format!("{name}: {}", failure.message)));
    Err(last.into())
}

/// Whether it is known that no release is live there.
fn is_nothing_live(layout: &Layout) -> bool {
    linked(&layout.current()).is_ok_and(|live| live.is_none())
}

fn pass_over(context: &Context, name: &TargetName) -> Result<(), CommandError> {
    let why = "nothing is live";
    if context.output.json {
        return context.output.json(&json!({ "v": 1, "target": name, "stopped": false, "service": why }));
    }
    context.output.text(&format!("{name}: {why}\n"))
}

/// The locks of these places, in one order for everybody.
fn locked<'l>(
    context: &Context,
    layouts: impl Iterator<Item = &'l Layout>,
    waiting: &WaitArgs,
) -> Result<Vec<Lock>, LockError> {
    let mut layouts: Vec<&Layout> = layouts.filter(|layout| layout.own().is_dir()).collect();
    layouts.sort_by_key(|layout| layout.root());
    layouts.dedup_by_key(|layout| layout.root());
    let me = Holder {
        by: asker(),
        reason: "stop the service".to_owned(),
        deployment: None,
        pid: std::process::id(),
        since: Some(context.now()),
        until: None,
        supersedes: waiting.supersede(),
    };
    let told = |holder: &Holder, _: u32| {
        context.output.warn(&format!("waiting for {}: {}", one_line(&holder.by), one_line(&holder.reason)));
    };
    let waiting = Waiting {
        limit: waiting.limit(),
        now: &jiff::Timestamp::now,
        heeds_own: false,
        cancelled: &|| false,
        told: &told,
    };
    layouts.into_iter().map(|layout| lock::acquire(layout, &me, &waiting)).collect()
}

fn tell(context: &Context, name: &TargetName, was_stopped: bool, now: &str) -> Result<(), CommandError> {
    if context.output.json {
        return context.output.json(&json!({ "v": 1, "target": name, "stopped": !was_stopped, "service": now }));
    }
    let what = if was_stopped { "did not run" } else { "stopped" };
    let now = if now == what { String::new() } else { format!("; it is {}", one_line(now)) };
    context.output.text(&format!("{name}: {what}{now}\n"))
}
