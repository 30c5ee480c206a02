//! Connection Secrets: what the control plane writes for a claim appears in the claim's namespace of the app cluster.
//!
//! Two watches tell what there is on both sides; of a Secret only a digest is kept. The name of the Secret in the app cluster is what
//! the user wrote, its owner the claim, so that the app cluster's garbage collector deletes it when the claim is truly gone (the
//! corridor answers 404 only then) and at no other time; nothing is deleted here but what cannot be changed and is created
//! anew. What was not made for the claim is never touched: the claim gets an event that says what is in the way.

mod conflicts;
mod content;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use connector_core::origin::Form;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::api::{Api, ObjectMeta};
use kube::runtime::watcher;
use tracing::{debug, info, warn};

use self::conflicts::Conflicts;
use self::content::{Copy, Marks, Source};
use super::Syncer;
use super::copy::{Content, Done, Trouble, code, put};
use super::queue::Queue;
use crate::chain::Chain;
use crate::claims::Claim;
use crate::registrar::OWNER_LABEL;

/// The type of the Secrets that Crossplane writes for claims.
const CONNECTION_SECRET: &str = "connection.crossplane.io/v1alpha1";
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

/// Syncs until the control plane's kubeconfig changes, then begins anew; never returns.
pub(super) async fn run(sync: &Syncer) {
    let mut generation = sync.upstream.generation();
    loop {
        generation.mark_unchanged();
        let mut secrets = Secrets::new(sync.clone());
        tokio::select! {
            () = secrets.run() => {}
            Ok(()) = generation.changed() => {}
        }
    }
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

/// What became of one write.
struct Attempt {
    source: String,
    place: Place,
    claim: Arc<Claim>,
    outcome: Result<(Done, Copy, Content), Trouble>,
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
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
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
                () = due => {}
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

    /// The claim that a Secret of the control plane was written for, unless it is none, or on its way out.
    fn claim_of(&self, source: &Source) -> Option<Arc<Claim>> {
        let claim = self.sync.claims.get(&source.owner.uid).filter(|claim| !claim.is_deleting)?;
        (claim.form != Form::Claim || source.content.kind == CONNECTION_SECRET).then_some(claim)
    }

    /// Takes note of where the copy of a source is to be.
    fn note_place(&mut self, name: &str, place: &Place) {
        let Some(source) = self.sources.get_mut(name) else { return };
        if let Some(before) = source.place.replace(place.clone()).filter(|before| before != place) {
            self.forget_place(name, &before);
        }
        self.source_of.insert(place.clone(), name.to_owned());
    }

    fn forget_place(&mut self, name: &str, place: &Place) {
        if self.source_of.get(place).is_some_and(|of| of == name) {
            self.source_of.remove(place);
        }
    }

    /// What there is to write of a Secret of the control plane; `None` where all is right, or none of our business.
    fn work(&mut self, name: &str) -> Option<BoxFuture<'static, Attempt>> {
        let source = self.sources.get(name)?.clone();
        let claim = self.claim_of(&source)?;
        let local = claim.local_secret_name(&self.sync.scheme, name)?;
        let owner = OwnerReference { name: claim.origin.name.clone(), ..source.owner.clone() };
        let place = (claim.origin.namespace.clone(), local);
        if is_credential(&source.content.kind) {
            let why = format!("Secrets of type {} give access to this cluster, and are not taken", source.content.kind);
            self.conflicts.refused(&claim, &place, &why);
            return None;
        }
        self.note_place(name, &place);
        let copy = self.copies.as_ref()?.get(&place).cloned();
        if let Some(copy) = &copy {
            match copy.claim() {
                Some(uid) if uid == claim.uid => {}
                // Another claim's, or that of one that is gone: the garbage collector deletes it.
                Some(uid) => {
                    if let Some(holder) = self.sync.claims.get(uid) {
                        self.conflicts.contested(&claim, &place, &holder);
                    }
                    self.queue.add_after(name.to_owned(), NEXT_LOOK);
                    return None;
                }
                // Somebody took the owner away.
                None => {}
            }
            if copy.there.content == source.content && copy.is_marked && copy.owners == [owner.clone()] {
                self.conflicts.clear(&claim.uid, &place);
                return None;
            }
        }
        let secret = self.held.remove(name);
        let (remote, marks) = (self.remote.clone(), self.marks.clone());
        let local = Api::namespaced(self.sync.app_cluster.clone(), &place.0);
        let attempt = async move {
            let metadata = ObjectMeta {
                name: Some(place.1.clone()),
                namespace: Some(place.0.clone()),
                labels: Some(marks.labels.clone()),
                annotations: (!marks.annotations.is_empty()).then(|| marks.annotations.clone()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            };
            let outcome = async {
                let secret = match secret {
                    Some(secret) => secret,
                    None => read(&remote, &source).await?,
                };
                let content = Content::of(&secret);
                let there = copy.as_ref().map(|copy| &copy.there);
                let (done, written) = put(&local, Secret { metadata, ..secret }, there).await?;
                Ok((done, Copy::of(&written, &marks), content))
            };
            let outcome = outcome.await;
            Attempt { source: source.name, place, claim, outcome }
        };
        Some(attempt.boxed())
    }

    fn finish(&mut self, attempt: Attempt) {
        let Attempt { source: name, place, claim, outcome } = attempt;
        let metrics = &self.sync.metrics.secrets;
        match outcome {
            Ok((done, copy, content)) => {
                metrics.written(done.as_str());
                info!(namespace = place.0, name = place.1, "connection Secret {}", done.as_str());
                self.conflicts.clear(&claim.uid, &place);
                self.conflicts.hold(&place, copy.claim());
                if let Some(copies) = &mut self.copies {
                    copies.insert(place, copy);
                }
                match self.sources.get(&name) {
                    Some(source) if source.content == content => metrics.lag.observe(source.age().as_secs_f64()),
                    // It changed again; the watch tells what it is now.
                    _ => self.queue.add_after(name.clone(), SECOND_LOOK),
                }
                self.queue.forget(&name);
            }
            Err(Trouble::InTheWay) => {
                // Ours may have been written a moment ago, by whoever wrote before.
                let is_ours = self.copies.as_ref().is_some_and(|copies| copies.contains_key(&place));
                let again = match is_ours || self.conflicts.meet(&claim, &place) {
                    true => SECOND_LOOK,
                    false => NEXT_LOOK,
                };
                self.queue.add_after(name.clone(), crate::jitter::around(again));
            }
            Err(Trouble::Changed) => self.queue.add_after(name.clone(), SECOND_LOOK),
            Err(Trouble::SourceGone) => {}
            Err(Trouble::Source(error)) => {
                debug!(error = %Chain(&error), name, "the control plane does not give a connection Secret");
                self.queue.retry(name.clone());
            }
            Err(Trouble::Failed(error)) => {
                metrics.written("failed");
                let is_new = self.queue.retry(name.clone()) == 1;
                self.failed(&error, &claim, &place, is_new);
            }
        }
        self.queue.done(&name);
    }

    /// Says what the app cluster refused: once in the log, and to the claim where its team can do something.
    fn failed(&mut self, error: &kube::Error, claim: &Arc<Claim>, place: &Place, is_new: bool) {
        match code(error) {
            Some((422 | 400 | 413, _)) => self.conflicts.refused(claim, place, &Chain(error).to_string()),
            // The namespace is on its way out, or is not there.
            Some((404, _)) => {}
            Some((403, _)) if error.to_string().contains("being terminated") => {}
            _ if is_new => {
                warn!(error = %Chain(error), namespace = place.0, name = place.1, "a connection Secret cannot be written");
            }
            _ => {}
        }
    }
}

/// Whether a Secret of this type is itself a right in the app cluster: whoever has the control plane must not give that out.
fn is_credential(kind: &str) -> bool {
    kind == "kubernetes.io/service-account-token" || kind.starts_with("bootstrap.kubernetes.io/")
}

fn place(secret: &Secret) -> Place {
    (secret.namespace().unwrap_or_default(), secret.name_any())
}

/// A Secret of the control plane, data and all.
async fn read(remote: &Api<Secret>, source: &Source) -> Result<Secret, Trouble> {
    match remote.get_opt(&source.name).await.map_err(Trouble::Source)? {
        Some(secret) if secret.metadata.uid.as_ref() == Some(&source.uid) => Ok(secret),
        _ => Err(Trouble::SourceGone),
    }
}
