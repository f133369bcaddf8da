//! The public keys of hosts: pinned, so that a host is known wherever `cutover.toml` is.

use super::kind::TextKind;
use super::places::check_place;
use super::sink::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The kinds of host keys that OpenSSH takes today.
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// The longest key as text, in bytes: RSA with 16384 bits, and room for a comment.
const KEY_LENGTH_MAX: usize = 4_000;

/// A host without a user: `host` or `host:port`.
pub(super) struct HostPlace;

impl TextKind for HostPlace {
    type Out = String;
    const WHAT: &'static str = "a host without a user";
    const EXAMPLE: &'static str = "web-1.example.org";

    fn parse(text: &str) -> Result<String, Fault> {
        check_place(text, "write \"host\" or \"host:port\"")?;
        Ok(text.to_owned())
    }
}

/// A public key as in `known_hosts` and `.pub` files: kind and key; a comment is left out.
pub(super) struct HostKey;

impl TextKind for HostKey {
    type Out = String;
    const WHAT: &'static str = "a public key";
    const EXAMPLE: &'static str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbRxnX1hVSFvHw+1YUMKk1WZQOWcF8XaY1EFuhLrzqm";

    fn parse(text: &str) -> Result<String, Fault> {
        if text.len() > KEY_LENGTH_MAX || text.contains(char::is_control) {
            return Err(Fault::new("is not one line with a public key"));
        }
        let mut words = text.split_whitespace();
        let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !KEY_TYPES.contains(&kind) {
            let hint = format!("begin it with its kind, one of {}", KEY_TYPES.join(", "));
            return Err(Fault::hinted("does not begin with the kind of a host key", hint));
        }
        if !is_key(kind, key) {
            let hint = "copy it from the host's /etc/ssh/ssh_host_ed25519_key.pub, or have `cutover setup` pin it";
            return Err(Fault::hinted(format!("has no whole key behind {kind}"), hint));
        }
        Ok(format!("{kind} {key}"))
    }
}

/// Whether the key says itself that it is of this kind, and is whole: parts with their lengths before them, of which the
/// first is the kind (RFC 4253 section 6.6).
fn is_key(kind: &str, key: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(key) else { return false };
    let (mut rest, mut parts) = (&bytes[..], Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk() {
        let Some((part, tail)) = tail.split_at_checked(u32::from_be_bytes(*length) as usize) else { return false };
        parts.push(part);
        rest = tail;
    }
    rest.is_empty() && parts.len() > 1 && parts[0] == kind.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIMbRxnX1hVSFvHw+1YUMKk1WZQOWcF8XaY1EFuhLrzqm";

    fn parse(text: &str) -> Result<String, String> {
        HostKey::parse(text).map_err(|fault| fault.why)
    }

    #[test]
    fn a_key_is_taken_from_a_line_without_its_comment() {
        assert_eq!(parse(&format!("ssh-ed25519 {KEY} root@web-1")), Ok(format!("ssh-ed25519 {KEY}")));
    }

    #[test]
    fn what_ssh_would_pass_over_in_silence_is_refused() {
        assert_eq!(parse(KEY).unwrap_err(), "does not begin with the kind of a host key");
        assert_eq!(
            parse(&format!("web-1 ssh-ed25519 {KEY}")).unwrap_err(),
            "does not begin with the kind of a host key"
        );
        for damaged in [&KEY[..40], &KEY[1..], "", "AAAA"] {
            assert!(parse(&format!("ssh-ed25519 {damaged}")).is_err(), "{damaged}");
        }
        assert_eq!(parse(&format!("ssh-rsa {KEY}")).unwrap_err(), "has no whole key behind ssh-rsa");
        assert!(parse(&format!("ssh-ed25519 {KEY}\nweb-2 ssh-ed25519 {KEY}")).is_err());
    }
}
