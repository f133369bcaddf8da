//! What must hold at once after a kill, and what must hold after the recovery.

use crate::picture::Picture;
use crate::processes;
use crate::run::Ran;
use crate::scenario::{Allowed, Stage};
use crate::service;
use crate::world::{ENVIRONMENT, VERSIONS, World};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What must hold at every moment, also while nobody has recovered anything: what is live stays live.
pub(crate) fn at_once(stage: &Stage) -> Vec<String> {
    let srv = stage.world.srv();
    let [original, _] = &stage.ends;
    let mut faults = dangling(&srv, original.get("current").is_some());
    faults.extend(foreign_env(stage, &Picture::of(&srv)));
    faults
}

/// Where the world came to rest, or what is wrong with it.
pub(crate) fn after_recovery<'a>(
    stage: &Stage,
    allowed: &'a [Allowed; 2],
    recovered: &Ran,
) -> Result<&'a Allowed, Vec<String>> {
    let (world, srv) = (&stage.world, stage.world.srv());
    let mut faults = Vec::new();
    if !matches!(recovered.code, Some(0 | 1 | 3)) {
        faults.push(format!("the recovery {recovered}"));
    }
    let picture = Picture::of(&srv);
    let found = allowed.iter().find(|allowed| allowed.recovered == picture);
    if found.is_none() {
        let differences = allowed.iter().map(|allowed| (allowed.which, picture.difference(&allowed.recovered)));
        let nearest = differences.min_by_key(|(_, difference)| difference.len());
        let (which, difference) = nearest.unwrap_or_default();
        faults.push(format!("neither original nor target; from {which} it differs by\n{}", difference.concat()));
    }
    faults.extend(foreign_env(stage, &picture));
    faults.extend(at_rest(world));
    faults.extend(untrue(world).unwrap_or_else(|error| vec![error]));
    faults.extend(service::faults(world));
    if !faults.is_empty() {
        faults.push(format!("the recovery {recovered}"));
    }
    match found {
        Some(allowed) if faults.is_empty() => Ok(allowed),
        Some(_) | None => Err(faults),
    }
}

/// What is wrong when one deployment more is made.
pub(crate) fn after_following(stage: &Stage, allowed: &Allowed) -> Vec<String> {
    let ran = stage.world.deploy("v3");
    if ran.code != Some(0) {
        return vec![format!("the following deployment {ran}")];
    }
    let picture = Picture::of(&stage.world.srv());
    let mut faults = at_rest(&stage.world);
    if picture != allowed.followed {
        faults.push(format!("after the following deployment:\n{}", picture.difference(&allowed.followed).concat()));
    }
    faults
}

/// `current` must lead to a whole release; it may be missing where nothing was live.
fn dangling(srv: &Path, needed: bool) -> Vec<String> {
    let current = srv.join("current");
    match fs::read_link(&current) {
        Err(_) if !needed => Vec::new(),
        Err(error) => vec![format!("current: {error}")],
        Ok(_) if current.join("release.json").is_file() && current.join("VERSION").is_file() => Vec::new(),
        Ok(target) => vec![format!("current leads to {}, which is no whole release", target.display())],
    }
}

/// Env files that are not one version's, whole, or that others may read.
fn foreign_env(stage: &Stage, picture: &Picture) -> Vec<String> {
    let known: Vec<&str> = stage.ends.iter().flat_map(Picture::env_files).map(|(_, what)| what).collect();
    let as_of = |what: &str| {
        VERSIONS
            .iter()
            .fold(what.to_owned(), |text, version| text.replace(&format!("from {version}"), "from a version"))
    };
    let is_known = |what: &str| what.starts_with("file 600 ") && known.iter().any(|one| as_of(one) == as_of(what));
    let foreign = picture.env_files().filter(|(_, what)| !is_known(what));
    foreign.map(|(path, what)| format!("{path} is foreign: {what}")).collect()
}

/// What is left half-way: locks, journals, processes, files under a name for the time being.
fn at_rest(world: &World) -> Vec<String> {
    let srv = world.srv();
    let mut faults = dangling(&srv, false);
    match world.ask(&["lock", ENVIRONMENT, "status", "--json"]) {
        Ok(lock) if lock["deployment"].is_null() && lock["queue"] == Value::Array(Vec::new()) => {}
        Ok(lock) => faults.push(format!("locked: {lock}")),
        Err(error) => faults.push(error),
    }
    let mut paths = Vec::new();
    all_paths(&srv, &mut paths);
    faults.extend(paths.iter().filter(|path| is_passing(path)).map(|path| format!("left behind: {}", path.display())));
    faults.extend(open_env_copies(&srv));
    let expected = |process: &processes::Process| world.port().is_some() && service::is_service(process);
    faults.extend(
        processes::left_over(&world.root(), expected).iter().map(|process| format!("left running: {process:?}")),
    );
    faults
}

fn all_paths(directory: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(listing) = fs::read_dir(directory) else { return };
    for path in listing.filter_map(|entry| Some(entry.ok()?.path())) {
        if fs::symlink_metadata(&path).is_ok_and(|data| data.is_dir()) {
            all_paths(&path, paths);
        }
        paths.push(path);
    }
}

/// Whether a path is one that nothing should have once everything is done.
fn is_passing(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let inside = |directory: &str| path.parent().is_some_and(|parent| parent.ends_with(directory));
    name.ends_with(".partial")
        || name.ends_with(".staged")
        || name.contains(".cutover-tmp-")
        || inside(".cutover/journal/open")
        || inside(".cutover/queue")
}

/// Copies of env files that others may read, or of releases that are gone.
fn open_env_copies(srv: &Path) -> Vec<String> {
    let Ok(listing) = fs::read_dir(srv.join(".cutover/env")) else { return Vec::new() };
    let entries = listing.filter_map(Result::ok);
    let faulty = entries.filter_map(|entry| {
        let mode = entry.metadata().ok()?.permissions().mode() & 0o777;
        let has_release = srv.join("releases").join(entry.file_name()).exists();
        (mode != 0o600 || !has_release)
            .then(|| format!("env copy {}: mode {mode:o}, its release is there: {has_release}", entry.path().display()))
    });
    faulty.collect()
}

/// What `status`, `releases` and `history` say that is not so.
fn untrue(world: &World) -> Result<Vec<String>, String> {
    let srv = world.srv();
    let mut faults = Vec::new();
    let status = world.ask(&["status", ENVIRONMENT, "--json"])?;
    let told = &status["environments"][0]["targets"][0];
    let live =
        fs::read_link(srv.join("current")).ok().and_then(|target| Some(target.file_name()?.to_str()?.to_owned()));
    if told["release"]["id"].as_str() != live.as_deref()
        || told["unfinished"] != Value::Array(Vec::new())
        || !told["lock"].is_null()
    {
        faults.push(format!("status does not tell that {live:?} is live: {told}"));
    }
    if live.is_some() && told["release"]["state"] != "good" {
        faults.push(format!("the live release is not good: {told}"));
    }
    let history = world.ask(&["history", ENVIRONMENT, "--json"])?;
    let deployments = history["deployments"].as_array().cloned().unwrap_or_default();
    let journals = fs::read_dir(srv.join(".cutover/journal/done")).map_or(0, Iterator::count);
    if deployments.len() != journals {
        faults.push(format!("history knows {} deployments, {journals} have a journal", deployments.len()));
    }
    faults.extend(
        deployments.iter().filter(|it| it["outcome"].is_null()).map(|it| format!("history has no end of {it}")),
    );
    // The newest that was deployed is what is live; everything after it was taken back.
    let newest = deployments.iter().find(|it| it["outcome"] == "deployed").and_then(|it| it["release"].as_str());
    if newest != live.as_deref() {
        let told = deployments.iter().map(|it| {
            format!(
                "{} {} of {} began at {}: {}",
                it["kind"], it["deployment"], it["release"], it["began_at"], it["outcome"]
            )
        });
        let told = told.collect::<Vec<_>>().join("\n    ");
        faults.push(format!("history says that {newest:?} was deployed last, {live:?} is live:\n    {told}"));
    }
    Ok(faults)
}
