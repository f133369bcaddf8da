//! Asking a command for a secret: bounded, and ended when stopping is asked for.

use super::signals::{self, CANCEL};
use cutover_core::config::CommandLine;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a command may take: a person may have to answer it.
const LIMIT: Duration = Duration::from_secs(300);
/// How often a wish to stop is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How soon after its output a command is looked at again for its end.
const END_INTERVAL: Duration = Duration::from_millis(1);

/// What a command in `root` prints, at most `bytes_max` of it, or in words why there is nothing.
///
/// Its standard error goes to the user's terminal: tools like `op` and `pass` ask there.
pub(super) fn output(command: &CommandLine, root: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    signals::watch().map_err(|error| format!("watch for signals: {error}"))?;
    let mut command = prepared(command)?;
    command.current_dir(root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|error| format!("run its command: {error}"))?;
    let printed = read(&mut child, bytes_max);
    let ended = await_end(&mut child, &printed);
    if ended.is_err() {
        // It has not been waited for, so its number is still its own.
        let _killed = child.kill();
        let _reaped = child.wait();
    }
    let (status, bytes) = ended?;
    if status.success() { Ok(bytes) } else { Err(format!("its command ended with {status}")) }
}

fn prepared(command: &CommandLine) -> Result<Command, String> {
    let (program, arguments) = match command {
        CommandLine::Shell(line) => ("sh", vec!["-c", line.as_str()]),
        CommandLine::Argv(words) => {
            let (program, arguments) = words.split_first().ok_or("its command is empty")?;
            (program.as_str(), arguments.iter().map(String::as_str).collect())
        }
    };
    let mut prepared = Command::new(program);
    prepared.args(arguments);
    Ok(prepared)
}

/// Reads on a thread of its own; one that a grandchild keeps waiting ends with this process.
fn read(child: &mut Child, bytes_max: usize) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, printed) = channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.take(bytes_max as u64).read_to_end(&mut bytes);
            // Nobody listens any more when the command was given up.
            let _told = sender.send(read.map(|_| bytes));
        });
    }
    printed
}

fn await_end(child: &mut Child, printed: &Receiver<io::Result<Vec<u8>>>) -> Result<(ExitStatus, Vec<u8>), String> {
    let deadline = Instant::now() + LIMIT;
    let mut bytes = None;
    loop {
        let pause = if bytes.is_some() { END_INTERVAL } else { LOOK_INTERVAL };
        match printed.recv_timeout(pause) {
            Ok(read) => bytes = Some(read.map_err(|error| format!("read what its command printed: {error}"))?),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(pause),
        }
        let ended = child.try_wait().map_err(|error| format!("wait for its command: {error}"))?;
        if let (Some(status), Some(bytes)) = (ended, &mut bytes) {
            return Ok((status, std::mem::take(bytes)));
        }
        if CANCEL.is_cancelled() {
            return Err("cancelled".to_owned());
        }
        if Instant::now() >= deadline {
            return Err(format!("its command did not end within {} s", LIMIT.as_secs()));
        }
    }
}
