//! What Crossplane does to a composite, behind a claim or namespaced by itself, in the order in which it was recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, Patch};
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::claim::connection_secret;
use super::events::{Controller, Level};
use super::offer::Offer;
use super::render::Scope;
use super::stage::{
    OWN_NAMESPACE, PAUSED, POLL, Stage, Wish, add_finalizer, apply, condition, controller_of, digest, if_found,
    is_going, is_paused, now, parameters, remove_finalizer, set_condition, write_status,
};

const FINALIZER: &str = "composite.apiextensions.crossplane.io";
/// The manager of what composing says about a composite.
const MANAGER: &str = "apiextensions.crossplane.io/composite";
/// How often the readiness of a namespaced composite flaps after its creation.
const FLAPS: usize = 5;
/// No composition has this label, so a claim that selects by it waits for ever. Any other selector finds the one there is.
const UNMATCHED: (&str, &str) = ("none", "such");

/// One composite in the hands of its controller.
struct Composite<'a> {
    stage: &'a Stage,
    offer: &'a Offer,
    api: Api<DynamicObject>,
    object: DynamicObject,
    stored_status: Value,
}

/// What there is to compose, by the recorded compositions: a ConfigMap behind a claim, a Secret for a namespaced composite that
/// names one.
struct Composed {
    resource: ApiResource,
    namespace: String,
    name: String,
    /// What the composition calls it.
    called: &'static str,
    content: Value,
}

/// Brings one composite a step further.
pub(super) async fn reconcile(stage: &Stage, offer: &Offer, namespace: Option<&str>, name: &str) -> Result<Action> {
    let api = stage.api(&offer.composite, namespace);
    let Some(object) = api.get_opt(name).await? else { return Ok(Action::await_change()) };
    let stored_status = object.data["status"].clone();
    let mut composite = Composite { stage, offer, api, object, stored_status };
    if is_paused(&composite.object) {
        set_condition(&mut composite.object, "Synced", false, "ReconcilePaused", None);
        composite.write_status().await?;
        composite.event(Level::Normal, "ReconciliationPaused", PAUSED).await?;
        return Ok(Action::await_change());
    }
    match is_going(&composite.object) {
        true => composite.delete().await,
        false => composite.sync().await,
    }
}

impl Composite<'_> {
    async fn delete(&mut self) -> Result<Action> {
        if self.object.finalizers().iter().any(|there| there == FINALIZER) {
            remove_finalizer(&self.api, &mut self.object, FINALIZER).await?;
            if !self.object.finalizers().is_empty() {
                // Somebody else's finalizer, as foreground deletion's, keeps it; so its end shows.
                set_condition(&mut self.object, "Synced", true, "ReconcileSuccess", None);
                set_condition(&mut self.object, "Ready", false, "Deleting", None);
                self.write_status().await?;
            }
        }
        Ok(Action::await_change())
    }

    async fn sync(&mut self) -> Result<Action> {
        add_finalizer(&self.api, &mut self.object, FINALIZER).await?;
        let wish = self.wish();
        if !self.select_composition().await? {
            return Ok(Action::requeue(Duration::from_secs(10)));
        }
        self.select_revision(&wish).await?;
        if let Some(message) = &wish.failing {
            let message = format!(
                "cannot compose resources: pipeline step \"patch-and-transform\" returned a fatal result: {message}"
            );
            return self.fail("ComposeResources", &message).await;
        }
        self.label().await?;
        self.compose(&wish).await
    }

    fn wish(&self) -> Wish {
        let claim = &self.object.data["spec"]["claimRef"];
        match (claim["namespace"].as_str(), claim["name"].as_str()) {
            (Some(namespace), Some(name)) => self.stage.wish(namespace, name),
            _ => self.stage.wish(&self.object.namespace().unwrap_or_default(), &self.object.name_any()),
        }
    }

    /// Where the machinery's fields are: the spec itself, or `spec.crossplane`.
    fn machinery(&mut self) -> &mut Value {
        match self.offer.scope {
            Scope::LegacyCluster => &mut self.object.data["spec"],
            Scope::Cluster | Scope::Namespaced => &mut self.object.data["spec"]["crossplane"],
        }
    }

    async fn select_composition(&mut self) -> Result<bool> {
        let machinery = self.machinery();
        if machinery["compositionRef"]["name"].is_string() {
            return Ok(true);
        }
        if machinery["compositionSelector"]["matchLabels"][UNMATCHED.0] == UNMATCHED.1 {
            self.fail("SelectComposition", "cannot select Composition: no compatible Compositions found").await?;
            return Ok(false);
        }
        let composition = self.offer.composition.clone();
        self.machinery()["compositionRef"] = json!({ "name": composition });
        self.replace().await?;
        let note = format!("Successfully selected composition: {composition}");
        self.event(Level::Normal, "SelectComposition", &note).await?;
        Ok(true)
    }

    /// A composition that changes what it composes, or fails, is another revision of it.
    async fn select_revision(&mut self, wish: &Wish) -> Result<()> {
        let machinery = self.machinery();
        let composition = machinery["compositionRef"]["name"].as_str().unwrap_or_default().to_owned();
        let wished =
            if machinery["compositionUpdatePolicy"] == "Manual" && machinery["compositionRevisionRef"].is_object() {
                return Ok(());
            } else {
                json!({ "name": format!("{composition}-{}", digest(&format!("{composition} {wish:?}"), 7)) })
            };
        if machinery["compositionRevisionRef"] != wished {
            machinery["compositionRevisionRef"] = wished.clone();
            self.replace().await?;
            let note = format!("Selected composition revision: {}", wished["name"].as_str().unwrap_or_default());
            self.event(Level::Normal, "SelectComposition", &note).await?;
        }
        Ok(())
    }

    async fn label(&mut self) -> Result<()> {
        let name = self.object.name_any();
        if self.object.labels().get("crossplane.io/composite") != Some(&name) {
            self.object.labels_mut().insert("crossplane.io/composite".to_owned(), name);
            self.replace().await?;
        }
        if self.offer.scope == Scope::LegacyCluster
            && !self.object.data["spec"]["writeConnectionSecretToRef"].is_object()
        {
            let uid = self.object.uid();
            self.object.data["spec"]["writeConnectionSecretToRef"] = json!({ "name": uid, "namespace": OWN_NAMESPACE });
            self.replace().await?;
        }
        Ok(())
    }

    async fn compose(&mut self, wish: &Wish) -> Result<Action> {
        let composed = self.composed(wish, self.named_before().await?)?;
        self.apply_references(&composed).await?;
        let others = self.stage.api(&composed.resource, Some(&composed.namespace));
        let is_first = condition(&self.object, "Ready").is_none();
        let is_new = is_first || others.get_opt(&composed.name).await?.is_none();
        let manager = format!("apiextensions.crossplane.io/composed/{}", digest(&self.offer.composite.kind, 64));
        others.patch(&composed.name, &apply(&manager), &Patch::Apply(&composed.content)).await?;

        let published = match self.offer.scope {
            // The composed resource is there to be read at the next reconcile only.
            Scope::LegacyCluster => self.publish(if is_first { BTreeMap::new() } else { self.details(wish) }).await?,
            Scope::Cluster | Scope::Namespaced => false,
        };
        set_condition(&mut self.object, "Synced", true, "ReconcileSuccess", None);
        if published {
            self.object.data["status"]["connectionDetails"] = json!({ "lastPublishedTime": now() });
        }
        let was_ready = condition(&self.object, "Ready").cloned();
        if is_new {
            self.creating(composed.called);
            self.write_status().await?;
            let note = format!("Composed resource \"{}\" is not yet ready", composed.called);
            self.event(Level::Normal, "ComposeResources", &note).await?;
            self.apply_responsive().await?;
            return Ok(Action::requeue(Duration::from_millis(20)));
        }
        set_condition(&mut self.object, "Ready", true, "Available", None);
        self.write_status().await?;
        if self.offer.scope == Scope::Namespaced && was_ready.is_some_and(|ready| ready["reason"] == "Creating") {
            for _ in 0..FLAPS {
                self.creating(composed.called);
                self.write_status().await?;
                set_condition(&mut self.object, "Ready", true, "Available", None);
                self.write_status().await?;
            }
        }
        self.apply_responsive().await?;
        Ok(Action::requeue(POLL))
    }

    fn creating(&mut self, called: &str) {
        set_condition(&mut self.object, "Ready", false, "Creating", Some(&format!("Unready resources: {called}")));
    }

    fn details(&self, wish: &Wish) -> BTreeMap<String, ByteString> {
        let details = wish.details.clone().unwrap_or_else(|| self.offer.recorded_details());
        details.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect()
    }

    /// The name of the ConfigMap that the composite names already, unless another composite controls it: then it is passed over.
    async fn named_before(&self) -> Result<Option<String>> {
        if self.offer.scope != Scope::LegacyCluster {
            return Ok(None);
        }
        let reference = &self.object.data["spec"]["resourceRefs"][0];
        let Some(name) = reference["name"].as_str() else { return Ok(None) };
        let there = Api::<ConfigMap>::namespaced(self.stage.client.clone(), OWN_NAMESPACE).get_opt(name).await?;
        let is_others = there.is_some_and(|there| {
            let mut controllers = there.owner_references().iter().filter(|owner| owner.controller == Some(true));
            controllers.any(|owner| Some(&owner.uid) != self.object.uid().as_ref())
        });
        Ok((!is_others).then(|| name.to_owned()))
    }

    fn composed(&self, wish: &Wish, before: Option<String>) -> Result<Composed> {
        let name = self.object.name_any();
        let secret = self.object.data["spec"]["writeConnectionSecretToRef"]["name"].as_str();
        let core = |kind: &str, plural: &str| ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let beside = self.object.namespace();
        let (resource, called, composed_name, mut content) = match secret {
            Some(secret) if self.offer.scope != Scope::LegacyCluster => {
                let content = json!({ "type": "Opaque", "data": self.details(wish) });
                (core("Secret", "secrets"), "keys", secret.to_owned(), content)
            }
            _ => {
                let new = || format!("{name}-{}", digest(&self.object.uid().unwrap_or_default(), 12));
                let name = before.unwrap_or_else(new);
                let details = wish.details.clone().unwrap_or_else(|| self.offer.recorded_details());
                (core("ConfigMap", "configmaps"), "settings", name, json!({ "data": details }))
            }
        };
        let namespace = beside.unwrap_or_else(|| OWN_NAMESPACE.to_owned());
        let mut labels = BTreeMap::from([("crossplane.io/composite".to_owned(), name)]);
        for key in ["crossplane.io/claim-name", "crossplane.io/claim-namespace"] {
            if let Some(value) = self.object.labels().get(key) {
                labels.insert(key.to_owned(), value.clone());
            }
        }
        content["apiVersion"] = json!("v1");
        content["kind"] = json!(resource.kind);
        content["metadata"] = json!({
            "name": composed_name,
            "namespace": namespace,
            "labels": labels,
            "annotations": { "crossplane.io/composition-resource-name": called },
            "ownerReferences": [controller_of(&self.object)],
        });
        Ok(Composed { resource, namespace, name: composed_name, called, content })
    }

    async fn apply_references(&mut self, composed: &Composed) -> Result<()> {
        let mut reference = json!({ "apiVersion": "v1", "kind": composed.resource.kind, "name": composed.name });
        if self.offer.scope != Scope::Namespaced {
            reference["namespace"] = json!(composed.namespace);
        }
        let references = json!([reference]);
        let spec = match self.offer.scope {
            Scope::LegacyCluster => json!({ "resourceRefs": references }),
            Scope::Cluster | Scope::Namespaced => json!({ "crossplane": { "resourceRefs": references } }),
        };
        if self.machinery()["resourceRefs"] != references {
            let patch = self.patch(json!({ "spec": spec }));
            self.object = self.api.patch(&self.object.name_any(), &apply(MANAGER), &Patch::Apply(patch)).await?;
        }
        Ok(())
    }

    /// Writes the composite's own connection Secret, and answers whether it changed.
    async fn publish(&self, data: BTreeMap<String, ByteString>) -> Result<bool> {
        let name = self.object.uid().context("a composite without a uid")?;
        let secrets = Api::<Secret>::namespaced(self.stage.client.clone(), OWN_NAMESPACE);
        let there = secrets.get_opt(&name).await?;
        match there {
            None => {
                secrets.create(&parameters(), &connection_secret(&name, OWN_NAMESPACE, &self.object, data)?).await?;
            }
            Some(there) if there.data.clone().unwrap_or_default() == data => return Ok(false),
            Some(mut there) => {
                there.data = Some(data);
                secrets.replace(&name, &parameters(), &there).await?;
            }
        }
        self.event(Level::Normal, "PublishConnectionSecret", "Successfully published connection details").await?;
        Ok(true)
    }

    /// The one condition that is written by server-side apply, together with those that are there; at every reconcile, so that
    /// both managers own them in the end.
    async fn apply_responsive(&mut self) -> Result<()> {
        set_condition(&mut self.object, "Responsive", true, "WatchCircuitClosed", None);
        let conditions = self.object.data["status"]["conditions"].clone();
        let patch = self.patch(json!({ "status": { "conditions": conditions } }));
        let name = self.object.name_any();
        if let Some(after) = if_found(self.api.patch_status(&name, &apply(MANAGER), &Patch::Apply(patch)).await)? {
            self.object = after;
            self.stored_status = self.object.data["status"].clone();
        }
        Ok(())
    }

    fn patch(&self, mut content: Value) -> Value {
        content["apiVersion"] = json!(self.offer.composite.api_version);
        content["kind"] = json!(self.offer.composite.kind);
        content["metadata"] = json!({ "name": self.object.name_any(), "namespace": self.object.namespace() });
        content
    }

    async fn fail(&mut self, reason: &str, message: &str) -> Result<Action> {
        set_condition(&mut self.object, "Synced", false, "ReconcileError", Some(message));
        self.write_status().await?;
        self.event(Level::Warning, reason, message).await?;
        self.apply_responsive().await?;
        Ok(Action::requeue(Duration::from_secs(10)))
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
        self.stage.event(Controller::Composite(&self.offer.xrd), &self.object, level, reason, note).await
    }
}
