//! From pull request to production, and back.

use crate::team::{LOUNGE, TEST, Team};
use serde_json::json;
use std::thread;

/// How a pull request's run ends whose change can be tried out, and one that brings it to people.
const TRIED: &str = "build: success\nchecks: success\nchecks/checks: success\ndeploy-test: success\n";
const RELEASED: &str =
    "build: success\nchecks: success\nchecks/checks: success\ndeploy-production: success\nrelease: success\n";

/// Production, locked by somebody until this is dropped: also where a test fails, so that whoever waits for the lock ends.
struct Locked<'t>(&'t Team);

impl<'t> Locked<'t> {
    fn new(team: &'t Team) -> Self {
        team.cutover(&["lock", "production", "acquire", "--reason", "the server moves"], LOUNGE).expect(0);
        Self(team)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let released = self.0.cutover(&["lock", "production", "release"], LOUNGE);
        if !thread::panicking() {
            released.expect(0);
        }
    }
}

#[test]
fn a_change_goes_to_the_test_channel_and_to_people_and_one_that_breaks_there_comes_back_by_itself() {
    let Some(team) = Team::new("a_change_goes_to_the_test_channel_and_to_people") else { return };

    // A pull request is judged, and can be tried out in the test channel; people's channel knows nothing of it.
    let head = team.propose("greet", "VERSION", "2\n");
    let run = team.open_pull(7, "greet");
    assert_eq!(run.told(), TRIED, "{}", run.log());
    assert_eq!(team.check_runs(&head), [("cutover: bot".to_owned(), "success".to_owned())]);
    assert_eq!(team.deployments(TEST), [(head, "in_progress success".to_owned())]);
    assert_eq!(team.last_status(TEST)["environment_url"], TEST.url);
    let comment = team.comment(7);
    assert!(comment.contains("✓ The checks passed") && comment.contains("**test**: ✓ "), "{comment}");
    assert!(comment.contains(&format!("[Open]({})", TEST.url)), "{comment}");
    assert_eq!((team.greet(TEST).0.as_str(), team.configuration(TEST).as_str()), ("2", "config-test.json"));
    assert_eq!(team.deployments(LOUNGE), []);
    // Its own run has told of it, so nobody else does.
    let report = team.runner.completed(&run, &team.runner.pull_request(7, "greet", "shop/app"));
    assert_eq!(team.only(&report).told(), "report: skipped\n");

    // Merged, it goes to people, with the channel's own configuration and database; the pull request says so.
    let merged = team.merge(7, "greet");
    let run = team.only(&merged);
    assert_eq!(run.told(), RELEASED, "{}", run.log());
    assert_eq!(team.check_runs(&merged.commit), [("cutover: bot".to_owned(), "success".to_owned())]);
    assert_eq!(team.deployments(LOUNGE), [(merged.commit.clone(), "in_progress success".to_owned())]);
    assert_eq!(team.last_status(LOUNGE)["environment_url"], LOUNGE.url);
    let comment = team.comment(7);
    for section in ["✓ The checks passed", "**test**: ✓ ", "**production**: ✓ "] {
        assert!(comment.contains(section), "{section} in {comment}");
    }
    let (version, greeted) = team.greet(LOUNGE);
    assert_eq!((version.as_str(), team.configuration(LOUNGE).as_str()), ("2", "config-prod.json"));
    assert_eq!((team.databases(TEST).as_str(), team.databases(LOUNGE).as_str()), ("test.db", "prod.db"));
    // The key that pull requests deploy with opens nothing of people's channel.
    team.cutover(&["rollback", "production"], TEST).expect(7).says(&["bot was tried"]);

    // It has a version now: a tag at the commit that is live, and a release with the artifact and what is new.
    assert_eq!(team.tags(), [("v1.0.0".to_owned(), merged.commit.clone())]);
    let release = team.github.releases().remove(0);
    assert_eq!((&release["tag_name"], &release["assets"][0]["name"]), (&json!("v1.0.0"), &json!("bot-1.0.0.cutover")));
    assert!(release["body"].as_str().unwrap().contains("change VERSION"), "{release}");

    // What breaks only where people are passes all checks and the test channel.
    let typo = team.text("config-prod.json").replace(":6789", ":6790");
    team.propose("move", "config-prod.json", &typo);
    let run = team.open_pull(8, "move");
    assert_eq!(run.result, "success", "{}", run.log());
    assert_eq!(team.greet(TEST).0, "2");
    let broken = team.merge(8, "move");
    let run = team.only(&broken);

    // It is taken back: the release before is live, and remembers whom it greeted.
    assert_eq!(
        run.told(),
        RELEASED.replace("production: success\nrelease: success", "production: failure\nrelease: skipped")
    );
    assert_eq!((run.result.as_str(), team.tags().len()), ("failure", 1));
    let (again, more) = team.greet(LOUNGE);
    assert_eq!(again, "2", "{}", run.log());
    assert!(more > greeted, "{more} after {greeted}");
    // Job, deployment and comment say so, and the deployment before stays the active one.
    assert!(run.jobs["deploy-production"].log.contains("Connection refused"), "{}", run.log());
    let states = team.deployments(LOUNGE);
    let before = (merged.commit, "in_progress success".to_owned());
    assert_eq!(states, [before, (broken.commit, "in_progress failure".to_owned())]);
    let status = team.last_status(LOUNGE);
    let described = status["description"].as_str().unwrap();
    assert!(described.starts_with("rolled back after ") && described.ends_with(" is live and healthy"), "{status}");
    let comment = team.comment(8);
    assert!(comment.contains("**test**: ✓ ") && comment.contains("**production**: ✗ rolled back after "), "{comment}");
    assert!(comment.contains("not healthy within 6s: ") && comment.contains("Connection refused"), "{comment}");
    assert_eq!(team.comment(7).matches("**production**: ✓ ").count(), 1);
}

#[test]
fn a_change_that_fails_its_checks_goes_nowhere_and_the_mended_one_is_told_in_the_same_comment() {
    let Some(team) = Team::new("a_change_that_fails_its_checks_goes_nowhere") else { return };
    let broken = team.propose("names", "config-test.json", "{");
    let run = team.open_pull(7, "names");
    let jobs = "build: skipped\nchecks: failure\nchecks/checks: failure\ndeploy-test: skipped\n";
    assert_eq!(run.told(), jobs, "{}", run.log());
    assert_eq!(team.check_runs(&broken), [("cutover: bot".to_owned(), "failure".to_owned())]);
    let comment = team.comment(7);
    assert!(comment.contains("✗ The checks failed") && comment.contains("| configs | ✗"), "{comment}");
    assert_eq!(team.deployments(TEST), []);

    team.write("config-test.json", &team.git(&["show", "main:config-test.json"]));
    let mended = team.commit("fix: mend the names");
    let run = team.push_pull(7, "names");

    assert_eq!(run.told(), TRIED, "{}", run.log());
    assert_eq!(team.check_runs(&mended), [("cutover: bot".to_owned(), "success".to_owned())]);
    let comment = team.comment(7);
    assert!(comment.contains("✓ The checks passed") && comment.contains("**test**: ✓ "), "{comment}");
    assert!(!comment.contains("failed") && comment.contains(&format!("`{}`", &mended[..7])), "{comment}");
    assert_eq!(team.deployments(TEST), [(mended, "in_progress success".to_owned())]);
}

#[test]
fn two_merges_at_once_queue_and_both_are_deployed_in_their_order() {
    let Some(team) = Team::new("two_merges_at_once_queue_and_both_are_deployed_in_their_order") else { return };
    let proposed = [(7, "VERSION", "2\n"), (8, "motd.txt", "be kind\n")];
    for (number, file, text) in proposed {
        let head = team.propose(file, file, text);
        team.github.open_pull(number, "shop", file, &head);
    }
    // Given somebody who has locked production for a while, when two are merged at once,
    let locked = Locked::new(&team);
    let first = team.merge(7, "VERSION");
    let line = "cutover-deploy-refs/heads/main";
    let team = &team;
    let (one, second, two) = thread::scope(|scope| {
        let one = scope.spawn(|| team.only(&first));
        team.await_waiting(LOUNGE, 1);
        let second = team.merge(8, "motd.txt");
        let push = second.clone();
        let two = scope.spawn(move || team.only(&push));
        // then the first waits for the lock on the machine, and the second for the first,
        team.runner.await_line(line, 2);
        assert_eq!(team.deployments(LOUNGE), []);
        drop(locked);
        (one.join().unwrap(), second, two.join().unwrap())
    });

    // and both are deployed, one after the other, and neither is cancelled.
    for run in [one, two] {
        assert_eq!(run.told(), RELEASED, "{}", run.log());
    }
    let subjects = team.history(LOUNGE).iter().map(|one| one["subject"].clone()).collect::<Vec<_>>();
    assert_eq!(subjects, ["Merge pull request #7 from VERSION", "Merge pull request #8 from motd.txt"]);
    let first = first.commit;
    let replaced = (first.clone(), "in_progress success inactive".to_owned());
    assert_eq!(team.deployments(LOUNGE), [replaced, (second.commit.clone(), "in_progress success".to_owned())]);
    assert_eq!(team.greet(LOUNGE).0, "2");
    let versions =
        [("v1.0.0", &first), ("v1.1.0", &second.commit)].map(|(tag, commit)| (tag.to_owned(), commit.clone()));
    assert_eq!(team.tags(), versions);
    for pull in [7, 8] {
        assert!(team.comment(pull).contains("**production**: ✓ "), "{}", team.comment(pull));
    }

    // What somebody takes back by hand is a deployment of what was before, with a reason.
    let back = team.runner.dispatch("main", json!({ "environment": "production", "reason": "it is rude" }));
    let run = team.runner.run(".github/workflows/cutover-rollback.yml", &back);
    assert_eq!(run.told(), "rollback-production: success\nrollback-test: skipped\n", "{}", run.log());
    let commits = team.deployments(LOUNGE).into_iter().map(|(commit, states)| (commit == first, states));
    let replaced = "in_progress success inactive".to_owned();
    let states = [(true, replaced.clone()), (false, replaced), (true, "in_progress success".to_owned())];
    assert_eq!(commits.collect::<Vec<_>>(), states);
    let last = team.history(LOUNGE).pop().unwrap();
    assert_eq!(last["reason"], format!("it is rude (https://github.com/shop/app/actions/runs/{})", run.number));
}
