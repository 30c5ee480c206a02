//! What the control plane gives back: connection Secrets and events of claims, in the app cluster.
//!
//! Only one of several replicas writes ([`crate::leader`]). Everything here can be dropped at any moment: what is to be done follows from
//! what both clusters hold, and each write is tied to what was seen before it.

mod copy;
mod events;
mod inputs;
mod queue;
mod secrets;

use std::sync::Arc;

use connector_core::origin::Hashed;
use tokio::sync::watch;

use self::events::Recorder;
pub(crate) use self::inputs::Policy as InputPolicy;
use crate::catalog::Snapshots;
use crate::claims::Claims;
use crate::config::{ServiceReference, SyncOptions};
use crate::leader::{Candidate, Election};
use crate::telemetry::Metrics;
use crate::upstream::Upstream;

/// What all parts of the sync work with.
#[derive(Clone)]
pub(crate) struct Syncer {
    pub(crate) app_cluster: kube::Client,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) scheme: Arc<Hashed>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) catalog: Snapshots,
    pub(crate) service: ServiceReference,
    pub(crate) options: Arc<SyncOptions>,
    /// What claims may have copied to the control plane.
    pub(crate) inputs: Arc<InputPolicy>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Syncer {
    /// Syncs while this replica is the one that does, until `end` becomes true; then lets another replica begin.
    pub(crate) async fn run(self, candidate: Candidate, end: watch::Receiver<bool>) {
        let lease = format!("{}-sync", self.service.name);
        let election = Election::new(candidate, lease, "what comes back from the control plane");
        election.lead_until(end, || self.parts(), |leads| self.metrics.leads("sync", leads)).await;
    }

    fn recorder(&self) -> Arc<Recorder> {
        Arc::new(Recorder::new(self.app_cluster.clone(), &self.service))
    }

    /// Works, and begins anew with each other kubeconfig of the control plane. Never returns.
    async fn with_each_kubeconfig<F: Future<Output = ()>>(&self, work: impl Fn() -> F) {
        let mut generation = self.upstream.generation();
        loop {
            generation.mark_unchanged();
            tokio::select! {
                () = work() => {}
                Ok(()) = generation.changed() => {}
            }
        }
    }

    /// Never returns.
    async fn parts(&self) {
        let secrets = async {
            if self.options.connection_secrets {
                secrets::run(self).await;
            }
        };
        let inputs = async {
            if !self.inputs.kinds.is_empty() {
                inputs::run(self).await;
            }
        };
        let events = async {
            if self.options.events {
                events::run(self).await;
            }
        };
        tokio::join!(secrets, inputs, events, std::future::pending::<()>());
    }
}
