//! Crossplane's part, as users of claims see it: definitions are established and offered, claims are bound and become ready,
//! connection Secrets appear. Nothing is composed.

mod render;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use connector_core::status::Status;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::internal::Place;
use super::kinds::Kind;
use super::object;
use super::store::{Expired, Key, Resource, Shared};

pub(super) const DEFINITIONS: &str = include_str!("example/definitions.yaml");
const MANAGER: &str = "crossplane";
/// Changes that come within this time are taken together.
const PAUSE: Duration = Duration::from_millis(20);
const MERGE: &str = "application/merge-patch+json";

/// The documented example: a definition that offers `KubernetesCluster`, and one claim of it.
pub mod example {
    /// The CompositeResourceDefinition of the example, as YAML.
    pub const DEFINITION: &str = include_str!("example/xrd.yaml");
    /// The claim of the example, as YAML.
    pub const CLAIM: &str = include_str!("example/claim.yaml");
}

fn definitions() -> Resource {
    Resource::new("apiextensions.crossplane.io", "compositeresourcedefinitions")
}

/// Plays Crossplane, as long as the cluster runs.
pub(super) async fn run(api: Arc<Api>) {
    let mut bell = api.store.any();
    let mut crossplane = Crossplane { api: api.clone(), rendered: HashMap::new(), seen: HashMap::new() };
    loop {
        bell.mark_unchanged();
        crossplane.round();
        if bell.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Crossplane {
    api: Arc<Api>,
    /// The generation of each definition that was last rendered, by uid.
    rendered: HashMap<String, u64>,
    /// The revision up to which the objects of a resource were looked at.
    seen: HashMap<Resource, u64>,
}

/// What one definition makes.
struct Offer {
    /// Claims of the older form, or namespaced composites of the newer one.
    resource: Resource,
    is_claim: bool,
    composite_kind: String,
    composite: Resource,
    secret_keys: Vec<String>,
}

impl Crossplane {
    fn round(&mut self) {
        for definition in self.api.all(&definitions()) {
            let value = definition.value();
            if object::is_terminating(value) || object::name(value) != render::name(value) {
                continue;
            }
            let generation = object::metadata(value).get("generation").and_then(Value::as_u64).unwrap_or_default();
            if self.rendered.get(object::uid(value)) != Some(&generation) && self.establish(value, generation).is_ok() {
                self.rendered.insert(object::uid(value).to_owned(), generation);
            }
            if let Some(offer) = offer(value) {
                self.follow(&offer);
            }
        }
    }

    /// Renders the CustomResourceDefinitions and tells that the API is there; what fails is tried at the next change.
    fn establish(&self, definition: &Value, generation: u64) -> Result<(), Status> {
        let mut conditions = vec![("Established", "WatchingCompositeResource")];
        let version = |kind: &str| {
            let versions = definition["spec"]["versions"].as_array();
            let version = versions.and_then(|versions| versions.first()).map(|version| version["name"].clone());
            let (group, version) = (object::text_at(definition, "/spec/group"), version.unwrap_or_default());
            json!({"apiVersion": format!("{group}/{}", version.as_str().unwrap_or_default()), "kind": kind})
        };
        let mut controllers =
            json!({"compositeResourceType": version(object::text_at(definition, "/spec/names/kind"))});
        self.api.install(&render::composite(definition), MANAGER)?;
        if let Some(claim) = render::claim(definition) {
            self.api.install(&claim, MANAGER)?;
            conditions.push(("Offered", "WatchingCompositeResourceClaim"));
            controllers["compositeResourceClaimType"] = version(object::text_at(definition, "/spec/claimNames/kind"));
        }
        let conditions: Vec<Value> = conditions
            .into_iter()
            .map(|(kind, reason)| {
                json!({
                    "type": kind, "status": "True", "reason": reason, "observedGeneration": generation,
                    "lastTransitionTime": object::now()
                })
            })
            .collect();
        let kind = self.api.kinds().of_resource(&definitions()).ok_or_else(Status::no_such_path)?;
        let place = Place { kind: &kind, namespace: "", name: object::name(definition) };
        let body = json!({"status": {"conditions": conditions, "controllers": controllers}});
        self.api.patch(&place, Some("status"), MERGE, MANAGER, &body).map(drop)
    }

    /// Looks at what has changed since the last time.
    fn follow(&mut self, offer: &Offer) {
        let Some(kind) = self.api.kinds().of_resource(&offer.resource) else { return };
        let seen = self.seen.get(&offer.resource).copied().unwrap_or_default();
        let (changed, revision) = match self.api.store.since(&offer.resource, seen) {
            Ok((changes, revision)) => {
                for gone in changes.iter().filter(|change| change.deleted && offer.is_claim) {
                    let name = object::text_at(gone.object.value(), "/spec/resourceRef/name");
                    self.api.remove(&offer.composite, &Key::new("", name));
                }
                let keys: BTreeSet<Key> = changes.iter().map(|change| change.key.clone()).collect();
                let live = keys.iter().filter_map(|key| self.api.store.get(&offer.resource, key)).collect();
                (live, revision)
            }
            Err(Expired) => (self.api.all(&offer.resource), self.api.store.revision()),
        };
        self.seen.insert(offer.resource.clone(), revision);
        for object in changed {
            if !object::is_terminating(object.value()) {
                // It was changed meanwhile or it has gone; then the next round looks at it.
                let _ = self.reconcile(offer, &kind, &object);
            }
        }
    }

    fn reconcile(&self, offer: &Offer, kind: &Kind, object: &Shared) -> Result<(), Status> {
        let live = object.value();
        let generation = object::metadata(live).get("generation").and_then(Value::as_u64).unwrap_or_default();
        let place = Place { kind, namespace: object::namespace(live), name: object::name(live) };
        let ready = live.pointer("/status/conditions/1/observedGeneration").and_then(Value::as_u64);
        if ready == Some(generation) {
            return Ok(());
        }
        let mut now = object.clone();
        if offer.is_claim && live.pointer("/spec/resourceRef").is_none() {
            let composite = object::generate_name(&format!("{}-", place.name));
            let reference = json!({"apiVersion": live["apiVersion"], "kind": offer.composite_kind, "name": composite});
            let body = json!({"spec": {"resourceRef": reference, "compositionRef": {"name": kind.singular}}});
            now = self.api.patch(&place, None, MERGE, MANAGER, &body)?;
            self.tell_bound(&place, now.value(), &composite)?;
        }
        let mut status = Map::new();
        if offer.is_claim {
            self.bind(&place, now.value(), offer)?;
            if self.publish(&place, now.value(), offer)? {
                status.insert("connectionDetails".into(), json!({"lastPublishedTime": object::now()}));
            }
        }
        self.set_conditions(&place, now.value(), status)
    }

    /// Tells that an object is synced and ready, beside other members of its status.
    fn set_conditions(&self, place: &Place<'_>, object: &Value, mut status: Map<String, Value>) -> Result<(), Status> {
        let generation = object::metadata(object).get("generation").cloned().unwrap_or_default();
        let condition = |kind: &str, reason: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "observedGeneration": generation,
                "lastTransitionTime": object::now()
            })
        };
        status.insert(
            "conditions".into(),
            json!([condition("Synced", "ReconcileSuccess"), condition("Ready", "Available")]),
        );
        self.api.patch(place, Some("status"), MERGE, MANAGER, &json!({"status": status})).map(drop)
    }

    /// Makes the composite resource that the claim refers to.
    fn bind(&self, place: &Place<'_>, claim: &Value, offer: &Offer) -> Result<(), Status> {
        let mut spec = claim["spec"].as_object().cloned().unwrap_or_default();
        spec.retain(|name, _| !render::CLAIM_FIELDS.contains(&name.as_str()));
        spec.insert("claimRef".into(), json!({
            "apiVersion": claim["apiVersion"], "kind": place.kind.kind, "namespace": place.namespace, "name": place.name
        }));
        let name = object::text_at(claim, "/spec/resourceRef/name");
        let composite = self.api.install(
            &json!({
                "apiVersion": claim["apiVersion"], "kind": offer.composite_kind,
                "metadata": {"name": name, "labels": {
                    "crossplane.io/claim-name": place.name, "crossplane.io/claim-namespace": place.namespace,
                    "crossplane.io/composite": name
                }},
                "spec": spec
            }),
            MANAGER,
        )?;
        let kind = self.api.kinds().of_object(composite.value()).ok_or_else(Status::no_such_path)?;
        let place = Place { kind: &kind, namespace: "", name };
        self.set_conditions(&place, composite.value(), Map::new())
    }

    /// Writes the connection Secret, if the claim asks for one; whether it did.
    fn publish(&self, place: &Place<'_>, claim: &Value, offer: &Offer) -> Result<bool, Status> {
        let name = object::text_at(claim, "/spec/writeConnectionSecretToRef/name");
        if name.is_empty() {
            return Ok(false);
        }
        let data: Map<String, Value> = offer
            .secret_keys
            .iter()
            .map(|key| {
                let told = format!("the {key} of {}", object::text_at(claim, "/spec/resourceRef/name"));
                (key.clone(), json!(k8s_openapi::ByteString(told.into_bytes())))
            })
            .collect();
        self.api.install(
            &json!({
                "apiVersion": "v1", "kind": "Secret", "type": "connection.crossplane.io/v1alpha1", "data": data,
                "metadata": {"name": name, "namespace": place.namespace, "ownerReferences": [{
                    "apiVersion": claim["apiVersion"], "kind": place.kind.kind, "name": place.name, "uid": object::uid(claim),
                    "controller": true, "blockOwnerDeletion": true
                }]}
            }),
            MANAGER,
        )?;
        Ok(true)
    }

    fn tell_bound(&self, place: &Place<'_>, claim: &Value, composite: &str) -> Result<(), Status> {
        let now = object::now();
        let regarding = json!({
            "apiVersion": claim["apiVersion"], "kind": place.kind.kind, "name": place.name, "namespace": place.namespace,
            "uid": object::uid(claim)
        });
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "BindCompositeResource",
            "metadata": {"name": object::generate_name(&format!("{}.", place.name)), "namespace": place.namespace},
            "involvedObject": regarding, "message": format!("Successfully bound composite resource {composite}"),
            "source": {"component": "offered/compositeresourcedefinition"}, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now
        });
        self.api.install(&event, MANAGER).map(drop)
    }
}

fn offer(definition: &Value) -> Option<Offer> {
    let text = |pointer: &str| object::text_at(definition, pointer);
    let group = text("/spec/group");
    let claims = text("/spec/claimNames/plural");
    let is_claim = !claims.is_empty();
    if !is_claim && render::scope(definition) != "Namespaced" {
        return None;
    }
    let keys = definition.pointer("/spec/connectionSecretKeys").and_then(Value::as_array).into_iter().flatten();
    Some(Offer {
        resource: Resource::new(group, if is_claim { claims } else { text("/spec/names/plural") }),
        is_claim,
        composite_kind: text("/spec/names/kind").to_owned(),
        composite: Resource::new(group, text("/spec/names/plural")),
        secret_keys: keys.filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}
