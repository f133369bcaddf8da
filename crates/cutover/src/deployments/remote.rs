//! A host that is another machine: the order goes there, and what happens comes back.

mod ended;
mod pulse;

use super::afar::RECALLED_COUNT_MAX;
use super::launch::{Launch, Loss};
use super::letter::{Answer, AtGate, Change, Letter, Present, pack_variables};
use super::order::Order;
use super::refusal::Caller;
use super::signals::CANCEL;
use crate::error::{CommandError, ErrorKind, output_failed};
use cutover_core::artifact::{BlobSource, Manifest};
use cutover_core::event::{Event, Observer};
use cutover_core::next::DeploymentOutcome;
use cutover_core::rollout::Gate;
use cutover_core::secret::Secret;
use cutover_core::target::{Cancel, Failure};
use cutover_reporters::log_text;
use cutover_targets::host::transaction::Ended;
use cutover_targets::remote::bootstrap::{Agent, command};
use cutover_targets::remote::content::{pack_manifest, send};
use cutover_targets::remote::frame::{ENDED_SUM_BYTES_MAX, Kind, REASON_BYTES_MAX, Sender, receive};
use cutover_targets::remote::lacking::Lacking;
use cutover_targets::remote::patience::{Patience, Patient, Weighed};
use cutover_targets::remote::ssh::{Connection, Options};
use cutover_targets::setup;
use ended::Remarks;
pub(super) use pulse::Pulse;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// How often it is looked whether there is something to say.
const POLL: Duration = Duration::from_millis(50);
/// How often a host that answers without an end is told that somebody still listens.
const BREATH: Duration = Duration::from_secs(5);
/// How much of an answer is passed on at once, in bytes.
const PASSED_BYTES: usize = 64 << 10;
/// The longest event that is told and then forgotten, in bytes: a piece of output, a number.
const PASSING_BYTES_MAX: usize = 64 << 10;
/// The most bytes of events that are remembered, of one host: plans, journal entries, probes.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// How long a host may say nothing at first. Whoever logs in may have to type a passphrase: sshd waits two minutes for that.
const GREETING_MAX: Duration = Duration::from_secs(300);
/// How long a host at work may say nothing: it is asked again and again whether it is there.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a host may take to look at something: it says nothing meanwhile.
const LOOK_MAX: Duration = Duration::from_secs(600);

/// How long a host that has said its last word may take to hear what is still being said to it, and how often that is looked at.
const PATIENCE: Duration = Duration::from_secs(2);
const BRIEFLY: Duration = Duration::from_millis(1);

/// A connection that has been begun; ssh is still shaking hands.
pub(crate) struct Host {
    caller: Caller,
    agents: Vec<Agent>,
    connection: Connection,
    stdin: Mouth,
    stdout: Ears,
    patience: Patience,
}

/// Where a host is heard, and where it is spoken to.
pub(super) type Ears = BufReader<Patient<ChildStdout>>;
pub(super) type Mouth = Weighed<ChildStdin>;

/// What is to be done on a host, and with what.
pub(crate) struct Errand<'a> {
    /// What is asked for.
    pub(crate) order: &'a Order,
    /// The environment's variables; None when they are not known.
    pub(crate) variables: Option<&'a BTreeMap<String, Secret>>,
    /// The artifact, for a task that brings one.
    pub(crate) artifact: Option<(&'a Manifest, &'a dyn BlobSource)>,
    /// Contents of it that the host probably lacks, packed.
    pub(crate) ahead: Option<&'a [u8]>,
    /// Who is told.
    pub(crate) observer: &'a dyn Observer,
    /// What the host is told.
    pub(crate) voice: Voice<'a>,
    /// Told of each deployment that came to its end, also of those that had died before.
    pub(crate) ended: &'a dyn Fn(&Ended),
    /// The environment's hosts as the config names them now.
    pub(crate) hosts: &'a [String],
    /// Told in a sentence what the user shall know of what the host tells of deployments.
    pub(crate) remark: &'a dyn Fn(&str),
}

/// What a host is told while it is at work.
#[derive(Clone, Copy)]
pub(crate) enum Voice<'a> {
    /// To stop, once that was asked for.
    Cancel(&'a Cancel),
    /// What the coordinator of several hosts says.
    Coordinator {
        /// What it says.
        words: &'a Mutex<Receiver<Told>>,
        /// Told what the host says.
        tell: &'a (dyn Fn(Says) + Sync),
    },
}

/// What one host of several is told.
pub(crate) enum Told {
    /// Go on behind the gate.
    Go(Gate),
    /// Take back whatever was begun.
    Stop {
        /// What happened elsewhere; empty when a person asked for it.
        why: String,
    },
}

/// What a host of several says to the coordinator.
pub(crate) enum Says {
    /// It waits at a gate, and brings this artifact live.
    AtGate(Gate, String),
    /// It is there, and waits at this gate.
    Present {
        /// When it was asked.
        asked_at: Instant,
        /// The gate.
        gate: Option<Gate>,
    },
}

/// A change that a host did not bring to its end, as far as is known here.
pub(crate) struct Undone {
    /// Why.
    pub(crate) error: CommandError,
    /// Whether the host may have begun, and goes on by itself.
    pub(crate) may_go_on: bool,
}

impl From<CommandError> for Undone {
    fn from(error: CommandError) -> Self {
        Self { error, may_go_on: false }
    }
}

/// Why a host did not do it.
pub(super) enum Trouble {
    /// It says so itself.
    Refused(CommandError),
    /// The connection broke.
    Lost(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::Lost(format!("it was not understood: {error}"))
    }
}

/// That a connection could not even be begun.
pub(crate) fn not_begun(name: &str, failure: Failure) -> CommandError {
    let told = CommandError::new(ErrorKind::Unreachable, format!("cannot begin to reach {name}"));
    let told = told.because(&failure).state("nothing was changed");
    failure.hint.into_iter().fold(told, CommandError::hint)
}

impl Host {
    /// Begins the connection.
    pub(crate) fn connect(name: &str, options: &Options, agents: Vec<Agent>) -> Result<Self, CommandError> {
        let patience = Patience::new(GREETING_MAX);
        let opened = Connection::open(name, options, &command(&agents));
        let opened = opened.and_then(|mut connection| {
            let pipes = connection.pipes().and_then(|(stdin, stdout)| {
                Ok((Weighed::new(stdin, patience.clone())?, Patient::new(stdout, patience.clone())))
            });
            Ok((connection, pipes.map_err(|error| Failure::new(format!("talk to ssh: {error}")))?))
        });
        let (connection, (stdin, stdout)) = opened.map_err(|failure| not_begun(name, failure))?;
        let caller = Caller::new(name, options);
        Ok(Self { caller, agents, connection, stdin, stdout: BufReader::new(stdout), patience })
    }

    /// Has the errand done; gives how it ended, or None when there was nothing to do.
    pub(crate) fn send(self, errand: &Errand<'_>) -> Result<Option<DeploymentOutcome>, Undone> {
        let Self { caller, agents, mut connection, stdin, mut stdout, patience } = self;
        let flight = errand.flight()?;
        let mut launch = Launch::new(stdin, &flight);
        match unless_cancelled(&mut connection, || launch.go(&mut stdout, &agents)) {
            Ok(()) => connection.authenticated(),
            Err(Trouble::Refused(error)) => return Err(error.into()),
            Err(Trouble::Lost(_)) if CANCEL.is_cancelled() => return Err(stopped(&caller.name).into()),
            Err(Trouble::Lost(why)) => return Err(launch.lost(caller, connection, &why).order()),
        }
        patience.set(SILENCE_MAX);
        let pulse = Pulse::of(errand, patience);
        match converse(launch.into_pipe(), &mut stdout, errand, &pulse, || connection.end()) {
            Ok(outcome) => Ok(outcome),
            Err(Trouble::Refused(error)) => Err(error.into()),
            Err(Trouble::Lost(why)) => Err(Loss::at_work(caller, connection, &why).order()),
        }
    }
}

impl Host {
    /// Has the host prepared; what it answers goes to `output`, and what is said there besides is told behind `label`.
    pub(crate) fn set_up(
        mut self,
        order: setup::Order,
        label: &str,
        output: &mut dyn Write,
    ) -> Result<i32, CommandError> {
        self.caller.prepares = true;
        self.ask(&Letter::Setup(Box::new(order)), Hearing { label, ..Hearing::default() }, output)
    }

    /// Has something looked at that nobody changes; gives what was seen.
    pub(super) fn look<T: DeserializeOwned>(self, flight: &[u8]) -> Result<T, CommandError> {
        let Self { caller, agents, mut connection, stdin, mut stdout, patience } = self;
        let mut launch = Launch::new(stdin, flight);
        let seen = unless_cancelled(&mut connection, || {
            launch.go(&mut stdout, &agents)?;
            patience.set(LOOK_MAX);
            view(&mut stdout)
        });
        match seen {
            Ok(view) => Ok(view),
            Err(Trouble::Refused(error)) => Err(error),
            Err(Trouble::Lost(_)) if CANCEL.is_cancelled() => Err(stopped(&caller.name).state("nothing was changed")),
            Err(Trouble::Lost(why)) => Err(launch.lost(caller, connection, &why).look()),
        }
    }

    /// Has a question answered: what the host prints goes to `output` as it comes. Gives the command's exit code.
    pub(super) fn ask(
        self,
        letter: &Letter,
        hearing: Hearing<'_>,
        output: &mut dyn Write,
    ) -> Result<i32, CommandError> {
        let Self { caller, agents, mut connection, stdin, mut stdout, patience } = self;
        let flight = flight(letter, None, None, None)?;
        let mut launch = Launch::new(stdin, &flight);
        match launch.go(&mut stdout, &agents) {
            Ok(()) => connection.authenticated(),
            // As where several are asked: none that could not be asked was reached. Who prepares a host asks nothing.
            Err(Trouble::Refused(error)) if !caller.prepares => return Err(error.of_kind(ErrorKind::Unreachable)),
            Err(Trouble::Refused(error)) => return Err(error),
            Err(Trouble::Lost(why)) => return Err(launch.lost(caller, connection, &why).question()),
        }
        // What answers may have nothing to say for long: logs are followed, commands run.
        patience.set(Duration::MAX);
        if let Some(begun) = hearing.begun {
            begun.store(true, Ordering::SeqCst);
        }
        let pipe = launch.into_pipe();
        if hearing.is_endless {
            breathe(pipe);
        }
        pass_answer(&mut stdout, output).and_then(|heard| match heard {
            Ok(()) => end(&caller.name, connection, hearing.label),
            Err(error) => Err(Loss::at_work(caller, connection, &error.to_string()).question()),
        })
    }
}

/// How an answer is heard.
#[derive(Clone, Copy, Default)]
pub(super) struct Hearing<'a> {
    /// Whether it has no end, and is given for as long as this process breathes.
    pub(super) is_endless: bool,
    /// What stands before each line that the host says on standard error.
    pub(super) label: &'a str,
    /// Set once the host has been reached, and answers.
    pub(super) begun: Option<&'a AtomicBool>,
}

/// Gives a sign of life again and again, until nobody wants one any more.
pub(super) fn breathe(mut pipe: impl Write + Send + 'static) {
    // It ends with its pipe, or with this process.
    std::thread::spawn(move || {
        while pipe.write_all(b"\n").is_ok() {
            std::thread::sleep(BREATH);
        }
    });
}

/// Passes on what is said, as it comes. The outer error is that nobody wants to hear it.
fn pass_answer(from: &mut impl Read, to: &mut dyn Write) -> Result<io::Result<()>, CommandError> {
    let mut piece = vec![0; PASSED_BYTES];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(Ok(())),
            Ok(count) => to.write_all(&piece[..count]).and_then(|()| to.flush()).map_err(|e| output_failed(&e))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// What was looked at, as the agent tells it.
fn view<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, Trouble> {
    match receive(from)? {
        Some((Kind::View, view)) => Ok(serde_json::from_slice(&view)?),
        Some((Kind::Refused, error)) => Err(Trouble::Refused(serde_json::from_slice(&error)?)),
        Some((kind, _)) => Err(Trouble::Lost(format!("it sent {kind:?} out of turn"))),
        None => Err(Trouble::Lost("the connection ended".to_owned())),
    }
}

/// Ends a connection at once when stopping is asked for meanwhile: until the host answers there is nothing to take back.
fn unless_cancelled<T>(connection: &mut Connection, act: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                if CANCEL.is_cancelled() {
                    return connection.end();
                }
                std::thread::park_timeout(POLL);
            }
        });
        let done = act();
        over.store(true, Ordering::SeqCst);
        watcher.thread().unpark();
        done
    })
}

fn stopped(name: &str) -> CommandError {
    CommandError::new(ErrorKind::Failed, format!("stopped before {name} answered")).state(
        "nothing was changed, as far as is known; should the host have begun, it brings that to its end by itself",
    )
}

/// How a command on the host ended; what it said on standard error is said here too.
fn end(name: &str, connection: Connection, label: &str) -> Result<i32, CommandError> {
    let broke = |why: &str| CommandError::new(ErrorKind::Unreachable, format!("lost the connection to {name}: {why}"));
    let (status, said) = connection.finish().map_err(|error| broke(&error.to_string()))?;
    match status.code() {
        // ssh's own code for a connection that broke.
        Some(255) | None => Err(broke("ssh ended early").excerpt(said)),
        Some(code) => {
            say_errors(label, &said);
            Ok(code)
        }
    }
}

/// Passes on what a host's command said on standard error, at once. What cannot be said stops nothing.
pub(super) fn say_errors(label: &str, said: &str) {
    let lines: String = said.lines().map(|line| format!("{label}{}\n", log_text(line))).collect();
    let _said = io::stderr().write_all(lines.as_bytes());
}

/// All that is said at once, as bytes.
pub(super) fn flight(
    letter: &Letter,
    variables: Option<&BTreeMap<String, Secret>>,
    manifest: Option<&Manifest>,
    ahead: Option<&[u8]>,
) -> Result<Vec<u8>, CommandError> {
    let build = || -> io::Result<Vec<u8>> {
        let sender = Sender::new(Vec::new());
        sender.send_json(Kind::Order, letter)?;
        if let Some(variables) = variables {
            sender.send(Kind::Variables, &pack_variables(variables)?)?;
        }
        if let Some(manifest) = manifest {
            sender.send(Kind::Manifest, &pack_manifest(manifest)?)?;
        }
        if let Some(ahead) = ahead {
            sender.send(Kind::Ahead, ahead)?;
        }
        Ok(sender.into_inner())
    };
    build().map_err(|error| {
        CommandError::new(ErrorKind::Failed, "cannot put the order into words")
            .because(&error)
            .state("nothing was changed")
    })
}

impl Errand<'_> {
    fn flight(&self) -> Result<Vec<u8>, CommandError> {
        let (has_variables, has_manifest) = (self.variables.is_some(), self.artifact.is_some());
        let (order, has_ahead) = (self.order.clone(), self.ahead.is_some());
        let letter = Letter::Change(Box::new(Change { order, has_variables, has_manifest, has_ahead }));
        flight(&letter, self.variables, self.artifact.map(|(manifest, _)| manifest), self.ahead)
    }
}

/// Hears what happens, and sends what is asked for; hangs up on a host that has said its last word and does not listen any more.
fn converse<W: Write + Send>(
    to: W,
    from: &mut impl Read,
    errand: &Errand<'_>,
    pulse: &Pulse<'_>,
    hang_up: impl FnOnce(),
) -> Result<Option<DeploymentOutcome>, Trouble> {
    let (sender, over, voice) = (Sender::new(to), AtomicBool::new(false), errand.voice);
    std::thread::scope(|scope| {
        let speaker = scope.spawn(|| speak(&sender, voice, pulse, &over));
        let (sender, artifact, talking) = (&sender, errand.artifact, RefCell::new(Vec::new()));
        let ask = |lacking| talking.borrow_mut().push(scope.spawn(move || provide(sender, artifact, lacking)));
        let heard = hear(from, errand, pulse, &ask);
        over.store(true, Ordering::SeqCst);
        // Nobody waits for its next look.
        speaker.thread().unpark();
        let mut talking = talking.into_inner();
        talking.push(speaker);
        if !fall_silent(&talking) {
            hang_up();
        }
        heard
    })
}

/// Waits for a moment until all of them have said what they had to say. False when one is not heard.
fn fall_silent(talking: &[ScopedJoinHandle<'_, ()>]) -> bool {
    let until = Instant::now() + PATIENCE;
    while !talking.iter().all(ScopedJoinHandle::is_finished) {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(BRIEFLY);
    }
    true
}

/// Hears the agent out; `ask` is told which contents the host lacks.
pub(super) fn hear(
    from: &mut impl Read,
    errand: &Errand<'_>,
    pulse: &Pulse<'_>,
    ask: &dyn Fn(Lacking),
) -> Result<Option<DeploymentOutcome>, Trouble> {
    let mut remarks = Remarks::default();
    let heard = hear_out(from, errand, pulse, ask, &mut remarks);
    // Also of a host that did not finish: what was left out until then is not told again.
    remarks.sentences(&errand.order.host).iter().for_each(|sentence| (errand.remark)(sentence));
    heard
}

fn hear_out(
    from: &mut impl Read,
    errand: &Errand<'_>,
    pulse: &Pulse<'_>,
    ask: &dyn Fn(Lacking),
    remarks: &mut Remarks,
) -> Result<Option<DeploymentOutcome>, Trouble> {
    let mut allowance = Allowance::of(errand.order);
    while let Some((kind, payload)) = receive(from)? {
        match kind {
            Kind::Event => tell(errand.observer, &payload, &mut allowance)?,
            Kind::Lacking => {
                allowance.ask()?;
                ask(Lacking::unpack(&payload)?);
            }
            Kind::Ended => {
                allowance.end(payload.len())?;
                ended::take(errand, &payload, remarks)?;
            }
            Kind::Untold => {
                allowance.end(payload.len())?;
                remarks.large(&payload)?;
            }
            Kind::Refused => return Err(Trouble::Refused(serde_json::from_slice(&payload)?)),
            Kind::Done => return Ok(serde_json::from_slice::<Answer>(&payload)?.outcome),
            Kind::Gate => pass_on(errand.voice, at_gate(&payload)?),
            Kind::Present => pass_on(errand.voice, present(&payload, pulse)?),
            kind => return Err(Trouble::Lost(format!("it sent {kind:?} out of turn"))),
        }
    }
    Err(Trouble::Lost("the connection ended".to_owned()))
}

/// How much a host may say that is kept or answered here.
struct Allowance {
    question_count: usize,
    ended_count: usize,
    ended_bytes: usize,
    event_bytes: usize,
}

impl Allowance {
    fn of(order: &Order) -> Self {
        let target_count = order.targets.len();
        Self {
            // Each target asks once at most for what it lacks.
            question_count: target_count,
            // Each target keeps so many, and one more is at work.
            ended_count: (RECALLED_COUNT_MAX + 1) * target_count,
            ended_bytes: ENDED_SUM_BYTES_MAX,
            event_bytes: KEPT_BYTES_MAX,
        }
    }

    /// It asks for contents.
    fn ask(&mut self) -> Result<(), Trouble> {
        take(&mut self.question_count, 1, "it asked for contents again and again")
    }

    /// It tells of the end of a deployment, in so many bytes.
    fn end(&mut self, bytes: usize) -> Result<(), Trouble> {
        take(&mut self.ended_count, 1, "it told of more deployments than a host keeps")?;
        take(&mut self.ended_bytes, bytes, "it told more of deployments than a host may")
    }

    /// It tells of something that is remembered, in so many bytes.
    fn remember(&mut self, bytes: usize) -> Result<(), Trouble> {
        take(&mut self.event_bytes, bytes, "it told of more than it can have done")
    }
}

fn take(left: &mut usize, count: usize, why: &str) -> Result<(), Trouble> {
    *left = left.checked_sub(count).ok_or_else(|| Trouble::Lost(why.to_owned()))?;
    Ok(())
}

/// Passes on what a host says of its own work.
fn tell(observer: &dyn Observer, payload: &[u8], allowance: &mut Allowance) -> Result<(), Trouble> {
    // An event that is not understood is progress that is not shown; the journal comes whole in the end.
    let Ok(event) = serde_json::from_slice::<Event>(payload) else { return Ok(()) };
    match &event {
        Event::Progressed { .. } | Event::Output { .. } if payload.len() > PASSING_BYTES_MAX => return Ok(()),
        Event::Progressed { .. } | Event::Output { .. } => {}
        Event::Began { .. }
        | Event::Ended { .. }
        | Event::Recorded { .. }
        | Event::Probed { .. }
        | Event::Waiting { .. } => allowance.remember(payload.len())?,
        // Of several hosts only the coordinator speaks, which is here. Whoever speaks is not silent.
        Event::Silent { .. }
        | Event::Fleet { .. }
        | Event::OnHost { .. }
        | Event::Stands { .. }
        | Event::Wave { .. }
        | Event::FleetEnded { .. } => return Ok(()),
    }
    observer.event(&event);
    Ok(())
}

fn provide<W: Write>(sender: &Sender<W>, artifact: Option<(&Manifest, &dyn BlobSource)>, lacking: Lacking) {
    if let Some((manifest, blobs)) = artifact {
        // A connection that broke is noticed by whoever reads from it.
        let _sent = send(sender, manifest, blobs, lacking);
    }
}

fn at_gate(payload: &[u8]) -> Result<Says, Trouble> {
    let AtGate { gate, artifact } = serde_json::from_slice(payload)?;
    Ok(Says::AtGate(gate, artifact))
}

fn present(payload: &[u8], pulse: &Pulse<'_>) -> Result<Says, Trouble> {
    let Present { asked_ms, gate } = serde_json::from_slice(payload)?;
    let asked_at =
        pulse.answered(asked_ms).ok_or_else(|| Trouble::Lost("it answered what was not asked".to_owned()))?;
    Ok(Says::Present { asked_at, gate })
}

fn pass_on(voice: Voice<'_>, says: Says) {
    if let Voice::Coordinator { tell, .. } = voice {
        tell(says);
    }
}

/// Passes on what the host is told, until it is over. What cannot be sent is noticed by whoever reads.
fn speak<W: Write>(sender: &Sender<W>, voice: Voice<'_>, pulse: &Pulse<'_>, over: &AtomicBool) {
    match voice {
        Voice::Cancel(cancel) => pass_on_cancel(sender, cancel, pulse, over),
        Voice::Coordinator { words, .. } => pass_on_words(sender, words, pulse, over),
    }
}

fn pass_on_cancel<W: Write>(sender: &Sender<W>, cancel: &Cancel, pulse: &Pulse<'_>, over: &AtomicBool) {
    let (mut is_told, mut asked_at) = (false, Instant::now());
    while !over.load(Ordering::SeqCst) {
        if cancel.is_cancelled() && !is_told {
            is_told = true;
            let _sent = sender.send(Kind::Cancel, &[]);
        }
        pulse.ask(sender, &mut asked_at);
        std::thread::park_timeout(POLL);
    }
}

fn pass_on_words<W: Write>(sender: &Sender<W>, words: &Mutex<Receiver<Told>>, pulse: &Pulse<'_>, over: &AtomicBool) {
    let mut asked_at = Instant::now();
    each_word(words, over, |word| {
        let _sent = match word {
            Some(Told::Go(gate)) => sender.send_json(Kind::Go, &gate),
            Some(Told::Stop { why }) => sender.send(Kind::Cancel, beginning(&why)),
            None => return pulse.ask(sender, &mut asked_at),
        };
    });
}

/// As much of a reason as may be told. To stop matters more than why.
fn beginning(why: &str) -> &[u8] {
    &why.as_bytes()[..why.floor_char_boundary(REASON_BYTES_MAX)]
}

/// Gives each word as it comes, and None now and then while there is none.
pub(super) fn each_word(words: &Mutex<Receiver<Told>>, over: &AtomicBool, mut take: impl FnMut(Option<Told>)) {
    let words = words.lock().unwrap_or_else(PoisonError::into_inner);
    while !over.load(Ordering::SeqCst) {
        match words.recv_timeout(POLL) {
            Ok(word) => take(Some(word)),
            Err(RecvTimeoutError::Timeout) => take(None),
            // Nothing will be said any more, and the host finds that out.
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests;
