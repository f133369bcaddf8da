//! Signatures by OpenSSH: `ssh-keygen -Y sign` and `-Y verify`, as `ssh-keygen(1)` describes them.

use cutover_child::{Kin, Running, Timed};
use cutover_core::provenance::SIGNATURE_NAMESPACE;
use cutover_core::secret::{GITHUB_TOKEN_VARIABLE, SIGNING_KEY_VARIABLE, SSH_KEY_VARIABLE, Secret};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
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
    // Gone with its directory, which is this user's alone.
    let dir = tempfile::tempdir().map_err(SigningError::Run)?;
    let file = match key {
        SigningKey::File(file) => file.clone(),
        SigningKey::Key(key) => write_key(dir.path(), key).map_err(SigningError::Run)?,
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
    let said = keygen(&args, statement, SIGN_TIME_MAX).map_err(SigningError::Run)?;
    if said.is_success && said.stdout.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
        return Ok(said.stdout);
    }
    Err(SigningError::Unsigned(said.stderr))
}

/// Verifies that one of these signers has signed a statement, and says who: the principal in `allowed_signers`.
pub fn verify(signers: &Path, statement: &[u8], signature: &[u8]) -> Result<String, SigningError> {
    let dir = tempfile::tempdir().map_err(SigningError::Run)?;
    let file = dir.path().join("signature");
    fs::write(&file, signature).map_err(SigningError::Run)?;
    let common = [
        "-f".as_ref(),
        signers.as_os_str(),
        "-n".as_ref(),
        SIGNATURE_NAMESPACE.as_ref(),
        "-s".as_ref(),
        file.as_os_str(),
    ];
    let ask = |args: &[&OsStr], input: &[u8]| {
        keygen(&[args, &common].concat(), input, VERIFY_TIME_MAX).map_err(SigningError::Run)
    };
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

fn write_key(dir: &Path, key: &Secret) -> io::Result<PathBuf> {
    let path = dir.join("key");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    // What copies a key through a form likes to lose its last newline, which `ssh-keygen` wants.
    file.write_all(format!("{}\n", key.expose().replace("\r\n", "\n").trim()).as_bytes())?;
    Ok(path)
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
    for name in [SIGNING_KEY_VARIABLE, SSH_KEY_VARIABLE, GITHUB_TOKEN_VARIABLE] {
        command.env_remove(name);
    }
    command.args(args).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let mut running = Running::start(&mut command, Kin::Descendants)?;
    let child = running.child();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let message = stderr.map(|stderr| std::thread::spawn(move || read_bounded(stderr)));
    if let Some(mut stdin) = stdin {
        // It may end without having read: then it says why.
        let _sent = stdin.write_all(input);
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
