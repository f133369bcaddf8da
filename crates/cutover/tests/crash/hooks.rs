//! Commands of the user's own: found in their middle when `cutover` is killed, or killed themselves.

use crate::picture::Picture;
use crate::processes;
use crate::run::Ran;
use crate::scenario::{Recovery, Scenario, Stage};
use crate::sweep::{Report, disk, recover};
use crate::world::{ENVIRONMENT, Service, World};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn stage(scenario: Scenario) -> (tempfile::TempDir, Stage) {
    let slot = tempfile::Builder::new().prefix("cutover-crash-").tempdir_in(disk()).unwrap();
    let stage = Stage::new(slot.path(), scenario, Service::None);
    (slot, stage)
}

#[test]
fn a_command_that_outlives_its_deployment_is_ended_by_the_recovery() {
    let began = Instant::now();
    let (_slot, stage) = stage(Scenario::Update);
    let mut report = Report::default();
    for step in ["install", "migrate", "healthy", "after"] {
        for recovery in [Recovery::Resume, Recovery::Deploy] {
            stage.reset();
            let killed = kill_in_the_middle_of(&stage.world, step);
            let hook = fs::read_to_string(stage.world.path("paused")).unwrap();
            assert!(
                fs::exists(format!("/proc/{}", hook.trim())).unwrap(),
                "{step} went with cutover: nothing is shown"
            );

            recover(&stage, &killed, recovery, true, format!("killed during {step}, then {recovery:?}"), &mut report);
        }
    }
    report.judge("kills in the middle of a command", began);
}

/// Starts the change, and kills `cutover` once the command of this step has begun.
fn kill_in_the_middle_of(world: &World, step: &str) -> Ran {
    fs::write(world.path(&format!("pause-{step}")), "").unwrap();
    let mut command = world.command(env!("CARGO_BIN_EXE_cutover"));
    command.args(Scenario::Update.command()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut cutover = command.spawn().unwrap();
    let began = Instant::now();
    while !world.path("paused").exists() {
        assert!(began.elapsed() < PATIENCE && cutover.try_wait().unwrap().is_none(), "{step} was never begun");
        std::thread::sleep(Duration::from_millis(5));
    }
    processes::kill(cutover.id());
    let status = cutover.wait().unwrap();
    Ran { code: status.code(), signal: status.signal(), stdout: String::new(), stderr: String::new() }
}

#[test]
fn a_command_that_is_killed_is_a_failure() {
    let (_slot, stage) = stage(Scenario::Update);
    let [original, _] = &stage.ends;
    // What happens when the command of a step is killed, and what the release is afterwards.
    for (step, code) in [("install", 1), ("healthy", 3)] {
        stage.reset();
        fs::write(stage.world.path(&format!("die-{step}")), "v2\n").unwrap();
        let text = fs::read_to_string(stage.world.path("repo/cutover.toml")).unwrap();
        fs::write(stage.world.path("repo/cutover.toml"), text.replace("within = \"60s\"", "within = \"200ms\""))
            .unwrap();

        let ran = stage.world.run(&stage.scenario.command()).expect(code);

        let picture = Picture::of(&stage.world.srv());
        assert_eq!(picture.get("current"), original.get("current"), "{step}: {ran}");
        assert!(ran.told().contains("SIGKILL"), "{step}: {ran}");
    }
}

#[test]
fn a_migration_that_is_killed_both_ways_is_stuck_until_its_way_back_works() {
    let (_slot, stage) = stage(Scenario::Update);
    let [original, _] = &stage.ends;
    stage.reset();
    fs::write(stage.world.path("die-migrate"), "v2\n").unwrap();

    let ran = stage.world.run(&stage.scenario.command()).expect(4);

    assert!(ran.told().contains("cutover resume"), "it says what to do: {ran}");
    let refused = stage.world.run(&stage.scenario.command()).expect(4);
    assert!(refused.told().contains("stuck"), "nothing is built on that: {refused}");
    fs::remove_file(stage.world.path("die-migrate")).unwrap();
    stage.world.run(&["resume", ENVIRONMENT]).expect(1);
    assert_eq!(Picture::of(&stage.world.srv()), *original);
}

#[test]
fn an_after_hook_that_is_killed_is_told_and_takes_nothing_back() {
    let (_slot, stage) = stage(Scenario::Update);
    stage.reset();
    fs::write(stage.world.path("die-after"), "v2\n").unwrap();

    let ran = stage.world.run(&stage.scenario.command()).expect(0);

    assert!(ran.told().contains("SIGKILL"), "{ran}");
    assert_eq!(Picture::of(&stage.world.srv()).get("current"), stage.ends[1].get("current"));
}

#[test]
fn a_git_that_is_killed_is_a_failure_that_changes_nothing_or_told() {
    let (_slot, stage) = stage(Scenario::First);
    let mut died = 0;
    for nth in 1.. {
        stage.reset();
        let ran = deploy_with_a_dying_git(&stage.world, nth);
        if ran.code == Some(0) && !stage.world.path("tmp/died").exists() {
            break;
        }
        died += 1;
        // What it was only asked for so as to warn stops no deployment, but is not kept quiet.
        if ran.code == Some(0) && ran.stderr.contains("nobody knows whether there are uncommitted changes") {
            continue;
        }
        assert_eq!(ran.code, Some(1), "git killed at its call {nth}: {ran}");
        assert_eq!(Picture::of(&stage.world.srv()).get("current"), None);
        stage.world.run(&stage.scenario.command()).expect(0);
    }
    assert!(died > 0, "git was never called");
}

/// Deploys while the so-manieth call of git ends by SIGKILL.
fn deploy_with_a_dying_git(world: &World, nth: u32) -> Ran {
    let (bin, git) = (world.path("tmp/bin"), which("git"));
    fs::create_dir_all(&bin).unwrap();
    let tmp = world.path("tmp").display().to_string();
    let script = format!(
        "#!/bin/sh\nuntil mkdir {tmp}/turn 2>/dev/null; do :; done\necho x >>{tmp}/calls\ncount=$(wc -l <{tmp}/calls)\nrmdir {tmp}/turn\n\
         if [ \"$count\" -eq {nth} ]; then touch {tmp}/died; kill -KILL $$; fi\nexec {git} \"$@\"\n"
    );
    fs::write(bin.join("git"), script).unwrap();
    fs::set_permissions(bin.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    Ran::of(world.command(env!("CARGO_BIN_EXE_cutover")).args(Scenario::First.command()).env("PATH", path))
}

fn which(program: &str) -> String {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|directory| directory.join(program)).filter(|path| path.is_file());
    found.next().unwrap().display().to_string()
}
