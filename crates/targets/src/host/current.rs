//! What is amiss where `current` is not what deployments rely on: a link to a release that is there.

use super::layout::Layout;
use super::release::{Release, ReleaseState, linked};
use crate::process::cwd_of;
use crate::service::ServiceState;
use cutover_core::id::{ProjectName, ReleaseId};
use cutover_core::target::Failure;
use std::io::ErrorKind;

/// Something that is not as it should be of `current`.
#[derive(Debug)]
pub struct Amiss {
    /// What it is, and what to do about it.
    pub failure: Failure,
    /// Whether deployments are refused for it: there would be no way back to what runs.
    pub refuses: bool,
}

/// What is amiss of `current` while the service is seen to be so; None where a release is live, or none ever was.
pub fn amiss(layout: &Layout, service: Option<&ServiceState>) -> Option<Amiss> {
    let current = layout.current();
    let main = service.and_then(|state| state.main.as_ref());
    let running = main.and_then(|main| release_of(main.pid, layout)).filter(|id| layout.release(id).is_dir());
    let shown = current.display();
    let refusal = match (linked(&current), &running) {
        (Err(failure), running) => naming(failure, running.clone().or_else(|| last_good(layout))),
        (Ok(Some(live)), _) if !is_gone(layout, &live) => return None,
        (Ok(Some(live)), running) => {
            let what = format!("{shown} points to release {live}, which is not there: there would be no way back");
            Failure::new(what).hint(repoint(layout, running.as_ref()))
        }
        (Ok(None), Some(running)) => {
            let what =
                format!("{shown} is missing, and the service runs release {running}: there would be no way back");
            Failure::new(what).hint(format!("make the link again: `ln -s releases/{running} {shown}`"))
        }
        (Ok(None), None) => return left_behind(layout),
    };
    Some(Amiss { failure: refusal, refuses: true })
}

/// The release that is live and there; None also where a link to none is amiss.
pub fn live(layout: &Layout) -> Option<ReleaseId> {
    linked(&layout.current()).ok().flatten().filter(|live| !is_gone(layout, live))
}

/// Whether there is no such release. One that this user may not see may be there.
fn is_gone(layout: &Layout, id: &ReleaseId) -> bool {
    match layout.release(id).metadata() {
        Ok(about) => !about.is_dir(),
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// Why a deployment would have no way back to what runs.
pub(super) fn no_way_back(layout: &Layout, service: Option<&ServiceState>) -> Result<(), Failure> {
    amiss(layout, service).filter(|amiss| amiss.refuses).map_or(Ok(()), |amiss| Err(amiss.failure))
}

/// That a release of another project is live there: two projects in one place would take each other's releases for their own, and go
/// back to them.
pub fn other_project(layout: &Layout, project: &ProjectName) -> Option<Failure> {
    let live = linked(&layout.current()).ok()??;
    Release::read(layout, &live).ok()?.foreign(layout, project)
}

/// The release that a process works in.
pub fn release_of(pid: u32, layout: &Layout) -> Option<ReleaseId> {
    let (place, releases) = (cwd_of(pid)?, layout.releases().canonicalize().ok()?);
    let name = place.strip_prefix(releases).ok()?.components().next()?.as_os_str().to_str()?.to_owned();
    ReleaseId::new(name).ok()
}

/// Advice with the release that is meant by it.
fn naming(failure: Failure, release: Option<ReleaseId>) -> Failure {
    match (failure.hint.clone(), release) {
        (Some(hint), Some(id)) => failure.hint(hint.replace("releases/RELEASE", &format!("releases/{id}"))),
        (_, _) => failure,
    }
}

/// How a link that leads nowhere leads to a release again.
fn repoint(layout: &Layout, running: Option<&ReleaseId>) -> String {
    let current = layout.current();
    let shown = current.display();
    let point = |to: &ReleaseId| format!("point it to one that is there: `ln -sfn releases/{to} {shown}`");
    match (running, last_good(layout)) {
        (Some(running), _) => point(running),
        (None, Some(good)) => format!("{}; or remove it (`rm {shown}`) to deploy without one", point(&good)),
        (None, None) => format!("remove it (`rm {shown}`) to deploy without one"),
    }
}

/// That there is no link, though there was one once: a deployment goes on as if it were the first.
fn left_behind(layout: &Layout) -> Option<Amiss> {
    let (good, current) = (last_good(layout)?, layout.current());
    let shown = current.display();
    let what = format!(
        "{shown} is missing, though there are releases that were good: the next deployment takes none of them for live, and \
         has no way back to one"
    );
    let hint = format!("make the link again: `ln -s releases/{good} {shown}`, or whichever release was live");
    Some(Amiss { failure: Failure::new(what).hint(hint), refuses: false })
}

fn last_good(layout: &Layout) -> Option<ReleaseId> {
    let good = |release: &Release| release.state == ReleaseState::Good;
    Release::list(layout).into_iter().rev().find(good).map(|release| release.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ProcessIdentity;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::{Child, Command};

    /// A place with these releases, oldest first.
    struct Place(tempfile::TempDir, Layout);

    impl Place {
        fn of(releases: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::new(dir.path());
            for (seq, (id, state)) in releases.iter().enumerate() {
                let release = layout.releases().join(id);
                fs::create_dir_all(&release).unwrap();
                let described = serde_json::json!({
                    "version": 1, "id": id, "seq": seq, "state": state, "artifact": "0".repeat(64), "commit": "",
                    "deployment": "20260101T000000-0000", "by": "ann", "created_at": "2026-01-01T00:00:00Z", "bytes": 0
                });
                fs::write(release.join("release.json"), described.to_string()).unwrap();
            }
            Self(dir, layout)
        }

        /// Whether it refuses, what is amiss and what to do, with `DIR` for the place.
        fn amiss(&self, service: Option<&ServiceState>) -> Option<(bool, String, String)> {
            let plain = |text: &str| text.replace(&self.0.path().display().to_string(), "DIR");
            amiss(&self.1, service).map(|Amiss { failure, refuses }| {
                (refuses, plain(&failure.message), plain(&failure.hint.unwrap_or_default()))
            })
        }
    }

    /// A service whose process works in a directory, until it is dropped.
    struct Running(Child, ServiceState);

    impl Running {
        fn within(directory: &std::path::Path) -> Self {
            fs::create_dir_all(directory).unwrap();
            let child = Command::new("sleep").arg("60").current_dir(directory).spawn().unwrap();
            let main = ProcessIdentity::of(child.id());
            let state = ServiceState { active: true, wanted: true, main, ..ServiceState::inactive("", false) };
            Self(child, state)
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ended = self.0.kill().and_then(|()| self.0.wait());
        }
    }

    #[test]
    fn a_release_that_is_live_and_a_place_without_any_have_nothing_amiss() {
        assert_eq!(Place::of(&[]).amiss(None), None);
        assert_eq!(Place::of(&[("r1", "bad"), ("r2", "staged")]).amiss(None), None, "a first one that failed");
        let live = Place::of(&[("r1", "good")]);
        symlink("releases/r1", live.1.current()).unwrap();
        assert_eq!(live.amiss(None), None);
    }

    #[test]
    fn a_link_that_is_missing_is_refused_while_a_release_runs_and_else_warned_of() {
        let place = Place::of(&[("r1", "good"), ("r2", "good"), ("r3", "bad")]);

        let (refuses, what, fix) = place.amiss(None).unwrap();
        assert!(!refuses && what.starts_with("DIR/current is missing, though there are releases"), "{what}");
        assert!(fix.contains("`ln -s releases/r2 DIR/current`"), "{fix}");

        let running = Running::within(&place.1.releases().join("r1/web"));
        let (refuses, what, fix) = place.amiss(Some(&running.1)).unwrap();
        assert!(refuses, "{what}");
        assert_eq!(what, "DIR/current is missing, and the service runs release r1: there would be no way back");
        assert_eq!(fix, "make the link again: `ln -s releases/r1 DIR/current`");
    }

    #[test]
    fn a_link_to_a_release_that_is_gone_is_refused_and_pointed_to_what_runs_or_was_good() {
        let place = Place::of(&[("r1", "good"), ("r2", "bad")]);
        symlink("releases/r9", place.1.current()).unwrap();

        let (refuses, what, fix) = place.amiss(None).unwrap();
        assert!(refuses);
        assert_eq!(what, "DIR/current points to release r9, which is not there: there would be no way back");
        assert!(fix.contains("`ln -sfn releases/r1 DIR/current`; or remove it (`rm DIR/current`)"), "{fix}");

        let running = Running::within(&place.1.releases().join("r2"));
        let (_, _, fix) = place.amiss(Some(&running.1)).unwrap();
        assert_eq!(fix, "point it to one that is there: `ln -sfn releases/r2 DIR/current`");

        let alone = Place::of(&[]);
        symlink("releases/r9", alone.1.current()).unwrap();
        let (_, _, fix) = alone.amiss(None).unwrap();
        assert_eq!(fix, "remove it (`rm DIR/current`) to deploy without one");
    }

    #[test]
    fn whatever_is_no_link_to_a_release_is_refused() {
        let place = Place::of(&[("r1", "good")]);
        let current = place.1.current();
        let what = |place: &Place| place.amiss(None).filter(|(refuses, ..)| *refuses).unwrap();

        fs::create_dir(&current).unwrap();
        let (_, directory, fix) = what(&place);
        assert_eq!(directory, "DIR/current is a directory and no link");
        assert!(
            fix.contains("`mv DIR/current DIR/current.was`") && fix.contains("`ln -s releases/r1 DIR/current`"),
            "{fix}"
        );
        fs::remove_dir(&current).unwrap();

        fs::write(&current, "").unwrap();
        assert_eq!(what(&place).1, "DIR/current is a file and no link");
        fs::remove_file(&current).unwrap();

        symlink("/elsewhere", &current).unwrap();
        let (_, elsewhere, fix) = what(&place);
        assert!(elsewhere.ends_with("it points to /elsewhere, which is no release"), "{elsewhere}");
        assert!(fix.contains("`ln -sfn releases/r1 DIR/current`"), "{fix}");
    }
}
