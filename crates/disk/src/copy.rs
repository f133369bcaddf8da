//! Copying a file's content the cheapest way that the file system offers.

use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};

/// The most bytes asked of one `copy_file_range`, so that a signal is not kept waiting.
const CHUNK_BYTES: usize = 1 << 30;

/// Copies all of `from` into the empty file `to`: shared blocks (a reflink) where the file system
/// can, else inside of the kernel, else by reading and writing. Returns the number of bytes.
pub fn copy_content(from: &File, to: &File) -> io::Result<u64> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => to.metadata().map(|metadata| metadata.len()),
        Err(error) if is_unsupported(error) => copy_in_kernel(from, to),
        Err(error) => Err(error.into()),
    }
}

fn copy_in_kernel(from: &File, to: &File) -> io::Result<u64> {
    let (mut read_at, mut written_at) = (0, 0);
    loop {
        match rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut written_at), CHUNK_BYTES) {
            // Some kernels copy nothing from files whose size reads as 0, such as those of /proc.
            Ok(0) if written_at == 0 => return copy_by_hand(from, to),
            Ok(0) => return Ok(written_at),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) if is_unsupported(error) && written_at == 0 => return copy_by_hand(from, to),
            Err(error) => return Err(error.into()),
        }
    }
}

fn copy_by_hand(mut from: &File, mut to: &File) -> io::Result<u64> {
    from.seek(SeekFrom::Start(0))?;
    to.seek(SeekFrom::Start(0))?;
    io::copy(&mut from, &mut to)
}

/// Errors that say "not this way" rather than "this cannot be done".
fn is_unsupported(error: Errno) -> bool {
    [Errno::OPNOTSUPP, Errno::NOTTY, Errno::XDEV, Errno::INVAL, Errno::NOSYS, Errno::PERM, Errno::TXTBSY]
        .contains(&error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn each_way_of_copying_gives_the_same_content() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let source = dir.path().join("source");
        fs::write(&source, &content).unwrap();

        for (name, copy) in
            [("any", copy_content as fn(&File, &File) -> _), ("kernel", copy_in_kernel), ("hand", copy_by_hand)]
        {
            let path = dir.path().join(name);
            let bytes = copy(&File::open(&source).unwrap(), &File::create(&path).unwrap()).unwrap();
            assert_eq!(bytes, content.len() as u64, "{name}");
            assert!(fs::read(&path).unwrap() == content, "{name}");
        }
    }
}
