//! Journals whose last entry is torn, as a power cut in the middle of a write leaves them.

use crate::scenario::{Recovery, Scenario};
use crate::strace::{self, Call};
use crate::sweep::{disk, each_worker, recover, wants_all};
use crate::world::World;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// Which entries are torn by default: every so-manieth.
const STRIDE: usize = 4;

#[test]
fn a_journal_whose_last_entry_is_torn_is_recovered_as_if_it_had_not_been_written() {
    let stride = if wants_all() { 1 } else { STRIDE };
    each_worker("torn journal", (Scenario::Update, false), &disk(), |stage, share, report| {
        stage.reset();
        let (_, calls) = strace::count(&stage.world, &stage.scenario.command());
        let written: Vec<Call> =
            calls.into_iter().filter(|call| call.is_journal() && call.name == "fdatasync").collect();
        for (at, call) in written.iter().enumerate().skip(share).step_by(2 * stride) {
            stage.reset();
            let killed = strace::kill_at(&stage.world, &stage.scenario.command(), call);
            tear(&stage.world);
            let recovery = if at / 2 % 2 == 0 { Recovery::Resume } else { Recovery::Deploy };
            recover(stage, &killed, recovery, false, format!("torn at {call}, then {recovery:?}"), report);
        }
    });
}

/// Takes the second half of the last line from every open journal; zeros stand there, as in reserved room.
fn tear(world: &World) {
    for entry in fs::read_dir(world.srv().join(".cutover/journal/open")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let begin = bytes[..end.saturating_sub(1)].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let middle = begin.midpoint(end);
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&vec![0; end - middle], middle as u64).unwrap();
    }
}
