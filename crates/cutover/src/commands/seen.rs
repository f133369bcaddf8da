//! What was seen of an environment's hosts: told once for those that are alike, and of each why nothing was seen.

use crate::context::Context;
use crate::deployments::Seen;
use crate::error::CommandError;
use crate::exit::Exit;

/// The hosts that could be seen, those together of which the same was seen, each group where its first host is.
pub(super) fn alike<T: PartialEq>(all: &[(String, T)]) -> Vec<(Vec<&str>, &T)> {
    let mut groups: Vec<(Vec<&str>, &T)> = Vec::new();
    for (host, seen) in all {
        match groups.iter_mut().find(|(_, known)| *known == seen) {
            Some((hosts, _)) => hosts.push(host),
            None => groups.push((vec![host], seen)),
        }
    }
    groups
}

/// What was seen, with its host; and why nothing was, of the others.
pub(super) fn part<T>(all: Vec<Seen<T>>) -> (Vec<(String, T)>, Vec<CommandError>) {
    let is_alone = all.len() == 1;
    let (mut seen, mut unseen) = (Vec::new(), Vec::new());
    for one in all {
        match one.seen {
            Ok(known) => seen.push((one.host, known)),
            Err(error) if is_alone => unseen.push(error),
            Err(error) => unseen.push(error.on_host(&one.host)),
        }
    }
    (seen, unseen)
}

/// Tells what is wrong; gives the worst of it as the exit code.
pub(super) fn conclude(context: &Context, mut errors: Vec<CommandError>) -> Result<Exit, CommandError> {
    let Some(last) = errors.pop() else { return Ok(Exit::Done) };
    if errors.is_empty() {
        return Err(last);
    }
    let told = errors.into_iter().chain([last]).map(|error| error.tell(&context.output));
    Ok(told.max_by_key(|exit| *exit as u8).unwrap_or(Exit::Failed))
}
