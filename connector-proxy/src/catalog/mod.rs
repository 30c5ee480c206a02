//! What the control plane offers, and the documents that describe it: kept fresh, and kept through an outage.
//!
//! Everything that kube-apiserver and its controllers ask about *which* APIs there are is answered from here, from memory:
//! if it depended on the control plane, an outage there would block the deletion of every namespace of the app cluster (wire
//! rules 2.3, 2.7).

mod absence;
mod documents;
mod offers;
mod overview;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use connector_core::discovery::{self, Document};
use connector_core::offer::{GroupVersion, Offered, Offers};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::jitter;
use crate::telemetry::Metrics;
use crate::upstream::Upstream;

use documents::Fetched;

/// After a change the documents are fetched again several times: the control plane serves a changed CRD's discovery and
/// OpenAPI some time after the CRD, and tells nobody when.
const AFTER_CHANGE: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_secs(2),
    Duration::from_secs(7),
];
/// By how much the first of them may be put off, but for that at the start: all connectors of a control plane hear of a change
/// at once.
const FIRST_JITTER: Duration = Duration::from_secs(1);
/// How often, about, the control plane is asked whether anything changed that no watch tells.
const MAX_AGE: Duration = Duration::from_secs(60);
/// Every how many times everything is fetched again all the same.
const ROUNDS: usize = 10;
/// How soon documents that are missing are asked for again; each time that much later, up to [`LONGEST_RETRY`].
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// What is offered at one moment, with the documents that describe it.
pub(crate) struct Snapshot {
    /// What the control plane offers and describes.
    offers: Offers,
    /// What it offers and does not describe: nothing of it can be served, and none of it may be called absent.
    undescribed: Offers,
    /// What is described well enough to be registered.
    registrable: Vec<GroupVersion>,
    pub(crate) discovery: discovery::Documents,
    pub(crate) openapi_v3: BTreeMap<GroupVersion, Document>,
    pub(crate) openapi_v3_root: Document,
    pub(crate) openapi_v2: Document,
}

impl Snapshot {
    /// The API of a resource, where it is offered.
    pub(crate) fn offered(&self, group: &str, version: &str, resource: &str) -> Option<&Offered> {
        self.offers.get(group, version, resource)
    }

    /// Every API that is offered and described.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Offered> {
        self.offers.iter()
    }

    /// Every group and version to register.
    pub(crate) fn registrable(&self) -> &[GroupVersion] {
        &self.registrable
    }

    /// Every group and version that is offered, described or not: what may stay registered.
    pub(crate) fn offered_group_versions(&self) -> Vec<GroupVersion> {
        let mut all = self.offers.group_versions();
        all.extend(self.undescribed.group_versions());
        all
    }

    /// Every group and version in which something is offered and not described.
    pub(crate) fn undescribed(&self) -> impl Iterator<Item = GroupVersion> {
        self.undescribed.group_versions().into_iter()
    }

    /// Whether an API is offered and not described.
    pub(crate) fn is_undescribed(&self, group: &str, version: &str, resource: &str) -> bool {
        self.undescribed.get(group, version, resource).is_some()
    }
}

/// The snapshot in force. `None` until the control plane was first reached: then nothing is known, which is not the same as
/// nothing being offered (wire rule 3.5).
pub(crate) type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Follows what the control plane offers and publishes a snapshot whenever it changes. Never returns.
pub(crate) async fn follow(
    upstream: Arc<Upstream>,
    publish: watch::Sender<Option<Arc<Snapshot>>>,
    metrics: Arc<Metrics>,
) {
    let (found, mut offers) = watch::channel(None);
    let mut fetched = Fetched::default();
    let work = async {
        // Until the first offers are known there is nothing to fetch.
        let mut current = Arc::new(next(&mut offers).await);
        // Group versions whose offers changed lately.
        let mut changed: BTreeSet<GroupVersion> = current.group_versions().into_iter().collect();
        let mut pending: Vec<Instant> = schedule(Duration::ZERO);
        let mut rounds = 0;
        let mut tries = 0;
        loop {
            let due = pending.pop().unwrap_or_else(|| {
                rounds += 1;
                if rounds % ROUNDS == 0 {
                    changed.extend(current.group_versions());
                }
                Instant::now() + jitter::around(MAX_AGE)
            });
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                offered = next(&mut offers) => {
                    changed.extend(difference(&current, &offered));
                    current = Arc::new(offered);
                    pending = schedule(jitter::up_to(FIRST_JITTER));
                    tries = 0;
                    // What is gone is gone at once, whatever the documents say.
                    fetched.retain(&current, &changed);
                    continue;
                }
            }
            let complete = fetched.refresh(&upstream, &current, &changed).await;
            if pending.is_empty() {
                changed.clear();
            }
            if complete && publish.borrow().is_none() {
                // At the start nothing has to have changed lately: one more look is enough.
                pending.truncate(1);
            }
            if complete {
                metrics.apis.refreshed();
                tries = 0;
            } else if pending.is_empty() {
                tries += 1;
                pending.push(Instant::now() + jitter::around((RETRY * tries).min(LONGEST_RETRY)));
            }
            if complete || fetched.describes_any(&current) || publish.borrow().is_some() {
                let changed = fetched.publish(&current, &publish);
                if changed {
                    metrics.apis.offered.set(i64::try_from(current.iter().count()).unwrap_or(i64::MAX));
                }
            }
        }
    };
    tokio::join!(offers::follow(&upstream, found), work);
}

/// Every group and version in which something else is offered than before.
fn difference(before: &Offers, now: &Offers) -> BTreeSet<GroupVersion> {
    let all = before.group_versions().into_iter().chain(now.group_versions());
    all.filter(|gv| {
        let in_it =
            |offers: &Offers| offers.in_group_version(&gv.group, &gv.version).cloned().collect::<Vec<Offered>>();
        in_it(before) != in_it(now)
    })
    .collect()
}

/// When to fetch after a change, the last first; the first one after `pause`.
fn schedule(pause: Duration) -> Vec<Instant> {
    let mut at = Instant::now() + pause;
    let mut times: Vec<Instant> = AFTER_CHANGE
        .iter()
        .map(|pause| {
            at += *pause;
            at
        })
        .collect();
    times.reverse();
    times
}

/// The next offers that become known.
///
/// # Cancel safety
/// Nothing is lost: offers that are not taken are seen by the next call.
async fn next(offers: &mut watch::Receiver<Option<Offers>>) -> Offers {
    loop {
        if offers.changed().await.is_err() {
            // The other half runs as long as this one; it cannot end before.
            std::future::pending::<()>().await;
        }
        if let Some(offers) = offers.borrow_and_update().clone() {
            return offers;
        }
    }
}
