//! Connection Secrets: what the control plane writes for a claim appears in the claim's namespace of the app cluster.
//!
//! Two watches tell what there is on both sides; of a Secret only a digest is kept. The name of the Secret in the app cluster is what
//! the user wrote, its owner the claim, so that the app cluster's garbage collector deletes it when the claim is truly gone (the
//! corridor answers 404 only then) and at no other time; nothing is deleted here but what cannot be changed and is created
//! anew. What was not made for the claim is never touched: the claim gets an event that says what is in the way.

mod conflicts;
mod content;
mod work;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tracing::{debug, warn};

use self::conflicts::Conflicts;
use self::content::{Copy, Marks, Source};
use self::work::Attempt;
use super::Syncer;
use super::queue::{Queue, until};
use crate::chain::Chain;
use crate::claims::Claim;
use crate::registrar::OWNER_LABEL;

/// How many Secrets are written at a time.
const PARALLEL: usize = 16;
/// How many Secrets are held, data and all, until they are written; the control plane's watch waits meanwhile. What is not held,
/// as its claim was not known yet or a write failed, is read again.
const HELD: usize = 256;
/// How soon it is looked whether something is still in the way that the first time was.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// How often it is tried whether what was in the way is gone: no watch tells of it.
const NEXT_LOOK: Duration = Duration::from_secs(20);

/// Namespace and name of a Secret of the app cluster.
type Place = (String, String);

/// Never returns.
pub(super) async fn run(sync: &Syncer) {
    sync.with_each_kubeconfig(|| async { Secrets::new(sync.clone()).run().await }).await;
}

/// One look of both sides, kept up to date.
struct Secrets {
    sync: Syncer,
    remote: Api<Secret>,
    marks: Arc<Marks>,
    /// The control plane's Secrets that something controls, by name.
    sources: HashMap<String, Source>,
    /// Their names, by the UID of what controls them.
    of_owner: HashMap<String, BTreeSet<String>>,
    /// Ours in the app cluster; `None` until all were read once.
    copies: Option<HashMap<Place, Copy>>,
    /// The source of each place, as it was when it was last looked at.
    source_of: HashMap<Place, String>,
    conflicts: Conflicts,
    queue: Queue<String>,
    held: HashMap<String, Secret>,
    /// What was complained of, so that it is said once.
    complained: BTreeSet<&'static str>,
}

impl Secrets {
    fn new(sync: Syncer) -> Self {
        let mut labels = sync.options.labels.clone();
        labels.insert(OWNER_LABEL.to_owned(), sync.service.label());
        let marks = Marks { labels, annotations: sync.options.annotations.clone() };
        Self {
            remote: Api::namespaced(sync.upstream.client(), &sync.scheme.claim_namespace),
            conflicts: Conflicts::new(&sync),
            sync,
            marks: Arc::new(marks),
            sources: HashMap::new(),
            of_owner: HashMap::new(),
            copies: None,
            source_of: HashMap::new(),
            queue: Queue::default(),
            held: HashMap::new(),
            complained: BTreeSet::new(),
        }
    }

    async fn run(&mut self) {
        let ours = watcher::Config::default().labels(&format!("{OWNER_LABEL}={}", self.sync.service.label()));
        let copies = watcher(Api::<Secret>::all(self.sync.app_cluster.clone()), ours);
        let mut copies = std::pin::pin!(crate::watch::with_backoff(copies));
        let sources = watcher(self.remote.clone(), watcher::Config::default());
        let mut sources = std::pin::pin!(crate::watch::with_backoff(sources));
        let mut claims = self.sync.claims.subscribe();
        for claim in self.sync.claims.all() {
            self.conflicts.want(&claim);
        }
        let (mut copies_listing, mut sources_listing) = (HashMap::new(), BTreeSet::new());
        let mut writes: FuturesUnordered<BoxFuture<'static, Attempt>> = FuturesUnordered::new();
        loop {
            while self.copies.is_some()
                && writes.len() < PARALLEL
                && let Some(name) = self.queue.take()
            {
                match self.work(&name) {
                    Some(work) => writes.push(work),
                    None => {
                        self.held.remove(&name);
                        self.queue.forget(&name);
                        self.queue.done(&name);
                    }
                }
            }
            let due = self.queue.next_due().into_iter().chain(self.conflicts.next_due()).min();
            tokio::select! {
                Some(event) = copies.next() => match event {
                    Ok(event) => self.observe_copy(event, &mut copies_listing),
                    Err(error) => self.complain("app cluster", &error),
                },
                // Each that is held is queued, so there is room as soon as some are written.
                Some(event) = sources.next(), if self.held.len() < HELD => match event {
                    Ok(event) => self.observe_source(event, &mut sources_listing),
                    Err(error) => self.complain("control plane", &error),
                },
                Some(claim) = claims.recv() => self.observe_claim(&claim),
                Some(attempt) = writes.next() => self.finish(attempt),
                () = until(due) => {}
            }
            self.conflicts.tell();
        }
    }

    /// A watch that may not be: says once what to grant. That a cluster is away is said elsewhere.
    fn complain(&mut self, side: &'static str, error: &watcher::Error) {
        let refused = crate::watch::code(error).is_some_and(|code| code == 401 || code == 403);
        if refused && self.complained.insert(side) {
            let namespace = if side == "app cluster" { "all namespaces" } else { &self.sync.scheme.claim_namespace };
            warn!(
                error = %Chain(error),
                "connection Secrets are not synced: grant list and watch on secrets of the {side} in {namespace:?}, \
                 or turn them off (--connection-secrets=false)"
            );
        } else {
            debug!(error = %Chain(error), side, "the watch of Secrets failed");
        }
    }

    fn observe_copy(&mut self, event: watcher::Event<Secret>, listing: &mut HashMap<Place, Copy>) {
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(secret) => {
                listing.insert(place(&secret), Copy::of(&secret, &self.marks));
            }
            watcher::Event::InitDone => {
                let copies = std::mem::take(listing);
                let gone = self.copies.iter().flat_map(HashMap::keys).filter(|place| !copies.contains_key(*place));
                gone.for_each(|place| self.conflicts.hold(place, None));
                copies.iter().for_each(|(place, copy)| self.conflicts.hold(place, copy.claim()));
                self.copies = Some(copies);
                self.sources.keys().for_each(|name| self.queue.add(name.clone()));
            }
            watcher::Event::Apply(secret) => {
                let (place, copy) = (place(&secret), Copy::of(&secret, &self.marks));
                if let Some(copies) = &mut self.copies {
                    self.conflicts.hold(&place, copy.claim());
                    copies.insert(place.clone(), copy);
                    self.look_at(&place);
                }
            }
            watcher::Event::Delete(secret) => {
                let place = place(&secret);
                if let Some(copies) = &mut self.copies {
                    copies.remove(&place);
                    self.conflicts.hold(&place, None);
                    self.look_at(&place);
                }
            }
        }
    }

    /// Something happened where a Secret is to be, or others want to have one.
    fn look_at(&mut self, place: &Place) {
        self.source_of.get(place).into_iter().for_each(|name| self.queue.add(name.clone()));
        for claim in self.conflicts.who_want(place) {
            self.look_at_owner(&claim);
        }
    }

    fn observe_source(&mut self, event: watcher::Event<Secret>, listing: &mut BTreeSet<String>) {
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(secret) => {
                listing.insert(secret.name_any());
                self.see(secret);
            }
            watcher::Event::InitDone => {
                let present = std::mem::take(listing);
                let gone: Vec<String> = self.sources.keys().filter(|name| !present.contains(*name)).cloned().collect();
                gone.iter().for_each(|name| self.unsee(name));
            }
            watcher::Event::Apply(secret) => self.see(secret),
            watcher::Event::Delete(secret) => {
                let name = secret.name_any();
                if let Some(source) = self.sources.get(&name)
                    && let Some(place) = &source.place
                {
                    self.conflicts.clear(&source.owner.uid, place);
                }
                self.unsee(&name);
            }
        }
    }

    fn see(&mut self, secret: Secret) {
        let name = secret.name_any();
        let Some(source) = Source::of(&secret) else { return self.unsee(&name) };
        let same = |before: &Source| {
            (&before.uid, &before.content, &before.owner) == (&source.uid, &source.content, &source.owner)
        };
        if self.sources.get(&name).is_some_and(same) {
            return;
        }
        self.unsee(&name);
        self.of_owner.entry(source.owner.uid.clone()).or_default().insert(name.clone());
        let is_wanted = self.claim_of(&source).is_some();
        self.sources.insert(name.clone(), source);
        if is_wanted {
            self.held.insert(name.clone(), secret);
        }
        self.queue.add(name);
    }

    /// The copy stays until the claim is gone.
    fn unsee(&mut self, name: &str) {
        self.held.remove(name);
        let Some(source) = self.sources.remove(name) else { return };
        if let Some(place) = &source.place {
            self.forget_place(name, place);
        }
        if let Some(names) = self.of_owner.get_mut(&source.owner.uid) {
            names.remove(name);
            if names.is_empty() {
                self.of_owner.remove(&source.owner.uid);
            }
        }
    }

    fn observe_claim(&mut self, claim: &Claim) {
        match self.sync.claims.get(&claim.uid) {
            Some(claim) => self.conflicts.want(&claim),
            None => self.conflicts.forget(claim),
        }
        self.look_at_owner(&claim.uid);
    }

    fn look_at_owner(&mut self, uid: &str) {
        self.of_owner.get(uid).into_iter().flatten().for_each(|name| self.queue.add(name.clone()));
    }
}

fn place(secret: &Secret) -> Place {
    (secret.namespace().unwrap_or_default(), secret.name_any())
}
