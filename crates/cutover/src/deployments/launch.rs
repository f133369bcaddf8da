//! The first words to a host: the agent put in its place where it is not there, and what it is asked.

use super::agents::PREFIX;
use super::refusal::{Caller, advise};
use super::remote::{Ears, Mouth, Trouble, Undone};
use crate::error::{CommandError, ErrorKind};
use cutover_targets::remote::bootstrap::{Agent, Greeting, greeting, preamble};
use cutover_targets::remote::host_key::in_words;
use cutover_targets::remote::ssh::Connection;
use rustix::io::ioctl_fionread;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitStatus;

/// Where `ssh` is told what the host shall hear, and how much of that has been said.
pub(super) struct Launch<'f> {
    pipe: Mouth,
    flight: &'f [u8],
    /// Whether all of it was said, and no shell passes over it.
    is_aloft: bool,
}

impl<'f> Launch<'f> {
    pub(super) fn new(pipe: Mouth, flight: &'f [u8]) -> Self {
        Self { pipe, flight, is_aloft: false }
    }

    /// Sees that the agent is there, and that it has heard the first flight.
    pub(super) fn go(&mut self, from: &mut Ears, agents: &[Agent]) -> Result<(), Trouble> {
        self.take_off()?;
        let mut greeted = greeting(from)?;
        if let Greeting::Missing { system, machine } = &greeted {
            self.is_aloft = false;
            upload(&mut self.pipe, agents, system, machine)?;
            greeted = greeting(from)?;
            self.take_off()?;
        }
        match greeted {
            Greeting::Agent => Ok(()),
            Greeting::Missing { .. } => Err(Trouble::Lost("the agent that it received is not there".to_owned())),
            Greeting::Other(line) if line.is_empty() => Err(Trouble::Lost("the connection ended".to_owned())),
            Greeting::Other(line) => Err(Trouble::Lost(format!("it said {line:?} where the agent should speak"))),
        }
    }

    fn take_off(&mut self) -> io::Result<()> {
        let sent = self.pipe.write_all(preamble(self.flight.len()).as_bytes());
        match sent.and_then(|()| self.pipe.write_all(self.flight)) {
            Ok(()) => self.is_aloft = true,
            // A connection that is refused closes its end early: what it says then is the better word.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Where what follows is said.
    pub(super) fn into_pipe(self) -> Mouth {
        self.pipe
    }

    /// What it means that the connection broke before the agent answered.
    pub(super) fn lost(self, caller: Caller, connection: Connection, why: &str) -> Loss {
        let (status, said) = connection.finish().unwrap_or_else(|error| (Default::default(), error.to_string()));
        // What ssh never took from us did not travel. Where it ended as the host's shell did, no agent was started.
        let is_taken = self.is_aloft && ioctl_fionread(&self.pipe).is_ok_and(|left| left == 0);
        let heard = if is_taken && is_cut_off(status) { Heard::Perhaps } else { Heard::Nothing };
        Loss { caller, why: why.to_owned(), said, heard }
    }
}

/// Whether ssh itself failed, so that nobody knows how its command ended.
fn is_cut_off(status: ExitStatus) -> bool {
    matches!(status.code(), None | Some(255))
}

/// What a host had heard when the connection to it broke.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Not all that it was asked, so that it did nothing.
    Nothing,
    /// All of it, or not.
    Perhaps,
    /// All of it; it was at work.
    All,
}

/// A connection that broke.
pub(super) struct Loss {
    caller: Caller,
    why: String,
    /// What ssh said.
    said: String,
    heard: Heard,
}

impl Loss {
    /// The agent had answered.
    pub(super) fn at_work(caller: Caller, connection: Connection, why: &str) -> Self {
        let (_, said) = connection.finish().unwrap_or_else(|error| (Default::default(), error.to_string()));
        Self { caller, why: why.to_owned(), said, heard: Heard::All }
    }

    /// What it means for an order.
    pub(super) fn order(self) -> Undone {
        let heard = self.heard;
        let state = match heard {
            Heard::Nothing => "nothing was changed",
            Heard::Perhaps => {
                "whether the host heard the order is not known; if it did, it brings it to its end by itself"
            }
            Heard::All => "the host goes on by itself: it finishes, or takes everything back",
        };
        let mut error = self.told().state(state);
        if heard != Heard::Nothing {
            error = error.hint("`cutover resume ENV` tells how it ended");
        }
        Undone { error, may_go_on: heard != Heard::Nothing }
    }

    /// What it means for a question, which may have been one that changes something.
    pub(super) fn question(self) -> CommandError {
        let state = match self.heard {
            Heard::Nothing => "nothing was changed",
            Heard::Perhaps | Heard::All => "whether the host did what was asked is not known",
        };
        self.told().state(state)
    }

    /// What it means where nothing was to be changed.
    pub(super) fn look(self) -> CommandError {
        self.told().state("nothing was changed")
    }

    fn told(self) -> CommandError {
        let Self { caller, why, said, heard } = self;
        let name = &caller.name;
        let reached = if heard == Heard::Nothing { "cannot reach" } else { "lost the connection to" };
        let told = CommandError::new(ErrorKind::Unreachable, format!("{reached} {name}: {why}"));
        let told = if heard == Heard::Nothing { advise(told, &said, &caller) } else { told };
        told.excerpt(in_words(&said))
    }
}

fn upload(pipe: &mut Mouth, agents: &[Agent], system: &str, machine: &str) -> Result<(), Trouble> {
    let fitting = agents.iter().find(|agent| agent.machine == machine).filter(|_| system == "Linux");
    let agent = fitting.ok_or_else(|| Trouble::Refused(no_agent(agents, system, machine)))?;
    let mut file = File::open(&agent.path)?.take(agent.bytes);
    io::copy(&mut file, pipe)?;
    Ok(())
}

fn no_agent(agents: &[Agent], system: &str, machine: &str) -> CommandError {
    let told = CommandError::new(
        ErrorKind::Failed,
        format!("the host is {system} on {machine}, and this Cutover has no agent for that"),
    );
    let told = told.state("nothing was changed");
    // The first one is this very binary.
    match agents.first().filter(|_| system == "Linux") {
        Some(own) => {
            let path = own.path.with_file_name(format!("{PREFIX}{machine}"));
            told.hint(format!("put the cutover binary for {machine} at {}", path.display()))
        }
        None => told.hint("hosts must run Linux"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;
    use cutover_targets::remote::patience::{Patience, Patient, Weighed};
    use std::io::BufReader;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn a_host_that_never_reads_what_it_is_told_is_let_go_of() {
        let mut host = Command::new("sleep").arg("1000").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let patience = Patience::new(Duration::from_millis(50));
        let stdin = host.stdin.take().unwrap();
        rustix::pipe::fcntl_setpipe_size(&stdin, 4096).unwrap();
        let mouth = Weighed::new(stdin, patience.clone()).unwrap();
        let mut ears = BufReader::new(Patient::new(host.stdout.take().unwrap(), patience));
        let flight = vec![0; 1 << 20];

        let gone = Launch::new(mouth, &flight).go(&mut ears, &[]);

        assert!(matches!(gone, Err(Trouble::Lost(why)) if why.starts_with("it has taken nothing for")));
        host.kill().unwrap();
        host.wait().unwrap();
    }
}
