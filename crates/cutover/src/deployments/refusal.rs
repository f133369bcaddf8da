//! What to do about a host that was not trusted, or that let nobody in.

use crate::error::CommandError;
use cutover_targets::remote::destination::{Destination, Resolved};
use cutover_targets::remote::host_key::{Confirmed, TRY_SSH, confirmed, is_changed, resolve, unanswered};
use cutover_targets::remote::ssh::{Identity, Options};
use std::path::Path;

/// Who was to be let in: in whose name, and how.
pub(super) struct Caller {
    /// The host as it was named.
    pub(super) name: String,
    /// How it was to be reached, without a key that is in memory only.
    options: Options,
    /// Whether there was such a key.
    brings_key: bool,
    /// Whether it is to be prepared, so that whoever logs in is an administrator.
    pub(super) prepares: bool,
}

/// Adds to an error what can be done about what `ssh` said.
pub(super) fn advise(told: CommandError, said: &str, caller: &Caller) -> CommandError {
    if is_changed(said) {
        let place = Destination::parse(&caller.name).place();
        changed(&place, confirmed(said).as_ref()).into_iter().fold(told, CommandError::hint)
    } else if said.contains("Host key verification failed") {
        told.hint(
            "`cutover setup ENV` shows its key, and pins it once you have compared it: Cutover accepts no key by itself",
        )
    } else if said.contains("Permission denied") {
        caller.refused(said).into_iter().fold(told, CommandError::hint)
    } else if said.contains("Could not resolve hostname") {
        told.hint("nobody knows a machine of this name: see that `hosts` of the environment spells it as DNS or your ssh configuration does")
    } else {
        told.hint(unanswered(said).unwrap_or_else(|| TRY_SSH.to_owned()))
    }
}

/// What to do about a host that shows another key than the one that was confirmed.
pub(crate) fn changed(place: &str, stands: Option<&Confirmed>) -> [String; 2] {
    let verify = "somebody may be in between, so no key of yours is shown to it: see on the host's own console what \
                  `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says, or ask its owner whether it was installed anew";
    let remove = match stands {
        Some(Confirmed::Pinned) => {
            format!("the entry of {place} out of [ssh.host_keys] in cutover.toml, where the old one is pinned")
        }
        Some(Confirmed::In { file, line }) => format!("line {line} out of {file}, where the old one stands"),
        None => format!("the old one of {place} out of [ssh.host_keys] in cutover.toml, or out of known_hosts"),
    };
    [
        verify.to_owned(),
        format!(
            "only when you know the new key to be right: take {remove}; then `cutover setup ENV` shows the new one and asks"
        ),
    ]
}

impl Caller {
    /// Whoever goes to a host with these options.
    pub(super) fn new(name: &str, options: &Options) -> Self {
        let brings_key = matches!(options.identity, Some(Identity::Key(_)));
        let identity = options.identity.clone().filter(|_| !brings_key);
        Self { name: name.to_owned(), options: Options { identity, ..options.clone() }, brings_key, prepares: false }
    }

    fn refused(&self, said: &str) -> Vec<String> {
        let resolved = resolve(&self.name, &self.options).ok();
        let user = resolved.as_ref().map_or_else(|| "your user".to_owned(), |resolved| resolved.user.clone());
        let host = Destination::parse(&self.name).place();
        let keys = self.keys(resolved.as_ref());
        // Others on the way can refuse, too; `ssh` says who did.
        let who = said.lines().find(|line| line.contains("Permission denied")).unwrap_or_default().trim();
        let jump = if self.options.jump.is_empty() { String::new() } else { format!(" (it was: {who})") };
        let tried = keys.as_deref().unwrap_or("no key: none of the files that ssh looks for is there");
        let login = format!("{user} was tried, with {tried}{jump}");
        if keys.is_none() {
            let name = "name the key that logs in: identity = \"~/.ssh/KEY\" in [ssh], or give it to your ssh-agent";
            return vec![login, name.to_owned()];
        }
        // An administrator prepares the host, and does not deploy there.
        let role = if self.prepares { "may log in there" } else { "is who deploys there" };
        let check = format!(
            "see that {user} {role}, and that their ~/.ssh/authorized_keys on {host} has the public half of that key; \
             `{} -v {user}@{}` tells more",
            self.ssh(),
            Destination::parse(&self.name).host
        );
        let last = if self.prepares {
            "setup needs somebody who can log in already: root, or --as USER who may use sudo"
        } else {
            "who can log in there as root or with sudo (--as): `cutover setup ENV` lets your key in"
        };
        vec![login, check, last.to_owned()]
    }

    /// `ssh` as it goes the same way.
    fn ssh(&self) -> String {
        let config = self.options.config_file.iter().map(|file| format!(" -F {}", quoted(file)));
        let key = match &self.options.identity {
            Some(Identity::File(file)) => Some(format!(" -i {}", quoted(file))),
            Some(Identity::Key(_)) | None => None,
        };
        let jump = (!self.options.jump.is_empty()).then(|| format!(" -J {}", self.options.jump.join(",")));
        let port = Destination::of(&self.name, &self.options).port.map(|port| format!(" -p {port}"));
        "ssh".to_owned() + &config.chain(key).chain(jump).chain(port).collect::<String>()
    }

    /// The keys that `ssh` tries; None where there is none.
    fn keys(&self, resolved: Option<&Resolved>) -> Option<String> {
        match (&self.options.identity, resolved) {
            _ if self.brings_key => Some("the key in CUTOVER_SSH_KEY".to_owned()),
            (Some(Identity::File(file)), _) => Some(shown(file)),
            (None, Some(resolved)) => found(resolved, std::env::var_os("SSH_AUTH_SOCK").is_some()),
            (Some(Identity::Key(_)) | None, _) => Some("the keys that your ssh finds".to_owned()),
        }
    }
}

/// The files that are there, and what an agent may have.
fn found(resolved: &Resolved, has_agent: bool) -> Option<String> {
    let there = resolved.identity_files.iter().filter(|file| file.is_file()).map(|file| shown(file));
    let agent = (has_agent && !resolved.identities_only).then(|| "the keys of your ssh-agent".to_owned());
    let all: Vec<String> = there.chain(agent).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// A path as a shell takes it.
fn quoted(file: &Path) -> String {
    let text = file.display().to_string();
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-~+".contains(c));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn shown(file: &Path) -> String {
    format!("the key {}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use cutover_core::secret::Secret;

    fn hints(said: &str, caller: &Caller) -> String {
        advise(CommandError::new(ErrorKind::Unreachable, "x"), said, caller).advice().replace("; ", "\n")
    }

    fn caller(options: &Options, prepares: bool) -> Caller {
        Caller { prepares, ..Caller::new("deploy@web.example.org", options) }
    }

    #[test]
    fn a_changed_key_is_told_with_how_to_verify_it_and_what_to_remove() {
        let said = |file: &str| {
            format!(
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nOffending ED25519 key in {file}:3\nHost key verification failed."
            )
        };
        let known = hints(&said("/home/ada/.ssh/known_hosts"), &caller(&Options::default(), false));
        assert!(known.contains("take line 3 out of /home/ada/.ssh/known_hosts"), "{known}");
        assert!(known.starts_with("somebody may be in between") && known.contains("ssh-keygen -lf"), "{known}");
        let pinned = hints(&said("/dev/shm/cutover-way-x/known_hosts"), &caller(&Options::default(), false));
        assert!(
            pinned.contains("take the entry of web.example.org out of [ssh.host_keys] in cutover.toml"),
            "{pinned}"
        );
    }

    #[test]
    fn a_refused_login_is_told_with_who_and_which_keys_were_tried() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = Options { identity: Some(Identity::File(file.path().to_owned())), ..Options::default() };
        let said = "deploy@web.example.org: Permission denied (publickey).";
        let told = hints(said, &caller(&options, false));
        assert!(told.starts_with(&format!("deploy was tried, with the key {}\n", file.path().display())), "{told}");
        assert!(told.contains("~/.ssh/authorized_keys on web.example.org"), "{told}");
        let by_hand = format!("`ssh -i {} -v deploy@web.example.org`", file.path().display());
        assert!(told.contains(&by_hand), "it goes the same way: {told}");
        let config = tempfile::Builder::new().prefix("my ssh").tempfile().unwrap();
        let config_file = Some(config.path().to_owned());
        let told = hints(said, &caller(&Options { config_file, port: Some(2222), ..options.clone() }, false));
        let (config, key) = (config.path().display(), file.path().display());
        assert!(told.contains(&format!("`ssh -F '{config}' -i {key} -p 2222 -v deploy@web.example.org`")), "{told}");
        assert!(told.contains("`cutover setup ENV` lets your key in"), "{told}");
        let secret = Options { identity: Some(Identity::Key(Secret::new("made-up"))), ..Options::default() };
        assert!(
            hints(said, &caller(&secret, false)).starts_with("deploy was tried, with the key in CUTOVER_SSH_KEY\n")
        );
        let preparing = hints(said, &caller(&options, true));
        assert!(!preparing.contains("cutover setup ENV") && preparing.contains("--as USER"), "{preparing}");
        assert!(
            preparing.contains("see that deploy may log in there") && !preparing.contains("deploys"),
            "{preparing}"
        );
    }

    #[test]
    fn only_keys_that_are_there_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = vec![file.path().to_owned(), "/nonexistent/id_rsa".into()];
        let resolved = Resolved { identity_files: files, ..Resolved::default() };
        let both = format!("the key {}, the keys of your ssh-agent", file.path().display());
        assert_eq!(found(&resolved, true), Some(both));
        let only = Resolved { identities_only: true, ..Resolved::default() };
        assert_eq!(found(&only, true), None);
    }
}
