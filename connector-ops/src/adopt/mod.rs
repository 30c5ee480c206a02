//! Brings claims under the origin of an app cluster, and gives them back.
//!
//! A claim that was made in the control plane itself, or by a Crossplane in the app cluster, has another name than the
//! connector gives it. Kubernetes cannot rename an object, so the claim is made anew under the remote name, bound to the same
//! composite, and the old one is taken away while Crossplane's hands are off both:
//!
//! 1. what is about to happen is written down, in a ConfigMap in the claim namespace;
//! 2. claim and composite are paused, and Crossplane has said of the claim that it saw it: whatever it had begun there is over;
//! 3. the claim is made under its new name, paused, with everything that it had: labels, annotations, finalizer, status,
//!    field managers;
//! 4. the composite's `spec.claimRef` names the new claim. Crossplane leaves a composite alone that is bound to another
//!    claim, in deletion too;
//! 5. the old claim's finalizer is taken off, and the claim deleted;
//! 6. what was not paused before is not paused any more.
//!
//! The composite keeps its UID, so nothing that is composed changes hands. Every step looks at what is there, so a run that
//! was interrupted goes on where it ended. The way back is the same way, from the record in the ConfigMap; it goes with the
//! claim when that is deleted.
//!
//! Namespaced composites are not adopted: what is composed belongs to the composite by its UID and has names made of its
//! name, so under a new name all of it would be composed anew.

mod composed;
mod kinds;
mod object;
mod plan;
mod record;
mod run;
mod source;
mod survey;
#[cfg(test)]
mod tests;

use connector_core::origin::Hashed;
use thiserror::Error;

pub use plan::{Action, Plan, Refused, Step};
pub use record::Place;
pub use run::carry_out;
pub use source::{InvalidPick, Pick, Source, UnreadableDocuments};
pub use survey::{survey, survey_return};

use crate::ask::Unanswered;

/// What is to be adopted, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The app cluster whose claims these become, and the claim namespace.
    pub scheme: Hashed,
    /// Where the claims are now.
    pub source: Source,
    /// The namespace of the app cluster in which they appear. Default: the one in which they are.
    pub to_namespace: Option<String>,
    /// Whether `spec.writeConnectionSecretToRef.name` stays as it is. By default it is hashed, as the connector does it; the
    /// user sees the same name either way.
    pub keep_secret_names: bool,
    /// Whether claims that come from documents, which are created paused, are unpaused at the end, those of earlier runs
    /// included.
    pub unpause: bool,
}

/// Claims cannot be adopted or given back.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// The control plane did not answer, or refused. Its own, or the user's rights.
    #[error("{what} cannot be read in the control plane: {source}")]
    Unread {
        /// What was to be read.
        what: String,
        /// Why it was not.
        source: Unanswered,
    },
    /// The cluster has no XRDs. The user's: another context was meant, or Crossplane is not installed yet.
    #[error(
        "this cluster has no CompositeResourceDefinitions, so it is no control plane: give its context with --context, or install Crossplane there"
    )]
    NoCrossplane,
    /// What an earlier run wrote down cannot be understood. The user's: run the version of the plugin that wrote it.
    #[error(
        "ConfigMap {namespace}/{name} of the control plane, in which another run wrote down what it did, cannot be understood: {why}"
    )]
    Record {
        /// The claim namespace.
        namespace: String,
        /// The ConfigMap.
        name: String,
        /// Why not.
        why: String,
    },
    /// A claim that was asked for is not there. The user's: look at the name and the namespace.
    #[error("no claim {pick} in {place}; there are {there}")]
    NotFound {
        /// What was asked for.
        pick: String,
        /// Where it was looked for.
        place: String,
        /// What could have been asked for.
        there: String,
    },
    /// The documents cannot be used. The user's.
    #[error(transparent)]
    Documents(#[from] UnreadableDocuments),
    /// Somebody deleted the claim while it was on its way. It is not made anew; run it again for the others.
    #[error("{kind} {place} was deleted meanwhile, and is not made anew")]
    Gone {
        /// The claim's kind.
        kind: String,
        /// Where it was.
        place: Place,
    },
    /// A step failed. Claim and composite may stay paused; what stands for them goes on. Mend the reason, and run the same
    /// command again: it goes on from there.
    #[error(
        "{kind} {from} is not moved to its end and stays as it is, perhaps paused, until this is run again: {doing} failed: {source}"
    )]
    Stopped {
        /// The claim's kind.
        kind: String,
        /// Where it was.
        from: Place,
        /// What was to be done.
        doing: &'static str,
        /// Why it was not.
        source: StepError,
    },
}

/// Why one step failed.
#[derive(Debug, Error)]
pub enum StepError {
    /// The control plane did not answer, or refused.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// The claim is gone.
    #[error("{0} is gone")]
    Gone(Place),
    /// What is there is not what was planned with.
    #[error("{0}")]
    Unexpected(String),
}

impl StepError {
    pub(crate) fn unexpected(message: impl Into<String>) -> Self {
        Self::Unexpected(message.into())
    }
}
