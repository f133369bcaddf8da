//! The action of Cutover's own repository, in a workflow that somebody wrote.

use crate::project::{Project, binary};
use cutover_testkit::runner::RunJob;
use cutover_workflows::project_action;

/// What a job says that uses the action with these arguments, and asks for Cutover afterwards.
fn used(arguments: &str) -> RunJob {
    let project = Project::new("");
    let (url, sha256) = binary();
    let workflow = format!(
        "name: own\non:\n  workflow_dispatch:\ndefaults:\n  run:\n    shell: bash\njobs:\n  own:\n    permissions: {{}}\n    \
         timeout-minutes: 5\n    steps:\n      - name: one line\n        uses: $/own\n        with:\n          url: {url}\n          \
         sha256: {sha256}\n{arguments}      - name: later\n        run: command -v cutover\n"
    );
    std::fs::create_dir(project.runner.origin().join("own")).unwrap();
    project.write("own/action.yml", &project_action());
    project.write(".github/workflows/own.yml", &workflow);
    project.commit("2");
    let event = project.runner.dispatch("main", serde_json::json!({}));
    project.runner.run(".github/workflows/own.yml", &event).jobs["own"].clone()
}

#[test]
fn cutover_is_put_on_the_path_of_later_steps() {
    let job = used("");

    assert_eq!(job.result, "success", "{}", job.log);
    assert!(job.log.contains("/cutover-bin/cutover\n"), "{}", job.log);
    assert!(!job.log.contains("## Run Cutover"), "{}", job.log);
}

#[test]
fn arguments_are_words_of_a_line_or_lines_and_nothing_in_them_is_run() {
    let line = used("          args: schema --reference\n");
    assert!(line.log.contains("| key | value | default | meaning |"), "{}", line.log);

    let lines = used("          args: |\n            history\n            --outcome\n            $(id) *; \"x\n");
    assert!(lines.log.contains("invalid value '$(id) *; \"x' for '--outcome"), "{}", lines.log);
}

#[test]
fn a_command_that_fails_fails_the_step() {
    assert_eq!(used("          args: check nothing\n").result, "failure");
}
