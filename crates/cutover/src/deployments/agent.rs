//! The agent: carries out on this host what a client asks for over a connection.
//!
//! Once all that is needed has arrived, the connection may end: what was begun is brought to its end all the same.

mod flight;

use super::back::Outlook;
use super::conductor::Conductor;
use super::draft::Draft;
use super::letter::{Answer, AtGate, Present, Question, Untold};
use super::line::{FarCoordinator, Line};
use super::preview::{Previewed, compare_variables};
use crate::error::CommandError;
use cutover_core::event::Event;
use cutover_core::target::Cancel;
use cutover_reporters::{Reporter, Tee};
use cutover_targets::host::gate::Coordinator;
use cutover_targets::host::transaction::Ended;
use cutover_targets::host::{Offer, SupervisorProgram};
use cutover_targets::remote::bootstrap::present;
use cutover_targets::remote::content::{Inlet, Remote};
use cutover_targets::remote::frame::{ENDED_BYTES_MAX, ENDED_SUM_BYTES_MAX, Kind, Sender, receive};
use cutover_targets::setup;
use flight::{Flight, Request, Sight};
use std::cell::RefCell;
use std::io::{self, BufRead, Read, Write};
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

/// How long a client may take to hear what is left to tell.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may be silent before it has said what it asks for.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a client asks for that is not done here: it needs this process or this user for itself.
pub(crate) enum Asked {
    /// A command like any other answers it.
    Question(Question),
    /// Root does it.
    Setup(Box<setup::Order>),
}

/// Serves one client: reads what it asks for, does it, tells what happens. What it cannot do itself is given back.
///
/// Fails only when the client could not be understood or did not finish its sentence; nothing was done then.
pub(crate) fn serve<R, W>(
    reader: R,
    mut writer: W,
    supervisor: &SupervisorProgram,
    cancel: &'static Cancel,
) -> io::Result<Option<Asked>>
where
    R: BufRead + Send + 'static,
    W: Write + Send + 'static,
{
    writer.write_all(present().as_bytes())?;
    writer.flush()?;
    let sender = Arc::new(Sender::new(writer));
    let (flight, reader) = flight::read(reader, SILENCE_MAX)?;
    let mut request = match flight {
        Flight::Change(request) => request,
        Flight::Look(sight) => return show(&sender, &sight, supervisor).map(|()| None),
        Flight::Other(asked) => return Ok(Some(asked)),
    };
    let (remote, inlet) = Remote::new(Arc::clone(&sender), request.manifest.as_ref(), take(&mut request.ahead));
    let line = Arc::new(Line::new());
    let ear = Ear { inlet, line: Arc::clone(&line), cancel, sender: Arc::clone(&sender) };
    std::thread::Builder::new().name("client".to_owned()).spawn(move || ear.listen(reader))?;
    let tee = Tee::new(vec![Box::new(Frames(Arc::clone(&sender)))]);
    let tell = |gate, artifact: &str| {
        // A client that is gone is noticed by who waits for its answer.
        let _told = sender.send_json(Kind::Gate, &AtGate { gate, artifact: artifact.to_owned() });
    };
    // Only a plan of one host of several has gates to wait at.
    let lease = request.order.part.as_ref().map_or(Duration::ZERO, |part| part.lease);
    let coordinator = FarCoordinator { line: &line, lease, tell: &tell };
    let (done, ended) = conduct(&request, &remote, &tee, supervisor, cancel, &coordinator);
    tee.finish(PATIENCE);
    // A client that is gone is no failure of what was done.
    let _told = answer(&sender, done, &ended);
    Ok(None)
}

/// Takes what the client sends while its order is carried out.
struct Ear<W> {
    inlet: Inlet,
    line: Arc<Line>,
    cancel: &'static Cancel,
    sender: Arc<Sender<W>>,
}

impl<W: Write> Ear<W> {
    fn listen(self, mut reader: impl Read) {
        let why = loop {
            match receive(&mut reader) {
                Ok(Some((kind, payload))) => {
                    if let Err(why) = self.take(kind, payload) {
                        break why;
                    }
                }
                Ok(None) => break "the connection ended".to_owned(),
                Err(error) => break format!("the connection broke: {error}"),
            }
        };
        self.inlet.fail(&why);
        self.line.close();
    }

    fn take(&self, kind: Kind, payload: Vec<u8>) -> Result<(), String> {
        self.line.alive();
        match kind {
            Kind::Content => self.inlet.piece(payload),
            Kind::Unavailable => self.inlet.fail(&String::from_utf8_lossy(&payload)),
            Kind::Cancel => self.cancel.cancel_because(&String::from_utf8_lossy(&payload)),
            Kind::Go => self.line.go(serde_json::from_slice(&payload).map_err(|error| error.to_string())?),
            Kind::Alive => self.answer(serde_json::from_slice(&payload).map_err(|error| error.to_string())?),
            kind => return Err(format!("the client sent {kind:?} out of turn")),
        }
        Ok(())
    }

    fn answer(&self, asked_ms: u64) {
        // A client that is gone is noticed by who reads what it says.
        let _told = self.sender.send_json(Kind::Present, &Present { asked_ms, gate: self.line.gate() });
    }
}

/// Tells what was to be looked at.
fn show<W: Write>(sender: &Sender<W>, sight: &Sight, supervisor: &SupervisorProgram) -> io::Result<()> {
    match see(sight, supervisor) {
        Ok(view) => sender.send(Kind::View, &view),
        Err(error) => sender.send_json(Kind::Refused, &error),
    }
}

fn see(sight: &Sight, supervisor: &SupervisorProgram) -> Result<Vec<u8>, CommandError> {
    let view = match sight {
        Sight::Plan { order, rehearse, variables, manifest } => {
            let draft = Draft { order, variables, supervisor };
            serde_json::to_vec(&Previewed::of(&draft, manifest, *rehearse)?)
        }
        Sight::Back { order } => serde_json::to_vec(&Outlook::of(order)?),
        Sight::Variables { targets, variables } => serde_json::to_vec(&compare_variables(targets, variables)?),
    };
    Ok(view?)
}

fn conduct<W: Write + Send>(
    request: &Request,
    remote: &Remote<W>,
    tee: &Tee,
    supervisor: &SupervisorProgram,
    cancel: &Cancel,
    coordinator: &dyn Coordinator,
) -> (Result<Option<Ended>, CommandError>, Vec<Ended>) {
    let ended = RefCell::new(Vec::new());
    let offer = |artifact: &str| {
        let manifest = request.manifest.as_ref().filter(|manifest| manifest.id().to_string() == artifact)?;
        let (id, manifest) = (manifest.id(), manifest.clone());
        Some(Offer { id, manifest, blobs: remote, variables: request.variables.offered() })
    };
    let conductor = Conductor {
        order: &request.order,
        variables: &request.variables,
        supervisor,
        observer: tee,
        cancel,
        coordinator,
        offers: &offer,
        ended: &|one| ended.borrow_mut().push(one.clone()),
    };
    let done = conductor.conduct();
    (done, ended.into_inner())
}

fn answer<W: Write>(sender: &Sender<W>, done: Result<Option<Ended>, CommandError>, ended: &[Ended]) -> io::Result<()> {
    as_messages(ended)?.iter().try_for_each(|(kind, message)| sender.send(*kind, message))?;
    match done {
        Ok(ended) => sender.send_json(Kind::Done, &Answer { outcome: ended.map(|ended| ended.outcome) }),
        Err(error) => sender.send_json(Kind::Refused, &error),
    }
}

/// What ended, in its order: as much of the newest as a client hears out. It is asked for the rest when it is asked what happened;
/// of a deployment that is too large for a message it is told that it stays here.
fn as_messages(ended: &[Ended]) -> io::Result<Vec<(Kind, Vec<u8>)>> {
    let (mut messages, mut left) = (Vec::new(), ENDED_SUM_BYTES_MAX);
    for ended in ended.iter().rev() {
        let (mut kind, mut message) = (Kind::Ended, serde_json::to_vec(ended)?);
        if message.len() > ENDED_BYTES_MAX {
            let untold = Untold { deployment: ended.plan.deployment.clone() };
            (kind, message) = (Kind::Untold, serde_json::to_vec(&untold)?);
        }
        let Some(rest) = left.checked_sub(message.len()) else { break };
        left = rest;
        messages.push((kind, message));
    }
    messages.reverse();
    Ok(messages)
}

/// Tells the client.
struct Frames<W>(Arc<Sender<W>>);

impl<W: Write + Send> Reporter for Frames<W> {
    fn tell(&mut self, event: &Event) -> io::Result<()> {
        self.0.send_json(Kind::Event, event)
    }
}

#[cfg(test)]
mod tests;
