//! `cutover status`.

use super::HostArgs;
use super::alike;
use super::health::{self, Health, Patient};
use super::words;
use crate::bounded::Bounded;
use crate::context::Context;
use crate::deployments::{
    Gone, Place, Unfinished, journals_fault,
    there::{self, Inquiry},
};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::side_by_side::side_by_side;
use clap::Args;
use cutover_core::config::{EnvironmentConfig, HostConfig};
use cutover_core::id::{EnvironmentName, ReleaseId, TargetName};
use cutover_core::mask::Masker;
use cutover_core::target::Failure;
use cutover_reporters::{bytes, one_line};
use cutover_targets::host::lock::{self, Holder};
use cutover_targets::host::{Layout, Release, ReleaseState, amiss, live, open_journals, previous_release, release_of};
use cutover_targets::service::{self, ServiceState};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What is said where hosts have different commits live.
const DIFFER: &str = "the hosts have not the same live: deploy again, which makes all alike";

/// Show what is live, whether it runs, and what is in the way
///
/// For each target: the live release and the one before, the service's state with its process,
/// memory, processor time and restarts, what its probes see now, who holds the lock or waits for
/// it, and deployments that are stuck or were left unfinished, with what to do. Everything is read
/// from the host itself, now.
///
/// "healthy" is observed: each probe of the live release is made once, within two seconds (but for
/// those of the log, which are about a start). What was not done by then and has more time in a
/// deployment is "not known", "healthy":null in JSON. A command has its own time; one that may take
/// more than 30 seconds is not run. A service that ends again and again is in a "crash
/// loop", also in the moments that it runs. Whatever is seen, the exit code is 0: --json is for
/// scripts. A host that could not be asked is named with the reason, and the exit code is 7.
///
/// Examples:
///   cutover status                # every environment
///   cutover status production
///   cutover status --json | jq '.environments[].targets[].health.healthy'
///
/// With --json: {"v":1,"environments":[{"name":…,"targets":[{"release":…,"service":{…},
/// "health":{"healthy":…,"probes":[…]}}]}]}.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StatusArgs {
    /// Only this environment
    #[arg(value_name = "ENV")]
    pub(super) environment: Option<String>,
    #[command(flatten)]
    pub(super) only: HostArgs,
    /// Says the same in words too: for who asks from another machine, and tells people
    #[arg(long, hide = true)]
    words: bool,
}

/// An environment as it is told: looked at here, or what the machines said that it is on, a line each.
enum Told {
    Here(EnvironmentStatus),
    There(String),
}

/// The key under which a host says the same in words.
const WORDS: &str = "words";

/// An environment, those of its hosts that could not be asked, and what that means for how the command ends.
struct Seen {
    told: Option<Told>,
    unheard: Vec<EnvironmentStatus>,
    exit: Exit,
}

#[derive(Serialize)]
struct EnvironmentStatus {
    name: EnvironmentName,
    targets: Vec<TargetStatus>,
    /// The host that could not be asked, where it is one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct TargetStatus {
    name: TargetName,
    deploy_to: String,
    release: Option<ReleaseStatus>,
    /// Whether it is known that nothing is live.
    #[serde(skip)]
    nothing_live: bool,
    previous: Option<ReleaseId>,
    /// How far that one came; None where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_state: Option<ReleaseState>,
    /// Links that name no release, journals and locks that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
    service: Option<ServiceState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_error: Option<String>,
    /// The release that the service's main process runs, when it is not the live one.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_release: Option<ReleaseId>,
    /// What the probes see now; None where nothing was asked.
    health: Option<Health>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_error: Option<String>,
    lock: Option<Holder>,
    maintenance: Option<Holder>,
    queue: Vec<Holder>,
    unfinished: Vec<Unfinished>,
}

#[derive(Serialize)]
struct ReleaseStatus {
    id: ReleaseId,
    #[serde(flatten)]
    release: Option<Release>,
}

impl StatusArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let environments = match &self.environment {
            Some(name) => vec![context.environment(name)?],
            None => context.project()?.config.environments.iter().collect(),
        };
        let names: Vec<&EnvironmentName> = environments.iter().map(|(name, _)| *name).collect();
        let seen: Vec<Seen> =
            environments.into_iter().map(|(name, config)| see(context, name, config, context.output.json)).collect();
        if context.output.json {
            let words = self.words.then_some(context);
            let statuses = seen.iter().map(|seen| seen.json(words)).collect::<Result<Vec<_>, _>>()?;
            context.output.json(&serde_json::json!({ "v": 1, "environments": statuses.concat() }))?;
        } else {
            let text: String = seen.iter().map(|seen| seen.text(context)).collect();
            context.output.text(&text)?;
        }
        names.iter().for_each(|name| Gone::warn(context, name, &Gone::from(context, name)));
        Ok(seen.iter().map(|seen| seen.exit).max_by_key(|exit| *exit as u8).unwrap_or(Exit::Done))
    }
}

/// What `--json` tells of an environment, each of its hosts with its targets, or with the reason why it could not be asked.
pub(super) fn seen(context: &Context, environment: &str) -> Result<Vec<Value>, CommandError> {
    let (name, config) = context.environment(environment)?;
    Ok(see(context, name, config, true).json(None)?)
}

impl Seen {
    fn of(told: Told, exit: Exit) -> Self {
        Self { told: Some(told), unheard: Vec::new(), exit }
    }

    fn json(&self, words: Option<&Context>) -> Result<Vec<Value>, serde_json::Error> {
        let mut all = self.told.as_ref().map_or_else(|| Ok(Vec::new()), |told| told.json(words))?;
        for status in &self.unheard {
            all.push(serde_json::to_value(status)?);
        }
        Ok(all)
    }

    fn text(&self, context: &Context) -> String {
        let told = self.told.as_ref().map_or_else(String::new, |told| told.text(context));
        told + &self.unheard.iter().map(|status| status.text(context)).collect::<String>()
    }
}

impl Told {
    /// As data; with what it takes to say so, in words too.
    fn json(&self, words: Option<&Context>) -> Result<Vec<Value>, serde_json::Error> {
        match self {
            Self::Here(status) => {
                let mut told = serde_json::to_value(status)?;
                if let Some(context) = words {
                    told[WORDS] = status.text(context).into();
                }
                Ok(vec![told])
            }
            // A line for each host.
            Self::There(answers) => {
                Ok(answers.lines().map(|line| environments(line).1).collect::<Result<Vec<_>, _>>()?.concat())
            }
        }
    }

    fn text(&self, context: &Context) -> String {
        match self {
            Self::Here(status) => status.text(context),
            Self::There(answers) => {
                let (text, told) = in_words(answers);
                if alike::differ(&told) { text + &context.output.paint().warning(DIFFER) + "\n" } else { text }
            }
        }
    }
}

/// What hosts answered in words, each line behind the name of its host where there are several, and as data.
fn in_words(answers: &str) -> (String, Vec<Value>) {
    let (mut text, mut all) = (String::new(), Vec::new());
    for line in answers.lines() {
        match environments(line) {
            // What it failed at.
            (label, Ok(told)) if told.is_empty() => {
                let answer: Value = serde_json::from_str(&line[label.len()..]).unwrap_or_default();
                let why = answer["error"]["message"].as_str().map_or_else(|| line[label.len()..].to_owned(), one_line);
                text.extend([label, &why, "\n"]);
            }
            (label, Ok(told)) => {
                let words = told.iter().filter_map(|told| told[WORDS].as_str()).flat_map(str::lines);
                text.extend(words.map(|words| format!("{label}{words}\n")));
                all.extend(told);
            }
            // Something else is passed on as it is.
            (_, Err(_)) => text.extend([line, "\n"]),
        }
    }
    (text, all)
}

/// What stands before one host's answer, which is its name where there are several, and the environments that it tells of, each with
/// the host then.
fn environments(answer: &str) -> (&str, Result<Vec<Value>, serde_json::Error>) {
    let (label, answer) = answer.split_at(answer.find('{').unwrap_or(answer.len()));
    let told = serde_json::from_str(answer).map(|mut answer: Value| {
        let mut told = answer["environments"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let labelled = label.split_once(" | ").map(|(host, _)| host.trim_end().into());
        if let Some(host) = answer.get("host").cloned().or(labelled) {
            told.iter_mut().for_each(|environment| environment["host"] = host.clone());
        }
        told
    });
    (label, told)
}

/// Looks at an environment where it is; one whose machine cannot be reached hides none of the others.
fn see(context: &Context, name: &EnvironmentName, config: &EnvironmentConfig, is_json: bool) -> Seen {
    let mut args = ["status", name.as_str(), "--json"].map(str::to_owned).to_vec();
    args.extend((!is_json).then(|| "--words".to_owned()));
    let (mut answer, unheard) = (Bounded::default(), Mutex::new(Vec::new()));
    let note = |host: &str, error: &CommandError| {
        let status = EnvironmentStatus { host: Some(host.to_owned()), ..unseen(name, why(error, name)) };
        unheard.lock().unwrap_or_else(PoisonError::into_inner).push(status);
    };
    let (streams, follows, tells_codes) = (false, false, false);
    let (environment, args, leaves) = (name.as_str(), args.as_slice(), &|| ());
    let inquiry = Inquiry { environment, hosts: &[], args, streams, follows, tells_codes, leaves, unheard: &note };
    let asked = there::ask(context, &inquiry, &mut answer);
    let unheard = unheard.into_inner().unwrap_or_else(PoisonError::into_inner);
    let answer = answer.bytes;
    let told = (!answer.is_empty()).then(|| Told::There(String::from_utf8_lossy(&answer).into_owned()));
    match (asked, told) {
        // What the reachable hosts said is told whatever the others did.
        (Ok(Some(_)), told) if !unheard.is_empty() => Seen { told, unheard, exit: Exit::Unreachable },
        (Ok(Some(code)), Some(told)) => Seen::of(told, if code == 0 { Exit::Done } else { Exit::Failed }),
        (Ok(Some(code)), None) => {
            Seen::of(Told::Here(unseen(name, format!("the host answered with exit code {code}"))), Exit::Failed)
        }
        (Ok(None), _) => Seen::of(Told::Here(look(context, name, config)), Exit::Done),
        (Err(error), _) => Seen::of(Told::Here(unseen(name, why(&error, name))), error.exit()),
    }
}

/// Why a host could not be asked, and what to do, with the environment's name where that says `ENV`.
fn why(error: &CommandError, name: &EnvironmentName) -> String {
    let advice = error.advice_in(name.as_str());
    if advice.is_empty() { error.reason() } else { format!("{} ({advice})", error.reason()) }
}

fn unseen(name: &EnvironmentName, why: String) -> EnvironmentStatus {
    EnvironmentStatus { name: name.clone(), targets: Vec::new(), host: None, error: Some(why) }
}

fn look(context: &Context, name: &EnvironmentName, config: &EnvironmentConfig) -> EnvironmentStatus {
    match Place::here(name, config) {
        Ok(place) => {
            let mut targets = Vec::new();
            let look = |(target, host, layout): (&TargetName, &HostConfig, Layout)| {
                TargetStatus::of(context, (name, config), (target, host), &layout)
            };
            side_by_side(place.layouts().collect(), look, |target| targets.push(target));
            EnvironmentStatus { name: name.clone(), targets, host: None, error: None }
        }
        Err(error) => unseen(name, error.to_string()),
    }
}

impl TargetStatus {
    fn of(
        context: &Context,
        environment: (&EnvironmentName, &EnvironmentConfig),
        (name, config): (&TargetName, &HostConfig),
        layout: &Layout,
    ) -> Self {
        let opened = config.service.as_ref().map(|service| service::open(service, &site(name, config)));
        let (service, service_error) = split(opened.as_ref().map(|service| service.state()).transpose());
        let mut faults: Vec<String> =
            amiss(layout, service.as_ref()).map(|amiss| told(amiss.failure)).into_iter().collect();
        let live = live(layout);
        let nothing_live = live.is_none() && faults.is_empty();
        let previous = named(previous_release(layout), &mut faults);
        faults.extend(journals_fault(layout));
        let maintenance = lock::maintenance(layout, context.now()).unwrap_or_else(|error| {
            faults.push(error.to_string());
            None
        });
        let release = live.as_ref().and_then(|id| Release::read(layout, id).ok());
        let asked = release.as_ref().map(|release| {
            let target = (name, config);
            let patient = Patient { environment, target, layout, release, service: opened.as_deref() };
            health::look(&patient, service.as_ref())
        });
        let (health, health_error) = split(asked.transpose().map(Option::flatten));
        let main = service.as_ref().and_then(|state| state.main.as_ref());
        Self {
            name: name.clone(),
            deploy_to: config.deploy_to.display().to_string(),
            service_release: main.and_then(|main| other_release(main.pid, layout, live.as_ref())),
            release: live.map(|id| ReleaseStatus { release, id }),
            nothing_live,
            previous_state: previous.as_ref().and_then(|id| Some(Release::read(layout, id).ok()?.state)),
            previous,
            faults,
            service,
            service_error,
            health,
            health_error,
            lock: lock::holder(layout),
            maintenance,
            queue: lock::queue(layout),
            unfinished: open_journals(layout).iter().filter_map(|path| Unfinished::read(path)).collect(),
        }
    }
}

/// What was seen, or in words why it was not.
fn split<T>(seen: Result<Option<T>, Failure>) -> (Option<T>, Option<String>) {
    seen.map_or_else(|failure| (None, Some(told(failure))), |seen| (seen, None))
}

/// The release that a link names. A link that names none is a fault, not an absent release.
fn named(link: Result<Option<ReleaseId>, Failure>, faults: &mut Vec<String>) -> Option<ReleaseId> {
    link.unwrap_or_else(|failure| {
        faults.push(told(failure));
        None
    })
}

/// A failure in one line: what failed, what was said to it, and what to do.
fn told(failure: Failure) -> String {
    let said = failure.excerpt.lines().next().map_or_else(String::new, |line| format!(": {line}"));
    let hint = failure.hint.map_or_else(String::new, |hint| format!(" ({hint})"));
    failure.message + &said + &hint
}

/// The release that a service's main process works in, when it is not the live one.
fn other_release(pid: u32, layout: &Layout, live: Option<&ReleaseId>) -> Option<ReleaseId> {
    release_of(pid, layout).filter(|release| Some(release) != live)
}

/// A place from which a service is only looked at.
fn site(name: &TargetName, config: &HostConfig) -> service::Site {
    service::Site {
        name: name.clone(),
        deploy_to: config.deploy_to.clone(),
        env_file: config.env_file.clone(),
        supervisor_program: std::path::PathBuf::new(),
        supervisor_args: Vec::new(),
        masker: Masker::new([]),
        secret_names: BTreeSet::new(),
    }
}

impl EnvironmentStatus {
    fn text(&self, context: &Context) -> String {
        let paint = context.output.paint();
        let host = self.host.as_ref().map_or_else(String::new, |host| one_line(&format!("{host} | ")));
        let mut text = format!("{host}{}\n", paint.strong(&self.name));
        text.extend(self.error.iter().map(|error| format!("{host}  {}\n", paint.bad(one_line(error)))));
        text.extend(self.targets.iter().map(|target| target.text(&self.name, context)));
        text
    }
}

impl TargetStatus {
    fn text(&self, environment: &EnvironmentName, context: &Context) -> String {
        let head = format!("  {}\n", one_line(&format!("{} in {}", self.name, self.deploy_to)));
        let lines =
            self.releases(context).into_iter().chain(self.running(environment, context)).chain(self.locks(context));
        head + &lines.chain(self.left(environment, context)).map(|line| format!("    {line}\n")).collect::<String>()
    }

    fn releases(&self, context: &Context) -> Vec<String> {
        let paint = context.output.paint();
        let mut lines: Vec<String> = self.faults.iter().map(|fault| paint.bad(fault)).collect();
        lines.extend(self.release.iter().map(|release| one_line(&release.text(context))));
        let unverified = self.release.iter().filter(|release| release.is_unverified());
        lines.extend(unverified.map(|_| paint.warning("not verified yet: it may be taken back")));
        lines.extend(self.nothing_live.then(|| "nothing is live yet".to_owned()));
        // A rollback without a name does not go there.
        let bad = if self.previous_state == Some(ReleaseState::Bad) { ", which is marked bad" } else { "" };
        lines.extend(self.previous.iter().map(|id| format!("before it: {id}{bad}")));
        lines
    }

    fn running(&self, environment: &EnvironmentName, context: &Context) -> Vec<String> {
        let paint = context.output.paint();
        let is_well = |state: &ServiceState| state.active && !state.crash_looping;
        let seen = self
            .service
            .iter()
            .map(|state| if is_well(state) { paint.good(service_text(state)) } else { paint.bad(service_text(state)) });
        let unseen = self.service_error.iter().map(|error| paint.bad(format!("service cannot be seen: {error}")));
        let other = self.service_release.iter();
        let other = other.map(|id| paint.bad(format!("the service runs release {id}, which is not the live one")));
        let stopped = self
            .is_stopped()
            .then(|| paint.warning(format!("nothing runs until somebody starts it: cutover app {environment} start")));
        seen.chain(stopped).chain(unseen).chain(other).chain(self.observed(context)).collect()
    }

    /// Whether something is live that somebody stopped. A deployment that is under way may just be starting it.
    fn is_stopped(&self) -> bool {
        let is_off = |state: &ServiceState| !state.active && !state.wanted;
        self.release.is_some() && self.lock.is_none() && self.service.as_ref().is_some_and(is_off)
    }

    /// What the probes see.
    fn observed(&self, context: &Context) -> Vec<String> {
        let paint = context.output.paint();
        let paint_line = |healthy: Option<bool>, line: &str| match healthy {
            Some(true) => paint.good(line),
            Some(false) => paint.bad(line),
            None => paint.warning(line),
        };
        let seen = self
            .health
            .iter()
            .flat_map(|health| health.lines().into_iter().map(|(healthy, line)| paint_line(healthy, &one_line(&line))));
        seen.chain(self.health_error.iter().map(|error| paint.bad(format!("probes cannot be asked: {error}"))))
            .collect()
    }

    fn locks(&self, context: &Context) -> Vec<String> {
        let paint = context.output.paint();
        let line = |what: &str, holder: &Holder| paint.warning(words::holder(what, holder, context.now()));
        let maintenance = self.maintenance.iter().map(|holder| line("maintenance lock by", holder));
        let lock = self.lock.iter().map(|holder| line("locked by", holder));
        maintenance.chain(lock).chain(self.queue.iter().map(|holder| line("waiting:", holder))).collect()
    }

    /// What has no end yet. While the lock is held, that is what its holder is at.
    fn left(&self, environment: &EnvironmentName, context: &Context) -> Vec<String> {
        let paint = context.output.paint();
        let left = self.unfinished.iter().filter(|_| self.lock.is_none());
        left.flat_map(|unfinished| unfinished.lines(environment)).map(|line| paint.warning(line)).collect()
    }
}

impl ReleaseStatus {
    /// Whether the deployment that switched to it has not been seen to the end.
    fn is_unverified(&self) -> bool {
        self.release.as_ref().is_some_and(|release| release.state == ReleaseState::Live)
    }

    fn text(&self, context: &Context) -> String {
        let Some(release) = &self.release else {
            return format!("live: {} (without a readable release.json)", self.id);
        };
        let commit = words::commit(&release.commit, release.dirty);
        format!("live: {} · {commit} {} · {}", self.id, release.subject, words::ago(release.created_at, context.now()))
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn service_text(state: &ServiceState) -> String {
    let now = &state.description;
    let mut text =
        if state.crash_looping { format!("service: crash loop, now {now}") } else { format!("service: {now}") };
    // Of one that does not run the description tells that.
    let last = state.last_end.as_ref().filter(|_| state.active);
    let last = last.map_or_else(String::new, |end| format!(" (last: {end})"));
    let facts = [
        state.main.as_ref().map(|main| format!("pid {}", main.pid)),
        state.memory_bytes.map(|memory| format!("memory {}", bytes(memory))),
        state.cpu_ms.map(|cpu| format!("processor {}", words::took(cpu))),
        (state.restart_count > 0).then(|| format!("started again {}{last}", times(state.restart_count))),
    ];
    facts.into_iter().flatten().for_each(|fact| text += &format!(" · {fact}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::{Child, Command};

    /// A process that works in this directory, until it is dropped.
    struct Sleeper(Child);

    impl Sleeper {
        fn within(directory: &Path) -> Self {
            std::fs::create_dir_all(directory).unwrap();
            Self(Command::new("sleep").arg("60").current_dir(directory).spawn().unwrap())
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ended = self.0.kill().and_then(|()| self.0.wait());
        }
    }

    #[test]
    fn restarts_are_counted_in_words() {
        assert_eq!([1, 2].map(times), ["once", "2 times"]);
    }

    #[test]
    fn a_service_that_runs_another_release_than_the_live_one_is_found_out() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let [old, new] = ["r1", "r2"].map(|name| ReleaseId::new(name).unwrap());
        let service = Sleeper::within(&layout.release(&new).join("src"));
        let stranger = Sleeper::within(dir.path());

        assert_eq!(other_release(service.0.id(), &layout, Some(&old)), Some(new.clone()));
        assert_eq!(other_release(service.0.id(), &layout, Some(&new)), None);
        assert_eq!(other_release(stranger.0.id(), &layout, Some(&old)), None);
    }

    #[test]
    fn what_hosts_answer_is_told_in_their_words_and_read_as_data() {
        let told = |label: &str, word: &str| {
            format!("{label}{{\"environments\":[{{\"name\":\"production\",\"words\":\"{word}\\n  fine\\n\"}}]}}\n")
        };

        let failed = "web-2  | {\"error\":{\"message\":\"no such user\"}}\n";
        let (text, data) = in_words(&(told("web-1  | ", "up") + "web-10 | what?\n" + failed + &told("", "alone")));

        assert_eq!(text, "web-1  | up\nweb-1  |   fine\nweb-10 | what?\nweb-2  | no such user\nalone\n  fine\n");
        assert_eq!(data.iter().map(|told| told["host"].as_str()).collect::<Vec<_>>(), [Some("web-1"), None]);
    }
}
