//! The workflows that people start: a deployment of what they name, and the way back.

use super::deploy::{deployment, job};
use super::model::{Job, Step, Workflow};
use super::steps::{artifact_name, build, checkout, contents, deploys, install, steps, store_secrets};
use super::{Place, call_checks, expression, places, run_url, token};
use crate::Project;
use crate::expression::{literal, string};
use crate::yaml::Yaml;
use std::collections::BTreeSet;

/// Finds the run that kept an artifact, among those of this repository's own commits: a fork's run may keep anything. What a
/// branch keeps that nobody deploys from may say of checks what its own workflow likes.
const FIND: &str = r#"case $CUTOVER_CI_ARTIFACT in
  *[!0-9a-f]*) echo "An artifact's id has only 0-9 and a-f."; exit 1 ;;
esac
url="$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/artifacts?per_page=100&name=cutover-artifact-$CUTOVER_CI_ARTIFACT"
run=$(curl --fail --silent --show-error --retry 3 --max-time 60 --header "Authorization: Bearer $GITHUB_TOKEN" \
  --header "Accept: application/vnd.github+json" "$url" |
  jq --raw-output '($ENV.CUTOVER_CI_BRANCHES | split("\n")) as $branches | [.artifacts[]
    | select((.expired | not) and .workflow_run.head_repository_id == .workflow_run.repository_id)
    | select(.workflow_run.head_branch as $head | any($branches[]; . == $head))
    | .workflow_run.id][0] // empty')
if [ -z "$run" ]; then
  echo "No run of a branch that deploys, or of the default branch, has kept the artifact $CUTOVER_CI_ARTIFACT:"
  echo "it was never built there, or is too old. Nothing was deployed."
  exit 1
fi
echo "run=$run" >> "$GITHUB_OUTPUT"
"#;

/// Deploys an artifact by its id: what was taken in is found by what it holds, so another one under that name is not found.
const DEPLOY: &str = r#"cutover plan --artifact "$CUTOVER_CI_PACKED" -- "$CUTOVER_CI_ENVIRONMENT"
cutover deploy --artifact "$CUTOVER_CI_ARTIFACT" --wait="$CUTOVER_CI_WAIT" --reason="$CUTOVER_CI_REASON" \
  ${CUTOVER_CI_OVERRIDE:+--override-checks="$CUTOVER_CI_REASON"} -- "$CUTOVER_CI_ENVIRONMENT"
"#;

const ROLLBACK: &str = r#"cutover rollback --wait="$CUTOVER_CI_WAIT" --reason="$CUTOVER_CI_REASON" -- \
  "$CUTOVER_CI_ENVIRONMENT" ${CUTOVER_CI_RELEASE:+"$CUTOVER_CI_RELEASE"}
"#;

/// A deployment of an artifact, a tag, a branch or a commit. None where nothing can be deployed.
pub(super) fn deploy(project: &Project<'_>) -> Option<Workflow> {
    let places = places(project.config, "deploy");
    let first = places.first()?;
    let inputs = [
        ("environment", environments(&places, first)),
        ("artifact", input("Id of an artifact that was built before; empty: one is built", "string")),
        ("commit", input("Tag, branch or commit to build; empty: the branch that is chosen above", "string")),
        ("reason", required("Why; it goes into the history")),
    ];
    let has_checks = !project.config.checks.is_empty();
    let checked = has_checks.then(|| {
        let judge = "Judge it before, when it is built; environments with required checks refuse what was not judged";
        let whatever = "Deploy whatever the required checks say; the reason above goes into the history for it";
        [("checks", switch(judge, true)), ("override_checks", switch(whatever, false))]
    });
    let mut jobs = judged(has_checks);
    jobs.push(("build".to_owned(), built(project, has_checks)));
    jobs.extend(places.iter().map(|place| (place.job.clone(), chosen(project, place))));
    let inputs = Yaml::table(inputs.into_iter().chain(checked.into_iter().flatten()));
    Some(workflow(project, "Cutover manual deployment", inputs, jobs))
}

/// The way back. None where nothing can be deployed.
pub(super) fn rollback(project: &Project<'_>) -> Option<Workflow> {
    let places = places(project.config, "rollback");
    let first = places.first()?;
    let inputs = Yaml::table([
        ("environment", environments(&places, first)),
        ("release", input("Release to go back to; empty: the last good one", "string")),
        ("reason", required("Why; it goes into the history")),
    ]);
    let jobs = places.iter().map(|place| (place.job.clone(), taken_back(project, place)));
    Some(workflow(project, "Cutover rollback", inputs, jobs.collect()))
}

fn workflow(project: &Project<'_>, name: &'static str, inputs: Yaml, jobs: Vec<(String, Job)>) -> Workflow {
    let on = Yaml::table([("workflow_dispatch", Yaml::table([("inputs", inputs)]))]);
    Workflow { name, on, concurrency: None, directory: project.directory.map(str::to_owned), jobs }
}

fn environments(places: &[Place<'_>], first: &Place<'_>) -> Yaml {
    Yaml::table([
        ("description", Yaml::text("Which environment")),
        ("type", Yaml::text("choice")),
        ("options", Yaml::texts(places.iter().map(|place| place.name.to_string()))),
        ("default", Yaml::text(first.name.to_string())),
        ("required", Yaml::Switch(true)),
    ])
}

fn input(description: &str, kind: &str) -> Yaml {
    Yaml::table([("description", Yaml::text(description)), ("type", Yaml::text(kind))])
}

fn switch(description: &str, default: bool) -> Yaml {
    Yaml::table([
        ("description", Yaml::text(description)),
        ("type", Yaml::text("boolean")),
        ("default", Yaml::Switch(default)),
    ])
}

fn required(description: &str) -> Yaml {
    Yaml::table([
        ("description", Yaml::text(description)),
        ("type", Yaml::text("string")),
        ("required", Yaml::Switch(true)),
    ])
}

fn judged(has_checks: bool) -> Vec<(String, Job)> {
    let with = vec![("ref", expression("inputs.commit")), ("run", expression("github.run_id"))];
    let condition = Some("inputs.artifact == '' && inputs.checks".to_owned());
    has_checks.then(|| ("checks".to_owned(), Job { condition, ..call_checks(with) })).into_iter().collect()
}

fn built(project: &Project<'_>, has_checks: bool) -> Job {
    // A branch may have gone on since it was judged.
    let reference = if has_checks { "needs.checks.outputs.commit || inputs.commit" } else { "inputs.commit" };
    let (needs, condition) = match has_checks {
        true => {
            let judged = "(needs.checks.result == 'success' || !inputs.checks)";
            (vec!["checks".to_owned()], format!("!cancelled() && inputs.artifact == '' && {judged}"))
        }
        false => (Vec::new(), "inputs.artifact == ''".to_owned()),
    };
    Job { needs, condition: Some(condition), ..build(project, Some(reference)) }
}

const ID: &str = "inputs.artifact || needs.build.outputs.id";

fn chosen(project: &Project<'_>, place: &Place<'_>) -> Job {
    let mut step = deployment(project, place, reason(), DEPLOY);
    step.env.push(("CUTOVER_CI_ARTIFACT".to_owned(), expression(ID)));
    step.env.push(("CUTOVER_CI_OVERRIDE".to_owned(), expression("inputs.override_checks && 'yes' || ''")));
    let mut job = job(project, place, ID, step);
    if let super::Work::Steps { steps, .. } = &mut job.work {
        find_before_download(project, steps);
    }
    // A change that was judged and failed leaves the build out, and an artifact that is named leaves it out, too.
    let ready = "(needs.build.result == 'success' || inputs.artifact != '')";
    Job {
        needs: vec!["build".to_owned()],
        condition: Some(format!("!cancelled() && {} && {ready}", is_chosen(place))),
        permissions: ["actions: read"].into_iter().chain(deploys(project)).collect(),
        concurrency: place.queue(project),
        ..job
    }
}

fn is_chosen(place: &Place<'_>) -> String {
    format!("inputs.environment == {}", string(place.name.as_str()))
}

/// The artifact may be another run's.
fn find_before_download(project: &Project<'_>, steps: &mut Vec<Step>) {
    let find = Step {
        name: "Find the artifact",
        id: Some("find"),
        condition: Some("inputs.artifact != ''".to_owned()),
        env: vec![
            ("CUTOVER_CI_ARTIFACT".to_owned(), expression("inputs.artifact")),
            ("CUTOVER_CI_BRANCHES".to_owned(), branches(project)),
            token(),
        ],
        run: Some(FIND.to_owned()),
        ..Step::default()
    };
    let name = artifact_name(ID);
    let is_download = |step: &Step| step.with.iter().any(|(key, value)| *key == "name" && *value == Yaml::text(&name));
    if let Some(at) = steps.iter().position(is_download) {
        steps[at].with.extend([
            ("run-id", Yaml::text(expression("steps.find.outputs.run || github.run_id"))),
            ("github-token", Yaml::text(expression("github.token"))),
        ]);
        steps.insert(at, find);
    }
}

/// The branches whose runs are trusted with what they kept, a line each.
fn branches(project: &Project<'_>) -> String {
    let places = places(project.config, "deploy");
    let named: BTreeSet<&str> = places.iter().filter_map(|place| place.environment.branch.as_deref()).collect();
    let default = expression("github.event.repository.default_branch");
    [default].into_iter().chain(named.into_iter().map(literal)).collect::<Vec<_>>().join("\n")
}

fn reason() -> String {
    format!("{} ({})", expression("inputs.reason"), run_url())
}

fn taken_back(project: &Project<'_>, place: &Place<'_>) -> Job {
    let mut env = place.ssh_key();
    // What is live again is noted in the store. Nobody waits for that: a way back goes without what is missing of it.
    env.extend(store_secrets(project));
    env.extend([
        place.named(),
        place.patience(project),
        token(),
        ("CUTOVER_CI_RELEASE".to_owned(), expression("inputs.release")),
        ("CUTOVER_CI_REASON".to_owned(), reason()),
    ]);
    let back = Step { name: "Roll back", env, run: Some(ROLLBACK.to_owned()), ..Step::default() };
    let mut all: Vec<Step> = place.see_secrets(project, &place.ssh_key()).into_iter().collect();
    all.extend([checkout(None, false), install(), back]);
    Job {
        name: format!("roll back {}", place.name),
        condition: Some(is_chosen(place)),
        permissions: vec![contents(project), "deployments: write"],
        environment: Some(place.name.to_string()),
        concurrency: place.queue(project),
        work: steps(project, all),
        ..Job::default()
    }
}
