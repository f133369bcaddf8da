//! `cutover resume`.

use crate::context::Context;
use crate::deployments::{Session, Task};
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;

/// Attach to a deployment that is at work, or take up one whose process died, and tell how it ended
///
/// One that is at work, here or on a host whose connection was lost, is told from its beginning and
/// followed to its end; Ctrl-C asks it to stop. One whose process died goes on where the journal stops:
/// forward, or with taking everything back when that had begun. A stuck deployment's failed restore is
/// tried again: put right what it names first. What has no way back, like an irreversible migration,
/// stays stuck. With --abandon nothing is tried any more, and the deployment is closed as it stands.
///
/// Examples:
///   cutover resume production             # attach or go on
///   cutover resume production --abandon   # close a stuck deployment that was put right by hand
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ResumeArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    /// Close what is stuck without trying again
    #[arg(long)]
    abandon: bool,
}

impl ResumeArgs {
    /// Resumes.
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        if self.abandon {
            return self.abandon(context);
        }
        let session = Session::open_for_recovery(context, &self.environment)?;
        session.change("resume", &Task::Resume)
    }

    fn abandon(&self, context: &Context) -> Result<Exit, CommandError> {
        let abandoned = Session::open_without_variables(context, &self.environment)?.abandon()?;
        if context.output.json {
            context.output.json(&serde_json::json!({ "v": 1, "abandoned": abandoned }))?;
        } else if abandoned.is_empty() {
            context.output.text("nothing is unfinished\n")?;
        } else {
            for id in &abandoned {
                context.output.text(&format!("closed deployment {id}; it stays as it is\n"))?;
            }
        }
        Ok(Exit::Done)
    }
}
