//! What lies in the work tree and is in no commit: people should know which of it counts.

use crate::context::Context;
use crate::error::CommandError;
use cutover_artifacts::{ArtifactError, PackSource, Uncommitted, uncommitted};
use std::path::Path;

/// Warns of uncommitted changes that a deployment of this leaves out, and of a config that it takes as it lies there.
/// What was packed before has no source.
///
/// Gives why that cannot be known, where it can't: what stands in the way may stop the packing too, and say it better.
pub(super) fn warn_of_uncommitted(
    context: &Context,
    source: Option<&PackSource>,
) -> Result<Option<ArtifactError>, CommandError> {
    let Some(look) = Look::at(context, source)? else { return Ok(None) };
    Ok(look.tell(context, look.take()))
}

/// Warns in the same way, and looks while something else is done: in a tree of many files that takes as long.
pub(super) fn warn_beside<T>(
    context: &Context,
    source: &PackSource,
    work: impl FnOnce() -> T,
) -> Result<(T, Option<ArtifactError>), CommandError> {
    let Some(look) = Look::at(context, Some(source))? else { return Ok((work(), None)) };
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| look.take());
        let done = work();
        let found = taken.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((done, look.tell(context, found)))
    })
}

/// What of the work tree is asked about.
struct Look<'a> {
    directory: &'a Path,
    file_name: &'a str,
    is_head: bool,
}

impl<'a> Look<'a> {
    fn at(context: &'a Context, source: Option<&PackSource>) -> Result<Option<Self>, CommandError> {
        if source == Some(&PackSource::WorkTree) {
            // All of it is deployed.
            return Ok(None);
        }
        let project = context.project()?;
        let file_name = project.file.file_name().and_then(|name| name.to_str());
        let is_head = matches!(source, Some(PackSource::Commit(revision)) if revision == "HEAD");
        Ok(file_name.map(|file_name| Self { directory: &project.dir, file_name, is_head }))
    }

    fn take(&self) -> Result<Uncommitted, ArtifactError> {
        uncommitted(self.directory, self.file_name)
    }

    fn tell(&self, context: &Context, found: Result<Uncommitted, ArtifactError>) -> Option<ArtifactError> {
        let Uncommitted { file, others } = match found {
            Ok(found) => found,
            Err(error) => return Some(error),
        };
        if others && self.is_head {
            let left_out = "the work tree has uncommitted changes, which are not deployed; --dirty deploys them too";
            context.output.warn(left_out);
        }
        if file {
            let name = self.file_name;
            let counts = format!("{name} has uncommitted changes, which count: the config is read from the work tree");
            context.output.warn(&counts);
        }
        None
    }
}
