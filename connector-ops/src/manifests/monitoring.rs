//! What the Prometheus operator and Grafana's sidecar find.

use serde_json::{Map, Value, json};

use super::{Chart, Labels};

const API_VERSION: &str = "monitoring.coreos.com/v1";

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

    fn labelled(&self, name: &str, more: &Labels) -> Map<String, Value> {
        let mut metadata = self.metadata(name);
        metadata.insert("labels".to_owned(), self.labels(more).into());
        metadata
    }
}
