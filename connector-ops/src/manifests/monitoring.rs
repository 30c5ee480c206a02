//! What the Prometheus operator and Grafana's sidecar find.

use serde_json::{Map, Value, json};

use super::{Chart, Labels};

const API_VERSION: &str = "monitoring.coreos.com/v1";
const ALERTS: &str = include_str!("../../../deploy/chart/files/alerts.yaml");
const DASHBOARD: &str = include_str!("../../../deploy/chart/files/dashboard.json");

impl Chart<'_> {
    pub(super) fn service_monitor(&self) -> Option<Value> {
        let monitor = &self.values.service_monitor;
        monitor.enabled.then(|| {
            json!({
                "apiVersion": API_VERSION,
                "kind": "ServiceMonitor",
                "metadata": self.labelled(&self.release.name, &monitor.labels),
                "spec": {
                    "selector": {"matchLabels": self.release.selector()},
                    "namespaceSelector": {"matchNames": [self.release.namespace]},
                    "endpoints": [{"port": "metrics", "path": "/metrics", "interval": monitor.interval}],
                },
            })
        })
    }

    pub(super) fn prometheus_rule(&self) -> Option<Value> {
        let rule = &self.values.prometheus_rule;
        rule.enabled.then(|| {
            let alerts: Value = serde_saphyr::from_str(ALERTS).expect("the alerts are YAML, as a test shows");
            json!({
                "apiVersion": API_VERSION,
                "kind": "PrometheusRule",
                "metadata": self.labelled(&self.release.name, &rule.labels),
                "spec": alerts,
            })
        })
    }

    pub(super) fn dashboard(&self) -> Option<Value> {
        let dashboards = &self.values.dashboards;
        dashboards.enabled.then(|| {
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": self.labelled(&format!("{}-dashboard", self.release.name), &dashboards.labels),
                "data": {"connector.json": DASHBOARD},
            })
        })
    }

    fn labelled(&self, name: &str, more: &Labels) -> Map<String, Value> {
        let mut metadata = self.metadata(name);
        metadata.insert("labels".to_owned(), self.labels(more).into());
        metadata
    }
}
