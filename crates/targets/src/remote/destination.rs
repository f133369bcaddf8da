//! Where a connection goes: a host as the config writes it, and what `ssh` makes of that.

use super::ssh::{Options, cannot_run};
use crate::setup::own_account;
use cutover_child::Timed;
use cutover_core::target::Failure;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The port that hosts are known by without naming it.
const PORT_USUAL: &str = "22";
/// How long `ssh -G` may take; a user's config may run commands.
const LIMIT: Duration = Duration::from_secs(15);
/// How much of what it says is read.
const ANSWER_BYTES_MAX: u64 = 256 << 10;

/// A host as the config writes it: `[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The user; None: whom `ssh` takes.
    pub user: Option<String>,
    /// The host's name, or an alias of the user's own.
    pub host: String,
    /// The port; None: the one that `ssh` takes.
    pub port: Option<String>,
}

/// What `ssh` makes of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// Who logs in.
    pub user: String,
    /// What the host is called in `known_hosts`.
    pub known_as: String,
    /// The user's own files of known hosts, as `ssh` writes them.
    pub known_hosts: String,
    /// The files of private keys that it tries.
    pub identity_files: Vec<PathBuf>,
    /// Whether it leaves other keys of an agent alone.
    pub identities_only: bool,
}

impl Destination {
    /// Takes a host apart; what it does not name comes from the options.
    pub fn of(host: &str, options: &Options) -> Self {
        let mut destination = Self::parse(host);
        destination.user = destination.user.or_else(|| options.user.clone());
        destination.port = destination.port.or_else(|| options.port.map(|port| port.to_string()));
        destination
    }

    /// Takes a host apart as it is written.
    pub fn parse(host: &str) -> Self {
        let (user, place) = host.rsplit_once('@').map_or((None, host), |(user, place)| (Some(user), place));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (place, None),
        };
        // An address with colons has brackets around it in the config; `ssh` wants it without.
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        Self { user: user.map(str::to_owned), host: bare.to_owned(), port: port.map(str::to_owned) }
    }

    /// What a user calls it: without the user, and with the port when it names one.
    pub fn place(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.as_ref().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// The arguments that say user, port and way.
    pub(super) fn args(&self, jump: &[String]) -> Vec<String> {
        let jump = (!jump.is_empty()).then(|| jump.join(","));
        let options = [("-l", self.user.clone()), ("-p", self.port.clone()), ("-J", jump)];
        options.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten().collect()
    }

    /// Asks `ssh` what it makes of this destination; connects to nothing.
    pub(super) fn resolve(&self, config: &Path, options: &Options) -> Result<Resolved, Failure> {
        let mut ssh = Command::new("ssh");
        ssh.args(["-G", "-F"]).arg(config).args(self.args(&[])).args(["--", &self.host]);
        options.withhold(&mut ssh);
        ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = ssh.spawn().map_err(|error| cannot_run("ssh", &error))?;
        let mut answer = String::new();
        let read = match child.stdout.take() {
            Some(stdout) => {
                Timed::new(stdout, Instant::now(), LIMIT).take(ANSWER_BYTES_MAX).read_to_string(&mut answer)
            }
            None => Ok(0),
        };
        // Nothing happens to one that has ended.
        let _ = child.kill();
        let _ = child.wait();
        let resolved = read.ok().and_then(|_| resolved(&answer));
        resolved.ok_or_else(|| {
            Failure::new(format!("ask ssh what it makes of {}", self.place()))
                .hint(format!("`ssh -G {}` says what is wrong with its configuration", self.host))
        })
    }
}

/// Reads what `ssh -G` says: a key and its value a line.
fn resolved(answer: &str) -> Option<Resolved> {
    let value = |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let known_as = match (value("hostkeyalias"), value("hostname")?, value("port")?) {
        (Some(alias), ..) => alias.to_owned(),
        (None, name, PORT_USUAL) => name.to_owned(),
        (None, name, port) => format!("[{name}]:{port}"),
    };
    let known_hosts = value("userknownhostsfile").unwrap_or_default().to_owned();
    let files = answer.lines().filter_map(|line| line.strip_prefix("identityfile "));
    Some(Resolved {
        user: value("user")?.to_owned(),
        known_as,
        known_hosts,
        identity_files: files.map(at_home).collect(),
        identities_only: value("identitiesonly") == Some("yes"),
    })
}

/// A path with the home directory for its `~`: the one that the account has, for `ssh` does not ask `HOME`.
fn at_home(path: &str) -> PathBuf {
    at_home_of(own_account().map(|account| account.home).as_deref(), path)
}

fn at_home_of(home: Option<&Path>, path: &str) -> PathBuf {
    let below = path.strip_prefix("~/").and_then(|rest| Some(home?.join(rest)));
    below.unwrap_or_else(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(host: &str) -> (Option<String>, String, Option<String>) {
        let Destination { user, host, port } = Destination::parse(host);
        (user, host, port)
    }

    #[test]
    fn a_host_is_taken_apart_as_the_config_writes_it() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parsed("web"), (None, "web".into(), None));
        assert_eq!(parsed("ada@web:2222"), (some("ada"), "web".into(), some("2222")));
        assert_eq!(parsed("[::1]"), (None, "::1".into(), None));
        assert_eq!(parsed("root@[fe80::1]:22"), (some("root"), "fe80::1".into(), some("22")));
    }

    #[test]
    fn what_the_host_names_goes_before_the_options() {
        let options = Options { user: Some("deploy".into()), port: Some(2222), ..Options::default() };
        let args = |host: &str, jump: &[String]| Destination::of(host, &options).args(jump).join(" ");
        assert_eq!(args("web", &[]), "-l deploy -p 2222");
        assert_eq!(args("ada@web:22", &["a".into(), "b@c:1".into()]), "-l ada -p 22 -J a,b@c:1");
        assert_eq!(Destination::of("[::1]", &options).place(), "[::1]:2222");
    }

    #[test]
    fn a_key_lies_in_the_home_that_the_account_has() {
        let home = Some(Path::new("/home/ada"));
        assert_eq!(at_home_of(home, "~/.ssh/id_rsa"), Path::new("/home/ada/.ssh/id_rsa"));
        assert_eq!(at_home_of(home, "/key"), Path::new("/key"));
        assert_eq!(at_home_of(None, "~/.ssh/id_rsa"), Path::new("~/.ssh/id_rsa"));
        let own = own_account().unwrap().home;
        assert_eq!(at_home("~/key"), own.join("key"), "whatever HOME says");
    }

    #[test]
    fn a_host_is_known_by_its_alias_else_by_name_and_unusual_port() {
        let known_as = |text: &str| resolved(text).map(|resolved| resolved.known_as);
        let usual = "user ada\nhostname web.example.org\nport 22\nuserknownhostsfile ~/.ssh/known_hosts /b\n\
                     identityfile /key\nidentitiesonly yes\n";
        assert_eq!(
            resolved(usual),
            Some(Resolved {
                user: "ada".into(),
                known_as: "web.example.org".into(),
                known_hosts: "~/.ssh/known_hosts /b".into(),
                identity_files: vec!["/key".into()],
                identities_only: true,
            })
        );
        assert_eq!(known_as("user ada\nhostname web\nport 2222\n").as_deref(), Some("[web]:2222"));
        assert_eq!(known_as("user ada\nhostname web\nport 2222\nhostkeyalias shop\n").as_deref(), Some("shop"));
        assert_eq!(known_as("ssh: bad option\n"), None);
    }
}
