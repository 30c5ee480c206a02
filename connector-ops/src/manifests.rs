//! The objects of an install in the app cluster: those that the Helm chart `deploy/chart` makes, by the same values.
//!
//! ```
//! use connector_ops::manifests::{Layers, Release, render};
//!
//! let values = Layers::default()
//!     .set("controlPlane.claimNamespace=team-a,controlPlane.kubeconfigSecret.name=control-plane")?
//!     .values()?;
//! let objects = render(&values, &Release::new("connector", "kube-system"))?;
//! assert_eq!(objects.last().unwrap()["kind"], "Deployment");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `connector-bin/tests/chart` holds both to one outcome.

mod layers;
mod monitoring;
mod network;
mod rbac;
mod set;
mod settings;
mod values;
mod workload;

use serde_json::{Map, Value, json};

pub use layers::{Layers, LayersError};
pub(crate) use rbac::authentication_reader;
pub use set::SetError;
pub use settings::RenderError;
pub use values::*;

use settings::Settings;

/// Label value of `app.kubernetes.io/name` of everything that an install consists of, on both sides.
pub const APP_NAME: &str = "control-plane-connector";

/// What is installed: helm's word for a name under which one install lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The name of most objects, and the beginning of the names of the others.
    pub name: String,
    /// Where the namespaced ones are.
    pub namespace: String,
    /// Label value of `app.kubernetes.io/managed-by`.
    pub managed_by: String,
    /// Label value of `app.kubernetes.io/version`, and the image's tag where the values have none.
    pub version: String,
}

impl Release {
    /// One that the kubectl plugin manages, in this program's version.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            managed_by: "kubectl-connector".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The ClusterRole (and its binding) to register APIs, which owns what the connector makes by itself.
    pub fn registrar(&self) -> String {
        format!("{}-registrar", self.name)
    }

    /// What chooses the Pods.
    pub fn selector(&self) -> Map<String, Value> {
        [("app.kubernetes.io/name", APP_NAME), ("app.kubernetes.io/instance", &self.name)]
            .map(|(key, value)| (key.to_owned(), value.into()))
            .into_iter()
            .collect()
    }
}

/// The objects of an install, in the order in which they are applied: each after what it refers to. No APIServices: the
/// connector makes them.
///
/// # Errors
/// What the values say is incomplete or contradicts itself; the user's.
pub fn render(values: &Values, release: &Release) -> Result<Vec<Value>, RenderError> {
    let chart = Chart { values, release, settings: &settings::settings(values, release)? };
    let mut objects = Vec::new();
    objects.extend(chart.network_policy());
    objects.extend(chart.pod_disruption_budget());
    objects.extend(chart.service_account());
    objects.extend(chart.secret());
    objects.extend(chart.config_map());
    objects.extend(chart.dashboard());
    if values.rbac.create {
        objects.extend(chart.rbac());
    }
    objects.push(chart.service());
    objects.push(chart.deployment());
    objects.extend(chart.prometheus_rule());
    objects.extend(chart.service_monitor());
    Ok(objects)
}

/// What the templates of the chart see.
struct Chart<'a> {
    values: &'a Values,
    release: &'a Release,
    settings: &'a Settings,
}

impl Chart<'_> {
    /// Metadata of a namespaced object of this name.
    fn metadata(&self, name: &str) -> Map<String, Value> {
        let mut metadata = self.cluster_metadata(name);
        metadata.insert("namespace".to_owned(), self.release.namespace.as_str().into());
        metadata
    }

    fn cluster_metadata(&self, name: &str) -> Map<String, Value> {
        object(json!({"name": name, "labels": self.labels(&Labels::new())}))
    }

    /// Labels of an object; what the chart sets counts before what is given.
    fn labels(&self, more: &Labels) -> Map<String, Value> {
        let mut labels = self.pod_labels(more);
        labels.insert("app.kubernetes.io/managed-by".to_owned(), self.release.managed_by.as_str().into());
        labels
    }

    fn pod_labels(&self, more: &Labels) -> Map<String, Value> {
        let mut labels = self.release.selector();
        labels.insert("app.kubernetes.io/version".to_owned(), self.release.version.as_str().into());
        for (key, value) in self.values.common_labels.iter().chain(more) {
            if !labels.contains_key(key) {
                labels.insert(key.clone(), value.as_str().into());
            }
        }
        labels
    }

    fn service_account_name(&self) -> &str {
        match &self.values.service_account {
            ServiceAccount { name, .. } if !name.is_empty() => name,
            ServiceAccount { create: true, .. } => &self.release.name,
            _ => "default",
        }
    }
}

/// Of a JSON text that is written out here.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => unreachable!("an object is written here, not {other}"),
    }
}
