//! What a connector is told: everything it cannot find out by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use connector_core::origin::{ClusterId, name_label};
use connector_core::references::References;
use thiserror::Error;

/// The configuration of one connector.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the app cluster's API is.
    pub app_cluster: AppCluster,
    /// Kubeconfig of the control plane; its current context counts. Read again when the file, or a file that it names,
    /// changes.
    pub control_plane_kubeconfig: PathBuf,
    /// Whether the control plane is asked to compress long answers: for a way that is narrow, at the price of processor time on both
    /// sides. Default: no.
    pub control_plane_gzip: bool,
    /// The namespace of the control plane that holds every object of this app cluster. Created if missing and allowed.
    pub claim_namespace: String,
    /// Names this app cluster among all that share the control plane. Default: the UID of its namespace `kube-system`.
    pub cluster_id: Option<ClusterId>,
    /// Where kube-apiserver's aggregation layer is served, over TLS. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are served, in plain text.
    pub admin_listen: SocketAddr,
    /// The Service that the APIServices point to.
    pub service: ServiceReference,
    /// A serving certificate brought by the user. Default: generated, its CA shared through a Secret.
    pub tls: Option<TlsFiles>,
    /// What comes back from the control plane beside the answers.
    pub sync: SyncOptions,
    /// What there is to know of single kinds. Default: nothing, so that of Secrets' names only the conventional one is translated.
    /// Of two that are about one kind the first counts.
    pub apis: Vec<ApiConfig>,
    /// The namespaces of the app cluster whose Secrets every object may refer to as input secrets, beside those of its own
    /// namespace, where the author of the object may read them. Default: none.
    pub input_secrets_from: Vec<String>,
    /// Name of a ClusterRole of the app cluster that owns what the connector makes there by itself: the APIServices, the Secret of
    /// the serving CA, the Leases. The garbage collector removes them when it is gone. Default: nothing does, so they stay.
    pub owner: Option<String>,
    /// Where in the app cluster `control_plane_kubeconfig` comes from: there a renewed token is written. Default: no token is renewed.
    pub credential_secret: Option<SecretReference>,
    /// How long requests are still taken after a shutdown was asked for, while readiness fails already: until nobody sends new ones
    /// (wire rule 11.23).
    pub shutdown_delay: Duration,
    /// How long open requests may take to end after that.
    pub drain: Duration,
}

/// What the control plane writes beside the claims and the app cluster gets a copy of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// Whether connection Secrets appear in the app cluster. Default: yes.
    pub connection_secrets: bool,
    /// Whether the control plane's events about claims appear there. Default: yes.
    pub events: bool,
    /// Labels that connection Secrets have there, beside the connector's own. Nothing is copied of those in the control plane. Default: none.
    pub labels: BTreeMap<String, String>,
    /// Annotations that connection Secrets have there. Default: none.
    pub annotations: BTreeMap<String, String>,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self { connection_secrets: true, events: true, labels: BTreeMap::new(), annotations: BTreeMap::new() }
    }
}

/// What there is to know of one kind.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The API group.
    pub group: String,
    /// The kind; all versions of it are meant.
    pub kind: String,
    /// The fields that name Secrets, beside `spec.writeConnectionSecretToRef.name`.
    pub references: Arc<References>,
}

/// How the app cluster's API is reached.
#[derive(Clone, Debug)]
pub enum AppCluster {
    /// The ServiceAccount of the Pod, or else the kubeconfig that `$KUBECONFIG` or the home folder names.
    Inferred,
    /// A kubeconfig; its current context counts.
    Kubeconfig(PathBuf),
}

/// Files of a serving certificate, in PEM. They are read again when they change.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, leaf first. It must name `<service>.<namespace>.svc` (wire rule 1.10).
    pub certificate: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
    /// The CA that the front verifies the certificate by. Without it the front uses its system's roots.
    pub ca: Option<PathBuf>,
}

/// The Service in the app cluster that leads to the connector, written `NAMESPACE/NAME[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceReference {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// The Service's port, not the container's. Default 443.
    pub port: u16,
}

/// A key of a Secret in the app cluster, written `NAMESPACE/NAME[:KEY]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretReference {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
    /// The key. Default `kubeconfig`.
    pub key: String,
}

/// A reference to a Secret is not of the form `NAMESPACE/NAME[:KEY]`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Secret {0:?} is not of the form NAMESPACE/NAME[:KEY], such as kube-system/connector-control-plane:kubeconfig")]
pub struct InvalidSecretReference(String);

impl FromStr for SecretReference {
    type Err = InvalidSecretReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidSecretReference(text.to_owned());
        let (namespace, rest) = text.split_once('/').ok_or_else(invalid)?;
        let (name, key) = rest.split_once(':').unwrap_or((rest, "kubeconfig"));
        let is_lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        let is_name = |part: &str| (1..=253).contains(&part.len()) && part.bytes().all(is_lower);
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !is_name(namespace) || namespace.contains('.') || !is_name(name) || !is_key {
            return Err(invalid());
        }
        Ok(Self { namespace: namespace.into(), name: name.into(), key: key.into() })
    }
}

/// A Service reference is not of the form `NAMESPACE/NAME[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("service {0:?} is not of the form NAMESPACE/NAME[:PORT], such as kube-system/connector:443")]
pub struct InvalidServiceReference(String);

impl ServiceReference {
    /// The DNS name that the front expects in the serving certificate, and sends as SNI (wire rules 1.5, 1.10).
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }

    /// What marks objects of the app cluster as written by the connector behind this Service: `NAMESPACE.NAME`, or a hash of it
    /// where that is too long for a label.
    pub(crate) fn label(&self) -> String {
        name_label(&format!("{}.{}", self.namespace, self.name)).into_owned()
    }
}

impl FromStr for ServiceReference {
    type Err = InvalidServiceReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidServiceReference(text.to_owned());
        let (namespace, rest) = text.split_once('/').ok_or_else(invalid)?;
        let (name, port) = match rest.split_once(':') {
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port > 0).ok_or_else(invalid)?),
            None => (rest, 443),
        };
        let label = |part: &str| {
            !part.is_empty()
                && part.len() <= 63
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !label(namespace) || !label(name) {
            return Err(invalid());
        }
        Ok(Self { namespace: namespace.into(), name: name.into(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_reference() {
        let parsed = |text: &str| text.parse::<SecretReference>().map(|secret| (secret.name, secret.key));
        assert_eq!(parsed("kube-system/a.b").unwrap(), ("a.b".to_owned(), "kubeconfig".to_owned()));
        assert_eq!(parsed("a/b:context.yaml").unwrap().1, "context.yaml");
        for bad in ["", "a", "a/", "/b", "a/b:", "a/b:c/d", "A/b", "a.b/c", "a/b/c"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn service_reference() {
        let parsed: ServiceReference = "kube-system/connector".parse().unwrap();
        assert_eq!((parsed.host().as_str(), parsed.port), ("connector.kube-system.svc", 443));
        assert_eq!(parsed.label(), "kube-system.connector");
        let long: ServiceReference = format!("{0}/{0}", "x".repeat(63)).parse().unwrap();
        assert!(long.label().len() <= 63);
        assert_eq!("a/b:8443".parse::<ServiceReference>().unwrap().port, 8443);
        for bad in ["", "connector", "a/b:0", "a/b:x", "a/B", "/b", "a/", "a/b/c"] {
            assert_eq!(bad.parse::<ServiceReference>(), Err(InvalidServiceReference(bad.into())));
        }
    }
}
