//! Whole deployments on disk, without a service: what lies where afterwards, whatever happens on the way.

mod support;

use cutover_core::config::{
    CommandLine, Config, HookConfig, MigrateConfig, OnLostCoordinator, ServiceConfig, SystemdScope, TargetConfig,
};
use cutover_core::journal::Entry;
use cutover_core::next::DeploymentOutcome::{Deployed, Failed, RolledBack, Stuck};
use cutover_core::record::summarize;
use cutover_core::rollout::Gate;
use cutover_core::secret::Secret;
use cutover_targets::host::gate::{Coordinator, Heard, Nobody, WaitingHost};
use cutover_targets::host::planner::FleetPart;
use cutover_targets::host::transaction::Ended;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use support::{Artifact, Place, command_probe};

fn v(number: u32) -> Artifact {
    let commit = format!("{number}").repeat(40);
    Artifact::of(
        &commit,
        &[("VERSION", &format!("v{number}")), ("bin/run.sh", "#!/bin/sh\n"), ("lib/same.txt", "never changes")],
    )
}

fn hook(line: &str) -> HookConfig {
    HookConfig { command: CommandLine::Shell(line.to_owned()), timeout: Duration::from_secs(10) }
}

/// A migration without a way back, which the old release does not mind.
fn migration(line: &str) -> MigrateConfig {
    let up = CommandLine::Shell(line.to_owned());
    MigrateConfig { up, down: None, compatible: true, timeout: Duration::from_secs(5) }
}

/// What the steps warned of.
fn warnings(ended: &Ended) -> Vec<String> {
    let applied = ended.records.iter().filter_map(|record| match &record.entry {
        Entry::Applied { outcome, .. } => Some(outcome.warnings.clone()),
        Entry::Started { .. }
        | Entry::Failed { .. }
        | Entry::Cancelled { .. }
        | Entry::Restored { .. }
        | Entry::RestoreFailed { .. }
        | Entry::Resumed { .. } => None,
    });
    applied.flatten().collect()
}

#[test]
fn a_first_deployment_makes_the_release_current() {
    let place = Place::new();

    let ended = place.deploy(&v(1));

    assert_eq!(ended.outcome, Deployed);
    assert_eq!(place.read("current/VERSION"), "v1");
    assert_eq!(place.live().unwrap(), format!("releases/{}", ended.plan.release));
    assert!(!place.path("previous").exists());
    let mode = |name| std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("current/VERSION"), mode("current/bin/run.sh")), (0o444, 0o555));
    assert!(place.read("current/release.json").contains("\"state\": \"good\""));
}

#[test]
fn a_rollback_passes_over_releases_of_another_project() {
    // Given a good release of this project, and a newer one of another.
    let place = Place::new();
    let [first, second, _] = [1, 2, 3].map(|number| place.deploy(&v(number)).plan.release);
    place.give_to_shop(&second);
    // Then a rollback goes to the former.
    assert_eq!(place.last_good().unwrap(), first);
    // And where all are the other's, it is said whose they are, of none that it is live, and what to do.
    place.give_to_shop(&first);
    let none = place.last_good().unwrap_err();
    let foreign = format!("{second} in {} is a release of project shop", place.dir.path().display());
    assert!(none.message.ends_with(&format!("no earlier release of demo was good; {foreign}")), "{none}");
    assert_eq!(place.refused_rollback(&second).message, foreign);
    let hint = none.hint.unwrap();
    assert!(hint.contains("if it is shop under a new name, change `project` in ") && hint.contains(second.as_str()));
}

#[test]
fn a_place_where_another_project_is_live_is_refused_before_anything_is_done() {
    let place = Place::new();
    let live = place.deploy(&v(1)).plan.release;
    place.give_to_shop(&live);
    let before = place.picture();

    let ended = place.deploy(&v(2));

    assert_eq!(ended.outcome, Failed);
    let said = format!("{live}, live in {}, is a release of project shop", place.dir.path().display());
    assert!(format!("{:?}", ended.records).contains(&said), "{:?}", ended.records);
    assert_eq!(place.picture(), before);
}

#[test]
fn a_release_that_does_not_say_whose_it_is_is_nobody_elses() {
    let place = Place::new();
    place.deploy(&v(1));
    let file = place.path(&format!("{}/release.json", place.live().unwrap()));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"project\": \"demo\",", "")).unwrap();

    assert_eq!(place.deploy(&v(2)).outcome, Deployed);
}

#[test]
fn a_second_deployment_keeps_the_first_as_previous_and_shares_what_is_unchanged() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let first = place.deploy(&v(1));

    place.deploy(&v(2));

    assert_eq!(place.read("current/VERSION"), "v2");
    assert_eq!(place.read("previous/VERSION"), "v1");
    assert!(place.live().is_some_and(|live| !live.contains(first.plan.release.as_str())));
    let inode = |name| std::fs::metadata(place.path(name)).unwrap().ino();
    assert_eq!(inode("current/lib/same.txt"), inode("previous/lib/same.txt"));
    assert!(place.is_unchanged(&v(2)) && !place.is_unchanged(&v(1)));
}

#[test]
fn a_restart_has_nothing_to_do_with_what_previous_is() {
    let place = Place::new();
    assert_eq!(place.deploy(&v(1)).outcome, Deployed);
    std::fs::create_dir(place.path("previous")).unwrap();

    assert_eq!(place.restart().outcome, Deployed);
    assert!(failure(&place.deploy(&v(2))).contains("is a directory and no link"), "a deployment has");
}

#[test]
fn a_previous_link_that_leads_nowhere_counts_as_none_and_is_back_when_a_deployment_fails() {
    for (number, target) in ["/srv/old/releases/7", "./releases/7"].into_iter().enumerate() {
        let mut place = Place::new();
        std::os::unix::fs::symlink(target, place.path("previous")).unwrap();
        place.config.verify.probes = vec![command_probe("test $(cat VERSION) != v2")];
        let previous = || std::fs::read_link(place.path("previous")).unwrap().display().to_string();

        // Without anything live the link is left alone; then a release takes its place.
        let first = place.deploy(&v(1));
        assert_eq!((first.outcome, previous().as_str()), (Deployed, target), "case {number}");
        let said = warnings(&first);
        assert!(
            said.iter().any(|said| said.contains(&format!("previous leads to {target}, where nothing is"))),
            "{said:?}"
        );
        let before = place.picture();
        let failed = place.deploy(&v(2));
        assert_eq!((failed.outcome, previous().as_str()), (RolledBack, target));
        assert_eq!(place.picture()["previous"], before["previous"]);
        place.deploy(&v(3));
        assert_eq!(previous(), format!("releases/{}", first.plan.release));
    }
}

#[test]
fn a_failure_before_the_switch_leaves_everything_as_it_was() {
    let mut place = Place::new();
    place.deploy(&v(1));
    let before = place.picture();
    place.config.run.install = Some(hook("echo half > done; echo cannot >&2; exit 7"));

    let ended = place.deploy(&v(2));

    assert_eq!(ended.outcome, Failed);
    assert_eq!(place.picture(), before);
    let told = format!("{:?}", ended.records);
    assert!(told.contains("run install: exit code 7") && told.contains("cannot"), "{told}");
}

#[test]
fn an_unhealthy_release_is_taken_back_and_marked_bad() {
    let mut place = Place::new();
    place.config.verify.within = Duration::from_millis(300);
    place.config.verify.probes = vec![command_probe("grep -qv v2 VERSION")];
    place.config.env_file = Some(PathBuf::from(".env"));
    place.variables.insert("GREETING".into(), Secret::new("one"));
    place.deploy(&v(1));
    let before = place.picture();
    place.variables.insert("GREETING".into(), Secret::new("two"));

    let ended = place.deploy(&v(2));

    assert_eq!(ended.outcome, RolledBack);
    let bad = ended.plan.release.to_string();
    let after: std::collections::BTreeMap<_, _> =
        place.picture().into_iter().filter(|(name, _)| !name.contains(&bad)).collect();
    assert_eq!(after, before);
    assert!(place.read(&format!("releases/{bad}/release.json")).contains("\"state\": \"bad\""));
}

#[test]
fn a_rollback_goes_to_the_last_good_release_with_the_env_file_it_had() {
    let mut place = Place::new();
    place.config.env_file = Some(PathBuf::from(".env"));
    place.variables.insert("GREETING".into(), Secret::new("one"));
    place.deploy(&v(1));
    place.variables.insert("GREETING".into(), Secret::new("two"));
    let second = place.deploy(&v(2));
    assert!(place.read("current/.env").contains("GREETING=two"));

    let ended = place.rollback(None);

    assert_eq!(ended.outcome, Deployed);
    assert_eq!(place.read("current/VERSION"), "v1");
    assert!(place.read("current/.env").contains("GREETING=one"));
    assert!(place.read(&format!("releases/{}/release.json", second.plan.release)).contains("left by rollback"));
    // By name it can be gone back to all the same.
    assert_eq!(place.rollback(Some(second.plan.release.as_str())).outcome, Deployed);
    assert_eq!(place.read("current/VERSION"), "v2");
    assert!(place.read("current/.env").contains("GREETING=two"));
}

#[test]
fn a_release_that_is_left_and_does_not_describe_itself_is_warned_of_with_what_to_do() {
    let place = Place::new();
    place.deploy(&v(1));
    place.deploy(&v(2));
    let left = place.live().unwrap();
    std::fs::remove_file(place.path(&left).join("release.json")).unwrap();

    let ended = place.rollback(None);

    let told = warnings(&ended);
    assert!(ended.outcome == Deployed && told.len() == 1, "{told:?}");
    let id = left.trim_start_matches("releases/");
    assert!(told[0].starts_with(&format!("release {id}, which was left, has no readable release.json")), "{told:?}");
}

#[test]
fn an_env_file_is_private_and_its_backups_are_bounded() {
    let mut place = Place::new();
    place.config.env_file = Some(PathBuf::from(".env"));
    place.config.env_backups = 2;
    for number in 1..=5 {
        place.variables.insert("N".into(), Secret::new(number.to_string()));
        assert_eq!(place.deploy(&v(number)).outcome, Deployed);
    }
    let names: Vec<String> = place.picture().into_keys().filter(|name| name.starts_with("shared/.env")).collect();
    assert_eq!(names.iter().filter(|name| name.contains(".bak.")).count(), 2, "{names:?}");
    for name in names {
        assert_eq!(std::fs::metadata(place.path(&name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn an_env_file_without_an_end_is_replaced_like_any_other() {
    // Given a live env file that is none.
    let mut place = Place::new();
    place.config.env_file = Some(PathBuf::from(".env"));
    place.variables.insert("GREETING".into(), Secret::new("one"));
    place.deploy(&v(1));
    let live = place.path("shared/.env");
    std::fs::remove_file(&live).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &live).unwrap();
    // When the same is deployed again.
    let is_unchanged = place.is_unchanged(&v(1));
    let ended = place.deploy(&v(2));
    // Then nobody reads it to its end.
    assert!(!is_unchanged);
    assert_eq!(ended.outcome, Deployed);
    assert!(place.read("current/.env").contains("GREETING=one"));
}

#[test]
fn an_adopted_env_file_comes_back_as_it_was_and_is_private_as_a_backup() {
    use std::os::unix::fs::MetadataExt;
    let mut place = Place::new();
    place.config.env_file = Some(PathBuf::from(".env"));
    place.deploy(&v(1));
    let live = place.path("shared/.env");
    std::fs::write(&live, "WRITTEN=by hand\n").unwrap();
    std::fs::set_permissions(&live, std::fs::Permissions::from_mode(0o640)).unwrap();
    let (inode, before) = (std::fs::metadata(&live).unwrap().ino(), place.picture());
    place.variables.insert("TOKEN".into(), Secret::new("made up"));
    place.config.run.migrate = Some(migration("false"));

    assert_eq!(place.deploy(&v(2)).outcome, Failed);

    assert_eq!(place.picture(), before);
    assert_eq!(std::fs::metadata(&live).unwrap().ino(), inode);
    place.config.run.migrate = None;
    assert_eq!(place.deploy(&v(2)).outcome, Deployed);
    let backups: Vec<_> =
        place.picture().into_iter().filter(|(name, _)| name.starts_with("shared/.env.bak.")).collect();
    assert_eq!(backups.iter().map(|(_, shown)| shown.as_str()).collect::<Vec<_>>(), ["600 WRITTEN=by hand\n"]);
}

#[test]
fn only_backups_of_its_own_making_are_pruned() {
    let mut place = Place::new();
    place.config.env_file = Some(PathBuf::from(".env"));
    place.config.env_backups = 0;
    std::fs::create_dir(place.path("shared")).unwrap();
    std::fs::write(place.path("shared/.env.bak.mine"), "kept").unwrap();

    for number in 1..=2 {
        place.variables.insert("N".into(), Secret::new(number.to_string()));
        place.deploy(&v(number));
    }

    let names: Vec<String> = place.picture().into_keys().filter(|name| name.starts_with("shared/")).collect();
    assert_eq!(names, ["shared/.env", "shared/.env.bak.mine"]);
}

#[test]
fn variables_that_no_reader_would_take_whole_are_refused_before_anything_runs() {
    let mut place = Place::new();
    place.config.env_file = Some(PathBuf::from(".env"));
    (0..9).for_each(|number| drop(place.variables.insert(format!("V{number}"), Secret::new("x".repeat(128 << 10)))));

    let ended = place.deploy(&v(1));

    assert_eq!(ended.outcome, Failed);
    assert!(format!("{:?}", ended.records).contains("take more than 1048576 bytes"));
}

#[test]
fn hooks_and_probes_have_the_variables_and_their_masks_without_an_env_file_too() {
    let mut place = Place::new();
    place.variables.insert("TOKEN".into(), Secret::new("made up"));
    place.secret_names.insert("TOKEN".into());
    place.config.run.after = Some(hook("echo \"the token is $TOKEN\""));
    place.config.verify.within = Duration::from_millis(100);
    place.config.verify.probes = vec![command_probe("test \"$TOKEN\" = 'made up'")];

    let ended = place.deploy(&v(1));

    assert_eq!(ended.outcome, Deployed);
    let log = place.read(&format!(".cutover/logs/{}/after.log", ended.plan.deployment));
    assert!(log.contains("the token is ***"), "{log}");
    assert_eq!(place.restart().outcome, Deployed);
}

#[test]
fn what_cannot_be_restarted_is_not_touched() {
    let mut place = Place::new();
    place.deploy(&v(1));
    let unit = "there-is-no-such-unit.service".to_owned();
    let (scope, timeout) = (SystemdScope::System, Duration::from_secs(5));
    place.config.service = Some(ServiceConfig::Systemd { unit, scope, timeout, start: None });

    let ended = place.restart();

    let record = summarize(&ended.plan.erased().unwrap(), &ended.records);
    assert_eq!((ended.outcome, record.failure.unwrap().name), (Failed, "preflight".to_owned()));
    let begun = record.steps.iter().filter(|step| step.started_at.is_some());
    assert_eq!(begun.count(), 1, "nothing but the look");
}

#[test]
fn old_releases_are_pruned_and_the_live_ones_never() {
    let place = Place::new();
    let first = place.deploy(&v(1));
    for number in 2..=6 {
        place.deploy(&v(number));
    }
    let releases = std::fs::read_dir(place.path("releases")).unwrap().count();
    assert_eq!(releases, 3);
    assert!(!place.path(&format!("releases/{}", first.plan.release)).exists());
    assert_eq!((place.read("current/VERSION"), place.read("previous/VERSION")), ("v6".into(), "v5".into()));
}

#[test]
fn a_failed_deployment_never_evicts_a_good_release() {
    let mut place = Place::new();
    place.config.keep_releases = 2;
    place.config.verify.within = Duration::from_millis(100);
    place.deploy(&v(1));
    place.deploy(&v(2));
    place.config.verify.probes = vec![command_probe("false")];
    for number in 3..=6 {
        assert_eq!(place.deploy(&v(number)).outcome, RolledBack);
    }
    assert_eq!((place.read("current/VERSION"), place.read("previous/VERSION")), ("v2".into(), "v1".into()));
}

#[test]
fn an_irreversible_migration_that_cannot_be_kept_needs_a_person() {
    let mut place = Place::new();
    place.deploy(&v(1));
    let before = place.live();
    place.config.run.migrate = Some(MigrateConfig { compatible: false, ..migration("true") });
    place.config.verify.within = Duration::from_millis(100);
    place.config.verify.probes = vec![command_probe("false")];

    assert_eq!(place.deploy(&v(2)).outcome, Stuck);

    assert_eq!(place.live(), before);
    assert!(std::fs::read_dir(place.path(".cutover/journal/open")).unwrap().next().is_some(), "it waits for a person");
}

#[test]
fn a_cancelled_deployment_is_taken_back_without_calling_the_release_bad() {
    let place = Place::new();
    place.deploy(&v(1));
    let before = place.picture();
    place.cancel.cancel();

    assert_eq!(place.deploy(&v(2)).outcome, Failed);

    assert_eq!(place.picture(), before);
}

#[test]
fn a_linked_directory_outlives_releases_and_hides_what_the_artifact_has_there() {
    let mut place = Place::new();
    place.config.linked_dirs = vec![PathBuf::from("data"), PathBuf::from("var/cache")];
    place.deploy(&Artifact::of(&"1".repeat(40), &[("a", "1"), ("data/seed", "hidden")]));
    std::fs::write(place.path("current/data/kept"), "yes").unwrap();
    std::fs::write(place.path("current/var/cache/kept"), "yes").unwrap();

    place.deploy(&v(2));

    assert_eq!((place.read("current/data/kept"), place.read("shared/var/cache/kept")), ("yes".into(), "yes".into()));
    assert!(!place.path("current/data/seed").exists());
}

#[test]
fn a_clock_that_jumps_back_changes_no_order() {
    let place = Place::new();
    place.deploy(&v(1));
    // A release that claims to come from the future is still the older one.
    let file = place.path(&format!("{}/release.json", place.live().unwrap()));
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.find("\"created_at\": \"").unwrap() + "\"created_at\": \"".len();
    std::fs::write(&file, format!("{}2099{}", &text[..at], &text[at + 4..])).unwrap();

    let second = place.deploy(&v(2));

    assert!(format!("{:?}", second.records).contains("did it jump back?"));
    assert_eq!(place.rollback(None).outcome, Deployed);
    assert_eq!(place.read("current/VERSION"), "v1");
}

#[test]
fn a_cancelled_rollback_to_a_bad_release_leaves_it_bad() {
    let place = Place::new();
    place.deploy(&v(1));
    let second = place.deploy(&v(2));
    place.rollback(None);
    let state = || place.read(&format!("releases/{}/release.json", second.plan.release));
    let before = state();
    place.cancel.cancel();

    assert_eq!(place.rollback(Some(second.plan.release.as_str())).outcome, Failed);

    assert!(before.contains("\"state\": \"bad\""));
    assert_eq!(state(), before);
}

/// A service that starts only once this file is there.
fn service_that_needs(path: &std::path::Path) -> ServiceConfig {
    let shell = |line: String| CommandLine::Shell(line);
    let (path, started) = (path.display(), path.with_extension("started"));
    ServiceConfig::Command {
        restart: shell(format!("test -e {path} && touch {}", started.display())),
        stop: shell(format!("rm -f {}", started.display())),
        status: shell(format!("test -e {}", started.display())),
        pid_file: None,
        timeout: Duration::from_secs(5),
    }
}

fn reason(place: &Place, ended: &Ended) -> String {
    let text = place.read(&format!("releases/{}/release.json", ended.plan.release));
    let release: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    format!("{}: {}", release["state"].as_str().unwrap_or_default(), release["reason"].as_str().unwrap_or_default())
}

#[test]
fn a_release_that_the_machine_could_not_start_is_not_called_unhealthy_and_nobody_is_warned_of_it() {
    let mut place = Place::new();
    let mended = place.path("mended");
    place.config.service = Some(service_that_needs(&mended));

    let first = place.deploy(&v(1));
    std::fs::write(&mended, "").unwrap();
    let second = place.deploy(&v(1));

    assert_eq!((first.outcome, second.outcome), (Failed, Deployed));
    assert_eq!(reason(&place, &first), format!("bad: never started in deployment {}", first.plan.deployment));
    assert!(!warnings(&second).iter().any(|warning| warning.contains("marked bad")), "{:?}", warnings(&second));
}

#[test]
fn that_a_release_never_started_is_known_whatever_its_words_are_and_by_its_words_where_an_older_version_wrote_them() {
    for is_older in [false, true] {
        let mut place = Place::new();
        let mended = place.path("mended");
        place.config.service = Some(service_that_needs(&mended));
        let first = place.deploy(&v(1));
        let file = place.path(&format!("releases/{}/release.json", first.plan.release));
        let mut release: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(release["never_started"], true);
        match is_older {
            true => drop(release.as_object_mut().unwrap().remove("never_started")),
            false => release["reason"] = "its unit was masked".into(),
        }
        std::fs::write(&file, release.to_string()).unwrap();
        std::fs::write(&mended, "").unwrap();

        let second = place.deploy(&v(1));

        assert!(!warnings(&second).iter().any(|warning| warning.contains("marked bad")), "{:?}", warnings(&second));
    }
}

#[test]
fn a_good_release_stays_good_when_the_machine_cannot_start_it_again() {
    let mut place = Place::new();
    let mended = place.path("mended");
    std::fs::write(&mended, "").unwrap();
    place.config.service = Some(service_that_needs(&mended));
    let first = place.deploy(&v(1));
    place.deploy(&v(2));
    std::fs::remove_file(&mended).unwrap();

    place.rollback(None);

    assert_eq!(reason(&place, &first), "good: ");
}

#[test]
fn an_unhealthy_release_is_warned_of_until_the_same_files_were_healthy() {
    let mut place = Place::new();
    let mended = place.path("mended");
    place.deploy(&v(1));
    place.config.verify.probes = vec![command_probe(&format!("test -e {}", mended.display()))];

    let unhealthy = place.deploy(&v(2));
    std::fs::write(&mended, "").unwrap();
    let again = place.deploy(&v(2));
    place.config.keep_releases += 1;
    let once_more = place.deploy(&v(2));

    let why = format!("not healthy in deployment {}", unhealthy.plan.deployment);
    assert_eq!(reason(&place, &unhealthy), format!("bad: {why}"));
    assert!(warnings(&again).iter().any(|warning| warning.ends_with(&why)), "{:?}", warnings(&again));
    assert_eq!((again.outcome, once_more.outcome), (Deployed, Deployed));
    assert!(!warnings(&once_more).iter().any(|warning| warning.contains("marked bad")), "{:?}", warnings(&once_more));
}

#[test]
fn going_forward_again_after_rollbacks_marks_nothing_bad_and_leaves_a_way_back() {
    // Given three good releases and two rollbacks, so that the first is live.
    let place = Place::new();
    let [first, second, third] = [1, 2, 3].map(|number| place.deploy(&v(number)));
    place.rollback(None);
    let back = place.rollback(None);
    assert_eq!((&back.plan.release, back.plan.forward), (&first.plan.release, false));

    let forward = place.rollback(Some(third.plan.release.as_str()));

    assert_eq!((forward.outcome, forward.plan.forward), (Deployed, true));
    assert_eq!([&first, &third].map(|one| reason(&place, one)), ["good: ", "good: "]);
    assert!(reason(&place, &second).starts_with("bad: left by rollback "), "{}", reason(&place, &second));
    assert_eq!(place.rollback(None).plan.release, first.plan.release);
}

#[test]
fn why_the_same_files_become_a_new_release_is_told_with_the_keys_that_changed() {
    let mut place = Place::new();
    place.config.env_file = Some(PathBuf::from(".env"));
    place.variables.insert("GREETING".into(), Secret::new("one"));
    place.deploy(&v(1));
    assert_eq!((place.why_anew(&v(1)), place.why_anew(&v(2))), (Vec::new(), Vec::new()));

    place.config.keep_releases += 1;
    place.config.disk_free_min_bytes += 1;
    place.variables.insert("GREETING".into(), Secret::new("two"));

    let why = "app: the same files are live; config changed: disk_free_min, keep_releases; variables changed";
    assert_eq!(place.why_anew(&v(1)), [why]);
    assert_eq!(place.why_anew(&v(2)), Vec::<String>::new(), "other files are reason enough");
}

/// What stopped a deployment.
fn failure(ended: &Ended) -> String {
    let failed = ended.records.iter().find_map(|record| match &record.entry {
        Entry::Failed { error, .. } => Some(error.message.clone()),
        Entry::Started { .. }
        | Entry::Applied { .. }
        | Entry::Cancelled { .. }
        | Entry::Restored { .. }
        | Entry::RestoreFailed { .. }
        | Entry::Resumed { .. } => None,
    });
    failed.unwrap_or_default()
}

#[test]
fn a_port_that_somebody_else_has_is_refused_before_anything_is_done_where_the_service_could_not_have_it() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = stranger.local_addr().unwrap();
    let serving = |service: &str| {
        let mut place = Place::new();
        let keys = format!("service = {{ {service} }}\nverify.probes = [{{ tcp = {{ address = \"{at}\" }} }}]\n");
        let text = format!("name = \"demo\"\n[targets.app.host]\ndeploy_to = \"/srv/demo\"\n{keys}");
        let TargetConfig::Host(host) = Config::parse(&text).unwrap().targets.into_values().next().unwrap();
        (place.config.service, place.config.verify.probes) = (host.service, host.verify.probes);
        place.config.verify.within = Duration::from_millis(200);
        place
    };

    let process = serving("process = { command = [\"sleep\", \"60\"] }");
    let refused = process.deploy(&v(1));

    assert_eq!(refused.outcome, Failed);
    assert!(failure(&refused).starts_with(&format!("preflight: {at} is taken by pid {}", std::process::id())));
    assert_eq!(std::fs::read_dir(process.path("releases")).unwrap().count(), 0, "nothing was done");

    // What a user's own commands end and hand over when they start the service, nobody knows beforehand.
    let command = serving("command = { restart = \"true\", stop = \"true\", status = \"true\" }");
    let tried = command.deploy(&v(1));
    assert!(!failure(&tried).contains("preflight"), "{}", failure(&tried));
    assert!(warnings(&tried).iter().any(|warning| warning.contains("is no part of the service")), "{tried:?}");
}

/// A client that lets hosts switch, and is gone when they are healthy.
struct GoneOnceSwitched;

impl Coordinator for GoneOnceSwitched {
    fn wait_at(&self, waiting: &WaitingHost<'_>, _stopped: &dyn Fn() -> bool) -> Heard {
        match waiting.gate {
            Gate::Switch => Heard::Go,
            Gate::Settle => Heard::Lost,
        }
    }
}

#[test]
fn a_healthy_release_is_not_blamed_for_a_client_that_is_gone() {
    let mut place = Place::new();
    let hosts = ["localhost", "web-2"].map(str::to_owned).to_vec();
    let first = place.deploy(&v(1));
    place.part = Some(FleetPart { hosts, migrates: false, on_lost: OnLostCoordinator::Restore });
    place.coordinator = Box::new(GoneOnceSwitched);

    let taken_back = place.deploy(&v(2));
    let is_kept = place.path(&format!("releases/{}", taken_back.plan.release)).exists();
    (place.part, place.coordinator) = (None, Box::new(Nobody));
    let again = place.deploy(&v(2));

    assert_eq!((taken_back.outcome, again.outcome), (RolledBack, Deployed));
    assert_eq!(taken_back.plan.original, Some(first.plan.release));
    assert!(!is_kept, "only what was found bad is kept to be looked at");
    assert!(!warnings(&again).iter().any(|warning| warning.contains("marked bad")), "{:?}", warnings(&again));
}
