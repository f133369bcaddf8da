//! Limits that the caller's shell has set.

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
