//! Why somebody does something, in their words.

use super::packing::known_secrets;
use crate::context::Context;
use crate::deployments::Session;
use crate::error::CommandError;
use cutover_core::mask::Masker;

/// The option that has it.
const OPTION: &str = "--reason";

/// The longest reason that is kept, in bytes: it stands in journals, locks and lists, and must be readable there.
const REASON_BYTES_MAX: usize = 4096;

/// A reason as it is kept and told: without the secrets that this command knows, or that are at hand here. It is read by more people
/// than may know them. A long one is cut and not refused: it may be a CI's, on the way back from something.
pub(super) fn masked(context: &Context, session: &Session<'_>, text: &str) -> Result<String, CommandError> {
    Ok(kept(&known_secrets(context.project()?).and(session.variables.secrets()), text))
}

/// The same where no environment's secrets were asked for.
pub(super) fn masked_here(context: &Context, text: &str) -> Result<String, CommandError> {
    Ok(kept(&known_secrets(context.project()?), text))
}

/// Masks the reason in a command line that another machine is to answer: it knows none of the secrets that are at hand here.
pub(super) fn mask_arguments(masker: &Masker, args: &mut [String]) {
    let mut follows = false;
    for arg in args {
        if follows || arg.strip_prefix(OPTION).is_some_and(|rest| rest.starts_with('=')) {
            *arg = masker.mask(arg);
        }
        follows = arg == OPTION;
    }
}

/// Masked first, cut afterwards: nobody knows half a secret when it is told.
fn kept(masker: &Masker, text: &str) -> String {
    bounded(masker.mask(text))
}

/// Reasons as one.
pub(super) fn joined(reasons: &[String]) -> String {
    bounded(reasons.join("; "))
}

fn bounded(mut text: String) -> String {
    if text.len() > REASON_BYTES_MAX {
        text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::secret::Secret;

    #[test]
    fn only_the_reason_is_masked_in_a_command_line() {
        let secret = Secret::new("made-up");
        let masker = Masker::new([("TOKEN", &secret)]);
        let mut args =
            ["lock", "made-up", "--reason", "made-up leaked", "--reason=a made-up", "made-up"].map(str::to_owned);
        mask_arguments(&masker, &mut args);
        assert_eq!(args, ["lock", "made-up", "--reason", "*** leaked", "--reason=a ***", "made-up"]);
    }

    #[test]
    fn a_secret_is_masked_where_a_reason_is_cut() {
        let secret = Secret::new("made-up-and-long");
        let long = format!("{}made-up-and-long", "x".repeat(REASON_BYTES_MAX - 5));
        let kept = kept(&Masker::new([("TOKEN", &secret)]), &long);
        assert!(kept.ends_with("x***") && !kept.contains("made"), "{}", &kept[kept.len() - 20..]);
    }

    #[test]
    fn a_reason_is_kept_as_it_is_and_a_long_one_is_cut() {
        assert_eq!(bounded("the café burns".to_owned()), "the café burns");
        let cut = bounded("é".repeat(50_000));
        assert!(cut.len() <= REASON_BYTES_MAX + '…'.len_utf8() && cut.ends_with("é…"), "{}", cut.len());
    }
}
