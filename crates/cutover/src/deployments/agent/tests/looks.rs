//! Looking at what a deployment would do.

use super::*;
use crate::deployments::preview::VariableChanges;
use std::os::unix::fs::MetadataExt;

const SECRET: &str = "hunter2hunter2";

/// Asks and gives the whole answer as it came.
fn answer(mut bed: Bed, look: Look, manifest: Option<&Manifest>) -> (Vec<u8>, TempDir) {
    bed.to_agent.send_json(Kind::Order, &Letter::Look(look)).unwrap();
    let variables = format!("{{\"MODE\":\"slow\",\"TOKEN\":\"{SECRET}\"}}");
    bed.to_agent.send(Kind::Variables, variables.as_bytes()).unwrap();
    if let Some(manifest) = manifest {
        bed.to_agent.send(Kind::Manifest, &content::pack_manifest(manifest).unwrap()).unwrap();
    }
    let mut said = Vec::new();
    bed.from_agent.read_to_end(&mut said).unwrap();
    assert!(bed.agent.join().unwrap().unwrap().is_none());
    (said, bed.dir)
}

/// The one message of an answer.
fn view<T: serde::de::DeserializeOwned>(said: &[u8]) -> T {
    let mut said = said;
    let (kind, payload) = receive(&mut said).unwrap().unwrap();
    assert_eq!((kind, said.len()), (Kind::View, 0), "{}", String::from_utf8_lossy(&payload));
    serde_json::from_slice(&payload).unwrap()
}

/// A place with a deployment of these files.
fn deployed(files: &Files) -> TempDir {
    static CANCEL: Cancel = Cancel::new();
    let mut bed = Bed::start(&CANCEL);
    bed.provide(files);
    let (outcomes, dir) = bed.end();
    assert_eq!(outcomes, [DeploymentOutcome::Deployed]);
    dir
}

/// Every path with all that tells whether it was touched.
fn listing(dir: &Path) -> Vec<(PathBuf, u64, i64, i64, u64)> {
    let mut all = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let is = fs::symlink_metadata(&path).unwrap();
        if is.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.push((path, is.ino(), is.ctime(), is.ctime_nsec(), is.len()));
    }
    all.sort();
    all
}

fn plan(dir: &TempDir, artifact: Digest) -> Look {
    let order = order(&[("app", dir.path().join("site"))], artifact);
    Look::Plan { order: Box::new(Order { secret_names: ["TOKEN".to_owned()].into(), ..order }), rehearse: true }
}

#[test]
fn a_plan_is_told_as_it_would_be_carried_out_and_nothing_is_touched() {
    static CANCEL: Cancel = Cancel::new();
    let mut files = Files::new();
    let dir = deployed(&files);
    let before = listing(dir.path());
    files.0.remove("d/1");
    files.0.insert("d/2".into(), "other".into());
    files.0.insert("new".into(), "new".into());
    let manifest = files.manifest();

    let look = plan(&dir, manifest.id());
    let (said, dir) = answer(Bed::start_in(dir, &CANCEL), look, Some(&manifest));

    let Previewed { preview, misfit } = view(&said);
    assert!(misfit.is_none() && !preview.unchanged && preview.original.is_some(), "{preview:?}");
    let files = preview.files.values().next().unwrap();
    let paths = |paths: &[RelativePath]| paths.iter().map(|path| path.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!([&files.added, &files.changed, &files.removed].map(|all| paths(all)), [["new"], ["d/2"], ["d/1"]]);
    let variables = preview.variables.values().next().unwrap();
    assert_eq!((&variables.added[..], &variables.changed[..]), (&["TOKEN".to_owned()][..], &["MODE".to_owned()][..]));
    assert!(preview.steps.iter().any(|step| step.switches));
    assert!(!String::from_utf8_lossy(&said).contains(SECRET));
    assert_eq!(listing(dir.path()), before);
}

#[test]
fn where_a_rollback_would_go_is_told_and_nothing_is_touched() {
    static CANCEL: Cancel = Cancel::new();
    let files = Files::new();
    let dir = deployed(&files);
    let before = listing(dir.path());
    let order = order(&[("app", dir.path().join("site"))], Digest::of(b""));
    let order = Box::new(Order { task: Task::Rollback { release: None }, ..order });

    let bed = Bed::start_in(dir, &CANCEL);
    bed.to_agent.send_json(Kind::Order, &Letter::Look(Look::Back { order })).unwrap();
    let mut said = Vec::new();
    let (dir, mut from_agent) = (bed.dir, bed.from_agent);
    from_agent.read_to_end(&mut said).unwrap();

    let seen: serde_json::Value = view(&said);
    assert_eq!(seen["live"]["artifact"], files.manifest().id().to_string(), "{seen}");
    // There is none before it.
    assert_eq!((&seen["goal"], &seen["is_unfinished"]), (&serde_json::Value::Null, &false.into()), "{seen}");
    assert_eq!(listing(dir.path()), before);
}

#[test]
fn what_a_plan_would_be_refused_for_is_told_with_it() {
    static CANCEL: Cancel = Cancel::new();
    let manifest = Files::new().manifest();
    let bed = Bed::start(&CANCEL);
    let Look::Plan { mut order, rehearse } = plan(&bed.dir, manifest.id()) else { unreachable!() };
    order.targets.values_mut().for_each(|config| config.linked_dirs = vec!["d/1".into()]);

    let (said, dir) = answer(bed, Look::Plan { order, rehearse }, Some(&manifest));

    let Previewed { misfit, .. } = view(&said);
    assert!(misfit.unwrap().message().contains("linked_dirs has d/1"));
    assert_eq!(listing(dir.path()).len(), 1, "nothing was made");
}

#[test]
fn variables_are_compared_where_they_are_and_told_by_name() {
    static CANCEL: Cancel = Cancel::new();
    let dir = deployed(&Files::new());
    let before = listing(dir.path());
    let order = order(&[("app", dir.path().join("site"))], Digest::of(b""));
    let look = Look::Variables { targets: order.targets, secret_names: ["TOKEN".to_owned()].into() };

    let (said, dir) = answer(Bed::start_in(dir, &CANCEL), look, None);

    let all: BTreeMap<String, VariableChanges> = view(&said);
    let expected = VariableChanges {
        added: vec!["TOKEN".into()],
        changed: vec!["MODE".into()],
        removed: Vec::new(),
        unknown: Vec::new(),
    };
    assert_eq!(all["app"], expected);
    assert!(!String::from_utf8_lossy(&said).contains(SECRET));
    assert_eq!(listing(dir.path()), before);
}
