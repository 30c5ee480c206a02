//! What a platform team does with connectors: install, observe, mend and move them. The kubectl plugin is a thin shell around it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`access`] | how the app cluster and the control plane are reached |

pub mod access;

pub use access::{Access, AccessError};
