//! What is told while something long goes on.

use k8s_openapi::jiff::Timestamp;

use crate::cluster::{Change, Name, Side};
use crate::install::Warning;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A cluster answers.
    Reached {
        /// Which.
        side: Side,
        /// Its URL.
        server: String,
        /// Its version of Kubernetes.
        version: String,
    },
    /// Something is not as it should be, and does not hinder.
    Warning(Warning),
    /// An object was made what it should be, or deleted.
    Object {
        /// In which cluster.
        side: Side,
        /// The object.
        object: Name,
        /// What became of it.
        change: Change,
    },
    /// The connector has a new token.
    Issued {
        /// Whose, as `namespace/name`.
        account: String,
        /// Until when it is good.
        expires: Timestamp,
    },
    /// Something is waited for; told when it begins, and again when what is said changes.
    Waiting {
        /// What.
        what: String,
    },
}

/// Who is told. It must not block.
pub type Tell<'a> = &'a (dyn Fn(Event) + Sync);
