//! What is in the way of connection Secrets, and how the claims hear of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Place;
use crate::claims::{Claim, Claims};
use crate::sync::Syncer;
use crate::sync::events::Recorder;
use crate::telemetry::SecretMetrics;

/// How often a claim is told what lasts. Kubernetes keeps an event for an hour.
const TELL_AGAIN: Duration = Duration::from_secs(1200);

/// The reason of an event: another Secret has the name.
const IN_THE_WAY: &str = "ConnectionSecretConflict";
/// The reason of an event: kube-apiserver takes no such Secret.
const REFUSED: &str = "ConnectionSecretRefused";

/// Which claims want which Secrets, who has them, and who was told so.
pub(super) struct Conflicts {
    claims: Arc<Claims>,
    recorder: Arc<Recorder>,
    metrics: SecretMetrics,
    /// Where a claim's connection Secret is to be, by its UID; and who wants a place.
    wanted: HashMap<String, Place>,
    wanting: HashMap<Place, BTreeSet<String>>,
    /// The UIDs of the claims that have one.
    holders: HashMap<Place, String>,
    /// What was in the way once, and may be ours.
    met: BTreeSet<(String, Place)>,
    open: BTreeMap<(String, Place), Open>,
    telling: JoinSet<()>,
}

/// A conflict that lasts.
struct Open {
    claim: Arc<Claim>,
    reason: &'static str,
    message: String,
    tell_at: Instant,
}

impl Conflicts {
    pub(super) fn new(sync: &Syncer) -> Self {
        Self {
            claims: sync.claims.clone(),
            recorder: sync.recorder(),
            metrics: sync.metrics.secrets.clone(),
            wanted: HashMap::new(),
            wanting: HashMap::new(),
            holders: HashMap::new(),
            met: BTreeSet::new(),
            open: BTreeMap::new(),
            telling: JoinSet::new(),
        }
    }

    /// Takes note of where a claim wants its connection Secret, as far as that is known.
    pub(super) fn want(&mut self, claim: &Claim) {
        let place = claim.connection_secret().map(|name| (claim.origin.namespace.clone(), name.to_owned()));
        if self.wanted.get(&claim.uid) == place.as_ref() {
            return;
        }
        self.forget(claim);
        if let Some(place) = place {
            self.wanted.insert(claim.uid.clone(), place.clone());
            self.wanting.entry(place.clone()).or_default().insert(claim.uid.clone());
            self.contest(&place);
        }
    }

    /// A claim is gone, or wants something else.
    pub(super) fn forget(&mut self, claim: &Claim) {
        if let Some(place) = self.wanted.remove(&claim.uid)
            && let Some(wanting) = self.wanting.get_mut(&place)
        {
            wanting.remove(&claim.uid);
            if wanting.is_empty() {
                self.wanting.remove(&place);
            }
        }
        self.open.retain(|(uid, _), _| *uid != claim.uid);
        self.met.retain(|(uid, _)| *uid != claim.uid);
        self.count();
    }

    /// Takes note of the claim that has a Secret of ours; `None` where nobody has.
    pub(super) fn hold(&mut self, place: &Place, claim: Option<&str>) {
        let before = match claim {
            Some(claim) => self.holders.insert(place.clone(), claim.to_owned()),
            None => self.holders.remove(place),
        };
        if before.as_deref() != claim {
            self.open.retain(|(_, contested), _| contested != place);
            self.contest(place);
            self.count();
        }
    }

    /// The UIDs of the claims that want a Secret.
    pub(super) fn who_want(&self, place: &Place) -> Vec<String> {
        self.wanting.get(place).into_iter().flatten().cloned().collect()
    }

    /// The first claim has it, the others hear of that. In the control plane they may be one and the same Secret, so that no
    /// second one ever comes.
    fn contest(&mut self, place: &Place) {
        let Some(holder) = self.holders.get(place).and_then(|uid| self.claims.get(uid)) else { return };
        for uid in self.who_want(place).into_iter().filter(|uid| *uid != holder.uid) {
            if let Some(claim) = self.claims.get(&uid) {
                self.contested(&claim, place, &holder);
            }
        }
    }

    /// Another claim has what a claim wants.
    pub(super) fn contested(&mut self, claim: &Arc<Claim>, place: &Place, holder: &Claim) {
        let message = format!(
            "Secret {:?} is the connection secret of {} {:?}: give another name in spec.writeConnectionSecretToRef.name",
            place.1, holder.kind, holder.origin.name
        );
        self.open(claim, place, IN_THE_WAY, message);
    }

    /// A Secret that is not ours has the name. True the first time, when it may only not be seen yet that it is ours.
    pub(super) fn meet(&mut self, claim: &Arc<Claim>, place: &Place) -> bool {
        let first = self.met.insert((claim.uid.clone(), place.clone()));
        if !first {
            let message = format!(
                "a Secret {:?} exists that was not made for this claim, and is left alone: delete it, or give another name in \
                 spec.writeConnectionSecretToRef.name",
                place.1
            );
            self.open(claim, place, IN_THE_WAY, message);
        }
        first
    }

    /// kube-apiserver takes no such Secret.
    pub(super) fn refused(&mut self, claim: &Arc<Claim>, place: &Place, why: &str) {
        self.open(claim, place, REFUSED, format!("connection secret {:?} cannot be written: {why}", place.1));
    }

    /// All is well.
    pub(super) fn clear(&mut self, uid: &str, place: &Place) {
        let key = (uid.to_owned(), place.clone());
        self.met.remove(&key);
        if self.open.remove(&key).is_some() {
            self.count();
        }
    }

    fn open(&mut self, claim: &Arc<Claim>, place: &Place, reason: &'static str, message: String) {
        let open = self.open.entry((claim.uid.clone(), place.clone())).or_insert_with(|| {
            tracing::warn!(namespace = place.0, claim = claim.origin.name, kind = claim.kind, "{message}");
            Open { claim: claim.clone(), reason, message: message.clone(), tell_at: Instant::now() }
        });
        if open.message != message {
            *open = Open { claim: claim.clone(), reason, message, tell_at: Instant::now() };
        }
        self.count();
    }

    fn count(&self) {
        self.metrics.conflicts.set(self.open.len().try_into().unwrap_or(i64::MAX));
    }

    /// When [`Self::tell`] is worth calling.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open.values().map(|open| open.tell_at).min()
    }

    /// Tells the claims what is due.
    pub(super) fn tell(&mut self) {
        while self.telling.try_join_next().is_some() {}
        let now = Instant::now();
        for open in self.open.values_mut().filter(|open| open.tell_at <= now) {
            open.tell_at = now + crate::jitter::around(TELL_AGAIN);
            let (recorder, claim) = (self.recorder.clone(), open.claim.clone());
            let (reason, message) = (open.reason, open.message.clone());
            self.telling.spawn(async move { recorder.warn(&claim, reason, &message).await });
        }
    }
}
