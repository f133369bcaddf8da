//! Stops what demos started and removes what they made.

use super::folder::{self, Folder, failed};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Output;
use cutover_disk::remove_tree;
use cutover_targets::host::Layout;
use cutover_targets::process::{signal, with_variable};
use cutover_targets::supervisor;
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long killed processes may take to end.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Removes every demo that is on the list, and says so.
pub(super) fn clean(output: &Output) -> Result<Exit, CommandError> {
    let folders = folder::all()?;
    for folder in &folders {
        remove(folder)?;
        if !output.json {
            output.text(&format!("stopped and removed {}\n", folder.dir.display()))?;
        }
    }
    let dirs: Vec<&Path> = folders.iter().map(|folder| folder.dir.as_path()).collect();
    if output.json {
        output.json(&json!({ "v": 1, "removed": dirs }))?;
    } else if dirs.is_empty() {
        output.text("no demo is left; nothing to do\n")?;
    } else {
        output.text("no process of a demo is left running\n")?;
    }
    Ok(Exit::Done)
}

fn remove(folder: &Folder) -> Result<(), CommandError> {
    stop(folder)?;
    // A folder that lost its mark is somebody else's by now.
    if folder.is_marked() {
        remove_tree(&folder.dir)?;
    }
    if let Some(data_dir) = &folder.data_dir {
        remove_tree(data_dir)?;
    }
    folder.unlist()
}

fn stop(folder: &Folder) -> Result<(), CommandError> {
    let processes = Layout::new(folder.deploy_to()).own().join("process");
    for dir in directories(&processes) {
        supervisor::stop(&dir).map_err(|error| error.failure("stop the service"))?;
    }
    end_strays(&processes.join("greeter"))
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
}

/// Ends what still runs for a folder that somebody removed by hand: first who starts it again, then the service.
fn end_strays(dir: &Path) -> Result<(), CommandError> {
    let name = dir.to_string_lossy();
    for variable in ["CUTOVER_SUPERVISOR", "CUTOVER_SERVICE"] {
        let until = Instant::now() + KILL_PATIENCE;
        loop {
            let left = with_variable(variable, &name);
            if left.is_empty() {
                break;
            }
            if Instant::now() > until {
                let error = std::io::Error::other(format!("processes {left:?} cannot be killed"));
                return Err(failed("stop what runs in", dir, &error));
            }
            left.iter().for_each(|pid| signal(*pid, Signal::KILL));
            std::thread::sleep(POLL);
        }
    }
    Ok(())
}
