//! Which machine is prepared, who logs in for it, and for whom.

use crate::deployments::{Place, own_name};
use crate::error::{CommandError, ErrorKind};
use cutover_targets::remote::destination::Destination;
use cutover_targets::remote::host_key::resolve;
use cutover_targets::remote::ssh::Options;

/// A machine that is prepared.
pub(super) enum Machine {
    /// This one.
    Here,
    /// Another one, as the config calls it.
    There(String),
}

impl Machine {
    pub(super) fn of(place: &Place<'_>) -> Self {
        if place.is_here() { Self::Here } else { Self::There(place.host.to_owned()) }
    }
}

/// Who prepares a machine, and for whom.
pub(super) struct Login {
    /// The host with the administrator's name, for `ssh`; empty here.
    pub(super) admin: String,
    /// Who will deploy.
    pub(super) user: String,
}

impl Login {
    /// Who deploys is whom `ssh` logs in there; here it is whoever asks.
    pub(super) fn find(machine: &Machine, admin: &str, options: &Options) -> Result<Self, CommandError> {
        let Machine::There(host) = machine else {
            return Ok(Self { admin: String::new(), user: own_name().ok_or_else(nobody)? });
        };
        let user = resolve(host, options)?.user;
        if user == "root" {
            return Err(CommandError::new(ErrorKind::Config, format!("deployments to {host} would be made as root"))
                .state("nothing was changed")
                .hint("name a user of their own, whom setup makes: `[ssh] user = \"deploy\"`, or \"deploy@host\"")
                .hint("setup itself logs in as root by itself, or as --as says"));
        }
        Ok(Self { admin: format!("{admin}@{}", Destination::of(host, options).place()), user })
    }
}

/// Nothing may be prepared for nobody.
fn nobody() -> CommandError {
    let who = rustix::process::geteuid().as_raw();
    let told =
        format!("it is not known who you are: uid {who} has no account here, and neither USER nor LOGNAME is set");
    CommandError::new(ErrorKind::Usage, told).state("nothing was changed").hint("set USER to who shall deploy")
}
