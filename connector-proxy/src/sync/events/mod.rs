//! Events of the control plane about claims, in the app cluster: `kubectl describe` and `kubectl events --for` show them.
//!
//! ```text
//! watch of the claim namespace ─▶ whose is it? ─▶ translate ─▶ queue ─▶ write
//!                                  └─ waiting: the claim is not known yet
//! ```
//!
//! A remote event has one local event, of a name made of its own, which follows it: what is counted up there is counted up here,
//! once a second at most. Nothing is deleted; local events run out as all events do. What is stored is all that is known of the
//! past, so a restart reads it once and writes nothing that is there already.

mod local;
mod queue;
mod recorder;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod translate;
mod waiting;
mod write;

use std::sync::Arc;
use std::time::Duration;

use connector_core::origin::Hashed;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error};

use self::local::LocalEvents;
use self::queue::{LIFETIME, Offered, Queue, Write, key};
use self::translate::{Translator, last_time};
use self::waiting::{Waiting, is_about, is_of_kind};
use self::write::Outcome;
use crate::catalog::Snapshots;
use crate::chain::Chain;
use crate::claims::{Claim, Claims};
use crate::config::ServiceReference;
use crate::jitter;
use crate::telemetry::Metrics;
use crate::upstream::Upstream;
pub(crate) use recorder::Recorder;

/// How long until what was refused is tried again.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// How long until the app cluster's events are listed again, where that failed otherwise.
const LIST_PAUSE: Duration = Duration::from_secs(2);
/// How long events are not read because claims are not known yet.
const CLAIMS_PATIENCE: Duration = Duration::from_secs(30);
/// What is older is not about a claim that is still to come. Clocks may differ by as much.
const FRESH: Duration = Duration::from_secs(600);
/// How often what is of no use any more is forgotten.
const SWEEP: Duration = Duration::from_secs(60);
/// How many writes are under way at once.
const WRITES: usize = 8;
/// How many events a page of the list at the start has.
const PAGE: u32 = 500;

/// What copying needs.
pub(crate) struct Parts {
    pub(crate) app_cluster: kube::Client,
    pub(crate) service: ServiceReference,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) scheme: Arc<Hashed>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) catalog: Snapshots,
    pub(crate) metrics: Arc<Metrics>,
}

/// Copies events about claims into the app cluster. Never returns.
///
/// # Cancel safety
/// Dropping the future ends it at any moment. What was not written then is written by the next one that runs.
pub(crate) async fn run(parts: Parts) {
    // One at a time: what is not taken in waits at the control plane.
    let (seen, to_copy) = mpsc::channel(1);
    let local = LocalEvents::new(parts.app_cluster.clone(), &parts.service);
    let mut copier = Copier {
        parts: &parts,
        local: &local,
        queue: Queue::default(),
        waiting: Waiting::default(),
        is_refusal_told: false,
    };
    copier.remember_all().await;
    tokio::join!(parts.follow(seen), copier.copy(to_copy));
}

impl Parts {
    /// Waits until it is known whose an event is.
    async fn claims_known(&self) {
        let mut catalog = self.catalog.clone();
        // The sender lives as long as the connector. Before the control plane was reached there are no events either.
        let _ = catalog.wait_for(Option::is_some).await;
        let known = async {
            let is_known = || match &*self.catalog.borrow() {
                Some(snapshot) => snapshot.iter().all(|offered| self.claims.knows(offered)),
                None => false,
            };
            while !is_known() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        // Where those of one API cannot be read, the others have their events all the same.
        let _ = tokio::time::timeout(CLAIMS_PATIENCE, known).await;
    }

    /// Follows the events of the claim namespace.
    async fn follow(&self, seen: mpsc::Sender<Event>) {
        let mut generation = self.upstream.generation();
        let mut is_told = false;
        loop {
            generation.mark_unchanged();
            let watch = async {
                self.claims_known().await;
                self.watch(&seen, &mut is_told).await;
                tokio::time::sleep(jitter::around(REFUSED_PAUSE)).await;
            };
            tokio::select! {
                () = watch => {}
                // Another kubeconfig is in force, perhaps with other rights.
                Ok(()) = generation.changed() => is_told = false,
            }
        }
    }

    /// Watches events until it turns out that they may not be read.
    async fn watch(&self, seen: &mpsc::Sender<Event>, is_told: &mut bool) {
        let namespace = &self.scheme.claim_namespace;
        let api = Api::<Event>::namespaced(self.upstream.client(), namespace);
        let mut events = std::pin::pin!(crate::watch::with_backoff(watcher(api, watcher::Config::default())));
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::InitApply(event) | watcher::Event::Apply(event)) => {
                    *is_told = false;
                    // The other end lives as long as this one.
                    let _ = seen.send(event).await;
                }
                // Local events run out by themselves.
                Ok(watcher::Event::Init | watcher::Event::InitDone | watcher::Event::Delete(_)) => {}
                Err(error) if crate::watch::code(&error) == Some(403) => {
                    if !std::mem::replace(is_told, true) {
                        error!(
                            namespace,
                            "the control plane does not let events be read, so none are copied: grant list and watch on events in the claim namespace"
                        );
                    }
                    return;
                }
                Err(error) => debug!(%error, "the watch of events failed"),
            }
        }
    }

    fn claim_of(&self, object: &ObjectReference) -> Option<Arc<Claim>> {
        match object.uid.as_deref() {
            None | Some("") => self.claims.named(object.name.as_deref()?, |claim| is_about(claim, object)),
            Some(uid) => self.claims.get_or_gone(uid),
        }
    }

    fn is_offered(&self, object: &ObjectReference) -> bool {
        let snapshot = self.catalog.borrow();
        let offers = |offered: &connector_core::offer::Offered| is_of_kind(&offered.group, &offered.kind, object);
        snapshot.as_ref().is_none_or(|snapshot| snapshot.iter().any(offers))
    }
}

struct Copier<'a> {
    parts: &'a Parts,
    local: &'a LocalEvents,
    queue: Queue,
    waiting: Waiting,
    is_refusal_told: bool,
}

impl Copier<'_> {
    /// Reads what is in the app cluster already.
    async fn remember_all(&mut self) {
        while let Err(error) = self.remember_pages().await {
            debug!(error = %Chain(&error), "cannot list events of the app cluster");
            self.tell_refusal(&error);
            let is_refused = matches!(&error, kube::Error::Api(status) if matches!(status.code, 403 | 404));
            tokio::time::sleep(jitter::around(if is_refused { REFUSED_PAUSE } else { LIST_PAUSE })).await;
        }
    }

    async fn remember_pages(&mut self) -> Result<(), kube::Error> {
        let api = self.local.in_all_namespaces();
        let mut params = ListParams::default().labels(&self.local.selector()).limit(PAGE);
        loop {
            let page = api.list(&params).await?;
            let now = Instant::now();
            for event in &page.items {
                self.queue.remember(event, now);
            }
            params.continue_token = page.metadata.continue_;
            if params.continue_token.as_deref().is_none_or(str::is_empty) {
                return Ok(());
            }
        }
    }

    async fn copy(&mut self, mut seen: mpsc::Receiver<Event>) {
        let local = self.local;
        let mut changes = self.parts.claims.subscribe();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut writes = FuturesUnordered::new();
        loop {
            let now = Instant::now();
            while writes.len() < WRITES
                && let Some(write) = self.queue.take(now)
            {
                writes.push(async move {
                    let outcome = local.write(&write).await;
                    (write, outcome)
                });
            }
            let next = self.queue.next().filter(|_| writes.len() < WRITES);
            tokio::select! {
                Some(event) = seen.recv(), if !self.queue.is_behind(now) => self.take_in(event),
                Some(claim) = changes.recv() => {
                    for event in self.waiting.take(&claim) {
                        self.take_in(event);
                    }
                }
                Some((write, outcome)) = writes.next() => self.finish(write, outcome),
                () = tokio::time::sleep_until(next.unwrap_or(now)), if next.is_some() => {}
                _ = sweep.tick() => {
                    self.queue.sweep(now);
                    self.waiting.sweep(now);
                }
            }
        }
    }

    /// Takes in an event of the control plane, whosesoever it is.
    fn take_in(&mut self, event: Event) {
        let now = Instant::now();
        self.waiting.forget(&event.name_any());
        let age = last_time(&event).and_then(|time| Timestamp::now().duration_since(time).try_into().ok());
        let age: Duration = age.unwrap_or_default();
        let Some(claim) = self.parts.claim_of(&event.involved_object) else {
            if age < FRESH && self.parts.is_offered(&event.involved_object) {
                self.waiting.keep(event, now);
            }
            return;
        };
        let translator = Translator { scheme: &self.parts.scheme, claims: &self.parts.claims };
        let metrics = &self.parts.metrics.events;
        match self.queue.offer(translator.local(&claim, &event), age > LIFETIME, now) {
            Offered::Known | Offered::Queued => {}
            Offered::Held => {
                metrics.held.inc();
            }
            Offered::Dropped => {
                metrics.failed.inc();
            }
        }
    }

    fn finish(&mut self, write: Write, outcome: Result<Outcome, kube::Error>) {
        let metrics = &self.parts.metrics.events;
        let key = key(&write.event);
        match outcome {
            Ok(Outcome::Taken | Outcome::Gone) => self.queue.gone(&key),
            Ok(done @ (Outcome::Copied | Outcome::Merged)) => {
                self.queue.done(&key);
                self.is_refusal_told = false;
                metrics.lag.observe(write.since.elapsed().as_secs_f64());
                if done == Outcome::Copied { &metrics.copied } else { &metrics.merged }.inc();
            }
            Err(error) => {
                metrics.failed.inc();
                debug!(error = %Chain(&error), namespace = key.0, name = key.1, "an event was not written");
                self.tell_refusal(&error);
                match &error {
                    // It is not taken as it is, or not by this namespace's rules, and hardly will be.
                    kube::Error::Api(status)
                        if matches!(status.code, 400 | 403 | 413 | 422) && !is_missing_right(&error) =>
                    {
                        self.queue.done(&key);
                    }
                    _ => self.queue.failed(write, Instant::now()),
                }
            }
        }
    }

    /// Says once that a right is missing, where one is.
    fn tell_refusal(&mut self, error: &kube::Error) {
        if is_missing_right(error) && !std::mem::replace(&mut self.is_refusal_told, true) {
            error!(
                error = %Chain(error),
                "no event is copied into the app cluster: grant get, list, create and patch on events there"
            );
        }
    }
}

/// RBAC's own refusals name the user; those of quotas and webhooks do not.
fn is_missing_right(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403 && status.message.contains("\" cannot "))
}
