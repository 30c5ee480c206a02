//! What a platform team does with connectors: install, observe, mend and move them. The kubectl plugin is a thin shell around it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`access`] | how the app cluster and the control plane are reached |
//! | [`control_plane`] | where a control plane is, and who the connector is there |
//! | [`manifests`] | the objects of an install in the app cluster, by the values of the Helm chart |
//! | [`install`] | installs a connector, and changes what is installed |
//! | [`uninstall`] | removes what was installed, and only if it is asked the claims |
//! | [`status`] | whether an install works, and what it is made of |
//! | [`doctor`] | what is in the way of an install, before and after, and how to mend it |
//! | [`claims`] | what lies in a control plane, by the clusters that it belongs to |
//! | [`adopt`] | brings claims that were made elsewhere under the origin of an app cluster, and back |
//! | [`progress`] | what is told meanwhile |

pub mod access;
pub mod adopt;
mod ask;
mod certificates;
pub mod claims;
mod cluster;
pub mod control_plane;
mod credential;
pub mod doctor;
pub mod install;
mod installed;
mod labels;
pub mod manifests;
mod offers;
pub mod progress;
mod registration;
mod review;
pub mod status;
pub mod uninstall;
mod yaml;

pub use access::{Access, AccessError};
pub use ask::Unanswered;
pub use cluster::{Change, Name, Side, WriteError};
pub use credential::{Credential, CredentialError, CredentialKind};
pub use installed::{FindError, ReleaseName};
pub use yaml::yaml;
