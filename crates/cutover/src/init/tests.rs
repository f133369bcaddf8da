use super::{inspect, render};
use cutover_core::config::{CommandLine, Config, HostConfig, ProbeKind, ServiceConfig, SystemdScope, TargetConfig};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// A repository with these files; the directory is called `sample`.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join("sample").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir_all(directory.path().join("sample")).unwrap();
    directory
}

/// What is written for the repository; it must be sound without any diagnostic.
fn written_for(directory: &Path) -> String {
    let text = render(&inspect(&directory.join("sample")));
    assert_eq!(Config::check(&text).diagnostics, [], "{text}");
    text
}

fn written(files: &[(&str, &str)]) -> String {
    written_for(repository(files).path())
}

/// The one target's host of production, which is this machine.
fn host(text: &str) -> HostConfig {
    let config = Config::parse(text).unwrap();
    let production = &config.environments[&"production".parse().unwrap()];
    assert_eq!(production.hosts.values().flatten().collect::<Vec<_>>(), ["localhost"]);
    let TargetConfig::Host(host) = production.targets.values().next().unwrap();
    host.clone()
}

/// The command of the supervised process.
fn process(host: &HostConfig) -> String {
    match host.service.as_ref().unwrap() {
        ServiceConfig::Process(process) => match &process.command {
            CommandLine::Argv(words) => words.join(" "),
            CommandLine::Shell(line) => format!("sh: {line}"),
        },
        other => panic!("{other:?} is no process"),
    }
}

fn probe_url(host: &HostConfig) -> &str {
    match &host.verify.probes[0].kind {
        ProbeKind::Http { url, .. } => url,
        other => panic!("{other:?} is no http probe"),
    }
}

const FASTAPI: [(&str, &str); 6] = [
    ("pyproject.toml", "[project]\nname = \"Webhook Relay\"\ndependencies = [\"fastapi\", \"uvicorn\"]\n"),
    ("uv.lock", "version = 1\n"),
    (
        "src/relay/main.py",
        "from fastapi import FastAPI\n\napp = FastAPI(title=\"x\")\n\n@app.get(\"/health\")\ndef health(): ...\n",
    ),
    ("tests/test_main.py", "def test_x(): ...\n"),
    (".env.example", "LOG_LEVEL=INFO\n# the token\nWEBHOOK_TOKEN=change-me\nEMPTY=\n"),
    (".gitignore", "/data/\n.venv\n"),
];

#[test]
fn a_fastapi_project_with_a_lock_file() {
    let text = written(&FASTAPI);
    insta::assert_snapshot!(text);
    let host = host(&text);
    assert_eq!(process(&host), ".venv/bin/python -m uvicorn relay.main:app --host 127.0.0.1 --port 8000");
    assert_eq!(probe_url(&host), "http://127.0.0.1:8000/health");
    assert_eq!(host.env_file.as_deref(), Some(Path::new(".env")));
    assert_eq!(host.python.unwrap().smoke, ["relay.main"]);
    assert!(!text.contains("change-me"), "the example of a secret is no value");
}

#[test]
fn a_python_script_with_requirements() {
    let wheel = ("wheels/requests-2-py3-none-any.whl", "");
    let text = written(&[("requirements.txt", "requests\n"), ("bot.py", "print('ready')\n"), wheel]);
    let host = host(&text);
    assert_eq!(process(&host), ".venv/bin/python -u bot.py");
    assert_eq!(host.env_file.as_deref(), Some(Path::new(".env")), "variables that are added later reach the service");
    let python = host.python.unwrap();
    assert_eq!(python.requirements.unwrap(), Path::new("requirements.txt"));
    assert_eq!(python.wheels.unwrap(), Path::new("wheels"));
    assert!(matches!(host.verify.probes[0].kind, ProbeKind::Unit { .. }));
}

#[test]
fn a_python_package_that_can_be_run_and_needs_nothing_else() {
    for (root, python_path) in [("", None), ("src/", Some("src"))] {
        let main = "import http.server\nhttp.server.HTTPServer(('127.0.0.1', 8020), H).serve_forever()\n";
        let (run, package) = (format!("{root}shop/__main__.py"), format!("{root}shop/__init__.py"));
        let text = written(&[(&*run, main), (&*package, "")]);
        let host = host(&text);
        assert_eq!(process(&host), "python3 -m shop");
        let python = host.python.unwrap();
        assert_eq!((python.requirements, python.smoke), (None, vec!["shop".to_owned()]));
        let production = Config::parse(&text).unwrap().environments.into_values().next().unwrap();
        assert_eq!(production.env.get("PYTHONPATH").map(String::as_str), python_path);
    }
    let tools = written(&[("Cargo.toml", "[package]\nname = \"x\"\n"), ("src/main.rs", ""), ("tools/__main__.py", "")]);
    assert!(!tools.contains("python"), "{tools}");
}

#[test]
fn a_flask_project_with_a_procfile() {
    let text = written(&[
        ("requirements.txt", "flask\ngunicorn\n"),
        ("app.py", "from flask import Flask\napp = Flask(__name__)\n@app.route('/healthz')\ndef h(): ...\n"),
        ("Procfile", "web: gunicorn app:app --bind 0.0.0.0:$PORT\n"),
        ("Dockerfile", "FROM python\nEXPOSE 9000\n"),
    ]);
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.environments[&"production".parse().unwrap()].env["PORT"], "9000");
    let host = host(&text);
    assert_eq!(process(&host), "sh: .venv/bin/python -m gunicorn app:app --bind 0.0.0.0:$PORT");
    assert_eq!(probe_url(&host), "http://127.0.0.1:9000/healthz");
}

#[test]
fn the_probe_asks_at_the_port_at_which_the_command_listens() {
    let of = |procfile: &str, more: &[(&str, &str)]| {
        let web = format!("web: {procfile}\n");
        // Given others who say something else: the image, and the script.
        let app = "from flask import Flask\napp = Flask(__name__)\n@app.route('/health')\ndef h(): ...\nport = 6000\n";
        let mut files = vec![("requirements.txt", "flask\n"), ("app.py", app), ("Procfile", &*web)];
        files.extend([("Dockerfile", "FROM python\nEXPOSE 9000\n")]);
        files.extend(more);
        match &host(&written(&files)).verify.probes[0].kind {
            ProbeKind::Http { url, .. } => url.trim_start_matches("http://127.0.0.1:").replace("/health", ""),
            other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
        }
    };
    for (command, port) in [
        ("gunicorn app:app", "8000"),
        ("gunicorn -w 4 -b 127.0.0.1:9100 app:app", "9100"),
        ("gunicorn -b unix:/run/app.sock app:app", "Unit"),
        ("uvicorn app:app --host 0.0.0.0", "8000"),
        ("uvicorn app:app --port 8080", "8080"),
        ("flask --app app run", "5000"),
        ("flask run --port=5001", "5001"),
        ("python -m http.server", "8000"),
        ("python -m http.server 8080 --bind 127.0.0.1", "8080"),
        ("python manage.py runserver 9200", "9200"),
        ("PORT=7000 ./serve", "7000"),
        ("./serve --port ${PORT:-7100}", "7100"),
        ("./serve", "9000"),
    ] {
        assert_eq!(of(command, &[]), port, "{command}");
    }
    let file = |text| [("gunicorn.conf.py", text)];
    assert_eq!(of("gunicorn app:app", &file("workers = 2\nbind = \"0.0.0.0:8300\"\n")), "8300");
    let example = [(".env.example", "PORT=7300\n")];
    assert_eq!(of("gunicorn app:app", &example), "7300", "gunicorn takes the variable");
    assert_eq!(of("./serve --port $PORT", &example), "7300");
    assert_eq!(of("uvicorn app:app", &example), "8000");
    let reads = [("serve.py", "import os\nPORT = os.environ['PORT']\n"), example[0]];
    assert_eq!(of("./serve", &reads), "7300");
}

#[test]
fn a_django_project_migrates() {
    let text = written(&[
        ("requirements.txt", "django\ngunicorn\n"),
        ("manage.py", "#!/usr/bin/env python\n"),
        ("shop/wsgi.py", "application = get_wsgi_application()\n"),
    ]);
    let host = host(&text);
    assert_eq!(process(&host), ".venv/bin/python -m gunicorn shop.wsgi:application --bind 127.0.0.1:8000");
    let migrate = host.run.migrate.unwrap();
    assert!(!migrate.compatible && migrate.down.is_none(), "nothing is promised for a person");
    assert!(text.contains("`cutover rollback`, by hand and later, runs neither"), "{text}");
}

#[test]
fn a_node_project() {
    let text = written(&[
        (
            "package.json",
            r#"{ "name": "@shop/web", "scripts": { "start": "node dist/server.js --port 3100", "build": "tsc" }, "dependencies": { "express": "5" } }"#,
        ),
        ("package-lock.json", "{}"),
        ("src/server.ts", "app.get('/healthz', ok)\n"),
        (".github/workflows/deploy.yml", "name: Deploy\n"),
    ]);
    insta::assert_snapshot!(text);
    assert_eq!(process(&host(&text)), "node dist/server.js --port 3100");
    assert_eq!(probe_url(&host(&text)), "http://127.0.0.1:3100/healthz");
}

#[test]
fn a_rust_project() {
    let text = written(&[
        ("Cargo.toml", "[package]\nname = \"relay\"\nversion = \"0.1.0\"\n"),
        ("src/main.rs", "fn main() { TcpListener::bind(\"0.0.0.0:7000\"); }\n"),
        ("migrations/1.sql", ""),
    ]);
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.artifact.include, ["target/release/relay", "migrations/**"]);
    assert_eq!(process(&host(&text)), "target/release/relay");
    assert!(text.contains("127.0.0.1:7000"));
}

#[test]
fn a_go_project() {
    let text = written(&[
        ("go.mod", "module example.org/shop/api/v2\n\ngo 1.24\n"),
        ("cmd/api/main.go", "package main\nfunc main() { http.ListenAndServe(\":8081\", nil) }\n"),
    ]);
    let config = Config::parse(&text).unwrap();
    let build = "CGO_ENABLED=0 go build -trimpath -o bin/api ./cmd/api";
    assert_eq!(config.artifact.build, Some(CommandLine::Shell(build.to_owned())));
    assert_eq!(process(&host(&text)), "bin/api");
}

#[test]
fn an_empty_repository() {
    let text = written(&[]);
    insta::assert_snapshot!(text);
    assert_eq!(Config::parse(&text).unwrap().name.as_str(), "sample");
    assert!(host(&text).service.is_none());
}

#[test]
fn a_unit_file_says_what_runs_and_where() {
    let unit = "[Service]\nWorkingDirectory=/srv/relay/current\nExecStart=/srv/relay/current/run --port 8123\n[Install]\nWantedBy=default.target\n";
    let text = written(&[("deploy/relay.service", unit), ("requirements.txt", ""), ("main.py", "x = '/health'\n")]);
    let host = host(&text);
    assert_eq!(host.deploy_to, Path::new("/srv/relay"));
    assert!(matches!(host.service.as_ref().unwrap(),
        ServiceConfig::Systemd { unit, scope: SystemdScope::User, .. } if unit == "relay.service"));
    assert_eq!(probe_url(&host), "http://127.0.0.1:8123/health");
    for (start, port) in [
        ("/srv/relay/.venv/bin/gunicorn relay:app", "8000"),
        ("/srv/relay/current/run\nEnvironment=A=1 PORT=8124", "8124"),
        ("/srv/relay/current/run --port ${PORT}\nEnvironment=\"PORT=8125\"", "8125"),
    ] {
        let unit = format!("[Service]\nExecStart={start}\n");
        let text =
            written(&[("relay.service", &unit), ("requirements.txt", ""), ("main.py", "port = 1234\nx = '/health'\n")]);
        assert_eq!(probe_url(&self::host(&text)), format!("http://127.0.0.1:{port}/health"), "{start}");
    }
}

#[test]
fn variables_that_the_sources_read_are_proposed_as_comments() {
    let source = "import os\nLEVEL = os.environ['LEVEL']\nKEY = os.getenv(\"API_KEY\")\nHOME = os.environ[\"HOME\"]\n";
    let test = ("tests/test_app.py", "import os\nos.environ['ONLY_IN_TESTS']\n");

    let alone = written(&[("app.py", source), test]);
    let example = "PAGE=1\nLEVEL=info\nTOKEN=x\n";
    let addresses = format!("{example}SITE=https://example.org:8443/a@b:c\nSTORE=postgres://shop:made-up@db/shop\n");
    let with_password = written(&[("app.py", source), (".env.example", &addresses)]);
    assert!(
        with_password.contains("secrets = [\"STORE\", \"TOKEN\"]") && !with_password.contains("made-up"),
        "{with_password}"
    );
    assert!(with_password.contains("SITE = \"https://example.org:8443/a@b:c\""), "{with_password}");
    let beside = written(&[("app.py", source), (".env.example", example)]);

    assert!(
        alone.contains("# The sources read these; give a value to what needs one.\n# env = { LEVEL = \"\" }\n"),
        "{alone}"
    );
    assert!(alone.contains("# The sources read these.\n# secrets = [\"API_KEY\"]\n"), "{alone}");
    assert!(!alone.contains("ONLY_IN_TESTS") && !alone.contains("HOME"), "{alone}");
    assert!(beside.contains("secrets = [\"TOKEN\"]\n# The sources also read API_KEY.\n"), "{beside}");
    assert!(beside.contains("env = { LEVEL = \"info\", PAGE = \"1\" }\n# Secrets are named"), "{beside}");
    let uncommented = alone.replacen("# env = {", "env = {", 1).replace("# secrets = [", "secrets = [");
    assert_eq!(Config::check(&uncommented).diagnostics, [], "{uncommented}");
}

#[test]
fn branches_are_read_from_the_repository() {
    let head = (".git/HEAD", "ref: refs/heads/trunk\n");
    assert!(written(&[head]).contains("branch = \"trunk\""));
    let packed = (".git/packed-refs", "# pack-refs\n0000 refs/remotes/origin/master\n0000 refs/heads/develop\n");
    let text = written(&[head, packed]);
    assert!(text.contains("\nbranch = \"master\"\n") && text.contains("# branch = \"develop\""), "{text}");
}

#[test]
fn links_out_of_the_repository_are_not_followed() {
    let directory = repository(&[]);
    fs::write(directory.path().join("outside.toml"), "[project]\nname = \"outside\"\n").unwrap();
    let link = directory.path().join("sample/pyproject.toml");
    std::os::unix::fs::symlink(directory.path().join("outside.toml"), link).unwrap();
    assert!(!written_for(directory.path()).contains("outside"));
}

/// The command of the check that is written for these files, and its report; None where none is.
fn check(files: &[(&str, &str)]) -> Option<(String, Vec<String>)> {
    let config = Config::parse(&written(files)).unwrap();
    let check = config.checks.into_values().next()?;
    let CommandLine::Shell(run) = check.run else { panic!("{:?}", check.run) };
    Some((run, check.reports.junit))
}

#[test]
fn tests_become_a_check_that_runs_them() {
    let pytest = "python3 -B -m pytest --junitxml=junit.xml".to_owned();
    let tested = ("tests/test_app.py", "def test(): ...");
    assert_eq!(check(&[("app.py", ""), tested]), Some((pytest.clone(), vec!["junit.xml".into()])));
    let unittest = ("tests/test_app.py", "import unittest");
    assert_eq!(check(&[("app.py", ""), unittest, ("requirements-dev.txt", "pytest")]).unwrap().0, pytest);
    assert_eq!(check(&[("app.py", ""), ("a b/test_app.py", "import unittest")]).unwrap().0, pytest);
    let locked = |lock| check(&[("app.py", ""), tested, (lock, ""), (".gitignore", "__pycache__/\n")]).unwrap().0;
    assert_eq!(locked("uv.lock"), "uv run python -m pytest --junitxml=junit.xml");
    assert_eq!(locked("poetry.lock"), "poetry run python -m pytest --junitxml=junit.xml");
    let node =
        |test: &str, lock| check(&[("package.json", &format!("{{\"scripts\": {{\"test\": {test:?}}}}}")), (lock, "")]);
    assert_eq!(node("vitest run", "package-lock.json").unwrap().0, "npm test");
    assert_eq!(node("vitest run", "pnpm-lock.yaml").unwrap().0, "pnpm test");
    assert_eq!(node(" ", "yarn.lock"), None);
    assert_eq!(node("echo \"Error: no test specified\" && exit 1", "yarn.lock"), None);
    assert_eq!(check(&[("go.mod", "module x\n"), ("a/b_test.go", "")]).unwrap().0, "go test ./...");
    let cargo = ("Cargo.toml", "[package]\nname = \"x\"\n");
    assert_eq!(check(&[cargo, ("src/main.rs", "#[test]\nfn sells() {}")]).unwrap().0, "cargo test");
    assert_eq!(check(&[cargo, ("src/main.rs", "fn main() {}")]), None);
    assert_eq!(check(&[("app.py", "")]), None);
}

/// `unittest discover` looks into packages only, for one pattern, and is content where it finds nothing.
#[test]
fn unittest_is_told_where_all_tests_are() {
    let run = |files: &[&str]| {
        let tests = files.iter().map(|file| (*file, "import unittest"));
        check(&tests.chain([("app.py", "")]).collect::<Vec<_>>()).unwrap().0
    };
    assert_eq!(run(&["tests/test_app.py"]), "python3 -B -m unittest discover -s tests");
    assert_eq!(run(&["tests/app_test.py"]), "python3 -B -m unittest discover -s tests -p '*_test.py'");
    let apart = "python3 -B -m unittest discover -s a && python3 -B -m unittest discover -s b";
    assert_eq!(run(&["a/test_one.py", "b/test_two.py"]), apart);
    let package = ["tests/__init__.py", "tests/unit/__init__.py", "tests/unit/test_app.py", "tests/test_shop.py"];
    assert_eq!(run(&package), "python3 -B -m unittest discover -s tests -t .");
    let many = ["a/test_1.py", "b/test_2.py", "c/test_3.py", "d/test_4.py", "e/test_5.py"];
    assert_eq!(run(&many), "python3 -B -m pytest --junitxml=junit.xml");
}

/// The examples as a newcomer would find them in a comment: once uncommented, they must be sound too.
#[test]
fn the_commented_lines_are_sound_too() {
    let text = written(&[]);
    let keys = |line: &str| line.contains(" = ") && !line.contains(": ");
    let known = |line: &str| line.starts_with("# [") || line == "# ]" || line.starts_with('#') && keys(line);
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| if known(line) { line.trim_start_matches("# ").trim_start_matches('#') } else { line })
        .filter(|line| !line.starts_with('#'))
        .collect();
    let uncommented = uncommented.join("\n");
    assert!(uncommented.contains("\nlinked_dirs ="), "{uncommented}");
    assert_eq!(Config::check(&uncommented).diagnostics, [], "{uncommented}");
}

const NAMES: [&str; 16] = [
    "pyproject.toml",
    "requirements.txt",
    "uv.lock",
    "manage.py",
    "app.py",
    "src/a b/main.py",
    "x/wsgi.py",
    "package.json",
    "Cargo.toml",
    "src/main.rs",
    "go.mod",
    "main.go",
    "Procfile",
    "Dockerfile",
    ".env.example",
    "we\"ird [x].service",
];
const TEXTS: [&str; 19] = [
    "os.environ[\"A_TOKEN\"]; os.getenv('B'); getenv(\"C\u{7f}\"); process.env.PORT",
    "",
    "\u{0}\u{7f}\n",
    "[project]\nname = \"..\"\n",
    "[project]\nname = \"a\\\"]\\n\"\ndependencies = [\"x\"]\n",
    "app = FastAPI()\n'/health'",
    "é = Flask()\n",
    "[package]\nname = \"--x\"\n",
    "[package]\nname = \"a b\"\n",
    "{\"name\": \"../../x\", \"scripts\": {\"start\": \"node x.js \\\"a\\\" \\u007f\"}}",
    "{\"main\": 7, \"scripts\": []}",
    "module \"x y\"/v2\n",
    "module example.org/-x\n",
    "web: python \"a\" \\ 'b' $PORT\u{7f}\n",
    "web: gunicorn a:b\n",
    "EXPOSE 99999\nEXPOSE 81",
    "A=\"x\\y\"\nB_TOKEN=1\nA_B='\u{7f}'\nPORT=1\n",
    "[Service]\nExecStart=/x -p 80000\nWorkingDirectory=/a/../b\n",
    "[Service]\nExecStart=/x\nWorkingDirectory=/\n",
];

proptest! {
    #![proptest_config(cutover_testkit::at_least(300))]

    #[test]
    fn whatever_lies_in_the_repository_what_is_written_is_sound(
        files in prop::collection::vec((prop::sample::select(&NAMES[..]), prop::sample::select(&TEXTS[..])), 0..8),
    ) {
        let text = written(&files);
        prop_assert!(text.ends_with('\n'));
    }
}
