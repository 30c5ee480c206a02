//! What a platform team does with connectors: install, observe, mend and move them. The kubectl plugin is a thin shell around it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`access`] | how the app cluster and the control plane are reached |
//! | [`manifests`] | the objects of an install in the app cluster, by the values of the Helm chart |

pub mod access;
pub mod manifests;

pub use access::{Access, AccessError};
