//! The events of the control plane, and whose they are.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use kube::Api;
use kube::runtime::watcher;
use tokio::sync::mpsc;
use tracing::{debug, error};

use super::REFUSED_PAUSE;
use super::waiting::{is_about, is_of_kind};
use crate::claims::Claim;
use crate::jitter;
use crate::sync::Syncer;

/// How long events are not read because claims are not known yet.
const CLAIMS_PATIENCE: Duration = Duration::from_secs(30);

/// The control plane's events, and whose they are.
pub(super) struct RemoteEvents<'a> {
    pub(super) sync: &'a Syncer,
}

impl RemoteEvents<'_> {
    /// Waits until it is known whose an event is.
    async fn claims_known(&self) {
        let mut catalog = self.sync.catalog.clone();
        // The sender lives as long as the connector. Before the control plane was reached there are no events either.
        let _ = catalog.wait_for(Option::is_some).await;
        let known = async {
            while !self.sync.claims.are_complete() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        // Where those of one API cannot be read, the others have their events all the same.
        let _ = tokio::time::timeout(CLAIMS_PATIENCE, known).await;
    }

    /// Follows the events of the claim namespace.
    pub(super) async fn follow(&self, seen: mpsc::Sender<Event>) {
        let mut generation = self.sync.upstream.generation();
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
        let namespace = &self.sync.scheme.claim_namespace;
        let api = Api::<Event>::namespaced(self.sync.upstream.client(), namespace);
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

    pub(super) fn claim_of(&self, object: &ObjectReference) -> Option<Arc<Claim>> {
        match object.uid.as_deref() {
            None | Some("") => self.sync.claims.named(object.name.as_deref()?, |claim| is_about(claim, object)),
            Some(uid) => self.sync.claims.get_or_gone(uid),
        }
    }

    pub(super) fn is_offered(&self, object: &ObjectReference) -> bool {
        let snapshot = self.sync.catalog.borrow();
        let offers = |offered: &connector_core::offer::Offered| is_of_kind(&offered.group, &offered.kind, object);
        snapshot.as_ref().is_none_or(|snapshot| snapshot.iter().any(offers))
    }
}
