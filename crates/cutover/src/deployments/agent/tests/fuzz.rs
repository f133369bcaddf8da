//! Conversations that were tampered with: sound ones, whose frames are cut, repeated, swapped, changed.
//!
//! `CUTOVER_FUZZ_SECONDS` makes these longer.

use super::*;
use crate::deployments::remote::{Errand, Pulse, Voice, hear};
use cutover_core::event::Observer;
use cutover_core::record::summarize;
use cutover_targets::remote::patience::Patience;
use cutover_testkit::fuzz::fuzz;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More than this is never taken from the system, whatever is said: an allocation beyond it ends the test.
const MEMORY_MAX: u64 = 2 << 30;
/// What all of it may have in memory at any time, in KiB.
const RESIDENT_KIB_MAX: u64 = 256 << 10;

/// A change of what is said: what, where, where else, with which bytes.
type Tamper = (u8, Index, Index, Vec<u8>);

fn tampers() -> impl Strategy<Value = Vec<Tamper>> {
    vec((0..9u8, any::<Index>(), any::<Index>(), vec(any::<u8>(), 1..9)), 1..5)
}

/// Does to frames (each with its header) what was drawn.
fn tamper(frames: &mut Vec<Vec<u8>>, (what, one, other, bytes): &Tamper) {
    if frames.is_empty() {
        return;
    }
    let (one, other) = (one.index(frames.len()), (other.index(frames.len()), other));
    let frame = frames[one].clone();
    let at = other.1.index(frame.len().max(1));
    match what {
        0 => drop(frames.remove(one)),
        1 => frames.insert(other.0, frame),
        2 => frames.swap(one, other.0),
        3 => frames[one].truncate(at),
        4 => frames.truncate(one),
        5 => frames[one].iter_mut().take(4).zip(bytes).for_each(|(byte, new)| *byte = *new),
        6 => frames[one].iter_mut().skip(4).take(1).for_each(|kind| *kind = bytes[0]),
        7 => drop(frames[one].splice(at.min(frame.len())..at.min(frame.len()), bytes.iter().copied())),
        _ => frames[one].iter_mut().skip(at).zip(bytes).for_each(|(byte, new)| *byte ^= *new),
    }
}

/// Bytes cut into frames; what stands before the first is one too.
fn frames(preamble: &str, mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = vec![preamble.as_bytes().to_vec()];
    while let Some((length, _)) = bytes.split_first_chunk::<4>() {
        let (frame, rest) = bytes.split_at(5 + u32::from_le_bytes(*length) as usize);
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}

/// What was written, for who looks later.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has an agent hear this, to its end; gives what it said.
fn served(said: Vec<u8>) -> Vec<u8> {
    let supervisor = SupervisorProgram { program: "/nonexistent".into(), arguments: Vec::new() };
    let written = Written::default();
    // Refusing is what it is for.
    let _refused = serve(io::Cursor::new(said), written.clone(), &supervisor, Box::leak(Box::new(Cancel::new())));
    written.0.lock().unwrap().clone()
}

/// A file that is told by what changed, and small ones.
fn release(version: &str) -> Files {
    let large = (0..5000).map(|number| Digest::of(format!("{number}").as_bytes()).to_string()).collect::<String>();
    let small = (0..5).map(|number| (format!("d/{number}"), format!("{version} {number}")));
    Files(small.chain([("large".to_owned(), large.replace("777", version))]).collect())
}

/// What a client says for a deployment, as frames; with its contents where it is known what the host lacks.
fn conversation(site: &Path, files: &Files, lacking: Option<Lacking>) -> Vec<Vec<u8>> {
    let (manifest, sender) = (files.manifest(), Sender::new(Vec::new()));
    let order = order(&[("app", site.to_owned())], manifest.id());
    let change = Change { order, has_variables: true, has_manifest: true, has_ahead: false };
    sender.send_json(Kind::Order, &Letter::Change(Box::new(change))).unwrap();
    sender.send(Kind::Variables, br#"{"MODE":"fast"}"#).unwrap();
    sender.send(Kind::Manifest, &content::pack_manifest(&manifest).unwrap()).unwrap();
    if let Some(lacking) = lacking {
        content::send(&sender, &manifest, files, lacking).unwrap();
    }
    frames(&preamble(7), &sender.into_inner())
}

/// What a client says that wants to see what would be done.
fn look(site: &Path, files: &Files) -> Vec<Vec<u8>> {
    let (manifest, sender) = (files.manifest(), Sender::new(Vec::new()));
    let look = Look::Plan { order: Box::new(order(&[("app", site.to_owned())], manifest.id())), rehearse: true };
    sender.send_json(Kind::Order, &Letter::Look(look)).unwrap();
    sender.send(Kind::Variables, br#"{"MODE":"fast"}"#).unwrap();
    sender.send(Kind::Manifest, &content::pack_manifest(&manifest).unwrap()).unwrap();
    frames(&preamble(7), &sender.into_inner())
}

/// What a client says that wants to know where a rollback would go.
fn look_back(site: &Path) -> Vec<Vec<u8>> {
    let sender = Sender::new(Vec::new());
    let order = Order { task: Task::Rollback { release: None }, ..order(&[("app", site.to_owned())], Digest::of(b"")) };
    sender.send_json(Kind::Order, &Letter::Look(Look::Back { order: Box::new(order) })).unwrap();
    frames(&preamble(7), &sender.into_inner())
}

/// What a client says that has no artifact.
fn plain_conversation(site: &Path, task: Task) -> Vec<Vec<u8>> {
    let sender = Sender::new(Vec::new());
    let order = Order { task, ..order(&[("app", site.to_owned())], Digest::of(b"")) };
    let change = Change { order, has_variables: false, has_manifest: false, has_ahead: false };
    sender.send_json(Kind::Order, &Letter::Change(Box::new(change))).unwrap();
    sender.send(Kind::Cancel, &[]).unwrap();
    frames(&preamble(7), &sender.into_inner())
}

/// A whole conversation about these files, as it is with what lies there now; nothing of it is done.
fn recorded(site: &Path, files: &Files) -> Vec<Vec<u8>> {
    let asked = lacking(&served(conversation(site, files, None).concat()));
    conversation(site, files, Some(asked.unwrap()))
}

/// What an agent said that the host lacks.
fn lacking(said: &[u8]) -> Option<Lacking> {
    let mut said = said.strip_prefix(present().as_bytes())?;
    while let Some((kind, payload)) = receive(&mut said).ok()? {
        if kind == Kind::Lacking {
            return Lacking::unpack(&payload).ok();
        }
    }
    None
}

/// Whether an order that can be followed is about this place alone: it is the user's own right to name another one.
fn stays_in(site: &Path, said: &[u8]) -> bool {
    let newline = said.iter().position(|byte| *byte == b'\n').map_or(said.len(), |at| at + 1);
    let Ok(Some((Kind::Order, letter))) = receive(&mut &said[newline..]) else { return true };
    match serde_json::from_slice(&letter) {
        Ok(Letter::Change(change)) => change.order.targets.values().all(|target| target.deploy_to == site),
        Ok(Letter::Look(look)) => match look {
            Look::Plan { order, .. } | Look::Back { order } => {
                order.targets.values().all(|target| target.deploy_to == site)
            }
            Look::Variables { targets, .. } => targets.values().all(|target| target.deploy_to == site),
        },
        Ok(Letter::Question(_) | Letter::Setup(_)) | Err(_) => true,
    }
}

/// Bounds this process's memory, and counts panics of any thread.
fn watch() -> &'static AtomicUsize {
    static PANIC_COUNT: AtomicUsize = AtomicUsize::new(0);
    setrlimit(Resource::As, Rlimit { current: Some(MEMORY_MAX), maximum: None }).unwrap();
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANIC_COUNT.fetch_add(1, Ordering::SeqCst);
        tell(panic);
    }));
    &PANIC_COUNT
}

fn resident_kib_most() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn names(dir: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// A folder in memory where there is one: what is tried here is not the disk.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

#[test]
fn an_agent_comes_to_no_harm_by_what_a_client_says() {
    let (panic_count, dir) = (watch(), folder());
    let site = dir.path().join("site");
    let (first, second) = (release("one"), release("two"));
    let prelude = recorded(&site, &first);
    let begin = |is_there: bool| {
        let _ = fs::remove_dir_all(&site);
        is_there.then(|| served(prelude.concat()));
    };
    begin(true);
    let asked = lacking(&served(conversation(&site, &second, None).concat())).unwrap();
    assert!(asked.contents.iter().any(|lack| !lack.chunks.is_empty()), "it is told by what changed");
    let update = conversation(&site, &second, Some(asked));
    let seeds = [
        (false, prelude.clone()),
        (true, update),
        (true, look(&site, &second)),
        (true, look_back(&site)),
        (true, plain_conversation(&site, Task::Rollback { release: Some("2026".into()) })),
        (true, plain_conversation(&site, Task::Restart)),
        (false, plain_conversation(&site, Task::Resume)),
    ];

    fuzz(32, &(0..seeds.len(), tampers()), |(seed, tampers)| {
        let (is_there, mut frames) = seeds[seed].clone();
        tampers.iter().for_each(|change| tamper(&mut frames, change));
        let said = frames.concat();
        prop_assume!(stays_in(&site, &said));
        begin(is_there);
        served(said);
        prop_assert_eq!(panic_count.load(Ordering::SeqCst), 0);
        prop_assert!(names(dir.path()).iter().all(|name| name == "site"));
        let current = site.join("current");
        prop_assert!(fs::symlink_metadata(&current).is_err() || current.join("release.json").exists());
        Ok(())
    });

    let most = resident_kib_most();
    println!("at most {most} KiB in memory");
    assert!(most < RESIDENT_KIB_MAX, "{most} KiB");
}

/// Nobody.
struct Deaf;

impl Observer for Deaf {
    fn event(&self, _: &Event) {}
}

#[test]
fn a_client_comes_to_no_harm_by_what_an_agent_says() {
    let (panic_count, dir) = (watch(), folder());
    let site = dir.path().join("site");
    let (first, second) = (release("one"), release("two"));
    let deployed = served(recorded(&site, &first).concat());
    let refused = served(conversation(&site, &second, None).concat());
    let greeting = present().len();
    let seeds = [deployed, refused].map(|said| frames("", &said[greeting..]));
    let manifest = second.manifest();
    let order = order(&[("app", site)], manifest.id());
    let never = Cancel::new();

    fuzz(64, &(0..seeds.len(), tampers()), |(seed, tampers)| {
        let mut frames = seeds[seed].clone();
        tampers.iter().for_each(|change| tamper(&mut frames, change));
        let ended = |ended: &Ended| drop(ended.plan.erased().map(|plan| summarize(&plan, &ended.records)));
        let errand = Errand {
            order: &order,
            variables: None,
            artifact: None,
            ahead: None,
            observer: &Deaf,
            voice: Voice::Cancel(&never),
            ended: &ended,
            hosts: &[],
            remark: &|_| {},
        };
        let ask = |lacking| drop(content::send(&Sender::new(io::sink()), &manifest, &second, lacking));
        let pulse = Pulse::of(&errand, Patience::new(Duration::MAX));
        let _heard = hear(&mut frames.concat().as_slice(), &errand, &pulse, &ask);
        prop_assert_eq!(panic_count.load(Ordering::SeqCst), 0);
        Ok(())
    });

    let most = resident_kib_most();
    println!("at most {most} KiB in memory");
    assert!(most < RESIDENT_KIB_MAX, "{most} KiB");
}
