//! Actions that put Cutover on a runner: one in the user's repository, and the one of Cutover's own.

use super::marked;
use super::model::Step;
use super::steps::LOCAL_ACTION;
use crate::expression::literal;
use crate::yaml::{Yaml, document};
use crate::{File, Project, scripts};

/// The action of the user's repository, which all jobs use.
pub(super) fn local(project: &Project<'_>) -> File {
    let step = match &project.config.workflows.download {
        Some(download) => {
            // Runners that are kept have it already the next time; the digest is a plain word.
            let bin = format!("~/.cache/cutover/bin/{}", download.sha256);
            install(literal(&download.url), download.sha256.clone(), &bin, &bin)
        }
        None => Step {
            name: "See that Cutover is there",
            shell: Some("bash"),
            run: Some(scripts::FIND.to_owned()),
            ..Step::default()
        },
    };
    let action = Yaml::table([
        ("name", Yaml::text("Cutover")),
        ("description", Yaml::text("Puts Cutover in place")),
        ("runs", composite(&[step])),
    ]);
    File { path: format!("{LOCAL_ACTION}/action.yml"), text: marked(project, &action) }
}

/// The action in Cutover's own repository, for workflows that people write themselves.
pub fn project_action() -> String {
    let input = |description: &str, more: (&str, Yaml)| Yaml::table([("description", Yaml::text(description)), more]);
    let required = || ("required", Yaml::Switch(true));
    let arguments = "What Cutover does: arguments in one line, or one in each line where they have spaces. \
                     Absent: Cutover is put on the PATH, and that is all";
    let inputs = [
        ("url", input("Where the binary of Cutover is", required())),
        ("sha256", input("What the binary must be", required())),
        ("args", input(arguments, ("default", Yaml::text("")))),
    ];
    let run = Step {
        name: "Run Cutover",
        condition: Some("inputs.args != ''".to_owned()),
        env: vec![("ARGS".to_owned(), "${{ inputs.args }}".to_owned())],
        shell: Some("bash"),
        run: Some(RUN.to_owned()),
        ..Step::default()
    };
    let [url, sha256] = ["url", "sha256"].map(|input| format!("${{{{ inputs.{input} }}}}"));
    let install = install(url, sha256, "\"$RUNNER_TEMP/cutover-bin\"", "\"$bin\"");
    // What is added to the PATH is a directory of the runner's own, whatever the inputs are.
    let install = Step { note: Some("zizmor: ignore[github-env]"), ..install };
    let action = Yaml::table([
        ("name", Yaml::text("Cutover")),
        ("description", Yaml::text("From git push to healthy in production, and back by itself when it is not")),
        ("inputs", Yaml::table(inputs)),
        ("runs", composite(&[install, run])),
    ]);
    format!("# Made from crates/workflows by `./dev docs`.\n{}", document(&action))
}

/// Splits arguments without a shell having a look at what is in them.
const RUN: &str = r#"ARGS=${ARGS%$'\n'}
case $ARGS in
  *$'\n'*) mapfile -t arguments <<< "$ARGS" ;;
  *) read -r -a arguments <<< "$ARGS" ;;
esac
cutover "${arguments[@]}"
"#;

/// Puts Cutover into a directory, and that, as it is written there, on the `PATH`.
fn install(url: String, sha256: String, bin: &str, written: &str) -> Step {
    let end = format!("echo {written} >> \"$GITHUB_PATH\"\n\"$bin/cutover\" --version\n");
    let run = format!("bin={bin}\n{}{end}", scripts::INSTALL);
    Step {
        name: "Put Cutover in place",
        env: vec![("CUTOVER_URL".to_owned(), url), ("CUTOVER_SHA256".to_owned(), sha256)],
        shell: Some("bash"),
        run: Some(run),
        ..Step::default()
    }
}

fn composite(steps: &[Step]) -> Yaml {
    let steps = Yaml::List(steps.iter().map(Step::yaml).collect());
    Yaml::table([("using", Yaml::text("composite")), ("steps", steps)])
}
