//! Checks that run in a job of GitHub Actions: their results are shown where people look there.

use crate::output::Output;
use cutover_core::check::run::Run;
use cutover_reporters::checks::github::{annotations, outputs, silenced, summary};
use std::fs::OpenOptions;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;

/// A step of such a job.
pub(crate) struct Actions {
    silence: [String; 2],
}

impl Actions {
    /// The step that this process runs in; None elsewhere.
    pub(crate) fn here() -> Option<Self> {
        let is_here = std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true");
        // Keyed anew by the system each time, so that no check can know it.
        let token = || format!("{:016x}", RandomState::new().build_hasher().finish());
        is_here.then(|| Self { silence: silenced(&format!("cutover-{}{}", token(), token())) })
    }

    /// From here on nothing that is printed is a command to the runner.
    pub(crate) fn begin(&self, output: &Output) {
        print(output, &[self.silence[0].clone()]);
    }

    /// The checks are over, and all that they said was told; None where they could not begin. What a check run marks in the
    /// code is not marked a second time.
    pub(crate) fn end(&self, output: &Output, run: Option<&Run>, is_marked: bool) {
        print(output, &[self.silence[1].clone()]);
        let Some(run) = run else { return };
        if !is_marked {
            print(output, &annotations(run));
        }
        append(output, "GITHUB_STEP_SUMMARY", &summary(run));
        append(output, "GITHUB_OUTPUT", &outputs(run));
    }
}

/// Runners read both; where machines read the standard output, it is theirs alone. What cannot be told stops nothing.
fn print(output: &Output, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let _told = output.aside(&text);
}

fn append(output: &Output, variable: &str, text: &str) {
    let Some(file) = std::env::var_os(variable).filter(|file| !file.is_empty()).map(PathBuf::from) else { return };
    let append =
        || -> io::Result<()> { OpenOptions::new().append(true).create(true).open(&file)?.write_all(text.as_bytes()) };
    if let Err(error) = append() {
        output.warn(&format!("{variable} cannot be written: {error}"));
    }
}
