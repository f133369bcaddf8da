//! What lies in the work tree and is in no commit: people should know which of it counts.

use crate::context::Context;
use crate::error::CommandError;
use cutover_artifacts::{ArtifactError, PackSource, Uncommitted, uncommitted};

/// Warns of uncommitted changes that a deployment of this leaves out, and of a config that it takes as it lies there.
/// What was packed before has no source.
///
/// Gives why that cannot be known, where it can't: what stands in the way may stop the packing too, and say it better.
pub(super) fn warn_of_uncommitted(
    context: &Context,
    source: Option<&PackSource>,
) -> Result<Option<ArtifactError>, CommandError> {
    if source == Some(&PackSource::WorkTree) {
        // All of it is deployed.
        return Ok(None);
    }
    let project = context.project()?;
    let Some(name) = project.file.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    let Uncommitted { file, others } = match uncommitted(&project.dir, name) {
        Ok(found) => found,
        Err(error) => return Ok(Some(error)),
    };
    let is_head = matches!(source, Some(PackSource::Commit(revision)) if revision == "HEAD");
    if others && is_head {
        context.output.warn("the work tree has uncommitted changes, which are not deployed; --dirty deploys them too");
    }
    if file {
        context
            .output
            .warn(&format!("{name} has uncommitted changes, which count: the config is read from the work tree"));
    }
    Ok(None)
}
