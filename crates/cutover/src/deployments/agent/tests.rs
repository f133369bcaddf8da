//! The agent in memory: what a client says goes in at one end of a pipe.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use super::*;
use crate::deployments::Task;
use crate::deployments::letter::{Change, Letter, Look};
use crate::deployments::order::{Order, Part};
use cutover_core::artifact::{BlobSource, Digest, Manifest, ManifestEntry, RelativePath};
use cutover_core::config::{Config, HostConfig, OnLostCoordinator, TargetConfig};
use cutover_core::id::DeploymentId;
use cutover_core::next::DeploymentOutcome;
use cutover_core::rollout::Gate;
use cutover_targets::host::planner::FleetPart;
use cutover_targets::remote::bootstrap::preamble;
use cutover_targets::remote::content;
use cutover_targets::remote::lacking::Lacking;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, PipeReader, PipeWriter, pipe};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Instant;
use tempfile::TempDir;

mod ended;
mod fuzz;
mod large;
mod looks;

/// An agent, and a client's ends of the pipes to it.
struct Bed {
    dir: TempDir,
    to_agent: Sender<PipeWriter>,
    from_agent: BufReader<PipeReader>,
    agent: JoinHandle<io::Result<Option<Asked>>>,
}

/// A release's files, which any digest can be asked of.
struct Files(BTreeMap<String, String>);

impl Files {
    fn new() -> Self {
        let file = |number: u32| (format!("d/{number}"), format!("content {number} ").repeat(500));
        Self((0..300).map(file).collect())
    }

    fn manifest(&self) -> Manifest {
        let entry = |text: &String| ManifestEntry::File {
            digest: Digest::of(text.as_bytes()),
            bytes: text.len() as u64,
            executable: false,
        };
        let entries = self.0.iter().map(|(path, text)| (RelativePath::new(path).unwrap(), entry(text)));
        Manifest { version: 1, project: "shop".into(), commit: String::new(), dirty: false, entries: entries.collect() }
    }
}

impl BlobSource for Files {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        let found = self.0.values().find(|text| Digest::of(text.as_bytes()) == *digest);
        Ok(Box::new(found.ok_or(io::ErrorKind::NotFound)?.as_bytes()))
    }

    fn path(&self, _: &Digest) -> Option<PathBuf> {
        None
    }
}

impl Bed {
    /// Starts an agent. What it may not do without a client's word, it has not done.
    fn start(cancel: &'static Cancel) -> Self {
        Self::start_in(TempDir::new().unwrap(), cancel)
    }

    /// The same, where something may be already.
    fn start_in(dir: TempDir, cancel: &'static Cancel) -> Self {
        let (agent_reads, client_writes) = pipe().unwrap();
        let (client_reads, agent_writes) = pipe().unwrap();
        let supervisor = SupervisorProgram { program: "/nonexistent".into(), arguments: Vec::new() };
        let agent = std::thread::spawn(move || serve(BufReader::new(agent_reads), agent_writes, &supervisor, cancel));
        let mut from_agent = BufReader::new(client_reads);
        let mut line = String::new();
        from_agent.read_line(&mut line).unwrap();
        assert_eq!(line, present());
        let mut client_writes = client_writes;
        client_writes.write_all(preamble(7).as_bytes()).unwrap();
        Self { dir, to_agent: Sender::new(client_writes), from_agent, agent }
    }

    fn site(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    /// Asks for a deployment of these files.
    fn ask(&self, files: &Files) {
        let manifest = files.manifest();
        self.ask_as(order(&[("app", self.site())], manifest.id()), &manifest);
    }

    fn ask_as(&self, order: Order, manifest: &Manifest) {
        self.ask_with(order, manifest, None);
    }

    /// The same with contents that go ahead.
    fn ask_with(&self, order: Order, manifest: &Manifest, ahead: Option<&[u8]>) {
        let change = Change { order, has_variables: true, has_manifest: true, has_ahead: ahead.is_some() };
        self.to_agent.send_json(Kind::Order, &Letter::Change(Box::new(change))).unwrap();
        self.to_agent.send(Kind::Variables, br#"{"MODE":"fast"}"#).unwrap();
        self.to_agent.send(Kind::Manifest, &content::pack_manifest(manifest).unwrap()).unwrap();
        if let Some(ahead) = ahead {
            self.to_agent.send(Kind::Ahead, ahead).unwrap();
        }
    }

    /// The next message that is no event.
    fn hear(&mut self) -> Option<(Kind, Vec<u8>)> {
        loop {
            match receive(&mut self.from_agent).unwrap() {
                Some((Kind::Event, _)) => {}
                other => return other,
            }
        }
    }

    fn lacking(&mut self) -> Lacking {
        let (kind, lacking) = self.hear().unwrap();
        assert_eq!(kind, Kind::Lacking);
        Lacking::unpack(&lacking).unwrap()
    }

    /// Asks for a deployment of these files, and sends what the host lacks of them.
    fn provide(&mut self, files: &Files) -> Lacking {
        self.ask(files);
        let lacking = self.lacking();
        content::send(&self.to_agent, &files.manifest(), files, lacking.clone()).unwrap();
        lacking
    }

    /// Waits until all is over; what lies there stays for another agent.
    fn end(mut self) -> (Vec<DeploymentOutcome>, TempDir) {
        let (outcomes, _, _) = self.hear_out();
        self.agent.join().unwrap().unwrap();
        (outcomes, self.dir)
    }

    /// Hears to the end; gives the ended deployments' outcomes and the last message.
    fn hear_out(&mut self) -> (Vec<DeploymentOutcome>, Kind, Vec<u8>) {
        let mut outcomes = Vec::new();
        loop {
            match self.hear().unwrap() {
                (Kind::Ended, ended) => outcomes.push(serde_json::from_slice::<Ended>(&ended).unwrap().outcome),
                (kind, payload) => return (outcomes, kind, payload),
            }
        }
    }
}

/// What a deployment of this artifact is called.
fn deployment_of(artifact: &Digest) -> DeploymentId {
    format!("20261121T120000-{:.8}", artifact.to_string()).parse().unwrap()
}

fn order(sites: &[(&str, PathBuf)], artifact: Digest) -> Order {
    let target = |(name, site): &(&str, PathBuf)| {
        format!(
            "[targets.{name}.host]\ndeploy_to = {site:?}\nenv_file = \".env\"\ndisk_free_min = \"0 B\"\ninodes_free_min = 0\n"
        )
    };
    let host = |(name, _): &(&str, PathBuf)| format!("hosts.{name} = [\"localhost\"]\n");
    let targets: String = sites.iter().map(target).collect();
    let hosts: String = sites.iter().map(host).collect();
    let text = format!("name = \"shop\"\n{targets}[environments.production]\nenv = {{ MODE = \"fast\" }}\n{hosts}");
    let config = Config::check(&text).config.unwrap();
    let (environment, settings) = config.environments.into_iter().next().unwrap();
    let host = |target: TargetConfig| -> HostConfig {
        let TargetConfig::Host(host) = target;
        host
    };
    Order {
        project: config.name,
        environment,
        host: "web1".into(),
        targets: settings.targets.into_iter().map(|(name, target)| (name, host(target))).collect(),
        secret_names: Default::default(),
        deployment: deployment_of(&artifact),
        made_at: Timestamp::from_second(1_800_000_000).unwrap(),
        by: "ada".into(),
        reason: String::new(),
        promoted_from: None,
        purpose: "deploy".into(),
        wait: None,
        supersede: false,
        task: Task::Deploy {
            artifact,
            subject: "First".into(),
            committed_at: Timestamp::from_second(1_790_000_000).unwrap(),
            restart: false,
        },
        part: None,
        stays_at: None,
        settled: Default::default(),
    }
}

/// Waits for something that another thread does.
fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_client_has_an_artifact_deployed() {
    static CANCEL: Cancel = Cancel::new();
    let files = Files::new();
    let mut bed = Bed::start(&CANCEL);

    let lacking = bed.provide(&files);
    let (outcomes, last, answer) = bed.hear_out();

    assert_eq!(lacking.contents.len(), 300);
    assert_eq!((outcomes, last), (vec![DeploymentOutcome::Deployed], Kind::Done));
    assert_eq!(serde_json::from_slice::<Answer>(&answer).unwrap().outcome, Some(DeploymentOutcome::Deployed));
    let live = bed.site().join("current");
    assert_eq!(fs::read_to_string(live.join("d/7")).unwrap(), files.0["d/7"]);
    assert!(fs::read_to_string(live.join(".env")).unwrap().ends_with("\nMODE=fast\n"));
    assert!(bed.agent.join().unwrap().is_ok());
}

#[test]
fn a_client_that_is_gone_before_the_content_has_arrived_changes_nothing() {
    static CANCEL: Cancel = Cancel::new();
    let mut bed = Bed::start(&CANCEL);

    bed.ask(&Files::new());
    bed.lacking();
    let Bed { dir, to_agent, agent, .. } = bed;
    drop(to_agent);

    assert!(agent.join().unwrap().is_ok());
    let site = dir.path().join("site");
    assert!(!site.join("current").exists());
    assert_eq!(fs::read_dir(site.join(".cutover/journal/done")).unwrap().count(), 1, "it was brought to its end");
}

#[test]
fn a_client_that_is_gone_once_the_content_has_arrived_is_not_needed() {
    static CANCEL: Cancel = Cancel::new();
    let files = Files::new();
    let mut bed = Bed::start(&CANCEL);

    bed.provide(&files);
    let Bed { dir, to_agent, from_agent, agent } = bed;
    drop((to_agent, from_agent));

    assert!(agent.join().unwrap().is_ok());
    assert!(dir.path().join("site/current/d/7").exists());
}

#[test]
fn a_client_stops_what_it_began() {
    static CANCEL: Cancel = Cancel::new();
    let mut bed = Bed::start(&CANCEL);

    bed.ask(&Files::new());
    bed.lacking();
    bed.to_agent.send(Kind::Cancel, &[]).unwrap();
    await_that("the cancellation", || CANCEL.is_cancelled());
    bed.to_agent.send(Kind::Unavailable, b"no longer wanted").unwrap();
    let (outcomes, last, _) = bed.hear_out();

    assert_eq!((outcomes, last), (vec![DeploymentOutcome::Failed], Kind::Done));
    assert!(!bed.site().join("current").exists());
}

#[test]
fn content_that_is_not_what_it_should_be_is_refused() {
    static CANCEL: Cancel = Cancel::new();
    let files = Files::new();
    let other = Files(files.0.iter().map(|(path, text)| (path.clone(), text.to_uppercase())).collect());
    let mut bed = Bed::start(&CANCEL);

    bed.ask(&files);
    let lacking = bed.lacking();
    content::send(&bed.to_agent, &other.manifest(), &other, lacking).unwrap();
    let (outcomes, _, _) = bed.hear_out();

    assert_eq!(outcomes, [DeploymentOutcome::Failed]);
    assert!(!bed.site().join("current").exists());
}

#[test]
fn who_does_not_speak_as_cutover_does_is_told_nothing_and_changes_nothing() {
    static CANCEL: Cancel = Cancel::new();
    for said in ["GET / HTTP/1.1\r\n", "5\nhello", "5\n\u{1}\0\0\0\u{2}{", ""] {
        let supervisor = SupervisorProgram { program: "/nonexistent".into(), arguments: Vec::new() };
        let served = serve(io::Cursor::new(said.as_bytes().to_vec()), Vec::new(), &supervisor, &CANCEL);
        assert!(served.is_err(), "{said:?}");
    }
}

#[test]
fn an_order_whose_targets_no_config_could_have_is_refused_before_anything_is_done() {
    static CANCEL: Cancel = Cancel::new();
    let files = Files::new();
    let refused = |change: &dyn Fn(&mut Order, &Path)| {
        let bed = Bed::start(&CANCEL);
        let mut order = order(&[("app", bed.site()), ("other", bed.dir.path().join("other"))], files.manifest().id());
        change(&mut order, &bed.site());
        let change = Change { order, has_variables: false, has_manifest: false, has_ahead: false };
        bed.to_agent.send_json(Kind::Order, &Letter::Change(Box::new(change))).unwrap();
        let Bed { dir, to_agent, agent, .. } = bed;
        let error = agent.join().unwrap().err().unwrap();
        drop(to_agent);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        error.to_string()
    };

    let many = refused(&|order, site| {
        let config = order.targets.values().next().unwrap().clone();
        let target = |number: u32| {
            let deploy_to = site.join(number.to_string());
            (format!("t{number}").parse().unwrap(), HostConfig { deploy_to, ..config.clone() })
        };
        order.targets = (0..101).map(target).collect();
    });
    assert_eq!(many, "the order has 101 targets; the most is 100");
    let twice = refused(&|order, site| {
        order.targets.values_mut().for_each(|config| config.deploy_to = site.to_owned());
    });
    assert!(twice.starts_with("targets app and other have the same deploy_to /"), "{twice}");
    for (of, inside) in [("app", "other"), ("other", "app")] {
        let nested = refused(&|order, site| {
            let deploy_to = |name: &str| if name == inside { site.join("releases/x") } else { site.to_owned() };
            order.targets.iter_mut().for_each(|(name, config)| config.deploy_to = deploy_to(name.as_str()));
        });
        assert!(
            nested.starts_with("targets app and other have a deploy_to that lies in"),
            "{inside} in {of}: {nested}"
        );
    }
    let none_kept = refused(&|order, _| order.targets.values_mut().for_each(|config| config.keep_releases = 0));
    assert!(none_kept.contains("keep_releases is 0, and must be from 2 to 1000"), "{none_kept}");
    for path in ["release.json", ".venv/lib", ".env", ".env/x"] {
        let why = refused(&|order, _| {
            order.targets.values_mut().for_each(|config| config.linked_files = vec![path.into()]);
        });
        assert!(why.starts_with("target app: ") && why.contains(path), "{why}");
    }
}

#[test]
fn each_target_on_a_host_gets_what_it_lacks() {
    static CANCEL: Cancel = Cancel::new();
    let files = Files::new();
    let mut bed = Bed::start(&CANCEL);
    let sites = ["one", "two"].map(|name| (name, bed.dir.path().join(name)));

    bed.ask_as(order(&sites, files.manifest().id()), &files.manifest());
    for _ in &sites {
        let lacking = bed.lacking();
        content::send(&bed.to_agent, &files.manifest(), &files, lacking).unwrap();
    }
    let (outcomes, dir) = bed.end();

    assert_eq!(outcomes, [DeploymentOutcome::Deployed]);
    assert!(["one", "two"].iter().all(|name| dir.path().join(name).join("current/d/7").exists()));
}

#[test]
fn what_came_ahead_is_not_asked_for_and_what_did_not_is() {
    static CANCEL: Cancel = Cancel::new();
    let (files, mut bed) = (Files::new(), Bed::start(&CANCEL));
    // Given a client that believes that the host has all but five files, where it has none.
    let mut earlier = files.manifest();
    (0..5).for_each(|_| drop(earlier.entries.pop_last()));
    let ahead = content::pack_ahead(&files.manifest(), &earlier, &files).unwrap();
    let order = order(&[("app", bed.site())], files.manifest().id());
    bed.ask_with(order, &files.manifest(), ahead.as_deref());

    let lacking = bed.lacking();
    assert_eq!(lacking.contents.len(), files.0.len() - 5);
    content::send(&bed.to_agent, &files.manifest(), &files, lacking).unwrap();

    let (outcomes, dir) = bed.end();
    assert_eq!(outcomes, [DeploymentOutcome::Deployed]);
    let there = |(path, text): (&String, &String)| {
        std::fs::read_to_string(dir.path().join("site/current").join(path)).unwrap() == *text
    };
    assert!(files.0.iter().all(there));
}

#[test]
fn nothing_is_asked_for_when_all_of_it_came_ahead() {
    static CANCEL: Cancel = Cancel::new();
    let mut bed = Bed::start(&CANCEL);
    let files = Files([("d/1".to_owned(), "only this".to_owned())].into());
    let nothing = Manifest { entries: BTreeMap::new(), ..files.manifest() };
    let ahead = content::pack_ahead(&files.manifest(), &nothing, &files).unwrap();
    let order = order(&[("app", bed.site())], files.manifest().id());

    bed.ask_with(order, &files.manifest(), ahead.as_deref());

    assert_eq!(bed.hear().unwrap().0, Kind::Ended, "without a question");
    assert!(bed.site().join("current/d/1").exists());
}

/// A deployment of one host of several has come to this gate.
fn await_gate(bed: &mut Bed, gate: Gate) {
    let (kind, payload) = bed.hear().unwrap();
    assert_eq!((kind, serde_json::from_slice::<AtGate>(&payload).unwrap().gate), (Kind::Gate, gate));
}

/// The gate at which a host says that it waits, when it is asked.
fn ask_whether_it_is_there(bed: &mut Bed) -> Option<Gate> {
    bed.to_agent.send_json(Kind::Alive, &17).unwrap();
    let (kind, payload) = bed.hear().unwrap();
    assert_eq!(kind, Kind::Present);
    let Present { asked_ms, gate } = serde_json::from_slice(&payload).unwrap();
    assert_eq!(asked_ms, 17);
    gate
}

/// An agent that was told to put a release together, as one host of several, and waits to switch.
fn staged_part(cancel: &'static Cancel) -> Bed {
    let files = Files::new();
    let mut bed = Bed::start(cancel);
    let hosts = ["web1", "web2"].map(str::to_owned).to_vec();
    let plan = FleetPart { hosts, migrates: false, on_lost: OnLostCoordinator::Restore };
    let part = Some(Part { plan, lease: Duration::from_secs(600) });
    let site = ("app", bed.site());
    bed.ask_as(Order { part, ..order(&[site], files.manifest().id()) }, &files.manifest());
    let lacking = bed.lacking();
    content::send(&bed.to_agent, &files.manifest(), &files, lacking).unwrap();
    await_gate(&mut bed, Gate::Switch);
    assert!(!bed.site().join("current").exists(), "nothing is switched without a word");
    bed
}

#[test]
fn one_host_of_several_goes_on_when_it_is_told() {
    static CANCEL: Cancel = Cancel::new();
    let mut bed = staged_part(&CANCEL);

    bed.to_agent.send_json(Kind::Go, &Gate::Switch).unwrap();
    await_gate(&mut bed, Gate::Settle);
    assert_eq!(ask_whether_it_is_there(&mut bed), Some(Gate::Settle));
    bed.to_agent.send_json(Kind::Go, &Gate::Settle).unwrap();

    assert_eq!(bed.end().0, [DeploymentOutcome::Deployed]);
}

#[test]
fn one_host_of_several_goes_back_when_its_coordinator_is_gone() {
    static CANCEL: Cancel = Cancel::new();
    let mut bed = staged_part(&CANCEL);
    bed.to_agent.send_json(Kind::Go, &Gate::Switch).unwrap();
    await_gate(&mut bed, Gate::Settle);
    assert!(bed.site().join("current").exists());

    let Bed { dir, to_agent, agent, .. } = bed;
    drop(to_agent);

    agent.join().unwrap().unwrap();
    assert!(!dir.path().join("site/current").exists());
}
