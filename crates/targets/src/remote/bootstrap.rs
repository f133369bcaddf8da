//! Seeing that the agent is on the host: the command that starts it there, or receives it first.

use cutover_core::artifact::Digest;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

/// Where agents lie on a host, beneath the home directory.
pub const AGENTS_DIR: &str = ".cache/cutover/agents";
/// How the host says that it has no agent: with this, its system and its machine.
const MISSING: &str = "cutover-missing ";
/// How the agent says that it is there, with the version of what it speaks.
const PRESENT: &str = "cutover-agent 1";
/// The longest line of that kind.
const LINE_LENGTH_MAX: u64 = 200;
/// How many lines of a shell that greets are passed over.
const NOISE_COUNT_MAX: usize = 100;

/// A binary that can be the agent on hosts of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The kind of machine, as `uname -m` says it.
    pub machine: String,
    /// The file here.
    pub path: PathBuf,
    /// Its digest, which is its name there.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The command for the host's shell: starts the agent, or receives it and starts it then.
///
/// Whatever the user's shell is, it only has to run `sh`. The script first looks for the agents by name. When it has
/// none, it says which machine it is, passes over the first flight (its length stands in its first line), takes as many
/// bytes as the agent has, and puts them in place by a rename.
pub fn command(agents: &[Agent]) -> String {
    let names = agents.iter().map(|agent| agent.digest.to_string()).collect::<Vec<_>>().join(" ");
    let sizes: String =
        agents.iter().map(|agent| format!("{}) f={}; s={};; ", agent.machine, agent.digest, agent.bytes)).collect();
    let script = format!(
        "d=$HOME/{AGENTS_DIR}; \
         for f in {names}; do [ -x $d/$f ] && exec $d/$f agent serve; done; \
         m=$(uname -m); echo \"{MISSING}$(uname -s) $m\"; \
         case $m in {sizes}*) exit 9;; esac; \
         IFS= read -r n || exit 9; \
         umask 077; mkdir -p $d || exit 9; \
         head -c $((n+s)) | tail -c $s >$d/.$f.$$ && [ $(wc -c <$d/.$f.$$) -eq $s ] && \
         chmod 700 $d/.$f.$$ && mv -f $d/.$f.$$ $d/$f || {{ rm -f $d/.$f.$$; exit 9; }}; \
         exec $d/$f agent serve"
    );
    format!("exec sh -c '{script}'")
}

/// The line before the first flight.
pub fn preamble(flight_bytes: usize) -> String {
    format!("{flight_bytes}\n")
}

/// Reads the line before the first flight. What follows says for itself how long it is.
pub fn read_preamble(reader: &mut impl BufRead) -> io::Result<()> {
    let line = read_line(reader)?;
    if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the other side does not speak as Cutover does"));
    }
    Ok(())
}

/// The agent's first line; frames follow.
pub fn present() -> String {
    format!("{PRESENT}\n")
}

/// What a host says first.
#[derive(Debug, PartialEq, Eq)]
pub enum Greeting {
    /// The agent speaks: frames follow.
    Agent,
    /// There is none for this machine yet.
    Missing {
        /// Its system: `Linux`.
        system: String,
        /// Its kind of machine: `x86_64`.
        machine: String,
    },
    /// Neither; this is what was said instead, if anything.
    Other(String),
}

/// Reads what a host says first. Lines of a shell that greets are passed over.
pub fn greeting(reader: &mut impl BufRead) -> io::Result<Greeting> {
    let mut noise = String::new();
    for _ in 0..NOISE_COUNT_MAX {
        let line = read_line(reader)?;
        if line == PRESENT {
            return Ok(Greeting::Agent);
        }
        if let Some((system, machine)) = line.strip_prefix(MISSING).and_then(|rest| rest.split_once(' ')) {
            return Ok(Greeting::Missing { system: system.to_owned(), machine: machine.to_owned() });
        }
        if line.is_empty() && reader.fill_buf()?.is_empty() {
            break;
        }
        noise = line;
    }
    Ok(Greeting::Other(noise))
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.by_ref().take(LINE_LENGTH_MAX).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Removes agents that have not been used for long, but the newest few; `own` always stays.
pub fn prune(dir: &Path, own: &Path) {
    const KEPT_COUNT: usize = 3;
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut others: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path() != own)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    others.sort();
    others.reverse();
    for (_, path) in others.into_iter().skip(KEPT_COUNT) {
        // One that stays costs space only.
        let _ = std::fs::remove_file(path);
    }
}
