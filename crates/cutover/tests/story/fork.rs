//! What a stranger proposes.

use crate::team::{TEST, Team};
use std::fs;

#[test]
fn a_pull_request_of_a_fork_is_judged_without_secrets_and_told_by_a_run_that_runs_nothing_of_it() {
    let Some(team) = Team::new("a_pull_request_of_a_fork_is_judged_without_secrets") else { return };
    // Given a fork with a check that counts how often it runs, and fails where there is anything that it could take along,
    let config = team.text("cutover.toml");
    let ran = team.path("ran");
    // also in what Cutover itself was given: a check may read that of the process that runs it.
    let secrets = "^(CUTOVER_SSH_KEY|CUTOVER_SIGNING_KEY|AWS_[A-Z_]*|[A-Z_]*PASSWORD)=";
    let look =
        format!("! tr '\\\\0' '\\\\n' </proc/$PPID/environ | grep -E '{secrets}' && ! env | grep '^GITHUB_TOKEN='");
    let spy = format!("[checks.spy]\nrun = \"echo ran >> '{}'; {look}\"\n\n[checks.unit]", ran.display());
    let head = team.propose("stolen", "cutover.toml", &config.replace("[checks.unit]", &spy));
    team.github.open_pull(9, "eve", "stolen", &head);

    // when it is judged,
    let event = team.runner.pull_request(9, "stolen", "eve/app");
    let run = team.only(&event);

    // then nothing of it is deployed, and its run could tell nobody.
    let jobs = ["build: skipped", "checks: success", "checks/checks: success", "deploy-test: skipped"];
    assert_eq!(run.told().lines().collect::<Vec<_>>(), jobs, "{}", run.log());
    assert!(team.github.received().is_empty(), "{:?}", team.github.received());
    assert_eq!((team.deployments(TEST), team.github.comments(9)), (vec![], vec![]));

    // The run that speaks for it is of the default branch, and says whose word it is.
    let report = team.only(&team.runner.completed(&run, &event));
    assert_eq!(report.told(), "report: success\n", "{}", report.log());
    assert_eq!(team.check_runs(&head), [("cutover: bot (from a fork)".to_owned(), "success".to_owned())]);
    let comment = team.comment(9);
    assert!(comment.contains("✓ The checks passed") && comment.contains("whoever wrote the change"), "{comment}");
    // Of what the stranger wrote, it ran nothing: the check ran once, where it was judged.
    assert_eq!(fs::read_to_string(&ran).unwrap(), "ran\n");
}
