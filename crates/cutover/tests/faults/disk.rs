//! A full disk, wherever it is met: either everything is done or nothing is changed, and what was live goes on.

use crate::bed::{Bed, python, random, wait_for};
use crate::eyes::{World, watch_current};
use crate::ran::Ran;
use crate::root::{ReadOnly, Room, Tmpfs, is_root};
use crate::run::Running;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What the journal reserves for its entries before anything is done.
const RESERVE_BYTES: u64 = 256 * 1024;
const PAGE_BYTES: u64 = 4096;
/// What the eater calls its files.
const EATEN: &str = "eaten";

/// Takes all the room of a file system but so many pages or inodes.
const EATER: &str = r#"
import os, sys
def eat(directory, what, left):
    os.makedirs(directory, exist_ok=True)
    if what in ("bytes", "both"):
        free = os.statvfs(directory)
        take = max(0, free.f_bavail - left) * free.f_frsize
        with open(os.path.join(directory, "bytes"), "wb") as file:
            if take: os.posix_fallocate(file.fileno(), 0, take)
    if what in ("inodes", "both"):
        for number in range(max(0, os.statvfs(directory).f_favail - left)):
            open(os.path.join(directory, str(number)), "wb").close()
if __name__ == "__main__": eat(sys.argv[1], sys.argv[2], int(sys.argv[3]))
"#;

/// Whether every place is to be tried instead of a sample: takes some minutes.
fn thorough() -> bool {
    std::env::var_os("CUTOVER_TEST_THOROUGH").is_some()
}

/// A bed with hooks, logs and links, without a release yet.
fn busy() -> Bed {
    let mut bed = Bed::new();
    bed.config.host += "linked_dirs = [\"data\"]\nkeep_releases = 2\n";
    bed.config.verify = "within = \"4s\"\ninterval = \"50ms\"\n".to_owned();
    bed.config.tables = tables("true");
    bed.write("eater.py", EATER);
    bed
}

fn tables(install: &str) -> String {
    let python = python();
    format!(
        "[targets.app.host.python]\ninterpreter = \"{python}\"\nsmoke = [\"json\"]\n\
         [targets.app.host.run]\ninstall = \"{install}\"\nmigrate = {{ up = \"echo migrated\", compatible = true }}\n"
    )
}

/// The bed with one release live and its `deploy_to` on a small file system.
fn on_small_disk() -> (Bed, Tmpfs) {
    let bed = busy();
    let tmpfs = Tmpfs::over(&bed.app());
    bed.commit();
    bed.deploy().expect(0);
    (bed, tmpfs)
}

/// What was there before a deployment.
struct Before {
    old: u32,
    new: u32,
    world: World,
}

/// Commits something that was never there before.
fn something_new(bed: &Bed) -> Before {
    bed.write("ballast", &random().to_string());
    // What releases refer to by number is read before the new one is committed.
    let old = bed.current().unwrap();
    Before { old, world: bed.world(), new: bed.commit() }
}

/// Deploys it, and asserts that it ended as it must. Gives what failed: a step, or what comes before the first one.
fn deploy(bed: &Bed, before: &Before, about: &str, command: Command) -> Option<String> {
    let watcher = watch_current(&bed.app());
    let ran = Running::start(command).end();
    let about = format!("{about}\n{}", ran.told());
    assert_eq!(watcher.findings(), 0, "current was missing, {about}");
    assert_whole(bed, before, ran.code(), &about);
    failed(ran)
}

fn assert_whole(bed: &Bed, before: &Before, code: i32, about: &str) {
    let (then, now) = (&before.world, bed.world());
    match code {
        0 => return bed.assert_settled_at(before.new, about),
        1 => assert_eq!(then.differences(&now), [""; 0], "changed, {about}"),
        3 => {
            let (then, now) = (then.clone().without_bad(&bed.app()), now.without_bad(&bed.app()));
            assert_eq!(then.differences(&now), [""; 0], "changed, {about}");
        }
        code => panic!("exit {code}, {about}"),
    }
    bed.assert_settled_at(before.old, about);
}

fn failed(ran: Ran) -> Option<String> {
    let told = ran.told();
    let (fault, conclusion) = match ran.code() {
        0 => return None,
        1 if told.contains("state: nothing was deployed") => ("home full", "error:"),
        1 if told.contains("error:") => ("disk full before the first step", "error:"),
        1 if told.contains("has too little room") => ("too little room at preflight", "✗ Failed after"),
        1 => ("disk full before the restart", "✗ Failed after"),
        _ => ("disk full at the switch or the restart", "↩ Rolled back"),
    };
    let ran = ran.concludes(conclusion).tells_of(fault).says(&["hint: "]);
    let ran = ran.says_one_of(&["No space left", "too little room"]).says_one_of(&["free some space", "make room"]);
    Some(if conclusion == "error:" { "nothing".to_owned() } else { step(&ran) })
}

/// The first step that failed.
fn step(ran: &Ran) -> String {
    let line = ran.stdout.lines().find_map(|line| line.strip_prefix("✗ ")).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

/// Deploys something new for each of these rooms. Gives where it failed; the last one must not.
fn sweep(bed: &Bed, tmpfs: &Tmpfs, rooms: impl Iterator<Item = Room>) -> BTreeSet<String> {
    let with = |room| {
        let before = something_new(bed);
        tmpfs.leave(room);
        let failed = deploy(bed, &before, &format!("{room:?}"), bed.cutover(&["deploy", "production"]));
        tmpfs.free();
        failed
    };
    let outcomes: Vec<Option<String>> = rooms.map(with).collect();
    assert!(outcomes.last().unwrap().is_none(), "there was never room enough: {outcomes:?}");
    outcomes.into_iter().flatten().collect()
}

#[track_caller]
fn assert_met(failed: &BTreeSet<String>, places: &[&str]) {
    let missed: Vec<&&str> = places.iter().filter(|place| !failed.contains(**place)).collect();
    assert!(missed.is_empty(), "never failed at {missed:?}, but at {failed:?}");
}

#[test]
fn a_deploy_to_that_is_full_before_anything_began() {
    if !is_root("a_deploy_to_that_is_full_before_anything_began") {
        return;
    }
    let (bed, tmpfs) = on_small_disk();
    let pages = if thorough() { 0..100 } else { 0..20 };
    // The journal's room comes first; from there on every single page may be the one that is missing.
    let early = [0, PAGE_BYTES, RESERVE_BYTES / 2].into_iter();
    let rooms = early.chain(pages.map(|page| RESERVE_BYTES + page * PAGE_BYTES)).map(Room::Bytes);
    assert_met(&sweep(&bed, &tmpfs, rooms), &["nothing", "receive"]);

    let inodes = if thorough() { 0..150 } else { 0..4 };
    let failed = sweep(&bed, &tmpfs, inodes.chain([150]).map(Room::Inodes));
    assert_met(&failed, &["nothing", "preflight"]);
}

#[test]
fn a_home_that_is_full_fails_the_packing_or_only_the_memory() {
    if !is_root("a_home_that_is_full_fails_the_packing_or_only_the_memory") {
        return;
    }
    let bed = busy();
    let tmpfs = Tmpfs::over(&bed.path("home/cutover"));
    bed.commit();
    bed.deploy().expect(0);
    let step = if thorough() { 1 } else { 3 };
    let pages = (0..40).step_by(step).chain([200]).map(|page| Room::Bytes(page * PAGE_BYTES));
    assert_met(&sweep(&bed, &tmpfs, pages), &["nothing"]);
    assert_met(&sweep(&bed, &tmpfs, (0..24).step_by(step).chain([100]).map(Room::Inodes)), &["nothing"]);

    // What could not be remembered then is remembered now.
    let history = bed.run(&["history", "production", "--json"]).expect(0).json();
    let live = history["deployments"].as_array().unwrap().iter().filter(|row| row["outcome"] == "deployed").count();
    assert!(live >= 2, "{history}");
}

#[test]
fn a_home_that_cannot_be_written_keeps_nobody_from_the_way_back() {
    if !is_root("a_home_that_cannot_be_written_keeps_nobody_from_the_way_back") {
        return;
    }
    let bed = busy();
    let tmpfs = Tmpfs::over(&bed.path("home/cutover"));
    let [old, new] = [(); 2].map(|()| {
        let version = bed.commit();
        bed.deploy().expect(0);
        version
    });
    let back_and_forth = |about: &str| {
        let before = bed.run(&["history", "--json"]).expect(0).json()["deployments"].as_array().unwrap().len();
        bed.run(&["rollback", "production"]).expect(0).says(&["history.db cannot be written (", "it is read as it is"]);
        bed.assert_settled_at(old, about);
        bed.run(&["app", "production", "stop"]).expect(0);
        bed.run(&["app", "production", "start"]).expect(0);
        bed.run(&["app", "production", "logs"]).expect(0);
        bed.run(&["resume", "production"]).expect(0).says(&["nothing is unfinished"]);
        // Its artifact is here: there is nothing to write for it.
        bed.deploy().expect(0);
        bed.assert_settled_at(new, about);
        let told = bed.run(&["history", "--json"]).expect(0).json();
        assert_eq!(told["deployments"].as_array().unwrap().len(), before + 3, "{about}: {told}");
    };

    let read_only = ReadOnly::over(&bed.path("home/cutover"));
    back_and_forth("read-only");
    drop(read_only);
    tmpfs.leave(Room::Bytes(0));
    back_and_forth("full");

    tmpfs.free();
    let history = bed.run(&["history", "--json"]).expect(0);
    assert!(history.stderr.is_empty(), "{}", history.told());
    assert_eq!(history.json()["deployments"].as_array().unwrap().len(), 8);
}

#[test]
fn a_full_disk_keeps_nobody_from_the_way_back() {
    if !is_root("a_full_disk_keeps_nobody_from_the_way_back") {
        return;
    }
    let (bed, tmpfs) = on_small_disk();
    let old = bed.current().unwrap();
    bed.commit();
    bed.deploy().expect(0);
    bed.run(&["app", "production", "stop"]).expect(0);

    tmpfs.leave(Room::Bytes(0));
    bed.run(&["app", "production", "start"]).expect(0);
    bed.run(&["rollback", "production"]).expect(0);

    bed.assert_settled_at(old, "rolled back on a full disk");
    bed.run(&["app", "production", "restart"]).expect(0);
    // What brings something new is refused before anything is touched, as ever.
    bed.commit();
    bed.deploy().expect(1).says(&["reserve 256 KiB for journal", "make room there (512 KiB do: df -h; df -i)"]);
    bed.assert_settled_at(old, "nothing new was deployed");
}

/// Deploys something new whose command eats the disk all but so much; gives where it failed.
fn deploy_eaten(
    bed: &mut Bed,
    tmpfs: &Tmpfs,
    what: &str,
    left: u64,
    eats: impl FnOnce(&mut Bed, &str),
) -> Option<String> {
    let directory = bed.app().join(EATEN);
    eats(bed, &format!("{} {what} {left}", directory.display()));
    let before = something_new(bed);
    tmpfs.leave(if what == "inodes" { Room::Inodes(160) } else { Room::Bytes(1 << 20) });
    let failed = deploy(bed, &before, &format!("{left} {what}"), bed.cutover(&["deploy", "production"]));
    tmpfs.free();
    assert!(directory.exists(), "nothing was eaten");
    std::fs::remove_dir_all(directory).unwrap();
    failed
}

fn eats_at_install(bed: &mut Bed, arguments: &str) {
    bed.config.tables = tables(&format!("{} -B eater.py {arguments}", python()));
}

#[test]
fn a_disk_that_fills_while_the_release_is_prepared() {
    if !is_root("a_disk_that_fills_while_the_release_is_prepared") {
        return;
    }
    let (mut bed, tmpfs) = on_small_disk();
    let most = if thorough() { 24 } else { 9 };
    let mut failed = BTreeSet::new();
    for what in ["bytes", "inodes"] {
        failed.extend((0..most).filter_map(|left| deploy_eaten(&mut bed, &tmpfs, what, left, eats_at_install)));
    }
    assert_met(&failed, &["env", "switch"]);
    assert_eq!(deploy_eaten(&mut bed, &tmpfs, "bytes", 60, eats_at_install), None, "with room left");
    bed.config.tables = tables("true");
    let after = bed.commit();
    bed.deploy().expect(0);
    bed.assert_settled_at(after, "after space was freed");
}

/// The service itself eats the disk as it starts, and then is not well.
fn eats_when_live(bed: &mut Bed, arguments: &str) {
    let words: Vec<&str> = arguments.split(' ').collect();
    let eat = format!("from eater import eat\neat({:?}, {:?}, {})\n", words[0], words[1], words[2]);
    // The old release is started on the full disk too, and does not eat.
    bed.write("behaviour.py", &format!("{eat}{}", crate::bed::UNWELL));
}

#[test]
fn a_disk_that_is_full_when_everything_must_be_taken_back() {
    if !is_root("a_disk_that_is_full_when_everything_must_be_taken_back") {
        return;
    }
    let (mut bed, tmpfs) = on_small_disk();
    // With a release before the live one there are two links to bring back.
    bed.commit();
    bed.deploy().expect(0);
    let cases = [("bytes", 0), ("inodes", 0), ("both", 0), ("bytes", 1), ("inodes", 1), ("inodes", 2)];
    // With a changed env file there is one more thing to bring back.
    for ((what, left), env) in cases.into_iter().zip(["", "", "", "NEW = \"1\"", "NEW = \"2\"", ""].into_iter().cycle())
    {
        bed.config.env = env.to_owned();
        let directory = bed.app().join(EATEN);
        eats_when_live(&mut bed, &format!("{} {what} {left}", directory.display()));
        let before = something_new(&bed);
        tmpfs.leave(Room::Inodes(220));

        let ran = bed.deploy();

        let about = format!("{left} {what}: {}", ran.told());
        ran.concludes("↩ Rolled back").tells_of("disk full while all is taken back");
        assert_whole(&bed, &before, 3, &about);
        tmpfs.free();
        std::fs::remove_dir_all(directory).unwrap();
    }
    let after = bed.commit_behaving(crate::bed::HEALTHY);
    bed.deploy().expect(0);
    bed.assert_settled_at(after, "after space was freed");
}

/// The service is well, and eats the disk as soon as it has answered.
const EATS_WHEN_WELL: &str = "
from eater import eat
import threading
def reply(connection):
    answer(connection, 200, 'ok ' + version)
    if not os.path.exists(DIRECTORY): eat(DIRECTORY, 'both', 0)
";

#[test]
fn a_disk_that_fills_once_the_release_is_verified_takes_nothing_from_it() {
    if !is_root("a_disk_that_fills_once_the_release_is_verified_takes_nothing_from_it") {
        return;
    }
    let (mut bed, tmpfs) = on_small_disk();
    bed.config.verify += "soak = \"1s\"\n";
    let directory = bed.app().join(EATEN);
    bed.write("behaviour.py", &EATS_WHEN_WELL.replace("DIRECTORY", &format!("{:?}", directory.display().to_string())));
    let before = something_new(&bed);
    tmpfs.leave(Room::Inodes(220));

    let ran = bed.deploy().concludes("✓ Deployed").tells_of("disk full once verified");

    let about = ran.told();
    ran.says(&["is good"]);
    assert_whole(&bed, &before, 0, &about);
    tmpfs.free();
    std::fs::remove_dir_all(directory).unwrap();
    let after = bed.commit_behaving(crate::bed::HEALTHY);
    bed.deploy().expect(0);
    bed.assert_settled_at(after, "after space was freed");
    bed.run(&["rollback", "production"]).expect(0);
    bed.assert_settled_at(before.new, "a release that was verified is a release to go back to");
}

#[test]
fn too_little_room_is_told_before_anything_is_touched() {
    if !is_root("too_little_room_is_told_before_anything_is_touched") {
        return;
    }
    let (mut bed, tmpfs) = on_small_disk();
    let own = |bed: &Bed| {
        let mut files = crate::eyes::files(&bed.app());
        // What tells of the attempt itself is not counted.
        files.retain(|path| !path.starts_with(bed.app().join(".cutover/journal")));
        files.sort();
        files
    };
    for (key, words) in [
        ("disk_free_min = \"100 MiB\"\ninodes_free_min = 0\n", ["MB free", "and 104.9 MB must remain"]),
        ("disk_free_min = \"0 B\"\ninodes_free_min = 20000\n", ["inodes free", "and 20000 must remain"]),
    ] {
        bed.config.host = key.to_owned();
        let before = something_new(&bed);
        let files = own(&bed);

        let ran = bed.deploy().concludes("✗ Failed after").tells_of("too little room at preflight");

        let about = ran.told();
        ran.says(&["hint: free some space, lower keep_releases, or lower disk_free_min"]).says(&words);
        assert_eq!(own(&bed), files, "{about}");
        assert_whole(&bed, &before, 1, &about);
        let rehearsed = bed.run(&["deploy", "production", "--dry-run"]).expect(1);
        rehearsed.says(&["has too little room"]);
    }
    drop(tmpfs);
}

/// Calls that write, as far as Linux on this machine knows them.
const WRITING_CALLS: [&str; 15] = [
    "write",
    "pwrite64",
    "fallocate",
    "ftruncate",
    "mkdir",
    "symlink",
    "link",
    "linkat",
    "rename",
    "renameat2",
    "fsync",
    "fdatasync",
    "syncfs",
    "copy_file_range",
    "mknodat",
];

/// `cutover` under strace, which traces its main thread: the one that drives the deployment.
fn traced(bed: &Bed, log: &Path, options: &[&str]) -> Command {
    let mut command = bed.command("strace");
    command
        .args(["-y", "-qq", "-o"])
        .arg(log)
        .args(options)
        .arg(env!("CARGO_BIN_EXE_cutover"))
        .args(["deploy", "production"]);
    command
}

#[test]
fn any_writing_call_may_find_the_disk_full() {
    if !is_root("any_writing_call_may_find_the_disk_full") {
        return;
    }
    let bed = busy();
    bed.commit();
    bed.deploy().expect(0);
    let log = bed.path("calls");
    something_new(&bed);
    let trace = format!("trace={}", WRITING_CALLS.join(","));
    Running::start(traced(&bed, &log, &["-e", &trace])).end().expect(0);
    let calls = std::fs::read_to_string(&log).unwrap();
    let mut tried = 0;
    for call in WRITING_CALLS {
        let count = calls.lines().filter(|line| line.starts_with(&format!("{call}("))).count();
        let samples = if thorough() { count } else { 3 };
        for at in sample(count, samples) {
            with_fault(&bed, &log, call, at);
            tried += 1;
        }
    }
    assert!(tried >= 20, "only {tried} calls were found in:\n{calls}");
}

/// Numbers from 1 to `count`, others in every run.
fn sample(count: usize, samples: usize) -> BTreeSet<usize> {
    if samples >= count {
        return (1..=count).collect();
    }
    (0..samples).map(|_| 1 + usize::try_from(random() % count as u64).unwrap()).collect()
}

fn with_fault(bed: &Bed, log: &Path, call: &str, at: usize) {
    let before = something_new(bed);
    let inject = format!("inject={call}:error=ENOSPC:when={at}");
    let ran = Running::start(traced(bed, log, &["-e", &format!("trace={call}"), "-e", &inject])).end();
    let injected: String =
        std::fs::read_to_string(log).unwrap().lines().filter(|line| line.contains("INJECTED")).collect();
    let about = format!("{call} number {at}: {injected}\n{}", ran.told());
    if ran.stderr.contains("could not be filed") {
        // It ended all the same, and the next command that acts on the environment files it.
        bed.run(&["resume", "production"]).expect(ran.code());
    }
    if ran.code() != 4 {
        return assert_whole(bed, &before, ran.code(), &about);
    }
    // Only a journal that cannot be written leaves anything half-way, and says how to go on.
    assert!(injected.contains("/.cutover/journal/"), "{about}");
    ran.tells_of("journal write fails midway");
    let is_whole = |version: Option<u32>| version == Some(before.old) || version == Some(before.new);
    assert!(is_whole(bed.current()), "{about}");
    // It may have been restarted at this very moment.
    wait_for("one of the two answers", || is_whole(bed.serving()));
    let resumed = bed.run(&["resume", "production"]);
    let about = format!("{about}\nresumed: {}", resumed.told());
    assert_whole(bed, &before, resumed.code(), &about);
}
