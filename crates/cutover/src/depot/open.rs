//! Which shared store there is, and who speaks to it.

use super::no_store;
use crate::context::Context;
use crate::error::{CommandError, ErrorKind};
use cutover_artifacts::depot::{Credentials, Depot, Directory, Objects, S3, S3Access};
use cutover_core::config::ArtifactStoreKind;
use cutover_core::patience::Patience;
use cutover_core::secret::Secret;
use cutover_reporters::github::RealPace;
use cutover_targets::verify::root_certs;

/// The names that every client of S3 has for them.
const KEY_ID_VARIABLE: &str = "AWS_ACCESS_KEY_ID";
const SECRET_VARIABLE: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN_VARIABLE: &str = "AWS_SESSION_TOKEN";

/// The project's shared store; None where its config has none.
pub(crate) fn open(context: &Context) -> Result<Option<Depot>, CommandError> {
    let project = context.project()?;
    let Some(store) = &project.config.artifact.store else { return Ok(None) };
    let objects: Box<dyn Objects> = match &store.kind {
        ArtifactStoreKind::Directory(path) => Box::new(Directory::open(path)?),
        ArtifactStoreKind::S3(config) => {
            let certs = root_certs().map_err(|why| CommandError::new(ErrorKind::Usage, why))?;
            let (pace, patience) = (Box::new(RealPace), Patience::default());
            let access = S3Access { credentials: Some(credentials()?), certs, pace, patience };
            Box::new(S3::new(config, access)?)
        }
    };
    Ok(Some(Depot::new(objects, project.config.name.clone())))
}

/// The project's shared store, which the command is about.
pub(crate) fn needed(context: &Context) -> Result<Depot, CommandError> {
    open(context)?.ok_or_else(no_store)
}

fn credentials() -> Result<Credentials, CommandError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let needed = |name: &str| {
        variable(name).ok_or_else(|| {
            CommandError::new(ErrorKind::Usage, format!("the artifact store needs credentials: {name} is not set"))
                .hint(format!(
                    "set {KEY_ID_VARIABLE} and {SECRET_VARIABLE}, and {TOKEN_VARIABLE} where they are for a while"
                ))
        })
    };
    let (key_id, secret) = (needed(KEY_ID_VARIABLE)?, Secret::new(needed(SECRET_VARIABLE)?));
    Ok(Credentials { key_id, secret, token: variable(TOKEN_VARIABLE).map(Secret::new) })
}
