//! What Crossplane does to an XRD: renders its CRDs, starts and ends the controllers of its claims and composites.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{ResourceExt, runtime};
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::events::{Controller, Level};
use super::offer::Offer;
use super::render::{Half, crd};
use super::stage::{
    POLL, Stage, add_finalizer, if_found, is_going, is_true, parameters, remove_finalizer, set_condition, write_status,
};
use super::{claim, composite};

const OFFERED: &str = "offered.apiextensions.crossplane.io";
const DEFINED: &str = "defined.apiextensions.crossplane.io";

/// How soon to look again at what kube-apiserver is about to finish.
const SOON: Duration = Duration::from_millis(50);

/// The controllers of one half of an XRD, aborted on drop.
struct Running {
    offer: Offer,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The controllers that run, by XRD and half.
#[derive(Default)]
pub(super) struct Controllers {
    running: tokio::sync::Mutex<HashMap<(String, bool), Running>>,
}

/// The words in which Crossplane speaks of the two halves.
struct Words {
    finalizer: &'static str,
    recorder: Controller<'static>,
    reason: &'static str,
    condition: &'static str,
    watching: &'static str,
    terminating: &'static str,
    terminated: &'static str,
    called: &'static str,
    /// The key under `status.controllers`.
    controller: &'static str,
}

fn words(half: Half) -> Words {
    match half {
        Half::Claim => Words {
            finalizer: OFFERED,
            recorder: Controller::Offered,
            reason: "OfferClaim",
            condition: "Offered",
            watching: "WatchingCompositeResourceClaim",
            terminating: "TerminatingCompositeResourceClaim",
            terminated: "RedactClaim",
            called: "composite resource claim",
            controller: "compositeResourceClaimType",
        },
        Half::Composite => Words {
            finalizer: DEFINED,
            recorder: Controller::Defined,
            reason: "EstablishComposite",
            condition: "Established",
            watching: "WatchingCompositeResource",
            terminating: "TerminatingCompositeResource",
            terminated: "TerminateComposite",
            called: "composite resource",
            controller: "compositeResourceType",
        },
    }
}

pub(super) fn resource() -> ApiResource {
    ApiResource {
        group: "apiextensions.crossplane.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "apiextensions.crossplane.io/v1".to_owned(),
        kind: "CompositeResourceDefinition".to_owned(),
        plural: "compositeresourcedefinitions".to_owned(),
    }
}

pub(super) fn crd_resource() -> ApiResource {
    ApiResource {
        group: "apiextensions.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "apiextensions.k8s.io/v1".to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
        plural: "customresourcedefinitions".to_owned(),
    }
}

/// Brings one XRD a step further.
pub(super) async fn reconcile(stage: &Arc<Stage>, controllers: &Controllers, name: &str) -> Result<Action> {
    let api = stage.api(&resource(), None);
    let Some(mut xrd) = api.get_opt(name).await? else { return Ok(Action::await_change()) };
    let offer = Offer::of(&serde_json::to_value(&xrd)?)?;
    if is_going(&xrd) {
        for half in [Half::Claim, Half::Composite] {
            if xrd.finalizers().iter().any(|there| there == words(half).finalizer)
                && !terminate(stage, controllers, &api, &mut xrd, &offer, half).await?
            {
                return Ok(Action::requeue(SOON));
            }
        }
        return Ok(Action::await_change());
    }
    let halves: &[Half] = if offer.claim.is_some() { &[Half::Claim, Half::Composite] } else { &[Half::Composite] };
    for &half in halves {
        add_finalizer(&api, &mut xrd, words(half).finalizer).await?;
    }
    // A claim needs its composites, so their CRD comes first.
    for &half in halves.iter().rev() {
        if !establish(stage, controllers, &api, &mut xrd, &offer, half).await? {
            return Ok(Action::requeue(SOON));
        }
    }
    Ok(Action::requeue(POLL))
}

/// Renders one CRD and starts what watches its objects. Answers whether that is done.
async fn establish(
    stage: &Arc<Stage>,
    controllers: &Controllers,
    api: &Api<DynamicObject>,
    xrd: &mut DynamicObject,
    offer: &Offer,
    half: Half,
) -> Result<bool> {
    let words = words(half);
    let rendered = crd(&serde_json::to_value(&*xrd)?, half)?;
    let applied = match apply_crd(stage, xrd, rendered).await {
        Ok(applied) => applied,
        Err(error) => {
            let note = format!("cannot apply rendered {} CustomResourceDefinition: {error}", words.called);
            stage.event(words.recorder, xrd, Level::Warning, words.reason, &note).await?;
            return Err(error);
        }
    };
    if applied.changed {
        let note = format!("Applied {} CustomResourceDefinition: {}", words.called, applied.crd.name_any());
        stage.event(words.recorder, xrd, Level::Normal, words.reason, &note).await?;
    }
    let resource = resource_of(offer, half)?;
    let served = is_true(&applied.crd, "Established")
        && stage.api(&resource, None).list(&ListParams::default().limit(1)).await.is_ok();
    if !served {
        let note = format!("waiting for {} CustomResourceDefinition to be established", words.called);
        stage.event(words.recorder, xrd, Level::Normal, words.reason, &note).await?;
        return Ok(false);
    }
    controllers.start(stage, offer, half).await?;

    let before = xrd.data["status"].clone();
    set_condition(xrd, words.condition, true, words.watching, None);
    let none = json!({ "apiVersion": "", "kind": "" });
    for other in ["compositeResourceClaimType", "compositeResourceType"] {
        if xrd.data["status"]["controllers"][other].is_null() {
            xrd.data["status"]["controllers"][other] = none.clone();
        }
    }
    xrd.data["status"]["controllers"][words.controller] =
        json!({ "apiVersion": resource.api_version, "kind": resource.kind });
    write_status(api, xrd, &before).await?;
    Ok(true)
}

/// Takes one half down: its objects, their controllers, the CRD, the finalizer. Answers whether that is done.
async fn terminate(
    stage: &Arc<Stage>,
    controllers: &Controllers,
    api: &Api<DynamicObject>,
    xrd: &mut DynamicObject,
    offer: &Offer,
    half: Half,
) -> Result<bool> {
    let words = words(half);
    let before = xrd.data["status"].clone();
    set_condition(xrd, words.condition, false, words.terminating, None);
    write_status(api, xrd, &before).await?;

    let resource = resource_of(offer, half)?;
    let name = format!("{}.{}", resource.plural, resource.group);
    let crds = stage.api(&crd_resource(), None);
    let crd = crds
        .get_opt(&name)
        .await?
        .filter(|crd| crd.owner_references().iter().any(|owner| Some(&owner.uid) == xrd.uid().as_ref()));
    if let Some(crd) = crd {
        let objects = if_found(stage.api(&resource, None).list(&ListParams::default()).await)?;
        let objects = objects.map(|list| list.items).unwrap_or_default();
        for object in objects.iter().filter(|object| !is_going(object)) {
            let api = stage.api(&resource, object.namespace().as_deref());
            if_found(api.delete(&object.name_any(), &DeleteParams::default()).await)?;
        }
        if objects.is_empty() && !is_going(&crd) {
            controllers.stop(offer, half).await;
            if_found(crds.delete(&name, &DeleteParams::default()).await)?;
            let note = format!("Deleted {} CustomResourceDefinition: {name}", words.called);
            stage.event(words.recorder, xrd, Level::Normal, words.terminated, &note).await?;
        }
        return Ok(false);
    }
    controllers.stop(offer, half).await;
    remove_finalizer(api, xrd, words.finalizer).await?;
    Ok(true)
}

fn resource_of(offer: &Offer, half: Half) -> Result<ApiResource> {
    match half {
        Half::Claim => offer.claim.clone().context("an XRD without claims"),
        Half::Composite => Ok(offer.composite.clone()),
    }
}

struct Applied {
    crd: DynamicObject,
    changed: bool,
}

async fn apply_crd(stage: &Stage, xrd: &DynamicObject, rendered: Value) -> Result<Applied> {
    let rendered: DynamicObject = serde_json::from_value(rendered)?;
    let api = stage.api(&crd_resource(), None);
    match api.get_opt(&rendered.name_any()).await? {
        None => match api.create(&parameters(), &rendered).await {
            Ok(crd) => Ok(Applied { crd, changed: true }),
            Err(kube::Error::Api(status)) => bail!("cannot create object: {}", status.message),
            Err(error) => Err(error.into()),
        },
        Some(there) if !there.owner_references().iter().any(|owner| Some(&owner.uid) == xrd.uid().as_ref()) => {
            bail!("cannot establish control of object: {} is not controlled by {}", there.name_any(), xrd.name_any())
        }
        Some(there) if there.data["spec"] == rendered.data["spec"] => Ok(Applied { crd: there, changed: false }),
        Some(mut there) => {
            there.data["spec"] = rendered.data["spec"].clone();
            there.labels_mut().extend(rendered.labels().clone());
            there.annotations_mut().extend(rendered.annotations().clone());
            Ok(Applied { crd: api.replace(&there.name_any(), &parameters(), &there).await?, changed: true })
        }
    }
}

impl Controllers {
    /// Starts the controller of one half, anew when the XRD changed what matters to it.
    async fn start(&self, stage: &Arc<Stage>, offer: &Offer, half: Half) -> Result<()> {
        let mut running = self.running.lock().await;
        let key = (offer.xrd.clone(), half == Half::Claim);
        if !stage.reconciles {
            return Ok(());
        }
        if running.get(&key).is_some_and(|running| running.offer == *offer) {
            return Ok(());
        }
        let task = match half {
            Half::Claim => watch_claims(stage.clone(), offer.clone(), resource_of(offer, half)?),
            Half::Composite => watch_composites(stage.clone(), offer.clone()),
        };
        running.insert(key, Running { offer: offer.clone(), task });
        Ok(())
    }

    async fn stop(&self, offer: &Offer, half: Half) {
        self.running.lock().await.remove(&(offer.xrd.clone(), half == Half::Claim));
    }
}

fn watch_claims(stage: Arc<Stage>, offer: Offer, resource: ApiResource) -> AbortHandle {
    let claim_of = {
        let resource = resource.clone();
        move |composite: DynamicObject| {
            let claim = &composite.data["spec"]["claimRef"];
            let (namespace, name) = (claim["namespace"].as_str()?, claim["name"].as_str()?);
            Some(ObjectRef::new_with(name, resource.clone()).within(namespace))
        }
    };
    let controller = controller(&stage, &resource).watches_with(
        stage.api(&offer.composite, None),
        offer.composite.clone(),
        watcher::Config::default(),
        claim_of,
    );
    let run = controller.run(
        move |object, stage: Arc<Stage>| {
            let (offer, resource) = (offer.clone(), resource.clone());
            async move {
                let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                let outcome = claim::reconcile(&stage, &offer, &resource, &namespace, &name).await;
                Ok::<_, Infallible>(stage.settle(&format!("claim {namespace}/{name}"), outcome))
            }
        },
        |_, error, _| match *error {},
        stage,
    );
    tokio::spawn(run.for_each(|_| std::future::ready(()))).abort_handle()
}

fn watch_composites(stage: Arc<Stage>, offer: Offer) -> AbortHandle {
    // Crossplane watches what a namespaced composite composed, and mends it at once.
    let composed = Api::<Secret>::all(stage.client.clone());
    let of_composites = watcher::Config::default().labels("crossplane.io/composite");
    let controller =
        controller(&stage, &offer.composite).owns(composed, of_composites).reconcile_all_on(stage.changes());
    let run = controller.run(
        move |object, stage: Arc<Stage>| {
            let offer = offer.clone();
            async move {
                let (namespace, name) = (object.namespace(), object.name_any());
                let outcome = composite::reconcile(&stage, &offer, namespace.as_deref(), &name).await;
                Ok::<_, Infallible>(stage.settle(&format!("composite {name}"), outcome))
            }
        },
        |_, error, _| match *error {},
        stage,
    );
    tokio::spawn(run.for_each(|_| std::future::ready(()))).abort_handle()
}

/// The controller of XRDs themselves; runs until it is dropped.
pub(super) async fn watch_definitions(stage: Arc<Stage>) {
    let controllers = Arc::new(Controllers::default());
    let run = controller(&stage, &resource()).run(
        move |object, stage: Arc<Stage>| {
            let controllers = controllers.clone();
            async move {
                let name = object.name_any();
                let outcome = reconcile(&stage, &controllers, &name).await;
                Ok::<_, Infallible>(stage.settle(&format!("XRD {name}"), outcome))
            }
        },
        |_, error, _| match *error {},
        stage,
    );
    run.for_each(|_| std::future::ready(())).await;
}

fn controller(stage: &Stage, resource: &ApiResource) -> runtime::Controller<DynamicObject> {
    runtime::Controller::new_with(stage.api(resource, None), watcher::Config::default(), resource.clone())
        .trigger_backoff(Steady)
}

/// Watches that broke are tried again soon: an outage in a test is short.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(250))
    }
}

impl runtime::utils::Backoff for Steady {
    fn reset(&mut self) {}
}
