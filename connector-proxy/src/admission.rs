//! What the app cluster's own admission would have refused: kube-apiserver runs none for requests that it passes on (wire
//! rule 10.1), so the connector does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use connector_core::status::{Cause, Status};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Resource};
use tracing::warn;

use crate::chain::Chain;
use crate::telemetry::{Repeated, Wait};

/// The lifecycle of the app cluster's namespaces (wire rule 10.3): without it `kubectl apply -n typo` would create cloud
/// resources for a namespace that does not exist, and claims would appear while their namespace is torn down.
pub(crate) struct Namespaces {
    api: Api<Namespace>,
    seen: Store<PartialObjectMeta<Namespace>>,
    synced: Arc<AtomicBool>,
}

impl Namespaces {
    /// The namespaces of the app cluster, and the work that keeps them known: a future that never returns.
    pub(crate) fn follow(app_cluster: kube::Client) -> (Self, impl Future<Output = ()> + Send) {
        let api = Api::<Namespace>::all(app_cluster.clone());
        let (seen, mut writer) = reflector::store();
        let synced = Arc::new(AtomicBool::new(false));
        let events = crate::watch::with_backoff(watcher(
            Api::<PartialObjectMeta<Namespace>>::all(app_cluster),
            watcher::Config::default(),
        ));
        let work = {
            let synced = synced.clone();
            async move {
                let mut events = std::pin::pin!(events);
                while let Some(event) = events.next().await {
                    match event {
                        Ok(event) => {
                            let initial = matches!(event, watcher::Event::InitDone);
                            writer.apply_watcher_event(&event);
                            synced.fetch_or(initial, Ordering::Relaxed);
                        }
                        // What was seen last still serves; only unknown namespaces are asked for one by one.
                        Err(error) => {
                            tracing::debug!(error = %Chain(&error), "the watch of namespaces failed");
                        }
                    }
                }
            }
        };
        (Self { api, seen, synced }, work)
    }

    /// Whether an object may be created or changed in `namespace`; `Err` is the answer that a local API would give. Where that is
    /// not known, it is waited for in `wait`.
    pub(crate) async fn admit(&self, namespace: &str, creates: Option<Named<'_>>, wait: &Wait) -> Result<(), Status> {
        // The reference server looks again before it creates where a deletion was just asked for, of which the watch may not
        // know yet.
        let certain = |terminating: &bool| *terminating || creates.is_none();
        let terminating = match self.known(namespace).filter(certain) {
            Some(terminating) => terminating,
            // Perhaps made a moment ago, or the watch is behind: the API decides.
            None => match self.live(namespace, wait).await {
                Ok(Some(live)) => live.metadata.deletion_timestamp.is_some(),
                Ok(None) => return Err(Status::not_found("", "namespaces", namespace)),
                Err(error) => {
                    static TOLD: Repeated = Repeated::new();
                    if let Some(suppressed) = TOLD.pass("") {
                        warn!(error = %Chain(&error), namespace, suppressed, "cannot read a namespace of the app cluster");
                    }
                    return Err(Status::internal(&format!("cannot read namespace {namespace:?} of the app cluster")));
                }
            },
        };
        match creates {
            Some(object) if terminating => Err(object.refused_in_terminating(namespace)),
            _ => Ok(()),
        }
    }

    async fn live(&self, namespace: &str, wait: &Wait) -> Result<Option<PartialObjectMeta<Namespace>>, kube::Error> {
        let _waiting = wait.begin();
        self.api.get_metadata_opt(namespace).await
    }

    /// Whether `namespace` is known to be on its way out: then nothing new comes into it.
    pub(crate) fn is_terminating(&self, namespace: &str) -> bool {
        self.known(namespace) == Some(true)
    }

    /// `Some(terminating)` of a namespace that the watch has seen.
    fn known(&self, namespace: &str) -> Option<bool> {
        if !self.synced.load(Ordering::Relaxed) {
            return None;
        }
        let seen = self.seen.get(&ObjectRef::new(namespace))?;
        Some(seen.meta().deletion_timestamp.is_some())
    }
}

/// An object that is to be created.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) name: &'a str,
}

impl Named<'_> {
    fn refused_in_terminating(self, namespace: &str) -> Status {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = Status::forbidden(self.group, self.resource, self.name, &why);
        if let Some(details) = &mut status.details {
            details.causes.push(Cause {
                reason: "NamespaceTerminating".into(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".into(),
            });
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wire rule 10.3.
    #[test]
    fn a_terminating_namespace_takes_nothing_new() {
        let object = Named { group: "g.org", resource: "things", name: "a" };
        let status = object.refused_in_terminating("team");
        assert_eq!(
            status.message,
            r#"things.g.org "a" is forbidden: unable to create new content in namespace team because it is being terminated"#
        );
        assert_eq!(status.code, 403);
        assert_eq!(status.details.unwrap().causes[0].reason, "NamespaceTerminating");
    }
}
