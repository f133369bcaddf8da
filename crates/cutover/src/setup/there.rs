//! Has a host prepared: by the agent on it, or by this process, as root in either case.

use super::host::{Login, Machine};
use crate::bounded::{Bounded, MESSAGE_BYTES_MAX};
use crate::deployments::{connect_as, supervisor};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use cutover_child::withhold_own;
use cutover_targets::remote::bootstrap::AGENTS_DIR;
use cutover_targets::remote::ssh::Options;
use cutover_targets::setup::{self, Order, Report, Task};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// How to become root on the machine that asks, and on another one.
const HERE: &str = "do it as root (`sudo cutover …`), or as one who may use sudo without a password";
const THERE: &str = "log in as root (`--as root`), or as one who may use sudo there without a password (`--as USER`)";

/// What comes back from a host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Report),
    Refused(CommandError),
}

impl From<Result<Report, CommandError>> for Answer {
    fn from(done: Result<Report, CommandError>) -> Self {
        done.map_or_else(Self::Refused, Self::Done)
    }
}

/// Has the order carried out on a machine.
pub(super) fn perform(
    machine: &Machine,
    login: &Login,
    options: &Options,
    (order, label): (Order, &str),
) -> Result<Report, CommandError> {
    let answer = match machine {
        Machine::Here => as_root(&order, HERE),
        Machine::There(_) => {
            let mut said = Bounded::default();
            let code = connect_as(&login.admin, options)?.set_up(order, label, &mut said)?;
            serde_json::from_slice(&said.bytes).map_err(|_| unanswered(code))?
        }
    };
    match answer {
        Answer::Done(report) => Ok(report),
        Answer::Refused(error) => Err(error),
    }
}

fn unanswered(code: i32) -> CommandError {
    CommandError::new(ErrorKind::Failed, format!("the host gave no answer, and ended with {code}"))
        .state("what was made so far is written down there")
        .hint("run the same command again: it goes on where it ended")
}

/// Carries an order out and says how it went; for whoever asked the agent.
pub(crate) fn answer(order: &Order) -> Result<(), CommandError> {
    say(&as_root(order, THERE))?;
    leave(order);
    Ok(())
}

/// The same for an order that comes on the standard input.
pub(crate) fn answer_input() -> Result<Exit, CommandError> {
    let mut text = Vec::new();
    let read = io::stdin().lock().take(MESSAGE_BYTES_MAX).read_to_end(&mut text);
    let order = read.and_then(|_| serde_json::from_slice::<Order>(&text).map_err(io::Error::other));
    let order =
        order.map_err(|error| CommandError::new(ErrorKind::Usage, "no order for a setup came in").because(&error))?;
    let program = supervisor()?.program;
    say(&setup::perform(&order, &program).map_err(CommandError::from).into())?;
    Ok(Exit::Done)
}

fn say(answer: &Answer) -> Result<(), CommandError> {
    let text = serde_json::to_vec(answer)?;
    let mut out = io::stdout().lock();
    out.write_all(&text)
        .and_then(|()| out.flush())
        .map_err(|error| CommandError::new(ErrorKind::Failed, "answer the client").because(&error))
}

/// This process is root, or sudo makes one that is; else that is the way to become it.
fn as_root(order: &Order, way: &str) -> Answer {
    let program = match supervisor() {
        Ok(supervisor) => supervisor.program,
        Err(failure) => return Answer::Refused(failure.into()),
    };
    if rustix::process::geteuid().is_root() {
        return setup::perform(order, &program).map_err(CommandError::from).into();
    }
    through_sudo(order, &program).unwrap_or_else(|error| Answer::Refused(no_root(&error, way)))
}

fn through_sudo(order: &Order, program: &Path) -> io::Result<Answer> {
    let mut sudo = Command::new("sudo");
    withhold_own(&mut sudo).args(["-n", "--"]).arg(program).args(["agent", "setup"]);
    let mut child = sudo.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // sudo that refuses does not listen; what it says then is the better word.
        let _ = stdin.write_all(&serde_json::to_vec(order)?);
    }
    let mut text = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MESSAGE_BYTES_MAX).read_to_end(&mut text)?;
    }
    child.wait()?;
    serde_json::from_slice(&text).map_err(|_| io::Error::other("sudo did not let it"))
}

fn no_root(error: &io::Error, way: &str) -> CommandError {
    CommandError::new(ErrorKind::Failed, "prepare the host as root")
        .because(error)
        .state("nothing was changed")
        .hint(way)
}

/// With everything else the agent that removes it goes, too.
fn leave(order: &Order) {
    let (Task::Remove { .. }, false, Ok(program)) = (order.task, order.dry_run, std::env::current_exe()) else {
        return;
    };
    if let Some(dir) = program.parent().filter(|dir| dir.ends_with(AGENTS_DIR)) {
        // What stays costs space only, and directories that others use are not empty.
        let _ = std::fs::remove_file(&program);
        let _ = dir.ancestors().take(2).try_for_each(std::fs::remove_dir);
    }
}
