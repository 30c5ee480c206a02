//! Input secrets: the Secrets of the app cluster that claims consume have copies in the claim namespace.
//!
//! Which ones is written on the claims, by the corridor, in annotations that say what the name of each copy is the hash of. The
//! control plane could write there too, so they are believed only within the configuration: of kinds that are configured, and of
//! the claim's own namespace or one that is allowed. A copy goes with its last claim, or with the Secret itself.

mod users;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use connector_core::origin::{ANNOTATION_NAME, Hashed, InputSecret, name_label};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, ObjectMeta};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

pub(crate) use self::users::Policy;
use self::users::Users;
use super::Syncer;
use super::copy::{Content, There, Trouble, code, delete, put};
use super::events::Recorder;
use super::queue::{Queue, until};
use crate::chain::Chain;

/// How many copies are written at a time.
const PARALLEL: usize = 8;
/// How soon it is looked again at what changed while it was written.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a copy is kept at least after its last claim was seen to go, or while it is not known what claims there are.
const LINGER: Duration = Duration::from_secs(10);

/// The reason of the events.
const FAILED: &str = "InputSecretNotCopied";

/// Never returns.
pub(super) async fn run(sync: &Syncer) {
    sync.with_each_kubeconfig(|| async { Inputs::new(sync.clone()).run().await }).await;
}

/// One look at both sides, kept up to date. Keys are names of copies.
struct Inputs {
    sync: Syncer,
    remote: Api<Secret>,
    recorder: Arc<Recorder>,
    users: Users,
    /// The copies; `None` until all were read once.
    copies: Option<HashMap<String, There>>,
    queue: Queue<String>,
    telling: JoinSet<()>,
    /// What was complained of, so that it is said once.
    complained: BTreeSet<&'static str>,
}

/// What became of one copy.
struct Attempt {
    name: String,
    /// The copy as it is now.
    outcome: Result<Option<There>, Trouble>,
}

impl Inputs {
    fn new(sync: Syncer) -> Self {
        Self {
            remote: Api::namespaced(sync.upstream.client(), &sync.scheme.claim_namespace),
            recorder: sync.recorder(),
            users: Users::new(sync.scheme.clone(), sync.inputs.clone()),
            sync,
            copies: None,
            queue: Queue::default(),
            telling: JoinSet::new(),
            complained: BTreeSet::new(),
        }
    }

    async fn run(&mut self) {
        let selected = watcher::Config::default().labels(&self.sync.scheme.label_selector(None));
        let mut copies = std::pin::pin!(crate::watch::with_backoff(watcher(self.remote.clone(), selected)));
        // Their metadata only: the data is read of those that are used.
        let secrets = Api::<PartialObjectMeta<Secret>>::all(self.sync.app_cluster.clone());
        let secrets = watcher(secrets, watcher::Config::default());
        let mut secrets = std::pin::pin!(crate::watch::with_backoff(secrets));
        let mut claims = self.sync.claims.subscribe();
        for claim in self.sync.claims.all() {
            self.users.observe(&claim.uid, Some(&claim));
        }
        let mut listing = HashMap::new();
        let mut writes: FuturesUnordered<BoxFuture<'static, Attempt>> = FuturesUnordered::new();
        loop {
            while self.copies.is_some()
                && writes.len() < PARALLEL
                && let Some(name) = self.queue.take()
            {
                match self.work(&name) {
                    Some(work) => writes.push(work),
                    None => self.queue.done(&name),
                }
            }
            let due = self.queue.next_due();
            tokio::select! {
                Some(event) = copies.next() => match event {
                    Ok(event) => self.observe_copy(event, &mut listing),
                    Err(error) => self.complain("control plane", "get, list, watch, create, patch and delete", &error),
                },
                Some(event) = secrets.next() => match event {
                    Ok(event) => self.observe_secret(event),
                    Err(error) => self.complain("app cluster", "get, list and watch", &error),
                },
                Some(claim) = claims.recv() => {
                    let now = self.sync.claims.get(&claim.uid);
                    let changed = self.users.observe(&claim.uid, now.as_deref());
                    changed.into_iter().for_each(|name| self.queue.add(name));
                }
                Some(attempt) = writes.next() => self.finish(attempt),
                () = until(due) => {}
            }
            while self.telling.try_join_next().is_some() {}
        }
    }

    fn complain(&mut self, side: &'static str, rights: &str, error: &watcher::Error) {
        let refused = crate::watch::code(error).is_some_and(|code| code == 401 || code == 403);
        if refused && self.complained.insert(side) {
            warn!(error = %Chain(error), "input secrets are not copied: grant {rights} on secrets of the {side}");
        } else {
            debug!(error = %Chain(error), side, "the watch of input secrets failed");
        }
    }

    fn observe_copy(&mut self, event: watcher::Event<Secret>, listing: &mut HashMap<String, There>) {
        let scheme = self.sync.scheme.clone();
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(secret) if is_copy(&scheme, &secret) => {
                listing.insert(secret.name_any(), There::of(&secret));
            }
            watcher::Event::InitDone => {
                let copies = std::mem::take(listing);
                let all = copies.keys().chain(self.users.names());
                all.for_each(|name| self.queue.add(name.clone()));
                self.copies = Some(copies);
            }
            watcher::Event::Apply(secret) if is_copy(&scheme, &secret) => {
                self.see(&secret.name_any(), Some(There::of(&secret)));
            }
            watcher::Event::Delete(secret) => self.see(&secret.name_any(), None),
            watcher::Event::InitApply(_) | watcher::Event::Apply(_) => {}
        }
    }

    fn see(&mut self, name: &str, copy: Option<There>) {
        let Some(copies) = &mut self.copies else { return };
        let before = match copy {
            Some(copy) => copies.insert(name.to_owned(), copy),
            None => copies.remove(name),
        };
        if before.map(|before| before.resource_version) != copies.get(name).map(|now| now.resource_version.clone()) {
            self.queue.add(name.to_owned());
        }
    }

    fn observe_secret(&mut self, event: watcher::Event<PartialObjectMeta<Secret>>) {
        match event {
            watcher::Event::InitApply(secret) | watcher::Event::Apply(secret) | watcher::Event::Delete(secret) => {
                let used = InputSecret { namespace: secret.namespace().unwrap_or_default(), name: secret.name_any() };
                let name = self.sync.scheme.input_name(&used.namespace, &used.name);
                if self.users.of(&name).is_some_and(|of| *of == used) {
                    self.queue.add(name);
                }
            }
            watcher::Event::Init => {}
            // One that went while nobody watched.
            watcher::Event::InitDone => self.users.names().for_each(|name| self.queue.add(name.clone())),
        }
    }

    /// What there is to do about a copy; `None` where there is none, and nobody wants one.
    fn work(&mut self, name: &str) -> Option<BoxFuture<'static, Attempt>> {
        let copy = self.copies.as_ref()?.get(name).cloned();
        let (remote, name) = (self.remote.clone(), name.to_owned());
        let Some(used) = self.users.of(&name).cloned() else {
            let copy = copy?;
            // What claims there are must be known for certain.
            if !self.sync.claims.are_complete() || !self.users.is_long_unused(&name, LINGER) {
                self.queue.add_after(name, LINGER);
                return None;
            }
            let work = async move {
                let outcome = delete(&remote, &name, &copy).await.map(|()| None);
                Attempt { name, outcome }
            };
            return Some(work.boxed());
        };
        let local = Api::<Secret>::namespaced(self.sync.app_cluster.clone(), &used.namespace);
        let scheme = self.sync.scheme.clone();
        let work = async move {
            let outcome = async {
                let Some(secret) = local.get_opt(&used.name).await.map_err(Trouble::Source)? else {
                    return match &copy {
                        Some(copy) => delete(&remote, &name, copy).await.map(|()| None),
                        None => Ok(None),
                    };
                };
                // What cannot be changed in the control plane could not follow.
                let wanted = Secret { metadata: metadata(&scheme, &name, &used), immutable: None, ..secret };
                if let Some(copy) = copy.as_ref().filter(|copy| copy.content == Content::of(&wanted)) {
                    return Ok(Some(copy.clone()));
                }
                let (_, written) = put(&remote, wanted, copy.as_ref()).await?;
                Ok(Some(There::of(&written)))
            };
            let outcome = outcome.await;
            Attempt { name, outcome }
        };
        Some(work.boxed())
    }

    fn finish(&mut self, Attempt { name, outcome }: Attempt) {
        match outcome {
            Ok(now) => {
                self.note(&name, now);
                self.queue.forget(&name);
            }
            Err(Trouble::Changed) => self.queue.add_after(name.clone(), AGAIN),
            Err(Trouble::InTheWay) => {
                // Ours may have been written a moment ago, by whoever wrote before.
                if self.queue.retry(name.clone()) == 2 {
                    let text = "the control plane has a Secret of the name of its copy that is not the connector's";
                    self.tell(&name, text);
                }
            }
            Err(Trouble::SourceGone) => {}
            Err(Trouble::Source(error) | Trouble::Failed(error)) => {
                if self.queue.retry(name.clone()) == 1 {
                    warn!(error = %Chain(&error), name, "an input secret cannot be copied");
                    if code(&error).is_some() {
                        self.tell(&name, &Chain(&error).to_string());
                    }
                }
            }
        }
        self.queue.done(&name);
    }

    /// Takes note of a copy as it was left.
    fn note(&mut self, name: &str, now: Option<There>) {
        let Some(copies) = &mut self.copies else { return };
        let version = now.as_ref().map(|now| now.resource_version.clone());
        let before = match now {
            Some(now) => copies.insert(name.to_owned(), now),
            None => copies.remove(name),
        };
        match (version, before) {
            (Some(version), before) if before.as_ref().is_none_or(|before| before.resource_version != version) => {
                info!(name, "input secret copied to the control plane");
            }
            (None, Some(_)) => info!(name, "copy of an input secret removed from the control plane"),
            _ => {}
        }
    }

    /// Tells the claims that use a Secret why it is not there.
    fn tell(&mut self, name: &str, why: &str) {
        let Some(used) = self.users.of(name) else { return };
        let message = format!("Secret {:?} of namespace {:?} is not copied: {why}", used.name, used.namespace);
        for claim in self.users.who(name).filter_map(|uid| self.sync.claims.get(uid)) {
            let (recorder, message) = (self.recorder.clone(), message.clone());
            self.telling.spawn(async move { recorder.warn(&claim, FAILED, &message).await });
        }
    }
}

/// What a copy says of itself: the Secret of which it is one.
fn metadata(scheme: &Hashed, name: &str, InputSecret { namespace, name: local }: &InputSecret) -> ObjectMeta {
    let labels = scheme.labels(namespace, local);
    let full_name = (name_label(local) != *local).then(|| [(ANNOTATION_NAME.to_owned(), local.clone())].into());
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.into_owned())).collect()),
        annotations: full_name,
        ..ObjectMeta::default()
    }
}

/// Whether a Secret of the control plane is a copy that was made here: its labels say of what, and its name is the hash of that.
fn is_copy(scheme: &Hashed, secret: &Secret) -> bool {
    let (labels, annotations) = (secret.labels(), secret.annotations());
    scheme
        .origin(|key| labels.get(key), |key| annotations.get(key))
        .is_some_and(|origin| scheme.input_name(origin.namespace, origin.name) == secret.name_any())
}
