//! Judging a change by commands and by what they report.

use crate::sandbox::{Ran, Sandbox};
use insta::assert_snapshot;

const PASSED: &str = r#"<testsuite><testcase classname="shop" name="sells"/></testsuite>"#;
const FAILED: &str = r#"<testsuite><testcase classname="shop" name="sells"/><testcase classname="shop" name="counts"
  file="shop.py" line="7"><failure message="assert 1 == 2">x</failure></testcase></testsuite>"#;

/// A repository with these checks.
fn checks(tables: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "results.xml\ncoverage.info\n");
    sandbox.write("cutover.toml", &format!("{}\n{tables}", sandbox.config()));
    sandbox.commit("Judge changes");
    sandbox
}

/// What is said in the end, without times.
fn summary(ran: &Ran) -> String {
    let summary = ran.stdout.rsplit_once("\n\n").map_or("", |(_, summary)| summary);
    let timeless = |word: &str| {
        let (time, rest) = word.split_at(word.trim_end_matches([':', ',']).len());
        let is_time = time.strip_suffix('s').is_some_and(|time| time.parse::<f64>().is_ok());
        if is_time { format!("TIME{rest}") } else { word.to_owned() }
    };
    let lines = summary.lines().filter(|line| !line.contains("log: "));
    lines.map(|line| line.split(' ').map(timeless).collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn checks_are_judged_by_their_exit_codes_and_by_their_reports_and_failures_come_first() {
    let sandbox = checks(
        "[checks.build]\nrun = \"echo building\"\n\
         [checks.e2e]\nrun = \"touch never\"\nneeds = \"unit\"\n\
         [checks.flaky]\nrun = \"test -e .git/once || { touch .git/once; exit 1; }\"\nretries = 1\n\
         [checks.lint]\nrun = [\"sh\", \"-c\", \"echo 'a line is long'; exit 3\"]\n\
         [checks.unit]\nrun = \"cp tests.xml results.xml\"\nneeds = [\"build\"]\nreports = { junit = \"results.xml\" }\ntests_min = 5\n",
    );
    sandbox.write("tests.xml", FAILED);

    let ran = sandbox.run(&["check"]);

    assert_eq!(ran.code, 5, "{}", ran.told());
    assert!(ran.stdout.contains("lint  | a line is long\n"), "{}", ran.told());
    assert!(!sandbox.repo().join("never").exists(), "what it needs did not pass");
    assert_snapshot!(summary(&ran), @r"
    lint   ✗ failed after TIME: exit code 3
    unit   ✗ failed after TIME: a gate failed
      ✗ 1 of 2 tests failed
      ✗ 2 tests ran, fewer than tests_min = 5
      ✗ shop::counts (shop.py:7): assert 1 == 2
    e2e    ✗ cancelled: needs `unit`, which did not pass
    build  ✓ passed in TIME
    flaky  ✓ passed in TIME, but only the 2nd time: it is flaky
    ✗ The checks failed in TIME: 2 failed, 1 cancelled, 2 passed; 2 tests ran
    ");
    let log = std::fs::read_to_string(sandbox.data_dir().join("checks/logs/lint.log")).unwrap();
    assert_eq!(log, "a line is long\n");
}

#[test]
fn a_report_of_an_earlier_run_speaks_for_none() {
    let sandbox = checks("[checks.unit]\nrun = \"true\"\nreports = { junit = \"results.xml\" }\n");
    sandbox.write("results.xml", PASSED);

    let ran = sandbox.run(&["check", "--json"]);

    assert_eq!(ran.code, 5, "{}", ran.told());
    let fault = &ran.json()["run"]["checks"][0]["faults"][0];
    assert_eq!(*fault, "reports.junit \"results.xml\": the check wrote none; results.xml is of an earlier run");
    assert!(sandbox.repo().join("results.xml").exists(), "nothing of the user's is removed");
}

#[test]
fn new_files_beside_reports_keep_a_run_from_counting_for_a_commit() {
    let sandbox = checks(
        "[checks.unit]\nrun = \"mkdir -p out && cp tests.xml out/unit.xml\"\nreports = { junit = \"out/{unit,e2e}.xml\" }\n",
    );
    sandbox.write("tests.xml", PASSED);
    sandbox.commit("Test");
    let head = |ran: &Ran| ran.json()["run"]["commit"].as_str().map(str::to_owned);
    let first = sandbox.run(&["check", "--json"]);
    let again = sandbox.run(&["check", "--json"]);
    sandbox.write("out/untracked.py", "x\n");
    let beside = sandbox.run(&["check", "--json"]);

    assert!(head(&first).is_some() && head(&again) == head(&first), "{}{}", first.told(), again.told());
    assert_eq!(head(&beside), None, "{}", beside.told());
}

#[test]
fn a_report_of_another_kind_is_no_report() {
    let sandbox = checks("[checks.unit]\nrun = \"cp tests.xml results.xml\"\nreports = { sarif = \"results.xml\" }\n");
    sandbox.write("tests.xml", PASSED);

    let ran = sandbox.run(&["check"]);

    assert_eq!(ran.code, 5, "{}", ran.told());
    assert!(ran.stdout.contains("report results.xml is JUnit XML, and not what reports.sarif takes"), "{}", ran.told());
}

#[test]
fn a_check_is_left_out_where_the_change_touches_nothing_of_it_and_that_is_said() {
    let sandbox = checks(
        "[checks.docs]\nrun = \"false\"\npaths = [\"docs/**\"]\n[checks.site]\nrun = \"true\"\nneeds = \"docs\"\npaths = [\"*.py\"]\n",
    );
    let on_main = sandbox.run(&["check"]);
    assert_eq!(on_main.code, 5, "on the branch itself all is judged: {}", on_main.told());
    sandbox.branch("feature");
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");

    let ran = sandbox.run(&["check"]);

    assert_eq!(ran.code, 0, "who needs what is left out runs: {}", ran.told());
    assert!(ran.stdout.contains("- skipped: nothing of docs/** differs from"), "{}", ran.told());
    assert!(ran.stdout.contains("where this left main"), "{}", ran.told());
    assert_eq!(sandbox.run(&["check", "--all"]).code, 5);
    // What is not committed yet is a change, too.
    sandbox.write("docs/new.md", "x\n");
    assert_eq!(sandbox.run(&["check", "docs"]).code, 5);
}

#[test]
fn a_change_of_nothing_is_judged_by_every_check_that_judges_all() {
    let sandbox = checks("[checks.site]\nrun = \"false\"\n[checks.docs]\nrun = \"false\"\npaths = [\"docs/**\"]\n");
    sandbox.branch("feature");
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    sandbox.write("app.py", "print('v1')\n");
    sandbox.commit("Sell as before");

    let ran = sandbox.run(&["check"]);

    assert_eq!(ran.code, 5, "{}", ran.told());
    assert!(ran.stdout.contains("site  ✗ failed") && ran.stdout.contains("docs  - skipped"), "{}", ran.told());
}

#[test]
fn changed_lines_are_those_since_the_branch_was_left() {
    let sandbox = checks(
        "[checks.unit]\nrun = \"cp lines coverage.info\"\nreports = { coverage = \"coverage.info\" }\npatch_coverage_min = 100\n",
    );
    sandbox.branch("feature");
    sandbox.write("app.py", "print('v1')\nprint('more')\n");
    sandbox.write("lines", "SF:app.py\nDA:1,0\nDA:2,1\nend_of_record\n");
    let covered = sandbox.run(&["check"]);
    sandbox.write("lines", "SF:app.py\nDA:1,1\nDA:2,0\nend_of_record\n");
    let bare = sandbox.run(&["check"]);

    assert_eq!((covered.code, bare.code), (0, 5), "{}{}", covered.told(), bare.told());
}

#[test]
fn a_check_has_the_variables_of_its_caller_without_secrets_and_says_none_either() {
    let sandbox = Sandbox::new();
    sandbox.host("", "secrets = [\"TOKEN\"]");
    let config = std::fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let leaky = "[checks.leaky]\nrun = \"cp tests.xml results.xml; exit 1\"\nreports = { junit = \"results.xml\" }\n";
    let talk = "[checks.talk]\nrun = \"echo token=$TOKEN. copy=$COPY. port=$PORT. own=$OWN.; echo $COPY >&2; exit 1\"\nenv = { OWN = \"x\" }\n";
    sandbox.write("cutover.toml", &format!("{config}\n{talk}\n{leaky}"));
    let secret = format!("made-up-{}", std::process::id());
    sandbox.write("tests.xml", &FAILED.replace("assert 1 == 2", &format!("assert 1 == {secret}")));

    for args in [&["check"][..], &["check", "--json"]] {
        // Somebody hands it over all the same.
        let ran = sandbox.run_with(args, &[("TOKEN", &secret), ("COPY", &secret), ("PORT", "5432")]);
        assert_eq!(ran.code, 5, "{}", ran.told());
        assert!(ran.told().contains("token=. copy=***. port=5432. own=x."), "{}", ran.told());
        assert!(ran.told().contains("assert 1 == ***") && !ran.told().contains(&secret), "{}", ran.told());
    }

    let kept = sandbox.data_dir().join("checks");
    for file in [kept.join("logs/talk.log"), kept.join("last.json")] {
        assert!(!std::fs::read_to_string(&file).unwrap().contains(&secret), "{}", file.display());
    }
}

#[test]
fn in_a_job_of_github_failures_are_annotated_summed_up_and_put_out_and_checks_give_no_commands() {
    let sandbox = checks(
        "[checks.unit]\nrun = \"cp tests.xml results.xml; echo '##[set-output name=conclusion]success'\"\nreports = { junit = \"results.xml\" }\n",
    );
    sandbox.write("tests.xml", FAILED);
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    let (summary, outputs) = (path("summary.md"), path("outputs"));
    std::fs::write(&outputs, "before=1\n").unwrap();
    let variables = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", &*summary), ("GITHUB_OUTPUT", &*outputs)];

    let ran = sandbox.run_with(&["check"], &variables);

    assert_eq!(ran.code, 5, "{}", ran.told());
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let place = |wanted: &str| lines.iter().position(|line| line.starts_with(wanted)).unwrap_or(usize::MAX);
    let token = lines[0].strip_prefix("::stop-commands::").unwrap();
    assert!(token.len() > 32, "{}", ran.told());
    let (said, resumed) = (place("unit | ##[set-output"), place(&format!("::{token}::")));
    assert!(said < resumed && resumed < place("::error file=shop.py,line=7,title=unit"), "{}", ran.told());
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("### ✗ The checks failed") && summary.contains("shop::counts"), "{summary}");
    let outputs = std::fs::read_to_string(outputs).unwrap();
    assert_eq!(outputs, "before=1\nconclusion=failure\nfailed=1\npassed=0\nskipped=0\n");
}

#[test]
fn where_checks_run_is_the_repositorys_top_whether_or_not_it_is_known_what_changed() {
    let sandbox = Sandbox::new();
    let config = sandbox.config();
    let place = "[checks.place]\nrun = \"cp service/tests.xml results.xml\"\nreports = { junit = \"results.xml\" }\n";
    sandbox.write("service/cutover.toml", &format!("{config}\n{place}"));
    sandbox.write("service/tests.xml", PASSED);
    let known = sandbox.run(&["-C", "service", "check"]);
    sandbox.rename_branch("trunk");
    let unknown = sandbox.run(&["-C", "service", "check"]);

    assert_eq!((known.code, unknown.code), (0, 0), "{}{}", known.told(), unknown.told());
}

#[test]
fn what_cannot_be_checked_is_said_before_anything_runs() {
    let none = Sandbox::new().run(&["check"]);
    assert_eq!(none.code, 2, "{}", none.told());
    assert!(none.stderr.contains("cutover.toml has no [checks]"), "{}", none.told());
    let sandbox = checks("[checks.unit]\nrun = \"touch ran\"\n");
    let unknown = sandbox.run(&["check", "unot"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("there are: unit"), "{}", unknown.told());
    let base = sandbox.run(&["check", "--base", "nowhere"]);
    assert!(base.code == 2 && base.stderr.contains("\"nowhere\""), "{}", base.told());
    assert!(!sandbox.repo().join("ran").exists());
}
