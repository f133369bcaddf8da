//! The sample service's three versions, made from the files of `examples/greeter`.

/// A file of the repository.
pub(super) struct SampleFile {
    /// Its path in the repository.
    pub(super) path: &'static str,
    /// What is in it.
    pub(super) content: &'static [u8],
}

/// Embeds files of the example.
macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        &[$(SampleFile { path: $path, content: include_bytes!(concat!("../../../../examples/greeter/", $path)) }),+]
    };
}

/// Everything that the example has.
pub(super) const FILES: &[SampleFile] = files![
    ".gitignore",
    "README.md",
    "cutover.toml",
    "greeter/__init__.py",
    "greeter/__main__.py",
    "greeter/server.py",
    "phrasebook/build_wheel.py",
    "phrasebook/src/phrasebook/__init__.py",
    "requirements.txt",
    "tests/test_server.py",
    "tests/test_wheel.py",
    "wheels/phrasebook-1.0-py3-none-any.whl",
];

/// One change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// The file.
    pub(super) path: &'static str,
    /// What stands there exactly once.
    pub(super) from: String,
    /// What shall stand there instead.
    pub(super) to: String,
}

impl Edit {
    pub(super) fn new(path: &'static str, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { path, from: from.into(), to: to.into() }
    }

    /// The text with the change made. None when what it changes does not stand there exactly once.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        (text.matches(&self.from).count() == 1).then(|| text.replace(&self.from, &self.to))
    }
}

/// One version of the service.
pub(super) struct Version {
    /// What `/health` tells.
    pub(super) number: &'static str,
    /// The commit's message.
    pub(super) subject: &'static str,
    /// What `/` says when it is live.
    pub(super) greeting: &'static str,
    /// Whether it can start.
    pub(super) is_sound: bool,
}

/// The three versions.
pub(super) const VERSIONS: [Version; 3] = [
    Version { number: "1", subject: "Greet the world", greeting: "Hello, world!", is_sound: true },
    Version { number: "2", subject: "Greet more warmly", greeting: "Good day, world!", is_sound: true },
    Version { number: "3", subject: "Greet in style", greeting: "Howdy, world!", is_sound: false },
];

const CONFIG: &str = "cutover.toml";
const VERSION: &str = "greeter/__init__.py";
const SERVER: &str = "greeter/server.py";

/// What makes a version from the one before it. The first one is the example itself.
pub(super) fn edits(number: &str) -> Vec<Edit> {
    match number {
        "2" => vec![
            Edit::new(VERSION, "VERSION = \"1\"", "VERSION = \"2\""),
            Edit::new(CONFIG, "GREETING = \"Hello\"", "GREETING = \"Good day\""),
        ],
        "3" => vec![
            Edit::new(VERSION, "VERSION = \"2\"", "VERSION = \"3\""),
            Edit::new(CONFIG, "GREETING = \"Good day\"", "GREETING = \"Howdy\""),
            // A mistake as it happens: it works where the variable is set, and nobody set it here.
            Edit::new(
                SERVER,
                "    server = Server(*settings(os.environ))\n",
                "    style = os.environ[\"GREETING_STYLE\"]\n    print(f\"greeter: style is {style}\")\n    server = Server(*settings(os.environ))\n",
            ),
        ],
        _ => Vec::new(),
    }
}

/// What fits the example's config to this machine.
pub(super) fn fit(deploy_to: &str, port: u16, has_venv: bool) -> Vec<Edit> {
    let mut edits = vec![
        Edit::new(CONFIG, "deploy_to = \"/opt/greeter\"", format!("deploy_to = {deploy_to:?}")),
        Edit::new(CONFIG, "127.0.0.1:8000", format!("127.0.0.1:{port}")),
        Edit::new(CONFIG, "PORT = \"8000\"", format!("PORT = \"{port}\"")),
    ];
    if !has_venv {
        edits.extend(without_venv());
    }
    edits
}

/// A wheel of pure Python can be imported as it lies there, so the service runs without a virtual environment too.
fn without_venv() -> Vec<Edit> {
    vec![
        Edit::new(CONFIG, "requirements = \"requirements.txt\"\n", ""),
        Edit::new(CONFIG, "wheels = \"wheels\"\n", ""),
        Edit::new(CONFIG, "command = [\".venv/bin/python\", ", "command = [\"python3\", "),
        Edit::new(CONFIG, "env = { ", "env = { PYTHONPATH = \"wheels/phrasebook-1.0-py3-none-any.whl\", "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::config::Config;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn example() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/greeter")
    }

    #[test]
    fn every_file_of_the_example_is_there() {
        let mut found = Vec::new();
        let mut todo = vec![example()];
        while let Some(dir) = todo.pop() {
            for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if path.ends_with("__pycache__") {
                } else if path.is_dir() {
                    todo.push(path);
                } else {
                    found.push(path.strip_prefix(example()).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        let mut listed: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        listed.sort_unstable();
        assert_eq!(found, listed);
    }

    fn texts() -> BTreeMap<&'static str, String> {
        let text = |file: &SampleFile| Some((file.path, String::from_utf8(file.content.to_vec()).ok()?));
        FILES.iter().filter_map(text).collect()
    }

    fn apply(texts: &mut BTreeMap<&'static str, String>, edits: &[Edit]) {
        for edit in edits {
            let text = edit.apply(&texts[edit.path]).unwrap_or_else(|| panic!("{edit:?}"));
            texts.insert(edit.path, text);
        }
    }

    #[test]
    fn every_version_can_be_made_and_its_config_is_sound() {
        for has_venv in [true, false] {
            let mut texts = texts();
            apply(&mut texts, &fit("/srv/demo/site", 4711, has_venv));
            for version in &VERSIONS {
                apply(&mut texts, &edits(version.number));

                let config = Config::parse(&texts[CONFIG]).unwrap();
                let environment = config.environments.values().next().unwrap();
                assert_eq!(environment.env["PORT"], "4711");
                let word = version.greeting.strip_suffix(", world!").unwrap();
                assert_eq!(environment.env["GREETING"], word);
                assert!(texts[VERSION].contains(&format!("VERSION = {:?}", version.number)));
            }
        }
    }

    #[test]
    fn an_edit_that_does_not_fit_is_not_made() {
        let edit = Edit::new(CONFIG, "a", "b");
        assert_eq!(edit.apply("xax").as_deref(), Some("xbx"));
        assert_eq!(edit.apply("aa"), None);
        assert_eq!(edit.apply("x"), None);
    }
}
