//! Signatures by OpenSSH: `ssh-keygen -Y sign`, `-Y verify` and `-Y check-novalidate`, as `ssh-keygen(1)` describes them.

use cutover_child::withhold_own;
use cutover_child::{Kin, Running, Timed};
use cutover_core::provenance::SIGNATURE_NAMESPACE;
use cutover_core::secret::Secret;
use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long signing may take: an agent may ask a person to touch something.
const SIGN_TIME_MAX: Duration = Duration::from_secs(120);
/// How long a question may take that nobody has to answer.
const VERIFY_TIME_MAX: Duration = Duration::from_secs(30);
/// The most that is read of what it says.
const ANSWER_BYTES_MAX: u64 = 256 << 10;
/// How many principals of a key are tried.
const PRINCIPAL_COUNT_MAX: usize = 100;

/// The key that is signed with.
#[derive(Debug, Clone)]
pub enum SigningKey {
    /// A file: a private key, or a public one whose private half an agent has.
    File(PathBuf),
    /// The private key itself.
    Key(Secret),
}

/// A signature that was not made, or does not count.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// `ssh-keygen` cannot be run.
    #[error("cannot run ssh-keygen")]
    Run(#[source] io::Error),
    /// It did not sign.
    #[error("ssh-keygen did not sign: {0}")]
    Unsigned(String),
    /// It is by none whose signatures count, or of something else.
    #[error("{0}")]
    Unverified(String),
}

/// Signs a statement, and gives the signature as `ssh-keygen` writes it.
pub fn sign(key: &SigningKey, statement: &[u8]) -> Result<Vec<u8>, SigningError> {
    let in_memory;
    let file = match key {
        SigningKey::File(file) => file.clone(),
        SigningKey::Key(key) => {
            in_memory = InMemory::new(key).map_err(SigningError::Run)?;
            in_memory.path()
        }
    };
    let args = [
        "-q".as_ref(),
        "-Y".as_ref(),
        "sign".as_ref(),
        "-n".as_ref(),
        SIGNATURE_NAMESPACE.as_ref(),
        "-f".as_ref(),
        file.as_os_str(),
    ];
    let said = keygen(&args, statement, SIGN_TIME_MAX).map_err(|error| failed(error, SigningError::Unsigned))?;
    if said.is_success && said.stdout.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
        return Ok(said.stdout);
    }
    Err(SigningError::Unsigned(said.stderr))
}

/// Verifies that one of these signers has signed a statement, and says who: the principal in `allowed_signers`.
pub fn verify(signers: &Path, statement: &[u8], signature: &[u8]) -> Result<String, SigningError> {
    let file = OnDisk::new(signature)?;
    let common = ["-f".as_ref(), signers.as_os_str()];
    let ask = |args: &[&OsStr], input: &[u8]| file.ask(&[args, &common].concat(), input);
    let found = ask(&["-Y".as_ref(), "find-principals".as_ref()], b"")?;
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let principals = text.lines().flat_map(|line| line.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let mut why = format!("it is signed by none of {}", signers.display());
    for principal in principals.take(PRINCIPAL_COUNT_MAX) {
        let said = ask(&["-Y".as_ref(), "verify".as_ref(), "-I".as_ref(), principal.as_ref()], statement)?;
        if said.is_success {
            return Ok(principal.to_owned());
        }
        why = format!("its signature by {principal} does not count: {}", said.told());
    }
    Err(SigningError::Unverified(why))
}

/// Verifies that somebody has signed a statement, whoever that is.
pub fn verify_anybody(statement: &[u8], signature: &[u8]) -> Result<(), SigningError> {
    let said = OnDisk::new(signature)?.ask(&["-Y".as_ref(), "check-novalidate".as_ref()], statement)?;
    if said.is_success { Ok(()) } else { Err(SigningError::Unverified(said.told())) }
}

/// A signature as a file, since `ssh-keygen` takes it as no other.
struct OnDisk {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl OnDisk {
    fn new(signature: &[u8]) -> Result<Self, SigningError> {
        let dir = tempfile::tempdir().map_err(SigningError::Run)?;
        let path = dir.path().join("signature");
        fs::write(&path, signature).map_err(SigningError::Run)?;
        Ok(Self { path, _dir: dir })
    }

    /// Asks `ssh-keygen` about it.
    fn ask(&self, args: &[&OsStr], input: &[u8]) -> Result<Said, SigningError> {
        let common = ["-n".as_ref(), SIGNATURE_NAMESPACE.as_ref(), "-s".as_ref(), self.path.as_os_str()];
        let unverified = |why| SigningError::Unverified(format!("ssh-keygen did not verify: {why}"));
        keygen(&[args, &common].concat(), input, VERIFY_TIME_MAX).map_err(|error| failed(error, unverified))
    }
}

/// A private key as a file that has no name and is gone with this process, however that ends.
struct InMemory(File);

impl InMemory {
    fn new(key: &Secret) -> io::Result<Self> {
        let file = memfd_create("cutover-signing-key", MemfdFlags::CLOEXEC)?;
        // `ssh-keygen` takes no key that others may read.
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        // What copies a key through a form likes to lose its last newline, which `ssh-keygen` wants.
        file.write_all(format!("{}\n", key.expose().replace("\r\n", "\n").trim()).as_bytes())?;
        Ok(Self(file))
    }

    /// Where this user's processes find it: proc_pid_fd(5). No other child of ours gets it, as one would that inherits it.
    fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}

/// What it means that `ssh-keygen` gave no answer: it could not be run, or took too long.
fn failed(error: io::Error, late: impl FnOnce(String) -> SigningError) -> SigningError {
    if error.kind() == io::ErrorKind::TimedOut { late(error.to_string()) } else { SigningError::Run(error) }
}

/// What `ssh-keygen` said.
struct Said {
    is_success: bool,
    stdout: Vec<u8>,
    stderr: String,
}

impl Said {
    /// Why it refused: it says that in either place.
    fn told(&self) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let told = [stdout.trim(), self.stderr.as_str()];
        told.into_iter().filter(|told| !told.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

fn keygen(args: &[&OsStr], input: &[u8], limit: Duration) -> io::Result<Said> {
    let mut command = Command::new("ssh-keygen");
    withhold_own(&mut command).args(args).env("LC_ALL", "C");
    ask(command, input, limit)
}

/// Gives a command its input, and hears its answer, within a time.
fn ask(mut command: Command, input: &[u8], limit: Duration) -> io::Result<Said> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let mut running = Running::start(&mut command, Kin::Descendants)?;
    let child = running.child();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let message = stderr.map(|stderr| std::thread::spawn(move || read_bounded(stderr)));
    if let Some(mut stdin) = stdin {
        let input = input.to_vec();
        // It may end without having read: then it says why. One that neither reads nor ends is killed when its time is over,
        // which ends this as well.
        std::thread::spawn(move || stdin.write_all(&input).ok());
    }
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        Timed::new(stdout, began, limit).take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    }
    if !running.wait_until(began + limit) {
        return Err(io::Error::new(io::ErrorKind::TimedOut, format!("not done after {} s", limit.as_secs())));
    }
    let is_success = running.status()?.success();
    let stderr = message.and_then(|message| message.join().ok()).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&stderr).trim().replace(['\r', '\n'], "; ");
    Ok(Said { is_success, stdout: answer, stderr })
}

fn read_bounded(reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A message that cannot be read is told like none at all.
    let _read = reader.take(4096).read_to_end(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_no_file_signs_and_is_nowhere_that_outlives_this_process() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status();
        assert!(made.unwrap().success());
        // As a form gives it: with other ends of lines, and without the last.
        let text = fs::read_to_string(&file).unwrap().trim().replace('\n', "\r\n");
        let key = Secret::new(text);
        let signers = dir.path().join("allowed_signers");
        let public = fs::read_to_string(dir.path().join("key.pub")).unwrap();
        fs::write(&signers, format!("builds@example.org {public}")).unwrap();

        let signature = sign(&SigningKey::Key(key.clone()), b"statement").unwrap();

        assert_eq!(verify(&signers, b"statement", &signature).unwrap(), "builds@example.org");
        assert!(matches!(verify(&signers, b"another", &signature), Err(SigningError::Unverified(_))));
        verify_anybody(b"statement", &signature).unwrap();
        for (statement, signature) in [(&b"another"[..], &signature[..]), (b"statement", b"junk")] {
            assert!(matches!(verify_anybody(statement, signature), Err(SigningError::Unverified(_))));
        }
        let kept = InMemory::new(&key).unwrap();
        let is = fs::read_link(kept.path()).unwrap();
        assert!(is.to_string_lossy().starts_with("/memfd:"), "{}", is.display());
    }

    #[test]
    fn what_neither_reads_nor_ends_is_ended_and_told_as_late() {
        let mut command = Command::new("tail");
        command.args(["-f", "/dev/null"]);
        let late = ask(command, &vec![0; 1 << 20], Duration::from_millis(50)).err().unwrap();
        let error = failed(late, SigningError::Unsigned).to_string();
        assert_eq!(error, "ssh-keygen did not sign: not done after 0 s");
    }
}
