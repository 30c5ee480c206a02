//! The claims of this app cluster, by their metadata: known also while the control plane is away.
//!
//! Two ask. The corridor, which namespaces hold claims: the deletion of a namespace asks every API for what the namespace
//! holds, and waits for the answer, so that without this an outage of the control plane would hold up the deletion of *every*
//! namespace of the app cluster (wire rule 2.7). A namespace that was seen to hold nothing, and takes nothing new because it is
//! being deleted, can be told to be empty without asking; every other question about claims is answered 503. And the sync, whose
//! a Secret or an event of the control plane is.

mod claim;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connector_core::offer::{GroupVersion, Offered};
use connector_core::origin::Hashed;
use futures::StreamExt;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

pub(crate) use self::claim::Claim;
use crate::catalog::Snapshots;
use crate::upstream::Upstream;

/// How long until a watch that was refused is tried again.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// How long it is still known whose something was after the claim is gone: what is said of its end comes by another watch.
const REMEMBERED: Duration = Duration::from_secs(60);

/// An offered resource: group and plural.
type Resource = (String, String);

/// What is known of one resource.
#[derive(Default)]
struct Known {
    /// By remote name. `None` until all were read once.
    objects: Option<BTreeMap<String, Entry>>,
    /// Of what was seen last; what an empty list is as of.
    resource_version: String,
}

/// One remote object.
enum Entry {
    /// It was created by a request for this namespace, and is not seen by the watch yet.
    Created(String),
    Seen(Arc<Claim>),
}

impl Entry {
    fn namespace(&self) -> &str {
        match self {
            Self::Created(namespace) => namespace,
            Self::Seen(claim) => &claim.origin.namespace,
        }
    }
}

/// Kept by a watch of the metadata of each offered API, and by the creates that pass.
pub(crate) struct Claims {
    scheme: Arc<Hashed>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Everything that is watched, known or not.
    resources: BTreeMap<Resource, Known>,
    by_uid: HashMap<String, Arc<Claim>>,
    gone: VecDeque<(Instant, Arc<Claim>)>,
    /// Whether all that is offered is watched: it is known, and described.
    is_whole: bool,
    subscribers: Vec<mpsc::UnboundedSender<Arc<Claim>>>,
}

impl State {
    fn tell(&mut self, claim: &Arc<Claim>) {
        self.subscribers.retain(|subscriber| subscriber.send(claim.clone()).is_ok());
    }

    fn insert(&mut self, claim: &Arc<Claim>) {
        if self.by_uid.insert(claim.uid.clone(), claim.clone()).is_none_or(|before| before != *claim) {
            self.tell(claim);
        }
    }

    fn remove(&mut self, entry: &Entry) {
        let Entry::Seen(claim) = entry else { return };
        self.by_uid.remove(&claim.uid);
        let now = Instant::now();
        while self.gone.front().is_some_and(|(when, _)| now.duration_since(*when) > REMEMBERED) {
            self.gone.pop_front();
        }
        self.gone.push_back((now, claim.clone()));
        self.tell(claim);
    }

    /// What was known of a resource is not to be relied on any more. That is no news of any claim.
    fn forget(&mut self, resource: &Resource) {
        let Some(known) = self.resources.get_mut(resource) else { return };
        for entry in std::mem::take(known).objects.into_iter().flat_map(BTreeMap::into_values) {
            if let Entry::Seen(claim) = entry {
                self.by_uid.remove(&claim.uid);
            }
        }
    }
}

impl Claims {
    pub(crate) fn new(scheme: Arc<Hashed>) -> Self {
        Self { scheme, state: Mutex::default() }
    }

    /// The resource version as of which `namespace` is known to hold no object of a resource; `None` where it holds some, or
    /// nobody knows.
    pub(crate) fn empty_as_of(&self, group: &str, resource: &str, namespace: &str) -> Option<String> {
        let state = self.lock();
        let known = state.resources.get(&(group.to_owned(), resource.to_owned()))?;
        let empty = !known.objects.as_ref()?.values().any(|object| object.namespace() == namespace);
        empty.then(|| known.resource_version.clone())
    }

    /// Takes note of an object that was created by a request, which the watch may not have seen yet.
    pub(crate) fn created(&self, group: &str, resource: &str, namespace: &str, remote_name: String) {
        let mut state = self.lock();
        if let Some(known) = state.resources.get_mut(&(group.to_owned(), resource.to_owned()))
            && let Some(objects) = &mut known.objects
        {
            objects.entry(remote_name).or_insert_with(|| Entry::Created(namespace.to_owned()));
        }
    }

    /// The claim of a UID.
    pub(crate) fn get(&self, uid: &str) -> Option<Arc<Claim>> {
        self.lock().by_uid.get(uid).cloned()
    }

    /// The claim of a UID, also for a while after it is gone.
    pub(crate) fn get_or_gone(&self, uid: &str) -> Option<Arc<Claim>> {
        let state = self.lock();
        let gone = || state.gone.iter().find(|(_, claim)| claim.uid == uid).map(|(_, claim)| claim);
        state.by_uid.get(uid).or_else(gone).cloned()
    }

    /// A claim by its name in the control plane. Claims of several kinds can have the same, and what `is_wanted` says decides.
    pub(crate) fn named(&self, remote_name: &str, is_wanted: impl Fn(&Claim) -> bool) -> Option<Arc<Claim>> {
        let state = self.lock();
        let of_name = state.resources.values().filter_map(|known| known.objects.as_ref()?.get(remote_name));
        let mut seen = of_name.filter_map(|entry| match entry {
            Entry::Seen(claim) => Some(claim),
            Entry::Created(_) => None,
        });
        seen.find(|claim| is_wanted(claim)).cloned()
    }

    /// Every claim that is known.
    pub(crate) fn all(&self) -> Vec<Arc<Claim>> {
        self.lock().by_uid.values().cloned().collect()
    }

    /// Whether all claims of all offered APIs are known: what is not among them is not there.
    pub(crate) fn are_complete(&self) -> bool {
        let state = self.lock();
        state.is_whole && state.resources.values().all(|known| known.objects.is_some())
    }

    /// Every claim that comes, changes or goes from now on; the one that went is not known any more.
    pub(crate) fn subscribe(&self) -> mpsc::UnboundedReceiver<Arc<Claim>> {
        let (subscriber, changes) = mpsc::unbounded_channel();
        self.lock().subscribers.push(subscriber);
        changes
    }

    /// Follows every offered resource. Never returns.
    pub(crate) async fn follow(self: Arc<Self>, upstream: Arc<Upstream>, mut catalog: Snapshots) {
        let mut watches = JoinSet::new();
        let mut watched: BTreeMap<Resource, AbortHandle> = BTreeMap::new();
        let mut generation = upstream.generation();
        loop {
            generation.mark_unchanged();
            let (offered, is_whole): (Vec<Offered>, _) = match &*catalog.borrow_and_update() {
                Some(snapshot) => (snapshot.iter().cloned().collect(), snapshot.undescribed().next().is_none()),
                None => (Vec::new(), false),
            };
            self.lock().is_whole = false;
            let wanted: BTreeSet<Resource> = offered.iter().map(resource).collect();
            watched.retain(|resource, watch| {
                let keep = wanted.contains(resource);
                if !keep {
                    watch.abort();
                    let mut state = self.lock();
                    state.forget(resource);
                    state.resources.remove(resource);
                }
                keep
            });
            for offered in offered {
                watched.entry(resource(&offered)).or_insert_with(|| {
                    self.lock().resources.entry(resource(&offered)).or_default();
                    watches.spawn(follow_one(self.clone(), upstream.clone(), offered))
                });
            }
            self.lock().is_whole = is_whole;
            let renewed = tokio::select! {
                Ok(()) = catalog.changed() => false,
                Ok(()) = generation.changed() => true,
            };
            if renewed {
                // Another kubeconfig is in force: begin anew with it.
                std::mem::take(&mut watched).into_values().for_each(|watch| watch.abort());
            }
            while watches.try_join_next().is_some() {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an event of the watch. A list that is read anew replaces what was known when it is complete.
    fn observe(
        &self,
        offered: &Offered,
        listing: &mut BTreeMap<String, Entry>,
        event: watcher::Event<PartialObjectMeta<DynamicObject>>,
    ) {
        let claim = |object| Claim::read(&self.scheme, offered, object).map(Arc::new);
        let mut state = self.lock();
        let state = &mut *state;
        let Some(known) = state.resources.get_mut(&resource(offered)) else { return };
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(object) => {
                known.resource_version = object.resource_version().unwrap_or_default();
                let Some(claim) = claim(&object) else { return };
                state.insert(&claim);
                listing.insert(claim.remote_name.clone(), Entry::Seen(claim));
            }
            watcher::Event::InitDone => {
                let before = known.objects.replace(std::mem::take(listing)).unwrap_or_default();
                let now = known.objects.iter().flatten();
                let present: BTreeSet<String> = now.filter_map(|(_, entry)| uid(entry)).map(str::to_owned).collect();
                for entry in before.values().filter(|entry| uid(entry).is_some_and(|uid| !present.contains(uid))) {
                    state.remove(entry);
                }
            }
            watcher::Event::Apply(object) => {
                known.resource_version = object.resource_version().unwrap_or_default();
                let Some(objects) = &mut known.objects else { return };
                let name = object.name_any();
                let claim = claim(&object);
                let before = match &claim {
                    Some(claim) => objects.insert(name, Entry::Seen(claim.clone())),
                    None => objects.remove(&name),
                };
                if let Some(before) = before
                    && uid(&before) != claim.as_ref().map(|claim| claim.uid.as_str())
                {
                    state.remove(&before);
                }
                if let Some(claim) = claim {
                    state.insert(&claim);
                }
            }
            watcher::Event::Delete(object) => {
                known.resource_version = object.resource_version().unwrap_or_default();
                let removed = known.objects.as_mut().and_then(|objects| objects.remove(&object.name_any()));
                if let Some(removed) = removed {
                    state.remove(&removed);
                }
            }
        }
    }
}

#[cfg(test)]
impl Claims {
    /// These claims, and no others.
    pub(crate) fn of(scheme: Arc<Hashed>, claims: &[Claim]) -> Self {
        let all = Self::new(scheme);
        let mut state = all.lock();
        for claim in claims {
            let claim = Arc::new(claim.clone());
            state.insert(&claim);
            let known = state.resources.entry((claim.group.clone(), claim.kind.clone())).or_default();
            known.objects.get_or_insert_default().insert(claim.remote_name.clone(), Entry::Seen(claim));
        }
        drop(state);
        all
    }
}

async fn follow_one(claims: Arc<Claims>, upstream: Arc<Upstream>, offered: Offered) {
    let Some(version) = offered.versions.first() else { return };
    let GroupVersion { group, version } = GroupVersion::new(&offered.group, version);
    let api_resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&group, &version, &offered.kind), &offered.plural);
    let api = Api::<PartialObjectMeta<DynamicObject>>::namespaced_with(
        upstream.client(),
        &claims.scheme.claim_namespace,
        &api_resource,
    );
    let config = watcher::Config::default().labels(&claims.scheme.label_selector(None));
    loop {
        let mut events = std::pin::pin!(crate::watch::with_backoff(watcher(api.clone(), config.clone())));
        let mut listing = BTreeMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => claims.observe(&offered, &mut listing, event),
                Err(error) => {
                    tracing::debug!(%error, resource = offered.plural, "the watch of claims failed");
                    // Not an outage: the control plane is there and does not tell, so nobody knows what comes and goes. Begin
                    // anew with a list.
                    if crate::watch::code(&error).is_some_and(|code| (400..500).contains(&code) && code != 429) {
                        claims.lock().forget(&resource(&offered));
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(REFUSED_PAUSE).await;
    }
}

fn resource(offered: &Offered) -> Resource {
    (offered.group.clone(), offered.plural.clone())
}

fn uid(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Created(_) => None,
        Entry::Seen(claim) => Some(&claim.uid),
    }
}
