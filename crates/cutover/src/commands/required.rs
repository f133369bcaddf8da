//! Whether an artifact has passed the checks that an environment requires.

use crate::checks::KnownChecks;
use crate::context::Context;
use crate::depot;
use crate::error::{CommandError, ErrorKind};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use cutover_artifacts::Artifact;
use cutover_core::check::{CommitChecks, Lacking};

/// Whether required checks count.
#[derive(Debug, Args)]
pub(crate) struct OverrideArgs {
    /// Deploy although required checks did not pass; the reason goes into the history
    #[arg(long, value_name = "REASON", value_parser = NonEmptyStringValueParser::new())]
    override_checks: Option<String>,
}

impl OverrideArgs {
    /// Refuses an artifact whose commit has not passed what the environment requires. Where that is overridden, gives what the
    /// history shall say: which checks were missing, and why that did not matter.
    pub(crate) fn judge(
        &self,
        context: &Context,
        environment: &str,
        artifact: &Artifact,
    ) -> Result<Option<String>, CommandError> {
        let lacking = lacking(context, environment, artifact)?;
        if lacking.is_empty() {
            return Ok(None);
        }
        match &self.override_checks {
            Some(reason) => Ok(Some(format!("checks overridden ({}): {reason}", listed(&lacking)))),
            None => Err(refusal(environment, artifact, &lacking)),
        }
    }
}

/// The required checks that the artifact's commit has not passed, as far as is known here or where it was built.
pub(super) fn lacking(context: &Context, environment: &str, artifact: &Artifact) -> Result<Vec<Lacking>, CommandError> {
    let (_, config) = context.environment(environment)?;
    if config.required_checks.is_empty() {
        return Ok(Vec::new());
    }
    let record = &artifact.record;
    let mut known = CommitChecks::default();
    // What is not committed was judged by nobody.
    if !record.dirty {
        known.merge(record.checks.clone());
        known.merge(KnownChecks::of(&context.project()?.data_dir).get(&record.commit));
        known.merge(depot::checks(context, &record.commit));
    }
    Ok(known.lacking(&config.required_checks))
}

fn refusal(environment: &str, artifact: &Artifact, lacking: &[Lacking]) -> CommandError {
    let commit = super::words::commit(&artifact.record.commit, artifact.record.dirty);
    let names: Vec<&str> = lacking.iter().map(|lacking| lacking.check.as_str()).collect();
    let hint = if artifact.record.dirty {
        "commit first: checks judge commits".to_owned()
    } else {
        format!(
            "`cutover check --all {}` runs them, with that commit checked out and nothing else uncommitted or new beside it; \
             --override-checks REASON deploys it all the same, and the history says so",
            names.join(" ")
        )
    };
    let why = format!("{environment} requires checks that {commit} has not passed: {}", listed(lacking));
    CommandError::new(ErrorKind::ChecksFailed, why).state("nothing was deployed").hint(hint)
}

/// The checks in one line.
pub(super) fn listed(lacking: &[Lacking]) -> String {
    lacking.iter().map(Lacking::to_string).collect::<Vec<_>>().join(", ")
}
