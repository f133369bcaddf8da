//! Switch: two atomic renames make the release `current` and the one before it `previous`.

use crate::host::layout::Layout;
use crate::host::release::{Mark, Release, ReleaseState, disk, io, linked, previous_release, stray};
use crate::host::site::Site;
use cutover_core::id::{DeploymentId, ReleaseId};
use cutover_core::target::{Before, Failure, FailureKind, Outcome};
use cutover_disk::{replace_symlink, sync_dir};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where the links pointed, and how far the release had come.
#[derive(Debug, Serialize, Deserialize)]
struct SwitchBefore {
    current: Option<ReleaseId>,
    previous: Option<ReleaseId>,
    /// Where `previous` led when it named no release and led to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stray: Option<PathBuf>,
    #[serde(flatten)]
    mark: Mark,
}

/// Reads where the links point and how far the release has come.
pub(crate) fn capture(site: &Site<'_>) -> Result<Before, Failure> {
    let release = Release::read(site.layout, site.release)?;
    let (current, previous) = (linked(&site.layout.current())?, previous_release(site.layout)?);
    let stray = stray(&site.layout.previous());
    Before::encode(&SwitchBefore { current, previous, stray, mark: Mark::of(&release) })
}

/// Points `previous` to what is live and `current` to the release.
pub(crate) fn apply(site: &Site<'_>, before: &Before) -> Result<Outcome, Failure> {
    let before: SwitchBefore = before.decode()?;
    if !site.layout.release(site.release).is_dir() {
        return Err(Failure::new(format!("switch to release {}: it is not there", site.release)));
    }
    // Written first: a release that is current must never look as if it had not been tried.
    Release::mark(site.layout, site.release, ReleaseState::Live, "")?;
    match before.current.as_ref().filter(|current| *current != site.release) {
        Some(current) => point(&site.layout.previous(), Some(current))?,
        None => bring_back_previous(site.layout, &before)?,
    }
    point(&site.layout.current(), Some(site.release))?;
    Ok(Outcome::changed(match &before.current {
        Some(current) => format!("{current} → {}", site.release),
        None => format!("nothing → {}", site.release),
    }))
}

/// What is known of a release that is taken back.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing: somebody asked to stop, or nobody was left to say that the other hosts are healthy, too.
    None,
    /// Its service could not be started in this deployment. That may be due to the machine (no such unit, no right to start
    /// it), and says nothing against a release that was good before.
    NeverStarted(DeploymentId),
    /// It was live and is not to be trusted, for this reason.
    Bad(String),
}

/// Points both links to where they pointed, and marks a release that failed.
pub(crate) fn restore(site: &Site<'_>, before: &Before, verdict: &Verdict) -> Result<String, Failure> {
    let before: SwitchBefore = before.decode()?;
    bring_back_current(site.layout, before.current.as_ref())?;
    bring_back_previous(site.layout, &before)?;
    let marked = match verdict {
        Verdict::None => before.mark.set(site.layout, site.release),
        Verdict::NeverStarted(_) if before.mark.is_good() => before.mark.set(site.layout, site.release),
        Verdict::NeverStarted(deployment) => Mark::never_started(deployment).set(site.layout, site.release),
        Verdict::Bad(why) => Release::mark(site.layout, site.release, ReleaseState::Bad, why),
    };
    let live =
        before.current.map_or_else(|| "nothing is live, as before".to_owned(), |id| format!("{id} is current again"));
    // On a full disk the mark can't be written. The links matter more, and a release that is
    // only marked `live` is no candidate for a rollback either.
    Ok(match marked {
        Ok(()) => live,
        Err(error) => format!("{live}; release {} could not be marked: {error}", site.release),
    })
}

/// Points `current` to where it pointed. A new link needs an inode; where none is left, `previous` is taken, which
/// points to the same release since `apply`. The link that it replaces leaves an inode for a new `previous`.
fn bring_back_current(layout: &Layout, to: Option<&ReleaseId>) -> Result<(), Failure> {
    let (current, previous) = (layout.current(), layout.previous());
    match point(&current, to) {
        Err(failure)
            if failure.kind == FailureKind::NoSpace && to.is_some() && previous_release(layout)?.as_ref() == to =>
        {
            std::fs::rename(&previous, &current).map_err(|e| io("replace", &current, &e))?;
            sync_dir(layout.root()).map_err(disk)
        }
        other => other,
    }
}

/// Points `previous` to where it pointed, be that nowhere.
fn bring_back_previous(layout: &Layout, before: &SwitchBefore) -> Result<(), Failure> {
    let link = layout.previous();
    match &before.stray {
        Some(target) if std::fs::read_link(&link).is_ok_and(|there| there == *target) => Ok(()),
        // It counts as none: where a full disk has no room for it, none is left, and nobody has to come for that.
        Some(target) => replace_symlink(&link, target).or_else(|_| point(&link, None)),
        None => point(&link, before.previous.as_ref()),
    }
}

/// Points a link to a release, or removes it. Does nothing when it is so already: a restore must work on a full disk.
fn point(link: &Path, to: Option<&ReleaseId>) -> Result<(), Failure> {
    if stray(link).is_none() && linked(link)?.as_ref() == to {
        return Ok(());
    }
    match to {
        Some(id) => replace_symlink(link, &PathBuf::from("releases").join(id.as_str())).map_err(disk),
        None => {
            std::fs::remove_file(link).map_err(|e| io("remove", link, &e))?;
            link.parent().map_or(Ok(()), |parent| sync_dir(parent).map_err(disk))
        }
    }
}
