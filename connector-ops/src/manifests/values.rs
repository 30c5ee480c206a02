//! What can be chosen of an install; `deploy/chart/values.yaml` has the defaults.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::control_plane::Token;

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// A part of a Kubernetes object, handed on as it is.
pub type Part = Map<String, Value>;

/// The values of the chart, complete: what is not chosen has its default. What each means is in `deploy/chart/values.schema.json`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "values.schema.json describes each field, and a test compares the two")]
pub struct Values {
    #[serde(rename = "clusterID", default)]
    pub cluster_id: String,
    pub control_plane: ControlPlane,
    pub connection_secrets: ConnectionSecrets,
    pub events: Switch,
    #[serde(default)]
    pub apis: Vec<Api>,
    pub input_secrets: InputSecrets,
    pub tls: Tls,
    pub logging: Logging,
    pub tracing: Tracing,
    pub replica_count: u32,
    pub image: Image,
    #[serde(default)]
    pub image_pull_secrets: Vec<Part>,
    pub service_account: ServiceAccount,
    pub rbac: Rbac,
    pub service: Service,
    pub shutdown_delay_seconds: u32,
    pub pod_disruption_budget: PodDisruptionBudget,
    pub network_policy: NetworkPolicy,
    #[serde(default)]
    pub resources: Part,
    #[serde(default)]
    pub node_selector: Labels,
    #[serde(default)]
    pub tolerations: Vec<Part>,
    #[serde(default)]
    pub affinity: Part,
    #[serde(default)]
    pub topology_spread_constraints: Vec<Part>,
    #[serde(default)]
    pub priority_class_name: String,
    pub host_network: bool,
    pub container_port: u16,
    pub admin_port: u16,
    pub listen_address: String,
    #[serde(default)]
    pub pod_security_context: Part,
    #[serde(default)]
    pub security_context: Part,
    #[serde(default)]
    pub extra_env: Vec<Part>,
    #[serde(default)]
    pub extra_args: Vec<String>,
    #[serde(default)]
    pub extra_volumes: Vec<Part>,
    #[serde(default)]
    pub extra_volume_mounts: Vec<Part>,
    #[serde(default)]
    pub common_labels: Labels,
    #[serde(default)]
    pub pod_labels: Labels,
    #[serde(default)]
    pub pod_annotations: Labels,
    pub service_monitor: ServiceMonitor,
    pub prometheus_rule: Monitoring,
    pub dashboards: Monitoring,
    pub upbound: Upbound,
    pub spaces: Spaces,
    pub mcp: Mcp,
    /// What a chart that contains this one says to all of its parts; nothing of it is used.
    #[serde(default)]
    pub global: Part,
}

macro_rules! groups {
    ($($(#[$of_type:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty,)* })*) => {$(
        #[doc = concat!("A group of [`Values`].")]
        #[derive(Clone, Debug, Deserialize, PartialEq)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        #[expect(missing_docs, reason = "values.schema.json describes each field, and a test compares the two")]
        $(#[$of_type])*
        pub struct $name { $($(#[$of_field])* pub $field: $type,)* }
    )*};
}

groups! {
    ControlPlane {
        claim_namespace: String,
        kubeconfig_secret: KubeconfigSecret,
        gzip: bool,
    }
    KubeconfigSecret {
        name: String,
        key: String,
        renew: bool,
    }
    ConnectionSecrets {
        enabled: bool,
        #[serde(default)]
        labels: Labels,
        #[serde(default)]
        annotations: Labels,
    }
    Switch {
        enabled: bool,
    }
    InputSecrets {
        #[serde(default)]
        from: Vec<String>,
    }
    Tls {
        secret_name: String,
        #[serde(default)]
        ca_key: String,
    }
    Logging {
        level: String,
        format: LogFormat,
    }
    Tracing {
        endpoint: String,
    }
    Image {
        repository: String,
        #[serde(default)]
        tag: String,
        #[serde(default)]
        digest: String,
        pull_policy: String,
    }
    ServiceAccount {
        create: bool,
        #[serde(default)]
        name: String,
        #[serde(default)]
        annotations: Labels,
    }
    Rbac {
        create: bool,
        #[serde(default)]
        extra_rules: Vec<Part>,
    }
    Service {
        port: u16,
        #[serde(default)]
        annotations: Labels,
    }
    PodDisruptionBudget {
        enabled: bool,
        max_unavailable: Value,
    }
    NetworkPolicy {
        enabled: bool,
        #[serde(default)]
        metrics_from: Vec<Part>,
        egress: Egress,
    }
    Egress {
        #[serde(default)]
        to: Vec<Part>,
        ports: Vec<u16>,
    }
    ServiceMonitor {
        enabled: bool,
        interval: String,
        #[serde(default)]
        labels: Labels,
    }
    Monitoring {
        enabled: bool,
        #[serde(default)]
        labels: Labels,
    }
    Upbound {
        account: String,
        token: Token,
    }
    Spaces {
        host: String,
        #[serde(rename = "insecureSkipTLSVerify")]
        insecure_skip_tls_verify: bool,
        control_plane: SpacesControlPlane,
    }
    SpacesControlPlane {
        name: String,
        group: String,
        claim_namespace: String,
        kubeconfig_secret: SpacesKubeconfigSecret,
    }
    SpacesKubeconfigSecret {
        name: String,
        key: String,
    }
    Mcp {
        account: String,
        name: String,
        namespace: String,
        host: String,
        token: Token,
        secret: McpSecret,
    }
    McpSecret {
        name: String,
        provision: bool,
    }
}

/// An entry of [`Values::apis`]: paths of one kind that name Secrets, as the file of `connector serve --config` has them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Api {
    /// The kind's API group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Paths to names of Secrets that the control plane writes.
    #[serde(default)]
    pub connection_secret_names: Option<Vec<String>>,
    /// Paths to references to Secrets of the app cluster.
    #[serde(default)]
    pub input_secrets: Option<Vec<String>>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl LogFormat {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}
