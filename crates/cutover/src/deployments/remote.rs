//! A host that is another machine: the order goes there, and what happens comes back.

use super::afar::RECALLED_COUNT_MAX;
use super::agents::PREFIX;
use super::letter::{Answer, AtGate, Change, Letter, Present, pack_variables};
use super::order::Order;
use super::signals::CANCEL;
use crate::error::{CommandError, ErrorKind};
use cutover_core::artifact::{BlobSource, Manifest};
use cutover_core::event::{Event, Observer};
use cutover_core::next::DeploymentOutcome;
use cutover_core::rollout::{Gate, Word};
use cutover_core::secret::Secret;
use cutover_core::target::{Cancel, Failure};
use cutover_reporters::log_text;
use cutover_targets::host::transaction::Ended;
use cutover_targets::remote::bootstrap::{Agent, Greeting, command, greeting, preamble};
use cutover_targets::remote::content::{pack_manifest, send};
use cutover_targets::remote::frame::{Kind, Sender, receive};
use cutover_targets::remote::lacking::Lacking;
use cutover_targets::remote::ssh::{Connection, Options};
use cutover_targets::setup;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked whether there is something to say.
const POLL: Duration = Duration::from_millis(50);
/// How often a host is told that its coordinator is there, and asked whether it is; more often where a lease is short.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A connection that has been begun; ssh is still shaking hands.
pub(crate) struct Host {
    name: String,
    agents: Vec<Agent>,
    connection: Connection,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// What is to be done on a host, and with what.
pub(crate) struct Errand<'a> {
    /// What is asked for.
    pub(crate) order: &'a Order,
    /// The environment's variables; None when they are not known.
    pub(crate) variables: Option<&'a BTreeMap<String, Secret>>,
    /// The artifact, for a task that brings one.
    pub(crate) artifact: Option<(&'a Manifest, &'a dyn BlobSource)>,
    /// Who is told.
    pub(crate) observer: &'a dyn Observer,
    /// What the host is told.
    pub(crate) voice: Voice<'a>,
    /// Told of each deployment that came to its end, also of those that had died before.
    pub(crate) ended: &'a dyn Fn(&Ended),
}

/// What a host is told while it is at work.
#[derive(Clone, Copy)]
pub(crate) enum Voice<'a> {
    /// To stop, once that was asked for.
    Cancel(&'a Cancel),
    /// What the coordinator of several hosts says.
    Coordinator {
        /// What it says.
        words: &'a Mutex<Receiver<Word>>,
        /// Told what the host says.
        tell: &'a (dyn Fn(Says) + Sync),
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

impl Host {
    /// Begins the connection.
    pub(crate) fn connect(name: &str, options: &Options, agents: Vec<Agent>) -> Result<Self, CommandError> {
        let opened = Connection::open(name, options, &command(&agents));
        let opened = opened.and_then(|mut connection| {
            let pipes = connection.pipes().map_err(|error| Failure::new(format!("talk to ssh: {error}")))?;
            Ok((connection, pipes))
        });
        let (connection, (stdin, stdout)) = opened.map_err(|failure| {
            let told = CommandError::new(ErrorKind::Unreachable, format!("cannot begin to reach {name}"));
            let told = told.because(&failure).state("nothing was changed");
            failure.hint.into_iter().fold(told, CommandError::hint)
        })?;
        Ok(Self { name: name.to_owned(), agents, connection, stdin, stdout: BufReader::new(stdout) })
    }

    /// Has the errand done; gives how it ended, or None when there was nothing to do.
    pub(crate) fn send(self, errand: &Errand<'_>) -> Result<Option<DeploymentOutcome>, Undone> {
        let Self { name, agents, mut connection, mut stdin, mut stdout } = self;
        let flight = flight(errand)?;
        let mut begun = false;
        let launched = unless_cancelled(&mut connection, || launch(&mut stdin, &mut stdout, &agents, &flight));
        let talked = launched.and_then(|()| {
            begun = true;
            connection.authenticated();
            converse(stdin, &mut stdout, errand)
        });
        match talked {
            Ok(outcome) => Ok(outcome),
            Err(Trouble::Refused(error)) => Err(error.into()),
            Err(Trouble::Lost(_)) if !begun && CANCEL.is_cancelled() => Err(stopped(&name).into()),
            Err(Trouble::Lost(why)) => Err(Undone { error: lost(&name, connection, &why, begun), may_go_on: begun }),
        }
    }
}

impl Host {
    /// Has the host prepared; what it answers goes to `output`.
    pub(crate) fn set_up(self, order: setup::Order, output: &mut dyn Write) -> Result<i32, CommandError> {
        self.ask(&Letter::Setup(Box::new(order)), output)
    }

    /// Has a question answered: what the host prints goes to `output` as it comes. Gives the command's exit code.
    pub(super) fn ask(self, letter: &Letter, output: &mut dyn Write) -> Result<i32, CommandError> {
        let Self { name, agents, mut connection, mut stdin, mut stdout } = self;
        let sender = Sender::new(Vec::new());
        let asked = sender.send_json(Kind::Order, letter).map_err(Trouble::from);
        let answered = asked.and_then(|()| launch(&mut stdin, &mut stdout, &agents, &sender.into_inner()));
        drop(stdin);
        connection.authenticated();
        match answered.and_then(|()| io::copy(&mut stdout, output).map_err(Trouble::from)) {
            Ok(_) => end(&name, connection),
            Err(Trouble::Refused(error)) => Err(error),
            Err(Trouble::Lost(why)) => Err(lost(&name, connection, &why, false)),
        }
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
fn end(name: &str, connection: Connection) -> Result<i32, CommandError> {
    let broke = |why: &str| CommandError::new(ErrorKind::Unreachable, format!("lost the connection to {name}: {why}"));
    let (status, said) = connection.finish().map_err(|error| broke(&error.to_string()))?;
    match status.code() {
        // ssh's own code for a connection that broke.
        Some(255) | None => Err(broke("ssh ended early").excerpt(said)),
        Some(code) => {
            if !said.is_empty() {
                // What cannot be said stops nothing.
                let _said = writeln!(io::stderr(), "{}", log_text(&said));
            }
            Ok(code)
        }
    }
}

/// All that is said at once, as bytes.
fn flight(errand: &Errand<'_>) -> Result<Vec<u8>, CommandError> {
    let build = || -> io::Result<Vec<u8>> {
        let sender = Sender::new(Vec::new());
        let has_manifest = errand.artifact.is_some();
        let change = Change { order: errand.order.clone(), has_variables: errand.variables.is_some(), has_manifest };
        sender.send_json(Kind::Order, &Letter::Change(Box::new(change)))?;
        if let Some(variables) = errand.variables {
            sender.send(Kind::Variables, &pack_variables(variables)?)?;
        }
        if let Some((manifest, _)) = errand.artifact {
            sender.send(Kind::Manifest, &pack_manifest(manifest)?)?;
        }
        Ok(sender.into_inner())
    };
    build().map_err(|error| {
        CommandError::new(ErrorKind::Failed, "cannot put the order into words")
            .because(&error)
            .state("nothing was changed")
    })
}

/// Sees that the agent is there, and that it has heard the first flight.
fn launch(
    stdin: &mut ChildStdin,
    stdout: &mut BufReader<ChildStdout>,
    agents: &[Agent],
    flight: &[u8],
) -> Result<(), Trouble> {
    take_off(stdin, flight)?;
    let mut greeted = greeting(stdout)?;
    if let Greeting::Missing { system, machine } = &greeted {
        upload(stdin, agents, system, machine)?;
        greeted = greeting(stdout)?;
        take_off(stdin, flight)?;
    }
    match greeted {
        Greeting::Agent => Ok(()),
        Greeting::Missing { .. } => Err(Trouble::Lost("the agent that it received is not there".to_owned())),
        Greeting::Other(line) if line.is_empty() => Err(Trouble::Lost("the connection ended".to_owned())),
        Greeting::Other(line) => Err(Trouble::Lost(format!("it said {line:?} where the agent should speak"))),
    }
}

fn take_off(stdin: &mut ChildStdin, flight: &[u8]) -> io::Result<()> {
    // A connection that is refused closes its end early: what it says then is the better word.
    let sent = stdin.write_all(preamble(flight.len()).as_bytes()).and_then(|()| stdin.write_all(flight));
    sent.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

fn upload(stdin: &mut ChildStdin, agents: &[Agent], system: &str, machine: &str) -> Result<(), Trouble> {
    let fitting = agents.iter().find(|agent| agent.machine == machine).filter(|_| system == "Linux");
    let agent = fitting.ok_or_else(|| Trouble::Refused(no_agent(agents, system, machine)))?;
    let mut file = File::open(&agent.path)?.take(agent.bytes);
    io::copy(&mut file, stdin)?;
    Ok(())
}

fn no_agent(agents: &[Agent], system: &str, machine: &str) -> CommandError {
    let told = CommandError::new(
        ErrorKind::Failed,
        format!("the host is {system} on {machine}, and this Cutover has no agent for that"),
    );
    let told = told.state("nothing was changed");
    // The first one is this very binary.
    match agents.first().filter(|_| system == "Linux") {
        Some(own) => {
            let path = own.path.with_file_name(format!("{PREFIX}{machine}"));
            told.hint(format!("put the cutover binary for {machine} at {}", path.display()))
        }
        None => told.hint("hosts must run Linux"),
    }
}

/// Hears what happens, and sends what is asked for.
fn converse(
    stdin: ChildStdin,
    stdout: &mut BufReader<ChildStdout>,
    errand: &Errand<'_>,
) -> Result<Option<DeploymentOutcome>, Trouble> {
    let (sender, over, began) = (Sender::new(stdin), AtomicBool::new(false), Instant::now());
    let (voice, heartbeat) = (errand.voice, heartbeat(errand.order));
    std::thread::scope(|scope| {
        let speaker = scope.spawn(|| speak(&sender, voice, (began, heartbeat), &over));
        let (sender, artifact) = (&sender, errand.artifact);
        let ask = |lacking: Lacking| drop(scope.spawn(move || provide(sender, artifact, lacking)));
        let heard = hear(stdout, errand, began, &ask);
        over.store(true, Ordering::SeqCst);
        // Nobody waits for its next look.
        speaker.thread().unpark();
        heard
    })
}

/// Hears the agent out, which is asked by the milliseconds since `began` whether it is there; `ask` is told which contents
/// the host lacks.
pub(super) fn hear(
    from: &mut impl Read,
    errand: &Errand<'_>,
    began: Instant,
    ask: &dyn Fn(Lacking),
) -> Result<Option<DeploymentOutcome>, Trouble> {
    // Each target asks once at most for what it lacks.
    let mut questions_left = errand.order.targets.len();
    // Each target keeps so many, and one more is at work.
    let mut ended_left = (RECALLED_COUNT_MAX + 1) * errand.order.targets.len();
    while let Some((kind, payload)) = receive(from)? {
        match kind {
            Kind::Lacking if questions_left == 0 => {
                return Err(Trouble::Lost("it asked for contents again and again".to_owned()));
            }
            Kind::Event => tell(errand.observer, &payload),
            Kind::Lacking => {
                questions_left -= 1;
                ask(Lacking::unpack(&payload)?);
            }
            Kind::Ended if ended_left == 0 => {
                return Err(Trouble::Lost("it told of more deployments than a host keeps".to_owned()));
            }
            Kind::Ended => {
                ended_left -= 1;
                take_ended(errand, &payload)?;
            }
            Kind::Refused => return Err(Trouble::Refused(serde_json::from_slice(&payload)?)),
            Kind::Done => return Ok(serde_json::from_slice::<Answer>(&payload)?.outcome),
            Kind::Gate => pass_on(errand.voice, at_gate(&payload)?),
            Kind::Present => pass_on(errand.voice, present(&payload, began)?),
            kind => return Err(Trouble::Lost(format!("it sent {kind:?} out of turn"))),
        }
    }
    Err(Trouble::Lost("the connection ended".to_owned()))
}

fn tell(observer: &dyn Observer, event: &[u8]) {
    // An event that is not understood is progress that is not shown; the journal comes whole in the end.
    if let Ok(event) = serde_json::from_slice::<Event>(event) {
        observer.event(&event);
    }
}

fn provide(sender: &Sender<ChildStdin>, artifact: Option<(&Manifest, &dyn BlobSource)>, lacking: Lacking) {
    if let Some((manifest, blobs)) = artifact {
        // A connection that broke is noticed by whoever reads from it.
        let _sent = send(sender, manifest, blobs, lacking);
    }
}

/// Takes the end of a deployment. What is not of this project and environment is none of what was asked for.
fn take_ended(errand: &Errand<'_>, payload: &[u8]) -> Result<(), Trouble> {
    let ended: Ended = serde_json::from_slice(payload)?;
    let (plan, order) = (&ended.plan, errand.order);
    if plan.project == order.project && plan.environment == order.environment {
        (errand.ended)(&ended);
    }
    Ok(())
}

fn at_gate(payload: &[u8]) -> Result<Says, Trouble> {
    let AtGate { gate, artifact } = serde_json::from_slice(payload)?;
    Ok(Says::AtGate(gate, artifact))
}

fn present(payload: &[u8], began: Instant) -> Result<Says, Trouble> {
    let Present { asked_ms, gate } = serde_json::from_slice(payload)?;
    let asked_at = began.checked_add(Duration::from_millis(asked_ms)).filter(|at| *at <= Instant::now());
    let asked_at = asked_at.ok_or_else(|| Trouble::Lost("it answered what was not asked".to_owned()))?;
    Ok(Says::Present { asked_at, gate })
}

fn pass_on(voice: Voice<'_>, says: Says) {
    if let Voice::Coordinator { tell, .. } = voice {
        tell(says);
    }
}

/// Passes on what the host is told, until it is over. What cannot be sent is noticed by whoever reads.
fn speak(sender: &Sender<ChildStdin>, voice: Voice<'_>, beat: (Instant, Duration), over: &AtomicBool) {
    match voice {
        Voice::Cancel(cancel) => pass_on_cancel(sender, cancel, over),
        Voice::Coordinator { words, .. } => pass_on_words(sender, words, beat, over),
    }
}

fn heartbeat(order: &Order) -> Duration {
    order.part.map_or(HEARTBEAT, |part| HEARTBEAT.min(part.lease / 4))
}

fn pass_on_cancel(sender: &Sender<ChildStdin>, cancel: &Cancel, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        if cancel.is_cancelled() {
            let _sent = sender.send(Kind::Cancel, &[]);
            return;
        }
        std::thread::park_timeout(POLL);
    }
}

fn pass_on_words(
    sender: &Sender<ChildStdin>,
    words: &Mutex<Receiver<Word>>,
    (began, heartbeat): (Instant, Duration),
    over: &AtomicBool,
) {
    let mut asked_at = began;
    each_word(words, over, |word| {
        let _sent = match word {
            Some(Word::Go(gate)) => sender.send_json(Kind::Go, &gate),
            Some(Word::Stop) => sender.send(Kind::Cancel, &[]),
            None if asked_at.elapsed() < heartbeat => return,
            None => {
                asked_at = Instant::now();
                sender.send_json(Kind::Alive, &began.elapsed().as_millis())
            }
        };
    });
}

/// Gives each word as it comes, and None now and then while there is none.
pub(super) fn each_word(words: &Mutex<Receiver<Word>>, over: &AtomicBool, mut take: impl FnMut(Option<Word>)) {
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

/// What a broken connection means.
fn lost(name: &str, connection: Connection, why: &str, begun: bool) -> CommandError {
    let (_, said) = connection.finish().unwrap_or_else(|error| (Default::default(), error.to_string()));
    let told = if begun {
        let told = CommandError::new(ErrorKind::Unreachable, format!("lost the connection to {name}: {why}"));
        told.state("the host goes on by itself: it finishes, or takes everything back")
            .hint("`cutover resume ENV` tells how it ended")
    } else {
        let told = CommandError::new(ErrorKind::Unreachable, format!("cannot reach {name}: {why}"));
        advise(told.state("nothing was changed"), &said)
    };
    told.excerpt(said)
}

/// What to do about what ssh says.
fn advise(told: CommandError, said: &str) -> CommandError {
    if said.contains("Host key verification failed") {
        told.hint(
            "`cutover setup ENV` shows its key, and pins it once you have compared it: Cutover accepts no key by itself",
        )
    } else if said.contains("Permission denied") {
        told.hint("`cutover setup ENV` lets your key in; `ssh -v` tells which keys are tried")
    } else {
        told.hint("try `ssh` with the same host: what works there works here")
    }
}
