//! Units that somebody else wrote: setup neither replaces one nor hides it behind its own.

use super::look::{Found, Old};
use super::parts::{FileKind, Part};
use super::receipt::Receipt;
use super::unit::MARK;
use cutover_core::target::Failure;
use std::path::{Path, PathBuf};

/// Where else the system's manager finds units, which one in `/etc` of the same name would hide (systemd.unit(5)).
const SYSTEM_UNITS: [&str; 4] =
    ["/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// The same for a user's own manager.
const USER_UNITS: [&str; 4] =
    ["/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];

/// What to do about one.
pub(super) const KEEP: &str = "give `service.unit` another name; or leave `service.start` out, and the unit stays what it is; \
                               or, where nobody needs it, move it away";

/// Fails for a unit that is there and that no setup made: the name may be a mistake, and the host may need what has it.
pub(super) fn check(
    parts: &[(Part, Found)],
    receipt: &Receipt,
    is_there: &dyn Fn(&Path) -> bool,
) -> Result<(), Failure> {
    for (part, found) in parts {
        let is_made = [&receipt.own].into_iter().chain(&receipt.others).any(|claims| claims.made(part).is_some());
        let Some(foreign) = foreign(part, found, is_there).filter(|_| !is_made) else { continue };
        return Err(Failure::new(format!(
            "prepare the host: it has a unit of this name already, which no setup wrote: {}",
            foreign.display()
        ))
        .hint(KEEP));
    }
    Ok(())
}

/// Where somebody else's unit is that has the name of this one.
fn foreign(part: &Part, found: &Found, is_there: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let Part::File { path, kind, .. } = part else { return None };
    let elsewhere = match kind {
        FileKind::Unit => SYSTEM_UNITS,
        FileKind::UserUnit => USER_UNITS,
        FileKind::Sudoers | FileKind::Journald => return None,
    };
    match found {
        Found::Other(old) if !is_marked(old) => return Some(path.clone()),
        Found::Other(_) | Found::Absent | Found::Right => {}
    }
    let name = path.file_name()?.to_string_lossy();
    // `getty@tty1.service` is made of `getty@.service`.
    let template = name.split_once('@').and_then(|(of, _)| Some(format!("{of}@.{}", name.rsplit_once('.')?.1)));
    let own_template = template.as_ref().and_then(|template| Some(path.parent()?.join(template)));
    let names = [Some(name.clone().into_owned()), template].into_iter().flatten();
    let places = names.flat_map(|name| elsewhere.map(|dir| Path::new(dir).join(&name)));
    places.chain(own_template).find(|path| is_there(path))
}

fn is_marked(old: &Old) -> bool {
    old.text.as_deref().is_some_and(|text| text.starts_with(MARK))
}

#[cfg(test)]
mod tests {
    use super::super::plan::Made;
    use super::super::receipt::Claims;
    use super::*;
    use crate::setup::Owner;

    fn unit(name: &str, kind: FileKind) -> Part {
        let path = Path::new("/etc/systemd/system").join(name);
        Part::File { path, owner: "root".to_owned(), mode: 0o644, text: "[Service]\n".to_owned(), kind }
    }

    fn file(text: &str) -> Found {
        let owner = Owner { uid: 0, gid: 0 };
        Found::Other(Old { owner, mode: 0o644, text: Some(text.to_owned()), to: None })
    }

    fn link() -> Found {
        Found::Other(Old { owner: Owner { uid: 0, gid: 0 }, mode: 0o777, text: None, to: Some("/dev/null".into()) })
    }

    /// What is said of a unit on a host that has these files elsewhere.
    fn told(part: Part, found: Found, made: &[Part], there: &[&str]) -> Option<Failure> {
        let mut claims = Claims::none("shop (production)");
        claims.made = made.iter().map(|part| Made { part: part.clone(), before: None }).collect();
        let is_there = |path: &Path| there.iter().any(|there| Path::new(there) == path);
        check(&[(part, found)], &Receipt::of(claims, Vec::new()), &is_there).err()
    }

    #[test]
    fn a_unit_that_somebody_else_wrote_is_neither_replaced_nor_hidden() {
        let system = |name| unit(name, FileKind::Unit);
        for (part, found, there) in [
            (system("ssh.service"), file("[Service]\n"), ""),
            (system("sshd.service"), link(), ""),
            (system("ssh.service"), Found::Absent, "/usr/lib/systemd/system/ssh.service"),
            (system("getty@tty1.service"), Found::Absent, "/lib/systemd/system/getty@.service"),
            (system("worker@1.service"), Found::Absent, "/etc/systemd/system/worker@.service"),
            (unit("pipewire.service", FileKind::UserUnit), Found::Absent, "/usr/lib/systemd/user/pipewire.service"),
        ] {
            let name = part.name();
            let told = told(part, found, &[], &[there]).unwrap();
            assert!(told.hint.is_some() && told.message.contains(".service"), "{name}: {told:?}");
            assert!(there.is_empty() || told.message.ends_with(there), "{name}: {told:?}");
        }
    }

    #[test]
    fn a_unit_that_a_setup_made_is_put_right_whoever_changed_it() {
        let shop = || unit("shop.service", FileKind::Unit);
        let earlier = format!("{MARK}, long ago.\n[Service]\n");
        assert_eq!(told(shop(), Found::Absent, &[], &["/usr/lib/systemd/user/shop.service"]), None);
        assert_eq!(told(shop(), Found::Right, &[], &[]), None);
        assert_eq!(told(shop(), file(&earlier), &[], &[]), None);
        assert_eq!(told(shop(), file("[Service]\n"), &[shop()], &["/run/systemd/system/shop.service"]), None);
        assert_eq!(told(unit("rule", FileKind::Sudoers), file("theirs"), &[], &[]), None);
    }
}
