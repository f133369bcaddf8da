//! A deployment, told to GitHub while it goes on.

use super::job::Job;
use crate::output::Output;
use cutover_reporters::Tee;
use cutover_reporters::github::{DeploymentTeller, JudgedPull, Stage};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long it may take to tell what is left, once the deployment is over: a client's whole patience.
const PATIENCE: Duration = Duration::from_secs(220);

/// Tells GitHub on a thread of its own, so that it never slows a deployment.
pub(crate) struct DeploymentVoice {
    tee: Tee,
    warnings: Receiver<String>,
}

impl DeploymentVoice {
    /// The voice of this job; None where nobody is to be told.
    pub(crate) fn here(output: &Output, environment_url: Option<&str>) -> Option<Self> {
        let job = Job::here(output)?;
        if job.is_of_stranger(output) {
            return None;
        }
        let client = job.client().inspect_err(|why| output.warn(&format!("GitHub is not told: {why}"))).ok()?;
        let pull = job.pull().map(|pull| JudgedPull {
            number: pull.number,
            head: pull.head.clone(),
            merge: job.commit.clone(),
        });
        let stage = Stage {
            log_url: job.run_url,
            environment_url: environment_url.map(str::to_owned),
            // Anybody reads the comments of a public repository.
            shows_log: job.is_private,
            pull,
        };
        let (send, warnings) = mpsc::channel();
        let tee = Tee::new(vec![Box::new(DeploymentTeller::new(client, stage, send))]);
        Some(Self { tee, warnings })
    }

    /// Who is to be told.
    pub(crate) fn tee(&self) -> &Tee {
        &self.tee
    }

    /// Waits until all is told, and warns of what could not be.
    pub(crate) fn finish(self, output: &Output) {
        self.tee.finish(PATIENCE);
        self.warnings.try_iter().for_each(|warning| output.warn(&warning));
    }
}
