//! What can go wrong with a shared store.

use super::objects::ObjectError;
use crate::error::ArtifactError;

/// A shared store that did not give or take what it should have.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// The place failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The local store failed, or did not take what came from there.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Something there is not what it says.
    #[error("{name} in {place} is damaged: {why}")]
    Damaged {
        /// What.
        name: String,
        /// Where.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody is removing it.
    #[error("artifact {id} is being removed from {place} at this moment")]
    Leaving {
        /// Its short id.
        id: String,
        /// Where.
        place: String,
    },
    /// What was to be noted of an artifact is, and whether that is still there was not seen.
    #[error(transparent)]
    Unseen(Box<Self>),
    /// There is more than can be looked through to remove what is old.
    #[error(transparent)]
    Crowded(ObjectError),
    /// Several artifacts have ids that begin like this.
    #[error("artifact {prefix} is ambiguous in {place}: {}", .matches.join(", "))]
    Ambiguous {
        /// The beginning as given.
        prefix: String,
        /// Where.
        place: String,
        /// Short ids of those that begin with it.
        matches: Vec<String>,
    },
}

impl DepotError {
    /// What a person can do about it, as a sentence's beginning in small letters.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Object(ObjectError::Refused { hint, .. }) => Some(hint),
            Self::Object(ObjectError::Unheard { .. }) => {
                Some("the same command can be given again later, and does what was not done")
            }
            Self::Object(ObjectError::TooMuch { .. }) => Some("`cutover artifact prune` removes what is old"),
            Self::Damaged { .. } => {
                Some("`cutover artifact push --again ID`, where the artifact is, puts it there anew")
            }
            Self::Leaving { .. } => Some("the same command can be given again in a minute"),
            Self::Crowded(_) => Some(
                "no store of artifacts has so much under one name: look who put it there, and remove it by other means",
            ),
            Self::Unseen(error) => error.hint(),
            Self::Ambiguous { .. } => Some("give more of its id"),
            Self::Artifact(error) => error.hint(),
            Self::Object(ObjectError::Odd { .. }) => {
                Some("look who put it there, and remove it: links in a shared store are not followed")
            }
            Self::Object(ObjectError::Failed { .. } | ObjectError::Here { .. } | ObjectError::Name(_)) => None,
        }
    }
}
