//! Whom a server's certificate may come from.

use cutover_disk::read_bounded;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use ureq::tls::{PemItem, RootCerts, parse_pem};

/// Where machines keep whom they trust: Debian and Ubuntu, Fedora, SUSE, Alpine.
const CERTIFICATE_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The most that is read of it, in bytes.
const CERTIFICATE_BYTES_MAX: u64 = 8 << 20;

/// Those that this machine trusts, which an authority of one's own can be among; where it has no such list, those that
/// Mozilla trusts. Read once.
pub fn root_certs() -> Result<RootCerts, String> {
    static KNOWN: OnceLock<Result<RootCerts, String>> = OnceLock::new();
    KNOWN.get_or_init(|| trusted(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from).as_deref())).clone()
}

/// The certificates of the file that the user names, and of no other where that is of no use: they may be few on purpose.
fn trusted(named: Option<&Path>) -> Result<RootCerts, String> {
    if let Some(file) = named {
        return certificates(file).map_err(|why| format!("SSL_CERT_FILE is {}: {why}", file.display()));
    }
    let of_system = CERTIFICATE_FILES.iter().find_map(|file| certificates(Path::new(file)).ok());
    Ok(of_system.unwrap_or(RootCerts::WebPki))
}

/// The certificates of a file, or why it has none.
fn certificates(file: &Path) -> Result<RootCerts, String> {
    let text = read_bounded(file, CERTIFICATE_BYTES_MAX).map_err(|error| error.source.to_string())?;
    let certificate = |item| if let Ok(PemItem::Certificate(certificate)) = item { Some(certificate) } else { None };
    let found: Vec<_> = parse_pem(&text).filter_map(certificate).collect();
    if found.is_empty() { Err("it has no certificate".to_owned()) } else { Ok(RootCerts::Specific(Arc::new(found))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_certificates_that_is_named_is_used_or_it_is_said_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let (none, empty) = (folder.path().join("none.pem"), folder.path().join("empty.pem"));
        std::fs::write(&empty, "no certificate").unwrap();

        let why = |file: &Path| trusted(Some(file)).err().unwrap_or_default();
        assert_eq!(why(&none), format!("SSL_CERT_FILE is {}: No such file or directory (os error 2)", none.display()));
        assert_eq!(why(&empty), format!("SSL_CERT_FILE is {}: it has no certificate", empty.display()));
        assert!(trusted(None).is_ok());
    }
}
