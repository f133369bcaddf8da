//! Whoever reads what is said may go away at any time: that never fails a deployment.

use crate::bed::Bed;
use std::process::{Command, Stdio};

/// Runs a shell line in which `CUTOVER` stands for the command itself.
fn shell(bed: &Bed, line: &str) -> Command {
    let mut command = bed.command("sh");
    command.args(["-c", &line.replace("CUTOVER ", concat!(env!("CARGO_BIN_EXE_cutover"), " "))]);
    command
}

#[test]
fn an_output_that_is_closed_full_or_not_read_fails_no_deployment() {
    let lines = [
        "CUTOVER deploy production | head -n 1 >/dev/null",
        "CUTOVER deploy production --json | head -n 1 >/dev/null",
        "CUTOVER deploy production -v >&-",
        "CUTOVER deploy production >/dev/full",
        "CUTOVER deploy production --json >/dev/full 2>/dev/full",
        "CUTOVER deploy production >&- 2>&- <&-",
        "CUTOVER deploy production >/dev/full 2>&1",
    ];
    let bed = Bed::live();
    for line in lines {
        let version = bed.commit();
        // Of a pipe's commands the shell tells the last one's exit code: the first one's is what counts.
        let line = if line.contains('|') {
            format!("{{ {}; echo $? >{}; }} | head -n 1", line.split(" | ").next().unwrap(), bed.path("code").display())
        } else {
            format!("{line}; echo $? >{}", bed.path("code").display())
        };

        let output = shell(&bed, &line).stderr(Stdio::piped()).output().unwrap();

        let code = std::fs::read_to_string(bed.path("code")).unwrap();
        assert_eq!(code.trim(), "0", "{line}: {}", String::from_utf8_lossy(&output.stderr));
        bed.assert_settled_at(version, &line);
    }
}

#[test]
fn the_exit_code_tells_a_rollback_when_nothing_can_be_said() {
    let mut bed = Bed::live();
    bed.config.verify = "within = \"1s\"\ninterval = \"50ms\"\n".to_owned();
    bed.commit_behaving(crate::bed::UNWELL);

    let status = shell(&bed, "exec CUTOVER deploy production >/dev/full 2>&-").status().unwrap();

    assert_eq!(status.code(), Some(3));
    bed.assert_settled_at(1, "after a silent rollback");
}
