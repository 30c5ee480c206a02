//! Why a connector was not removed.

use thiserror::Error;

use crate::access::AccessError;
use crate::ask::Unanswered;
use crate::cluster::WriteError;
use crate::install::InstallError;

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
    /// The app cluster does not answer.
    #[error("the app cluster at {server} cannot be reached")]
    Unreachable {
        /// Its URL.
        server: String,
        /// Why.
        source: Unanswered,
    },
    /// There is nothing to remove.
    #[error("no connector is installed as release {release:?} in namespace {namespace:?}")]
    NotInstalled {
        /// The namespace.
        namespace: String,
        /// The release.
        release: String,
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
    #[error("the app cluster still knows {}: look at 'kubectl get apiservices'", .apis.join(", "))]
    NotForgotten {
        /// The APIServices.
        apis: Vec<String>,
    },
    /// Which claims there are is not known.
    #[error("the claims cannot be deleted, since the control plane cannot be asked for them: {why}")]
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
    #[error("after {} s {left} claims are not gone yet; the control plane goes on with them", .after.as_secs())]
    ClaimsLeft {
        /// How long it was waited.
        after: std::time::Duration,
        /// How many are left.
        left: usize,
    },
}
