//! What the connector tells about itself: metrics, and the health that Kubernetes asks for.

mod expiry;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;

pub(crate) use expiry::{Certificate, ExpiryMetrics};

/// Labels of a finished request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) code: u16,
}

/// Labels of an API that is registered, or in the way of being so.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ApiLabels {
    pub(crate) group: String,
    pub(crate) version: String,
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

/// What is counted of the connections to the control plane.
#[derive(Default)]
struct PoolMetrics {
    connections: Family<LaneLabels, Gauge>,
    streams: Family<LaneLabels, Gauge>,
    waiting: Family<LaneLabels, Gauge>,
    dials: Family<DialLabels, Counter>,
    goaways: Family<LaneLabels, Counter>,
    lost: Family<LaneLabels, Counter>,
    retries: Family<LaneLabels, Counter>,
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
    fn registered(registry: &mut Registry) -> Self {
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
}

impl PoolMetrics {
    fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut register = |name: &str, help: &str, metric: Family<LaneLabels, Gauge>| {
            registry.register(format!("control_plane_{name}"), help, metric);
        };
        register(
            "connections",
            "Connections to the control plane, by what they are used for",
            metrics.connections.clone(),
        );
        register(
            "streams",
            "Requests that are under way at the control plane, answers included",
            metrics.streams.clone(),
        );
        register("waiting", "Requests that wait for a stream to the control plane", metrics.waiting.clone());
        registry.register("control_plane_dials", "Connections that were tried, by result", metrics.dials.clone());
        let mut register = |name: &str, help: &str, metric: Family<LaneLabels, Counter>| {
            registry.register(format!("control_plane_{name}"), help, metric);
        };
        register("goaways", "Connections that the control plane takes no more requests on", metrics.goaways.clone());
        register("lost_connections", "Connections that broke, or on which PING was not answered", metrics.lost.clone());
        register("retries", "Requests that were sent again, which was safe", metrics.retries.clone());
        metrics
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
    fn registered(registry: &mut Registry) -> Self {
        let events = Family::<EventLabels, Counter>::default();
        registry.register("events", "Events about claims, by what became of them in the app cluster", events.clone());
        let lag = Histogram::new(exponential_buckets(0.005, 2.0, 16));
        let help = "From when an event of the control plane came to when it was written in the app cluster";
        registry.register_with_unit("event_lag", help, Unit::Seconds, lag.clone());
        let of = |result| events.get_or_create_owned(&EventLabels { result });
        Self { copied: of("copied"), merged: of("merged"), held: of("held"), failed: of("failed"), lag }
    }
}

/// Labels of a Lease that one of several replicas holds.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LeaseLabels {
    lease: String,
}

/// Every metric that the connector exposes.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) request_seconds: Histogram,
    pub(crate) open_watches: Gauge,
    pub(crate) control_plane_reachable: Gauge,
    pub(crate) offered_apis: Gauge,
    pub(crate) api_conflicts: Family<ApiLabels, Gauge>,
    pub(crate) api_writes: Counter,
    leader: Family<LeaseLabels, Gauge>,
    pub(crate) expiry: ExpiryMetrics,
    pub(crate) secrets: SecretMetrics,
    pub(crate) events: EventMetrics,
    pool: PoolMetrics,
    ready: AtomicBool,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("connector");
        let requests = Family::default();
        registry.register("requests", "Requests of the app cluster, by verb, API and answer", requests.clone());
        let request_seconds = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        registry.register_with_unit(
            "request_duration",
            "From a request's arrival to its answer's headers; watches included",
            Unit::Seconds,
            request_seconds.clone(),
        );
        let open_watches = Gauge::default();
        registry.register("open_watches", "Watches that are open now", open_watches.clone());
        let control_plane_reachable = Gauge::default();
        registry.register(
            "control_plane_reachable",
            "1 if the last request to the control plane was answered, else 0",
            control_plane_reachable.clone(),
        );
        let offered_apis = Gauge::default();
        registry.register("offered_apis", "Resources that the control plane offers", offered_apis.clone());
        let api_conflicts = Family::default();
        registry.register(
            "api_conflicts",
            "1 for a group and version that is not registered because the app cluster has it already",
            api_conflicts.clone(),
        );
        let api_writes = Counter::default();
        registry.register("apiservice_writes", "APIService objects created, changed or deleted", api_writes.clone());
        let leader = Family::default();
        registry.register("leader", "1 on the replica that holds the Lease, else 0", leader.clone());
        let expiry = ExpiryMetrics::registered(&mut registry);
        let secrets = SecretMetrics::registered(&mut registry);
        let events = EventMetrics::registered(&mut registry);
        let pool = PoolMetrics::registered(&mut registry);
        Self {
            registry,
            leader,
            expiry,
            secrets,
            events,
            pool,
            requests,
            request_seconds,
            open_watches,
            control_plane_reachable,
            offered_apis,
            api_conflicts,
            api_writes,
            ready: AtomicBool::new(false),
        }
    }

    /// What is counted of the connections that are used as `lane` says.
    pub(crate) fn lane(&self, lane: &'static str) -> LaneMetrics {
        let labels = LaneLabels { lane };
        let dials = |result| self.pool.dials.get_or_create_owned(&DialLabels { lane, result });
        LaneMetrics {
            connections: self.pool.connections.get_or_create_owned(&labels),
            streams: self.pool.streams.get_or_create_owned(&labels),
            waiting: self.pool.waiting.get_or_create_owned(&labels),
            dials: dials("made"),
            failed_dials: dials("failed"),
            goaways: self.pool.goaways.get_or_create_owned(&labels),
            lost: self.pool.lost.get_or_create_owned(&labels),
            retries: self.pool.retries.get_or_create_owned(&labels),
        }
    }

    /// Says whether this replica holds the Lease of that name.
    pub(crate) fn leads(&self, lease: &str, leads: bool) {
        self.leader.get_or_create(&LeaseLabels { lease: lease.to_owned() }).set(leads.into());
    }

    /// Says whether traffic may be sent here. It never depends on the control plane: an outage must not take the API
    /// groups of the app cluster down (wire rule 2.4).
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.ready.load(Ordering::Relaxed) => text(StatusCode::OK, "ok\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready: starting, or shutting down\n"),
            "/metrics" => {
                let mut page = String::new();
                match prometheus_client::encoding::text::encode(&mut page, &self.registry) {
                    Ok(()) => {
                        let mut answer = text(StatusCode::OK, page);
                        let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(format));
                        answer
                    }
                    Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
                }
            }
            _ => text(StatusCode::NOT_FOUND, "see /livez, /readyz and /metrics\n"),
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

/// Serves health and metrics on `listener` until dropped.
pub(crate) async fn serve_admin(listener: TcpListener, metrics: Arc<Metrics>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: give others time to end.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = metrics.answer(request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            // A broken connection is the asker's own affair.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_and_metrics() {
        let metrics = Metrics::new();
        let status = |path: &str| metrics.answer(&Method::GET, path).status().as_u16();
        assert_eq!((status("/livez"), status("/readyz"), status("/metrics"), status("/")), (200, 503, 200, 404));
        metrics.set_ready(true);
        assert_eq!(metrics.answer(&Method::GET, "/readyz").status(), 200);
        assert_eq!(metrics.answer(&Method::POST, "/readyz").status(), 405);
    }
}
