//! The public key that lets deployments in.

use super::host::Machine;
use crate::error::{CommandError, ErrorKind};
use cutover_targets::remote::host_key::{fingerprint, key_lines, public_keys};
use cutover_targets::remote::ssh::Options;
use std::path::Path;

/// The key from a file, else the one that `ssh` uses; None for this machine, to which nobody need come.
pub(super) fn find(file: Option<&Path>, machine: &Machine, options: &Options) -> Result<Option<String>, CommandError> {
    let keys = match (file, machine) {
        (Some(file), _) => of_file(file)?,
        (None, Machine::Here) => return Ok(None),
        (None, Machine::There(host)) => public_keys(host, options)?,
    };
    let unclear = |what: &str| CommandError::new(ErrorKind::Usage, what).state("nothing was changed");
    match keys.as_slice() {
        [key] => {
            // What is no key would let nobody in.
            fingerprint(key)?;
            Ok(Some(key.clone()))
        }
        [] => Err(unclear("there is no public key that could let deployments in")
            .hint("make one with `ssh-keygen -t ed25519`, or name it: identity = \"~/.ssh/KEY\" in [ssh] is the key that logs in")
            .hint("--key FILE.pub lets another one in for deployments; setup itself logs in with those that ssh finds")),
        keys => {
            let list: Vec<&str> = keys.iter().map(|key| key.splitn(3, ' ').nth(2).unwrap_or(key)).collect();
            Err(unclear(&format!("it is not clear which key deployments use; there are: {}", list.join(", ")))
                .hint("say it: --key FILE, or `identity` in [ssh]"))
        }
    }
}

fn of_file(file: &Path) -> Result<Vec<String>, CommandError> {
    let failed = |why: String| {
        CommandError::new(ErrorKind::Usage, format!("{} is no public key: {why}", file.display()))
            .state("nothing was changed")
            .hint("give the file that ends with .pub")
    };
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let keys = key_lines(&text);
    if keys.is_empty() { Err(failed("it has no line of a public key".to_owned())) } else { Ok(keys) }
}
