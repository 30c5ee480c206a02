//! How the Pods are reached, and when they may go.

use serde_json::{Value, json};

use super::Chart;

impl Chart<'_> {
    pub(super) fn service(&self) -> Value {
        let Self { values, release, .. } = self;
        let mut metadata = self.metadata(&release.name);
        if !values.service.annotations.is_empty() {
            metadata.insert("annotations".to_owned(), json!(values.service.annotations));
        }
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "type": "ClusterIP",
                "selector": release.selector(),
                "ports": [
                    {"name": "https", "port": values.service.port, "targetPort": "https", "protocol": "TCP"},
                    {"name": "metrics", "port": values.admin_port, "targetPort": "admin", "protocol": "TCP"},
                ],
            },
        })
    }

    pub(super) fn pod_disruption_budget(&self) -> Option<Value> {
        let budget = &self.values.pod_disruption_budget;
        budget.enabled.then(|| {
            json!({
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": self.metadata(&self.release.name),
                "spec": {
                    "maxUnavailable": budget.max_unavailable,
                    "unhealthyPodEvictionPolicy": "AlwaysAllow",
                    "selector": {"matchLabels": self.release.selector()},
                },
            })
        })
    }

    pub(super) fn network_policy(&self) -> Option<Value> {
        let policy = &self.values.network_policy;
        if !policy.enabled {
            return None;
        }
        let tcp = |port: &Value| json!({"port": port, "protocol": "TCP"});
        let mut metrics = json!({"ports": [tcp(&"admin".into())]});
        if !policy.metrics_from.is_empty() {
            metrics["from"] = json!(policy.metrics_from);
        }
        // What counts is the port of its Pods, which is 5353 on OpenShift.
        let names = [53, 5353].map(|port| [json!({"port": port, "protocol": "UDP"}), tcp(&port.into())]).concat();
        let ports: Vec<Value> = policy.egress.ports.iter().map(|port| tcp(&(*port).into())).collect();
        let mut out = json!({"ports": ports});
        if !policy.egress.to.is_empty() {
            out["to"] = json!(policy.egress.to);
        }
        Some(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self.metadata(&self.release.name),
            "spec": {
                "podSelector": {"matchLabels": self.release.selector()},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"ports": [tcp(&"https".into())]}, metrics],
                "egress": [{"ports": names}, out],
            },
        }))
    }
}
