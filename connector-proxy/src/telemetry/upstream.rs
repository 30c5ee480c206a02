//! What is counted of the way to the control plane.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// How a request of the app cluster came to nothing at the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamError {
    /// No connection could be made.
    Connect,
    /// No stream became free in time.
    NoRoom,
    /// The connection broke before there was an answer.
    Broken,
    /// There was no answer in time.
    Timeout,
    /// 401: the credential is not accepted.
    Unauthorized,
    /// 403 of RBAC: the connector lacks a right.
    Forbidden,
    /// 404 that is not about an object: the API or the claim namespace is not there.
    NotServed,
    /// 429.
    Throttled,
    /// 500 and above, or what no kube-apiserver answers.
    ServerError,
    /// The answer cannot be understood.
    Nonsense,
    /// The answer broke off.
    BrokenOff,
}

impl UpstreamError {
    const ALL: [Self; 11] = [
        Self::Connect,
        Self::NoRoom,
        Self::Broken,
        Self::Timeout,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotServed,
        Self::Throttled,
        Self::ServerError,
        Self::Nonsense,
        Self::BrokenOff,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::NoRoom => "no_room",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotServed => "not_served",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Nonsense => "nonsense",
            Self::BrokenOff => "broken_off",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabels {
    kind: &'static str,
}

/// Labels of the connections to the control plane that are used alike.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LaneLabels {
    /// `watches` or `short`.
    lane: &'static str,
}

/// Labels of connections that were tried.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DialLabels {
    lane: &'static str,
    /// `made` or `failed`.
    result: &'static str,
}

/// What is counted of the control plane and the connections to it.
#[derive(Default)]
pub(crate) struct UpstreamMetrics {
    pub(crate) reachable: Gauge,
    errors: Family<ErrorLabels, Counter>,
    connections: Family<LaneLabels, Gauge>,
    streams: Family<LaneLabels, Gauge>,
    waiting: Family<LaneLabels, Gauge>,
    dials: Family<DialLabels, Counter>,
    goaways: Family<LaneLabels, Counter>,
    lost: Family<LaneLabels, Counter>,
    retries: Family<LaneLabels, Counter>,
    sent: Family<LaneLabels, Counter>,
    received: Family<LaneLabels, Counter>,
}

/// The same, of one lane.
pub(crate) struct LaneMetrics {
    pub(crate) connections: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) waiting: Gauge,
    pub(crate) dials: Counter,
    pub(crate) failed_dials: Counter,
    pub(crate) goaways: Counter,
    pub(crate) lost: Counter,
    pub(crate) retries: Counter,
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
}

impl UpstreamMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "control_plane_reachable",
            "1 if the last request to the control plane was answered, else 0",
            metrics.reachable.clone(),
        );
        registry.register(
            "control_plane_errors",
            "Requests of the app cluster that the control plane did not serve, by what went wrong",
            metrics.errors.clone(),
        );
        // There from the beginning, so that the first one is an increase.
        for kind in UpstreamError::ALL {
            drop(metrics.errors.get_or_create(&ErrorLabels { kind: kind.as_str() }));
        }
        let mut register = |name: &str, help: &str, metric: &Family<LaneLabels, Gauge>| {
            registry.register(format!("control_plane_{name}"), help, metric.clone());
        };
        register("connections", "Connections to the control plane, by what they are used for", &metrics.connections);
        register("streams", "Requests that are under way at the control plane, answers included", &metrics.streams);
        register("waiting", "Requests that wait for a stream to the control plane", &metrics.waiting);
        registry.register("control_plane_dials", "Connections that were tried, by result", metrics.dials.clone());
        let mut register = |name: &str, help: &str, metric: &Family<LaneLabels, Counter>| {
            registry.register(format!("control_plane_{name}"), help, metric.clone());
        };
        register("goaways", "Connections that the control plane takes no more requests on", &metrics.goaways);
        register("lost_connections", "Connections that broke, or on which PING was not answered", &metrics.lost);
        register("retries", "Requests that were sent again, which was safe", &metrics.retries);
        let mut register = |name: &str, help: &str, metric: &Family<LaneLabels, Counter>| {
            registry.register_with_unit(format!("control_plane_{name}"), help, Unit::Bytes, metric.clone());
        };
        register("sent", "Bytes of the bodies of requests to the control plane", &metrics.sent);
        register(
            "received",
            "Bytes of the bodies of the control plane's answers, as they came over the wire",
            &metrics.received,
        );
        metrics
    }

    /// A request of the app cluster came to nothing.
    pub(crate) fn failed(&self, kind: UpstreamError) {
        self.errors.get_or_create(&ErrorLabels { kind: kind.as_str() }).inc();
    }

    /// What is counted of the connections that are used as `lane` says.
    pub(crate) fn lane(&self, lane: &'static str) -> LaneMetrics {
        let labels = LaneLabels { lane };
        let dials = |result| self.dials.get_or_create_owned(&DialLabels { lane, result });
        LaneMetrics {
            connections: self.connections.get_or_create_owned(&labels),
            streams: self.streams.get_or_create_owned(&labels),
            waiting: self.waiting.get_or_create_owned(&labels),
            dials: dials("made"),
            failed_dials: dials("failed"),
            goaways: self.goaways.get_or_create_owned(&labels),
            lost: self.lost.get_or_create_owned(&labels),
            retries: self.retries.get_or_create_owned(&labels),
            sent: self.sent.get_or_create_owned(&labels),
            received: self.received.get_or_create_owned(&labels),
        }
    }
}
