//! What is rendered from a config. After a change here `./dev workflows` shows it to those who know.

use cutover_core::config::Config;
use cutover_testkit::yaml;
use cutover_workflows::yaml::{Yaml, document};
use cutover_workflows::{File, GITHUB_PATHS, GITLAB_PATHS, Project, Rendered, github, gitlab};
use serde_json::Value;

const SMALL: &str = include_str!("../../../tools/workflows/samples/small.toml");
const LARGE: &str = include_str!("../../../tools/workflows/samples/large.toml");
const HOSTILE: &str = include_str!("../../../tools/workflows/samples/hostile.toml");
const BARE: &str = include_str!("../../../tools/workflows/samples/bare.toml");

fn rendered(text: &str, render: fn(&Project<'_>) -> Rendered) -> Rendered {
    let config = Config::parse(text).unwrap_or_else(|found| panic!("{found:#?}"));
    render(&Project { config: &config, directory: None })
}

fn all(text: &str) -> Vec<File> {
    [rendered(text, github).files, rendered(text, gitlab).files].concat()
}

fn shown(files: &[File]) -> String {
    files.iter().map(|file| format!("=== {}\n{}", file.path, file.text)).collect()
}

/// The jobs of all workflows for GitHub, by file and id.
fn jobs(text: &str) -> Vec<(String, Value)> {
    let files = rendered(text, github).files;
    let workflows = files.iter().filter(|file| file.path.starts_with(".github/workflows/"));
    let of = |file: &File| {
        let jobs = yaml(&file.text)["jobs"].as_object().cloned().unwrap_or_default();
        jobs.into_iter().map(|(id, job)| (format!("{} {id}", file.path), job)).collect::<Vec<_>>()
    };
    workflows.flat_map(of).collect()
}

/// Every value of a key, wherever it stands.
fn values<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    found.extend(value.get(key));
    value.as_object().into_iter().flatten().for_each(|(_, nested)| values(nested, key, found));
    value.as_array().into_iter().flatten().for_each(|nested| values(nested, key, found));
}

#[test]
fn a_small_config_at_github() {
    insta::assert_snapshot!(shown(&rendered(SMALL, github).files));
}

#[test]
fn a_small_config_at_gitlab() {
    insta::assert_snapshot!(shown(&rendered(SMALL, gitlab).files));
}

#[test]
fn a_config_with_everything_at_github() {
    insta::assert_snapshot!(shown(&rendered(LARGE, github).files));
}

#[test]
fn a_config_with_everything_at_gitlab() {
    insta::assert_snapshot!(shown(&rendered(LARGE, gitlab).files));
}

#[test]
fn what_will_not_work_is_said() {
    let said = |text: &str| {
        let mut all = rendered(text, github).warnings;
        let others = rendered(text, gitlab).warnings;
        all.extend(others.into_iter().filter(|warning| !all.contains(warning)).collect::<Vec<_>>());
        all.join("\n")
    };
    insta::assert_snapshot!(said(SMALL), @"GitLab keeps only what lies in the repository, so not all of the cache of tests");
    insta::assert_snapshot!(said(LARGE), @r"
    pull requests will not get to test: `signers` are named, and what is built before anybody has looked at it is not signed; take `pull_requests` out, and deploy there from a branch
    the secret OTHER of production comes from a command, which finds on a runner what the repository and the runner have
    pushes to main do not wait for each other, since another environment of it is in `approval`: staging gets them in the order in which their checks end; give one of the two a branch of its own
    nothing is released by GitLab's pipeline: `cutover release production` makes the tag
    GitLab keeps only what lies in the repository, so not all of the cache of lint
    GitLab's jobs have the Python and the Node of their image, whatever the config says
    ");
    let alike = "name = \"x\"\n[environments.a]\nsecrets = [\"GITHUB_KEY\"]\nhosts.x = \"web\"\n[environments.A]\n\
                 secrets = { KEY = { file = \"key\" } }\n[targets.x.host]\ndeploy_to = \"/opt/x\"\n";
    let config = Config::parse(alike).unwrap_or_else(|found| panic!("{found:#?}"));
    let at_github = github(&Project { config: &config, directory: None }).warnings;
    insta::assert_snapshot!(at_github.join("\n"), @r"
    there are no checks in cutover.toml, so nothing judges a change before it is deployed
    url and sha256 are not set under [workflows], so Cutover must be on the runner already
    the secret KEY of A comes from a file that a runner does not have
    hosts of a cannot be reached: their keys are not in [ssh.host_keys], and a runner knows none; `cutover setup a` pins them
    there can be no secret called GITHUB_KEY, which a needs: none may begin with GITHUB_, and CUTOVER_CI_ is what these workflows call their own
    GitHub takes the environments A and a for one: rename one of them
    ");
}

#[test]
fn a_deployment_to_the_runner_itself_is_warned_of_unless_the_runner_is_ones_own() {
    let here = format!("{SMALL}\n[environments.here]\nhosts.api = [\"localhost\"]\n");
    let warned = |text: &str| {
        rendered(text, github)
            .warnings
            .iter()
            .any(|warning| warning.contains("here would be deployed to the runner itself"))
    };
    assert!(warned(&here));
    let runs_on = |labels: &str| here.replace("[workflows]", &format!("[workflows]\nruns_on = {labels}"));
    assert!(!warned(&runs_on("\"own\"")));
    assert!(!warned(&runs_on("[\"self-hosted\", \"ubuntu-24.04\"]")));
    assert!(warned(&runs_on("\"ubuntu-24.04\"")), "GitHub's own are thrown away by whatever name");
    assert!(!warned(&here.replace("localhost", "web-9")));
}

#[test]
fn a_store_that_is_a_directory_is_warned_of_unless_the_runners_are_ones_own() {
    let there = format!("{SMALL}\n[artifact.store]\ndirectory = \"/srv/artifacts\"\n");
    let warned = |text: &str| {
        [github, gitlab].map(|render| {
            let is_it = |warning: &String| warning.contains("the artifact store is the directory /srv/artifacts");
            rendered(text, render).warnings.iter().any(is_it)
        })
    };
    assert_eq!(warned(&there), [true, true]);
    assert_eq!(warned(&there.replace("[workflows]", "[workflows]\nruns_on = \"own\"")), [false, false]);
    assert_eq!(warned(&there.replace("directory = \"/srv/artifacts\"", "github = {}")), [false, false]);
    // Where nothing is deployed, nothing is packed.
    let judged = "name = \"x\"\n[checks.a]\nrun = \"true\"\n[artifact.store]\ndirectory = \"/srv/artifacts\"\n";
    assert_eq!(warned(judged), [false, false]);
}

#[test]
fn only_what_the_config_asks_for_is_rendered() {
    let paths = |text: &str| rendered(text, github).files.into_iter().map(|file| file.path).collect::<Vec<_>>();
    assert_eq!(paths(BARE), Vec::<String>::new());
    let checked = format!("{BARE}\n[checks.a]\nrun = \"true\"\n");
    let report = ".github/workflows/cutover-report.yml";
    assert_eq!(paths(&checked), [".github/actions/cutover/action.yml", ".github/workflows/cutover-checks.yml", report]);
    assert_eq!(paths(LARGE).len(), GITHUB_PATHS.len());
    assert!(paths(LARGE).iter().all(|path| GITHUB_PATHS.contains(&path.as_str())));
    assert_eq!((rendered(BARE, gitlab).files, rendered(&checked, gitlab).files.len()), (Vec::new(), 1));
    assert_eq!(rendered(LARGE, gitlab).files[0].path, GITLAB_PATHS[0]);
}

#[test]
fn pull_requests_are_judged_where_the_environment_for_them_has_no_hosts() {
    let text = "name = \"x\"\n[checks.a]\nrun = \"true\"\n[environments.test]\n[workflows]\npull_requests = \"test\"\n";
    let found = rendered(text, github);
    let checks = yaml(&found.files[1].text);
    assert!(checks["on"].as_object().is_some_and(|on| on.contains_key("pull_request")), "{}", found.files[1].text);
    assert!(
        found.warnings.contains(&"nothing is deployed to test: it has no hosts".to_owned()),
        "{:?}",
        found.warnings
    );
}

#[test]
fn every_file_is_marked_and_the_same_each_time() {
    for text in [SMALL, LARGE, HOSTILE, BARE] {
        let files = all(text);
        let mark = "# Written by `cutover workflows` from cutover.toml. Change that, and run it again.";
        assert!(files.iter().all(|file| file.text.lines().next() == Some(mark)));
        assert_eq!(files, all(text));
    }
}

#[test]
fn no_script_has_a_text_of_the_config_or_an_expression() {
    // The one thing that differs between scripts is a digest, of which 64 digits are all that there can be.
    let scripts = |text: &str| {
        let files = rendered(text, github).files;
        let read: Vec<Value> = files.iter().map(|file| yaml(&file.text)).collect();
        let mut steps = Vec::new();
        read.iter().for_each(|value| values(value, "steps", &mut steps));
        let runs = steps.into_iter().flat_map(|steps| steps.as_array().into_iter().flatten()).map(|step| &step["run"]);
        let texts = runs.filter_map(Value::as_str).map(str::to_owned);
        texts.collect::<std::collections::BTreeSet<_>>()
    };
    let known = scripts(LARGE);
    assert!(known.len() > 7, "{known:#?}");
    for script in scripts(HOSTILE) {
        assert!(known.contains(&script), "{script}");
        assert!(!script.contains("${{"), "{script}");
    }
}

#[test]
fn no_key_stands_twice_in_a_table_whatever_secrets_are_called() {
    for file in all(HOSTILE) {
        // Keys of the tables that are open, by how far they stand in.
        let mut open: Vec<(usize, Vec<&str>)> = Vec::new();
        let mut script = None;
        for line in file.text.lines().filter(|line| !line.trim().is_empty()) {
            let content = line.trim_start().trim_start_matches("- ");
            let at = line.len() - content.len();
            if script.is_some_and(|script| at > script) {
                continue;
            }
            script = (line.ends_with(" |") || line.ends_with(" |-")).then_some(at);
            open.retain(|(depth, _)| *depth < at || *depth == at && !line.trim_start().starts_with("- "));
            let Some((key, _)) = content.split_once(':') else { continue };
            if open.last().is_none_or(|(depth, _)| *depth < at) {
                open.push((at, Vec::new()));
            }
            let keys = &mut open.last_mut().expect("one was just opened").1;
            assert!(!keys.contains(&key), "{}: {key} stands twice: {line}", file.path);
            keys.push(key);
        }
    }
}

#[test]
fn a_job_of_any_config_says_what_it_may_and_how_long() {
    for (id, job) in [SMALL, LARGE, HOSTILE, BARE].into_iter().flat_map(jobs) {
        let permissions = job["permissions"].as_object().unwrap_or_else(|| panic!("{id} says nothing of permissions"));
        // What tells GitHub may write there, and nothing else may be written.
        // Who releases writes tags and releases, and has nothing that others have.
        let released = job["permissions"] == serde_json::json!({ "contents": "write" });
        let is_release = id == ".github/workflows/cutover-deploy.yml release";
        assert_eq!(released, is_release, "{id}");
        assert!(!released || !job.to_string().contains("secrets.") && job["environment"].is_null(), "{id}: {job}");
        if released {
            continue;
        }
        let told = ["checks", "deployments", "pull-requests"];
        assert!(permissions.iter().all(|(scope, level)| level == "read" || told.contains(&scope.as_str())), "{id}");
        let may_tell = permissions.values().any(|level| level == "write");
        assert_eq!(may_tell, job["uses"].is_string() || job.to_string().contains("GITHUB_TOKEN"), "{id}");
        assert!(job["uses"].is_string() || job["timeout-minutes"].is_u64(), "{id}");
    }
}

#[test]
fn whatever_changes_an_environment_waits_in_one_line_and_is_never_cancelled() {
    let groups_of = |name: &str| {
        let changing = jobs(LARGE).into_iter().filter(|(_, job)| job["environment"]["name"] == *name);
        changing.map(|(_, job)| job["concurrency"].clone()).collect::<Vec<Value>>()
    };
    let groups = groups_of("staging");
    assert_eq!(groups.len(), 3, "a push, a person's deployment, a rollback");
    let line =
        serde_json::json!({ "group": "cutover-environment-staging", "cancel-in-progress": false, "queue": "max" });
    assert!(groups.iter().all(|group| *group == line), "{groups:?}");
    // A person is asked for production, whose answer no way back must wait for: the line is Cutover's own there.
    assert_eq!(groups_of("production"), [Value::Null, Value::Null, Value::Null]);
}

#[test]
fn a_secret_goes_only_to_the_environment_that_has_it() {
    for (id, job) in jobs(LARGE) {
        let text = job.to_string();
        let of_store = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CUTOVER_SIGNING_KEY"];
        let text = of_store.iter().fold(text, |text, name| text.replace(&format!("secrets.{name}"), ""));
        let has_secret = text.contains("secrets.");
        let wants_secret = ["production", "staging", "test"].iter().any(|name| job["environment"]["name"] == *name);
        // The hosts of `test` are this machine, so its rollback needs no key.
        assert_eq!(has_secret, wants_secret && !id.ends_with("rollback-test"), "{id}");
        let is_staging = job["environment"]["name"] == "staging";
        assert!(!is_staging || !job.to_string().contains("PRODUCTION_TOKEN"), "{id}");
    }
}

#[test]
fn the_shared_store_is_open_to_what_packs_deploys_and_rolls_back_and_the_signing_key_is_with_what_packs() {
    for (id, job) in jobs(LARGE) {
        let has = |name: &str| job.to_string().contains(&format!("secrets.{name}"));
        let packs = id.ends_with(" build") && !is_of_pull_request(&id);
        let deploys = job["environment"].is_object() && !is_of_pull_request(&id);
        assert_eq!(has("AWS_SECRET_ACCESS_KEY"), packs || deploys, "{id}");
        assert_eq!(has("CUTOVER_SIGNING_KEY"), packs, "{id}");
    }
    for (id, job) in jobs(SMALL) {
        assert!(!job.to_string().contains("AWS_") && !job.to_string().contains("SIGNING"), "{id}");
    }
}

/// The same config, whose artifacts are shared in a release at GitHub.
fn with_release(text: &str, keys: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("store.s3")).unwrap_or_else(|| panic!("it has a bucket"));
    text.replace(line, &format!("store.github = {{ {keys} }}"))
}

#[test]
fn what_packs_deploys_and_rolls_back_may_write_to_the_repository_when_its_release_is_the_store_and_nothing_else_may() {
    for (id, job) in jobs(&with_release(LARGE, "")) {
        let packs = id.ends_with(" build") && !is_of_pull_request(&id);
        let deploys = job["environment"].is_object() && !is_of_pull_request(&id);
        let releases = id.ends_with(" release");
        let has_token = job.to_string().contains("\"GITHUB_TOKEN\":\"${{ github.token }}\"");
        let expected = if packs || deploys || releases { "write" } else { "read" };
        assert_eq!(job["permissions"]["contents"], expected, "{id}");
        assert!(has_token || !(packs || deploys), "{id}");
        assert!(!job.to_string().contains("AWS_") && !job.to_string().contains("CUTOVER_ARTIFACTS_TOKEN"), "{id}");
    }
}

#[test]
fn what_nobody_has_looked_at_gets_nothing_that_opens_the_store_or_signs() {
    let another = with_release(LARGE, "repository = \"shop/artifacts\"");
    for text in [LARGE.to_owned(), with_release(LARGE, ""), another] {
        let all = jobs(&text).into_iter().filter(|(id, _)| is_of_pull_request(id)).collect::<Vec<_>>();
        assert_eq!(all.len(), 3, "it judges, packs and deploys");
        for (id, job) in all {
            assert_eq!(job["permissions"]["contents"], "read", "{id}");
            for secret in ["AWS_", "CUTOVER_ARTIFACTS_TOKEN", "CUTOVER_SIGNING_KEY"] {
                assert!(!job.to_string().contains(secret), "{id}: {secret}");
            }
            assert!(!id.ends_with(" build") || !job.to_string().contains("GITHUB_TOKEN"), "{id}");
        }
    }
}

/// Whether the job runs what a pull request brings.
fn is_of_pull_request(id: &str) -> bool {
    id.contains("cutover-pull-request.yml")
}

#[test]
fn a_release_of_another_repository_has_a_token_of_its_own_and_nothing_is_written_to_this_one() {
    for (id, job) in jobs(&with_release(LARGE, "repository = \"shop/artifacts\"")) {
        let packs = id.ends_with(" build") && !is_of_pull_request(&id);
        let deploys = job["environment"].is_object() && !is_of_pull_request(&id);
        assert_eq!(job.to_string().contains("secrets.CUTOVER_ARTIFACTS_TOKEN"), packs || deploys, "{id}");
        assert!(job["permissions"]["contents"] == "read" || id.ends_with(" release"), "{id}");
    }
    let warned = |keys: &str| rendered(&with_release(LARGE, keys), gitlab).warnings.join("\n");
    assert!(
        warned("").contains("CUTOVER_ARTIFACTS_TOKEN")
            && !warned("repository = \"shop/a\"").contains("a release at GitHub")
    );
}

#[test]
fn whoever_speaks_for_a_fork_runs_nothing_of_it() {
    for (text, judged) in [(SMALL, "Cutover checks"), (LARGE, "Cutover pull request")] {
        let files = rendered(text, github).files;
        let report = files.iter().find(|file| file.path.ends_with("cutover-report.yml"));
        let report = yaml(&report.map(|file| file.text.clone()).unwrap_or_default());
        assert_eq!(report["on"]["workflow_run"]["workflows"][0], judged);
        assert!(files.iter().any(|file| yaml(&file.text)["name"] == judged), "there is such a workflow");
        let steps = report["jobs"]["report"]["steps"].as_array().cloned().unwrap_or_default();
        assert!(steps[0]["with"].get("ref").is_none(), "what is fetched is the default branch");
        let condition = report["jobs"]["report"]["if"].as_str().unwrap_or_default();
        assert!(condition.contains("head_repository.full_name != github.repository"), "{condition}");
    }
}

#[test]
fn hostile_texts_come_out_as_they_went_in() {
    let files = rendered(HOSTILE, github).files;
    let read = |path: &str| {
        yaml(&files.iter().find(|file| file.path.ends_with(path)).map(|file| file.text.clone()).unwrap_or_default())
    };
    let url = &read("action.yml")["runs"]["steps"][0]["env"]["CUTOVER_URL"];
    assert_eq!(url, "https://example.org/'$(id)'?a=${{ '${{' }}github.token}}&b=\"c\"#d");
    let deploy = read("cutover-deploy.yml");
    let condition = deploy["jobs"]["deploy-null"]["if"].as_str().unwrap_or_default();
    assert_eq!(condition, "${{ github.ref_name == 'a''||true||''${{github.token}}\"`$(id)`;#' }}");
    assert_eq!(deploy["jobs"]["deploy-null"]["environment"]["name"], "null", "a text");
    assert!(deploy["jobs"]["deploy-1_0-2"].is_object(), "two names that would be the same job");
    // The emitter is not asked about itself: another reader reads it.
    assert_eq!(yaml(&document(&Yaml::table([("a", Yaml::text("null"))])))["a"], "null");
}
