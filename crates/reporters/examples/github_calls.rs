//! Makes every call that Cutover makes to GitHub, against a server that validates them: `tools/github/make` runs it.
//!
//! `GITHUB_API_URL` says where the server is. Its answers are made up, so that only whether it takes a call is of interest;
//! the first one that it does not take ends this with its fault.

use cutover_core::check::run::{Attempt, CheckRun, Exit, Run};
use cutover_core::check::{
    CaseCounts, CaseFailure, CaseOutcome, Cases, Counted, Gate, Judgement, Kept, Report, Verdict,
};
use cutover_core::secret::Secret;
use cutover_reporters::github::check_run::{self, Told};
use cutover_reporters::github::comment::{self, Place, Section};
use cutover_reporters::github::deployment::{self, State, Wish};
use cutover_reporters::github::release::Attachment;
use cutover_reporters::github::{
    Access, Client, CommitId, Fault, Patience, RealPace, Source, assets, login, pull, release, ruleset, settings,
    status, tag,
};
use jiff::Timestamp;
use std::error::Error;
use std::io::{self, Read};
use ureq::tls::RootCerts;

const URL: &str = "https://github.com/shop/app/actions/runs/1";

fn main() -> Result<(), Box<dyn Error>> {
    let access = Access {
        api: std::env::var("GITHUB_API_URL")?,
        token: Secret::new("a token that no one knows"),
        login: None,
        repository: "shop/app".parse()?,
        certs: RootCerts::WebPki,
    };
    let client = Client::new(access, Box::new(RealPace), Patience::default())?;
    let commit: CommitId = "c".repeat(40).parse()?;
    for failure_count in [0, 1, 120, 600] {
        checks(&client, &commit, &run(failure_count))?;
    }
    for id in ["one", "two"] {
        deployments(&client, &commit, id)?;
    }
    for owner in ["stranger", "ä&b"] {
        pull::with_head(&client, owner, "feature/#1?x=y", &commit)?;
    }
    pull::head(&client, 7)?;
    pull::merged_as(&client, &commit)?;
    releases(&client, &commit)?;
    store(&client)?;
    settings(&client)?;
    let survived = client.survived();
    println!("{} requests, {} of them in trouble", survived.request_count, survived.trouble_count);
    Ok(())
}

fn checks(client: &Client, commit: &CommitId, run: &Run) -> Result<(), Fault> {
    for state in [status::State::Pending, status::State::Success, status::State::Failure, status::State::Error] {
        status::write(client, commit, "cutover: shop", state, &"ä".repeat(200), URL)?;
    }
    let id = check_run::begin(client, commit, "cutover: shop (a, b)", "key", URL)?;
    match check_run::complete(client, &id, &Told::new(run, "")) {
        // An answer that is made up does not say that it was heard.
        Ok(()) | Err(Fault::Unheard { .. }) => {}
        Err(fault) => return Err(fault),
    }
    check_run::lines_of(client, commit, "cutover: shop")?;
    let login = login(client)?;
    // The comment that such a server lists is by its author, and is changed; whoever is nobody makes one.
    for login in [login.as_str(), "octocat", "nobody"] {
        let place = Place { pull: 7, project: "shop", login };
        comment::keep(client, place, &Section::checks("", run, "", commit, URL))?;
    }
    Ok(())
}

fn settings(client: &Client) -> Result<(), Fault> {
    settings::repository(client)?;
    settings::actions(client)?;
    settings::jobs_may_write(client)?;
    settings::environment(client, "pr-12 & more")?;
    settings::branch_patterns(client, "production")?;
    settings::secrets(client, None)?;
    settings::secrets(client, Some("production"))?;
    settings::organization_secrets(client)?;
    settings::branch_checks(client, "feature/#1?x=y")?;
    settings::rules(client, "feature/#1?x=y")?;
    settings::file(client, "README.md")?;
    for (name, checks) in [("cutover: shop", &["checks"][..]), ("super cool ruleset", &[])] {
        let wish = ruleset::Wish { name, branch: "main", checks, approval_count: 1, up_to_date: true };
        let found = ruleset::find(client, &wish)?;
        ruleset::set(client, &wish, found.as_ref())?;
        ruleset::name(client, 42)?;
    }
    Ok(())
}

fn releases(client: &Client, commit: &CommitId) -> Result<(), Box<dyn Error>> {
    let wish = release::Wish { tag: "v1.0.0", project: "shop", title: "shop 1.0.0", body: "new", is_prerelease: false };
    tag::make(client, wish.tag, commit, "shop 1.0.0")?;
    tag::make(client, "shop/v1.0.0", commit, "shop 1.0.0")?;
    release::find(client, &wish)?;
    let release = release::draft(client, &wish)?;
    // As large as the example that is the answer says.
    let (file, bytes) = (std::env::temp_dir().join(format!("cutover-calls-{}", std::process::id())), 1024);
    std::fs::write(&file, vec![b'x'; bytes])?;
    // Named as the example as well, of which half is there.
    release::attach(client, &release, &Attachment { name: "example.zip", file: &file, bytes: bytes as u64 })?;
    std::fs::remove_file(&file)?;
    release::publish(client, &wish, &release)?;
    Ok(())
}

/// Bytes that are named, in the files of a release.
struct Named(Vec<u8>);

impl Source for Named {
    fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(&self.0[..]))
    }
}

fn store(client: &Client) -> Result<(), Box<dyn Error>> {
    let tag = "cutover-artifacts";
    // Such a server has none at first.
    if assets::look(client, tag)?.is_some() {
        return Err("it is there before it is made".into());
    }
    let release = assets::make(client, tag, "Artifacts", "for machines")?;
    let found = assets::look(client, tag)?.ok_or("there is none")?;
    // The example that is the answer has a name and a size of its own.
    assets::add(client, tag, &release, "example.zip", &mut Named(vec![b'x'; 1024]), None)?;
    let asset = found.assets.first().ok_or("it has no files")?;
    // Nor does it have the bytes.
    match assets::fetch(client, asset, &mut Vec::new()) {
        Ok(_) | Err(Fault::Unheard { .. }) => {}
        Err(fault) => return Err(fault.into()),
    }
    assets::remove(client, asset)?;
    Ok(())
}

fn deployments(client: &Client, commit: &CommitId, id: &str) -> Result<(), Fault> {
    let wish = Wish { commit, environment: "pr-12 & more", project: "shop", id, description: &"long ".repeat(100) };
    for is_resumed in [false, true] {
        let number = deployment::begin(client, &wish, is_resumed)?;
        for state in [State::InProgress, State::Success, State::Failure, State::Error, State::Inactive] {
            deployment::tell(client, number, state, &"long ".repeat(100), URL, Some("https://shop.example"))?;
            deployment::tell(client, number, state, "", URL, None)?;
        }
        deployment::deactivate_predecessors(client, &wish, number, URL)?;
    }
    Ok(())
}

/// A run of which so many cases failed.
fn run(failure_count: u32) -> Run {
    let failure = |number| CaseFailure {
        suite: "shop".to_owned(),
        name: format!("case {number} \u{1f600}"),
        file: Some("tests/shop.py".to_owned()),
        line: (number % 2 == 0).then_some(number),
        outcome: CaseOutcome::Failed,
        message: "assert 1 == 2\n".repeat(50),
        seconds: None,
    };
    let failures = Kept { items: (0..failure_count).map(failure).collect(), left_out_count: 0 };
    let counts = CaseCounts { passed: 3, failed: failure_count.into(), ..CaseCounts::default() };
    let cases = Cases { counts, failures, ..Cases::default() };
    let verdict = if failure_count == 0 { Verdict::Passed } else { Verdict::Failed };
    let judgement = Judgement { gate: Gate::TestsPass, verdict, words: "tests must pass".to_owned() };
    let attempt = Attempt { started_at: Timestamp::UNIX_EPOCH, seconds: 1.5, exit: Exit::Code(0) };
    let check = CheckRun {
        attempts: vec![attempt],
        judgements: vec![judgement],
        report: Some(Report { cases: Some(cases), ..Report::default() }),
        ..CheckRun::queued("unit")
    };
    let mut run = Run::new(Timestamp::UNIX_EPOCH, 3.25, vec![check.judged()]);
    run.totals.lines = Some(Counted { covered: 832, total: 1_000 });
    run
}
