//! What is told of the APIs: offered, described, registered.

use std::time::{SystemTime, UNIX_EPOCH};

use connector_core::offer::GroupVersion;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Labels of an API that is registered, or in the way of being so.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ApiLabels {
    group: String,
    version: String,
}

impl From<&GroupVersion> for ApiLabels {
    fn from(GroupVersion { group, version }: &GroupVersion) -> Self {
        Self { group: group.clone(), version: version.clone() }
    }
}

/// What is told of the APIs.
#[derive(Default)]
pub(crate) struct ApiMetrics {
    pub(crate) offered: Gauge,
    pub(crate) writes: Counter,
    catalog: Gauge,
    available: Family<ApiLabels, Gauge>,
    conflicts: Family<ApiLabels, Gauge>,
}

impl ApiMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("offered_apis", "Resources that the control plane offers", metrics.offered.clone());
        registry.register_with_unit(
            "catalog_refresh_timestamp",
            "When the documents that describe the APIs were last found to be those of the control plane, in seconds since 1970; 0 before the first time",
            Unit::Seconds,
            metrics.catalog.clone(),
        );
        registry.register(
            "apiservice_available",
            "1 for a group and version that is registered and that the app cluster's kube-apiserver finds available, 0 for one that it does not",
            metrics.available.clone(),
        );
        registry.register(
            "api_conflicts",
            "1 for a group and version that is not registered because the app cluster has it already",
            metrics.conflicts.clone(),
        );
        registry.register(
            "apiservice_writes",
            "APIService objects created, changed or deleted",
            metrics.writes.clone(),
        );
        metrics
    }

    /// The documents are those of the control plane, now.
    pub(crate) fn refreshed(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.catalog.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }

    /// What the front says of an API that is registered; `None` of one that is not any more.
    pub(crate) fn available(&self, api: &GroupVersion, available: Option<bool>) {
        match available {
            Some(available) => {
                self.available.get_or_create(&api.into()).set(available.into());
            }
            None => {
                self.available.remove(&api.into());
            }
        }
    }

    /// Whether something of the app cluster is in the way of an API.
    pub(crate) fn conflict(&self, api: &GroupVersion, is_in_conflict: bool) {
        if is_in_conflict {
            self.conflicts.get_or_create(&api.into()).set(1);
        } else {
            self.conflicts.remove(&api.into());
        }
    }

    /// Nothing is known to be in the way of any: another replica looks after that.
    pub(crate) fn forget_conflicts(&self) {
        self.conflicts.clear();
    }
}
