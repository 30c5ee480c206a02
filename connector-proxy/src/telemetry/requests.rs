//! What is counted and measured of the front's requests.
//!
//! What happens with each chunk touches atomics only. Labels that many requests share are looked up once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Seconds. The last but one is where the corridor gives up.
const BUCKETS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// How requests are told apart where they are measured. `other` are those that address no resource: discovery, OpenAPI, health.
const VERBS: [&str; 9] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", OTHER];
const OTHER: &str = "other";

/// Labels of a finished request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) verb: &'static str,
    /// Empty, as `resource`, where nothing that is offered is addressed: what clients make up must not become labels.
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) code: u16,
    /// `none`, or [`Side::as_str`](crate::failure::Side::as_str).
    pub(crate) fault: &'static str,
}

/// Labels of what is measured.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerbLabels {
    verb: &'static str,
}

/// Labels of a part of the time that requests take.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SideLabels {
    verb: &'static str,
    /// `connector`, `control_plane` or `app_cluster`.
    side: &'static str,
}

/// Labels of a resource that is offered.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResourceLabels {
    group: String,
    resource: String,
}

type SecondsCounter = Counter<f64, AtomicU64>;

/// What is measured of the requests of one verb.
pub(crate) struct OfVerb {
    duration: Histogram,
    connector: Histogram,
    control_plane: Histogram,
    app_cluster: Histogram,
    rewriting: SecondsCounter,
}

/// What is counted and measured of requests.
pub(crate) struct RequestMetrics {
    finished: Family<RequestLabels, Counter>,
    duration: Family<VerbLabels, Histogram>,
    sides: Family<SideLabels, Histogram>,
    rewriting: Family<VerbLabels, SecondsCounter>,
    open_watches: Family<ResourceLabels, Gauge>,
    pub(super) watch_duration: Histogram,
    by_verb: [OnceLock<OfVerb>; VERBS.len()],
}

impl RequestMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            finished: Family::default(),
            duration: Family::new_with_constructor(histogram),
            sides: Family::new_with_constructor(histogram),
            rewriting: Family::default(),
            open_watches: Family::default(),
            watch_duration: Histogram::new(exponential_buckets(1.0, 4.0, 7)),
            by_verb: Default::default(),
        };
        registry.register(
            "requests",
            "Requests of the app cluster, by verb, API, answer and the side at fault",
            metrics.finished.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From a request's arrival to its answer's headers, or until the client gave up, by verb; watches are not among them",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register_with_unit(
            "request_side_duration",
            "The same time, split into what the connector took itself and what it waited for the control plane and for the app cluster",
            Unit::Seconds,
            metrics.sides.clone(),
        );
        registry.register_with_unit(
            "rewriting",
            "Time spent on bringing the control plane's answers into local terms, by verb",
            Unit::Seconds,
            metrics.rewriting.clone(),
        );
        registry.register("open_watches", "Watches that are open now, by resource", metrics.open_watches.clone());
        registry.register_with_unit(
            "watch_duration",
            "How long watches were open that have ended",
            Unit::Seconds,
            metrics.watch_duration.clone(),
        );
        metrics
    }

    /// Takes note of a request that was answered, or given up: its latency is that of its verb, or of `other` where it addresses nothing
    /// that is offered.
    pub(crate) fn answered(&self, labels: &RequestLabels, duration: Duration, waits: &Waits) {
        self.finished.get_or_create(labels).inc();
        let verb = if labels.resource.is_empty() { OTHER } else { labels.verb };
        if verb == "watch" {
            return;
        }
        let of_verb = self.of_verb(verb);
        let (control_plane, app_cluster) = (waits.control_plane.get(), waits.app_cluster.get());
        of_verb.duration.observe(duration.as_secs_f64());
        of_verb.connector.observe(duration.saturating_sub(control_plane + app_cluster).as_secs_f64());
        if !control_plane.is_zero() {
            of_verb.control_plane.observe(control_plane.as_secs_f64());
        }
        if !app_cluster.is_zero() {
            of_verb.app_cluster.observe(app_cluster.as_secs_f64());
        }
    }

    /// What is measured of requests with this verb.
    pub(crate) fn of_verb(&self, verb: &str) -> &OfVerb {
        let at = VERBS.iter().position(|known| *known == verb).unwrap_or(VERBS.len() - 1);
        self.by_verb[at].get_or_init(|| {
            let verb = VERBS[at];
            let side = |side| self.sides.get_or_create_owned(&SideLabels { verb, side });
            OfVerb {
                duration: self.duration.get_or_create_owned(&VerbLabels { verb }),
                connector: side("connector"),
                control_plane: side("control_plane"),
                app_cluster: side("app_cluster"),
                rewriting: self.rewriting.get_or_create_owned(&VerbLabels { verb }),
            }
        })
    }

    /// Counts a watch of a resource that is offered until what is returned is dropped.
    pub(crate) fn watch(&self, group: &str, resource: &str) -> OpenWatch {
        let labels = ResourceLabels { group: group.to_owned(), resource: resource.to_owned() };
        let open = self.open_watches.get_or_create_owned(&labels);
        open.inc();
        OpenWatch { open, duration: self.watch_duration.clone(), since: Instant::now() }
    }
}

impl OfVerb {
    /// The counter of seconds that rewriting took.
    pub(crate) fn rewriting(&self) -> Rewriting {
        Rewriting { total: self.rewriting.clone(), spent: Duration::ZERO }
    }
}

/// A watch, counted while it lives.
pub(crate) struct OpenWatch {
    open: Gauge,
    duration: Histogram,
    since: Instant,
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.open.dec();
        self.duration.observe(self.since.elapsed().as_secs_f64());
    }
}

/// Time that rewriting one answer took, told from time to time and at the end.
pub(crate) struct Rewriting {
    total: SecondsCounter,
    spent: Duration,
}

impl Rewriting {
    /// Does a piece of the work.
    pub(crate) fn measure<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.spent += started.elapsed();
        done
    }

    /// Adds to the counter what was measured since.
    pub(crate) fn tell(&mut self) {
        if !self.spent.is_zero() {
            self.total.inc_by(std::mem::take(&mut self.spent).as_secs_f64());
        }
    }
}

impl Drop for Rewriting {
    fn drop(&mut self) {
        self.tell();
    }
}

/// How long one request waited for others.
#[derive(Default)]
pub(crate) struct Waits {
    pub(crate) control_plane: Wait,
    pub(crate) app_cluster: Wait,
}

/// Time waited, in nanoseconds.
#[derive(Default)]
pub(crate) struct Wait(AtomicU64);

impl Wait {
    /// Waits until what is returned is dropped.
    pub(crate) fn begin(&self) -> Waiting<'_> {
        Waiting { total: &self.0, since: Instant::now() }
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Adds up when it is dropped, also by a timeout.
pub(crate) struct Waiting<'a> {
    total: &'a AtomicU64,
    since: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waited = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.total.fetch_add(waited, Ordering::Relaxed);
    }
}
