//! Python: requirements, framework, entry.

use super::stack::{Language, Stack, command_line};
use super::text::port_in_source;
use super::tree::Tree;
use toml::de::{DeTable, DeValue};

/// Files that tell a Python project.
const MARKERS: [&str; 7] =
    ["pyproject.toml", "requirements.txt", "uv.lock", "poetry.lock", "setup.py", "Pipfile", "manage.py"];
/// Files that tell projects of other languages, where a package that can be run may be a tool.
const OTHER_MARKERS: [&str; 3] = ["package.json", "Cargo.toml", "go.mod"];
/// Requirements files, the one for production first.
const REQUIREMENTS: [&str; 5] = [
    "requirements.txt",
    "requirements-prod.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
];
/// Scripts that are started by themselves.
const SCRIPTS: [&str; 6] = ["main.py", "app.py", "bot.py", "server.py", "run.py", "worker.py"];
/// The interpreter of a release's virtual environment.
const PYTHON: &str = ".venv/bin/python";

/// What Python's files say; None where there are none.
pub(super) fn detect(tree: &Tree) -> Option<Stack> {
    let marked = tree.first_of(&MARKERS).or_else(|| tree.first_of(&REQUIREMENTS)).or_else(|| tree.first_of(&SCRIPTS));
    let others = tree.first_of(&OTHER_MARKERS);
    let marker = marked.or_else(|| runnable_package(tree).filter(|_| others.is_none()))?;
    let mut stack = Stack::new(Language::Python);
    stack.evidence.push(format!("Python ({marker})"));
    let project = tree.read("pyproject.toml").unwrap_or_default();
    stack.name = project_name(&project);
    find_requirements(tree, &project, &mut stack);
    stack.wheels = wheels(tree);
    find_entry(tree, &mut stack);
    Some(stack)
}

/// The `__main__.py` of a package at the top, or in `src/`: deeper ones are tools of something else.
fn runnable_package(tree: &Tree) -> Option<&str> {
    let is_at_top = |file: &&str| file.strip_prefix("src/").unwrap_or(file).matches('/').count() == 1;
    tree.ending(&["/__main__.py"]).into_iter().filter(is_at_top).find(|file| is_own(file) && module(file).is_some())
}

fn project_name(text: &str) -> Option<String> {
    Some(project_value(text, "name")?.as_str()?.to_owned())
}

/// A value of `[project]`, of a file that may have mistakes.
fn project_value<'i>(text: &'i str, key: &str) -> Option<DeValue<'i>> {
    let (table, _) = DeTable::parse_recoverable(text);
    Some(table.get_ref().get("project")?.get_ref().get(key)?.get_ref().clone())
}

fn find_requirements(tree: &Tree, project: &str, stack: &mut Stack) {
    if let Some(file) = tree.first_of(&REQUIREMENTS) {
        stack.requirements = Some(file.to_owned());
        return;
    }
    let dependencies =
        project_value(project, "dependencies").is_some_and(|list| list.as_array().is_some_and(|l| !l.is_empty()));
    stack.build = if tree.has("uv.lock") {
        let command = "uv export --quiet --frozen --no-dev --no-emit-project --output-file requirements.txt";
        Some((
            command.to_owned(),
            "The locked dependencies, as the file that hosts install from. Needs `uv` where you build.",
        ))
    } else if tree.has("poetry.lock") {
        let command = "poetry export --without-hashes --output requirements.txt";
        Some((
            command.to_owned(),
            "The locked dependencies, as the file that hosts install from. Needs `poetry` with its export plugin where you build.",
        ))
    } else if dependencies {
        let command = "uv pip compile --quiet --output-file requirements.txt pyproject.toml";
        Some((
            command.to_owned(),
            "The dependencies of pyproject.toml, as the file that hosts install from. Needs `uv` where you build.",
        ))
    } else {
        None
    };
    stack.requirements = stack.build.as_ref().map(|_| "requirements.txt".to_owned());
}

/// The directory of the first wheel that the repository ships.
fn wheels(tree: &Tree) -> Option<String> {
    let wheels = tree.ending(&[".whl"]);
    wheels.first()?.rsplit_once('/').map(|(directory, _)| directory.to_owned())
}

/// The interpreter that a command starts with.
fn interpreter(stack: &Stack) -> &'static str {
    if stack.requirements.is_some() { PYTHON } else { "python3" }
}

fn find_entry(tree: &Tree, stack: &mut Stack) {
    if tree.has("manage.py") {
        return django(tree, stack);
    }
    if let Some(app) = find_app(tree) {
        return web(tree, &app, stack);
    }
    let module_entry = tree.ending(&["/__main__.py"]).into_iter().find(|file| is_own(file));
    if let Some(package) = module_entry.and_then(module) {
        stack.evidence.push(format!("the module {package} can be run (__main__.py)"));
        stack.command = Some(command_line(&format!("{} -m {package}", interpreter(stack))));
        set_source_root(module_entry.unwrap_or_default(), stack);
        stack.port = package_port(tree, &package);
        stack.smoke = vec![package];
    } else if let Some(script) = tree.first_of(&SCRIPTS) {
        stack.evidence.push(format!("the script {script}"));
        stack.command = Some(command_line(&format!("{} -u {script}", interpreter(stack))));
        stack.port = tree.read(script).as_deref().and_then(port_in_source);
    }
}

fn package_port(tree: &Tree, package: &str) -> Option<u16> {
    let directory = format!("{}/", package.replace('.', "/"));
    let own = tree.ending(&[".py"]).into_iter().filter(|file| file.contains(&directory) && is_own(file));
    own.into_iter().find_map(|file| port_in_source(&tree.read(file)?))
}

/// A web application object: `app = FastAPI()`.
struct App<'t> {
    file: &'t str,
    module: String,
    variable: String,
    framework: &'static str,
}

/// Constructors of applications, and whether they speak ASGI.
const FRAMEWORKS: [(&str, bool); 5] =
    [("FastAPI", true), ("Starlette", true), ("Litestar", true), ("Quart", true), ("Flask", false)];

fn find_app(tree: &Tree) -> Option<App<'_>> {
    let sources = tree.ending(&[".py"]).into_iter().filter(|file| is_own(file));
    sources.into_iter().find_map(|file| {
        let text = tree.read(file)?;
        let (variable, framework) = text.lines().find_map(app_line)?;
        Some(App { file, module: module(file)?, variable, framework })
    })
}

/// Reads `app = FastAPI(` at the beginning of a line.
fn app_line(line: &str) -> Option<(String, &'static str)> {
    let (left, right) = line.split_once('=')?;
    let variable = left.split(':').next()?.trim_end();
    let call = right.trim_start().split_once('(')?.0;
    let name = call.rsplit('.').next()?;
    let (framework, _) = FRAMEWORKS.iter().find(|(framework, _)| *framework == name)?;
    is_identifier(variable).then(|| (variable.to_owned(), *framework))
}

fn web(tree: &Tree, app: &App<'_>, stack: &mut Stack) {
    stack.evidence.push(format!("{} in {} (`{}`)", app.framework, app.file, app.variable));
    let asgi = FRAMEWORKS.iter().any(|(name, asgi)| *name == app.framework && *asgi);
    let port = tree.read(app.file).as_deref().and_then(port_in_source);
    let gunicorn = depends_on(tree, "gunicorn");
    let (server, default_port) = match (asgi, gunicorn) {
        (true, _) => ("uvicorn", 8000),
        (false, true) => ("gunicorn", 8000),
        (false, false) => ("flask", 5000),
    };
    let port = port.unwrap_or(default_port);
    let (object, python) = (format!("{}:{}", app.module, app.variable), interpreter(stack));
    let line = match server {
        "uvicorn" => format!("{python} -m uvicorn {object} --host 127.0.0.1 --port {port}"),
        "gunicorn" => format!("{python} -m gunicorn {object} --bind 127.0.0.1:{port}"),
        _ => format!("{python} -m flask --app {object} run --host 127.0.0.1 --port {port}"),
    };
    stack.command = Some(command_line(&line));
    stack.port = Some(port);
    stack.smoke = vec![app.module.clone()];
    set_source_root(app.file, stack);
}

fn django(tree: &Tree, stack: &mut Stack) {
    let wsgi = tree.ending(&["/wsgi.py"]).into_iter().filter(|file| is_own(file)).find_map(module);
    stack.evidence.push("Django (manage.py)".to_owned());
    let python = interpreter(stack);
    let line = match &wsgi {
        Some(wsgi) if depends_on(tree, "gunicorn") => {
            format!("{python} -m gunicorn {wsgi}:application --bind 127.0.0.1:8000")
        }
        Some(_) | None => format!("{python} manage.py runserver --noreload 127.0.0.1:8000"),
    };
    stack.command = Some(command_line(&line));
    stack.migrate = Some(command_line(&format!("{python} manage.py migrate --noinput")));
    stack.port = Some(8000);
    stack.smoke = wsgi.into_iter().collect();
}

/// Modules under `src/` are found by Python only when told to look there.
fn set_source_root(file: &str, stack: &mut Stack) {
    if file.starts_with("src/") {
        stack.variables.push(("PYTHONPATH".to_owned(), "src".to_owned()));
    }
}

fn depends_on(tree: &Tree, package: &str) -> bool {
    let files = tree.files().filter(|file| *file == "pyproject.toml" || file.starts_with("requirements"));
    files.into_iter().any(|file| tree.read(file).is_some_and(|text| text.contains(package)))
}

/// Not a test, an example or a document.
fn is_own(file: &str) -> bool {
    let other = |part: &str| ["tests", "test", "examples", "docs", "scripts", "migrations"].contains(&part);
    !file.split('/').any(|part| other(part) || part.starts_with("test_"))
}

/// `src/app/main.py` as `app.main`; None when it cannot be imported.
fn module(file: &str) -> Option<String> {
    let path = file.strip_prefix("src/").unwrap_or(file).strip_suffix(".py")?;
    let path = path.strip_suffix("/__init__").or(path.strip_suffix("/__main__")).unwrap_or(path);
    path.split('/').all(is_identifier).then(|| path.replace('/', "."))
}

fn is_identifier(text: &str) -> bool {
    text.len() <= 60
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
