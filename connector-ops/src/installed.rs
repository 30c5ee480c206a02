//! An install as it is found in the app cluster, whoever made it: helm, the plugin, or hands.

mod options;

use std::collections::BTreeMap;

use connector_core::origin::name_label;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PodSpec};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use thiserror::Error;

use crate::ask::{Unanswered, ask};
use crate::labels::{CONNECTOR, INSTANCE, MANAGED_BY, NAME};
use options::Options;

/// Which install of the app cluster is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseName {
    /// The namespace where it is installed.
    pub namespace: String,
    /// Its name, which its objects have in label `app.kubernetes.io/instance`.
    pub name: String,
}

impl Default for ReleaseName {
    /// `connector` in `kube-system`.
    fn default() -> Self {
        Self { namespace: "kube-system".to_owned(), name: "connector".to_owned() }
    }
}

/// The install cannot be looked at.
#[derive(Debug, Error)]
pub enum FindError {
    /// There is none of that name. The user's: install it, or name another one.
    #[error("no connector is installed as release {:?} in namespace {:?}: {}", .release.name, .release.namespace, alternatives(.others))]
    NotInstalled {
        /// What was looked for.
        release: ReleaseName,
        /// What there is instead, where that may be seen.
        others: Vec<ReleaseName>,
    },
    /// The app cluster did not say.
    #[error("the Deployments of namespace {namespace:?} of the app cluster cannot be read: {source}")]
    Unanswered {
        /// The namespace.
        namespace: String,
        /// Why.
        source: Unanswered,
    },
}

fn alternatives(others: &[ReleaseName]) -> String {
    match others {
        [] => "install it with 'kubectl connector install', or name another one with -n and --release".to_owned(),
        [..] => {
            let named = others.iter().map(|other| format!("-n {} --release {}", other.namespace, other.name));
            format!("there is {}", named.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Where a value lies in a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretKey {
    /// The Secret, in the namespace of the install.
    pub(crate) secret: String,
    /// The key in it.
    pub(crate) key: String,
}

/// An install.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) release: ReleaseName,
    /// The Deployment's name.
    pub(crate) deployment: String,
    pub(crate) version: Option<String>,
    pub(crate) managed_by: Option<String>,
    /// How many replicas there should be.
    pub(crate) replicas: i32,
    /// Selects its Pods.
    pub(crate) pods: BTreeMap<String, String>,
    pub(crate) service_account: String,
    pub(crate) claim_namespace: Option<String>,
    /// As configured; else it is the UID of `kube-system`.
    pub(crate) cluster_id: Option<String>,
    pub(crate) service: ServiceName,
    /// The port on which the Pods serve.
    pub(crate) container_port: u16,
    /// Where the control plane's kubeconfig is mounted from.
    pub(crate) credential: Option<SecretKey>,
    /// Where a serving certificate of the user's own is mounted from.
    pub(crate) serving_certificate: Option<SecretKey>,
    pub(crate) connection_secrets: bool,
    pub(crate) events: bool,
    /// Whether Secrets that claims consume are copied to the control plane.
    pub(crate) input_secrets: bool,
    pub(crate) host_network: bool,
    /// The ClusterRole that owns what the connector makes by itself.
    pub(crate) owner: Option<String>,
    /// Whether it renews its credential in the Secret.
    pub(crate) renews: bool,
}

/// The Service that APIServices point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceName {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl ServiceName {
    /// The label of what the connector behind it writes in the app cluster.
    pub(crate) fn label(&self) -> String {
        name_label(&format!("{}.{}", self.namespace, self.name)).into_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let (namespace, rest) = text.split_once('/')?;
        let (name, port) = match rest.split_once(':') {
            Some((name, port)) => (name, port.parse().ok()?),
            None => (rest, 443),
        };
        Some(Self { namespace: namespace.to_owned(), name: name.to_owned(), port })
    }
}

/// Finds an install by its labels.
///
/// # Errors
/// See [`FindError`].
pub(crate) async fn find(app: &Client, release: &ReleaseName) -> Result<Installed, FindError> {
    let unanswered = |source| FindError::Unanswered { namespace: release.namespace.clone(), source };
    let deployments = Api::<Deployment>::namespaced(app.clone(), &release.namespace);
    let selector = format!("{NAME}={CONNECTOR},{INSTANCE}={}", release.name);
    let found = ask(deployments.list(&ListParams::default().labels(&selector))).await.map_err(unanswered)?;
    let Some(deployment) = found.items.into_iter().next() else {
        return Err(FindError::NotInstalled { release: release.clone(), others: all(app).await });
    };
    let config_maps = Api::<ConfigMap>::namespaced(app.clone(), &release.namespace);
    Ok(read(release, &deployment, &config_maps).await)
}

/// Every install that may be seen.
async fn all(app: &Client) -> Vec<ReleaseName> {
    let deployments = Api::<Deployment>::all(app.clone());
    let found = ask(deployments.list(&ListParams::default().labels(&format!("{NAME}={CONNECTOR}")))).await;
    let found = found.map(|found| found.items).unwrap_or_default();
    let releases = found.iter().filter_map(|deployment| {
        Some(ReleaseName { namespace: deployment.namespace()?, name: deployment.labels().get(INSTANCE)?.clone() })
    });
    releases.collect()
}

async fn read(release: &ReleaseName, deployment: &Deployment, config_maps: &Api<ConfigMap>) -> Installed {
    let spec = deployment.spec.clone().unwrap_or_default();
    let template = spec.template.spec.unwrap_or_default();
    let options = Options::of(&template, config_maps).await;
    let labels = deployment.labels();
    let flag = |name| options.get(name).is_none_or(|value| value != "false");
    let service = options.get("service").and_then(|text| ServiceName::parse(&text));
    Installed {
        release: release.clone(),
        deployment: deployment.name_any(),
        version: labels.get("app.kubernetes.io/version").cloned(),
        managed_by: labels.get(MANAGED_BY).cloned(),
        replicas: spec.replicas.unwrap_or(1),
        pods: spec.selector.match_labels.unwrap_or_default(),
        service_account: template.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
        claim_namespace: options.get("claim-namespace"),
        cluster_id: options.get("cluster-id"),
        // The connector's own default.
        service: service.unwrap_or_else(|| ServiceName {
            namespace: "kube-system".to_owned(),
            name: "connector".to_owned(),
            port: 443,
        }),
        container_port: options
            .get("listen")
            .and_then(|listen| listen.rsplit(':').next()?.parse().ok())
            .unwrap_or(8443),
        credential: options.get("control-plane-kubeconfig").and_then(|path| mounted(&template, &path)),
        serving_certificate: options.get("tls-cert-file").and_then(|path| mounted(&template, &path)),
        connection_secrets: flag("connection-secrets"),
        events: flag("events"),
        input_secrets: options.get("apis").is_some_and(|apis| has_input_secrets(&apis)),
        host_network: template.host_network == Some(true),
        owner: options.get("owner"),
        renews: options.get("credential-secret").is_some(),
    }
}

/// Whether an entry of `apis`, which only the file of `--config` has, names fields with Secrets that claims consume.
fn has_input_secrets(apis: &str) -> bool {
    let apis: Vec<Value> = serde_json::from_str(apis).unwrap_or_default();
    apis.iter().any(|api| api["input-secrets"].as_array().is_some_and(|paths| !paths.is_empty()))
}

/// The Secret whose key is the file at `path` of the container.
fn mounted(pod: &PodSpec, path: &str) -> Option<SecretKey> {
    let (volume, file) = options::volume_of(pod, path)?;
    let from = |secret: &Option<String>, items: &Option<Vec<k8s_openapi::api::core::v1::KeyToPath>>| {
        let key = match items {
            Some(items) => items.iter().find(|item| item.path == file)?.key.clone(),
            None => file.clone(),
        };
        Some(SecretKey { secret: secret.clone()?, key })
    };
    if let Some(source) = &volume.secret {
        return from(&source.secret_name, &source.items);
    }
    let sources = volume.projected.as_ref()?.sources.iter().flatten();
    sources
        .filter_map(|source| source.secret.as_ref())
        .find_map(|secret| from(&Some(secret.name.clone()), &secret.items))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// An install as the plugin makes it.
    pub(crate) fn installed() -> Installed {
        Installed {
            release: ReleaseName::default(),
            deployment: "connector".to_owned(),
            version: Some("1.2.3".to_owned()),
            managed_by: Some("kubectl-connector".to_owned()),
            replicas: 2,
            pods: BTreeMap::new(),
            service_account: "connector".to_owned(),
            claim_namespace: Some("claims".to_owned()),
            cluster_id: None,
            service: ServiceName { namespace: "kube-system".to_owned(), name: "connector".to_owned(), port: 443 },
            container_port: 8443,
            credential: None,
            serving_certificate: None,
            connection_secrets: true,
            events: true,
            input_secrets: false,
            host_network: false,
            owner: None,
            renews: false,
        }
    }
}

#[cfg(test)]
mod tests;
