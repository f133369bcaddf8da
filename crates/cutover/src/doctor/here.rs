//! What is needed on the machine that deploys.

use super::{Ward, artifacts};
use crate::context::Context;
use crate::deployments::{Gone, Variables};
use crate::error::CommandError;
use cutover_child::{Git, withhold_own};
use cutover_core::config::EnvironmentConfig;
use cutover_core::id::EnvironmentName;
use cutover_targets::doctor::Finding;
use std::path::Path;
use std::process::{Command, Stdio};

/// The most that git is heard of, in bytes: a hash.
const ANSWER_BYTES_MAX: u64 = 4096;
/// The programs that Cutover itself runs here, how each says its version, and what it is for.
const PROGRAMS: [(&str, &str, &str); 2] = [("git", "--version", "packs commits"), ("ssh", "-V", "reaches hosts")];

/// This machine, whatever the environment.
pub(super) fn machine(context: &Context) -> Result<Ward, CommandError> {
    let mut findings = vec![Finding::fine("config", format!("{} is sound", context.project()?.file.display()))];
    findings.extend(PROGRAMS.map(|(name, flag, what_for)| program(name, flag, what_for)));
    findings.push(repository(context)?);
    findings.extend(artifacts::examine(context)?);
    Ok(Ward { environment: None, host: None, reached: true, findings })
}

fn program(name: &str, flag: &str, what_for: &str) -> Finding {
    let mut command = Command::new(name);
    withhold_own(&mut command).arg(flag).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Finding::fine(name, format!("is there, which {what_for}")),
        Ok(_) | Err(_) => Finding::failed(name, format!("does not run, and it {what_for}"), format!("install {name}")),
    }
}

fn repository(context: &Context) -> Result<Finding, CommandError> {
    let dir = &context.project()?.dir;
    let found = dir.ancestors().any(|dir| dir.join(".git").exists());
    Ok(if found {
        commit(dir)
    } else {
        let what = format!("{} is in no git repository", dir.display());
        Finding::warning(
            "repository",
            what,
            "`git init`, and commit; or deploy what was built elsewhere: --artifact FILE",
        )
    })
}

/// Whether there is a commit. What git says instead, for want of trust in the directory for example, is told as it is.
fn commit(dir: &Path) -> Finding {
    let asked = Git::in_dir(dir).answer(&["rev-parse", "--verify", "HEAD"], ANSWER_BYTES_MAX);
    let said = match asked.and_then(|answer| answer.into_text("rev-parse")) {
        Ok(_) => return Finding::fine("repository", "a commit can be deployed"),
        Err(error) => error.detail,
    };
    // git-rev-parse(1): what it says where HEAD leads to no commit yet.
    if said.contains("Needed a single revision") {
        let what = "has no commit yet: only what is committed is deployed";
        return Finding::warning("repository", what, "`git add --all`, and `git commit`");
    }
    Finding::warning("repository", format!("git cannot say what is committed: {said}"), "put right what git says")
}

/// Whether an environment's secrets are to be had.
pub(super) fn environment(
    context: &Context,
    name: &EnvironmentName,
    environment: &EnvironmentConfig,
) -> Result<Ward, CommandError> {
    let secrets = match Variables::resolve(name.as_str(), environment, &context.project()?.dir) {
        Ok(variables) => {
            let short = variables.too_short();
            let warn = |name: &str| {
                let what = format!("secret {name} is too short to be hidden in logs");
                Finding::warning("secrets", what, "give it more characters")
            };
            let warnings: Vec<Finding> = short.iter().map(|name| warn(name)).collect();
            let count = environment.secrets.len();
            if warnings.is_empty() {
                vec![Finding::fine("secrets", format!("all {count} are there"))]
            } else {
                warnings
            }
        }
        Err(error) => {
            let fix = "`secrets` of the environment says where each comes from: a variable of yours to set, a file or a command";
            vec![Finding::failed("secrets", error.to_string(), fix)]
        }
    };
    let gone = Gone::from(context, name);
    let gone = gone.iter().map(|gone| Finding::warning("gone", gone.what(), gone.fix(name)));
    let findings = secrets.into_iter().chain(gone).collect();
    Ok(Ward { environment: Some(name.clone()), host: None, reached: true, findings })
}
