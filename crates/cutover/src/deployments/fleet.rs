//! Coordinates a change of several hosts: each makes it under its own law, and waits for the others at two gates.

use super::contact::Contacts;
use super::earlier::{Earlier, End};
use super::order::Order;
use super::remote::{Host, Says, Told, Undone, Voice};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use cutover_core::config::OnUnreachable;
use cutover_core::event::{Event, Observer};
use cutover_core::id::DeploymentId;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::Plan;
use cutover_core::rollout::{Gate, Next, Rollout, Standing, Terms, Whole, Word, outcome};
use cutover_core::target::Cancel;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often it is looked whether stopping was asked for.
const POLL: Duration = Duration::from_millis(50);

/// How it is done without a host that cannot be reached.
const WAY_ROUND: &str = "to go on without it: `on_unreachable = \"skip\"` in the environment's `rollout`, until it can be reached \
                         and is deployed to; or take it out of `hosts`, which a host needs that runs the migrations";

/// One host and what it is asked for.
pub(super) struct Member {
    /// The connection to it; None for this machine.
    pub(super) connection: Option<Host>,
    /// What it is asked for.
    pub(super) order: Order,
}

/// A change of several hosts.
pub(super) struct Fleet<'a> {
    /// How it spreads; None when nobody waits for anybody.
    pub(super) rollout: Option<Rollout<'a>>,
    /// Who is told.
    pub(super) observer: &'a dyn Observer,
    /// Whether a person asked to stop.
    pub(super) cancel: &'a Cancel,
    /// Has one host do its part.
    pub(super) perform: &'a Perform<'a>,
    /// Whether every host brings the same artifact live, whatever it had before.
    pub(super) brings_one_artifact: bool,
    /// What the end of the whole depends on besides its hosts.
    pub(super) terms: Terms,
    /// How what is resumed had ended on hosts where nothing of it is unfinished.
    pub(super) earlier: &'a Earlier,
}

/// Has one host do its part; gives how it ended, or None when there was nothing to do.
pub(super) type Perform<'a> =
    dyn Fn(Member, Voice<'_>, &dyn Observer) -> Result<Option<DeploymentOutcome>, Undone> + Sync + 'a;

/// How a change of several hosts ended.
pub(super) struct FleetEnd {
    hosts: Vec<String>,
    standings: Vec<Standing>,
    errors: Vec<CommandError>,
    terms: Terms,
    /// Why everybody was told to stop though no host had failed.
    disagreement: Option<CommandError>,
}

/// What is heard of one host.
enum News {
    Says(Says),
    /// It begins with this; of what artifact where there is nothing to do, and whether another release is brought live.
    Begun {
        deployment: DeploymentId,
        idle_at: Option<String>,
        switches: bool,
    },
    Over(Result<Option<DeploymentOutcome>, Undone>),
}

impl Fleet<'_> {
    /// Has all members do their part, and tells how that ends.
    pub(super) fn run(&self, members: Vec<Member>) -> FleetEnd {
        let began = Instant::now();
        let hosts: Vec<String> = members.iter().map(|member| member.order.host.clone()).collect();
        self.observer.event(&Event::Fleet { hosts: hosts.clone(), at: Timestamp::now() });
        let (tell, news) = channel();
        let end = std::thread::scope(|scope| {
            let are_far: Vec<bool> = members.iter().map(|member| member.connection.is_some()).collect();
            let mut coordinator = Coordinator::new(self, hosts, &are_far, news);
            // Whoever waits for locks takes the first one first, like everybody: else two could wait for each other.
            let first_alone = members.first().is_some_and(|first| first.order.wait.is_some());
            for (at, member) in members.into_iter().enumerate() {
                let (say, words) = channel();
                coordinator.voices.push(say);
                let tell = tell.clone();
                scope.spawn(move || self.serve(at, member, words, &tell));
                if first_alone && at == 0 {
                    coordinator.await_first();
                }
            }
            drop(tell);
            coordinator.run()
        });
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.observer.event(&Event::FleetEnded {
            outcome: end.outcome(),
            whole: end.whole(),
            at: Timestamp::now(),
            elapsed_ms,
        });
        end
    }

    fn serve(&self, at: usize, member: Member, words: Receiver<Told>, tell: &Sender<(usize, News)>) {
        // When the coordinator is gone, so is this process.
        let say = |news| drop(tell.send((at, news)));
        let (words, host) = (Mutex::new(words), member.order.host.clone());
        let tell = |says| say(News::Says(says));
        let begun = |plan: &Plan| {
            let idle_at = plan.finds_nothing_to_do().then(|| plan.artifact.clone());
            say(News::Begun { deployment: plan.deployment.clone(), idle_at, switches: plan.switches() });
        };
        let observer = OnHost { host, inner: self.observer, begun: &begun };
        let voice = Voice::Coordinator { words: &words, tell: &tell };
        say(News::Over((self.perform)(member, voice, &observer)));
    }
}

/// Tells on which host something happened.
struct OnHost<'a, F> {
    host: String,
    inner: &'a dyn Observer,
    begun: &'a F,
}

impl<F: Fn(&Plan) + Sync> Observer for OnHost<'_, F> {
    fn event(&self, event: &Event) {
        if let Event::Began { plan, .. } = event {
            (self.begun)(plan);
        }
        self.inner.event(&Event::OnHost { host: self.host.clone(), happened: Box::new(event.clone()) });
    }
}

/// How long the machine has been up, its sleep included.
fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

struct Coordinator<'f> {
    fleet: &'f Fleet<'f>,
    end: FleetEnd,
    news: Receiver<(usize, News)>,
    voices: Vec<Sender<Told>>,
    /// What each host is about to bring live, or has already.
    artifacts: Vec<Option<String>>,
    /// Which of them found nothing to do.
    idle: Vec<bool>,
    /// Which of them bring another release live.
    switching: Vec<bool>,
    /// Which of them had nothing unfinished: how they stand depends on what the others have resumed.
    aside: Vec<usize>,
    /// The deployments that were begun or taken up.
    begun: BTreeSet<DeploymentId>,
    /// For how many waves the pause has passed.
    paused: usize,
    /// The wave before which a pause passes, and until when.
    pausing: Option<(usize, Instant)>,
    /// The last wave that was announced, from 1.
    wave: usize,
    /// Whether everybody was told that a person asked to stop.
    stopped: bool,
    /// When this process last looked up, by a clock that goes on while the machine sleeps.
    awake_at: Duration,
    contacts: Contacts,
    /// Why hosts are told to stop, once one does not come along.
    cause: Option<String>,
}

impl<'f> Coordinator<'f> {
    fn new(fleet: &'f Fleet<'f>, hosts: Vec<String>, are_far: &[bool], news: Receiver<(usize, News)>) -> Self {
        let count = hosts.len();
        let standings = vec![Standing::Preparing; count];
        let end = FleetEnd { hosts, standings, errors: Vec::new(), terms: fleet.terms, disagreement: None };
        let (artifacts, voices) = (vec![None; count], Vec::new());
        let lease = fleet.rollout.map_or(Duration::MAX, |rollout| rollout.config.lease);
        Self {
            fleet,
            end,
            news,
            voices,
            artifacts,
            idle: vec![false; count],
            switching: vec![false; count],
            aside: Vec::new(),
            begun: BTreeSet::new(),
            paused: 0,
            pausing: None,
            wave: 0,
            stopped: false,
            awake_at: uptime(),
            contacts: Contacts::new(lease, are_far, Instant::now()),
            cause: None,
        }
    }

    /// Waits until the first host has its lock, or has none.
    fn await_first(&mut self) {
        loop {
            match self.news.recv_timeout(POLL) {
                Ok((at, news)) => return self.take(at, news),
                Err(RecvTimeoutError::Timeout) => self.pass_on_stop(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn run(mut self) -> FleetEnd {
        loop {
            self.notice_sleep();
            self.notice_silence();
            let next = match &self.fleet.rollout {
                Some(rollout) => rollout.next(&self.end.standings, self.paused, self.must_stop()),
                None if self.end.standings.iter().all(|standing| standing.is_over()) => Next::Over,
                None => Next::Wait,
            };
            match next {
                Next::Over => return self.hear_out(),
                Next::Tell(words) => self.say(&words),
                Next::Pause(wave) => self.pause(wave),
                Next::Wait => self.pausing = None,
            }
            self.hear();
        }
    }

    /// Whoever slept for longer than hosts believe in it does not know any more how they stand: they decide by themselves,
    /// and nobody may be told to go on because of what was known before.
    fn notice_sleep(&mut self) {
        let (now, Some(rollout)) = (uptime(), &self.fleet.rollout) else { return };
        let slept = now.saturating_sub(self.awake_at);
        self.awake_at = now;
        if slept > rollout.config.lease / 2 && self.end.disagreement.is_none() {
            let told = format!("this process stood still for {} s while hosts waited for it", slept.as_secs());
            let told = CommandError::new(ErrorKind::Failed, told);
            self.end.disagreement = Some(told.state("what was switched goes back, unless all of it had settled"));
        }
    }

    /// Nobody may be told to go on because of what was known of a host that is not heard of any more.
    fn notice_silence(&mut self) {
        let now = Instant::now();
        for at in 0..self.end.standings.len() {
            let standing = self.contacts.pass(at, self.end.standings[at], now);
            self.stands(at, standing, "it does not answer any more");
        }
    }

    fn must_stop(&self) -> bool {
        self.fleet.cancel.is_cancelled() || self.end.disagreement.is_some()
    }

    fn say(&mut self, words: &[(usize, Word)]) {
        self.announce_wave(words);
        for (at, word) in words {
            // Who does not listen any more says why it is over.
            let _heard = self.voices[*at].send(self.told(*word));
            let standing = match word {
                Word::Go(Gate::Switch) => {
                    self.contacts.switches(*at);
                    Standing::Switching
                }
                Word::Go(Gate::Settle) => Standing::Settling,
                Word::Stop => Standing::Stopping,
            };
            self.end.standings[*at] = standing;
            self.tell(*at, standing, "");
        }
    }

    /// A word with what a host's history shall know of it.
    fn told(&self, word: Word) -> Told {
        match word {
            Word::Go(gate) => Told::Go(gate),
            Word::Stop if self.fleet.cancel.is_cancelled() => Told::Stop { why: String::new() },
            Word::Stop => Told::Stop { why: self.cause() },
        }
    }

    /// What came first of all that makes hosts go back.
    fn cause(&self) -> String {
        let disagreement = self.end.disagreement.as_ref().map(|error| error.message().to_owned());
        disagreement.or_else(|| self.cause.clone()).unwrap_or_default()
    }

    /// Notes the first of several hosts that does not come along.
    fn note_cause(&mut self, at: usize, standing: Standing, why: &str) {
        let skips = self.fleet.rollout.is_none_or(|it| it.config.on_unreachable == OnUnreachable::Skip);
        let what = match standing {
            Standing::Unreachable if skips => return,
            Standing::Ended(DeploymentOutcome::Failed) => "failed",
            Standing::Ended(DeploymentOutcome::RolledBack) => "was rolled back",
            Standing::Ended(DeploymentOutcome::Stuck) => "is stuck",
            Standing::Unreachable | Standing::Refused | Standing::Lost | Standing::Leaving => why,
            Standing::Preparing
            | Standing::Staged
            | Standing::Switching
            | Standing::Healthy
            | Standing::Silent
            | Standing::Settling
            | Standing::Stopping
            | Standing::Unchanged
            | Standing::Ended(DeploymentOutcome::Deployed) => return,
        };
        let host = &self.end.hosts[at];
        let named = if what.contains(host.as_str()) { what.to_owned() } else { format!("{host}: {what}") };
        self.cause.get_or_insert(named);
    }

    fn announce_wave(&mut self, words: &[(usize, Word)]) {
        let switched = words.iter().find(|(_, word)| *word == Word::Go(Gate::Switch));
        let (Some((at, _)), Some(rollout)) = (switched, &self.fleet.rollout) else { return };
        let waves = rollout.waves(&self.end.standings);
        let number = waves.iter().position(|wave| wave.contains(at)).map_or(0, |place| place + 1);
        if number > self.wave {
            self.wave = number;
            let hosts = waves[number - 1].iter().map(|at| self.end.hosts[*at].clone()).collect();
            let [number, count] = [number, waves.len()].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            self.fleet.observer.event(&Event::Wave { number, count, hosts });
        }
    }

    fn pause(&mut self, wave: usize) {
        let pause = self.fleet.rollout.map_or(Duration::ZERO, |rollout| rollout.config.pause);
        let (_, until) = *self.pausing.get_or_insert((wave, Instant::now() + pause));
        if Instant::now() >= until {
            (self.paused, self.pausing) = (wave, None);
        }
    }

    /// Hears what there is, and waits a little for something.
    fn hear(&mut self) {
        match self.news.recv_timeout(POLL) {
            Ok((at, news)) => self.take(at, news),
            Err(RecvTimeoutError::Timeout) => {}
            // Nobody is left who could say anything: what is not over has died in this process.
            Err(RecvTimeoutError::Disconnected) => {
                self.end.standings.iter_mut().filter(|standing| !standing.is_over()).for_each(|s| *s = Standing::Lost);
            }
        }
        while let Ok((at, news)) = self.news.try_recv() {
            self.take(at, news);
        }
        if self.fleet.rollout.is_none() {
            self.pass_on_stop();
        }
    }

    /// Hears the end of hosts that were given up and are still connected.
    fn hear_out(mut self) -> FleetEnd {
        while let Ok((at, news)) = self.news.recv() {
            self.take(at, news);
        }
        for at in std::mem::take(&mut self.aside) {
            self.end.standings[at] = Standing::Preparing;
            let End { standing, switches, .. } = self.fleet.earlier.end(&self.end.hosts[at], &self.begun);
            self.switching[at] = switches;
            self.stands(at, standing, "");
        }
        // Who has only restarted what it had is as it was, whatever becomes of the others: the history says the same.
        let stays = Standing::Ended(DeploymentOutcome::Deployed);
        let brings = self.end.standings.iter().zip(&self.switching).any(|(end, switches)| *end == stays && *switches);
        self.end.terms.brings_release &= brings;
        self.end
    }

    /// Without a rollout, to stop is all that there is to say.
    fn pass_on_stop(&mut self) {
        if self.fleet.cancel.is_cancelled() && !self.stopped {
            self.stopped = true;
            for voice in &self.voices {
                // Who does not listen any more says why it is over.
                let _heard = voice.send(Told::Stop { why: String::new() });
            }
        }
    }

    fn take(&mut self, at: usize, news: News) {
        let (standing, why) = match news {
            News::Begun { deployment, idle_at, switches } => {
                (self.idle[at], self.switching[at]) = (idle_at.is_some(), switches);
                // Who is there already says so at no gate.
                self.artifacts[at] = idle_at;
                self.begun.insert(deployment);
                return;
            }
            News::Says(Says::AtGate(gate, artifact)) => {
                self.artifacts[at] = Some(artifact);
                (self.at_gate(at, gate), String::new())
            }
            News::Says(Says::Present { asked_at, gate }) => {
                let standing = self.contacts.answered(at, self.end.standings[at], asked_at, gate);
                (standing, "it waits no longer".to_owned())
            }
            News::Over(Ok(None)) if self.fleet.rollout.is_none() => {
                self.end.standings[at] = Standing::Unchanged;
                self.aside.push(at);
                return;
            }
            News::Over(Ok(None)) => (Standing::Unchanged, String::new()),
            News::Over(Ok(Some(DeploymentOutcome::Deployed))) if self.idle[at] => (Standing::Unchanged, String::new()),
            News::Over(Ok(Some(outcome))) => (Standing::Ended(outcome), String::new()),
            News::Over(Err(undone)) => self.undone(at, undone),
        };
        self.stands(at, standing, &why);
    }

    /// Tells how a host stands from now on: what comes next takes its time from here.
    fn tell(&self, at: usize, standing: Standing, why: &str) {
        let (host, why) = (self.end.hosts[at].clone(), why.to_owned());
        self.fleet.observer.event(&Event::Stands { host, standing, why, at: Timestamp::now() });
    }

    /// Notes how a host stands, and tells it when that is new.
    fn stands(&mut self, at: usize, standing: Standing, why: &str) {
        if self.end.standings[at] == standing {
            return;
        }
        self.end.standings[at] = standing;
        self.note_cause(at, standing, why);
        if standing == Standing::Leaving {
            // Should it hear that, it knows sooner.
            let _heard = self.voices[at].send(self.told(Word::Stop));
        }
        self.tell(at, standing, why);
        self.compare();
    }

    /// One that was told to stop meanwhile hears that at its gate.
    fn at_gate(&mut self, at: usize, gate: Gate) -> Standing {
        self.contacts.at_gate(at, Instant::now());
        match (gate, self.end.standings[at]) {
            (Gate::Switch, Standing::Preparing) => Standing::Staged,
            (Gate::Settle, Standing::Switching) => Standing::Healthy,
            (_, standing) => standing,
        }
    }

    fn undone(&mut self, at: usize, Undone { error, may_go_on }: Undone) -> (Standing, String) {
        let migrates_elsewhere = self.fleet.rollout.is_some_and(|it| it.migrating.is_some_and(|host| host != at));
        let standing = match (may_go_on, error.kind()) {
            (true, _) if migrates_elsewhere => self.contacts.lost(at, Instant::now()),
            (true, _) => Standing::Lost,
            (false, ErrorKind::Unreachable) => Standing::Unreachable,
            (false, _) => Standing::Refused,
        };
        let why = error.message().to_owned();
        self.end.errors.push(error);
        (standing, why)
    }

    /// A rollback goes to each host's last good release: they must be of one artifact.
    fn compare(&mut self) {
        let all_staged = !self.end.standings.contains(&Standing::Preparing);
        if self.fleet.brings_one_artifact || !all_staged || self.end.disagreement.is_some() {
            return;
        }
        let mut brought =
            self.end.hosts.iter().zip(&self.artifacts).filter_map(|(host, artifact)| Some((host, artifact.as_ref()?)));
        let Some((one, artifact)) = brought.next() else { return };
        if let Some((other, _)) = brought.find(|(_, other)| *other != artifact) {
            let told =
                CommandError::new(ErrorKind::Failed, format!("{one} and {other} would go back to different artifacts"));
            let told = told
                .state("nothing was changed")
                .hint("name the release: `cutover releases ENV` lists what each host has");
            self.end.disagreement = Some(told);
        }
    }
}

impl FleetEnd {
    /// Whether no host has anything to tell.
    pub(super) fn is_quiet(&self) -> bool {
        self.errors.is_empty()
    }

    /// How it ended where something did; as the worst of all.
    pub(super) fn outcome(&self) -> Option<DeploymentOutcome> {
        outcome(self.standings.iter().filter_map(|standing| match standing {
            Standing::Ended(outcome) => Some(*outcome),
            _ => None,
        }))
    }

    /// How it ended as a whole.
    pub(super) fn whole(&self) -> Whole {
        Whole::of(&self.standings, self.terms)
    }

    /// What is left to be told to a person, and the exit code.
    pub(super) fn conclude(self) -> Result<Exit, CommandError> {
        match self.whole() {
            Whole::Done | Whole::Unchanged | Whole::Skipped => Ok(Exit::Done),
            // What runs differs from host to host: that is neither the new release nor the one before.
            Whole::Divided | Whole::Stuck => Ok(Exit::Stuck),
            Whole::RolledBack => Ok(Exit::RolledBack),
            Whole::InDoubt => Err(self.lost()),
            Whole::Failed => self.disagreement.map_or(Ok(Exit::Failed), Err),
            Whole::NotDone => self.not_done(),
        }
    }

    /// Why something was not begun; of hosts without which it would have been done, nothing is said.
    fn not_done(self) -> Result<Exit, CommandError> {
        let may_miss = self.terms.on_unreachable == OnUnreachable::Skip && self.standings.contains(&Standing::Refused);
        let why = self.errors.into_iter().find(|error| !(may_miss && error.kind() == ErrorKind::Unreachable));
        let why = why.map(|error| if error.kind() == ErrorKind::Unreachable { error.hint(WAY_ROUND) } else { error });
        why.or(self.disagreement).map_or(Ok(Exit::Failed), Err)
    }

    fn lost(self) -> CommandError {
        let lost: Vec<&str> = self
            .hosts
            .iter()
            .zip(&self.standings)
            .filter(|(_, s)| **s == Standing::Lost)
            .map(|(host, _)| host.as_str())
            .collect();
        let told = CommandError::new(ErrorKind::Unreachable, format!("lost the connection to {}", lost.join(", ")));
        told.state("each of these goes on by itself: it finishes, or takes everything back")
            .hint("`cutover resume ENV` tells how it ended; then deploy again, so that all hosts are alike")
    }
}

#[cfg(test)]
mod tests;
