//! A commented `cutover.toml` from what was found.

use super::Findings;
use super::stack::Language;
use super::text::one_line;
use cutover_core::config::{CommandLine, SystemdScope};
use std::collections::BTreeMap;

/// Writes a commented `cutover.toml`. It is sound whatever was found; what was not found stands in
/// it as comments.
pub(crate) fn render(findings: &Findings) -> String {
    let sections = [
        head(findings),
        artifact(findings),
        checks(findings),
        host(findings),
        python(findings),
        run(findings),
        service(findings),
        verify(findings),
        production(findings),
        staging(findings),
    ];
    sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A TOML string.
fn quote(text: &str) -> String {
    // JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn list<T: AsRef<str>>(texts: &[T]) -> String {
    format!("[{}]", texts.iter().map(|text| quote(text.as_ref())).collect::<Vec<_>>().join(", "))
}

fn command(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(line) => quote(line),
        CommandLine::Argv(words) => list(words),
    }
}

/// A table's header under the target, which has the project's name; `inspect` leaves no dots in it.
fn table(findings: &Findings, path: &str) -> String {
    format!("[targets.{}.host{path}]", findings.name)
}

fn head(findings: &Findings) -> String {
    let mut text = "# How this project is deployed. Written by `cutover init`; yours to change.\n#\n".to_owned();
    match findings.evidence() {
        found if found.is_empty() => {
            text.push_str("# Nothing was recognised here: the lines to fill in are comments below.\n")
        }
        found => text.push_str(&format!("# Found: {}.\n", found.join("; "))),
    }
    if let Some(workflow) = &findings.deploying_workflow {
        text.push_str(&format!("# {} seems to deploy already: let only one of the two do it.\n", one_line(workflow)));
    }
    text.push_str("#\n# Next: `cutover plan production` shows what would happen and changes nothing,\n");
    text.push_str("# `cutover deploy production` does it, `cutover rollback production` takes it back.\n");
    format!("{text}name = {}\n", quote(findings.name.as_str()))
}

fn artifact(findings: &Findings) -> String {
    let stack = &findings.stack;
    let mut text = "[artifact]\n".to_owned();
    if let Some((build, why)) = &stack.build {
        text.push_str(&format!("# {why}\nbuild = {}\n", quote(build)));
    }
    text.push_str("# What hosts get. Only committed files are taken, and what `build` makes.\n");
    text.push_str(&format!("include = {}\n", list(&stack.include)));
    let exclude: Vec<&String> = stack.exclude.iter().chain(&findings.left_out).collect();
    // Nothing need be left out of a list of single files.
    if stack.include == ["**"] && !exclude.is_empty() {
        text.push_str(&format!("exclude = {}\n", list(&exclude)));
    }
    if stack.build.is_none() {
        text.push_str("# A command that runs in a clean checkout before packing:\n# build = \"make\"\n");
    }
    text
}

fn checks(findings: &Findings) -> String {
    let Some(check) = &findings.check else {
        return "# What judges a change (`cutover check`), and what an environment may require:\n# [checks.tests]\n\
                # run = \"make test\"\n"
            .to_owned();
    };
    let mut text =
        "[checks.tests]\n# `cutover check` runs this; `cutover workflows` has a CI run it on every push.\n".to_owned();
    if let Some(needs) = &check.needs {
        text.push_str(&format!("# {needs}\n"));
    }
    text.push_str(&format!("run = {}\n", quote(&check.run)));
    if let Some(junit) = check.junit {
        text.push_str("# A report without a single test is a failure. It need not be committed or ignored.\n");
        text.push_str(&format!("reports = {{ junit = {} }}\n", quote(junit)));
    }
    text
}

fn host(findings: &Findings) -> String {
    let directory = findings.unit.as_ref().and_then(|unit| unit.directory.as_ref());
    let default = format!("/opt/{}", findings.name);
    let deploy_to = directory.map_or(&default, |(releases, _)| releases);
    let mut text = format!("{}\n", table(findings, ""));
    text.push_str("# Holds releases/, current and shared/. The deploying user must be able to write here.\n");
    text.push_str(&format!("deploy_to = {}\nkeep_releases = 3\n", quote(deploy_to)));
    if findings.written.is_empty() {
        text.push_str("# Directories and files that outlive releases; they lie in shared/:\n");
        text.push_str("# linked_dirs = [\"data\"]\n# linked_files = [\"settings.local.json\"]\n");
    } else {
        text.push_str(
            "# Directories that outlive releases; they lie in shared/. Ignored by git, so the service writes there.\n",
        );
        text.push_str(&format!("linked_dirs = {}\n", list(&findings.written)));
    }
    text.push_str("# Written from the environment's variables and secrets, mode 0600; the old one is kept.\n");
    text.push_str("env_file = \".env\"\n");
    text
}

fn python(findings: &Findings) -> String {
    let stack = &findings.stack;
    if stack.language != Language::Python {
        return String::new();
    }
    let mut text = format!("{}\n", table(findings, ".python"));
    match &stack.requirements {
        Some(file) => {
            text.push_str("# The virtual environment of a release, `.venv`; built anew only when this file changes.\n");
            text.push_str(&format!("requirements = {}\n", quote(file)));
        }
        None => text.push_str(
            "# No requirements file was found: nothing is installed.\n# requirements = \"requirements.txt\"\n",
        ),
    }
    if let (Some(wheels), Some(_)) = (&stack.wheels, &stack.requirements) {
        text.push_str("# Shipped wheels: the install is offline, so every requirement must lie here.\n");
        text.push_str(&format!("wheels = {}\n", quote(wheels)));
    }
    text.push_str("# Imported with the release's own interpreter before anything live is touched.\n");
    if stack.smoke.is_empty() {
        text.push_str("# smoke = [\"app\"]\n");
    } else {
        text.push_str(&format!("smoke = {}\n", list(&stack.smoke)));
    }
    text
}

/// What becomes of a migration when a release is taken back.
const MIGRATION: [&str; 5] = [
    "Just before the switch. When the deployment fails after it, all is taken back but the database: it ends `stuck`,",
    "and a person must see to that. Unless you say what takes it back (`down = …`, run in the new release before the",
    "old one is brought back), or that the old release works with the new schema too (`compatible = true`).",
    "`cutover rollback`, by hand and later, runs neither: it goes back to the old files and variables and leaves the",
    "database as it is.",
];

fn run(findings: &Findings) -> String {
    let stack = &findings.stack;
    let mut text = String::new();
    if let Some(install) = &stack.install {
        text.push_str(&format!("# In the new release, before the switch.\ninstall = {}\n", quote(install)));
    }
    if let Some(migrate) = &stack.migrate {
        for line in MIGRATION {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("migrate = {{ up = {} }}\n", command(migrate)));
    }
    if text.is_empty() {
        let header = table(findings, ".run");
        return format!(
            "# Commands of your own, run in the new release before the switch:\n# {header}\n# install = \"make install\"\n# migrate = {{ up = \"./migrate up\", down = \"./migrate down\" }}\n# Without `down` or `compatible`, a failed deployment needs a person for the database.\n"
        );
    }
    format!("{}\n{text}", table(findings, ".run"))
}

fn service(findings: &Findings) -> String {
    if let Some(unit) = &findings.unit {
        let scope = match unit.scope {
            SystemdScope::System => "system",
            SystemdScope::User => "user",
        };
        let mut text = format!("{}\n# The unit of {}. ", table(findings, ".service"), one_line(&unit.file));
        text.push_str(&match &unit.directory {
            Some((releases, said)) if releases == said => {
                format!("It runs in {said}: let it run in {said}/current, so that it follows the switch.\n")
            }
            Some((_, said)) => format!("It runs in {said}.\n"),
            None => {
                "Let its WorkingDirectory be `current` under deploy_to, so that it follows the switch.\n".to_owned()
            }
        });
        return format!("{text}unit = {}\nscope = \"{scope}\"\n", quote(&unit.name));
    }
    let header = table(findings, ".service.process");
    let systemd = |start: &str| systemd(findings, start);
    match &findings.stack.command {
        Some(found) => format!(
            "# Cutover's own supervisor keeps this running in `current`, with the variables of the env file.\n\
             {header}\ncommand = {}\n{}",
            command(found),
            systemd(&command(found))
        ),
        None => format!(
            "# What runs a release was not found. Without a service, files are only put in place.\n\
             # {header}\n# command = [\"./serve\"]\n{}",
            systemd("[\"./serve\"]")
        ),
    }
}

/// The same under systemd, with what its unit runs, for without that `setup` cannot write the unit.
fn systemd(findings: &Findings, start: &str) -> String {
    format!(
        "# With systemd instead: {} with unit = \"{}.service\"\n\
         # and what that is to run, from which `cutover setup` writes the unit: start = {start}\n",
        table(findings, ".service"),
        findings.name
    )
}

fn verify(findings: &Findings) -> String {
    let mut text = format!("{}\n", table(findings, ".verify"));
    text.push_str("# Every probe must pass within this time after the restart, else the release is taken back,\n");
    text.push_str("# and the service must stay healthy for the soak time.\nwithin = \"60s\"\nsoak = \"5s\"\n");
    match (findings.has_service(), findings.port(), &findings.health) {
        (true, Some(port), Some((route, _))) => {
            let url = quote(&format!("http://127.0.0.1:{port}{route}"));
            text.push_str(&format!(
                "probes = [\n  {{ http = {{ url = {url}, status = 200, latency_max = \"2s\" }} }},\n]\n"
            ));
        }
        (true, Some(port), None) => {
            text.push_str(&format!("probes = [\n  {{ tcp = {{ address = \"127.0.0.1:{port}\" }} }},\n"));
            text.push_str("  # A route that answers only when all is well says more:\n");
            text.push_str(&format!(
                "  # {{ http = {{ url = \"http://127.0.0.1:{port}/health\", body = \"ok\" }} }},\n]\n"
            ));
        }
        (true, None, _) => {
            text.push_str(
                "probes = [\n  # It runs and has not restarted for this long.\n  { unit = { stable = \"3s\" } },\n",
            );
            text.push_str("  # { log = { contains = \"ready\" } },\n  # { http = { url = \"http://127.0.0.1:8000/health\" } },\n]\n");
        }
        (false, _, _) => text.push_str(
            "# probes = [\n#   { http = { url = \"https://example.org/\", status = 200 }, owner = \"any\" },\n# ]\n",
        ),
    }
    text
}

/// The environment's variables that are no secrets.
fn plain_variables(findings: &Findings) -> BTreeMap<String, String> {
    let own = findings.stack.variables.iter().cloned();
    let mut variables: BTreeMap<String, String> = own.chain(findings.variables.plain.clone()).collect();
    variables.retain(|name, _| !findings.variables.secret.contains(name));
    variables
}

/// What the sources read and nothing here sets: plain variables, and what looks like secrets.
fn unset(findings: &Findings) -> (Vec<&str>, Vec<&str>) {
    let (set, secret) = (plain_variables(findings), &findings.variables.secret);
    let is_unset = |name: &&str| !set.contains_key(*name) && !secret.iter().any(|known| known == name);
    let [plain, secret] = [&findings.reads.plain, &findings.reads.secret]
        .map(|names| names.iter().map(String::as_str).filter(is_unset).collect());
    (plain, secret)
}

fn also_read(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("# The sources also read {}.\n", names.join(", ")) }
}

fn production(findings: &Findings) -> String {
    let mut text = "[environments.production]\n".to_owned();
    text.push_str("# With `cutover workflows`, a push to this branch is deployed here. By hand, any commit can be.\n");
    text.push_str(&format!("branch = {}\n", quote(&findings.branch)));
    if findings.check.is_some() {
        text.push_str("# Refuse what has not passed: required_checks = [\"tests\"]\n");
    }
    let entries: Vec<String> =
        plain_variables(findings).iter().map(|(name, value)| format!("{name} = {}", quote(value))).collect();
    let (plain, secret) = unset(findings);
    match (entries.is_empty(), plain.is_empty()) {
        (true, true) => text.push_str("# env = { LOG_LEVEL = \"INFO\" }\n"),
        (true, false) => {
            let entries: Vec<String> = plain.iter().map(|name| format!("{name} = \"\"")).collect();
            text.push_str("# The sources read these; give a value to what needs one.\n");
            text.push_str(&format!("# env = {{ {} }}\n", entries.join(", ")));
        }
        (false, _) => {
            text.push_str(&format!("env = {{ {} }}\n", entries.join(", ")));
            text.push_str(&also_read(&plain));
        }
    }
    text.push_str("# Secrets are named here; their values come from the environment of `cutover deploy`.\n");
    match (findings.variables.secret.is_empty(), secret.is_empty()) {
        (true, true) => text.push_str("# secrets = [\"APP_TOKEN\"]\n"),
        (true, false) => text.push_str(&format!("# The sources read these.\n# secrets = {}\n", list(&secret))),
        (false, _) => {
            text.push_str(&format!("secrets = {}\n", list(&findings.variables.secret)));
            text.push_str(&also_read(&secret));
        }
    }
    let name = &findings.name;
    text.push_str("\n[environments.production.hosts]\n");
    text.push_str(&format!(
        "{name} = [\"localhost\"] # this machine\n# Over ssh: {name} = [\"deploy@web-1.example.org\"]; `cutover setup production` prepares that host first.\n"
    ));
    text
}

fn staging(findings: &Findings) -> String {
    let (name, branch) = (&findings.name, findings.staging_branch.as_deref().unwrap_or("staging"));
    let own_port = findings.port().filter(|_| findings.has_service()).and_then(|port| port.checked_add(1));
    let own_port = own_port.map_or_else(Vec::new, |port| {
        let asked = match &findings.health {
            Some((route, _)) => format!("{{ http = {{ url = \"http://127.0.0.1:{port}{route}\" }} }}"),
            None => format!("{{ tcp = {{ address = \"127.0.0.1:{port}\" }} }}"),
        };
        vec![
            "# # On a host where production is, too, it listens at a port of its own, and its probes ask there:"
                .to_owned(),
            format!("# verify.probes = [{asked}]"),
        ]
    });
    let lines = [
        "# Another environment; what it does not override is as above.".to_owned(),
        "# [environments.staging]".to_owned(),
        format!("# branch = {}", quote(branch)),
        "# env = { LOG_LEVEL = \"DEBUG\" }".to_owned(),
        "# [environments.staging.hosts]".to_owned(),
        format!("# {name} = [\"deploy@staging.example.org\"]"),
        format!("# [environments.staging.targets.{name}.host]"),
        format!("# deploy_to = {}", quote(&format!("/opt/{name}-staging"))),
    ];
    format!("{}\n", [lines.to_vec(), own_port].concat().join("\n"))
}
