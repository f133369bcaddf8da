//! What setup made on this host, written down before it is made.

use super::plan::Made;
use cutover_core::target::Failure;
use cutover_disk::{read_bounded, write_atomic};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where receipts lie, one for each environment.
const RECEIPTS: &str = "/var/lib/cutover/setup";
/// The largest one in bytes.
const RECEIPT_BYTES_MAX: u64 = 8 << 20;

/// The receipt of one environment.
pub(super) struct Receipt {
    path: PathBuf,
    /// What was made, in order.
    pub(super) made: Vec<Made>,
}

impl Receipt {
    /// Reads it; one that is not there yet is empty.
    pub(super) fn read(slug: &str) -> Result<Self, Failure> {
        let path = Path::new(RECEIPTS).join(format!("{slug}.json"));
        if !path.exists() {
            return Ok(Self { path, made: Vec::new() });
        }
        let failed = |why: String| {
            Failure::new(format!("read what an earlier setup made, from {}: {why}", path.display()))
                .hint("move it away; what is made from then on is written down anew")
        };
        let bytes = read_bounded(&path, RECEIPT_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
        let made = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
        Ok(Self { path, made })
    }

    /// Makes its directory, and sees that nobody else sets up this machine meanwhile.
    pub(super) fn lock(&self) -> Result<File, Failure> {
        let lock = fs::create_dir_all(RECEIPTS).and_then(|()| File::open(RECEIPTS));
        let lock = lock.map_err(|error| Failure::new(format!("use {RECEIPTS}: {error}")))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Failure::new("another setup is at work on this host").hint("wait for its end"))?;
        Ok(lock)
    }

    /// Notes what is about to be made; what stood there before the first setup is what counts.
    pub(super) fn note(&mut self, made: &Made) -> Result<(), Failure> {
        let name = made.part.name();
        match self.made.iter_mut().find(|known| known.part.name() == name) {
            Some(known) => known.part = made.part.clone(),
            None => self.made.push(made.clone()),
        }
        self.write()
    }

    /// Forgets what was taken back; with the last part it is gone itself.
    pub(super) fn forget(&mut self, made: &Made) -> Result<(), Failure> {
        let name = made.part.name();
        self.made.retain(|known| known.part.name() != name);
        if !self.made.is_empty() {
            return self.write();
        }
        let removed = match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // Others may have theirs there.
        let _ = fs::remove_dir(RECEIPTS)
            .and_then(|()| fs::remove_dir(Path::new(RECEIPTS).parent().unwrap_or(Path::new(RECEIPTS))));
        removed.map_err(|error| Failure::new(format!("remove {}: {error}", self.path.display())))
    }

    fn write(&self) -> Result<(), Failure> {
        let failed = |why: String| Failure::new(format!("write down what setup makes: {why}"));
        let text = serde_json::to_vec_pretty(&self.made).map_err(|error| failed(error.to_string()))?;
        write_atomic(&self.path, &text, 0o600).map_err(|error| failed(error.to_string()))
    }
}
