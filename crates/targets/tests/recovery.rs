//! Deployments that did not come to an end, on one target and on two: who takes them up, and who may close them.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod support;

use cutover_core::config::{CommandLine, MigrateConfig};
use cutover_core::journal::{Entry, Record};
use cutover_core::next::DeploymentOutcome::{Deployed, Stuck};
use cutover_core::next::{Next, next};
use cutover_targets::host::transaction::{Ended, Recovery, TransactionError};
use cutover_targets::host::{Action, read_journal};
use std::path::PathBuf;
use std::time::Duration;
use support::{Artifact, Place, command_probe, plain};

fn v(number: u32) -> Artifact {
    Artifact::of(&format!("{number}").repeat(40), &[("VERSION", &format!("v{number}"))])
}

fn migration(down: Option<&str>) -> MigrateConfig {
    MigrateConfig {
        up: CommandLine::Shell("true".into()),
        down: down.map(|line| CommandLine::Shell(line.into())),
        compatible: false,
        timeout: Duration::from_secs(5),
    }
}

/// Deploys a first version, and then a second one that cannot be verified after its migration.
fn stuck(place: &mut Place, down: Option<&str>) -> Ended {
    place.deploy(&v(1));
    place.config.run.migrate = Some(migration(down));
    place.config.verify.within = Duration::from_millis(100);
    place.config.verify.probes = vec![command_probe("false")];
    let ended = place.deploy(&v(2));
    assert_eq!(ended.outcome, Stuck);
    place.config.run.migrate = None;
    place.config.verify.probes = Vec::new();
    ended
}

/// Two targets in these directories; the journal lies beside the first one, "app".
fn two_targets(app: &str, web: &str) -> Place {
    let mut place = Place::new();
    place.config.deploy_to = place.path(app);
    place.second = Some(plain(&place.path(web)));
    place
}

fn journals(place: &Place, target: &str, which: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.path(target).join(".cutover/journal").join(which)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn journal_of(place: &Place, target: &str, ended: &Ended, which: &str) -> PathBuf {
    place.path(target).join(".cutover/journal").join(which).join(format!("{}.journal", ended.plan.deployment))
}

#[test]
fn closing_a_deployment_on_two_targets_files_its_journal_whole() {
    for (app, web) in [("z", "a"), ("a", "z")] {
        let mut place = two_targets(app, web);
        let stuck = stuck(&mut place, Some("false"));

        let closed = place.abandon().unwrap();

        assert_eq!(closed.iter().map(|ended| ended.outcome).collect::<Vec<_>>(), [Stuck]);
        let filed = journal_of(&place, app, &stuck, "done");
        assert!(std::fs::symlink_metadata(&filed).unwrap().is_file(), "{app}");
        let recorded = read_journal::<Action>(&filed).unwrap().unwrap();
        assert_eq!(recorded.records.len(), stuck.records.len(), "{app}");
        assert_eq!((journals(&place, app, "open"), journals(&place, web, "open")), (vec![], vec![]));
        assert_eq!(place.deploy(&v(3)).outcome, Deployed);
    }
}

#[test]
fn a_stuck_deployment_on_two_targets_is_taken_up_once() {
    let mut place = two_targets("a", "z");
    stuck(&mut place, Some("false"));

    let taken_up = place.recover(Recovery::GoOn).unwrap();

    assert_eq!(taken_up.len(), 1);
}

#[test]
fn what_has_no_way_back_stays_in_the_way_until_it_is_closed() {
    let mut place = Place::new();
    let stuck = stuck(&mut place, None);
    assert!(!stuck.may_be_retried());

    for recovery in [Recovery::TakeBack, Recovery::GoOn] {
        let again = place.recover(recovery).unwrap();
        assert_eq!(again.iter().map(|ended| ended.outcome).collect::<Vec<_>>(), [Stuck]);
        assert_eq!(again[0].records, stuck.records, "there is nothing to try again");
    }

    assert_eq!(place.abandon().unwrap().len(), 1);
    assert_eq!(place.deploy(&v(3)).outcome, Deployed);
}

/// Two targets whose stuck deployment lies beside "a"; beside "z" lies a link to it.
fn linked_from_z() -> (Place, PathBuf) {
    let mut place = two_targets("a", "z");
    let stuck = stuck(&mut place, Some("false"));
    let link = journal_of(&place, "z", &stuck, "open");
    (place, link)
}

#[test]
fn a_journal_out_of_reach_is_not_forgotten() {
    let (place, link) = linked_from_z();
    // As if the file system of the first target were not mounted: its directories are made anew and empty.
    std::fs::rename(place.path("a"), place.path("elsewhere")).unwrap();

    let refused = place.recover(Recovery::GoOn).unwrap_err();

    assert!(matches!(refused, TransactionError::Read { path, .. } if path == link));
    assert!(link.symlink_metadata().is_ok());
}

#[test]
fn a_link_to_a_journal_that_was_filed_is_removed() {
    let (place, link) = linked_from_z();
    let journal = std::fs::read_link(&link).unwrap();
    let done = place.path("a/.cutover/journal/done").join(journal.file_name().unwrap());
    std::fs::rename(&journal, done).unwrap();

    assert_eq!(place.recover(Recovery::GoOn).unwrap().len(), 0);

    assert!(link.symlink_metadata().is_err());
}

#[test]
fn a_deployment_that_also_acts_on_a_place_that_is_not_held_is_left_alone() {
    let (mut place, _) = linked_from_z();
    let config = place.second.take().unwrap();
    let gone = std::mem::replace(&mut place.config, config).deploy_to;

    let refused = place.recover(Recovery::GoOn).unwrap_err();

    assert!(matches!(refused, TransactionError::Elsewhere { deploy_to, .. } if deploy_to == gone));
}

#[test]
fn a_deployment_under_the_name_of_one_that_has_ended_is_refused_before_anything_is_touched() {
    let place = Place::new();
    let first = place.deploy(&v(1));
    let (before, journal) = (place.picture(), journal_of(&place, "", &first, "done"));
    let text = std::fs::read(&journal).unwrap();
    place.name_once_more();

    let refused = place.try_deploy(&v(2)).map(|ended| ended.outcome).unwrap_err();

    let told = format!("there was a deployment {} already, in {}", first.plan.deployment, place.dir.path().display());
    assert_eq!(refused.to_string(), told);
    assert_eq!(place.picture(), before);
    assert_eq!(std::fs::read(&journal).unwrap(), text);
    assert_eq!(journals(&place, "", "open"), Vec::<PathBuf>::new());
    assert_eq!(place.deploy(&v(2)).outcome, Deployed);
}

/// Leaves of an ended deployment's journal what it had when this step was applied: its engine died then.
fn cut_after(place: &Place, ended: &Ended, step: &str) {
    let step = ended.plan.steps.iter().find(|other| other.name == step).unwrap().id;
    let applied = |record: &Record| matches!(record.entry, Entry::Applied { step: other, .. } if other == step);
    let count = ended.records.iter().position(applied).unwrap() + 1;
    let done = journal_of(place, "", ended, "done");
    let text = std::fs::read_to_string(&done).unwrap();
    // The first line is the plan.
    let kept: String = text.split_inclusive('\n').take(count + 1).collect();
    std::fs::write(journal_of(place, "", ended, "open"), kept).unwrap();
    std::fs::remove_file(done).unwrap();
}

#[test]
fn a_deployment_that_is_closed_half_way_has_an_end_and_stays_as_it_is() {
    let place = Place::new();
    place.deploy(&v(1));
    let ended = place.deploy(&v(2));
    cut_after(&place, &ended, "switch");
    let before = place.picture();

    let closed = place.abandon().unwrap();

    assert_eq!(closed[0].outcome, Stuck);
    let recorded = read_journal::<Action>(&journal_of(&place, "", &ended, "done")).unwrap().unwrap();
    let entries: Vec<_> = recorded.records.into_iter().map(|record| record.entry).collect();
    assert_eq!(next(&recorded.plan, &entries), Next::Done(Stuck));
    assert!(format!("{entries:?}").contains("ann closed the deployment"));
    assert_eq!(place.picture(), before);
}
