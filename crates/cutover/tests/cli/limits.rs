//! What the caller's shell has set, and words without end.

use crate::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_file_that_may_grow_no_further_is_an_error_and_no_death() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 1; exec \"$0\" schema > schema.json", env!("CARGO_BIN_EXE_cutover")]);

    let output = shell.current_dir(dir.path()).output().unwrap();

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}: {told}", output.status);
    assert!(told.contains("File too large"), "{told}");
}

#[test]
fn nothing_that_is_deployed_can_be_written_by_strangers_whatever_the_umask() {
    let sandbox = Sandbox::deployable("");
    let mut shell = sandbox.command("sh");
    shell.args(["-c", "umask 000; exec \"$0\" deploy production", env!("CARGO_BIN_EXE_cutover")]);

    let output = shell.output().unwrap();

    assert!(output.status.success(), "{output:?}");
    let found =
        Command::new("find").arg(sandbox.path().join("srv")).args(["!", "-type", "l", "-perm", "-o=w"]).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
    let mode = fs::metadata(sandbox.path().join("srv/releases")).unwrap().permissions().mode();
    assert_eq!(mode & 0o775, 0o775, "a group that deploys together still may");
}

#[test]
fn a_reason_of_any_length_is_taken_and_can_be_read() {
    let sandbox = Sandbox::deployable("");
    let endless = "r\n".repeat(50_000);

    let deployed = sandbox.run(&["deploy", "production", "--reason", &endless]);
    let locked = sandbox.run(&["lock", "production", "acquire", "--reason", &endless, "--for", "1h"]);

    assert_eq!((deployed.code, locked.code), (0, 0), "{}{}", deployed.told(), locked.told());
    let (history, lock) = (sandbox.run(&["history"]), sandbox.run(&["deploy", "production"]));
    assert_eq!(history.code, 0, "{}", history.told());
    assert!(lock.code == 6 && !lock.stderr.contains("unknown"), "{}", lock.told());
}
