//! The little of Cutover's own environment that commands inherit: hooks, builds, installs and services alike.

use std::ffi::{OsStr, OsString};

/// Where programs are looked for when Cutover itself was started without `PATH`.
pub const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Names that are passed on.
const NAMES: [&str; 28] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TMPDIR",
    "TZ",
    "TERM",
    "CI",
    "XDG_RUNTIME_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// Beginnings of names that are passed on: locale, and the settings of Python's installers.
const PREFIXES: [&str; 3] = ["LC_", "PIP_", "UV_"];

/// The variables that every command starts with.
///
/// Everything else is left out, so that a command behaves the same from a laptop, a runner and a
/// service, and never sees credentials that were meant for Cutover.
pub fn base_environment() -> Vec<(OsString, OsString)> {
    let mut kept: Vec<_> = std::env::vars_os().filter(|(name, _)| is_passed_on(name)).collect();
    if !kept.iter().any(|(name, _)| name == "PATH") {
        kept.push(("PATH".into(), PATH_DEFAULT.into()));
    }
    kept
}

fn is_passed_on(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_variables_are_passed_on() {
        for name in ["PATH", "LC_ALL", "PIP_INDEX_URL", "UV_CACHE_DIR", "https_proxy", "all_proxy", "CARGO_HOME"] {
            assert!(is_passed_on(OsStr::new(name)), "{name}");
        }
        for name in ["APP_TOKEN", "LD_PRELOAD", "PYTHONPATH", "PATHS", "GITHUB_TOKEN", "CARGO_REGISTRY_TOKEN"] {
            assert!(!is_passed_on(OsStr::new(name)), "{name}");
        }
    }
}
