//! Why an install did not come to be.

use std::fmt;

use connector_core::origin::InvalidClusterId;
use thiserror::Error;

use super::Problem;
use crate::access::{Access, AccessError};
use crate::ask::Unanswered;
use crate::cluster::WriteError;
use crate::control_plane::{EndpointError, SpaceError};
use crate::manifests::RenderError;

/// An install did not come to be.
#[derive(Debug, Error)]
pub enum InstallError {
    /// A kubeconfig cannot be used. The user's.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The kubeconfig does not say where the control plane is. The user's.
    #[error("the control plane cannot be found by {access} (one in a Space is found with --spaces-host)")]
    Endpoint {
        /// What was given.
        access: Access,
        /// Why not.
        source: EndpointError,
    },
    /// The Space's host or a name in it cannot be. The user's.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The cluster id cannot be written into a label. The user's.
    #[error(transparent)]
    ClusterId(#[from] InvalidClusterId),
    /// No client can be made for the control plane. The user's: what was given for TLS.
    #[error("the control plane at {server} cannot be asked: {why}")]
    Client {
        /// Its URL.
        server: String,
        /// Why.
        why: String,
    },
    /// Things are in the way, on either side; nothing was written.
    #[error("{}", listed(.0))]
    Preflight(Vec<Problem>),
    /// The values are incomplete, or contradict themselves. The user's.
    #[error(transparent)]
    Values(#[from] RenderError),
    /// A cluster refused an object.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The Secret that was named is not there. The user's.
    #[error(
        "there is no Secret {secret:?} in namespace {namespace:?} of the app cluster: create it with 'kubectl create secret generic \
         {secret} -n {namespace} --from-file=kubeconfig=FILE'"
    )]
    NoSecret {
        /// The namespace.
        namespace: String,
        /// The Secret.
        secret: String,
    },
    /// It cannot be read.
    #[error("Secret {secret:?} in namespace {namespace:?} of the app cluster cannot be read")]
    SecretUnreadable {
        /// The namespace.
        namespace: String,
        /// The Secret.
        secret: String,
        /// Why.
        source: Unanswered,
    },
    /// It has no kubeconfig. The user's.
    #[error(
        "Secret {secret:?} in namespace {namespace:?} has no key {key:?}, but {}: name the one that holds the kubeconfig with \
         --set controlPlane.kubeconfigSecret.key=KEY", keys_listed(.keys)
    )]
    NoKey {
        /// The namespace.
        namespace: String,
        /// The Secret.
        secret: String,
        /// The key that is missing.
        key: String,
        /// Those that it has.
        keys: Vec<String>,
    },
    /// What is in it is no kubeconfig that can be used. The user's.
    #[error("key {key:?} of Secret {secret:?} in namespace {namespace:?} is no kubeconfig that can be used: {why}")]
    SecretUnusable {
        /// The namespace.
        namespace: String,
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
        /// Why.
        why: String,
    },
    /// The control plane issued no token for the account.
    #[error("the control plane issued no token for ServiceAccount {account}")]
    Token {
        /// The account, as `namespace/name`.
        account: String,
        /// Why.
        source: Unanswered,
    },
    /// The credential that was made does not work.
    #[error("the credential that was made for ServiceAccount {account} of the control plane does not work: {why}")]
    Credential {
        /// The account, as `namespace/name`.
        account: String,
        /// What happened instead.
        why: String,
    },
}

fn keys_listed(keys: &[String]) -> String {
    if keys.is_empty() { "none at all".to_owned() } else { keys.join(", ") }
}

/// One problem is the error itself; several are listed.
fn listed(problems: &[Problem]) -> String {
    match problems {
        [one] => one.to_string(),
        many => {
            let lines = many.iter().map(|problem| format!("\n- {}", Indented(problem)));
            format!("{} things are in the way, and nothing was written:{}", many.len(), lines.collect::<String>())
        }
    }
}

struct Indented<'a>(&'a Problem);

impl fmt::Display for Indented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().replace('\n', "\n  "))
    }
}
