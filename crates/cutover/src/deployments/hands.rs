//! What carries out an order, here or on another machine. Several hosts' orders may be carried out at once.

use super::Variables;
use super::conductor::Conductor;
use super::line::{FarCoordinator, Line};
use super::order::{Order, Task};
use super::remote::{Errand, Host, Says, Told, Undone, Voice, each_word};
use crate::context::Context;
use crate::error::CommandError;
use crate::output::Output;
use cutover_artifacts::{Artifact, ArtifactBlobs, ArtifactStore};
use cutover_core::artifact::{BlobSource, Manifest};
use cutover_core::event::Observer;
use cutover_core::next::DeploymentOutcome;
use cutover_core::target::Cancel;
use cutover_targets::host::gate::{Coordinator, Nobody};
use cutover_targets::host::transaction::Ended;
use cutover_targets::host::{Offer, SupervisorProgram};
use cutover_targets::remote::content::pack_ahead;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How long an order's coordinator in the same process may say nothing: it cannot be lost.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Everything that an order needs besides its host.
pub(super) struct Hands<'a> {
    pub(super) variables: &'a Variables,
    pub(super) supervisor: &'a SupervisorProgram,
    /// What artifacts can be offered. What brings none does without.
    pub(super) stock: Option<Stock>,
    /// The artifact of a task that brings one.
    artifact: Option<Artifact>,
    /// Contents of it that hosts probably lack, packed once for all of them.
    ahead: Option<Vec<u8>>,
    /// The environment's hosts as the config names them now.
    hosts: Vec<String>,
    output: &'a Output,
}

/// The artifacts of this machine, of which none is pruned meanwhile.
pub(super) struct Stock {
    pub(super) store: ArtifactStore,
    pub(super) blobs: ArtifactBlobs,
}

impl Stock {
    /// What there is.
    pub(super) fn open(context: &Context) -> Result<Self, CommandError> {
        let store = context.artifacts()?;
        let blobs = store.blobs()?;
        Ok(Self { store, blobs })
    }
}

/// One order and who is told of it.
pub(super) struct Job<'a> {
    pub(super) order: &'a Order,
    pub(super) voice: Voice<'a>,
    pub(super) observer: &'a dyn Observer,
    /// Told of each deployment that came to its end, also of those that had died before.
    pub(super) ended: &'a dyn Fn(&Ended),
}

impl<'a> Hands<'a> {
    pub(super) fn new(
        variables: &'a Variables,
        supervisor: &'a SupervisorProgram,
        stock: Result<Stock, CommandError>,
        task: &Task,
        earlier: &dyn Fn(&Stock) -> Option<Manifest>,
        (hosts, output): (Vec<String>, &'a Output),
    ) -> Result<Self, CommandError> {
        let (stock, artifact) = match task.artifact() {
            Some(artifact) => {
                let stock = stock?;
                let artifact = stock.store.get(&artifact.to_string())?;
                (Some(stock), Some(artifact))
            }
            // What is live or was staged before is on the hosts: the way back needs nothing of this machine's disk.
            None => (stock.ok(), None),
        };
        // Without a good guess the hosts say themselves what they lack; what cannot be read is told when they ask for it.
        let ahead = stock.as_ref().zip(artifact.as_ref()).and_then(|(stock, new)| {
            let earlier = earlier(stock)?;
            pack_ahead(&new.manifest, &earlier, &stock.blobs).ok().flatten()
        });
        Ok(Self { variables, supervisor, stock, artifact, ahead, hosts, output })
    }

    /// Has an order carried out; gives how it ended, or None when there was nothing to do.
    pub(super) fn perform(&self, host: Option<Host>, job: &Job<'_>) -> Result<Option<DeploymentOutcome>, Undone> {
        let Some(host) = host else { return Ok(self.conduct_told(job)?) };
        host.send(&Errand {
            order: job.order,
            variables: self.variables.known(),
            artifact: self.brought(),
            ahead: self.ahead.as_deref(),
            observer: job.observer,
            voice: job.voice,
            ended: job.ended,
            hosts: &self.hosts,
            remark: &|sentence| self.output.warn(sentence),
        })
    }

    /// What a host is given of the artifact that it is to have.
    fn brought(&self) -> Option<(&Manifest, &dyn BlobSource)> {
        Some((&self.artifact.as_ref()?.manifest, &self.stock.as_ref()?.blobs))
    }

    /// Carries the order out in this process, which is told what to do as another machine would be.
    fn conduct_told(&self, job: &Job<'_>) -> Result<Option<DeploymentOutcome>, CommandError> {
        match job.voice {
            Voice::Cancel(cancel) => self.conduct(job, cancel, &Nobody),
            Voice::Coordinator { words, tell } => self.conduct_coordinated(job, words, tell),
        }
    }

    fn conduct_coordinated(
        &self,
        job: &Job<'_>,
        words: &Mutex<Receiver<Told>>,
        tell: &(dyn Fn(Says) + Sync),
    ) -> Result<Option<DeploymentOutcome>, CommandError> {
        let (line, cancel, over) = (Line::new(), Cancel::new(), AtomicBool::new(false));
        let tell = |gate, artifact: &str| tell(Says::AtGate(gate, artifact.to_owned()));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                each_word(words, &over, |word| match word {
                    Some(Told::Go(gate)) => line.go(gate),
                    Some(Told::Stop { why }) => cancel.cancel_because(&why),
                    None => {}
                });
            });
            let coordinator = FarCoordinator { line: &line, lease: FOR_EVER, tell: &tell };
            let done = self.conduct(job, &cancel, &coordinator);
            over.store(true, Ordering::SeqCst);
            done
        })
    }

    fn conduct(
        &self,
        job: &Job<'_>,
        cancel: &Cancel,
        coordinator: &dyn Coordinator,
    ) -> Result<Option<DeploymentOutcome>, CommandError> {
        let conductor = Conductor {
            order: job.order,
            variables: self.variables,
            supervisor: self.supervisor,
            observer: job.observer,
            cancel,
            coordinator,
            offers: &|artifact| self.offer(artifact),
            ended: job.ended,
        };
        Ok(conductor.conduct()?.map(|ended| ended.outcome))
    }

    /// An artifact, when this machine has it.
    fn offer(&self, artifact: &str) -> Option<Offer<'_>> {
        let stock = self.stock.as_ref()?;
        let artifact = stock.store.get(artifact).ok()?;
        let (id, manifest, variables) = (artifact.id, artifact.manifest, self.variables.offered());
        Some(Offer { id, manifest, blobs: &stock.blobs, variables })
    }
}
