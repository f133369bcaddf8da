//! A file that a store in a directory keeps back: nothing is removed without a mark, and a disk on which no file can be made any more has
//! room for none.

use super::beneath::{Chain, is_absent};
use cutover_disk::is_no_space;
use rustix::fs::{AtFlags, statat, unlinkat};
use std::io;
use std::path::Path;

/// What it is called, beside the projects; no object is called so.
const NAME: &str = ".spare";

/// Keeps one back where there is none. That there is room for it is no concern of who comes by.
pub(super) fn keep(root: &Path) {
    let Ok(chain) = Chain::open(root, &[]) else { return };
    let is_lacking = statat(chain.last(), NAME, AtFlags::SYMLINK_NOFOLLOW).is_err_and(|error| is_absent(&error.into()));
    if is_lacking {
        let _kept = chain.write(NAME, |_| Ok(()));
    }
}

/// Does what needs room for one file more; where there is none, in that of the spare one.
pub(super) fn within(root: &Path, mut act: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    match act() {
        Err(error) if is_no_space(&error) && give_up(root) => act(),
        done => done,
    }
}

fn give_up(root: &Path) -> bool {
    Chain::open(root, &[]).is_ok_and(|chain| unlinkat(chain.last(), NAME, AtFlags::empty()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::fs;

    #[test]
    fn what_has_no_room_takes_that_of_the_spare_file_which_is_kept_back_again_later() {
        let dir = tempfile::tempdir().unwrap();
        let (spare, made) = (dir.path().join(NAME), dir.path().join("mark"));
        keep(dir.path());
        for error in [Errno::NOSPC, Errno::DQUOT] {
            assert_eq!(fs::metadata(&spare).unwrap().len(), 0);
            // Given a disk that has room for one file.
            let mark = || if spare.exists() { Err(error.into()) } else { fs::write(&made, "") };
            within(dir.path(), mark).unwrap();
            assert!(made.exists() && !spare.exists());
            fs::remove_file(&made).unwrap();
            keep(dir.path());
        }

        let mut count = 0;
        let failed = within(dir.path(), || {
            count += 1;
            Err(Errno::NOSPC.into())
        });
        assert!(is_no_space(&failed.unwrap_err()) && count == 2, "it is asked for once more, and no further: {count}");
        keep(dir.path());
        assert!(within(dir.path(), || Err(Errno::IO.into())).is_err());
        assert!(spare.exists(), "it is for nothing else");
    }
}
