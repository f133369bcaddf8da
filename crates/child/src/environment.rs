//! The little of Cutover's own environment that commands inherit.

use cutover_core::secret::{
    ARTIFACTS_TOKEN_VARIABLE, GITHUB_TOKEN_VARIABLE, SIGNING_KEY_VARIABLE, SSH_KEY_VARIABLE, Secret,
};
use std::ffi::{OsStr, OsString};
use std::process::Command;

/// Where programs are looked for when Cutover itself was started without `PATH`.
pub const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Names that everything inherits: who runs it, where, and in which language.
const NAMES: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TMPDIR",
    "TZ",
    "XDG_RUNTIME_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
/// The locale's names begin like this.
const LOCALE_PREFIX: &str = "LC_";

/// Names that tools inherit besides.
const TOOL_NAMES: [&str; 12] = [
    "TERM",
    "CI",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];
/// The settings of Python's installers begin like this.
const TOOL_PREFIXES: [&str; 2] = ["PIP_", "UV_"];
/// Ends of names whose whole value is a credential: `UV_PUBLISH_TOKEN`, `UV_INDEX_INTERNAL_PASSWORD`.
const CREDENTIAL_SUFFIXES: [&str; 2] = ["_TOKEN", "_PASSWORD"];

/// Keeps what is for Cutover alone from a program that otherwise has all of the caller's environment: its keys and its tokens.
pub fn withhold_own(command: &mut Command) -> &mut Command {
    for name in [SSH_KEY_VARIABLE, SIGNING_KEY_VARIABLE, GITHUB_TOKEN_VARIABLE, ARTIFACTS_TOKEN_VARIABLE] {
        command.env_remove(name);
    }
    command
}

/// What a command inherits of Cutover's own environment. Everything else is left out, so that a command behaves the same
/// from a laptop, a runner and a service, and never sees credentials that were meant for Cutover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherited {
    /// For builds, installs and hooks: with the caller's proxies and the settings of installers, credentials included.
    Tools,
    /// For services and what starts them, which outlive the caller: nothing that may hold a credential.
    Services,
}

impl Inherited {
    /// The variables. `PATH` is always among them.
    pub fn variables(self) -> Vec<(OsString, OsString)> {
        let mut kept: Vec<_> = std::env::vars_os().filter(|(name, _)| self.has(name)).collect();
        if !kept.iter().any(|(name, _)| name == "PATH") {
            kept.push(("PATH".into(), PATH_DEFAULT.into()));
        }
        kept
    }

    fn has(self, name: &OsStr) -> bool {
        let Some(name) = name.to_str() else { return false };
        let is_common = NAMES.contains(&name) || name.starts_with(LOCALE_PREFIX);
        is_common || self == Self::Tools && is_for_tools(name)
    }

    /// The credentials among these variables: they may be used, and shall not be shown.
    pub(crate) fn credentials(self) -> Vec<Secret> {
        let texts = self
            .variables()
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        texts.flat_map(|(name, value)| credentials_of(&name, &value)).collect()
    }
}

fn is_for_tools(name: &str) -> bool {
    TOOL_NAMES.contains(&name) || TOOL_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn credentials_of(name: &str, value: &str) -> Vec<Secret> {
    if is_for_tools(name) && CREDENTIAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        return vec![Secret::new(value)];
    }
    // One variable may name several addresses (PIP_EXTRA_INDEX_URL).
    value.split_whitespace().filter_map(password).map(Secret::new).collect()
}

/// The password in `scheme://user:password@host/path`.
fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    // The last one: people forget to encode one that is in the password.
    let (user_and_password, _) = authority.rsplit_once('@')?;
    user_and_password.split_once(':').map(|(_, password)| password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(inherited: Inherited, name: &str) -> bool {
        inherited.has(OsStr::new(name))
    }

    #[test]
    fn what_is_for_cutover_alone_is_withheld() {
        let mut command = Command::new("true");
        withhold_own(&mut command);
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert_eq!(removed, ["CUTOVER_ARTIFACTS_TOKEN", "CUTOVER_SIGNING_KEY", "CUTOVER_SSH_KEY", "GITHUB_TOKEN"]);
    }

    #[test]
    fn only_named_variables_are_passed_on() {
        for name in ["PATH", "LC_ALL", "PIP_INDEX_URL", "UV_CACHE_DIR", "https_proxy", "all_proxy", "CARGO_HOME"] {
            assert!(has(Inherited::Tools, name), "{name}");
        }
        for name in ["APP_TOKEN", "LD_PRELOAD", "PYTHONPATH", "PATHS", "GITHUB_TOKEN", "CARGO_REGISTRY_TOKEN"] {
            assert!(!has(Inherited::Tools, name), "{name}");
        }
    }

    #[test]
    fn services_inherit_nothing_that_may_hold_a_credential() {
        for name in ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"] {
            assert!(has(Inherited::Services, name), "{name}");
        }
        for name in ["PIP_INDEX_URL", "UV_PUBLISH_TOKEN", "HTTPS_PROXY", "http_proxy", "CARGO_HOME", "CI"] {
            assert!(!has(Inherited::Services, name), "{name}");
        }
    }

    #[test]
    fn a_credential_is_found_in_an_address_and_by_its_name() {
        let found = |name: &str, value: &str| -> Vec<String> {
            credentials_of(name, value).iter().map(|secret| secret.expose().to_owned()).collect()
        };
        assert_eq!(found("HTTPS_PROXY", "http://ann:geheim@proxy:3128"), ["geheim"]);
        assert_eq!(found("PIP_EXTRA_INDEX_URL", "https://a/simple https://u:p@ss@b/simple?x=@"), ["p@ss"]);
        assert_eq!(found("UV_PUBLISH_TOKEN", "pypi-1"), ["pypi-1"]);
        assert_eq!(found("PIP_INDEX_URL", "https://ann@host/a:b@c"), Vec::<String>::new());
    }
}
