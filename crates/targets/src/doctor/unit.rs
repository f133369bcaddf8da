//! Whether a unit and its sudo rule are what the config takes them for.

use super::Finding;
use super::ask::{ask, show};
use crate::service::sudo_commands;
use crate::setup::{Author, ENV_EXEC, Outdated};
use cutover_core::config::{HostConfig, ServiceConfig, SystemdScope};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is asked for.
const PROPERTIES: &str = "LoadState,UnitFileState,WorkingDirectory,EnvironmentFiles,ExecStart,NoNewPrivileges,ProtectSystem,NeedDaemonReload";
/// What to do about a unit of the user's own.
const OWN: &str = "say what it runs in `service.start`, and `cutover setup ENV` writes it; or put it right by hand";
/// What to do about one that setup writes.
const SETUP: &str = "`cutover setup ENV` writes it anew; where that does not help, a drop-in of yours says otherwise, and \
                     `systemctl cat` shows it";

pub(super) fn examine(
    config: &HostConfig,
    unit: &str,
    scope: SystemdScope,
    outdated: Option<&Outdated>,
) -> Vec<Finding> {
    let shown = show(unit, scope, PROPERTIES);
    if shown.get("LoadState").map(String::as_str) != Some("loaded") {
        // That it is not there is told already.
        return Vec::new();
    }
    let mut findings = judged(outdated, || judge(config, unit, scope, &shown));
    let needs_sudo = scope == SystemdScope::System && !rustix::process::geteuid().is_root();
    findings.extend(needs_sudo.then(|| sudo(unit, &ask(&["sudo", "-n", "-l"]).unwrap_or_default())));
    findings
}

/// Setup would write it otherwise now, or somebody else wrote it.
pub(super) fn outdated(outdated: &Outdated) -> Finding {
    let what = format!("{} is not what cutover.toml asks for now, and deployments change no units", outdated.unit);
    let more = if outdated.author == Author::Own { "; with --dry-run it shows what differs" } else { "" };
    Finding::warning("unit", what, outdated.advice() + more)
}

/// What there is to say of a unit besides. How another's unit differs is theirs.
fn judged(found: Option<&Outdated>, judge: impl FnOnce() -> Vec<Finding>) -> Vec<Finding> {
    let Some(found) = found else { return judge() };
    let is_own = found.author == Author::Own;
    let differs = is_own.then(judge).unwrap_or_default().into_iter().filter(|finding| finding.fix.is_some());
    std::iter::once(outdated(found)).chain(differs).collect()
}

fn judge(config: &HostConfig, unit: &str, scope: SystemdScope, shown: &BTreeMap<String, String>) -> Vec<Finding> {
    let text = |name: &str| shown.get(name).map_or("", String::as_str);
    let mut findings = Vec::new();
    let current = config.deploy_to.join("current");
    let works_in = text("WorkingDirectory").trim_start_matches('!');
    if !Path::new(works_in).starts_with(&current) {
        let what = format!("{unit} works in {works_in:?}, not in {}", current.display());
        findings.push(Finding::warning("unit", what, format!("WorkingDirectory={}", current.display())));
    }
    findings.extend(env_file(config, (unit, scope), text("EnvironmentFiles"), text("ExecStart")));
    if text("UnitFileState") != "enabled" {
        let fix = if scope == SystemdScope::User { "systemctl --user enable" } else { "sudo systemctl enable" };
        findings.push(Finding::warning("unit", format!("{unit} does not start at boot"), format!("`{fix} {unit}`")));
    }
    if text("NeedDaemonReload") == "yes" {
        let what = format!("the file of {unit} was changed, and systemd has not read it since");
        findings.push(Finding::warning("unit", what, "`sudo systemctl daemon-reload`"));
    }
    let is_open = text("ProtectSystem") == "no" && scope == SystemdScope::System;
    if text("NoNewPrivileges") != "yes" || is_open {
        findings.push(Finding::warning("unit", format!("{unit} may do more than it needs to"), writer(config)));
    }
    if findings.is_empty() {
        findings.push(Finding::fine("unit", format!("{unit} is hardened, starts at boot, and agrees with the config")));
    }
    findings
}

fn env_file(config: &HostConfig, unit: (&str, SystemdScope), files: &str, start: &str) -> Option<Finding> {
    let env_file = config.env_file.as_ref()?;
    let (linked, shared) =
        (config.deploy_to.join("current").join(env_file), config.deploy_to.join("shared").join(env_file));
    let is_read = |path: &Path| files.contains(&*path.to_string_lossy()) || is_read_by_us(path, start);
    if is_read(&linked) || is_read(&shared) {
        return None;
    }
    let fix = match unit.1 {
        SystemdScope::System | SystemdScope::User if is_written(config) => SETUP.to_owned(),
        // Root would read it, at a path that who deploys can turn to any other file.
        SystemdScope::System => format!("{OWN} (docs/setup.md, \"A unit of your own\")"),
        SystemdScope::User => format!("EnvironmentFile=-{}", linked.display()),
    };
    let what = format!("{} does not read the env file, so its service sees no variables and no secrets", unit.0);
    Some(Finding::warning("unit", what, fix))
}

/// Whether setup writes the unit.
fn is_written(config: &HostConfig) -> bool {
    matches!(config.service, Some(ServiceConfig::Systemd { start: Some(_), .. }))
}

/// Who can put a unit right, and how.
fn writer(config: &HostConfig) -> &'static str {
    if is_written(config) { SETUP } else { OWN }
}

/// Whether a unit runs its service through Cutover, as those do that setup writes. Some versions of systemd show quotes.
fn is_read_by_us(env_file: &Path, start: &str) -> bool {
    let (words, env_file) = (ENV_EXEC.join(" "), env_file.display());
    [format!(" {words} {env_file} -- "), format!(" {words} \"{env_file}\" -- ")].iter().any(|way| start.contains(way))
}

/// More than is needed is a way to root for whoever gets hold of the key.
fn sudo(unit: &str, listed: &str) -> Finding {
    let needed: BTreeSet<String> = sudo_commands([unit]).collect();
    let is_rule = |line: &&str| line.trim_start().starts_with('(');
    let rules = listed.lines().filter(is_rule).filter_map(|line| line.split_once(')')).map(|(_, commands)| commands);
    let allowed = rules
        .flat_map(|commands| commands.split(','))
        .map(|command| command.replace("NOPASSWD:", "").trim().to_owned());
    let more: Vec<String> =
        allowed.filter(|command| !command.is_empty() && !needed.contains(command) && !is_ours(command)).collect();
    if more.is_empty() {
        return Finding::fine("sudo", "allows what deployments do, and nothing else");
    }
    let what = format!("allows more than deployments need: {}", more.join(", "));
    Finding::warning("sudo", what, "take that out of sudoers (visudo); `cutover setup ENV` writes just what is needed")
}

/// Units of other targets have rules of the same kind.
fn is_ours(command: &str) -> bool {
    let unit = command.rsplit(' ').next().unwrap_or_default();
    sudo_commands([unit]).any(|known| known == command)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use cutover_core::config::{Config, TargetConfig};

    fn config(start: &str) -> HostConfig {
        let service = format!("service = {{ unit = \"shop.service\"{start} }}\n");
        let text =
            format!("name = \"shop\"\n[targets.app.host]\ndeploy_to = \"/opt/shop\"\nenv_file = \".env\"\n{service}");
        let TargetConfig::Host(host) = Config::parse(&text).unwrap().targets.into_values().next().unwrap();
        host
    }

    const SOUND: [(&str, &str); 6] = [
        ("WorkingDirectory", "/opt/shop/current"),
        ("EnvironmentFiles", "/opt/shop/shared/.env (ignore_errors=yes)"),
        ("UnitFileState", "enabled"),
        ("NeedDaemonReload", "no"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
    ];

    fn findings(config: &HostConfig, change: &[(&str, &str)]) -> Vec<Finding> {
        let shown = SOUND.iter().chain(change).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        judge(config, "shop.service", SystemdScope::System, &shown)
    }

    fn told(change: &[(&str, &str)]) -> Vec<(Verdict, String)> {
        findings(&config(""), change).into_iter().map(|finding| (finding.verdict, finding.what)).collect()
    }

    #[test]
    fn each_thing_that_is_not_as_the_config_says_is_told_with_a_fix() {
        assert_eq!(told(&[])[0].0, Verdict::Fine);
        for (name, value, what) in [
            ("WorkingDirectory", "!/opt/other/current", "works in \"/opt/other/current\""),
            ("EnvironmentFiles", "", "does not read the env file"),
            ("UnitFileState", "disabled", "does not start at boot"),
            ("NeedDaemonReload", "yes", "has not read it since"),
            ("NoNewPrivileges", "no", "more than it needs"),
            ("ProtectSystem", "no", "more than it needs"),
        ] {
            let found = told(&[(name, value)]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].0 == Verdict::Warning && found[0].1.contains(what), "{found:?}");
        }
    }

    #[test]
    fn who_puts_a_unit_right_depends_on_who_writes_it() {
        for change in [("EnvironmentFiles", ""), ("NoNewPrivileges", "no")] {
            let fix = |start: &str| findings(&config(start), &[change])[0].fix.clone().unwrap();
            assert!(fix("").starts_with("say what it runs in `service.start`"), "{}", fix(""));
            let written = fix(", start = \"./serve\"");
            assert!(written.starts_with("`cutover setup ENV` writes it anew"), "{written}");
        }
    }

    #[test]
    fn of_a_unit_that_setup_would_not_write_only_that_is_said() {
        let told = |author: Author| {
            let outdated = Outdated { unit: "shop.service".to_owned(), hides_variables: true, author };
            judged(Some(&outdated), || findings(&config(", start = \"./serve\""), &[("EnvironmentFiles", "")]))
        };
        assert_eq!(told(Author::Own).len(), 2);
        for author in [Author::Other("hello (production)".to_owned()), Author::Nobody] {
            let found = told(author);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(!found[0].fix.as_deref().unwrap().contains("cutover setup"), "{found:?}");
        }
    }

    #[test]
    fn a_unit_that_starts_its_service_through_cutover_reads_the_env_file_when_it_is_the_right_one() {
        let found = |env_file: &str| {
            let argv =
                format!("/usr/local/lib/cutover/shop-production/cutover agent exec --env-file {env_file} -- /bin/x");
            let start = format!("{{ path=/usr/local/lib/cutover/shop-production/cutover ; argv[]={argv} ; pid=0 }}");
            told(&[("EnvironmentFiles", ""), ("ExecStart", &start)])
        };
        for right in ["/opt/shop/current/.env", "\"/opt/shop/current/.env\"", "/opt/shop/shared/.env"] {
            assert_eq!(found(right)[0].0, Verdict::Fine, "{right}");
        }
        for wrong in ["/opt/till/current/.env", "/opt/shop/current/.env.old"] {
            assert!(found(wrong)[0].1.contains("does not read the env file"), "{wrong}");
        }
    }

    #[test]
    fn whatever_sudo_allows_besides_is_named() {
        let rule =
            "    (root) NOPASSWD: /usr/bin/systemctl restart shop.service, /usr/bin/systemctl stop shop.service,\n";
        let found = |more: &str| {
            sudo("shop.service", &format!("User deploy may run the following commands on web:\n{rule}{more}"))
        };
        assert_eq!(found("").verdict, Verdict::Fine);
        assert_eq!(found("    (root) NOPASSWD: /usr/bin/systemctl restart worker.service\n").verdict, Verdict::Fine);
        let all = found("    (ALL : ALL) ALL\n");
        assert!(all.verdict == Verdict::Warning && all.what.contains("need: ALL"), "{all:?}");
        assert_eq!(found("    (root) NOPASSWD: /usr/bin/systemctl *\n").verdict, Verdict::Warning);
    }
}
