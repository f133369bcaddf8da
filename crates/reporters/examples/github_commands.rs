//! Writes what a runner of GitHub Actions is told of checks whose words are hostile: `tools/github/make` compares it with
//! what GitHub's own library writes.
//!
//! Standard input: a JSON list of texts. Standard output: for each of them `{"text", "lines", "outputs", "summary"}` of a
//! run in which a case of that name failed with that message in that file.

use cutover_core::check::run::{Attempt, CheckRun, Exit, Run};
use cutover_core::check::{CaseCounts, CaseFailure, CaseOutcome, Cases, Gate, Judgement, Kept, Report, Verdict};
use cutover_reporters::checks::github::{annotations, outputs, summary};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let texts: Vec<String> = serde_json::from_reader(std::io::stdin())?;
    let told: Vec<Value> = texts.iter().map(|text| told(text)).collect();
    println!("{}", Value::from(told));
    Ok(())
}

fn told(text: &str) -> Value {
    let failure = CaseFailure {
        suite: "shop".to_owned(),
        name: text.to_owned(),
        file: Some(text.to_owned()),
        line: Some(7),
        outcome: CaseOutcome::Failed,
        message: text.to_owned(),
        seconds: None,
    };
    let counts = CaseCounts { failed: 1, ..CaseCounts::default() };
    let cases = Cases { counts, failures: Kept { items: vec![failure], left_out_count: 0 }, ..Cases::default() };
    let judgement = Judgement { gate: Gate::TestsPass, verdict: Verdict::Failed, words: text.to_owned() };
    let attempt = Attempt { started_at: Timestamp::UNIX_EPOCH, seconds: 1.5, exit: Exit::Code(0) };
    let check = CheckRun {
        attempts: vec![attempt],
        judgements: vec![judgement],
        report: Some(Report { cases: Some(cases), ..Report::default() }),
        ..CheckRun::queued(text)
    };
    let run = Run::new(Timestamp::UNIX_EPOCH, 3.25, vec![check.judged()]);
    json!({ "text": text, "lines": annotations(&run), "outputs": outputs(&run), "summary": summary(&run) })
}
