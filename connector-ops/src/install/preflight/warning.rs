//! What is not as it should be, and does not hinder an install.

use std::fmt;

use super::OLDEST;
use crate::cluster::Side;

/// What an install goes on in spite of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A cluster is older than what is tested.
    OldVersion {
        /// Which.
        side: Side,
        /// Its version.
        version: String,
    },
    /// Nothing is offered yet.
    NothingOffered,
    /// The app cluster has an API of its own where one is offered; it keeps it.
    Conflict {
        /// The API.
        api: String,
        /// What holds it, as `CustomResourceDefinition databases.example.org`.
        holder: String,
    },
    /// New groups are not granted by themselves.
    GroupsByName {
        /// Those that are.
        groups: Vec<String>,
    },
    /// The URL means the machine itself.
    Loopback {
        /// The URL.
        server: String,
    },
    /// Certificates are believed unseen.
    Insecure {
        /// The URL.
        server: String,
    },
    /// Another app cluster has the same cluster id and claim namespace.
    SharedClusterId {
        /// The id.
        cluster_id: String,
        /// The claim namespace.
        claim_namespace: String,
    },
    /// The install had another cluster id or claim namespace, whose claims are not shown any more.
    Moved {
        /// The former claim namespace.
        claim_namespace: String,
        /// The former cluster id.
        cluster_id: String,
    },
    /// The install had an account in the control plane, which it does not use any more.
    AccountLeft {
        /// The account, as `namespace/name`.
        account: String,
        /// The commands that delete it.
        commands: Vec<String>,
    },
    /// The control plane's way in takes no ServiceAccount's token, so the given one is used.
    GivenTokenUsed,
    /// The control plane cannot be looked at from here; perhaps the connector reaches it.
    ControlPlaneUnseen {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldVersion { side, version } => {
                write!(f, "the {side} has Kubernetes {version}; the connector is tested with 1.{OLDEST} and newer")
            }
            Self::NothingOffered => f.write_str(
                "the control plane offers nothing yet: its claims appear here as soon as it has a \
                 CompositeResourceDefinition with claims, or a namespaced one",
            ),
            Self::Conflict { api, holder } => write!(
                f,
                "{api} stays the app cluster's own, because of {holder}: delete that to have the control plane's"
            ),
            Self::GroupsByName { groups } => write!(
                f,
                "Crossplane's RBAC manager renders no roles for {}, or you may not aggregate them: these API groups are granted \
                 by name; when a new one is offered, run this command again",
                groups.join(", ")
            ),
            Self::Loopback { server } => write!(
                f,
                "the control plane's URL {server} means this machine, and another one in the app cluster: give one that leads \
                 there with --control-plane-server"
            ),
            Self::Insecure { server } => write!(
                f,
                "the certificate of {server} is not verified: anybody on the way can read and change claims and their Secrets"
            ),
            Self::SharedClusterId { cluster_id, claim_namespace } => write!(
                f,
                "another app cluster was connected with cluster id {cluster_id:?} and claim namespace {claim_namespace:?}; if it \
                 still is, both see and erase each other's claims"
            ),
            Self::Moved { claim_namespace, cluster_id } => write!(
                f,
                "the claims of cluster id {cluster_id:?} in namespace {claim_namespace:?} stay in the control plane, and are not shown \
                 in the app cluster any more"
            ),
            Self::AccountLeft { account, commands } => {
                write!(
                    f,
                    "ServiceAccount {account} stays in the control plane with its rights and its token, and is not used here any \
                     more; when this is installed, and if no other cluster uses it, delete it there with:"
                )?;
                commands.iter().try_for_each(|command| write!(f, "\n  {command}"))
            }
            Self::GivenTokenUsed => f.write_str(
                "the control plane does not take a ServiceAccount's token by this way: the connector uses the given token, with \
                 all its rights and until it expires",
            ),
            Self::ControlPlaneUnseen { why } => {
                write!(f, "the control plane was not checked, since it cannot be seen from here: {why}")
            }
        }
    }
}
