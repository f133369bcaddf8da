//! The host's key: shown, confirmed, and pinned in `cutover.toml`.

use super::SetupArgs;
use crate::context::Context;
use crate::deployments::changed_key;
use crate::error::{CommandError, ErrorKind};
use cutover_core::config::Config;
use cutover_core::target::Failure;
use cutover_disk::write_atomic;
use cutover_targets::remote::destination::Destination;
use cutover_targets::remote::host_key::{Confirmed, HostKey, Trust, shown, trust};
use cutover_targets::remote::ssh::Options;
use std::io::{self, BufRead, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use toml_edit::{DocumentMut, Item, Table, Value};

/// Sees that the host's key is pinned, or at least known; gives the fingerprint of one that was pinned now.
///
/// A key that nobody has confirmed is trusted neither for this command nor for later ones, and one that has changed is never
/// asked about.
pub(super) fn ensure(
    context: &Context,
    args: &SetupArgs,
    host: &str,
    options: &mut Options,
) -> Result<Option<String>, CommandError> {
    let place = Destination::parse(host).place();
    let is_pinned = options.host_keys.contains_key(&place);
    let trusted = trust(host, options).map_err(unreached)?;
    match trusted {
        Trust::Changed(stands) => {
            // Whoever compares needs it; it may not be told any more.
            let seen = shown(host, options).ok().map(|key| key.fingerprint);
            return Err(changed(&place, seen.as_deref(), stands.as_ref()));
        }
        Trust::Known if is_pinned || args.remove => return Ok(None),
        Trust::Known | Trust::Unknown => {}
    }
    let key = shown(host, options).map_err(unreached)?;
    if !confirm(context, args, &place, &key, &trusted)? {
        return Ok(None);
    }
    options.host_keys.insert(place.clone(), vec![key.line.clone()]);
    match trust(host, options).map_err(unreached)? {
        Trust::Known => {}
        Trust::Changed(stands) => return Err(changed(&place, None, stands.as_ref())),
        Trust::Unknown => return Err(changed(&place, None, None)),
    }
    if !args.dry_run && !args.remove {
        write(context, &place, &key)?;
    }
    Ok(Some(key.fingerprint))
}

fn unreached(failure: Failure) -> CommandError {
    let told = CommandError::new(ErrorKind::Unreachable, failure.message).excerpt(failure.excerpt);
    failure.hint.into_iter().fold(told.state("nothing was changed"), CommandError::hint)
}

/// Whether the key is right: somebody said so beforehand, or says so now.
fn confirm(
    context: &Context,
    args: &SetupArgs,
    place: &str,
    key: &HostKey,
    trusted: &Trust,
) -> Result<bool, CommandError> {
    if args.accept_host_key.contains(&key.fingerprint) {
        return Ok(true);
    }
    let kind = key.line.split(' ').next().unwrap_or_default();
    let known = if *trusted == Trust::Known { ", which your ssh knows already" } else { "" };
    if io::stdin().is_terminal() && !context.output.json {
        let question = match args.dry_run || args.remove {
            true => "Is it right? It is not pinned now.",
            false => "Is it right, and shall it be pinned in cutover.toml?",
        };
        context.output.error(&format!(
            "{place} shows this key{known}:\n  {} ({kind})\nOn the host itself `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says \
             it too.\n{question} yes or no: ",
            key.fingerprint
        ))?;
        return answered(place, trusted);
    }
    if *trusted == Trust::Known {
        context.output.warn(&format!(
            "the key of {place} is known to your ssh, but not pinned: --accept-host-key {} pins it",
            key.fingerprint
        ));
        return Ok(false);
    }
    Err(CommandError::new(
        ErrorKind::Unreachable,
        format!("{place} shows a key that nobody has confirmed: {} ({kind})", key.fingerprint),
    )
    .state("nothing was changed, and no key of yours was shown to it")
    .hint("compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on the host itself")
    .hint(format!("when it is the same: --accept-host-key {}", key.fingerprint)))
}

fn answered(place: &str, trusted: &Trust) -> Result<bool, CommandError> {
    let mut answer = String::new();
    // No answer is not yes.
    let _ = io::stdin().lock().read_line(&mut answer);
    match (answer.trim(), trusted) {
        ("yes", _) => Ok(true),
        (_, Trust::Known) => Ok(false),
        (_, Trust::Unknown | Trust::Changed(_)) => {
            Err(CommandError::new(ErrorKind::Failed, format!("the key of {place} was not confirmed"))
                .state("nothing was changed"))
        }
    }
}

fn changed(place: &str, seen: Option<&str>, stands: Option<&Confirmed>) -> CommandError {
    let seen = seen.map(|fingerprint| format!(": {fingerprint}")).unwrap_or_default();
    let what = format!("{place} shows another key than the one that is known{seen}");
    let told = CommandError::new(ErrorKind::Unreachable, what);
    let told = told.state("nothing was changed, and no key of yours was shown to it");
    changed_key(place, stands).into_iter().fold(told, CommandError::hint)
}

fn write(context: &Context, place: &str, key: &HostKey) -> Result<(), CommandError> {
    let failed = |why: &dyn std::error::Error| {
        CommandError::new(ErrorKind::Failed, "pin the host's key in cutover.toml")
            .because(why)
            .state("the host was not changed")
    };
    let text = context.config_text()?;
    let pinned = with_pin(&text, place, &key.line).map_err(|error| failed(&error))?;
    let file = &context.project()?.file;
    let mode = std::fs::metadata(file).map_err(|error| failed(&error))?.permissions().mode() & 0o7777;
    // A link to the config stays one.
    let real = file.canonicalize().map_err(|error| failed(&error))?;
    Ok(write_atomic(&real, pinned.as_bytes(), mode)?)
}

/// The config with one more pin; everything else of it stays as people wrote it.
fn with_pin(text: &str, place: &str, key: &str) -> Result<String, io::Error> {
    let unsound = || {
        io::Error::other(format!("it has no place for it: add `\"{place}\" = \"{key}\"` to [ssh.host_keys] by hand"))
    };
    let mut document: DocumentMut = text.parse().map_err(io::Error::other)?;
    let is_new = document.get("ssh").is_none();
    let ssh = document.entry("ssh").or_insert_with(implicit);
    let keys =
        ssh.as_table_like_mut().ok_or_else(unsound)?.entry("host_keys").or_insert_with(|| Item::Table(Table::new()));
    keys.as_table_like_mut().ok_or_else(unsound)?.insert(place, Item::Value(Value::from(key)));
    if is_new && let Some(table) = keys.as_table_mut() {
        table.decor_mut().set_prefix("\n");
    }
    let text = document.to_string();
    Config::parse(&text).map(|_| text).map_err(|_| unsound())
}

/// A table that is not written while it has nothing but other tables.
fn implicit() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbRxnX1hVSFvHw+1YUMKk1WZQOWcF8XaY1EFuhLrzqm";

    fn keys(text: &str) -> Vec<String> {
        Config::parse(text).unwrap().ssh.host_keys.into_keys().collect()
    }

    #[test]
    fn a_pin_is_added_and_nothing_else_is_touched() {
        let before =
            "# ours\nname = \"shop\"  # the name\n\n[ssh]\nuser = \"deploy\" # who\n\n[environments.production]\n";
        let after = with_pin(before, "web:2222", KEY).unwrap();
        assert_eq!(keys(&after), ["web:2222"]);
        for line in before.lines() {
            assert!(after.contains(line), "{line:?} is gone from\n{after}");
        }
        assert_eq!(with_pin(&after, "web:2222", KEY).unwrap(), after);
        assert_eq!(keys(&with_pin(&after, "[::1]", KEY).unwrap()), ["[::1]", "web:2222"]);
    }

    #[test]
    fn every_form_of_the_table_takes_a_pin() {
        for ssh in ["", "ssh.user = \"deploy\"", "ssh = { user = \"deploy\" }", "ssh.host_keys = {}", "[ssh.host_keys]"]
        {
            let after = with_pin(&format!("name = \"shop\"\n{ssh}\n"), "web", KEY).unwrap();
            assert_eq!(keys(&after), ["web"], "{after}");
        }
    }
}
