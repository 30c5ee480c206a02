//! Events of the control plane about claims, in the app cluster: `kubectl describe` and `kubectl events --for` show them.
//!
//! ```text
//! watch of the claim namespace ─▶ whose is it? ─▶ translate ─▶ schedule ─▶ write
//!                                  └─ waiting: the claim is not known yet
//! ```
//!
//! A remote event has one local event, of a name made of its own, which follows it: what is counted up there is counted up here,
//! once a second at most. Nothing is deleted; local events run out as all events do. What is stored is all that is known of the
//! past, so a restart reads it once and writes nothing that is there already.

mod local;
mod recorder;
mod remote;
mod schedule;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod translate;
mod waiting;
mod write;

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error};

use self::local::LocalEvents;
use self::remote::RemoteEvents;
use self::schedule::{LIFETIME, Offered, Schedule, Write, key};
use self::translate::{Translator, last_time};
use self::waiting::Waiting;
use self::write::Outcome;
use super::Syncer;
use crate::chain::Chain;
use crate::jitter;
pub(super) use recorder::Recorder;

/// How long until what was refused is tried again.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// How long until the app cluster's events are listed again, where that failed otherwise.
const LIST_PAUSE: Duration = Duration::from_secs(2);
/// What is older is not about a claim that is still to come. Clocks may differ by as much.
const FRESH: Duration = Duration::from_secs(600);
/// How often what is of no use any more is forgotten.
const SWEEP: Duration = Duration::from_secs(60);
/// How many writes are under way at once.
const WRITES: usize = 8;
/// How many events a page of the list at the start has.
const PAGE: u32 = 500;

/// Copies events about claims into the app cluster. Never returns.
///
/// # Cancel safety
/// Dropping the future ends it at any moment. What was not written then is written by the next one that runs.
pub(super) async fn run(sync: &Syncer) {
    // One at a time: what is not taken in waits at the control plane.
    let (seen, to_copy) = mpsc::channel(1);
    let local = LocalEvents::new(sync.app_cluster.clone(), &sync.service);
    let remote = RemoteEvents { sync };
    let mut copier = Copier {
        remote: &remote,
        local: &local,
        schedule: Schedule::default(),
        waiting: Waiting::default(),
        is_refusal_told: false,
    };
    copier.remember_all().await;
    tokio::join!(remote.follow(seen), copier.copy(to_copy));
}

struct Copier<'a> {
    remote: &'a RemoteEvents<'a>,
    local: &'a LocalEvents,
    schedule: Schedule,
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
                self.schedule.remember(event, now);
            }
            params.continue_token = page.metadata.continue_;
            if params.continue_token.as_deref().is_none_or(str::is_empty) {
                return Ok(());
            }
        }
    }

    async fn copy(&mut self, mut seen: mpsc::Receiver<Event>) {
        let local = self.local;
        let mut changes = self.remote.sync.claims.subscribe();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut writes = FuturesUnordered::new();
        loop {
            let now = Instant::now();
            while writes.len() < WRITES
                && let Some(write) = self.schedule.take(now)
            {
                writes.push(async move {
                    let outcome = local.write(&write).await;
                    (write, outcome)
                });
            }
            let next = self.schedule.next().filter(|_| writes.len() < WRITES);
            tokio::select! {
                Some(event) = seen.recv(), if !self.schedule.is_behind(now) => self.take_in(event),
                Some(claim) = changes.recv() => {
                    for event in self.waiting.take(&claim) {
                        self.take_in(event);
                    }
                }
                Some((write, outcome)) = writes.next() => self.finish(write, outcome),
                () = tokio::time::sleep_until(next.unwrap_or(now)), if next.is_some() => {}
                _ = sweep.tick() => {
                    self.schedule.sweep(now);
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
        let Some(claim) = self.remote.claim_of(&event.involved_object) else {
            if age < FRESH && self.remote.is_offered(&event.involved_object) {
                self.waiting.keep(event, now);
            }
            return;
        };
        let translator = Translator { scheme: &self.remote.sync.scheme, claims: &self.remote.sync.claims };
        let metrics = &self.remote.sync.metrics.events;
        match self.schedule.offer(translator.local(&claim, &event), age > LIFETIME, now) {
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
        let metrics = &self.remote.sync.metrics.events;
        let key = key(&write.event);
        match outcome {
            Ok(Outcome::Taken | Outcome::Gone) => self.schedule.gone(&key),
            Ok(done @ (Outcome::Copied | Outcome::Merged)) => {
                self.schedule.done(&key);
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
                        self.schedule.done(&key);
                    }
                    _ => self.schedule.failed(write, Instant::now()),
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
