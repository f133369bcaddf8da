//! Telling how checks go while they run.

use super::words;
use crate::output::Output;
use cutover_checks::run::Observer;
use cutover_core::check::run::CheckRun;
use cutover_core::config::CommandLine;
use cutover_reporters::checks::words::{ended, ordinal};
use cutover_reporters::{log_text, one_line};
use std::collections::BTreeMap;

/// Tells each line as it comes, with the check's name in front. Where machines read the standard output, it is told on the
/// standard error.
pub(crate) struct Teller<'a> {
    output: &'a Output,
    commands: BTreeMap<&'a str, &'a CommandLine>,
    width: usize,
}

impl<'a> Teller<'a> {
    /// Tells of these checks.
    pub(crate) fn new(output: &'a Output, commands: BTreeMap<&'a str, &'a CommandLine>) -> Self {
        let width = commands.keys().map(|name| name.len()).max().unwrap_or_default();
        Self { output, commands, width }
    }

    fn line(&self, check: &str, text: &str) {
        let line = format!("{check:width$} | {text}\n", width = self.width);
        // Who does not want to hear it any more does not stop what runs.
        let _told = self.output.aside(&line);
    }
}

impl Observer for Teller<'_> {
    fn started(&self, check: &str) {
        if let Some(command) = self.commands.get(check) {
            self.line(check, &format!("$ {}", words::command(command)));
        }
    }

    fn attempt(&self, check: &str, number: u32) {
        if number > 1 {
            self.line(check, &format!("↻ again, for the {} time", ordinal(number)));
        }
    }

    fn output(&self, check: &str, line: &str) {
        self.line(check, &log_text(line));
    }

    fn ended(&self, check: &CheckRun) {
        self.line(&check.name, &one_line(&ended(check)));
    }
}
