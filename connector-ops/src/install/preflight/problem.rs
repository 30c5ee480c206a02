//! What is in the way of an install, with what to do about it.

use std::fmt;

use super::{AUTHENTICATION, REQUEST_HEADER_CA};
use crate::ask::Unanswered;
use crate::cluster::{Name, Side};
use crate::labels;

/// What is in the way of an install.
#[derive(Debug)]
pub enum Problem {
    /// A cluster does not answer, or takes no credential.
    Unreachable {
        /// Which.
        side: Side,
        /// Its URL.
        server: String,
        /// Why.
        why: Unanswered,
    },
    /// Something could not be looked at.
    Unknown {
        /// In which cluster.
        side: Side,
        /// What.
        what: &'static str,
        /// Why.
        why: Unanswered,
    },
    /// Both are one cluster, which would serve itself its own APIs.
    SameCluster,
    /// Who installs may not do what it takes.
    MissingRights {
        /// In which cluster.
        side: Side,
        /// What, as `create deployments.apps in namespace kube-system`.
        rights: Vec<String>,
    },
    /// The credential that the user gave for the connector may not do what that needs.
    CredentialLacks {
        /// What, as `list databases.example.org in namespace claims`.
        rights: Vec<String>,
    },
    /// kube-apiserver of the app cluster aggregates no APIs.
    NoAggregation,
    /// The control plane has no Crossplane.
    NoCrossplane,
    /// A namespace is being deleted.
    TerminatingNamespace {
        /// In which cluster.
        side: Side,
        /// Its name.
        namespace: String,
    },
    /// The namespace of the app cluster is not there.
    NoNamespace {
        /// Its name.
        namespace: String,
    },
    /// Objects of the names that this would write are somebody else's.
    Taken {
        /// In which cluster.
        side: Side,
        /// Which.
        objects: Vec<Name>,
    },
    /// helm installed it, and would undo what is done here.
    InstalledByHelm {
        /// The namespace.
        namespace: String,
        /// The release.
        release: String,
    },
    /// The same release is in another namespace, and shares what has none.
    InstalledElsewhere {
        /// The namespace.
        namespace: String,
        /// The release.
        release: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { side, server, why } => match why.code() {
                Some(401) => {
                    write!(f, "the {side} at {server} does not accept the credential: renew it, or choose another context")
                }
                Some(_) => write!(f, "the {side} at {server} does not answer as a Kubernetes API does: {why}"),
                None => write!(
                    f,
                    "the {side} at {server} cannot be reached: {why}; see that host and port are right, and that no firewall or \
                     proxy is between"
                ),
            },
            Self::Unknown { side, what, why } => write!(f, "the {side} does not tell {what}: {why}"),
            Self::SameCluster => f.write_str(
                "the app cluster and the control plane are the same cluster: choose the app cluster with --context",
            ),
            Self::MissingRights { side, rights } => {
                write!(f, "you may not do in the {side} what it takes; ask for a role that gives:")?;
                rights.iter().try_for_each(|right| write!(f, "\n  {right}"))
            }
            Self::CredentialLacks { rights } => {
                f.write_str("the given credential may not do in the control plane what the connector needs; grant it there:")?;
                rights.iter().try_for_each(|right| write!(f, "\n  {right}"))
            }
            Self::NoAggregation => {
                let (namespace, name) = AUTHENTICATION;
                write!(
                    f,
                    "the app cluster aggregates no APIs: ConfigMap {namespace}/{name} has no {REQUEST_HEADER_CA}; give its \
                     kube-apiserver --requestheader-client-ca-file, --proxy-client-cert-file and what belongs to them"
                )
            }
            Self::NoCrossplane => f.write_str(
                "the control plane has no CompositeResourceDefinitions: install Crossplane there, or choose another context",
            ),
            Self::TerminatingNamespace { side, namespace } => {
                write!(f, "namespace {namespace:?} of the {side} is being deleted: wait until it is gone, or choose another")
            }
            Self::NoNamespace { namespace } => {
                write!(f, "the app cluster has no namespace {namespace:?}: create it, or choose another with -n")
            }
            Self::Taken { side, objects } => {
                let choose = match side {
                    Side::App => "--release",
                    Side::ControlPlane => "--cluster-id",
                };
                write!(
                    f,
                    "the {side} has objects of the same names that are not of a connector (label {}={}): delete them, or choose other \
                     names with {choose}:",
                    labels::NAME,
                    labels::CONNECTOR
                )?;
                objects.iter().try_for_each(|object| write!(f, "\n  {object}"))
            }
            Self::InstalledByHelm { namespace, release } => write!(
                f,
                "helm installed it as {release:?} in namespace {namespace:?}, and would undo what is done here; use \
                 'helm upgrade {release} CHART -n {namespace} --reuse-values', or remove it first with 'helm uninstall {release} \
                 -n {namespace}'"
            ),
            Self::InstalledElsewhere { namespace, release } => write!(
                f,
                "a connector is installed as {release:?} in namespace {namespace:?}: use -n {namespace}, or give this one \
                 another name with --release"
            ),
        }
    }
}
