//! Looking at a host's key before anybody trusts it.

use super::destination::{Destination, Resolved};
use super::ssh::{Identity, Options, cannot_run};
use super::way::{PREFIX as WAY_PREFIX, Way, is_way};
use cutover_child::Timed;
use cutover_child::withhold_own;
use cutover_core::target::Failure;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How much is read of what is said.
const SAID_BYTES_MAX: u64 = 64 << 10;
/// Where pins stand, for people.
const PINS: &str = "[ssh.host_keys] of cutover.toml";
/// What to do when nothing else is known.
pub const TRY_SSH: &str = "try `ssh` with the same host: what works there works here";
/// A connection that says who the other side is, and never who we are.
const NAMELESS: [&str; 4] =
    ["ConnectTimeout=15", "BatchMode=yes", "PreferredAuthentications=none", "UpdateHostKeys=no"];

/// A host's key as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Its kind and the key.
    pub line: String,
    /// `SHA256:…`.
    pub fingerprint: String,
}

/// What `ssh` thinks of the key that a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It is pinned, or among the known hosts of the user.
    Known,
    /// Nobody has confirmed any key of this host.
    Unknown,
    /// Another one was confirmed, which stands there.
    Changed(Option<Confirmed>),
}

/// Where a key stands that was confirmed and that the host does not show any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    /// In the config of the project.
    Pinned,
    /// In a file of known hosts.
    In {
        /// The file.
        file: String,
        /// Its line, counted from 1.
        line: String,
    },
}

/// Whether `ssh` says that a host shows another key than the one that was confirmed.
pub fn is_changed(said: &str) -> bool {
    said.contains("IDENTIFICATION HAS CHANGED")
}

/// Where the key that was confirmed stands, by what `ssh` says of a changed one: `Offending ED25519 key in FILE:LINE`
/// (OpenSSH's sshconnect.c).
pub fn confirmed(said: &str) -> Option<Confirmed> {
    let place = said.lines().find_map(|line| line.trim().strip_prefix("Offending ")?.split_once(" key in "))?.1;
    let (file, line) = place.trim().rsplit_once(':')?;
    // Pins are given to `ssh` in a file that is gone by now.
    let is_pinned = Path::new(file).ancestors().filter_map(Path::file_name).any(is_way);
    Some(if is_pinned { Confirmed::Pinned } else { Confirmed::In { file: file.to_owned(), line: line.to_owned() } })
}

/// What `ssh` says, with words for the file that pins are given to it in: that is gone by the time anybody looks for it, and so
/// is its advice to change that file.
pub fn in_words(said: &str) -> String {
    let is_of_way = |word: &str| word.contains(WAY_PREFIX);
    let is_advice = |line: &str| {
        let words = line.trim();
        (words.starts_with("ssh-keygen ") && is_of_way(words)) || words == "remove with:"
    };
    let about_pins = said.lines().any(is_of_way);
    let lines = said.lines().filter(|line| !(about_pins && is_advice(line)));
    let told = lines.map(|line| {
        let words = line.split(' ').map(|word| if is_of_way(word) { PINS } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    told.collect::<Vec<_>>().join("\n")
}

/// What to do about a host that did not answer, by what `ssh` says of it: `connect to host HOST port PORT: WHY` (OpenSSH's
/// sshconnect.c). None where it says something else.
pub fn unanswered(said: &str) -> Option<String> {
    let (place, why) = said.lines().find_map(|line| line.split_once("connect to host ")?.1.split_once(": "))?;
    let (host, port) = place.split_once(" port ")?;
    let look = if why.contains("refused") {
        format!(
            "{host} is there, but nothing takes connections at port {port}: does sshd run there, and is that its port?"
        )
    } else {
        format!(
            "nothing answered for {host} at port {port}: is it switched on, is that its address, does a firewall let you in?"
        )
    };
    Some(format!("{look} Both come from `hosts` and [ssh] of cutover.toml, and from your ssh configuration"))
}

/// What `ssh` makes of a host.
pub fn resolve(host: &str, options: &Options) -> Result<Resolved, Failure> {
    let destination = Destination::of(host, options);
    let way = Way::prepare(&destination, &nameless(options))?;
    destination.resolve(&way.config(), options)
}

/// Connects as far as to the host's key, and says whether that is trusted. Gives no key of ours away.
pub fn trust(host: &str, options: &Options) -> Result<Trust, Failure> {
    let destination = Destination::of(host, options);
    let way = Way::prepare(&destination, &nameless(options))?;
    let said = connect(&destination, &way, options, &["StrictHostKeyChecking=yes"])?;
    match () {
        () if is_changed(&said) => Ok(Trust::Changed(confirmed(&said))),
        () if said.contains("Host key verification failed") => Ok(Trust::Unknown),
        // A host that lets anybody in says nothing at all.
        () if said.contains("Permission denied") || said.is_empty() => Ok(Trust::Known),
        () if said.contains("Could not resolve hostname") => {
            Err(Failure::new(format!("nobody knows a machine of the name {}", destination.host))
                .excerpt(&said)
                .hint("see that `hosts` of the environment spells it as DNS or your ssh configuration does"))
        }
        () => {
            let advice = unanswered(&said).unwrap_or_else(|| TRY_SSH.to_owned());
            Err(Failure::new(format!("reach {}", destination.place())).excerpt(&in_words(&said)).hint(advice))
        }
    }
}

/// The key that the host shows now, whoever that is. The hosts on the way must be known.
pub fn shown(host: &str, options: &Options) -> Result<HostKey, Failure> {
    let destination = Destination::of(host, options);
    let way = Way::prepare(&destination, &nameless(options))?;
    let seen = way.path("seen");
    let file = format!("UserKnownHostsFile=\"{}\"", seen.display());
    // Into a file of our own that nobody trusts: what is accepted here is looked at, and forgotten.
    let lax = ["StrictHostKeyChecking=accept-new", &file, "GlobalKnownHostsFile=/dev/null", "HashKnownHosts=no"];
    let said = connect(&destination, &way, options, &lax)?;
    let text = std::fs::read_to_string(&seen).unwrap_or_default();
    let line = text.lines().next_back().and_then(|line| line.split_once(' ')).map(|(_, key)| key.trim().to_owned());
    let Some(line) = line else {
        return Err(Failure::new(format!("see the key of {}", destination.place()))
            .excerpt(&said)
            .hint("a host on the way must be known first: pin it in [ssh.host_keys]"));
    };
    Ok(HostKey { fingerprint: fingerprint(&line)?, line })
}

/// Nobody is told who we are by a look.
fn nameless(options: &Options) -> Options {
    let identity = options.identity.clone().filter(|_| !options.jump.is_empty());
    Options { identity, ..options.clone() }
}

fn connect(destination: &Destination, way: &Way, options: &Options, more: &[&str]) -> Result<String, Failure> {
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(way.config()).args(destination.args(&options.jump));
    ssh.args(NAMELESS.iter().chain(more).flat_map(|option| ["-o", option]));
    ssh.args(["-a", "-x", "-T", "--", &destination.host, "true"]);
    options.withhold(&mut ssh);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = ssh.spawn().map_err(|error| cannot_run("ssh", &error))?;
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What cannot be read is told like nothing at all.
        let _ = Timed::new(stderr, Instant::now(), LIMIT).take(SAID_BYTES_MAX).read_to_end(&mut said);
    }
    // Nothing happens to one that has ended.
    let _ = child.kill();
    let _ = child.wait();
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}

/// A key as people compare it.
pub fn fingerprint(line: &str) -> Result<String, Failure> {
    let said = ask("ssh-keygen", &["-l", "-f", "-"], &format!("{line}\n"))?;
    let words: Option<&str> = said.split_whitespace().find(|word| word.starts_with("SHA256:"));
    words.map(str::to_owned).ok_or_else(|| Failure::new("find the fingerprint of a key: ssh-keygen does not take it"))
}

/// The public half of the key in use.
///
/// Without a key of its own in the options it is among the files and the agent that `ssh` would use; all that come into
/// question are given then.
pub fn public_keys(host: &str, options: &Options) -> Result<Vec<String>, Failure> {
    let destination = Destination::of(host, options);
    match &options.identity {
        Some(Identity::File(path)) => public_half(path).map(|key| vec![key]),
        Some(Identity::Key(_)) => Way::prepare(&destination, options)?.public_key().map(|key| vec![key]),
        None => {
            let way = Way::prepare(&destination, options)?;
            let resolved = destination.resolve(&way.config(), options)?;
            let files = resolved.identity_files.iter().filter_map(|file| std::fs::read_to_string(beside(file)).ok());
            let agent =
                if resolved.identities_only { String::new() } else { ask("ssh-add", &["-L"], "").unwrap_or_default() };
            let mut keys: Vec<String> = files.chain([agent]).flat_map(|text| key_lines(&text)).collect();
            keys.sort();
            keys.dedup_by(|one, other| key_of(one) == key_of(other));
            Ok(keys)
        }
    }
}

fn key_of(line: &str) -> Option<&str> {
    line.split(' ').nth(1)
}

/// The lines of a text that are public keys.
pub fn key_lines(text: &str) -> Vec<String> {
    let is_key = |line: &&str| line.starts_with("ssh-") || line.starts_with("ecdsa-") || line.starts_with("sk-");
    text.lines().map(str::trim).filter(is_key).map(str::to_owned).collect()
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn public_half(path: &Path) -> Result<String, Failure> {
    let beside = std::fs::read_to_string(beside(path)).unwrap_or_default();
    let said = match key_lines(&beside).pop() {
        Some(key) => return Ok(key),
        None => ask("ssh-keygen", &["-y", "-P", "", "-f", &path.to_string_lossy()], ""),
    };
    said.ok().and_then(|said| key_lines(&said).pop()).ok_or_else(|| {
        Failure::new(format!("find the public half of {}", path.display()))
            .hint(format!("put it beside it, as {}.pub", path.display()))
    })
}

fn ask(program: &str, args: &[&str], input: &str) -> Result<String, Failure> {
    let mut command = Command::new(program);
    withhold_own(&mut command).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| cannot_run(program, &error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not want to hear it says so.
        let _ = stdin.write_all(input.as_bytes());
    }
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = Timed::new(stdout, Instant::now(), LIMIT).take(SAID_BYTES_MAX).read_to_string(&mut said);
    }
    let _ = child.kill();
    let _ = child.wait();
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_only_ssh_was_given_is_told_in_words() {
        let said = "Add correct host key in /root/.ssh/known_hosts to get rid of this message.\r\n\
                    Offending ED25519 key in /dev/shm/cutover-way-aB3dE5/known_hosts:1\r\n  remove with:\r\n  \
                    ssh-keygen -f '/dev/shm/cutover-way-aB3dE5/known_hosts' -R 'web'\r\nHost key for web has changed";
        let told = "Add correct host key in /root/.ssh/known_hosts to get rid of this message.\n\
                    Offending ED25519 key in [ssh.host_keys] of cutover.toml\nHost key for web has changed";
        assert_eq!(in_words(said), told);
        let own = "Offending key in /root/.ssh/known_hosts:2\n  remove with:\n  ssh-keygen -f '/root/.ssh/known_hosts' -R 'web'";
        assert_eq!(in_words(own), own);
    }

    #[test]
    fn a_host_that_does_not_answer_is_told_with_its_address_and_port() {
        let told = |why: &str| unanswered(&format!("ssh: connect to host web.example.org port 2222: {why}"));
        let refused = told("Connection refused").unwrap();
        assert!(
            refused.starts_with("web.example.org is there, but nothing takes connections at port 2222"),
            "{refused}"
        );
        for why in ["Connection timed out", "No route to host", "Network is unreachable"] {
            let silent = told(why).unwrap();
            assert!(silent.starts_with("nothing answered for web.example.org at port 2222"), "{silent}");
        }
        assert_eq!(unanswered("kex_exchange_identification: Connection closed by remote host"), None);
    }

    #[test]
    fn where_a_confirmed_key_stands_is_taken_from_what_ssh_says() {
        let said = |place: &str| {
            confirmed(&format!("@@@@\nOffending ED25519 key in {place}\r\nHost key for web has changed\n"))
        };
        let (file, line) = ("/home/ada/.ssh/known: hosts".to_owned(), "3".to_owned());
        assert_eq!(said("/home/ada/.ssh/known: hosts:3"), Some(Confirmed::In { file, line }));
        assert_eq!(said("/dev/shm/cutover-way-aB3dE5/known_hosts:1"), Some(Confirmed::Pinned));
        assert_eq!(confirmed("Host key verification failed."), None);
    }
}
