//! The Pods, and what is mounted into them.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Chart, Part, object};

/// Where the Secrets and the ConfigMap are in the container.
const MOUNTS: &str = "/etc/connector";
/// What a Pod needs to end beside the time in which it takes requests: 20 seconds in which open ones may finish, and some to spare.
const GRACE_SECONDS: u64 = 30;

impl Chart<'_> {
    pub(super) fn service_account(&self) -> Option<Value> {
        let account = &self.values.service_account;
        account.create.then(|| {
            let mut metadata = self.metadata(self.service_account_name());
            if !account.annotations.is_empty() {
                metadata.insert("annotations".to_owned(), json!(account.annotations));
            }
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        })
    }

    /// The control plane's kubeconfig, where the values say what it is made of.
    pub(super) fn secret(&self) -> Option<Value> {
        let server = self.settings.made.as_ref()?;
        let insecure = match self.values.spaces.insecure_skip_tls_verify {
            true => "    insecure-skip-tls-verify: true\n",
            false => "",
        };
        // A JSON string is one of YAML.
        let (url, token) = (json!(server.url), json!(server.token.reveal()));
        let kubeconfig = format!(
            "apiVersion: v1
kind: Config
current-context: control-plane
contexts: [{{name: control-plane, context: {{cluster: control-plane, user: connector}}}}]
clusters:
- name: control-plane
  cluster:
    server: {url}
{insecure}users:
- name: connector
  user:
    token: {token}
"
        );
        Some(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": self.metadata(&self.settings.secret),
            "type": "Opaque",
            "data": {self.settings.key.as_str(): STANDARD.encode(kubeconfig)},
        }))
    }

    pub(super) fn config_map(&self) -> Option<Value> {
        let config = self.config()?;
        Some(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata(&self.release.name),
            "data": {"config.yaml": format!("{config}\n")},
        }))
    }

    /// The file of `--config`, where what only it can say is said.
    fn config(&self) -> Option<String> {
        let secrets = &self.values.connection_secrets;
        let mut lines = Vec::new();
        for (name, marks) in
            [("connection-secret-labels", &secrets.labels), ("connection-secret-annotations", &secrets.annotations)]
        {
            if !marks.is_empty() {
                lines.push(format!("{name}: {}", json!(marks)));
            }
        }
        if !self.values.apis.is_empty() {
            lines.push("apis:".to_owned());
        }
        for api in &self.values.apis {
            let mut entry = Map::from_iter([
                ("group".to_owned(), api.group.as_str().into()),
                ("kind".to_owned(), api.kind.as_str().into()),
            ]);
            if let Some(paths) = &api.connection_secret_names {
                entry.insert("connection-secret-names".to_owned(), json!(paths));
            }
            if let Some(paths) = &api.input_secrets {
                entry.insert("input-secrets".to_owned(), json!(paths));
            }
            entry.sort_keys();
            lines.push(format!("- {}", Value::Object(entry)));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    pub(super) fn deployment(&self) -> Value {
        let Self { values, release, .. } = self;
        // Two Pods that want the same ports of a node cannot be on it together: one has to go first, or none comes on a small cluster.
        let (unavailable, surge) = if values.host_network { (1, 0) } else { (0, 1) };
        let mut annotations = values.pod_annotations.clone();
        if let Some(config) = self.config() {
            // The file is read at the start.
            let mut sum = String::new();
            for byte in Sha256::digest(config) {
                write!(sum, "{byte:02x}").expect("a String takes everything");
            }
            annotations.insert("checksum/config".to_owned(), sum);
        }
        let mut metadata = Map::from_iter([("labels".to_owned(), self.pod_labels(&values.pod_labels).into())]);
        insert(&mut metadata, "annotations", json!(annotations));
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self.metadata(&release.name),
            "spec": {
                "replicas": values.replica_count,
                "strategy": {"rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}},
                "selector": {"matchLabels": release.selector()},
                "template": {"metadata": metadata, "spec": self.pod()},
            },
        })
    }

    fn pod(&self) -> Map<String, Value> {
        let Self { values, .. } = self;
        let mut pod = object(json!({
            "serviceAccountName": self.service_account_name(),
            "terminationGracePeriodSeconds": u64::from(values.shutdown_delay_seconds) + GRACE_SECONDS,
            "containers": [self.container()],
            "volumes": self.volumes(),
        }));
        if values.host_network {
            pod.insert("hostNetwork".to_owned(), true.into());
            pod.insert("dnsPolicy".to_owned(), "ClusterFirstWithHostNet".into());
        }
        let selector = json!({"matchLabels": self.release.selector()});
        let spread = |constraint: &Part| {
            let mut constraint = constraint.clone();
            constraint.entry("labelSelector").or_insert_with(|| selector.clone());
            constraint
        };
        let spread: Vec<Part> = values.topology_spread_constraints.iter().map(spread).collect();
        insert(&mut pod, "priorityClassName", json!(values.priority_class_name));
        insert(&mut pod, "imagePullSecrets", json!(values.image_pull_secrets));
        insert(&mut pod, "securityContext", json!(values.pod_security_context));
        insert(&mut pod, "nodeSelector", json!(values.node_selector));
        insert(&mut pod, "tolerations", json!(values.tolerations));
        insert(&mut pod, "affinity", json!(values.affinity));
        insert(&mut pod, "topologySpreadConstraints", json!(spread));
        pod
    }

    fn container(&self) -> Map<String, Value> {
        let Self { values, .. } = self;
        let mut env = vec![
            json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}),
            json!({"name": "CONNECTOR_LOG", "value": values.logging.level}),
        ];
        if !values.tracing.endpoint.is_empty() {
            env.push(json!({"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": values.tracing.endpoint}));
        }
        env.extend(values.extra_env.iter().cloned().map(Value::Object));
        let mut mounts: Vec<Value> = self
            .mounted()
            .map(|name| json!({"name": name, "mountPath": format!("{MOUNTS}/{name}"), "readOnly": true}))
            .collect();
        mounts.extend(values.extra_volume_mounts.iter().cloned().map(Value::Object));
        let mut container = object(json!({
            "name": "connector",
            "image": self.image(),
            "imagePullPolicy": values.image.pull_policy,
            "args": self.args(),
            "env": env,
            "ports": [
                {"name": "https", "containerPort": values.container_port, "protocol": "TCP"},
                {"name": "admin", "containerPort": values.admin_port, "protocol": "TCP"},
            ],
            "livenessProbe": {
                "httpGet": {"path": "/livez", "port": "admin", "scheme": "HTTP"},
                "initialDelaySeconds": 5,
                "timeoutSeconds": 5,
            },
            "readinessProbe": {
                "httpGet": {"path": "/readyz", "port": "admin", "scheme": "HTTP"},
                "periodSeconds": 3,
                "timeoutSeconds": 3,
            },
            "volumeMounts": mounts,
        }));
        insert(&mut container, "securityContext", json!(values.security_context));
        insert(&mut container, "resources", json!(values.resources));
        container
    }

    fn image(&self) -> String {
        let image = &self.values.image;
        match (image.digest.as_str(), image.tag.as_str()) {
            ("", "") => format!("{}:{}", image.repository, self.release.version),
            ("", tag) => format!("{}:{tag}", image.repository),
            (digest, _) => format!("{}@{digest}", image.repository),
        }
    }

    fn args(&self) -> Vec<String> {
        let Self { values, release, settings } = self;
        let address = match values.listen_address.contains(':') {
            true => format!("[{}]", values.listen_address),
            false => values.listen_address.clone(),
        };
        let mut args =
            vec!["serve".to_owned(), format!("--control-plane-kubeconfig={MOUNTS}/control-plane/{}", settings.key)];
        if settings.renews(values) {
            args.push(format!("--credential-secret={}/{}:{}", release.namespace, settings.secret, settings.key));
        }
        args.push(format!("--claim-namespace={}", settings.claim_namespace));
        if !values.cluster_id.is_empty() {
            args.push(format!("--cluster-id={}", values.cluster_id));
        }
        args.push(format!("--service={}/{}:{}", release.namespace, release.name, values.service.port));
        args.push(format!("--listen={address}:{}", values.container_port));
        args.push(format!("--admin-listen={address}:{}", values.admin_port));
        args.push(format!("--shutdown-delay={}", values.shutdown_delay_seconds));
        args.push(format!("--log-format={}", values.logging.format.name()));
        if values.rbac.create {
            args.push(format!("--owner={}", release.registrar()));
        }
        for (given, arg) in [
            (values.control_plane.gzip, "--control-plane-gzip=true"),
            (!values.connection_secrets.enabled, "--connection-secrets=false"),
            (!values.events.enabled, "--events=false"),
        ] {
            if given {
                args.push(arg.to_owned());
            }
        }
        if !values.input_secrets.from.is_empty() {
            args.push(format!("--input-secrets-from={}", values.input_secrets.from.join(",")));
        }
        if !values.tls.secret_name.is_empty() {
            args.push(format!("--tls-cert-file={MOUNTS}/tls/tls.crt"));
            args.push(format!("--tls-key-file={MOUNTS}/tls/tls.key"));
            if !values.tls.ca_key.is_empty() {
                args.push(format!("--tls-ca-file={MOUNTS}/tls/{}", values.tls.ca_key));
            }
        }
        if self.config().is_some() {
            args.push(format!("--config={MOUNTS}/config/config.yaml"));
        }
        args.extend(values.extra_args.iter().cloned());
        args
    }

    /// The names of what is mounted: of the volumes, and of their folders.
    fn mounted(&self) -> impl Iterator<Item = &'static str> {
        let tls = (!self.values.tls.secret_name.is_empty()).then_some("tls");
        let config = self.config().map(|_| "config");
        std::iter::once("control-plane").chain(tls).chain(config)
    }

    fn volumes(&self) -> Vec<Value> {
        let secret = |name: &str| json!({"secretName": name, "defaultMode": 0o440});
        let volume = |name: &str| match name {
            "control-plane" => json!({"name": name, "secret": secret(&self.settings.secret)}),
            "tls" => json!({"name": name, "secret": secret(&self.values.tls.secret_name)}),
            _ => json!({"name": name, "configMap": {"name": self.release.name}}),
        };
        let extra = self.values.extra_volumes.iter().cloned().map(Value::Object);
        self.mounted().map(volume).chain(extra).collect()
    }
}

/// Adds what is not empty.
fn insert(part: &mut Part, key: &str, value: Value) {
    let empty = match &value {
        Value::Object(object) => object.is_empty(),
        Value::Array(array) => array.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    if !empty {
        part.insert(key.to_owned(), value);
    }
}
