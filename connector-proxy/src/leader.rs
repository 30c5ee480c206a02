//! Who of several replicas writes: the holder of a Lease in the app cluster.
//!
//! As client-go does it: the Lease changes only with the resource version that was read, so that one of two wins, and how long
//! another's Lease is good is measured from when it was last *seen* to change, by the own clock. The libraries for this trust the
//! time that others wrote, or do not tell that the Lease is lost while the API is away.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::chain::Chain;
use crate::jitter;
use crate::owner::Owner;

/// How long a Lease is good without renewal.
const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews it, and the others look.
const PERIOD: Duration = Duration::from_secs(5);
/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the holder goes on without a renewal: less than the others wait.
const DEADLINE: Duration = Duration::from_secs(10);

/// Names this process among all that may hold a Lease. A Pod that says its name (`POD_NAME`) has its Leases again at once when its
/// container is started anew.
pub(crate) fn identity() -> String {
    std::env::var("POD_NAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| {
        let chance =
            std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), std::process::id());
        format!("connector_{chance:016x}")
    })
}

/// What all candidacies of this process have in common.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) leases: Api<Lease>,
    /// Nobody else's ([`identity`]).
    pub(crate) identity: String,
    /// What a Lease goes with.
    pub(crate) owner: Arc<Owner>,
}

/// A candidacy for one Lease.
pub(crate) struct Election {
    candidate: Candidate,
    name: String,
    /// What the holder writes, for people.
    writes: &'static str,
    /// The Lease as it was last read or written.
    seen: Option<Lease>,
    /// When it was first seen as it is.
    changed: Instant,
}

impl Election {
    /// For the Lease `name`; its holder writes what `writes` says.
    pub(crate) fn new(candidate: Candidate, name: String, writes: &'static str) -> Self {
        Self { candidate, name, writes, seen: None, changed: Instant::now() }
    }

    /// Works while elected, until `end` becomes true; then gives the Lease back. `work` is dropped when the Lease is lost, and made
    /// anew when it is won again.
    pub(crate) async fn lead_until<F: Future<Output = ()>>(
        mut self,
        mut end: watch::Receiver<bool>,
        work: impl FnMut() -> F,
        leads: impl Fn(bool),
    ) {
        tokio::select! {
            () = self.lead(work, &leads) => {}
            _ = end.wait_for(|end| *end) => {}
        }
        // Nothing is written from here on, though requests are served for a while.
        leads(false);
        self.release().await;
    }

    async fn lead<F: Future<Output = ()>>(&mut self, mut work: impl FnMut() -> F, leads: &impl Fn(bool)) {
        loop {
            self.acquire().await;
            info!(lease = self.name, "this replica writes {}", self.writes);
            leads(true);
            tokio::select! {
                () = work() => {}
                () = self.keep() => warn!(lease = self.name, "the Lease is lost: another replica writes {} now", self.writes),
            }
            leads(false);
        }
    }

    async fn acquire(&mut self) {
        let mut complained = false;
        loop {
            // What is not answered is asked again, or a server that is gone would keep this replica from ever writing.
            let Ok(held) = tokio::time::timeout(DEADLINE, self.try_hold()).await else { continue };
            match held {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) if complained => {
                    debug!(error = %Chain(&error), lease = self.name, "the Lease cannot be had");
                }
                Err(error) => {
                    complained = true;
                    warn!(
                        error = %Chain(&error),
                        lease = self.name,
                        "the Lease cannot be read or written, so this replica does not write {}: grant get, create and update on leases of the connector's namespace",
                        self.writes
                    );
                }
            }
            tokio::time::sleep(jitter::around(PERIOD)).await;
        }
    }

    /// Renews the Lease until it is lost.
    async fn keep(&mut self) {
        let mut renewed = Instant::now();
        let mut pause = PERIOD;
        loop {
            tokio::time::sleep(pause).await;
            let left = DEADLINE.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.try_hold()).await {
                Ok(Ok(true)) => (renewed, pause) = (Instant::now(), PERIOD),
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    debug!(error = %Chain(&error), lease = self.name, "the Lease was not renewed");
                    pause = RETRY;
                }
            }
        }
    }

    /// Gives the Lease back, so that another replica need not wait until it runs out.
    async fn release(&mut self) {
        let Some(lease) = self.seen.clone().filter(|lease| self.is_own(lease)) else { return };
        let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
        let spec = LeaseSpec { lease_transitions: transitions, ..LeaseSpec::default() };
        if let Err(error) = self.write(Lease { spec: Some(spec), ..lease }).await {
            debug!(error = %Chain(&error), lease = self.name, "the Lease was not given back");
        }
    }

    /// Takes or renews the Lease; false where another has it.
    async fn try_hold(&mut self) -> Result<bool, kube::Error> {
        // The holder's own copy is most likely the latest.
        if self.seen.as_ref().is_none_or(|lease| !self.is_own(lease)) {
            self.read().await?;
        }
        let now = || Some(MicroTime(Timestamp::now()));
        let Some(lease) = self.seen.clone() else {
            let mut metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            self.candidate.owner.mark(&mut metadata);
            let spec = LeaseSpec { acquire_time: now(), renew_time: now(), ..self.spec(0) };
            return self.write(Lease { metadata, spec: Some(spec) }).await;
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or_default();
        let spec = if self.is_own(&lease) {
            LeaseSpec { acquire_time: spec.acquire_time, renew_time: now(), ..self.spec(transitions) }
        } else if spec.holder_identity.is_none_or(|holder| holder.is_empty()) || self.changed.elapsed() > DURATION {
            LeaseSpec { acquire_time: now(), renew_time: now(), ..self.spec(transitions.saturating_add(1)) }
        } else {
            return Ok(false);
        };
        let mut metadata = lease.metadata;
        self.candidate.owner.mark(&mut metadata);
        self.write(Lease { metadata, spec: Some(spec) }).await
    }

    fn spec(&self, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.candidate.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    fn is_own(&self, lease: &Lease) -> bool {
        lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.candidate.identity)
    }

    async fn read(&mut self) -> Result<(), kube::Error> {
        let lease = self.candidate.leases.get_opt(&self.name).await?;
        self.see(lease);
        Ok(())
    }

    /// False where somebody else was quicker.
    async fn write(&mut self, lease: Lease) -> Result<bool, kube::Error> {
        let written = match lease.metadata.resource_version {
            Some(_) => self.candidate.leases.replace(&self.name, &PostParams::default(), &lease).await,
            None => self.candidate.leases.create(&PostParams::default(), &lease).await,
        };
        match written {
            Ok(lease) => {
                self.see(Some(lease));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {
                self.read().await?;
                Ok(self.seen.as_ref().is_some_and(|lease| self.is_own(lease)))
            }
            Err(error) => Err(error),
        }
    }

    fn see(&mut self, lease: Option<Lease>) {
        let version = |lease: &Option<Lease>| lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if version(&lease) != version(&self.seen) {
            self.changed = Instant::now();
        }
        self.seen = lease;
    }
}
