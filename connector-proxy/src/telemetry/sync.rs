//! What is counted of what comes back from the control plane beside the answers, and who writes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Labels of a Lease that one of several replicas holds.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LeaseLabels {
    /// `registrar` or `sync`.
    lease: &'static str,
}

/// Who of several replicas writes.
#[derive(Default)]
pub(crate) struct LeaderMetrics(Family<LeaseLabels, Gauge>);

impl LeaderMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("leader", "1 on the replica that holds the Lease, else 0", metrics.0.clone());
        // Nobody holding one must not look as if there were none.
        for lease in ["registrar", "sync"] {
            metrics.set(lease, false);
        }
        metrics
    }

    pub(super) fn set(&self, lease: &'static str, leads: bool) {
        self.0.get_or_create(&LeaseLabels { lease }).set(leads.into());
    }
}

/// Labels of Secrets that were written.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WriteLabels {
    /// `created`, `updated`, `replaced` or `failed`.
    result: &'static str,
}

/// What is counted of the connection Secrets that come back.
#[derive(Clone)]
pub(crate) struct SecretMetrics {
    writes: Family<WriteLabels, Counter>,
    pub(crate) conflicts: Gauge,
    pub(crate) lag: Histogram,
}

impl SecretMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self {
            writes: Family::default(),
            conflicts: Gauge::default(),
            lag: Histogram::new(exponential_buckets(0.005, 2.0, 16)),
        };
        registry.register(
            "connection_secret_writes",
            "Connection Secrets written in the app cluster, by result",
            metrics.writes.clone(),
        );
        registry.register(
            "connection_secret_conflicts",
            "Claims whose connection Secret cannot be written because something is in the way",
            metrics.conflicts.clone(),
        );
        registry.register_with_unit(
            "connection_secret_lag",
            "From a change of a Secret seen at the control plane to its copy written",
            Unit::Seconds,
            metrics.lag.clone(),
        );
        metrics
    }

    pub(crate) fn written(&self, result: &'static str) {
        self.writes.get_or_create(&WriteLabels { result }).inc();
    }
}

/// Labels of events of the control plane about claims.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EventLabels {
    /// `copied`, `merged`, `held` or `failed`.
    result: &'static str,
}

/// What is counted of the events that are copied into the app cluster.
#[derive(Clone)]
pub(crate) struct EventMetrics {
    /// Made in the app cluster.
    pub(crate) copied: Counter,
    /// Taken into an event that is there.
    pub(crate) merged: Counter,
    /// Put off, because there were many about one object.
    pub(crate) held: Counter,
    /// Writes that failed, and what was too much to be written.
    pub(crate) failed: Counter,
    /// From when it came to when it was written, in seconds.
    pub(crate) lag: Histogram,
}

impl EventMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let events = Family::<EventLabels, Counter>::default();
        registry.register("events", "Events about claims, by what became of them in the app cluster", events.clone());
        let lag = Histogram::new(exponential_buckets(0.005, 2.0, 16));
        let help = "From when an event of the control plane came to when it was written in the app cluster";
        registry.register_with_unit("event_lag", help, Unit::Seconds, lag.clone());
        let of = |result| events.get_or_create_owned(&EventLabels { result });
        Self { copied: of("copied"), merged: of("merged"), held: of("held"), failed: of("failed"), lag }
    }
}
