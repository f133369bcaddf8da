//! Runs checks, and prints the record of the run as JSON: `run_checks SLOTS LOGS < LIST`. What `bench/checks` measures.
//!
//! A line of the list is a name, the names that it needs with commas between them or `-`, and a command for the shell.

use cutover_checks::run::{Job, Judge, Judged, Observer, Settings, run};
use cutover_core::check::run::CheckRun;
use cutover_core::config::CommandLine;
use cutover_core::mask::Masker;
use cutover_core::target::Cancel;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Hears all, says nothing, and has no reports to judge.
struct Silent;

impl Observer for Silent {
    fn started(&self, _check: &str) {}
    fn attempt(&self, _check: &str, _number: u32) {}
    fn output(&self, _check: &str, _line: &str) {}
    fn ended(&self, _check: &CheckRun) {}
}

impl Judge for Silent {
    fn prepare(&self, _check: &str) -> Result<(), String> {
        Ok(())
    }
    fn judge(&self, _check: &str) -> Judged {
        Judged::default()
    }
}

fn job(line: &str) -> Result<Job, Box<dyn Error>> {
    let mut words = line.splitn(3, ' ');
    let (Some(name), Some(needs), Some(command)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("{line:?} is no name, needs and command").into());
    };
    Ok(Job {
        name: name.to_owned(),
        needs: needs.split(',').filter(|need| *need != "-").map(str::to_owned).collect(),
        command: CommandLine::Shell(command.to_owned()),
        directory: PathBuf::from("."),
        variables: BTreeMap::new(),
        timeout: Duration::from_secs(600),
        retries: 0,
        skip: None,
        expected: None,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [slots, logs] = arguments.as_slice() else { return Err("run_checks SLOTS LOGS < LIST".into()) };
    let jobs = std::io::stdin().lines().map(|line| job(&line?)).collect::<Result<Vec<Job>, _>>()?;
    let settings =
        Settings { concurrency: slots.parse()?, fail_fast: false, log_dir: logs.into(), masker: Masker::new([]) };
    println!("{}", serde_json::to_string(&run(&jobs, &settings, &Silent, &Silent, &Cancel::new())?)?);
    Ok(())
}
