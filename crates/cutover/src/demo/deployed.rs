//! A deployment as a person would begin it: the command line, in a process of its own.

use super::folder::failed;
use crate::error::{CommandError, ErrorKind};
use cutover_core::target::tail;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How much of what an unexpected deployment said is told, in bytes.
const SAID_BYTES_MAX: usize = 2_000;

/// What `cutover deploy local --json` told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Deployed {
    /// Its exit code; None when a signal ended it.
    pub(super) exit_code: Option<i32>,
    /// Which deployment it was.
    pub(super) id: String,
    /// The names of the steps that were begun, in order.
    pub(super) steps: Vec<String>,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// The step that failed, what it said, and the last line of the log that came with it.
    pub(super) failure: Option<(String, String, String)>,
    /// What it said to people.
    said: String,
}

/// Deploys the repository's last commit with this very program.
pub(super) fn deploy(repository: &Path) -> Result<Deployed, CommandError> {
    let program = std::env::current_exe().map_err(|error| failed("find", Path::new("cutover"), &error))?;
    let mut command = Command::new(&program);
    command.current_dir(repository).args(["deploy", "local", "--json", "--reason", "cutover demo"]);
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed("run", &program, &error))?;
    let mut deployed = Deployed { exit_code: output.status.code(), ..Deployed::default() };
    deployed.said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|event| deployed.hear(&event));
    Ok(deployed)
}

impl Deployed {
    /// Takes one line of what it told.
    fn hear(&mut self, event: &Value) {
        match event["event"].as_str() {
            Some("began") => self.began(&event["plan"]),
            Some("recorded") => self.recorded(&event["entry"]),
            Some("ended") => self.elapsed = Duration::from_millis(event["elapsed_ms"].as_u64().unwrap_or_default()),
            Some(_) | None => self.said.push_str(event["error"]["message"].as_str().unwrap_or_default()),
        }
    }

    fn began(&mut self, plan: &Value) {
        self.id = text(&plan["deployment"]);
        self.steps = plan["steps"].as_array().into_iter().flatten().map(|step| text(&step["name"])).collect();
    }

    fn recorded(&mut self, entry: &Value) {
        let failure = &entry["failed"];
        if let (None, Some(step)) = (&self.failure, failure["step"].as_u64()) {
            let name = usize::try_from(step).ok().and_then(|at| self.steps.get(at)).cloned().unwrap_or_default();
            let excerpt = failure["error"]["excerpt"].as_str().unwrap_or_default();
            let last = excerpt.lines().rfind(|line| line.contains("Error")).unwrap_or_default();
            self.failure = Some((name, text(&failure["error"]["message"]), last.trim().to_owned()));
        }
    }

    /// Fails when the exit code is not this one.
    pub(super) fn expect(&self, exit_code: i32, version: &str) -> Result<(), CommandError> {
        if self.exit_code == Some(exit_code) {
            return Ok(());
        }
        let ended = self
            .exit_code
            .map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with exit code {code}"));
        let why = self.failure.as_ref().map_or(self.said.as_str(), |(_, message, _)| message);
        Err(CommandError::new(
            ErrorKind::Failed,
            format!("the deployment of version {version} {ended}; {exit_code} was expected"),
        )
        .excerpt(tail(why, SAID_BYTES_MAX)))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_deployment_told_is_understood() {
        let mut deployed = Deployed::default();
        let steps = json!([{ "name": "switch" }, { "name": "verify" }]);
        let excerpt = "Traceback\nKeyError: 'STYLE'\nstarted again\n";
        for event in [
            json!({ "event": "began", "plan": { "deployment": "d1", "steps": steps } }),
            json!({ "event": "recorded", "seq": 1, "entry": { "applied": { "step": 0 } } }),
            json!({ "event": "recorded", "seq": 2, "entry": { "failed": { "step": 1, "error": { "message": "crash", "excerpt": excerpt } } } }),
            json!({ "event": "recorded", "seq": 3, "entry": { "restored": { "step": 1, "note": "" } } }),
            json!({ "event": "ended", "outcome": "rolled_back", "elapsed_ms": 1500 }),
        ] {
            deployed.hear(&event);
        }

        assert_eq!(deployed.id, "d1");
        assert_eq!(deployed.steps, ["switch", "verify"]);
        assert_eq!(deployed.failure, Some(("verify".to_owned(), "crash".to_owned(), "KeyError: 'STYLE'".to_owned())));
        assert_eq!(deployed.elapsed, Duration::from_millis(1500));
    }

    #[test]
    fn an_unexpected_end_is_an_error_that_says_why() {
        let mut deployed = Deployed { exit_code: Some(1), ..Deployed::default() };
        deployed.hear(&json!({ "v": 1, "exit_code": 1, "error": { "message": "no room" } }));

        assert!(deployed.expect(1, "1").is_ok());
        assert!(format!("{:?}", deployed.expect(0, "1").unwrap_err()).contains("no room"));
    }
}
