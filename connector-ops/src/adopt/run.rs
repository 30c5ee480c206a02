//! Does what a plan says, one claim after the other. Each step looks at what is there first, so that it can be done again.

use std::time::{Duration, Instant};

use connector_core::origin::{ClusterId, Hashed};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::kinds::Resource;
use super::object::{FINALIZER, PAUSED, adopted, binding, claim_of, composite_of, created, is_paused, returned};
use super::plan::{Action, Plan, Step};
use super::record::{Paused, Place, Record, State};
use super::{AdoptError, StepError, composed};
use crate::ask::ask;
use crate::labels::{CONNECTOR, NAME, PLUGIN};

/// How long Crossplane may take to say that it saw a pause. A busy one may have thousands of objects in its queue.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a composite is bound again that somebody else wrote meanwhile.
const BIND_AGAIN: usize = 5;

/// Does what the plan says, and tells of each claim that is done.
///
/// # Errors
/// [`AdoptError::Stopped`] at the first step that fails; the same command goes on from there. Nothing is done where the plan
/// has refusals: see [`Plan::refused`].
///
/// # Cancel safety
/// May be dropped at any time; the same command goes on from there.
pub async fn carry_out(client: &Client, plan: &Plan, mut done: impl FnMut(&Step)) -> Result<(), AdoptError> {
    if !plan.refused.is_empty() {
        return Ok(());
    }
    if plan.creates_namespace && !plan.steps.is_empty() {
        create_namespace(client, &plan.scheme.claim_namespace).await?;
    }
    for step in &plan.steps {
        let mut mover = Mover { client, scheme: &plan.scheme, record: step.record.clone(), doing: "looking at it" };
        let moved = match step.action {
            Action::Adopt | Action::Continue => mover.adopt().await,
            Action::Unpause => mover.finish().await,
            Action::GiveBack => mover.give_back().await,
        };
        let kind = step.kind().to_owned();
        moved.map_err(|source| match source {
            StepError::Gone(place) => AdoptError::Gone { kind, place },
            source => AdoptError::Stopped {
                kind,
                from: match step.action {
                    Action::GiveBack => step.to().clone(),
                    _ => step.from().clone(),
                },
                doing: mover.doing,
                source,
            },
        })?;
        done(step);
    }
    Ok(())
}

async fn create_namespace(client: &Client, name: &str) -> Result<(), AdoptError> {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    namespace.labels_mut().insert(NAME.to_owned(), CONNECTOR.to_owned());
    let parameters = PostParams { field_manager: Some(PLUGIN.to_owned()), ..PostParams::default() };
    match ask(Api::<Namespace>::all(client.clone()).create(&parameters, &namespace)).await {
        Err(source) if source.code() != Some(409) => {
            Err(AdoptError::Unread { what: format!("the namespace {name}, which is to be created,"), source })
        }
        _ => Ok(()),
    }
}

/// One claim on its way.
struct Mover<'a> {
    client: &'a Client,
    scheme: &'a Hashed,
    record: Record,
    // What fails if something fails.
    doing: &'static str,
}

impl Mover<'_> {
    fn cluster(&self) -> &ClusterId {
        &self.scheme.cluster
    }

    fn claims(&self, place: &Place) -> Api<DynamicObject> {
        self.record.kind.claim.api(self.client, Some(&place.namespace))
    }

    fn composites(&self) -> Api<DynamicObject> {
        self.record.kind.composite.api(self.client, None)
    }

    async fn get(&self, place: &Place) -> Result<Option<DynamicObject>, StepError> {
        Ok(ask(self.claims(place).get_opt(&place.name)).await?)
    }

    async fn adopt(&mut self) -> Result<(), StepError> {
        let (from, to) = (self.record.from.clone(), self.record.to.clone());
        let old = match self.record.from_documents {
            true => None,
            false => self.original().await?,
        };
        if old.is_none() && !self.record.from_documents && self.get(&to).await?.is_none() {
            return self.gone(&from).await;
        }
        self.doing = "writing down what is about to happen";
        self.record.state = State::Adopting;
        self.record.write(self.client, self.cluster(), None).await?;

        let old = match old {
            Some(old) if self.is_let_go(&old, &to).await? => Some(old),
            Some(old) => Some(self.pause(&from, old).await?),
            None => None,
        };
        let source = old.clone().unwrap_or_else(|| self.record.claim.clone());
        let new = match self.get(&to).await? {
            // A run that ended before this did.
            Some(new) if is_bare(&new) && (old.is_some() || self.record.from_documents) => {
                self.keep_history(new, &source).await?
            }
            Some(new) => new,
            None => self.make(&adopted(&source, &self.record, self.scheme), &source).await?,
        };
        self.bind(&new, &to, &from).await?;
        self.remove(&from, old, &new).await?;
        self.finish().await
    }

    /// Unpauses what was not paused before, and closes the record.
    async fn finish(&mut self) -> Result<(), StepError> {
        let to = self.record.to.clone();
        let Some(new) = self.get(&to).await? else {
            return Err(StepError::Gone(to));
        };
        self.unpause(&new).await?;
        self.doing = "closing the record";
        self.record.state = State::Adopted;
        self.record.write(self.client, self.cluster(), Some(&new)).await
    }

    async fn give_back(&mut self) -> Result<(), StepError> {
        let (from, to) = (self.record.from.clone(), self.record.to.clone());
        let (adopted, original) = (self.get(&to).await?, self.get(&from).await?);
        match (&adopted, &original) {
            (None, None) => return self.gone(&to).await,
            // The claim was deleted since, and what is there is somebody else's.
            (None, Some(_)) if self.record.state == State::Adopted => return self.gone(&to).await,
            // What this makes is paused, and bound to the same composite.
            (Some(adopted), Some(original))
                if !is_paused(original) || composite_of(original) != composite_of(adopted) =>
            {
                return Err(StepError::unexpected(format!("{from} is another claim by now: delete one of them")));
            }
            _ => {}
        }
        self.doing = "writing down what is about to happen";
        self.record.state = State::Returning;
        self.record.write(self.client, self.cluster(), None).await?;

        let adopted = match adopted {
            Some(adopted) if self.is_let_go(&adopted, &from).await? => Some(adopted),
            Some(adopted) => Some(self.pause(&to, adopted).await?),
            None => None,
        };
        let original = match original {
            Some(original) => original,
            None => {
                let source = adopted.clone().unwrap_or_else(|| self.record.claim.clone());
                self.make(&returned(&source, &self.record), &source).await?
            }
        };
        let original = match &adopted {
            Some(adopted) if is_bare(&original) => self.keep_history(original, adopted).await?,
            _ => original,
        };
        self.bind(&original, &from, &to).await?;
        self.remove(&to, adopted, &original).await?;
        self.unpause(&original).await?;
        self.doing = "taking the record away";
        self.record.remove(self.client).await
    }

    /// The claim that was planned with. One that has its name by now, and another UID, is somebody else's.
    async fn original(&self) -> Result<Option<DynamicObject>, StepError> {
        let there = self.get(&self.record.from).await?;
        Ok(there.filter(|there| there.metadata.uid == self.record.claim.metadata.uid))
    }

    /// There is nothing to move any more. Whoever deleted the claim wanted that, and it is not made anew out of the record.
    async fn gone(&mut self, place: &Place) -> Result<(), StepError> {
        if let Some(name) = self.record.composite.clone().filter(|_| !self.record.paused.composite) {
            let bound = ask(self.composites().get_opt(&name)).await?.as_ref().and_then(claim_of);
            if bound.is_some_and(|bound| bound == self.record.from || bound == self.record.to) {
                self.unpause_composite(&name).await?;
            }
        }
        self.record.remove(self.client).await?;
        Err(StepError::Gone(place.clone()))
    }

    /// Whether a claim is being deleted, and its composite is bound to another one already: that it goes is what is wanted.
    async fn is_let_go(&self, claim: &DynamicObject, other: &Place) -> Result<bool, StepError> {
        let Some(name) = composite_of(claim).filter(|_| claim.metadata.deletion_timestamp.is_some()) else {
            return Ok(false);
        };
        let composite = ask(self.composites().get_opt(name)).await?;
        Ok(composite.as_ref().and_then(claim_of).as_ref() == Some(other))
    }

    /// Takes Crossplane's hands off a claim and its composite, and answers the claim as it is then.
    async fn pause(&mut self, place: &Place, claim: DynamicObject) -> Result<DynamicObject, StepError> {
        self.doing = "pausing it";
        if claim.metadata.deletion_timestamp.is_some() {
            let Resource { plural, group, .. } = &self.record.kind.claim;
            let Place { namespace, name } = place;
            return Err(StepError::unexpected(format!(
                "{place} is being deleted: let that end; if it is paused, with 'kubectl annotate {plural}.{group} {name} -n {namespace} \
                 {PAUSED}-' in the control plane"
            )));
        }
        let patch = json!({ "metadata": { "uid": claim.uid(), "annotations": { PAUSED: "true" } } });
        ask(self.claims(place).patch(&place.name, &manager(), &Patch::Merge(&patch))).await?;
        let end = Instant::now() + PATIENCE;
        loop {
            let Some(claim) = self.get(place).await? else {
                return Err(StepError::Gone(place.clone()));
            };
            if has_seen_pause(&claim) {
                if let Some(name) = composite_of(&claim) {
                    self.pause_composite(name).await?;
                }
                return Ok(claim);
            }
            if Instant::now() > end {
                return Err(StepError::unexpected(format!(
                    "Crossplane did not say within {} s that it saw the pause (condition Synced with reason ReconcilePaused): is it running?",
                    PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn pause_composite(&mut self, name: &str) -> Result<(), StepError> {
        self.doing = "pausing the composite";
        let patch = json!({ "metadata": { "annotations": { PAUSED: "true" } } });
        match ask(self.composites().patch(name, &manager(), &Patch::Merge(&patch))).await {
            // Crossplane writes the name into the claim before it creates the composite.
            Err(error) if error.code() == Some(404) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// Creates the claim under its new name, with the status and the field managers of `source`.
    async fn make(&mut self, claim: &DynamicObject, source: &DynamicObject) -> Result<DynamicObject, StepError> {
        self.doing = "creating it under its new name";
        let place = Place::new(claim.namespace().unwrap_or_default(), claim.name_any());
        let api = self.claims(&place);
        let parameters = PostParams { field_manager: Some(PLUGIN.to_owned()), ..PostParams::default() };
        let new = ask(api.create(&parameters, claim)).await?;
        self.keep_history(new, source).await
    }

    /// Gives a claim that was made the field managers and the status of `source`. By patches without a version: Crossplane writes its
    /// status at the same time.
    async fn keep_history(
        &mut self,
        mut new: DynamicObject,
        source: &DynamicObject,
    ) -> Result<DynamicObject, StepError> {
        let place = Place::new(new.namespace().unwrap_or_default(), new.name_any());
        let api = self.claims(&place);
        if let Some(managers) = &source.metadata.managed_fields {
            self.doing = "keeping its field managers";
            let patch = json!({ "metadata": { "uid": new.uid(), "managedFields": managers } });
            new = ask(api.patch(&place.name, &manager(), &Patch::Merge(&patch))).await?;
        }
        if let Some(status) = source.data.get("status").filter(|status| status.is_object()) {
            self.doing = "keeping its status";
            let patch = json!({ "metadata": { "uid": new.uid() }, "status": status });
            new = ask(api.patch_status(&place.name, &manager(), &Patch::Merge(&patch))).await?;
        }
        Ok(new)
    }

    /// Lets the composite name the claim at `to` and no longer the one at `from`. Crossplane may write it at the same time.
    async fn bind(&mut self, claim: &DynamicObject, to: &Place, from: &Place) -> Result<(), StepError> {
        let mut again = BIND_AGAIN;
        loop {
            match self.bind_as_it_is(claim, to, from).await {
                Err(StepError::Unanswered(conflict)) if conflict.code() == Some(409) && again > 0 => again -= 1,
                bound => return bound,
            }
        }
    }

    async fn bind_as_it_is(&mut self, claim: &DynamicObject, to: &Place, from: &Place) -> Result<(), StepError> {
        let Some(name) = composite_of(claim) else { return Ok(()) };
        self.doing = "binding the composite to it";
        let api = self.composites();
        let composite = match (ask(api.get_opt(name)).await?, &self.record.composite_document) {
            (Some(composite), _) => composite,
            (None, Some(document)) => {
                let parameters = PostParams { field_manager: Some(PLUGIN.to_owned()), ..PostParams::default() };
                ask(api.create(&parameters, &created(document, to))).await?
            }
            // Never created; Crossplane does it for whoever names it.
            (None, None) => return Ok(()),
        };
        match claim_of(&composite) {
            Some(bound) if bound == *to => {}
            Some(bound) if bound != *from => {
                return Err(StepError::unexpected(format!("{name} is bound to {bound} by now")));
            }
            _ => {
                let mut patch = binding(&composite, to);
                if composite.data["spec"]["claimRef"].is_null() {
                    let types = claim.types.clone().unwrap_or_default();
                    patch["spec"]["claimRef"]["apiVersion"] = Value::from(types.api_version);
                    patch["spec"]["claimRef"]["kind"] = Value::from(types.kind);
                }
                ask(api.patch(name, &manager(), &Patch::Merge(&patch))).await?;
            }
        }
        if self.record.from_documents {
            self.doing = "making the composite the owner of what it is composed of";
            composed::relink(self.client, &composite).await?;
        }
        Ok(())
    }

    /// Deletes the claim at `place`, whose composite is bound to `other`, without Crossplane.
    async fn remove(
        &mut self,
        place: &Place,
        claim: Option<DynamicObject>,
        other: &DynamicObject,
    ) -> Result<(), StepError> {
        let Some(claim) = claim else { return Ok(()) };
        self.doing = "taking the old claim away";
        // As it is now: a finalizer that somebody put on it meanwhile is not taken off.
        let uid = claim.uid();
        let Some(claim) = self.get(place).await?.filter(|claim| claim.uid() == uid) else { return Ok(()) };
        if let Some(name) = composite_of(&claim)
            && let Some(composite) = ask(self.composites().get_opt(name)).await?
        {
            let new = Place::new(other.namespace().unwrap_or_default(), other.name_any());
            if claim_of(&composite) != Some(new) {
                return Err(StepError::unexpected(format!("{name} is not bound to the new claim")));
            }
        }
        let api = self.claims(place);
        if claim.finalizers().iter().any(|finalizer| finalizer != FINALIZER) {
            return Err(StepError::unexpected(format!("{place} got a finalizer that is not Crossplane's")));
        }
        let patch = json!({ "metadata": {
            "uid": claim.uid(), "resourceVersion": claim.resource_version(), "finalizers": null,
        } });
        ask(api.patch(&place.name, &manager(), &Patch::Merge(&patch))).await?;
        let preconditions = Preconditions { uid: claim.uid(), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match ask(api.delete(&place.name, &parameters)).await {
            Err(error) if error.code() != Some(404) => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn unpause(&mut self, claim: &DynamicObject) -> Result<(), StepError> {
        self.doing = "unpausing it";
        let Paused { claim: keep_claim, composite: keep_composite } = self.record.paused;
        if let Some(name) = composite_of(claim).filter(|_| !keep_composite) {
            self.unpause_composite(name).await?;
        }
        if !keep_claim {
            let place = Place::new(claim.namespace().unwrap_or_default(), claim.name_any());
            ask(self.claims(&place).patch(&place.name, &manager(), &Patch::Merge(&unpaused()))).await?;
        }
        Ok(())
    }

    async fn unpause_composite(&self, name: &str) -> Result<(), StepError> {
        match ask(self.composites().patch(name, &manager(), &Patch::Merge(&unpaused()))).await {
            Err(error) if error.code() != Some(404) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(PLUGIN.to_owned()), ..PatchParams::default() }
}

/// Whether a claim has nothing yet of the history of the one that it was made of.
fn is_bare(claim: &DynamicObject) -> bool {
    claim.managed_fields().iter().all(|entry| entry.manager.as_deref() == Some(PLUGIN))
}

/// What unpauses an object: a merge patch.
fn unpaused() -> Value {
    json!({ "metadata": { "annotations": { PAUSED: null } } })
}

/// Whether Crossplane said that it leaves the claim alone: what it had begun is over then.
fn has_seen_pause(claim: &DynamicObject) -> bool {
    let conditions = claim.data["status"]["conditions"].as_array().into_iter().flatten();
    let mut synced = conditions.filter(|condition| condition["type"] == "Synced");
    synced.any(|condition| condition["status"] == "False" && condition["reason"] == "ReconcilePaused")
}
