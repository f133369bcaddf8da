//! Steps that several jobs have.

use super::model::{Job, Step, Uses, Work};
use super::{Place, checks, expression, token, variables};
use crate::actions::{CHECKOUT, DOWNLOAD, SETUP_NODE, SETUP_PYTHON, UPLOAD};
use crate::expression::literal;
use crate::yaml::Yaml;
use crate::{Project, scripts, shares_in_own_release, store_variables, warnings};
use cutover_core::secret::SIGNING_KEY_VARIABLE;

/// The folder of the action that puts Cutover in place.
pub(super) const LOCAL_ACTION: &str = ".github/actions/cutover";
/// Where an artifact lies on a runner, as an expression.
const PACKED: &str = "${{ runner.temp }}/cutover-artifact";
/// Where the record of checks lies that another job left.
const TAKEN: &str = "${{ runner.temp }}/cutover-checks";
/// The file's name in there.
const PACKED_FILE: &str = "artifact.cutover";
/// The secret with the private key that hosts know.
pub(super) const SSH_KEY: &str = "CUTOVER_SSH_KEY";
/// The secret with the private key that provenance is signed with.
pub(super) const SIGNING_KEY: &str = SIGNING_KEY_VARIABLE;

/// Steps on a runner, within the time that jobs have.
pub(super) fn steps(project: &Project<'_>, steps: Vec<Step>) -> Work {
    let config = &project.config.workflows;
    let labels = config.runs_on.iter().map(|label| literal(label)).collect::<Vec<_>>();
    let runs_on = if labels.is_empty() { vec!["ubuntu-latest".to_owned()] } else { labels };
    Work::Steps { runs_on, timeout: config.timeout, steps }
}

/// Fetches the repository at this ref (the run's own where it is None or empty), with its whole history or without.
pub(super) fn checkout(reference: Option<&str>, whole: bool) -> Step {
    let mut with = vec![("persist-credentials", Yaml::Switch(false))];
    if whole {
        with.push(("fetch-depth", Yaml::Number(0)));
    }
    with.extend(reference.map(|reference| ("ref", Yaml::text(expression(reference)))));
    Step { name: "Fetch the repository", uses: Some(Uses::Pinned(CHECKOUT)), with, ..Step::default() }
}

/// Puts Cutover in place.
pub(super) fn install() -> Step {
    Step { name: "Put Cutover in place", uses: Some(Uses::Local(LOCAL_ACTION)), ..Step::default() }
}

/// Versions of languages that checks and builds want.
pub(super) fn languages(project: &Project<'_>) -> Vec<Step> {
    let config = &project.config.workflows;
    let python = config.python.as_ref().map(|version| ("Provide Python", SETUP_PYTHON, "python-version", version));
    let node = config.node.as_ref().map(|version| ("Provide Node", SETUP_NODE, "node-version", version));
    let step = |(name, action, key, version): (_, _, _, &String)| Step {
        name,
        uses: Some(Uses::Pinned(action)),
        with: vec![(key, Yaml::text(literal(version)))],
        ..Step::default()
    };
    python.into_iter().chain(node).map(step).collect()
}

/// Keeps files for people and for later jobs; where there are none it is an `error`, or something to `ignore`.
pub(super) fn upload(project: &Project<'_>, name: String, path: String, missing: &str) -> Step {
    let with = vec![
        ("name", Yaml::text(name)),
        ("path", Yaml::text(path)),
        ("retention-days", Yaml::Number(project.config.workflows.retention_days.into())),
        ("if-no-files-found", Yaml::text(missing)),
        // A run that is repeated replaces what it left.
        ("overwrite", Yaml::Switch(true)),
    ];
    Step { name: "Keep it", uses: Some(Uses::Pinned(UPLOAD)), with, ..Step::default() }
}

/// Packs the artifact, once; its id is the job's output.
///
/// What the checks of the same run said goes into it, where they passed: environments may require that.
pub(super) fn build(project: &Project<'_>, reference: Option<&str>) -> Job {
    let judged = !project.config.checks.is_empty();
    let (record, checks) = match judged {
        true => ("record=$CUTOVER_CI_RECORD\n[ -e \"$record\" ] || record=\n", "${record:+--checks \"$record\"} "),
        false => ("", ""),
    };
    let run = format!(
        "{record}mkdir -p \"$CUTOVER_CI_PACKED\"\n\
         id=$(cutover build {checks}--output \"$CUTOVER_CI_PACKED/{PACKED_FILE}\")\n\
         echo \"id=$id\" >> \"$GITHUB_OUTPUT\"\necho \"Artifact \\`$id\\`\" >> \"$GITHUB_STEP_SUMMARY\"\n"
    );
    let packed = ("CUTOVER_CI_PACKED".to_owned(), PACKED.to_owned());
    let taken = ("CUTOVER_CI_RECORD".to_owned(), format!("{TAKEN}/{}", checks::RECORD_FILE));
    let pack = Step {
        name: "Pack the artifact",
        id: Some("build"),
        env: [packed]
            .into_iter()
            .chain(judged.then_some(taken))
            .chain(store_secrets(project))
            .chain(shares_in_own_release(project.config).then(token))
            .chain(signing_key(project))
            .collect(),
        run: Some(run),
        ..Step::default()
    };
    // What is said of the artifact lies beside it, and its signature where there is a key.
    let files = ["", ".intoto.json", ".intoto.json.sig"].map(|ending| format!("{PACKED}/{PACKED_FILE}{ending}\n"));
    let keep = upload(project, artifact_name("steps.build.outputs.id"), files.concat(), "error");
    // A version made from tags may be wanted by the build's command.
    let mut all = vec![checkout(reference, true), install()];
    all.extend(languages(project));
    all.extend(judged.then(take_record));
    all.extend([pack, keep]);
    Job {
        name: "build".to_owned(),
        permissions: vec![contents(project)],
        outputs: vec![("id", expression("steps.build.outputs.id"))],
        work: steps(project, all),
        ..Job::default()
    }
}

/// What a job may with the repository that puts something into the shared store of artifacts: the store may be a release there.
pub(super) fn contents(project: &Project<'_>) -> &'static str {
    if shares_in_own_release(project.config) { "contents: write" } else { "contents: read" }
}

/// What a job may that deploys, tells GitHub and the pull request of that, and notes it in the shared store.
pub(super) fn deploys(project: &Project<'_>) -> [&'static str; 3] {
    [contents(project), "deployments: write", "pull-requests: write"]
}

/// What the shared store of artifacts wants to know: secrets of the repository, since the job that packs is of no environment.
pub(super) fn store_secrets(project: &Project<'_>) -> Vec<(String, String)> {
    let names = store_variables(project.config);
    names.iter().map(|name| ((*name).to_owned(), expression(&format!("secrets.{name}")))).collect()
}

/// The key that provenance is signed with, where only what is signed is deployed.
fn signing_key(project: &Project<'_>) -> Option<(String, String)> {
    let signs = project.config.artifact.signers.is_some();
    signs.then(|| (SIGNING_KEY.to_owned(), expression(&format!("secrets.{SIGNING_KEY}"))))
}

/// Takes what the checks of this run said.
fn take_record() -> Step {
    Step {
        name: "Take what the checks said",
        condition: Some("needs.checks.result == 'success'".to_owned()),
        uses: Some(Uses::Pinned(DOWNLOAD)),
        with: vec![("name", Yaml::text(checks::RECORD_NAME)), ("path", Yaml::text(TAKEN))],
        ..Step::default()
    }
}

/// What the artifact with the id of this expression is kept as.
pub(super) fn artifact_name(id: &str) -> String {
    format!("cutover-artifact-{}", expression(id))
}

/// Takes the artifact with the id of this expression.
pub(super) fn download(id: &str) -> Step {
    let with = vec![("name", Yaml::text(artifact_name(id))), ("path", Yaml::text(PACKED))];
    Step { name: "Take the artifact", uses: Some(Uses::Pinned(DOWNLOAD)), with, ..Step::default() }
}

/// The path of the artifact, for scripts that have the variable `CUTOVER_CI_PACKED`.
pub(super) fn packed() -> (String, String) {
    ("CUTOVER_CI_PACKED".to_owned(), format!("{PACKED}/{PACKED_FILE}"))
}

impl Place<'_> {
    /// The secrets that a deployment needs, each as a variable.
    pub(super) fn secrets(&self) -> Vec<(String, String)> {
        let mut names: Vec<String> = variables(self.environment).into_iter().map(str::to_owned).collect();
        names.extend(self.key().filter(|key| !variables(self.environment).contains(&key.as_str())));
        names.into_iter().map(|name| (name.clone(), expression(&format!("secrets.{name}")))).collect()
    }

    /// The same, with what the shared store of artifacts wants to know besides.
    pub(super) fn secrets_and_store(&self, project: &Project<'_>) -> Vec<(String, String)> {
        let mut all = self.secrets();
        for (name, value) in store_secrets(project) {
            if !all.iter().any(|(known, _)| *known == name) {
                all.push((name, value));
            }
        }
        all
    }

    /// The key for hosts, where there are any.
    pub(super) fn ssh_key(&self) -> Vec<(String, String)> {
        self.key().map(|name| (name.clone(), expression(&format!("secrets.{name}")))).collect()
    }

    fn key(&self) -> impl Iterator<Item = String> + use<> {
        warnings::is_remote(self.environment).then(|| SSH_KEY.to_owned()).into_iter()
    }

    /// The variable that names the environment to scripts.
    pub(super) fn named(&self) -> (String, String) {
        ("CUTOVER_CI_ENVIRONMENT".to_owned(), self.name.to_string())
    }

    /// How many seconds to wait for the lock, for scripts: half of the job's time is left to deploy in.
    pub(super) fn patience(&self, project: &Project<'_>) -> (String, String) {
        ("CUTOVER_CI_WAIT".to_owned(), warnings::patience(project.config).to_string())
    }

    /// Sees that somebody was asked, where the config wants that: GitHub asks nobody where its settings name nobody.
    pub(super) fn see_approval(&self, project: &Project<'_>) -> Option<Step> {
        project.config.workflows.approval.contains(self.name).then(|| Step {
            name: "See that somebody was asked",
            env: vec![self.named(), token()],
            directory: project.directory.map(|_| "."),
            run: Some(scripts::APPROVAL.to_owned()),
            ..Step::default()
        })
    }

    /// What a job may that deploys here, and tells GitHub of the deployment.
    pub(super) fn rights(&self, project: &Project<'_>) -> Vec<&'static str> {
        // Who is asked, GitHub counts among what concerns actions.
        let asks = project.config.workflows.approval.contains(self.name);
        asks.then_some("actions: read").into_iter().chain(deploys(project)).collect()
    }

    /// Sees that these secrets have values, before anything else; None where there are none.
    pub(super) fn see_secrets(&self, project: &Project<'_>, secrets: &[(String, String)]) -> Option<Step> {
        let names: Vec<&str> = secrets.iter().map(|(name, _)| name.as_str()).collect();
        let hint = format!("Add them in the repository's settings: Environments, {}.", self.name);
        let own = [("CUTOVER_CI_NAMES".to_owned(), names.join(" ")), ("CUTOVER_CI_HINT".to_owned(), hint)];
        (!secrets.is_empty()).then(|| Step {
            name: "See that all secrets are there",
            env: secrets.iter().cloned().chain(own).collect(),
            // Nothing is fetched yet.
            directory: project.directory.map(|_| "."),
            run: Some(scripts::SECRETS.to_owned()),
            ..Step::default()
        })
    }
}
