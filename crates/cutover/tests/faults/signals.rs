//! SIGINT, SIGTERM and SIGHUP to the CLI, whatever it is at.

use crate::bed::{Bed, python, wait_for};
use crate::eyes::{World, of_deployments, processes_of};
use crate::ran::Ran;
use crate::run::Running;
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

/// Tells that it has begun, leaves a grandchild, and takes long.
const SLOW: &str = "#!/bin/sh\n(sleep 300; true) &\ntouch \"$1\"\nsleep 300\n";
/// The same, but it does not let itself be told to end; the second time it has nothing to do.
pub(crate) const STUBBORN: &str = "#!/bin/sh\ntrap '' TERM INT\n[ -e \"$1\" ] && exit 0\n(sleep 300; true) &\ntouch \"$1\"\nwhile :; do sleep 0.1; done\n";
/// Tells that it has begun, and ends when it may.
const GATED: &str = "#!/bin/sh\ntouch \"$1\"\nwhile [ ! -e \"$1.gate\" ]; do sleep 0.05; done\n";
/// Whatever is told to end has ended by then.
const SOON: Duration = Duration::from_secs(30);

/// A live bed whose next version runs a script as one of its hooks; `TABLES` with `HOOK` in place of the command.
pub(crate) fn hooked(script: &str, tables: &str) -> (Bed, World) {
    let mut bed = Bed::live();
    bed.write("hook", script);
    bed.config.tables = tables.replace("HOOK", &format!("./hook {}", bed.path("begun").display()));
    let before = bed.world();
    bed.commit();
    (bed, before)
}

pub(crate) const INSTALL: &str = "[targets.app.host.run]\ninstall = \"HOOK\"\n";

/// Deploys until the hook has begun.
pub(crate) fn deploy_to_hook(bed: &Bed) -> Running {
    let running = bed.begin_deploy();
    wait_for("the hook begins", || bed.path("begun").exists());
    running
}

/// Nothing was switched, and everything is exactly as it was.
fn assert_untouched(bed: &Bed, before: &World, ran: Ran) {
    let told = ran.told();
    let ran = ran.concludes("✗ Failed after").tells_of("signal before the switch");
    ran.says(&["stopping: what was begun is taken back", "✗ stopped at ", ": cancelled", "cutover logs"]);
    assert_eq!(before.differences(&bed.world()), [""; 0], "{told}");
    bed.assert_settled_at(1, &told);
}

#[test]
fn a_signal_in_a_long_install_takes_everything_back_and_leaves_no_child() {
    for signal in [Signal::INT, Signal::TERM] {
        let (bed, before) = hooked(SLOW, INSTALL);
        let running = deploy_to_hook(&bed);
        wait_for("the hook has a child", || of_deployments(&bed.path("")).len() > 2);

        running.signal(signal);

        assert_untouched(&bed, &before, running.end_within(SOON));
    }
}

#[test]
fn a_hook_that_does_not_let_itself_be_told_to_end_is_killed() {
    let (bed, before) = hooked(STUBBORN, INSTALL);
    let running = deploy_to_hook(&bed);

    running.signal(Signal::TERM);

    assert_untouched(&bed, &before, running.end_within(SOON));
}

#[test]
fn a_signal_in_a_long_smoke_import_takes_everything_back() {
    let (mut bed, before) = hooked(SLOW, "");
    let mark = bed.path("begun").display().to_string();
    bed.write("slowly.py", &format!("open({mark:?}, 'w').close()\nimport time\ntime.sleep(300)\n"));
    bed.config.tables = format!("[targets.app.host.python]\ninterpreter = \"{}\"\nsmoke = [\"slowly\"]\n", python());
    bed.commit();
    let running = deploy_to_hook(&bed);

    running.signal(Signal::INT);

    assert_untouched(&bed, &before, running.end_within(SOON));
}

#[test]
fn a_signal_in_a_long_migration_brings_the_env_file_back() {
    let (mut bed, before) = hooked(SLOW, "[targets.app.host.run]\nmigrate = { up = \"HOOK\", compatible = true }\n");
    bed.config.env = "NEW = \"yes\"".to_owned();
    bed.commit();
    let running = deploy_to_hook(&bed);
    assert!(fs::read_to_string(bed.app().join("shared/.env")).unwrap().contains("NEW"), "the new one is written");

    running.signal(Signal::TERM);

    assert_untouched(&bed, &before, running.end_within(SOON));
}

#[test]
fn a_migration_that_cannot_be_taken_back_and_is_stopped_needs_a_person() {
    let (bed, _) = hooked(SLOW, "[targets.app.host.run]\nmigrate = \"HOOK\"\n");
    let running = deploy_to_hook(&bed);

    running.signal(Signal::INT);

    let ran = running.end_within(SOON).concludes("✗ Stuck after");
    ran.tells_of("signal in an irreversible migration");
    assert_eq!((bed.current(), bed.serving()), (Some(1), Some(1)));
}

#[test]
fn a_signal_while_the_release_is_watched_rolls_back_to_the_old_one() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut bed = Bed::live();
        bed.config.verify += "soak = \"5m\"\n";
        let before = bed.world();
        let new = bed.commit();
        let running = bed.begin_deploy();
        assert!(running.hears("✓ restart"));
        wait_for("the new release answers", || bed.serving() == Some(new));

        running.signal(signal);

        let ran = running.end_within(SOON).concludes("↩ Rolled back").tells_of("signal after the switch");
        let told = ran.told();
        ran.says(&["✗ stopped at verify", "cutover logs"]);
        assert_eq!(before.differences(&bed.world()), [""; 0], "{told}");
        bed.assert_settled_at(1, &told);
    }
}

#[test]
fn a_signal_after_the_release_was_verified_comes_too_late() {
    let (bed, _) = hooked(GATED, "[targets.app.host.run]\nafter = \"HOOK\"\n");
    let running = deploy_to_hook(&bed);
    running.signal(Signal::INT);
    assert!(running.hears("stopping"));
    fs::write(bed.path("begun.gate"), "").unwrap();

    let ran = running.end_within(SOON).concludes("✓ Deployed").tells_of("signal after verification");

    let told = ran.told();
    ran.says(&["unless the release is verified already"]);
    bed.assert_settled_at(2, &told);
}

#[test]
fn a_signal_at_any_step_ends_whole() {
    const STEPS: [&str; 11] = [
        "Deploying",
        "preflight",
        "receive",
        "assemble",
        "link",
        "stage-env",
        "hold",
        "env",
        "switch",
        "restart",
        "verify",
    ];
    let mut bed = Bed::live();
    bed.config.verify += "soak = \"300ms\"\n";
    for (step, signal) in STEPS.into_iter().zip([Signal::INT, Signal::TERM].into_iter().cycle()) {
        let (old, before) = (bed.current().unwrap(), bed.world());
        let new = bed.commit();
        let running = bed.begin_deploy();
        assert!(running.hears(step));

        running.signal(signal);

        let ran = running.end_within(SOON);
        let (code, about) = (ran.code(), format!("at {step}: {}", ran.told()));
        let (live, conclusion, fault) = match code {
            0 => (new, "✓ Deployed", "signal after verification"),
            1 => (old, "✗ Failed after", "signal before the switch"),
            3 => (old, "↩ Rolled back", "signal after the switch"),
            _ => panic!("exit {code} {about}"),
        };
        ran.concludes(conclusion).tells_of(fault);
        // Whether the signal was noticed before the switch is a race that the step decides only at its ends.
        assert!(step != "Deploying" || code != 0, "{about}");
        assert!(!["switch", "restart"].contains(&step) || code == 3, "{about}");
        assert!(code == 0 || before.differences(&bed.world()).is_empty(), "changed, {about}");
        bed.assert_settled_at(live, &about);
    }
}

#[test]
fn a_second_signal_leaves_at_once_and_resume_brings_it_to_an_end() {
    let (bed, _) = hooked(STUBBORN, INSTALL);
    let running = deploy_to_hook(&bed);
    running.signal(Signal::INT);
    assert!(running.hears("once more leaves it as it is"));

    running.signal(Signal::INT);

    running.end_within(Duration::from_secs(3)).tells_of("second signal");
    assert_eq!((bed.current(), bed.serving()), (Some(1), Some(1)));
    let status = bed.run(&["status", "production"]).expect(0);
    status.says(&["is unfinished: it stopped at", "cutover resume production"]);

    let resumed = bed.run(&["resume", "production"]);

    let about = resumed.told();
    resumed.expect(0).concludes("✓ Deployed").says(&["goes on with deployment", "taken up again by ada"]);
    bed.assert_settled_at(2, &about);
}

#[test]
fn a_second_signal_while_everything_is_taken_back_can_be_resumed_too() {
    let mut bed = Bed::new();
    // What must be seen healthy again for so long is the old release.
    bed.config.verify += "soak = \"3s\"\n";
    bed.commit();
    bed.deploy().expect(0);
    let before = bed.world();
    bed.commit();
    let running = bed.begin_deploy();
    assert!(running.hears("✓ restart"));
    running.signal(Signal::INT);
    assert!(running.hears("↩ taken back: env"));

    running.signal(Signal::TERM);

    running.end_within(Duration::from_secs(3)).tells_of("second signal");
    let resumed = bed.run(&["resume", "production"]);
    let about = resumed.told();
    resumed.expect(3).concludes("↩ Rolled back").says(&["is live and healthy again"]);
    assert_eq!(before.differences(&bed.world()), [""; 0], "{about}");
    bed.assert_settled_at(1, &about);
}

#[test]
fn a_signal_while_an_old_service_takes_long_to_stop_rolls_back() {
    let bed = Bed::new();
    bed.commit_behaving(&format!("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{}", crate::bed::HEALTHY));
    bed.deploy().expect(0);
    let before = bed.world();
    bed.commit_behaving(crate::bed::HEALTHY);
    let running = bed.begin_deploy();
    assert!(running.hears("✓ switch"));

    running.signal(Signal::INT);

    let ran = running.end_within(SOON).concludes("↩ Rolled back").tells_of("signal after the switch");
    let told = ran.told();
    assert_eq!(before.differences(&bed.world()), [""; 0], "{told}");
    bed.assert_settled_at(1, &told);
}

#[test]
fn a_signal_to_a_rollback_brings_back_what_was_live() {
    let mut bed = Bed::new();
    bed.config.verify += "soak = \"2s\"\n";
    bed.commit();
    bed.deploy().expect(0);
    bed.config.verify = "within = \"20s\"\n".to_owned();
    bed.commit();
    bed.deploy().expect(0);
    let before = bed.world();
    let running = Running::start(bed.cutover(&["rollback", "production"]));
    assert!(running.hears("✓ restart"));

    running.signal(Signal::TERM);

    let ran = running.end_within(SOON).concludes("↩ Rolled back").tells_of("signal after the switch");
    let told = ran.told();
    assert_eq!(before.differences(&bed.world()), [""; 0], "{told}");
    bed.assert_settled_at(2, &told);
}

#[test]
fn a_closed_terminal_stops_nothing() {
    let (bed, _) = hooked(GATED, INSTALL);
    let running = deploy_to_hook(&bed);

    running.signal(Signal::HUP);
    fs::write(bed.path("begun.gate"), "").unwrap();

    let ran = running.end_within(SOON).expect(0).concludes("✓ Deployed");
    bed.assert_settled_at(2, &ran.told());
}

#[test]
fn a_signal_while_the_artifact_is_built_leaves_no_child() {
    let (mut bed, before) = hooked(SLOW, "");
    bed.config.artifact = format!("build = \"./hook {}\"\n", bed.path("begun").display());
    bed.commit();
    let running = deploy_to_hook(&bed);

    running.signal(Signal::TERM);

    let ran = running.end_within(SOON).concludes("error:").tells_of("signal while the artifact is built");
    let told = ran.told();
    assert_eq!(before.differences(&bed.world()), [""; 0], "{told}");
    let hooks = || processes_of(&bed.path("")).into_iter().filter(|pid| cmdline(*pid).contains("sleep")).count();
    wait_for("the build's processes are gone", || hooks() == 0);
    bed.assert_settled_at(1, &told);
}

#[test]
fn a_signal_while_a_secret_is_asked_for_leaves_no_child() {
    let (mut bed, before) = hooked("#!/bin/sh\ntouch \"$1\"\nexec sleep 300\n", "");
    bed.config.tables = format!(
        "[environments.production.secrets]\nTOKEN = {{ command = [\"./hook\", \"{}\"] }}\n",
        bed.path("begun").display()
    );
    bed.commit();
    let running = deploy_to_hook(&bed);

    running.signal(Signal::TERM);

    let ran = running.end_within(SOON).concludes("error:").tells_of("signal while a secret is asked for");
    let told = ran.told();
    assert_eq!(before.differences(&bed.world()), [""; 0], "{told}");
    bed.assert_settled_at(1, &told);
}

fn cmdline(pid: u32) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).into_owned()
}
