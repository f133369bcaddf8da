//! Checks that an environment requires, and how what they said comes to where the artifact is deployed.

use crate::sandbox::{Ran, Sandbox};
use insta::assert_snapshot;

/// A repository whose production requires two checks; `unit` fails as long as there is a file `broken`.
fn demanding() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.host("", "required_checks = [\"lint\", \"unit\"]");
    let checks = "[checks.lint]\nrun = \"true\"\n[checks.unit]\nrun = \"test ! -e broken\"\n";
    sandbox.write("cutover.toml", &format!("{}\n{checks}", sandbox.config()));
    sandbox.commit("Require checks");
    sandbox
}

fn is_live(sandbox: &Sandbox) -> bool {
    sandbox.path().join("srv/current").exists()
}

fn last_reason(sandbox: &Sandbox) -> String {
    let history = sandbox.run(&["history", "production", "--json"]);
    history.json()["deployments"][0]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_commit_that_nobody_checked_is_refused_and_one_that_passed_is_deployed() {
    let sandbox = demanding();

    let refused = sandbox.run(&["deploy", "production"]);
    let rehearsed = sandbox.run(&["deploy", "production", "--dry-run"]);
    let planned = sandbox.run(&["plan", "production"]);

    assert_eq!((refused.code, rehearsed.code, planned.code), (5, 5, 0), "{}", refused.told());
    assert!(!is_live(&sandbox));
    let refused = refused.stderr.replace(&short_head(&sandbox), "COMMIT");
    assert_snapshot!(refused, @r"
    error: production requires checks that COMMIT has not passed: `lint` did not run, `unit` did not run
      state: nothing was deployed
      hint: `cutover check --all lint unit` runs them, with that commit checked out and nothing else uncommitted or new beside it; --override-checks REASON deploys it all the same, and the history says so
    ");
    assert!(
        planned.stderr.contains("warning: a deployment would be refused: `lint` did not run"),
        "{}",
        planned.told()
    );

    assert_eq!(sandbox.run(&["check"]).code, 0);
    let deployed = sandbox.run(&["deploy", "production"]);
    assert_eq!(deployed.code, 0, "{}", deployed.told());
    assert!(is_live(&sandbox));
}

fn short_head(sandbox: &Sandbox) -> String {
    let output = sandbox.command("git").args(["rev-parse", "--short=7", "HEAD"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_check_that_failed_is_named_and_can_be_overridden_with_a_reason_that_the_history_keeps() {
    let sandbox = demanding();
    sandbox.write("broken", "");
    sandbox.commit("Break it");
    assert_eq!(sandbox.run(&["check"]).code, 5);

    let refused = sandbox.run(&["deploy", "production"]);
    let without_reason = sandbox.run(&["deploy", "production", "--override-checks", ""]);
    let overridden = sandbox.run(&["deploy", "production", "--override-checks", "shop is down", "--reason", "hotfix"]);

    assert_eq!((refused.code, without_reason.code, overridden.code), (5, 2, 0), "{}", overridden.told());
    assert!(refused.stderr.contains("has not passed: `unit` failed\n"), "{}", refused.told());
    assert_eq!(last_reason(&sandbox), "checks overridden (`unit` failed): shop is down; hotfix");
}

#[test]
fn what_is_not_committed_was_judged_by_nobody() {
    let sandbox = demanding();
    assert_eq!(sandbox.run(&["check"]).code, 0, "the commit itself has passed");
    sandbox.write("app.py", "print('not committed')\n");
    let checked = sandbox.run(&["check"]);
    assert_eq!(checked.code, 0);
    let told = "warning: production asks for checks of a commit, and this run will count for none: \"app.py\" is not committed\n";
    assert!(checked.stderr.contains(told), "{}", checked.told());
    assert!(sandbox.run(&["check", "--json"]).json()["run"].get("commit").is_none());
    sandbox.git(&["stash"]);
    sandbox.write("new.py", "print('new')\n");
    assert!(sandbox.run(&["check"]).stderr.contains("\"new.py\" is not committed"));
    sandbox.git(&["stash", "pop"]);

    let dirty = sandbox.run(&["deploy", "production", "--dirty"]);
    sandbox.commit("Commit it");
    let committed = sandbox.run(&["deploy", "production"]);

    assert_eq!((dirty.code, committed.code), (5, 5), "{}", committed.told());
    assert!(dirty.stderr.contains("commit first: checks judge commits"), "{}", dirty.told());
}

#[test]
fn reports_of_the_run_before_do_not_count_and_changed_files_do_whatever_they_are_called() {
    let sandbox = demanding();
    let report = "<testsuite><testcase name='a'/></testsuite>";
    let unit = "run = \"test ! -e broken\"";
    let writes = format!("run = \"echo \\\"{report}\\\" > junit.xml\"\nreports = {{ junit = \"*.xml\" }}");
    sandbox.write("cutover.toml", &sandbox.config().replace(unit, &writes));
    sandbox.write("data.xml", "<a/>");
    sandbox.commit("Report");
    for _ in 0..2 {
        let checked = sandbox.run(&["check", "--json"]);
        assert!(checked.json()["run"]["commit"].is_string(), "{}", checked.told());
    }

    sandbox.write("data.xml", "<b/>");
    assert!(sandbox.run(&["check"]).stderr.contains("\"data.xml\" is not committed"));
}

#[test]
fn a_check_that_mends_what_it_finds_says_nothing_of_the_commit() {
    let sandbox = demanding();
    let config = sandbox.config().replace("run = \"true\"", "run = \"echo '# formatted' >> app.py\"");
    sandbox.write("cutover.toml", &config);
    sandbox.commit("Format by a check");

    let checked = sandbox.run(&["check", "--json"]);

    assert_eq!(checked.code, 0, "{}", checked.told());
    assert!(checked.json()["run"].get("commit").is_none(), "{}", checked.told());
    assert!(checked.stderr.contains("\"app.py\" was changed while the checks ran"), "{}", checked.told());
}

/// Another machine: the same repository with data of its own.
fn elsewhere(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let home = sandbox.path().join("elsewhere");
    let mut command = sandbox.cutover(args);
    command.env("CUTOVER_HOME", home);
    sandbox.ran(&command.output().unwrap())
}

#[test]
fn what_checks_said_goes_along_with_the_artifact_to_another_machine() {
    let sandbox = demanding();
    let (record, artifact) = (sandbox.repo().join("checks.json"), sandbox.path().join("shop.cutover"));
    // As a shell does it: the file is there before the checks begin.
    let output = std::fs::File::create(&record).unwrap();
    assert!(sandbox.cutover(&["check", "--json"]).stdout(output).status().unwrap().success());
    let (record, artifact) = (record.to_str().unwrap(), artifact.to_str().unwrap());

    let without = elsewhere(&sandbox, &["deploy", "production"]);
    let built = elsewhere(&sandbox, &["build", "--checks", record, "--output", artifact]);
    assert_eq!((without.code, built.code), (5, 0), "{}", built.told());
    std::fs::remove_dir_all(sandbox.data_dir().join("checks")).unwrap();
    let deployed = sandbox.run(&["deploy", "production", "--artifact", artifact]);

    assert_eq!(deployed.code, 0, "{}", deployed.told());
}

#[test]
fn checks_of_another_commit_say_nothing_of_this_one() {
    let sandbox = demanding();
    let record = sandbox.path().join("checks.json");
    std::fs::write(&record, sandbox.run(&["check", "--json"]).stdout).unwrap();
    sandbox.write("app.py", "print('another')\n");
    sandbox.commit("Sell another thing");

    let built = sandbox.run(&["build", "--checks", record.to_str().unwrap()]);
    let deployed = sandbox.run(&["deploy", "production"]);

    assert_eq!((built.code, deployed.code), (2, 5), "{}", built.told());
    assert!(built.stderr.contains("the checks were run on commit"), "{}", built.told());
}

#[test]
fn a_required_check_that_does_not_exist_is_a_mistake_of_the_config() {
    let sandbox = Sandbox::new();
    sandbox.host("", "required_checks = [\"unitt\"]");
    sandbox.write("cutover.toml", &format!("{}\n[checks.unit]\nrun = \"true\"\n", sandbox.config()));

    let ran = sandbox.run(&["plan", "production"]);

    assert_eq!(ran.code, 2, "{}", ran.told());
    assert_snapshot!(ran.stderr, @r#"
    error: `environments.production` requires `unitt`, which is no check
      --> cutover.toml:11:20
       |
    11 | required_checks = ["unitt"]
       |                    ^^^^^^^ no such check
       |
       = hint: did you mean `unit`?

    error: cutover.toml: 1 error
      state: nothing was changed
    "#);
}
