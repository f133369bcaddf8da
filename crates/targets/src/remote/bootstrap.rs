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
/// bytes as the agent has, and puts them in place at once. One that somebody else has put there meanwhile stays: it may run
/// already, and a process whose file was replaced cannot find it any more.
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
         u=$(umask); umask 077; mkdir -p $d || exit 9; \
         head -c $((n+s)) | tail -c $s >$d/.$f.$$ && [ $(wc -c <$d/.$f.$$) -eq $s ] && \
         chmod 700 $d/.$f.$$ && \
         {{ ln $d/.$f.$$ $d/$f 2>/dev/null || [ -x $d/$f ] || mv -f $d/.$f.$$ $d/$f; }} && rm -f $d/.$f.$$ || \
         {{ rm -f $d/.$f.$$; exit 9; }}; \
         umask $u; exec $d/$f agent serve"
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

/// How many files besides the one in use are kept: a service's supervisor may have been started by an older agent.
const KEPT_COUNT: usize = 5;

/// Notes that an agent is in use, so that others that end meanwhile keep it. It starts itself again for a service.
pub fn mark_as_used(own: &Path) {
    // It runs without that as well.
    let _ = std::fs::File::open(own).and_then(|file| file.set_modified(std::time::SystemTime::now()));
}

/// Removes all files of a directory of agents, or of configs that questions came with, but those of late use and `own`.
pub fn prune(dir: &Path, own: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let others = entries.filter_map(Result::ok).filter(|entry| entry.path() != own);
    let mut others: Vec<_> =
        others.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    others.sort();
    for (_, path) in others.iter().rev().skip(KEPT_COUNT) {
        // One that stays costs space only.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::process::{Command, Stdio};

    /// A script in the agent's place, which says what it was given, and how private it makes files.
    const AGENT: &str = "#!/bin/sh\nprintf 'cutover-agent 1\\n%s %s ' \"$*\" $(umask); cat\n";

    fn agent(dir: &Path, machine: &str) -> Agent {
        let path = dir.join("cutover");
        fs::write(&path, AGENT).unwrap();
        Agent { machine: machine.to_owned(), path, digest: Digest::of(AGENT.as_bytes()), bytes: AGENT.len() as u64 }
    }

    /// What the command says to this input, in a home of its own.
    fn run(home: &Path, agents: &[Agent], input: &[u8]) -> (String, Option<i32>) {
        let mut shell = Command::new("sh");
        shell.args(["-c", &command(agents)]).env("HOME", home).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        // One that ends before it has read all of it closes its end.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    }

    fn machine() -> String {
        rustix::system::uname().machine().to_string_lossy().into_owned()
    }

    #[test]
    fn an_agent_is_received_once_and_then_found() {
        let dir = tempfile::tempdir().unwrap();
        let agent = agent(dir.path(), &machine());
        let first = [b"6\nflight", AGENT.as_bytes(), b"again"].concat();

        let (said, _) = run(dir.path(), std::slice::from_ref(&agent), &first);
        let (said_then, _) = run(dir.path(), std::slice::from_ref(&agent), b"6\nflight");

        let umask = Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
        let umask = String::from_utf8(umask).unwrap().trim().to_owned();
        assert_eq!(said, format!("cutover-missing Linux {}\ncutover-agent 1\nagent serve {umask} again", machine()));
        assert_eq!(said_then, format!("cutover-agent 1\nagent serve {umask} 6\nflight"));
        let placed = dir.path().join(AGENTS_DIR).join(agent.digest.to_string());
        assert_eq!(fs::metadata(placed).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn an_agent_that_somebody_else_has_put_there_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let agent = agent(dir.path(), &machine());
        let mut shell = Command::new("sh");
        shell.args(["-c", &command(std::slice::from_ref(&agent))]).env("HOME", dir.path());
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Given one that has found none, and another that was quicker.
        let mut said = io::BufReader::new(child.stdout.take().unwrap());
        assert!(read_line(&mut said).unwrap().starts_with(MISSING));
        let upload = [b"6\nflight", AGENT.as_bytes()].concat();
        run(dir.path(), std::slice::from_ref(&agent), &upload);
        let agents = dir.path().join(AGENTS_DIR);
        let inode = || fs::metadata(agents.join(agent.digest.to_string())).unwrap().ino();
        let placed = inode();

        child.stdin.take().unwrap().write_all(&upload).unwrap();

        assert_eq!(greeting(&mut said).unwrap(), Greeting::Agent);
        child.wait().unwrap();
        assert_eq!((inode(), fs::read_dir(&agents).unwrap().count()), (placed, 1));
    }

    #[test]
    fn an_agent_that_is_cut_off_is_not_put_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let agent = agent(dir.path(), &machine());
        let cut = [b"6\nflight", &AGENT.as_bytes()[..20]].concat();

        let (_, code) = run(dir.path(), &[agent], &cut);

        assert_eq!(code, Some(9));
        assert_eq!(fs::read_dir(dir.path().join(AGENTS_DIR)).unwrap().count(), 0);
    }

    #[test]
    fn a_machine_that_no_agent_is_for_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let agent = agent(dir.path(), "vax");

        let (said, code) = run(dir.path(), &[agent], b"6\nflight");

        assert_eq!((said, code), (format!("cutover-missing Linux {}\n", machine()), Some(9)));
    }

    #[test]
    fn a_greeting_is_found_behind_what_a_shell_says() {
        let greet = |text: &str| greeting(&mut text.as_bytes()).unwrap();
        assert_eq!(greet("Welcome!\n\ncutover-agent 1\n"), Greeting::Agent);
        let missing = Greeting::Missing { system: "Linux".into(), machine: "riscv64".into() };
        assert_eq!(greet("cutover-missing Linux riscv64\n"), missing);
        assert_eq!(greet("This account is not available.\n"), Greeting::Other("This account is not available.".into()));
        assert_eq!(greet(""), Greeting::Other(String::new()));
        assert_eq!(greet(&"noise\n".repeat(1000)), Greeting::Other("noise".into()));
    }

    #[test]
    fn an_agent_that_another_one_uses_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |number: usize| dir.path().join(number.to_string());
        for number in 0..10 {
            let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            fs::File::create(path(number)).unwrap().set_modified(at).unwrap();
        }

        mark_as_used(&path(1));
        prune(dir.path(), &path(0));

        let left: Vec<usize> = (0..10).filter(|number| path(*number).exists()).collect();
        assert_eq!(left, [0, 1, 6, 7, 8, 9]);
    }

    #[test]
    fn old_agents_are_removed_and_the_own_one_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = |number: usize| dir.path().join(number.to_string());
        for number in 0..10 {
            let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            fs::File::create(path(number)).unwrap().set_modified(at).unwrap();
        }

        prune(dir.path(), &path(0));

        let left: Vec<usize> = (0..10).filter(|number| path(*number).exists()).collect();
        assert_eq!(left, [0, 5, 6, 7, 8, 9]);
    }
}
