//! One Secret: what there is to do about it, and what became of that.

use std::sync::Arc;

use connector_core::origin::Form;
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, ObjectMeta};
use tracing::{debug, info, warn};

use super::content::{Copy, Source};
use super::{NEXT_LOOK, Place, SECOND_LOOK, Secrets};
use crate::chain::Chain;
use crate::claims::Claim;
use crate::sync::copy::{Content, Done, Trouble, code, put};

/// The type of the Secrets that Crossplane writes for claims.
const CONNECTION_SECRET: &str = "connection.crossplane.io/v1alpha1";

/// What became of one write.
pub(super) struct Attempt {
    source: String,
    place: Place,
    claim: Arc<Claim>,
    outcome: Result<(Done, Copy, Content), Trouble>,
}

impl Secrets {
    /// The claim that a Secret of the control plane was written for, unless it is none, or on its way out.
    pub(super) fn claim_of(&self, source: &Source) -> Option<Arc<Claim>> {
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

    pub(super) fn forget_place(&mut self, name: &str, place: &Place) {
        if self.source_of.get(place).is_some_and(|of| of == name) {
            self.source_of.remove(place);
        }
    }

    /// What there is to write of a Secret of the control plane; `None` where all is right, or none of our business.
    pub(super) fn work(&mut self, name: &str) -> Option<BoxFuture<'static, Attempt>> {
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

    pub(super) fn finish(&mut self, attempt: Attempt) {
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

/// A Secret of the control plane, data and all.
async fn read(remote: &Api<Secret>, source: &Source) -> Result<Secret, Trouble> {
    match remote.get_opt(&source.name).await.map_err(Trouble::Source)? {
        Some(secret) if secret.metadata.uid.as_ref() == Some(&source.uid) => Ok(secret),
        _ => Err(Trouble::SourceGone),
    }
}
