//! What a platform team does with connectors: install, observe, mend and move them. The kubectl plugin is a thin shell around it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`access`] | how the app cluster and the control plane are reached |
//! | [`manifests`] | the objects of an install in the app cluster, by the values of the Helm chart |
//! | [`status`] | whether an install works, and what it is made of |
//! | [`doctor`] | what is in the way of an install, before and after, and how to mend it |
//! | [`claims`] | what lies in a control plane, by the clusters that it belongs to |

pub mod access;
mod ask;
mod certificates;
pub mod claims;
mod credential;
pub mod doctor;
mod installed;
pub mod manifests;
mod offers;
mod registration;
pub mod status;

pub use access::{Access, AccessError};
pub use ask::Unanswered;
pub use credential::{Credential, CredentialError, CredentialKind};
pub use installed::{FindError, Release};
