//! What the connector tells about itself: metrics, the health that Kubernetes asks for, and what its log lines have in common.

mod admin;
mod apis;
mod expiry;
#[cfg(feature = "otlp")]
mod otlp;
mod process;
mod repeated;
mod requests;
mod sync;
#[cfg(test)]
mod tests;
pub(crate) mod trace;
mod upstream;

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub(crate) use admin::serve_admin;
pub(crate) use apis::ApiMetrics;
use expiry::ExpiryMetrics;
pub(crate) use repeated::Repeated;
pub(crate) use requests::{OpenWatch, RequestLabels, RequestMetrics, Rewriting, Wait, Waits};
use sync::LeaderMetrics;
pub(crate) use sync::{EventMetrics, SecretMetrics};
pub(crate) use upstream::{LaneMetrics, UpstreamError, UpstreamMetrics};

/// Every metric that the connector exposes. `docs/metrics.md` lists them.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: RequestMetrics,
    pub(crate) upstream: UpstreamMetrics,
    pub(crate) apis: ApiMetrics,
    pub(crate) secrets: SecretMetrics,
    pub(crate) events: EventMetrics,
    expiry: ExpiryMetrics,
    leader: LeaderMetrics,
    trusting: AtomicBool,
    informed: AtomicBool,
    ending: AtomicBool,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut root = Registry::default();
        root.register_collector(Box::new(process::Process::new()));
        let registry = root.sub_registry_with_prefix("connector");
        let version = env!("CARGO_PKG_VERSION");
        registry.register("build", "The connector's version", Info::new([("version", version)]));
        let requests = RequestMetrics::registered(registry);
        let upstream = UpstreamMetrics::registered(registry);
        let apis = ApiMetrics::registered(registry);
        let secrets = SecretMetrics::registered(registry);
        let events = EventMetrics::registered(registry);
        let leader = LeaderMetrics::registered(registry);
        let expiry = ExpiryMetrics::registered(registry);
        let (trusting, informed, ending) = Default::default();
        Self { registry: root, requests, upstream, apis, secrets, events, expiry, leader, trusting, informed, ending }
    }

    /// Whether this replica holds a Lease: `registrar`, for APIServices, or `sync`, for what comes back from the control plane.
    pub(crate) fn leads(&self, lease: &'static str, leads: bool) {
        self.leader.set(lease, leads);
    }

    /// When the token for the control plane began and when it ends, in seconds since 1970; `None` where there is none, or it does
    /// not tell.
    pub(crate) fn credential_lasts(&self, from: Option<i64>, until: Option<i64>) {
        self.expiry.credential(from, until);
    }

    /// The same of a certificate: `serving`, `serving-ca`, `control-plane-client`, `front-proxy-ca`.
    pub(crate) fn certificate_ends(&self, certificate: &'static str, at: Option<i64>) {
        self.expiry.certificate(certificate, at);
    }

    /// Says that the front can prove itself, without which nothing can be answered.
    pub(crate) fn set_trusting(&self) {
        self.trusting.store(true, Ordering::Relaxed);
    }

    /// Says that it is known what the control plane offers, or that this was waited for long enough: traffic may be sent here whether
    /// the control plane is there or not, since an outage must not take the API groups of the app cluster down (wire rule 2.4).
    pub(crate) fn set_informed(&self) {
        self.informed.store(true, Ordering::Relaxed);
    }

    /// Says that no more traffic is to be sent here, whatever comes (wire rule 11.23).
    pub(crate) fn set_ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// All of them as OpenMetrics text.
    pub(crate) fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}
