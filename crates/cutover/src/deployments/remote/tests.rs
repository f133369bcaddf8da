#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use super::*;
use crate::deployments::order::Task;
use cutover_core::artifact::{Digest, ManifestEntry, RelativePath};
use cutover_core::event::Nobody;
use cutover_core::id::DeploymentId;
use cutover_targets::remote::chunk::ChunkSize;
use cutover_targets::remote::lacking::Lack;
use cutover_testkit::RecordingObserver;
use jiff::Timestamp;
use std::io::pipe;
use std::path::PathBuf;

/// Nobody is told that a host says nothing.
const UNHEARD: (&dyn Observer, Duration) = (&Nobody, Duration::MAX);

/// An artifact of one file that compresses to nothing less.
struct Large(Vec<u8>);

impl Large {
    fn new() -> Self {
        Self((0..100_000u32).flat_map(|number| *blake3_of(number).as_bytes()).collect())
    }

    fn manifest(&self) -> Manifest {
        let (digest, bytes) = (Digest::of(&self.0), self.0.len() as u64);
        let entries = [(RelativePath::new("large").unwrap(), ManifestEntry::File { digest, bytes, executable: false })];
        let (project, commit) = ("shop".to_owned(), String::new());
        Manifest { version: 1, project, commit, dirty: false, entries: entries.into() }
    }
}

fn blake3_of(number: u32) -> Digest {
    Digest::of(&number.to_le_bytes())
}

impl BlobSource for Large {
    fn open(&self, _: &Digest) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.0.as_slice()))
    }

    fn path(&self, _: &Digest) -> Option<PathBuf> {
        None
    }
}

fn order() -> Order {
    Order {
        project: "shop".parse().unwrap(),
        environment: "production".parse().unwrap(),
        host: "web1".to_owned(),
        targets: [("app".parse().unwrap(), host_config())].into(),
        secret_names: Default::default(),
        deployment: DeploymentId::new("20261121T120000-abcd").unwrap(),
        made_at: Timestamp::UNIX_EPOCH,
        by: "ada".to_owned(),
        reason: String::new(),
        promoted_from: None,
        purpose: String::new(),
        wait: None,
        supersede: false,
        task: Task::Restart,
        part: None,
        stays_at: None,
        settled: Default::default(),
    }
}

fn host_config() -> cutover_core::config::HostConfig {
    let text = "name = \"shop\"\n[targets.app.host]\ndeploy_to = \"/opt/shop\"\n";
    let config = cutover_core::config::Config::parse(text).unwrap();
    let cutover_core::config::TargetConfig::Host(host) = config.targets.into_values().next().unwrap();
    host
}

/// What is asked of a host, without an artifact, by somebody who hears nothing of it.
fn errand<'a>(order: &'a Order, cancel: &'a Cancel) -> Errand<'a> {
    Errand {
        order,
        variables: None,
        artifact: None,
        ahead: None,
        observer: &Nobody,
        voice: Voice::Cancel(cancel),
        ended: &|_| {},
        remark: &|_| {},
        hosts: &[],
    }
}

/// A host that is asked now and then, and awaited.
fn pulse() -> Pulse<'static> {
    Pulse::new(Duration::from_secs(1), Patience::new(Duration::MAX), UNHEARD)
}

#[test]
fn a_host_that_stops_listening_after_it_asked_for_contents_is_hung_up_on() {
    let (large, order, never) = (Large::new(), order(), Cancel::new());
    let manifest = large.manifest();
    let said = Sender::new(Vec::new());
    let contents = vec![Lack { entry: 0, chunks: Vec::new() }];
    said.send(Kind::Lacking, &Lacking { size: ChunkSize::fitting(0), contents }.pack()).unwrap();
    let refusal = CommandError::new(ErrorKind::Locked, "somebody else is at work");
    said.send_json(Kind::Refused, &refusal).unwrap();
    let errand = Errand { artifact: Some((&manifest, &large)), ..errand(&order, &never) };
    // Nobody reads what is sent, until the client hangs up.
    let (unread, to_host) = pipe().unwrap();

    let heard = converse(to_host, &mut said.into_inner().as_slice(), &errand, &pulse(), || drop(unread));

    assert!(matches!(heard, Err(Trouble::Refused(error)) if error.message() == "somebody else is at work"));
}

#[test]
fn a_host_cannot_say_that_nobody_reads_us_any_more() {
    let (order, never) = (order(), Cancel::new());
    let said = Sender::new(Vec::new());
    let refusal = CommandError::new(ErrorKind::OutputClosed, "nothing to see here");
    said.send_json(Kind::Refused, &refusal).unwrap();
    let errand = errand(&order, &never);
    let said = said.into_inner();

    let heard = hear(&mut said.as_slice(), &errand, &pulse(), &|_| {});

    assert!(matches!(heard, Err(Trouble::Lost(why)) if why.contains("it was not understood")));
    assert!(matches!(view::<u32>(&mut said.as_slice()), Err(Trouble::Lost(_))));
}

#[test]
fn whoever_is_told_to_stop_hears_it_however_long_the_reason_is() {
    for why in ["web-2 failed: the till is jammed".to_owned(), String::new(), "é".repeat(3 << 10)] {
        let (tell, words) = std::sync::mpsc::channel();
        tell.send(Told::Stop { why: why.clone() }).unwrap();
        drop(tell);
        let sender = Sender::new(Vec::new());

        pass_on_words(&sender, &Mutex::new(words), &pulse(), &AtomicBool::new(false));

        let said = sender.into_inner();
        let (kind, heard) = receive(&mut said.as_slice()).unwrap().expect("nothing was said");
        let heard = String::from_utf8(heard).unwrap();
        assert!(kind == Kind::Cancel && why.starts_with(&heard) && heard.len() >= why.len().min(1000), "{heard}");
    }
}

#[test]
fn a_host_that_works_in_silence_is_asked_for_a_sign_of_life_also_once_it_was_told_to_stop() {
    let (cancel, over) = (Cancel::new(), AtomicBool::new(false));
    cancel.cancel();
    let (from_client, to_host) = pipe().unwrap();
    let (sender, often) = (Sender::new(to_host), Pulse::new(BRIEFLY, Patience::new(Duration::MAX), UNHEARD));
    let mut heard = Vec::new();

    std::thread::scope(|scope| {
        let speaker = scope.spawn(|| pass_on_cancel(&sender, &cancel, &often, &over));
        let mut from_client = from_client;
        for _ in 0..3 {
            heard.push(receive(&mut from_client).unwrap().unwrap().0);
        }
        over.store(true, Ordering::SeqCst);
        speaker.thread().unpark();
    });

    assert_eq!(heard, [Kind::Cancel, Kind::Alive, Kind::Alive]);
}

#[test]
fn a_host_that_says_nothing_any_more_is_let_go_of() {
    let (order, never) = (order(), Cancel::new());
    let (said, _silent) = pipe().unwrap();
    let mut said = Patient::new(said, Patience::new(POLL));
    let errand = errand(&order, &never);

    let heard = converse(io::sink(), &mut said, &errand, &pulse(), || {});

    assert!(matches!(heard, Err(Trouble::Lost(why)) if why.starts_with("it has said nothing for")));
}

#[test]
fn a_host_that_has_answered_is_not_awaited_for_what_it_has_heard_by_then() {
    let (order, never) = (order(), Cancel::new());
    let patience = Patience::new(POLL);
    let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    Weighed::new(nowhere, patience.clone()).unwrap().write_all(&[0; 1 << 20]).unwrap();
    let (pulse, to_host) = (Pulse::new(Duration::ZERO, patience.clone(), UNHEARD), Sender::new(Vec::new()));
    pulse.ask(&to_host, &mut Instant::now());
    let (_, question) = receive(&mut to_host.into_inner().as_slice()).unwrap().unwrap();
    let (said, host) = pipe().unwrap();
    let host = Sender::new(host);
    let asked_ms = serde_json::from_slice(&question).unwrap();
    host.send_json(Kind::Present, &Present { asked_ms, gate: None }).unwrap();

    let heard = hear(&mut Patient::new(said, patience), &errand(&order, &never), &pulse, &|_| {});

    assert!(matches!(heard, Err(Trouble::Lost(why)) if why == "it has said nothing for 0 s"));
}

#[test]
fn a_silence_is_told_once_it_is_long_and_again_when_it_is_over() {
    let told = RecordingObserver::default();
    let pulse = Pulse::new(Duration::ZERO, Patience::new(Duration::MAX), (&told, Duration::from_secs(10)));

    [9, 10, 11, 30, 0, 1, 12].into_iter().map(Duration::from_secs).for_each(|silence| pulse.notice(silence));

    assert_eq!(told.events(), [10, 0, 12].map(|seconds| Event::Silent { seconds }));
}

#[test]
fn that_a_host_says_nothing_is_told_before_it_is_let_go_of() {
    let (order, never, told) = (order(), Cancel::new(), RecordingObserver::default());
    let (said, _silent) = pipe().unwrap();
    let patience = Patience::new(Duration::from_millis(1200));
    let mut said = Patient::new(said, patience.clone());
    let pulse = Pulse::new(Duration::ZERO, patience, (&told, Duration::from_millis(400)));

    let heard = converse(io::sink(), &mut said, &errand(&order, &never), &pulse, || {});

    assert!(matches!(heard, Err(Trouble::Lost(_))));
    assert_eq!(told.events().len(), 1, "{:?}", told.events());
}
