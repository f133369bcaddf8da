//! What lies in the work tree and is in no commit: people should know which of it counts.

use crate::context::Context;
use crate::error::CommandError;
use cutover_artifacts::{PackSource, Uncommitted, uncommitted};

/// Warns of uncommitted changes that a deployment of this leaves out, and of a config that it takes as it lies there.
/// What was packed before has no source.
pub(super) fn warn_of_uncommitted(context: &Context, source: Option<&PackSource>) -> Result<(), CommandError> {
    let project = context.project()?;
    let Some(name) = project.file.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let Uncommitted { file, others } = match uncommitted(&project.dir, name) {
        Ok(found) => found,
        // An artifact is deployed from where there is no repository, too.
        Err(_) if source.is_none() => return Ok(()),
        Err(error) => {
            context.output.warn(&format!("nobody knows whether there are uncommitted changes: {error}"));
            return Ok(());
        }
    };
    let is_head = matches!(source, Some(PackSource::Commit(revision)) if revision == "HEAD");
    if others && is_head {
        context.output.warn("the work tree has uncommitted changes, which are not deployed; --dirty deploys them too");
    }
    if file && source != Some(&PackSource::WorkTree) {
        context
            .output
            .warn(&format!("{name} has uncommitted changes, which count: the config is read from the work tree"));
    }
    Ok(())
}
