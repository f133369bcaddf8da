//! Sentinel secrets: whatever prints them, and wherever it fails, they are found in no output, journal, history,
//! log, release, temporary file, command line or environment of the supervisor: only in the env files, which nobody else
//! can read, and in the environment of the service.

use crate::bed::{Bed, python};
use crate::eyes::{Watcher, files};
use crate::ran::Ran;
use crate::run::Running;
use crate::sentinel::{Sentinel, Sentinels, mode};
use cutover_store::SqliteStore;
use std::path::Path;
use std::time::Duration;

/// Prints every secret in the encodings that programs use, whole and in pieces, to both outputs.
const LEAK: &str = r#"
import base64, json, os, shlex, sys, time, urllib.parse

def forms(value):
    raw = value.encode()
    yield value
    yield "user:" + value + "@host"
    for text in (raw, b"user:" + raw, b"{'k': '" + raw + b"'}"):
        yield base64.b64encode(text).decode()
        yield base64.urlsafe_b64encode(text).decode()
        yield base64.encodebytes(text).decode()
    yield urllib.parse.quote(value)
    yield urllib.parse.quote(value, safe="")
    yield urllib.parse.quote_plus(value)
    yield json.dumps({"token": value})
    yield json.dumps({"token": value}, ensure_ascii=False)
    yield repr({"token": value})
    yield shlex.quote(value)

def leak():
    for name in ("PLAIN", "AWKWARD", "LINES", "FILED", "TOKEN"):
        value = os.environ[name]
        for form in forms(value):
            print("leak:", form, flush=True)
            print("leak:", form, file=sys.stderr, flush=True)
        # In two writes, so that no chunk has the whole.
        half = len(value) // 2
        sys.stdout.write("half: " + value[:half])
        sys.stdout.flush()
        time.sleep(0.02)
        sys.stdout.write(value[half:] + "\n")
        sys.stdout.flush()
    print("leaked everything", flush=True)
"#;

/// What each command of the next version does besides leaking.
struct Failing {
    install: &'static str,
    migrate: &'static str,
    smoke: &'static str,
    reply: &'static str,
    table: &'static str,
    /// How a probe of its own ends; without it there is none.
    probe: Option<&'static str>,
}

const NOTHING_FAILS: Failing = Failing {
    install: "",
    migrate: "",
    smoke: "",
    reply: "answer(connection, 200, 'ok ' + version + ' ' + json.dumps(dict(os.environ)))",
    table: "",
    probe: None,
};

struct Scene {
    bed: Bed,
    sentinels: Sentinels,
    /// What was said by everything that was run.
    said: Vec<(String, Ran)>,
}

impl Scene {
    fn new() -> Self {
        let all = vec![
            Sentinel::plain("PLAIN"),
            Sentinel::awkward("AWKWARD"),
            Sentinel::lines("LINES"),
            Sentinel::awkward("FILED"),
            Sentinel::plain("TOKEN"),
        ];
        let scene = Self { bed: Bed::new(), sentinels: Sentinels::new(all), said: Vec::new() };
        scene.store("filed", "FILED");
        scene.store("lines", "LINES");
        scene.bed.write("leak.py", LEAK);
        std::fs::create_dir(scene.bed.path("tmp")).unwrap();
        scene
    }

    /// Keeps a secret where its source says: outside of everything that is searched.
    fn store(&self, file: &str, name: &str) {
        std::fs::create_dir_all(self.bed.path("vault")).unwrap();
        std::fs::write(self.bed.path("vault").join(file), format!("{}\n", self.sentinels.value(name))).unwrap();
    }

    fn commit(&mut self, failing: &Failing) {
        let hook = |end: &str| format!("from leak import leak\nleak()\n{end}\n");
        self.bed.write("install.py", &hook(failing.install));
        self.bed.write("migrate.py", &hook(failing.migrate));
        self.bed.write("shop.py", &hook(failing.smoke));
        let behaviour = "import json\nfrom leak import leak\nleak()\ndef reply(connection): ";
        self.bed.write("behaviour.py", &format!("{behaviour}{}\n", failing.reply));
        let (python, vault) = (python(), self.bed.path("vault").display().to_string());
        let run = |file: &str| format!("[\"{python}\", \"-B\", \"{file}\"]");
        self.bed.write("probe.py", &hook(failing.probe.unwrap_or_default()));
        let probe = failing.probe.map(|_| format!("{{ command = {{ run = {} }} }}", run("probe.py")));
        self.bed.config.probes = probe.unwrap_or_default();
        self.bed.config.verify = "within = \"4s\"\ninterval = \"50ms\"\nfatal = [\"fatal: the key\"]\n".to_owned();
        self.bed.config.tables = format!(
            "[targets.app.host.python]\ninterpreter = \"{python}\"\nsmoke = [\"shop\"]\n{}\n\
             [targets.app.host.run]\ninstall = {}\nmigrate = {{ up = {}, compatible = true }}\nafter = {}\n\
             [environments.production.secrets]\nPLAIN = {{ env = \"PLAIN\" }}\nAWKWARD = {{ env = \"AWKWARD\" }}\n\
             TOKEN = {{ env = \"TOKEN\" }}\nFILED = {{ file = \"{vault}/filed\" }}\nLINES = {{ command = [\"cat\", \"{vault}/lines\"] }}\n",
            failing.table,
            run("install.py"),
            run("migrate.py"),
            run("install.py"),
        );
        self.bed.commit();
    }

    /// Runs `cutover` with the secrets in its environment, and asserts how it ended.
    fn run(&mut self, args: &[&str], code: i32) {
        let mut command = self.bed.cutover(args);
        for name in ["PLAIN", "AWKWARD", "TOKEN"] {
            command.env(name, self.sentinels.value(name));
        }
        // An index whose address holds a secret: pip tells where it looks.
        command.env("PIP_INDEX_URL", format!("http://127.0.0.1:1/{}/simple", self.sentinels.value("TOKEN")));
        command.env("TMPDIR", self.bed.path("tmp"));
        command.env("PIP_RETRIES", "0").env("PIP_TIMEOUT", "1").env("PIP_VERBOSE", "2").env("UV_OFFLINE", "1");
        let ran = Running::start(command).end_within(Duration::from_secs(120)).expect(code);
        self.said.push((args.join(" "), ran));
    }

    /// The secrets of the next deployment are others than before.
    fn rotate(&mut self) -> Sentinels {
        let old = self.sentinels.clone();
        let mut all = old.all.clone();
        all[0] = Sentinel::plain("PLAIN");
        self.sentinels = Sentinels::new(all);
        old
    }
}

/// Env files may hold secrets, and nobody else may read them.
fn is_env_file(app: &Path, path: &Path) -> bool {
    let below = path.strip_prefix(app).unwrap_or(path).display().to_string();
    below.starts_with("shared/.env") || below.starts_with(".cutover/env/")
}

/// Nothing under the bed but the env files and the vault holds a secret.
fn assert_nowhere(scene: &Scene, sentinels: &Sentinels) {
    let (app, vault) = (scene.bed.app(), scene.bed.path("vault"));
    let holders = sentinels.files_with(&scene.bed.path(""));
    let (allowed, leaks): (Vec<_>, Vec<_>) = holders
        .into_iter()
        .filter(|(path, _)| !path.starts_with(&vault))
        .partition(|(path, _)| is_env_file(&app, path));
    assert!(leaks.is_empty(), "secrets lie in {leaks:#?}");
    assert!(!allowed.is_empty(), "not even the env file has them: the search finds nothing");
    for (path, _) in &allowed {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for (args, ran) in &scene.said {
        sentinels.assert_unsaid(args, ran);
    }
}

#[test]
fn secrets_are_found_nowhere_but_in_the_env_files() {
    let mut scene = Scene::new();
    let watched = scene.sentinels.clone();
    let watcher = Watcher::start(Vec::new(), move |found: &mut Vec<String>| {
        found.extend(watched.in_command_lines());
        std::thread::sleep(Duration::from_millis(20));
    });

    scene.commit(&NOTHING_FAILS);
    scene.run(&["plan", "production"], 0);
    scene.run(&["deploy", "production", "--dry-run", "-v"], 0);
    scene.run(&["deploy", "production", "-v"], 0);
    let history = open_history(&scene.bed);
    scene.commit(&Failing { install: "raise SystemExit(3)", ..NOTHING_FAILS });
    scene.run(&["deploy", "production"], 1);
    scene.run(&["deploy", "production", "-v", "--json"], 1);
    scene.commit(&Failing { smoke: "raise KeyError(os.environ['AWKWARD'])".trim(), ..NOTHING_FAILS });
    scene.run(&["deploy", "production", "-v"], 1);
    scene.commit(&Failing { migrate: "import os, sys\nsys.exit(os.environ['LINES'])", ..NOTHING_FAILS });
    scene.run(&["deploy", "production"], 1);
    scene.commit(&Failing { reply: "answer(connection, 503, json.dumps(dict(os.environ)))", ..NOTHING_FAILS });
    scene.run(&["deploy", "production", "-v"], 3);
    scene.run(&["deploy", "production", "--json"], 3);
    scene.commit(&Failing { probe: Some("raise SystemExit(os.environ['AWKWARD'])"), ..NOTHING_FAILS });
    scene.run(&["deploy", "production", "-v"], 3);
    let fatal = "(print('fatal: the key is', os.environ['LINES'], os.environ['PLAIN'], flush=True), answer(connection, 500, ''))";
    scene.commit(&Failing { reply: fatal, ..NOTHING_FAILS });
    scene.run(&["deploy", "production"], 3);

    for look in
        [["status", "production"], ["history", "production"], ["releases", "production"], ["plan", "production"]]
    {
        scene.run(&look, 0);
        scene.run(&[look[0], look[1], "--json", "-v"], 0);
    }
    scene.run(&["env", "production", "diff"], 0);
    scene.run(&["app", "production", "logs", "-n", "1000"], 0);
    scene.run(&["metrics", "production"], 0);
    scene.run(&["lock", "production", "status"], 0);
    for (id, outcome) in deployments(&scene.bed) {
        scene.run(&["logs", &id, "-v"], 0);
        scene.run(&["logs", &id, "--json"], 0);
        if outcome == "rolled_back" {
            scene.run(&["logs", &id, "--incident"], 0);
        }
    }
    scene.run(&["app", "production", "restart", "-v"], 0);

    // What was remembered lies in the write-ahead log too, as long as somebody has the history open.
    let remembered = files(&scene.bed.path("home")).into_iter().filter(|path| path.ends_with("history.db-wal"));
    assert_eq!(remembered.filter(|path| path.metadata().unwrap().len() > 0).count(), 1, "no write-ahead log to search");
    drop(history);
    assert_eq!(scene.sentinels.in_environments(&scene.bed.path("")), [service(&scene.bed)], "who has the secrets");
    assert_eq!(watcher.findings(), Vec::<String>::new(), "secrets in command lines");
    let log = std::fs::read_to_string(scene.bed.app().join(".cutover/process/app/service.log")).unwrap();
    assert!(log.contains("leak: ***\n") && log.contains("leaked everything"), "the service leaked nothing: {log}");
    let said: String = scene.said.iter().map(|(_, ran)| ran.told()).collect();
    assert!(said.contains("| leak: ***") && said.contains("fatal: the key is ***"), "nothing was leaked: {said}");
    assert_nowhere(&scene, &scene.sentinels.clone());
}

/// Every deployment that is remembered, and its outcome.
fn deployments(bed: &Bed) -> Vec<(String, String)> {
    let history = bed.run(&["history", "production", "--json"]).expect(0).json();
    let rows = history["deployments"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (text(&row["deployment"]), text(&row["outcome"]))).collect()
}

/// The history, open for as long as this lives.
fn open_history(bed: &Bed) -> SqliteStore {
    let history = files(&bed.path("home")).into_iter().find(|path| path.ends_with("history.db"));
    SqliteStore::open(&history.unwrap()).unwrap()
}

/// The service's process.
fn service(bed: &Bed) -> u32 {
    let state = cutover_targets::supervisor::state(&bed.app().join(".cutover/process/app"));
    state.unwrap().unwrap().child.unwrap().pid
}

#[test]
fn a_failing_install_with_a_secret_in_the_index_address_tells_it_nowhere() {
    let mut scene = Scene::new();
    scene.bed.write("requirements.txt", "surely-no-such-package==4.2\n");
    scene.commit(&Failing { table: "requirements = \"requirements.txt\"\n", ..NOTHING_FAILS });

    scene.run(&["deploy", "production", "-v"], 1);

    let (_, ran) = &scene.said[0];
    assert!(ran.stdout.contains("http://127.0.0.1:1/***/simple"), "pip told nothing: {}", ran.told());
    let sentinels = scene.sentinels.clone();
    let leaks = sentinels.files_with(&scene.bed.path(""));
    let vault = scene.bed.path("vault");
    let leaks: Vec<_> = leaks.into_iter().filter(|(path, _)| !path.starts_with(&vault)).collect();
    assert!(leaks.is_empty(), "secrets lie in {leaks:#?}");
    sentinels.assert_unsaid("deploy", ran);
}

#[test]
fn a_secret_that_was_changed_is_told_nowhere_neither_the_old_nor_the_new_one() {
    let mut scene = Scene::new();
    scene.commit(&NOTHING_FAILS);
    scene.run(&["deploy", "production"], 0);
    let old = scene.rotate();
    scene.commit(&Failing { reply: "answer(connection, 503, json.dumps(dict(os.environ)))", ..NOTHING_FAILS });
    scene.run(&["deploy", "production", "-v"], 3);
    scene.commit(&NOTHING_FAILS);
    scene.run(&["deploy", "production", "-v"], 0);
    scene.run(&["rollback", "production", "-v"], 0);
    scene.run(&["app", "production", "logs", "-n", "1000"], 0);

    assert_nowhere(&scene, &old);
    assert_nowhere(&scene, &scene.sentinels.clone());
    let live = std::fs::read_to_string(scene.bed.app().join("shared/.env")).unwrap();
    assert!(live.contains(old.value("PLAIN")), "the rollback brought the env file of its release back");
}
