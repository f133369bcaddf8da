//! Made-up secrets, the forms in which they may turn up, and the search for them.

use crate::bed::random;
use crate::eyes::{environment, files, pids, processes_of};
use crate::ran::Ran;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A secret that exists nowhere else.
#[derive(Debug, Clone)]
pub(crate) struct Sentinel {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

impl Sentinel {
    /// Letters and digits.
    pub(crate) fn plain(name: &'static str) -> Self {
        Self { name, value: format!("p{:016x}{:016x}", random(), random()) }
    }

    /// With everything that quoting and escaping stumbles over.
    pub(crate) fn awkward(name: &'static str) -> Self {
        Self { name, value: format!("a'{:08x}\"\\{:08x}$HOME `é` <&> {:08x}/+=%41", random(), random(), random()) }
    }

    /// Several lines, each of them secret.
    pub(crate) fn lines(name: &'static str) -> Self {
        let lines = (0..4).map(|_| format!("{:016x}{:016x}{:016x}", random(), random(), random()));
        let value = format!("-----BEGIN KEY-----\n{}\n-----END KEY-----", lines.collect::<Vec<_>>().join("\n"));
        Self { name, value }
    }

    /// Every form that must be found nowhere, as bytes.
    fn forms(&self) -> Vec<Vec<u8>> {
        let mut texts: Vec<String> = vec![self.value.clone()];
        texts.extend(self.value.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        let mut forms = Vec::new();
        for text in texts {
            forms.extend([json(&text), percent(&text, true), percent(&text, false), text.replace('\'', "'\\''")]);
            forms.extend([base64(&text, b"+/"), base64(&text, b"-_"), backslashes(&text), text]);
        }
        forms.retain(|form| form.len() >= 8);
        forms.into_iter().map(String::into_bytes).collect()
    }
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As Python's `repr` and a shell's trace write it.
fn backslashes(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n")
}

fn percent(text: &str, upper: bool) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
        byte if upper => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    text.bytes().map(encode).collect()
}

/// Base64 without padding and without what depends on the text behind it.
fn base64(text: &str, last: &[u8; 2]) -> String {
    let digit = |value: u32| match u8::try_from(value & 63).unwrap() {
        value @ 0..26 => char::from(b'A' + value),
        value @ 26..52 => char::from(b'a' + value - 26),
        value @ 52..62 => char::from(b'0' + value - 52),
        value => char::from(last[usize::from(value - 62)]),
    };
    let group = |bytes: &[u8]| {
        let bits = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
        [18, 12, 6, 0].map(|shift| digit(bits >> shift))
    };
    text.as_bytes().chunks_exact(3).flat_map(group).collect()
}

/// All sentinels of a test.
#[derive(Debug, Clone)]
pub(crate) struct Sentinels {
    pub(crate) all: Vec<Sentinel>,
    forms: Vec<(String, Vec<u8>)>,
}

impl Sentinels {
    pub(crate) fn new(all: Vec<Sentinel>) -> Self {
        let named = |sentinel: &Sentinel| {
            sentinel.forms().into_iter().map(|form| (sentinel.name.to_owned(), form)).collect::<Vec<_>>()
        };
        let forms = all.iter().flat_map(named).collect();
        Self { all, forms }
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        &self.all.iter().find(|sentinel| sentinel.name == name).unwrap().value
    }

    /// Which of them stand in these bytes, with the form in which they do.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let is_there = |(_, form): &&(String, Vec<u8>)| find(bytes, form);
        self.forms
            .iter()
            .filter(is_there)
            .map(|(name, form)| format!("{name} as {}", String::from_utf8_lossy(form)))
            .collect()
    }

    /// Fails the test when something that was said holds any of them.
    #[track_caller]
    pub(crate) fn assert_unsaid(&self, what: &str, ran: &Ran) {
        let found = self.found_in(ran.told().as_bytes());
        assert!(found.is_empty(), "{what} says {found:?}:\n{}", ran.told());
    }

    /// Files that hold any of them, with what was found in each.
    pub(crate) fn files_with(&self, directory: &Path) -> Vec<(PathBuf, Vec<String>)> {
        let regular =
            files(directory).into_iter().filter(|path| fs::symlink_metadata(path).is_ok_and(|file| file.is_file()));
        let searched = regular.map(|path| {
            let mut found = self.found_in(&fs::read(&path).unwrap_or_default());
            found.extend(self.found_in(path.as_os_str().as_encoded_bytes()));
            (path, found)
        });
        searched.filter(|(_, found)| !found.is_empty()).collect()
    }

    /// Processes of this directory's world whose environment holds any of them.
    pub(crate) fn in_environments(&self, directory: &Path) -> Vec<u32> {
        let holds = |pid: &u32| !self.found_in(&environment(*pid)).is_empty();
        processes_of(directory).into_iter().filter(holds).collect()
    }

    /// Command lines on this machine that hold any of them.
    pub(crate) fn in_command_lines(&self) -> Vec<String> {
        let holds = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let found = self.found_in(&line);
            (!found.is_empty()).then(|| format!("{pid}: {}: {found:?}", String::from_utf8_lossy(&line)))
        };
        pids().into_iter().filter_map(holds).collect()
    }
}

/// Whether it stands anywhere in there. Faster than comparing every window: most first bytes differ.
fn find(bytes: &[u8], form: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == form[0]) {
        if rest[at..].starts_with(form) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
