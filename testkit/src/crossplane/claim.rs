//! What Crossplane does to a claim, in the order in which it was recorded.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch};
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::events::{Controller, Level};
use super::offer::Offer;
use super::stage::{
    OWN_NAMESPACE, PAUSED, POLL, Stage, add_finalizer, apply, controller_of, generated_name, if_found, is_going,
    is_paused, is_true, now, parameters, propagated, remove_finalizer, set_condition, write_status,
};

const FINALIZER: &str = "finalizer.apiextensions.crossplane.io";
/// The manager of what a claim says about its composite.
const MANAGER: &str = "apiextensions.crossplane.io/claim";
/// The type of every connection Secret, the claim's and the composite's.
pub(super) const SECRET_TYPE: &str = "connection.crossplane.io/v1alpha1";

/// One claim in the hands of its controller.
struct Claim<'a> {
    stage: &'a Stage,
    offer: &'a Offer,
    api: Api<DynamicObject>,
    composites: Api<DynamicObject>,
    object: DynamicObject,
    // The status as the cluster holds it.
    stored_status: Value,
    // The composite's name, if the claim was bound when this reconcile began.
    bound_to: Option<String>,
}

/// Brings one claim a step further.
pub(super) async fn reconcile(
    stage: &Stage,
    offer: &Offer,
    resource: &ApiResource,
    namespace: &str,
    name: &str,
) -> Result<Action> {
    let api = stage.api(resource, Some(namespace));
    let Some(object) = api.get_opt(name).await? else { return Ok(Action::await_change()) };
    let stored_status = object.data["status"].clone();
    let bound_to = object.data["spec"]["resourceRef"]["name"].as_str().map(str::to_owned);
    let composites = stage.api(&offer.composite, None);
    let mut claim = Claim { stage, offer, api, composites, object, stored_status, bound_to };
    if is_paused(&claim.object) {
        set_condition(&mut claim.object, "Synced", false, "ReconcilePaused", None);
        claim.write_status().await?;
        claim.event(Level::Normal, "ReconciliationPaused", PAUSED).await?;
        return Ok(Action::await_change());
    }
    if let Some(composite) = claim.composite().await?
        && let Some(other) = claim.other_claim_of(&composite)
    {
        let message = format!("cannot bind composite resource: it is bound to the claim {other}");
        return claim.fail("BindCompositeResource", &message).await;
    }
    match is_going(&claim.object) {
        true => claim.delete().await,
        false => claim.sync().await,
    }
}

impl Claim<'_> {
    async fn delete(&mut self) -> Result<Action> {
        let foreground = self.object.data["spec"]["compositeDeletePolicy"] == "Foreground";
        if let Some(composite) = self.composite().await? {
            if !is_going(&composite) {
                let parameters = if foreground { DeleteParams::foreground() } else { DeleteParams::background() };
                if_found(self.composites.delete(&composite.name_any(), &parameters).await)?;
            }
            if foreground {
                set_condition(&mut self.object, "Synced", true, "ReconcileSuccess", None);
                set_condition(&mut self.object, "Ready", false, "Deleting", None);
                self.write_status().await?;
                // Its end is watched for.
                return Ok(Action::requeue(POLL));
            }
        }
        if self.object.finalizers().iter().any(|there| there == FINALIZER) {
            self.event(Level::Normal, "DeleteCompositeResource", "Successfully deleted composite resource").await?;
            remove_finalizer(&self.api, &mut self.object, FINALIZER).await?;
        }
        Ok(Action::await_change())
    }

    async fn sync(&mut self) -> Result<Action> {
        add_finalizer(&self.api, &mut self.object, FINALIZER).await?;
        if self.bound_to.is_none() {
            let name = generated_name(&self.object.name_any());
            self.object.data["spec"]["resourceRef"] = json!({
                "apiVersion": self.offer.composite.api_version,
                "kind": self.offer.composite.kind,
                "name": name,
            });
            self.replace().await?;
        }
        let is_new = self.composite().await?.is_none();
        let composite = self.apply_composite(is_new).await?;
        self.take_over(&composite).await?;

        if !self.object.data["status"]["conditions"].is_array() {
            self.event(Level::Normal, "BindCompositeResource", "Successfully bound composite resource").await?;
        }
        set_condition(&mut self.object, "Synced", true, "ReconcileSuccess", None);
        if !is_true(&composite, "Ready") {
            let message = "Claim is waiting for composite resource to become Ready";
            set_condition(&mut self.object, "Ready", false, "Waiting", Some(message));
            self.write_status().await?;
            self.event(Level::Normal, "BindCompositeResource", "Composite resource is not yet ready").await?;
            return Ok(Action::requeue(POLL));
        }
        match self.propagate_secret(&composite).await? {
            Propagated::Unchanged => {}
            Propagated::Changed => {
                let note = "Successfully propagated connection details from composite resource";
                self.event(Level::Normal, "PropagateConnectionSecret", note).await?;
                self.object.data["status"]["connectionDetails"] = json!({ "lastPublishedTime": now() });
            }
            Propagated::Refused(message) => return self.fail("PropagateConnectionSecret", &message).await,
        }
        set_condition(&mut self.object, "Ready", true, "Available", None);
        self.write_status().await?;
        Ok(Action::requeue(POLL))
    }

    /// The composite that the claim names, if it is there.
    async fn composite(&self) -> Result<Option<DynamicObject>> {
        match self.object.data["spec"]["resourceRef"]["name"].as_str() {
            Some(name) => Ok(self.composites.get_opt(name).await?),
            None => Ok(None),
        }
    }

    /// `namespace/name` of the claim that a composite is bound to, if it is not this one.
    fn other_claim_of(&self, composite: &DynamicObject) -> Option<String> {
        let bound = &composite.data["spec"]["claimRef"];
        let (namespace, name) = (bound["namespace"].as_str()?, bound["name"].as_str()?);
        let is_this = Some(namespace) == self.object.namespace().as_deref() && name == self.object.name_any();
        (!is_this).then(|| format!("{namespace}/{name}"))
    }

    /// Server-side apply of the composite: what the claim says, and whose it is.
    async fn apply_composite(&self, is_new: bool) -> Result<DynamicObject> {
        let types = self.object.types.clone().context("a claim without a kind")?;
        let namespace = self.object.namespace().context("a claim without a namespace")?;
        let mut spec = self.object.data["spec"].as_object().cloned().unwrap_or_default();
        for own in ["resourceRef", "writeConnectionSecretToRef", "compositeDeletePolicy", "publishConnectionDetailsTo"]
        {
            spec.remove(own);
        }
        // A revision is the composite's own choice, unless the user makes it.
        if spec.get("compositionUpdatePolicy").is_none_or(|policy| policy != "Manual") {
            spec.remove("compositionRevisionRef");
        }
        let claim_ref = json!({
            "apiVersion": types.api_version,
            "kind": types.kind,
            "namespace": namespace,
            "name": self.object.name_any(),
        });
        spec.insert("claimRef".to_owned(), claim_ref);
        let mut labels = propagated(self.object.labels());
        labels.insert("crossplane.io/claim-name".to_owned(), self.object.name_any());
        labels.insert("crossplane.io/claim-namespace".to_owned(), namespace);
        let name = self.object.data["spec"]["resourceRef"]["name"].as_str().context("a claim that is not bound")?;
        let mut metadata = json!({ "name": name, "labels": labels });
        let annotations = propagated(self.object.annotations());
        if !annotations.is_empty() {
            metadata["annotations"] = json!(annotations);
        }
        // Only the first apply says so; the second takes it away again.
        if is_new {
            metadata["generateName"] = json!(format!("{}-", self.object.name_any()));
        }
        let composite = json!({
            "apiVersion": self.offer.composite.api_version,
            "kind": self.offer.composite.kind,
            "metadata": metadata,
            "spec": spec,
        });
        Ok(self.composites.patch(name, &apply(MANAGER), &Patch::Apply(composite)).await?)
    }

    /// What the composite chose, and the status that its composition wrote.
    async fn take_over(&mut self, composite: &DynamicObject) -> Result<()> {
        let mut changed = false;
        for field in ["compositionRef", "compositionRevisionRef"] {
            let chosen = &composite.data["spec"][field];
            if !chosen.is_null() && self.object.data["spec"][field] != *chosen {
                self.object.data["spec"][field] = chosen.clone();
                changed = true;
            }
        }
        if changed {
            self.replace().await?;
        }
        for (field, value) in composite.data["status"].as_object().into_iter().flatten() {
            if !["conditions", "connectionDetails", "claimConditionTypes"].contains(&field.as_str()) {
                self.object.data["status"][field] = value.clone();
            }
        }
        Ok(())
    }

    /// Copies the composite's connection Secret to where the claim wants it.
    async fn propagate_secret(&self, composite: &DynamicObject) -> Result<Propagated> {
        let Some(name) = self.object.data["spec"]["writeConnectionSecretToRef"]["name"].as_str() else {
            return Ok(Propagated::Unchanged);
        };
        let source = Api::<Secret>::namespaced(self.stage.client.clone(), OWN_NAMESPACE);
        let uid = composite.uid().context("a composite without a uid")?;
        let data = source.get(&uid).await?.data.unwrap_or_default();
        let namespace = self.object.namespace().context("a claim without a namespace")?;
        let secrets = Api::<Secret>::namespaced(self.stage.client.clone(), &namespace);
        match secrets.get_opt(name).await? {
            None => {
                secrets.create(&parameters(), &connection_secret(name, &namespace, &self.object, data)?).await?;
            }
            Some(there)
                if !there.owner_references().iter().any(|owner| Some(&owner.uid) == self.object.uid().as_ref()) =>
            {
                return Ok(Propagated::Refused(format!(
                    "cannot propagate connection details: cannot establish control of object: {name} is not controlled by \
                     {} {} (UID {})",
                    self.offer.claim.as_ref().map_or("", |claim| claim.kind.as_str()),
                    self.object.name_any(),
                    self.object.uid().unwrap_or_default(),
                )));
            }
            Some(there) if there.data.as_ref() == Some(&data) => return Ok(Propagated::Unchanged),
            Some(mut there) => {
                there.data = Some(data);
                secrets.replace(name, &parameters(), &there).await?;
            }
        }
        Ok(Propagated::Changed)
    }

    /// Something that only its user can mend.
    async fn fail(&mut self, reason: &str, message: &str) -> Result<Action> {
        set_condition(&mut self.object, "Synced", false, "ReconcileError", Some(message));
        self.write_status().await?;
        self.event(Level::Warning, reason, message).await?;
        Ok(Action::requeue(Duration::from_secs(2)))
    }

    async fn replace(&mut self) -> Result<()> {
        self.object = self.api.replace(&self.object.name_any(), &parameters(), &self.object).await?;
        Ok(())
    }

    async fn write_status(&mut self) -> Result<()> {
        write_status(&self.api, &mut self.object, &self.stored_status).await?;
        self.stored_status = self.object.data["status"].clone();
        Ok(())
    }

    async fn event(&self, level: Level, reason: &str, note: &str) -> Result<()> {
        let controller = Controller::Claim(&self.offer.xrd, self.bound_to.as_deref());
        self.stage.event(controller, &self.object, level, reason, note).await
    }
}

enum Propagated {
    Unchanged,
    Changed,
    Refused(String),
}

/// A connection Secret: no labels, no annotations, controlled by whose connection it is.
pub(super) fn connection_secret(
    name: &str,
    namespace: &str,
    owner: &DynamicObject,
    data: std::collections::BTreeMap<String, ByteString>,
) -> Result<Secret> {
    let mut secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": namespace, "ownerReferences": [controller_of(owner)] },
        "type": SECRET_TYPE,
    }))?;
    secret.data = (!data.is_empty()).then_some(data);
    Ok(secret)
}
