//! Why a connector was not removed.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::access::AccessError;
use crate::ask::Unanswered;
use crate::cluster::{Side, WriteError};
use crate::install::InstallError;
use crate::installed::ReleaseName;

/// A connector was not removed, or not whole.
#[derive(Debug, Error)]
pub enum UninstallError {
    /// A kubeconfig cannot be used. The user's.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The control plane cannot be found as the user says. The user's.
    #[error(transparent)]
    ControlPlane(#[from] InstallError),
    /// No client can be made for it. The user's: what was given for TLS.
    #[error("the control plane cannot be asked: {0}")]
    Client(String),
    /// A cluster does not answer, or takes no credential.
    #[error("the {side} at {server} cannot be reached")]
    Unreachable {
        /// Which.
        side: Side,
        /// Its URL.
        server: String,
        /// Why.
        source: Unanswered,
    },
    /// There is nothing to remove.
    #[error("no connector is installed as release {:?} in namespace {:?}{}", .release.name, .release.namespace, alternatives(.others))]
    NotInstalled {
        /// What was looked for.
        release: ReleaseName,
        /// What there is instead, where that may be seen.
        others: Vec<ReleaseName>,
    },
    /// Another control plane was meant. The user's.
    #[error(
        "the control plane at {server} is not the one of this connector: its ServiceAccount {account} is not there, or another one of \
         that name; nothing was removed: choose another context, or none"
    )]
    OtherControlPlane {
        /// The URL that was given.
        server: String,
        /// The connector's account, as `namespace/name`.
        account: String,
    },
    /// helm installed it, and knows best.
    #[error("helm installed it: remove it with 'helm uninstall {release} -n {namespace}'")]
    InstalledByHelm {
        /// The namespace.
        namespace: String,
        /// The release.
        release: String,
    },
    /// A cluster refused.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The app cluster still has the APIs.
    #[error("the app cluster still knows {}: look at 'kubectl get apiservices'", .apis.iter().map(String::as_str).collect::<Vec<_>>().join(", "))]
    NotForgotten {
        /// The APIServices.
        apis: BTreeSet<String>,
    },
    /// Which claims there are is not known.
    #[error("the claims cannot be deleted: {why}")]
    ClaimsUnknown {
        /// Why.
        why: String,
    },
    /// They cannot be deleted.
    #[error("{resource} cannot be deleted")]
    Claims {
        /// The resource.
        resource: String,
        /// Why.
        source: Unanswered,
    },
    /// They are not gone yet.
    #[error(
        "after {} s {left} claims are not gone yet; the control plane goes on with them: look at them there with 'kubectl connector claims', \
         and run this again", .after.as_secs()
    )]
    ClaimsLeft {
        /// How long it was waited.
        after: std::time::Duration,
        /// How many are left.
        left: usize,
    },
}

fn alternatives(others: &[ReleaseName]) -> String {
    let named = others.iter().map(|other| format!("-n {} --release {}", other.namespace, other.name));
    let named: Vec<String> = named.collect();
    if named.is_empty() { String::new() } else { format!("; there is {}", named.join(", ")) }
}
