//! What a unit that setup writes runs: Cutover, which becomes the service.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// `agent exec` of this command with this env file.
fn exec(env_file: &Path, command: &[&str]) -> Command {
    let mut cutover = Command::new(env!("CARGO_BIN_EXE_cutover"));
    cutover.args(["agent", "exec", "--env-file"]).arg(env_file).arg("--").args(command);
    cutover
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(env_file: &Path, command: &[&str]) -> Output {
    exec(env_file, command).output().unwrap()
}

#[test]
fn the_process_becomes_the_service_and_has_the_files_variables() {
    let dir = TempDir::new().unwrap();
    let env_file = dir.path().join(".env");
    fs::write(&env_file, "# by cutover\nMODE=fast\nGREETING=\"a \\\"b\\\" \\$c\"\n").unwrap();
    let script = "echo $$ $0 $1; readlink /proc/$$/exe; echo \"$MODE $OTHER $GREETING\"; grep SigIgn /proc/$$/status";
    let mut command = exec(&env_file, &["/bin/sh", "-c", script, "a word", "--json"]);

    let child = command.env("MODE", "slow").env("OTHER", "kept").stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let said = text(&child.wait_with_output().unwrap().stdout);

    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("{pid} a word --json"));
    assert!(!lines[1].contains("cutover"), "{said}");
    assert_eq!(lines[2], "fast kept a \"b\" $c");
    // As systemd starts services: a peer that hangs up is an error of a write, and no death.
    assert!(lines[3].ends_with("1000"), "SIGPIPE is ignored: {said}");
}

#[test]
fn files_that_systemd_passes_on_are_passed_on() {
    let dir = TempDir::new().unwrap();
    let socket = File::create(dir.path().join("socket")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3>&1; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_cutover"), "agent", "exec", "--env-file"]);
    shell.arg(dir.path().join("none")).args(["--", "/bin/sh", "-c", "echo here >&3"]);

    assert!(shell.stdout(socket).status().unwrap().success());

    assert_eq!(fs::read_to_string(dir.path().join("socket")).unwrap(), "here\n");
}

#[test]
fn a_command_that_cannot_be_run_ends_it_as_it_ends_a_shell() {
    let dir = TempDir::new().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, "echo no\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();

    for (program, code, why) in [("/none/serve", 127, "No such file"), (plain.to_str().unwrap(), 126, "denied")] {
        let ran = run(&dir.path().join(".env"), &[program]);
        let told = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{told}");
        assert!(told.contains(&format!("cannot start {program}")) && told.contains(why), "{told}");
        assert!(told.contains("the service does not run") && told.contains("service.start"), "{told}");
    }
}

#[test]
fn what_is_no_env_file_is_told_and_never_shown_nor_waited_for() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("broken"), "A=1\nhunter2\n").unwrap();
    fs::write(path("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
    fs::write(path("nul"), "A=a\0b\n").unwrap();
    fs::create_dir(path("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());

    for (name, why) in [
        ("broken", "line 2 is not NAME=value"),
        ("large", "more than 1048576 bytes"),
        ("nul", "nul byte"),
        ("folder", "no regular file"),
        ("pipe", "no regular file"),
    ] {
        let ran = run(&path(name), &["/bin/echo", "runs"]);
        let told = text(&ran.stderr);
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{told}");
        assert!(told.contains(why) && !told.contains("hunter2"), "{told}");
    }
    assert_eq!(text(&run(&path("none"), &["/bin/echo", "runs"]).stdout), "runs\n");
}
