//! Flags, errors and exit codes that all commands share.

use crate::sandbox::Sandbox;
use insta::assert_snapshot;
use std::fs;
use std::io::Read;
use std::process::Stdio;

#[test]
fn a_wrong_command_line_ends_with_2() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["histroy"]);
    assert_snapshot!(ran.told(), @"
    exit 2
    --- stderr
    error: unrecognized subcommand 'histroy'

      tip: a similar subcommand exists: 'history'

    Usage: cutover [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_wrong_command_line_is_json_when_json_was_asked_for() {
    let ran = Sandbox::new().run(&["build", "--no-such-flag", "--json"]);
    assert_snapshot!(ran.told(), @r#"
    exit 2
    {"v":1,"exit_code":2,"error":{"kind":"usage","message":"unexpected argument '--no-such-flag' found"}}
    "#);
}

#[test]
fn without_a_config_the_way_to_one_is_shown() {
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.repo().join("cutover.toml")).unwrap();
    assert_snapshot!(sandbox.run(&["history"]).told(), @"
    exit 2
    --- stderr
    error: no cutover.toml in DIR/repo or above
      hint: `cutover init` writes one
    ");
    assert_snapshot!(sandbox.run(&["history", "--json"]).told(), @r#"
    exit 2
    {"v":1,"exit_code":2,"error":{"kind":"config","message":"no cutover.toml in DIR/repo or above","hints":["`cutover init` writes one"]}}
    "#);
}

#[test]
fn the_nearest_config_above_is_taken_and_flags_name_others() {
    let sandbox = Sandbox::new();
    sandbox.write("deep/er/file", "");
    assert_eq!(sandbox.run(&["-C", "deep/er", "history"]).told(), "exit 0\nNo deployments.\n");
    fs::rename(sandbox.repo().join("cutover.toml"), sandbox.repo().join("other.toml")).unwrap();
    assert_eq!(sandbox.run(&["history"]).code, 2);
    assert_eq!(sandbox.run(&["history", "--config", "other.toml"]).code, 0);
    assert_eq!(sandbox.run(&["-C", "nowhere", "history"]).code, 2);
}

#[test]
fn what_is_remembered_can_be_read_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.run(&["history"]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&sandbox.data_dir()), 0o700);
    assert_eq!(mode(&sandbox.data_dir().join("history.db")), 0o600);
}

#[test]
fn projects_of_the_same_name_in_two_places_have_nothing_in_common() {
    let sandbox = Sandbox::new();
    sandbox.run(&["history"]);
    sandbox.write("../other/.git/HEAD", "");
    sandbox.write("../other/cutover.toml", crate::sandbox::CONFIG);
    sandbox.run(&["-C", "../other", "history"]);
    let names = fs::read_dir(sandbox.path().join("home/cutover/projects")).unwrap();
    assert_eq!(names.count(), 2);
}

#[test]
fn without_any_home_the_way_out_is_named() {
    let sandbox = Sandbox::new();
    let output = sandbox.cutover(&["history"]).env_remove("CUTOVER_HOME").env_remove("HOME").output().unwrap();
    assert_snapshot!(sandbox.ran(&output).told(), @"
    exit 2
    --- stderr
    error: cannot find the home directory: HOME is not set
      hint: set CUTOVER_HOME to the directory that shall hold artifacts and history
    ");
}

#[test]
fn a_home_that_cannot_be_written_is_said_with_a_way_out() {
    let sandbox = Sandbox::new();
    for (command, code) in [("history", 0), ("build", 1)] {
        let ran = sandbox.run_with(&[command], &[("CUTOVER_HOME", "/dev/null/home")]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains("CUTOVER_HOME can name another place"), "{ran:?}");
    }
}

#[test]
fn a_home_is_seen_from_where_the_command_was_given_and_not_from_where_it_works() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.cutover(&["-C", "repo", "history"]);
    let output = command.current_dir(sandbox.path()).env("CUTOVER_HOME", "kept").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(sandbox.path().join("kept/projects").is_dir() && !sandbox.repo().join("kept").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.cutover(&["schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let sandbox = Sandbox::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = sandbox.cutover(&["schema"]).stdout(full).output().unwrap();
    assert_snapshot!(sandbox.ran(&output).told(), @"
    exit 1
    --- stderr
    error: cannot write the output
      because: No space left on device (os error 28)
    ");
}

#[test]
fn every_command_explains_itself_with_examples() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    // Further lines of an explanation are indented more than names.
    let named = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> =
        named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let ran = sandbox.run(&[name, "--help"]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("Examples:\n"), "{name} has no examples");
        let about = ran.stdout.split("Usage:").next().unwrap();
        assert!(about.split_whitespace().count() >= 25, "{name} hardly explains itself: {about}");
    }
}
