//! The units that setup writes.

use super::ENV_EXEC;
use cutover_core::config::{CommandLine, HostConfig, SystemdScope};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// How every unit begins that setup wrote.
pub(super) const MARK: &str = "# Written by `cutover setup`";
/// What a service may do to the machine: next to nothing. Writing is allowed by `ReadWritePaths`.
const SYSTEM_BOUNDS: &str = "\
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
CapabilityBoundingSet=
UMask=0027
";
/// The same, as far as a user's own systemd can see to it: it may not mount anything.
const USER_BOUNDS: &str = "\
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
UMask=0027
";

/// A service's unit as the config describes it.
pub(super) struct ServiceUnit<'a> {
    /// What it is, for people.
    pub(super) title: &'a str,
    /// Who runs it.
    pub(super) user: &'a str,
    /// Whose systemd.
    pub(super) scope: SystemdScope,
    /// Its target.
    pub(super) config: &'a HostConfig,
    /// What it runs.
    pub(super) start: &'a CommandLine,
    /// How long starting and stopping may take.
    pub(super) timeout: Duration,
    /// Cutover, at a place where it stays: it reads the env file.
    pub(super) program: &'a Path,
}

impl ServiceUnit<'_> {
    /// The unit file.
    pub(super) fn text(&self) -> String {
        let current = self.config.deploy_to.join("current");
        let mut text = head(self.title, "deployed by Cutover", self.scope);
        // Before the first deployment there is nothing to run, and that is no failure. Only the link is asked for: who deploys
        // says where it leads, and would learn which of root's paths exist if systemd followed it.
        line(&mut text, "ConditionPathIsSymbolicLink", &word(&current));
        text += "\n[Service]\n";
        if self.scope == SystemdScope::System {
            line(&mut text, "User", self.user);
        }
        line(&mut text, "WorkingDirectory", &plain(&current));
        self.start(&mut text, &current);
        text += "Restart=on-failure\nRestartSec=1s\n";
        let seconds = self.timeout.as_secs().max(1);
        line(&mut text, "TimeoutStartSec", &format!("{seconds}s"));
        line(&mut text, "TimeoutStopSec", &format!("{seconds}s"));
        match self.scope {
            SystemdScope::System => {
                text += SYSTEM_BOUNDS;
                self.writable(&mut text);
            }
            SystemdScope::User => text += USER_BOUNDS,
        }
        text + &tail(self.scope)
    }

    /// What runs, with the variables of the env file: whoever runs it reads that, and not systemd. That would read it as root,
    /// at a path that leads through directories of who deploys, and so give them what they may not read.
    fn start(&self, text: &mut String, current: &Path) {
        let command = exec(self.start, current);
        let Some(env_file) = &self.config.env_file else { return line(text, "ExecStart", &command) };
        let (program, env_file) = (word(self.program), word(&current.join(env_file)).replace('$', "$$"));
        line(text, "ExecStart", &format!("{program} {} {env_file} -- {command}", ENV_EXEC.join(" ")));
        // Its lines in the journal would else have the name of Cutover.
        line(text, "SyslogIdentifier", &name(self.start));
    }

    /// What outlives releases is what a service may write; it need not be there before the first deployment.
    fn writable(&self, text: &mut String) {
        let shared = self.config.deploy_to.join("shared");
        for path in self.config.linked_dirs.iter().chain(&self.config.linked_files) {
            line(text, "ReadWritePaths", &format!("-{}", word(&shared.join(path))));
        }
    }
}

/// The unit that finishes or takes back, at boot, what a power cut left.
pub(super) struct RecoveryUnit<'a> {
    /// What it is about, for people.
    pub(super) title: &'a str,
    /// Who deploys.
    pub(super) user: &'a str,
    /// Whose systemd.
    pub(super) scope: SystemdScope,
    /// Cutover, at a place where it stays.
    pub(super) program: &'a Path,
    /// The places that it looks at.
    pub(super) deploy_to: Vec<&'a Path>,
    /// The units that it may restart.
    pub(super) units: Vec<&'a str>,
}

impl RecoveryUnit<'_> {
    /// The unit file.
    pub(super) fn text(&self) -> String {
        let mut text = head(self.title, "what a power cut left of a deployment", self.scope);
        // The services first come up as they lie there; what becomes of them is then seen as at any restart.
        line(&mut text, "After", &self.units.join(" "));
        text += "\n[Service]\nType=oneshot\n";
        if self.scope == SystemdScope::System {
            line(&mut text, "User", self.user);
        }
        let paths = self.deploy_to.iter().map(|path| word(path));
        let words: Vec<String> =
            [word(self.program), "agent".into(), "recover".into()].into_iter().chain(paths).collect();
        line(&mut text, "ExecStart", &words.join(" "));
        // Taken back, or nothing was begun that runs: both are what shall be. 4 is for a person to see.
        text += "SuccessExitStatus=1 3\n";
        // A service under Cutover's own supervisor that this starts must not end with it.
        text += "RemainAfterExit=yes\nKillMode=process\nTimeoutStartSec=infinity\n";
        text + &tail(self.scope)
    }
}

fn head(title: &str, what: &str, scope: SystemdScope) -> String {
    let mut text = format!(
        "{MARK}, which puts it back when it was changed. Your own settings go into a drop-in:\n\
         # `systemctl edit`.\n[Unit]\n"
    );
    line(&mut text, "Description", &format!("{}: {what}", title.replace('%', "%%")));
    if scope == SystemdScope::System {
        text += "Wants=network-online.target\nAfter=network-online.target\n";
    }
    text
}

/// The environment that a unit of setup's is for, in the words of people, as its description has it.
pub(super) fn titled(unit: &str) -> Option<String> {
    let description = unit.lines().find_map(|line| line.strip_prefix("Description="))?;
    let (title, _what) = description.rsplit_once(": ")?;
    // A service's has the target before it.
    let title = title.split_once(" of ").map_or(title, |(_target, title)| title);
    Some(title.replace("%%", "%"))
}

fn tail(scope: SystemdScope) -> String {
    format!("\n[Install]\nWantedBy={}\n", wanted_by(scope))
}

/// What starts a unit at boot.
pub(super) fn wanted_by(scope: SystemdScope) -> &'static str {
    match scope {
        SystemdScope::System => "multi-user.target",
        SystemdScope::User => "default.target",
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    if !value.is_empty() {
        let _infallible = writeln!(text, "{key}={value}");
    }
}

/// A command as `ExecStart` takes it: an absolute program, and no word with a meaning of its own.
fn exec(command: &CommandLine, current: &Path) -> String {
    let words: Vec<String> = match command {
        CommandLine::Shell(script) => ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        CommandLine::Argv(argv) if argv[0].starts_with('/') => argv.clone(),
        CommandLine::Argv(argv) if argv[0].contains('/') => {
            let program = current.join(&argv[0]).display().to_string();
            std::iter::once(program).chain(argv[1..].iter().cloned()).collect()
        }
        CommandLine::Argv(argv) => std::iter::once("/usr/bin/env".to_owned()).chain(argv.iter().cloned()).collect(),
    };
    words.iter().map(|text| quoted(text).replace('$', "$$")).collect::<Vec<_>>().join(" ")
}

/// The name of what a command runs, as far as it can stand in a unit as it is: a line's end in it would begin another setting.
fn name(command: &CommandLine) -> String {
    let name = match command {
        CommandLine::Shell(_) => "sh",
        CommandLine::Argv(argv) => argv[0].rsplit('/').next().unwrap_or_default(),
    };
    name.chars().filter(|c| c.is_alphanumeric() || "._-+@".contains(*c)).collect()
}

/// A path as a word of a unit file.
fn word(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A path as the whole of a value, which takes no quotes.
fn plain(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// A word in quotes where it needs some (systemd.syntax(7)).
fn quoted(text: &str) -> String {
    let text = text.replace('%', "%%");
    let is_bare = |c: char| c.is_alphanumeric() || "/._-+=:@,%$".contains(c);
    if !text.is_empty() && text.chars().all(is_bare) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_means_in_a_unit_what_it_means_in_the_config() {
        let current = Path::new("/opt/shop/current");
        let argv =
            |words: &[&str]| exec(&CommandLine::Argv(words.iter().map(|word| (*word).to_owned()).collect()), current);
        assert_eq!(argv(&[".venv/bin/python", "-m", "shop"]), "/opt/shop/current/.venv/bin/python -m shop");
        assert_eq!(argv(&["/bin/serve", "100%", "$HOME", "a b\"c"]), "/bin/serve 100%% $$HOME \"a b\\\"c\"");
        assert_eq!(argv(&["uvicorn", ""]), "/usr/bin/env uvicorn \"\"");
        let shell = exec(&CommandLine::Shell("exec ./serve --port $PORT".into()), current);
        assert_eq!(shell, "/bin/sh -c \"exec ./serve --port $$PORT\"");
    }

    #[test]
    fn a_programs_name_begins_no_setting_of_its_own() {
        let of = |program: &str| name(&CommandLine::Argv(vec![program.to_owned()]));
        assert_eq!(of("bin/serve-2.1_x"), "serve-2.1_x");
        assert_eq!(of("./x\nUser=root\\"), "xUserroot");
        assert_eq!(name(&CommandLine::Shell("x\ny".into())), "sh");
    }
}
